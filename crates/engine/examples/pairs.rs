//! The gain of extranonce2 pairs where a pool forbids version rolling, from end to end: an
//! engine that may pair them and one that may not, in turns, each with a job of its own every time.
//! `pairs [ROUNDS [SECONDS [THREADS [KERNEL]]]]`, by default 10 rounds of jobs of 30 s on one
//! thread.
//!
//! Seconds are those that a thread had a core, where the system tells them (Linux): what others do
//! on the machine takes time from both, and not alike.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, DirEntry};
use std::sync::Arc;
use std::time::{Duration, Instant};

use midstate_chain::{Bits, Hash256, Job, Target};
use midstate_engine::{Config, Engine};
use midstate_sha256d::{Kernel, Midstate, Tail, Work};
use midstate_work::Cut;

/// How long a unit lasts in `midstate mine`.
const UNIT: f64 = 500e-6;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default| {
        arguments.get(at).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let (rounds, seconds, threads) = (number(0, 10), number(1, 30), number(2, 1));
    let named = arguments.get(3).map(|name| Kernel::named(name).expect("a kernel of this CPU"));
    let kernels: Vec<_> = named.map_or_else(|| Kernel::available().collect(), |one| vec![one]);
    let (kernel, rate) = kernels
        .into_iter()
        .map(|kernel| (kernel, rate(kernel)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .expect("there is the scalar kernel");
    println!("{}, {threads} threads, jobs of {seconds} s", kernel.name());

    let window = |midstates, number| {
        let cut = Cut::by_hashes(midstates, (rate * UNIT) as u64);
        let config = Config { kernel, threads: threads as usize, cut };
        // The system lists a thread for a moment after its end.
        let gone = hashing_threads();
        let mut engine = Engine::start(config, |_| {});
        let started = Instant::now();
        engine.set_job(Some(job(number)));
        let elapsed = loop {
            std::thread::sleep(Duration::from_millis(50));
            let mut hashing = hashing_threads();
            hashing.retain(|thread, _| !gone.contains_key(thread));
            let elapsed = match hashing.len() {
                0 => started.elapsed().as_secs_f64(),
                _ => hashing.values().sum::<Duration>().as_secs_f64() / threads as f64,
            };
            if elapsed >= seconds as f64 {
                break elapsed;
            }
        };
        let hashes = engine.hashes();
        engine.stop();
        hashes as f64 / elapsed / 1e6
    };
    let mut gains = Vec::new();
    for round in 0..rounds {
        // The first of the two may find the machine in another state.
        let [alone, paired] = match round % 2 {
            0 => [1, 2].map(|midstates| window(midstates, round)),
            _ => {
                let [paired, alone] = [2, 1].map(|midstates| window(midstates, round));
                [alone, paired]
            }
        };
        let gain = 100.0 * (paired / alone - 1.0);
        println!("{alone:7.2} MH/s alone, {paired:7.2} in pairs: {gain:+.1} %");
        gains.push(gain);
    }
    gains.sort_by(f64::total_cmp);
    let Some((lowest, highest)) = gains.first().zip(gains.last()) else { return };
    let median = gains[gains.len() / 2];
    println!("gain {median:+.1} % (median of {rounds}; {lowest:+.1} to {highest:+.1} %)");
}

/// How long each hashing thread of this process had a core, where the system tells.
fn hashing_threads() -> HashMap<OsString, Duration> {
    let time = |task: DirEntry| {
        let read = |file| fs::read_to_string(task.path().join(file)).ok();
        let schedstat = read("comm")?.starts_with("hash-").then(|| read("schedstat"))??;
        let nanoseconds = schedstat.split(' ').next()?.parse().ok()?;
        Some((task.file_name(), Duration::from_nanos(nanoseconds)))
    };
    fs::read_dir("/proc/self/task").into_iter().flatten().flatten().filter_map(time).collect()
}

/// Hashes per second with one midstate; the best of some short windows.
fn rate(kernel: Kernel) -> f64 {
    let midstate = Midstate::of(&[1; 64]);
    let work = Work::new(&[midstate], Tail::from_bytes([7; 12]), &[0; 32]).expect("one midstate");
    let window = || {
        let (started, mut hashes) = (Instant::now(), 0);
        while started.elapsed() < Duration::from_millis(2) {
            hashes += kernel.scan(&work, 0..2048, &mut |_| {});
        }
        hashes as f64 / started.elapsed().as_secs_f64()
    };
    (0..10).map(|_| window()).fold(0.0, f64::max)
}

/// As pools send them: a coinbase of 250 bytes, a block of some 4,000 transactions, no version
/// bits.
fn job(number: u64) -> Arc<Job> {
    Arc::new(Job {
        id: number.to_string(),
        session: 1,
        channel: None,
        version: 0x2000_0000,
        version_mask: 0,
        prev_hash: Hash256::of(&number.to_le_bytes()),
        coinbase_prefix: vec![number as u8; 90],
        extranonce1: vec![1, 2, 3, 4],
        extranonce2_size: 8,
        coinbase_suffix: vec![5; 148],
        branch: (0..12u8).map(|level| Hash256::of(&[level])).collect(),
        bits: Bits::from_consensus(0x1703_255b),
        time: 1_700_000_000,
        share_target: Target::DIFFICULTY_1,
        network_target: Target::DIFFICULTY_1,
        clean: true,
    })
}
