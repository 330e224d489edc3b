//! What can be measured, a window at a time, and what a set of windows says.

use std::time::{Duration, Instant};

use midstate_chain::Network;
use midstate_sha256d::{Kernel, Midstate, Tail, Work, sha256d};
use sha2::{Digest, Sha256};

use crate::choose::bench_work;
use crate::meter::Meter;
use crate::output::Output;
use crate::units;

const WINDOW: Duration = Duration::from_millis(50);
/// Hashes between two looks at the clock, where a hash is slow.
const CHUNK: u64 = 64;

/// What is measured.
pub(super) enum Subject {
    /// The `sha2` crate hashing headers, one thread: the yardstick.
    Baseline,
    /// Core clock, in cycles per second.
    Clock,
    /// Whole headers by the definition, one thread.
    Naive,
    /// The definition from the midstate on, one thread.
    Midstate,
    Kernel {
        kernel: Kernel,
        work: Box<Work>,
        threads: usize,
    },
    /// A kernel's operations without their dependencies, in rounds of one lane.
    Bound {
        kernel: Kernel,
        threads: usize,
    },
}

/// A subject, and its windows so far.
pub(super) struct Line {
    pub(super) subject: Subject,
    windows: Vec<Vec<f64>>,
    joules: f64,
    seconds: f64,
}

/// The median of some samples, with an interval that holds the true median 95 times in 100.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Of each thread the best window, added up: what the machine can do when nobody else wants it,
    /// which is seldom true of all cores in the same window.
    pub(crate) best: f64,
    pub(crate) samples: usize,
}

/// Measures each subject for so many seconds, in turns. Over a line's windows it also reads the
/// energy of the whole CPU, where that can be read.
pub(super) fn in_turns(subjects: Vec<Subject>, seconds: f64, out: &mut Output) -> Vec<Line> {
    let meter = Meter::open();
    let line = |subject| Line { subject, windows: Vec::new(), joules: 0.0, seconds: 0.0 };
    let mut lines: Vec<_> = subjects.into_iter().map(line).collect();
    let rounds = rounds_in(seconds);
    for round in 1..=rounds {
        if out.is_live() {
            let lines = units::count(lines.len(), "line");
            out.status(&format!("round {round} of {rounds}, {lines}"));
        }
        for line in &mut lines {
            line.measure(meter.as_ref());
        }
    }
    out.end_status();
    lines
}

/// Hashes per second of all `threads` together, measured for `seconds`.
pub(crate) fn rate_of(kernel: Kernel, threads: usize, midstates: usize, seconds: f64) -> Estimate {
    let subject = Subject::kernel(kernel, midstates, threads);
    Estimate::of(&(0..rounds_in(seconds)).map(|_| subject.measure()).collect::<Vec<_>>())
}

fn rounds_in(seconds: f64) -> usize {
    (seconds / WINDOW.as_secs_f64()).ceil().max(1.0) as usize
}

impl Line {
    fn measure(&mut self, meter: Option<&Meter>) {
        let (start, begin) = (Instant::now(), meter.and_then(Meter::read));
        self.windows.push(self.subject.measure());
        if let (Some(meter), Some(begin), Some(end)) = (meter, begin, meter.and_then(Meter::read)) {
            self.joules += meter.joules_between(begin, end);
            self.seconds += start.elapsed().as_secs_f64();
        }
    }

    /// Events per second.
    pub(super) fn rate(&self) -> Estimate {
        Estimate::of(&self.windows)
    }

    /// What the whole CPU drew meanwhile; `None` where it cannot be read.
    pub(super) fn watts(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.joules / self.seconds)
    }
}

impl Subject {
    pub(super) fn kernel(kernel: Kernel, midstates: usize, threads: usize) -> Self {
        Self::Kernel { kernel, work: Box::new(bench_work(midstates)), threads }
    }

    /// One window; events per second of each thread.
    pub(super) fn measure(&self) -> Vec<f64> {
        match self {
            Self::Kernel { kernel, work, threads } => {
                let chunk = (4096 / work.midstates() as u64).max(64);
                on_threads(*threads, || {
                    window(|index| {
                        let start = index * chunk % (1 << 32);
                        kernel.scan(work, start..start + chunk, &mut |_| {})
                    })
                })
            }
            Self::Bound { kernel, threads } => {
                on_threads(*threads, || window(|_| kernel.independent_rounds(1000).unwrap_or(0)))
            }
            Self::Baseline => {
                vec![headers(|header| Sha256::digest(Sha256::digest(header)))]
            }
            Self::Naive => vec![headers(|header| sha256d(header))],
            Self::Midstate => {
                let (midstate, tail) = (Midstate::of(&[0; 64]), Tail::from_bytes([7; 12]));
                vec![window(|index| {
                    for nonce in index * CHUNK..(index + 1) * CHUNK {
                        std::hint::black_box(midstate.header_hash(&tail, nonce as u32));
                    }
                    CHUNK
                })]
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
                vec![rate]
            }
        }
    }
}

/// Hashes headers with counting nonces for a window; per second.
fn headers<T>(hash: impl Fn(&[u8; 80]) -> T) -> f64 {
    let mut header = Network::Mainnet.genesis().to_bytes();
    window(|index| {
        for nonce in index * CHUNK..(index + 1) * CHUNK {
            header[76..].copy_from_slice(&(nonce as u32).to_le_bytes());
            std::hint::black_box(hash(&header));
        }
        CHUNK
    })
}

/// What each of some threads says that do the same at the same time.
fn on_threads(threads: usize, measure: impl Fn() -> f64 + Sync) -> Vec<f64> {
    if threads == 1 {
        return vec![measure()];
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(&measure)).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    })
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
    fn of(windows: &[Vec<f64>]) -> Self {
        let mut sorted: Vec<f64> = windows.iter().map(|threads| threads.iter().sum()).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let half_width = 1.96 * (n as f64).sqrt() / 2.0;
        let rank = |at: f64| sorted[(at.max(0.0) as usize).min(n - 1)];
        let middle = n as f64 / 2.0;
        Self {
            median: (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
            low: rank((middle - half_width).floor()),
            high: rank((middle + half_width).ceil()),
            best: best_of_each(windows).iter().sum(),
            samples: n,
        }
    }
}

fn best_of_each(windows: &[Vec<f64>]) -> Vec<f64> {
    let mut best = vec![0.0f64; windows.iter().map(Vec::len).max().unwrap_or(0)];
    for window in windows {
        for (best, &rate) in best.iter_mut().zip(window) {
            *best = best.max(rate);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_median_and_shrinks_with_samples() {
        let one = |rates: Vec<f64>| rates.into_iter().map(|rate| vec![rate]).collect::<Vec<_>>();
        let few = one((1..=10).map(f64::from).collect());
        let many = one((0..1000).map(|i| f64::from(i % 10) + 1.0).collect());
        let (few, many) = (Estimate::of(&few), Estimate::of(&many));
        assert_eq!((few.median, few.low, few.high, few.best), (5.5, 2.0, 10.0, 10.0));
        assert_eq!(many.median, 5.5);
        assert!(many.high - many.low < few.high - few.low);
        let single = Estimate::of(&[vec![3.0]]);
        assert_eq!((single.low, single.median, single.high), (3.0, 3.0, 3.0));
    }

    #[test]
    fn the_best_is_that_of_each_thread_and_the_median_that_of_all_together() {
        let estimate = Estimate::of(&[vec![3.0, 1.0], vec![2.0, 2.0], vec![1.0, 4.0]]);
        assert_eq!((estimate.median, estimate.best), (4.0, 7.0));
    }
}
