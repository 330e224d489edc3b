//! A test as a report with plots, to hand around.

use std::time::Duration;

use midstate_report::{Axis, Chart, Figure, Ink, Layer, Line, Page, Part, Scale, Table};
use midstate_swarm::{Books, HashCount, Look, Vardiff};

use super::Names;
use super::watch::{Watch, vardiff_in_words};
use super::words::{Summary, latencies_in_words};
use crate::shell::units;

/// Miners with a row of their own.
const SHOWN: usize = 50;
/// The work of accepted shares is averaged over so many parts of the run: a few shares tell little.
const WINDOWS: u32 = 40;
/// And over no less than this.
const LEAST_WINDOW: Duration = Duration::from_secs(10);

/// All that a report tells of.
pub(super) struct Report<'a> {
    pub(super) url: &'a str,
    pub(super) profile: &'a str,
    /// How long the script was run.
    pub(super) end: Duration,
    pub(super) names: &'a Names,
    pub(super) books: &'a Books,
    pub(super) watch: &'a Watch,
    pub(super) vardiff: &'a Vardiff,
    pub(super) total: HashCount,
    pub(super) summary: &'a Summary,
}

/// The report.
pub(super) fn page(report: &Report<'_>) -> Page {
    let looks = report.watch.findings.looks();
    let mut parts = vec![Part::Heading("In numbers".to_owned()), Part::Table(numbers(report))];
    if report.books.faults().kinds().next().is_some() {
        parts.push(Part::Heading("Faults on purpose".to_owned()));
        parts.push(Part::Table(faults(report.books)));
    }
    parts.push(Part::Heading("Over time".to_owned()));
    parts.extend([rates(looks), difficulties(looks), answers(looks)].into_iter().flatten());
    parts.push(Part::Heading("Miner by miner".to_owned()));
    parts.push(Part::Table(miners(report)));
    Page {
        title: "A pool, tested".to_owned(),
        lead: format!(
            "{} with {}, {}, for {}.",
            report.url,
            units::count(report.books.miners().len(), "miner"),
            report.profile,
            units::duration(report.end),
        ),
        parts,
        footer: format!(
            "Made by midstate {} with `midstate swarm --html`. Every share was true work, but for \
             those of faults on purpose.",
            env!("CARGO_PKG_VERSION")
        ),
    }
}

fn numbers(report: &Report<'_>) -> Table {
    let Report { books, total, vardiff, summary, .. } = report;
    let shares = books.shares();
    let mut table = Table::new(&[("what", false), ("measured", false)]);
    let mut row = |what: &str, measured: String| table.rows.push(vec![what.to_owned(), measured]);
    row(
        "hashes",
        format!(
            "{} asked, {} done, {} without a job, {}",
            total.asked,
            total.done,
            total.idle,
            summary.late_in_words()
        ),
    );
    row(
        "shares",
        format!(
            "{} found: {} accepted, {} rejected, {} stale, {} lost",
            shares.found(),
            shares.accepted(),
            shares.rejected(),
            shares.stale(),
            shares.unresolved()
        ),
    );
    for (reason, count) in books.rejects().rows() {
        row("rejected", format!("{count} with {reason}"));
    }
    row("answers to shares", latencies_in_words(books.answers()));
    row("from a new block to the last miner's job", latencies_in_words(&books.spreads()));
    let connections = books.connections();
    row(
        "connections",
        format!(
            "{} opened, {} lost, {} not reached, {} refused",
            connections.opened, connections.lost, connections.unreached, connections.refused
        ),
    );
    if let Some(words) = vardiff_in_words(vardiff) {
        row("difficulty", words);
    }
    for judgement in summary.judgements() {
        row("expected", judgement.to_string());
    }
    table
}

fn faults(books: &Books) -> Table {
    let mut table = Table::new(&[("fault", false), ("what the pool made of it", false)]);
    table.rows = books
        .faults()
        .kinds()
        .map(|(fault, counts)| vec![fault.name().to_owned(), counts.sentence(fault)])
        .collect();
    table
}

/// Minutes and seconds, for the axis of time.
fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as i64;
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn line(name: &str, ink: Ink, points: Vec<(f64, f64)>, steps: bool) -> Layer {
    Layer::Line(Line { name: name.to_owned(), end: String::new(), ink, points, steps })
}

/// A chart over time; `None` without two points.
fn chart(
    title: &str,
    label: &str,
    scale: Scale,
    tick: fn(f64) -> String,
    lines: Vec<Layer>,
    caption: &str,
) -> Option<Part> {
    let points = |layer: &Layer| match layer {
        Layer::Line(line) => line.points.clone(),
        _ => Vec::new(),
    };
    let all: Vec<_> = lines.iter().flat_map(points).collect();
    if all.len() < 2 {
        return None;
    }
    let values = all.iter().map(|&(_, value)| value);
    let zero = (scale == Scale::Linear).then_some(0.0);
    let chart = Chart {
        title: title.to_owned(),
        x: Axis::around(
            "minutes:seconds of the script",
            Scale::Linear,
            all.iter().map(|&(time, _)| time).chain([0.0]),
            clock,
        ),
        y: Axis::around(label, scale, values.chain(zero), tick),
        layers: lines,
    };
    Some(Part::Figure { figure: Figure::Chart(chart), caption: caption.to_owned() })
}

