//! The client of a miner, of either protocol: the same calls and the same news. Beside the good
//! shares it sends those that are wrong on purpose ([`Attempt`]), which the client does not judge.

mod v1;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share};
use midstate_stratum::{ClientEvent, Submission};
use midstate_sv2 as sv2;

use super::{Event, MinerConfig};
use crate::fault::Code;
use v1::V1;

/// The client.
#[derive(Debug)]
pub(super) enum Session {
    V1(Box<V1>),
    V2(Box<sv2::Client>),
}

/// A share to be sent as it is.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    pub(super) submission: Submission,
    /// The whole version, where a submission has the bits alone.
    pub(super) version: u32,
}

/// An attempt whose bytes are sent in two parts.
pub(super) struct Halves {
    /// Its number.
    pub(super) id: u64,
    /// The bytes before it, which go first, and its first half.
    pub(super) first: VecDeque<Vec<u8>>,
    pub(super) second: Vec<u8>,
}

/// News of a client.
pub(super) enum News {
    LetIn,
    Job(Arc<Job>),
    /// The connection is to end, and why.
    End(String),
    /// The answer to the attempt of that number.
    Answer(u64, Result<(), Option<Code>>),
    Other(Event),
}

impl Session {
    /// `is_honest`: there are no attempts.
    pub(super) fn new(config: MinerConfig, is_honest: bool) -> Self {
        match config {
            MinerConfig::V1(config) => Self::V1(Box::new(V1::new(config, is_honest))),
            MinerConfig::V2(config) => Self::V2(Box::new(sv2::Client::new(config))),
        }
    }

    /// A fresh transport is up. Without the facts that V2 wants, a client of it stays offline.
    pub(super) fn handle_connected(&mut self, now: Duration, dialled: Option<sv2::Dialled>) {
        match (self, dialled) {
            (Self::V1(session), _) => session.client.handle_connected(now),
            (Self::V2(client), Some(dialled)) => client.handle_connected(now, dialled),
            (Self::V2(_), None) => {}
        }
    }

    pub(super) fn handle_disconnected(&mut self, now: Duration) {
        match self {
            Self::V1(session) => session.handle_disconnected(now),
            Self::V2(client) => client.handle_disconnected(now),
        }
    }

