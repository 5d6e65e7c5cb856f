// A person behind whom is the official SDK.
'use strict';

const { Person } = require('./person');
const { signers } = require('./signers');
const { device, storage } = require('../device');

const sorted = list => [...(list || [])].sort();
const ms = time => (time ? Number(time) : 0);

// Events of a client whose payload has the acting client under another name.
const actedBy = {
  INVITED: 'invitedBy', KICKED: 'kickedBy', BLOCKED: 'blockedBy', UNBLOCKED: 'unblockedBy', MUTED: 'mutedBy',
  UNMUTED: 'unmutedBy', MEMBERS_JOINED: 'invitedBy', MEMBERS_LEFT: 'kickedBy', MEMBERS_BLOCKED: 'blockedBy',
  MEMBERS_UNBLOCKED: 'unblockedBy', MEMBERS_MUTED: 'mutedBy', MEMBERS_UNMUTED: 'unmutedBy',
};

class JSPerson extends Person {
  // open logs a person in, on a device of its own unless it is beside another.
  static async open(version, name, options = {}) {
    const person = new JSPerson();
    const { beside } = options;
    const { at, tls, noBinary, pushOfflineMessages } = options;
    Object.assign(person, beside ? beside.device : device(version, { at, tls, noBinary, pushOfflineMessages }));
    person.device = { sdk: person.sdk, realtime: person.realtime, where: person.where };
    person.sent = new Map();
    person.watched = new WeakSet();
    if (options.files) {
      person.AV = storage(person.where);
      person.rich = require('leancloud-realtime-plugin-typed-messages')(person.AV, person.sdk);
      person.rich.TypedMessagesPlugin.messageClasses.forEach(Class => person.realtime.register(Class));
    }
    person.RedPacket = redPacket(person.sdk);
    person.realtime.register(person.RedPacket);
    const clientOptions = {};
    if (options.tag) clientOptions.tag = options.tag;
    if (options.signWith) Object.assign(clientOptions, signers(version, person.where.appId, options.signWith));
    let identity = options.anonymous ? undefined : name;
    // What the SDK wants of an AV.User.
    if (options.userSession) identity = { id: name, getSessionToken: () => options.userSession };
    person.client = await person.realtime.createIMClient(identity, clientOptions);
    person.id = person.client.id;
    person.listen();
    return person;
  }

  listen() {
    const { Event } = this.sdk;
    const on = (key, describe) =>
      this.client.on(Event[key], (...args) => this.hear({ event: Event[key], ...describe(...args) }));
    const inConv = (key, describe, event = Event[key]) =>
      this.client.on(Event[key], (payload, conv) => {
        this.watch(conv);
        this.hear({ event, conv: conv.id, ...describe(payload) });
      });
    ['MESSAGE', 'MESSAGE_UPDATE', 'MESSAGE_RECALL'].forEach(key => inConv(key, message => this.describe(message)));
    Object.keys(actedBy).forEach(key =>
      inConv(key, e => (e.members ? { by: e[actedBy[key]], members: sorted(e.members) } : { by: e[actedBy[key]] }))
    );
    inConv('MEMBER_INFO_UPDATED', e => ({ member: e.member, role: e.memberInfo.role, by: e.updatedBy }));
    inConv('CONVERSATION_INFO_UPDATED', e => ({ attributes: e.attributes, by: e.updatedBy }), Event.INFO_UPDATED);
    this.client.on(Event.UNREAD_MESSAGES_COUNT_UPDATE, convs =>
      convs.forEach(conv => {
        this.watch(conv);
        const { unreadMessagesCount: count, unreadMessagesMentioned: mentioned } = conv;
        const last = conv.lastMessage ? this.describe(conv.lastMessage).text : '';
        this.hear({ event: Event.UNREAD_MESSAGES_COUNT_UPDATE, conv: conv.id, count, mentioned: Boolean(mentioned), last });
      })
    );
    ['DISCONNECT', 'OFFLINE', 'ONLINE', 'RECONNECT'].forEach(key => on(key, () => ({})));
    on('SCHEDULE', (attempt, delay) => ({ attempt, delay }));
    on('RETRY', attempt => ({ attempt }));
    on('RECONNECT_ERROR', error => ({ code: error.code }));
    on('CONFLICT', e => ({ reason: e.reason }));
    on('CLOSE', e => ({ code: e.code, reason: e.reason || '' }));
  }

