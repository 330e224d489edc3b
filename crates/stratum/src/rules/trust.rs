//! Whether a pool's answers to shares are worth the work: refusals in a row, and silence.
//!
//! The rule: refusals of any kind have consequences, and so has silence. It does not matter in
//! which form the pool refuses (a code, a bare text, `false`): only an accepted share ends the row.

use std::time::Duration;

use crate::advice::{Cause, likely_cause};
use crate::{CloseReason, Limits};

/// The row of refusals and the row of unanswered shares at one pool.
#[derive(Debug, Default)]
pub struct Trust {
    refused: u32,
    first_refused: Duration,
    /// Shares sent since the last answer to any share, and when the first of them was sent.
    unheard: usize,
    unheard_since: Duration,
    last_sent: Duration,
    /// When the pool last accepted a share, or when the connection began.
    accepted: Duration,
}

impl Trust {
    /// A connection begins, and with it a new trial.
    pub fn start(&mut self, now: Duration) {
        *self = Self { accepted: now, ..Self::default() };
    }

    /// A share was sent.
    pub fn sent(&mut self, now: Duration) {
        if self.unheard == 0 {
            self.unheard_since = now;
        }
        self.unheard += 1;
        self.last_sent = now;
    }

    /// The pool accepted a share.
    pub fn accepted(&mut self, now: Duration) {
        (self.refused, self.unheard, self.accepted) = (0, 0, now);
    }

    /// `replaced`: how long ago the share's job made way for another one, if it did. The row's end,
    /// if this refusal is it.
    pub fn refused(
        &mut self,
        now: Duration,
        cause: Cause,
        replaced: Option<Duration>,
        words: &str,
        limits: &Limits,
    ) -> Option<CloseReason> {
        self.unheard = 0;
        // Until the next job comes, however long that takes, no share is worth anything.
        if cause == Cause::Solved {
            return None;
        }
        let is_luck = cause == Cause::Stale
            && replaced.is_some_and(|ago| ago <= limits.just_replaced)
            && now.saturating_sub(self.accepted) < limits.stale_over;
        if is_luck {
            return None;
        }
        if self.refused == 0 {
            self.first_refused = now;
        }
        self.refused += 1;
        let over = now.saturating_sub(self.first_refused);
        (self.refused >= limits.refused && over >= limits.refused_over).then(|| {
            let (words, cause) = (words.to_owned(), likely_cause(cause));
            CloseReason::Refusing { count: self.refused, over, words, cause }
        })
    }

    /// When silence has lasted too long. `oldest` of the `waiting` unanswered shares was sent then.
    pub fn deadline(
        &self,
        oldest: Option<Duration>,
        waiting: usize,
        limits: &Limits,
    ) -> Option<Duration> {
        let waiting = oldest.filter(|_| waiting >= limits.unanswered);
        // Shares that were given up meanwhile count as well: a slow miner never has five waiting.
        let unheard = (self.unheard >= limits.unanswered).then_some(self.unheard_since);
        let since = waiting.into_iter().chain(unheard).min()?;
        // Not in the past: only the last share sent may have made them too many.
        Some((since + limits.unanswered_over).max(self.last_sent))
    }

    /// Why to leave, if silence has lasted too long.
    pub fn silence(
        &self,
        now: Duration,
        oldest: Option<Duration>,
        waiting: usize,
        limits: &Limits,
    ) -> Option<CloseReason> {
        self.deadline(oldest, waiting, limits).filter(|&due| due <= now)?;
        let unheard = (self.unheard > 0).then_some(self.unheard_since);
        let since = oldest.into_iter().chain(unheard).min()?;
        let age = now.saturating_sub(since);
        Some(CloseReason::Unanswered { count: waiting.max(self.unheard), age })
    }
}
