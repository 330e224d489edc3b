//! What the client remembers of one node.

use std::time::Duration;

use midstate_chain::Hash256;

/// A long poll that breaks sooner than this did not do its work.
pub(super) const SHORT: Duration = Duration::from_secs(10);
/// Short ones in a row until long polling rests.
const MAX_BREAKS: u32 = 3;
/// How long it rests.
const LONGPOLL_REST: Duration = Duration::from_secs(600);
/// Seconds to wait after the first, second, .. failure in a row.
const LADDER: [u64; 4] = [1, 2, 5, 10];

#[derive(Debug)]
pub(super) struct Node {
    pub(super) phase: Phase,
    /// When to ask it next.
    pub(super) wake_at: Option<Duration>,
    /// Asked, and not yet answered.
    pub(super) busy: bool,
    /// In a row.
    pub(super) failures: u32,
    /// A connection broke: it may have been restarted since, and have forgotten what it had not
    /// yet written to disk.
    pub(super) doubtful: bool,
    /// Gave work before.
    pub(super) was_connected: bool,
    /// Our payout script on its chain.
    pub(super) script: Vec<u8>,
    pub(super) longpoll: Option<LongPoll>,
    /// Long polls in a row that broke at once.
    pub(super) breaks: u32,
    longpoll_off_until: Duration,
    /// Last reason reported, so that each is said once.
    said: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its chain is not known (any more).
    New,
    /// May be asked for work.
    Ready,
    /// Must not be mined at.
    Unusable,
}

/// A long poll under way.
#[derive(Debug)]
pub(super) struct LongPoll {
    pub(super) id: u64,
    pub(super) poll_id: String,
    pub(super) sent_at: Duration,
    /// The tip it waits for to change.
    pub(super) tip: Hash256,
    /// A plain fetch has seen the tip change, and this has not.
    pub(super) passed_over: bool,
}

impl Node {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            phase: Phase::New,
            wake_at: Some(now),
            busy: false,
            failures: 0,
            doubtful: false,
            was_connected: false,
            script: Vec::new(),
            longpoll: None,
            breaks: 0,
            longpoll_off_until: Duration::ZERO,
            said: None,
        }
    }

    /// It gave a template. Whether that is news.
    pub(super) fn answered(&mut self) -> bool {
        let news = !self.was_connected || self.said.is_some();
        self.failures = 0;
        self.was_connected = true;
        self.said = None;
        news
    }

    /// It did not. Whether the reason is news.
    pub(super) fn failed(&mut self, now: Duration, reason: &str) -> bool {
        self.failures += 1;
        self.doubtful = true;
        // Another node may answer on this port tomorrow: ask for its chain again.
        self.phase = Phase::New;
        self.wake_at = Some(now + step(self.failures));
        let news = self.said.as_deref() != Some(reason);
        self.said = Some(reason.to_owned());
        news
    }

    /// Is left alone until then, if it can be used at all.
    pub(super) fn rest(&mut self, until: Duration) {
        if self.phase != Phase::Unusable {
            self.wake_at = Some(until);
        }
        self.longpoll = None;
    }

    /// A long poll ended without use. Whether long polling rests from now on.
    pub(super) fn longpoll_broke(&mut self, now: Duration) -> bool {
        self.breaks += 1;
        let rests = self.breaks >= MAX_BREAKS;
        if rests {
            self.breaks = 0;
            self.longpoll_off_until = now + LONGPOLL_REST;
        }
        rests
    }

    pub(super) fn may_longpoll(&self, now: Duration) -> bool {
        self.longpoll.is_none() && now >= self.longpoll_off_until
    }
}

fn step(failures: u32) -> Duration {
    let index = (failures as usize).clamp(1, LADDER.len()) - 1;
    Duration::from_secs(LADDER[index])
}
