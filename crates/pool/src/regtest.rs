//! The pool on a chain of its own: what `midstate demo` runs.

use std::collections::VecDeque;
use std::time::Duration;

use midstate_chain::{CoinbaseError, DifficultyError, Target};

use crate::pace::{Pace, PaceConfig};
use crate::pool::MAX_FUTURE;
use crate::{EmbeddedPoolEvent, Front, Pool, PoolConfig, RegtestChain, RetargetReason};

/// Without a new tip, a fresh job every so often: its time moves on.
const REFRESH: Duration = Duration::from_secs(30);

/// Why the pool cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The share difficulty is not one.
    #[error(transparent)]
    Difficulty(#[from] DifficultyError),
    /// The coinbase tag is too long.
    #[error(transparent)]
    Coinbase(#[from] CoinbaseError),
}

/// A pool, and a regtest chain that grows by its blocks.
pub struct RegtestPool {
    pool: Pool,
    chain: RegtestChain,
    pace: Option<Pace>,
    refresh_at: Duration,
    events: VecDeque<EmbeddedPoolEvent>,
}

impl RegtestPool {
    /// Starts at genesis. `tag` goes into every coinbase.
    ///
    /// # Errors
    /// When the difficulty or the tag cannot be used.
    pub fn new(config: PoolConfig, tag: Vec<u8>, now: Duration) -> Result<Self, StartError> {
        let mut pool = Pool::new(config)?;
        let chain = RegtestChain::new(tag)?;
        pool.set_template(chain.template(now));
        Ok(Self { pool, chain, pace: None, refresh_at: now + REFRESH, events: VecDeque::new() })
    }

    /// The same with blocks of this difficulty, in the bits of every header. A
    /// [toy block](midstate_chain::Job::has_toy_blocks) has the pool's own difficulty beside it. To
    /// be called before anybody mines.
    ///
    /// # Errors
    /// When the difficulty is not one.
    pub fn with_difficulty(mut self, difficulty: f64, now: Duration) -> Result<Self, StartError> {
        self.set_difficulty(difficulty)?;
        self.renew(now);
        Ok(self)
    }

    /// The same with a block difficulty that begins there, and follows the counted rate of all
    /// sessions every few blocks. To be called before anybody mines.
    ///
    /// # Errors
    /// When the difficulty is not one.
    pub fn with_pace(
        self,
        pace: PaceConfig,
        difficulty: f64,
        now: Duration,
    ) -> Result<Self, StartError> {
        let difficulty = difficulty.max(pace.easiest);
        let pool = self.with_difficulty(difficulty, now)?;
        Ok(Self { pace: Some(Pace::new(pace, difficulty)), ..pool })
    }

    /// The difficulty of a block, as the bits of its header can say it.
    pub fn block_difficulty(&self) -> f64 {
        self.chain.target().difficulty()
    }

    fn set_difficulty(&mut self, difficulty: f64) -> Result<(), DifficultyError> {
        let bits = Target::from_difficulty(difficulty)?.to_bits();
        self.chain.set_bits(bits).map_err(|_| DifficultyError::TooHigh(difficulty))
    }

    /// The difficulty of blocks is another one from the next template on.
    fn retarget(&mut self, difficulty: f64, reason: RetargetReason) {
        let before = self.block_difficulty();
        self.set_difficulty(difficulty)
            .expect("a pace keeps to difficulties between the first one and the easiest");
        let (difficulty, height) = (self.block_difficulty(), self.chain.height() + 1);
        if difficulty != before {
            let retarget = EmbeddedPoolEvent::Retarget { difficulty, before, height, reason };
            self.events.push_back(retarget);
        }
    }

    /// The chain so far.
    pub fn chain(&self) -> &RegtestChain {
        &self.chain
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Duration {
        let pace = self.pace.as_ref().map(Pace::poll_timeout);
        let due = [self.pool.poll_timeout(), pace].into_iter().flatten();
        due.fold(self.refresh_at, Duration::min)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.pool.handle_timeout(now);
        self.settle(now);
        let retarget = self.pace.as_mut().and_then(|pace| pace.handle_timeout(now));
        if let Some(difficulty) = retarget {
            self.retarget(difficulty, RetargetReason::Time);
        }
        if now >= self.refresh_at || retarget.is_some() {
            self.renew(now);
        }
    }

    /// More than six blocks a second push the median of their times ahead of the clock. Where that
    /// is as far ahead as a block may be, the next one waits for the clock, as it would at a node.
    fn renew(&mut self, now: Duration) {
        let template = self.chain.template(now);
        let earliest = Duration::from_secs(template.min_time.saturating_sub(MAX_FUTURE).into());
        if now.as_secs() < earliest.as_secs() {
            self.refresh_at = earliest;
        } else {
            self.pool.set_template(template);
            self.refresh_at = now + REFRESH;
        }
    }
}

impl Front for RegtestPool {
    fn pool(&self) -> &Pool {
        &self.pool
    }

    fn pool_mut(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// Puts the pool's blocks on the chain, and its next job into the pool.
    fn settle(&mut self, now: Duration) {
        let mut is_tip_new = false;
        while let Some(event) = self.pool.poll_event() {
            let mut retarget = None;
            match &event {
                EmbeddedPoolEvent::Block { header, raw, .. } => {
                    self.chain.accept(now, *header, raw.clone()).expect(
                        "the judge has checked tip, times and target, and a block ends its jobs",
                    );
                    is_tip_new = true;
                    retarget = self.pace.as_mut().and_then(|pace| pace.record_block(now));
                }
                EmbeddedPoolEvent::Share { work, .. } if *work > 0 => {
                    let difficulty = *work as f64 / Target::HASHES_AT_DIFFICULTY_1;
                    self.pace.iter_mut().for_each(|pace| pace.record_share(now, difficulty));
                }
                _ => {}
            }
            self.events.push_back(event);
            if let Some(difficulty) = retarget {
                self.retarget(difficulty, RetargetReason::Blocks);
            }
        }
        if is_tip_new {
            self.renew(now);
        }
    }

    fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
        self.events.pop_front().or_else(|| self.pool.poll_event())
    }
}
