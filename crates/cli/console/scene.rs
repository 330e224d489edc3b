//! The content of the live view, laid out for the terminal's size: one column of labelled rows, or
//! two panes from 100 columns on; below them the newest messages. No terminal here;
//! [`Screen`](super::Screen) has it.

mod help;
mod rows;

use std::collections::VecDeque;

use midstate_chain::Verdict;
use ratatui::Frame;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use super::paint::{Lines, Palette};
use crate::mining::event::Event;
use crate::mining::standings::WorkerStatus;
use crate::mining::status::Status;
use crate::mining::words::{self, Sentence};
use crate::shell::prose;

/// Seconds of hash rate that are remembered, one bar each: more than a line has columns.
const SECONDS: usize = 400;
/// Words on the page, and words kept for when the terminal is given back.
const MOST_SHOWN: usize = 100;
const MOST_KEPT: usize = 1000;
/// The smallest terminal that has two panes.
const TWO_PANES: (usize, usize) = (100, 18);
/// Lines that stay for words below the panes.
const WORDS: usize = 6;
/// Lines of the plot in its pane.
const PLOT: usize = 4;
/// The most lines of the plot in a single column.
const TALLEST: usize = 6;

/// See the [module](self) page.
pub(super) struct Scene {
    palette: Palette,
    status: Option<Status>,
    /// At the embedded pool, fastest first; none elsewhere.
    miners: Vec<WorkerStatus>,
    /// Hashes per second, second by second, newest last.
    rates: VecDeque<u64>,
    /// Time and hashes at the end of the newest of these seconds.
    counted: (f64, u64),
    shown: VecDeque<Sentence>,
    kept: VecDeque<Sentence>,
    /// Whether keys and rows are explained.
    helps: bool,
}

impl Scene {
    pub(super) fn new(colours: bool) -> Self {
        Self {
            palette: Palette { colours },
            status: None,
            miners: Vec::new(),
            rates: VecDeque::new(),
            counted: (0.0, 0),
            shown: VecDeque::new(),
            kept: VecDeque::new(),
            helps: false,
        }
    }

    pub(super) fn set_status(&mut self, status: &Status) {
        let (then, before) = self.counted;
        let seconds = status.seconds - then;
        if seconds >= 1.0 {
            let rate = (status.hashes - before) as f64 / seconds;
            push(&mut self.rates, rate as u64, SECONDS);
            self.counted = (status.seconds, status.hashes);
        }
        self.status = Some(status.clone());
    }

    /// The miners at the embedded pool, fastest first.
    pub(super) fn set_miners(&mut self, miners: Vec<WorkerStatus>) {
        self.miners = miners;
    }

    /// Explains keys and rows, or ends that.
    pub(super) fn toggle_help(&mut self) {
        self.helps = !self.helps;
    }

    /// Ends the explanation of keys and rows.
    pub(super) fn end_help(&mut self) {
        self.helps = false;
    }

    /// Words about an event. Those on accepted shares are shown and not kept: they are many, and
    /// the summary counts them.
    pub(super) fn hear(&mut self, event: &Event, said: Sentence) {
        if matches!(event, Event::Share(share) if share.verdict == Verdict::Accepted) {
            self.show(said);
        } else {
            self.say(said);
        }
    }

    /// Words to show, and to print when the terminal is given back.
    pub(super) fn say(&mut self, said: Sentence) {
        self.show(said.clone());
        push(&mut self.kept, said, MOST_KEPT);
    }

    /// The answer to a key: once, however often the key is pressed, and of no use afterwards.
    pub(super) fn answer_key(&mut self, said: Sentence) {
        if self.shown.back() != Some(&said) {
            self.show(said);
        }
    }

    /// Words to show.
    pub(super) fn show(&mut self, said: Sentence) {
        push(&mut self.shown, said, MOST_SHOWN);
    }

    /// Words that are worth printing after all.
    pub(super) fn take_kept(&mut self) -> VecDeque<Sentence> {
        std::mem::take(&mut self.kept)
    }

