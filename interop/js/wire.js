// Usage: node wire.js (rc8|v4)
//
// The scenario of the comparison on the wire: a person with the official SDK and
// one with the Go SDK make the same calls, each with its own conversations; the
// test that started this reads what each has sent. The others in it are always
// Go clients.
//
// Each step names the command that it is about, so that what an SDK sends by
// itself meanwhile is not taken for it.
'use strict';

// A heartbeat every three minutes is too slow for a test; this one comes at once.
const HEARTBEAT = 180000;
let impatient = false;
const { setInterval: realSetInterval } = global;
global.setInterval = (fn, ms, ...args) => realSetInterval(fn, impatient && ms === HEARTBEAT ? 100 : ms, ...args);

const { bridge, go, listenToGo, name, until } = require('./harness');
const { JSPerson } = require('./people/js');
const { GoPerson } = require('./people/go');

async function scenario(side, open, at, hasty) {
  const others = [];
  const other = async prefix => {
    const person = await GoPerson.open(bridge, name(prefix), { at });
    others.push(person);
    return person;
  };
  // know gives values that differ from run to run names to be compared by.
  const know = names => go('know', { names });
  const step = async (title, command, body) => {
    await go('step', { text: `${side}|${command}|${title}` });
    const result = await body();
    await go('step', { text: '' });
    return result;
  };
  const sees = (client, command) =>
    until(async () => (await go('commands', { server: at.name, client })).includes(command), `${command} of ${client}`);

  const jerry = await other('jerry');
  const mary = await other('mary');
  await know({ '<jerry>': jerry.id, '<mary>': mary.id });

  const id = name('tom');
  await know({ '<self>': id });
  const tom = await step('log in', 'session/open', () => open(id));
  await step('log in with a tag', 'session/open', async () => {
    const tagged = name('tagged');
    await know({ '<self>': tagged });
    return open(tagged, { tag: 'Mobile' });
  });
  await step('log in without an id', 'session/open', () => open(undefined, { anonymous: true }));
  await step('log in with a signature', 'session/open', async () => {
    const signed = name('signed');
    await know({ '<self>': signed });
    return open(signed, { signWith: at.masterKey });
  });
  await step('log in with text frames', 'session/open', async () => {
    const text = name('text');
    await know({ '<self>': text });
    return open(text, { noBinary: true });
  });
  await step('ask who is online', 'session/query', () => tom.ping([jerry.id, mary.id]));

  const attributes = { attr: { topic: 'mice', since: new Date(1456567200000), n: 1.5, list: ['<&>', null] }, custom: true };
  const create = (title, options) =>
    step(title, 'conv/start', async () => {
      const conv = await tom.create(options);
      await know({ '<conv>': conv });
      return conv;
    });
  const conv = await create('create', { members: [mary.id, jerry.id], name: 'Tom & co', attributes, unique: false });
  const pair = await create('create a unique one', { members: [jerry.id], unique: true });
  const room = await create('create a chat room', { kind: 'room', name: 'lobby', attributes: { topic: 'all' } });
  const temp = await create('create a temporary one', { kind: 'temporary', members: [jerry.id], ttl: 600 });
  const service = await go('createService', { server: at.name, name: name('news') });
  await know({ '<conv>': service });

  const conversation = (title, options) => step(title, 'conv/query', () => tom.query(options));
  await step('get a conversation', 'conv/query', () => tom.conversation(conv));
  await step('get a temporary conversation', 'conv/query', () => tom.conversation(temp));
  await step('get several conversations', 'conv/query', () => tom.conversations([conv, room]));
  await conversation('query without conditions', {});
  await conversation('query', {
    conditions: [
      ['equalTo', 'name', 'x'], ['notEqualTo', 'attr.a', 1], ['lessThan', 'attr.b', 2], ['lessThanOrEqualTo', 'attr.c', 3],
      ['greaterThan', 'createdAt', new Date(1000)], ['greaterThanOrEqualTo', 'attr.d', 4], ['contains', 'attr.e', 'a\\Eb'],
      ['startsWith', 'attr.f', 'a.b'], ['endsWith', 'attr.g', 'c|d'], ['containedIn', 'attr.h', [1, 2]],
      ['notContainedIn', 'attr.i', ['x']], ['containsAll', 'attr.j', ['y', 'z']], ['exists', 'attr.k'], ['doesNotExist', 'attr.l'],
      ['sizeEqualTo', 'attr.m', 3], ['containsMembers', [jerry.id]], ['ascending', 'createdAt'], ['addDescending', 'lm'],
      ['limit', 5], ['skip', 2], ['compact'], ['withLastMessagesRefreshed'],
    ],
  });
  await conversation('query with a range on one key', { conditions: [['greaterThan', 'attr.n', 1], ['lessThan', 'attr.n', 3]] });
  await conversation('query by pattern', { conditions: [['matches', 'name', '^a(b|c)']] });
  await conversation('query by pattern with a flag', { conditions: [['matches', 'name', '^a(b|c)', 'i']] });
  await conversation('query for exact members', { conditions: [['withMembers', [jerry.id, id]]] });
  await conversation('query for chat rooms', { kind: 'room', conditions: [['descending', 'createdAt']] });
  await conversation('query for service conversations', { kind: 'service', conditions: [['addAscending', 'name']] });

  await step('save attributes', 'conv/update', () => tom.save(conv, { name: 'new', 'attr.topic': 'cheese', when: new Date(0) }));
  await step('mute notifications', 'conv/mute', () => tom.mute(conv));
  await step('unmute notifications', 'conv/unmute', () => tom.unmute(conv));
  await step('count members', 'conv/count', () => tom.chatters(conv));
  await step('add members', 'conv/add', () => tom.add(conv, ['zoe', 'adam']));
  await step('remove members', 'conv/remove', () => tom.remove(conv, ['zoe', 'adam']));
  await step('promote a member', 'conv/member_info_update', () => tom.setRole(conv, mary.id, 'Manager'));
  await step('silence members', 'conv/add_shutup', () => tom.silence(conv, [jerry.id]));
  await step('list the silenced', 'conv/query_shutup', () => tom.silenced(conv));
  await step('list the silenced, a page', 'conv/query_shutup', () => tom.silenced(conv, { limit: 1, next: 'cursor' }).catch(() => {}));
  await step('end the silence', 'conv/remove_shutup', () => tom.unsilence(conv, [jerry.id]));
  await step('block members', 'blacklist/block', () => tom.block(conv, ['zoe', 'adam']));
  await step('list the blocked', 'blacklist/query', () => tom.blocked(conv));
  await step('list the blocked, a page', 'blacklist/query', () => tom.blocked(conv, { limit: 1, next: 'cursor' }).catch(() => {}));
  await step('unblock members', 'blacklist/unblock', () => tom.unblock(conv, ['zoe', 'adam']));
  const hers = await mary.create({ members: [jerry.id], unique: false });
  await know({ '<conv>': hers });
  await step('join', 'conv/add', () => tom.join(hers));
  await step('quit', 'conv/remove', () => tom.quit(hers));
  await step('subscribe', 'conv/add', () => tom.subscribe(service));
  await step('unsubscribe', 'conv/remove', () => tom.unsubscribe(service));

  const send = (title, content, options, where = conv) =>
    step(title, 'direct', async () => {
      const message = await tom.send(where, content, options);
      await know({ '<message>': message.id });
      return message;
    });
  const text = await send('send text', { text: '你好 <&> "x"', attributes: { a: [1, null] } });
  await send('send plain text', { raw: 'just text' });
  await send('send binary', { binary: 'AAECgP8=' });
  await send('send a custom type', { redPacket: 520 });
  await send('send a transient message', { text: 'typing' }, { transient: true });
  await send('ask for a receipt', { text: 'receipt' }, { receipt: true }, pair);
  await send('leave a will', { text: 'will' }, { will: true });
  await send('send with push data', { text: 'push' }, { push: { alert: 'ding', badge: 'Increment' } });
  await send('mention some', { text: 'you', mention: [jerry.id, mary.id] });
  await send('mention all', { text: 'all', mentionAll: true });
  await send('send to a chat room with priority', { text: 'room' }, { priority: 1 }, room);
  await send('send to a temporary conversation', { text: 'temp' }, {}, temp);

  await step('update a message', 'patch/modify', () => tom.update(conv, text.id, { text: 'new', mention: [jerry.id] }));
  await step('recall a message', 'patch/modify', () => tom.recall(conv, text.id));

  const point = (closed, time = 1456567200000) => ({ time, id: 'abc', closed });
  await step('read history', 'logs', () => tom.history(conv));
  await step('read history, a page', 'logs', () => tom.history(conv, { limit: 7 }));
  await step('read history by type', 'logs', () => tom.history(conv, { type: -1 }));
  await step('read history, old to new', 'logs', () => tom.history(conv, { direction: 'new', start: point(false) }));
  await step('read history, new to old', 'logs', () => tom.history(conv, { direction: 'old', start: point(false) }));
  await step('read history between two points', 'logs', () => tom.history(conv, { start: point(true), end: point(true, 1456567100000) }));
  await step('read history towards a later point', 'logs', () => tom.history(conv, { start: point(false), end: point(false, 1456567300000) }));
  await step('read history from a time', 'logs', () => tom.history(conv, { start: { time: 1456567200000 } }));

  await step('receive a message', 'ack', async () => {
    const heard = await jerry.send(pair, { text: 'for Tom' });
    await know({ '<message>': heard.id });
    await tom.next('message', { id: heard.id });
    await sees(id, 'ack');
  });
  await step('mark as read', 'read', async () => {
    await tom.read(pair);
    await sees(id, 'read');
  });
  await step('ask for receipts', 'conv/max_read', () => tom.receipts(pair));

  await step('ask for the receipts of all members', 'conv/max_read', () => tom.memberReceipts(conv));

  const signed = await open(name('signer'), { signWith: at.masterKey });
  await know({ '<self>': signed.id });
  const theirs = await step('create with a signature', 'conv/start', () => signed.create({ members: [jerry.id, mary.id], unique: false }));
  await know({ '<conv>': theirs });
  await step('add with a signature', 'conv/add', () => signed.add(theirs, ['zoe']));
  await step('remove with a signature', 'conv/remove', () => signed.remove(theirs, ['zoe']));
  await step('block with a signature', 'blacklist/block', () => signed.block(theirs, ['zoe']));
  await step('unblock with a signature', 'blacklist/unblock', () => signed.unblock(theirs, ['zoe']));

  const lines = await open(name('line'));
  await know({ '<self>': lines.id });
  const second = await step('log in beside another client', 'session/open', async () => {
    const beside = name('beside');
    await know({ '<beside>': beside });
    return open(beside, { beside: lines });
  });
  await step('ask who is online, beside another client', 'session/query', () => lines.ping([jerry.id]));
  await step('ask who is online, as the second client', 'session/query', () => second.ping([mary.id]));
  await step('log out beside another client', 'session/close', () => second.close());

  const lost = await open(name('lost'));
  await know({ '<self>': lost.id });
  await step('log in again after a lost connection', 'session/open', async () => {
    await go('cut', { server: at.name, client: lost.id });
    await lost.next('reconnect');
  });
  const brief = await open(name('brief'), { at: hasty });
  await know({ '<self>': brief.id });
  const own = await brief.create({ members: ['x'], unique: false });
  await step('refresh the session token', 'session/refresh', () =>
    until(async () => {
      await brief.roles(own).catch(() => {}); // the token lives one second
      return (await go('commands', { server: hasty.name, client: brief.id })).includes('session/refresh');
    }, 'a refresh')
  );

  const patient = await step('beat', 'echo', async () => {
    impatient = true;
    const beating = name('beating');
    await know({ '<self>': beating });
    const person = await open(beating, { heartbeat: 100 });
    await sees(beating, 'echo');
    impatient = false;
    return person;
  });
  await patient.close();
  await know({ '<self>': id });
  await step('log out', 'session/close', () => tom.close());
  await Promise.all([signed, lines, lost, brief, ...others].map(p => p.close().catch(() => {})));
}

async function main(version) {
  listenToGo();
  const at = await go('startServer');
  const hasty = await go('startServer', { tokenTTL: 1 });
  await scenario('js', (id, options) => JSPerson.open(version, id, { at, ...options }), at, hasty);
  await scenario('go', (id, options) => GoPerson.open(bridge, id, { at, ...options }), at, hasty);
}

main(process.argv[2]).then(
  () => process.exit(0),
  error => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  }
);
