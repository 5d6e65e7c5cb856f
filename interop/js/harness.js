// The harness of the interop cases: runs cases with one version of the official
// SDK, and talks to the Go test that started it.
//
// Standard output carries one JSON object a line:
//   {"case", "capability", "way", "ms"}           a case that passed
//   {"case", "capability", "way", "ms", "error"}  a case that failed
// with "lacks", why the version cannot do it, when the case has shown that.
//   {"call": id, "method", "args"}                a request to the Go side
// Standard input carries {"id", "result"} or {"id", "error", "code"}, and what
// the Go people hear: {"person": key, "event": {}}.
'use strict';

const assert = require('assert');
const readline = require('readline');
const { env, load, device, storage } = require('./device');
const { JSPerson } = require('./people/js');
const { GoPerson } = require('./people/go');

const CASE_TIMEOUT = 30000;

// Ways: who acts, and who sees it.
const JS_TO_JS = 'JS → JS';
const JS_TO_GO = 'JS → Go';
const GO_TO_JS = 'Go → JS';

// ---- declaring cases

// both is a case that runs in every direction, or only in those with a Go side if
// the test wants that: a makes people of the acting side, b of the other one.
//
// options.lacks tells what cannot be done: a list of {version, ways, why,
// error}; version and ways default to all. The case still runs and must fail
// with an error that matches, so that the declaration cannot outlive its truth.
function both(capability, title, body, options = {}) {
  const ways = process.env.RTM_GO_ONLY ? [JS_TO_GO, GO_TO_JS] : [JS_TO_JS, JS_TO_GO, GO_TO_JS];
  return ways.map(way => ({ capability, title: `${title}, ${way}`, way, body, ...options }));
}

// js is a case about the official SDK alone.
function js(capability, title, body, options = {}) {
  return [{ capability, title, way: JS_TO_JS, body, ...options }];
}

// ---- the Go side

let nextKey = 1;
const waiting = new Map();
const goPeople = new Map();

function go(method, args = {}) {
  const id = nextKey++;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    print({ call: id, method, args: encode(args) });
  });
}

const bridge = {
  call: go,
  person: person => {
    const key = nextKey++;
    goPeople.set(key, person);
    return key;
  },
};

function listenToGo() {
  readline.createInterface({ input: process.stdin }).on('line', line => {
    const message = decode(JSON.parse(line));
    if (message.person) {
      goPeople.get(message.person).hear(message.event);
      return;
    }
    const call = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error) call.reject(Object.assign(new Error(`go: ${message.error}`), { code: message.code }));
    else call.resolve(message.result);
  });
}

// Dates cross the bridge as {"$date": ms}.
function encode(value) {
  if (value instanceof Date) return { $date: value.getTime() };
  if (Array.isArray(value)) return value.map(encode);
  if (!value || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, encode(v)]));
}

function decode(value) {
  if (Array.isArray(value)) return value.map(decode);
  if (!value || typeof value !== 'object') return value;
  if (value.$date !== undefined) return new Date(value.$date);
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, decode(v)]));
}

function print(value) {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

// ---- waiting for events of the SDK itself

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
async function until(condition, what = 'condition', ms = 15000) {
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

// meet lets a person make a conversation with others and waits until all have
// been told. Then nobody fetches it any more: the official SDK merges a fetch
// with an equal one in flight, which may be older than what is looked for.
async function meet(person, others, options = {}) {
  const conv = await person.create({ members: others.map(p => p.id), unique: false, ...options });
  for (const other of [person, ...others]) {
    await other.next('invited', { conv });
    await other.next('membersjoined', { conv });
  }
  return conv;
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

// uncaught are the errors of this process that nobody has caught: without the
// harness, each would have ended it.
const uncaught = [];

async function runCase(version, { capability, title, way, body, lacks = [] }) {
  const result = { case: title, capability, way };
  const cleanup = [];
  // as: logs in as a client that is there already.
  const opener = kind => async (prefix, { as, ...options } = {}) => {
    const id = as || name(prefix);
    const person = kind === 'Go' ? await GoPerson.open(bridge, id, options) : await JSPerson.open(version, id, options);
    cleanup.push(() => person.close());
    return person;
  };
  const context = {
    version,
    way,
    env,
    go,
    a: opener(way === GO_TO_JS ? 'Go' : 'JS'),
    b: opener(way === JS_TO_GO ? 'Go' : 'JS'),
    until,
    // server starts one for this case alone.
    server: options => go('startServer', options),
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
  }
  for (const fn of cleanup.reverse()) {
    try {
      await timeout(Promise.resolve(fn()), 3000);
    } catch (e) {
      // A client that the case has closed, cut or displaced cannot say goodbye.
    }
  }
  result.ms = Date.now() - start;
  const lack = lacks.find(l => (l.version || version) === version && (l.ways || [way]).includes(way));
  if (lack) {
    result.lacks = lack.why;
    if (!error) error = new Error(`this version is said to lack it (${lack.why}), but it is there`);
    else if (lack.error.test(error.message)) error = undefined;
  }
  if (error) result.error = (error && error.stack) || String(error);
  print(result);
}

// run executes cases for one SDK version and ends the process. Cases spend most
// of their time waiting for timers of the SDK, so several run at a time.
async function run(version, cases) {
  const AT_A_TIME = 6;
  listenToGo();
  const only = process.env.RTM_CASE && new RegExp(process.env.RTM_CASE);
  const queue = cases.flat(Infinity).filter(c => !only || only.test(c.title));
  const worker = async () => {
    while (queue.length) await runCase(version, queue.shift());
  };
  await Promise.all([...Array(AT_A_TIME)].map(worker));
  process.exit(0);
}

module.exports = {
  JS_TO_JS, JS_TO_GO, GO_TO_JS,
  assert, both, js, load, device, storage, go, bridge, event, collect, sleep, until, fails, name, meet, run, uncaught, env, listenToGo,
};
