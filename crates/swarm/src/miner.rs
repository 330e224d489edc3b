//! One miner of the swarm: a Stratum client whose events are numbered and timed for the books.

mod session;
mod wrong;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share, Verdict};
use midstate_stratum::{ClientConfig, Remark, ShareOutcome};
use midstate_sv2 as sv2;

use crate::fault::{Fault, FaultNews, is_earnest};
use session::{News, Session};
pub use wrong::SILENCE;
use wrong::Wrong;

/// The login and the wishes of a miner, by which it speaks Stratum V1 or V2.
#[derive(Debug, Clone, PartialEq)]
pub enum MinerConfig {
    /// Stratum V1.
    V1(ClientConfig),
    /// Stratum V2, with one channel.
    V2(sv2::ClientConfig),
}

impl From<ClientConfig> for MinerConfig {
    fn from(config: ClientConfig) -> Self {
        Self::V1(config)
    }
}

impl From<sv2::ClientConfig> for MinerConfig {
    fn from(config: sv2::ClientConfig) -> Self {
        Self::V2(config)
    }
}

impl MinerConfig {
    /// The user that each share names; with V2 the channel has it.
    fn user_of_shares(&self) -> Option<&str> {
        match self {
            Self::V1(config) => Some(&config.user),
            Self::V2(_) => None,
        }
    }

    /// How long an answer is waited for.
    fn patience(&self) -> Duration {
        match self {
            Self::V1(config) => config.limits.answer,
            Self::V2(config) => config.limits.common.answer,
        }
    }
}

/// A miner, over as many connections as it takes. In the shape of the clients: bytes go in, bytes
/// and events come out, and `now` is an argument.
#[derive(Debug)]
pub struct Miner {
    session: Session,
    /// There as soon as something goes wrong on purpose.
    wrong: Option<Box<Wrong>>,
    is_let_in: bool,
    has_job: bool,
    /// The pool's newest job.
    job: Option<Arc<Job>>,
    /// The present connection is cut on purpose.
    is_cut: bool,
    /// The present connection is to end, and why.
    end: Option<String>,
    events: VecDeque<Event>,
}

/// An event of a miner. All text of the pool in it is sanitized.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It tries to connect.
    Connecting,
    /// There was no connection.
    Unreached {
        /// Why.
        reason: String,
    },
    /// A connection is open.
    Connected,
    /// The pool took user and password.
    LetIn,
    /// The pool refused user or password.
    Refused {
        /// In its own words.
        reason: String,
    },
    /// The work to hash from now on; `None`: hash nothing.
    Job(Option<Arc<Job>>),
    /// The difficulty of the jobs from now on.
    Difficulty(f64),
    /// A share was found.
    Found,
    /// A share was written to the socket so long after it was found.
    Sent(Duration),
    /// The end of a share: exactly one for each that was found. Without a latency where a fault of
    /// ours held the share or its answer back.
    Verdict(ShareOutcome),
    /// The connection has ended.
    Lost {
        /// Why.
        reason: String,
    },
    /// The connection has ended, which a fault has brought about.
    Cut {
        /// Why.
        reason: String,
        /// Good shares that had no answer by then and never will: of Stratum V2, where a share
        /// belongs to its connection.
        unanswered: u64,
    },
    /// News of a fault.
    Fault(FaultNews),
    /// It has left for good.
    Left,
    /// Something for people.
    Remark(Remark),
}

impl Miner {
    /// A miner that is not connected.
    pub fn new(config: impl Into<MinerConfig>) -> Self {
        Self::of(Session::new(config.into(), true), None)
    }

    /// A miner that may be asked to do something wrong.
    pub fn with_faults(config: impl Into<MinerConfig>) -> Self {
        let config = config.into();
        let wrong = Wrong::new(&config);
        Self::of(Session::new(config, false), Some(Box::new(wrong)))
    }

    fn of(session: Session, wrong: Option<Box<Wrong>>) -> Self {
        Self {
            session,
            wrong,
            is_let_in: false,
            has_job: false,
            job: None,
            is_cut: false,
            end: None,
            events: VecDeque::new(),
        }
    }