    pub(super) fn handle_bytes(&mut self, now: Duration, bytes: &[u8]) {
        match self {
            Self::V1(session) => session.handle_bytes(now, bytes),
            Self::V2(client) => client.handle_bytes(now, bytes),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        match self {
            Self::V1(session) => session.client.handle_timeout(now),
            Self::V2(client) => client.handle_timeout(now),
        }
    }

    pub(super) fn submit(&mut self, now: Duration, share: Share) {
        match self {
            Self::V1(session) => session.client.submit(now, share),
            Self::V2(client) => client.submit(now, share),
        }
    }

    pub(super) fn finish(&mut self, now: Duration) {
        match self {
            Self::V1(session) => session.client.finish(now),
            Self::V2(client) => client.finish(now),
        }
    }

    /// The hash rate to tell the pool, in hashes a second. V1 has no word for it.
    pub(super) fn set_hash_rate(&mut self, now: Duration, hash_rate: f64) {
        if let Self::V2(client) = self {
            client.set_hash_rate(now, hash_rate);
        }
    }

    /// Keeps the messages of V2 for [`poll_trace`](Self::poll_trace).
    pub(super) fn set_traced(&mut self) {
        if let Self::V2(client) = self {
            client.set_traced();
        }
    }

    pub(super) fn poll_trace(&mut self) -> Option<sv2::TracedFrame> {
        match self {
            Self::V1(_) => None,
            Self::V2(client) => client.poll_trace(),
        }
    }

    /// The next bytes to write: a line, or a frame.
    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        match self {
            Self::V1(session) => session.poll_transmit(),
            Self::V2(client) => client.poll_transmit(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        match self {
            Self::V1(session) => session.client.poll_timeout(),
            Self::V2(client) => client.poll_timeout(),
        }
    }

    /// Whether a server of V2 has yet to show that it speaks V2.
    pub(super) fn awaits_noise(&self) -> bool {
        match self {
            Self::V1(_) => false,
            Self::V2(client) => client.progress() == sv2::Progress::Handshake,
        }
    }

    /// Good shares without a verdict.
    pub(super) fn pending(&self) -> usize {
        match self {
            Self::V1(session) => session.client.pending(),
            Self::V2(client) => client.pending(),
        }
    }

    /// Queues an attempt, behind everything that was queued before: the number of its answer.
    pub(super) fn attempt(&mut self, attempt: &Attempt) -> Option<u64> {
        match self {
            Self::V1(session) => session.attempt(&attempt.submission),
            Self::V2(client) => {
                let Submission { job_id, extranonce2, time, nonce, .. } = &attempt.submission;
                let attempt = sv2::Attempt {
                    job: job_id.parse().ok()?,
                    nonce: *nonce,
                    time: *time,
                    version: attempt.version,
                    extranonce: extranonce2,
                };
                client.attempt(&attempt).map(u64::from)
            }
        }
    }

    /// The same, in two halves that the caller sends. Nothing may be polled between them.
    pub(super) fn attempt_in_halves(&mut self, attempt: &Attempt) -> Option<Halves> {
        let id = self.attempt(attempt)?;
        let mut first: VecDeque<_> = std::iter::from_fn(|| self.poll_transmit()).collect();
        // The attempt came last.
        let mut whole = first.pop_back()?;
        let second = whole.split_off(whole.len() / 2);
        first.push_back(whole);
        Some(Halves { id, first, second })
    }

    pub(super) fn poll_news(&mut self) -> Option<News> {
        loop {
            let news = match self {
                Self::V1(session) => match session.poll_answer() {
                    Some((id, answer)) => Some(News::Answer(id, answer)),
                    None => of_v1(session.client.poll_event()?),
                },
                Self::V2(client) => of_v2(client.poll_event()?),
            };
            if news.is_some() {
                return news;
            }
        }
    }
}

fn of_v1(event: ClientEvent) -> Option<News> {
    Some(match event {
        ClientEvent::Authorized => News::LetIn,
        ClientEvent::AuthorizationRefused { reason } => News::Other(Event::Refused { reason }),
        ClientEvent::Job(job) => News::Job(job),
        ClientEvent::Difficulty(difficulty) => News::Other(Event::Difficulty(difficulty)),
        ClientEvent::Verdict(outcome) => News::Other(Event::Verdict(outcome)),
        ClientEvent::Remark(remark) => News::Other(Event::Remark(remark)),
        ClientEvent::Close(reason) => News::End(reason.to_string()),
        ClientEvent::Redirect { host, port, .. } => redirected(host.is_some() || port.is_some()),
        _ => return None,
    })
}

fn of_v2(event: sv2::Event) -> Option<News> {
    Some(match event {
        sv2::Event::Opened { .. } => News::LetIn,
        sv2::Event::Refused { reason, .. } => News::Other(Event::Refused { reason }),
        sv2::Event::Job(job) => News::Job(job),
        sv2::Event::Difficulty(difficulty) => News::Other(Event::Difficulty(difficulty)),
        sv2::Event::Verdict(outcome) => News::Other(Event::Verdict(outcome)),
        sv2::Event::Remark(remark) => News::Other(Event::Remark(remark)),
        sv2::Event::Close(reason) => News::End(reason.to_string()),
        sv2::Event::Redirect { host, port, .. } => redirected(host.is_some() || port.is_some()),
        sv2::Event::Attempted { sequence, answer } => {
            News::Answer(sequence.into(), answer.map_err(|code| Some(Code::Word(code))))
        }
        _ => return None,
    })
}

/// A test of one pool stays at that pool: it connects again, and nowhere else.
fn redirected(is_elsewhere: bool) -> News {
    News::End(match is_elsewhere {
        false => "the pool asks to connect again".to_owned(),
        true => "the pool asks to connect elsewhere, which is not followed".to_owned(),
    })
}
