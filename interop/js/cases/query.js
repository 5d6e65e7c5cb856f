'use strict';

const { assert, both, name } = require('../harness');

// Conversations of one millisecond have no order by their times.
const nextMillisecond = async () => {
  for (const now = Date.now(); Date.now() <= now;) await new Promise(setImmediate);
};

// shelf is three conversations of the acting side, made one after the other and
// looked for by both.
const shelf = async ({ a, b }) => {
  const [tom, jerry] = [await a('tom'), await b('jerry')];
  const mark = name('mark');
  const make = (title, attr, extra = []) =>
    tom.create({ members: [mark, ...extra], name: `${mark} ${title}`, attributes: { attr }, unique: false });
  const nba = await make('NBA.*(finals)', { n: 1, tags: ['a', 'b'], when: new Date(1000000), kind: 'x' }, ['p1']);
  await nextMillisecond();
  const nfl = await make('nfl \\E draft', { n: 2, tags: ['b', 'c'], when: new Date(2000000) });
  await nextMillisecond();
  const mlb = await make('MLB', { n: 3 });
  const find = async (expected, ...conditions) => {
    for (const person of [tom, jerry]) {
      const found = await person.query({ conditions: [['containsMembers', [mark]], ...conditions] });
      assert.deepStrictEqual(found.sort(), [...expected].sort(), JSON.stringify(conditions));
    }
  };
  return { tom, jerry, mark, nba, nfl, mlb, find };
};

