//! Measuring, a window at a time, and the estimate from a set of windows.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use midstate_chain::Network;
use midstate_sha256d::{Kernel, Midstate, Tail, Work, sha256d};
use sha2::{Digest, Sha256};

use crate::machine::choose::{available_threads, bench_work, nonces_between_looks};
use crate::machine::cpu::time_of_program;
use crate::machine::energy::EnergyMeter;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::units;

/// How long a subject is measured before it is the next one's turn.
const TURN: Duration = Duration::from_millis(50);
/// The windows of a turn: one thread has many short ones, so that some lie between the turns of
/// other programs on a busy machine. Several threads have one, since they do not begin at once.
const WINDOWS_ALONE: u32 = 10;
/// Hashes between two looks at the clock, where a hash is slow.
const CHUNK: u64 = 64;
/// A smaller part of the CPU time says nothing of the whole.
const LEAST_GIVEN: f64 = 0.05;
/// Below this share of what is possible the CPU counts as busy. On a quiet machine the median is
/// within a few percent of the best windows.
const BUSY: f64 = 0.9;

/// The subject of a measurement.
pub(crate) enum Subject {
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
pub(crate) struct Line {
    pub(crate) subject: Subject,
    windows: Vec<Vec<f64>>,
    cpu: CpuTime,
    joules: f64,
    seconds: f64,
}

/// The CPU time that the threads of a measurement wanted, and what they were given of it.
#[derive(Debug, Clone, Copy, Default)]
struct CpuTime {
    /// CPUs that were wanted at once.
    cpus: usize,
    wanted: Duration,
    /// `None` where the system does not tell.
    given: Option<Duration>,
    /// Events in that time, those between two windows included.
    did: f64,
}

/// A thread's work in a window.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    /// Events per second in the window.
    rate: f64,
    /// Events, those of the step that goes on beyond the window included.
    did: f64,
}

/// The median of some samples, with an interval that holds the true median 95 times in 100. Fewer
/// than six samples have no such interval: theirs is from the least to the greatest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    /// Of each thread the best window, added up: what the machine can do when nobody else wants it,
    /// which is seldom true of all CPUs in the same window. Of more threads than CPUs it is the
    /// best window of all together, as these want each other's. (So do two threads of one core,
    /// where the system counts it as two CPUs; they are added up all the same.)
    pub(crate) best: f64,
    /// The rate of the threads with all of the CPU time that they want: by the CPU time that they
    /// were given, where the system tells it and that is more than `best`. On a busy machine there
    /// may be no window without another program in it.
    pub(crate) possible: f64,
    pub(crate) samples: usize,
    /// The share of the CPU time that went to other programs; `None` where nothing tells it.
    pub(crate) elsewhere: Option<f64>,
}

/// Measures each subject for so many seconds, in turns. Over a line's windows it also reads the
/// energy of the whole CPU, where that can be read.
pub(crate) fn in_turns(
    subjects: Vec<Subject>,
    seconds: f64,
    out: &mut Output,
) -> Result<Vec<Line>, Failure> {
    let meter = EnergyMeter::open();
    let line = |subject| Line {
        subject,
        windows: Vec::new(),
        cpu: CpuTime::default(),
        joules: 0.0,
        seconds: 0.0,
    };
    let mut lines: Vec<_> = subjects.into_iter().map(line).collect();
    let rounds = rounds_in(seconds);
    for round in 1..=rounds {
        if out.is_live() {
            let lines = units::count(lines.len(), "line");
            out.status(&format!("round {round} of {rounds}, {lines}"));
        }
        for line in &mut lines {
            line.measure(meter.as_ref())?;
        }
    }
    out.end_status();
    Ok(lines)
}

/// Hashes per second of all `threads` together, measured for `seconds`.
pub(crate) fn rate_of(
    kernel: Kernel,
    threads: usize,
    midstates: usize,
    seconds: f64,
) -> Result<Estimate, Failure> {
    let subject = Subject::kernel(kernel, midstates, threads);
    let (mut windows, mut cpu) = (Vec::new(), CpuTime::default());
    for _ in 0..rounds_in(seconds) {
        windows.extend(cpu.of(&subject)?);
    }
    Ok(Estimate::measured(&windows, cpu))
}

