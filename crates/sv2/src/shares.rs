//! The book of shares, as that of V1 is: each share has exactly one end.
//!
//! The pool answers by sequence numbers, and may answer many at once: a success says that all up to
//! its last number are accepted, but for those that it refused one by one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use midstate_chain::{Share, Verdict};
use midstate_stratum::rules::{self, Bucket, Cause, Recent, Trust, Withheld};
use midstate_stratum::{CloseReason, ShareOutcome};

use crate::Limits;
use crate::channel::Channel;

/// Shares without a verdict, all of them sent on this connection.
#[derive(Debug)]
pub(crate) struct Shares {
    /// By sequence number. They grow, so the first is the oldest.
    unanswered: BTreeMap<u32, Sent>,
    /// Attempts without an answer, by sequence number, too.
    attempts: BTreeSet<u32>,
    last_sequence: u32,
    recent: Recent,
    pace: Bucket,
    /// How long a share holds up the next one, where they go one at a time.
    single: Option<Duration>,
    trust: Trust,
    limits: midstate_stratum::Limits,
    outcomes: VecDeque<ShareOutcome>,
    answers: VecDeque<(u32, Result<(), String>)>,
}

#[derive(Debug)]
struct Sent {
    share: Share,
    is_block: bool,
    at: Duration,
}

impl Shares {
    pub(crate) fn new(limits: &Limits, is_single: bool) -> Self {
        let common =
            midstate_stratum::Limits { unanswered: limits.unanswered, ..limits.common.clone() };
        Self {
            unanswered: BTreeMap::new(),
            attempts: BTreeSet::new(),
            last_sequence: 0,
            recent: Recent::new(common.outbox),
            pace: Bucket::new(common.share_rate, f64::from(common.share_rate)),
            single: is_single.then_some(limits.single),
            trust: Trust::default(),
            limits: common,
            outcomes: VecDeque::new(),
            answers: VecDeque::new(),
        }
    }

    /// A channel opens: a trial begins, and numbers begin anew.
    pub(crate) fn opened(&mut self, now: Duration) {
        self.trust.start(now);
        self.last_sequence = 0;
    }

    pub(crate) fn pending(&self) -> usize {
        self.unanswered.len()
    }

    pub(crate) fn poll_outcome(&mut self) -> Option<ShareOutcome> {
        self.outcomes.pop_front()
    }

    /// The next answer to an attempt.
    pub(crate) fn poll_answer(&mut self) -> Option<(u32, Result<(), String>)> {
        self.answers.pop_front()
    }

    /// The sequence number of an attempt. It is neither judged nor counted, and forgotten with the
    /// connection.
    pub(crate) fn attempt(&mut self) -> u32 {
        if self.attempts.len() >= self.limits.outbox {
            self.attempts.pop_first();
        }
        self.last_sequence += 1;
        self.attempts.insert(self.last_sequence);
        self.last_sequence
    }

    /// Judges a share: its sequence number if it is to be sent, and whether it is a block.
    pub(crate) fn take(
        &mut self,
        now: Duration,
        share: &Share,
        channel: Option<&Channel>,
    ) -> Option<u32> {
        match self.judge(now, share, channel) {
            Ok(is_block) => {
                if self.pending() >= self.limits.outbox.max(1) {
                    self.make_room();
                }
                self.recent.insert(&share.job, share.hash, |job| {
                    channel.is_some_and(|channel| channel.has_headers_of(job))
                });
                self.last_sequence += 1;
                let sent = Sent { share: share.clone(), is_block, at: now };
                self.unanswered.insert(self.last_sequence, sent);
                self.trust.sent(now);
                Some(self.last_sequence)
            }
            Err(why) => {
                self.outcomes.push_back(why.end(share.clone(), Duration::ZERO));
                None
            }
        }
    }

