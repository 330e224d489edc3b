// Answers questions about the kernels of the class's pages, a line each, in Node: `node.rs` asks them
// for the tests, and the example `browser` for the bench. An answer ends with an empty line.
//
// $MIDSTATE_MODULE names another module than the committed one.
'use strict';

const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { createInterface } = require('node:readline');
const { runInThisContext } = require('node:vm');

const pages = join(__dirname, '..', '..', '..', 'cli', 'class');
for (const name of ['rounds.js', 'kernel.js']) {
  const filename = join(pages, name);
  runInThisContext(readFileSync(filename, 'utf8'), { filename });
}
const path = process.env.MIDSTATE_MODULE || join(pages, 'kernel.wasm');
const kernels = {
  module: runInThisContext('openModule')(readFileSync(path)),
  script: runInThisContext('openScript')(),
};

const answers = {
  lanes: kernel => [kernel.lanes],
  'self-test': kernel => [kernel.selfTest()],
  // midstates,.. tail target first end: the hashes, then the hits as `midstate nonce hash`.
  scan(kernel, midstates, tail, target, first, end) {
    kernel.prepare({ midstates: midstates.split(','), tail, target });
    const { hashes, hits } = kernel.scan(Number(first), Number(end));
    return [hashes, ...hits.map(hit => [hit.midstate, hit.nonce, hit.hash].join(' '))];
  },
  // Scans what was prepared for so many milliseconds: hashes a second.
  window(kernel, milliseconds) {
    const begin = performance.now();
    let [hashes, first, passed] = [0, 0, 0];
    do {
      hashes += kernel.scan(first, first + 1024).hashes;
      first = (first + 1024) % 2 ** 32;
      passed = performance.now() - begin;
    } while (passed < Number(milliseconds));
    return [hashes * 1000 / passed];
  },
};

createInterface({ input: process.stdin }).on('line', line => {
  const [question, kernel, ...more] = line.split(' ');
  const answer = answers[question](kernels[kernel], ...more);
  process.stdout.write(answer.join('\n') + '\n\n');
});
