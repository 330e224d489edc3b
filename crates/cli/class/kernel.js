// The two kernels of a page behind one interface: the WebAssembly module (kernel.wasm, from
// crates/sha256d), and a script of plain numbers for browsers without vectors (rounds.js). Loaded by
// worker.js, and in Node by the tests and the bench.
//
// A kernel has `lanes`; `selfTest()`; `prepare({ midstates, tail, target })`, where a midstate is its
// eight words in hex, `tail` the header's bytes 64 to 75 in hex, and `target` a number in hex, highest
// digit first; and `scan(first, end)`, which hashes the nonces from `first` up to `end`, `end`
// excluded, and returns `{ hashes, hits: [{ midstate, nonce, hash }] }`, the hashes in hex as they
// stand in a header.
'use strict';

const MOST_MIDSTATES = 64;

const wordsOf = hex => hex.match(/.{8}/g).map(word => parseInt(word, 16) | 0);
const bytesOf = hex => Uint8Array.from(hex.match(/../g), byte => parseInt(byte, 16));
const hexOf = bytes => Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('');

// --- the module -------------------------------------------------------------------------------

// Where things lie in the module's buffer: `Buffer` in crates/sha256d/src/wasm/module.rs.
const TAIL = 32 * MOST_MIDSTATES;
const TARGET = TAIL + 12;
const FOUND = TARGET + 32;
const HITS = FOUND + 4;
const HIT_LENGTH = 40;
const MOST_HITS = 4 * MOST_MIDSTATES;

// The kernel of a module, from its bytes. Throws where the engine has no vectors.
function openModule(bytes) {
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(bytes));
  const start = exports.buffer();
  const view = () => new DataView(exports.memory.buffer, start);

  function hitsInto(hits) {
    const buffer = view();
    const bytes = new Uint8Array(exports.memory.buffer, start);
    for (let i = 0; i < buffer.getUint32(FOUND, true); i++) {
      const at = HITS + i * HIT_LENGTH;
      hits.push({
        midstate: buffer.getUint32(at, true),
        nonce: buffer.getUint32(at + 4, true),
        hash: hexOf(bytes.subarray(at + 8, at + 40)),
      });
    }
  }

  // What was found has to fit the buffer; in two halves it does, at last. They part where a batch
  // begins, or one would be hashed twice.
  function scanInto(hits, first, end) {
    const hashes = exports.scan(first, end);
    if (view().getUint32(FOUND, true) <= MOST_HITS) {
      hitsInto(hits);
      return hashes;
    }
    const middle = first - first % 4 + Math.ceil((end - first) / 8) * 4;
    return scanInto(hits, first, middle) + scanInto(hits, middle, end);
  }

  return {
    lanes: 4,
    selfTest: () => exports.self_test() === 1,
    prepare({ midstates, tail, target }) {
      const buffer = view();
      midstates.forEach((midstate, i) => wordsOf(midstate)
        .forEach((word, j) => buffer.setInt32(32 * i + 4 * j, word, true)));
      const bytes = new Uint8Array(exports.memory.buffer, start);
      bytes.set(bytesOf(tail), TAIL);
      bytes.set(bytesOf(target).reverse(), TARGET);
      if (exports.prepare(midstates.length) !== 1) {
        throw new Error(midstates.length + ' midstates, expected 1 to ' + MOST_MIDSTATES);
      }
    },
    scan(first, end) {
      const hits = [];
      return { hashes: scanInto(hits, first, Math.min(end, 2 ** 32)), hits };
    },
  };
}

// --- the script -------------------------------------------------------------------------------

const rotate = (x, n) => (x >>> n) | (x << (32 - n));
const bigSigma0 = x => rotate(x, 2) ^ rotate(x, 13) ^ rotate(x, 22);
const bigSigma1 = x => rotate(x, 6) ^ rotate(x, 11) ^ rotate(x, 25);
const smallSigma0 = x => rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3);
const smallSigma1 = x => rotate(x, 17) ^ rotate(x, 19) ^ (x >>> 10);

const swapped = x => (x << 24) | ((x & 0xff00) << 8) | ((x >>> 8) & 0xff00) | (x >>> 24);

