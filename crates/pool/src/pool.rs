//! The pool: who is connected, which jobs are open, and what became of every share.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use midstate_chain::{BIP320_MASK, Hash256, Header, Job, Target, serialize_block, with_witness};
use midstate_limits::{LimitRow, row};
use midstate_stratum::{Limits, Reject, Server, ServerConfig, ServerEvent, Submission, Ticket};

use crate::judge::{self, Judged};

/// Bytes of extranonce1, which tells the sessions apart.
const EXTRANONCE1_SIZE: usize = 4;
/// Bytes of extranonce that a miner may turn.
pub(crate) const EXTRANONCE2_SIZE: usize = 4;
/// Both: the room that a template's coinbase must leave.
pub(crate) const EXTRANONCE_SIZE: usize = EXTRANONCE1_SIZE + EXTRANONCE2_SIZE;
/// How many seconds a header's time may run ahead of the clock (Core's `MAX_FUTURE_BLOCK_TIME`).
pub(crate) const MAX_FUTURE: u32 = 2 * 60 * 60;

/// How the pool behaves.
#[derive(Debug, Clone)]
pub struct PoolConfig {
    /// Difficulty of a share, the same for every session.
    pub share_difficulty: f64,
    /// Difficulty of a block where blocks are a [toy](Job::has_toy_blocks), as on regtest: there it
    /// sets the pace of the chain. On every other chain a block is a hash that meets the network's
    /// target, whatever stands here. Only an accepted share is a block.
    pub block_difficulty: f64,
    /// The extranonce1 of the first session; the next sessions count up from here. Draw it at
    /// random: two pools that start with the same value can produce the same block.
    pub first_extranonce1: u32,
    /// A worker that authorizes with this password belongs to the program that runs the pool. A
    /// name proves nothing, since any guest can choose it.
    pub host_password: Option<String>,
    /// The limits of a line and of a session.
    pub limits: Limits,
    /// The limits of the pool's memory.
    pub bounds: PoolBounds,
}

impl PoolConfig {
    /// A pool whose shares are all blocks where the network's difficulty is lower, as on regtest.
    pub fn new(difficulty: f64, first_extranonce1: u32) -> Self {
        Self {
            share_difficulty: difficulty,
            block_difficulty: difficulty,
            first_extranonce1,
            host_password: None,
            limits: Limits::default(),
            bounds: PoolBounds::default(),
        }
    }
}

/// Bounds of every collection that miners can fill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolBounds {
    /// Open jobs on one tip: at one each 30 s, five minutes of them.
    pub jobs: usize,
    /// Accepted shares that one session may have on one tip: the pool remembers each, so that none
    /// counts twice.
    pub shares_on_a_tip: usize,
    /// Names in the standings. One more takes the place of the name that has done least, whose
    /// counts move to [`Pool::others`].
    pub names: usize,
}

impl Default for PoolBounds {
    fn default() -> Self {
        Self { jobs: 10, shares_on_a_tip: 8192, names: 1024 }
    }
}

impl PoolBounds {
    /// Each bound as a row.
    pub fn rows(&self) -> Vec<LimitRow> {
        // Taken apart by name, so that a bound without a row does not compile.
        let Self { jobs, shares_on_a_tip, names } = self;
        vec![
            row("open jobs", jobs, "the oldest is void, its shares are stale"),
            row("shares of a session on one tip", shares_on_a_tip, "refused with code 20"),
            row("names in the standings", names, "the least active joins the further workers"),
        ]
    }
}

