//! `midstate bench --ladder`: from the definition to all threads, a thing left out at each step,
//! each measured beside its count of operations. The steps are in the order of `docs/sha256d.md`,
//! and a slower one has a factor below one: SHA instructions are no gain over AVX-512 everywhere.

use midstate_sha256d::Kernel;
use serde::Serialize;

use super::{Machine, operations};
use crate::machine::measure::{Line, Subject, in_turns};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::units;

/// Midstates of the steps that share a schedule.
const SHARED: usize = 16;

/// A step, and how its name reads.
struct Step {
    name: String,
    kernel: Option<&'static str>,
    threads: usize,
    /// Of a hash; of all threads alike.
    operations: Option<f64>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    Ladder {
        step: &'a str,
        kernel: Option<&'a str>,
        threads: usize,
        hps: f64,
        hps_low: f64,
        hps_high: f64,
        samples: usize,
        /// Over the step before.
        factor: f64,
        /// Operations of a hash, in the words or vectors of the step.
        operations: Option<f64>,
    },
    LadderTotal {
        /// The last step over the first, as measured.
        factor: f64,
        /// All factors multiplied.
        product: f64,
    },
}

pub(super) fn run(threads: usize, seconds: f64, out: &mut Output) -> Result<(), Failure> {
    let (steps, subjects): (Vec<_>, Vec<_>) = steps(threads)?.into_iter().unzip();
    let held_against = [Subject::Clock, Subject::Baseline];
    let count = held_against.len();
    let lines = in_turns(held_against.into_iter().chain(subjects).collect(), seconds, out)?;
    Machine::report(&lines, out);
    report(&steps, &lines[count..], out);
    Ok(())
}

fn steps(threads: usize) -> Result<Vec<(Step, Subject)>, Failure> {
    let plain = |name: &str, operations, subject| {
        let operations = Some(operations);
        (Step { name: name.to_owned(), kernel: None, threads: 1, operations }, subject)
    };
    let hashing = |name, kernel: Kernel, midstates, threads| {
        let operations = operations::of_hash(kernel, midstates);
        let step = Step { name, kernel: Some(kernel.name()), threads, operations };
        (step, Subject::kernel(kernel, midstates, threads))
    };
    let mut steps = vec![
        plain("naive", operations::NAIVE, Subject::Naive),
        plain("midstate", operations::MIDSTATE, Subject::Midstate),
    ];
    for kernel in Kernel::available() {
        let name = if kernel == Kernel::SCALAR {
            // The kernel's early stop is in it: no kernel folds and goes on to the end.
            "folded, early stop".to_owned()
        } else if kernel.independent_rounds(1).is_none() {
            "SHA instructions".to_owned()
        } else {
            format!("{}, {} lanes", kernel.name(), kernel.lanes())
        };
        steps.push(hashing(name, kernel, 1, 1));
    }
    let fastest = fastest()?;
    if Some(fastest) != Kernel::available().last() {
        // So that the next step's factor is that of sharing alone.
        steps.push(hashing(format!("{} again", fastest.name()), fastest, 1, 1));
    }
    steps.push(hashing(format!("schedule shared by {SHARED}"), fastest, SHARED, 1));
    steps.push(hashing("all threads".to_owned(), fastest, SHARED, threads));
    Ok(steps)
}

/// The kernel that goes on to the last steps: that of the best window, of five in turns.
fn fastest() -> Result<Kernel, Failure> {
    let mut best = (Kernel::SCALAR, 0.0);
    for kernel in (0..5).flat_map(|_| Kernel::available()) {
        let rate = Subject::kernel(kernel, SHARED, 1).measure()?;
        if rate >= best.1 {
            best = (kernel, rate);
        }
    }
    Ok(best.0)
}

fn report(steps: &[Step], lines: &[Line], out: &mut Output) {
    out.line(format!(
        "{:<22} {:<8} {:>7} {:>11} {:>10} {:>7} {:>8}",
        "step", "kernel", "threads", "operations", "rate", "factor", "so far"
    ));
    let (mut before, mut product) = (None, 1.0);
    let first = lines[0].rate().median;
    for (step, line) in steps.iter().zip(lines) {
        let rate = line.rate();
        let factor = rate.median / before.unwrap_or(rate.median);
        product *= factor;
        before = Some(rate.median);
        out.event(&Event::Ladder {
            step: &step.name,
            kernel: step.kernel,
            threads: step.threads,
            hps: rate.median,
            hps_low: rate.low,
            hps_high: rate.high,
            samples: rate.samples,
            factor,
            operations: step.operations,
        });
        let operations = step.operations.map_or("-".to_owned(), |count| format!("{count:.0}"));
        out.line(format!(
            "{:<22} {:<8} {:>7} {operations:>11} {:>10} {factor:>7.2} {product:>8.2}",
            step.name,
            step.kernel.unwrap_or("-"),
            step.threads,
            units::rate(rate.median),
        ));
    }
    let factor = before.unwrap_or(first) / first;
    out.event(&Event::LadderTotal { factor, product });
    out.line(format!("the last over the first: {factor:.2}; all factors multiplied: {product:.2}"));
    out.line("operations: of one hash, in the words, vectors or SHA instructions of the step");
}
