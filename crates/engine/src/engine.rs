//! The threads that work for a desk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use midstate_chain::{Header, Job, Share, Target};
use midstate_sha256d::{Kernel, Work};
use midstate_work::{Cut, Page, PageName};

use crate::desk::{AtWork, Desk, Piece, Progress, Task, Worker, WorkerCount};

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

/// A desk and hashing threads that work for it. Dropping it stops them.
pub struct Engine {
    crew: Arc<Crew>,
    /// Every thread there ever was: those above the number that is asked for rest.
    threads: Vec<Thread>,
}

struct Thread {
    /// `None` once it has ended.
    handle: Option<JoinHandle<()>>,
    worker: Arc<Worker>,
}

/// State that the threads share.
struct Crew {
    desk: Arc<Desk>,
    /// How many threads hash: the ones with lower numbers.
    threads: AtomicUsize,
    kernel: Kernel,
    on_start: Box<dyn Fn() + Send + Sync>,
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
        let crew = Arc::new(Crew {
            desk: Desk::new(cut, on_share),
            threads: AtomicUsize::new(0),
            kernel: config.kernel,
            on_start: Box::new(on_start),
        });
        let mut engine = Self { crew, threads: Vec::new() };
        engine.set_threads(config.threads).expect("the system lets this process start its threads");
        engine
    }

    /// The desk, for other workers beside the threads.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.crew.desk
    }

    /// [`Desk::set_easiest_target`].
    pub fn set_easiest_target(&self, target: Target) {
        self.desk().set_easiest_target(target);
    }

    /// [`Desk::set_on_busy`].
    pub fn set_on_busy(&self, on_busy: impl Fn(bool) + Send + Sync + 'static) {
        self.desk().set_on_busy(on_busy);
    }

    /// [`Desk::set_job`].
    pub fn set_job(&self, job: Option<Arc<Job>>) {
        self.desk().set_job(job);
    }

    /// [`Desk::add_job`].
    pub fn add_job(&self, job: Arc<Job>) {
        self.desk().add_job(job);
    }

    /// [`Desk::remove_job`].
    pub fn remove_job(&self, channel: Option<u32>) {
        self.desk().remove_job(channel);
    }

    /// [`Desk::set_elapsed`].
    pub fn set_elapsed(&self, seconds: u32) {
        self.desk().set_elapsed(seconds);
    }

    /// [`Desk::set_allowance`].
    pub fn set_allowance(&self, hashes: u64) {
        self.desk().set_allowance(hashes);
    }

    /// [`Desk::hashes`].
    pub fn hashes(&self) -> u64 {
        self.desk().hashes()
    }

    /// [`Desk::progress`].
    pub fn progress(&self) -> Progress {
        self.desk().progress()
    }

    /// [`Desk::next_header`].
    pub fn next_header(&self) -> Option<Header> {
        self.desk().next_header()
    }

    /// Hashes with so many threads from now on; with none, the search stands still and can go on
    /// where it stands. A thread that is to rest finishes its unit before, so that nothing is
    /// skipped, hashed twice or lost.
    ///
    /// Where the system refuses to start another thread, those that hash go on as before.
    pub fn set_threads(&mut self, threads: usize) -> io::Result<()> {
        while self.threads.len() < threads {
            let worker = self.desk().worker();
            let handle = Some(self.spawn(self.threads.len(), &worker)?);
            self.threads.push(Thread { handle, worker });
        }
        self.crew.threads.store(threads, Ordering::Relaxed);
        self.desk().wake();
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
        for index in 0..self.threads.len() {
            let Thread { handle, worker } = &self.threads[index];
            if handle.as_ref().is_some_and(JoinHandle::is_finished) {
                let lost = worker.count().in_hand;
                match self.spawn(index, worker) {
                    Ok(handle) => self.threads[index].handle = Some(handle),
                    Err(error) => return (replaced, Err(error)),
                }
                replaced.push((index, lost));
            }
        }
        (replaced, Ok(()))
    }

    fn spawn(&self, index: usize, worker: &Arc<Worker>) -> io::Result<JoinHandle<()>> {
        let (crew, worker) = (Arc::clone(&self.crew), Arc::clone(worker));
        let thread = std::thread::Builder::new().name(format!("hash-{index}"));
        thread.spawn(move || crew.run(index, &worker))
    }

    /// The counts of each thread that ever was.
    pub fn thread_counts(&self) -> impl Iterator<Item = WorkerCount> {
        self.threads.iter().map(|thread| thread.worker.count())
    }

    /// Number of threads that hash.
    pub fn threads(&self) -> usize {
        self.crew.threads.load(Ordering::Relaxed)
    }

    /// Closes the desk, and stops the threads, each after its present unit. Every share of theirs
    /// has been handed out and every hash counted by the time this returns.
    pub fn stop(&mut self) {
        self.desk().close();
        for handle in self.threads.iter_mut().filter_map(|thread| thread.handle.take()) {
            // A thread that panicked has said so on stderr; the others' work still counts.
            let _ = handle.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Crew {
    /// A hashing thread, from start to stop.
    fn run(&self, thread: usize, worker: &Arc<Worker>) {
        // The thread that was here before has fallen.
        worker.write_off();
        (self.on_start)();
        while let Some(task) = self.desk.wait() {
            self.search(thread, worker, &task);
        }
    }

    /// Hashes units of `task` until the desk moves on, and then some if there were few and another
    /// job waits.
    fn search(&self, thread: usize, worker: &Arc<Worker>, task: &Task) {
        let mut prepared: Option<PreparedPage> = None;
        let mut at_work: Option<AtWork> = None;
        let mut units = 0;
        let is_newest = || self.desk.epoch() == task.epoch();
        while is_newest() || (units < LEAST_UNITS && self.desk.has_job()) {
            units = units.saturating_add(1);
            // To change the number of threads changes the epoch, too.
            let is_to_hash = thread < self.threads.load(Ordering::Relaxed);
            let Some(piece) = is_to_hash.then(|| task.claim(worker)).flatten() else {
                drop(at_work);
                self.desk.wait_past(task.epoch());
                return;
            };
            at_work.get_or_insert_with(|| worker.at_work());
            // It stays where it is: a page is kilobytes, and a unit may be a single hash.
            prepared.take_if(|page| !page.is_of(&piece));
            let page = prepared.get_or_insert_with(|| PreparedPage::new(&piece));
            self.scan(piece, page);
            if is_newest() {
                task.look_for_a_pair();
            }
        }
    }

    fn scan(&self, piece: Piece, PreparedPage { page, work, .. }: &PreparedPage) {
        self.kernel.scan(work, piece.nonces(), &mut |hit| {
            piece.hand_on(page, hit.midstate, hit.nonce, hit.hash);
        });
        piece.finish(&[]).expect("a piece can be booked to its end");
    }
}

/// A page as the kernel takes it.
struct PreparedPage {
    job: Arc<Job>,
    name: PageName,
    page: Page,
    work: Work,
}

impl PreparedPage {
    fn new(piece: &Piece) -> Self {
        let (name, page) = (piece.page_name(), piece.page());
        let midstates: Vec<_> = page.headers.iter().map(Header::midstate).collect();
        let work = Work::new(&midstates, page.headers[0].tail(), &piece.target().to_le_bytes())
            .expect("a page has between 1 and Work::MAX_MIDSTATES headers");
        Self { job: Arc::clone(piece.job()), name, page, work }
    }

    fn is_of(&self, piece: &Piece) -> bool {
        self.name == piece.page_name() && Arc::ptr_eq(&self.job, piece.job())
    }
}
