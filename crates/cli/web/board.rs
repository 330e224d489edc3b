//! What the page shows beyond our own mining: the chain as it was seen to grow, and the miners at
//! the embedded pool with their rates, estimated as a pool must, from their shares. Bounded,
//! whatever comes. No clock: `now` is the time since the page was opened.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use midstate_chain::{Header, Target, Verdict, is_printable};
use midstate_pool::{EmbeddedPoolEvent, Miner};
use serde::Serialize;

use crate::mining::Reason;
use crate::mining::event::Event;
use crate::mining::status::Status;

/// Blocks that are remembered.
const BLOCKS: usize = 32;
/// Workers that are remembered: their names come from strangers.
const WORKERS: usize = 64;
/// Characters of a worker's name that are shown.
const NAME: usize = 64;
/// Rates that are remembered, one a second.
const RATES: usize = 120;
/// Seconds of shares that a worker's rate is estimated from.
const WINDOW: u64 = 60;
/// How we are called on our own page.
const THIS_MACHINE: &str = "this machine";

/// See the [module](self) page.
#[derive(Default)]
pub(super) struct Board {
    status: Option<Status>,
    ended: Option<Reason>,
    /// Oldest first.
    chain: VecDeque<Block>,
    /// When the newest block of the chain came.
    tip_at: Option<Duration>,
    pool: Option<Pool>,
    /// Oldest first.
    rates: VecDeque<f64>,
    /// The second that has the newest of them.
    rated: Option<u64>,
}

/// The pool in this program.
struct Pool {
    /// Of its shares.
    difficulty: f64,
    listens: Option<SocketAddr>,
    workers: BTreeMap<Miner, Worker>,
}

struct Worker {
    /// Its connection has ended.
    has_left: bool,
    /// When it was first heard of.
    since: Duration,
    /// When it was last heard of.
    heard: Duration,
    /// Accepted shares of the last seconds: (second, how many), oldest first.
    recent: VecDeque<(u64, u64)>,
    accepted: u64,
    rejected: u64,
    blocks: u64,
}

/// A block that was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Block {
    height: Option<u32>,
    hash: String,
    /// Who found it; null if that is somebody else in the network.
    finder: Option<String>,
    /// How long after the one before it, where both were seen to come.
    seconds: Option<f64>,
}

/// A worker at this instant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct WorkerStatus {
    pub(super) name: String,
    /// Estimated from the shares of the last minute; null before there is one.
    pub(super) hps: Option<f64>,
    /// One standard error of `hps`, as a fraction: 1 / sqrt(shares).
    pub(super) error: Option<f64>,
    pub(super) accepted: u64,
    pub(super) rejected: u64,
    pub(super) blocks: u64,
    /// Seconds since it was last heard of.
    pub(super) silent: f64,
}

/// The pool in this program, for who wants to join.
#[derive(Serialize)]
pub(super) struct PoolStatus {
    listens: Option<SocketAddr>,
    difficulty: f64,
}

/// All of it at one instant, as it is sent.
#[derive(Serialize)]
pub(super) struct Snapshot<'a> {
    event: &'static str,
    pub(super) version: &'static str,
    #[serde(flatten)]
    pub(super) status: &'a Status,
    /// Why mining ended, if it has.
    ended: Option<Reason>,
    chain: &'a VecDeque<Block>,
    /// Seconds since the newest block of the chain came, or since the page was opened.
    tip_age: f64,
    /// Null where no pool runs in this program.
    pool: Option<PoolStatus>,
    /// Fastest first; null likewise.
    pub(super) workers: Option<Vec<WorkerStatus>>,
    /// The rate of ten seconds, one a second, oldest first.
    rates: &'a VecDeque<f64>,
}

impl Board {
    /// A pool of this difficulty runs in this program.
    pub(super) fn open_pool(&mut self, difficulty: f64) {
        self.pool = Some(Pool { difficulty, listens: None, workers: BTreeMap::new() });
    }

    /// Where that pool can be joined.
    pub(super) fn pool_listens(&mut self, address: SocketAddr) {
        if let Some(pool) = &mut self.pool {
            pool.listens = Some(address);
        }
    }

    /// How our mining stands.
    pub(super) fn record_status(&mut self, now: Duration, status: &Status) {
        if let Some((header, job)) = status.header.as_ref().zip(status.job.as_ref()) {
            // A header builds on the newest block that our pool or node knows.
            let height = job.height.and_then(|height| height.checked_sub(1));
            self.record_block(now, height, &header.prev_hash, None);
        }
        if self.rated.replace(now.as_secs()) != Some(now.as_secs()) {
            push(&mut self.rates, RATES, status.rates.hps_10s.unwrap_or(0.0));
        }
        self.status = Some(status.clone());
    }

