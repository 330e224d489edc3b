//! The server's state machine: one connection of a miner, ours or any other.

use std::collections::VecDeque;

use midstate_chain::Job;
use serde_json::Value;

use crate::{CloseReason, Limits};

/// What a connection is given.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// The pool's part of the extranonce, different for each connection.
    pub extranonce1: Vec<u8>,
    /// Bytes that the miner turns.
    pub extranonce2_size: usize,
    /// The version bits that a miner may roll if it asks; 0 for none.
    pub version_mask: u32,
    /// What the miner may do.
    pub limits: Limits,
}

/// What a miner asks of the pool.
#[derive(Debug, PartialEq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// It is answered already; difficulty and a job are due.
    Subscribed {
        /// The miner's name and version, if it gave one.
        user_agent: Option<String>,
    },
    /// To be answered with [`Server::answer`].
    Authorize {
        /// For the answer.
        ticket: Ticket,
        /// The worker.
        user: String,
        /// Empty if the miner gave none.
        password: String,
    },
    /// To be answered with [`Server::answer`].
    Submit {
        /// For the answer.
        ticket: Ticket,
        /// What was found.
        submission: Submission,
    },
    /// A wish.
    SuggestDifficulty(f64),
    /// The caller must drop the transport.
    Close(CloseReason),
}

/// A share as it was submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// One of the workers that this connection authorized.
    pub worker: String,
    /// The job it claims to belong to.
    pub job_id: String,
    /// Exactly as many bytes as the connection was given.
    pub extranonce2: Vec<u8>,
    /// Header time.
    pub time: u32,
    /// Header nonce.
    pub nonce: u32,
    /// The rolled version bits: `version = (job & !mask) | bits` (BIP310). `None` if rolling was not
    /// negotiated.
    pub version_bits: Option<u32>,
}

/// The right to answer one request, once.
#[derive(Debug, PartialEq)]
pub struct Ticket {
    id: Value,
    /// The worker to let in.
    worker: Option<String>,
}

/// A refusal, as pools word it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// 20 to 25.
    pub code: i64,
    /// For people.
    pub text: String,
}

impl Reject {
    /// 20: none of the others.
    pub fn other(text: impl Into<String>) -> Self {
        Self { code: 20, text: text.into() }
    }

    /// 21: the job is unknown or void.
    pub fn stale() -> Self {
        Self { code: 21, text: "job not found (stale)".into() }
    }

    /// 22: it came before.
    pub fn duplicate() -> Self {
        Self { code: 22, text: "duplicate share".into() }
    }

    /// 23: the hash is above the share target.
    pub fn low_difficulty() -> Self {
        Self { code: 23, text: "low difficulty share".into() }
    }

    /// 24: the worker is not authorized.
    pub fn unauthorized() -> Self {
        Self { code: 24, text: "unauthorized worker".into() }
    }

    /// 25: nothing works before `mining.subscribe`.
    pub fn not_subscribed() -> Self {
        Self { code: 25, text: "not subscribed".into() }
    }
}

/// The server side of one connection.
#[derive(Debug)]
pub struct Server {
    config: ServerConfig,
    transmit: VecDeque<Vec<u8>>,
    events: VecDeque<ServerEvent>,
}

impl Server {
    /// For a connection that was just accepted.
    pub fn new(config: ServerConfig) -> Self {
        Self { config, transmit: VecDeque::new(), events: VecDeque::new() }
    }

    /// Bytes came, in any fragmentation.
    pub fn handle_bytes(&mut self, _bytes: &[u8]) {
        let _ = &self.config;
    }

    /// The next line to write, with its line feed.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        self.events.pop_front()
    }

    /// Sets the share difficulty of the jobs after this.
    pub fn set_difficulty(&mut self, _difficulty: f64) {}

    /// Hands out a job. Its extranonce, mask and targets are the connection's business and not sent.
    pub fn notify(&mut self, _job: &Job) {}

    /// Answers an authorization or a submission.
    pub fn answer(&mut self, _ticket: Ticket, _verdict: Result<(), Reject>) {}
}
