//! The pool: who is connected, which jobs are open, and what became of every share.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use midstate_chain::{BIP320_MASK, Hash256, Header, Job, Target, serialize_block, with_witness};
use midstate_stratum::{Limits, Reject, Server, ServerConfig, ServerEvent, Submission, Ticket};

use crate::judge::{self, Judged};

/// Bytes of extranonce1, one value for each session.
const EXTRANONCE1_SIZE: usize = 4;
/// Bytes of extranonce that a miner may turn.
pub(crate) const EXTRANONCE2_SIZE: usize = 4;
/// Both: the room that a template's coinbase must leave.
pub(crate) const EXTRANONCE_SIZE: usize = EXTRANONCE1_SIZE + EXTRANONCE2_SIZE;
/// How many seconds a header's time may run ahead of the clock (Core's `MAX_FUTURE_BLOCK_TIME`).
pub(crate) const MAX_FUTURE: u32 = 2 * 60 * 60;
/// Open jobs on one tip: at one each 30 s, five minutes of them.
const MAX_OPEN_JOBS: usize = 10;

/// How the pool behaves.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Share difficulty, the same for everybody.
    pub difficulty: f64,
    /// What is asked of a line and a session.
    pub limits: Limits,
}

/// A block to be mined, as a job and what else the finished block needs.
#[derive(Debug, Clone)]
pub struct Template {
    /// The job, without extranonce1; id, session and share target are filled in by the pool. Its
    /// coinbase leaves room for [`Pool::EXTRANONCE_SIZE`] bytes.
    pub job: Job,
    /// Height of the block.
    pub height: u32,
    /// The earliest time that the header may carry.
    pub min_time: u32,
    /// The transactions after the coinbase, raw.
    pub transactions: Vec<Vec<u8>>,
}

/// A connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u32);

/// What the pool has to tell.
#[derive(Debug, Clone)]
pub enum Event {
    /// A worker was let in.
    Joined {
        /// The session.
        session: SessionId,
        /// The name it gave.
        worker: String,
        /// Where it connected from.
        from: SocketAddr,
    },
    /// A worker's connection has ended.
    Left {
        /// The name it had given.
        worker: String,
        /// Where it was connected from.
        from: SocketAddr,
        /// What came by this connection.
        stats: WorkerStats,
    },
    /// A share was judged.
    Share {
        /// Who sent it.
        worker: String,
        /// The header's hash, if there was a header to hash.
        hash: Option<Hash256>,
        /// `None` if it was accepted.
        rejected: Option<Reject>,
    },
    /// A share was a block.
    Block {
        /// Who found it.
        worker: String,
        /// Its height.
        height: u32,
        /// Its header.
        header: Header,
        /// The whole block, witness included.
        raw: Vec<u8>,
    },
    /// The session broke the protocol beyond repair: close its connection.
    Close {
        /// The session.
        session: SessionId,
        /// Why, for a log.
        reason: String,
    },
}

/// Shares of a worker: all its sessions together, or one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WorkerStats {
    /// Shares that were taken.
    pub accepted: u64,
    /// Shares that were not.
    pub rejected: u64,
    /// Shares that were blocks.
    pub blocks: u64,
}

/// The pool. Bytes in by [`handle_bytes`](Self::handle_bytes), bytes out by
/// [`poll_transmit`](Self::poll_transmit).
pub struct Pool {
    config: PoolConfig,
    share_target: Target,
    sessions: BTreeMap<SessionId, Session>,
    next_session: u32,
    next_job: u64,
    /// Newest last; all build on the same block.
    jobs: VecDeque<OpenJob>,
    workers: BTreeMap<String, WorkerStats>,
    events: VecDeque<Event>,
}

struct Session {
    server: Server,
    from: SocketAddr,
    extranonce1: Vec<u8>,
    subscribed: bool,
    /// Those it let in, with their shares.
    workers: BTreeMap<String, WorkerStats>,
}

struct OpenJob {
    template: Template,
    /// Headers that were submitted to it, by whoever.
    seen: HashSet<Hash256>,
}

impl Pool {
    /// Bytes that a template's coinbase must leave free.
    pub const EXTRANONCE_SIZE: usize = EXTRANONCE_SIZE;
    /// Bytes of those that belong to the miner.
    pub const EXTRANONCE2_SIZE: usize = EXTRANONCE2_SIZE;

    /// A pool without work.
    ///
    /// # Errors
    /// When the difficulty is not one.
    pub fn new(config: PoolConfig) -> Result<Self, midstate_chain::DifficultyError> {
        Ok(Self {
            share_target: Target::from_difficulty(config.difficulty)?,
            config,
            sessions: BTreeMap::new(),
            next_session: 1,
            next_job: 1,
            jobs: VecDeque::new(),
            workers: BTreeMap::new(),
            events: VecDeque::new(),
        })
    }

