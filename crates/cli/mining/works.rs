//! The work that is hashed: one job, or at a pool of Stratum V2 one of each channel. The channels
//! take turns, so that each gets the same part of the hashes.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Target};
use midstate_net::Protocol;

/// A job that is hashed.
pub(super) struct Work {
    pub(super) job: Arc<Job>,
    pub(super) pool: Arc<str>,
    pub(super) protocol: Protocol,
    /// When it first came, with whatever targets and versions.
    pub(super) since: Duration,
}

/// See the [module](self) page.
#[derive(Default)]
pub(super) struct Works {
    /// The newest last.
    present: Vec<Work>,
    /// Work that was hashed when the last pause began.
    rested: Vec<Work>,
}

impl Works {
    /// A job came; those of other channels go on if it is `beside` them. The engine goes on with
    /// work that it had, and so does the time by which headers may be ahead.
    pub(super) fn put(&mut self, work: Work, beside: bool) {
        let mut known = self.present.iter().chain(&self.rested);
        let before = known.rfind(|of| of.job.same_work_but_versions(&work.job));
        let since = before.map_or(work.since, |before| before.since);
        self.present.retain(|of| beside && of.job.channel != work.job.channel);
        self.present.push(Work { since, ..work });
    }

    /// A channel is closed.
    pub(super) fn remove(&mut self, channel: u32) {
        self.present.retain(|of| of.job.channel != Some(channel));
    }

    /// There is none until the next job.
    pub(super) fn rest(&mut self) {
        if !self.present.is_empty() {
            self.rested = std::mem::take(&mut self.present);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.present.is_empty()
    }

    /// How many jobs are hashed.
    pub(super) fn count(&self) -> usize {
        self.present.len()
    }

    /// The newest.
    pub(super) fn newest(&self) -> Option<&Work> {
        self.present.last()
    }

    /// When the youngest came.
    pub(super) fn youngest_since(&self) -> Option<Duration> {
        self.present.iter().map(|of| of.since).max()
    }

    /// How many hashes it takes on average to meet a target of one of the jobs, when all are hashed
    /// alike.
    pub(super) fn expected_hashes(&self, target: impl Fn(&Job) -> Target) -> Option<f64> {
        let chances = self.present.iter().map(|of| 1.0 / target(&of.job).expected_hashes_f64());
        (!self.present.is_empty()).then(|| self.present.len() as f64 / chances.sum::<f64>())
    }
}
