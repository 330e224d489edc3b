//! A swarm: many miners in one program, each with a connection, a session, a search and books of
//! its own, whose hash rates a script decides. It tests pools: every share is true work.
//!
//! [`Script`] says how many hashes each miner is to have done at any time. The [`Allotment`] hands
//! the hashing threads the miner that is due next and exactly the hashes that it lacks. A
//! [`Miner`] is one connection's client, of Stratum V1 or V2. A [`FaultPlan`] says which shares go
//! wrong on purpose. The [`Books`] add up the answers of the pool, and [`expect`] judges them.
//!
//! Neither sockets, threads nor clocks: `net` moves the bytes, the program hashes, and `now` is an
//! argument everywhere.
#![forbid(unsafe_code)]

mod allotment;
mod amount;
mod books;
mod draw;
pub mod expect;
mod fault;
mod findings;
mod latencies;
mod limits;
mod miner;
mod script;
mod search;

pub use allotment::{Allotment, HashCount, Piece, Turn};
pub use books::{Books, Connections, Standing, State};
pub use fault::{
    Code, EARNEST, Fault, FaultBooks, FaultCounts, FaultError, FaultNews, FaultPlan, is_earnest,
};
pub use findings::{Findings, Following, Look, Vardiff};
pub use latencies::Latencies;
pub use limits::Limits;
pub use miner::{Event, Miner, MinerConfig, SILENCE};
pub use script::{Group, Script, ScriptError};
