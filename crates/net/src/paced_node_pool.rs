//! A [`PacedPool`] between a node and the miners of a class: the other end of
//! [`NodeLink::for_pool`](crate::NodeLink::for_pool). Brings templates and verdicts from the node's
//! link, and blocks there; decides nothing. Used by `midstate class --node`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_chain::{Hash256, Job, Verdict};
use midstate_pool::{Accepted, EmbeddedPoolEvent, PacedPool, Pool, PoolTemplate, Seats, SessionId};
use midstate_stratum::{Reject, Submission};
use midstate_sv2::Authority;
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

impl PacedNodePool {
    /// A link that has ended takes no more blocks, and has said why.
    fn hand_on_blocks(&mut self) {
        while let Some(block) = self.pool.poll_block() {
            let _ = self.blocks.send(block);
        }
    }
}

impl Backend for PacedNodePool {
    fn connect(&mut self, from: SocketAddr) -> SessionId {
        self.pool.connect(from)
    }

    fn connect_v2(
        &mut self,
        from: SocketAddr,
        authority: Authority,
        entropy: [u8; 32],
    ) -> SessionId {
        self.pool.connect_v2(from, authority, entropy)
    }

    fn unfinished_frame(&self, id: SessionId) -> Option<u64> {
        self.pool.pool().unfinished_frame(id)
    }

    fn disconnect(&mut self, id: SessionId) {
        self.pool.disconnect(id);
    }

    fn is_let_in(&self, id: SessionId) -> bool {
        self.pool.pool().is_let_in(id)
    }

    fn handle_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]) {
        self.pool.handle_bytes(now, id, bytes);
        self.hand_on_blocks();
    }

    fn poll_transmit(&mut self, id: SessionId) -> Option<Vec<u8>> {
        self.pool.poll_transmit(id)
    }

    fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
        self.pool.poll_event()
    }

    fn jobs(&self) -> Option<u64> {
        Some(self.pool.pool().jobs())
    }

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

impl Seats for PacedNodePool {
    fn pool(&self) -> &Pool {
        self.pool.pool()
    }

    fn seat(&mut self, now: Duration, worker: &str, from: SocketAddr) -> SessionId {
        self.pool.seat(now, worker, from)
    }

    fn poll_job(&mut self, id: SessionId) -> Option<Arc<Job>> {
        self.pool.poll_job(id)
    }

    fn submit(
        &mut self,
        now: Duration,
        id: SessionId,
        submission: Submission,
    ) -> Result<Accepted, Reject> {
        let judged = self.pool.submit(now, id, submission);
        self.hand_on_blocks();
        judged
    }

    fn leave(&mut self, id: SessionId) {
        self.pool.leave(id);
    }
}

/// The time as a pool wants it: since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
