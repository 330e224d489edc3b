//! `midstate bench`: what every kernel does on this machine, with its spread.
//!
//! These machines are shared and noisy, so the lines take turns: a short window of each, round
//! after round, and a slow second hits them all alike. Reported is the median window with its 95 %
//! interval.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use midstate_chain::Network;
use midstate_sha256d::{Kernel, Work};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::choose::{available_threads, bench_work, kernel_named};
use crate::exit::Failure;
use crate::output::Output;
use crate::units;

const WINDOW: Duration = Duration::from_millis(50);
const MIDSTATES: [usize; 4] = [1, 4, 16, 64];

/// Flags of `bench`.
///
/// Example: midstate bench --kernel avx2 --seconds 5
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Measuring time per line
    #[arg(long, value_name = "SECS", default_value_t = 2.0, value_parser = parse_seconds)]
    seconds: f64,
    /// Measure this kernel only
    #[arg(long, value_name = "NAME")]
    kernel: Option<String>,
    /// Measure with this many threads only [default: 1 and all]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.05..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected a number of seconds from 0.05 to 3600".to_owned()),
    }
}

/// What is measured, and the rate of each window so far.
struct Line {
    subject: Subject,
    rates: Vec<f64>,
}

enum Subject {
    /// The `sha2` crate hashing headers, one thread: the yardstick.
    Baseline,
    /// Core clock, in cycles per second.
    Clock,
    Kernel {
        kernel: Kernel,
        work: Box<Work>,
        threads: usize,
    },
}

/// The median of some samples, with an interval that holds the true median 95 times in 100.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) samples: usize,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Machine {
        cpu: &'a str,
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
        samples: usize,
        cycles_per_hash: f64,
        roofline: Option<f64>,
    },
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let mut lines = args.lines()?;
    let rounds = (args.seconds / WINDOW.as_secs_f64()).ceil() as usize;
    for round in 1..=rounds {
        if out.is_live() {
            out.status(&format!("round {round} of {rounds}, {} lines", lines.len()));
        }
        for line in &mut lines {
            let rate = line.subject.measure();
            line.rates.push(rate);
        }
    }
    out.end_status();
    report(&lines, out);
    Ok(())
}

/// Hashes per second of all `threads` together, measured for `seconds`.
pub(crate) fn rate_of(kernel: Kernel, threads: usize, midstates: usize, seconds: f64) -> Estimate {
    let subject = Subject::Kernel { kernel, work: Box::new(bench_work(midstates)), threads };
    let rounds = (seconds / WINDOW.as_secs_f64()).ceil().max(1.0) as usize;
    Estimate::of(&(0..rounds).map(|_| subject.measure()).collect::<Vec<_>>())
}

impl Args {
    fn lines(&self) -> Result<Vec<Line>, Failure> {
        let kernels: Vec<Kernel> = match &self.kernel {
            Some(name) => vec![kernel_named(name)?],
            None => Kernel::available().collect(),
        };
        let mut threads = match self.threads {
            Some(threads) => vec![threads.get()],
            None => vec![1, available_threads()],
        };
        threads.dedup();
        let mut subjects = vec![Subject::Clock, Subject::Baseline];
        for kernel in kernels {
            for &threads in &threads {
                subjects.extend(MIDSTATES.map(|midstates| Subject::Kernel {
                    kernel,
                    work: Box::new(bench_work(midstates)),
                    threads,
                }));
            }
        }
        Ok(subjects.into_iter().map(|subject| Line { subject, rates: Vec::new() }).collect())
    }
}

impl Subject {
    /// One window; events per second.
    fn measure(&self) -> f64 {
        match self {
            Self::Baseline => {
                let mut header = Network::Mainnet.genesis().to_bytes();
                window(|nonce| {
                    for nonce in nonce as u32 * 64..(nonce as u32 + 1) * 64 {
                        header[76..].copy_from_slice(&nonce.to_le_bytes());
                        std::hint::black_box(Sha256::digest(Sha256::digest(header)));
                    }
                    64
                })
            }
            Self::Clock => {
                let mut state = 1u64;
                let rate = window(|_| {
                    for _ in 0..1000 {
                        state ^= state << 13;
                        state ^= state >> 7;
                        state ^= state << 17;
                    }
                    // Six operations that wait for each other, one cycle each on every core we
                    // know.
                    6000
                });
                std::hint::black_box(state);
                rate
            }
            Self::Kernel { kernel, work, threads } => {
                let chunk = (4096 / work.midstates() as u64).max(64);
                let scan = || {
                    window(|index| {
                        let start = index * chunk % (1 << 32);
                        kernel.scan(work, start..start + chunk, &mut |_| {})
                    })
                };
                match threads {
                    1 => scan(),
                    _ => std::thread::scope(|scope| {
                        let scans: Vec<_> = (0..*threads).map(|_| scope.spawn(scan)).collect();
                        scans.into_iter().filter_map(|thread| thread.join().ok()).sum()
                    }),
                }
            }
        }
    }
}

