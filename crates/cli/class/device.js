// A device of the class: it joins, lets its desk hash what the class sends, and hands in what was found.
// The protocol is in docs/class.md. What is shown of shares, blocks and places is the class's own count;
// the rate is this page's. Nothing is hashed before the button is pressed.
'use strict';

// A report without a hit comes this seldom, and no two requests come closer together.
const REPORT_AFTER = 10000;
const REQUEST_GAP = 150;
const RETRY_AFTER = [1000, 2000, 4000];
const MOST_HITS_SENT = 16;
// After so long without a word from the class the connection is bad, and then it is made anew.
const AWAY_AFTER = 4000;
const DEAF_AFTER = 12000;
// After so long without a tick, and no hash meanwhile, the device has slept.
const SLEPT_AFTER = 5000;
const MOMENT = 5000;
// How often workers are started again that got no script, though the class answers.
const MOST_LOADS = 3;

let device = null;
let desk = null;
let source = null;
let you = null;
let machines = [];
let heardAt = 0;

// --- the page ---------------------------------------------------------------------------------

const STATES = {
  out: 'not started', starting: 'starting', mining: 'hashing', paused: 'paused',
  away: 'no connection', over: 'over', ended: 'stopped',
};

function setState(state) {
  if (document.body.dataset.state === state) return;
  document.body.dataset.state = state;
  put('state', STATES[state]);
  if (state !== 'out') put('said', STATES[state]);
}

const AWAY = 'No connection with the class, trying again. Has the class ended?';
const isAway = () => document.body.dataset.state === 'away';

function complain(words) {
  put('error', words);
  byId('start').disabled = false;
}

const HASHES = 4295032833;

function ordinal(place) {
  const ending = ['th', 'st', 'nd', 'rd'][place % 100 > 10 && place % 100 < 14 ? 0 : place % 10] ?? 'th';
  return place + ending;
}

function draw() {
  const own = desk === null || desk.paused ? null : desk.rate();
  if (desk !== null) put('rate', own !== null ? rate(own) : desk.paused ? 'paused' : 'starting');
  if (machines.length > 0) drawLadder(machines, 'This device', own ?? you?.hps ?? 0);
  if (you === null) {
    if (desk !== null) put('searching', isAway() ? AWAY : '');
    return;
  }
  put('title', you.name);
  put('blocks', grouped(you.blocks));
  put('shares', grouped(you.shares));
  put('place', ordinal(you.place));
  put('of', 'of ' + grouped(you.of));
  const error = you.error === null ? '' : ' ±\u00a0' + Math.round(100 * you.error) + '\u00a0%';
  put('counted', you.hps === null
    ? 'too few shares yet for the class to tell your rate'
    : 'by its shares, as the class counts: ' + rate(you.hps) + error);
  put('best', you.best === null ? 'none yet' : 'one in ' + large(you.best * HASHES));
  // The difficulty was another one when that hash was found: neither says whether it was a block.
  put('best-words', you.over ? '' : '. A block needs one in ' + large(you.class.difficulty * HASHES) + ' now.');
  const lost = [
    [you.stale, ' too late: the block had been found before. That is nobody\'s fault.'],
    [you.rejected, ' rejected: this device computed wrongly.'],
  ].filter(([number]) => number > 0);
  put('lost', lost.map(([number, what]) => count(number, 'share') + what).join(' '));
  drawClass(you.class);
}

function drawClass(all) {
  const since = all.since + (performance.now() - heardAt) / 1000;
  put('searching', you.over ? reason('over') : isAway() ? AWAY
    : 'Searching block ' + grouped(all.height) + ' for ' + duration(since)
      + (all.expected === null ? '' : '; the class finds one every ' + duration(all.expected) + ' on average'));
  const { last } = all;
  put('last', last === null ? ''
    : 'Block ' + grouped(last.height) + ': ' + (last.you ? 'you' : last.name) + ', after ' + took(last.seconds));
  put('all', count(all.devices, 'device')
    + (all.hps === null ? '' : ', ' + rate(all.hps) + ' together'
      + (you.hps ? '; you are ' + fraction(you.hps / all.hps) + ' of it' : '')));
}

