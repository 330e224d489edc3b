//! Hashing threads. They take the newest [`Job`](midstate_chain::Job) and hand out
//! [`Share`](midstate_chain::Share)s; nothing here waits for a network, and nothing on the network
//! waits for a hash.
//!
//! ```text
//! set_job ──> Slot (epoch, newest assignment) ──> threads: claim a unit, scan it, count it
//!                                                   └─> on_share
//! ```
//!
//! Units last about half a millisecond, and every thread looks at the slot between two units: that
//! is how fast a new job reaches all of them. One that comes right behind another waits for a few
//! units more. No clock here: time that passes is told from outside.
#![forbid(unsafe_code)]

mod engine;
mod grind;
mod meter;
mod slot;

pub use engine::{Config, Engine, Progress, ThreadCount};
pub use grind::grind;
pub use meter::{Meter, Reading};
