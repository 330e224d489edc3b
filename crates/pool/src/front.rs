//! The side of a pool that miners see, whatever gives the pool its work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_stratum::{Reject, Submission};
use midstate_sv2::Authority;

use crate::{Accepted, EmbeddedPoolEvent, Pool, SessionId};

/// A [`Pool`] with something behind it that gives it work and takes its blocks. It is called by
/// connections, and by [seats](Pool::seat) without one.
pub trait Front {
    /// The pool itself.
    fn pool(&self) -> &Pool;
    /// The pool itself, to be spoken to. [`settle`](Self::settle) has to follow.
    fn pool_mut(&mut self) -> &mut Pool;
    /// Takes the events that the pool has for what is behind it, as its blocks.
    fn settle(&mut self, now: Duration);
    /// The next thing to tell.
    fn poll_event(&mut self) -> Option<EmbeddedPoolEvent>;

    /// See [`Pool::connect`].
    fn connect(&mut self, from: SocketAddr) -> SessionId {
        self.pool_mut().connect(from)
    }

    /// See [`Pool::connect_v2`].
    fn connect_v2(
        &mut self,
        from: SocketAddr,
        authority: Authority,
        entropy: [u8; 32],
    ) -> SessionId {
        self.pool_mut().connect_v2(from, authority, entropy)
    }

    /// See [`Pool::disconnect`].
    fn disconnect(&mut self, id: SessionId) {
        self.pool_mut().disconnect(id);
    }

    /// See [`Pool::handle_bytes`].
    fn handle_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]) {
        self.pool_mut().handle_bytes(now, id, bytes);
        self.settle(now);
    }

    /// See [`Pool::poll_transmit`].
    fn poll_transmit(&mut self, id: SessionId) -> Option<Vec<u8>> {
        self.pool_mut().poll_transmit(id)
    }

    /// See [`Pool::seat`].
    fn seat(&mut self, now: Duration, worker: &str, from: SocketAddr) -> SessionId {
        let id = self.pool_mut().seat(now, worker, from);
        self.settle(now);
        id
    }

    /// See [`Pool::poll_job`].
    fn poll_job(&mut self, id: SessionId) -> Option<Arc<Job>> {
        self.pool_mut().poll_job(id)
    }

    /// See [`Pool::submit`].
    ///
    /// # Errors
    /// Says why the share is refused.
    fn submit(
        &mut self,
        now: Duration,
        id: SessionId,
        submission: Submission,
    ) -> Result<Accepted, Reject> {
        let judged = self.pool_mut().submit(now, id, submission);
        self.settle(now);
        judged
    }
}