    /// What happened in our mining.
    pub(super) fn record_event(&mut self, now: Duration, event: &Event) {
        match event {
            Event::Block(block) if block.verdict == Verdict::Accepted => {
                self.record_block(now, block.height, &block.hash, Some(THIS_MACHINE));
            }
            Event::Block(block) if block.was == Some(Verdict::Accepted) => {
                self.chain.retain(|known| known.hash != block.hash);
            }
            Event::Summary(summary) => self.ended = Some(summary.reason),
            _ => {}
        }
    }

    /// What happened at the pool in this program.
    pub(super) fn record_pool_event(&mut self, now: Duration, event: &EmbeddedPoolEvent) {
        let Some(pool) = &mut self.pool else { return };
        match event {
            EmbeddedPoolEvent::Joined { miner, .. } => {
                pool.worker(now, miner);
            }
            EmbeddedPoolEvent::Share { miner, rejected, .. } => {
                let worker = pool.worker(now, miner);
                match rejected {
                    None => worker.record_accepted(now),
                    Some(_) => worker.rejected += 1,
                }
            }
            EmbeddedPoolEvent::Block { miner, height, header, .. } => {
                pool.worker(now, miner).blocks += 1;
                let finder = pool.shown_name(miner);
                self.record_block(now, Some(*height), &hash_of(header), Some(&finder));
            }
            EmbeddedPoolEvent::Left { miner, .. } => {
                if let Some(worker) = pool.workers.get_mut(miner) {
                    worker.has_left = true;
                }
            }
            EmbeddedPoolEvent::Close { .. } => {}
        }
    }

    /// All of it; `None` before mining has begun.
    pub(super) fn snapshot(&self, now: Duration) -> Option<Snapshot<'_>> {
        Some(Snapshot {
            event: "status",
            version: env!("CARGO_PKG_VERSION"),
            status: self.status.as_ref()?,
            ended: self.ended,
            chain: &self.chain,
            tip_age: (now - self.tip_at.unwrap_or_default()).as_secs_f64(),
            pool: self
                .pool
                .as_ref()
                .map(|&Pool { listens, difficulty, .. }| PoolStatus { listens, difficulty }),
            workers: self.pool.as_ref().map(|pool| pool.statuses(now)),
            rates: &self.rates,
        })
    }

    /// A block is told of more than once: by our pool, by our own share, by the next job. What is
    /// learnt later is added.
    fn record_block(
        &mut self,
        now: Duration,
        height: Option<u32>,
        hash: &str,
        finder: Option<&str>,
    ) {
        if let Some(known) = self.chain.iter_mut().rev().find(|known| known.hash == hash) {
            known.finder = known.finder.take().or_else(|| finder.map(str::to_owned));
            return;
        }
        // A header that was sampled before a block came builds on what is no longer the tip.
        let tip = self.chain.back().and_then(|tip| tip.height);
        if finder.is_none() && height.zip(tip).is_some_and(|(height, tip)| height <= tip) {
            return;
        }
        // The tip that was there when we came is as old as it is.
        let seconds = match (self.tip_at, finder) {
            (None, None) => None,
            (then, _) => Some((now - then.unwrap_or_default()).as_secs_f64()),
        };
        self.tip_at = Some(now);
        let block =
            Block { height, hash: hash.to_owned(), finder: finder.map(str::to_owned), seconds };
        push(&mut self.chain, BLOCKS, block);
    }
}

impl Pool {
    /// The row of a miner. A miner that comes back under its name takes its old row over; the one
    /// that was silent longest makes room for a new one.
    fn worker(&mut self, now: Duration, miner: &Miner) -> &mut Worker {
        if !self.workers.contains_key(miner) {
            let is_back = |(old, worker): &(&Miner, &Worker)| {
                worker.has_left && (&old.worker, old.is_host) == (&miner.worker, miner.is_host)
            };
            let row = match self.workers.iter().find(is_back).map(|(old, _)| old.clone()) {
                Some(old) => self.workers.remove(&old),
                None => None,
            };
            if self.workers.len() >= WORKERS {
                let silent = self.workers.iter().min_by_key(|(_, worker)| worker.heard);
                if let Some(silent) = silent.map(|(silent, _)| silent.clone()) {
                    self.workers.remove(&silent);
                }
            }
            let row = row.unwrap_or_else(|| Worker::new(now));
            self.workers.insert(miner.clone(), Worker { has_left: false, ..row });
        }
        let worker = self.workers.get_mut(miner).expect("it was inserted if it was not there");
        worker.heard = now;
        worker
    }

