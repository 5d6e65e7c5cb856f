'use strict';

const { assert, event, collect, until, fails, name, sleep } = require('../harness');

const UNKNOWN = '555555555555555555555555';

module.exports = {
  'create, invited, and read back': async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const invited = event(jerry, jerry.sdk.Event.INVITED);
    const conv = await tom.createConversation({
      members: [jerry.id],
      name: 'Tom & Jerry',
      attributes: undefined,
      attr: { topic: 'mice', since: new Date('2016-02-27T10:00:00.000Z') },
      custom: 7,
    });
    const [payload, hers] = await invited;
    assert.strictEqual(payload.invitedBy, tom.id);
    assert.strictEqual(hers.id, conv.id);
    assert.strictEqual(hers.name, 'Tom & Jerry');
    assert.deepStrictEqual([...hers.members].sort(), [jerry.id, tom.id].sort());
    assert.strictEqual(hers.get('attr').topic, 'mice');
    assert.strictEqual(hers.get('attr').since.getTime(), Date.UTC(2016, 1, 27, 10));
    assert.strictEqual(hers.get('custom'), 7);
    assert.ok(hers.createdAt instanceof Date);
    assert.strictEqual(hers.creator, tom.id);
  },

  'unique by member set': async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = name('jerry');
    const first = await tom.createConversation({ members: [jerry], name: 'one', unique: true });
    const again = await tom.createConversation({ members: [jerry, jerry, tom.id], name: 'two', unique: true });
    assert.strictEqual(again.id, first.id);
    const other = await tom.createConversation({ members: [jerry], unique: false });
    assert.notStrictEqual(other.id, first.id);
  },

  'an unknown id': async ({ client }) => {
    const tom = await client(name('tom'));
    const found = await tom.getConversation(UNKNOWN);
    assert.ok(found === null || found === undefined);
  },

  'who hears of member changes': async ({ client }) => {
    const [tom, jerry, mary, william] = await Promise.all(['tom', 'jerry', 'mary', 'william'].map(n => client(name(n))));
    const { Event } = tom.sdk;
    const names = [Event.INVITED, Event.KICKED, Event.MEMBERS_JOINED, Event.MEMBERS_LEFT];
    const conv = await tom.createConversation({ members: [jerry.id] });
    await sleep(100);
    const watch = () => [tom, jerry, mary, william].map(c => collect(c, names));

    let [t, j, m, w] = watch();
    await conv.add([mary.id]);
    await until(() => m.some(e => e.name === Event.INVITED) && j.length && t.length, 'add');
    assert.deepStrictEqual(j[0].args[0], { members: [mary.id], invitedBy: tom.id });
    assert.deepStrictEqual(t[0].args[0].members, [mary.id]);
    assert.strictEqual(m.find(e => e.name === Event.INVITED).args[0].invitedBy, tom.id);

    [t, j, m, w] = watch();
    await conv.remove([mary.id]);
    await until(() => m.length && j.length && t.length, 'remove');
    assert.strictEqual(m[0].name, Event.KICKED);
    assert.strictEqual(m[0].args[0].kickedBy, tom.id);
    assert.deepStrictEqual(j[0].args[0], { members: [mary.id], kickedBy: tom.id });

    [t, j, m, w] = watch();
    const his = await william.getConversation(conv.id);
    await his.join();
    await until(() => t.length && j.length && w.length, 'join');
    assert.strictEqual(t[0].name, Event.MEMBERS_JOINED);
    assert.deepStrictEqual(t[0].args[0], { members: [william.id], invitedBy: william.id });
    assert.strictEqual(m.length, 0);

    [t, j, m, w] = watch();
    await (await jerry.getConversation(conv.id)).quit();
    await until(() => t.length && w.length, 'quit');
    assert.strictEqual(t[0].name, Event.MEMBERS_LEFT);
    assert.deepStrictEqual(t[0].args[0].members, [jerry.id]);
    const fresh = await tom.getConversation(conv.id, true);
    assert.deepStrictEqual([...fresh.members].sort(), [tom.id, william.id].sort());
  },

  'partial results of add': async ({ client }) => {
    const tom = await client(name('tom'));
    const conv = await tom.createConversation({ members: [name('jerry')] });
    const mary = name('mary');
    const result = await conv.add([mary]);
    assert.deepStrictEqual(result.successfulClientIds, [mary]);
    assert.deepStrictEqual(result.failures, []);
  },

  'attributes: set, nested set, event': async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const conv = await tom.createConversation({ members: [jerry.id], attr: { a: 1 } });
    await sleep(50);
    const updated = event(jerry, jerry.sdk.Event.CONVERSATION_INFO_UPDATED);
    conv.set('attr.b', 2);
    conv.name = 'new name';
    await conv.save();
    const [payload, hers] = await updated;
    assert.strictEqual(payload.updatedBy, tom.id);
    assert.strictEqual(hers.name, 'new name');
    const fresh = await jerry.getConversation(conv.id, true);
    assert.deepStrictEqual(fresh.get('attr'), { a: 1, b: 2 });
  },

  'update of an unknown conversation': async ({ client }) => {
    const tom = await client(name('tom'));
    const conv = await tom.createConversation({ members: [name('x')] });
    conv.id = UNKNOWN;
    conv.set('foo', 1);
    const error = await fails(conv.save(), 4303);
    assert.match(error.message, /CONVERSATION_NOT_FOUND/);
  },

  'mute, unmute, count': async ({ client }) => {
    const tom = await client(name('tom'));
    const conv = await tom.createConversation({ members: [name('jerry')] });
    await conv.mute();
    assert.deepStrictEqual((await tom.getConversation(conv.id, true)).mutedMembers, [tom.id]);
    await conv.unmute();
    assert.deepStrictEqual((await tom.getConversation(conv.id, true)).mutedMembers, []);
    assert.strictEqual(await conv.count(), 2);
  },

  'chat room': async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const room = await tom.createChatRoom({ name: 'lobby' });
    assert.strictEqual(room.transient, true);
    const hers = await jerry.getConversation(room.id);
    await hers.join();
    await until(async () => (await room.count()) === 2, 'two in the room');
    const heard = event(jerry, jerry.sdk.Event.MESSAGE);
    await room.send(new tom.sdk.TextMessage('hi room'), { priority: tom.sdk.MessagePriority.HIGH });
    assert.strictEqual((await heard)[0].text, 'hi room');
    await hers.quit();
    assert.strictEqual(await room.count(), 1);
    const rooms = await tom.getChatRoomQuery().equalTo('objectId', room.id).find();
    assert.strictEqual(rooms.length, 1);
  },

  'temporary conversation': async ({ client }) => {
    const tom = await client(name('tom'));
    const jerry = await client(name('jerry'));
    const temp = await tom.createTemporaryConversation({ members: [jerry.id], ttl: 600 });
    assert.match(temp.id, /^_tmp:/);
    const heard = event(jerry, jerry.sdk.Event.MESSAGE);
    await temp.send(new tom.sdk.TextMessage('soon gone'));
    const [message, hers] = await heard;
    assert.strictEqual(message.text, 'soon gone');
    assert.strictEqual(hers.id, temp.id);
    const again = await tom.createTemporaryConversation({ members: [jerry.id] });
    assert.strictEqual(again.id, temp.id);
    const found = await jerry.getConversation(temp.id, true);
    assert.ok(found.expiredAt > new Date());
  },

  'a temporary conversation expires': async ({ client }) => {
    const tom = await client(name('tom'));
    const temp = await tom.createTemporaryConversation({ members: [name('x')], ttl: 1 });
    await sleep(1300);
    await fails(temp.send(new tom.sdk.TextMessage('late')), tom.sdk.ErrorCode.TEMPORARY_CONVERSATION_EXPIRED);
  },

  'roles': async ({ client }) => {
    const [tom, mary, bob] = await Promise.all(['tom', 'mary', 'bob'].map(n => client(name(n))));
    const { ConversationMemberRole, Event } = tom.sdk;
    const conv = await tom.createConversation({ members: [mary.id, bob.id, name('x')], unique: false });
    const bobs = await bob.getConversation(conv.id);
    const error = await fails(bobs.updateMemberRole(bob.id, ConversationMemberRole.MANAGER), 4320);
    assert.match(error.message, /CONVERSATION_OPERATION_UNAUTHORIZED/);
    const marys = await mary.getConversation(conv.id);
    await marys.getAllMemberInfo();
    const told = event(mary, Event.MEMBER_INFO_UPDATED);
    await conv.updateMemberRole(mary.id, ConversationMemberRole.MANAGER);
    const [payload] = await told;
    assert.strictEqual(payload.updatedBy, tom.id);
    assert.strictEqual(payload.memberInfo.role, ConversationMemberRole.MANAGER);
    const infos = await conv.getAllMemberInfo({ noCache: true });
    assert.strictEqual(infos.length, 4);
    const roleOf = id => infos.find(i => i.memberId === id).role;
    assert.strictEqual(roleOf(tom.id), ConversationMemberRole.OWNER);
    assert.strictEqual(roleOf(mary.id), ConversationMemberRole.MANAGER);
    assert.strictEqual(roleOf(bob.id), ConversationMemberRole.MEMBER);
    const out = await marys.remove([tom.id, bob.id]);
    assert.deepStrictEqual(out.successfulClientIds, [bob.id]);
    assert.deepStrictEqual(out.failures[0].clientIds, [tom.id]);
    assert.match(out.failures[0].message, /CONVERSATION_NEED_OWNER|CONVERSATION_OPERATION_UNAUTHORIZED/);
  },

  'silence': async ({ client }) => {
    const [tom, bob] = await Promise.all(['tom', 'bob'].map(n => client(name(n))));
    const { Event } = tom.sdk;
    const conv = await tom.createConversation({ members: [bob.id, name('x')], unique: false });
    const bobs = await bob.getConversation(conv.id);
    const told = [event(bob, Event.MUTED), event(tom, Event.MEMBERS_MUTED)];
    await conv.muteMembers([bob.id]);
    const [[muted], [members]] = await Promise.all(told);
    assert.strictEqual(muted.mutedBy, tom.id);
    assert.deepStrictEqual(members.members, [bob.id]);
    const page = await conv.queryMutedMembers();
    assert.deepStrictEqual([...(page.results || page)], [bob.id]);
    await fails(bobs.send(new bob.sdk.TextMessage('x')), 4563);
    await fails(bobs.unmuteMembers([bob.id]), 4320);
    const free = event(bob, Event.UNMUTED);
    await conv.unmuteMembers([bob.id]);
    await free;
    await bobs.send(new bob.sdk.TextMessage('x'));
  },

  'block': async ({ client }) => {
    const [tom, bob] = await Promise.all(['tom', 'bob'].map(n => client(name(n))));
    const { Event } = tom.sdk;
    const conv = await tom.createConversation({ members: [bob.id, name('x')], unique: false });
    const bobs = await bob.getConversation(conv.id);
    const told = [event(bob, Event.BLOCKED), event(bob, Event.KICKED), event(tom, Event.MEMBERS_BLOCKED), event(tom, Event.MEMBERS_LEFT)];
    await conv.blockMembers([bob.id]);
    const [[blocked]] = await Promise.all(told);
    assert.strictEqual(blocked.blockedBy, tom.id);
    const page = await conv.queryBlockedMembers();
    assert.deepStrictEqual([...(page.results || page)], [bob.id]);
    await fails(bobs.join(), 4548);
    const free = [event(bob, Event.UNBLOCKED), event(tom, Event.MEMBERS_UNBLOCKED)];
    await conv.unblockMembers([bob.id]);
    await Promise.all(free);
    await bobs.join();
  },

  'service conversation': async ({ client, go }) => {
    const service = await go('createService', { name: name('news') });
    const tom = await client(name('tom'));
    const conv = await tom.getConversation(service.id);
    assert.strictEqual(conv.system, true);
    await conv.subscribe();
    const found = await tom.getServiceConversationQuery().equalTo('objectId', service.id).find();
    assert.strictEqual(found.length, 1);
    const heard = event(tom, tom.sdk.Event.MESSAGE);
    await go('broadcastToSubscribers', { id: service.id, from: 'gm', text: 'maintenance at 5' });
    const [message] = await heard;
    assert.strictEqual(message.text, 'maintenance at 5');
    assert.strictEqual(message.from, 'gm');
    await conv.unsubscribe();
  },

  'global broadcast': async ({ client, go }) => {
    const service = await go('createService', { name: name('gm') });
    const tom = await client(name('tom'));
    const heard = event(tom, tom.sdk.Event.MESSAGE, m => m.text === 'hello world');
    await go('broadcastToAll', { id: service.id, from: 'gm', text: 'hello world' });
    await heard;
  },
};
