//! The book of a channel's shares, as that of V1 is: each share has exactly one end.
//!
//! The pool answers by sequence numbers, and may answer many at once: a success says that all up to
//! its last number are accepted, but for those that it refused one by one.
//!
//! Silence is told from a batch by the pool's own habits on the channel. Before its first answer
//! it has the patience of the largest batch that we know of ([`Limits::unanswered`]). Afterwards
//! some [`batches`](Limits::batches) of its largest size are silence, when the oldest share has
//! waited as many times as long as any share that it accepted, a minute at least. A number alone
//! would leave a pool that answers by the clock when the miner becomes faster; a time alone would
//! leave one that counts when the miner becomes slower. A pool that answers at once, or ten at a
//! time as in the examples of the reference implementation, is left within minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midstate_chain::{Share, Verdict};
use midstate_stratum::rules::{self, Bucket, Cause, Recent, Trust, Withheld};
use midstate_stratum::{CloseReason, ShareOutcome};

use crate::Limits;
use crate::channel::Channel;

/// Shares without a verdict, all of them sent on this channel.
#[derive(Debug)]
pub(crate) struct Shares {
    /// By sequence number. They grow, so the first is the oldest.
    unanswered: BTreeMap<u32, Sent>,
    /// Attempts without an answer, by sequence number, too.
    attempts: BTreeSet<u32>,
    last_sequence: u32,
    recent: Recent,
    /// How long a share holds up the next one, where they go one at a time.
    single: Option<Duration>,
    trust: Trust,
    /// The most shares that one answer accepted, and the longest that one of them waited for it.
    largest_batch: usize,
    longest_wait: Duration,
    limits: Limits,
    /// Those of V1, with the number of shares and the age of the oldest that are silence here.
    common: midstate_stratum::Limits,
}

/// The limit of shares a second, which all channels share.
#[derive(Debug)]
pub(crate) struct Pace(Bucket);

impl Pace {
    pub(crate) fn new(limits: &Limits) -> Self {
        let rate = limits.common.share_rate;
        Self(Bucket::new(rate, f64::from(rate)))
    }
}

#[derive(Debug)]
struct Sent {
    share: Share,
    is_block: bool,
    at: Duration,
}

impl Shares {
    /// A channel opens: a trial begins, and numbers begin anew.
    pub(crate) fn new(now: Duration, limits: &Limits, is_single: bool) -> Self {
        let common =
            midstate_stratum::Limits { unanswered: limits.unanswered, ..limits.common.clone() };
        let mut trust = Trust::default();
        trust.start(now);
        Self {
            unanswered: BTreeMap::new(),
            attempts: BTreeSet::new(),
            last_sequence: 0,
            recent: Recent::new(common.outbox),
            single: is_single.then_some(limits.single),
            trust,
            largest_batch: 0,
            longest_wait: Duration::ZERO,
            limits: limits.clone(),
            common,
        }
    }

    pub(crate) fn pending(&self) -> usize {
        self.unanswered.len()
    }

    /// The sequence number of an attempt. It is neither judged nor counted, and forgotten with the
    /// connection.
    pub(crate) fn attempt(&mut self) -> u32 {
        if self.attempts.len() >= self.common.outbox {
            self.attempts.pop_first();
        }
        self.last_sequence += 1;
        self.attempts.insert(self.last_sequence);
        self.last_sequence
    }

    /// SubmitShares.Success: the attempts that it ends.
    pub(crate) fn attempts_accepted(&mut self, last: u32) -> Vec<u32> {
        self.attempts.extract_if(..=last, |_| true).collect()
    }

    /// SubmitShares.Error: whether it ends an attempt.
    pub(crate) fn attempt_refused(&mut self, sequence: u32) -> bool {
        self.attempts.remove(&sequence)
    }

    /// Judges a share of `channel`: its sequence number if it is to be sent, and the end of another
    /// one or of itself.
    pub(crate) fn take(
        &mut self,
        now: Duration,
        share: &Share,
        channel: &Channel,
        pace: &mut Pace,
    ) -> (Option<u32>, Option<ShareOutcome>) {
        match self.judge(now, share, channel, pace) {
            Ok(is_block) => {
                let is_full = self.pending() >= self.common.outbox.max(1);
                let displaced = is_full.then(|| self.make_room()).flatten();
                self.recent.insert(&share.job, share.hash, |job| channel.has_headers_of(job));
                self.last_sequence += 1;
                let sent = Sent { share: share.clone(), is_block, at: now };
                self.unanswered.insert(self.last_sequence, sent);
                self.trust.sent(now);
                (Some(self.last_sequence), displaced)
            }
            Err(why) => (None, Some(why.end(share.clone(), Duration::ZERO))),
        }
    }

    /// Whether the share is to be sent; if so, whether it is a block. A block goes out whatever
    /// happened to its job and to our rates, as long as its job can be named.
    fn judge(
        &mut self,
        now: Duration,
        share: &Share,
        channel: &Channel,
        pace: &mut Pace,
    ) -> Result<bool, Withheld> {
        let job = &share.job;
        rules::check(share)?;
        let is_block = share.is_block();
        if is_block && !job.has_toy_blocks() {
            return Ok(true);
        }
        if !is_block {
            if !share.meets_share_target() {
                return Err(Withheld::TooEasy);
            }
            if !channel.is_live(job) {
                return Err(Withheld::Void);
            }
            if self.recent.contains(&share.hash) {
                return Err(Withheld::Duplicate);
            }
        }
        let last = self.unanswered.values().next_back();
        let is_held_up = |wait| last.is_some_and(|last| now < last.at + wait);
        if self.pending() >= self.common.outbox || self.single.is_some_and(is_held_up) {
            return Err(Withheld::Backlog);
        }
        if !pace.0.take(now) {
            return Err(Withheld::Rate);
        }
        Ok(is_block)
    }

