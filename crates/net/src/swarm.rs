//! The connections of a swarm, one task a miner: it connects, drives its
//! [`Miner`], waits after failures, and stays with its shares until each has its verdict. Who is to
//! be there is said by [`Order`]s; all that happens is told as the miners' events.

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use midstate_chain::{Share, Verdict};
use midstate_stratum::ClientConfig;
use midstate_swarm::{Event, Fault, FaultPlan, Miner};
use tokio::sync::{OnceCell, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_rustls::rustls;

use crate::backoff::Backoff;
use crate::dial::{Dial, Dialler, Dialling, is_private};
use crate::foreign::{self, Layer};
use crate::frames::Frames;
use crate::seat::in_words;
use crate::wire::{Exchanged, Wire};
use crate::{Account, Connection, DialError, LinkLimits, PoolUrl, Route};

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
}

/// An order to a swarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// This miner connects, and connects again whenever its connection ends.
    Join(u32),
    /// This miner leaves when its shares are answered.
    Leave(u32),
    /// This miner does something wrong.
    Act(u32, Fault),
}

/// Told each event of each miner, with its time; called by the miner's task, and must not block.
pub type Tell = Arc<dyn Fn(Duration, u32, Event) + Send + Sync>;

/// The miners of a swarm.
pub struct Swarm {
    config: Arc<SwarmConfig>,
    tell: Tell,
    pace: Arc<Pace>,
    intake: Intake,
    frames: Option<Frames>,
    faults: Option<SharedPlan>,
    miners: JoinSet<()>,
    /// Those that are there, and how to have them leave.
    present: Vec<Option<oneshot::Sender<Duration>>>,
}

/// Where hashing threads hand in shares.
#[derive(Clone, Default)]
pub struct Intake(Arc<Mutex<Vec<Option<mpsc::UnboundedSender<Task>>>>>);

/// Something for a miner to do.
enum Task {
    Share(Found),
    Act(Fault),
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
            Err(Task::Act(_)) | Ok(()) => Ok(()),
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
        Self {
            pace: Arc::new(Pace::new(config.connections_a_second)),
            config: Arc::new(config),
            tell,
            intake: Intake::default(),
            frames: None,
            faults: None,
            miners: JoinSet::new(),
            present: Vec::new(),
        }
    }

    /// Tells every line both ways.
    #[must_use]
    pub fn tapped(self, frames: Option<Frames>) -> Self {
        Self { frames, ..self }
    }

    /// Shares go wrong by this plan. Its acts are [orders](Order::Act).
    #[must_use]
    pub fn with_faults(self, faults: Option<SharedPlan>) -> Self {
        Self { faults, ..self }
    }

    /// Where shares are handed in.
    pub fn intake(&self) -> Intake {
        self.intake.clone()
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
                    let post = self.post(worker);
                    self.miners.spawn(post.run(told_to_leave));
                }
            }
            Order::Leave(worker) => {
                let leave = self.present.get_mut(worker as usize).and_then(Option::take);
                // A miner whose task has ended has left.
                let linger = self.config.limits.linger;
                let _ = leave.map(|leave| leave.send(linger));
            }
            // A miner that has left does nothing wrong any more.
            Order::Act(worker, fault) => drop(self.intake.send(worker, Task::Act(fault))),
        }
    }

    /// All miners leave; returns when every share has its verdict.
    pub async fn end(mut self) {
        for leave in self.present.drain(..).flatten() {
            let _ = leave.send(Duration::ZERO);
        }
        while self.miners.join_next().await.is_some() {}
    }

    fn post(&self, worker: u32) -> Post {
        let (sender, tasks) = mpsc::unbounded_channel();
        self.intake.set(worker, Some(sender));
        let user = (self.config.user)(worker);
        let client = ClientConfig { user, ..self.config.account.client.clone() };
        Post {
            worker,
            miner: match self.faults {
                Some(_) => Miner::with_faults(client),
                None => Miner::new(client),
            },
            config: Arc::clone(&self.config),
            tell: Arc::clone(&self.tell),
            pace: Arc::clone(&self.pace),
            intake: self.intake.clone(),
            frames: self.frames.clone(),
            faults: self.faults.clone(),
            tasks,
            backoff: Backoff::new(&self.config.limits),
            had_work: false,
            unwritten: Vec::new(),
        }
    }
}

/// A miner's place: its connection, and all that it needs.
struct Post {
    worker: u32,
    miner: Miner,
    config: Arc<SwarmConfig>,
    tell: Tell,
    pace: Arc<Pace>,
    intake: Intake,
    frames: Option<Frames>,
    faults: Option<SharedPlan>,
    tasks: mpsc::UnboundedReceiver<Task>,
    backoff: Backoff,
    /// The present connection has had a job.
    had_work: bool,
    /// When the shares were found whose lines wait.
    unwritten: Vec<Instant>,
}