// Until it is touched, or for some seconds.
let momentEnds = 0;
const endMoment = () => { byId('moment').hidden = true; };
function celebrate(height) {
  put('moment-height', grouped(height));
  put('said', 'You found block ' + height);
  byId('moment').hidden = false;
  clearTimeout(momentEnds);
  momentEnds = setTimeout(endMoment, MOMENT);
}

// --- joining ----------------------------------------------------------------------------------

// A page may be forbidden to remember anything: then a reload is another device.
function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem('device'));
  } catch {
    return null;
  }
}

function remember(value) {
  try {
    if (value === null) sessionStorage.removeItem('device');
    else sessionStorage.setItem('device', JSON.stringify(value));
  } catch {
    // As above.
  }
}

const post = (path, body) => fetch(path, {
  method: 'POST', headers: { 'content-type': 'application/json' }, body,
});

// By the name of an error: the words for a pupil.
const REASONS = {
  'wrong-code': 'This is not the code of this class. The code is on the class\'s screen.',
  over: 'The class has ended.',
  replaced: 'Another page on this device hashes for the class now. This one has stopped.',
  dropped: 'The class has dropped this device: what it sent made no sense, or was too much. '
    + 'Load the page again to join anew.',
  'bad-request': 'The class did not understand this page. Load the page again.',
  unloaded: 'A part of this page did not load, so that this device cannot hash: worker.js, or a file that it '
    + 'needs. A filter of the network or an extension of the browser may hold it back. Load the page again, or '
    + 'try another browser.',
  wrong: 'This browser computes a known hash wrongly. Try another browser.',
  crashed: 'This browser has stopped hashing. Load the page again.',
};
const reason = (name, words) => REASONS[name] ?? (words ? words[0].toUpperCase() + words.slice(1) + '.'
  : 'The answer is not that of a class. Is the address right?');

const codeInUrl = () => location.hash.slice(1).replace(/[^0-9]/g, '').slice(0, 6);

async function join() {
  const body = JSON.stringify({ code: byId('code').value, name: byId('name').value });
  const answer = await post('join', body);
  const said = await answer.json().catch(() => null);
  if (!answer.ok || said === null) throw new Error(reason(said?.error, said?.words));
  return { token: said.device, name: said.name, code: byId('code').value.replace(/[^0-9]/g, '') };
}

async function start(event) {
  event.preventDefault();
  if (desk !== null) return;
  byId('start').disabled = true;
  put('error', '');
  try {
    device = device ?? await join();
  } catch (error) {
    // fetch tells a lost network by a TypeError, in words of its own.
    complain(error instanceof TypeError ? 'The class cannot be reached. Is this device in its network?'
      : error.message);
    return;
  }
  remember(device);
  // An old code in the URL would win at a reload.
  if (codeInUrl() !== '') history.replaceState(null, '', '#' + device.code);
  put('title', device.name);
  byId('join').hidden = true;
  byId('running').hidden = false;
  setState('starting');
  loads = 0;
  desk = new Desk({ found, finished, broken });
  // A browser may remember where the slider was.
  takeEffort();
  desk.start();
  put('workers', count(desk.workers.length, 'thread'));
  byId('pause').focus();
  listen();
  ticking = setInterval(tick, 250);
}

// No worker goes on. One whose script did not come starts again when the class answers.
let loads = 0;
async function broken(why) {
  if (why !== 'unloaded' || loads >= MOST_LOADS) {
    finish('ended', reason(why));
    return;
  }
  loads += 1;
  const mine = desk;
  await sleep(RETRY_AFTER[0]);
  await askClass();
  if (desk !== null && desk === mine) desk.start();
}

// Back to the form, since the class does not know the device, or not any more.
function leave(words) {
  remember(null);
  put('pause', 'Pause');
  const name = you?.name ?? device?.name ?? '';
  device = null;
  stop();
  you = null;
  reports.clear();
  byId('running').hidden = true;
  byId('join').hidden = false;
  offer(null, name);
  setState('out');
  complain(words);
}