/// A block to be mined, as a job and what else the finished block needs.
#[derive(Debug, Clone)]
pub struct PoolTemplate {
    /// The job, without extranonce1. The pool fills in the id; each session has a share target of
    /// its own. The coinbase leaves room for [`Pool::EXTRANONCE_SIZE`] bytes.
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

impl SessionId {
    /// Counts connections from 1.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// One worker of one connection. Miners are told apart by their session; the name is a label that
/// several may carry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Miner {
    /// The connection.
    pub session: SessionId,
    /// The name it gave.
    pub worker: String,
    /// Whether it belongs to the program that runs the pool.
    pub is_host: bool,
}

/// An event at the pool.
#[derive(Debug, Clone)]
pub enum EmbeddedPoolEvent {
    /// A miner was let in.
    Joined {
        /// The miner.
        miner: Miner,
        /// Where it connected from.
        from: SocketAddr,
    },
    /// A miner's connection has ended.
    Left {
        /// The miner.
        miner: Miner,
        /// Where it was connected from.
        from: SocketAddr,
        /// Its shares by this connection.
        stats: WorkerStats,
    },
    /// A share was judged.
    Share {
        /// The miner that sent it.
        miner: Miner,
        /// The header's hash, if there was a header to hash.
        hash: Option<Hash256>,
        /// `None` if it was accepted.
        rejected: Option<Reject>,
    },
    /// An accepted share was a block.
    Block {
        /// The miner that found it.
        miner: Miner,
        /// Its height.
        height: u32,
        /// Its header.
        header: Header,
        /// The whole block, witness included.
        raw: Vec<u8>,
    },
    /// A miner was turned away: every place is taken.
    Full {
        /// How many places there are.
        places: usize,
        /// Where it connected from.
        from: SocketAddr,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct WorkerStats {
    /// Shares that were blocks.
    pub blocks: u64,
    /// Shares that were accepted, blocks included.
    pub accepted: u64,
    /// Shares that were refused.
    pub rejected: u64,
}

/// A line of the standings: all sessions with the same name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The name.
    pub worker: String,
    /// Whether these sessions belong to the program that runs the pool.
    pub is_host: bool,
}

/// The pool. Bytes in by [`handle_bytes`](Self::handle_bytes), bytes out by
/// [`poll_transmit`](Self::poll_transmit).
pub struct Pool {
    config: PoolConfig,
    share_target: Target,
    block_target: Target,
    sessions: BTreeMap<SessionId, Session>,
    next_session: u32,
    next_job: u64,
    /// Newest last; all build on the same block.
    jobs: VecDeque<PoolTemplate>,
    /// The jobs that the last block voided, until the next template comes.
    solved: Vec<String>,
    standings: BTreeMap<Label, WorkerStats>,
    others: WorkerStats,
    events: VecDeque<EmbeddedPoolEvent>,
}

struct Session {
    server: Server,
    from: SocketAddr,
    extranonce1: Vec<u8>,
    subscribed: bool,
    /// The workers that were let in, with their shares.
    workers: BTreeMap<String, WorkerStats>,
    /// The workers that belong to the program that runs the pool.
    hosts: HashSet<String>,
    /// Its accepted shares on the present tip. No other session can have the same header, since
    /// extranonce1 differs; two jobs of this session on one tip can.
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
            share_target: Target::from_difficulty(config.share_difficulty)?,
            block_target: Target::from_difficulty(config.block_difficulty)?,
            config,
            sessions: BTreeMap::new(),
            next_session: 1,
            next_job: 1,
            jobs: VecDeque::new(),
            solved: Vec::new(),
            standings: BTreeMap::new(),
            others: WorkerStats::default(),
            events: VecDeque::new(),
        })
    }

    /// A miner connected from there.
    pub fn connect(&mut self, from: SocketAddr) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        let extranonce1 = self.config.first_extranonce1.wrapping_add(id.0).to_be_bytes().to_vec();
        let server = Server::new(ServerConfig {
            extranonce1: extranonce1.clone(),
            extranonce2_size: EXTRANONCE2_SIZE,
            version_mask: BIP320_MASK,
            limits: self.config.limits.clone(),
        });
        let session = Session {
            server,
            from,
            extranonce1,
            subscribed: false,
            workers: BTreeMap::new(),
            hosts: HashSet::new(),
            seen: HashSet::new(),
        };
        self.sessions.insert(id, session);
        id
    }

    /// A miner is gone.
    pub fn disconnect(&mut self, id: SessionId) {
        let Some(Session { from, workers, hosts, .. }) = self.sessions.remove(&id) else { return };
        let left = |(worker, stats)| {
            let is_host = hosts.contains(&worker);
            EmbeddedPoolEvent::Left { miner: Miner { session: id, worker, is_host }, from, stats }
        };
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
    pub fn set_template(&mut self, mut template: PoolTemplate) {
        let prev_hash = template.job.prev_hash;
        let clean = self.jobs.back().is_none_or(|open| open.job.prev_hash != prev_hash);
        if clean {
            self.void_jobs();
        } else if self.jobs.len() >= self.config.bounds.jobs {
            self.jobs.pop_front();
        }
        self.solved.clear();
        template.job.id = format!("{:x}", self.next_job);
        template.job.clean = clean;
        self.next_job += 1;
        for session in self.sessions.values_mut().filter(|session| session.subscribed) {
            session.server.notify(&template.job);
        }
        self.jobs.push_back(template);
    }

    /// The tip has moved: every open job is stale.
    fn void_jobs(&mut self) {
        self.jobs.clear();
        self.sessions.values_mut().for_each(|session| session.seen.clear());
    }

    /// The next line to send to this session.
    pub fn poll_transmit(&mut self, id: SessionId) -> Option<Vec<u8>> {
        self.sessions.get_mut(&id)?.server.poll_transmit()
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
        self.events.pop_front()
    }

    /// Whether this connection can mine: it has subscribed, and a worker of it was let in.
    pub fn is_let_in(&self, id: SessionId) -> bool {
        let can_mine = |session: &Session| session.subscribed && !session.workers.is_empty();
        self.sessions.get(&id).is_some_and(can_mine)
    }

    /// Connections at present.
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// The shares by name, over all sessions so far.
    pub fn standings(&self) -> &BTreeMap<Label, WorkerStats> {
        &self.standings
    }

    /// The shares of names that had to leave the standings.
    pub fn others(&self) -> WorkerStats {
        self.others
    }

    fn handle_event(&mut self, now: Duration, id: SessionId, event: ServerEvent) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match event {
            ServerEvent::Subscribed { .. } => {
                session.subscribed = true;
                session.server.set_difficulty(self.config.share_difficulty);
                if let Some(open) = self.jobs.back() {
                    // It is the first job of this session, whatever came before.
                    session.server.notify(&Job { clean: true, ..open.job.clone() });
                }
            }
            ServerEvent::Authorize { ticket, user, password } => {
                session.server.answer(ticket, Ok(()));
                // Some miners authorize twice.
                if session.workers.contains_key(&user) {
                    return;
                }
                session.workers.insert(user.clone(), WorkerStats::default());
                if self.config.host_password.as_ref() == Some(&password) {
                    session.hosts.insert(user.clone());
                }
                let (miner, from) = (session.miner(id, user), session.from);
                self.standing(&miner);
                self.events.push_back(EmbeddedPoolEvent::Joined { miner, from });
            }
            ServerEvent::Submit { ticket, submission } => {
                self.handle_submission(now, id, ticket, submission);
            }
            // All sessions have one difficulty: say again which.
            ServerEvent::SuggestDifficulty(_) => {
                session.server.set_difficulty(self.config.share_difficulty);
            }
            ServerEvent::Close(reason) => {
                self.events.push_back(EmbeddedPoolEvent::Close {
                    session: id,
                    reason: reason.to_string(),
                });
            }
            // An event of a later server that this pool does not know needs no answer.
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
        let judged = self.judge(now, id, &submission);
        let (hash, block, answer) = match judged {
            Ok(Judgement { hash, block }) => (Some(hash), block, Ok(())),
            Err((hash, reject)) => (hash, None, Err(reject)),
        };
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.server.answer(ticket, answer.clone());
        let miner = session.miner(id, submission.worker.clone());
        let stats = session.workers.entry(submission.worker).or_default();
        stats.record(answer.is_ok(), block.is_some());
        self.standing(&miner).record(answer.is_ok(), block.is_some());
        self.events.push_back(EmbeddedPoolEvent::Share {
            miner: miner.clone(),
            hash,
            rejected: answer.err(),
        });
        if let Some((height, header, raw)) = block {
            self.solved = self.jobs.iter().map(|open| open.job.id.clone()).collect();
            self.void_jobs();
            self.events.push_back(EmbeddedPoolEvent::Block { miner, height, header, raw });
        }
    }

    /// Accepts a share, or refuses it and leaves everything as it was. Beside a refusal comes the
    /// header's hash, if there was a header to hash.
    fn judge(
        &mut self,
        now: Duration,
        id: SessionId,
        submission: &Submission,
    ) -> Result<Judgement, (Option<Hash256>, Reject)> {
        let without_hash = |reject| (None, reject);
        let session =
            self.sessions.get_mut(&id).ok_or_else(|| without_hash(Reject::not_subscribed()))?;
        let open = self.jobs.iter().find(|open| open.job.id == submission.job_id);
        let PoolTemplate { job, height, min_time, transactions } = open.ok_or_else(|| {
            without_hash(match self.solved.contains(&submission.job_id) {
                true => Reject::solved(),
                false => Reject::stale(),
            })
        })?;
        let latest = u32::try_from(now.as_secs()).unwrap_or(u32::MAX).saturating_add(MAX_FUTURE);
        let Judged { header, hash, coinbase } = judge::recompute(
            job,
            &session.extranonce1,
            session.server.version_mask(),
            *min_time..=latest,
            submission,
        )
        .map_err(without_hash)?;
        let with_hash = |reject| (Some(hash), reject);
        let block_target = match job.has_toy_blocks() {
            // The harder of the two: by regtest's own target every second hash is a block.
            true => job.network_target.min(self.block_target),
            false => job.network_target,
        };
        // A block is a share whatever the share difficulty, so that none is ever refused.
        if !block_target.max(self.share_target).is_met_by(&hash) {
            return Err(with_hash(Reject::low_difficulty()));
        }
        if session.seen.contains(&hash) {
            return Err(with_hash(Reject::duplicate()));
        }
        let is_block = block_target.is_met_by(&hash);
        let most = self.config.bounds.shares_on_a_tip;
        // A block ends the tip, and with it the need to remember.
        if !is_block && session.seen.len() >= most {
            return Err(with_hash(Reject::other(format!(
                "this session has {most} shares on one tip, and the pool remembers no more: \
                 ask for a higher difficulty"
            ))));
        }
        session.seen.insert(hash);
        let block = is_block.then(|| {
            let coinbase = with_witness(&coinbase).expect("a coinbase is longer than 8 bytes");
            (*height, header, serialize_block(&header, &coinbase, transactions))
        });
        Ok(Judgement { hash, block })
    }

    /// The line of the standings that a miner's shares count in. A new name may push out the one
    /// that has done least.
    fn standing(&mut self, miner: &Miner) -> &mut WorkerStats {
        let label = Label { worker: miner.worker.clone(), is_host: miner.is_host };
        if !self.standings.contains_key(&label) && self.standings.len() >= self.config.bounds.names
        {
            let guests = self.standings.iter().filter(|(label, _)| !label.is_host);
            let least = guests.min_by_key(|(_, stats)| **stats).map(|(label, _)| label.clone());
            if let Some(stats) = least.and_then(|least| self.standings.remove(&least)) {
                self.others.add(stats);
            }
        }
        self.standings.entry(label).or_default()
    }
}

impl Session {
    fn miner(&self, session: SessionId, worker: String) -> Miner {
        Miner { session, is_host: self.hosts.contains(&worker), worker }
    }
}

impl WorkerStats {
    fn record(&mut self, is_accepted: bool, is_block: bool) {
        self.accepted += u64::from(is_accepted);
        self.rejected += u64::from(!is_accepted);
        self.blocks += u64::from(is_block);
    }

    fn add(&mut self, other: Self) {
        self.blocks += other.blocks;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
    }
}

/// An accepted share.
struct Judgement {
    hash: Hash256,
    /// Height, header and bytes, if it is a block.
    block: Option<(u32, Header, Vec<u8>)>,
}
