//! A swarm: miners at one pool, one task each. Who is to be there is said by [`Order`]s; all that
//! happens is told as the miners' events. How a miner drives its connection is in `post`.

mod dialler;
mod pace;
mod post;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use midstate_chain::Share;
use midstate_swarm::{Event, Fault, FaultPlan};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::dial::Dial;
use crate::frames::Frames;
use crate::{Account, LinkLimits};
pub use dialler::SwarmDialler;
use pace::Pace;
use post::Post;

/// A swarm and its pool.
pub struct SwarmConfig {
    /// The pool and the way there. The user of its login is replaced for each miner.
    pub account: Account,
    /// The user name of each miner, by its number.
    pub user: Arc<dyn Fn(u32) -> String + Send + Sync>,
    /// How patient the miners are.
    pub limits: LinkLimits,
    /// Connections that all miners together open in a second.
    pub connections_a_second: u32,
    /// Whether the pool may be at a public address. If not, a connection that leads to one is
    /// dropped before a word is said.
    pub is_public_allowed: bool,
    /// How connections are opened.
    pub dial: Arc<dyn Dial>,
    /// When the time of the miners began.
    pub started: Instant,
    /// Told every line both ways.
    pub frames: Option<Frames>,
    /// Shares go wrong by this plan. Its acts are [orders](Order::Act).
    pub faults: Option<SharedPlan>,
}

/// An order to a swarm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Order {
    /// This miner connects, and connects again whenever its connection ends.
    Join(u32),
    /// This miner leaves when its shares are answered.
    Leave(u32),
    /// This miner does something wrong.
    Act(u32, Fault),
    /// This miner tells its pool so many hashes a second from now on, if that speaks Stratum V2.
    Rate(u32, f64),
}

/// Told each event of each miner, with its time; called by the miner's task, and must not block.
pub type Tell = Arc<dyn Fn(Duration, u32, Event) + Send + Sync>;

/// The miners of a swarm.
pub struct Swarm {
    site: Arc<Site>,
    miners: JoinSet<()>,
    /// Those that are there, and how to have them leave.
    present: Vec<Option<oneshot::Sender<Duration>>>,
}

/// Everything that the miners share.
struct Site {
    config: SwarmConfig,
    tell: Tell,
    pace: Pace,
    intake: Intake,
}

/// Where hashing threads hand in shares.
#[derive(Clone, Default)]
pub struct Intake(Arc<Mutex<Vec<Option<mpsc::UnboundedSender<Task>>>>>);

/// Something for a miner to do.
enum Task {
    Share(Found),
    Act(Fault),
    Rate(f64),
}

/// A share, and when it was found. In a box: a channel keeps room for 32 of them.
type Found = Box<(Share, Instant)>;

/// Which faults are done when, by all miners together.
pub type SharedPlan = Arc<Mutex<FaultPlan>>;

impl Intake {
    /// Hands a share to its miner.
    ///
    /// # Errors
    /// The miner has left; here is the share again.
    pub fn submit(&self, worker: u32, share: Share, found: Instant) -> Result<(), Box<Share>> {
        match self.send(worker, Task::Share(Box::new((share, found)))) {
            Err(Task::Share(found)) => Err(Box::new(found.0)),
            Err(Task::Act(_) | Task::Rate(_)) | Ok(()) => Ok(()),
        }
    }

    fn send(&self, worker: u32, task: Task) -> Result<(), Task> {
        match self.lock().get(worker as usize) {
            Some(Some(sender)) => sender.send(task).map_err(|error| error.0),
            _ => Err(task),
        }
    }

    fn set(&self, worker: u32, sender: Option<mpsc::UnboundedSender<Task>>) {
        let (mut senders, at) = (self.lock(), worker as usize);
        if senders.len() <= at {
            senders.resize(at + 1, None);
        }
        senders[at] = sender;
    }

    /// A panic elsewhere cannot leave the list half written.
    fn lock(&self) -> MutexGuard<'_, Vec<Option<mpsc::UnboundedSender<Task>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Swarm {
    /// A swarm without miners yet.
    pub fn new(config: SwarmConfig, tell: Tell) -> Self {
        let pace = Pace::new(config.connections_a_second);
        let site = Site { config, tell, pace, intake: Intake::default() };
        Self { site: Arc::new(site), miners: JoinSet::new(), present: Vec::new() }
    }

    /// Where shares are handed in.
    pub fn intake(&self) -> Intake {
        self.site.intake.clone()
    }

    /// Carries out an order. A miner that is there cannot join, nor one leave that is not.
    pub fn order(&mut self, order: Order) {
        match order {
            Order::Join(worker) => {
                let at = worker as usize;
                if self.present.len() <= at {
                    self.present.resize_with(at + 1, || None);
                }
                if self.present[at].is_none() {
                    let (leave, told_to_leave) = oneshot::channel();
                    self.present[at] = Some(leave);
                    let post = Post::new(&self.site, worker);
                    self.miners.spawn(post.run(told_to_leave));
                }
            }
            Order::Leave(worker) => {
                let leave = self.present.get_mut(worker as usize).and_then(Option::take);
                // A miner whose task has ended has left.
                let linger = self.site.config.limits.linger;
                let _ = leave.map(|leave| leave.send(linger));
            }
            // A miner that has left does nothing any more.
            Order::Act(worker, fault) => drop(self.site.intake.send(worker, Task::Act(fault))),
            Order::Rate(worker, rate) => drop(self.site.intake.send(worker, Task::Rate(rate))),
        }
    }

    /// All miners leave; returns when every share has its verdict.
    pub async fn end(mut self) {
        for leave in self.present.drain(..).flatten() {
            let _ = leave.send(Duration::ZERO);
        }
        while self.miners.join_next().await.is_some() {}
    }
}