    /// The name of a miner on the page: its own, and the number of its session where an earlier
    /// row is called the same, so that no name stands for two miners. A name that has such a number
    /// in it always gets its own behind it.
    fn shown_name(&self, miner: &Miner) -> String {
        let name = plain_name(miner);
        let is_taken = (name == THIS_MACHINE && !miner.is_host)
            || name.contains('#')
            || self
                .workers
                .keys()
                .take_while(|other| *other != miner)
                .any(|other| plain_name(other) == name);
        if is_taken { format!("{name} #{}", miner.session.number()) } else { name }
    }

    fn statuses(&self, now: Duration) -> Vec<WorkerStatus> {
        let status = |(miner, worker): (&Miner, &Worker)| {
            let shares = worker.recent_shares(now);
            let seconds = (now - worker.since).as_secs_f64().clamp(1.0, WINDOW as f64);
            let hashes = shares as f64 * self.difficulty * Target::HASHES_AT_DIFFICULTY_1;
            WorkerStatus {
                name: self.shown_name(miner),
                hps: (worker.accepted > 0).then_some(hashes / seconds),
                error: (shares > 0).then(|| 1.0 / (shares as f64).sqrt()),
                accepted: worker.accepted,
                rejected: worker.rejected,
                blocks: worker.blocks,
                silent: (now - worker.heard).as_secs_f64(),
            }
        };
        let mut statuses: Vec<_> = self.workers.iter().map(status).collect();
        statuses.sort_by(|a, b| b.hps.unwrap_or(-1.0).total_cmp(&a.hps.unwrap_or(-1.0)));
        statuses
    }
}

impl Worker {
    fn new(now: Duration) -> Self {
        let recent = VecDeque::new();
        Self {
            has_left: false,
            since: now,
            heard: now,
            recent,
            accepted: 0,
            rejected: 0,
            blocks: 0,
        }
    }

    fn record_accepted(&mut self, now: Duration) {
        self.accepted += 1;
        let second = now.as_secs();
        match self.recent.back_mut() {
            Some((last, shares)) if *last == second => *shares += 1,
            _ => push(&mut self.recent, WINDOW as usize, (second, 1)),
        }
    }

    fn recent_shares(&self, now: Duration) -> u64 {
        let start = (now.as_secs() + 1).saturating_sub(WINDOW);
        self.recent.iter().filter(|(second, _)| *second >= start).map(|(_, shares)| shares).sum()
    }
}

/// The name that a miner gave, as far as it can be printed.
fn plain_name(miner: &Miner) -> String {
    if miner.is_host {
        return THIS_MACHINE.to_owned();
    }
    // Spaces at the ends and double ones are not seen: with them a name would look like another.
    let words: Vec<_> = miner.worker.split_whitespace().collect();
    words.join(" ").chars().filter(|&character| is_printable(character)).take(NAME).collect()
}

fn hash_of(header: &Header) -> String {
    header.hash().to_string()
}

