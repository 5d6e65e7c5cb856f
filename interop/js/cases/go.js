'use strict';

// JavaScript on one side, the Go SDK on the other.

const { assert, event, collect, name, until, sleep } = require('../harness');

module.exports = {
  'text both ways': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const conv = await tom.createConversation({ members: [id], name: 'JS & Go' });
    const sent = await conv.send(new tom.sdk.TextMessage('你好，Go').setAttributes({ n: 1, deep: { a: [1, 2] } }));
    const got = await go('nextMessage', { id });
    assert.strictEqual(got.id, sent.id);
    assert.strictEqual(got.text, '你好，Go');
    assert.deepStrictEqual(got.attributes, { n: 1, deep: { a: [1, 2] } });
    assert.strictEqual(got.from, tom.id);
    assert.strictEqual(got.timestamp, sent.timestamp.getTime());

    const heard = event(tom, tom.sdk.Event.MESSAGE);
    const answer = await go('send', { id, conv: conv.id, text: '你好，JavaScript', mention: [tom.id], attributes: { m: 2 } });
    const [message, mine] = await heard;
    assert.strictEqual(message.id, answer.id);
    assert.strictEqual(message.text, '你好，JavaScript');
    assert.deepStrictEqual(message.attributes, { m: 2 });
    assert.strictEqual(message.mentioned, true);
    assert.strictEqual(mine.id, conv.id);
  },

  'plain, JSON and binary content both ways': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const conv = await tom.createConversation({ members: [id] });
    const bytes = Buffer.from([0, 1, 127, 128, 255]);
    await conv.send(new tom.sdk.Message('just text'));
    await conv.send(new tom.sdk.Message({ any: ['json', 1] }));
    await conv.send(new tom.sdk.BinaryMessage(new Uint8Array(bytes).buffer));
    assert.strictEqual((await go('nextMessage', { id })).raw, 'just text');
    assert.deepStrictEqual(JSON.parse((await go('nextMessage', { id })).raw), { any: ['json', 1] });
    assert.strictEqual((await go('nextMessage', { id })).binary, bytes.toString('base64'));

    const seen = collect(tom, [tom.sdk.Event.MESSAGE]);
    await go('send', { id, conv: conv.id, raw: 'just text' });
    await go('send', { id, conv: conv.id, raw: '{"any":["json",1]}' });
    await go('send', { id, conv: conv.id, binary: bytes.toString('base64') });
    await until(() => seen.length === 3, 'three messages');
    const [plain, json, binary] = seen.map(e => e.args[0]);
    assert.strictEqual(plain.content, 'just text');
    assert.deepStrictEqual(json.content, { any: ['json', 1] });
    assert.deepStrictEqual(Buffer.from(binary.buffer), bytes);
  },

  'members and their events both ways': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const { Event } = tom.sdk;
    const conv = await tom.createConversation({ members: [name('x')], unique: false });
    await conv.add([id]);
    const invited = await go('nextEvent', { id, event: 'Invited' });
    assert.strictEqual(invited.by, tom.id);
    assert.strictEqual(invited.conv, conv.id);
    await conv.remove([id]);
    assert.strictEqual((await go('nextEvent', { id, event: 'Kicked' })).by, tom.id);

    const hers = event(tom, Event.INVITED, e => e.invitedBy === id);
    const made = await go('create', { id, members: [tom.id], name: 'made by Go', attributes: { attr: { topic: 'mice' } } });
    const [payload, mine] = await hers;
    assert.strictEqual(payload.invitedBy, id);
    assert.strictEqual(mine.id, made.id);
    assert.strictEqual(mine.name, 'made by Go');
    assert.deepStrictEqual(mine.get('attr'), { topic: 'mice' });
    const joined = event(tom, Event.MEMBERS_JOINED, e => e.members.includes('later'));
    await go('add', { id, conv: made.id, members: ['later'] });
    assert.deepStrictEqual((await joined)[0], { members: ['later'], invitedBy: id });
    const left = event(tom, Event.MEMBERS_LEFT, e => e.members.includes('later'));
    await go('remove', { id, conv: made.id, members: ['later'] });
    assert.deepStrictEqual((await left)[0], { members: ['later'], kickedBy: id });
    const gone = event(tom, Event.MEMBERS_LEFT, e => e.members.includes(id));
    await go('quit', { id, conv: made.id }); // the owner may leave a conversation of two
    await gone;
  },

  'unique conversations are the same from both': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const mine = await tom.createConversation({ members: [id], unique: true });
    const hers = await go('create', { id, members: [tom.id] });
    assert.strictEqual(hers.id, mine.id);
  },

  'attributes and dates both ways': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const when = new Date('2016-02-27T10:00:00.000Z');
    const conv = await tom.createConversation({ members: [id], attr: { when, n: 9007199254740991 } });
    const info = await go('fetch', { id, conv: conv.id });
    assert.strictEqual(info.when, when.getTime());
    const updated = event(tom, tom.sdk.Event.CONVERSATION_INFO_UPDATED);
    await go('save', { id, conv: conv.id, changes: { name: 'by Go', 'attr.topic': 'cheese' } });
    const [payload, mine] = await updated;
    assert.strictEqual(payload.updatedBy, id);
    assert.strictEqual(mine.name, 'by Go');
    assert.strictEqual(mine.get('attr').topic, 'cheese');
    conv.set('attr.topic', 'mice');
    await conv.save();
    assert.strictEqual((await go('nextEvent', { id, event: 'InfoUpdated' })).by, tom.id);
  },

  'receipts and reading both ways': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const { Event, TextMessage } = tom.sdk;
    const conv = await tom.createConversation({ members: [id] });
    const delivered = event(conv, Event.LAST_DELIVERED_AT_UPDATE);
    await conv.send(new TextMessage('did you get it?'), { receipt: true });
    await delivered;
    const read = event(conv, Event.LAST_READ_AT_UPDATE);
    await go('read', { id, conv: conv.id });
    await read;

    const heard = event(tom, Event.MESSAGE);
    await go('send', { id, conv: conv.id, text: 'and you?', receipt: true });
    const [, mine] = await heard;
    await go('nextEvent', { id, event: 'LastDeliveredAtUpdate' });
    await mine.read();
    await go('nextEvent', { id, event: 'LastReadAtUpdate' });
  },

  'edits and recalls both ways': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const { Event, TextMessage } = tom.sdk;
    const conv = await tom.createConversation({ members: [id] });
    const mine = await conv.send(new TextMessage('tpyo'));
    await conv.update(mine, new TextMessage('typo'));
    assert.strictEqual((await go('nextEvent', { id, event: 'MessageUpdate' })).text, 'typo');
    await conv.recall(mine);
    assert.strictEqual((await go('nextEvent', { id, event: 'MessageRecall' })).message, mine.id);

    const heard = event(tom, Event.MESSAGE);
    await go('send', { id, conv: conv.id, text: 'hers' });
    await heard;
    const updated = event(tom, Event.MESSAGE_UPDATE);
    await go('update', { id, text: 'changed' });
    assert.strictEqual((await updated)[0].text, 'changed');
    const recalled = event(tom, Event.MESSAGE_RECALL);
    await go('recall', { id });
    assert.strictEqual((await recalled)[0].type, -127);
  },

  'history of both, seen by both': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const conv = await tom.createConversation({ members: [id] });
    for (let i = 0; i < 6; i += 1) {
      if (i % 2) await go('send', { id, conv: conv.id, text: String(i) });
      else await conv.send(new tom.sdk.TextMessage(String(i)));
    }
    const all = ['0', '1', '2', '3', '4', '5'];
    assert.deepStrictEqual((await conv.queryMessages()).map(m => m.text), all);
    assert.deepStrictEqual(await go('history', { id, conv: conv.id }), all);
  },

  'unread messages of a Go client': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    const conv = await tom.createConversation({ members: [id] });
    await conv.send(new tom.sdk.TextMessage('one'));
    await conv.send(new tom.sdk.TextMessage('two').setMentionList([id]));
    await sleep(20);
    await go('open', { id });
    const unread = await go('nextEvent', { id, event: 'UnreadMessagesCountUpdate' });
    assert.strictEqual(unread.count, 2);
    assert.strictEqual(unread.mentioned, true);
    assert.strictEqual(unread.text, 'two');
  },

  'a chat room with both': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const room = await tom.createChatRoom({ name: 'lobby' });
    await go('join', { id, conv: room.id });
    assert.strictEqual(await room.count(), 2);
    await room.send(new tom.sdk.TextMessage('hi room'));
    assert.strictEqual((await go('nextMessage', { id })).text, 'hi room');
    const heard = event(tom, tom.sdk.Event.MESSAGE);
    await go('send', { id, conv: room.id, text: 'hi JavaScript' });
    assert.strictEqual((await heard)[0].text, 'hi JavaScript');
  },

  'a temporary conversation with both': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const temp = await tom.createTemporaryConversation({ members: [id], ttl: 600 });
    await temp.send(new tom.sdk.TextMessage('soon gone'));
    assert.strictEqual((await go('nextMessage', { id })).text, 'soon gone');
    const heard = event(tom, tom.sdk.Event.MESSAGE);
    await go('send', { id, conv: temp.id, text: 'I know' });
    assert.strictEqual((await heard)[0].text, 'I know');
  },

  'a message by REST reaches both': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const id = name('go');
    await go('open', { id });
    const conv = await tom.createConversation({ members: [id] });
    const heard = event(tom, tom.sdk.Event.MESSAGE);
    await go('sendByREST', { conv: conv.id, from: 'system', text: 'from above' });
    assert.strictEqual((await heard)[0].text, 'from above');
    assert.strictEqual((await go('nextMessage', { id })).text, 'from above');
  },
};
