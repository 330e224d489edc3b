//! The live view of a test, where somebody sits at a terminal.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midstate_swarm::{Books, HashCount, State};
use ratatui::Frame;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use tokio::sync::mpsc;

use super::Names;
use super::words;
use crate::console::lock;
use crate::console::paint::{Lines, Palette, Row, dim};
use crate::console::screen::{Picture, Screen, is_end};
use crate::shell::output::Output;
use crate::shell::units;

/// Seconds of hash rate that are remembered, one bar each: more than a line has columns.
const SECONDS: usize = 400;
/// Lines of the plot.
const PLOT: u16 = 4;
/// Refusals by reason that are shown.
const REASONS: usize = 3;
/// Words that are kept for when the terminal is given back.
const MOST_KEPT: usize = 1000;
/// Lines of words that always have their place.
const WORDS: usize = 2;

/// The screen of a test, while there is one.
pub(super) struct View {
    screen: Option<Screen>,
    page: Arc<Mutex<Page>>,
}

/// What there is to see.
struct Page {
    palette: Palette,
    head: String,
    rows: Vec<Row>,
    /// Hashes per second, second by second, newest last.
    rates: VecDeque<u64>,
    /// Time and hashes at the end of the newest of these seconds.
    counted: (Duration, u64),
    miners: Vec<String>,
    said: VecDeque<String>,
}

/// What a test is at, for the page.
pub(super) struct Glance<'a> {
    pub(super) url: &'a str,
    pub(super) names: &'a Names,
    pub(super) at: Duration,
    pub(super) length: Duration,
    pub(super) asked_rate: f64,
    pub(super) total: HashCount,
    pub(super) books: &'a Books,
}

impl View {
    /// Takes the terminal over; if that cannot be, there are lines. A message comes when the user
    /// wants to end the test.
    pub(super) fn enter(out: &mut Output) -> (Self, mpsc::UnboundedReceiver<()>) {
        out.flush();
        let (ends, ended) = mpsc::unbounded_channel();
        let page = Arc::new(Mutex::new(Page::new(out.is_coloured())));
        let screen = match Screen::enter(Arc::clone(&page), ends) {
            Ok(screen) => {
                let page = Arc::clone(&page);
                out.logs().divert(move |line| lock(&page).say(line));
                Some(screen)
            }
            Err(error) => {
                out.note(format!("warning: no live view on this terminal: {error}"));
                None
            }
        };
        (Self { screen, page }, ended)
    }

    /// Where nobody sits at a terminal.
    pub(super) fn none() -> (Self, mpsc::UnboundedReceiver<()>) {
        let page = Arc::new(Mutex::new(Page::new(false)));
        (Self { screen: None, page }, mpsc::unbounded_channel().1)
    }

    /// Whether there is something to see. A panic, wherever it is, takes the screen down.
    pub(super) fn is_up(&self) -> bool {
        self.screen.as_ref().is_some_and(Screen::is_up)
    }

    /// A line about what is going on.
    pub(super) fn say(&mut self, out: &mut Output, text: String) {
        match self.is_up() {
            true => lock(&self.page).say(text),
            false => out.note(text),
        }
    }

    /// Shows how it stands.
    pub(super) fn show(&mut self, glance: &Glance<'_>) {
        lock(&self.page).set(glance);
    }

    /// Gives the terminal back, and prints there what would have been printed.
    pub(super) fn leave(&mut self, out: &mut Output) {
        let Some(screen) = self.screen.take() else { return };
        screen.leave();
        out.logs().restore();
        let said = std::mem::take(&mut lock(&self.page).said);
        said.into_iter().for_each(|text| out.note(text));
    }
}

impl Picture for Page {
    type Wish = ();

    fn draw(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let mut lines = Lines::new(frame, area);
        let bold = Style::default().add_modifier(Modifier::BOLD);
        lines.put(Line::styled(self.head.clone(), bold));
        for row in &self.rows {
            if lines.left() > WORDS {
                lines.put_row(row);
            }
        }
        if lines.left() > usize::from(PLOT) + 1 + WORDS {
            lines.put(Line::styled("hash rate, second by second", dim()));
            let style = self.palette.style(Color::Cyan, Modifier::empty());
            lines.put_plot(&self.rates, PLOT, style);
        }
        let room = lines.left().saturating_sub(WORDS + 1);
        if room > 2 {
            lines.put(Line::styled(words::MINERS_HEAD, dim()));
            self.miners.iter().take(room - 1).for_each(|miner| lines.put(Line::raw(miner.clone())));
        }
        let words = self.said.len().saturating_sub(lines.left());
        self.said.iter().skip(words).for_each(|text| lines.put(Line::raw(text.clone())));
    }

    fn press(&mut self, keys: &[u8]) -> Vec<()> {
        if is_end(keys) { vec![()] } else { Vec::new() }
    }
}

impl Page {
    fn new(colours: bool) -> Self {
        Self {
            palette: Palette { colours },
            head: String::new(),
            rows: Vec::new(),
            rates: VecDeque::new(),
            counted: (Duration::ZERO, 0),
            miners: Vec::new(),
            said: VecDeque::new(),
        }
    }

    fn say(&mut self, text: String) {
        if self.said.len() >= MOST_KEPT {
            self.said.pop_front();
        }
        self.said.push_back(text);
    }

    fn set(&mut self, glance: &Glance<'_>) {
        let Glance { url, at, length, total, books, .. } = *glance;
        let (then, before) = self.counted;
        let seconds = at.saturating_sub(then).as_secs_f64();
        if seconds >= 1.0 {
            if self.rates.len() >= SECONDS {
                self.rates.pop_front();
            }
            self.rates.push_back(((total.done - before) as f64 / seconds) as u64);
            self.counted = (at, total.done);
        }
        self.head = format!(
            "testing {url}   {} of {}   q ends the test",
            units::duration(at.min(length)),
            units::duration(length)
        );
        let rate = self.rates.back().copied().unwrap_or_default() as f64;
        let row = |label, wordings| Row { label, wordings, style: Style::default(), rank: 1 };
        self.rows = words::rows(glance, rate).into_iter().map(|(l, w)| row(l, w)).collect();
        let alarm = self.palette.style(Color::Yellow, Modifier::empty());
        let reasons = books.rejects().rows().into_iter().take(REASONS);
        self.rows.extend(reasons.map(|(reason, count)| Row {
            label: "refused",
            wordings: vec![format!("{count} with {reason}")],
            style: alarm,
            rank: 2,
        }));
        self.miners = miners(glance);
    }
}

/// The miners that deserve a look, as many as a high terminal has lines: those without a job, then
/// those with the slowest answers.
fn miners(glance: &Glance<'_>) -> Vec<String> {
    const MOST: usize = 60;
    let Glance { names, books, .. } = glance;
    let mut order: Vec<_> = (0u32..).zip(books.miners()).collect();
    order.retain(|(_, miner)| miner.state != State::Absent);
    order.sort_by_key(|(_, miner)| {
        (miner.state == State::Working, std::cmp::Reverse(miner.answers.max()))
    });
    let row = |(worker, miner)| words::miner_row(&names.of(worker), miner);
    order.into_iter().take(MOST).map(row).collect()
}
