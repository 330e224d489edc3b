//! Bounds the shares that are under way between the hashing threads and their verdicts. At a
//! difficulty of 1e-9 the threads find millions a second; what no pool could take anyway is counted
//! where it is found, and goes no further. So no queue behind this one needs a bound of its own.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use midstate_chain::Share;

/// Above what a client keeps for one pool, so that its limits are the ones that are felt.
const MOST_UNDER_WAY: usize = 8192;
/// More of them for each channel of a pool, which may answer some of a channel at once.
const MORE_A_CHANNEL: usize = 64;

/// See the [module](self) page.
pub(crate) struct Backlog {
    most: usize,
    under_way: AtomicUsize,
    turned_away: AtomicU64,
}

impl Backlog {
    /// For one channel, or several.
    pub(crate) fn new(channels: usize) -> Self {
        let most = MOST_UNDER_WAY + MORE_A_CHANNEL * channels.saturating_sub(1);
        Self { most, under_way: AtomicUsize::new(0), turned_away: AtomicU64::new(0) }
    }

    /// Whether to hand this share on. A block that is rarer than a share always passes (I7). Called
    /// on hashing threads.
    pub(crate) fn admits(&self, share: &Share) -> bool {
        let is_rare = share.job.network_target < share.job.share_target;
        let admitted =
            (is_rare && share.is_block()) || self.under_way.load(Ordering::Relaxed) < self.most;
        if admitted {
            self.under_way.fetch_add(1, Ordering::Relaxed);
        } else {
            self.turned_away.fetch_add(1, Ordering::Relaxed);
        }
        admitted
    }

    /// A share that was admitted got its verdict.
    pub(crate) fn settled(&self) {
        self.under_way.fetch_sub(1, Ordering::Relaxed);
    }

    /// Shares turned away since the last call: found, and throttled.
    pub(crate) fn take_turned_away(&self) -> u64 {
        self.turned_away.swap(0, Ordering::Relaxed)
    }
}