/// Repeats `step` for a window; it returns how much it did. Per second.
fn window(mut step: impl FnMut(u64) -> u64) -> f64 {
    let (start, mut done) = (Instant::now(), 0);
    for index in 0.. {
        done += step(index);
        if start.elapsed() >= WINDOW {
            break;
        }
    }
    done as f64 / start.elapsed().as_secs_f64()
}

impl Estimate {
    /// The interval is that of order statistics: no assumption about the shape of the noise.
    fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let half_width = 1.96 * (n as f64).sqrt() / 2.0;
        let rank = |at: f64| sorted[(at.max(0.0) as usize).min(n - 1)];
        let middle = n as f64 / 2.0;
        Self {
            median: (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
            low: rank((middle - half_width).floor()),
            high: rank((middle + half_width).ceil()),
            samples: n,
        }
    }
}

fn report(lines: &[Line], out: &mut Output) {
    let mut clock = 0.0;
    let mut baseline = None;
    for Line { subject, rates } in lines {
        let Estimate { median: hps, low: hps_low, high: hps_high, samples } = Estimate::of(rates);
        match subject {
            Subject::Clock => {
                clock = hps;
                let cpu = cpu_name();
                let threads = available_threads();
                out.line(format!("{cpu}, {threads} threads, {:.2} GHz", clock / 1e9));
                out.event(&Event::Machine {
                    cpu: &cpu,
                    arch: std::env::consts::ARCH,
                    threads,
                    ghz: clock / 1e9,
                    kernels: Kernel::available().map(Kernel::name).collect(),
                });
                out.line(format!(
                    "{:<8} {:>9} {:>7} {:>10} {:>23} {:>11} {:>7}",
                    "kernel",
                    "midstates",
                    "threads",
                    "rate",
                    "95 % interval",
                    "cycles/hash",
                    "x sha2"
                ));
            }
            Subject::Baseline => {
                baseline = Some(hps);
                out.event(&Event::Baseline { name: "sha2", hps, hps_low, hps_high, samples });
                let interval = interval(hps_low, hps_high);
                out.line(format!(
                    "{:<8} {:>9} {:>7} {:>10} {interval:>23} {:>11.1} {:>7.2}",
                    "sha2*",
                    "-",
                    1,
                    units::rate(hps),
                    clock / hps,
                    1.0
                ));
            }
            Subject::Kernel { kernel, work, threads } => {
                let cycles_per_hash = clock * *threads as f64 / hps;
                out.event(&Event::Bench {
                    kernel: kernel.name(),
                    lanes: kernel.lanes(),
                    midstates: work.midstates(),
                    threads: *threads,
                    hps,
                    hps_low,
                    hps_high,
                    samples,
                    cycles_per_hash,
                    roofline: None,
                });
                let ratio = baseline.map_or(f64::NAN, |baseline| hps / baseline);
                let interval = interval(hps_low, hps_high);
                out.line(format!(
                    "{:<8} {:>9} {threads:>7} {:>10} {interval:>23} {cycles_per_hash:>11.1} \
                     {ratio:>7.2}",
                    kernel.name(),
                    work.midstates(),
                    units::rate(hps),
                ));
            }
        }
    }
    out.line(
        "* double SHA-256 of an 80-byte header with the sha2 crate, one thread, in the same run",
    );
}

fn interval(low: f64, high: f64) -> String {
    format!("{} .. {}", units::rate(low), units::rate(high))
}

/// The CPU's own name for itself, or its architecture where it cannot be asked.
pub(crate) fn cpu_name() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_median_and_shrinks_with_samples() {
        let few: Vec<f64> = (1..=10).map(f64::from).collect();
        let many: Vec<f64> = (0..1000).map(|i| f64::from(i % 10) + 1.0).collect();
        let (few, many) = (Estimate::of(&few), Estimate::of(&many));
        assert_eq!((few.median, few.low, few.high), (5.5, 2.0, 10.0));
        assert_eq!(many.median, 5.5);
        assert!(many.high - many.low < few.high - few.low);
        let single = Estimate::of(&[3.0]);
        assert_eq!((single.low, single.median, single.high), (3.0, 3.0, 3.0));
    }
}
