//! Solo mining at Bitcoin Core, as values and state machines: no sockets, no files, no clock.
//!
//! A [`Template`] (BIP22, BIP23, BIP145) and a [`Payout`] make [`Work`]: a [`Job`] for the hashing
//! threads, a proposal for the node to check first, and the whole block once a share solves it.
//! [`Client`] drives that against one node or several; `net` gives it HTTP and files.
//!
//! [`Job`]: midstate_chain::Job
#![forbid(unsafe_code)]

mod address;
mod causes;
pub mod client;
pub mod conf;
mod foreign;
mod lateness;
pub mod limits;
mod recurring;
pub mod rpc;
pub mod spool;
mod template;
mod work;

pub use address::{Address, AddressError};
pub use causes::{cause, likely_cause, refusal_in_words};
pub use client::Client;
pub use lateness::{Lateness, NOT_BEST};
pub use recurring::Recurring;
pub use template::{Room, Template, TemplateError, Transaction};
pub use work::{EXTRANONCE2_SIZE, MAX_TAG, Payout, Work, WorkError};
