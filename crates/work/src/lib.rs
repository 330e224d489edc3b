//! The work of a job: which headers there are to hash, cut so that many threads can share them, and
//! the ledger of what was found.
//!
//! A job leaves four things free: its part of the extranonce, the rollable version bits, the nonce
//! and, when those run out, the time. [`SearchSpace`] lays them out on one line of numbered units,
//! each a pure function of its number. Where the version is not free, [`PairSearch`] finds values
//! of extranonce2 that can be hashed side by side instead. [`Frontier`] is how far threads have
//! come.
//!
//! No threads, no clock here: `engine` owns those.
#![forbid(unsafe_code)]

mod frontier;
mod ledger;
mod pairs;
mod rejects;
mod space;

pub use frontier::Frontier;
pub use ledger::{BlockLedger, Ledger};
pub use pairs::PairSearch;
pub use rejects::Rejects;
pub use space::{Claim, Cut, MAX_TIME_ROLL, Page, PageName, SearchSpace, Unit};
