'use strict';

const { assert, event, env, name, until, collect } = require('../harness');

// storage returns a fresh storage SDK, pointed at the server.
function storage() {
  for (const key of Object.keys(require.cache)) {
    if (/node_modules\/leancloud-storage\//.test(key)) delete require.cache[key];
  }
  const AV = require('leancloud-storage');
  AV.init({ appId: env.appId, appKey: env.appKey, serverURL: env.server });
  return AV;
}

// rich returns a client on a device with the typed messages plugin.
async function rich(context, id) {
  const AV = storage();
  const { realtime, sdk } = context.device();
  const types = require('leancloud-realtime-plugin-typed-messages')(AV, sdk);
  types.TypedMessagesPlugin.messageClasses.forEach(Class => realtime.register(Class));
  const client = await realtime.createIMClient(id);
  context.later(() => client.close());
  return { AV, sdk, types, client };
}

const bytes = Buffer.from('the bytes of a picture that is none');

async function get(url) {
  const res = await fetch(url);
  assert.strictEqual(res.status, 200, url);
  return Buffer.from(await res.arrayBuffer());
}

module.exports = {
  'AV.File is saved and read back': async () => {
    const AV = storage();
    const file = new AV.File('猫 cat.png', { base64: bytes.toString('base64') }, 'image/png');
    await file.save();
    assert.ok(file.id);
    assert.deepStrictEqual(await get(file.url()), bytes);
    const again = await AV.File.createWithoutData(file.id).fetch();
    assert.strictEqual(again.url(), file.url());
    assert.strictEqual(again.name(), '猫 cat.png');
  },

  'AV.File.withURL': async () => {
    const AV = storage();
    const file = AV.File.withURL('萌妹子', 'http://pic.example/cat.gif');
    await file.save();
    assert.ok(file.id);
    assert.strictEqual(file.url(), 'http://pic.example/cat.gif');
  },

  'image, audio, video, file and location': async context => {
    const tom = await rich(context, name('tom'));
    const jerry = await rich(context, name('jerry'));
    const conv = await tom.client.createConversation({ members: [jerry.client.id] });
    const seen = collect(jerry.client, [jerry.sdk.Event.MESSAGE]);
    const file = new tom.AV.File('cheese.png', { base64: bytes.toString('base64') }, 'image/png');
    await file.save();
    const kinds = ['ImageMessage', 'AudioMessage', 'VideoMessage', 'FileMessage'];
    for (const kind of kinds) {
      const message = new tom.types[kind](file);
      message.setText('发自我的小米');
      message.setAttributes({ location: '旧金山' });
      await conv.send(message);
    }
    await conv.send(new tom.types.LocationMessage(new tom.AV.GeoPoint(39.9, 116.4)));
    await until(() => seen.length === 5, 'five messages');
    // While the SDK fetches an unknown conversation it may overtake itself.
    seen.sort((a, b) => a.args[0].timestamp - b.args[0].timestamp);
    for (let i = 0; i < kinds.length; i += 1) {
      const [message] = seen[i].args;
      assert.ok(message instanceof jerry.types[kinds[i]], kinds[i]);
      assert.strictEqual(message.text, '发自我的小米');
      assert.deepStrictEqual(message.attributes, { location: '旧金山' });
      assert.strictEqual(message.getFile().name(), 'cheese.png');
      assert.deepStrictEqual(await get(message.getFile().url()), bytes);
    }
    const [place] = seen[4].args;
    assert.strictEqual(place.getLocation().latitude, 39.9);
    const images = await conv.queryMessages({ type: -2 });
    assert.strictEqual(images.length, 1);
  },

  'an image from Go': async context => {
    const { client, sdk, types } = await rich(context, name('jerry'));
    const heard = event(client, sdk.Event.MESSAGE);
    const sent = await context.go('sendImage', { from: name('go'), to: client.id, text: 'from Go', data: bytes.toString('base64'), name: 'go.png' });
    const [message] = await heard;
    assert.ok(message instanceof types.ImageMessage);
    assert.strictEqual(message.id, sent.id);
    assert.strictEqual(message.text, 'from Go');
    assert.strictEqual(message.getFile().name(), 'go.png');
    assert.strictEqual(message.getFile().metaData('size'), bytes.length);
    assert.deepStrictEqual(await get(message.getFile().url()), bytes);
  },

  'an image to Go': async context => {
    const { client, types, AV } = await rich(context, name('tom'));
    const id = name('go');
    await context.go('open', { id });
    const conv = await client.createConversation({ members: [id] });
    const file = new AV.File('js.png', { base64: bytes.toString('base64') }, 'image/png');
    await file.save();
    const message = new types.ImageMessage(file);
    message.setText('from JavaScript');
    const sent = await conv.send(message);
    const got = await context.go('nextMessage', { id });
    assert.strictEqual(got.id, sent.id);
    assert.strictEqual(got.text, 'from JavaScript');
    assert.strictEqual(got.type, -2);
    assert.strictEqual(got.file.name, 'js.png');
    assert.strictEqual(Buffer.from(got.file.data, 'base64').toString(), bytes.toString());
  },
};
