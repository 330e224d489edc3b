//! How long hashing goes on when it shall stop, for every number of midstates: `stop [STOPS
//! [THREADS]]`, by default 200 stops on all threads. Printed beside it is what bounds it: the
//! longest a thread goes without a look at the slot, a unit of work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use midstate_chain::{Bits, Hash256, Job, Target};
use midstate_engine::{Config, Engine};
use midstate_sha256d::{Kernel, Midstate, Tail, Work};
use midstate_work::Cut;

/// The length of a unit in `midstate mine`.
const UNIT: Duration = Duration::from_micros(500);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| match arguments.next() {
        Some(text) => text.parse().expect("a whole number"),
        None => default,
    };
    let stops = number(200).max(1);
    let threads = number(std::thread::available_parallelism().map_or(1, usize::from));
    println!("{stops} stops of {threads} threads; in milliseconds");
    println!("{:8} {:>4} {:>8} {:>8} {:>8} {:>8}", "kernel", "k", "unit", "p50", "p99", "most");
    for kernel in Kernel::available() {
        for midstates in [1, 2, 4, 8, 16, 32, 64] {
            let work = work(midstates);
            let cut = Cut::by_hashes(midstates, (rate(kernel, &work) * UNIT.as_secs_f64()) as u64);
            let unit = best(20, || {
                let nonces = cut.hashes / midstates as u64;
                time(|| {
                    kernel.scan(&work, 0..nonces, &mut |_| {});
                })
            });
            let mut times: Vec<_> = (0..stops).map(|_| stop(kernel, threads, &cut)).collect();
            times.sort_unstable();
            let at = |percent: usize| milliseconds(times[(stops - 1) * percent / 100]);
            println!(
                "{:8} {midstates:>4} {:8.3} {:8.3} {:8.3} {:8.3}",
                kernel.name(),
                milliseconds(unit),
                at(50),
                at(99),
                at(100)
            );
        }
    }
}

/// From the call to the end of the last thread.
fn stop(kernel: Kernel, threads: usize, cut: &Cut) -> Duration {
    let mut engine = Engine::start(Config { kernel, threads, cut: cut.clone() }, |_| {});
    engine.set_job(Some(job()));
    // In the midst of a unit, wherever that is.
    std::thread::sleep(Duration::from_micros(2_345));
    time(|| engine.stop())
}

fn rate(kernel: Kernel, work: &Work) -> f64 {
    let nonces = 64;
    let best = best(50, || {
        time(|| {
            kernel.scan(work, 0..nonces, &mut |_| {});
        })
    });
    (nonces * work.midstates() as u64) as f64 / best.as_secs_f64()
}

fn best(tries: u32, measure: impl FnMut() -> Duration) -> Duration {
    std::iter::repeat_with(measure).take(tries as usize).min().unwrap_or_default()
}

fn time(what: impl FnOnce()) -> Duration {
    let started = Instant::now();
    what();
    started.elapsed()
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Work on which nothing is ever found.
fn work(midstates: usize) -> Work {
    let midstates: Vec<_> = (0..midstates as u8).map(|byte| Midstate::of(&[byte; 64])).collect();
    Work::new(&midstates, Tail::from_bytes([7; 12]), &[0; 32]).expect("64 midstates at most")
}

/// A job with version bits for any number of midstates.
fn job() -> Arc<Job> {
    Arc::new(Job {
        id: "1".into(),
        session: 1,
        channel: None,
        version: 0x2000_0000,
        version_mask: 0x1fff_e000,
        prev_hash: Hash256::of(b"previous"),
        coinbase_prefix: vec![1; 90],
        extranonce1: vec![2; 4],
        extranonce2_size: 4,
        coinbase_suffix: vec![3; 148],
        branch: vec![Hash256::of(b"sibling")],
        bits: Bits::from_consensus(0x1703_255b),
        time: 1_700_000_000,
        share_target: Target::DIFFICULTY_1,
        network_target: Target::DIFFICULTY_1,
        clean: true,
    })
}