function finish(state, words) {
  stop();
  setState(state);
  if (you !== null && state === 'over') {
    you.over = true;
    draw();
  }
  // One of the two is shown.
  put(state === 'over' ? 'searching' : 'lost', words);
  put('said', words);
}

function stop() {
  if (desk !== null) desk.stop();
  if (source !== null) source.close();
  clearInterval(ticking);
  [desk, source] = [null, null];
}

// --- work down, hits up -----------------------------------------------------------------------

function listen() {
  source = new EventSource('work?device=' + device.token);
  const on = (name, handle) => source.addEventListener(name, event => {
    heardAt = performance.now();
    handle(JSON.parse(event.data));
  });
  on('work', work => {
    if (desk.work !== null) reportOf(desk.work.piece).done = desk.done;
    desk.take(work);
    // What was found of pieces before is sent all the same: the class says what it is worth.
    deliver();
  });
  on('you', news => {
    // A block counts when the class says so: where its chain is a node's, that has the last word.
    const { last } = news.class;
    const isNew = you !== null && last !== null && last.you && last.height > (you.class.last?.height ?? 0);
    you = news;
    draw();
    if (isNew) celebrate(last.height);
    if (news.over) finish('over', reason('over'));
  });
  on('end', ({ why, words }) => finish(why === 'over' ? 'over' : 'ended', reason(why, words)));
  source.addEventListener('error', () => {
    // Cut off, it connects again by itself; turned away, it does not, and a report learns why.
    if (source !== null && source.readyState === EventSource.CLOSED) {
      setTimeout(askWhy, RETRY_AFTER[0]);
    }
  });
}

async function askWhy() {
  await askClass();
  if (desk !== null) listen();
}

// Until it answers.
async function askClass() {
  if (desk !== null) await send({ piece: desk.work?.piece ?? 0, done: desk.done, hits: [] });
}

// By piece, oldest first: the hits that are not yet answered, the hashes done, and those told.
const reports = new Map();
let delivering = false;
let unanswered = false;
let toldAt = 0;

function reportOf(piece) {
  if (!reports.has(piece)) reports.set(piece, { done: 0, told: 0, hits: [], whole: false });
  return reports.get(piece);
}

function found(piece, hits) {
  for (const { midstate, nonce } of hits) reportOf(piece).hits.push([midstate, nonce]);
  deliver();
}

function finished(piece) {
  reportOf(piece).whole = true;
  deliver();
}

// The next thing to tell: hits, the end of a piece, or now and then that we are still at it.
function nextReport() {
  const { work, done } = desk;
  if (work !== null) reportOf(work.piece).done = done;
  for (const [piece, report] of reports) {
    const hits = report.hits.slice(0, MOST_HITS_SENT);
    const current = work !== null && piece === work.piece;
    const news = report.done > report.told;
    const due = !current || report.whole || performance.now() - toldAt > REPORT_AFTER;
    if (hits.length > 0 || (news && due)) return { piece, done: report.done, hits };
    if (!current) reports.delete(piece);
  }
  return null;
}

const sleep = milliseconds => new Promise(wake => setTimeout(wake, milliseconds));

async function deliver() {
  if (delivering) return;
  delivering = true;
  while (desk !== null) {
    const report = nextReport();
    if (report === null) break;
    await send(report);
    await sleep(REQUEST_GAP);
  }
  delivering = false;
}

// Sends a report until it is answered, always the same: what came twice counts once.
async function send(report) {
  const body = JSON.stringify(report);
  for (let attempt = 0; desk !== null; attempt++) {
    let wait = RETRY_AFTER[Math.min(attempt, RETRY_AFTER.length - 1)];
    try {
      const answer = await post('hits?device=' + device.token, body);
      const said = await answer.json().catch(() => null);
      if (desk === null) return;
      unanswered = false;
      if (take(report, answer, said)) return;
      wait = Math.max(wait, (said?.wait ?? 0) * 1000);
    } catch (error) {
      // No network, which comes back.
      if (!(error instanceof TypeError)) throw error;
      unanswered = true;
    }
    await sleep(wait);
  }
}

