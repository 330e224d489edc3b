//! The events of a client.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share, Verdict};
use serde::Serialize;

use crate::CloseReason;

/// An event. All text of the pool in it is sanitized.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// The pool took us in.
    Subscribed {
        /// Its part of the extranonce.
        extranonce1: Vec<u8>,
        /// Bytes of ours.
        extranonce2_size: usize,
        /// The version bits that both sides roll, 0 for none. A pool that answers the configuration
        /// late changes it for the jobs after; [`Job::version_mask`] is what counts.
        version_mask: u32,
    },
    /// The pool took user and password; shares flow from now on.
    Authorized,
    /// It did not. [`ClientEvent::Close`] follows.
    AuthorizationRefused {
        /// In its own words.
        reason: String,
    },
    /// The newest job, the only one worth work. [`Job::clean`] says that all earlier ones are void;
    /// the difficulty is frozen in it. A caller that polls slowly misses jobs, never the newest.
    Job(Arc<Job>),
    /// The pool's difficulty changed; jobs after this one carry it.
    Difficulty(f64),
    /// The end of a share: exactly one for each that was submitted.
    Verdict(ShareOutcome),
    /// The pool asks to connect elsewhere. The text is well-formed; whether to follow is for
    /// [`redirect::allowed`](crate::redirect::allowed) and the caller.
    Redirect {
        /// `None`: the same host.
        host: Option<String>,
        /// `None`: the same port.
        port: Option<u16>,
        /// Not before.
        wait: Duration,
    },
    /// Something for the user; work goes on.
    Remark(Remark),
    /// The pool told something in a method that we do not know, and wants no answer (S2).
    Ignored {
        /// Its name.
        method: String,
        /// How many such there have been in the life of this client.
        count: u64,
    },
    /// The caller must drop the transport, back off and connect again (or fail over). Nothing that
    /// comes on this transport is heard any more.
    Close(CloseReason),
}

/// Something that a server says to its users, or that there is to say about it. Nothing depends on
/// it: it goes through all rooms as it is, to the user as a [sentence](Self::sentence) and to
/// programs as the JSON that it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Remark {
    /// In the server's words.
    Message {
        /// Sanitized.
        text: String,
    },
    /// Something is not as it should be.
    Warning {
        /// In our words, which may quote the server.
        text: String,
    },
}

impl Remark {
    /// In the server's words.
    pub fn message(text: impl Into<String>) -> Self {
        Self::Message { text: text.into() }
    }

    /// In our words.
    pub fn warning(text: impl Into<String>) -> Self {
        Self::Warning { text: text.into() }
    }

    /// Its text, whoever speaks.
    pub fn text_mut(&mut self) -> &mut String {
        match self {
            Self::Message { text } | Self::Warning { text } => text,
        }
    }

    /// For people, who know the server by that name.
    pub fn sentence(&self, server: &str) -> String {
        match self {
            Self::Message { text } => format!("{server} says: {text}"),
            Self::Warning { text } => format!("warning: {server}: {text}"),
        }
    }
}

/// How a share ended, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct ShareOutcome {
    /// The share.
    pub share: Share,
    /// How it ended.
    pub verdict: Verdict,
    /// The server's error code, of a pool 20 to 25 or its own. `None` if it gave none or was not
    /// asked.
    pub code: Option<i64>,
    /// Why, in the server's words, or in ours if it was not asked.
    pub reason: Option<String>,
    /// A guess of the cause and what to do.
    pub advice: Option<&'static str>,
    /// From sending to the answer; zero if it was not sent.
    pub latency: Duration,
}

impl ShareOutcome {
    /// A share that was not sent, or whose answer says no more than this.
    pub fn new(share: Share, verdict: Verdict, reason: Option<String>) -> Self {
        Self { share, verdict, code: None, reason, advice: None, latency: Duration::ZERO }
    }
}