module.exports = [
  both('query: comparisons', 'of numbers, texts and dates', async context => {
    const { nba, nfl, mlb, find } = await shelf(context);
    await find([nba, nfl, mlb]);
    await find([nfl], ['equalTo', 'attr.n', 2]);
    await find([nba, mlb], ['notEqualTo', 'attr.n', 2]);
    await find([nba], ['lessThan', 'attr.n', 2]);
    await find([nba, nfl], ['lessThanOrEqualTo', 'attr.n', 2]);
    await find([mlb], ['greaterThan', 'attr.n', 2]);
    await find([nfl, mlb], ['greaterThanOrEqualTo', 'attr.n', 2]);
    await find([nfl], ['greaterThan', 'attr.n', 1], ['lessThan', 'attr.n', 3]);
    await find([nba], ['lessThan', 'attr.when', new Date(1500000)]);
    await find([nfl], ['equalTo', 'attr.when', new Date(2000000)]);
    await find([nba, nfl, mlb], ['greaterThan', 'createdAt', new Date(0)]);
    await find([], ['greaterThan', 'createdAt', new Date(Date.now() + 86400000)]);
    await find([nba], ['equalTo', 'attr.kind', 'x']);
    await find([mlb], ['equalTo', 'objectId', mlb]);
  }),

  both('query: text', 'literal and by pattern', async context => {
    const { nba, nfl, mlb, mark, find } = await shelf(context);
    await find([nba], ['contains', 'name', 'NBA.*(fin']);
    await find([nfl], ['contains', 'name', '\\E dr']);
    await find([], ['contains', 'name', 'nba']);
    await find([mlb], ['startsWith', 'name', `${mark} M`]);
    await find([nba], ['endsWith', 'name', '(finals)']);
    await find([nba], ['matches', 'name', 'nba', 'i']);
    await find([], ['matches', 'name', 'nba']);
    await find([nfl, mlb], ['matches', 'name', '(draft|MLB)$']);
  }),

  both('query: lists and members', 'one of, none of, all of', async context => {
    const { nba, nfl, mlb, mark, tom, find } = await shelf(context);
    await find([nba, mlb], ['containedIn', 'attr.n', [1, 3, 9]]);
    await find([nfl], ['notContainedIn', 'attr.n', [1, 3, 9]]);
    await find([nfl], ['containsAll', 'attr.tags', ['b', 'c']]);
    await find([nfl], ['equalTo', 'attr.tags', 'c']);
    await find([nba], ['containsMembers', [mark, 'p1']]);
    await find([nba], ['withMembers', [mark, 'p1', tom.id]]);
    await find([nfl, mlb], ['withMembers', [mark, tom.id]]);
  }),

  both('query: existence and size', 'of attributes and members', async context => {
    const { nba, nfl, mlb, find } = await shelf(context);
    await find([nba, nfl], ['exists', 'attr.tags']);
    await find([mlb], ['doesNotExist', 'attr.tags']);
    await find([nba], ['sizeEqualTo', 'm', 3]);
    await find([nba, nfl], ['sizeEqualTo', 'attr.tags', 2]);
  }),

  both('query: order and pages', 'up, down, by two keys, a part', async context => {
    const { tom, jerry, mark, nba, nfl, mlb } = await shelf(context);
    for (const person of [tom, jerry]) {
      const order = (...conditions) => person.query({ conditions: [['containsMembers', [mark]], ...conditions] });
      assert.deepStrictEqual(await order(['ascending', 'createdAt']), [nba, nfl, mlb]);
      assert.deepStrictEqual(await order(['descending', 'createdAt']), [mlb, nfl, nba]);
      assert.deepStrictEqual(await order(['ascending', 'c'], ['addDescending', 'attr.n']), [mlb, nfl, nba]);
      assert.deepStrictEqual(await order(['descending', 'c'], ['addAscending', 'attr.n']), [nba, nfl, mlb]);
      assert.deepStrictEqual(await order(['ascending', 'createdAt'], ['limit', 1], ['skip', 1]), [nfl]);
    }
    await tom.send(nba, { text: 'bump' });
    // Without conditions: one's own, the most recently talked in first.
    assert.deepStrictEqual(await tom.query({}), [nba, mlb, nfl]);
    assert.deepStrictEqual(await jerry.query({}), []);
  }),

  both('query: and, or', 'of several queries', async context => {
    const { tom, jerry, mark, nba, nfl, mlb } = await shelf(context);
    const conditions = [['containsMembers', [mark]]];
    for (const person of [tom, jerry]) {
      const some = await person.query({ any: [[['equalTo', 'attr.n', 1]], [['equalTo', 'attr.n', 3]]], conditions });
      assert.deepStrictEqual(some.sort(), [nba, mlb].sort());
      const every = await person.query({ all: [[['greaterThan', 'attr.n', 1]], [['lessThan', 'attr.n', 3]]], conditions });
      assert.deepStrictEqual(every, [nfl]);
    }
  }, {
    lacks: [
      { version: 'v4', why: 'its queries cannot be combined: there is no ConversationQuery.or or and', error: /reading 'or'/ },
    ],
  }),

  both('query: kinds', 'rooms and services apart', async ({ a, b, go }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const title = name('kinds');
    const room = await tom.create({ kind: 'room', name: title });
    const normal = await tom.create({ members: [jerry.id], name: title, unique: false });
    const service = await go('createService', { name: title });
    for (const person of [tom, jerry]) {
      const find = kind => person.query({ kind, conditions: [['equalTo', 'name', title]] });
      assert.deepStrictEqual(await find('room'), [room]);
      assert.deepStrictEqual(await find('service'), [service]);
      assert.deepStrictEqual((await find()).sort(), [room, normal, service].sort());
    }
  }),

  both('query: compact, last message', 'what the answer has', async ({ a, b }) => {
    const [tom, jerry] = [await a('tom'), await b('jerry')];
    const conv = await tom.create({ members: [jerry.id, name('x')], unique: false });
    await jerry.next('invited', { conv });
    const sent = await tom.send(conv, { text: 'last' });
    const reader = await b('reader');
    const [found] = await reader.find({ conditions: [['equalTo', 'objectId', conv], ['withLastMessagesRefreshed']] });
    assert.deepStrictEqual([found.last.id, found.last.text, found.last.from], [sent.id, 'last', tom.id]);
    assert.strictEqual(found.lastMessageAt, sent.timestamp);
    const another = await b('another');
    const [thin] = await another.find({ conditions: [['equalTo', 'objectId', conv], ['compact']] });
    assert.deepStrictEqual(thin.members, []);
    assert.strictEqual(thin.last, null);
  }),
];
