//! The hash rates that a pool of Stratum V2 is told: those that the script asks for.

use std::time::Duration;

use midstate_net::{Account, Order};
use midstate_swarm::Script;

/// Between two looks at the script.
const LOOK: Duration = Duration::from_secs(1);
/// The rate of a miner that hashes nothing: none is no rate.
const LEAST: f64 = 1.0;

/// The rates that were told last.
pub(super) struct Nominal {
    /// Empty where nothing is to be told.
    told: Vec<f64>,
    next: Duration,
}

impl Nominal {
    /// V1 has no word for it, and the user may have named one rate for all.
    pub(super) fn new(account: &Account, script: &Script) -> Self {
        let is_told = account.url.v2.is_some() && account.v2.nominal_hash_rate.is_none();
        let miners = if is_told { script.workers() } else { 0 };
        Self { told: vec![0.0; miners as usize], next: Duration::ZERO }
    }

    /// The rates of miners that are there, as far as they have changed.
    pub(super) fn orders(&mut self, at: Duration, script: &Script) -> Vec<Order> {
        if at < self.next {
            return Vec::new();
        }
        self.next = at + LOOK;
        let miners = (0..).zip(&mut self.told);
        let changed = miners.filter_map(|(worker, told)| {
            if !script.is_present(worker, at) {
                // When it comes, it has to be told.
                *told = 0.0;
                return None;
            }
            let rate = script.rate(worker, at).max(LEAST);
            (rate.to_bits() != told.to_bits()).then(|| {
                *told = rate;
                Order::Rate(worker, rate)
            })
        });
        changed.collect()
    }
}
