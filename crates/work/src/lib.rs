//! The work of a job: which headers there are to hash, cut so that many threads can share them, and
//! the ledger of what was found.
//!
//! A job leaves four things free: its part of the extranonce, the rollable version bits, the nonce
//! and, when those run out, the time. [`SearchSpace`] lays them out on one line of numbered units.
//! A unit is a pure function of its number, so threads need to share no more than a counter.
//!
//! No threads, no clock here: `engine` owns those.
#![forbid(unsafe_code)]

mod ledger;
mod space;

pub use ledger::{BlockLedger, Ledger};
pub use space::{Claim, Cut, MAX_TIME_ROLL, Page, SearchSpace, Unit};
