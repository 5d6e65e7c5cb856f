// One side of the comparison of speeds: the official SDK at work.
//
// Usage: node versus.js (rc8|v4) (send|receive) conversation count warmup inFlight
//
// It prints {"ready": true} when it is logged in, and at the end
// {"count": n, "seconds": s, "cpu": s}: what came after the warm-up, the time it
// took, and the CPU time of this process meanwhile.
'use strict';

const { device } = require('./device');

const [version, work, conversation, ...numbers] = process.argv.slice(2);
const [count, warmup, inFlight] = numbers.map(Number);
const text = process.env.RTM_TEXT;

const print = value => process.stdout.write(`${JSON.stringify(value)}\n`);

// stopwatch starts and returns what is to be called at the end.
function stopwatch() {
  const cpu = process.cpuUsage();
  const start = process.hrtime.bigint();
  return () => {
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const { user, system } = process.cpuUsage(cpu);
    return { count, seconds, cpu: (user + system) / 1e6 };
  };
}

// send sends n messages, so many at a time.
async function send(sdk, conv, n) {
  let begun = 0;
  const worker = async () => {
    while (begun < n) {
      begun += 1;
      await conv.send(new sdk.TextMessage(text));
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
}

async function main() {
  const { sdk, realtime } = device(version);
  const client = await realtime.createIMClient(work === 'send' ? 'sender' : 'receiver');
  if (work === 'send') {
    const conv = await client.getConversation(conversation);
    print({ ready: true });
    await send(sdk, conv, warmup);
    const stop = stopwatch();
    await send(sdk, conv, count);
    print(stop());
  } else {
    await new Promise((resolve, reject) => {
      let received = 0;
      let stop;
      client.on(sdk.Event.MESSAGE, message => {
        if (message.text !== text) reject(new Error(`received ${message.text}`));
        received += 1;
        if (received === warmup) stop = stopwatch();
        if (received === warmup + count) {
          print(stop());
          resolve();
        }
      });
      print({ ready: true });
    });
  }
  await client.close();
}

main().then(
  () => process.exit(0),
  error => {
    process.stderr.write(`${(error && error.stack) || error}\n`);
    process.exit(1);
  }
);