    pub(super) fn draw(&self, frame: &mut Frame) {
        let Some(status) = &self.status else { return };
        let area = frame.area();
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let mut lines = Lines::new(frame, area);
        if self.helps {
            return help::draw(&mut lines);
        }
        if width >= TWO_PANES.0 && height >= TWO_PANES.1 {
            self.draw_panes(status, &mut lines);
        } else {
            self.draw_column(status, &mut lines);
        }
        if lines.left() > 2 {
            lines.put(Line::default());
        }
        for line in self.newest_words(width, lines.left()) {
            lines.put(line);
        }
    }

    /// All rows below each other, the less important ones only where there is room.
    fn draw_column(&self, status: &Status, lines: &mut Lines) {
        let mut rows = rows::column(status, &self.miners, self.palette);
        // The newest word has a line, too, if three rows have theirs.
        let room = if lines.left() > 3 { lines.left() - 1 } else { lines.left() };
        rows.retain(|row| row.rank < room);
        // Lines that neither rows nor words need make the plot higher; one of them has its axis.
        let spare = lines.left().saturating_sub(rows.len() + WORDS + 1).min(TALLEST);
        for row in &rows {
            match row.is_plot() {
                true if spare < 2 => lines.put_plot(&self.rates, 1, row.style),
                true => {
                    lines.put_plot(&self.rates, spare as u16, row.style);
                    lines.put(rows::axis(&self.rates, lines.width() as u16));
                }
                false => lines.put_row(row),
            }
        }
    }

    /// This machine at the left; pool, shares, blocks and miners at the right.
    fn draw_panes(&self, status: &Status, lines: &mut Lines) {
        lines.put_row(&rows::head(status, self.palette));
        lines.put(Line::default());
        let (left, right) = (rows::machine_pane(status, self.palette), rows::pool_pane(status));
        let miners = if self.miners.is_empty() { 0 } else { self.miners.len() + 2 };
        // The axis belongs to the plot, whose row is one of them.
        let needed = (left.len() + PLOT).max(right.len() + miners);
        let height = needed.min(lines.left().saturating_sub(WORDS + 1));
        let [left_area, right_area] = lines.take_panes(height);
        let mut pane = lines.within(left_area);
        for row in &left {
            match row.is_plot() {
                true => {
                    pane.put_plot(&self.rates, PLOT as u16, row.style);
                    pane.put(rows::axis(&self.rates, left_area.width));
                }
                false => pane.put_row(row),
            }
        }
        let mut pane = lines.within(right_area);
        right.iter().for_each(|row| pane.put_row(row));
        if miners > 0 {
            pane.put(Line::default());
            let (width, room) = (usize::from(right_area.width), pane.left());
            for line in rows::miners_table(&self.miners, width, room) {
                pane.put(line);
            }
        }
    }

    /// The newest messages, wrapped into at most `count` lines. Only the newest may be cut short.
    fn newest_words(&self, width: usize, count: usize) -> VecDeque<Line<'static>> {
        let mut lines = VecDeque::new();
        for said in self.shown.iter().rev() {
            let (Sentence::Result(text) | Sentence::Note(text)) = said;
            let parts = prose::wrap(&words::shorten_hashes(text), width);
            if !lines.is_empty() && lines.len() + parts.len() > count {
                break;
            }
            let style = self.style_of(said);
            for part in parts.into_iter().take(count).rev() {
                lines.push_front(Line::styled(part, style));
            }
        }
        lines
    }

    fn style_of(&self, said: &Sentence) -> Style {
        match said {
            Sentence::Result(text) if text.starts_with("block") => {
                self.palette.style(Color::Green, Modifier::empty())
            }
            Sentence::Note(text) if text.starts_with("warning") => {
                self.palette.style(Color::Yellow, Modifier::empty())
            }
            _ => Style::default(),
        }
    }
}

fn push<T>(queue: &mut VecDeque<T>, value: T, most: usize) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(value);
}

#[cfg(test)]
mod tests;
