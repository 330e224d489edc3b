//! A pool whose chain is a node's, and whose blocks keep a pace: what `midstate class --node` runs.
//!
//! A regtest node's bits never change, and by them every second hash is a block. The pool asks for
//! more: its own block target follows the counted rate of all sessions, as that of a
//! [`RegtestPool`](crate::RegtestPool) does. It is the network target of the pool's jobs, while
//! their headers keep the node's bits. A block counts when the node has it in its chain, and not
//! before.

use std::collections::VecDeque;
use std::time::Duration;

use midstate_chain::{DifficultyError, Hash256, Header, Job, Target, Verdict};

use crate::pace::{Pace, PaceConfig};
use crate::{EmbeddedPoolEvent, Front, Miner, Pool, PoolConfig, PoolTemplate, RetargetReason};

/// Every hash has it.
const EVERY_HASH: f64 = 1e-30;

/// A pool whose chain is a node's, and whose blocks keep a pace of their own. The caller brings
/// templates and verdicts from the node, and takes blocks there.
pub struct PacedPool {
    pool: Pool,
    pace: Pace,
    difficulty: f64,
    /// The newest one.
    template: Option<PoolTemplate>,
    found: VecDeque<Found>,
    most_found: usize,
    /// To go to the node.
    blocks: VecDeque<Vec<u8>>,
    events: VecDeque<EmbeddedPoolEvent>,
}

/// A block that a session found.
struct Found {
    miner: Miner,
    height: u32,
    header: Header,
    raw: Vec<u8>,
    /// The node's newest verdict.
    verdict: Option<Verdict>,
}

impl PacedPool {
    /// A pool without work, whose first blocks have this difficulty, or that of the pace's easiest.
    ///
    /// # Errors
    /// When a difficulty is not one.
    pub fn new(
        config: PoolConfig,
        pace: PaceConfig,
        difficulty: f64,
    ) -> Result<Self, DifficultyError> {
        let difficulty = difficulty.max(pace.easiest);
        Target::from_difficulty(difficulty)?;
        // The jobs' own target says how hard a block is, though it may be a toy.
        let config = PoolConfig { block_difficulty: EVERY_HASH, ..config };
        Ok(Self {
            most_found: config.bounds.judged_blocks,
            pool: Pool::new(config)?.with_waiting_blocks(),
            pace: Pace::new(pace, difficulty),
            difficulty,
            template: None,
            found: VecDeque::new(),
            blocks: VecDeque::new(),
            events: VecDeque::new(),
        })
    }

    /// The difficulty of a block.
    pub fn block_difficulty(&self) -> f64 {
        self.difficulty
    }

    /// Blocks that the node has not judged yet.
    pub fn waiting(&self) -> usize {
        self.found.iter().filter(|found| found.verdict.is_none()).count()
    }

    /// The node has new work, which is beside no block of ours that it may still take.
    pub fn set_template(&mut self, template: PoolTemplate) {
        self.template = Some(template);
        self.issue();
    }

    /// Gives out the newest work with the pool's own block target.
    fn issue(&mut self) {
        let Some(template) = &self.template else { return };
        let target = Target::from_difficulty(self.difficulty)
            .expect("a pace keeps to difficulties between the first one and the easiest");
        let network_target = template.job.network_target.min(target);
        let job = Job { network_target, ..template.job.clone() };
        self.pool.set_template(PoolTemplate { job, ..template.clone() });
    }

    /// The next block for the node, raw.
    pub fn poll_block(&mut self) -> Option<Vec<u8>> {
        self.blocks.pop_front()
    }

    /// The node has judged a block, or has changed its mind.
    pub fn handle_verdict(
        &mut self,
        now: Duration,
        hash: Hash256,
        verdict: Verdict,
        reason: Option<String>,
    ) {
        let Some(found) = self.found.iter_mut().find(|found| found.header.hash() == hash) else {
            return;
        };
        let was = found.verdict.replace(verdict);
        let has_counted = was == Some(Verdict::Accepted);
        let (miner, height) = (found.miner.clone(), found.height);
        if verdict == Verdict::Accepted {
            if !has_counted {
                let (header, raw) = (found.header, found.raw.clone());
                self.pool.count_block(&miner, true);
                self.events.push_back(EmbeddedPoolEvent::Block { miner, height, header, raw });
                if let Some(difficulty) = self.pace.record_block(now) {
                    self.retarget(difficulty, height + 1, RetargetReason::Blocks);
                }
            }
            return;
        }
        if has_counted {
            self.pool.count_block(&miner, false);
        }
        self.events.push_back(EmbeddedPoolEvent::Unchained {
            miner,
            height,
            hash,
            verdict,
            reason,
            has_counted,
        });
    }

    /// The difficulty of blocks is another one from the next job on.
    fn retarget(&mut self, difficulty: f64, height: u32, reason: RetargetReason) {
        let before = std::mem::replace(&mut self.difficulty, difficulty);
        if difficulty == before {
            return;
        }
        self.events.push_back(EmbeddedPoolEvent::Retarget { difficulty, before, height, reason });
        // Where the pool waits for the node there is nothing to give out.
        if self.pool.height().is_some() {
            self.issue();
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Duration {
        let pace = self.pace.poll_timeout();
        self.pool.poll_timeout().map_or(pace, |pool| pool.min(pace))
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.pool.handle_timeout(now);
        self.settle(now);
        if let Some(difficulty) = self.pace.handle_timeout(now) {
            let height = self.pool.height().unwrap_or_default();
            self.retarget(difficulty, height, RetargetReason::Time);
        }
    }
}

impl Front for PacedPool {
    fn pool(&self) -> &Pool {
        &self.pool
    }

    fn pool_mut(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// Takes the pool's events: blocks go to the node first.
    fn settle(&mut self, now: Duration) {
        while let Some(event) = self.pool.poll_event() {
            match event {
                EmbeddedPoolEvent::Block { miner, height, header, raw } => {
                    if self.found.len() >= self.most_found {
                        self.found.pop_front();
                    }
                    self.blocks.push_back(raw.clone());
                    self.found.push_back(Found { miner, height, header, raw, verdict: None });
                }
                event => {
                    if let EmbeddedPoolEvent::Share { work: work @ 1.., .. } = event {
                        let difficulty = work as f64 / Target::HASHES_AT_DIFFICULTY_1;
                        self.pace.record_share(now, difficulty);
                    }
                    self.events.push_back(event);
                }
            }
        }
    }

    fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
        self.events.pop_front().or_else(|| self.pool.poll_event())
    }
}