  // watch listens for what only conversations tell.
  watch(conv) {
    if (this.watched.has(conv)) return conv;
    this.watched.add(conv);
    const { LAST_DELIVERED_AT_UPDATE, LAST_READ_AT_UPDATE } = this.sdk.Event;
    [LAST_DELIVERED_AT_UPDATE, LAST_READ_AT_UPDATE].forEach(event => conv.on(event, () => this.hear({ event, conv: conv.id })));
    return conv;
  }

  async conv(id) {
    const conv = await this.client.getConversation(id);
    if (!conv) throw Object.assign(new Error(`no conversation ${id}`), { code: 4303 });
    return this.watch(conv);
  }

  close() {
    return this.client.close();
  }

  pause() {
    this.realtime.pause();
  }

  resume() {
    this.realtime.resume();
  }

  ping(ids) {
    return this.client.ping(ids).then(sorted);
  }

  // create makes a conversation of a kind (room, temporary, else normal) and
  // resolves with its id.
  async create({ kind, members, name, attributes = {}, unique = true, ttl }) {
    let conv;
    if (kind === 'room') conv = await this.client.createChatRoom({ name, ...attributes });
    else if (kind === 'temporary') conv = await this.client.createTemporaryConversation({ members, ttl });
    else conv = await this.client.createConversation({ members, name, unique, ...attributes });
    return this.watch(conv).id;
  }

  // conversation describes one, as the server has it now.
  async conversation(id) {
    const conv = await this.client.getConversation(id, true);
    return conv && this.describeConversation(conv);
  }

  // conversations describes several, as the server has them now.
  async conversations(ids) {
    return (await this.client.getConversations(ids, true)).filter(Boolean).map(conv => this.describeConversation(conv));
  }

  describeConversation(conv) {
    this.watch(conv);
    const get = key => (conv.get ? conv.get(key) : undefined);
    return {
      id: conv.id,
      kind: (conv.transient && 'room') || (conv.system && 'service') || (conv.expiredAt && 'temporary') || 'normal',
      name: get('name') || '',
      creator: conv.creator || '',
      members: sorted(conv.members),
      mutedBy: sorted(conv.mutedMembers),
      attr: get('attr') || null,
      createdAt: ms(conv.createdAt),
      updatedAt: ms(conv.updatedAt),
      lastMessageAt: ms(conv.lastMessageAt),
      expires: Boolean(conv.expiredAt),
      unread: conv.unreadMessagesCount,
      last: conv.lastMessage ? this.describe(conv.lastMessage) : null,
    };
  }

  // content makes a message of the SDK of {text}, {raw}, {json}, {binary},
  // {redPacket}, {location} or one with a file: {image}, {audio}, {video}, {file}.
  async content(c) {
    const { sdk, rich } = this;
    let message;
    const file = c.image || c.audio || c.video || c.file;
    if (c.raw !== undefined) message = new sdk.Message(c.raw);
    else if (c.json) message = new sdk.Message(c.json);
    else if (c.binary) message = new sdk.BinaryMessage(new Uint8Array(Buffer.from(c.binary, 'base64')).buffer);
    else if (c.redPacket) message = Object.assign(new this.RedPacket(), { amount: c.redPacket });
    else if (c.location) message = new rich.LocationMessage(new this.AV.GeoPoint(c.location.latitude, c.location.longitude));
    else if (file) {
      const saved = await new this.AV.File(file.name, { base64: file.data }, file.mime).save();
      const Class = (c.image && rich.ImageMessage) || (c.audio && rich.AudioMessage) || (c.video && rich.VideoMessage) || rich.FileMessage;
      message = new Class(saved);
    } else message = new sdk.TextMessage(c.text);
    if (c.text !== undefined && message.setText) message.setText(c.text);
    if (c.attributes) message.setAttributes(c.attributes);
    if (c.mention) message.setMentionList(c.mention);
    if (c.mentionAll) message.mentionAll();
    return message;
  }

