//! The pool: who is connected, which jobs are open, and what became of every share.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{BIP320_MASK, Hash256, Header, Job, Target, serialize_block, with_witness};
use midstate_stratum::{Reject, Server, ServerConfig, ServerEvent, Submission};

use crate::config::PoolConfig;
use crate::event::{EmbeddedPoolEvent, Label, Miner, SessionId, WorkerStats};
use crate::judge::{self, Claim, Judged};
use crate::line::Line;
use crate::refusal::Refusal;
use crate::session::{Door, Session, Terms};
use crate::vardiff::Vardiff;

/// Bytes of extranonce1, which tells the sessions apart.
const EXTRANONCE1_SIZE: usize = 4;
/// Bytes of extranonce that a miner of V1 may turn.
pub(crate) const EXTRANONCE2_SIZE: usize = 4;
/// The same on a channel of V2: a proxy shares them out to the miners behind it. For a miner of V1
/// those that it does not turn are zero.
pub(crate) const CHANNEL_EXTRANONCE_SIZE: usize = 12;
/// All of them: the room that a template's coinbase must leave.
pub(crate) const EXTRANONCE_SIZE: usize = EXTRANONCE1_SIZE + CHANNEL_EXTRANONCE_SIZE;
/// The zeros.
pub(crate) const PADDING: usize = CHANNEL_EXTRANONCE_SIZE - EXTRANONCE2_SIZE;
/// How many seconds a header's time may run ahead of the clock (Core's `MAX_FUTURE_BLOCK_TIME`).
pub(crate) const MAX_FUTURE: u32 = 2 * 60 * 60;
/// Jobs that a session may have open for each open template: its difficulty may change meanwhile.
pub(crate) const JOBS_OF_A_TEMPLATE: usize = 4;

/// A block to be mined, as a job and what else the finished block needs.
#[derive(Debug, Clone)]
pub struct PoolTemplate {
    /// The job, without extranonce1. The pool fills in the id and the size of extranonce2; each
    /// session has a share target of its own. The coinbase leaves room for
    /// [`Pool::EXTRANONCE_SIZE`] bytes.
    pub job: Job,
    /// Height of the block.
    pub height: u32,
    /// The earliest time that the header may carry.
    pub min_time: u32,
    /// The transactions after the coinbase, raw.
    pub transactions: Vec<Vec<u8>>,
}

/// An accepted share of a [seat](Pool::seat).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accepted {
    /// The header's hash.
    pub hash: Hash256,
    /// The height, if it is a block.
    pub block: Option<u32>,
}

/// The pool. Bytes in by [`handle_bytes`](Self::handle_bytes), bytes out by
/// [`poll_transmit`](Self::poll_transmit).
pub struct Pool {
    pub(crate) config: PoolConfig,
    block_target: Target,
    /// Also the channels of the lines.
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// The connections of Stratum V2.
    pub(crate) lines: BTreeMap<SessionId, Line>,
    next_session: u32,
    next_job: u64,
    /// Newest last; all build on the same block.
    pub(crate) jobs: VecDeque<PoolTemplate>,
    /// The jobs that the last block voided, until the next template comes.
    solved: Vec<String>,
    standings: BTreeMap<Label, WorkerStats>,
    others: WorkerStats,
    /// A block counts when [`count_block`](Self::count_block) says so.
    blocks_wait: bool,
    pub(crate) events: VecDeque<EmbeddedPoolEvent>,
}

impl Pool {
    /// Bytes that a template's coinbase must leave free.
    pub const EXTRANONCE_SIZE: usize = EXTRANONCE_SIZE;
    /// Bytes of those that belong to a miner of V1, or to a seat.
    pub const EXTRANONCE2_SIZE: usize = EXTRANONCE2_SIZE;