fn rounds_in(seconds: f64) -> usize {
    (seconds / TURN.as_secs_f64()).ceil().max(1.0) as usize
}

impl Line {
    fn measure(&mut self, meter: Option<&EnergyMeter>) -> Result<(), Failure> {
        let (start, begin) = (Instant::now(), meter.and_then(EnergyMeter::read));
        self.windows.extend(self.cpu.of(&self.subject)?);
        if let (Some(meter), Some(begin), Some(end)) =
            (meter, begin, meter.and_then(EnergyMeter::read))
        {
            self.joules += meter.joules_between(begin, end);
            self.seconds += start.elapsed().as_secs_f64();
        }
        Ok(())
    }

    /// Events per second.
    pub(crate) fn rate(&self) -> Estimate {
        Estimate::measured(&self.windows, self.cpu)
    }

    /// The factor over another line of the same run, window by window.
    pub(crate) fn factor_over(&self, other: &Line) -> Estimate {
        let sum = |threads: &Vec<f64>| threads.iter().sum::<f64>();
        let windows = self.windows.iter().zip(&other.windows);
        let factors = windows.map(|(ours, theirs)| vec![sum(ours) / sum(theirs)]);
        Estimate::of(&factors.collect::<Vec<_>>())
    }

    /// The power of the whole CPU meanwhile; `None` where it cannot be read.
    pub(crate) fn watts(&self) -> Option<f64> {
        (self.seconds > 0.0).then(|| self.joules / self.seconds)
    }
}

impl Subject {
    pub(crate) fn kernel(kernel: Kernel, midstates: usize, threads: usize) -> Self {
        Self::Kernel { kernel, work: Box::new(bench_work(midstates)), threads }
    }

    fn threads(&self) -> usize {
        match self {
            Self::Kernel { threads, .. } | Self::Bound { threads, .. } => *threads,
            Self::Baseline | Self::Clock | Self::Naive | Self::Midstate => 1,
        }
    }

    /// The windows of a turn.
    fn turn(&self) -> Result<Vec<Vec<Stretch>>, Failure> {
        let windows = if self.threads() > 1 { 1 } else { WINDOWS_ALONE };
        (0..windows).map(|_| self.window()).collect()
    }

    /// One window; events per second of all threads.
    pub(crate) fn measure(&self) -> Result<f64, Failure> {
        Ok(self.window()?.iter().map(|stretch| stretch.rate).sum())
    }

    /// One window, by thread.
    fn window(&self) -> Result<Vec<Stretch>, Failure> {
        Ok(match self {
            Self::Kernel { kernel, work, threads } => {
                let chunk = nonces_between_looks(work);
                on_threads(*threads, |window| {
                    window.rate(|index| {
                        let start = index * chunk % (1 << 32);
                        kernel.scan(work, start..start + chunk, &mut |_| {})
                    })
                })?
            }
            Self::Bound { kernel, threads } => {
                let rounds = |_| kernel.independent_rounds(1000).unwrap_or(0);
                on_threads(*threads, |window| window.rate(rounds))?
            }
            Self::Baseline => {
                vec![headers(|header| Sha256::digest(Sha256::digest(header)))]
            }
            Self::Naive => vec![headers(|header| sha256d(header))],
            Self::Midstate => {
                let (midstate, tail) = (Midstate::of(&[0; 64]), Tail::from_bytes([7; 12]));
                vec![Window::open(1).rate(|index| {
                    for nonce in index * CHUNK..(index + 1) * CHUNK {
                        std::hint::black_box(midstate.header_hash(&tail, nonce as u32));
                    }
                    CHUNK
                })]
            }
            Self::Clock => {
                let (mut state, addend) = (1u64, std::hint::black_box(0x9e37_79b9_7f4a_7c15));
                let rate = Window::open(1).rate(|_| {
                    // Two instructions that wait for each other, a cycle each: neither x86 nor ARM
                    // has one for both, and none has to copy a register, which is not free on all.
                    for _ in 0..3000 {
                        state = state.rotate_left(5).wrapping_add(addend);
                    }
                    6000
                });
                std::hint::black_box(state);
                vec![rate]
            }
        })
    }
}

