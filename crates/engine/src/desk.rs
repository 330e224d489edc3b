//! The desk: it hands out the headers of the newest job to workers, and books what they bring back.
//! Where jobs of several channels are on it at a time, the channels take turns.
//! It has no threads and does not hash. The workers are the threads of
//! [`Engine`](crate::Engine) or anything else that hashes, as a GPU or a browser.
//!
//! ```text
//! set_job ──> Desk ──> Worker::claim ──> Piece: a page, a range of its nonces, a target
//!               ^                          │ book (these nonces are hashed, these met the target)
//!   on_share <──┴──────────────────────────┘ drop (the rest goes to the next claim)
//! ```
//!
//! A nonce is booked once, and handed out again only if the piece it was in came back without it.

mod assignment;
mod bench;
mod piece;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use midstate_chain::{Header, Job, Share, Target};
use midstate_work::{Claim, Cut};

use crate::slot::Slot;
use assignment::Assignment;
use bench::Bench;
pub use piece::{BookError, Finding, Piece};

/// Channels whose search is remembered while another job is hashed alone.
const REMEMBERED: usize = 4096;

/// Where workers claim headers of the newest job and book what they have hashed.
pub struct Desk {
    slot: Slot<Bench>,
    /// The newest there ever were, one of each channel: a job that is taken away may come back.
    latest: Mutex<Vec<Arc<Assignment>>>,
    /// Claims of units since the start, by which channels take turns.
    turns: Arc<AtomicU64>,
    cut: Cut,
    /// Hashes handed out, and how many may be.
    claimed: AtomicU64,
    allowance: AtomicU64,
    /// Hashes finished.
    hashes: AtomicU64,
    /// Hits that miss it are not looked for, however easy a job's own target is.
    easiest: OnceLock<Target>,
    /// Workers that hash at this instant; `on_busy` hears of the first and the last.
    busy: Mutex<usize>,
    on_busy: OnceLock<Box<dyn Fn(bool) + Send + Sync>>,
    on_share: Box<dyn Fn(Share) + Send + Sync>,
}

/// Where the search stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No job.
    Idle,
    /// There are headers to hash, though all workers may rest.
    Searching,
    /// Every header of the job at the present time is handed out, though the last of them may still
    /// be in hand ([`WorkerCount::in_hand`]); more come as time passes.
    WaitingForTime,
    /// Every header of the job is handed out: a new job is needed.
    Exhausted,
}

/// One that hashes for a desk, as the desk sees it: hashes finished, and hashes in hand.
///
/// A worker leaves when this and its pieces are dropped. The desk keeps what it has booked.
// On a cache line of its own: each thread writes one.
#[repr(align(128))]
pub struct Worker {
    desk: Arc<Desk>,
    hashes: AtomicU64,
    in_hand: AtomicU64,
}

/// The counts of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerCount {
    /// Hashes finished.
    pub hashes: u64,
    /// Hashes of the pieces that it holds: of a thread one unit, 0 between two units. The same ones
    /// in hand for long, and none finished: it is stuck, or the system gives it no time.
    pub in_hand: u64,
}

/// A worker hashes, as long as this lives; see [`Desk::set_on_busy`].
pub struct AtWork(Arc<Desk>);

/// The jobs that were on the desk at one epoch.
pub(crate) struct Task {
    epoch: u64,
    bench: Arc<Bench>,
}

