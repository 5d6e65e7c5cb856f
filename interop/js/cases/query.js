'use strict';

const { assert, name } = require('../harness');

const ids = list => list.map(c => c.id).sort();

module.exports = {
  'every operator': async ({ client }) => {
    const tom = await client(name('tom'));
    const mark = name('mark');
    const make = (title, attr, extra = []) =>
      tom.createConversation({ members: [mark, ...extra], name: `${mark} ${title}`, attr, unique: false });
    const nba = await make('NBA.*(finals)', { n: 1, tags: ['a', 'b'], when: new Date(1000000) }, ['p1']);
    const nfl = await make('nfl \\E draft', { n: 2, tags: ['b', 'c'], when: new Date(2000000) });
    const mlb = await make('MLB', { n: 3 });
    const query = () => tom.getQuery().containsMembers([mark]);
    const find = async q => ids(await q.find());
    const is = async (q, ...convs) => assert.deepStrictEqual(await find(q), ids(convs));

    await is(query(), nba, nfl, mlb);
    await is(query().equalTo('attr.n', 2), nfl);
    await is(query().notEqualTo('attr.n', 2), nba, mlb);
    await is(query().lessThan('attr.n', 2), nba);
    await is(query().lessThanOrEqualTo('attr.n', 2), nba, nfl);
    await is(query().greaterThan('attr.n', 2), mlb);
    await is(query().greaterThanOrEqualTo('attr.n', 2), nfl, mlb);
    await is(query().contains('name', 'NBA.*(fin'), nba);
    await is(query().contains('name', '\\E dr'), nfl);
    await is(query().startsWith('name', `${mark} M`), mlb);
    await is(query().endsWith('name', '(finals)'), nba);
    await is(query().matches('name', /nba/i), nba);
    await is(query().matches('name', /nba/));
    await is(query().containedIn('attr.n', [1, 3, 9]), nba, mlb);
    await is(query().notContainsIn ? query().notContainsIn('attr.n', [1, 3, 9]) : query().notContainedIn('attr.n', [1, 3, 9]), nfl);
    await is(query().containsAll('attr.tags', ['b', 'c']), nfl);
    await is(query().exists('attr.tags'), nba, nfl);
    await is(query().doesNotExist('attr.tags'), mlb);
    await is(query().sizeEqualTo('m', 3), nba);
    await is(query().lessThan('attr.when', new Date(1500000)), nba);
    await is(query().withMembers([mark, 'p1'], true), nba);
    await is(query().equalTo('attr.tags', 'c'), nfl);
    await is(tom.getQuery().equalTo('objectId', mlb.id), mlb);
    const { ConversationQuery } = tom.sdk;
    if (ConversationQuery && ConversationQuery.or) {
      await is(ConversationQuery.or(query().equalTo('attr.n', 1), query().equalTo('attr.n', 3)), nba, mlb);
      await is(ConversationQuery.and(query().greaterThan('attr.n', 1), query().lessThan('attr.n', 3)), nfl);
    }

    const order = async q => (await q.find()).map(c => c.id);
    assert.deepStrictEqual(await order(query().ascending('createdAt')), [nba.id, nfl.id, mlb.id]);
    assert.deepStrictEqual(await order(query().descending('createdAt')), [mlb.id, nfl.id, nba.id]);
    assert.deepStrictEqual(await order(query().ascending('createdAt').limit(1).skip(1)), [nfl.id]);
    assert.deepStrictEqual(await order(query().limit(0)), []);
    // 4.3.1 has no first.
    if (query().first) assert.strictEqual((await query().ascending('createdAt').first()).id, nba.id);
  },

  'compact and with last messages': async ({ client }) => {
    const tom = await client(name('tom'));
    const conv = await tom.createConversation({ members: [name('x')], unique: false });
    const sent = await conv.send(new tom.sdk.TextMessage('last'));
    const reader = await client(tom.id);
    const [full] = await reader.getQuery().equalTo('objectId', conv.id).withLastMessagesRefreshed().find();
    assert.strictEqual(full.lastMessage.id, sent.id);
    assert.strictEqual(full.lastMessage.text, 'last');
    assert.strictEqual(full.lastMessage.from, tom.id);
    assert.strictEqual(full.lastMessageAt.getTime(), sent.timestamp.getTime());
    const compact = await client(tom.id);
    const [thin] = await compact.getQuery().equalTo('objectId', conv.id).compact().find();
    assert.strictEqual(thin.members.length, 0);
  },

  'own conversations by default, newest first': async ({ client }) => {
    const tom = await client(name('tom'));
    const older = await tom.createConversation({ members: [name('a')], unique: false });
    const newer = await tom.createConversation({ members: [name('b')], unique: false });
    await older.send(new tom.sdk.TextMessage('bump'));
    const found = (await tom.getQuery().find()).map(c => c.id);
    assert.deepStrictEqual(found, [older.id, newer.id]);
  },
};