/// Hashes headers with counting nonces for a window; per second.
fn headers<T>(hash: impl Fn(&[u8; 80]) -> T) -> Stretch {
    let mut header = Network::Mainnet.genesis().to_bytes();
    Window::open(1).rate(|index| {
        for nonce in index * CHUNK..(index + 1) * CHUNK {
            header[76..].copy_from_slice(&(nonce as u32).to_le_bytes());
            std::hint::black_box(hash(&header));
        }
        CHUNK
    })
}

/// The measurements of several threads over one and the same window, which opens when all of them
/// are there: the work of a thread after the others have ended does not count.
fn on_threads(
    threads: usize,
    measure: impl Fn(Window) -> Stretch + Sync,
) -> Result<Vec<Stretch>, Failure> {
    if threads == 1 {
        return Ok(vec![measure(Window::open(1))]);
    }
    let (gate, window) = (Mutex::new(true), OnceLock::new());
    let measure = || {
        let is_open = *gate.lock().unwrap_or_else(PoisonError::into_inner);
        let measure = || measure(*window.get_or_init(|| Window::open(threads)));
        if is_open { measure() } else { Stretch { rate: 0.0, did: 0.0 } }
    };
    thread::scope(|scope| {
        let mut closed = gate.lock().unwrap_or_else(PoisonError::into_inner);
        let spawn = |_| thread::Builder::new().spawn_scoped(scope, measure);
        let started = (0..threads).map(spawn).collect::<io::Result<Vec<_>>>();
        // Where one is missing, the others have nothing to measure.
        *closed = started.is_ok();
        drop(closed);
        let started = started
            .with_context(|| format!("{threads} threads cannot be started; ask for fewer"))?;
        let rates = started.into_iter();
        Ok(rates.map(|thread| thread.join().expect("what is measured is sound")).collect())
    })
}

/// A stretch on the clock.
#[derive(Clone, Copy)]
struct Window {
    start: Instant,
    length: Duration,
}

impl Window {
    fn open(threads: usize) -> Self {
        let length = if threads == 1 { TURN / WINDOWS_ALONE } else { TURN };
        Self { start: Instant::now(), length }
    }

    /// Repeats `step`, which returns how much it did, until the window is over. Of a step that goes
    /// on beyond that as much counts as lies within. Per second.
    fn rate(self, mut step: impl FnMut(u64) -> u64) -> Stretch {
        let (mut begun, mut done, mut all) = (self.start.elapsed(), 0.0, 0.0);
        for index in 0.. {
            let did = step(index) as f64;
            let now = self.start.elapsed();
            done += did * self.share(begun, now);
            all += did;
            if now >= self.length {
                break;
            }
            begun = now;
        }
        Stretch { rate: done / self.length.as_secs_f64(), did: all }
    }

    /// The part of a step from `begun` to `now` that lies in the window.
    fn share(self, begun: Duration, now: Duration) -> f64 {
        if now < self.length {
            return 1.0;
        }
        let lasted = (now - begun).as_secs_f64().max(f64::MIN_POSITIVE);
        self.length.saturating_sub(begun).as_secs_f64() / lasted
    }
}

impl CpuTime {
    /// Adds a turn of a subject, whose threads want a CPU each for as long as it lasts. Events per
    /// second of each thread, window by window.
    fn of(&mut self, subject: &Subject) -> Result<Vec<Vec<f64>>, Failure> {
        let (start, begin) = (Instant::now(), time_of_program());
        let turn = subject.turn()?;
        self.cpus = subject.threads().min(available_threads());
        self.wanted += start.elapsed() * self.cpus as u32;
        let given = begin.zip(time_of_program()).map(|(begin, end)| end.saturating_sub(begin));
        self.given = given.map(|given| given + self.given.unwrap_or_default());
        self.did += turn.iter().flatten().map(|stretch| stretch.did).sum::<f64>();
        let rates = |window: Vec<Stretch>| window.iter().map(|stretch| stretch.rate).collect();
        Ok(turn.into_iter().map(rates).collect())
    }

    /// The share of the wanted time that was given; `None` where the system does not tell.
    fn share(self) -> Option<f64> {
        let share = self.given?.as_secs_f64() / self.wanted.as_secs_f64();
        share.is_finite().then(|| share.min(1.0))
    }

    /// Events per second of CPU time on all CPUs; `None` where too little of it was given for that.
    fn rate(self) -> Option<f64> {
        self.share().filter(|&share| share > LEAST_GIVEN)?;
        Some(self.did / self.given?.as_secs_f64() * self.cpus as f64)
    }
}

