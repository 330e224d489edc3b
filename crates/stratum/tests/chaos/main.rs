//! Chaos: a pool that breaks in 42 ways, a client that must survive all of them, and no clock.
//!
//! Every fault is played over several seeds, a few times in each run, at moments that the seed
//! chooses; then the pool is good again and the client must come back to work. What holds in every
//! run: each share that was found has exactly one verdict, the pool never counts one twice, it
//! never gets one that misses its target, what the client books as accepted the pool has accepted,
//! nothing panics, and no timer spins.
//!
//! `CHAOS_SEEDS` sets the number of seeds and `CHAOS_FAULT` part of a name; `cargo xtask chaos
//! --seeds N` sets the first, and builds for speed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod pool;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};

use faults::FAULTS;
use world::{Outcome, World};

/// Enough for every `cargo test`.
const FEW: u64 = 1;

fn seeds() -> u64 {
    match std::env::var("CHAOS_SEEDS") {
        Ok(text) => text.parse().expect("CHAOS_SEEDS is a number"),
        Err(_) => FEW,
    }
}

#[test]
fn s14_no_fault_loses_doubles_or_invents_a_share_or_stops_the_client() {
    let wanted = std::env::var("CHAOS_FAULT").unwrap_or_default();
    let chosen: Vec<_> =
        FAULTS.iter().zip(0..).filter(|(fault, _)| fault.name.contains(&wanted)).collect();
    assert!(!chosen.is_empty(), "no fault's name contains {wanted:?}");
    let next = AtomicUsize::new(0);
    let play = || {
        let mut total = Outcome::default();
        while let Some(&(fault, number)) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut sum = Outcome::default();
            for seed in 0..seeds() {
                sum += World::run(*fault, seed * 1000 + number);
            }
            println!("{:>2} {:<44} {sum}", number + 1, fault.name);
            total += sum;
        }
        total
    };
    let total = std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let players: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        players.into_iter().fold(Outcome::default(), |mut total, player| {
            total += player.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            total
        })
    });
    println!("{} runs: {total}", chosen.len() as u64 * seeds());
}
