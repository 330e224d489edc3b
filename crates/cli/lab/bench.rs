//! `midstate bench`: what every kernel does on this machine, with its spread.
//!
//! These machines are shared and noisy, so the lines take turns: a short window of each, round
//! after round, and a slow second hits them all alike. Reported is the median window with its 95 %
//! interval.

mod ladder;
mod operations;
mod page;
mod report;
mod variants;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use midstate_sha256d::Kernel;
use serde::Serialize;

use self::report::Before;
use crate::machine::choose::{available_threads, kernel_named};
use crate::machine::cpu::{cpu_flags, cpu_name};
use crate::machine::measure::{Estimate, Line, Subject, in_turns};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::{units, values};

const MIDSTATES: [usize; 4] = [1, 4, 16, 64];

/// Flags of `bench`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midstate bench --kernel scalar --seconds 0.5")]
pub(crate) struct Args {
    /// Measuring time per line
    #[arg(long, value_name = "SECS", default_value_t = 2.0, value_parser = parse_seconds)]
    seconds: f64,
    /// Measure this kernel only
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Measure with this many threads only [default: 1 and all]
    #[arg(long, value_name = "N", value_parser = values::threads)]
    threads: Option<NonZeroUsize>,
    /// Measure the gain of each optimisation, step by step
    #[arg(long, conflicts_with = "kernel")]
    ladder: bool,
    /// Write the measurement as a page with plots to FILE
    #[arg(long, value_name = "FILE", conflicts_with = "ladder")]
    html: Option<PathBuf>,
    /// Print one block of text to paste into an issue: this CPU's numbers, and nothing about you
    #[arg(long, conflicts_with_all = ["ladder", "html", "json"])]
    report: bool,
}

/// For how long to measure: long enough for a number, and no longer than one can mean.
pub(crate) fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds from 0.05 to 3600, as 2".to_owned()),
    }
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Machine {
        cpu: &'a str,
        flags: &'a str,
        arch: &'a str,
        threads: usize,
        ghz: f64,
        kernels: Vec<&'a str>,
    },
    Baseline {
        name: &'a str,
        hps: f64,
        hps_low: f64,
        hps_high: f64,
        hps_best: f64,
        samples: usize,
    },
    Bench {
        kernel: &'a str,
        lanes: usize,
        midstates: usize,
        threads: usize,
        hps: f64,
        hps_low: f64,
        hps_high: f64,
        hps_best: f64,
        samples: usize,
        /// Share of the CPU time that went to other programs.
        cpu_elsewhere: Option<f64>,
        cycles_per_hash: f64,
        /// Share of the bound that was measured in this run.
        roofline: Option<f64>,
        /// Of the whole CPU.
        watts: Option<f64>,
        j_per_th: Option<f64>,
    },
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        out.note(
            "debug build: the clock and the sha2 crate look slow; build with --release to compare",
        );
    }
    if args.ladder {
        return ladder::run(
            args.threads.map_or_else(available_threads, NonZeroUsize::get),
            args.seconds,
            out,
        );
    }
    if let Some(path) = &args.html {
        out.try_to_save(path)?;
    }
    let before = Before::now();
    let lines = in_turns(args.subjects()?, args.seconds, out)?;
    if args.report {
        before.report(&Machine::of(&lines), &lines, out);
        return Ok(());
    }
    let machine = Machine::report(&lines, out);
    machine.report_kernels(&lines, out);
    variants::report(&machine, &lines, out);
    match &args.html {
        Some(path) => {
            out.save(path, &page::page(&machine, &lines, args.seconds, &before).to_html())
        }
        None => Ok(()),
    }
}

impl Args {
    fn subjects(&self) -> Result<Vec<Subject>, Failure> {
        let kernels: Vec<Kernel> = match &self.kernel {
            Some(name) => vec![kernel_named(name)?],
            None => Kernel::available().collect(),
        };
        let mut counts = match self.threads {
            Some(threads) => vec![threads.get()],
            None => vec![1, available_threads()],
        };
        counts.dedup();
        let mut subjects = vec![Subject::Clock, Subject::Baseline];
        for kernel in kernels {
            for &threads in &counts {
                if kernel.independent_rounds(1).is_some() {
                    subjects.push(Subject::Bound { kernel, threads });
                }
                for count in MIDSTATES {
                    subjects.push(Subject::kernel(kernel, count, threads));
                    let variants = variants::beside(kernel, threads);
                    subjects.extend(variants.map(|one| Subject::kernel(one, count, threads)));
                }
            }
        }
        Ok(subjects)
    }
}

/// The yardsticks of the lines: the core's clock and the `sha2` crate, of the same run.
struct Machine {
    clock: f64,
    best_clock: f64,
    baseline: f64,
    best_baseline: f64,
}

impl Machine {
    /// Finds both in the lines of a run.
    fn of(lines: &[Line]) -> Self {
        let clock = rate(lines, |subject| matches!(subject, Subject::Clock));
        let baseline = rate(lines, |subject| matches!(subject, Subject::Baseline));
        let (best_clock, best_baseline) = (clock.best, baseline.best);
        Self { clock: clock.median, best_clock, baseline: baseline.median, best_baseline }
    }

