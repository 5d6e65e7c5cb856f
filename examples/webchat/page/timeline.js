// What was said, each message once, in the order of the server: by time, and by
// id within one millisecond. Messages may be added in any order and any number
// of times, as they come from pushes, from history and from sending.

export class Timeline {
  #ids = new Set();
  #sorted = [];

  // add returns where a message was put, or -1 if it was there already.
  add(message) {
    if (this.#ids.has(message.id)) return -1;
    this.#ids.add(message.id);
    let at = this.#sorted.length;
    while (at > 0 && isLater(this.#sorted[at - 1], message)) at -= 1;
    this.#sorted.splice(at, 0, message);
    return at;
  }

  get first() {
    return this.#sorted[0];
  }
}

// isLater says whether message a comes after message b.
export function isLater(a, b) {
  const difference = a.timestamp - b.timestamp;
  return difference > 0 || (difference === 0 && a.id > b.id);
}
