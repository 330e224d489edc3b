//! Blocks of a toy chain that wait for their verdict. Each holds one of the places of the goal. A
//! block that never gets a verdict would hold its place for ever: nothing more would pass, and the
//! run would hash for nothing without an end.

use std::time::Duration;

use midstate_chain::Hash256;
use midstate_limits::{LimitRow, row};

/// A block that has had no verdict for so long frees its place.
const OVERDUE: Duration = Duration::from_secs(10);

/// See the [module](self) page.
#[derive(Debug, Default)]
pub(super) struct Overdue(Vec<Waiting>);

#[derive(Debug)]
struct Waiting {
    hash: Hash256,
    since: Duration,
    is_overdue: bool,
}

/// The limit as a row.
pub(crate) fn limits() -> Vec<LimitRow> {
    let over = "another block may pass for it; if its verdict comes, it counts as ever";
    vec![row("a toy block without a verdict", format!("{} s", OVERDUE.as_secs()), over)]
}

impl Overdue {
    /// A block was let through.
    pub(super) fn found(&mut self, now: Duration, hash: Hash256) {
        self.0.push(Waiting { hash, since: now, is_overdue: false });
    }

    /// How many blocks have become overdue.
    pub(super) fn look(&mut self, now: Duration) -> usize {
        let newly = self.0.iter_mut().filter(|of| !of.is_overdue && now >= of.since + OVERDUE);
        newly.map(|of| of.is_overdue = true).count()
    }

    /// The block has its verdict. Whether it was overdue.
    pub(super) fn settled(&mut self, hash: &Hash256) -> bool {
        let at = self.0.iter().position(|of| of.hash == *hash);
        at.is_some_and(|at| self.0.swap_remove(at).is_overdue)
    }
}