/// For the side that steers.
impl Desk {
    /// A desk without a job. `cut` says how each job's search space is cut: the headers of a page,
    /// and the hashes of a unit, which is the least that can be claimed. `on_share` is called by
    /// workers as they book, and must not block.
    pub fn new(cut: Cut, on_share: impl Fn(Share) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::new(),
            latest: Mutex::default(),
            turns: Arc::default(),
            cut,
            claimed: AtomicU64::new(0),
            allowance: AtomicU64::new(u64::MAX),
            hashes: AtomicU64::new(0),
            easiest: OnceLock::new(),
            busy: Mutex::default(),
            on_busy: OnceLock::new(),
            on_share: Box::new(on_share),
        })
    }

    /// Bounds how many hits the workers stop for: hashes that meet a job's target and miss this one
    /// are counted as hashed, and not reported. Each hit costs a scalar hash and a message, so that
    /// a job of which every second hash is a hit would be hashed at a tenth of the rate. To be
    /// called once, before the first job; a later call has no effect.
    pub fn set_easiest_target(&self, target: Target) {
        // The first call counts.
        let _ = self.easiest.set(target);
    }

    /// Calls `on_busy` with `true` when a worker begins to hash and no other did, and with `false`
    /// when no worker hashes any more: for want of a job, of headers or of an
    /// [allowance](Self::set_allowance), or since all are to rest. The time in between is the time
    /// spent hashing; the caller has a clock, the desk has none. It runs on a worker's thread and
    /// must not block. To be called once, before the first job; a later call has no effect.
    pub fn set_on_busy(&self, on_busy: impl Fn(bool) + Send + Sync + 'static) {
        // The first call counts.
        let _ = self.on_busy.set(Box::new(on_busy));
    }

    /// Gives all workers a new job, or none. If it is the work they have or had last (see
    /// [`Job::same_work`]), the search goes on where it stood: a pool that comes back may send the
    /// job that it left with.
    pub fn set_job(&self, job: Option<Arc<Job>>) {
        let mut latest = self.latest();
        let next = job.map(|job| self.assignment(job, &latest));
        if let Some(next) = &next {
            bench::put(&mut latest, Arc::clone(next));
            // Channels of connections that are gone.
            let many = latest.len().saturating_sub(REMEMBERED);
            latest.drain(..many);
        }
        self.slot.replace(|_| next.map(|next| self.bench(vec![next])));
    }

    /// Gives all workers a new job beside those of other [channels](Job::channel); of its own
    /// channel it takes the place. They are searched in turns, so that each gets its part of the
    /// hashes, unless all of it is handed out.
    pub fn add_job(&self, job: Arc<Job>) {
        let mut latest = self.latest();
        let next = self.assignment(job, &latest);
        bench::put(&mut latest, Arc::clone(&next));
        self.slot.replace(|present| {
            let mut jobs = present.map(|bench| bench.jobs().to_vec()).unwrap_or_default();
            bench::put(&mut jobs, next);
            Some(self.bench(jobs))
        });
    }

    /// Takes the job of one channel away.
    pub fn remove_job(&self, channel: Option<u32>) {
        let of_others = |of: &Arc<Assignment>| of.space.job().channel != channel;
        self.latest().retain(of_others);
        self.slot.replace(|present| {
            let mut jobs = present?.jobs().to_vec();
            jobs.retain(of_others);
            (!jobs.is_empty()).then(|| self.bench(jobs))
        });
    }

    /// Tells how many seconds ago the present work first came, of several jobs the youngest.
    /// Headers may run ahead of a job's time by that much, when nothing else is left to change. It
    /// never becomes less.
    pub fn set_elapsed(&self, seconds: u32) {
        self.slot.replace(|current| {
            let current = current?;
            current.jobs().iter().for_each(|of| of.search.set_elapsed(seconds));
            Some(Arc::clone(current))
        });
    }

    /// Bounds the hashes since the start, all workers together; nothing can be claimed when it is
    /// reached, until it is raised. A unit that was claimed is finished, so that it may be exceeded
    /// by one unit a worker. This is how a hash rate is limited without a clock in here.
    pub fn set_allowance(&self, hashes: u64) {
        self.allowance.store(hashes, Ordering::Relaxed);
        self.wake();
    }

    /// Hashes finished since the start, by all workers, those that left included.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    /// Where the search stands.
    pub fn progress(&self) -> Progress {
        let Some(bench) = self.slot.get() else { return Progress::Idle };
        let mut progress = Progress::Exhausted;
        for assignment in bench.jobs() {
            match assignment.peek() {
                Claim::Unit(_) => return Progress::Searching,
                Claim::NotYet => progress = Progress::WaitingForTime,
                Claim::Exhausted => {}
            }
        }
        progress
    }

    /// The header that is handed out next, for people to watch the search by. `None` when there is
    /// nothing to hash now.
    pub fn next_header(&self) -> Option<Header> {
        let bench = self.slot.get()?;
        let assignment = bench.at_turn();
        let Claim::Unit(unit) = assignment.peek() else { return None };
        let header = *assignment.space.page(unit.page).headers.first()?;
        Some(Header { nonce: unit.nonces.start as u32, ..header })
    }

    /// Nothing can be claimed any more, and no worker waits. Pieces that are in hand can still be
    /// booked.
    pub fn close(&self) {
        self.slot.close();
    }
}

