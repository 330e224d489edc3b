//! The page that explains the keys and the rows.

use ratatui::text::{Line, Span};

use crate::console::paint::{Lines, dim};

/// The most important first: a small terminal shows the first ones.
const KEYS: [(&str, &str); 4] = [
    ("q", "quit with a summary, as Ctrl-C does"),
    ("p", "pause, and go on"),
    ("+ -", "one thread more, one thread fewer"),
    ("?", "open and close this page; Esc closes it, too"),
];
const ROWS: [(&str, &str); 11] = [
    ("rate", "hashes a second, counted when they are finished"),
    ("plot", "the rate of each second, the newest at the right"),
    ("kernel", "the code that hashes, its threads and midstates"),
    ("machine", "temperature and power of the CPU, where it tells"),
    ("pool", "the pool or node that gives the work"),
    ("job", "the work in hand: block height and difficulty"),
    ("next", "the mean wait. Luck decides and has no memory"),
    ("shares", "proofs of work sent, and the answers to them"),
    ("best", "the difficulty of the best hash so far"),
    ("blocks", "hashes that solved a block of the network"),
    ("miners", "at the pool in this program, rates by shares"),
];

/// Paints the page.
pub(super) fn draw(lines: &mut Lines) {
    lines.put(Line::raw("The keys:"));
    put(&KEYS, lines);
    if lines.left() > ROWS.len() + 1 {
        lines.put(Line::default());
    }
    lines.put(Line::raw("The rows:"));
    put(&ROWS, lines);
}

fn put(entries: &[(&'static str, &'static str)], lines: &mut Lines) {
    for (name, meaning) in entries {
        lines.put(Line::from(vec![
            Span::styled(format!("  {name:<8}"), dim()),
            Span::raw(*meaning),
        ]));
    }
}
