//! The hash rate that is measured, on its way to pools that want to know it (Stratum V2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The newest measured rate, in hashes a second. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct HashRate(Arc<AtomicU64>);

impl HashRate {
    /// Another rate was measured.
    pub fn set(&self, hashes_per_second: f64) {
        self.0.store(hashes_per_second.to_bits(), Ordering::Relaxed);
    }

    /// The newest one; `None` before the first.
    pub fn get(&self) -> Option<f64> {
        let rate = f64::from_bits(self.0.load(Ordering::Relaxed));
        (rate > 0.0).then_some(rate)
    }
}