    /// Finds both in the lines of a run, and prints them.
    fn report(lines: &[Line], out: &mut Output) -> Self {
        let machine = Self::of(lines);
        let clock = machine.clock;
        let Estimate { median: hps, low: hps_low, high: hps_high, best: hps_best, samples, .. } =
            rate(lines, |subject| matches!(subject, Subject::Baseline));
        let (cpu, threads) = (cpu_name(), available_threads());
        let ours = units::count(threads, "thread");
        out.line(format!("{cpu}, {ours}, {:.2} GHz", clock / 1e9));
        out.event(&Event::Machine {
            cpu: &cpu,
            flags: &cpu_flags(),
            arch: std::env::consts::ARCH,
            threads,
            ghz: clock / 1e9,
            kernels: Kernel::available().map(Kernel::name).collect(),
        });
        out.event(&Event::Baseline { name: "sha2", hps, hps_low, hps_high, hps_best, samples });
        machine
    }

    fn report_kernels(&self, lines: &[Line], out: &mut Output) {
        out.line(format!(
            "{:<8} {:>9} {:>7} {:>10} {:>23} {:>11} {:>7} {:>8}",
            "kernel",
            "midstates",
            "threads",
            "rate",
            "95 % interval",
            "cycles/hash",
            "x sha2",
            "of bound"
        ));
        for line in lines {
            match &line.subject {
                Subject::Baseline => {
                    let Estimate { median, low, high, .. } = line.rate();
                    out.line(format!(
                        "{:<8} {:>9} {:>7} {:>10} {:>23} {:>11.1} {:>7.2}",
                        "sha2*",
                        "-",
                        1,
                        units::rate(median),
                        interval(low, high),
                        self.clock / median,
                        1.0
                    ));
                }
                _ if variants::is_beside(line, lines) => {}
                _ => self.report_kernel(line, lines, out),
            }
        }
        out.line(
            "* double SHA-256 of an 80-byte header by the sha2 crate, one thread, in the same run",
        );
        out.line("of bound: of what the vector ports of this CPU did in the same run at best");
        if let Some(fastest) = fastest(lines) {
            out.text(format!("fastest: {fastest}"));
        }
    }

    fn report_kernel(&self, line: &Line, lines: &[Line], out: &mut Output) {
        let Some((kernel, midstates, threads)) = line.of_kernel() else { return };
        let rate = line.rate();
        let Estimate { median: hps, low: hps_low, high: hps_high, best: hps_best, .. } = rate;
        let cycles_per_hash = self.clock * threads as f64 / hps;
        let roofline = bound_share(lines, kernel, midstates, threads, hps);
        let watts = line.watts();
        out.event(&Event::Bench {
            kernel: kernel.name(),
            lanes: kernel.lanes(),
            midstates,
            threads,
            hps,
            hps_low,
            hps_high,
            hps_best,
            samples: rate.samples,
            cpu_elsewhere: rate.elsewhere,
            cycles_per_hash,
            roofline,
            watts,
            j_per_th: watts.map(|watts| watts / hps * 1e12),
        });
        let share = roofline.map_or("-".to_owned(), |share| format!("{:.0} %", 100.0 * share));
        let power = watts.map_or(String::new(), |watts| format!("  {watts:.0} W"));
        out.line(format!(
            "{:<8} {midstates:>9} {threads:>7} {:>10} {:>23} {cycles_per_hash:>11.1} {:>7.2} \
             {share:>8}{power}",
            kernel.name(),
            units::rate(hps),
            interval(hps_low, hps_high),
            hps / self.baseline,
        ));
    }
}

/// The fastest kernel on the most threads that were measured, and its rate: of the kernels that can
/// be chosen by name, by their best windows, which a busy machine slows least.
fn fastest(lines: &[Line]) -> Option<String> {
    let rows = lines.iter().filter_map(|line| Some((line.of_kernel()?, line.rate())));
    let ((kernel, midstates, threads), rate) =
        rows.max_by(|(a, x), (b, y)| (a.2.cmp(&b.2)).then(x.best.total_cmp(&y.best)))?;
    Some(format!(
        "{}, {}, {}: {}",
        kernel.name(),
        units::count(threads, "thread"),
        units::count(midstates, "midstate"),
        rate.words()
    ))
}

/// The rate of the line that every run has.
fn rate(lines: &[Line], wanted: fn(&Subject) -> bool) -> Estimate {
    let line = lines.iter().find(|line| wanted(&line.subject));
    line.expect("every run measures the clock and the baseline").rate()
}

/// The share that a kernel's rate is of the rate at which its operations would be done if none had
/// to wait; `None` where that was not measured or the operations are not counted.
fn bound_share(lines: &[Line], of: Kernel, midstates: usize, with: usize, hps: f64) -> Option<f64> {
    // A variant has the same operations in another order, and the same bound.
    let of = variants::original(of);
    let is_it = |subject: &Subject| match *subject {
        Subject::Bound { kernel, threads } => (variants::original(kernel), threads) == (of, with),
        _ => false,
    };
    let bound = lines.iter().find(|line| is_it(&line.subject))?.rate().median;
    Some(hps * operations::rounds_of_hash(of, midstates)? / bound)
}

fn interval(low: f64, high: f64) -> String {
    format!("{} .. {}", units::rate(low), units::rate(high))
}
