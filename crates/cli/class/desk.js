// The desk of a device: it cuts a piece of work into shares of a tenth of a second, hands them to its
// workers, rests between them as the effort asks, and counts. It knows neither the network nor the page.
//
// A browser that a school has locked down may let a page have fewer workers than it asked for, or none
// with WebAssembly: what there is does the work.
'use strict';

// How long a worker is away with a share: a new piece waits no longer.
const SHARE_SECONDS = 0.1;
// Nonces of a worker's first share, before its speed is known.
const FIRST_NONCES = 256;
// The rate is that of the last seconds.
const RATE_SECONDS = 10;
const MOST_WORKERS = 16;

// One processor is left to the page, where there are several.
function workersHere() {
  const processors = navigator.hardwareConcurrency || 2;
  return Math.min(Math.max(processors > 2 ? processors - 1 : processors, 1), MOST_WORKERS);
}

class Desk {
  // `found(piece, hits)` is called with hits, `finished(piece)` when a piece is done, and `broken(why)`
  // if no worker can go on: `unloaded` (no script came), `wrong` or `crashed`.
  constructor({ found, finished, broken }) {
    Object.assign(this, { found, finished, broken });
    this.workers = [];
    this.work = null;
    this.next = 0;
    this.out = 0;
    this.done = 0;
    this.paused = false;
    this.effort = 1;
    this.kernel = null;
    this.samples = [];
    this.begun = performance.now();
    this.heardAt = this.begun;
  }

  start() {
    for (let i = 0; i < workersHere(); i++) {
      const worker = { thread: new Worker('worker.js'), perSecond: 0, idle: false, isReady: false, resting: null };
      worker.thread.onmessage = ({ data }) => this.hear(worker, data);
      worker.thread.onerror = () => this.lose(worker, worker.isReady ? 'crashed' : 'unloaded');
      this.workers.push(worker);
    }
  }

  stop() {
    for (const worker of this.workers) {
      clearTimeout(worker.resting);
      worker.thread.terminate();
    }
    this.workers = [];
    this.work = null;
    this.samples = [];
  }

  // A piece of work replaces the one before.
  take(work) {
    this.work = work;
    this.next = work.first;
    this.end = Math.min(work.first + work.count, 2 ** 32);
    this.done = 0;
    this.out = 0;
    this.wake();
  }

  setEffort(effort) {
    this.effort = effort;
    this.wake();
  }

  setPaused(paused) {
    this.paused = paused;
    this.samples = [];
    this.begun = performance.now();
    this.wake();
  }

  // Hashes a second, rests and all; null before there is anything to divide.
  rate() {
    const now = performance.now();
    const since = now - RATE_SECONDS * 1000;
    this.samples = this.samples.filter(({ to }) => to > since);
    const seconds = Math.min(now - this.begun, RATE_SECONDS * 1000) / 1000;
    // A share counts evenly over its hashing and the rest behind it: a long rest is no hole.
    const part = ({ from, to }) => Math.max(Math.min(to, now) - Math.max(from, since), 0) / (to - from);
    const hashes = this.samples.reduce((sum, sample) => sum + sample.hashes * part(sample), 0);
    return this.kernel === null || seconds < 0.5 ? null : hashes / seconds;
  }

  hear(worker, news) {
    this.heardAt = performance.now();
    if (news.broken) {
      this.lose(worker, 'wrong');
      return;
    }
    if (news.ready) {
      this.kernel = news.ready;
      worker.isReady = true;
      this.begun = Math.max(this.begun, performance.now() - 500);
      this.send(worker);
      return;
    }
    const { piece, hashes, seconds, hits } = news;
    const from = performance.now() - seconds * 1000;
    this.samples.push({ from, to: from + Math.max(seconds * 1000 / this.effort, 1), hashes });
    if (seconds > 0.002) worker.perSecond = hashes / worker.midstates / seconds;
    else worker.perSecond *= 4;
    if (this.work !== null && piece === this.work.piece) {
      this.done += hashes;
      this.out -= 1;
    }
    if (hits.length > 0) this.found(piece, hits);
    if (this.work !== null && this.next >= this.end && this.out === 0) this.finished(this.work.piece);
    const rest = this.effort < 1 ? seconds * (1 / this.effort - 1) : 0;
    if (rest > 0) worker.resting = setTimeout(() => this.send(worker), rest * 1000);
    else this.send(worker);
  }

  send(worker) {
    worker.resting = null;
    const { work } = this;
    worker.idle = work === null || this.paused || this.next >= this.end;
    if (worker.idle) return;
    const nonces = Math.max(Math.round(worker.perSecond * SHARE_SECONDS / 4) * 4, FIRST_NONCES);
    const first = this.next;
    this.next = Math.min(first + nonces, this.end);
    this.out += 1;
    worker.midstates = work.midstates.length;
    worker.perSecond = worker.perSecond || FIRST_NONCES;
    worker.thread.postMessage({ work, first, end: this.next });
  }

  // Whoever waits looks again whether there is work.
  wake() {
    for (const worker of this.workers.filter(worker => worker.idle)) this.send(worker);
  }

  lose(worker, why) {
    worker.thread.terminate();
    if (!worker.idle && worker.midstates) this.out -= 1;
    this.workers = this.workers.filter(other => other !== worker);
    if (this.workers.length === 0) this.broken(why);
  }
}
