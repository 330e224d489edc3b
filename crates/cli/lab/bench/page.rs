//! The measurement as a report to hand around.

use midstate_report::{Bar, Bars, Figure, Ink, Page, Part, Scale, Table};

use super::report::Before;
use super::{Machine, interval, variants};
use crate::lab::today;
use crate::machine::cpu::cpu_name;
use crate::machine::measure::{Estimate, Line};
use crate::shell::units;

/// The report of a run.
pub(super) fn page(machine: &Machine, lines: &[Line], seconds: f64, before: &Before) -> Page {
    let mut counts: Vec<usize> = kernels(lines).map(|row| row.threads).collect();
    counts.sort_unstable();
    counts.dedup();
    let pictures = counts.iter().map(|&threads| rates(machine, lines, threads));
    let mut parts: Vec<_> = pictures.collect();
    parts.push(Part::Heading("Every line".to_owned()));
    parts.push(Part::Table(table(machine, lines)));
    Page {
        title: "What every kernel does on this machine".to_owned(),
        lead: format!(
            "{} at {:.2} GHz, {}, hashing block headers with double SHA-256. For comparison, the \
             sha2 crate does {} of them on one thread. {}",
            cpu_name(),
            machine.clock / 1e9,
            today(),
            units::rate(machine.baseline),
            load(lines, before)
        ),
        parts,
        footer: format!(
            "Made by midstate {} with `midstate bench --html`. Each line was measured for \
             {seconds} s, in turns with the others; shown is the median window with its 95 % \
             interval.",
            env!("CARGO_PKG_VERSION")
        ),
    }
}

/// How busy the machine was with other things, which the rates are to be read with.
fn load(lines: &[Line], before: &Before) -> String {
    let load = before.load().map_or_else(
        || "The system tells no load.".to_owned(),
        |load| format!("Load in the minute before: {load}."),
    );
    let elsewhere = kernels(lines).filter_map(|row| row.rate.elsewhere).reduce(f64::max);
    let Some(elsewhere) = elsewhere else { return load };
    format!("{load} Other programs had up to {:.0} % of the CPU time of a line.", elsewhere * 100.0)
}

/// A line about a kernel.
struct Row {
    name: &'static str,
    midstates: usize,
    threads: usize,
    rate: Estimate,
}

fn kernels(lines: &[Line]) -> impl Iterator<Item = Row> {
    lines.iter().filter(|line| !variants::is_beside(line, lines)).filter_map(|line| {
        let (kernel, midstates, threads) = line.of_kernel()?;
        Some(Row { name: kernel.name(), midstates, threads, rate: line.rate() })
    })
}

fn rates(machine: &Machine, lines: &[Line], threads: usize) -> Part {
    let bar = |row: Row| Bar {
        name: format!("{}, {}", row.name, units::count(row.midstates, "midstate")),
        value: row.rate.median,
        interval: Some((row.rate.low, row.rate.high)),
        text: units::rate(row.rate.median),
        ink: Ink::Green,
    };
    let who = units::count(threads, "thread");
    Part::Figure {
        figure: Figure::Bars(Bars {
            title: format!("Hashes per second, {who}"),
            scale: Scale::Linear,
            // The same for any number of threads, so that the pictures compare.
            reach: kernels(lines).map(|row| row.rate.high).reduce(f64::max),
            tick: |rate| if rate == 0.0 { "0".to_owned() } else { units::rate(rate) },
            mark: Some((
                machine.baseline,
                format!("sha2, 1 thread: {}", units::rate(machine.baseline)),
            )),
            rows: kernels(lines).filter(|row| row.threads == threads).map(bar).collect(),
        }),
        caption: format!(
            "Hashes per second with {who}, by kernel and by the number of midstates that share a \
             message schedule. The thin line is the 95 % interval of the median, the dashed one \
             the sha2 crate on one thread. The scale is the same in all pictures."
        ),
    }
}

fn table(machine: &Machine, lines: &[Line]) -> Table {
    let mut table = Table::new(&[
        ("kernel", false),
        ("midstates", true),
        ("threads", true),
        ("rate", true),
        ("95 % interval", true),
        ("cycles a hash", true),
        ("times the sha2 crate", true),
    ]);
    table.rows = kernels(lines)
        .map(|Row { name, midstates, threads, rate }| {
            vec![
                name.to_owned(),
                midstates.to_string(),
                threads.to_string(),
                units::rate(rate.median),
                interval(rate.low, rate.high),
                format!("{:.1}", machine.clock * threads as f64 / rate.median),
                format!("{:.2}", rate.median / machine.baseline),
            ]
        })
        .collect();
    table
}
