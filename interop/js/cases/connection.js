'use strict';

const { assert, both, meet, sleep, uncaught, JS_TO_JS, JS_TO_GO } = require('../harness');

const pair = async ({ a, b }, options) => {
  const [tom, jerry] = [await a('tom', options), await b('jerry', options)];
  return { tom, jerry, conv: await meet(tom, [jerry]) };
};

const says = async (from, to, conv, text) => {
  await from.send(conv, { text });
  await to.next('message', { conv, text });
};

// gone and back: what both SDKs tell of a lost connection.
const comesBack = async person => {
  for (const event of ['disconnect', 'schedule', 'retry', 'reconnect']) await person.next(event);
};

module.exports = [
  both('lost connection', 'comes back, is heard and hears', async context => {
    const { tom, jerry, conv } = await pair(context);
    await context.go('cut', { client: tom.id });
    await comesBack(tom);
    await says(tom, jerry, conv, 'I am back');
    await says(jerry, tom, conv, 'welcome');
  }),

  both('pause and resume', 'what was missed is told', async context => {
    const { tom, jerry, conv } = await pair(context);
    await says(tom, jerry, conv, 'before');
    await jerry.read(conv);
    await context.until(async () => (await tom.receipts(conv)).read > 0, 'the read mark');
    await jerry.pause();
    await jerry.next('offline');
    await context.until(async () => (await tom.ping([jerry.id])).length === 0, 'offline to others');
    jerry.forget();
    await tom.send(conv, { text: 'missed one' });
    await tom.send(conv, { text: 'missed two', mention: [jerry.id] });
    const other = await tom.create({ members: [jerry.id], unique: false });
    await jerry.resume();
    for (const event of ['online', 'schedule', 'retry', 'reconnect']) await jerry.next(event);
    assert.strictEqual((await jerry.next('invited', { conv: other })).by, tom.id);
    await jerry.next('unreadmessagescountupdate', { conv, count: 2, mentioned: true, last: 'missed two' });
    const texts = (await jerry.history(conv)).map(m => m.text);
    assert.deepStrictEqual(texts, ['before', 'missed one', 'missed two']);
    await says(tom, jerry, conv, 'after');
    await sleep(100);
    assert.strictEqual(jerry.count('invited', { conv: other }), 0); // it was told once
  }),

  both('server restart', 'all come back to what was stored', async context => {
    const at = await context.server();
    const { tom, jerry, conv } = await pair(context, { at });
    await says(tom, jerry, conv, 'before');
    await context.go('restart', { server: at.name });
    await Promise.all([tom, jerry].map(comesBack));
    await says(tom, jerry, conv, 'after');
    assert.deepStrictEqual((await jerry.history(conv)).map(m => m.text), ['before', 'after']);
  }),

  both('goaway', 'moves and stays logged in', async context => {
    const { tom, jerry, conv } = await pair(context);
    await context.go('goAway', { client: tom.id });
    await comesBack(tom);
    await says(tom, jerry, conv, 'moved');
    await says(jerry, tom, conv, 'found you');
  }),

  both('goaway', 'a server that ends in order, and the next one', async context => {
    const at = await context.server({ successive: true });
    const { tom, jerry, conv } = await pair(context, { at });
    await says(tom, jerry, conv, 'before');
    await context.go('replace', { server: at.name });
    await Promise.all([tom, jerry].map(comesBack));
    await says(tom, jerry, conv, 'after');
    await says(jerry, tom, conv, 'here too');
    assert.deepStrictEqual((await jerry.history(conv)).map(m => m.text), ['before', 'after', 'here too']);
    assert.deepStrictEqual(uncaught, []); // whoever asks where to go is answered, and not closed on
  }),

  both('session token expiry', 'reopens without the token', async context => {
    const { tom, jerry, conv } = await pair(context);
    await context.go('expireTokens', { client: tom.id });
    await context.go('cut', { client: tom.id });
    await comesBack(tom);
    await says(tom, jerry, conv, 'still me');
  }),

  both('session token refresh', 'before REST calls with an old token', async context => {
    const at = await context.server({ tokenTTL: 1 });
    const { tom, jerry, conv } = await pair(context, { at });
    await tom.setRole(conv, jerry.id, 'Manager');
    await sleep(1100);
    // The official SDK throws once after it has got the new token.
    const roles = await tom.roles(conv).catch(() => tom.roles(conv));
    assert.deepStrictEqual(roles, { [tom.id]: 'Owner', [jerry.id]: 'Manager' });
    assert.ok((await context.go('commands', { server: at.name, client: tom.id })).includes('session/refresh'));
  }, {
    lacks: [
      {
        version: 'v4',
        why: 'it asks for the new token, then takes the answer for a list and is left with none until it reconnects',
        error: /reading 'status'/, // of the answer to a request that could not be made
        ways: [JS_TO_JS, JS_TO_GO],
      },
    ],
  }),

  both('kick by the app', 'the client is told the code and the reason', async context => {
    const { tom, jerry, conv } = await pair(context);
    await context.go('kick', { client: tom.id, reason: 'be quiet' });
    const { code, reason } = await tom.next('close');
    assert.deepStrictEqual([code, reason], [4115, 'be quiet']);
    await jerry.send(conv, { text: 'to nobody' });
    assert.deepStrictEqual(await jerry.ping([tom.id]), []);
  }),
];
