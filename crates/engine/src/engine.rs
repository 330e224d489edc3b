//! The threads and what they share.

use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use midstate_chain::{Header, Job, Share, Target};
use midstate_sha256d::{Kernel, Work};
use midstate_work::{Claim, Cut, Frontier, Page, PageName, SearchSpace};

use crate::slot::Slot;

/// Units of a job that a thread hashes before it looks for the next one. Preparing a page takes a
/// twentieth of the time of a unit: where a new job waits behind every unit (a flood, S6), that
/// would be lost each time. So it is a hundredth, and the newest job comes 2 ms late at most; a job
/// that has lasted longer than that is left after the unit at hand, and so is one that has no
/// successor.
const LEAST_UNITS: u32 = 4;

/// How to hash.
#[derive(Debug, Clone)]
pub struct Config {
    /// The kernel, the same for all threads.
    pub kernel: Kernel,
    /// Number of threads to begin with.
    pub threads: usize,
    /// How each job's search space is cut. Units should last well under a millisecond.
    pub cut: Cut,
}

/// A running set of hashing threads. Dropping it stops them.
pub struct Engine {
    shared: Arc<Shared>,
    /// The newest there ever was: a job that is taken away may come back.
    latest: Mutex<Option<Arc<Assignment>>>,
    /// Every thread there ever was: those above the number that is asked for rest.
    workers: Vec<Worker>,
}

struct Worker {
    /// `None` once it has ended.
    thread: Option<JoinHandle<()>>,
    count: Arc<Count>,
}

/// What a hashing thread has done and does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadCount {
    /// Hashes finished.
    pub hashes: u64,
    /// Hashes of the unit that it is at, 0 between two units. The same ones in hand for long, and
    /// none finished: it is stuck, or the system gives it no time.
    pub in_hand: u64,
}

/// Where the search stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No job.
    Idle,
    /// There are headers to hash, though all threads may rest.
    Searching,
    /// Every header of the job at the present time is handed out, though the last of them may still
    /// be in hand ([`ThreadCount::in_hand`]); more come as time passes.
    WaitingForTime,
    /// Every header of the job is handed out: a new job is needed.
    Exhausted,
}

struct Shared {
    slot: Slot<Assignment>,
    /// How many threads hash: the ones with lower numbers.
    threads: AtomicUsize,
    /// Hashes handed out, and how many may be.
    claimed: AtomicU64,
    allowance: AtomicU64,
    cut: Cut,
    /// Hits that miss it are not looked for, however easy a job's own target is.
    easiest: OnceLock<Target>,
    /// Threads that hash at this instant, and who is told when the first begins and the last ends.
    busy: Mutex<usize>,
    on_busy: OnceLock<Box<dyn Fn(bool) + Send + Sync>>,
    kernel: Kernel,
    on_start: Box<dyn Fn() + Send + Sync>,
    on_share: Box<dyn Fn(Share) + Send + Sync>,
}

/// One job being searched by all threads.
struct Assignment {
    space: SearchSpace,
    search: Arc<Search>,
}

/// How far the search of a job is; outlives the assignment when the same work is sent again.
struct Search {
    frontier: Mutex<Frontier>,
    /// Seconds since the work first came.
    elapsed: AtomicU32,
}

/// A [`ThreadCount`] that its thread writes, on a cache line of its own.
#[repr(align(128))]
#[derive(Default)]
struct Count {
    hashes: AtomicU64,
    in_hand: AtomicU64,
}

impl Engine {
    /// Starts the threads; they wait for a job. `on_share` runs on a hashing thread and must not
    /// block.
    ///
    /// # Panics
    ///
    /// Where the system refuses to start a thread. [`set_threads`](Self::set_threads) on an engine
    /// that was started with none tells of it.
    pub fn start(config: Config, on_share: impl Fn(Share) + Send + Sync + 'static) -> Self {
        Self::start_with(config, || {}, on_share)
    }

