//! One thread that hashes so many units of one nonce each, for `cargo xtask instructions` to count
//! what a unit costs beside its hashes: `units UNITS`.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Bits, Hash256, Job, Target};
use midstate_engine::{Config, Engine, Progress};
use midstate_sha256d::Kernel;
use midstate_work::Cut;

fn main() {
    let units = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let units: u64 = units.expect("the number of units");
    let cut = Cut { midstates: 1, hashes: 1, nonces: 0..units };
    let mut engine = Engine::start(Config { kernel: Kernel::SCALAR, threads: 1, cut }, |_| {});
    engine.set_job(Some(job()));
    // Few looks: each is counted, too.
    while engine.hashes() < units {
        assert_ne!(engine.progress(), Progress::Idle, "there is a job");
        std::thread::sleep(Duration::from_millis(200));
    }
    engine.stop();
}

/// A job with one header a nonce.
fn job() -> Arc<Job> {
    Arc::new(Job {
        id: "1".into(),
        session: 1,
        channel: None,
        version: 0x2000_0000,
        version_mask: 0,
        prev_hash: Hash256::of(b"previous"),
        coinbase_prefix: vec![1; 90],
        extranonce1: vec![2; 4],
        extranonce2_size: 0,
        coinbase_suffix: vec![3; 148],
        branch: vec![Hash256::of(b"sibling")],
        bits: Bits::from_consensus(0x1703_255b),
        time: 1_700_000_000,
        share_target: Target::DIFFICULTY_1,
        network_target: Target::DIFFICULTY_1,
        clean: true,
    })
}