impl Estimate {
    /// Of the windows of a measurement, for which the threads had this CPU time.
    fn measured(windows: &[Vec<f64>], cpu: CpuTime) -> Self {
        let estimate = Self::of(windows);
        let possible = estimate.best.max(cpu.rate().unwrap_or(0.0));
        Self { possible, elsewhere: cpu.share().map(|share| 1.0 - share), ..estimate }
    }

    /// Whether something kept the threads from what they can do.
    pub(crate) fn is_busy(&self) -> bool {
        self.median < BUSY * self.possible
    }

    /// The rate of the machine by itself: what is possible where other programs kept it from that.
    pub(crate) fn undisturbed(&self) -> f64 {
        if self.is_busy() { self.possible } else { self.median }
    }

    /// The rate in the words that every command has for it: `76.4 MH/s measured now`, or
    /// `busy: 10.8 of 76.4 MH/s possible; 86 % of the CPU time went to other programs`.
    pub(crate) fn words(&self) -> String {
        if !self.is_busy() {
            return format!("{} measured now", units::rate(self.median));
        }
        let elsewhere = self.elsewhere.map_or_else(String::new, |share| {
            format!("; {:.0} % of the CPU time went to other programs", 100.0 * share)
        });
        format!("busy: {} possible{elsewhere}", units::rate_of(self.median, self.possible))
    }

    /// The same under a limit on the rate.
    pub(crate) fn limited(self, limit: Option<f64>) -> Self {
        let of = |rate: f64| limit.map_or(rate, |limit| rate.min(limit));
        let Self { median, low, high, best, possible, .. } = self;
        Self {
            median: of(median),
            low: of(low),
            high: of(high),
            best: of(best),
            possible: of(possible),
            ..self
        }
    }

    /// The interval is that of order statistics: no assumption about the shape of the noise.
    fn of(windows: &[Vec<f64>]) -> Self {
        let mut sorted: Vec<f64> = windows.iter().map(|threads| threads.iter().sum()).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let outside = outside_of_interval(n).unwrap_or(0);
        let best_of_each = best_of_each(windows);
        let has_cpus = best_of_each.len() <= available_threads();
        let best = if has_cpus { best_of_each.iter().sum() } else { sorted[n - 1] };
        Self {
            median: (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0,
            low: sorted[outside],
            high: sorted[n - 1 - outside],
            best,
            possible: best,
            samples: n,
            elsewhere: None,
        }
    }
}

/// How many of `n` sorted samples may be left out at each end so that the others hold the true
/// median 95 times in 100: it is as likely to be above a sample as below, so that the number of
/// those below it is binomial. `None` for fewer than six, with which it cannot be done.
fn outside_of_interval(n: usize) -> Option<usize> {
    // Logarithms, since 2^-n is soon too small for a float.
    let mut log_of_term = -(n as f64) * std::f64::consts::LN_2;
    let mut tail = log_of_term.exp();
    let mut outside = None;
    for below in 1..=n {
        if tail > 0.025 {
            break;
        }
        outside = Some(below - 1);
        log_of_term += ((n - below + 1) as f64 / below as f64).ln();
        tail += log_of_term.exp();
    }
    outside
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
        assert_eq!((few.median, few.low, few.high, few.best), (5.5, 2.0, 9.0, 10.0));
        assert_eq!(many.median, 5.5);
        assert!(many.high - many.low < few.high - few.low);
        let single = Estimate::of(&[vec![3.0]]);
        assert_eq!((single.low, single.median, single.high), (3.0, 3.0, 3.0));
    }

    /// A second of two CPUs, of which the threads were given so much and did so many events.
    fn cpu(given: u64, did: f64) -> CpuTime {
        let [wanted, given] = [2000, given].map(Duration::from_millis);
        CpuTime { cpus: 2, wanted, given: Some(given), did }
    }

