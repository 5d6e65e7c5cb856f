'use strict';

const { assert, event, collect, until, fails, name, sleep } = require('../harness');

async function pair(client) {
  const tom = await client(name('tom'));
  const jerry = await client(name('jerry'));
  const conv = await tom.createConversation({ members: [jerry.id] });
  await sleep(30);
  return { tom, jerry, conv, sdk: tom.sdk };
}

const texts = messages => messages.map(m => m.text);

module.exports = {
  'text': async ({ client }) => {
    const { tom, jerry, conv, sdk } = await pair(client);
    const heard = event(jerry, sdk.Event.MESSAGE);
    const sent = await conv.send(new sdk.TextMessage('Jerry，起床了！').setAttributes({ a: 1 }));
    assert.strictEqual(sent.status, sdk.MessageStatus.SENT);
    const [message, hers] = await heard;
    assert.strictEqual(message.text, 'Jerry，起床了！');
    assert.deepStrictEqual(message.attributes, { a: 1 });
    assert.strictEqual(message.id, sent.id);
    assert.strictEqual(message.from, tom.id);
    assert.strictEqual(message.timestamp.getTime(), sent.timestamp.getTime());
    assert.strictEqual(message.updatedAt.getTime(), message.timestamp.getTime());
    assert.strictEqual(hers.unreadMessagesCount, 1);
    assert.strictEqual(hers.lastMessage.id, sent.id);
  },

  'plain, binary and custom content': async ({ client }) => {
    const { jerry, conv, sdk } = await pair(client);
    const seen = collect(jerry, [sdk.Event.MESSAGE]);
    const bytes = new Uint8Array([0, 1, 2, 127, 128, 200, 253, 254, 255, 10]);
    await conv.send(new sdk.Message('just text'));
    await conv.send(new sdk.Message({ any: ['json', 1] }));
    await conv.send(new sdk.BinaryMessage(bytes.buffer));
    await until(() => seen.length === 3, 'three messages');
    const [plain, json, binary] = seen.map(e => e.args[0]);
    assert.strictEqual(plain.content, 'just text');
    assert.deepStrictEqual(json.content, { any: ['json', 1] });
    assert.deepStrictEqual([...new Uint8Array(binary.buffer)], [...bytes]);
  },

  'a registered type': async ({ client }) => {
    const { jerry, conv, sdk } = await pair(client);
    const define = s => {
      class RedPacket extends s.TypedMessage {}
      s.messageType(1)(RedPacket);
      s.messageField(['amount'])(RedPacket);
      return RedPacket;
    };
    const Mine = define(sdk);
    const Hers = define(jerry.sdk);
    jerry.realtime.register(Hers);
    const heard = event(jerry, sdk.Event.MESSAGE);
    const packet = new Mine();
    packet.amount = 520;
    await conv.send(packet);
    const [message] = await heard;
    assert.ok(message instanceof Hers);
    assert.strictEqual(message.amount, 520);
  },

  'order of a burst': async ({ client }) => {
    const { jerry, conv, sdk } = await pair(client);
    const seen = collect(jerry, [sdk.Event.MESSAGE]);
    await Promise.all([...Array(50).keys()].map(i => conv.send(new sdk.TextMessage(String(i)))));
    await until(() => seen.length === 50, 'fifty messages');
    assert.deepStrictEqual(texts(seen.map(e => e.args[0])), [...Array(50).keys()].map(String));
  },

  'transient, mention, priority and push data': async ({ client }) => {
    const { jerry, conv, sdk } = await pair(client);
    const seen = collect(jerry, [sdk.Event.MESSAGE]);
    await conv.send(new sdk.TextMessage('typing'), { transient: true });
    await conv.send(new sdk.TextMessage('you').setMentionList([jerry.id]));
    await conv.send(new sdk.TextMessage('all').mentionAll());
    await conv.send(new sdk.TextMessage('push'), { priority: 1, pushData: { alert: 'hi' } });
    await until(() => seen.length === 4, 'four messages');
    const [typing, you, all] = seen.map(e => e.args[0]);
    assert.strictEqual(typing.text, 'typing');
    assert.strictEqual(you.mentioned, true);
    assert.deepStrictEqual(you.mentionList, [jerry.id]);
    assert.strictEqual(all.mentionedAll, true);
    assert.deepStrictEqual(texts(await conv.queryMessages()), ['you', 'all', 'push']);
  },

  'a stranger may not send': async ({ client }) => {
    const { tom, conv } = await pair(client);
    const stranger = await client(name('stranger'));
    const his = await stranger.getConversation(conv.id);
    const error = await fails(his.send(new stranger.sdk.TextMessage('x')), 4401);
    assert.match(error.message, /INVALID_MESSAGING_TARGET/);
    assert.ok(tom);
  },

  'delivered and read receipts': async ({ client }) => {
    const { jerry, conv, sdk, tom } = await pair(client);
    const delivered = event(conv, sdk.Event.LAST_DELIVERED_AT_UPDATE);
    const message = await conv.send(new sdk.TextMessage('receipt'), { receipt: true });
    await delivered;
    assert.strictEqual(message.status, sdk.MessageStatus.DELIVERED);
    const read = event(conv, sdk.Event.LAST_READ_AT_UPDATE);
    await (await jerry.getConversation(conv.id)).read();
    await read;
    await conv.fetchReceiptTimestamps();
    assert.ok(conv.lastReadAt >= message.timestamp);
    assert.ok(conv.lastDeliveredAt >= message.timestamp);
    assert.ok(tom);
  },

  'a will is delivered when the connection is lost': async ({ client, go }) => {
    const { tom, jerry, conv, sdk } = await pair(client);
    const heard = event(jerry, sdk.Event.MESSAGE);
    await conv.send(new sdk.TextMessage('my last words'), { will: true });
    await go('cut', { client: tom.id });
    assert.strictEqual((await heard)[0].text, 'my last words');
  },

  'unread after absence': async ({ client }) => {
    const { tom, jerry, conv, sdk } = await pair(client);
    const id = jerry.id;
    await jerry.close();
    for (const text of ['one', 'two', 'three']) {
      const message = new sdk.TextMessage(text);
      if (text === 'two') message.setMentionList([id]);
      await conv.send(message);
    }
    const again = await client(id);
    const [convs] = await event(again, sdk.Event.UNREAD_MESSAGES_COUNT_UPDATE);
    const hers = convs.find(c => c.id === conv.id);
    assert.strictEqual(hers.unreadMessagesCount, 3);
    assert.strictEqual(hers.unreadMessagesMentioned, true);
    assert.strictEqual(hers.lastMessage.text, 'three');
    await hers.read();
    assert.strictEqual(hers.unreadMessagesCount, 0);
    assert.ok(tom);
  },

  'reading on one device clears the other': async ({ client }) => {
    const { jerry, conv, sdk } = await pair(client);
    const other = await client(jerry.id);
    const both = [jerry, other].map(c => event(c, sdk.Event.MESSAGE));
    await conv.send(new sdk.TextMessage('hello'));
    const [[, first], [, second]] = await Promise.all(both);
    assert.strictEqual(second.unreadMessagesCount, 1);
    const cleared = event(other, sdk.Event.UNREAD_MESSAGES_COUNT_UPDATE, list => list.some(c => c.unreadMessagesCount === 0));
    await first.read();
    await cleared;
  },

  'update and recall': async ({ client }) => {
    const { jerry, conv, sdk } = await pair(client);
    await jerry.getConversation(conv.id);
    const original = await conv.send(new sdk.TextMessage('tpyo'));
    const updated = event(jerry, sdk.Event.MESSAGE_UPDATE);
    await conv.update(original, new sdk.TextMessage('typo'));
    const [message] = await updated;
    assert.strictEqual(message.text, 'typo');
    assert.strictEqual(message.id, original.id);
    assert.ok(message.updatedAt > message.timestamp);
    const recalled = event(jerry, sdk.Event.MESSAGE_RECALL);
    await conv.recall(original);
    const [gone] = await recalled;
    assert.strictEqual(gone.type, -127);
    const [stored] = await conv.queryMessages({ limit: 1 });
    assert.strictEqual(stored.type, -127);
  },

  "other people's messages cannot be changed": async ({ client }) => {
    const { jerry, conv, sdk } = await pair(client);
    const heard = event(jerry, sdk.Event.MESSAGE);
    await conv.send(new sdk.TextMessage('mine'));
    const [message, hers] = await heard;
    await fails(hers.recall(message)); // the SDK refuses it before the server can
  },

  'edits made while away are told': async ({ client }) => {
    const { jerry, conv, sdk } = await pair(client);
    const heard = event(jerry, sdk.Event.MESSAGE);
    const original = await conv.send(new sdk.TextMessage('before'));
    await heard;
    jerry.realtime.pause();
    await sleep(50);
    await conv.update(original, new sdk.TextMessage('after'));
    const told = event(jerry, sdk.Event.MESSAGE_UPDATE);
    jerry.realtime.resume();
    assert.strictEqual((await told)[0].text, 'after');
  },

  'history': async ({ client }) => {
    const { conv, sdk } = await pair(client);
    const sent = [];
    for (let i = 0; i < 25; i += 1) sent.push(await conv.send(new sdk.TextMessage(String(i))));
    const range = (a, b) => [...Array(b - a).keys()].map(i => String(a + i));
    assert.deepStrictEqual(texts(await conv.queryMessages()), range(5, 25));
    assert.deepStrictEqual(texts(await conv.queryMessages({ limit: 10 })), range(15, 25));
    assert.deepStrictEqual(await conv.queryMessages({ limit: 0 }).catch(() => []), []);
    assert.deepStrictEqual(texts(await conv.queryMessages({ startTime: sent[10].timestamp, startMessageId: sent[10].id, limit: 5 })), range(5, 10));
    assert.deepStrictEqual(
      texts(await conv.queryMessages({ startTime: sent[10].timestamp, startMessageId: sent[10].id, startClosed: true, limit: 5 })),
      range(6, 11)
    );
    const NEW = (sdk.MessageQueryDirection || {}).OLD_TO_NEW;
    assert.deepStrictEqual(
      texts(await conv.queryMessages({ startTime: sent[10].timestamp, startMessageId: sent[10].id, direction: NEW, limit: 5 })),
      range(11, 16)
    );
    assert.deepStrictEqual(
      texts(
        await conv.queryMessages({
          startTime: sent[3].timestamp, startMessageId: sent[3].id, startClosed: true,
          endTime: sent[6].timestamp, endMessageId: sent[6].id, endClosed: true, direction: NEW,
        })
      ),
      range(3, 7)
    );
    assert.deepStrictEqual(await conv.queryMessages({ type: 1234 }), []);
    assert.strictEqual((await conv.queryMessages({ type: -1, limit: 100 })).length, 25);
    assert.deepStrictEqual(await conv.queryMessages({ startTime: new Date(1) }), []);
  },

  'history iterator': async ({ client }) => {
    const { conv, sdk } = await pair(client);
    for (let i = 0; i < 25; i += 1) await conv.send(new sdk.TextMessage(String(i)));
    const iterator = conv.createMessagesIterator({ limit: 10 });
    const pages = [];
    for (;;) {
      const { value, done } = await iterator.next();
      if (value && value.length) pages.push(texts(value));
      if (done) break;
    }
    assert.deepStrictEqual(pages.map(p => p.length), [10, 10, 5]);
    assert.deepStrictEqual([].concat(...pages.reverse()), [...Array(25).keys()].map(String));
  },

  'a message above the limit is refused': async ({ client }) => {
    const { conv, sdk } = await pair(client);
    await fails(conv.send(new sdk.TextMessage('x'.repeat(6000))), 4109);
  },
};
