//! The kernel and how to use it: by name if one was given, else the one that is fastest here. Rank
//! says little: SHA instructions beat AVX2 on some CPUs and not on others.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use clap::Args;
use midstate_chain::{Share, Target};
use midstate_engine::{Config, Engine};
use midstate_sha256d::{Kernel, Midstate, Tail, Work};
use midstate_work::Cut;

use crate::machine::gauge::Gauge;
use crate::machine::measure::{Estimate, rate_of};
use crate::machine::priority::{Priority, PriorityArgs};
use crate::machine::sensors::{SensorArgs, Watch};
use crate::shell::exit::{Failure, Kind};
use crate::shell::values::{self, hash_rate};

/// Midstates side by side when nothing else is asked: more gain less than a percent.
const MIDSTATES: usize = 32;
/// How long a unit of work lasts: how late a new job can be.
const UNIT: Duration = Duration::from_micros(500);
/// How long one takes when the rate is limited: few enough hashes that the limit is kept evenly.
const LIMITED_UNIT: Duration = Duration::from_millis(50);
/// How each kernel is tried: in turns with the others, so often and so shortly that on a busy
/// machine too some trials run from end to end without a break. The best one counts.
const TRIAL: Duration = Duration::from_micros(500);
const TRIALS: usize = 12;
/// Hits that the threads look at in a second: they cost a thousandth of the hash rate, and are so
/// many that the limit on shares (`--max-share-rate`) is what is felt, also where the threads get a
/// tenth of the CPU time that they had when they were measured.
const HITS_A_SECOND: f64 = 4000.0;
/// The same for each share that may be sent in a second, where that is more.
const HITS_A_SHARE: f64 = 20.0;
/// Seconds for which all threads together are measured, where nothing else is said.
pub(crate) const MEASURING: f64 = 0.15;

/// Flags of every command that hashes.
#[derive(Args, Debug, Clone)]
pub(crate) struct HashArgs {
    /// Number of hashing threads [default: one for each CPU that this process may use]
    #[arg(short, long, value_name = "N", value_parser = values::threads)]
    pub(crate) threads: Option<NonZeroUsize>,
    #[arg(long, value_name = "NAME", help = kernel_help())]
    pub(crate) kernel: Option<String>,
}

impl HashArgs {
    /// The first flag that is given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        values::first_given(&[
            (self.threads.is_some(), "--threads"),
            (self.kernel.is_some(), "--kernel"),
        ])
    }
}

fn kernel_help() -> String {
    let (last, others) = Kernel::NAMES.split_last().expect("there is the scalar kernel");
    format!("Kernel: {} or {last} [default: the fastest here]", others.join(", "))
}

/// Flags about the hashing of `demo` and `mine`.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Hashing")]
pub(crate) struct MiningArgs {
    #[command(flatten)]
    pub(crate) hash: HashArgs,
    /// Versions hashed side by side: auto, or a power of two up to 64
    #[arg(long, value_name = "N", default_value = "auto", value_parser = parse_midstates)]
    midstates: Midstates,
    /// Hash no faster than this, all threads together, in hashes per second, as 500k
    #[arg(long, value_name = "HS", value_parser = parse_limit)]
    max_hashrate: Option<f64>,
    #[command(flatten)]
    manners: PriorityArgs,
    #[command(flatten)]
    sensors: SensorArgs,
}

impl MiningArgs {
    /// Tests and measures kernels, and decides.
    pub(crate) fn choose(&self) -> Result<Choice, Failure> {
        let (priority, watch) = (self.manners.priority, self.sensors.watch()?);
        let gauge = self.sensors.gauge();
        let choice = decide(&self.hash, self.midstates, self.max_hashrate)?;
        Ok(Choice { priority, watch, gauge, ..choice })
    }
}

/// How many midstates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Midstates(usize);

fn parse_midstates(text: &str) -> Result<Midstates, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Midstates(MIDSTATES)),
        Ok(count) if usize::is_power_of_two(count) && count <= Work::MAX_MIDSTATES => {
            Ok(Midstates(count))
        }
        _ => {
            Err(format!("expected auto, or a power of two from 1 to {}, as 4", Work::MAX_MIDSTATES))
        }
    }
}

fn parse_limit(text: &str) -> Result<f64, String> {
    // Less would be one hash in hours, and the first window would never end.
    let rate = hash_rate(text).ok().filter(|&rate| rate >= 1.0);
    rate.ok_or_else(|| "expected hashes per second from 1 to 1e30, as 50000 or 1.5M".to_owned())
}

