//! What a miner does wrong on purpose: lines of its own beside those of its client, and the pool's
//! answers to them. The client never hears of the lines, and leaves answers to them alone.
//!
//! A share that goes wrong is used up by that. The exceptions: the one behind a duplicate, which
//! goes first and counts as any other; and a share that brings about a wrong time or version. For
//! these the miner has to hash a job of its own making, so that the wrong share meets the target.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Header, Job, Share};
use midstate_stratum::{Client, ClientConfig, Submission, read_answer};

use crate::fault::{Fault, FaultNews};

/// The first number of a request; those of the client count from 1. It fits into 31 bits, which is
/// all that some pools read.
const FIRST_ID: u64 = 1 << 30;
/// How late a late share is.
const LATENESS: Duration = Duration::from_secs(10);
/// How long a silence lasts.
pub const SILENCE: Duration = Duration::from_secs(60);
/// From the first half of a line to the second.
const HALF_TIME: Duration = Duration::from_secs(5);
/// How far the time of a share is ahead that comes from the future. Nodes take two hours.
const FUTURE: u32 = 3 * 60 * 60;
/// Nonces that are looked at for a hash that misses the target.
const LOW_TRIES: u32 = 64;
/// Jobs of our own making whose late hits are known.
const TWISTED: usize = 4;
/// A job that no pool has.
const NO_JOB: [&str; 2] = ["deadbeef", "deadbee0"];

/// The wrong things that are under way.
#[derive(Debug)]
pub(super) struct Wrong {
    user: String,
    depth: usize,
    longest: usize,
    /// How long an answer is waited for.
    patience: Duration,
    next_id: u64,
    /// Without an answer yet, each with the time of its sending.
    sent: BTreeMap<u64, (Fault, Duration)>,
    /// Shares that wait to be late, or stale.
    held: Vec<Held>,
    lines: VecDeque<Vec<u8>>,
    /// The second half of a line, and when it is due. The first half is the last of the lines.
    half: Option<(Duration, Vec<u8>)>,
    /// A second half that is due.
    rest: Option<Vec<u8>>,
    /// Lines that come after the second half.
    behind: VecDeque<Vec<u8>>,
    silent_until: Option<Duration>,
    /// Wrong times and versions that are wished for.
    wished: VecDeque<Fault>,
    /// Jobs of our own making, the newest last, with the pool's job.
    twisted: VecDeque<(Fault, Arc<Job>, Arc<Job>)>,
    /// The miner hashes the newest of those.
    is_twisted: bool,
    /// The beginning of a line of the pool; its rest comes.
    partial: Vec<u8>,
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
    pub(super) fn new(config: &ClientConfig) -> Self {
        let limits = &config.limits;
        Self {
            user: config.user.clone(),
            depth: limits.depth,
            longest: limits.line,
            patience: limits.answer,
            next_id: FIRST_ID,
            sent: BTreeMap::new(),
            held: Vec::new(),
            lines: VecDeque::new(),
            half: None,
            rest: None,
            behind: VecDeque::new(),
            silent_until: None,
            wished: VecDeque::new(),
            twisted: VecDeque::new(),
            is_twisted: false,
            partial: Vec::new(),
            news: VecDeque::new(),
        }
    }

    /// Makes the fault of a share of the present job. The share comes back if it goes to the pool
    /// as a good one, too.
    pub(super) fn spoil(&mut self, now: Duration, share: Share, fault: Fault) -> Option<Share> {
        let good = self.submission(&share);
        match fault {
            Fault::Duplicate => {
                self.send(now, fault, &good);
                return Some(share);
            }
            Fault::BadTime | Fault::BadVersion => {
                self.wished.push_back(fault);
                return Some(share);
            }
            Fault::Stale => self.held.push(Held { fault, share, due: None }),
            Fault::Late => self.held.push(Held { fault, share, due: Some(now + LATENESS) }),
            Fault::Low => match low(&share) {
                Some(nonce) => self.send(now, fault, &Submission { nonce, ..good }),
                None => self.tell(FaultNews::Unsent(fault)),
            },
            Fault::BadJob => {
                let other = NO_JOB.into_iter().find(|id| *id != good.job_id);
                let job_id = other.unwrap_or_default().to_owned();
                self.send(now, fault, &Submission { job_id, ..good });
            }
            Fault::BadExtranonce => {
                let mut extranonce2 = good.extranonce2;
                extranonce2.pop();
                self.send(now, fault, &Submission { extranonce2, ..good });
            }
            Fault::Unauthorized => {
                let worker = format!("{}.unknown", self.user);
                self.send(now, fault, &Submission { worker, ..good });
            }
            Fault::HalfLine if self.half.is_none() => self.send_half(now, fault, &good),
            // One at a time. The others are acts.
            Fault::HalfLine | Fault::Silent | Fault::Disconnect => {
                self.tell(FaultNews::Unsent(fault));
                return Some(share);
            }
        }
        None
    }

