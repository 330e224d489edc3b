//! A small mining pool for demos, lessons and tests.
//!
//! [`Pool`] is the pool proper: sessions, jobs, and a judge that trusts nobody. [`RegtestChain`] is
//! a chain in memory that gives it templates and takes its blocks; [`RegtestPool`] is the two
//! together. A node can stand in for the chain; [`PacedPool`] is then a pool with a pace of its
//! own.
//!
//! The judge recomputes every share with the `sha2` crate, never with midstate's own kernels: what
//! the pool accepts was checked by somebody else's code.
//!
//! Neither sockets nor clocks: `now` is the time since 1970, and bytes come and go by session.
#![forbid(unsafe_code)]

mod chain;
mod config;
mod event;
mod front;
mod judge;
mod line;
mod pace;
mod paced;
mod pool;
mod refusal;
mod regtest;
mod session;
mod vardiff;

pub use chain::{Block, BlockError, RegtestChain};
pub use config::{PoolBounds, PoolConfig};
pub use event::{EmbeddedPoolEvent, Label, Miner, RetargetReason, SessionId, WorkerStats};
pub use front::Front;
pub use pace::{PaceConfig, least_earnest_difficulty};
pub use paced::PacedPool;
pub use pool::{Accepted, Pool, PoolTemplate};
pub use regtest::{RegtestPool, StartError};
pub use vardiff::VardiffConfig;
