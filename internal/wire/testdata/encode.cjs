// Encodes commands.json with the schema and the encoder of the official
// JavaScript SDK, so that the vectors are not our own word for it:
//
//	npm install --no-save leancloud-realtime@5.0.0-rc.8 && node encode.cjs
//
// The result, commands.hex, has one line per command: its frame and its name.
const fs = require('fs');
const path = require('path');
const { GenericCommand } = require('leancloud-realtime').Protocols;

const file = (name) => path.join(__dirname, name);

// The encoder wants bytes as buffers.
const revive = (key, value) => (key === 'binaryMsg' ? Buffer.from(value, 'base64') : value);

const commands = JSON.parse(fs.readFileSync(file('commands.json'), 'utf8'), revive);
const lines = commands.map(({ name, command }) => `${new GenericCommand(command).toBuffer().toString('hex')} ${name}`);
fs.writeFileSync(file('commands.hex'), `${lines.join('\n')}\n`);
