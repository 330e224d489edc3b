//! A [`PacedPool`] between a node and the miners of a class: the other end of
//! [`NodeLink::for_pool`](crate::NodeLink::for_pool). Brings templates and verdicts from the node's
//! link, and blocks there; decides nothing. Used by `midstate class --node`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_chain::{Hash256, Verdict};
use midstate_pool::{EmbeddedPoolEvent, Front, PacedPool, Pool, PoolTemplate};
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::Backend;

/// A node's word on a block of a pool: its hash, the verdict, the node's reason.
pub type NodeWord = (Hash256, Verdict, Option<String>);

/// A pool with a pace of its own, between a node and the pool's server.
pub struct PacedNodePool {
    /// The pool.
    pub pool: PacedPool,
    /// The source of its work.
    pub templates: mpsc::UnboundedReceiver<PoolTemplate>,
    /// The way of its blocks to the node, raw.
    pub blocks: mpsc::UnboundedSender<Vec<u8>>,
    /// The node's verdicts on them.
    pub verdicts: mpsc::UnboundedReceiver<NodeWord>,
}

impl Front for PacedNodePool {
    fn pool(&self) -> &Pool {
        self.pool.pool()
    }

    fn pool_mut(&mut self) -> &mut Pool {
        self.pool.pool_mut()
    }

    /// A link that has ended takes no more blocks, and has said why.
    fn settle(&mut self, now: Duration) {
        self.pool.settle(now);
        while let Some(block) = self.pool.poll_block() {
            let _ = self.blocks.send(block);
        }
    }

    fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
        self.pool.poll_event()
    }
}

impl Backend for PacedNodePool {
    async fn renew(&mut self) {
        let due = self.pool.poll_timeout();
        tokio::select! {
            // A block counts before there is work on top of it. When the node's link has ended, the
            // last work is all there is.
            biased;
            Some((hash, verdict, reason)) = self.verdicts.recv() => {
                self.pool.handle_verdict(now(), hash, verdict, reason);
            }
            Some(template) = self.templates.recv() => self.pool.set_template(template),
            () = sleep(due.saturating_sub(now())) => self.pool.handle_timeout(now()),
        }
    }
}

/// The time as a pool wants it: since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
