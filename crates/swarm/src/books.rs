//! The books of a swarm: for each miner and in all, what was found, what the pool answered and how
//! fast, and how connections fared. Fed with the miners' events, read by views and the summary.

use std::collections::VecDeque;
use std::time::Duration;

use midstate_chain::{Hash256, Verdict};
use midstate_work::{Ledger, Rejects};

use crate::{Event, Fault, FaultBooks, Latencies};

/// New blocks of which miners may still hear: a miner that is further behind begins a tip anew.
const RECENT: usize = 16;

/// The books of all miners.
#[derive(Debug, Clone, Default)]
pub struct Books {
    miners: Vec<Standing>,
    shares: Ledger,
    rejects: Rejects,
    answers: Latencies,
    own: Latencies,
    connections: Connections,
    tips: Tips,
    faults: FaultBooks,
    /// Shares without an answer whose connection was cut on purpose.
    cut_short: u64,
}

/// The books of one miner.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// What it is doing.
    pub state: State,
    /// Its shares.
    pub shares: Ledger,
    /// From sending a share to its answer, in coarse steps.
    pub answers: Latencies,
    /// Its connections.
    pub connections: Connections,
    /// The difficulty that it hashes at.
    pub difficulty: Option<f64>,
    /// The block that its present job builds on.
    tip: Option<Hash256>,
}

/// What a miner is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It is not there: not yet, or not any more.
    #[default]
    Absent,
    /// It has no connection.
    Offline,
    /// It is connected, and waits to be let in or for a job.
    Waiting,
    /// It has a job.
    Working,
}

/// How connections fared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Connections {
    /// Connections that were opened.
    pub opened: u64,
    /// Attempts that led to none.
    pub unreached: u64,
    /// Logins that were refused.
    pub refused: u64,
    /// Connections that ended before the miner left.
    pub lost: u64,
}

/// How fast new blocks reach the miners.
#[derive(Debug, Clone, Default)]
struct Tips {
    /// The newest last. Slow miners may still have to hear of the older ones.
    recent: VecDeque<Tip>,
    /// Of the tips before those: from the first miner's job to the last one's.
    spreads: Latencies,
}

/// A block that jobs build on.
#[derive(Debug, Clone, Copy)]
struct Tip {
    hash: Hash256,
    first: Duration,
    last: Duration,
}

impl Books {
    /// Good shares that never had an answer, but for those whose connection a fault of ours ended.
    pub fn lost(&self) -> u64 {
        self.shares().unresolved().saturating_sub(self.cut_short)
    }

    /// Empty books for so many miners.
    pub fn new(miners: u32) -> Self {
        let miner = Standing { answers: Latencies::coarse(), ..Standing::default() };
        Self { miners: vec![miner; miners as usize], ..Self::default() }
    }

    /// Books an event.
    pub fn record(&mut self, at: Duration, worker: u32, event: &Event) {
        let Some(miner) = self.miners.get_mut(worker as usize) else { return };
        let both = |change: fn(&mut Connections), miner: &mut Standing, all: &mut Connections| {
            [&mut miner.connections, all].into_iter().for_each(change);
        };
        match event {
            Event::Connecting => miner.state = State::Offline,
            Event::Unreached { .. } => {
                both(|of| of.unreached += 1, miner, &mut self.connections);
            }
            Event::Connected => {
                miner.state = State::Waiting;
                both(|of| of.opened += 1, miner, &mut self.connections);
            }
            Event::Refused { .. } => both(|of| of.refused += 1, miner, &mut self.connections),
            Event::Lost { .. } => {
                miner.state = State::Offline;
                both(|of| of.lost += 1, miner, &mut self.connections);
            }
            Event::Cut { unanswered, .. } => {
                miner.state = State::Offline;
                self.cut_short += unanswered;
            }
            Event::Fault(news) => self.faults.record(news),
            Event::Left => miner.state = State::Absent,
            Event::Job(Some(job)) => {
                miner.state = State::Working;
                // Its first job on this connection tells nothing about new blocks.
                let before = miner.tip.replace(job.prev_hash);
                if before.is_some_and(|before| before != job.prev_hash) {
                    self.tips.record(at, job.prev_hash);
                }
            }
            Event::Job(None) => {
                miner.tip = None;
                if miner.state == State::Working {
                    miner.state = State::Waiting;
                }
            }
            Event::Difficulty(difficulty) => miner.difficulty = Some(*difficulty),
            Event::Found => {
                miner.shares.record_found();
                self.shares.record_found();
            }
            Event::Sent(delay) => self.own.record(*delay),
            Event::Verdict(outcome) => {
                miner.shares.record_verdict(outcome.verdict);
                self.shares.record_verdict(outcome.verdict);
                // Other verdicts are our own, without a question to the pool.
                if matches!(outcome.verdict, Verdict::Accepted | Verdict::Rejected)
                    && !outcome.latency.is_zero()
                {
                    miner.answers.record(outcome.latency);
                    self.answers.record(outcome.latency);
                }
                if outcome.verdict == Verdict::Rejected {
                    let code = outcome.code.map(|code| format!("code {code}: "));
                    let reason = outcome.reason.as_deref().unwrap_or("no reason given");
                    self.rejects.record(&format!("{}{reason}", code.unwrap_or_default()));
                }
            }
            Event::LetIn | Event::Remark(_) => {}
        }
    }

    /// Each miner's own, by its number.
    pub fn miners(&self) -> &[Standing] {
        &self.miners
    }

    /// All shares.
    pub fn shares(&self) -> &Ledger {
        &self.shares
    }

    /// Why shares were refused.
    pub fn rejects(&self) -> &Rejects {
        &self.rejects
    }

    /// From sending a share to its answer, all miners together.
    pub fn answers(&self) -> &Latencies {
        &self.answers
    }

    /// From finding a share to its last byte in the socket: our own part of the time.
    pub fn own(&self) -> &Latencies {
        &self.own
    }

    /// What was done wrong on purpose, and what the pool made of it.
    pub fn faults(&self) -> &FaultBooks {
        &self.faults
    }

    /// These kinds of faults are to be done, so that they are told even if none is done.
    pub fn expect_faults(&mut self, kinds: impl Iterator<Item = Fault>) {
        self.faults = FaultBooks::of(kinds);
    }

    /// All connections.
    pub fn connections(&self) -> Connections {
        self.connections
    }

    /// How many miners are doing this.
    pub fn count(&self, state: State) -> usize {
        self.miners.iter().filter(|miner| miner.state == state).count()
    }

    /// For each new block, from the first miner's job on it to the last one's. A miner's first job
    /// is not counted.
    pub fn spreads(&self) -> Latencies {
        let mut spreads = self.tips.spreads.clone();
        self.tips.recent.iter().for_each(|tip| spreads.record(tip.last - tip.first));
        spreads
    }
}

impl Tips {
    /// A miner has its first job on this block.
    fn record(&mut self, at: Duration, hash: Hash256) {
        if let Some(tip) = self.recent.iter_mut().find(|tip| tip.hash == hash) {
            tip.last = tip.last.max(at);
            return;
        }
        self.recent.push_back(Tip { hash, first: at, last: at });
        if self.recent.len() > RECENT
            && let Some(Tip { first, last, .. }) = self.recent.pop_front()
        {
            self.spreads.record(last - first);
        }
    }
}
