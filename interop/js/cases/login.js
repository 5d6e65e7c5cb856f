'use strict';

const { assert, both, fails, meet, name } = require('../harness');

const hello = async (from, to, text) => {
  const conv = await from.create({ members: [to.id], unique: false });
  const sent = await from.send(conv, { text });
  const heard = await to.next('message', { conv });
  assert.strictEqual(heard.text, text);
  assert.strictEqual(heard.id, sent.id);
  assert.strictEqual(heard.from, from.id);
};

module.exports = [
  both('log in and out', 'log in, be heard, log out', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    await hello(tom, jerry, 'here I am');
    assert.deepStrictEqual(await jerry.ping([tom.id]), [tom.id]);
    await tom.close();
    assert.deepStrictEqual(await jerry.ping([tom.id]), []);
  }),

  both('log in without an id', 'the server chooses the id', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom', { anonymous: true }), await b('jerry')];
    assert.ok(tom.id && !tom.id.startsWith('tom'), tom.id);
    await hello(tom, jerry, 'guess who');
    await hello(jerry, tom, tom.id);
  }),

  both('tag and conflict', 'a newer device with the tag displaces the older', async ({ a, b }) => {
    const older = await b('tom', { tag: 'Mobile' });
    const web = await b('tom', { tag: 'Web', as: older.id });
    const newer = await a('tom', { tag: 'Mobile', as: older.id });
    const { reason } = await older.next('conflict');
    assert.strictEqual(reason, 'SESSION_CONFLICT');
    assert.deepStrictEqual(await newer.ping([newer.id]), [newer.id]);
    assert.strictEqual(web.count('conflict'), 0);
  }),

  both('several devices of one client', 'one device of each kind, both hear', async ({ a, b }) => {
    const jerry = await b('jerry');
    const phone = await a('tom');
    const laptop = await b('tom', { as: phone.id });
    const conv = await meet(jerry, [phone]);
    await laptop.next('membersjoined', { conv });
    const sent = await jerry.send(conv, { text: 'both of you' });
    await Promise.all([phone, laptop].map(p => p.next('message', { id: sent.id })));
    // What one device says, the other hears, and it counts as nobody's news.
    const said = await phone.send(conv, { text: 'from the phone' });
    const heard = await laptop.next('message', { id: said.id });
    assert.strictEqual(heard.from, phone.id);
    assert.strictEqual(phone.count('message', { id: said.id }), 0);
    assert.strictEqual((await laptop.conversation(conv)).unread, 1);
  }),

  both('several clients on one connection', 'three on one line, each its own', async ({ a, b }) => {
    const tom = await a('tom');
    const [kate, mary] = [await a('kate', { beside: tom }), await a('mary', { beside: tom })];
    const jerry = await b('jerry');
    const conv = await kate.create({ members: [tom.id, jerry.id], unique: false });
    await kate.send(conv, { text: 'from Kate' });
    for (const person of [tom, jerry]) assert.strictEqual((await person.next('message', { conv })).from, kate.id);
    await jerry.send(conv, { text: 'from Jerry' });
    for (const person of [tom, kate]) assert.strictEqual((await person.next('message', { text: 'from Jerry' })).from, jerry.id);
    await kate.close();
    await hello(mary, jerry, 'Mary is still here');
    await hello(jerry, tom, 'and Tom');
    assert.strictEqual(mary.count('message'), 0);
  }),

  both('signed login', 'a good signature is let in, none and a wrong one are not', async ({ a, b, server }) => {
    const at = await server({ verify: 'logins' });
    const tom = await a('tom', { at, signWith: at.masterKey });
    const jerry = await b('jerry', { at, signWith: at.masterKey });
    await hello(tom, jerry, 'signed');
    await fails(a('eve', { at, signWith: 'not the key' }), 4102);
    await fails(a('eve', { at }), 4102);
  }),

  both('login as a user of the app', 'by the session token of the user', async ({ a, b, server }) => {
    const at = await server({ verify: 'logins' });
    const [tom, jerry] = [name('tom'), name('jerry')];
    const people = [await a('tom', { at, as: tom, userSession: `session of ${tom}` }), await b('jerry', { at, as: jerry, userSession: `session of ${jerry}` })];
    assert.deepStrictEqual(people.map(p => p.id), [tom, jerry]);
    await hello(...people, 'as a user');
    await fails(a('eve', { at, userSession: 'session of nobody' }), 4102);
    await fails(a('eve', { at, userSession: 'made up' }));
  }),

  both('signed conversation operations', 'create, invite, kick, join, quit', async ({ a, b, server }) => {
    const at = await server({ verify: 'conversations' });
    const tom = await a('tom', { at, signWith: at.masterKey });
    const jerry = await b('jerry', { at, signWith: at.masterKey });
    const eve = await a('eve', { at, signWith: 'not the key' });
    const [zoe, adam] = [name('zoe'), name('adam')]; // to be sorted in the signature
    const conv = await tom.create({ members: [zoe, jerry.id], unique: false });
    await jerry.next('invited', { conv, by: tom.id });
    await tom.add(conv, [zoe, adam]);
    assert.deepStrictEqual((await jerry.next('membersjoined', { by: tom.id, members: [adam] })).conv, conv);
    await tom.remove(conv, [zoe, adam]);
    await jerry.quit(conv);
    await jerry.join(conv);
    await fails(eve.create({ members: [tom.id], unique: false }), 4302);
    await fails(eve.join(conv), 4302);
    assert.deepStrictEqual((await jerry.conversation(conv)).members, [jerry.id, tom.id].sort());
  }),

  both('signed blocks', 'block and unblock', async ({ a, b, server }) => {
    const at = await server({ verify: 'blacklists' });
    const tom = await a('tom', { at, signWith: at.masterKey });
    const jerry = await b('jerry', { at });
    const conv = await tom.create({ members: [jerry.id, name('x')], unique: false });
    assert.deepStrictEqual((await tom.block(conv, [jerry.id])).done, [jerry.id]);
    await jerry.next('blocked', { conv, by: tom.id });
    assert.deepStrictEqual((await tom.unblock(conv, [jerry.id])).done, [jerry.id]);
    await jerry.next('unblocked', { conv, by: tom.id });
    const liar = await a('eve', { at, signWith: 'not the key' });
    const hers = await liar.create({ members: [jerry.id, name('x')], unique: false });
    await fails(liar.block(hers, [jerry.id]), 4546);
  }),

  both('who is online', 'exactly those', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    assert.deepStrictEqual(await tom.ping([tom.id, jerry.id, name('nobody')]), [jerry.id, tom.id].sort());
  }),

  both('base64 frames', 'on both sides, text and bytes', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom', { noBinary: true }), await b('jerry', { noBinary: true })];
    await hello(tom, jerry, '文字 frames');
    const conv = await tom.create({ members: [jerry.id], unique: false });
    await tom.send(conv, { binary: Buffer.from([0, 127, 128, 255]).toString('base64') });
    const heard = await jerry.next('message', { conv });
    assert.strictEqual(heard.binary, Buffer.from([0, 127, 128, 255]).toString('base64'));
    await hello(jerry, tom, 'and back');
  }),

  both('router, socket and REST over TLS', 'from the router on', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom', { tls: true }), await b('jerry', { tls: true })];
    await hello(tom, jerry, 'in private');
    const conv = await tom.create({ members: [jerry.id], unique: false });
    assert.strictEqual((await tom.roles(conv))[tom.id], 'Owner'); // over REST
  }),
];
