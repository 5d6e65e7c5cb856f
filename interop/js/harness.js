// The harness of the interop cases: loads a version of the official SDK as it
// came from the registry, runs the cases of one file in order, and talks to
// the Go test that started it.
//
// Standard output carries one JSON object a line:
//   {"case": name, "ms": n}                 a case that passed
//   {"case": name, "ms": n, "error": text}  a case that failed
//   {"call": id, "method": m, "args": {}}   a request to the Go side
// Standard input carries the answers: {"id": id, "result": …} or {"id": id, "error": text}.
'use strict';

const assert = require('assert');
const readline = require('readline');

const CASE_TIMEOUT = 25000;

const packages = { rc8: 'leancloud-realtime', v4: 'leancloud-realtime-4' };

// load returns a fresh copy of an SDK version. The SDK allows one Realtime per
// app and module instance, so every copy counts as a device of its own.
function load(version) {
  const pattern = /node_modules\/(leancloud-realtime|leancloud-realtime-4|leancloud-realtime-plugin-typed-messages)\//;
  for (const key of Object.keys(require.cache)) {
    if (pattern.test(key)) delete require.cache[key];
  }
  return require(packages[version]);
}

const env = {
  appId: process.env.RTM_APP_ID,
  appKey: process.env.RTM_APP_KEY,
  masterKey: process.env.RTM_MASTER_KEY,
  server: process.env.RTM_SERVER,
  socket: process.env.RTM_SOCKET,
  tlsServer: process.env.RTM_TLS_SERVER,
};

// device returns a Realtime of the version under test, pointed at the server.
// 4.3.1 writes https before a server name: it gets the socket URL for the
// socket and the TLS listener for REST.
function device(version, options = {}) {
  const sdk = load(version);
  const where =
    version === 'v4'
      ? { server: env.tlsServer.replace(/^https:\/\//, ''), RTMServers: env.socket, region: 'cn' }
      : { server: env.server };
  const realtime = new sdk.Realtime({
    appId: env.appId,
    appKey: env.appKey,
    ...where,
    ...options,
  });
  return { sdk, realtime };
}

// ---- the Go side

let nextCall = 1;
const waiting = new Map();

function go(method, args = {}) {
  const id = nextCall++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    print({ call: id, method, args });
  });
}

function listenToGo() {
  const lines = readline.createInterface({ input: process.stdin });
  lines.on('line', line => {
    const answer = JSON.parse(line);
    const call = waiting.get(answer.id);
    if (!call) return;
    waiting.delete(answer.id);
    if (answer.error) call.reject(new Error(`go: ${answer.error}`));
    else call.resolve(answer.result);
  });
}

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

// ---- waiting for events

// event resolves with the arguments of the next event that match accepts.
function event(emitter, name, match = () => true) {
  return new Promise(resolve => {
    const listener = (...args) => {
      if (!match(...args)) return;
      emitter.removeListener(name, listener);
      resolve(args);
    };
    emitter.on(name, listener);
  });
}

// collect keeps every event of the given names, in order.
function collect(emitter, names) {
  const seen = [];
  names.forEach(name => emitter.on(name, (...args) => seen.push({ name, args })));
  return seen;
}

const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

// until polls a condition that has no event of its own.
async function until(condition, what = 'condition', ms = 10000) {
  const end = Date.now() + ms;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out waiting for ${what}`);
    await sleep(20);
  }
}

// fails asserts that a promise rejects with a code of the protocol.
async function fails(promise, code) {
  let error;
  try {
    await promise;
  } catch (e) {
    error = e;
  }
  assert(error, `expected failure ${code}, got success`);
  if (code !== undefined) assert.strictEqual(error.code, code, `${error.name}: ${error.message}`);
  return error;
}

let unique = 0;
// name returns an id that no other case uses.
const name = prefix => `${prefix}-${process.pid.toString(36)}-${(unique++).toString(36)}`;

// ---- running

function timeout(promise, ms) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no result within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// run executes the cases of one file for one SDK version and ends the process.
async function run(version, cases) {
  listenToGo();
  const only = process.env.RTM_CASE && new RegExp(process.env.RTM_CASE);
  let failed = 0;
  for (const [title, body] of Object.entries(cases)) {
    if (only && !only.test(title)) continue;
    const cleanup = [];
    const context = {
      version,
      env,
      go,
      device: options => device(version, options),
      // client logs in on a device of its own and leaves when the case ends.
      client: async (id, clientOptions, options) => {
        const { sdk, realtime } = device(version, options);
        const client = await realtime.createIMClient(id, clientOptions);
        cleanup.push(() => client.close());
        return Object.assign(client, { sdk, realtime });
      },
      later: fn => cleanup.push(fn),
    };
    const start = Date.now();
    let error;
    try {
      await timeout(Promise.resolve(body(context)), CASE_TIMEOUT);
    } catch (e) {
      error = e;
      failed += 1;
    }
    for (const fn of cleanup.reverse()) {
      try {
        await timeout(Promise.resolve(fn()), 3000);
      } catch (e) {
        // A client that the case has closed, cut or displaced cannot say goodbye.
      }
    }
    const result = { case: title, ms: Date.now() - start };
    if (error) result.error = (error && error.stack) || String(error);
    print(result);
  }
  process.exit(failed ? 1 : 0);
}

module.exports = { assert, load, device, go, event, collect, sleep, until, fails, name, run, env };