// Whether the answer settles the report.
function take(report, answer, said) {
  switch (answer.status) {
    case 200: {
      const { hits } = reportOf(report.piece);
      hits.splice(0, report.hits.length);
      break;
    }
    case 404:
      leave('The class does not know this device any more. Join again.');
      return true;
    case 410:
      finish(said?.error === 'over' ? 'over' : 'ended', reason(said?.error, said?.words));
      return true;
    case 400:
    case 413:
      reportOf(report.piece).hits.splice(0, report.hits.length);
      break;
    default:
      return false;
  }
  reportOf(report.piece).told = report.done;
  toldAt = performance.now();
  return true;
}

// --- four times a second ----------------------------------------------------------------------

let ticking = 0;
let tickedAt = 0;

function tick() {
  const now = performance.now();
  const gap = now - tickedAt;
  if (tickedAt > 0 && gap > SLEPT_AFTER && desk !== null && !desk.paused && now - desk.heardAt > gap / 2) {
    put('slept', 'This page was asleep for ' + duration(gap / 1000)
      + ', as phones do when the screen is dark or another app is in front.');
  }
  tickedAt = now;
  if (desk === null) return;
  const silent = heardAt > 0 ? now - heardAt : 0;
  if (silent > DEAF_AFTER && source !== null) {
    // A network that was changed leaves connections behind that say nothing for ever.
    source.close();
    heardAt = now;
    listen();
  }
  const connected = source !== null && source.readyState === EventSource.OPEN;
  if (unanswered || (heardAt > 0 && (!connected || silent > AWAY_AFTER))) setState('away');
  else if (desk.paused) setState('paused');
  else setState(desk.kernel === null || desk.work === null ? 'starting' : 'mining');
  draw();
  deliver();
}

// --- at the start -----------------------------------------------------------------------------

// The form: for a device that the class knows already, a button is enough.
function offer(known, name) {
  device = known;
  put('join-title', known === null ? 'Join' : 'Welcome back');
  byId('asked').hidden = known !== null;
  byId('code').required = known === null;
  byId('name').value = name;
  put('start', known === null ? 'Start' : 'Go on as ' + known.name);
  // It was pressed in vain before this script was there.
  byId('start').disabled = false;
  // Half the effort before a reload is half the effort after it.
  if (known?.effort) byId('effort').value = known.effort;
}

function loadMachines() {
  fetch('machines.json').then(answer => answer.ok ? answer.json() : { machines }).then(news => {
    machines = news.machines;
    draw();
  }).catch(() => setTimeout(loadMachines, RETRY_AFTER[1]));
}

byId('join').addEventListener('submit', start);
function takeEffort() {
  const { value } = byId('effort');
  put('effort-words', value + '\u00a0%');
  byId('effort').setAttribute('aria-valuetext', value + ' percent');
  if (desk === null) return;
  desk.setEffort(value / 100);
  device.effort = value;
  remember(device);
}

byId('moment').addEventListener('click', endMoment);
addEventListener('keydown', endMoment);
byId('effort').addEventListener('input', takeEffort);
byId('pause').addEventListener('click', () => {
  if (desk === null) return;
  desk.setPaused(!desk.paused);
  put('pause', desk.paused ? 'Go on' : 'Pause');
  tick();
});

// A device that joined by another code belongs to another class, and one may be forgotten: then the form.
async function begin() {
  // The code of the QR code, which no browser sends anywhere.
  const code = codeInUrl();
  byId('code').value = code;
  const known = remembered();
  const belongs = known !== null && (code === '' || code === known.code);
  offer(belongs ? known : null, '');
  if (!belongs) return;
  const answer = await post('hits?device=' + known.token, '{"piece":0,"done":0,"hits":[]}').catch(() => null);
  const error = (await answer?.json().catch(() => null))?.error;
  // It is still the form's turn, and the class does not know the device, or not any more.
  if ([404, 410].includes(answer?.status) && desk === null && device === known) {
    offer(null, known.name);
    if (error === 'over') complain(reason('over'));
  }
}

addEventListener('hashchange', () => {
  if (desk === null || codeInUrl() !== device.code) location.reload();
});
begin();
loadMachines();