    /// Nothing is read or written for a while.
    pub(super) fn fall_silent(&mut self, now: Duration) {
        self.silent_until = Some(now + SILENCE);
        self.tell(FaultNews::Done(Fault::Silent));
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent_until.is_some()
    }

    /// The job to hash, where the pool has sent this one.
    pub(super) fn handle_job(
        &mut self,
        now: Duration,
        job: &Arc<Job>,
        before: Option<&Arc<Job>>,
    ) -> Arc<Job> {
        if job.clean {
            self.send_held(now, |held| held.due.is_none());
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
        let submission = Submission { version_bits, ..self.submission(share) };
        self.send(now, fault, &submission);
        Some(Some(job))
    }

    /// Bytes of the pool: the answers among them that are to our own lines.
    pub(super) fn handle_bytes(&mut self, now: Duration, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            // The client ends a connection with longer lines.
            if self.partial.len() + piece.len() > self.longest {
                self.partial.clear();
                continue;
            }
            self.partial.extend_from_slice(piece);
            if !piece.ends_with(b"\n") {
                continue;
            }
            let line = std::mem::take(&mut self.partial);
            if self.sent.is_empty() {
                continue;
            }
            let Some((id, answer)) = read_answer(&line, self.depth) else { continue };
            if let Some((fault, at)) = self.sent.remove(&id) {
                let latency = now.saturating_sub(at);
                self.tell(FaultNews::Answered { fault, answer, latency });
            }
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if self.silent_until.is_some_and(|until| now >= until) {
            self.silent_until = None;
        }
        if let Some((_, rest)) = self.half.take_if(|(due, _)| now >= *due) {
            self.rest = Some(rest);
            self.lines.append(&mut self.behind);
        }
        self.send_held(now, |held| held.due.is_some_and(|due| now >= due));
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

    /// The connection has ended. Whether that can come from a fault.
    pub(super) fn handle_disconnected(&mut self) -> bool {
        let silent = self.silent_until.map(|_| Fault::Silent);
        let half = self.half.as_ref().map(|_| Fault::HalfLine);
        let cut_off: Vec<_> = silent.into_iter().chain(half).collect();
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
        self.rest = None;
        self.lines.clear();
        self.behind.clear();
        self.partial.clear();
        self.is_twisted = false;
    }

    /// No more shares come: those that wait are not sent.
    pub(super) fn finish(&mut self) {
        self.forget();
        for fault in std::mem::take(&mut self.wished) {
            self.tell(FaultNews::Unsent(fault));
        }
    }

    /// Lines that wait for their answers.
    pub(super) fn pending(&self) -> usize {
        self.sent.len()
    }

    /// The next line, or half of one, among those of the client.
    pub(super) fn poll_transmit(&mut self, client: &mut Client) -> Option<Vec<u8>> {
        if self.is_silent() {
            return None;
        }
        if let Some(rest) = self.rest.take() {
            return Some(rest);
        }
        // Between two halves stands no line of the client.
        let of_client = if self.half.is_none() { client.poll_transmit() } else { None };
        of_client.or_else(|| self.lines.pop_front())
    }

    pub(super) fn poll_news(&mut self) -> Option<FaultNews> {
        self.news.pop_front()
    }

    pub(super) fn tell(&mut self, news: FaultNews) {
        self.news.push_back(news);
    }

    fn submission(&self, share: &Share) -> Submission {
        Submission {
            worker: self.user.clone(),
            job_id: share.job.id.clone(),
            extranonce2: share.extranonce2.clone(),
            time: share.time,
            nonce: share.nonce,
            version_bits: (share.job.version_mask != 0).then(|| share.version_bits()),
        }
    }

    fn send(&mut self, now: Duration, fault: Fault, submission: &Submission) {
        let line = self.number(now, fault, submission);
        match self.half {
            Some(_) => self.behind.push_back(line),
            None => self.lines.push_back(line),
        }
    }

    fn send_half(&mut self, now: Duration, fault: Fault, submission: &Submission) {
        let mut line = self.number(now, fault, submission);
        let rest = line.split_off(line.len() / 2);
        self.lines.push_back(line);
        self.half = Some((now + HALF_TIME, rest));
    }

    /// The line of a request that is waited for.
    fn number(&mut self, now: Duration, fault: Fault, submission: &Submission) -> Vec<u8> {
        let id = self.next_id;
        self.next_id += 1;
        self.sent.insert(id, (fault, now));
        self.tell(FaultNews::Done(fault));
        submission.to_line(id)
    }

    fn send_held(&mut self, now: Duration, is_due: impl Fn(&Held) -> bool) {
        let due: Vec<_> = self.held.extract_if(.., |held| is_due(held)).collect();
        for Held { fault, share, .. } in due {
            let submission = self.submission(&share);
            self.send(now, fault, &submission);
        }
    }
}

/// A nonce near that of the share whose hash misses the target.
fn low(share: &Share) -> Option<u32> {
    let header = share.header();
    let misses = |nonce: &u32| {
        let hash = Header { nonce: *nonce, ..header }.hash();
        !share.job.submit_target().is_met_by(&hash)
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
