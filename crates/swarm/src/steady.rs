//! A script of one word: every miner hashes at the same rate from the beginning to the end. The
//! language of profiles takes the place of this file.

use std::time::Duration;

/// What each miner is to have hashed at any time.
#[derive(Debug, Clone)]
pub struct Script {
    workers: u32,
    /// Hashes a second of each miner.
    rate: u64,
}

impl Script {
    /// So many miners at so many hashes a second each.
    pub fn steady(workers: u32, rate: u64) -> Self {
        Self { workers, rate }
    }

    /// How many miners there ever are; they are numbered from 0.
    pub fn workers(&self) -> u32 {
        self.workers
    }

    /// How many hashes this miner is to have done at this time. Exact, and it never becomes less.
    pub fn owed(&self, _worker: u32, at: Duration) -> u64 {
        let owed = at.as_nanos() * u128::from(self.rate) / 1_000_000_000;
        u64::try_from(owed).unwrap_or(u64::MAX)
    }

    /// Hashes a second that are asked of this miner at this time.
    pub fn rate(&self, _worker: u32, _at: Duration) -> f64 {
        self.rate as f64
    }

    /// Whether this miner has joined at this time, and not left.
    pub fn is_present(&self, _worker: u32, _at: Duration) -> bool {
        true
    }

    /// When a miner next joins or leaves.
    pub fn next_change(&self, _after: Duration) -> Option<Duration> {
        None
    }
}