  async send(id, content, { transient, receipt, will, priority, push } = {}) {
    const conv = await this.conv(id);
    const options = { transient, receipt, will, priority, pushData: push };
    Object.keys(options).forEach(key => options[key] === undefined && delete options[key]);
    const message = await conv.send(await this.content(content), options);
    this.sent.set(message.id, message);
    return this.describe(message);
  }

  async update(id, message, content) {
    const updated = await (await this.conv(id)).update(this.sent.get(message), await this.content(content));
    return this.describe(updated);
  }

  async recall(id, message) {
    return this.describe(await (await this.conv(id)).recall(this.sent.get(message)));
  }

  // describe is a message as cases compare it.
  describe(m) {
    const { sdk, rich } = this;
    const out = {
      id: m.id, from: m.from, type: m.type || 0, timestamp: ms(m.timestamp), edited: ms(m.updatedAt) > ms(m.timestamp),
      mentioned: Boolean(m.mentioned), mentionList: sorted(m.mentionList), mentionedAll: Boolean(m.mentionedAll),
      delivered: m.status === sdk.MessageStatus.DELIVERED,
    };
    if (m instanceof sdk.BinaryMessage) return { ...out, binary: Buffer.from(m.buffer).toString('base64') };
    if (!(m instanceof sdk.TypedMessage)) return { ...out, raw: typeof m.content === 'string' ? m.content : JSON.stringify(m.content) };
    Object.assign(out, { text: m.text || '', attributes: m.attributes || null });
    if (m instanceof this.RedPacket) out.amount = m.amount;
    if (rich && m instanceof rich.LocationMessage) {
      const { latitude, longitude } = m.getLocation();
      out.location = { latitude, longitude };
    }
    if (m.getFile) out.file = { name: m.getFile().name(), url: m.getFile().url(), size: m.getFile().metaData('size') || 0 };
    return out;
  }

  // history takes limit, type, direction (old or new) and the points start and
  // end: {time, id, closed}.
  async history(id, { limit, type, direction, start = {}, end = {} } = {}) {
    const query = {
      limit, type,
      startTime: start.time, startMessageId: start.id, startClosed: start.closed,
      endTime: end.time, endMessageId: end.id, endClosed: end.closed,
      direction: direction && this.sdk.MessageQueryDirection[direction === 'new' ? 'OLD_TO_NEW' : 'NEW_TO_OLD'],
    };
    Object.keys(query).forEach(key => query[key] === undefined && delete query[key]);
    return (await (await this.conv(id)).queryMessages(query)).map(m => this.describe(m));
  }

  // iterate goes back through the history and resolves with the pages.
  async iterate(id, limit) {
    const iterator = (await this.conv(id)).createMessagesIterator({ limit });
    const pages = [];
    for (;;) {
      const { value, done } = await iterator.next();
      if (value.length) pages.push(value.map(m => this.describe(m).text));
      if (done) return pages;
    }
  }

  // query takes kind (room, service, else any), conditions [operator, ...] that
  // all hold, and lists of such conditions in all and any. It resolves with ids.
  async query(query) {
    return (await this.search(query)).map(conv => conv.id);
  }

  // find is query, but describes what it has found.
  async find(query) {
    return (await this.search(query)).map(conv => this.describeConversation(conv));
  }

  search({ kind, conditions = [], any, all }) {
    const start = () =>
      ({ room: () => this.client.getChatRoomQuery(), service: () => this.client.getServiceConversationQuery() }[kind] ||
        (() => this.client.getQuery()))();
    const apply = (query, list) => {
      list.forEach(([operator, ...args]) => this.restrict(query, operator, args));
      return query;
    };
    const { ConversationQuery } = this.sdk;
    let query = start();
    if (any) query = ConversationQuery.or(...any.map(list => apply(start(), list)));
    if (all) query = ConversationQuery.and(...all.map(list => apply(start(), list)));
    return apply(query, conditions).find();
  }

