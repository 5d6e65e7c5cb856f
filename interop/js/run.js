// Usage: node run.js (rc8|v4) cases/file.js...
'use strict';

const path = require('path');
const { run, uncaught } = require('./harness');

const [version, ...files] = process.argv.slice(2);
process.on('unhandledRejection', error => {
  uncaught.push((error && error.message) || String(error));
  process.stderr.write(`unhandled rejection: ${(error && error.stack) || error}\n`);
});
run(version, files.map(file => require(path.resolve(file))));