/// A choice, and what it was measured to do.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) config: Config,
    /// Hashes per second of one thread.
    pub(crate) thread_rate: f64,
    /// The user's limit, all threads together.
    pub(crate) max_rate: Option<f64>,
    /// The priority of the threads: normal, unless the caller sets another.
    pub(crate) priority: Priority,
    /// When they rest; always at work, unless whoever chose says otherwise.
    pub(crate) watch: Option<Watch>,
    /// Sensors to show; none, unless whoever chose says otherwise.
    pub(crate) gauge: Option<Gauge>,
}

impl Choice {
    /// Hashes per second of all threads if nothing gets in their way, for decisions: from the short
    /// trial of one thread. More threads than CPUs are not faster. People are told
    /// [`measure`](Self::measure)'s.
    pub(crate) fn rate(&self) -> f64 {
        let rate = self.thread_rate * self.config.threads.min(available_threads()) as f64;
        self.max_rate.map_or(rate, |limit| rate.min(limit))
    }

    /// Hashes per second of all threads together, measured now for some seconds with as many of
    /// them as the system has CPUs for: more threads are not faster, and other programs take their
    /// part. The one way to a rate that people are told.
    pub(crate) fn measure(&self, seconds: f64) -> Result<Estimate, Failure> {
        self.measure_on(self.config.threads.min(available_threads()), seconds)
    }

    /// The same with so many threads.
    pub(crate) fn measure_on(&self, threads: usize, seconds: f64) -> Result<Estimate, Failure> {
        let Config { kernel, ref cut, .. } = self.config;
        Ok(rate_of(kernel, threads, cut.midstates, seconds)?.limited(self.max_rate))
    }

    /// The easiest target that is worth hashing for, where so many shares a second are sent. An
    /// easier job has more shares than anybody takes, and looking at each would cost most of the
    /// hash rate. Under a limit on the hash rate no target is too easy that the limit keeps rare.
    pub(crate) fn easiest_target(&self, share_rate: u32) -> Target {
        let rate = self.rate();
        let hits = HITS_A_SECOND.max(HITS_A_SHARE * f64::from(share_rate));
        let hashes_a_hit = rate / hits;
        let difficulty = hashes_a_hit / Target::HASHES_AT_DIFFICULTY_1;
        Target::from_difficulty(difficulty).unwrap_or(Target::MAX)
    }

    /// An engine of this choice, without threads yet. [`Engine::set_threads`] starts them, and can
    /// fail where ten thousand were asked for.
    pub(crate) fn engine(&self, on_share: impl Fn(Share) + Send + Sync + 'static) -> Engine {
        let Config { kernel, ref cut, .. } = self.config;
        let (none, priority) = (Config { kernel, threads: 0, cut: cut.clone() }, self.priority);
        Engine::start_with(none, move || priority.take(), on_share)
    }
}

/// Tests and measures kernels, and decides.
pub(crate) fn choose(args: &HashArgs) -> Result<Choice, Failure> {
    decide(args, Midstates(MIDSTATES), None)
}

fn decide(
    args: &HashArgs,
    Midstates(midstates): Midstates,
    max_rate: Option<f64>,
) -> Result<Choice, Failure> {
    let kernels = match &args.kernel {
        Some(name) => {
            let kernel = kernel_named(name)?;
            if !kernel.self_test() {
                return Err(self_test_failure(kernel));
            }
            vec![kernel]
        }
        None => {
            let variants = Kernel::variants().map(|(variant, _)| variant);
            Kernel::available().chain(variants).filter(passes).collect()
        }
    };
    let (kernel, thread_rate) = fastest(&kernels, &bench_work(midstates))
        .ok_or_else(|| self_test_failure(Kernel::SCALAR))?;
    let threads = args.threads.map_or_else(available_threads, NonZeroUsize::get);
    let unit = thread_rate * UNIT.as_secs_f64();
    let limited = max_rate.map(|limit| limit / threads as f64 * LIMITED_UNIT.as_secs_f64());
    let unit = limited.map_or(unit, |limited| unit.min(limited));
    // A unit has each version of its page once at least: under a low limit that were seconds.
    let midstates =
        limited.map_or(midstates, |_| midstates.min(1 << (unit.max(1.0) as u64).ilog2()));
    let cut = Cut::by_hashes(midstates, unit as u64);
    let (config, priority) = (Config { kernel, threads, cut }, Priority::Normal);
    Ok(Choice { config, thread_rate, max_rate, priority, watch: None, gauge: None })
}

