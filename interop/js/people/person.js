// People: the clients of the cases that run in every direction. A person does
// what it is told and tells what it hears in one form, whether the official SDK
// is behind it or the Go SDK, so that a case is written once.
//
// Times are numbers (milliseconds, 0: none), dates in attributes are Date
// objects, binary data is base64, lists of members are sorted.
'use strict';

const assert = require('assert');

const PATIENCE = 15000;

// Person keeps what was heard, in order, until a case asks for it.
class Person {
  constructor() {
    this.heard = [];
    this.waiting = [];
  }

  hear(event) {
    const index = this.waiting.findIndex(w => fits(event, w));
    if (index < 0) this.heard.push(event);
    else this.waiting.splice(index, 1)[0].resolve(event);
  }

  // next resolves with the first event of a name that has the given fields and
  // that no call before has got.
  next(event, fields = {}) {
    const wanted = { event, fields };
    const index = this.heard.findIndex(e => fits(e, wanted));
    if (index >= 0) return Promise.resolve(this.heard.splice(index, 1)[0]);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiting = this.waiting.filter(w => w !== wanted);
        const heard = this.heard.map(e => JSON.stringify(e)).join('\n  ');
        reject(new Error(`${this.id} never heard ${event} ${JSON.stringify(fields)}, but\n  ${heard}`));
      }, PATIENCE);
      wanted.resolve = value => {
        clearTimeout(timer);
        resolve(value);
      };
      this.waiting.push(wanted);
    });
  }

  // count is how many such events wait to be asked for.
  count(event, fields = {}) {
    return this.heard.filter(e => fits(e, { event, fields })).length;
  }

  forget() {
    this.heard = [];
  }
}

function fits(event, { event: name, fields }) {
  return event.event === name && Object.keys(fields).every(key => equal(event[key], fields[key]));
}

function equal(a, b) {
  try {
    assert.deepStrictEqual(a, b);
    return true;
  } catch (e) {
    return false;
  }
}

module.exports = { Person };
