//! What a pool is to a program that brings it miners without Stratum connections, whatever gives
//! the pool its work.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_stratum::{Reject, Submission};

use crate::{Accepted, Pool, RegtestPool, SessionId};

/// A pool with [seats](Pool::seat).
pub trait Seats {
    /// The pool itself.
    fn pool(&self) -> &Pool;
    /// See [`Pool::seat`].
    fn seat(&mut self, now: Duration, worker: &str, from: SocketAddr) -> SessionId;
    /// See [`Pool::poll_job`].
    fn poll_job(&mut self, id: SessionId) -> Option<Arc<Job>>;
    /// See [`Pool::submit`].
    ///
    /// # Errors
    /// Says why the share is refused.
    fn submit(
        &mut self,
        now: Duration,
        id: SessionId,
        submission: Submission,
    ) -> Result<Accepted, Reject>;
    /// See [`Pool::disconnect`].
    fn leave(&mut self, id: SessionId);
}

impl Seats for RegtestPool {
    fn pool(&self) -> &Pool {
        self.pool()
    }

    fn seat(&mut self, now: Duration, worker: &str, from: SocketAddr) -> SessionId {
        self.seat(now, worker, from)
    }

    fn poll_job(&mut self, id: SessionId) -> Option<Arc<Job>> {
        self.poll_job(id)
    }

    fn submit(
        &mut self,
        now: Duration,
        id: SessionId,
        submission: Submission,
    ) -> Result<Accepted, Reject> {
        self.submit(now, id, submission)
    }

    fn leave(&mut self, id: SessionId) {
        self.disconnect(id);
    }
}
