//! A miner's place in a swarm: it connects, drives its [`Miner`], waits after failures, and stays
//! with its shares until each has its verdict.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use midstate_chain::Verdict;
use midstate_stratum::ClientConfig;
use midstate_swarm::{Event, FaultPlan, Miner, MinerConfig};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::{SharedPlan, Site, Task};
use crate::Account;
use crate::backoff::Backoff;
use crate::dial::is_private;
use crate::foreign::{self, Layer};
use crate::frames::Server;
use crate::protocol::dialled;
use crate::seat::in_words;
use crate::wire::{Exchanged, Wire};

/// A miner, and its tasks.
pub(super) struct Post {
    site: Arc<Site>,
    worker: u32,
    miner: Miner,
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
    /// The place of this miner, whose shares are taken from now on.
    pub(super) fn new(site: &Arc<Site>, worker: u32) -> Self {
        let (sender, tasks) = mpsc::unbounded_channel();
        site.intake.set(worker, Some(sender));
        let config = &site.config;
        let user = (config.user)(worker);
        let client = ClientConfig { user, ..config.account.client.clone() };
        let account = Account { client, ..config.account.clone() };
        let speaks = match account.url.v2 {
            None => MinerConfig::V1(account.client),
            Some(_) => MinerConfig::V2(account.v2_config()),
        };
        let mut miner = match config.faults {
            Some(_) => Miner::with_faults(speaks),
            None => Miner::new(speaks),
        };
        if config.frames.is_some() {
            miner.set_traced();
        }
        Self {
            site: Arc::clone(site),
            worker,
            miner,
            tasks,
            backoff: Backoff::new(&config.limits),
            had_work: false,
            unwritten: Vec::new(),
        }
    }

    /// Until it is told to leave. Every share it was given has its verdict by then.
    pub(super) async fn run(mut self, mut leave: oneshot::Receiver<Duration>) {
        loop {
            let site = Arc::clone(&self.site);
            if self.offline(site.pace.turn(), &mut leave).await.is_none() {
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
        self.site.intake.set(self.worker, None);
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
        let site = Arc::clone(&self.site);
        let config = &site.config;
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
        let dialled = url.v2.is_some().then(|| dialled(url));
        self.miner.handle_connected(self.now(), dialled);
        self.forward();
        // The bytes on the wire of V2 are encrypted: there the miner tells its messages.
        let tap = config.frames.as_ref().filter(|_| url.v2.is_none()).map(|frames| {
            let user = (config.user)(self.worker);
            frames.tap(Server::listed_as(url), &user, &config.account.client.password)
        });
        let mut wire = Wire::new(connection.transport).tapped(tap);
        let end = self.session(&mut wire, leave).await;
        self.unwritten.clear();
        match end {
            None => Ending::Ordered,
            Some(reason) => {
                let asked = url.endpoint().asked(Layer::inside(url.tls));
                // After the handshake of V2 its bytes say nothing.
                let has_spoken = url.v2.is_some() && !self.miner.awaits_noise();
                let foreign = foreign::sentence(&wire.first(), asked).filter(|_| !has_spoken);
                let reason = match foreign {
                    // A server may repeat what we sent.
                    Some(foreign) => config.account.client.hide_password(&foreign),
                    None => reason,
                };
                self.miner.handle_disconnected(self.now(), &reason);
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
            let write_by = (!wire.is_sent()).then(|| stuck + self.site.config.limits.write);
            if write_by.is_some_and(|by| now >= by) {
                let seconds = self.site.config.limits.write.as_secs();
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
                    let by = now + self.site.config.limits.flush;
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
            Task::Rate(rate) => self.miner.set_hash_rate(now, rate),
            Task::Share(found) => {
                let (share, found) = *found;
                let plan =
                    self.site.config.faults.as_ref().filter(|_| self.miner.may_spoil_share(&share));
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

    /// Passes the miner's events on, and the messages that are told.
    fn forward(&mut self) {
        let config = &self.site.config;
        while let Some(frames) = &config.frames
            && let Some(message) = self.miner.poll_trace()
        {
            let server = Server::listed_as(&config.account.url);
            frames.tell(server, &(config.user)(self.worker), message);
        }
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
        (self.site.tell)(self.now(), self.worker, event);
    }

    fn now(&self) -> Duration {
        self.site.config.started.elapsed()
    }
}

/// A panic elsewhere cannot leave a plan half changed.
fn lock(plan: &SharedPlan) -> MutexGuard<'_, FaultPlan> {
    plan.lock().unwrap_or_else(PoisonError::into_inner)
}
