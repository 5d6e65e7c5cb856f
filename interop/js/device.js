// Devices: copies of the official SDK, as it came from the registry, pointed at
// a server.
'use strict';

// env is the server that the test has started for the cases.
const env = {
  appId: process.env.RTM_APP_ID,
  appKey: process.env.RTM_APP_KEY,
  masterKey: process.env.RTM_MASTER_KEY,
  server: process.env.RTM_SERVER,
  socket: process.env.RTM_SOCKET,
  tlsServer: process.env.RTM_TLS_SERVER,
};

function forget(pattern) {
  Object.keys(require.cache).forEach(key => pattern.test(key) && delete require.cache[key]);
}

// load returns an SDK version.
function load(version) {
  return require(version === 'v4' ? 'leancloud-realtime-4' : 'leancloud-realtime');
}

// readmit lets there be more than one device of an app: rc.8 allows one Realtime
// per app and process, and keeps in an object which there were. What is set to
// nothing here is what it finds there instead. (A copy of the SDK for each device
// would do as well, and take most of the time of the tests.)
function readmit(appId) {
  Object.defineProperty(Object.prototype, appId, { get: () => undefined, set: () => {}, configurable: true });
}

// device returns a Realtime of a version, pointed at a server (at, else that of
// the cases), in everything over TLS if asked to. 4.3.1 writes https before a
// server name: it gets the socket URL for the socket and the TLS listener for
// REST.
function device(version, { at: where = env, tls = false, ...options } = {}) {
  const sdk = load(version);
  readmit(where.appId);
  const target = { server: tls ? where.tlsServer : where.server };
  if (version === 'v4') {
    target.server = where.tlsServer.replace(/^https:\/\//, '');
    if (!tls) target.RTMServers = where.socket;
  }
  const realtime = new sdk.Realtime({ appId: where.appId, appKey: where.appKey, ...target, ...options });
  return { sdk, realtime, where };
}

// storages are the copies of the storage SDK, by server; each knows one.
const storages = new Map();

function storage(where = env) {
  if (!storages.has(where.server)) {
    forget(/node_modules\/leancloud-storage\//);
    const AV = require('leancloud-storage');
    AV.init({ appId: where.appId, appKey: where.appKey, serverURL: where.server });
    storages.set(where.server, AV);
  }
  return storages.get(where.server);
}

module.exports = { env, load, device, storage };
