// The signature factories of a back end that has a master key.
'use strict';

const crypto = require('crypto');

// signers are the three factories. The versions of the SDK differ in the order
// of arguments for blocks and in what they call the conversation actions; what
// is signed is the same.
function signers(version, appId, masterKey) {
  const sign = (fields, action) => {
    const timestamp = Date.now();
    const nonce = crypto.randomBytes(8).toString('hex');
    const text = [...fields, timestamp, nonce, ...(action ? [action] : [])].join(':');
    return { signature: crypto.createHmac('sha1', masterKey).update(text).digest('hex'), timestamp, nonce };
  };
  const list = members => [...members].sort().join(':');
  const actions = { add: 'invite', remove: 'kick' };
  return {
    signatureFactory: id => sign([appId, id, '']),
    conversationSignatureFactory: (conv, id, members, action) =>
      conv ? sign([appId, id, conv, list(members)], actions[action] || action) : sign([appId, id, list(members)]),
    blacklistSignatureFactory: (...args) => {
      const [conv, id] = version === 'v4' ? [args[1], args[0]] : args;
      return sign([appId, id, conv, list(args[2])], args[3]);
    },
  };
}

module.exports = { signers };
