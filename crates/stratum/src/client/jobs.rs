//! The pool's settings for its work: extranonce, difficulty, version mask, and the jobs made from
//! them (I1, I10, I14). Decides whether a share's job still counts.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share, Target};

use crate::difficulty::Difficulty;
use crate::notify::Notify;

/// Both parts' shape: the pool's bytes, and how many are ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Extranonce {
    pub(super) first: Vec<u8>,
    pub(super) second_size: usize,
}

impl Extranonce {
    /// Whether the job's coinbase is put together with it.
    fn is_of(&self, job: &Job) -> bool {
        self.first == job.extranonce1 && self.second_size == job.extranonce2_size
    }
}

/// The work of one pool.
#[derive(Debug)]
pub(super) struct Jobs {
    /// Counts the sessions that were not resumed.
    session: u64,
    /// For the next job. Kept while disconnected, to recognise the session when it comes back.
    extranonce: Option<Extranonce>,
    /// Whether this connection has been given its extranonce.
    subscribed: bool,
    /// As told on this connection; 1 until then.
    difficulty: Option<Difficulty>,
    /// The version bits that this connection may roll, now.
    version_mask: u32,
    /// A job that came before the extranonce did, with the difficulty of its time. The first job is
    /// never thrown away (I10).
    held: Option<(Notify, Target)>,
    /// The jobs whose shares count, newest last.
    live: VecDeque<Arc<Job>>,
    remembered: usize,
    /// On this connection the pool refused a share of an old job by a difficulty that was raised
    /// later: it does not keep a difficulty per job, so neither do we.
    judges_by_newest: bool,
    /// When the pool announced its newest job.
    announced: Duration,
}

impl Jobs {
    pub(super) fn new(remembered: usize) -> Self {
        Self {
            session: 0,
            extranonce: None,
            subscribed: false,
            difficulty: None,
            version_mask: 0,
            held: None,
            live: VecDeque::new(),
            remembered: remembered.max(1),
            judges_by_newest: false,
            announced: Duration::ZERO,
        }
    }

    /// A connection begins or ends: what was agreed on it is void. The jobs wait for the next
    /// subscription to tell whether their session goes on.
    pub(super) fn reset(&mut self) {
        self.subscribed = false;
        self.difficulty = None;
        self.version_mask = 0;
        self.held = None;
        // The next one may lead to another pool, and what was concluded from a refusal without a
        // reason may be wrong.
        self.judges_by_newest = false;
    }

    /// The subscription was answered. With the same extranonce the headers are the same, so the
    /// session goes on and the search with it; with another one all jobs die, as do those that are
    /// older than a change of it ([`set_extranonce`](Self::set_extranonce)).
    ///
    /// Returns the job that was held until now, or the running one if it has to change.
    pub(super) fn subscribed(&mut self, extranonce: Extranonce) -> Option<Arc<Job>> {
        if self.extranonce.as_ref() != Some(&extranonce) {
            self.session += 1;
            self.live.clear();
        }
        self.live.retain(|job| extranonce.is_of(job));
        self.extranonce = Some(extranonce);
        self.subscribed = true;
        match self.held.take() {
            Some((notify, share_target)) => self.admit(notify, share_target),
            None => self.narrowed(),
        }
    }

    /// A job was announced. `None` while the extranonce is not known; then it is kept.
    pub(super) fn notify(&mut self, now: Duration, notify: Notify) -> Option<Arc<Job>> {
        self.announced = now;
        let difficulty = self.difficulty.unwrap_or(Difficulty::ONE);
        self.admit(notify, difficulty.target)
    }

    /// Holds for the jobs to come. Whether it differs from the one before.
    pub(super) fn set_difficulty(&mut self, difficulty: Difficulty) -> bool {
        self.difficulty.replace(difficulty) != Some(difficulty)
    }

    /// Holds for the jobs to come.
    pub(super) fn set_extranonce(&mut self, extranonce: Extranonce) {
        self.extranonce = Some(extranonce);
    }

    /// The extranonce of the next job; `None` before the subscription is answered.
    pub(super) fn extranonce(&self) -> Option<&Extranonce> {
        self.extranonce.as_ref().filter(|_| self.subscribed)
    }

    /// Holds at once (BIP310). If the running job may roll bits that are now forbidden, it comes
    /// again without them; its older shares still count where they did not use those bits.
    pub(super) fn set_version_mask(&mut self, mask: u32) -> Option<Arc<Job>> {
        self.version_mask = mask;
        if self.subscribed { self.narrowed() } else { None }
    }

