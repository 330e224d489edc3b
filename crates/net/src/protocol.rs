//! The protocol that a pool speaks, as a seat sees it: the same calls and the same news, whether
//! Stratum V1 or V2.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_chain::{Job, Share};
use midstate_failover::Failure;
use midstate_stratum::{ClientEvent, CloseReason, Remark, ShareOutcome};
use midstate_sv2 as sv2;

use crate::{Account, PoolUrl};

/// A client of either protocol.
pub(crate) enum Client {
    V1(Box<midstate_stratum::Client>),
    V2(Box<sv2::Client>),
}

/// Something that a client tells.
pub(crate) enum News {
    /// The pool took us in; shares flow from now on.
    LetIn,
    /// It did not; the connection is to end.
    Refused {
        reason: String,
    },
    Job(Arc<Job>),
    /// A channel of V2 is closed, and others are open.
    ChannelEnded(u32),
    Verdict(ShareOutcome),
    Remark(Remark),
    Redirect {
        host: Option<String>,
        port: Option<u16>,
        wait: Duration,
    },
    /// The connection is to end.
    Close(Failure, String),
}

impl Client {
    pub(crate) fn new(account: &Account) -> Self {
        match account.url.v2 {
            None => Self::V1(Box::new(midstate_stratum::Client::new(account.client.clone()))),
            Some(_) => Self::V2(Box::new(sv2::Client::new(account.v2_config()))),
        }
    }

    /// A fresh transport to `target` is up.
    pub(crate) fn handle_connected(&mut self, now: Duration, target: &PoolUrl) {
        match self {
            Self::V1(client) => client.handle_connected(now),
            Self::V2(client) => client.handle_connected(now, dialled(target)),
        }
    }

    pub(crate) fn handle_disconnected(&mut self, now: Duration) {
        match self {
            Self::V1(client) => client.handle_disconnected(now),
            Self::V2(client) => client.handle_disconnected(now),
        }
    }

    /// The same, by our own wish.
    pub(crate) fn leave(&mut self, now: Duration) {
        match self {
            Self::V1(client) => client.leave(now),
            Self::V2(client) => client.leave(now),
        }
    }

    pub(crate) fn handle_bytes(&mut self, now: Duration, bytes: &[u8]) {
        match self {
            Self::V1(client) => client.handle_bytes(now, bytes),
            Self::V2(client) => client.handle_bytes(now, bytes),
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        match self {
            Self::V1(client) => client.handle_timeout(now),
            Self::V2(client) => client.handle_timeout(now),
        }
    }

    pub(crate) fn submit(&mut self, now: Duration, share: Share) {
        match self {
            Self::V1(client) => client.submit(now, share),
            Self::V2(client) => client.submit(now, share),
        }
    }

    /// The hash rate that is measured, in hashes a second. V1 has no word for it.
    pub(crate) fn set_hash_rate(&mut self, now: Duration, hash_rate: f64) {
        if let Self::V2(client) = self {
            client.set_hash_rate(now, hash_rate);
        }
    }

    pub(crate) fn finish(&mut self, now: Duration) {
        match self {
            Self::V1(client) => client.finish(now),
            Self::V2(client) => client.finish(now),
        }
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::V1(client) => client.poll_transmit(),
            Self::V2(client) => client.poll_transmit(),
        }
    }

    /// Keeps the messages of V2 for [`poll_trace`](Self::poll_trace); the lines of V1 are those of
    /// the wire.
    pub(crate) fn set_traced(&mut self) {
        if let Self::V2(client) = self {
            client.set_traced();
        }
    }

    pub(crate) fn poll_trace(&mut self) -> Option<sv2::TracedFrame> {
        match self {
            Self::V1(_) => None,
            Self::V2(client) => client.poll_trace(),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        match self {
            Self::V1(client) => client.poll_timeout(),
            Self::V2(client) => client.poll_timeout(),
        }
    }

    /// Whether the server of a V2 pool has yet to show that it speaks V2.
    pub(crate) fn awaits_noise(&self) -> bool {
        match self {
            Self::V1(_) => false,
            Self::V2(client) => client.progress() == sv2::Progress::Handshake,
        }
    }

    pub(crate) fn pending(&self) -> usize {
        match self {
            Self::V1(client) => client.pending(),
            Self::V2(client) => client.pending(),
        }
    }

    pub(crate) fn poll_news(&mut self) -> Option<News> {
        loop {
            let news = match self {
                Self::V1(client) => of_v1(client.poll_event()?),
                Self::V2(client) => of_v2(client.poll_event()?),
            };
            if news.is_some() {
                return news;
            }
        }
    }
}

/// The facts about a connection to `target` that a V2 client wants.
pub(crate) fn dialled(target: &PoolUrl) -> sv2::Dialled {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut entropy = [0; 32];
    // A system that has no randomness cannot speak TLS either.
    getrandom::fill(&mut entropy).expect("the system has random bytes");
    sv2::Dialled {
        host: target.host.clone(),
        port: target.port,
        unix: u32::try_from(since.as_secs()).unwrap_or(u32::MAX),
        entropy,
    }
}

fn of_v1(event: ClientEvent) -> Option<News> {
    Some(match event {
        ClientEvent::Authorized => News::LetIn,
        ClientEvent::AuthorizationRefused { reason } => News::Refused { reason },
        ClientEvent::Job(job) => News::Job(job),
        ClientEvent::Verdict(outcome) => News::Verdict(outcome),
        ClientEvent::Remark(remark) => News::Remark(remark),
        ClientEvent::Redirect { host, port, wait } => News::Redirect { host, port, wait },
        ClientEvent::Close(reason) => News::Close(failure(&reason), reason.to_string()),
        event => {
            tracing::debug!(?event, "stratum");
            return None;
        }
    })
}

fn of_v2(event: sv2::Event) -> Option<News> {
    Some(match event {
        sv2::Event::Opened { .. } => News::LetIn,
        sv2::Event::Refused { reason, is_user: true } => News::Refused { reason },
        sv2::Event::Job(job) => News::Job(job),
        sv2::Event::Ended { channel } => News::ChannelEnded(channel),
        sv2::Event::Verdict(outcome) => News::Verdict(outcome),
        sv2::Event::Remark(remark) => News::Remark(remark),
        sv2::Event::Redirect { host, port, wait } => News::Redirect { host, port, wait },
        sv2::Event::Close(reason) => {
            let how = match &reason {
                sv2::CloseReason::Worthless(reason) => failure(reason),
                // The next connection will be no better.
                sv2::CloseReason::TooLong { .. }
                | sv2::CloseReason::Handshake
                | sv2::CloseReason::Certificate(_)
                | sv2::CloseReason::SetupRefused(_)
                | sv2::CloseReason::ChannelRefused(_)
                | sv2::CloseReason::Payout { .. } => Failure::Hopeless,
                _ => Failure::Passing,
            };
            News::Close(how, reason.to_string())
        }
        event => {
            tracing::debug!(?event, "stratum v2");
            return None;
        }
    })
}

/// How an attempt failed that ended for this reason.
fn failure(reason: &CloseReason) -> Failure {
    match reason {
        // Its next job will be no better.
        CloseReason::Payout { .. } | CloseReason::Config(_) => Failure::Hopeless,
        CloseReason::Refusing { .. } | CloseReason::Unanswered { .. } => Failure::Worthless,
        CloseReason::Unauthorized(_) => Failure::Unpaid,
        _ => Failure::Passing,
    }
}
