// Numbers in words, as the program says them, but never torn from their units, and text into a page: for
// the page of --web and for the pages of a class. Whatever others may have written goes to a page as text,
// never as HTML.
'use strict';

const byId = id => document.getElementById(id);

const PREFIXES = [
  [1e24, 'Y'], [1e21, 'Z'], [1e18, 'E'], [1e15, 'P'], [1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k'],
  [1, ''], [1e-3, 'm'], [1e-6, 'µ'], [1e-9, 'n'], [1e-12, 'p'],
];

const exponent = value => value.toExponential(2).replace('+', '');

function significant(value) {
  if (value === 0) return '0';
  if (value < 1e-3 || value >= 1e9) return exponent(value);
  const rounded = Number(value.toPrecision(3));
  const digits = Math.max(0, 2 - Math.floor(Math.log10(rounded)));
  return rounded.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function si(value) {
  const fit = PREFIXES.find(([scale]) => value >= scale * 0.9995);
  if (fit) return significant(value / fit[0]) + '\u00a0' + fit[1];
  return (value === 0 ? '0' : exponent(value)) + '\u00a0';
}

const rate = value => (value === null ? '-' : si(value) + 'H/s');
// Difficulties may be far below 1.
function number(value) {
  if (value === 0) return '0';
  if (value < 0.00009995) return exponent(value);
  return value < 0.9995 ? value.toPrecision(3) : si(value).trim();
}

const grouped = value => value.toLocaleString('en').replaceAll(',', '\u202f');

const count = (value, noun) => grouped(value) + ' ' + noun + (value === 1 ? '' : 's');

function duration(seconds) {
  const whole = Math.floor(seconds);
  const two = value => String(value).padStart(2, '0');
  if (seconds < 10) return seconds.toFixed(1) + '\u00a0s';
  if (seconds < 60) return whole + '\u00a0s';
  if (seconds < 3600) return Math.floor(whole / 60) + '\u00a0min\u00a0' + two(whole % 60) + '\u00a0s';
  if (seconds < 172800) {
    return Math.floor(whole / 3600) + '\u00a0h\u00a0' + two(Math.floor(whole / 60) % 60) + '\u00a0min';
  }
  const days = seconds / 86400;
  const years = days / 365.25;
  if (years < 2) return significant(days) + '\u00a0days';
  if (years < 1e6) return significant(years) + '\u00a0years';
  if (years < 1e9) return significant(years / 1e6) + '\u00a0million\u00a0years';
  if (years < 1e12) return significant(years / 1e9) + '\u00a0billion\u00a0years';
  return exponent(years) + '\u00a0years';
}

// How long something took: no clock runs beside it, so it is rounded, not cut.
const took = seconds => duration(seconds < 10 ? seconds : Math.round(seconds));

// `3 million` for large numbers.
function large(value) {
  const names = [[1e12, 'trillion'], [1e9, 'billion'], [1e6, 'million']];
  const fit = names.find(([scale]) => value >= scale * 0.995);
  const rounded = part => grouped(Number(part.toPrecision(part < 1000 ? 2 : 3)));
  return fit ? rounded(value / fit[0]) + '\u00a0' + fit[1] : rounded(Math.max(value, 1));
}

// `1/24` for a part of a whole.
const fraction = part => '1/' + large(Math.max(Math.round(1 / part), 1));

const short = hash => hash.slice(0, 8) + '…' + hash.slice(-4);

function put(id, text) {
  const element = byId(id);
  if (element.textContent !== text) element.textContent = text;
}

function make(tag, name, text) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  return element;
}