    pub(super) fn version_mask(&self) -> u32 {
        self.version_mask
    }

    /// Whether the pool still takes shares of this job.
    pub(super) fn is_live(&self, job: &Arc<Job>) -> bool {
        let is_same =
            |live: &Arc<Job>| Arc::ptr_eq(live, job) || (live.id == job.id && live.same_work(job));
        self.live.iter().rev().any(is_same)
    }

    /// Whether the headers of this job are among those of a job whose shares count: a share of one
    /// may then be found again.
    pub(super) fn has_headers_of(&self, job: &Arc<Job>) -> bool {
        let is_same = |live: &Arc<Job>| Arc::ptr_eq(live, job) || live.same_work_but_versions(job);
        self.live.iter().rev().any(is_same)
    }

    /// How long ago another job took the place of this one. `None`: it is still the newest.
    pub(super) fn replaced_ago(&self, now: Duration, job: &Job) -> Option<Duration> {
        let is_newest =
            self.live.back().is_some_and(|newest| newest.id == job.id && newest.same_work(job));
        (!is_newest).then(|| now.saturating_sub(self.announced))
    }

    /// Whether the share's version can be told to the pool with the mask that holds now.
    pub(super) fn can_express(&self, share: &Share) -> bool {
        (share.version ^ share.job.version) & !self.version_mask == 0
    }

    /// Whether the share's coinbase is the one that the pool puts together on this connection.
    pub(super) fn is_ours(&self, job: &Job) -> bool {
        self.extranonce().is_some_and(|extranonce| extranonce.is_of(job))
    }

    /// The target the pool judges a share of this job by.
    pub(super) fn target_of(&self, job: &Job) -> Target {
        match self.difficulty {
            Some(newest) if self.judges_by_newest => job.share_target.min(newest.target),
            _ => job.share_target,
        }
    }

    /// The pool refused a share for its difficulty, or without a word. After a raise, and for a
    /// hash that misses the new target, that means that it judges old jobs by the new one, as
    /// p2poolv2 does. Whether that was it.
    pub(super) fn refused_as_too_easy(&mut self, share: &Share) -> bool {
        let raised = self.difficulty.is_some_and(|newest| {
            newest.target < share.job.share_target && !newest.target.is_met_by(&share.hash)
        });
        self.judges_by_newest |= raised;
        raised
    }

    /// The running job without the bits that may not be rolled any more, if it has such.
    fn narrowed(&mut self) -> Option<Arc<Job>> {
        let version_mask = self.version_mask;
        let running = self.live.back().filter(|job| job.version_mask & !version_mask != 0)?;
        let job = Job { version_mask, clean: false, ..Job::clone(running) };
        Some(self.remember(job))
    }

    fn admit(&mut self, mut notify: Notify, share_target: Target) -> Option<Arc<Job>> {
        let Some(extranonce) = self.extranonce().cloned() else {
            notify.clean |= self.held.take().is_some_and(|(older, _)| older.clean);
            self.held = Some((notify, share_target));
            return None;
        };
        // The block changed, whatever the pool says; and the first job of a session voids those of
        // the session before.
        let previous = self.live.back().map(|job| job.prev_hash);
        let clean = notify.clean || previous != Some(notify.prev_hash);
        if clean {
            self.live.clear();
        }
        // Ids are recycled: a new content takes the id away from the old one, and the pool would
        // judge the old one's shares by the new content.
        self.live.retain(|job| job.id != notify.id);
        Some(self.remember(Job {
            id: notify.id,
            session: self.session,
            channel: None,
            version: notify.version,
            version_mask: self.version_mask,
            prev_hash: notify.prev_hash,
            coinbase_prefix: notify.coinbase_prefix,
            extranonce1: extranonce.first,
            extranonce2_size: extranonce.second_size,
            coinbase_suffix: notify.coinbase_suffix,
            branch: notify.branch,
            bits: notify.bits,
            time: notify.time,
            share_target,
            network_target: notify.network_target,
            clean,
        }))
    }

    fn remember(&mut self, job: Job) -> Arc<Job> {
        let job = Arc::new(job);
        if self.live.len() == self.remembered {
            self.live.pop_front();
        }
        self.live.push_back(Arc::clone(&job));
        job
    }
}