  restrict(query, operator, args) {
    if (operator === 'matches') query.matches(args[0], new RegExp(args[1], args[2]));
    else query[operator === 'notContainedIn' ? 'notContainsIn' : operator](...args);
  }

  async add(id, members) {
    const { successfulClientIds, failures } = await (await this.conv(id)).add(members);
    return partial(successfulClientIds, failures);
  }

  async remove(id, members) {
    const { successfulClientIds, failures } = await (await this.conv(id)).remove(members);
    return partial(successfulClientIds, failures);
  }

  async join(id) {
    await (await this.conv(id)).join();
  }

  async quit(id) {
    await (await this.conv(id)).quit();
  }

  async subscribe(id) {
    await (await this.conv(id)).subscribe();
  }

  async unsubscribe(id) {
    await (await this.conv(id)).unsubscribe();
  }

  async save(id, changes) {
    const conv = await this.conv(id);
    Object.keys(changes).forEach(key => conv.set(key, changes[key]));
    await conv.save();
  }

  async mute(id) {
    await (await this.conv(id)).mute();
  }

  async unmute(id) {
    await (await this.conv(id)).unmute();
  }

  // chatters is how many members a conversation counts.
  async chatters(id) {
    return (await this.conv(id)).count();
  }

  async read(id) {
    await (await this.conv(id)).read();
  }

  async receipts(id) {
    const conv = await this.conv(id);
    await conv.fetchReceiptTimestamps();
    return { delivered: ms(conv.lastDeliveredAt), read: ms(conv.lastReadAt) };
  }

  // memberReceipts is the times of all other members that have some. The SDK has
  // it for plugins, with an underscore.
  async memberReceipts(id) {
    const all = await (await this.conv(id))._fetchAllReceiptTimestamps();
    return Object.fromEntries(all.map(r => [r.pid, { delivered: ms(r.lastDeliveredAt), read: ms(r.lastReadAt) }]));
  }

  async setRole(id, member, role) {
    await (await this.conv(id)).updateMemberRole(member, role);
  }

  async roles(id) {
    const infos = await (await this.conv(id)).getAllMemberInfo({ noCache: true });
    return Object.fromEntries(infos.map(info => [info.memberId, info.role]));
  }

  async silence(id, members) {
    const { successfulClientIds, failures } = await (await this.conv(id)).muteMembers(members);
    return partial(successfulClientIds, failures);
  }

  async unsilence(id, members) {
    const { successfulClientIds, failures } = await (await this.conv(id)).unmuteMembers(members);
    return partial(successfulClientIds, failures);
  }

  async silenced(id, page = {}) {
    const { results, next } = await (await this.conv(id)).queryMutedMembers(page);
    return { members: sorted(results), next: next || '' };
  }

  async block(id, members) {
    const { successfulClientIds, failures } = await (await this.conv(id)).blockMembers(members);
    return partial(successfulClientIds, failures);
  }

  async unblock(id, members) {
    const { successfulClientIds, failures } = await (await this.conv(id)).unblockMembers(members);
    return partial(successfulClientIds, failures);
  }

  async blocked(id, page = {}) {
    const { results, next } = await (await this.conv(id)).queryBlockedMembers(page);
    return { members: sorted(results), next: next || '' };
  }

  async download(url) {
    const answer = await fetch(url);
    if (answer.status !== 200) throw new Error(`${url}: ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer()).toString('base64');
  }
}

function partial(done, failures) {
  return { done: sorted(done), failed: failures.map(f => ({ code: f.code, members: sorted(f.clientIds) })) };
}

// redPacket is a message type of an app.
function redPacket(sdk) {
  class RedPacket extends sdk.TypedMessage {}
  sdk.messageType(1)(RedPacket);
  sdk.messageField(['amount'])(RedPacket);
  return RedPacket;
}

module.exports = { JSPerson };