// A round of the standard; `kw` is the round's constant plus its schedule word.
function round([a, b, c, d, e, f, g, h], kw) {
  const t1 = (h + bigSigma1(e) + ((e & f) ^ (~e & g)) + kw) | 0;
  const t2 = (bigSigma0(a) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
  return [(t1 + t2) | 0, a, b, c, (d + t1) | 0, e, f, g];
}

// SHA-256 of a block from a state on, as the standard has it.
function compress(state, block) {
  const w = [...block];
  for (let i = 16; i < 64; i++) {
    w.push((smallSigma1(w[i - 2]) + w[i - 7] + smallSigma0(w[i - 15]) + w[i - 16]) | 0);
  }
  const mixed = w.reduce((words, word, i) => round(words, (ROUND_CONSTANTS[i] + word) | 0), state);
  return mixed.map((word, i) => (word + state[i]) | 0);
}

const PAD = 1 << 31;

function headerHash(midstate, tail, nonce) {
  const first = compress(midstate, [...tail, swapped(nonce), PAD, ...Array(10).fill(0), 640]);
  const words = compress(FIRST_STATE, [...first, PAD, ...Array(6).fill(0), 256]);
  return words.map(word => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

const numberOf = hash => hexOf(bytesOf(hash).reverse());

// What `firstCandidate` reads, all that a nonce does not touch: `Schedule` in
// crates/sha256d/src/work.rs, the bits of word 7 that must be zero, and for each midstate itself and its
// state after round 3 with a nonce of zero.
function fold(midstates, tail, zeroBits) {
  const [w0, w1, w2] = tail;
  const w16 = (smallSigma0(w1) + w0) | 0;
  const w17 = (smallSigma1(640) + smallSigma0(w2) + w1) | 0;
  const w18 = (smallSigma1(w16) + w2) | 0;
  const w19 = (smallSigma1(w17) + smallSigma0(PAD)) | 0;
  const started = midstate => [w0, w1, w2, 0]
    .reduce((state, w, i) => round(state, (ROUND_CONSTANTS[i] + w) | 0), midstate);
  const starts = midstates.flatMap(midstate => [...midstate, ...started(midstate)]);
  return Int32Array.from([w16, w17, w18, w19, zeroBits, ...starts]);
}

// Of the top word of a target, what must be zero in word 7, which SHA-256 writes the other way round.
function zeroBits(target) {
  const top = parseInt(target.slice(0, 8), 16);
  return swapped(top === 0 ? -1 : ~(-1 >>> Math.clz32(top)));
}

// The kernel that needs nothing but numbers.
function openScript() {
  let work = null;

  const kernel = {
    lanes: 1,
    prepare({ midstates, tail, target }) {
      work = { midstates: midstates.map(wordsOf), tail: wordsOf(tail), target: target.toLowerCase() };
      work.folded = fold(work.midstates, work.tail, zeroBits(target));
    },
    scan(first, end) {
      const { midstates, tail, target, folded } = work;
      const hashes = Math.max(Math.min(end, 2 ** 32) - first, 0) * midstates.length;
      const hits = [];
      for (let at = 0; at < hashes; at++) {
        at = firstCandidate(folded, first, at, hashes);
        if (at === hashes) break;
        const midstate = at % midstates.length;
        const nonce = first + (at - midstate) / midstates.length;
        const hash = headerHash(midstates[midstate], tail, nonce);
        if (numberOf(hash) <= target) hits.push({ midstate, nonce, hash });
      }
      return { hashes, hits };
    },
    // The genesis block's nonce, alone and among its neighbours.
    selfTest() {
      kernel.prepare(GENESIS);
      const { hashes, hits } = kernel.scan(GENESIS.nonce - 101, GENESIS.nonce + 52);
      work = null;
      return hashes === 153 && hits.length === 1 && hits[0].nonce === GENESIS.nonce
        && numberOf(hits[0].hash) <= GENESIS.target;
    },
  };
  return kernel;
}

// The first block of Bitcoin up to its nonce, and the nonce that everybody knows.
const GENESIS = {
  midstates: ['bc909a336358bff090ccac7d1e59caa8c3c8d8e94f0103c896b187364719f91b'],
  tail: '4b1e5e4a29ab5f49ffff001d',
  target: '00000000ffff0000000000000000000000000000000000000000000000000000',
  nonce: 2083236893,
};