    /// SubmitShares.Success: the shares that it ends.
    pub(crate) fn accepted(&mut self, now: Duration, last: u32) -> Vec<ShareOutcome> {
        let later = match last.checked_add(1) {
            Some(next) => self.unanswered.split_off(&next),
            None => BTreeMap::new(),
        };
        let accepted = std::mem::replace(&mut self.unanswered, later);
        if let Some(oldest) = accepted.values().next() {
            self.trust.accepted(now);
            let waited = now.saturating_sub(oldest.at);
            self.learn(accepted.len(), waited);
        }
        let ended = accepted.into_values().map(|Sent { share, at, .. }| {
            let outcome = ShareOutcome::new(share, Verdict::Accepted, None);
            ShareOutcome { latency: now.saturating_sub(at), ..outcome }
        });
        ended.collect()
    }

    /// An answer accepted so many shares, the oldest of which had waited so long.
    fn learn(&mut self, batch: usize, waited: Duration) {
        self.largest_batch = self.largest_batch.max(batch);
        self.longest_wait = self.longest_wait.max(waited);
        let Limits { batches, batched, unanswered, common, .. } = &self.limits;
        let many = self.largest_batch.saturating_mul(*batches as usize);
        self.common.unanswered = many.max(*batched).min(*unanswered);
        let long = self.longest_wait.saturating_mul(*batches);
        self.common.unanswered_over = long.max(common.unanswered_over);
    }

    /// SubmitShares.Error. `newest_since`: when the newest job came. The end of the share, and why
    /// to leave the pool, if this refusal is one too many.
    pub(crate) fn refused(
        &mut self,
        now: Duration,
        sequence: u32,
        code: &str,
        channel: &Channel,
        newest_since: Duration,
    ) -> Option<(ShareOutcome, Option<CloseReason>)> {
        // Late, doubled or invented answers meet no share.
        let Sent { share, at, .. } = self.unanswered.remove(&sequence)?;
        let cause = cause(code);
        let replaced = (!channel.is_newest(&share.job)).then(|| now.saturating_sub(newest_since));
        let distrust = self.trust.refused(now, cause, replaced, code, &self.common);
        let outcome = ShareOutcome::new(share, Verdict::Rejected, Some(code.to_owned()));
        let (advice, latency) = (advice(code), now.saturating_sub(at));
        Some((ShareOutcome { advice, latency, ..outcome }, distrust))
    }

    /// Why to leave the pool: it answers nothing.
    pub(crate) fn silence(&self, now: Duration) -> Option<CloseReason> {
        self.trust.silence(now, self.oldest(), self.pending(), &self.common)
    }

    /// When [`silence`](Self::silence) has lasted too long.
    pub(crate) fn silence_deadline(&self) -> Option<Duration> {
        self.trust.deadline(self.oldest(), self.pending(), &self.common)
    }

    /// When the oldest share without an answer was sent.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        self.unanswered.values().next().map(|sent| sent.at)
    }

    /// The channel is gone: no answer can come any more.
    pub(crate) fn end(&mut self, now: Duration, why: Withheld) -> Vec<ShareOutcome> {
        let left = std::mem::take(&mut self.unanswered).into_values();
        left.map(|Sent { share, at, .. }| why.end(share, now.saturating_sub(at))).collect()
    }

    /// The oldest share makes way, a block only if there is nothing else. Its answer will meet
    /// nothing.
    fn make_room(&mut self) -> Option<ShareOutcome> {
        let share = self.unanswered.iter().find(|(_, sent)| !sent.is_block).map(|(&id, _)| id);
        let oldest = self.unanswered.keys().next().copied();
        let Sent { share, .. } = share.or(oldest).and_then(|id| self.unanswered.remove(&id))?;
        Some(Withheld::Displaced.end(share, Duration::ZERO))
    }
}

/// The end of a share whose channel is gone. A job is a number of its channel, and a new channel
/// has numbers of its own.
pub(crate) fn without_channel(share: Share) -> ShareOutcome {
    let why = match rules::check(&share) {
        Err(why) => why,
        Ok(()) if share.is_block() => Withheld::SessionLost,
        Ok(()) => Withheld::Void,
    };
    why.end(share, Duration::ZERO)
}

/// The cause that an error code names (specification, 5.3.14, and the codes that pools use).
fn cause(code: &str) -> Cause {
    match code {
        "stale-share" => Cause::Stale,
        "duplicate-share" => Cause::Duplicate,
        "difficulty-too-low" => Cause::LowDifficulty,
        "version-rolling-not-allowed" | "invalid-non-rollable-version-bit" => Cause::BadVersion,
        "invalid-channel-id" => Cause::NotSubscribed,
        _ => Cause::Other,
    }
}

/// A guess of the cause and what to do.
fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "stale-share" => {
            "the job was replaced before the share arrived: a few are normal, many mean a slow line"
        }
        "duplicate-share" => "the pool has this share already: if it repeats, please report it",
        "difficulty-too-low" => {
            "pool and miner disagree about the target of the job: one of both does not keep it \
             for the life of the job"
        }
        "invalid-job-id" => {
            "the pool forgot the job: it was replaced long ago, or the pool restarted"
        }
        "version-rolling-not-allowed" | "invalid-non-rollable-version-bit" => {
            "the pool expects other version bits: try again without version rolling"
        }
        "bad-extranonce-size" => "the pool changed the size of the extranonce under way",
        "invalid-channel-id" => "the pool lost the channel: a reconnect cures it",
        _ => return None,
    })
}
