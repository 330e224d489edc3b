//! The pool on a chain of its own: what `midstate demo` runs.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use midstate_chain::{CoinbaseError, DifficultyError};

use crate::pool::MAX_FUTURE;
use crate::{EmbeddedPoolEvent, Pool, PoolConfig, RegtestChain, SessionId};

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
        Ok(Self { pool, chain, refresh_at: now + REFRESH, events: VecDeque::new() })
    }

    /// The chain so far.
    pub fn chain(&self) -> &RegtestChain {
        &self.chain
    }

    /// The pool itself.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A miner connected from there.
    pub fn connect(&mut self, from: SocketAddr) -> SessionId {
        self.pool.connect(from)
    }

    /// A miner is gone.
    pub fn disconnect(&mut self, id: SessionId) {
        self.pool.disconnect(id);
        self.events.extend(std::iter::from_fn(|| self.pool.poll_event()));
    }

    /// Bytes from a miner.
    pub fn handle_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]) {
        self.pool.handle_bytes(now, id, bytes);
        while let Some(event) = self.pool.poll_event() {
            if let EmbeddedPoolEvent::Block { header, raw, .. } = &event {
                self.chain.accept(now, *header, raw.clone()).expect(
                    "the judge has checked tip, times and target, and a block ends its jobs",
                );
                self.renew(now);
            }
            self.events.push_back(event);
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Duration {
        self.refresh_at
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        if now >= self.refresh_at {
            self.renew(now);
        }
    }

    /// The next line to send to this session.
    pub fn poll_transmit(&mut self, id: SessionId) -> Option<Vec<u8>> {
        self.pool.poll_transmit(id)
    }

    /// The next thing to tell.
    pub fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
        self.events.pop_front()
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
