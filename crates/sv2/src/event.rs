//! The events of a client.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_stratum::{Remark, ShareOutcome};

use crate::{ChannelKind, CloseReason};

/// An event. All text of the pool in it is sanitized.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A channel is open: the pool took us in.
    Opened {
        /// The pool's number for it.
        channel: u32,
        /// Its kind, which the pool may have imposed.
        kind: ChannelKind,
    },
    /// The pool does not take us. [`Event::Close`] follows.
    Refused {
        /// The pool's error code, with our guess of the cause.
        reason: String,
        /// Whether it is the user that it does not take.
        is_user: bool,
    },
    /// A channel that was open is no more, while others are. Its jobs are void, and its shares have
    /// their ends.
    Ended {
        /// The pool's number for it.
        channel: u32,
    },
    /// The newest job of its [channel](Job::channel), the only one of that channel worth work.
    /// [`Job::clean`] says that all earlier ones are void; the target is frozen in it. A caller
    /// that polls slowly misses jobs, never the newest of a channel.
    Job(Arc<Job>),
    /// A channel's difficulty changed; its jobs after this one carry it.
    Difficulty(f64),
    /// The end of a share: exactly one for each that was submitted.
    Verdict(ShareOutcome),
    /// The pool answered an attempt.
    Attempted {
        /// The number that [`Client::attempt`](crate::Client::attempt) returned.
        sequence: u32,
        /// Accepted, or refused with this code.
        answer: Result<(), String>,
    },
    /// The pool asks to connect elsewhere. Whether to follow is for `stratum::redirect::allowed`
    /// and the caller.
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
    /// The caller must drop the transport, back off and connect again (or fail over). Nothing that
    /// comes on this transport is heard any more.
    Close(CloseReason),
}
