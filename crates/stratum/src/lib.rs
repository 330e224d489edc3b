//! Stratum v1 without sockets or clocks: a client and a server as state machines.
//!
//! Bytes go in through `handle_bytes`, lines to write come out of `poll_transmit`, what happened
//! comes out of `poll_event`. The client measures time, so its inputs carry `now`, a [`Duration`]
//! since a start of the caller's choice that never runs backwards, and `poll_timeout` says when to
//! call `handle_timeout`. The callers are `net` (sockets), `pool` (the server side) and the tests,
//! which play weeks of pool behaviour in virtual time.
//!
//! The rule behind all of it: strict in what is sent, tolerant in what is taken, every limit named
//! (see [`Limits`]). Everything from the network is checked in full before any state changes: a bad
//! message leaves the running job running.
//!
//! [`Duration`]: std::time::Duration
#![forbid(unsafe_code)]

mod advice;
mod client;
mod close;
mod difficulty;
mod limits;
mod line;
mod message;
mod notify;
mod payout;
pub mod redirect;
pub mod rules;
mod sanitize;
mod server;

pub use client::{
    Client, ClientConfig, ClientEvent, ConfigError, Remark, Secret, ShareOutcome, without_password,
};
pub use close::CloseReason;
pub use limits::Limits;
pub use message::read_answer;
pub use midstate_chain::Verdict;
pub use payout::{ExpectedPayout, PayoutError};
pub use sanitize::sanitize;
pub use server::{Reject, Server, ServerConfig, ServerEvent, Submission, Ticket};
