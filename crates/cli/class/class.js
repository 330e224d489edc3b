// The class on the projector: a picture of the newest `class` event, which comes once a second and is
// complete each time (docs/class.md). It changes nothing. Names are strangers' words: text, never HTML.
'use strict';

const STALE_AFTER = 3500;
const RETRY_AFTER = 2000;
const FLASH = 4000;
// Where there are more names than places, the next ones come after so long.
const TURN = 8000;
// Width of a column of names in rem, with the rates and without; height of a row; and how much larger
// the letters may be for a few names.
const [ROOMY, DENSE, ROW, LARGEST] = [16.5, 9, 1.6, 1.4];
const SVG = 'http://www.w3.org/2000/svg';

let now = null;
let heardAt = 0;
let seenHeight = null;

function draw() {
  if (now === null) return;
  document.body.toggleAttribute('data-over', now.over);
  put('title', now.name || 'The class');
  put('url', now.over ? 'Final standings' : now.urls[0] ?? '');
  put('code', now.code.replace(/(...)(...)/, '$1\u202f$2'));
  put('time', timeWords());
  byId('stratum').hidden = now.stratum.length === 0 || now.over;
  byId('stratum').children[0].textContent = 'for miners:';
  byId('stratum').children[2].textContent = now.stratum[0] ?? '';
  drawQr();
  drawSum();
  drawNext();
  drawNames();
  drawWaits();
  drawDifficulties();
  flash();
}

function timeWords() {
  if (now.over) return 'after ' + duration(now.seconds);
  if (now.blocks_goal !== null) return 'block ' + now.height + ' of ' + now.blocks_goal;
  if (now.minutes !== null) return duration(Math.max(now.minutes * 60 - now.seconds, 0)) + ' left';
  return duration(now.seconds);
}

function drawSum() {
  put('rate-error', now.error === null ? '' : '±\u00a0' + Math.round(100 * now.error) + '\u00a0%');
  put('rate', now.hps === null ? '-' : rate(now.hps));
  put('fraction', now.hps ? 'this class is ' + fraction(now.hps / now.reference.hps)
    + ' of one ' + now.reference.name : 'too few shares to tell');
  put('crowd', [count(now.devices, 'device'), now.miners > 0 ? count(now.miners, 'miner') : '']
    .filter(Boolean).join(', '));
  put('last', now.last === null ? '' : 'Block ' + grouped(now.last.height) + ': ' + now.last.name);
  put('last-took', now.last === null ? '' : 'after ' + took(now.last.seconds));
}

function drawNext() {
  const since = now.since + (now.over ? 0 : (performance.now() - heardAt) / 1000);
  put('height', now.height > 0 ? grouped(now.height) : '?');
  put('since', duration(since));
  put('expected', now.node === false ? 'The node gives no work. A block that is found now waits for it.'
    : now.expected === null ? 'too few shares to tell how long it takes'
      : 'on average this class needs ' + duration(now.expected));
  put('nearest', now.nearest === null ? ''
    : 'nearest miss: ' + now.nearest.name + ', ' + percent(now.nearest.fraction) + ' of the difficulty');
}

const percent = fraction => (100 * fraction).toPrecision(2).replace(/\.0$/, '') + '\u00a0%';

// Four modules of white around it, as a camera needs.
function drawQr() {
  const svg = byId('qr');
  const key = (now.qr ?? []).join();
  if (svg.dataset.key === key) return;
  svg.dataset.key = key;
  const size = now.qr.length + 8;
  svg.setAttribute('viewBox', [0, 0, size, size].join(' '));
  const modules = now.qr.flatMap((row, y) => Array.from(row, (module, x) => (module === '1'
    ? 'M' + (x + 4) + ' ' + (y + 4) + 'h1v1h-1z' : '')));
  svg.replaceChildren(shape('path', { d: modules.join('') }));
}

