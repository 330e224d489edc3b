//! What there is to see, and how it is drawn: a page of labelled rows, each in the longest wording
//! that fits, and below it what was said. No terminal here; [`Screen`](super::Screen) has it.

use std::collections::VecDeque;
use std::time::Duration;

use midstate_chain::Verdict;
use midstate_economics::odds;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Sparkline;

use crate::mining::event::Event;
use crate::mining::status::{State, Status};
use crate::mining::words::{self, Sentence};
use crate::shell::prose;
use crate::shell::units;

/// Seconds of hash rate that are remembered, one bar each: more than a line has columns.
const SECONDS: usize = 400;
/// Words on the page, and words kept for when the terminal is given back.
const MOST_SHOWN: usize = 100;
const MOST_KEPT: usize = 1000;
/// Columns of the labels, where there is room for them.
const LABEL: usize = 9;

/// See the [module](self) page.
pub(super) struct Scene {
    colours: bool,
    status: Option<Status>,
    /// Hashes per second, second by second, newest last.
    rates: VecDeque<u64>,
    /// Time and hashes at the end of the newest of these seconds.
    counted: (f64, u64),
    shown: VecDeque<Sentence>,
    kept: VecDeque<Sentence>,
}

/// A row of the page.
struct Row {
    label: &'static str,
    /// The same in fewer and fewer words.
    wordings: Vec<String>,
    style: Style,
    /// Which rows go first when there are too few lines: those with high numbers.
    rank: usize,
}

impl Scene {
    pub(super) fn new(colours: bool) -> Self {
        Self {
            colours,
            status: None,
            rates: VecDeque::new(),
            counted: (0.0, 0),
            shown: VecDeque::new(),
            kept: VecDeque::new(),
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

    /// Words to show.
    pub(super) fn show(&mut self, said: Sentence) {
        push(&mut self.shown, said, MOST_SHOWN);
    }

    /// What was said and is worth printing after all.
    pub(super) fn take_kept(&mut self) -> VecDeque<Sentence> {
        std::mem::take(&mut self.kept)
    }

    pub(super) fn draw(&self, frame: &mut Frame) {
        let area = frame.area();
        let Some(status) = &self.status else { return };
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        let mut rows = self.rows(status);
        // The newest word has a line, too, if three rows have theirs.
        let room = if height > 3 { height - 1 } else { height };
        rows.retain(|row| row.rank < room);
        let mut lines = Lines { frame, area, next: 0 };
        for row in &rows {
            match row.wordings.is_empty() {
                true => lines.put_bars(&self.rates, row.style),
                false => lines.put(row.line(width)),
            }
        }
        if lines.left() > 2 {
            lines.put(Line::default());
        }
        for line in self.newest_words(width, lines.left()) {
            lines.put(line);
        }
    }

    /// The page, top down.
    fn rows(&self, status: &Status) -> Vec<Row> {
        let Status { shares, blocks, .. } = status;
        let (state, colour) = match status.state {
            State::Mining => ("mining", Color::Green),
            State::Paused => ("paused", Color::Yellow),
            State::Waiting if status.seconds_of_interval > 0.0 => {
                ("waiting for --block-interval", Color::Yellow)
            }
            State::Waiting => ("waiting for work", Color::Yellow),
            State::Connecting => ("connecting", Color::Yellow),
        };
        let up = units::duration(Duration::from_secs_f64(status.seconds));
        let [now, minute, quarter] =
            [status.rates.hps_10s, status.rates.hps_60s, status.rates.hps_15m]
                .map(|rate| units::rate(rate.unwrap_or(0.0)));
        // Until there is more to a mean than to the one before it, it would say the same twice.
        let means = [(10.0, "60 s", minute), (60.0, "15 min", quarter)];
        let overall = words::overall(status.rates.hps_10s, status.rates.hps_10s_overall);
        let mut rates = [format!("{now} in 10 s{overall}"), format!("{now}{overall}"), now];
        for (_, time, rate) in means.into_iter().filter(|&(since, ..)| status.seconds > since) {
            rates[0] += &format!("   {rate} in {time}");
            rates[1] += &format!(", {time} {rate}");
        }
        let (kernel, threads, midstates) = (status.kernel, status.threads, status.midstates);
        let (threads, midstates) =
            (units::count(threads, "thread"), units::count(midstates, "midstate"));
        let mut rows = vec![
            Row {
                style: self.style(colour, Modifier::BOLD),
                ..row(
                    "",
                    0,
                    [
                        format!("{state}  {up}    q quit   p pause   + - threads"),
                        format!("{state}  {up}    q  p  + -"),
                        format!("{state}  {up}"),
                    ],
                )
            },
            Row { style: self.style(Color::Reset, Modifier::BOLD), ..row("rate", 1, rates) },
            Row { style: self.style(Color::Cyan, Modifier::empty()), ..row("", 8, Vec::new()) },
            row(
                "kernel",
                9,
                [
                    format!(
                        "{kernel}, {threads}, {midstates}, {}hashes so far",
                        units::si(status.hashes as f64)
                    ),
                    format!("{kernel}, {threads}, {midstates}"),
                    format!("{kernel}, {threads}"),
                ],
            ),
        ];
        if let Some(url) = &status.url {
            let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
            rows.push(row("pool", 5, [url.clone(), host.to_owned()]));
        }
        if let Some(job) = &status.job {
            let height = job.height.map_or(String::new(), |height| format!("height {height}, "));
            let [difficulty, network] =
                [job.difficulty, job.network_difficulty].map(units::difficulty);
            let age = units::duration(Duration::from_secs_f64(job.age));
            rows.push(row(
                "job",
                6,
                [
                    format!(
                        "{height}difficulty {difficulty}, network {network}, {age} old, id {}",
                        job.job_id
                    ),
                    format!("{height}difficulty {difficulty}, network {network}, {age} old"),
                    format!("{height}difficulty {difficulty}, {age} old"),
                    format!("difficulty {difficulty}"),
                ],
            ));
        }
        let latency = status.latency_ms.map_or(String::new(), |ms| format!(", {ms:.0} ms"));
        rows.extend([
            row("next", 4, next_share(status)),
            row(
                "shares",
                2,
                [
                    format!("{}{latency}", words::ledger(shares)),
                    format!(
                        "{} found, {} accepted, {} rejected{latency}",
                        shares.found, shares.accepted, shares.rejected,
                    ),
                    format!("{} of {} accepted", shares.accepted, shares.found),
                ],
            ),
            row("best", 7, [format!("difficulty {}", units::difficulty(status.best_difficulty))]),
            row(
                "blocks",
                3,
                [
                    format!(
                        "{} found, {} accepted, {} rejected",
                        blocks.found, blocks.accepted, blocks.rejected
                    ),
                    format!("{} of {} accepted", blocks.accepted, blocks.found),
                ],
            ),
        ]);
        rows
    }

    /// What was said last, wrapped into at most `count` lines. Only the newest may be cut short.
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
                self.style(Color::Green, Modifier::empty())
            }
            Sentence::Note(text) if text.starts_with("warning") => {
                self.style(Color::Yellow, Modifier::empty())
            }
            _ => Style::default(),
        }
    }

    fn style(&self, colour: Color, modifier: Modifier) -> Style {
        let style = Style::default().add_modifier(modifier);
        if self.colours { style.fg(colour) } else { style }
    }
}