/// Each look's value, from its beginning on.
fn over<T>(looks: &[Look], value: impl Fn(&Look) -> Option<T>) -> Vec<(f64, T)> {
    looks.iter().filter_map(|look| Some((look.time[1].as_secs_f64(), value(look)?))).collect()
}

fn rates(looks: &[Look]) -> Option<Part> {
    let per_second = |hashes: u64, look: &Look| Some(hashes as f64 / look.length().as_secs_f64());
    let whole = looks.last().map_or(Duration::ZERO, |look| look.time[1]);
    let window = LEAST_WINDOW.max(whole / WINDOWS);
    let seen = looks.iter().enumerate().filter_map(|(last, look)| {
        // The looks of the window that ends with this one.
        let from = look.time[1].checked_sub(window)?;
        let within = looks[..=last].iter().filter(|look| look.time[0] >= from);
        let (work, time) = within.fold((0.0, 0.0), |(work, time), look| {
            (work + look.seen, time + look.length().as_secs_f64())
        });
        (time > 0.0).then(|| (look.time[1].as_secs_f64(), work / time))
    });
    let lines = vec![
        line(
            "asked by the script",
            Ink::Blue,
            over(looks, |look| per_second(look.asked, look)),
            false,
        ),
        line("hashed", Ink::Grey, over(looks, |look| per_second(look.done, look)), false),
        line("as the pool counts it", Ink::Orange, seen.collect(), false),
    ];
    let tick = |rate: f64| if rate == 0.0 { "0".to_owned() } else { units::rate(rate) };
    chart(
        "Hash rate of all miners",
        "hashes per second",
        Scale::Linear,
        tick,
        lines,
        &format!(
            "The rate that the script asked for, the hashes that were done, and the rate that the \
             accepted shares stand for at their difficulty, which is what the pool pays by. That \
             one is averaged over {}; it wavers with the luck of its shares.",
            units::duration(window)
        ),
    )
}

fn difficulties(looks: &[Look]) -> Option<Part> {
    let of = |which: usize| over(looks, move |look| look.difficulty.map(|all| all[which]));
    let lines = vec![
        line("lowest", Ink::Grey, of(0), true),
        line("highest", Ink::Purple, of(2), true),
        line("median of the miners", Ink::Green, of(1), true),
    ];
    chart(
        "Difficulty of a share",
        "difficulty",
        Scale::Log,
        units::difficulty,
        lines,
        "The difficulty that the pool has set, over the miners that are there. Log scale.",
    )
}

fn answers(looks: &[Look]) -> Option<Part> {
    let ms = |which: usize| {
        over(looks, move |look| look.answers.map(|times| times[which].as_secs_f64() * 1e3))
    };
    let lines = vec![
        line("99 of 100 took no longer", Ink::Red, ms(1), false),
        line("half took no longer", Ink::Blue, ms(0), false),
    ];
    let tick = |ms: f64| {
        let digits = if ms < 1.0 { 2 } else { 0 };
        format!("{ms:.digits$} ms")
    };
    chart(
        "Answers to shares",
        "milliseconds",
        Scale::Log,
        tick,
        lines,
        "The time from sending a share to the pool's answer, of the shares that were answered in \
         that second. Log scale.",
    )
}

fn miners(report: &Report<'_>) -> Table {
    let Report { names, books, watch, vardiff, end, .. } = report;
    let mut table = Table::new(&[
        ("miner", false),
        ("found", true),
        ("accepted", true),
        ("rejected", true),
        ("lost", true),
        ("p99", true),
        ("difficulty", true),
        ("time to settle", true),
    ]);
    let settled = |worker: u32| {
        let goal = vardiff.goal?;
        let followings = watch.findings.followings(worker, *end, goal);
        let times: Option<Vec<_>> = followings.iter().map(|one| one.settled).collect();
        Some(times.map_or("never".to_owned(), |times| {
            times.into_iter().max().map_or("-".to_owned(), units::duration)
        }))
    };
    for (worker, miner) in (0..).zip(books.miners()).take(SHOWN) {
        let p99 = miner.answers.quantile(0.99).as_secs_f64() * 1e3;
        table.rows.push(vec![
            names.of(worker),
            miner.shares.found().to_string(),
            miner.shares.accepted().to_string(),
            miner.shares.rejected().to_string(),
            miner.shares.unresolved().to_string(),
            format!("{p99:.1} ms"),
            miner.difficulty.map_or("-".to_owned(), units::difficulty),
            settled(worker).unwrap_or("-".to_owned()),
        ]);
    }
    let more = books.miners().len().saturating_sub(SHOWN);
    if more > 0 {
        let mut row = vec![format!("and {more} more, in the events of --json")];
        row.resize(table.columns.len(), String::new());
        table.rows.push(row);
    }
    table
}
