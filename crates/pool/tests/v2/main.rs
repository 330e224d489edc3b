//! The pool's side of Stratum V2, through the public door: a miner in memory, virtual time.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod channels;
mod chaos;
mod limits;
mod miner;
mod shares;
#[expect(dead_code, reason = "some of it is for the example of the program")]
mod wire;
