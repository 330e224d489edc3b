//! `minerd --benchmark`: hashes without a server, on a job in which nothing is ever found, and
//! prints rates until the program is killed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use midstate_chain::{BIP320_MASK, Bits, Hash256, Job, Target};

use super::voice::Voice;
use crate::machine::choose::Choice;
use crate::shell::exit::Failure;

/// Until the first line. Whoever measures with minerd does not wait long: the Stratum reference
/// implementation's tests kill it after three seconds.
const FIRST: Duration = Duration::from_secs(1);
/// A hash that meets it would be the first of its kind.
const DIFFICULTY: f64 = 1e60;

/// Ends when the program is killed, and never by itself.
pub(super) fn run(choice: Choice, voice: &mut Voice) -> Result<(), Failure> {
    let threads = choice.config.threads;
    let mut engine = choice.engine(|_| {});
    engine.set_threads(threads).context("the hashing threads cannot be started")?;
    engine.set_job(Some(Arc::new(job()?)));
    voice.started(threads);
    let started = Instant::now();
    let mut pause = FIRST;
    loop {
        std::thread::sleep(pause);
        voice.count(started.elapsed(), engine.thread_counts().map(|count| count.hashes));
        voice.total();
        pause = voice.scantime();
    }
}

/// More headers than any run lasts.
fn job() -> Result<Job, Failure> {
    let target = Target::from_difficulty(DIFFICULTY)?;
    Ok(Job {
        id: "benchmark".into(),
        session: 0,
        channel: None,
        version: 0x2000_0000,
        version_mask: BIP320_MASK,
        prev_hash: Hash256::default(),
        coinbase_prefix: Vec::new(),
        extranonce1: Vec::new(),
        extranonce2_size: 8,
        coinbase_suffix: Vec::new(),
        branch: Vec::new(),
        bits: Bits::from_consensus(0x1d00_ffff),
        time: 0,
        share_target: target,
        network_target: target,
        clean: true,
    })
}
