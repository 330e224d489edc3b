//! The faults of a miner on purpose: attempts beside the good shares, and the pool's answers.
//!
//! A share that goes wrong is used up by that. The exceptions: the one before a duplicate, which
//! counts as any other; and a share that brings about a wrong time or version. For these the miner
//! has to hash a job of its own making, so that the wrong share meets the target.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Header, Job, Share};
use midstate_stratum::Submission;

use super::MinerConfig;
use super::session::{Attempt, Halves, Session};
use crate::fault::{Code, Fault, FaultNews};

/// How late a late share is.
const LATENESS: Duration = Duration::from_secs(10);
/// How long a silence lasts.
pub const SILENCE: Duration = Duration::from_secs(60);
/// From the first half of a share to the second.
const HALF_TIME: Duration = Duration::from_secs(5);
/// How far the time of a share is ahead that comes from the future. Nodes take two hours.
const FUTURE: u32 = 3 * 60 * 60;
/// Nonces that are looked at for a hash that misses the target.
const LOW_TRIES: u32 = 64;
/// Jobs of our own making whose late hits are known.
const TWISTED: usize = 4;
/// A job that no pool has: a name with V1, a number with V2.
const NO_JOB: [&str; 2] = ["99999999", "99999998"];

/// The wrong things that are under way.
#[derive(Debug)]
pub(super) struct Wrong {
    /// The user that is let in, if shares name one.
    user: Option<String>,
    /// How long an answer is waited for.
    patience: Duration,
    /// Without an answer yet, each with the time of its sending.
    sent: BTreeMap<u64, (Fault, Duration)>,
    /// Shares that wait to be late, or stale.
    held: Vec<Held>,
    /// Bytes that go before all others: those up to the first half of a share, then the second.
    first: VecDeque<Vec<u8>>,
    /// The second half of a share, and when it is due. Nothing else goes before it.
    half: Option<(Duration, Vec<u8>)>,
    silent_until: Option<Duration>,
    /// Until when shares or answers are held back, or were the last time.
    held_back_until: Duration,
    /// Wrong times and versions that are wished for.
    wished: VecDeque<Fault>,
    /// Jobs of our own making, the newest last, with the pool's job.
    twisted: VecDeque<(Fault, Arc<Job>, Arc<Job>)>,
    /// The miner hashes the newest of those.
    is_twisted: bool,
    news: VecDeque<FaultNews>,
}

#[derive(Debug)]
struct Held {
    fault: Fault,
    share: Share,
    /// When it is sent; `None`: when its job is void.
    due: Option<Duration>,
}

impl Wrong {
    pub(super) fn new(config: &MinerConfig) -> Self {
        Self {
            user: config.user_of_shares().map(str::to_owned),
            patience: config.patience(),
            sent: BTreeMap::new(),
            held: Vec::new(),
            first: VecDeque::new(),
            half: None,
            silent_until: None,
            held_back_until: Duration::ZERO,
            wished: VecDeque::new(),
            twisted: VecDeque::new(),
            is_twisted: false,
            news: VecDeque::new(),
        }
    }

    /// Makes the fault of a share of the present job. `false`: the share goes to the pool as a good
    /// one all the same, and has done so before a duplicate.
    pub(super) fn spoil(
        &mut self,
        now: Duration,
        session: &mut Session,
        share: Share,
        fault: Fault,
    ) -> bool {
        let mut attempt = self.attempt(&share);
        let wrong = &mut attempt.submission;
        match fault {
            Fault::Duplicate => {
                self.send(now, session, fault, &attempt);
                return false;
            }
            Fault::BadTime | Fault::BadVersion => {
                self.wished.push_back(fault);
                return false;
            }
            Fault::Stale => {
                self.held.push(Held { fault, share, due: None });
                return true;
            }
            Fault::Late => {
                self.held.push(Held { fault, share, due: Some(now + LATENESS) });
                return true;
            }
            Fault::Low => match low(&share) {
                Some(nonce) => wrong.nonce = nonce,
                None => {
                    self.tell(FaultNews::Unsent(fault));
                    return true;
                }
            },
            Fault::BadJob => {
                let other = NO_JOB.into_iter().find(|id| *id != wrong.job_id);
                wrong.job_id = other.unwrap_or_default().to_owned();
            }
            Fault::BadExtranonce if !wrong.extranonce2.is_empty() => {
                wrong.extranonce2.pop();
            }
            Fault::Unauthorized if self.user.is_some() => wrong.worker += ".unknown",
            Fault::HalfLine if self.half.is_none() => {
                self.send_half(now, session, fault, &attempt);
                return true;
            }
            // A share of V2 names no user, and on a standard channel it has no extranonce. Halves
            // go one at a time. The others are acts.
            Fault::BadExtranonce
            | Fault::Unauthorized
            | Fault::HalfLine
            | Fault::Silent
            | Fault::Disconnect => {
                self.tell(FaultNews::Unsent(fault));
                return false;
            }
        }
        self.send(now, session, fault, &attempt);
        true
    }

