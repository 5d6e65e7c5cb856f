'use strict';

// What only the official SDK has: its objects, the order of its events, and
// what it does by itself.

const { assert, js, load, storage, event, collect, until, fails, name } = require('../harness');

const UNKNOWN = '555555555555555555555555';

// ends holds the events of a client, and of its Realtime, to a list.
const ends = async (client, names, last, cause) => {
  const lists = [collect(client, names), collect(client.realtime, names)];
  const back = event(client, last);
  await cause();
  await back;
  lists.forEach(list => assert.deepStrictEqual(list.map(e => e.name), names));
};

// rich returns a client on a device with the typed messages plugin.
async function rich(context, id) {
  const AV = storage();
  const { realtime, sdk } = context.device();
  const types = require('leancloud-realtime-plugin-typed-messages')(AV, sdk);
  types.TypedMessagesPlugin.messageClasses.forEach(Class => realtime.register(Class));
  const client = await realtime.createIMClient(id);
  context.later(() => client.close());
  return { AV, sdk, types, client };
}

const bytes = Buffer.from('the bytes of a picture that is none');

async function get(url) {
  const res = await fetch(url);
  assert.strictEqual(res.status, 200, url);
  return Buffer.from(await res.arrayBuffer());
}

module.exports = [
  js('log in and out', 'an id of more than 64 characters is refused at once', async ({ device }) => {
    await assert.rejects(() => device().realtime.createIMClient('x'.repeat(65)));
  }),

  js('log in and out', 'an unknown app is refused at once', async ({ version, env }) => {
    const sdk = load(version);
    const server = version === 'v4' ? 'localhost' : env.server;
    const realtime = new sdk.Realtime({ appId: 'no-such-app', appKey: 'k', server, RTMServers: env.socket });
    await fails(realtime.createIMClient(name('tom')), 4100);
  }),

  js('lost connection', 'the order of events', async ({ client, go }) => {
    const tom = await client(name('tom'));
    const { DISCONNECT, SCHEDULE, RETRY, RECONNECT } = tom.sdk.Event;
    await ends(tom, [DISCONNECT, SCHEDULE, RETRY, RECONNECT], RECONNECT, () => go('cut', { client: tom.id }));
  }),

  js('goaway', 'the order of events', async ({ client, go }) => {
    const tom = await client(name('tom'));
    const { DISCONNECT, SCHEDULE, RETRY, RECONNECT } = tom.sdk.Event;
    await ends(tom, [DISCONNECT, SCHEDULE, RETRY, RECONNECT], RECONNECT, () => go('goAway', { client: tom.id }));
  }),

  js('pause and resume', 'the order of events', async ({ client }) => {
    const tom = await client(name('tom'));
    const { DISCONNECT, OFFLINE, ONLINE, SCHEDULE, RETRY, RECONNECT } = tom.sdk.Event;
    await ends(tom, [DISCONNECT, OFFLINE, ONLINE, SCHEDULE, RETRY, RECONNECT], RECONNECT, async () => {
      const offline = event(tom, OFFLINE);
      tom.realtime.pause();
      await offline;
      tom.realtime.resume();
    });
  }),

  js('normal conversation', 'its objects', async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const invited = event(jerry, jerry.sdk.Event.INVITED);
    const attr = { topic: 'mice', since: new Date('2016-02-27T10:00:00.000Z') };
    const conv = await tom.createConversation({ members: [jerry.id], name: 'Tom & Jerry', attr, custom: 7 });
    const [, hers] = await invited;
    assert.ok(hers instanceof jerry.sdk.Conversation);
    assert.strictEqual(hers.id, conv.id);
    assert.deepStrictEqual(hers.get('attr'), attr);
    assert.strictEqual(hers.get('custom'), 7);
    assert.ok(hers.createdAt instanceof Date);
  }),

  js('attributes and dates', 'update of an unknown conversation', async ({ client }) => {
    const tom = await client(name('tom'));
    const conv = await tom.createConversation({ members: [name('x')] });
    conv.id = UNKNOWN;
    conv.set('foo', 1);
    const error = await fails(conv.save(), 4303);
    assert.match(error.message, /CONVERSATION_NOT_FOUND/);
  }),

  js('text', 'its objects', async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const heard = event(jerry, jerry.sdk.Event.MESSAGE);
    const conv = await tom.createConversation({ members: [jerry.id] });
    const sent = await conv.send(new tom.sdk.TextMessage('Jerry，起床了！'));
    assert.strictEqual(sent.status, tom.sdk.MessageStatus.SENT);
    const [message, hers] = await heard;
    assert.ok(message instanceof jerry.sdk.TextMessage);
    assert.strictEqual(message.updatedAt.getTime(), message.timestamp.getTime());
    assert.strictEqual(hers.unreadMessagesCount, 1);
    assert.strictEqual(hers.lastMessage.id, sent.id);
  }),

  js('delivery receipt', 'the status of the message', async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const conv = await tom.createConversation({ members: [jerry.id] });
    const message = await conv.send(new tom.sdk.TextMessage('receipt'), { receipt: true });
    await until(() => message.status === tom.sdk.MessageStatus.DELIVERED, 'delivery');
    assert.ok(message.deliveredAt >= message.timestamp);
  }),

  js('refused messages', "other people's messages cannot be changed", async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const heard = event(jerry, jerry.sdk.Event.MESSAGE);
    const conv = await tom.createConversation({ members: [jerry.id] });
    await conv.send(new tom.sdk.TextMessage('mine'));
    const [message, hers] = await heard;
    await fails(hers.recall(message)); // the SDK refuses it before the server can
  }),

  js('history: bounds', 'a limit of none', async ({ client }) => {
    const tom = await client(name('tom'));
    const conv = await tom.createConversation({ members: [name('x')] });
    await conv.send(new tom.sdk.TextMessage('one'));
    assert.deepStrictEqual(await conv.queryMessages({ limit: 0 }), []);
  }),

  js('query: order and pages', 'a limit of none', async ({ client }) => {
    const tom = await client(name('tom'));
    await tom.createConversation({ members: [name('x')] });
    assert.deepStrictEqual(await tom.getQuery().limit(0).find(), []);
  }),

  js('file', 'AV.File is saved and read back', async () => {
    const AV = storage();
    const file = new AV.File('猫 cat.png', { base64: bytes.toString('base64') }, 'image/png');
    await file.save();
    assert.ok(file.id);
    assert.deepStrictEqual(await get(file.url()), bytes);
    const again = await AV.File.createWithoutData(file.id).fetch();
    assert.strictEqual(again.url(), file.url());
    assert.strictEqual(again.name(), '猫 cat.png');
  }),

  js('file', 'AV.File.withURL', async () => {
    const AV = storage();
    const file = AV.File.withURL('萌妹子', 'http://pic.example/cat.gif');
    await file.save();
    assert.ok(file.id);
    assert.strictEqual(file.url(), 'http://pic.example/cat.gif');
  }),

  js('image from an uploaded file', 'the objects of all types', async context => {
    const tom = await rich(context, name('tom'));
    const jerry = await rich(context, name('jerry'));
    const conv = await tom.client.createConversation({ members: [jerry.client.id] });
    const seen = collect(jerry.client, [jerry.sdk.Event.MESSAGE]);
    const file = new tom.AV.File('cheese.png', { base64: bytes.toString('base64') }, 'image/png');
    await file.save();
    const kinds = ['ImageMessage', 'AudioMessage', 'VideoMessage', 'FileMessage'];
    for (const kind of kinds) await conv.send(new tom.types[kind](file).setText(kind));
    await conv.send(new tom.types.LocationMessage(new tom.AV.GeoPoint(39.9, 116.4)).setText('LocationMessage'));
    await until(() => seen.length === 5, 'five messages');
    seen.forEach(({ args: [message] }) => assert.ok(message instanceof jerry.types[message.text], message.text));
  }),
];
