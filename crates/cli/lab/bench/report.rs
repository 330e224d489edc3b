//! `midstate bench --report`: a block of text to paste, for `docs/machines.md`, which
//! `cargo xtask machines` reads. It says which CPU did what, and nothing of the person in front of
//! it: no name of a host or a user, no path, no address, no serial number.

use super::{Machine, bound_share, fastest};
use crate::lab::today;
use crate::machine::choose::available_threads;
use crate::machine::cpu;
use crate::machine::measure::{Estimate, Line};
use crate::shell::output::Output;

/// The instruction sets that make a difference to a kernel, and whether a hypervisor is below.
const TELLING: [&str; 14] = [
    "hypervisor",
    "ssse3",
    "sse4_1",
    "avx",
    "avx2",
    "avx512f",
    "avx512vl",
    "bmi2",
    "sha_ni",
    "asimd",
    "sha1",
    "sha2",
    "sha512",
    "sve",
];
/// The most characters of a line that the system has written.
const MOST: usize = 80;

/// The machine as it was before the measurement, which makes load of its own.
pub(super) struct Before {
    load: Option<String>,
}

impl Before {
    pub(super) fn now() -> Self {
        Self { load: cpu::load() }
    }

    pub(super) fn load(&self) -> Option<&str> {
        self.load.as_deref()
    }

    /// Prints the block.
    pub(super) fn report(&self, machine: &Machine, lines: &[Line], out: &mut Output) {
        for line in self.block(machine, lines) {
            out.line(line);
        }
    }

    fn block(&self, machine: &Machine, lines: &[Line]) -> Vec<String> {
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let known = |fact: Option<String>| fact.map_or("unknown".to_owned(), |fact| clean(&fact));

        let flags = cpu::cpu_flags();
        let flags: Vec<_> = flags.split(' ').filter(|flag| TELLING.contains(flag)).collect();
        let flags = Some(flags.join(" ")).filter(|flags| !flags.is_empty());
        let mut block = vec![
            "midstate report 1".to_owned(),
            format!("version: {} {build} {}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH),
            format!("date: {}", today()),
            format!("cpu: {}", clean(&cpu::cpu_name())),
            format!("model: {}", known(cpu::model())),
            format!("microcode: {}", known(cpu::microcode())),
            format!("flags: {}", known(flags)),
            format!("clock source: {}", known(cpu::clock_source())),
            format!("clock: {:.3} GHz", machine.best_clock / 1e9),
            format!("threads: {}", available_threads()),
            format!("load: {}", known(self.load.clone())),
            format!("fastest: {}", fastest(lines).unwrap_or_else(|| "unknown".to_owned())),
            format!("sha2: {:.2} MH/s", machine.best_baseline / 1e6),
            "kernel midstates threads MH/s low high best cycles least bound".to_owned(),
        ];
        let rows = lines.iter().filter_map(|line| Some((line.of_kernel()?, line)));
        for ((kernel, midstates, threads), line) in rows {
            let Estimate { median, low, high, best, .. } = line.rate();
            let mhs = [median, low, high, best].map(|rate| format!("{:.2}", rate / 1e6)).join(" ");
            let cycles = machine.clock * threads as f64 / median;
            let least = machine.best_clock * threads as f64 / best;
            let bound = bound_share(lines, kernel, midstates, threads, median);
            let bound = bound.map_or("-".to_owned(), |share| format!("{:.0}%", 100.0 * share));
            let name = kernel.name();
            block
                .push(format!("{name} {midstates} {threads} {mhs} {cycles:.1} {least:.1} {bound}"));
        }
        block.push("end of report".to_owned());
        block
    }
}

/// A text of the system's as a line may have it: printable, without what a table gives a meaning
/// to, and not too long.
fn clean(text: &str) -> String {
    let kept = |c: char| if c.is_ascii_graphic() && !"|<>`".contains(c) { c } else { ' ' };
    let text: String = text.chars().map(kept).collect();
    let words: Vec<_> = text.split_whitespace().collect();
    let mut text = words.join(" ");
    text.truncate(MOST);
    if text.is_empty() { "unknown".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_systems_cannot_break_the_block_or_a_table() {
        assert_eq!(clean("AMD EPYC  7B13\t64-Core"), "AMD EPYC 7B13 64-Core");
        assert_eq!(clean("a|b\ncpu: <c>`d`\u{e9}"), "a b cpu: c d");
        assert_eq!(clean(&"x".repeat(500)).len(), MOST);
        assert_eq!(clean(" \u{0} "), "unknown");
    }
}