/// Workers.
impl Desk {
    /// A new worker.
    pub fn worker(self: &Arc<Self>) -> Arc<Worker> {
        let (hashes, in_hand) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Worker { desk: Arc::clone(self), hashes, in_hand })
    }

    /// A number that grows when there may be something to claim that was not there before.
    pub fn epoch(&self) -> u64 {
        self.slot.epoch()
    }

    /// Waits until the desk is no longer at `epoch`: to be read before the claim that got nothing.
    /// `false` once the desk is closed.
    pub fn wait_past(&self, epoch: u64) -> bool {
        self.slot.wait_past(epoch)
    }

    /// The present jobs; waits while there is none. `None` once the desk is closed.
    pub(crate) fn wait(&self) -> Option<Task> {
        let (epoch, bench) = self.slot.wait()?;
        Some(Task { epoch, bench })
    }

    /// Whether there is a job.
    pub(crate) fn has_job(&self) -> bool {
        self.slot.is_filled()
    }

    /// Has every worker that waits look again.
    pub(crate) fn wake(&self) {
        self.slot.replace(|current| current.cloned());
    }

    /// A worker begins to hash, or ends. The lock is held while the caller is told, so that
    /// beginnings and ends come in their order.
    fn count_busy(&self, begins: bool) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *busy;
        *busy = if begins { before + 1 } else { before - 1 };
        let is_first_or_last = before == usize::from(!begins);
        if let (true, Some(on_busy)) = (is_first_or_last, self.on_busy.get()) {
            on_busy(begins);
        }
    }

    fn latest(&self) -> MutexGuard<'_, Vec<Arc<Assignment>>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job as it is searched: from the start, or from where the search of the same work stands.
    fn assignment(&self, job: Arc<Job>, latest: &[Arc<Assignment>]) -> Arc<Assignment> {
        let is_same = |of: &&Arc<Assignment>| of.space.job().same_work_but_versions(&job);
        let before = latest.iter().find(is_same).map(Arc::as_ref);
        Arc::new(Assignment::new(Arc::clone(&job), self.cut.clone(), before))
    }

    fn bench(&self, jobs: Vec<Arc<Assignment>>) -> Arc<Bench> {
        Arc::new(Bench::new(jobs, Arc::clone(&self.turns)))
    }

    /// How many hashes may still be claimed.
    fn left(&self) -> u64 {
        let claimed = self.claimed.load(Ordering::Relaxed);
        self.allowance.load(Ordering::Relaxed).saturating_sub(claimed)
    }
}

impl Worker {
    /// Takes a unit of the present job. `None` if there is nothing to hash now; the desk's
    /// [epoch](Desk::epoch) changes when there is.
    pub fn claim(self: &Arc<Self>) -> Option<Piece> {
        self.claim_many(1).pop()
    }

    /// Takes units of the present job that have so many hashes together, rounded up to a whole
    /// unit: neighbours of one page as one piece. Fewer if there are no more to hash now, or the
    /// [allowance](Desk::set_allowance) ends.
    pub fn claim_many(self: &Arc<Self>, hashes: u64) -> Vec<Piece> {
        let (mut pieces, mut left) = (Vec::new(), hashes);
        let Some(bench) = self.desk.slot.take_up() else { return pieces };
        while left > 0
            && let Some(piece) = bench.claim(self, left)
        {
            left = left.saturating_sub(piece.hashes());
            pieces.push(piece);
        }
        pieces
    }

    /// Its counts.
    pub fn count(&self) -> WorkerCount {
        WorkerCount {
            hashes: self.hashes.load(Ordering::Relaxed),
            in_hand: self.in_hand.load(Ordering::Relaxed),
        }
    }

    /// To be held from the beginning of the hashing to its end, rests left out.
    pub fn at_work(&self) -> AtWork {
        self.desk.count_busy(true);
        AtWork(Arc::clone(&self.desk))
    }

    /// Gives up the pieces that were lost in a panic (see [`Piece`]): they do not count against the
    /// allowance any more. To be called when the worker holds none.
    pub fn write_off(&self) {
        let lost = self.in_hand.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.desk.claimed.fetch_sub(lost, Ordering::Relaxed);
            self.desk.wake();
        }
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.count_busy(false);
    }
}

impl Task {
    /// The change of the desk that brought it.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Takes the next unit.
    pub(crate) fn claim(&self, worker: &Arc<Worker>) -> Option<Piece> {
        self.bench.claim(worker, 0)
    }

    /// A step of the search for pairs, if it is due: shorter than a unit, and nobody waits for it.
    pub(crate) fn look_for_a_pair(&self) {
        self.bench.at_turn().look_for_a_pair();
    }
}
