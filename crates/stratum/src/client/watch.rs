//! The clocks that end a connection which is no use any more (S1, S9).

use std::time::Duration;

use crate::{CloseReason, Limits};

/// Since when we wait for what, on one connection.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The connection began.
    connected: Duration,
    /// The answer that the handshake still lacks; `None` once it is through.
    missing: Option<&'static str>,
    /// The last byte came.
    heard: Duration,
    /// The last good job came.
    job: Duration,
    /// The line that is not finished was begun.
    line: Option<Duration>,
}

impl Watch {
    /// A connection begins.
    pub(super) fn start(&mut self, now: Duration) {
        *self = Self {
            connected: now,
            missing: Some("mining.subscribe"),
            heard: now,
            job: now,
            line: None,
        };
    }

    /// The handshake waits for this answer now.
    pub(super) fn waits_for(&mut self, missing: Option<&'static str>) {
        self.missing = missing;
    }

    /// Bytes came. `ended`: they ended a line; `partial`: they left one unfinished.
    pub(super) fn heard(&mut self, now: Duration, ended: bool, partial: bool) {
        self.heard = now;
        if ended || !partial {
            self.line = None;
        }
        if partial {
            self.line.get_or_insert(now);
        }
    }

    /// A job came that can be worked on.
    pub(super) fn job(&mut self, now: Duration) {
        self.job = now;
    }

    /// When something is overdue unless it happens before.
    pub(super) fn deadline(&self, limits: &Limits) -> Duration {
        self.waits(limits).into_iter().map(|(due, _)| due).min().unwrap_or(Duration::MAX)
    }

    /// The first wait that is overdue, as the reason to close.
    pub(super) fn overdue(&self, now: Duration, limits: &Limits) -> Option<CloseReason> {
        let overdue = self.waits(limits).into_iter().filter(|&(due, _)| due <= now);
        overdue.min_by_key(|&(due, _)| due).map(|(_, reason)| reason)
    }

    fn waits(&self, limits: &Limits) -> Vec<(Duration, CloseReason)> {
        let mut waits = vec![
            (self.heard + limits.silence, CloseReason::Silent(limits.silence)),
            (self.job + limits.job_gap, CloseReason::NoJob(limits.job_gap)),
        ];
        if let Some(call) = self.missing {
            let limit = limits.handshake;
            waits.push((self.connected + limit, CloseReason::Handshake { call, limit }));
        }
        if let Some(begun) = self.line {
            waits.push((begun + limits.line_age, CloseReason::LineUnfinished(limits.line_age)));
        }
        waits
    }
}
