//! The client's memory of one node.

use std::time::Duration;

use midstate_chain::Hash256;

use super::refusals::Refusals;
use crate::Lateness;
use crate::limits::{
    ASK_AGAIN, LEFT_BEHIND, LONGPOLL_REST, MAX_BREAKS, NODE_RETRIES, PATIENCE, SHRUNK, SURE_FOR,
};
use crate::recurring::Changing;
use crate::rpc::{Answer, RpcError};

#[derive(Debug)]
pub(super) struct Node {
    pub(super) phase: Phase,
    /// It was wanted when last looked at.
    pub(super) was_wanted: bool,
    /// When to ask it next.
    pub(super) wake_at: Option<Duration>,
    /// A template was asked for, and has not come yet.
    pub(super) busy: bool,
    /// Since when the question for its chain is unanswered, if one is.
    pub(super) identifying: Option<Duration>,
    /// Connections opened since that question was asked; the first may be the question's own.
    opened: u32,
    /// A connection was opened after its chain was last asked for: another node may answer there.
    pub(super) doubted: bool,
    /// When it last named its chain, and nothing has spoken against it since.
    sure_at: Option<Duration>,
    /// It has named our chain at some time.
    pub(super) has_named_chain: bool,
    /// It is on another chain than ours.
    pub(super) is_foreign: bool,
    /// Its chain was last asked for in vain.
    pub(super) vain: Option<Vain>,
    /// When a call to it last ended.
    pub(super) heard_at: Duration,
    /// That it does not answer was told, and it has given no work since.
    pub(super) is_silent: bool,
    /// The blocks in a row that it has not taken.
    pub(super) refusals: Refusals,
    /// Why it refused our proposal, until it takes one.
    pub(super) refused_for: Option<String>,
    /// It did not take our last proposal: to give templates is not enough to give work.
    pub(super) fails_checks: bool,
    /// A template that came while it was doubted.
    pub(super) held: Option<Answer>,
    /// In a row.
    pub(super) failures: u32,
    /// A connection broke: it may have been restarted since, and have forgotten what it had not
    /// yet written to disk.
    pub(super) doubtful: bool,
    /// Templates in a row on a tip that is behind that of the node that gives the work.
    pub(super) behind: u32,
    /// That of its last template.
    pub(super) tip: Option<Hash256>,
    /// The height of that tip, unless the node may have been restarted since.
    pub(super) height: Option<u32>,
    /// The greatest height of a template, and when a lower one is told.
    highest: u32,
    shrunk: Option<Duration>,
    /// Gave work before.
    pub(super) was_connected: bool,
    /// Our payout script on its chain.
    pub(super) script: Vec<u8>,
    pub(super) waiting: Waiting,
    /// Last reason reported, so that each is said once.
    said: Option<String>,
    /// Reasons why proposals stay unchecked, and why they are refused, for the same.
    pub(super) unchecked: Changing,
    pub(super) refusals_told: Changing,
    /// Its answers to proposals that came too late.
    pub(super) lateness: Lateness,
    /// That they do was told.
    pub(super) lateness_told: bool,
}

/// A question for the chain of a node that brought no answer. The next one has time until then,
/// however many blocks wait for it.
#[derive(Debug)]
pub(super) struct Vain {
    pub(super) until: Duration,
    pub(super) error: RpcError,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its chain is not known (any more).
    New,
    /// May be asked for work.
    Ready,
}

/// Knowledge about waiting at the node; see `client/waiting.rs`.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    pub(super) longpoll: Option<LongPoll>,
    pub(super) seen: Option<Seen>,
    pub(super) room: Room,
    /// Times in a row that it had room.
    pub(super) proofs: u32,
    /// Times in a row that it had no room.
    pub(super) shortages: u32,
    pub(super) shortage_told: bool,
    /// When a wait last made way for a block, which may stand behind it all the same.
    pub(super) made_way: Option<Duration>,
    /// Since when its room may be asked for soon: a short run leaves nothing behind at the node.
    pub(super) serving_since: Option<Duration>,
    /// Long polls in a row that broke at once.
    pub(super) breaks: u32,
    /// Nothing waits before.
    longpoll_off_until: Duration,
    /// The tip that a wait last said was replaced, and when.
    pub(super) left: Option<(Hash256, Duration)>,
}

/// A call that waits at the node for the next tip.
#[derive(Debug)]
pub(super) struct LongPoll {
    pub(super) id: u64,
    /// Of the template at hand; `None` for a wait that ends by itself.
    pub(super) poll_id: Option<String>,
    pub(super) sent_at: Duration,
    /// The tip it waits for to change.
    pub(super) tip: Hash256,
    /// A plain fetch has seen the tip change, and this has not.
    pub(super) passed_over: bool,
}

/// The template at hand, as far as one can wait for the next.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) tip: Hash256,
    /// When a template on this tip came first.
    pub(super) since: Duration,
    pub(super) height: u32,
    pub(super) poll_id: Option<String>,
}

/// Whether the node has threads to spare.
#[derive(Debug, Default)]
pub(super) enum Room {
    /// Not asked yet, or too long ago.
    #[default]
    Unknown,
    /// These calls are to find out.
    Asked { calls: Vec<u64>, since: Duration },
    /// It had, and is taken to have until then.
    Proven { until: Duration },
    /// It cannot be asked.
    Unknowable,
}