    /// Nothing is read or written for a while.
    pub(super) fn fall_silent(&mut self, now: Duration) {
        self.silent_until = Some(now + SILENCE);
        self.held_back_until = now + SILENCE;
        self.tell(FaultNews::Done(Fault::Silent));
    }

    /// Whether a fault of ours has held back a share that was found then, or its answer, which has
    /// come now.
    pub(super) fn has_held_back(&self, found: Duration) -> bool {
        found < self.held_back_until
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent_until.is_some()
    }

    /// The job to hash, where the pool has sent this one.
    pub(super) fn handle_job(
        &mut self,
        now: Duration,
        session: &mut Session,
        job: &Arc<Job>,
        before: Option<&Arc<Job>>,
    ) -> Arc<Job> {
        if job.clean {
            self.send_held(now, session, |held| held.due.is_none());
        }
        // The search of the pool's job begins anew behind ours. So a job that was hashed before
        // is not twisted: its shares would be found a second time.
        let is_known = before.is_some_and(|before| before.same_work_but_versions(job));
        self.is_twisted = false;
        match self.wished.front() {
            Some(&fault) if !is_known => {
                let twisted = Arc::new(twist(job, fault));
                if self.twisted.len() == TWISTED {
                    self.twisted.pop_front();
                }
                self.twisted.push_back((fault, Arc::clone(&twisted), Arc::clone(job)));
                self.is_twisted = true;
                twisted
            }
            _ => Arc::clone(job),
        }
    }

    /// `None` where a share does not belong to a job of ours. The first share of the newest such
    /// job is sent, and the job to hash from now on comes back.
    pub(super) fn handle_twisted(
        &mut self,
        now: Duration,
        session: &mut Session,
        share: &Share,
    ) -> Option<Option<Arc<Job>>> {
        let of_job =
            |(_, twisted, _): &(Fault, Arc<Job>, Arc<Job>)| Arc::ptr_eq(twisted, &share.job);
        let at = self.twisted.iter().position(of_job)?;
        if !self.is_twisted || at + 1 != self.twisted.len() {
            // One hit too many: it is of no use to anybody.
            return Some(None);
        }
        let (fault, _, job) = &self.twisted[at];
        let (fault, job) = (*fault, Arc::clone(job));
        self.is_twisted = false;
        self.wished.pop_front();
        let rolled = share.version ^ job.version;
        let is_rolled = job.version_mask != 0 || fault == Fault::BadVersion;
        let version_bits = is_rolled.then_some(share.version & (job.version_mask | rolled));
        let mut attempt = self.attempt(share);
        attempt.submission.version_bits = version_bits;
        self.send(now, session, fault, &attempt);
        Some(Some(job))
    }

