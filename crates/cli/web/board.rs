//! What the page shows beyond our own mining: the chain as it was seen to grow, and the miners at
//! the embedded pool with their rates, estimated as a pool must, from their shares. Bounded,
//! whatever comes. No clock: `now` is the time since the page was opened.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use midstate_chain::{Header, Verdict, is_printable};
use midstate_pool::Event as PoolEvent;
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
/// Hashes for a share of difficulty 1, on average.
const HASHES_AT_DIFFICULTY_1: f64 = 4_294_967_296.0;

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
    /// The worker that is this machine.
    own: String,
    workers: BTreeMap<String, Worker>,
}

struct Worker {
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
    /// A pool of this difficulty runs in this program, and `own` is our worker there.
    pub(super) fn open_pool(&mut self, difficulty: f64, own: &str) {
        let (own, workers) = (own.to_owned(), BTreeMap::new());
        self.pool = Some(Pool { difficulty, listens: None, own, workers });
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
    pub(super) fn record_pool_event(&mut self, now: Duration, event: &PoolEvent) {
        let Some(pool) = &mut self.pool else { return };
        match event {
            PoolEvent::Joined { worker, .. } => {
                pool.worker(now, worker);
            }
            PoolEvent::Share { worker, rejected, .. } => {
                let worker = pool.worker(now, worker);
                match rejected {
                    None => worker.record_accepted(now),
                    Some(_) => worker.rejected += 1,
                }
            }
            PoolEvent::Block { worker, height, header, .. } => {
                pool.worker(now, worker).blocks += 1;
                let finder = pool.shown_name(worker);
                self.record_block(now, Some(*height), &hash_of(header), Some(&finder));
            }
            PoolEvent::Left { .. } | PoolEvent::Close { .. } => {}
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
    /// The worker of that name; the one that was silent longest makes room for a new one.
    fn worker(&mut self, now: Duration, name: &str) -> &mut Worker {
        let name = self.shown_name(name);
        if self.workers.len() >= WORKERS && !self.workers.contains_key(&name) {
            let silent = self.workers.iter().min_by_key(|(_, worker)| worker.heard);
            if let Some(name) = silent.map(|(name, _)| name.clone()) {
                self.workers.remove(&name);
            }
        }
        let worker = self.workers.entry(name).or_insert_with(|| Worker::new(now));
        worker.heard = now;
        worker
    }

    fn shown_name(&self, worker: &str) -> String {
        if worker == self.own {
            return THIS_MACHINE.to_owned();
        }
        worker.chars().filter(|&character| is_printable(character)).take(NAME).collect()
    }

    fn statuses(&self, now: Duration) -> Vec<WorkerStatus> {
        let status = |(name, worker): (&String, &Worker)| {
            let shares = worker.recent_shares(now);
            let seconds = (now - worker.since).as_secs_f64().clamp(1.0, WINDOW as f64);
            let hashes = shares as f64 * self.difficulty * HASHES_AT_DIFFICULTY_1;
            WorkerStatus {
                name: name.clone(),
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
        Self { since: now, heard: now, recent, accepted: 0, rejected: 0, blocks: 0 }
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
    use midstate_stratum::Reject;

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn share(worker: &str, rejected: Option<Reject>) -> PoolEvent {
        PoolEvent::Share { worker: worker.to_owned(), hash: None, rejected }
    }

    fn block(worker: &str, height: u32) -> PoolEvent {
        let zero = Hash256::from_bytes([0; 32]);
        let header = Header {
            version: 0,
            prev_hash: zero,
            merkle_root: zero,
            time: height,
            bits: Bits::from_consensus(0x207f_ffff),
            nonce: 0,
        };
        PoolEvent::Block { worker: worker.to_owned(), height, header, raw: Vec::new() }
    }

    fn board() -> Board {
        let mut board = Board::default();
        board.open_pool(1.0, "me");
        board
    }

    fn workers(board: &Board, seconds: u64) -> Vec<WorkerStatus> {
        board.pool.as_ref().unwrap().statuses(at(seconds))
    }

    #[test]
    fn a_rate_is_what_the_shares_of_a_minute_are_worth() {
        let mut board = board();
        for second in 0..300 {
            board.record_pool_event(at(second), &share("anna", None));
        }
        let [anna] = &workers(&board, 299)[..] else { panic!("one worker") };
        assert_eq!(anna.hps, Some(HASHES_AT_DIFFICULTY_1), "a share a second");
        assert_eq!(anna.error, Some(1.0 / 60f64.sqrt()));
        assert_eq!((anna.accepted, anna.silent), (300, 0.0));
        let [anna] = &workers(&board, 329)[..] else { panic!("one worker") };
        assert_eq!(anna.hps, Some(HASHES_AT_DIFFICULTY_1 / 2.0), "half a minute without any");
        let [anna] = &workers(&board, 500)[..] else { panic!("one worker") };
        assert_eq!((anna.hps, anna.error, anna.silent), (Some(0.0), None, 201.0));
    }

    #[test]
    fn refused_shares_are_worth_nothing() {
        let mut board = board();
        board.record_pool_event(at(0), &share("ben", Some(Reject::stale())));
        let [ben] = &workers(&board, 10)[..] else { panic!("one worker") };
        assert_eq!((ben.hps, ben.accepted, ben.rejected), (None, 0, 1));
    }

    #[test]
    fn strangers_cannot_fill_the_board() {
        let mut board = board();
        for stranger in 0..10_000 {
            let name = format!("{stranger}\u{1b}[2J\u{200b}{}", "x".repeat(1000));
            board.record_pool_event(at(stranger), &share(&name, None));
            board.record_pool_event(at(stranger), &share("me", None));
            board.record_pool_event(at(stranger), &block(&name, stranger as u32));
        }
        let workers = workers(&board, 10_000);
        assert_eq!(workers.len(), WORKERS);
        assert!(workers.iter().any(|worker| worker.name == THIS_MACHINE), "the active ones stay");
        assert!(workers.iter().all(|worker| worker.name.chars().count() <= NAME));
        assert!(workers.iter().all(|worker| worker.name.chars().all(is_printable)));
        assert_eq!(board.chain.len(), BLOCKS);
        let me = &board.pool.as_ref().unwrap().workers[THIS_MACHINE];
        assert_eq!(me.recent.len(), WINDOW as usize);
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