impl Node {
    pub(super) fn new(now: Duration) -> Self {
        Self {
            phase: Phase::New,
            was_wanted: false,
            wake_at: Some(now),
            busy: false,
            identifying: None,
            opened: 0,
            doubted: false,
            sure_at: None,
            has_named_chain: false,
            is_foreign: false,
            vain: None,
            heard_at: now,
            is_silent: false,
            refusals: Refusals::default(),
            refused_for: None,
            fails_checks: false,
            held: None,
            failures: 0,
            doubtful: false,
            height: None,
            behind: 0,
            tip: None,
            highest: 0,
            shrunk: None,
            was_connected: false,
            script: Vec::new(),
            waiting: Waiting::default(),
            said: None,
            unchecked: Changing::default(),
            refusals_told: Changing::default(),
            lateness: Lateness::default(),
            lateness_told: false,
        }
    }

    /// Whether an answer is awaited before it can be asked for work.
    pub(super) fn waits(&self) -> bool {
        self.busy || (self.phase != Phase::Ready && self.identifying.is_some())
    }

    /// Whether nothing is awaited from it, and nothing will be asked.
    pub(super) fn is_forgotten(&self) -> bool {
        !self.busy && self.identifying.is_none() && self.wake_at.is_none()
    }

    /// Its chain is being asked for.
    pub(super) fn identify(&mut self, now: Duration) {
        self.identifying = Some(now);
        self.opened = 0;
    }

    /// A connection to it was opened.
    pub(super) fn opened(&mut self) {
        self.doubted = true;
        self.sure_at = None;
        self.opened += 1;
    }

    /// It did not name its chain.
    pub(super) fn not_identified(&mut self, now: Duration, error: RpcError) -> &Vain {
        self.vain.insert(Vain { until: now + ASK_AGAIN, error })
    }

    /// It is on our chain.
    pub(super) fn identified(&mut self, now: Duration) {
        // Where each call has a connection of its own, the question had one, too.
        self.doubted = self.opened > 1;
        self.sure_at = Some(now).filter(|_| !self.doubted);
    }

    /// Whether a block may be sent to it: it has named its chain just now. A node that hangs is
    /// waited for no longer than a second, unless it is doubted.
    pub(super) fn may_submit(&self, now: Duration) -> bool {
        let is_sure = self.sure_at.is_some_and(|at| now <= at + SURE_FOR);
        let waited = self.phase == Phase::Ready
            && !self.doubted
            && self.identifying.is_some_and(|since| now >= since + PATIENCE);
        !self.is_foreign && (is_sure || waited)
    }

    /// When a block goes off although the node has not named its chain.
    pub(super) fn patience_ends(&self) -> Option<Duration> {
        let waits = self.phase == Phase::Ready && !self.doubted && !self.is_foreign;
        self.identifying.filter(|_| waits).map(|since| since + PATIENCE)
    }

    /// It gives work. Whether that is news.
    pub(super) fn answered(&mut self) -> bool {
        let news = !self.was_connected || self.said.is_some();
        self.was_connected = true;
        self.said = None;
        news
    }

    /// A template of this height came. By how many blocks the chain is shorter than it was, said
    /// once when it has been so for a while.
    pub(super) fn shrank(&mut self, now: Duration, height: u32) -> Option<u32> {
        let lost = self.highest.saturating_sub(height);
        if lost == 0 {
            (self.highest, self.shrunk) = (height, None);
            return None;
        }
        let due = *self.shrunk.get_or_insert(now + SHRUNK);
        (now >= due).then(|| {
            (self.highest, self.shrunk) = (height, None);
            lost
        })
    }

    /// It did not. Whether the reason is news.
    pub(super) fn failed(&mut self, now: Duration, reason: &str) -> bool {
        self.failures += 1;
        self.doubtful = true;
        // Another node may answer on this port tomorrow: ask for its chain again.
        self.distrust();
        self.wake_at = Some(now + step(self.failures));
        let news = self.said.as_deref() != Some(reason);
        self.said = Some(reason.to_owned());
        news
    }

    /// Something broke: ask for its chain before anything else.
    pub(super) fn distrust(&mut self) {
        self.sure_at = None;
        self.held = None;
        self.height = None;
        if self.phase == Phase::Ready {
            self.phase = Phase::New;
        }
    }

    /// Why it gives no work, as it was told last. `None` while it does.
    pub(super) fn trouble(&self) -> Option<&str> {
        let said = self.said.as_deref().or(self.refused_for.as_deref());
        said.or_else(|| self.refusals.trouble())
    }
}

impl Waiting {
    /// A long poll ended without use. Whether long polling rests from now on.
    pub(super) fn longpoll_broke(&mut self, now: Duration) -> bool {
        self.breaks += 1;
        let rests = self.breaks >= MAX_BREAKS;
        if rests {
            self.rest_longpoll(now);
        }
        rests
    }

    /// Whether a wait has just said that another tip took the place of the one at hand, and no
    /// template has it yet. The next wait would say so at once, and so each one after it.
    pub(super) fn would_return_at_once(&self, now: Duration) -> bool {
        let at_hand = self.seen.as_ref().map(|seen| seen.tip);
        self.left.is_some_and(|(tip, at)| at_hand == Some(tip) && now < at + LEFT_BEHIND)
    }

    /// Nothing waits at it for a while.
    pub(super) fn rest_longpoll(&mut self, now: Duration) {
        self.breaks = 0;
        self.shortages = 0;
        self.proofs = 0;
        self.room = Room::Unknown;
        self.longpoll_off_until = now + LONGPOLL_REST;
    }

    pub(super) fn may_longpoll(&self, now: Duration) -> bool {
        self.longpoll.is_none() && now >= self.longpoll_off_until
    }
}

fn step(failures: u32) -> Duration {
    let index = (failures as usize).clamp(1, NODE_RETRIES.len()) - 1;
    Duration::from_secs(NODE_RETRIES[index])
}
