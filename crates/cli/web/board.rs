//! The part of the page beyond our own mining: the chain as it was seen to grow, and the
//! [`Standings`] of the miners at the embedded pool. Bounded, whatever comes. No clock: `now` is
//! the time since the page was opened.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use midstate_chain::Verdict;
use midstate_pool::EmbeddedPoolEvent;
use serde::Serialize;

use crate::mining::Reason;
use crate::mining::event::Event;
use crate::mining::standings::{Standings, THIS_MACHINE, WorkerStatus};
use crate::mining::status::Status;

/// Blocks that are remembered.
const BLOCKS: usize = 32;
/// Rates that are remembered, one a second.
const RATES: usize = 120;

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
    listens: Option<SocketAddr>,
    standings: Standings,
}

/// A block that was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Block {
    height: Option<u32>,
    hash: String,
    /// The miner that found it; null if that is somebody else in the network.
    finder: Option<String>,
    /// How long after the one before it, where both were seen to come.
    seconds: Option<f64>,
}

/// The pool in this program, for who wants to join.
#[derive(Serialize)]
pub(super) struct PoolStatus {
    listens: Option<SocketAddr>,
    /// Null where it follows the rate of each miner.
    difficulty: Option<f64>,
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
    /// A pool runs in this program; all its shares have this difficulty, if there is one.
    pub(super) fn open_pool(&mut self, difficulty: Option<f64>) {
        self.pool = Some(Pool { listens: None, standings: Standings::new(difficulty) });
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

    /// Something happened in our mining.
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

    /// Something happened at the pool in this program.
    pub(super) fn record_pool_event(&mut self, now: Duration, event: &EmbeddedPoolEvent) {
        let Some(pool) = &mut self.pool else { return };
        pool.standings.record(now, event);
        if let EmbeddedPoolEvent::Block { miner, height, header, .. } = event {
            let finder = pool.standings.shown_name(miner);
            self.record_block(now, Some(*height), &header.hash().to_string(), Some(&finder));
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
            pool: self.pool.as_ref().map(|Pool { listens, standings }| PoolStatus {
                listens: *listens,
                difficulty: standings.difficulty(),
            }),
            workers: self.pool.as_ref().map(|pool| pool.standings.statuses(now)),
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

/// Appends; the oldest makes room.
fn push<T>(queue: &mut VecDeque<T>, most: usize, item: T) {
    if queue.len() == most {
        queue.pop_front();
    }
    queue.push_back(item);
}

#[cfg(test)]
mod tests {
    use midstate_chain::{Bits, Hash256, Header};
    use midstate_pool::{Front, Miner, PoolConfig, RegtestPool};

    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn strangers_cannot_fill_the_board() {
        let mut board = Board::default();
        board.open_pool(Some(1.0));
        let mut pool = RegtestPool::new(PoolConfig::new(1.0, 0), Vec::new(), at(0)).unwrap();
        let session = pool.connect(SocketAddr::from(([127, 0, 0, 1], 1)));
        let zero = Hash256::from_bytes([0; 32]);
        for height in 0..1000 {
            let miner =
                Miner { session, worker: height.to_string(), is_host: false, is_device: false };
            let bits = Bits::from_consensus(0x207f_ffff);
            let (prev_hash, merkle_root) = (zero, zero);
            let header =
                Header { version: 0, prev_hash, merkle_root, time: height, bits, nonce: 0 };
            let event = EmbeddedPoolEvent::Block { miner, height, header, raw: Vec::new() };
            board.record_pool_event(at(height.into()), &event);
        }
        assert_eq!(board.chain.len(), BLOCKS);
        assert_eq!(board.chain.back().unwrap().finder.as_deref(), Some("999"));
    }

    #[test]
    fn a_block_is_one_block_however_often_it_is_told_of() {
        let mut board = Board::default();
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