    /// As [`start`](Self::start); every hashing thread, those that come later included, calls
    /// `on_start` first. It may change its priority there: the engine knows no operating system.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn start_with(
        config: Config,
        on_start: impl Fn() + Send + Sync + 'static,
        on_share: impl Fn(Share) + Send + Sync + 'static,
    ) -> Self {
        let mut cut = config.cut;
        cut.midstates = cut.midstates.min(Work::MAX_MIDSTATES);
        let shared = Arc::new(Shared {
            slot: Slot::new(),
            threads: AtomicUsize::new(0),
            claimed: AtomicU64::new(0),
            allowance: AtomicU64::new(u64::MAX),
            cut,
            easiest: OnceLock::new(),
            busy: Mutex::default(),
            on_busy: OnceLock::new(),
            kernel: config.kernel,
            on_start: Box::new(on_start),
            on_share: Box::new(on_share),
        });
        let mut engine = Self { shared, latest: Mutex::default(), workers: Vec::new() };
        engine.set_threads(config.threads).expect("the system lets this process start its threads");
        engine
    }

    /// Bounds how many hits the threads stop for: hashes that meet a job's target and miss this one
    /// are counted as hashed, and not reported. Each hit costs a scalar hash and a message, so that
    /// a job of which every second hash is a hit would be hashed at a tenth of the rate. To be
    /// called once, before the first job; a later call has no effect.
    pub fn set_easiest_target(&self, target: Target) {
        // The first call counts.
        let _ = self.shared.easiest.set(target);
    }

    /// Calls `on_busy` with `true` when a thread begins to hash and no other did, and with `false`
    /// when no thread hashes any more: for want of a job, of headers or of an
    /// [allowance](Self::set_allowance), or since all are to rest. The time in between is the time
    /// spent hashing; the caller has a clock, the engine has none. It runs on a hashing thread and
    /// must not block. To be called once, before the first job; a later call has no effect.
    pub fn set_on_busy(&self, on_busy: impl Fn(bool) + Send + Sync + 'static) {
        // The first call counts.
        let _ = self.shared.on_busy.set(Box::new(on_busy));
    }

    /// Hashes with so many threads from now on; with none, the search stands still and can go on
    /// where it stands. A thread that is to rest finishes its unit before, so that nothing is
    /// skipped, hashed twice or lost.
    ///
    /// Where the system refuses to start another thread, those that hash go on as before.
    pub fn set_threads(&mut self, threads: usize) -> io::Result<()> {
        while self.workers.len() < threads {
            let count = Arc::<Count>::default();
            let thread = Some(self.spawn(self.workers.len(), &count)?);
            self.workers.push(Worker { thread, count });
        }
        self.shared.threads.store(threads, Ordering::Relaxed);
        self.shared.slot.replace(|current| current.cloned());
        Ok(())
    }

    /// Puts a new thread in the place of each one that has ended by a panic: a bug, of which the
    /// others know nothing. The hashes of the unit that such a thread was at are nobody's any more;
    /// this tells how many they are, for each thread by its number.
    ///
    /// They are not handed out again: what one thread did not survive, the next would not.
    ///
    /// Where the system refuses to start a thread, its error comes beside those that were replaced;
    /// the others are still there for the next call.
    pub fn replace_fallen(&mut self) -> (Vec<(usize, u64)>, io::Result<()>) {
        let mut replaced = Vec::new();
        let mut outcome = Ok(());
        for index in 0..self.workers.len() {
            let Worker { thread, count } = &self.workers[index];
            if thread.as_ref().is_some_and(JoinHandle::is_finished) {
                let count = Arc::clone(count);
                let lost = count.in_hand.load(Ordering::Relaxed);
                match self.spawn(index, &count) {
                    Ok(thread) => self.workers[index].thread = Some(thread),
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
                // They do not count against the allowance, as they never will be finished.
                self.shared.claimed.fetch_sub(lost, Ordering::Relaxed);
                replaced.push((index, lost));
            }
        }
        if !replaced.is_empty() {
            self.shared.slot.replace(|current| current.cloned());
        }
        (replaced, outcome)
    }

    fn spawn(&self, index: usize, count: &Arc<Count>) -> io::Result<JoinHandle<()>> {
        let (shared, count) = (Arc::clone(&self.shared), Arc::clone(count));
        let thread = std::thread::Builder::new().name(format!("hash-{index}"));
        thread.spawn(move || shared.run(index, &count))
    }

    /// Gives all threads a new job, or none. If it is the work they have or had last (see
    /// [`Job::same_work`]), the search goes on where it stood: a pool that comes back may send the
    /// job that it left with.
    pub fn set_job(&self, job: Option<Arc<Job>>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let cut = &self.shared.cut;
        let next = job.map(|job| Arc::new(Assignment::new(job, cut.clone(), latest.as_deref())));
        if let Some(next) = &next {
            *latest = Some(Arc::clone(next));
        }
        self.shared.slot.replace(|_| next);
    }

    /// Tells how many seconds ago the present work first came. Headers may run ahead of the job's
    /// time by that much, when nothing else is left to change. It never becomes less.
    pub fn set_elapsed(&self, seconds: u32) {
        self.shared.slot.replace(|current| {
            let current = current?;
            current.search.elapsed.fetch_max(seconds, Ordering::Relaxed);
            Some(Arc::clone(current))
        });
    }

    /// Bounds the hashes since the start, all threads together; they rest when it is reached, and
    /// go on when it is raised. A unit that was begun is finished, so that it may be exceeded by
    /// one unit a thread. This is how a hash rate is limited without a clock in here.
    pub fn set_allowance(&self, hashes: u64) {
        self.shared.allowance.store(hashes, Ordering::Relaxed);
        self.shared.slot.replace(|current| current.cloned());
    }

    /// Hashes finished since the start, by all threads.
    pub fn hashes(&self) -> u64 {
        self.thread_counts().map(|count| count.hashes).sum()
    }

    /// What each thread that ever was has done and does.
    pub fn thread_counts(&self) -> impl Iterator<Item = ThreadCount> {
        self.workers.iter().map(|Worker { count, .. }| ThreadCount {
            hashes: count.hashes.load(Ordering::Relaxed),
            in_hand: count.in_hand.load(Ordering::Relaxed),
        })
    }

    /// Number of threads that hash.
    pub fn threads(&self) -> usize {
        self.shared.threads.load(Ordering::Relaxed)
    }

    /// Where the search stands.
    pub fn progress(&self) -> Progress {
        let Some(assignment) = self.shared.slot.get() else { return Progress::Idle };
        let Assignment { space, search } = &*assignment;
        match search.frontier().peek(space, search.elapsed.load(Ordering::Relaxed)) {
            Claim::Unit(_) => Progress::Searching,
            Claim::NotYet => Progress::WaitingForTime,
            Claim::Exhausted => Progress::Exhausted,
        }
    }

    /// The header that is hashed next, for people to watch the search by. `None` when there is
    /// nothing to hash now.
    pub fn next_header(&self) -> Option<Header> {
        let assignment = self.shared.slot.get()?;
        let Assignment { space, search } = &*assignment;
        let elapsed = search.elapsed.load(Ordering::Relaxed);
        let Claim::Unit(unit) = search.frontier().peek(space, elapsed) else { return None };
        let header = *space.page(unit.page).headers.first()?;
        Some(Header { nonce: unit.nonces.start as u32, ..header })
    }

    /// Stops the threads, each after its present unit. Every share has been handed out and every
    /// hash counted by the time this returns.
    pub fn stop(&mut self) {
        self.shared.slot.close();
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            // A thread that panicked has said so on stderr; the others' work still counts.
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// A thread begins to hash, or ends. The lock is held while the caller is told, so that
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

    fn easiest(&self) -> Target {
        self.easiest.get().copied().unwrap_or(Target::MAX)
    }

    /// A hashing thread, from start to stop.
    fn run(&self, thread: usize, count: &Count) {
        // Whoever was here before has fallen.
        count.in_hand.store(0, Ordering::Relaxed);
        (self.on_start)();
        while let Some((epoch, assignment)) = self.slot.wait() {
            self.search(thread, count, epoch, &assignment);
        }
    }

    /// Whether this thread is to take a unit now. What changes that changes the slot's epoch, too.
    fn is_to_hash(&self, thread: usize) -> bool {
        thread < self.threads.load(Ordering::Relaxed)
            && self.claimed.load(Ordering::Relaxed) < self.allowance.load(Ordering::Relaxed)
    }

    /// Hashes units of `assignment` until the slot moves on, and then some if there were few and
    /// another job waits.
    fn search(&self, thread: usize, count: &Count, epoch: u64, assignment: &Assignment) {
        let Assignment { space, search } = assignment;
        let mut prepared: Option<PreparedPage> = None;
        let mut busy: Option<Busy<'_>> = None;
        let mut units = 0;
        while self.slot.epoch() == epoch || (units < LEAST_UNITS && self.slot.is_filled()) {
            units = units.saturating_add(1);
            if !self.is_to_hash(thread) {
                drop(busy);
                self.slot.wait_past(epoch);
                return;
            }
            let elapsed = search.elapsed.load(Ordering::Relaxed);
            let Claim::Unit(unit) = search.frontier().claim(space, elapsed) else {
                drop(busy);
                self.slot.wait_past(epoch);
                return;
            };
            busy.get_or_insert_with(|| Busy::new(self));
            let in_hand = space.hashes(&unit);
            count.in_hand.store(in_hand, Ordering::Relaxed);
            self.claimed.fetch_add(in_hand, Ordering::Relaxed);
            let PreparedPage { page, work, .. } = match prepared.take() {
                Some(page) if page.name == unit.page => prepared.insert(page),
                _ => prepared.insert(PreparedPage::new(space, unit.page, self.easiest())),
            };
            let scanned = self.kernel.scan(work, unit.nonces, &mut |hit| {
                (self.on_share)(space.share(page, hit.midstate, hit.nonce, hit.hash));
            });
            count.hashes.fetch_add(scanned, Ordering::Relaxed);
            count.in_hand.store(0, Ordering::Relaxed);
            if self.slot.epoch() == epoch {
                search.look_for_a_pair(space);
            }
        }
    }
}

/// A thread that hashes, as long as this lives. A thread that falls drops it, too.
struct Busy<'a>(&'a Shared);