    /// A connection is open: the handshake is ready to be sent. Stratum V2 needs some facts about
    /// it.
    pub fn handle_connected(&mut self, now: Duration, dialled: Option<sv2::Dialled>) {
        self.end = None;
        self.session.handle_connected(now, dialled);
        self.events.push_back(Event::Connected);
        self.take_events(now);
    }

    /// The connection has ended.
    pub fn handle_disconnected(&mut self, now: Duration, reason: &str) {
        self.session.handle_disconnected(now);
        let is_cut = std::mem::take(&mut self.is_cut);
        let is_ours = self.wrong.as_mut().is_some_and(|wrong| wrong.handle_disconnected(is_cut));
        let is_cut = is_cut || is_ours;
        let before = self.events.len();
        self.take_events(now);
        let is_open = |event: &&Event| match event {
            Event::Verdict(outcome) => outcome.verdict == Verdict::Unresolved,
            _ => false,
        };
        let unanswered = self.events.iter().skip(before).filter(is_open).count() as u64;
        self.is_let_in = false;
        self.drop_job();
        let reason = reason.to_owned();
        self.events.push_back(match is_cut {
            true => Event::Cut { reason, unanswered },
            false => Event::Lost { reason },
        });
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, now: Duration, bytes: &[u8]) {
        self.session.handle_bytes(now, bytes);
        self.take_events(now);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Some(wrong) = &mut self.wrong {
            wrong.handle_timeout(now, &mut self.session);
        }
        self.session.handle_timeout(now);
        self.take_events(now);
    }

    /// A share was found.
    pub fn submit(&mut self, now: Duration, share: Share) {
        let session = &mut self.session;
        let twisted =
            self.wrong.as_mut().and_then(|wrong| wrong.handle_twisted(now, session, &share));
        match twisted {
            // Its job was of our own making.
            Some(job) => self.events.extend(job.map(|job| Event::Job(Some(job)))),
            None => {
                self.events.push_back(Event::Found);
                self.session.submit(now, share);
            }
        }
        self.take_events(now);
    }

    /// A share was found, and goes wrong in that way, if it can. Not where blocks are worth money.
    pub fn submit_wrong(&mut self, now: Duration, share: Share, fault: Fault) {
        if !self.may_spoil_share(&share) {
            self.tell(FaultNews::Unsent(fault));
            return self.submit(now, share);
        }
        // A duplicate comes behind the good share.
        let is_first = fault == Fault::Duplicate;
        if is_first {
            self.submit(now, share.clone());
        }
        let wrong = self.wrong.as_mut().filter(|_| fault.is_of_share());
        let session = &mut self.session;
        let is_used_up = wrong.is_some_and(|wrong| wrong.spoil(now, session, share.clone(), fault));
        match is_used_up || is_first {
            true => self.take_events(now),
            false => self.submit(now, share),
        }
    }

    /// Whether this share can go wrong: it is the present job's.
    pub fn may_spoil_share(&self, share: &Share) -> bool {
        self.may_spoil(Some(&share.job))
    }

    /// Does something wrong that needs no share. Not where blocks are worth money.
    pub fn act(&mut self, now: Duration, fault: Fault) {
        match fault {
            Fault::Silent | Fault::Disconnect if !self.may_spoil(self.job.as_ref()) => {
                self.tell(FaultNews::Unsent(fault));
            }
            Fault::Silent => {
                self.wrong.iter_mut().for_each(|wrong| wrong.fall_silent(now));
            }
            Fault::Disconnect => {
                self.tell(FaultNews::Done(fault));
                self.is_cut = true;
                self.end.get_or_insert_with(|| "cut on purpose (disconnect)".to_owned());
            }
            _ => self.tell(FaultNews::Unsent(fault)),
        }
        self.take_events(now);
    }

    /// The hash rate that a pool of Stratum V2 is told, in hashes a second.
    pub fn set_hash_rate(&mut self, now: Duration, hash_rate: f64) {
        self.session.set_hash_rate(now, hash_rate);
    }

    /// Whether a server of Stratum V2 has yet to show that it speaks V2.
    pub fn awaits_noise(&self) -> bool {
        self.session.awaits_noise()
    }

