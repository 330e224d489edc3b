//! Kernels beside their variants: the same hashes in another order, measured in the same run in
//! windows next to each other, so that a factor means something on a busy machine, too. The lines
//! of the variants are no lines of the table; only their factor is told.

use midstate_sha256d::Kernel;
use serde::Serialize;

use super::Machine;
use crate::machine::measure::{Estimate, Line, Subject};
use crate::shell::output::Output;

/// Threads of the lines that have a variant beside them.
const THREADS: usize = 1;

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Variant {
        kernel: &'a str,
        variant: &'a str,
        midstates: usize,
        threads: usize,
        /// Of the variant.
        hps: f64,
        cycles_per_hash: f64,
        /// Of the kernel over the variant: the median of the windows' factors.
        factor: f64,
        factor_low: f64,
        factor_high: f64,
        samples: usize,
    },
}

/// The variants to measure beside a line of the table.
pub(super) fn beside(kernel: Kernel, threads: usize) -> impl Iterator<Item = Kernel> {
    let variants = Kernel::variants().filter(move |&(_, of)| of == kernel && threads == THREADS);
    variants.map(|(variant, _)| variant)
}

/// The kernel that this one is a variant of, or itself.
pub(super) fn original(kernel: Kernel) -> Kernel {
    Kernel::variants().find(|&(variant, _)| variant == kernel).map_or(kernel, |(_, of)| of)
}

/// Whether the line is that of a variant beside its kernel.
pub(super) fn is_beside(line: &Line, lines: &[Line]) -> bool {
    let Some((kernel, ..)) = line.of_kernel() else { return false };
    let is = |line: &Line, original| line.of_kernel().is_some_and(|(other, ..)| other == original);
    let original = original(kernel);
    original != kernel && lines.iter().any(|line| is(line, original))
}

/// Tells each kernel's factor over its variants.
pub(super) fn report(machine: &Machine, lines: &[Line], out: &mut Output) {
    let pairs: Vec<_> = (lines.iter().filter(|line| is_beside(line, lines)))
        .filter_map(|line| Some((kernel_of(line, lines)?, line)))
        .collect();
    if pairs.is_empty() {
        return;
    }
    out.line(format!(
        "{:<8} {:<14} {:>9} {:>7} {:>23} {:>11}",
        "kernel", "over variant", "midstates", "factor", "95 % interval", "cycles/hash"
    ));
    for (ours, theirs) in pairs {
        let (Some((kernel, ..)), Some((variant, midstates, threads))) =
            (ours.of_kernel(), theirs.of_kernel())
        else {
            continue;
        };
        let Estimate { median: factor, low: factor_low, high: factor_high, samples, .. } =
            ours.factor_over(theirs);
        let hps = theirs.rate().median;
        let cycles_per_hash = machine.clock * threads as f64 / hps;
        let (kernel, variant) = (kernel.name(), variant.name());
        out.event(&Event::Variant {
            kernel,
            variant,
            midstates,
            threads,
            hps,
            cycles_per_hash,
            factor,
            factor_low,
            factor_high,
            samples,
        });
        let interval = format!("{factor_low:.3} .. {factor_high:.3}");
        out.line(format!(
            "{kernel:<8} {variant:<14} {midstates:>9} {factor:>7.3} {interval:>23} \
             {cycles_per_hash:>11.1}",
        ));
    }
}

/// The line of the kernel that this one is a variant's of.
fn kernel_of<'a>(variant: &Line, lines: &'a [Line]) -> Option<&'a Line> {
    let (kernel, midstates, threads) = variant.of_kernel()?;
    lines.iter().find(|line| line.of_kernel() == Some((original(kernel), midstates, threads)))
}

impl Line {
    /// Kernel, midstates and threads of a line about a kernel.
    pub(super) fn of_kernel(&self) -> Option<(Kernel, usize, usize)> {
        match &self.subject {
            Subject::Kernel { kernel, work, threads } => {
                Some((*kernel, work.midstates(), *threads))
            }
            _ => None,
        }
    }
}
