//! The cost of a flood of jobs (S6): an engine that gets a new one so many times a second, in turns
//! with one that keeps its first. `flood [JOBS_A_SECOND [SECONDS]]`, by default 10,000 for 5 s, on
//! all threads. Prints rates and memory, and fails if the newest job is not the one that is hashed
//! in the end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use midstate_chain::{Bits, Hash256, Job, Target};
use midstate_engine::{Config, Engine};
use midstate_sha256d::Kernel;
use midstate_work::Cut;

/// With and without the flood.
const ROUNDS: usize = 3;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| match arguments.next() {
        Some(text) => text.parse().expect("a whole number"),
        None => default,
    };
    let (jobs_a_second, seconds) = (number(10_000), number(5));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = Kernel::available().last().expect("there is the scalar kernel");
    let mut totals = [(0.0, 0.0); 2];
    for round in 0..2 * ROUNDS {
        let jobs_a_second = if round % 2 == 0 { 0 } else { jobs_a_second };
        let newest = Arc::new(Mutex::new(String::new()));
        let found = Arc::clone(&newest);
        let config = Config { kernel, threads, cut: Cut::by_hashes(32, 15_000) };
        let mut engine = Engine::start(config, move |share| {
            found.lock().expect("nobody panics with it").clone_from(&share.job.id);
        });
        let (started, mut sent) = (Instant::now(), 0);
        let mut early = None;
        // Nothing is hashed to make one: what is measured is what the engine does with it.
        let first = job();
        let numbered = |number: u64| {
            let mut prev_hash = [0; 32];
            prev_hash[..8].copy_from_slice(&number.to_le_bytes());
            let prev_hash = Hash256::from_bytes(prev_hash);
            Some(Arc::new(Job { id: number.to_string(), prev_hash, ..first.clone() }))
        };
        engine.set_job(numbered(sent));
        while started.elapsed() < Duration::from_secs(seconds) {
            let due = (started.elapsed().as_secs_f64() * jobs_a_second as f64) as u64;
            while sent < due {
                sent += 1;
                engine.set_job(numbered(sent));
            }
            if started.elapsed() > Duration::from_secs(seconds) / 3 {
                early = early.or_else(resident);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        let hashes = engine.hashes() as f64;
        let hashing = processor_time("hash-").map_or(f64::NAN, |time| time.as_secs_f64());
        let total = &mut totals[round % 2];
        *total = (total.0 + hashes, total.1 + hashing);
        let rate = hashes / started.elapsed().as_secs_f64();
        let late = resident();
        // A share of the newest job comes within milliseconds, if it is hashed.
        let is_newest = || *newest.lock().expect("nobody panics with it") == sent.to_string();
        let waited = Instant::now();
        while !is_newest() {
            assert!(waited.elapsed() < Duration::from_secs(10), "job {sent} is not hashed");
            std::thread::sleep(Duration::from_millis(1));
        }
        engine.stop();
        let memory = |bytes: Option<u64>| bytes.map_or("?".to_owned(), |b| (b >> 10).to_string());
        println!(
            "{sent:>7} jobs in {seconds} s: {:7.2} MH/s, {:.2} MH per second of processor time; {} \
             KiB resident, then {} KiB",
            rate / 1e6,
            hashes / hashing / 1e6,
            memory(early),
            memory(late)
        );
    }
    let [calm, flooded] = totals.map(|(hashes, time)| hashes / time);
    println!(
        "a second of processor time hashes {:+.1} % in the flood",
        (flooded / calm - 1.0) * 1e2
    );
}

/// Bytes of this process in memory, where the system tells.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

/// Processor time of the living threads whose names begin like this, where the system tells. Unlike
/// what passes on a clock, it does not depend on what else this machine has to do.
fn processor_time(name: &str) -> Option<Duration> {
    let mut time = Duration::ZERO;
    for thread in std::fs::read_dir("/proc/self/task").ok()? {
        let thread = thread.ok()?.path();
        if std::fs::read_to_string(thread.join("comm")).ok()?.starts_with(name) {
            let times = std::fs::read_to_string(thread.join("schedstat")).ok()?;
            time += Duration::from_nanos(times.split(' ').next()?.parse().ok()?);
        }
    }
    Some(time)
}

/// As large as a pool's: a coinbase of 250 bytes and twelve branches, with versions to roll.
fn job() -> Job {
    Job {
        id: String::new(),
        session: 1,
        channel: None,
        version: 0x2000_0000,
        version_mask: 0x1fff_e000,
        prev_hash: Hash256::ZERO,
        coinbase_prefix: vec![1; 90],
        extranonce1: vec![2; 4],
        extranonce2_size: 8,
        coinbase_suffix: vec![3; 148],
        branch: (0..12u8).map(|level| Hash256::of(&[level])).collect(),
        bits: Bits::from_consensus(0x1703_255b),
        time: 1_700_000_000,
        share_target: Target::from_difficulty(1e-4).expect("a difficulty"),
        network_target: Target::DIFFICULTY_1,
        clean: true,
    }
}