/// How long until the next share, and how sure of it; the same of a block, where that is rarer.
fn next_share(status: &Status) -> Vec<String> {
    let Some(share) = status.seconds_to_share else {
        return vec!["nothing is being hashed".to_owned()];
    };
    let minute = match odds::at_least_one(60.0 / share) {
        sure if sure > 0.99 => "over 99 %".to_owned(),
        likely if likely > 0.01 => format!("{:.0} %", 100.0 * likely),
        rare => format!("1 in {}", units::si(1.0 / rare).trim_end()),
    };
    let wait = units::wait(share);
    let block = match status.seconds_to_block {
        Some(block) if block > 1.01 * share => {
            format!("; a block every {}", units::wait(block))
        }
        _ => String::new(),
    };
    vec![
        format!("a share every {wait}, {minute} likely within a minute{block}"),
        format!("a share every {wait}, {minute} likely within a minute"),
        format!("a share every {wait}{block}"),
        format!("share every {wait}{block}"),
        format!("share every {wait}"),
    ]
}

fn row(label: &'static str, rank: usize, wordings: impl Into<Vec<String>>) -> Row {
    Row { label, wordings: wordings.into(), style: Style::default(), rank }
}

impl Row {
    /// The longest wording that fits, or as much of the shortest as there is room for.
    fn line(&self, width: usize) -> Line<'_> {
        let label = match self.label {
            "" => String::new(),
            label if width >= 40 => format!("{label:<LABEL$}"),
            label => format!("{label} "),
        };
        let room = width.saturating_sub(label.chars().count());
        let fits = |words: &&String| words.chars().count() <= room;
        let words = self.wordings.iter().find(fits).or(self.wordings.last());
        Line::from(vec![
            Span::styled(label, Style::default().add_modifier(Modifier::DIM)),
            Span::styled(words.map_or("", String::as_str), self.style),
        ])
    }
}

/// The lines of the page that are still free.
struct Lines<'a, 'b> {
    frame: &'a mut Frame<'b>,
    area: Rect,
    next: u16,
}

impl Lines<'_, '_> {
    fn left(&self) -> usize {
        usize::from(self.area.height.saturating_sub(self.next))
    }

    fn take(&mut self) -> Option<Rect> {
        let free = self.left() > 0;
        let line = Rect { y: self.area.y + self.next, height: 1, ..self.area };
        self.next += u16::from(free);
        free.then_some(line)
    }

    fn put(&mut self, line: Line) {
        if let Some(area) = self.take() {
            self.frame.render_widget(line, area);
        }
    }

    /// The rates, the newest at the right end.
    fn put_bars(&mut self, rates: &VecDeque<u64>, style: Style) {
        if let Some(area) = self.take() {
            let skipped = rates.len().saturating_sub(usize::from(area.width));
            let rates: Vec<_> = rates.iter().skip(skipped).copied().collect();
            // A hair of space above the highest.
            let peak = rates.iter().max().map_or(1, |peak| peak + peak / 7);
            let bars = Sparkline::default().data(rates).max(peak).style(style);
            self.frame.render_widget(bars, area);
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
