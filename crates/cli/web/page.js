// The page is a picture of the newest status: every second the whole of it is drawn again, so that a
// browser that was away for a while is right at once. Between two of them come samples of the header,
// four a second, and the nonce counts from one to the next: the hasher tried all of those, too.
//
// Whatever a pool or a miner may have written goes to the page as text, never as HTML.
'use strict';

const calm = matchMedia('(prefers-reduced-motion: reduce)');

// After so many milliseconds without a word, what is shown is old.
const STALE_AFTER = 3500;
// Before another attempt, where the browser makes none by itself.
const RETRY_AFTER = 2000;
const MOST_MINERS = 5;
const MOST_BLOCKS = 16;

let status = null;
let machines = [];
let heardAt = 0;
let shownBlocks = new Set();
// The last two samples of the header.
let sample = { from: 0, to: 0, at: 0 };

// --- drawing ----------------------------------------------------------------------------------

function draw() {
  drawState();
  if (status === null) return;
  put('where', [status.url, status.job && 'job ' + status.job.job_id,
    status.job && status.job.channel !== null && 'channel ' + status.job.channel].filter(Boolean).join(', '));
  put('uptime', duration(status.seconds));
  put('version', 'midstate ' + status.version);
  drawJoin();
  drawChain();
  drawRate();
  drawHeader();
  drawMiners();
  drawShares();
  drawScale();
}

function drawState() {
  const silent = performance.now() - heardAt;
  let state = status === null ? 'opening' : status.state;
  let words = state;
  if (status !== null && status.ended !== null) {
    state = 'ended';
    words = 'ended: ' + status.ended;
  } else if (status !== null && silent > STALE_AFTER) {
    state = 'stale';
    words = 'no word for ' + Math.floor(silent / 1000) + ' s';
  }
  if (document.body.dataset.state !== state) put('said', words);
  document.body.dataset.state = state;
  put('state', words);
}

function drawChain() {
  const blocks = status.chain.slice(-MOST_BLOCKS).reverse();
  const tip = blocks[0];
  const height = status.job && status.job.height;
  const rests = status.ended !== null ? 'no longer searched' : 'nothing to search';
  const searching = status.job !== null && status.ended === null;
  put('next-hash', searching ? 'being searched' : rests);
  put('next-height', height === null ? '?' : String(height));
  const wait = status.seconds_to_block;
  // Never empty, or the line above would move.
  put('next-odds', wait === null || !searching ? '\u00a0' : 'this machine: every ' + duration(wait));
  put('next-took', searching ? duration(sinceTip()) + ' so far' : 'no work');

  const key = blocks.map(block => block.hash + block.finder).join();
  const list = byId('chain');
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  const items = blocks.map((block, index) => {
    const item = make('li', 'block');
    const before = blocks[index + 1];
    item.classList.toggle('elsewhere', block.finder === null);
    item.classList.toggle('gap', Boolean(before) && before.height !== block.height - 1);
    item.classList.toggle('new', shownBlocks.size > 0 && !shownBlocks.has(block.hash));
    item.title = block.hash;
    item.append(
      make('span', 'height', block.height === null ? '?' : String(block.height)),
      make('span', 'hash', short(block.hash)),
      make('span', 'finder', block.finder ?? (block.height === 0 ? 'genesis' : 'others')),
      make('span', 'took', block.seconds === null ? 'already there' : duration(block.seconds)));
    return item;
  });
  list.replaceChildren(byId('next'), ...items);
  if (tip && shownBlocks.size > 0 && !shownBlocks.has(tip.hash)) announce(tip);
  shownBlocks = new Set(blocks.map(block => block.hash));
}

const sinceTip = () => status.tip_age + (status.ended ? 0 : (performance.now() - heardAt) / 1000);

// For who cannot see the page: not every block, or nothing else could be heard.
let announcedAt = -Infinity;
function announce(block) {
  if (performance.now() - announcedAt < 10000) return;
  announcedAt = performance.now();
  put('said', 'Block ' + block.height + ' found by ' + (block.finder ?? 'somebody else'));
}