/// How an attempt ended.
#[derive(PartialEq, Eq)]
enum Ending {
    /// The miner was told to leave.
    Ordered,
    /// Another attempt may go better.
    Failed,
    /// No other attempt is to be made.
    Final,
}

impl Post {
    /// Until it is told to leave. Every share it was given has its verdict by then.
    async fn run(mut self, mut leave: oneshot::Receiver<Duration>) {
        loop {
            let pace = Arc::clone(&self.pace);
            if self.offline(pace.turn(), &mut leave).await.is_none() {
                break;
            }
            match self.attempt(&mut leave).await {
                Ending::Ordered => break,
                Ending::Final => {
                    self.offline(std::future::pending::<()>(), &mut leave).await;
                    break;
                }
                Ending::Failed => {}
            }
            let wait = match std::mem::take(&mut self.had_work) {
                true => self.backoff.next_after_session(),
                false => self.backoff.next(),
            };
            if self.offline(sleep(wait), &mut leave).await.is_none() {
                break;
            }
        }
        self.intake.set(self.worker, None);
        self.tasks.close();
        while let Some(task) = self.tasks.recv().await {
            self.take(task);
        }
        let now = self.now();
        self.miner.finish(now);
        self.forward();
    }

    /// One connection, from the first packet to its end.
    async fn attempt(&mut self, leave: &mut oneshot::Receiver<Duration>) -> Ending {
        self.event(Event::Connecting);
        let config = Arc::clone(&self.config);
        let Account { url, route, .. } = &config.account;
        let connection = match self.offline(config.dial.dial(url, route), leave).await {
            None => return Ending::Ordered,
            Some(Ok(connection)) => connection,
            Some(Err(error)) => {
                self.event(Event::Unreached { reason: error.to_string() });
                return Ending::Failed;
            }
        };
        if !config.is_public_allowed
            && let Some(peer) = connection.peer.filter(|&peer| !is_private(peer))
        {
            let reason = format!("{} has led to the public address {peer}", url.host);
            self.event(Event::Unreached { reason });
            return Ending::Final;
        }
        self.miner.handle_connected(self.config.started.elapsed());
        self.forward();
        let tap = self.frames.as_ref().map(|frames| {
            let user = (config.user)(self.worker);
            frames.tap(url, &user, &config.account.client.password)
        });
        let mut wire = Wire::new(connection.transport).tapped(tap);
        let end = self.session(&mut wire, leave).await;
        self.unwritten.clear();
        match end {
            None => Ending::Ordered,
            Some(reason) => {
                let asked = url.endpoint().asked(Layer::inside(url.tls));
                let reason = match foreign::sentence(&wire.first(), asked) {
                    // A server may repeat what we sent.
                    Some(foreign) => config.account.client.hide_password(&foreign),
                    None => reason,
                };
                self.miner.handle_disconnected(self.config.started.elapsed(), &reason);
                self.forward();
                Ending::Failed
            }
        }
    }

    /// Drives the miner over an open connection; tells why that has ended, unless by order.
    async fn session(
        &mut self,
        wire: &mut Wire,
        leave: &mut oneshot::Receiver<Duration>,
    ) -> Option<String> {
        // From when on it leaves if all is answered, and when at the latest.
        let mut leaving: Option<(Duration, Duration)> = None;
        // When the shares were found that are being written.
        let mut writing: Vec<Instant> = Vec::new();
        // Since when nothing could be written.
        let mut stuck = self.now();
        loop {
            if wire.is_sent() {
                stuck = self.now();
                for found in writing.drain(..) {
                    self.event(Event::Sent(found.elapsed()));
                }
                while let Some(line) = self.miner.poll_transmit() {
                    wire.send(&line);
                }
                // Without a line, the shares were not sent.
                let taken = std::mem::take(&mut self.unwritten);
                writing = if wire.is_sent() { Vec::new() } else { taken };
            }
            self.forward();
            if let Some(reason) = self.miner.poll_end() {
                return Some(reason);
            }
            let now = self.now();
            let is_silent = self.miner.is_silent();
            if is_silent {
                stuck = now;
            }
            let is_answered = self.miner.pending() == 0 && wire.is_sent();
            if leaving.is_some_and(|(from, by)| (is_answered && now >= from) || now >= by) {
                return None;
            }
            let leave_at = leaving.map(|(from, by)| if now < from { from } else { by });
            let write_by = (!wire.is_sent()).then(|| stuck + self.config.limits.write);
            if write_by.is_some_and(|by| now >= by) {
                let seconds = self.config.limits.write.as_secs();
                return Some(format!("the pool took nothing that we sent for {seconds} s"));
            }
            let due = [self.miner.poll_timeout(), leave_at, write_by].into_iter().flatten().min();
            let wait = due.unwrap_or(Duration::MAX).saturating_sub(now);
            tokio::select! {
                biased;
                Some(task) = self.tasks.recv() => self.take(task),
                exchanged = wire.exchange(), if !is_silent => match exchanged {
                    Ok(Exchanged::Received(bytes)) => {
                        let now = self.now();
                        self.miner.handle_bytes(now, &bytes);
                    }
                    Ok(Exchanged::Sent) => stuck = self.now(),
                    Err(error) => return Some(in_words(&error)),
                },
                () = sleep(wait) => {
                    let now = self.now();
                    self.miner.handle_timeout(now);
                }
                linger = &mut *leave, if leaving.is_none() => {
                    // Shares of threads that have not heard of it yet may still come.
                    self.miner.rest();
                    let now = self.now();
                    let by = now + self.config.limits.flush;
                    leaving = Some(((now + linger.unwrap_or_default()).min(by), by));
                }
            }
        }
    }

