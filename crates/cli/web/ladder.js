// Where a machine stands between pencil and ASIC: for the page of --web and for a device of a class.
'use strict';

// The scale runs from 10^-6 to 10^15 hashes a second.
const SCALE = { low: -6, high: 15 };

// Draws the machines that the server knows, slowest first, and among them the one of that title, which
// does `mine` hashes a second.
function drawLadder(machines, title, mine) {
  const here = { name: title, hps: mine, here: true };
  const rows = [...machines, here].sort((a, b) => a.hps - b.hps).map(machine => {
    const row = make('li', machine.here ? 'row here' : 'row');
    const part = (Math.log10(Math.max(machine.hps, 1e-6)) - SCALE.low) / (SCALE.high - SCALE.low);
    const bar = make('span', 'bar');
    const dot = make('i');
    dot.style.left = 100 * Math.min(Math.max(part, 0), 1) + '%';
    bar.append(dot);
    const name = make('span', 'name', machine.name);
    if (!machine.here) name.prepend(make('span', 'year', Math.floor(machine.year) + ' '));
    const words = machine.hps > 0 && machine.hps < 0.001
      ? (machine.hps * 86400).toFixed(2) + ' a day' : rate(machine.hps);
    row.append(name, bar, make('span', 'value', words));
    return row;
  });
  byId('scale').replaceChildren(...rows, marks());
  const best = machines[machines.length - 1];
  put('verdict', mine > 0
    ? 'What one ' + best.name + ' does in a second keeps ' + title.toLowerCase() + ' busy for '
      + duration(best.hps / mine) + '.'
    : '');
}

// A log scale has no zero: its marks say what they are.
function marks() {
  const row = make('li', 'marks');
  const bar = make('span');
  for (const [power, text] of [[-6, '10⁻⁶'], [0, '1'], [6, '10⁶'], [12, '10¹²']]) {
    const mark = make('i', '', text);
    mark.style.left = 100 * (power - SCALE.low) / (SCALE.high - SCALE.low) + '%';
    bar.append(mark);
  }
  row.append(make('span'), bar, make('span'));
  return row;
}