    #[test]
    fn a_busy_machine_is_told_by_its_best_windows_and_says_where_the_time_went() {
        let quiet: Vec<_> = (0..40).map(|i| vec![38.0e6 - 1e4 * f64::from(i); 2]).collect();
        let quiet = Estimate::measured(&quiet, cpu(1980, 75e6));
        assert!(!quiet.is_busy());
        assert_eq!(quiet.words(), "75.6 MH/s measured now");
        // Another program has the CPUs in three windows of four.
        let window = |i: u32| if i.is_multiple_of(4) { vec![38.2e6; 2] } else { vec![5.4e6; 2] };
        let windows: Vec<_> = (0..40).map(window).collect();
        let untold = CpuTime { given: None, ..cpu(0, 27e6) };
        let busy = Estimate::measured(&windows, untold);
        assert!(busy.is_busy());
        assert_eq!(busy.words(), "busy: 10.8 of 76.4 MH/s possible");
        let told = Estimate::measured(&windows, cpu(720, 27e6));
        let rest = "; 64 % of the CPU time went to other programs";
        assert_eq!(told.words(), format!("{}{rest}", busy.words()));
        // Under a limit that the busy machine keeps, the limit is all that is possible.
        let limited = told.limited(Some(9e6));
        assert_eq!((limited.is_busy(), limited.words()), (false, "9.00 MH/s measured now".into()));
        // Other programs in every window: the CPU time tells what is possible without them.
        let windows = [[10e6, 9e6], [8e6, 9e6]].map(Vec::from);
        let shared = Estimate::measured(&windows, cpu(500, 18e6));
        assert_eq!((shared.best, shared.possible, shared.elsewhere), (19e6, 72e6, Some(0.75)));
        let starved = Estimate::measured(&windows, cpu(10, 9e6));
        assert_eq!(starved.possible, 19e6, "nothing follows from a two-hundredth of the time");
    }

    #[test]
    fn the_cpu_time_is_what_the_threads_wanted_and_what_they_were_given() {
        assert_eq!(cpu(500, 0.0).share(), Some(0.25));
        assert_eq!(cpu(2001, 0.0).share(), Some(1.0), "the clocks are two");
        assert_eq!(CpuTime::default().share(), None, "nothing was measured");
        let mut cpu = CpuTime::default();
        let windows = cpu.of(&Subject::Midstate).unwrap();
        assert_eq!(windows.len(), WINDOWS_ALONE as usize);
        assert!(cpu.wanted >= TURN && cpu.did > 0.0, "{cpu:?}");
        if cfg!(unix) {
            assert!(cpu.share().is_some_and(|share| share > 0.0), "{cpu:?}");
        }
    }

    /// From tables of the sign test (ranks count from 1 there).
    #[test]
    fn the_interval_is_the_binomials() {
        let ranks = [6, 10, 20, 40, 100].map(|n| outside_of_interval(n).map(|outside| outside + 1));
        assert_eq!(ranks, [1, 2, 6, 14, 40].map(Some));
        assert_eq!([0, 1, 5].map(outside_of_interval), [None; 3]);
        // Near enough to the normal distribution: half the samples less 0.98 times their root.
        assert_eq!(outside_of_interval(10_000), Some(4901));
    }

    #[test]
    fn a_step_counts_as_far_as_it_lies_in_the_window() {
        let window = Window::open(2);
        assert_eq!(window.share(Duration::ZERO, TURN / 2), 1.0);
        assert_eq!(window.share(TURN / 2, TURN), 1.0);
        assert_eq!(window.share(TURN / 2, TURN + TURN / 2), 0.5);
        assert_eq!(window.share(TURN, TURN), 0.0);
        assert_eq!(window.share(2 * TURN, 3 * TURN), 0.0);
        let start = Instant::now().checked_sub(2 * TURN).unwrap();
        let late = Stretch { rate: 0.0, did: 1.0 };
        assert_eq!(Window { start, ..window }.rate(|_| 1), late);
    }

    #[test]
    fn the_best_is_that_of_each_thread_and_the_median_that_of_all_together() {
        let windows = [vec![3.0, 1.0], vec![2.0, 2.0], vec![1.0, 4.0]];
        assert_eq!(best_of_each(&windows), [3.0, 4.0]);
        assert_eq!(Estimate::of(&windows).median, 4.0);
        // More threads than any machine has cores.
        let crowd = [vec![1.0; 10_000], vec![2.0; 10_000], (0..10_000).map(f64::from).collect()];
        assert_eq!(Estimate::of(&crowd).best, 49_995_000.0);
    }
}