function drawRate() {
  // With pauses, and the rests that --max-hashrate asks for.
  const overall = status.hps_10s_overall;
  // The rate before a pause is no rate of now.
  const now = status.state === 'paused' && !status.ended ? 0 : status.hps_10s;
  put('rate', rate(now) + (overall < 0.9 * (now ?? 0) ? ' (' + rate(overall) + ' overall)' : ''));
  // Until there is more to a mean than to the one before it, it would say the same twice.
  put('rate-60s', status.seconds > 10 ? rate(status.hps_60s) : '-');
  put('rate-15m', status.seconds > 60 ? rate(status.hps_15m) : '-');
  put('hashes', si(status.hashes).trim());
  byId('hashes').dataset.exact = status.hashes;
  put('kernel', status.threads + ' × ' + status.kernel);
  const rates = status.rates;
  const top = Math.max(...rates, 1) * 1.1;
  const x = index => 240 - (rates.length - 1 - index) * 2;
  const points = rates.map((value, index) => x(index) + ' ' + (60 - (value / top) * 58).toFixed(1));
  const line = points.length > 1 ? 'M' + points.join('L') : '';
  byId('spark-line').setAttribute('d', line);
  byId('spark-area').setAttribute('d', line && line + 'L240 60L' + x(0) + ' 60Z');
}

const FIELDS = [
  ['version', 0, 4, header => '0x' + header.version],
  ['prev', 4, 36, header => 'last byte first: ' + short(header.prev_hash)],
  ['merkle', 36, 68, header => 'last byte first: ' + short(header.merkle_root)],
  ['time', 68, 72, header => new Date(header.time * 1000).toISOString().replace('T', ' ').slice(0, 19)],
  ['bits', 72, 76, header => '0x' + header.bits],
];

function drawHeader() {
  const header = status.header;
  document.querySelector('.header').classList.toggle('idle', status.job === null);
  if (header === null) return;
  for (const [name, from, to, words] of FIELDS) {
    const field = document.querySelector('.field.' + name);
    const hex = header.bytes.slice(2 * from, 2 * to);
    if (field.children[1].textContent !== hex) field.children[1].textContent = hex;
    field.children[2].textContent = words(header);
  }
  const zeros = header.hash.match(/^0*/)[0];
  byId('try').replaceChildren(make('mark', '', zeros), header.hash.slice(zeros.length));
  const target = status.job === null ? '' : status.job.target;
  const room = target.match(/^0*/)[0];
  byId('target').replaceChildren(make('mark', '', room), target.slice(room.length));
  put('target-words', status.job === null ? '' : targetWords(status.job, header.bits));
}

// What a hash is held against, beside the network's target that the bits stand for: three bytes, and
// how long the number is.
function targetWords({ target, difficulty, network_difficulty }, bits) {
  const length = parseInt(bits.slice(0, 2), 16);
  const ofBits = (bits.slice(2) + '00'.repeat(Math.max(length - 3, 0))).padStart(64, '0');
  const times = factor => si(factor).trim() + ' times ';
  if (target < ofBits) {
    return 'This chain is a toy: its bits ask for a target that is ' + times(difficulty / network_difficulty)
      + 'easier. The pool asks for this harder one, so that blocks come slowly enough to watch.';
  }
  if (target > ofBits) {
    return 'Below this it is a share, which the pool counts. For a block the bits ask for a target '
      + times(network_difficulty / difficulty) + 'harder.';
  }
  return 'This is what the bits stand for: below it is a block.';
}

// The nonce, between two samples; backwards it only goes when another page of work was begun.
function drawNonce() {
  const part = calm.matches ? 1 : Math.min((performance.now() - sample.at) / 250, 1);
  const nonce = Math.floor(sample.from + (sample.to - sample.from) * part) >>> 0;
  const field = document.querySelector('.field.nonce');
  const bytes = [nonce, nonce >>> 8, nonce >>> 16, nonce >>> 24];
  field.children[1].textContent = bytes.map(byte => (byte & 255).toString(16).padStart(2, '0')).join('');
  field.children[2].textContent = grouped(nonce) + ' of ' + grouped(4294967296);
}

function takeSample(header) {
  const forwards = header.nonce >= sample.to && header.merkle_root === sample.root;
  const from = forwards ? sample.to : header.nonce;
  sample = { from, to: header.nonce, at: performance.now(), root: header.merkle_root };
}

