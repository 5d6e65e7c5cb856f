// Two people in two windows of a browser, and the bot: what they type, what they
// choose with the mouse, and what they must see.
//
// The test in Go starts the server and the browser, runs this script with their
// addresses, and reads one JSON object a line from standard output:
//   {"case": name, "ms": n}                 a case that passed
//   {"case": name, "ms": n, "error": text}  the case that failed, after which it ends
'use strict';

const assert = require('assert');
const path = require('path');
const zlib = require('zlib');
const { chromium } = require('playwright-core');

const env = {
  page: process.env.WEBCHAT_URL,
  control: process.env.WEBCHAT_CONTROL, // address of what the test can do to the server
  browser: process.env.WEBCHAT_BROWSER, // address of its DevTools
  pictures: process.env.WEBCHAT_PICTURES, // directory for screenshots; may be empty
};
const PATIENCE = 60000; // milliseconds for anything to show

// ---- somebody in a window

class Person {
  constructor(name, context, page) {
    Object.assign(this, { name, context, page, said: 0 });
    this.console = [];
    page.on('console', line => this.console.push(line.text()));
    page.on('pageerror', error => this.console.push(`error: ${error.name} ${error.message} ${error.stack}`));
    page.setDefaultTimeout(PATIENCE);
  }

  async enter() {
    await this.page.goto(env.page);
    await this.page.fill('#name', this.name);
    await this.page.click('#door button');
    await this.state('connected');
  }

  state(...names) {
    return this.page.waitForSelector(names.map(name => `#state[data-state="${name}"]`).join(','));
  }

  async say(text) {
    await this.page.fill('#text', text);
    await this.page.press('#text', 'Enter');
    this.said += 1;
    return text;
  }

  // messages are what the window shows, from the top.
  messages() {
    return this.page.$$eval('#messages > li', items => items.map(item => ({
      id: item.dataset.id,
      from: item.dataset.from,
      text: [...item.querySelectorAll('.text')].map(p => p.textContent).join(),
      image: (item.querySelector('img') || { alt: '' }).alt,
    })));
  }

  // sees waits until a message of somebody shows.
  sees(from, text) {
    return this.page.locator(`#messages > li[data-from="${from}"]`).filter({ hasText: text }).first().waitFor();
  }

  // seesPicture waits until a picture of somebody has loaded, and measures it.
  async seesPicture(from) {
    const picture = await this.page.waitForSelector(`#messages > li[data-from="${from}"] img`);
    await this.page.waitForFunction(image => image.complete && image.naturalWidth > 0, picture);
    return picture.evaluate(image => [image.naturalWidth, image.naturalHeight]);
  }

  // seesCount waits until so many messages show and nothing waits to be sent.
  async seesCount(count) {
    await this.page
      .waitForFunction(n => document.querySelectorAll('#messages > li').length >= n
        && !document.querySelector('#waiting > li'), count)
      .catch(async error => {
        const waiting = await this.page.$$eval('#waiting > li', items => items.map(item => item.textContent));
        throw new Error(`${this.name} sees ${(await this.messages()).length} of ${count}, waiting: ${waiting}: ${error.message}`);
      });
  }

  // cut ends this window's connection to the server, from the server's side.
  cut() {
    return control(`cut?agent=${this.name}`);
  }

  async screenshot(name) {
    if (env.pictures) await this.page.screenshot({ path: path.join(env.pictures, `${name}.png`) });
  }
}

// control lets the test do something to the server.
async function control(what) {
  const answer = await fetch(`${env.control}/${what}`);
  const text = await answer.text();
  assert.strictEqual(answer.status, 200, text);
  return JSON.parse(text);
}

// picture is a PNG of one colour.
function picture(width, height) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc32(body), body.length + 4);
    return out;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8); // eight bits for each of red, green and blue
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, Buffer.from([240, 120, 60]))]);
  const rows = Buffer.concat(Array(height).fill(row));
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header), chunk('IDAT', zlib.deflateSync(rows)), chunk('IEND', Buffer.alloc(0)),
  ]);
}