    /// The pool answered an attempt.
    pub(super) fn handle_answer(
        &mut self,
        now: Duration,
        id: u64,
        answer: Result<(), Option<Code>>,
    ) {
        if let Some((fault, at)) = self.sent.remove(&id) {
            let latency = now.saturating_sub(at);
            self.tell(FaultNews::Answered { fault, answer, latency });
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Duration, session: &mut Session) {
        if self.silent_until.is_some_and(|until| now >= until) {
            self.silent_until = None;
        }
        if let Some((_, second)) = self.half.take_if(|(due, _)| now >= *due) {
            self.first.push_back(second);
        }
        self.send_held(now, session, |held| held.due.is_some_and(|due| now >= due));
        let patience = self.patience;
        let overdue = |_: &u64, (_, at): &mut (Fault, Duration)| now >= *at + patience;
        let given_up: Vec<_> = self.sent.extract_if(.., overdue).collect();
        given_up.into_iter().for_each(|(_, (fault, _))| self.tell(FaultNews::Unanswered(fault)));
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let half = self.half.as_ref().map(|(due, _)| *due);
        let held = self.held.iter().filter_map(|held| held.due).min();
        let answer = self.sent.values().map(|(_, at)| *at + self.patience).min();
        [self.silent_until, half, held, answer].into_iter().flatten().min()
    }

    /// The connection has ended, by a fault of ours if `is_cut`. Whether another fault can have
    /// brought it about.
    pub(super) fn handle_disconnected(&mut self, is_cut: bool) -> bool {
        let silent = self.silent_until.map(|_| Fault::Silent);
        let half = self.half.as_ref().map(|_| Fault::HalfLine);
        let cut_off: Vec<_> = silent.into_iter().chain(half).filter(|_| !is_cut).collect();
        cut_off.iter().for_each(|&fault| self.tell(FaultNews::CutOff(fault)));
        self.forget();
        !cut_off.is_empty()
    }

    /// Nothing of this connection is under way any more.
    fn forget(&mut self) {
        (self.silent_until, self.half) = (None, None);
        for (fault, _) in std::mem::take(&mut self.sent).into_values() {
            self.tell(FaultNews::Unanswered(fault));
        }
        for Held { fault, .. } in std::mem::take(&mut self.held) {
            self.tell(FaultNews::Unsent(fault));
        }
        self.first.clear();
        self.is_twisted = false;
    }

    /// No more shares come: those that wait are not sent.
    pub(super) fn finish(&mut self) {
        self.forget();
        for fault in std::mem::take(&mut self.wished) {
            self.tell(FaultNews::Unsent(fault));
        }
    }

    /// Attempts that wait for their answers.
    pub(super) fn pending(&self) -> usize {
        self.sent.len()
    }

    /// The next bytes to write.
    pub(super) fn poll_transmit(&mut self, session: &mut Session) -> Option<Vec<u8>> {
        if self.is_silent() {
            return None;
        }
        let first = self.first.pop_front();
        first.or_else(|| if self.half.is_none() { session.poll_transmit() } else { None })
    }

    pub(super) fn poll_news(&mut self) -> Option<FaultNews> {
        self.news.pop_front()
    }

    pub(super) fn tell(&mut self, news: FaultNews) {
        self.news.push_back(news);
    }

    fn attempt(&self, share: &Share) -> Attempt {
        let submission = Submission {
            worker: self.user.clone().unwrap_or_default(),
            job_id: share.job.id.clone(),
            extranonce2: share.extranonce2.clone(),
            time: share.time,
            nonce: share.nonce,
            version_bits: (share.job.version_mask != 0).then(|| share.version_bits()),
        };
        Attempt { submission, version: share.version }
    }

    fn send(&mut self, now: Duration, session: &mut Session, fault: Fault, attempt: &Attempt) {
        let id = session.attempt(attempt);
        self.expect(now, fault, id);
    }

    fn send_half(&mut self, now: Duration, session: &mut Session, fault: Fault, attempt: &Attempt) {
        let halves = session.attempt_in_halves(attempt);
        self.expect(now, fault, halves.as_ref().map(|halves| halves.id));
        if let Some(Halves { mut first, second, .. }) = halves {
            self.first.append(&mut first);
            self.half = Some((now + HALF_TIME, second));
            self.held_back_until = self.held_back_until.max(now + HALF_TIME);
        }
    }

    /// The answer to the attempt of that number is waited for.
    fn expect(&mut self, now: Duration, fault: Fault, id: Option<u64>) {
        self.tell(match id {
            Some(_) => FaultNews::Done(fault),
            None => FaultNews::Unsent(fault),
        });
        self.sent.extend(id.map(|id| (id, (fault, now))));
    }

    fn send_held(&mut self, now: Duration, session: &mut Session, is_due: impl Fn(&Held) -> bool) {
        let due: Vec<_> = self.held.extract_if(.., |held| is_due(held)).collect();
        for Held { fault, share, .. } in due {
            let attempt = self.attempt(&share);
            self.send(now, session, fault, &attempt);
        }
    }
}

/// A nonce near that of the share whose hash misses the target, and is no block: a pool may take
/// any block, and on regtest every other hash is one.
fn low(share: &Share) -> Option<u32> {
    let (header, job) = (share.header(), &share.job);
    let misses = |nonce: &u32| {
        let hash = Header { nonce: *nonce, ..header }.hash();
        ![job.submit_target(), job.network_target].iter().any(|target| target.is_met_by(&hash))
    };
    (1..=LOW_TRIES).map(|more| share.nonce.wrapping_add(more)).find(misses)
}

/// The job with a time or a version that no pool may take.
fn twist(job: &Job, fault: Fault) -> Job {
    let mut twisted = job.clone();
    match fault {
        Fault::BadTime => twisted.time = job.time.saturating_add(FUTURE),
        _ => {
            // The lowest bit that is neither free nor set.
            let allowed = job.version | job.version_mask;
            twisted.version |= !allowed & allowed.wrapping_add(1);
        }
    }
    twisted
}