function drawMiners() {
  const workers = status.workers;
  document.querySelector('.miners').hidden = workers === null;
  if (workers === null) return;
  const top = Math.max(...workers.map(worker => worker.hps ?? 0), 1);
  const rows = workers.slice(0, MOST_MINERS).map(worker => {
    const row = make('li', 'row');
    row.classList.toggle('silent', worker.silent > 60);
    const error = worker.error === null ? '' : ' ± ' + Math.round(100 * worker.error) + ' %';
    const bar = make('span', 'bar');
    const length = make('i');
    length.style.width = (100 * (worker.hps ?? 0)) / top + '%';
    bar.append(length);
    const counts = count(worker.blocks, 'block') + ', ' + count(worker.accepted, 'share')
      + (worker.rejected > 0 ? ', ' + grouped(worker.rejected) + ' rejected' : '');
    row.append(
      make('span', 'name', worker.name),
      make('span', 'value', rate(worker.hps)),
      bar,
      make('span', 'note', counts),
      make('span', 'note', error));
    return row;
  });
  byId('miners').replaceChildren(...rows);
  const more = workers.length - rows.length;
  put('miners-more', more > 0 ? 'and ' + more + ' more' : '');
}

// For whoever wants to mine with us, where a pool runs in this program.
function drawJoin() {
  const pool = status.pool === null || status.ended ? null : status.pool.listens;
  byId('join').hidden = pool === null;
  byId('where').hidden = pool !== null;
  if (pool === null) return;
  // A pool that listens everywhere goes by the name that this page was found under.
  const place = pool.replace(/^(0\.0\.0\.0|\[::\])(?=:)/, location.hostname);
  const words = 'midstate mine -u NAME -o ' + place;
  const code = document.querySelector('#join code');
  if (code.textContent !== words) code.textContent = words;
}

function drawShares() {
  const { shares, blocks, job } = status;
  for (const name of ['accepted', 'found', 'rejected', 'stale', 'throttled', 'unresolved']) {
    put(name, grouped(shares[name]));
    byId(name).dataset.exact = shares[name];
  }
  put('blocks', grouped(blocks.accepted));
  byId('blocks').dataset.exact = blocks.accepted;
  put('best', number(status.best_difficulty));
  byId('best').dataset.exact = status.best_difficulty;
  put('difficulty', job === null ? '-' : number(job.difficulty));
  put('latency', status.latency_ms === null ? '-' : status.latency_ms.toFixed(1) + ' ms');
}

function drawScale() {
  if (machines.length > 0) drawLadder(machines, 'This machine', status.hps_60s ?? 0);
}

function drawJoule(spendings) {
  const percent = share => (100 * share).toFixed(share < 0.01 ? 1 : 0) + ' %';
  byId('joule').replaceChildren(...spendings.map(spending => {
    const row = make('li', 'row');
    row.title = spending.source;
    const bar = make('span', 'parts');
    for (const part of spending.parts) {
      const piece = make('i', part.useful ? 'useful' : '', part.share > 0.2 ? part.name.split(' ')[0] : '');
      piece.style.flexGrow = part.share;
      piece.title = part.name + ': ' + percent(part.share);
      bar.append(piece);
    }
    const useful = spending.parts.find(part => part.useful);
    const about = spending.estimate ? 'about ' : '';
    row.append(make('span', 'name', spending.machine), bar,
      make('span', 'value', about + percent(useful.share)));
    return row;
  }));
}

// --- listening --------------------------------------------------------------------------------

function listen() {
  const source = new EventSource('events');
  const on = (name, handle) => source.addEventListener(name, event => {
    heardAt = performance.now();
    handle(JSON.parse(event.data));
  });
  on('status', news => {
    status = news;
    if (news.header !== null) takeSample(news.header);
    draw();
  });
  on('header', news => {
    if (status === null) return;
    status.header = news.header;
    takeSample(news.header);
    drawHeader();
  });
  source.addEventListener('error', () => {
    // Cut off, it connects again by itself; turned away, it does not.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_AFTER);
  });
}

function loadMachines() {
  fetch('api/v1/machines').then(answer => answer.json()).then(news => {
    machines = news.machines;
    drawJoule(news.joule);
    draw();
  }).catch(() => setTimeout(loadMachines, RETRY_AFTER));
}

function animate() {
  if (status !== null && status.header !== null && !document.hidden) drawNonce();
  requestAnimationFrame(animate);
}

// The token has become a cookie: it need not be seen on a projector.
if (location.search) history.replaceState(null, '', location.pathname);
loadMachines();
setInterval(() => {
  drawState();
  if (status !== null && status.job !== null) put('next-took', duration(sinceTip()) + ' so far');
}, 250);
listen();
requestAnimationFrame(animate);
