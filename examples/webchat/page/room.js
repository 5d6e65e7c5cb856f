// The room, on the official SDK: who we are, what comes in, what goes out, and
// what happens when the connection is lost.
//
// The SDK connects and logs in again by itself, and it pushes what is said from
// then on. What was said meanwhile has to be fetched. So the room remembers how
// far its knowledge reaches without a gap, its position: the latest message that
// the server pushed, or that was read from the history. (Not one that we sent: the
// answer to it may overtake another's message.) From there it reads on after
// every reconnect. Whatever comes twice on the way, the timeline drops.

/* global AV */
import { Outbox } from './outbox.js';
import { Timeline, isLater } from './timeline.js';

const PAGE = 50;
const PAUSE = 1000; // milliseconds before what failed is asked for again

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

export class Room {
  timeline = new Timeline();
  #position = null; // { id, timestamp }
  #behind = true; // there may be a gap after the position
  #connection = 0; // counts connections; a call of an earlier one means nothing any more
  #connected = false;
  #queries = 0;
  #lost = loss(); // of the current connection

  // on: { message(message, at), state(name, detail), outbox(entries), earlier(more) }
  constructor(settings, on) {
    this.settings = settings;
    this.on = on;
    AV.init({ appId: settings.appId, appKey: settings.appKey, serverURL: location.origin });
    this.types = AV.initTypedMessages(AV, AV);
    this.realtime = new AV.Realtime({
      appId: settings.appId,
      appKey: settings.appKey,
      server: location.origin,
      plugins: [this.types.TypedMessagesPlugin],
    });
    this.outbox = new Outbox({
      prepare: entry => this.#prepare(entry),
      send: message => this.conversation.send(message),
      connected: () => this.#connected && !this.#behind,
      lost: () => this.#lost.promise,
      sent: message => this.#show(message),
      changed: () => this.on.outbox(this.outbox.entries),
    });
  }

  // enter logs in under a name and joins the room.
  async enter(name) {
    this.on.state('connecting');
    const client = await this.realtime.createIMClient(name);
    try {
      this.conversation = await client.getConversation(this.settings.conversation);
      await this.conversation.join();
    } catch (error) {
      client.close().catch(() => {}); // that it has no connection may be why we are here
      throw error;
    }
    this.client = client;
    this.#connected = true;
    this.#listen();
    this.on.state('connected');
    this.#catchUp();
  }

  send(text) {
    this.outbox.add({ text });
  }

  sendPicture(file) {
    this.outbox.add({ file });
  }

  // earlier shows messages from before the first one.
  async earlier() {
    const { first } = this.timeline;
    const { NEW_TO_OLD } = AV.MessageQueryDirection;
    const page = await this.conversation.queryMessages({
      startTime: first.timestamp, startMessageId: first.id, direction: NEW_TO_OLD, limit: PAGE,
    });
    page.forEach(message => this.#show(message));
    this.on.earlier(page.length === PAGE);
  }

  #listen() {
    const { Event } = AV;
    this.client.on(Event.MESSAGE, (message, conversation) => {
      if (conversation.id === this.settings.conversation) this.#receive(message);
    });
    this.client.on(Event.DISCONNECT, () => {
      this.#connected = false;
      this.#behind = true;
      this.#connection += 1;
      this.#lost.reject(new Error('the connection was lost'));
      this.#lost = loss();
      this.on.state('disconnected');
    });
    this.client.on(Event.OFFLINE, () => this.on.state('offline'));
    this.client.on(Event.SCHEDULE, (attempt, delay) => this.on.state('waiting', delay));
    this.client.on(Event.RETRY, () => this.on.state('connecting'));
    this.client.on(Event.RECONNECT, () => {
      this.#connected = true;
      this.on.state('connected');
      this.#catchUp();
    });
    this.client.on(Event.CONFLICT, () => this.on.state('closed', 'logged in elsewhere'));
    this.client.on(Event.CLOSE, ({ reason } = {}) => this.on.state('closed', reason || 'closed by the server'));
    this.client.on(Event.RECONNECT_ERROR, error => this.on.state('closed', error.message));
  }

  // catchUp fetches what is after the position, as long as the connection lasts,
  // and lets the outbox go on then.
  async #catchUp() {
    const connection = this.#connection;
    const current = () => connection === this.#connection;
    while (this.#behind && current()) {
      try {
        const page = this.#position ? await this.#after(this.#position) : await this.#latest();
        if (!current()) return;
        page.messages.forEach(message => {
          this.#advance(message);
          this.#show(message);
        });
        this.#behind = page.more;
      } catch (error) {
        if (!current()) return;
        if (error.code > 0) { // a refusal: the server was restarted, and knows of nothing
          this.on.state('gone');
          return;
        }
        console.warn('cannot read the history yet:', error.message);
        await sleep(PAUSE);
      }
    }
    if (current()) this.outbox.flush();
  }

  // latest is the first look at the history.
  async #latest() {
    const limit = this.#limit();
    const messages = await this.conversation.queryMessages({
      direction: AV.MessageQueryDirection.NEW_TO_OLD, limit,
    });
    this.on.earlier(messages.length === limit);
    return { messages, more: false };
  }

  async #after(position) {
    const limit = this.#limit();
    const messages = await this.conversation.queryMessages({
      startTime: new Date(position.timestamp), startMessageId: position.id,
      direction: AV.MessageQueryDirection.OLD_TO_NEW, limit,
    });
    return { messages, more: messages.length === limit };
  }

  // The SDK takes a query that equals one without an answer for the same, also
  // when the other's connection is gone and no answer will ever come. A limit of
  // its own makes each query another.
  #limit() {
    this.#queries = (this.#queries + 1) % PAGE;
    return PAGE + this.#queries;
  }

  // receive takes a message that was pushed.
  #receive(message) {
    if (!this.#behind) this.#advance(message);
    this.#show(message);
  }

  #advance(message) {
    const { id, timestamp } = message;
    if (!this.#position || isLater(message, this.#position)) this.#position = { id, timestamp };
  }

  #show(message) {
    if (message.from === this.client.id && message.getAttributes) {
      this.outbox.arrived((message.getAttributes() || {}).token);
    }
    const at = this.timeline.add(message);
    if (at >= 0) this.on.message(message, at);
  }

  async #prepare({ text, file }) {
    const message = file ? new this.types.ImageMessage(await upload(file)) : new AV.TextMessage(text);
    message.setAttributes({ token: message.id });
    return message;
  }
}

// loss is a promise that is rejected when a connection is lost, by its reject.
function loss() {
  let reject;
  const promise = new Promise((_, no) => { reject = no; });
  promise.catch(() => {}); // nobody may be waiting
  return { promise, reject };
}

// upload stores a picture. Its size in pixels goes along, so that there is room
// for it before it has loaded.
async function upload(file) {
  const stored = new AV.File(file.name, file);
  const bitmap = await createImageBitmap(file).catch(() => null); // no picture that we can read
  if (bitmap) {
    stored.metaData('width', bitmap.width);
    stored.metaData('height', bitmap.height);
    bitmap.close();
  }
  return stored.save();
}