    /// A miner connected from there.
    pub fn connect(&mut self, from: SocketAddr) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let extranonce1 = id.0.to_be_bytes().to_vec();
        let server = Server::new(ServerConfig {
            extranonce1: extranonce1.clone(),
            extranonce2_size: EXTRANONCE2_SIZE,
            version_mask: BIP320_MASK,
            limits: self.config.limits.clone(),
        });
        let session =
            Session { server, from, extranonce1, subscribed: false, workers: BTreeMap::new() };
        self.sessions.insert(id, session);
        id
    }

    /// A miner is gone.
    pub fn disconnect(&mut self, id: SessionId) {
        let Some(Session { from, workers, .. }) = self.sessions.remove(&id) else { return };
        let left = |(worker, stats)| Event::Left { worker, from, stats };
        self.events.extend(workers.into_iter().map(left));
    }

    /// Bytes from a miner, cut anyhow.
    pub fn handle_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.server.handle_bytes(bytes);
        while let Some(event) = self.sessions.get_mut(&id).and_then(|s| s.server.poll_event()) {
            self.handle_event(now, id, event);
        }
    }

    /// Replaces the work. A template on another block than the one before voids all open jobs.
    pub fn set_template(&mut self, mut template: Template) {
        let prev_hash = template.job.prev_hash;
        let clean = self.jobs.back().is_none_or(|open| open.template.job.prev_hash != prev_hash);
        if clean {
            self.jobs.clear();
        } else if self.jobs.len() == MAX_OPEN_JOBS {
            self.jobs.pop_front();
        }
        template.job.id = format!("{:x}", self.next_job);
        template.job.share_target = self.share_target;
        template.job.clean = clean;
        self.next_job += 1;
        for session in self.sessions.values_mut().filter(|session| session.subscribed) {
            session.server.notify(&template.job);
        }
        self.jobs.push_back(OpenJob { template, seen: HashSet::new() });
    }

    /// The next bytes to send, and to whom.
    pub fn poll_transmit(&mut self) -> Option<(SessionId, Vec<u8>)> {
        self.sessions
            .iter_mut()
            .find_map(|(&id, session)| Some((id, session.server.poll_transmit()?)))
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether this connection has subscribed.
    pub fn is_subscribed(&self, id: SessionId) -> bool {
        self.sessions.get(&id).is_some_and(|session| session.subscribed)
    }

    /// Connections at present.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// What each worker has done so far.
    pub fn workers(&self) -> &BTreeMap<String, WorkerStats> {
        &self.workers
    }

    fn handle_event(&mut self, now: Duration, id: SessionId, event: ServerEvent) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match event {
            ServerEvent::Subscribed { .. } => {
                session.subscribed = true;
                session.server.set_difficulty(self.config.difficulty);
                if let Some(open) = self.jobs.back() {
                    // Whatever came before, it is the first job of this session.
                    session.server.notify(&Job { clean: true, ..open.template.job.clone() });
                }
            }
            ServerEvent::Authorize { ticket, user, .. } => {
                session.server.answer(ticket, Ok(()));
                self.workers.entry(user.clone()).or_default();
                // Some ask twice.
                if let Entry::Vacant(place) = session.workers.entry(user.clone()) {
                    place.insert(WorkerStats::default());
                    let from = session.from;
                    self.events.push_back(Event::Joined { session: id, worker: user, from });
                }
            }
            ServerEvent::Submit { ticket, submission } => {
                self.handle_submission(now, id, ticket, submission);
            }
            // One difficulty for the whole class: say again which.
            ServerEvent::SuggestDifficulty(_) => {
                session.server.set_difficulty(self.config.difficulty);
            }
            ServerEvent::Close(reason) => {
                self.events.push_back(Event::Close { session: id, reason: reason.to_string() });
            }
            // What a later server has to tell and this pool does not know needs no answer.
            _ => {}
        }
    }

    fn handle_submission(
        &mut self,
        now: Duration,
        id: SessionId,
        ticket: Ticket,
        submission: Submission,
    ) {
        let worker = submission.worker.clone();
        let judged = self.judge(now, id, &submission);
        let answer = match &judged {
            Ok(Judgement { share: true, .. }) => Ok(()),
            Ok(_) => Err(Reject::low_difficulty()),
            Err(reject) => Err(reject.clone()),
        };
        let hash = judged.as_ref().ok().map(|judgement| judgement.hash);
        let block = judged.ok().and_then(|judgement| judgement.block);
        self.workers.entry(worker.clone()).or_default().record(answer.is_ok(), block.is_some());
        if let Some(session) = self.sessions.get_mut(&id) {
            session.server.answer(ticket, answer.clone());
            let stats = session.workers.entry(worker.clone()).or_default();
            stats.record(answer.is_ok(), block.is_some());
        }
        self.events.push_back(Event::Share {
            worker: worker.clone(),
            hash,
            rejected: answer.err(),
        });
        if let Some((height, header, raw)) = block {
            // The tip moves: what else was found on the old one is stale from here on.
            self.jobs.clear();
            self.events.push_back(Event::Block { worker, height, header, raw });
        }
    }

    fn judge(
        &mut self,
        now: Duration,
        id: SessionId,
        submission: &Submission,
    ) -> Result<Judgement, Reject> {
        let session = self.sessions.get(&id).ok_or_else(Reject::not_subscribed)?;
        let open = self
            .jobs
            .iter_mut()
            .find(|open| open.template.job.id == submission.job_id)
            .ok_or_else(Reject::stale)?;
        let Template { job, height, min_time, transactions } = &open.template;
        let latest = u32::try_from(now.as_secs()).unwrap_or(u32::MAX).saturating_add(MAX_FUTURE);
        let Judged { header, hash, coinbase } = judge::recompute(
            job,
            &session.extranonce1,
            session.server.version_mask(),
            *min_time..=latest,
            submission,
        )?;
        if !open.seen.insert(hash) {
            return Err(Reject::duplicate());
        }
        let block = job.network_target.is_met_by(&hash).then(|| {
            let coinbase = with_witness(&coinbase).expect("a coinbase is longer than 8 bytes");
            (*height, header, serialize_block(&header, &coinbase, transactions))
        });
        Ok(Judgement { hash, share: job.share_target.is_met_by(&hash), block })
    }
}

impl WorkerStats {
    fn record(&mut self, is_accepted: bool, is_block: bool) {
        self.accepted += u64::from(is_accepted);
        self.rejected += u64::from(!is_accepted);
        self.blocks += u64::from(is_block);
    }
}

struct Judgement {
    hash: Hash256,
    /// It meets the share target.
    share: bool,
    /// It meets the network's target.
    block: Option<(u32, Header, Vec<u8>)>,
}
