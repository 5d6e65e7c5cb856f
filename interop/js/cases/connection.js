'use strict';

const { assert, event, collect, until, fails, name, sleep } = require('../harness');

module.exports = {
  'log in and out': async ({ client }) => {
    const id = name('tom');
    const tom = await client(id);
    assert.strictEqual(tom.id, id);
    await tom.close();
  },

  'log in without an id': async ({ client }) => {
    const a = await client(undefined);
    const b = await client(undefined);
    assert.strictEqual(typeof a.id, 'string');
    assert.notStrictEqual(a.id, b.id);
  },

  'log in over base64 frames': async ({ client }) => {
    const tom = await client(name('tom'), undefined, { noBinary: true });
    const conv = await tom.createConversation({ members: [name('x')] });
    assert.match(conv.id, /^[0-9a-f]{24}$/);
  },

  'an id of more than 64 characters is refused at once': async ({ device }) => {
    const { realtime } = device();
    await assert.rejects(() => realtime.createIMClient('x'.repeat(65)));
  },

  'several clients on one connection': async ({ device, later }) => {
    const { sdk, realtime } = device();
    const ids = [name('a'), name('b'), name('c')];
    const clients = [];
    for (const id of ids) clients.push(await realtime.createIMClient(id));
    later(() => Promise.all(clients.map(c => c.close())));
    const [a, b, c] = clients;
    const heard = [b, c].map(x => event(x, sdk.Event.MESSAGE));
    const conv = await a.createConversation({ members: ids });
    await conv.send(new sdk.TextMessage('to all on this line'));
    for (const [message] of await Promise.all(heard)) {
      assert.strictEqual(message.text, 'to all on this line');
      assert.strictEqual(message.from, a.id);
    }
  },

  'the same id on two devices hears both': async ({ client }) => {
    const id = name('tom');
    const phone = await client(id);
    const laptop = await client(id);
    const jerry = await client(name('jerry'));
    const heard = [phone, laptop].map(x => event(x, x.sdk.Event.MESSAGE));
    const conv = await jerry.createConversation({ members: [id] });
    await conv.send(new jerry.sdk.TextMessage('both'));
    await Promise.all(heard);
  },

  'a tag displaces the older device': async ({ client }) => {
    const id = name('tom');
    const old = await client(id, { tag: 'Mobile' });
    const conflict = event(old, old.sdk.Event.CONFLICT);
    await client(id, { tag: 'Mobile' });
    const [payload] = await conflict;
    assert.ok(payload.reason);
  },

  'different tags do not conflict': async ({ client }) => {
    const id = name('tom');
    const phone = await client(id, { tag: 'Mobile' });
    const seen = collect(phone, [phone.sdk.Event.CONFLICT]);
    await client(id, { tag: 'Web' });
    assert.deepStrictEqual((await phone.ping([id])), [id]);
    assert.strictEqual(seen.length, 0);
  },

  'ping answers exactly who is online': async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const online = await tom.ping([tom.id, jerry.id, name('nobody')]);
    assert.deepStrictEqual(online.sort(), [tom.id, jerry.id].sort());
  },

  'a lost connection comes back by itself': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const { Event } = tom.sdk;
    const names = [Event.DISCONNECT, Event.SCHEDULE, Event.RETRY, Event.RECONNECT];
    const onClient = collect(tom, names);
    const onRealtime = collect(tom.realtime, names);
    const back = event(tom, Event.RECONNECT);
    await go('cut', { client: tom.id });
    await back;
    assert.deepStrictEqual(onClient.map(e => e.name), names);
    assert.deepStrictEqual(onRealtime.map(e => e.name), names);
    const conv = await tom.createConversation({ members: [name('x')] });
    assert.ok(conv.id);
  },

  'pause and resume': async ({ client }) => {
    const tom = await client(name('tom'));
    const { Event } = tom.sdk;
    const names = [Event.DISCONNECT, Event.OFFLINE, Event.ONLINE, Event.SCHEDULE, Event.RETRY, Event.RECONNECT];
    const seen = collect(tom, names);
    tom.realtime.pause();
    await until(() => seen.some(e => e.name === Event.OFFLINE), 'offline');
    const back = event(tom, Event.RECONNECT);
    tom.realtime.resume();
    await back;
    assert.deepStrictEqual(seen.map(e => e.name), names);
  },

  'goaway moves the client': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const { Event } = tom.sdk;
    const names = [Event.DISCONNECT, Event.SCHEDULE, Event.RETRY, Event.RECONNECT];
    const seen = collect(tom, names);
    const back = event(tom, Event.RECONNECT);
    await go('goAway', { client: tom.id });
    await back;
    assert.deepStrictEqual(seen.map(e => e.name), names);
  },

  'an expired session token is replaced on reopening': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const { Event } = tom.sdk;
    const back = event(tom, Event.RECONNECT);
    await go('expireTokens', { client: tom.id });
    await go('cut', { client: tom.id });
    await back;
    assert.deepStrictEqual(await tom.ping([tom.id]), [tom.id]);
  },

  'a kick closes the client': async ({ client, go }) => {
    const tom = await client(name('tom'));
    const closed = event(tom, tom.sdk.Event.CLOSE);
    await go('kick', { client: tom.id, reason: 'be quiet' });
    const [payload] = await closed;
    assert.strictEqual(payload.code, 4115);
    assert.strictEqual(payload.reason, 'be quiet');
  },

  'an unknown app is refused at once': async ({ version, env }) => {
    const { load } = require('../harness');
    const sdk = load(version);
    const where = version === 'v4' ? { server: 'localhost', RTMServers: env.socket } : { server: env.server, RTMServers: env.socket };
    const realtime = new sdk.Realtime({ appId: 'no-such-app', appKey: 'k', ...where });
    const error = await fails(realtime.createIMClient(name('tom')));
    assert.strictEqual(error.code, 4100);
  },

  'membership changed while away arrives once': async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const { Event } = jerry.sdk;
    const invited = collect(jerry, [Event.INVITED]);
    jerry.realtime.pause();
    await sleep(50);
    const conv = await tom.createConversation({ members: [jerry.id] });
    const back = event(jerry, Event.RECONNECT);
    jerry.realtime.resume();
    await back;
    await until(() => invited.length > 0, 'invited');
    await sleep(200);
    assert.strictEqual(invited.length, 1);
    assert.strictEqual(invited[0].args[0].invitedBy, tom.id);
    assert.strictEqual(invited[0].args[1].id, conv.id);
  },
};