function crc32(data) {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

// ---- the story

const BOT = 'Robot';
const WELCOMES = 2;

async function story(browser, run) {
  const open = async (name, options) => {
    const context = await browser.newContext({ userAgent: name, viewport: { width: 760, height: 620 }, ...options });
    return new Person(name, context, await context.newPage());
  };
  const people = [];
  const tom = await open('Tom');
  const jerry = await open('Jerry', { viewport: { width: 390, height: 720 }, isMobile: true, hasTouch: true });
  people.push(tom, jerry);

  // Everything that a person says is answered by the bot once.
  const expected = () => WELCOMES + 2 * people.reduce((sum, person) => sum + person.said, 0);
  const settle = () => Promise.all(people.map(person => person.seesCount(expected())));
  // same checks that both see the same, each message once, in the same order.
  const same = async () => {
    await settle();
    const [one, other] = await Promise.all(people.map(person => person.messages()));
    assert.deepStrictEqual(one, other);
    const ids = one.map(message => message.id);
    assert.strictEqual(new Set(ids).size, ids.length, 'a message shows twice');
    assert.strictEqual(ids.length, expected());
    return one;
  };
  // inOrder checks that everybody's messages stand in the order in which they were
  // written, and the bot's answers in the order of what they answer.
  const inOrder = (messages, from, texts) => {
    const answers = texts.map(text => `${from} said: ${text}`);
    const own = messages.filter(message => message.from === from && texts.includes(message.text));
    const bots = messages.filter(message => message.from === BOT && answers.includes(message.text));
    assert.deepStrictEqual(own.map(message => message.text), texts);
    assert.deepStrictEqual(bots.map(message => message.text), answers);
  };

  const say = async (person, count, what) => {
    const texts = [];
    for (let i = 1; i <= count; i += 1) texts.push(await person.say(`${person.name}, ${what} ${i}`));
    return texts;
  };

  try {
    await run('enter', async () => {
      await tom.page.goto(env.page);
      await tom.screenshot('door');
      await jerry.page.goto(env.page);
      await jerry.screenshot('door-phone');
      await tom.enter();
      await tom.sees(BOT, 'Welcome, Tom!');
      await jerry.enter();
      await Promise.all(people.map(person => person.sees(BOT, 'Welcome, Jerry!')));
      await same();
    });

    await run('text', async () => {
      await tom.say('你好 <b>Jerry</b>');
      await jerry.sees('Tom', '你好 <b>Jerry</b>');
      await jerry.sees(BOT, 'Tom said: 你好 <b>Jerry</b>');
      await jerry.say('Hello Tom');
      await tom.sees('Jerry', 'Hello Tom');
      await tom.sees(BOT, 'Jerry said: Hello Tom');
      await same();
    });

    await run('image', async () => {
      const data = picture(64, 48);
      await jerry.page.setInputFiles('#picture', { name: 'orange.png', mimeType: 'image/png', buffer: data });
      jerry.said += 1;
      for (const person of people) {
        assert.deepStrictEqual(await person.seesPicture('Jerry'), [64, 48]);
        await person.sees(BOT, `Nice picture, Jerry: orange.png is a png of 64 × 48 pixels in ${data.length} bytes.`);
      }
      await same();
    });

    await run('image from the bot', async () => {
      await tom.say('Draw me something');
      for (const person of people) assert.deepStrictEqual(await person.seesPicture(BOT), [320, 200]);
      await same();
      await tom.screenshot('room');
      await jerry.screenshot('room-phone');
    });

    await run('offline', async () => {
      await jerry.context.setOffline(true);
      await jerry.state('offline');
      // More than one page of the history, with the answers.
      const missed = await say(tom, 30, 'while you are away');
      const written = await say(jerry, 3, 'in the tunnel');
      await tom.seesCount(expected() - 2 * written.length);
      assert.strictEqual(await jerry.page.locator('#waiting > li').count(), written.length);
      await jerry.screenshot('offline-phone');
      await jerry.context.setOffline(false);
      await jerry.state('connected');
      const messages = await same();
      inOrder(messages, 'Tom', missed);
      inOrder(messages, 'Jerry', written);
    });

    await run('cut', async () => {
      const texts = [];
      // Both talk while the server cuts one of them off, and again when he is back.
      const [toms, jerrys] = await Promise.all([
        say(tom, 20, 'in between'),
        (async () => {
          for (let i = 1; i <= 2; i += 1) {
            texts.push(...await say(jerry, 8, `before cut ${i}:`));
            await jerry.cut();
            texts.push(...await say(jerry, 8, `after cut ${i}:`));
            await jerry.state('connected');
          }
          return texts;
        })(),
      ]);
      const messages = await same();
      inOrder(messages, 'Tom', toms);
      inOrder(messages, 'Jerry', jerrys);
    });

    await run('reload', async () => {
      await tom.page.reload();
      await tom.state('connected');
      for (;;) {
        await tom.page.waitForSelector('#messages > li');
        const count = (await tom.messages()).length;
        if (count >= expected()) break;
        await tom.page.click('#earlier');
        await tom.page.waitForFunction(n => document.querySelectorAll('#messages > li').length > n, count);
      }
      const seen = (await same()).map(({ id, from, text }) => ({ id, from, text }));
      assert.deepStrictEqual(seen, await control('history'), 'what both see is what the server has');
    });

    // Not after a restart: told that the server goes, the SDK asks for another one,
    // and leaves it uncaught that there is none for a moment.
    await run('no errors', async () => {
      for (const person of people) {
        const errors = person.console.filter(line => /^error|Content Security Policy/.test(line));
        assert.deepStrictEqual(errors, [], `${person.name}'s console`);
      }
    });

    await run('restart', async () => {
      await control('restart');
      await Promise.all(people.map(person => person.state('gone')));
      await jerry.screenshot('gone-phone');
      await Promise.all(people.map(person => person.page.reload()));
      await Promise.all(people.map(person => person.sees(BOT, `Welcome, ${person.name}!`)));
    });
  } catch (error) {
    for (const person of people) {
      process.stderr.write(`${person.name}'s console:\n  ${person.console.join('\n  ')}\n`);
      await person.screenshot(`failed-${person.name}`).catch(() => {});
    }
    throw error;
  }
}

async function main() {
  const browser = await chromium.connectOverCDP(env.browser);
  let failed = false;
  const run = async (title, body) => {
    const start = Date.now();
    const result = { case: title };
    try {
      await body();
    } catch (error) {
      result.error = error.stack || String(error);
      throw error;
    } finally {
      result.ms = Date.now() - start;
      process.stdout.write(`${JSON.stringify(result)}\n`);
    }
  };
  try {
    await story(browser, run);
  } catch (error) {
    process.stderr.write(`${error.stack || error}\n`);
    failed = true;
  }
  process.exit(failed ? 1 : 0); // the browser belongs to the test in Go
}

main();