    /// Keeps the messages of Stratum V2 for [`poll_trace`](Self::poll_trace) from now on, which the
    /// caller has to empty. The lines of V1 are those of the wire.
    pub fn set_traced(&mut self) {
        self.session.set_traced();
    }

    /// The next message of Stratum V2, either way.
    pub fn poll_trace(&mut self) -> Option<sv2::TracedFrame> {
        self.session.poll_trace()
    }

    /// Whether nothing may be read for now.
    pub fn is_silent(&self) -> bool {
        self.wrong.as_ref().is_some_and(|wrong| wrong.is_silent())
    }

    /// No more is to be hashed: it waits for its last answers, and leaves.
    pub fn rest(&mut self) {
        self.drop_job();
    }

    /// The end: a share without an answer is unresolved.
    pub fn finish(&mut self, now: Duration) {
        self.session.finish(now);
        if let Some(wrong) = &mut self.wrong {
            wrong.finish();
        }
        self.take_events(now);
        self.drop_job();
        self.events.push_back(Event::Left);
    }

    /// The next bytes to write.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        match &mut self.wrong {
            Some(wrong) => wrong.poll_transmit(&mut self.session),
            None => self.session.poll_transmit(),
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Why the connection is to be dropped, if it is.
    pub fn poll_end(&mut self) -> Option<String> {
        self.end.take()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Duration> {
        let wrong = self.wrong.as_ref().and_then(|wrong| wrong.poll_timeout());
        [self.session.poll_timeout(), wrong].into_iter().flatten().min()
    }

    /// Shares without a verdict, those that went wrong on purpose included.
    pub fn pending(&self) -> usize {
        self.session.pending() + self.wrong.as_ref().map_or(0, |wrong| wrong.pending())
    }

    /// Whether something may go wrong with a share of this job: the pool has let us in, and the job
    /// is its newest one and of a chain for tests.
    fn may_spoil(&self, job: Option<&Arc<Job>>) -> bool {
        let is_newest = |job: &Arc<Job>| {
            self.job.as_ref().is_some_and(|newest| Arc::ptr_eq(newest, job) && !is_earnest(job))
        };
        self.is_let_in && self.wrong.is_some() && job.is_some_and(is_newest)
    }

    fn tell(&mut self, news: FaultNews) {
        self.events.push_back(Event::Fault(news));
    }

    fn drop_job(&mut self) {
        self.job = None;
        if std::mem::take(&mut self.has_job) {
            self.events.push_back(Event::Job(None));
        }
    }

    fn take_events(&mut self, now: Duration) {
        while let Some(news) = self.session.poll_news() {
            self.take(now, news);
        }
        while let Some(news) = self.wrong.as_mut().and_then(|wrong| wrong.poll_news()) {
            self.tell(news);
        }
    }

    fn take(&mut self, now: Duration, news: News) {
        match news {
            News::LetIn => {
                self.is_let_in = true;
                self.events.push_back(Event::LetIn);
            }
            News::Job(job) => {
                self.has_job = true;
                let before = self.job.replace(Arc::clone(&job));
                let session = &mut self.session;
                let job = match &mut self.wrong {
                    Some(wrong) => wrong.handle_job(now, session, &job, before.as_ref()),
                    None => job,
                };
                self.events.push_back(Event::Job(Some(job)));
            }
            News::End(reason) => drop(self.end.get_or_insert(reason)),
            News::Answer(id, answer) => {
                self.wrong
                    .iter_mut()
                    .for_each(|wrong| wrong.handle_answer(now, id, answer.clone()));
            }
            News::Other(Event::Verdict(outcome)) => {
                let found = now.saturating_sub(outcome.latency);
                let is_ours = self.wrong.as_ref().is_some_and(|wrong| wrong.has_held_back(found));
                // The time of an answer is the pool's.
                let latency = if is_ours { Duration::ZERO } else { outcome.latency };
                self.events.push_back(Event::Verdict(ShareOutcome { latency, ..outcome }));
            }
            News::Other(event) => self.events.push_back(event),
        }
    }
}