impl<'a> Busy<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.count_busy(true);
        Self(shared)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.count_busy(false);
    }
}

impl Assignment {
    /// With what was handed out of `before` left out, where it is the same work.
    fn new(job: Arc<Job>, cut: Cut, before: Option<&Self>) -> Self {
        let space = SearchSpace::new(job, cut);
        let before = before.filter(|before| before.space.job().same_work_but_versions(space.job()));
        let search = match before {
            Some(before) if before.space.job().same_work(space.job()) => Arc::clone(&before.search),
            Some(Self { space: own, search }) => {
                let frontier = search.frontier().hand_over(own, &space);
                let elapsed = search.elapsed.load(Ordering::Relaxed).into();
                Arc::new(Search { frontier: Mutex::new(frontier), elapsed })
            }
            None => {
                let frontier = Mutex::new(Frontier::new(&space));
                Arc::new(Search { frontier, elapsed: AtomicU32::new(0) })
            }
        };
        Self { space, search }
    }
}

impl Search {
    /// A step of the search for pairs, if it is due: shorter than a unit, and nobody waits for it.
    fn look_for_a_pair(&self, space: &SearchSpace) {
        let Some(mut search) = self.frontier().lend_search(space) else { return };
        let found = search.step(space);
        self.frontier().return_search(search, found);
    }

    /// Held for a claim and no longer. A panic elsewhere cannot leave it half changed: claims do
    /// not panic.
    fn frontier(&self) -> MutexGuard<'_, Frontier> {
        self.frontier.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A page as the kernel takes it.
struct PreparedPage {
    name: PageName,
    page: Page,
    work: Work,
}

impl PreparedPage {
    fn new(space: &SearchSpace, name: PageName, easiest: Target) -> Self {
        let page = space.page(name);
        let midstates: Vec<_> = page.headers.iter().map(Header::midstate).collect();
        let job = space.job();
        // A block is never too easy (I7), but for toys.
        let easiest = if job.has_toy_blocks() { easiest } else { easiest.max(job.network_target) };
        let target = job.submit_target().min(easiest).to_le_bytes();
        let work = Work::new(&midstates, page.headers[0].tail(), &target)
            .expect("a page has between 1 and Work::MAX_MIDSTATES headers");
        Self { name, page, work }
    }
}
