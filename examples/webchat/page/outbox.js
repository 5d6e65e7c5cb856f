// What was written and is not sent yet. It leaves in the order in which it was
// written, one at a time, whenever there is a connection.
//
// The SDK gives each message an id of its own before it is sent, which goes to
// the server as its token: sending the same message object again, because the
// connection was lost before the answer came, stores it once. The id is also
// written into the attributes, so that the history can tell that a message whose
// answer was lost has arrived.

const PAUSE = 1000; // milliseconds between attempts of what failed for no clear reason

export class Outbox {
  entries = []; // { text, file, message, state: 'waiting' | 'sending' | 'failed', error }
  #flushing = false;

  // link: { prepare(entry), send(message), connected(), lost(), sent(message), changed() }.
  // prepare uploads a file and returns the message; lost returns a promise that
  // is rejected when the connection is lost.
  constructor(link) {
    this.link = link;
  }

  add(entry) {
    this.entries.push({ ...entry, state: 'waiting' });
    this.link.changed();
    this.flush();
  }

  // arrived drops the entry of a message that the history shows.
  arrived(token) {
    const entry = this.entries.find(e => e.message && token && e.message.getAttributes().token === token);
    if (entry) this.#drop(entry);
  }

  // retry gives what was refused another chance.
  retry(entry) {
    entry.state = 'waiting';
    this.link.changed();
    this.flush();
  }

  async flush() {
    if (this.#flushing) return; // it goes on until nothing is left or the connection is lost
    this.#flushing = true;
    try {
      for (;;) {
        const entry = this.entries.find(e => e.state === 'waiting');
        if (!entry || !this.link.connected()) return;
        await this.#attempt(entry);
      }
    } finally {
      this.#flushing = false;
    }
  }

  async #attempt(entry) {
    const lost = this.link.lost();
    const change = state => {
      entry.state = state;
      this.link.changed();
    };
    change('sending');
    try {
      entry.message = entry.message || (await Promise.race([this.link.prepare(entry), lost]));
      const message = await Promise.race([this.link.send(entry.message), lost]);
      this.#drop(entry);
      this.link.sent(message);
    } catch (error) {
      if (!this.entries.includes(entry)) return; // the history was faster than the answer
      if (error.code > 0) { // the server, or the storage, refused
        entry.error = error.message;
        change('failed');
        return;
      }
      change('waiting');
      if (this.link.connected()) await new Promise(resolve => setTimeout(resolve, PAUSE));
    }
  }

  #drop(entry) {
    this.entries = this.entries.filter(e => e !== entry);
    this.link.changed();
  }
}