    /// A pool without work.
    ///
    /// # Errors
    /// When the difficulty is not one.
    pub fn new(config: PoolConfig) -> Result<Self, midstate_chain::DifficultyError> {
        Target::from_difficulty(config.share_difficulty)?;
        let difficulties = config.vardiff.iter().flat_map(|it| [it.first, it.easiest, it.hardest]);
        difficulties.map(Target::from_difficulty).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            block_target: Target::from_difficulty(config.block_difficulty)?,
            config,
            sessions: BTreeMap::new(),
            lines: BTreeMap::new(),
            next_session: 1,
            next_job: 1,
            jobs: VecDeque::new(),
            solved: Vec::new(),
            standings: BTreeMap::new(),
            others: WorkerStats::default(),
            blocks_wait: false,
            events: VecDeque::new(),
        })
    }

    /// The same, with blocks that count in the books only when [`count_block`](Self::count_block)
    /// says so.
    pub(crate) fn with_waiting_blocks(self) -> Self {
        Self { blocks_wait: true, ..self }
    }

    /// A block of this miner counts, or does not any more.
    pub(crate) fn count_block(&mut self, miner: &Miner, counts: bool) {
        let session = self.sessions.get_mut(&miner.session);
        let of_session = session.and_then(|session| session.workers.get_mut(&miner.worker));
        of_session.into_iter().for_each(|stats| stats.count_block(counts));
        self.standing(miner).count_block(counts);
    }

    /// A miner connected from there.
    pub fn connect(&mut self, from: SocketAddr) -> SessionId {
        let (id, extranonce1) = self.next_session();
        let server = Server::new(ServerConfig {
            extranonce1: extranonce1.clone(),
            extranonce2_size: EXTRANONCE2_SIZE,
            version_mask: BIP320_MASK,
            limits: self.config.limits.clone(),
        });
        let session = Session::new(Door::Stratum(Box::new(server)), from, extranonce1);
        self.sessions.insert(id, session);
        id
    }

    /// Lets a miner in that has no Stratum connection: a device whose work is handed out, and whose
    /// shares are brought, by the program that runs the pool. Its jobs are taken with
    /// [`poll_job`](Self::poll_job), its shares brought with [`submit`](Self::submit).
    pub fn seat(&mut self, now: Duration, worker: &str, from: SocketAddr) -> SessionId {
        let (id, extranonce1) = self.next_session();
        let session = Session::new(Door::Seat { job: None }, from, extranonce1);
        self.join(id, session, worker);
        self.subscribe(now, id);
        id
    }

    /// Lets a session in that has one worker, by whatever door.
    pub(crate) fn join(&mut self, id: SessionId, mut session: Session, worker: &str) {
        session.workers.insert(worker.to_owned(), WorkerStats::default());
        let (miner, from) = (session.miner(id, worker.to_owned()), session.from);
        self.sessions.insert(id, session);
        self.standing(&miner);
        self.events.push_back(EmbeddedPoolEvent::Joined { miner, from });
    }

    /// The newest job of a seat, if it was not taken yet. With the seat's extranonce1 and targets.
    pub fn poll_job(&mut self, id: SessionId) -> Option<Arc<Job>> {
        match &mut self.sessions.get_mut(&id)?.door {
            Door::Seat { job } => job.take(),
            Door::Stratum(_) | Door::Channel(_) => None,
        }
    }

    /// Judges a share of a seat, by the name of its worker.
    ///
    /// # Errors
    /// Says why it is refused.
    pub fn submit(
        &mut self,
        now: Duration,
        id: SessionId,
        submission: Submission,
    ) -> Result<Accepted, Reject> {
        let judged = self.judge(now, id, &(&submission).into());
        self.book(now, id, submission.worker, judged)
    }

    pub(crate) fn next_session(&mut self) -> (SessionId, Vec<u8>) {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        (id, self.config.first_extranonce1.wrapping_add(id.0).to_be_bytes().to_vec())
    }

    /// A miner is gone, with all its channels.
    pub fn disconnect(&mut self, id: SessionId) {
        if let Some(line) = self.lines.remove(&id) {
            return line.channels.into_values().for_each(|channel| self.disconnect(channel));
        }
        let Some(mut session) = self.sessions.remove(&id) else { return };
        for (worker, stats) in std::mem::take(&mut session.workers) {
            let (miner, from) = (session.miner(id, worker), session.from);
            self.events.push_back(EmbeddedPoolEvent::Left { miner, from, stats });
        }
    }

    /// Bytes from a miner, cut anyhow.
    pub fn handle_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]) {
        if self.lines.contains_key(&id) {
            return self.handle_line_bytes(now, id, bytes);
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Door::Stratum(server) = &mut session.door else { return };
        server.handle_bytes(bytes);
        while let Some(event) = self.server(id).and_then(Server::poll_event) {
            self.handle_event(now, id, event);
        }
    }

    fn server(&mut self, id: SessionId) -> Option<&mut Server> {
        match &mut self.sessions.get_mut(&id)?.door {
            Door::Stratum(server) => Some(server),
            Door::Seat { .. } | Door::Channel(_) => None,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, if ever.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let vardiffs = self.sessions.values().filter_map(|session| session.vardiff.as_ref());
        vardiffs.map(Vardiff::poll_timeout).min()
    }

    /// Time has passed: sessions that have gone quiet get easier shares.
    pub fn handle_timeout(&mut self, now: Duration) {
        for vardiff in self.sessions.values_mut().filter_map(|session| session.vardiff.as_mut()) {
            vardiff.handle_timeout(now);
        }
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        ids.into_iter().for_each(|id| self.follow(id));
    }

    /// The share difficulty of a session's newest job.
    pub fn share_difficulty(&self, id: SessionId) -> Option<f64> {
        self.sessions.get(&id)?.difficulty()
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
        template.job.extranonce2_size = CHANNEL_EXTRANONCE_SIZE;
        self.next_job += 1;
        self.jobs.push_back(template);
        let is_single = |session: &Session| !self.has_group(session);
        let singles = self.sessions.iter().filter(|(_, session)| is_single(session));
        let ids: Vec<_> = singles.map(|(&id, _)| id).collect();
        ids.into_iter().for_each(|id| self.issue(id, clean));
        self.issue_to_groups(clean);
    }

    /// Gives a session that has subscribed a job of the newest template.
    pub(crate) fn issue(&mut self, id: SessionId, clean: bool) {
        let Some(template) = self.jobs.back() else { return };
        let Some(session) = self.sessions.get(&id).filter(|it| it.is_subscribed) else { return };
        if let Door::Channel(address) = session.door {
            return self.issue_to_channel(id, address, clean);
        }
        let (difficulty, most) = (self.difficulty(session, template), self.most_issued());
        if let Some(session) = self.sessions.get_mut(&id) {
            session
                .issue(template, clean, difficulty, most)
                .expect("all difficulties lie between those that the pool was made with");
        }
    }

    /// Jobs that a session may have open.
    pub(crate) fn most_issued(&self) -> usize {
        self.config.bounds.jobs * JOBS_OF_A_TEMPLATE
    }

    /// How difficult the shares of a session's next job shall be.
    pub(crate) fn difficulty(&self, session: &Session, template: &PoolTemplate) -> f64 {
        match &session.vardiff {
            None => self.config.share_difficulty,
            // No harder than a block: a share stands for all hashes that its difficulty says.
            Some(vardiff) => {
                vardiff.difficulty().min(self.block_target(&template.job).difficulty())
            }
        }
    }

    /// A session whose difficulty is to be another one gets a job with it.
    pub(crate) fn follow(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Some(open) = self.jobs.back() else { return };
        let terms = session.terms(self.difficulty(session, open));
        let difficulty = terms.ok().map(|terms| terms.difficulty);
        if session.is_subscribed && session.difficulty() != difficulty {
            self.issue(id, false);
        }
    }

    fn subscribe(&mut self, now: Duration, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.subscribe();
        session.vardiff = session
            .vardiff
            .take()
            .or_else(|| self.config.vardiff.clone().map(|config| Vardiff::new(config, now)));
        // It is the first job of this session, whatever came before.
        self.issue(id, true);
    }

    /// A hash that meets it is a block.
    pub(crate) fn block_target(&self, job: &Job) -> Target {
        match job.has_toy_blocks() {
            // The harder of the two: by regtest's own target every second hash is a block.
            true => job.network_target.min(self.block_target),
            false => job.network_target,
        }
    }

    /// The tip has moved: every open job is stale.
    fn void_jobs(&mut self) {
        self.jobs.clear();
        self.sessions.values_mut().for_each(Session::void_jobs);
    }

    /// How many jobs it has made. Without a new one, only the session that sent bytes has lines
    /// to be sent, until the time of a change comes.
    pub fn jobs(&self) -> u64 {
        self.next_job
    }

    /// The next line to send to this session.
    pub fn poll_transmit(&mut self, id: SessionId) -> Option<Vec<u8>> {
        match self.lines.get_mut(&id) {
            Some(line) => line.server.poll_transmit(),
            None => self.server(id)?.poll_transmit(),
        }
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
        self.events.pop_front()
    }

    /// Height of the block that the newest job is for; `None` without a job.
    pub fn height(&self) -> Option<u32> {
        self.jobs.back().map(|open| open.height)
    }

    /// Whether this session can mine: it has subscribed, and a worker of it was let in. A
    /// connection of Stratum V2: it may open channels.
    pub fn is_let_in(&self, id: SessionId) -> bool {
        if let Some(line) = self.lines.get(&id) {
            return line.server.is_set_up();
        }
        let can_mine = |session: &Session| session.is_subscribed && !session.workers.is_empty();
        self.sessions.get(&id).is_some_and(can_mine)
    }

    /// Sessions at present: connections of Stratum V1, channels of V2, and seats.
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
        match event {
            ServerEvent::Subscribed { .. } => self.handle_subscribed(now, id),
            ServerEvent::Authorize { ticket, user, password } => {
                let Some(server) = self.server(id) else { return };
                server.answer(ticket, Ok(()));
                self.handle_authorized(id, user, &password);
            }
            ServerEvent::Submit { ticket, submission } => {
                let judged = self.judge(now, id, &(&submission).into());
                // The answer goes before the next job.
                let answer = judged.as_ref().map(drop).map_err(|refused| refused.why.reject());
                if let Some(server) = self.server(id) {
                    server.answer(ticket, answer);
                }
                let _ = self.book(now, id, submission.worker, judged);
            }
            ServerEvent::SuggestDifficulty(wish) => self.handle_suggestion(now, id, wish),
            ServerEvent::Close(reason) => {
                let reason = reason.to_string();
                self.events.push_back(EmbeddedPoolEvent::Close { session: id, reason });
            }
            // An event of a later server that this pool does not know needs no answer.
            _ => {}
        }
    }

    fn handle_subscribed(&mut self, now: Duration, id: SessionId) {
        self.subscribe(now, id);
        // Also to a miner for which there is no job yet.
        let fixed = self.config.share_difficulty;
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if session.difficulty().is_none() {
            let first = session.vardiff.as_ref().map_or(fixed, Vardiff::difficulty);
            session.tell_difficulty(first);
        }
    }

    fn handle_authorized(&mut self, id: SessionId, user: String, password: &str) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        // Some miners authorize twice.
        if session.workers.contains_key(&user) {
            return;
        }
        session.workers.insert(user.clone(), WorkerStats::default());
        if self.config.host_password.as_deref() == Some(password) {
            session.hosts.insert(user.clone());
        }
        let (miner, from) = (session.miner(id, user), session.from);
        self.standing(&miner);
        self.events.push_back(EmbeddedPoolEvent::Joined { miner, from });
    }

    /// The wish is granted where difficulties follow the sessions. Elsewhere all have one, and are
    /// told again which.
    fn handle_suggestion(&mut self, now: Duration, id: SessionId, wish: f64) {
        let fixed = self.config.share_difficulty;
        let vardiff = self.config.vardiff.clone();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        match vardiff {
            None => session.tell_difficulty(fixed),
            Some(config) => {
                // Miners may ask before they subscribe.
                let vardiff = session.vardiff.get_or_insert_with(|| Vardiff::new(config, now));
                vardiff.suggest(now, wish);
                if session.is_subscribed {
                    self.follow(id);
                }
            }
        }
    }

    /// Books what became of a share, and does what follows from it.
    pub(crate) fn book(
        &mut self,
        now: Duration,
        id: SessionId,
        worker: String,
        judged: Result<Judgement, Refused>,
    ) -> Result<Accepted, Reject> {
        let session = self.sessions.get_mut(&id).ok_or_else(Reject::not_subscribed)?;
        let miner = session.miner(id, worker.clone());
        let stats = session.workers.entry(worker).or_default();
        let Judgement { hash, difficulty, work, block } = match judged {
            Ok(judgement) => judgement,
            Err(Refused { hash, why }) => {
                stats.rejected += 1;
                self.standing(&miner).rejected += 1;
                let reject = why.reject();
                let (work, rejected) = (0, Some(reject.clone()));
                self.events.push_back(EmbeddedPoolEvent::Share { miner, hash, work, rejected });
                return Err(reject);
            }
        };
        let blocks = u64::from(block.is_some() && !self.blocks_wait);
        let share = WorkerStats { blocks, accepted: 1, rejected: 0, work };
        stats.add(share);
        if let Some(vardiff) = &mut session.vardiff {
            vardiff.record(now, difficulty);
        }
        self.standing(&miner).add(share);
        let share = EmbeddedPoolEvent::Share {
            miner: miner.clone(),
            hash: Some(hash),
            work,
            rejected: None,
        };
        self.events.push_back(share);
        let accepted = Accepted { hash, block: block.as_ref().map(|(height, ..)| *height) };
        match block {
            None => self.follow(id),
            Some((height, header, raw)) => {
                self.solved = self.jobs.iter().map(|open| open.job.id.clone()).collect();
                self.void_jobs();
                self.events.push_back(EmbeddedPoolEvent::Block { miner, height, header, raw });
            }
        }
        Ok(accepted)
    }

    /// Accepts a share, or refuses it and leaves everything as it was.
    pub(crate) fn judge(
        &mut self,
        now: Duration,
        id: SessionId,
        claim: &Claim,
    ) -> Result<Judgement, Refused> {
        let without_hash = |why| Refused { hash: None, why };
        let session = self.sessions.get(&id).ok_or_else(|| without_hash(Refusal::NoSession))?;
        let issued = session.issued.iter().find(|issued| issued.id == claim.job);
        let open = issued.and_then(|issued| {
            let template = self.jobs.iter().find(|open| open.job.id == issued.template)?;
            Some((issued.terms, template))
        });
        let (Terms { difficulty, target: share_target }, template) =
            open.ok_or_else(|| without_hash(self.why_void(session, &claim.job)))?;
        let PoolTemplate { job, height, min_time, transactions } = template;
        let latest = u32::try_from(now.as_secs()).unwrap_or(u32::MAX).saturating_add(MAX_FUTURE);
        let Judged { header, hash, coinbase } = judge::recompute(
            job,
            &session.extranonce1,
            session.version_mask(),
            *min_time..=latest,
            claim,
        )
        .map_err(without_hash)?;
        let with_hash = |why| Refused { hash: Some(hash), why };
        let block_target = self.block_target(job);
        // A block is a share whatever the share difficulty, so that none is ever refused.
        if !block_target.max(share_target).is_met_by(&hash) {
            return Err(with_hash(Refusal::LowDifficulty));
        }
        if session.seen.contains(&hash) {
            return Err(with_hash(Refusal::Duplicate));
        }
        let is_block = block_target.is_met_by(&hash);
        let most = self.config.bounds.shares_on_a_tip;
        // A block ends the tip, and with it the need to remember.
        if !is_block && session.seen.len() >= most {
            return Err(with_hash(Refusal::Crowded(most)));
        }
        let block = is_block.then(|| {
            let coinbase = with_witness(&coinbase).expect("a coinbase is longer than 8 bytes");
            (*height, header, serialize_block(&header, &coinbase, transactions))
        });
        let work = share_target.expected_hashes().saturating_to();
        self.sessions.entry(id).and_modify(|session| {
            session.seen.insert(hash);
        });
        Ok(Judgement { hash, difficulty, work, block })
    }

    /// Why a job that is not open has no shares.
    fn why_void(&self, session: &Session, job: &str) -> Refusal {
        if let Door::Channel(address) = session.door {
            let line = self.lines.get(&address.line);
            let number = job.parse().ok();
            let was_issued = line.zip(number).is_some_and(|(line, it)| line.server.has_issued(it));
            return if was_issued { Refusal::Stale } else { Refusal::UnknownJob };
        }
        // Of one template a session may have several jobs.
        let template = job.split_once('.').map_or(job, |(template, _)| template);
        match self.solved.iter().any(|solved| solved == template) {
            true => Refusal::Solved,
            false => Refusal::Stale,
        }
    }

    /// The line of the standings that a miner's shares count in. A new name may push out the one
    /// that has done least.
    fn standing(&mut self, miner: &Miner) -> &mut WorkerStats {
        let label = miner.label();
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

/// An accepted share.
pub(crate) struct Judgement {
    hash: Hash256,
    /// Of its job's shares, and the hashes that it stands for.
    pub(crate) difficulty: f64,
    work: u64,
    /// Height, header and bytes, if it is a block.
    block: Option<(u32, Header, Vec<u8>)>,
}

/// A refused share.
pub(crate) struct Refused {
    /// The header's hash, if there was a header to hash.
    hash: Option<Hash256>,
    pub(crate) why: Refusal,
}