function shape(name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

// --- names ------------------------------------------------------------------------------------

// The teacher's machine is called so.
const KINDS = { device: '', miner: 'miner', teacher: '' };

// From which to which power of ten the rates go.
function decades() {
  const rates = now.rows.map(row => row.hps).filter(Boolean);
  if (rates.length === 0) return null;
  const low = Math.floor(Math.log10(Math.min(...rates) * 0.8));
  const high = Math.ceil(Math.log10(Math.max(...rates) * 1.2));
  return { low, high: Math.max(high, low + 1) };
}

function whisker(row, axis) {
  const line = make('span', 'whisker');
  const place = hps => {
    const part = (Math.log10(Math.max(hps, 1)) - axis.low) / (axis.high - axis.low);
    return 100 * Math.min(Math.max(part, 0), 1);
  };
  const [from, to] = [row.hps * Math.max(1 - row.error, 0.01), row.hps * (1 + row.error)].map(place);
  const [bar, dot] = [make('b'), make('i')];
  bar.style.left = from + '%';
  bar.style.width = to - from + '%';
  dot.style.left = place(row.hps) + '%';
  line.append(bar, dot);
  return line;
}

function nameItem(row, axis) {
  // In the end nobody is there any more, and that says nothing.
  const item = make('li', [row.kind, row.here || now.over ? '' : 'gone'].join(' '));
  const name = make('span', 'name', row.name);
  if (KINDS[row.kind]) name.append(make('small', '', KINDS[row.kind]));
  const blocks = make('span', row.blocks > 0 ? 'blocks' : 'blocks none', grouped(row.blocks));
  blocks.setAttribute('aria-label', count(row.blocks, 'block'));
  item.title = count(row.shares, 'share') + (row.stale > 0 ? ', ' + grouped(row.stale) + ' too late' : '')
    + (row.claimed === null ? '' : '; ' + si(row.work) + 'hashes counted, ' + si(row.claimed) + 'claimed');
  item.append(blocks, name);
  // A row whose device has left has no rate, however many shares it has.
  if (row.hps === null) item.append(make('span', 'value few', row.here ? 'too few shares' : 'away'));
  else item.append(whisker(row, axis), make('span', 'value', rate(row.hps)));
  return item;
}

const rootSize = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

// As few columns as the names need, and letters as large as they may be then. Where there is no room
// for all with their rates, the rates are left out.
function layout(list) {
  const names = Math.max(now.rows.length, 1);
  if (matchMedia('(max-width: 800px)').matches) {
    return { columns: 1, perColumn: names, dense: false, scale: 1 };
  }
  const [width, height] = [list.clientWidth, list.clientHeight].map(pixels => pixels / rootSize());
  const perColumn = Math.max(Math.floor(height / ROW), 1);
  const columnsOf = least => Math.max(Math.floor((width + 1) / (least + 1)), 1);
  const dense = names > perColumn * columnsOf(ROOMY);
  const columns = Math.min(Math.ceil(names / perColumn), columnsOf(dense ? DENSE : ROOMY));
  const rows = Math.min(Math.ceil(names / columns), perColumn);
  const scale = Math.min(height / (rows * ROW), width / columns / (ROOMY + 1), LARGEST);
  return { columns, perColumn, dense, scale: dense ? 1 : Math.max(scale, 1) };
}

// Above every column of names: what its numbers are.
function drawHeads(columns, dense) {
  const heads = byId('heads');
  const key = [columns, dense, now.over].join();
  if (heads.dataset.key === key) return;
  heads.dataset.key = key;
  heads.style.gridTemplateColumns = 'repeat(' + columns + ', minmax(0, 1fr))';
  heads.replaceChildren(...Array.from({ length: columns }, () => {
    const head = make('span');
    head.append(make('span', '', 'blocks, name'));
    if (!dense) head.append(make('span', '', now.over ? 'rate at the end' : 'rate now'));
    return head;
  }));
}

function drawNames() {
  const list = byId('names');
  const { columns, perColumn, dense, scale } = layout(list);
  const places = perColumn * columns;
  const turns = Math.max(Math.ceil(now.rows.length / places), 1);
  const turn = Math.floor(performance.now() / TURN) % turns;
  const rows = now.rows.slice(turn * places, (turn + 1) * places);
  const axis = decades();
  list.classList.toggle('dense', dense);
  list.style.fontSize = scale + 'rem';
  list.style.gridTemplateRows = 'repeat(' + Math.max(Math.ceil(rows.length / columns), 1) + ', 1.6em)';
  list.style.gridTemplateColumns = 'repeat(' + columns + ', minmax(0, 1fr))';
  if (axis !== null) list.style.setProperty('--decades', axis.high - axis.low);
  list.replaceChildren(...rows.map(row => nameItem(row, axis)));
  drawHeads(columns, dense);
  put('names-words', now.over ? 'Final standings'
    : count(now.rows.length, 'name') + (turns > 1 ? ', part ' + (turn + 1) + ' of ' + turns : ''));
  put('axis-words', axis === null || dense ? ''
    : 'from ' + rate(10 ** axis.low) + ' to ' + rate(10 ** axis.high)
      + ', tenfold from mark to mark; bars: one standard error');
}

// --- charts -----------------------------------------------------------------------------------

// A chart's inner box, with axes from the lower left corner on.
function frame(id, margin) {
  const svg = byId(id);
  const [width, height] = [svg.clientWidth, svg.clientHeight];
  svg.setAttribute('viewBox', [0, 0, width, height].join(' '));
  const unit = Math.max(rootSize(), 16) / 16;
  const box = { left: margin * unit, right: width - 6, top: 16 * unit, bottom: height - 20 * unit, unit };
  const axis = shape('path', {
    class: 'axis', d: 'M' + box.left + ' ' + box.top + 'V' + box.bottom + 'H' + box.right,
  });
  svg.replaceChildren(axis);
  return { svg, ...box };
}

const label = (x, y, text, anchor) => shape('text', { x, y, 'text-anchor': anchor }, text);

// How often which wait came, and how often chance makes it come: waits have no memory. Bars are half a
// mean wide; the last one, which stands apart, has all longer waits.
function drawWaits() {
  const seconds = now.waits.map(([wait]) => wait);
  put('found', grouped(now.found) + ' found, ' + now.expected_blocks.toFixed(1) + ' expected');
  const { svg, left, right, top, bottom, unit } = frame('waits', 24);
  if (right <= left || bottom <= top) return;
  const known = now.waits.map(([, expected]) => expected).filter(Boolean);
  const mean = known.length > 0 ? known.reduce((a, b) => a + b) / known.length : now.pace;
  const bins = Array(10).fill(0);
  const rest = bins.length - 1;
  for (const wait of seconds) bins[Math.min(Math.floor(2 * wait / mean), rest)] += 1;
  const curve = x => seconds.length / 2 * Math.exp(-x / 2);
  // A whole number of blocks: the label at the top of the axis says it.
  const most = Math.ceil(Math.max(...bins, curve(0), 1));
  // A gap sets the last bar apart.
  const x = bin => left + (right - left) * (bin >= rest ? bin + 0.4 : bin) / (bins.length + 0.4);
  const longer = y => 'M' + x(rest) + ' ' + y + 'H' + x(rest + 1);
  const y = value => bottom - (bottom - top) * value / most;
  svg.append(
    shape('path', {
      class: 'bars',
      d: bins.map((value, i) => 'M' + (x(i) + 1) + ' ' + bottom + 'V' + y(value) + 'H' + (x(i) + x(1) - left - 1) + 'V' + bottom + 'z').join(''),
    }),
    shape('path', {
      class: 'curve',
      d: 'M' + Array.from({ length: 4 * rest }, (_, i) => x(i / 4) + ' ' + y(curve(i / 4))).join('L')
        + longer(y(seconds.length * Math.exp(-rest / 2))),
    }),
    label(left - 3, top + 5, grouped(most), 'end'),
    label(left - 3, bottom, '0', 'end'),
    label(left, top - 4, 'blocks', 'start'),
    ...[0, 1, 2, 3].map(times => label(x(2 * times), bottom + 16 * unit, grouped(Math.round(times * mean)) + '\u00a0s', 'middle')),
    label(right, bottom + 16 * unit, 'longer', 'end'));
}

function drawDifficulties() {
  const points = now.difficulties;
  put('retargets', count(Math.max(points.length - 1, 0), 'retarget'));
  const { svg, left, right, top, bottom, unit } = frame('difficulty', 60);
  if (points.length === 0 || right <= left || bottom <= top) return;
  const most = Math.max(...points.map(([, difficulty]) => difficulty));
  const until = Math.max(now.seconds, points[points.length - 1][0], 1);
  const x = seconds => left + (right - left) * seconds / until;
  const y = difficulty => bottom - (bottom - top) * difficulty / most;
  const steps = points.map(([seconds, difficulty], i) => (i === 0 ? 'M' + x(seconds) + ' ' + y(difficulty)
    : 'H' + x(seconds) + 'V' + y(difficulty)));
  svg.append(
    shape('path', { class: 'steps', d: steps.join('') + 'H' + right }),
    ...points.slice(1).map(([seconds, difficulty]) => shape('circle', { cx: x(seconds), cy: y(difficulty), r: 2.5 })),
    label(left - 3, top + 5, number(most), 'end'),
    label(left - 3, bottom, '0', 'end'),
    label(left, bottom + 16 * unit, '0', 'middle'),
    label(right, bottom + 16 * unit, duration(until), 'end'));
}

// --- a block ----------------------------------------------------------------------------------

let flashEnds = 0;
function flash() {
  const { last } = now;
  const height = last === null ? 0 : last.height;
  const isNew = seenHeight !== null && height > seenHeight;
  seenHeight = height;
  if (!isNew) return;
  put('winner', last.name);
  put('won', 'found block ' + grouped(height) + ' after ' + took(last.seconds));
  put('said', last.name + ' found block ' + height);
  byId('flash').hidden = false;
  clearTimeout(flashEnds);
  flashEnds = setTimeout(() => { byId('flash').hidden = true; }, FLASH);
}

function drawState() {
  const silent = performance.now() - heardAt;
  const state = now === null ? 'opening' : now.over ? 'over' : silent > STALE_AFTER ? 'stale' : 'running';
  if (document.body.dataset.state === state) return;
  document.body.dataset.state = state;
  if (state === 'stale') put('said', 'no word from the class');
}

function listen() {
  const source = new EventSource('/class/events');
  source.addEventListener('class', event => {
    heardAt = performance.now();
    now = JSON.parse(event.data);
    // The final standings stay when the program has ended.
    if (now.over) source.close();
    draw();
  });
  source.addEventListener('error', () => {
    // Cut off, it connects again by itself; turned away, it does not.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_AFTER);
  });
}

addEventListener('resize', draw);
setInterval(() => {
  drawState();
  if (now !== null) drawNext();
}, 250);
listen();
