'use strict';

// What the app's own servers do over REST, in the name of the one side, as the
// other side sees it.

const { assert, both, meet, name } = require('../harness');

module.exports = [
  both('REST message', 'reaches all members, or all but the sender', async ({ a, b, go }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const conv = await meet(tom, [jerry]);
    await go('sendByREST', { conv, from: 'system', text: 'from above' });
    for (const person of [tom, jerry]) assert.strictEqual((await person.next('message', { conv, text: 'from above' })).from, 'system');
    await go('sendByREST', { conv, from: tom.id, text: 'in your name' });
    for (const person of [tom, jerry]) await person.next('message', { conv, text: 'in your name' });
    await go('sendByREST', { conv, from: tom.id, text: 'unsynced', noSync: true });
    await jerry.next('message', { conv, text: 'unsynced' });
    await tom.send(conv, { text: 'own words' });
    await jerry.next('message', { conv, text: 'own words', from: tom.id });
    assert.strictEqual(tom.count('message'), 0);
    assert.deepStrictEqual((await jerry.history(conv)).map(m => m.text), ['from above', 'in your name', 'unsynced', 'own words']);
  }),

  both('REST message to a chat room', 'reaches who is in', async ({ a, b, go }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const room = await tom.create({ kind: 'room', name: 'lobby' });
    await jerry.join(room);
    await go('sendToRoomByREST', { conv: room, from: 'gm', text: 'welcome' });
    for (const person of [tom, jerry]) assert.strictEqual((await person.next('message', { conv: room })).text, 'welcome');
  }),

  both('subscription', 'in and out', async ({ a, b, go }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const service = await go('createService', { name: name('news') });
    await tom.subscribe(service);
    await jerry.subscribe(service);
    assert.strictEqual(await tom.chatters(service), 2);
    await go('broadcastToSubscribers', { id: service, from: 'gm', text: 'to both' });
    for (const person of [tom, jerry]) await person.next('message', { conv: service, text: 'to both' });
    await tom.unsubscribe(service);
    await go('broadcastToSubscribers', { id: service, from: 'gm', text: 'to one' });
    await jerry.next('message', { conv: service, text: 'to one' });
    assert.strictEqual(await jerry.chatters(service), 1);
    assert.strictEqual(tom.count('message'), 0);
  }),

  both('broadcast to subscribers', 'to who is there and who comes later', async ({ a, b, go }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const service = await go('createService', { name: name('news') });
    await tom.subscribe(service);
    await jerry.subscribe(service);
    await jerry.close();
    await go('broadcastToSubscribers', { id: service, from: tom.id, text: 'maintenance at 5' });
    assert.strictEqual((await tom.next('message', { conv: service })).from, tom.id);
    const later = await b('jerry', { as: jerry.id });
    await later.next('unreadmessagescountupdate', { conv: service, count: 1, last: 'maintenance at 5' });
    assert.deepStrictEqual((await later.history(service)).map(m => m.text), ['maintenance at 5']);
  }),

  both('service message to some', 'seen by them alone', async ({ a, b, go }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const service = await go('createService', { name: name('bank') });
    await go('sendByService', { id: service, from: 'bank', text: 'your balance', to: [jerry.id] });
    assert.strictEqual((await jerry.next('message', { conv: service })).text, 'your balance');
    assert.deepStrictEqual((await jerry.history(service)).map(m => m.text), ['your balance']);
    assert.deepStrictEqual(await tom.history(service), []);
    assert.strictEqual(tom.count('message'), 0);
  }),

  both('broadcast to all', 'to everybody online', async ({ a, b, go, server }) => {
    const at = await server(); // everybody means everybody
    const [tom, jerry] = [await a('tom', { at }), await b('jerry', { at })];
    const service = await go('createService', { server: at.name, name: name('gm') });
    await go('broadcastToAll', { server: at.name, id: service, from: tom.id, text: 'hello world' });
    for (const person of [tom, jerry]) {
      const heard = await person.next('message', { conv: service });
      assert.deepStrictEqual([heard.text, heard.from], ['hello world', tom.id]);
    }
  }),
];
