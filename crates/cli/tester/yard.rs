//! The yard: the allotment, and the hashing threads that work it off.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use midstate_chain::{Header, Job, Target};
use midstate_net::Intake;
use midstate_sha256d::{Kernel, Work};
use midstate_swarm::{Allotment, HashCount, Piece, Turn};
use tokio::time::Instant;

use crate::machine::choose::Choice;
use crate::machine::priority::Priority;

/// Threads that wait look again after this at the earliest: several miners are due by then.
const NAP: Duration = Duration::from_millis(2);
/// Threads that wait look again after this at the latest.
const LONGEST_NAP: Duration = Duration::from_millis(100);

/// What the hashing threads share with those who steer them.
pub(super) struct Yard {
    state: Mutex<State>,
    changed: Condvar,
    /// When the script began.
    begun: OnceLock<Instant>,
    jobs: Sender<Change>,
}

/// At this time of the script a miner got another job, or none.
type Change = (Duration, u32, Option<Arc<Job>>);

struct State {
    allotment: Allotment,
    /// Changes that the allotment does not know yet. The network hands them in without waiting for
    /// the lock: the system may stop a hashing thread while it holds that, for as long as others
    /// want the CPU.
    jobs: Receiver<Change>,
    is_closed: bool,
    /// Shares whose miner had left when they were found.
    orphans: u64,
}

impl Yard {
    pub(super) fn new(allotment: Allotment) -> Arc<Self> {
        let (jobs, changes) = channel();
        let state = State { allotment, jobs: changes, is_closed: false, orphans: 0 };
        let (state, changed) = (Mutex::new(state), Condvar::new());
        Arc::new(Self { state, changed, begun: OnceLock::new(), jobs })
    }

    /// The script begins.
    pub(super) fn begin(&self) {
        // The first call counts.
        let _ = self.begun.set(Instant::now());
        self.changed.notify_all();
    }

    /// The script ends now.
    pub(super) fn end(&self) {
        let now = self.now();
        self.lock().allotment.end_at(now);
    }

    /// How long the script has gone on.
    pub(super) fn now(&self) -> Duration {
        self.begun.get().map_or(Duration::ZERO, |begun| begun.elapsed())
    }

    /// A miner has a new job, or none. Waits for nothing.
    pub(super) fn set_job(&self, worker: u32, job: Option<Arc<Job>>) {
        // The receiver lives as long as this.
        let _ = self.jobs.send((self.now(), worker, job));
    }

    /// The hashes of all miners.
    pub(super) fn total(&self) -> HashCount {
        let now = self.now();
        self.lock().allotment.total(now)
    }

    /// The hashes of one miner.
    pub(super) fn count(&self, worker: u32) -> HashCount {
        let now = self.now();
        self.lock().allotment.count(now, worker)
    }

    /// Whether a miner has got all its hashes up to now, if not all are done yet.
    pub(super) fn is_served(&self, worker: u32) -> bool {
        let now = self.now();
        self.lock().allotment.is_served(now, worker)
    }

    /// Shares whose miner had left when they were found.
    pub(super) fn orphans(&self) -> u64 {
        self.lock().orphans
    }

    /// Whether all is hashed that the script asked for.
    pub(super) fn is_over(&self) -> bool {
        self.lock().allotment.is_over()
    }

    /// The threads end after the pieces at hand.
    fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// The next piece; waits for it. `None`: there will be none.
    fn next(&self) -> Option<Piece> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            state.catch_up();
            let wait = match self.begun.get() {
                None => LONGEST_NAP,
                Some(begun) => match state.allotment.next(begun.elapsed()) {
                    Turn::Piece(piece) => return Some(piece),
                    Turn::Over => return None,
                    Turn::Wait(wait) => wait.clamp(NAP, LONGEST_NAP),
                },
            };
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Whether a share of this miner may be sent.
    fn admits(&self, worker: u32) -> bool {
        let now = self.now();
        self.lock().allotment.admits(now, worker)
    }

    fn book(&self, piece: Piece) {
        self.lock().allotment.book(piece);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.catch_up();
        state
    }
}

impl State {
    /// Tells the allotment of the jobs that came.
    fn catch_up(&mut self) {
        while let Ok((at, worker, job)) = self.jobs.try_recv() {
            self.allotment.set_job(at, worker, job);
        }
    }
}

/// The hashing threads.
pub(super) struct Crew {
    yard: Arc<Yard>,
    threads: Vec<JoinHandle<()>>,
}

impl Crew {
    /// Starts the threads. They give way to all else: the network of the test above all.
    pub(super) fn start(
        yard: &Arc<Yard>,
        choice: &Choice,
        intake: &Intake,
    ) -> std::io::Result<Self> {
        let mut crew = Self { yard: Arc::clone(yard), threads: Vec::new() };
        for index in 0..choice.config.threads {
            let (yard, intake, kernel) = (Arc::clone(yard), intake.clone(), choice.config.kernel);
            let thread = std::thread::Builder::new().name(format!("hash-{index}"));
            crew.threads.push(thread.spawn(move || {
                Priority::Idle.take();
                while let Some(piece) = yard.next() {
                    work_off(&yard, piece, kernel, &intake);
                }
            })?);
        }
        Ok(crew)
    }

    /// Whether a thread has ended by a panic.
    pub(super) fn stop(mut self) -> bool {
        self.yard.close();
        self.threads.drain(..).any(|thread| thread.join().is_err())
    }
}

/// Hashes a piece, and hands in each share as soon as it is found.
fn work_off(yard: &Yard, piece: Piece, kernel: Kernel, intake: &Intake) {
    let page = piece.page();
    let midstates: Vec<_> = page.headers.iter().map(Header::midstate).collect();
    let work = Work::new(&midstates, page.headers[0].tail(), &piece.target().to_le_bytes())
        .expect("a page has between 1 and Work::MAX_MIDSTATES headers");
    kernel.scan(&work, piece.nonces(), &mut |hit| {
        let share = piece.share(&page, hit.midstate, hit.nonce, hit.hash);
        if yard.admits(piece.worker())
            && intake.submit(piece.worker(), share, Instant::now()).is_err()
        {
            yard.lock().orphans += 1;
        }
    });
    yard.book(piece);
}

/// The easiest target that is worth looking for, where so many shares a second may be sent.
pub(super) fn easiest_target(rate: f64, shares: u32) -> Target {
    /// More than may be sent, so that it is seen that there were more.
    const MARGIN: f64 = 4.0;
    let hashes = rate / (f64::from(shares) * MARGIN);
    Target::from_difficulty(hashes / Target::HASHES_AT_DIFFICULTY_1).unwrap_or(Target::MAX)
}
