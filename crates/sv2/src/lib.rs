//! Stratum V2, both sides, without sockets or clocks.
//!
//! [`Client`] has the shape of `stratum::Client`: bytes go in through `handle_bytes`, bytes to
//! write come out of `poll_transmit`, and events out of `poll_event`. `now` is an argument, and so
//! are the randomness of a connection and the date that its certificate is judged by
//! ([`Dialled`]). The caller is `net`; the tests play against a responder in memory.
//!
//! [`Server`] has the shape of `stratum::Server`: one connection of a miner, with all its channels.
//! The caller is `pool`, which gives it work and judges the shares.
//!
//! The layers, from the wire up: encrypted frames (`secure`), the messages in them (`message`),
//! the jobs of a channel (`channel`), its book of shares (`shares`), and all channels (`channels`);
//! `trace` spells frames for people. The Noise cryptography and the layouts of messages are those
//! of the reference crates; decisions and limits are ours.
//!
//! Source: the Stratum V2 specification, chapters 3 (overview), 4 (security), 5 (mining).
#![forbid(unsafe_code)]

mod authority;
mod channel;
mod channels;
mod client;
mod close;
mod event;
mod limits;
mod message;
mod request;
mod secure;
mod server;
mod shares;
mod trace;

pub use authority::{Authority, AuthorityKey, AuthorityKeyError};
pub use client::{Attempt, ChannelKind, Client, ClientConfig, Dialled, Progress};
pub use close::{CertificateError, CloseReason};
pub use event::Event;
pub use limits::{Limits, ServerLimits};
pub use request::{Opening, ShareTicket, Submission};
pub use server::{Breach, Grant, Refusal, Server, ServerConfig, ServerEvent};
pub use trace::{Fields, TracedFrame};