    /// Waits for `done` without a connection. `None`: it is to leave.
    async fn offline<T>(
        &mut self,
        done: impl Future<Output = T>,
        leave: &mut oneshot::Receiver<Duration>,
    ) -> Option<T> {
        // It was told so while its last connection lasted.
        if leave.is_terminated() {
            return None;
        }
        let mut done = pin!(done);
        loop {
            let due = self.miner.poll_timeout().unwrap_or(Duration::MAX);
            let wait = due.saturating_sub(self.now());
            tokio::select! {
                result = &mut done => return Some(result),
                () = sleep(wait) => {
                    let now = self.now();
                    self.miner.handle_timeout(now);
                    self.forward();
                }
                Some(task) = self.tasks.recv() => {
                    self.take(task);
                    self.unwritten.clear();
                    self.forward();
                }
                _ = &mut *leave => return None,
            }
        }
    }

    fn take(&mut self, task: Task) {
        let now = self.now();
        match task {
            Task::Act(fault) => self.miner.act(now, fault),
            Task::Share(found) => {
                let (share, found) = *found;
                let plan = self.faults.as_ref().filter(|_| self.miner.may_spoil_share(&share));
                match plan.and_then(|plan| lock(plan).for_share(now)) {
                    Some(fault) => self.miner.submit_wrong(now, share, fault),
                    None => {
                        self.miner.submit(now, share);
                        self.unwritten.push(found);
                    }
                }
            }
        }
    }

    /// Passes the miner's events on.
    fn forward(&mut self) {
        while let Some(event) = self.miner.poll_event() {
            match &event {
                Event::Job(Some(_)) => self.had_work = true,
                Event::Verdict(outcome) if outcome.verdict == Verdict::Accepted => {
                    self.backoff.reset();
                }
                _ => {}
            }
            self.event(event);
        }
    }

    fn event(&self, event: Event) {
        (self.tell)(self.now(), self.worker, event);
    }

    fn now(&self) -> Duration {
        self.config.started.elapsed()
    }
}

/// A panic elsewhere cannot leave a plan half changed.
fn lock(plan: &SharedPlan) -> MutexGuard<'_, FaultPlan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bound on how many connections are opened in a second, all miners together.
struct Pace {
    every: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    fn new(a_second: u32) -> Self {
        let every = Duration::from_secs(1) / a_second.max(1);
        Self { every, next: Mutex::new(Instant::now()) }
    }

    /// Waits for a turn.
    async fn turn(&self) {
        let turn = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let turn = (*next).max(Instant::now());
            *next = turn + self.every;
            turn
        };
        sleep_until(turn).await;
    }
}

/// Opens many connections to one pool. The settings of TLS are made at the first one and kept:
/// reading the system's authorities takes long.
#[derive(Default)]
pub struct SwarmDialler {
    dialler: Dialler,
    tls: OnceCell<Arc<rustls::ClientConfig>>,
}

impl Dial for SwarmDialler {
    fn dial<'a>(&'a self, url: &'a PoolUrl, route: &'a Route) -> Dialling<'a> {
        Box::pin(async move {
            if !url.tls {
                return self.dialler.dial(url, route).await;
            }
            let endpoint = url.endpoint();
            let stream = self.dialler.connect(endpoint, route).await?;
            let peer = match route.proxy {
                Some(_) => None,
                None => stream.peer_addr().ok().map(|address| address.ip()),
            };
            let config = self.tls.get_or_try_init(|| route.trust.client_config(&url.host)).await?;
            let transport = self.dialler.secure(stream, endpoint, Arc::clone(config)).await?;
            Ok(Connection { transport, peer })
        })
    }
}

impl SwarmDialler {
    /// Whether every address of the pool is on this machine or in a private network. Behind a proxy
    /// names cannot be looked up, and count as public.
    ///
    /// # Errors
    /// When the name has no address.
    pub async fn is_private(&self, url: &PoolUrl, route: &Route) -> Result<bool, DialError> {
        if let Ok(address) = url.host.parse::<IpAddr>() {
            return Ok(is_private(address));
        }
        if route.proxy.is_some() {
            return Ok(false);
        }
        let addresses = self.dialler.resolve(&url.host, url.port).await?;
        Ok(addresses.iter().all(|address| is_private(address.ip())))
    }
}