    /// Whether the share is to be sent; if so, whether it is a block. A block goes out whatever
    /// happened to its job and to our rates, as long as its job can be named.
    fn judge(
        &mut self,
        now: Duration,
        share: &Share,
        channel: Option<&Channel>,
    ) -> Result<bool, Withheld> {
        let job = &share.job;
        rules::check(share)?;
        let is_block = share.is_block();
        let issued = channel.is_some_and(|channel| channel.issued(job));
        if !issued {
            // A job is a number of its channel, and a new channel has numbers of its own.
            return Err(if is_block { Withheld::SessionLost } else { Withheld::Void });
        }
        if is_block && !job.has_toy_blocks() {
            return Ok(true);
        }
        if !is_block {
            if !share.meets_share_target() {
                return Err(Withheld::TooEasy);
            }
            if !channel.is_some_and(|channel| channel.is_live(job)) {
                return Err(Withheld::Void);
            }
            if self.recent.contains(&share.hash) {
                return Err(Withheld::Duplicate);
            }
        }
        let last = self.unanswered.values().next_back();
        let is_held_up = |wait| last.is_some_and(|last| now < last.at + wait);
        if self.pending() >= self.limits.outbox || self.single.is_some_and(is_held_up) {
            return Err(Withheld::Backlog);
        }
        if !self.pace.take(now) {
            return Err(Withheld::Rate);
        }
        Ok(is_block)
    }

    /// SubmitShares.Success: how many shares it ends.
    pub(crate) fn accepted(&mut self, now: Duration, last: u32) -> usize {
        let later = match last.checked_add(1) {
            Some(next) => self.unanswered.split_off(&next),
            None => BTreeMap::new(),
        };
        let accepted = std::mem::replace(&mut self.unanswered, later);
        let attempts: Vec<_> = self.attempts.extract_if(..=last, |_| true).collect();
        let count = accepted.len() + attempts.len();
        self.answers.extend(attempts.into_iter().map(|sequence| (sequence, Ok(()))));
        for (_, Sent { share, at, .. }) in accepted {
            self.trust.accepted(now);
            let outcome = ShareOutcome::new(share, Verdict::Accepted, None);
            let latency = now.saturating_sub(at);
            self.outcomes.push_back(ShareOutcome { latency, ..outcome });
        }
        count
    }

    /// SubmitShares.Error. `newest_since`: when the newest job came. Why to leave the pool, if
    /// this refusal is one too many.
    pub(crate) fn refused(
        &mut self,
        now: Duration,
        sequence: u32,
        code: &str,
        channel: &Channel,
        newest_since: Duration,
    ) -> Option<CloseReason> {
        if self.attempts.remove(&sequence) {
            self.answers.push_back((sequence, Err(code.to_owned())));
            return None;
        }
        // Late, doubled or invented answers meet no share.
        let Sent { share, at, .. } = self.unanswered.remove(&sequence)?;
        let cause = cause(code);
        let replaced = (!channel.is_newest(&share.job)).then(|| now.saturating_sub(newest_since));
        let distrust = self.trust.refused(now, cause, replaced, code, &self.limits);
        let outcome = ShareOutcome::new(share, Verdict::Rejected, Some(code.to_owned()));
        let (advice, latency) = (advice(code), now.saturating_sub(at));
        self.outcomes.push_back(ShareOutcome { advice, latency, ..outcome });
        distrust
    }

    /// Why to leave the pool: it answers nothing.
    pub(crate) fn silence(&self, now: Duration) -> Option<CloseReason> {
        let (oldest, waiting) = self.oldest();
        self.trust.silence(now, oldest, waiting, &self.limits)
    }

    /// When [`silence`](Self::silence) has lasted too long.
    pub(crate) fn silence_deadline(&self) -> Option<Duration> {
        let (oldest, waiting) = self.oldest();
        self.trust.deadline(oldest, waiting, &self.limits)
    }

    fn oldest(&self) -> (Option<Duration>, usize) {
        (self.unanswered.values().next().map(|sent| sent.at), self.unanswered.len())
    }

    /// The connection, and with it the channel, is gone: no answer can come any more.
    pub(crate) fn end(&mut self, now: Duration, why: Withheld) {
        self.attempts.clear();
        for (_, Sent { share, at, .. }) in std::mem::take(&mut self.unanswered) {
            self.outcomes.push_back(why.end(share, now.saturating_sub(at)));
        }
    }

    /// Ends a share that comes after the end.
    pub(crate) fn refuse_late(&mut self, share: Share) {
        self.outcomes.push_back(Withheld::Finished.end(share, Duration::ZERO));
    }

    /// The oldest share makes way, a block only if there is nothing else. Its answer will meet
    /// nothing.
    fn make_room(&mut self) {
        let share = self.unanswered.iter().find(|(_, sent)| !sent.is_block).map(|(&id, _)| id);
        let oldest = self.unanswered.keys().next().copied();
        if let Some(Sent { share, .. }) =
            share.or(oldest).and_then(|id| self.unanswered.remove(&id))
        {
            self.outcomes.push_back(Withheld::Displaced.end(share, Duration::ZERO));
        }
    }
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