/// Appends; the oldest makes room.
fn push<T>(queue: &mut VecDeque<T>, most: usize, item: T) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use midstate_chain::{Bits, Hash256};
    use midstate_pool::{PoolConfig, RegtestPool, SessionId};
    use midstate_stratum::Reject;

    use super::*;

    /// So many sessions, as a pool numbers them.
    fn sessions(count: usize) -> Vec<SessionId> {
        let mut pool = RegtestPool::new(PoolConfig::new(1.0, 0), Vec::new(), at(0)).unwrap();
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        (0..count).map(|_| pool.connect(from)).collect()
    }

    fn miner(session: SessionId, worker: &str) -> Miner {
        Miner { session, worker: worker.to_owned(), is_host: false }
    }

    fn host() -> Miner {
        Miner { is_host: true, ..miner(sessions(1)[0], "demo") }
    }

    fn guest(worker: &str) -> Miner {
        miner(sessions(2)[1], worker)
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn share(miner: Miner, rejected: Option<Reject>) -> EmbeddedPoolEvent {
        EmbeddedPoolEvent::Share { miner, hash: None, rejected }
    }

    fn block(miner: Miner, height: u32) -> EmbeddedPoolEvent {
        let zero = Hash256::from_bytes([0; 32]);
        let header = Header {
            version: 0,
            prev_hash: zero,
            merkle_root: zero,
            time: height,
            bits: Bits::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        EmbeddedPoolEvent::Block { miner, height, header, raw: Vec::new() }
    }

    fn board() -> Board {
        let mut board = Board::default();
        board.open_pool(1.0);
        board
    }

    fn workers(board: &Board, seconds: u64) -> Vec<WorkerStatus> {
        board.pool.as_ref().unwrap().statuses(at(seconds))
    }

    #[test]
    fn a_rate_is_what_the_shares_of_a_minute_are_worth() {
        let mut board = board();
        for second in 0..300 {
            board.record_pool_event(at(second), &share(guest("anna"), None));
        }
        let [anna] = &workers(&board, 299)[..] else { panic!("one worker") };
        assert_eq!(anna.hps, Some(Target::HASHES_AT_DIFFICULTY_1), "a share a second");
        assert_eq!(anna.error, Some(1.0 / 60f64.sqrt()));
        assert_eq!((anna.accepted, anna.silent), (300, 0.0));
        let [anna] = &workers(&board, 329)[..] else { panic!("one worker") };
        assert_eq!(
            anna.hps,
            Some(Target::HASHES_AT_DIFFICULTY_1 / 2.0),
            "half a minute without any"
        );
        let [anna] = &workers(&board, 500)[..] else { panic!("one worker") };
        assert_eq!((anna.hps, anna.error, anna.silent), (Some(0.0), None, 201.0));
    }

    #[test]
    fn refused_shares_are_worth_nothing() {
        let mut board = board();
        board.record_pool_event(at(0), &share(guest("ben"), Some(Reject::stale())));
        let [ben] = &workers(&board, 10)[..] else { panic!("one worker") };
        assert_eq!((ben.hps, ben.accepted, ben.rejected), (None, 0, 1));
    }

    #[test]
    fn strangers_cannot_fill_the_board() {
        let mut board = board();
        let strangers = sessions(100);
        for stranger in 0..10_000 {
            let (now, height) = (at(stranger), stranger as u32);
            let name = format!("{stranger}\u{1b}[2J\u{200b}{}", "x".repeat(1000));
            let stranger = &strangers[stranger as usize % strangers.len()];
            board.record_pool_event(now, &share(miner(*stranger, &name), None));
            board.record_pool_event(now, &share(host(), None));
            board.record_pool_event(now, &block(miner(*stranger, &name), height));
        }
        let workers = workers(&board, 10_000);
        assert_eq!(workers.len(), WORKERS);
        assert!(workers.iter().any(|worker| worker.name == THIS_MACHINE), "the active ones stay");
        assert!(workers.iter().all(|worker| worker.name.chars().count() <= NAME));
        assert!(workers.iter().all(|worker| worker.name.chars().all(is_printable)));
        assert_eq!(board.chain.len(), BLOCKS);
        let me = &board.pool.as_ref().unwrap().workers[&host()];
        assert_eq!(me.recent.len(), WINDOW as usize);
    }

    #[test]
    fn miners_are_told_apart_by_session_and_a_name_is_a_label() {
        let mut board = board();
        let ids = sessions(8);
        let guests =
            [("ann", 1), ("ann", 2), ("demo", 3), (THIS_MACHINE, 4), ("ann #3", 6), (" #", 7)]
                .map(|(name, session)| miner(ids[session], name));
        board.record_pool_event(at(0), &share(host(), None));
        for guest in &guests {
            board.record_pool_event(at(0), &share(guest.clone(), None));
        }
        let names = |board: &Board| {
            let mut names: Vec<_> = workers(board, 1).into_iter().map(|row| row.name).collect();
            names.sort();
            names
        };
        let expected =
            ["# #8", "ann", "ann #3", "ann #3 #7", "demo", "this machine", "this machine #5"];
        assert_eq!(names(&board), expected);
        // One of them comes back by another connection, and its row goes on.
        let gone = &guests[1];
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        let stats = midstate_pool::WorkerStats::default();
        board.record_pool_event(
            at(1),
            &EmbeddedPoolEvent::Left { miner: gone.clone(), from, stats },
        );
        board.record_pool_event(at(1), &share(miner(ids[5], "ann"), None));
        let expected =
            ["# #8", "ann", "ann #3 #7", "ann #6", "demo", "this machine", "this machine #5"];
        assert_eq!(names(&board), expected);
        let back = workers(&board, 1).into_iter().find(|row| row.name == "ann #6").unwrap();
        assert_eq!(back.accepted, 2);
    }

    #[test]
    fn a_block_is_one_block_however_often_it_is_told_of() {
        let mut board = board();
        board.record_block(at(1), Some(0), "genesis", None);
        // First as the tip that a job builds on, then with its finder.
        board.record_block(at(4), Some(1), "one", None);
        board.record_block(at(5), Some(1), "one", Some("anna"));
        board.record_block(at(6), Some(1), "one", Some("somebody else"));
        // A late sample of a header on a tip that is forgotten.
        board.record_block(at(7), Some(0), "older", None);
        let seen = |height, hash: &str, finder: Option<&str>, seconds| Block {
            height: Some(height),
            hash: hash.to_owned(),
            finder: finder.map(str::to_owned),
            seconds,
        };
        let expected = [seen(0, "genesis", None, None), seen(1, "one", Some("anna"), Some(3.0))];
        assert_eq!(board.chain, expected);
    }
}
