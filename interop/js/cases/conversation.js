'use strict';

const { assert, both, fails, meet, name, until } = require('../harness');

const three = async ({ a, b }) => {
  const [tom, jerry, mary] = [await a('tom'), await b('jerry'), await b('mary')];
  return { tom, jerry, mary, conv: await meet(tom, [jerry]) };
};

module.exports = [
  both('normal conversation', 'made, heard of, read back', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const conv = await tom.create({ members: [jerry.id], name: 'Tom & Jerry 猫', attributes: { attr: { topic: 'mice' } }, unique: false });
    assert.strictEqual((await jerry.next('invited', { conv })).by, tom.id);
    assert.deepStrictEqual((await jerry.next('membersjoined', { conv })).members, [jerry.id, tom.id].sort());
    const [his, hers] = [await tom.conversation(conv), await jerry.conversation(conv)];
    assert.deepStrictEqual(his, hers);
    assert.strictEqual(hers.kind, 'normal');
    assert.strictEqual(hers.name, 'Tom & Jerry 猫');
    assert.strictEqual(hers.creator, tom.id);
    assert.deepStrictEqual(hers.members, [jerry.id, tom.id].sort());
    assert.deepStrictEqual(hers.attr, { topic: 'mice' });
    assert.ok(Math.abs(hers.createdAt - Date.now()) < 60000);
    assert.strictEqual(hers.lastMessageAt, 0);
    const sent = await tom.send(conv, { text: 'first' });
    await jerry.next('message', { conv });
    assert.strictEqual((await jerry.conversation(conv)).lastMessageAt, sent.timestamp);
    assert.strictEqual(await jerry.conversation('555555555555555555555555'), null);
  }),

  both('normal conversation', 'several at once', async ({ a, b, go }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const normal = await meet(tom, [jerry]);
    const room = await tom.create({ kind: 'room', name: 'lobby' });
    const service = await go('createService', { name: name('news') });
    const ids = [normal, room, service];
    const found = await jerry.conversations([...ids, '555555555555555555555555']);
    assert.deepStrictEqual(found.map(c => c.id), ids);
    assert.deepStrictEqual(found.map(c => c.kind), ['normal', 'room', 'service']);
  }),

  both('unique conversation', 'the same for both, whoever asks', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const first = await tom.create({ members: [jerry.id], name: 'one', unique: true });
    assert.strictEqual(await jerry.create({ members: [tom.id, jerry.id], name: 'two', unique: true }), first);
    assert.strictEqual((await jerry.conversation(first)).name, 'one');
    assert.notStrictEqual(await tom.create({ members: [jerry.id], unique: false }), first);
  }),

  both('chat room', 'join, talk, leave; no events of members', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const room = await tom.create({ kind: 'room', name: 'lobby' });
    await jerry.join(room);
    assert.strictEqual((await jerry.conversation(room)).kind, 'room');
    assert.strictEqual(await jerry.chatters(room), 2);
    await tom.send(room, { text: 'hi room' });
    await jerry.next('message', { conv: room, text: 'hi room' });
    await jerry.send(room, { text: 'hi Tom' });
    await tom.next('message', { conv: room, text: 'hi Tom' });
    await jerry.quit(room);
    assert.strictEqual(await tom.chatters(room), 1);
    assert.strictEqual(tom.count('membersjoined') + tom.count('membersleft') + jerry.count('invited'), 0);
  }),

  both('temporary conversation', 'talk, reuse, expiry', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const temp = await tom.create({ kind: 'temporary', members: [jerry.id], ttl: 600 });
    assert.match(temp, /^_tmp:/);
    await tom.send(temp, { text: 'soon gone' });
    await jerry.next('message', { conv: temp, text: 'soon gone' });
    await jerry.send(temp, { text: 'I know' });
    await tom.next('message', { conv: temp, text: 'I know' });
    const hers = await jerry.conversation(temp);
    assert.deepStrictEqual([hers.kind, hers.expires], ['temporary', true]);
    assert.deepStrictEqual(hers.members, [jerry.id, tom.id].sort());
    const brief = await tom.create({ kind: 'temporary', members: [name('x')], ttl: 1 });
    await until(async () => (await tom.send(brief, { text: 'still?' }).catch(e => e)).code === 4323, 'expiry');
  }),

  both('service conversation', 'seen by both; what is said to it is for the app', async ({ a, b, go }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const service = await go('createService', { name: name('news') });
    for (const person of [tom, jerry]) assert.strictEqual((await person.conversation(service)).kind, 'service');
    await jerry.subscribe(service);
    const sent = await tom.send(service, { text: 'a question' });
    assert.ok(sent.id);
    await go('broadcastToSubscribers', { id: service, from: 'news', text: 'an answer to all' });
    assert.strictEqual((await jerry.next('message', { conv: service })).text, 'an answer to all');
  }),

  both('adding and removing members', 'with every event', async context => {
    const { tom, jerry, mary, conv } = await three(context);
    assert.deepStrictEqual(await tom.add(conv, [mary.id]), { done: [mary.id], failed: [] });
    await mary.next('invited', { conv, by: tom.id });
    for (const person of [tom, jerry, mary]) await person.next('membersjoined', { conv, by: tom.id, members: [mary.id] });
    assert.deepStrictEqual((await mary.conversation(conv)).members, [jerry.id, mary.id, tom.id].sort());
    assert.deepStrictEqual(await tom.remove(conv, [mary.id]), { done: [mary.id], failed: [] });
    await mary.next('kicked', { conv, by: tom.id });
    for (const person of [tom, jerry]) await person.next('membersleft', { conv, by: tom.id, members: [mary.id] });
    await tom.send(conv, { text: 'who is left' });
    await jerry.next('message', { conv });
    assert.strictEqual(mary.count('message'), 0);
    await fails(mary.send(conv, { text: 'let me in' }), 4401);
  }),

  both('joining and quitting', 'with every event', async context => {
    const { tom, jerry, mary, conv } = await three(context);
    await mary.join(conv);
    await mary.next('invited', { conv, by: mary.id });
    for (const person of [tom, jerry, mary]) await person.next('membersjoined', { conv, by: mary.id, members: [mary.id] });
    const guest = await context.a('guest');
    await guest.join(conv);
    for (const person of [tom, jerry, mary]) await person.next('membersjoined', { conv, by: guest.id, members: [guest.id] });
    await guest.quit(conv);
    await guest.next('kicked', { conv, by: guest.id });
    for (const person of [tom, jerry, mary]) await person.next('membersleft', { conv, by: guest.id, members: [guest.id] });
    assert.deepStrictEqual((await jerry.conversation(conv)).members, [jerry.id, mary.id, tom.id].sort());
  }),

  both('attributes and dates', 'set, set below, told, read back', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const since = new Date('2016-02-27T10:00:00.123Z');
    const attr = { since, n: 9007199254740991, list: [1, { at: since }], flag: false, none: null };
    const conv = await meet(tom, [jerry], { attributes: { attr } });
    assert.deepStrictEqual((await jerry.conversation(conv)).attr, attr);
    const later = new Date('2020-01-01T00:00:00.000Z');
    await tom.save(conv, { name: 'renamed', 'attr.since': later });
    const told = await jerry.next('infoupdated', { conv, by: tom.id });
    assert.deepStrictEqual(told.attributes, { name: 'renamed', 'attr.since': later });
    const now = await jerry.conversation(conv);
    assert.strictEqual(now.name, 'renamed');
    assert.deepStrictEqual(now.attr, { ...attr, since: later });
    await tom.save(conv, { attr: { only: 'this' } });
    await jerry.next('infoupdated', { conv, attributes: { attr: { only: 'this' } } });
    assert.deepStrictEqual((await jerry.conversation(conv)).attr, { only: 'this' });
    assert.strictEqual(tom.count('infoupdated'), 0);
  }),

  both('muted notifications', 'seen by the other', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const conv = await meet(tom, [jerry]);
    await tom.mute(conv);
    assert.deepStrictEqual((await jerry.conversation(conv)).mutedBy, [tom.id]);
    await tom.unmute(conv);
    assert.deepStrictEqual((await jerry.conversation(conv)).mutedBy, []);
  }),

  both('count', 'of members', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const conv = await tom.create({ members: [jerry.id, name('x')], unique: false });
    assert.strictEqual(await tom.chatters(conv), 3);
    assert.strictEqual(await jerry.chatters(conv), 3);
  }),

  both('roles', 'promote, told, what each may', async context => {
    const [tom, jerry, bob] = [await context.a('tom'), await context.b('jerry'), await context.b('bob')];
    const conv = await tom.create({ members: [jerry.id, bob.id, name('x')], unique: false });
    await fails(bob.setRole(conv, bob.id, 'Manager'), 4320);
    await tom.setRole(conv, jerry.id, 'Manager');
    for (const person of [jerry, bob]) {
      await person.next('memberinfoupdated', { conv, member: jerry.id, role: 'Manager', by: tom.id });
    }
    const roles = await jerry.roles(conv);
    assert.deepStrictEqual([tom, jerry, bob].map(p => roles[p.id]), ['Owner', 'Manager', 'Member']);
    assert.strictEqual(Object.keys(roles).length, 4);
    const out = await jerry.remove(conv, [tom.id, bob.id]);
    assert.deepStrictEqual(out.done, [bob.id]);
    assert.deepStrictEqual(out.failed[0].members, [tom.id]);
    await tom.setRole(conv, jerry.id, 'Member');
    await jerry.next('memberinfoupdated', { conv, member: jerry.id, role: 'Member' });
    await fails(tom.setRole(conv, jerry.id, 'Owner'), 5130);
  }),

  both('silence', 'told, refused, ended, listed', async context => {
    const [tom, jerry, bob] = [await context.a('tom'), await context.b('jerry'), await context.b('bob')];
    const conv = await meet(tom, [jerry, bob]);
    assert.deepStrictEqual((await tom.silence(conv, [bob.id])).done, [bob.id]);
    await bob.next('muted', { conv, by: tom.id });
    for (const person of [tom, jerry, bob]) await person.next('membersmuted', { conv, by: tom.id, members: [bob.id] });
    assert.deepStrictEqual((await jerry.silenced(conv)).members, [bob.id]);
    await fails(bob.send(conv, { text: 'but' }), 4563);
    await fails(bob.unsilence(conv, [bob.id]), 4320);
    await tom.silence(conv, [jerry.id]);
    const first = await tom.silenced(conv, { limit: 1 });
    const second = await tom.silenced(conv, { limit: 1, next: first.next });
    assert.deepStrictEqual([...first.members, ...second.members].sort(), [bob.id, jerry.id].sort());
    await tom.unsilence(conv, [bob.id]);
    await bob.next('unmuted', { conv, by: tom.id });
    for (const person of [tom, jerry, bob]) await person.next('membersunmuted', { conv, by: tom.id, members: [bob.id] });
    await bob.send(conv, { text: 'at last' });
    await tom.next('message', { text: 'at last' });
  }),

  both('block', 'told, out, refused, let in again, listed', async context => {
    const [tom, jerry, bob] = [await context.a('tom'), await context.b('jerry'), await context.b('bob')];
    const conv = await meet(tom, [jerry, bob]);
    assert.deepStrictEqual((await tom.block(conv, [bob.id])).done, [bob.id]);
    await bob.next('blocked', { conv, by: tom.id });
    await bob.next('kicked', { conv, by: tom.id });
    for (const person of [tom, jerry]) {
      await person.next('membersblocked', { conv, by: tom.id, members: [bob.id] });
      await person.next('membersleft', { conv, by: tom.id, members: [bob.id] });
    }
    assert.deepStrictEqual((await jerry.blocked(conv)).members, [bob.id]);
    await fails(bob.join(conv), 4548);
    assert.deepStrictEqual((await tom.add(conv, [bob.id])).failed, [{ code: 4548, members: [bob.id] }]);
    await tom.unblock(conv, [bob.id]);
    await bob.next('unblocked', { conv, by: tom.id });
    for (const person of [tom, jerry]) await person.next('membersunblocked', { conv, by: tom.id, members: [bob.id] });
    await bob.join(conv);
    await jerry.next('membersjoined', { conv, members: [bob.id] });
  }),
];
