// A person behind whom is the Go SDK, in the test that started the scripts.
'use strict';

const { Person } = require('./person');

// What a Go person can be told. Each takes the arguments of the method of the
// same name of the person behind whom is the official SDK.
const methods = [
  'close', 'pause', 'resume', 'ping', 'create', 'conversation', 'conversations', 'send', 'update', 'recall', 'history', 'iterate',
  'query', 'find', 'add', 'remove', 'join', 'quit', 'subscribe', 'unsubscribe', 'save', 'mute', 'unmute', 'chatters', 'read', 'receipts', 'memberReceipts',
  'setRole',
  'roles', 'silence', 'unsilence', 'silenced', 'block', 'unblock', 'blocked', 'download',
];

class GoPerson extends Person {
  static async open(bridge, name, options = {}) {
    const person = new GoPerson();
    const { beside, at, ...rest } = options;
    person.key = bridge.person(person);
    person.bridge = bridge;
    const wants = { ...rest, name, beside: beside && beside.key, at: at && at.name };
    ({ id: person.id } = await bridge.call('open', { person: person.key, args: [wants] }));
    return person;
  }
}

methods.forEach(method => {
  GoPerson.prototype[method] = function call(...args) {
    return this.bridge.call(method, { person: this.key, args });
  };
});

module.exports = { GoPerson };