/// Threads that this process may use (affinity and cgroup count).
pub(crate) fn available_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// The kernel of that name, or what else there is.
pub(crate) fn kernel_named(name: &str) -> Result<Kernel, Failure> {
    Kernel::named(name).ok_or_else(|| {
        let here: Vec<_> = Kernel::available().map(Kernel::name).collect();
        let problem = match Kernel::NAMES.contains(&name) {
            true => format!("this CPU cannot run the kernel {name:?}"),
            false => format!("unknown kernel {name:?}"),
        };
        Failure::usage(format!("{problem}; this CPU has: {}", here.join(", ")))
    })
}

fn self_test_failure(kernel: Kernel) -> Failure {
    let name = kernel.name();
    let error = anyhow::anyhow!("kernel {name} computes wrong hashes on this machine");
    Failure::new(Kind::SelfTest, error.context("try another one with --kernel"))
}

/// Whether a kernel can be trusted; says so if it cannot.
fn passes(kernel: &Kernel) -> bool {
    let good = kernel.self_test();
    if !good {
        tracing::warn!(kernel = kernel.name(), "fails its self-test and is not used");
    }
    good
}

/// The kernel with the highest rate, and that rate: hashes per second of one thread.
fn fastest(kernels: &[Kernel], work: &Work) -> Option<(Kernel, f64)> {
    let mut best = vec![0.0; kernels.len()];
    for _ in 0..TRIALS {
        for (kernel, best) in kernels.iter().zip(&mut best) {
            *best = f64::max(*best, trial(*kernel, work));
        }
    }
    kernels.iter().copied().zip(best).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// Hashes per second over one short stretch.
fn trial(kernel: Kernel, work: &Work) -> f64 {
    let (start, mut nonce, mut hashes) = (Instant::now(), 0, 0);
    let chunk = nonces_between_looks(work);
    while start.elapsed() < TRIAL {
        hashes += kernel.scan(work, nonce..nonce + chunk, &mut |_| {});
        nonce += chunk;
    }
    hashes as f64 / start.elapsed().as_secs_f64()
}

/// Nonces to scan between two looks at the clock: so many that neither the look nor the begin of a
/// scan counts, and so few that a trial has some.
pub(crate) fn nonces_between_looks(work: &Work) -> u64 {
    (4096 / work.midstates() as u64).max(64)
}

/// Work on which nothing is ever found.
pub(crate) fn bench_work(midstates: usize) -> Work {
    let midstates: Vec<_> = (0..midstates.max(1))
        .map(|index| Midstate::of(&[u8::try_from(index).unwrap_or(u8::MAX); 64]))
        .collect();
    Work::new(&midstates, Tail::from_bytes([7; 12]), &[0; 32])
        .expect("between 1 and Work::MAX_MIDSTATES midstates")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_cpus_promise_no_higher_rate() {
        let choice = |threads| {
            let threads = NonZeroUsize::new(threads);
            let args = HashArgs { threads, kernel: Some("scalar".into()) };
            Choice { thread_rate: 1e6, ..decide(&args, Midstates(1), None).unwrap() }
        };
        let cpus = available_threads();
        assert_eq!(choice(cpus).rate(), 1e6 * cpus as f64);
        assert_eq!(choice(4096.max(cpus)).rate(), 1e6 * cpus as f64);
        assert_eq!(choice(1).rate(), 1e6);
    }

    #[test]
    fn rule_18_a_unit_never_takes_much_longer_than_planned_however_low_the_limit() {
        let args = HashArgs { threads: NonZeroUsize::new(2), kernel: Some("scalar".into()) };
        for (limit, midstates) in [(1.0, 1), (3.0, 1), (400.0, 8), (1e4, 32), (1e5, 32)] {
            let Config { cut, .. } = decide(&args, Midstates(32), Some(limit)).unwrap().config;
            assert_eq!(cut.midstates, midstates, "at {limit} hashes a second");
        }
        let Config { cut, .. } = decide(&args, Midstates(32), None).unwrap().config;
        assert_eq!(cut.midstates, 32);
    }

    #[test]
    fn only_targets_that_flood_the_threads_are_too_easy() {
        let args = HashArgs { threads: NonZeroUsize::new(1), kernel: Some("scalar".into()) };
        let choice = decide(&args, Midstates(1), None).unwrap();
        let hits = |choice: &Choice, share_rate| {
            choice.rate() / choice.easiest_target(share_rate).expected_hashes_f64()
        };
        for (share_rate, expected) in [(1, 4000.0), (200, 4000.0), (1000, 20_000.0)] {
            let ratio = hits(&choice, share_rate) / expected;
            assert!((ratio - 1.0).abs() < 0.01, "{share_rate}: {ratio}");
        }
        // A limit on the hash rate keeps shares rare by itself: all of them count.
        let limited = Choice { max_rate: Some(1000.0), ..choice };
        assert_eq!(limited.easiest_target(200), Target::MAX);
    }
}
