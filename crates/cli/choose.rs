//! The kernel and how to use it: by name if one was given, else the one that is fastest here. Rank
//! says little: SHA instructions beat AVX2 on some CPUs and not on others.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use clap::Args;
use midstate_engine::Config;
use midstate_sha256d::{Kernel, Midstate, Tail, Work};
use midstate_work::Cut;

use crate::exit::{Failure, Kind};

/// Midstates side by side when nothing else is asked: more gains less than a percent.
const MIDSTATES: usize = 16;
/// How long a unit of work lasts: how late a new job can be.
const UNIT: Duration = Duration::from_micros(500);
/// How long each kernel is tried.
const TRIAL: Duration = Duration::from_millis(3);
const TRIALS: usize = 3;

/// Flags about hashing.
#[derive(Args, Debug, Clone)]
pub(crate) struct HashArgs {
    /// Hashing threads [default: all that this process may use]
    #[arg(short, long)]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Kernel: scalar, sse41, avx2, avx512, sha-ni, neon or sha2 [default: the fastest here]
    #[arg(long, value_name = "NAME")]
    pub(crate) kernel: Option<String>,
    /// Versions hashed side by side: auto, or a power of two up to 64
    #[arg(long, value_name = "N", default_value = "auto", value_parser = parse_midstates)]
    pub(crate) midstates: Midstates,
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
        _ => Err(format!("expected auto or a power of two up to {}", Work::MAX_MIDSTATES)),
    }
}

/// A choice, and what it was measured to do.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) config: Config,
    /// Hashes per second of one thread.
    pub(crate) thread_rate: f64,
}

impl Choice {
    /// Hashes per second of all threads, if they do not get in each other's way.
    pub(crate) fn rate(&self) -> f64 {
        self.thread_rate * self.config.threads as f64
    }
}

/// Tests and measures kernels, and decides.
pub(crate) fn choose(args: &HashArgs) -> Result<Choice, Failure> {
    let midstates = args.midstates.0;
    let (kernel, thread_rate) = match &args.kernel {
        Some(name) => {
            let kernel = kernel_named(name)?;
            if !kernel.self_test() {
                return Err(self_test_failure(kernel));
            }
            (kernel, measure(kernel, midstates))
        }
        None => Kernel::available()
            .filter(|kernel| {
                let good = kernel.self_test();
                if !good {
                    tracing::warn!(kernel = kernel.name(), "fails its self-test and is not used");
                }
                good
            })
            .map(|kernel| (kernel, measure(kernel, midstates)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .ok_or_else(|| self_test_failure(Kernel::SCALAR))?,
    };
    let threads = args.threads.map_or_else(available_threads, NonZeroUsize::get);
    let unit = (thread_rate * UNIT.as_secs_f64()) as u64;
    let cut = Cut::by_hashes(midstates, unit);
    Ok(Choice { config: Config { kernel, threads, cut }, thread_rate })
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
        Failure::usage(format!("{problem}; here there are: {}", here.join(", ")))
    })
}

fn self_test_failure(kernel: Kernel) -> Failure {
    let name = kernel.name();
    let error = anyhow::anyhow!("kernel {name} computes wrong hashes on this machine");
    Failure::new(Kind::SelfTest, error.context("try another one with --kernel"))
}

/// Hashes per second of one thread, the best of a few short trials.
fn measure(kernel: Kernel, midstates: usize) -> f64 {
    let work = bench_work(midstates);
    let mut nonce = 0;
    let mut trial = |time: Duration| {
        let (start, mut hashes) = (Instant::now(), 0);
        while start.elapsed() < time {
            hashes += kernel.scan(&work, nonce..nonce + 64, &mut |_| {});
            nonce += 64;
        }
        hashes as f64 / start.elapsed().as_secs_f64()
    };
    (0..TRIALS).map(|_| trial(TRIAL)).fold(0.0, f64::max)
}

/// Work on which nothing is ever found.
pub(crate) fn bench_work(midstates: usize) -> Work {
    let midstates: Vec<_> = (0..midstates.max(1))
        .map(|index| Midstate::of(&[u8::try_from(index).unwrap_or(u8::MAX); 64]))
        .collect();
    Work::new(&midstates, Tail::from_bytes([7; 12]), &[0; 32])
        .expect("between 1 and Work::MAX_MIDSTATES midstates")
}
