//! Hashing. The [`Desk`] takes the newest [`Job`](midstate_chain::Job), hands out its headers to
//! workers, and makes [`Share`](midstate_chain::Share)s of their hits. [`Engine`] is a desk with
//! threads that work for it. Nothing here waits for a network, and nothing on the network waits for
//! a hash.
//!
//! ```text
//! set_job ──> Slot (epoch, newest assignment) ──> workers: claim a piece, hash it, book it
//!                                                   └─> on_share
//! ```
//!
//! A thread's pieces last about half a millisecond, and every thread looks at the slot between two:
//! that is how fast a new job reaches all of them. One that comes right behind another waits for a
//! few pieces more. No clock here: time that passes is told from outside.
#![forbid(unsafe_code)]

mod desk;
mod engine;
mod grind;
mod meter;
mod slot;

pub use desk::{AtWork, BookError, Desk, Finding, Piece, Progress, Worker, WorkerCount};
pub use engine::{Config, Engine};
pub use grind::grind;
pub use meter::{RateMeter, Reading};
