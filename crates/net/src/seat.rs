//! Our seat at one pool: connects when told to, drives the Stratum client over the connection,
//! waits after failures, follows redirects, and stays with its shares until each has its verdict.
//! The link decides when it runs, and is told everything.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share};
use midstate_failover::{Failure, is_proof};
use midstate_stratum::{ClientConfig, Verdict, redirect};
use midstate_sv2 as sv2;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

use crate::backoff::Backoff;
use crate::dial::{Dial, DialError, Route, is_overheard};
use crate::file::without_os_number;
use crate::foreign::{self, Layer, Spoken};
use crate::frames::{Frames, Server};
use crate::hash_rate::HashRate;
use crate::protocol::{Client, News};
use crate::tls_words::broken_by_tls;
use crate::wire::{Exchanged, Wire};
use crate::{Happened, LinkLimits, LinkState, PoolUrl};

/// A pool, and who we are there.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Where.
    pub url: PoolUrl,
    /// Our login, and our wishes.
    pub client: ClientConfig,
    /// How to get there.
    pub route: Route,
    /// Where its `client.reconnect` may lead.
    pub redirects: Redirects,
    /// Our wishes at a pool of Stratum V2.
    pub v2: V2Wishes,
}

/// Our wishes at a pool of Stratum V2, beside those that both protocols have.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct V2Wishes {
    /// The channels to open.
    pub channel: sv2::ChannelKind,
    /// How many of them; 0 counts as 1.
    pub channels: usize,
    /// The hash rate to tell the pool, in hashes a second, whatever is measured.
    pub nominal_hash_rate: Option<f64>,
    /// One share at a time, as [`sv2::ClientConfig::single_submit`] says.
    pub single_submit: bool,
}

impl Account {
    /// Whether the server has to prove who it is, by TLS or by the authority key of Stratum V2.
    pub(crate) fn is_verified(&self) -> bool {
        match &self.url.v2 {
            Some(v2) => v2.authority.is_some(),
            None => self.url.tls && self.route.trust.is_verified(),
        }
    }

    /// The same account at a pool of Stratum V2. A password has no place there.
    pub(crate) fn v2_config(&self) -> sv2::ClientConfig {
        let ClientConfig { user, user_agent, version_mask, expect_payout, limits, .. } =
            self.client.clone();
        let authority = self.url.v2.as_ref().and_then(|v2| v2.authority);
        let plain = sv2::ClientConfig::new(user);
        sv2::ClientConfig {
            firmware: user_agent,
            authority,
            kind: self.v2.channel,
            channels: self.v2.channels,
            nominal_hash_rate: self.v2.nominal_hash_rate.unwrap_or(plain.nominal_hash_rate),
            single_submit: self.v2.single_submit,
            version_mask,
            expect_payout,
            limits: sv2::Limits { common: limits, ..sv2::Limits::default() },
            ..plain
        }
    }
}

/// Where a pool's `client.reconnect` may lead (S7). The scheme stays in any case: who was reached
/// over TLS is reached over TLS again, and has to prove the new name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Redirects {
    /// Nowhere.
    None,
    /// To whoever was connected to in the first place, as far as that can be told
    /// ([`redirect::allowed`]).
    #[default]
    Owner,
    /// To anybody.
    Any,
}

/// Which seat of a link; never used twice.
pub(crate) type SeatId = u64;

/// An order of the link to a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Be disconnected; the present connection ends when its shares are answered.
    Rest,
    /// Be connected.
    Run,
    /// Its pool is no longer on the list: be disconnected, likewise, and end.
    Remove,
    /// Mining has ended, so that no more shares come: be disconnected, likewise, and end.
    End,
}

/// A seat's news, with the seat.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seat: SeatId,
    pub(crate) what: SeatNews,
}

/// News of a seat.
#[derive(Debug)]
pub(crate) enum SeatNews {
    /// For whoever mines.
    Happened(Happened),
    /// For whoever mines, if this is the pool to work for.
    Job(Arc<Job>),
    /// A channel of Stratum V2 is closed, and its job void; others are open.
    ChannelEnded(u32),
    /// It let us in and sent a job.
    Healthy,
    /// It accepted a share, the first of this session.
    Accepted,
    /// The server that the seat connects to from now on: the pool, or where that redirects to.
    Target(PoolUrl),
    /// An attempt or a connection ended.
    Failed(Failure, String),
    /// It has left, and this is its last word.
    Left,
}

pub(crate) struct Seat {
    id: SeatId,
    account: Account,
    limits: LinkLimits,
    dial: Arc<dyn Dial>,
    frames: Option<Frames>,
    hash_rate: HashRate,
    /// When the time of the client began.
    started: Instant,
    shares: mpsc::UnboundedReceiver<Share>,
    orders: watch::Receiver<Order>,
    reports: mpsc::Sender<Report>,
    client: Client,
    backoff: Backoff,
    /// Where to connect: the account's URL, or where that redirects to.
    target: PoolUrl,
    warned_of_plaintext: bool,
    /// The session that has just ended had work.
    had_work: bool,
    /// Whether the pool ever has.
    spoke_stratum: bool,
    /// Before the first attempt.
    first_wait: Duration,
}

/// The seat's end of the channels to its link.
pub(crate) struct Channels {
    pub(crate) shares: mpsc::UnboundedReceiver<Share>,
    pub(crate) orders: watch::Receiver<Order>,
    pub(crate) reports: mpsc::Sender<Report>,
}

/// How an attempt or a connection ended.
enum Ending {
    /// An order ended it.
    Ordered,
    Failed(Failure, String),
    Redirected {
        to: PoolUrl,
        wait: Duration,
    },
}

/// How far a connection has come.
#[derive(Default)]
struct Progress {
    let_in: bool,
    has_job: bool,
    /// Since when both hold.
    healthy: Option<Duration>,
    accepted: bool,
    /// The pool refused a share.
    refused: bool,
    /// It is about to end: its jobs are nobody's any more.
    leaving: bool,
}

impl Seat {
    pub(crate) fn new(
        id: SeatId,
        account: Account,
        limits: LinkLimits,
        dial: Arc<dyn Dial>,
        Channels { shares, orders, reports }: Channels,
    ) -> Self {
        Self {
            id,
            client: Client::new(&account),
            backoff: Backoff::new(&limits),
            target: account.url.clone(),
            account,
            limits,
            dial,
            frames: None,
            hash_rate: HashRate::default(),
            started: Instant::now(),
            shares,
            orders,
            reports,
            warned_of_plaintext: false,
            had_work: false,
            spoke_stratum: false,
            first_wait: Duration::ZERO,
        }
    }

    /// Waits before the first attempt, as after a failure.
    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.first_wait = wait;
        self
    }

    /// Tells every line and message both ways.
    pub(crate) fn tapped(mut self, frames: Option<Frames>) -> Self {
        if frames.is_some() {
            self.client.set_traced();
        }
        Self { frames, ..self }
    }

    /// Tells the pool this rate, if it wants to know.
    pub(crate) fn with_hash_rate(self, hash_rate: HashRate) -> Self {
        Self { hash_rate, ..self }
    }

    /// Until it is told to leave. Every share it was given has its verdict by then.
    pub(crate) async fn run(mut self) {
        loop {
            match self.order() {
                Order::Remove | Order::End => break,
                Order::Rest => {
                    self.offline(std::future::pending::<()>()).await;
                    continue;
                }
                Order::Run => {}
            }
            let first_wait = std::mem::take(&mut self.first_wait);
            if self.offline(sleep(first_wait)).await.is_none() {
                continue;
            }
            let wait = match self.attempt().await {
                Ending::Ordered => continue,
                Ending::Redirected { to, wait } => {
                    // Its wait is a promise of no work.
                    let (how, when) = match wait > self.limits.failover.workless {
                        true => (Failure::Away, format!(" after a wait of {} s", wait.as_secs())),
                        false => (Failure::Passing, String::new()),
                    };
                    let reason = format!("the pool redirects to {to}{when}");
                    self.tell_state(LinkState::Lost, Some(reason.clone())).await;
                    self.report(SeatNews::Failed(how, reason)).await;
                    self.set_target(to).await;
                    wait
                }
                Ending::Failed(how, reason) => {
                    // The warning that follows says the rest.
                    let why = match how {
                        Failure::Worthless => reason.split(';').next().unwrap_or_default(),
                        _ => &reason,
                    };
                    self.tell_state(LinkState::Lost, Some(why.to_owned())).await;
                    self.report(SeatNews::Failed(how, reason)).await;
                    self.set_target(self.account.url.clone()).await;
                    match std::mem::take(&mut self.had_work) {
                        true => self.backoff.next_after_session(),
                        false => self.backoff.next(),
                    }
                }
            };
            self.offline(sleep(wait)).await;
        }
        self.finish().await;
    }

    /// One connection, from the first packet to its end.
    async fn attempt(&mut self) -> Ending {
        self.tell_state(LinkState::Connecting, None).await;
        let (dial, target, route) =
            (Arc::clone(&self.dial), self.target.clone(), self.account.route.clone());
        let connection = match self.offline(dial.dial(&target, &route)).await {
            None => return Ending::Ordered,
            Some(Ok(connection)) => connection,
            Some(Err(error)) => return failed_to_dial(&error),
        };
        self.tell_state(LinkState::Connected, None).await;
        self.warn_of_eavesdroppers(connection.peer).await;
        let now = self.now();
        self.client.handle_connected(now, &self.target);
        let mut progress = Progress::default();
        let ClientConfig { user, password, .. } = &self.account.client;
        // The bytes on the wire of V2 are encrypted: its client tells the messages.
        let frames = self.frames.as_ref().filter(|_| self.target.v2.is_none());
        let tap = frames.map(|frames| frames.tap(self.server(), user, password));
        let mut wire = Wire::new(connection.transport).tapped(tap);
        let ending = self.session(&mut wire, &mut progress).await;
        let ending = self.explained(ending, &wire.first(), &progress);
        let now = self.now();
        let ending = self.judge(now, &progress, ending);
        match ending {
            Ending::Ordered => self.client.leave(now),
            _ => self.client.handle_disconnected(now),
        }
        self.forward_events(&mut Progress::default()).await;
        ending
    }

    /// Looks back at a session: whether the pool had our shares for nothing, and whether the next
    /// pause begins anew. Only a proven pool makes the pauses short again.
    fn judge(&mut self, now: Duration, progress: &Progress, ending: Ending) -> Ending {
        let took_none = !progress.accepted && (progress.refused || self.client.pending() > 0);
        self.had_work = progress.has_job;
        let ending = match ending {
            Ending::Failed(Failure::Passing, reason) if progress.healthy.is_some() && took_none => {
                Ending::Failed(Failure::Unpaid, reason)
            }
            ending => ending,
        };
        let is_unpaid = matches!(&ending, Ending::Failed(how, _) if how.is_unpaid());
        let proof = |since| is_proof(&self.limits.failover, since, progress.accepted, now);
        if !is_unpaid && progress.healthy.is_some_and(proof) {
            self.backoff.reset();
        }
        ending
    }

    fn server(&self) -> Server<'_> {
        Server { target: &self.target, of: &self.account.url }
    }

    async fn set_target(&mut self, to: PoolUrl) {
        if self.target != to {
            self.target = to.clone();
            self.report(SeatNews::Target(to)).await;
        }
    }

    /// How a connection ended, with what the server speaks if that is not Stratum. A server that
    /// never spoke Stratum and closed without a word is guessed at, unless TLS told the cause.
    fn explained(&mut self, ending: Ending, first: &[u8], progress: &Progress) -> Ending {
        // A server that let us in speaks Stratum, whatever its first words were. After the
        // handshake of V2 its bytes say nothing.
        let is_past_noise = self.target.v2.is_some() && !self.client.awaits_noise();
        if progress.let_in || is_past_noise {
            self.spoke_stratum = true;
            return ending;
        }
        let asked = self.target.endpoint().asked(Layer::inside(self.target.tls));
        self.spoke_stratum |= foreign::spoken(first) == Some(Spoken::JsonLines);
        match ending {
            Ending::Failed(how, reason) => match foreign::sentence(first, asked) {
                // A server may repeat what we sent.
                Some(foreign) => {
                    Ending::Failed(Failure::Hopeless, self.account.client.hide_password(&foreign))
                }
                None if first.is_empty() && !self.spoke_stratum && how != Failure::Hopeless => {
                    Ending::Failed(
                        how,
                        format!("{reason}, without a word; {}", foreign::guess(asked)),
                    )
                }
                None => Ending::Failed(how, reason),
            },
            ending => ending,
        }
    }

    /// Drives the client over an open connection.
    async fn session(&mut self, wire: &mut Wire, progress: &mut Progress) -> Ending {
        // From when on, if all is answered, and by when at the latest.
        let mut leave: Option<(Duration, Duration)> = None;
        // Since when nothing could be written.
        let mut stuck = self.now();
        loop {
            if let Some(rate) = self.account.v2.nominal_hash_rate.or(self.hash_rate.get()) {
                self.client.set_hash_rate(self.now(), rate);
            }
            if wire.is_sent() {
                stuck = self.now();
                while let Some(line) = self.client.poll_transmit() {
                    wire.send(&line);
                }
            }
            if let Some(ending) = self.forward_events(progress).await {
                return ending;
            }
            let now = self.now();
            let is_answered = self.client.pending() == 0 && wire.is_sent();
            if leave.is_some_and(|(from, by)| (is_answered && now >= from) || now >= by) {
                return Ending::Ordered;
            }
            let write_by = (!wire.is_sent()).then(|| stuck + self.limits.write);
            if write_by.is_some_and(|by| now >= by) {
                let seconds = self.limits.write.as_secs();
                return Ending::failed(format!(
                    "the pool took nothing that we sent for {seconds} s"
                ));
            }
            let leave_at = leave.map(|(from, by)| if now < from { from } else { by });
            let due = [self.client.poll_timeout(), leave_at, write_by].into_iter().flatten().min();
            let wait = due.unwrap_or(Duration::MAX).saturating_sub(now);
            tokio::select! {
                exchanged = wire.exchange() => match exchanged {
                    Ok(Exchanged::Received(bytes)) => {
                        self.client.handle_bytes(self.started.elapsed(), &bytes);
                        let first = wire.first();
                        let is_foreign = match self.target.v2 {
                            None => foreign::spoken(&first).is_some_and(Spoken::is_certain),
                            Some(_) => self.client.awaits_noise() && foreign::is_no_noise(&first),
                        };
                        if is_foreign {
                            return Ending::failed("another protocol".to_owned());
                        }
                    }
                    Ok(Exchanged::Sent) => stuck = self.started.elapsed(),
                    Err(error) => {
                        // TLS that fails before the first word fails the next time, too.
                        let is_tls = broken_by_tls(&error).is_some() && wire.first().is_empty();
                        let how = if is_tls { Failure::Hopeless } else { Failure::Passing };
                        return Ending::Failed(how, in_words(&error));
                    }
                },
                Some(share) = self.shares.recv() => {
                    self.client.submit(self.started.elapsed(), share);
                }
                () = sleep(wait) => self.client.handle_timeout(self.started.elapsed()),
                Ok(()) = self.orders.changed() => {
                    let order = self.order();
                    if order != Order::Run {
                        // Shares that were found before the order are sent and answered, if that
                        // can be had soon. So are those of threads which the order has not reached
                        // yet, unless there are none.
                        progress.leaving = true;
                        self.take_waiting_shares();
                        let now = self.now();
                        let linger = match order {
                            Order::End => Duration::ZERO,
                            _ => self.limits.linger,
                        };
                        let from = now + linger;
                        let by = leave.map_or(now + self.limits.flush, |(_, by)| by);
                        leave = Some((from.min(by), by));
                    }
                }
            }
        }
    }

    /// Waits for `done` without a connection; shares that are found meanwhile go to the client,
    /// which knows what to do with them. `None`: an order came that ends it.
    async fn offline<T>(&mut self, done: impl Future<Output = T>) -> Option<T> {
        let mut done = pin!(done);
        let order = self.order();
        loop {
            let due = self.client.poll_timeout().unwrap_or(Duration::MAX);
            let wait = due.saturating_sub(self.now());
            tokio::select! {
                result = &mut done => return Some(result),
                () = sleep(wait) => {
                    let now = self.now();
                    self.client.handle_timeout(now);
                    self.forward_events(&mut Progress::default()).await;
                }
                Some(share) = self.shares.recv() => {
                    let now = self.now();
                    self.client.submit(now, share);
                    self.forward_events(&mut Progress::default()).await;
                }
                changed = self.orders.changed() => {
                    if changed.is_err() || self.order() != order {
                        return None;
                    }
                }
            }
        }
    }

    /// The last verdicts: nothing more can be sent or answered.
    async fn finish(&mut self) {
        self.shares.close();
        self.take_waiting_shares();
        let now = self.now();
        self.client.finish(now);
        self.forward_events(&mut Progress::default()).await;
        self.report(SeatNews::Left).await;
    }

    fn take_waiting_shares(&mut self) {
        let now = self.now();
        while let Ok(share) = self.shares.try_recv() {
            self.client.submit(now, share);
        }
    }

    /// Passes the client's events on, and picks out the one that ends the connection.
    async fn forward_events(&mut self, progress: &mut Progress) -> Option<Ending> {
        while let Some(message) = self.client.poll_trace() {
            if let Some(frames) = &self.frames {
                frames.tell(self.server(), &self.account.client.user, message);
            }
        }
        let mut ending = None;
        while let Some(news) = self.client.poll_news() {
            match news {
                // Further channels.
                News::LetIn if progress.let_in => {}
                News::LetIn => {
                    self.tell_state(LinkState::Authorized, None).await;
                    progress.let_in = true;
                    self.tell_health(progress).await;
                }
                News::Job(_) if progress.leaving => {}
                News::Job(job) => {
                    self.report(SeatNews::Job(job)).await;
                    let is_first = !std::mem::replace(&mut progress.has_job, true);
                    if is_first {
                        self.tell_health(progress).await;
                    }
                }
                News::ChannelEnded(channel) => {
                    self.report(SeatNews::ChannelEnded(channel)).await;
                }
                News::Verdict(outcome) => {
                    progress.refused |= outcome.verdict == Verdict::Rejected;
                    let is_accepted = outcome.verdict == Verdict::Accepted;
                    if is_accepted && !std::mem::replace(&mut progress.accepted, true) {
                        self.report(SeatNews::Accepted).await;
                    }
                    self.tell(Happened::Verdict(outcome)).await;
                }
                News::Remark(remark) => self.tell(Happened::Remark(remark)).await,
                News::Refused { reason } => {
                    let reason = format!("the pool refused user or password: {reason}");
                    ending = Some(Ending::Failed(Failure::Refused, reason));
                }
                // A refusal closes too, and has said more.
                News::Close(how, reason) => {
                    ending = ending.or(Some(Ending::Failed(how, reason)));
                }
                News::Redirect { host, port, wait } => match self.redirect(host, port) {
                    Ok((to, doubt)) => {
                        if let Some(doubt) = doubt {
                            self.tell(Happened::warning(doubt)).await;
                        }
                        ending = ending.or(Some(Ending::Redirected { to, wait }));
                    }
                    Err(why) => self.tell(Happened::warning(why)).await,
                },
            }
        }
        ending
    }

    /// Where a redirect leads, if it may lead there (S7), and what speaks against it where anything
    /// goes. Judged from the pool that was chosen, not from where an earlier redirect went.
    fn redirect(
        &self,
        host: Option<String>,
        port: Option<u16>,
    ) -> Result<(PoolUrl, Option<String>), String> {
        let account = &self.account;
        let host = host.unwrap_or_else(|| self.target.host.clone());
        let verified = account.is_verified();
        let owner = redirect::allowed(&account.url.host, verified, &host);
        let doubt = match (account.redirects, owner) {
            (Redirects::None, _) => {
                return Err("ignored client.reconnect: --no-redirect or --redirect none".to_owned());
            }
            (Redirects::Owner, Err(error)) => {
                return Err(format!("{error}; if you trust it, --redirect any follows"));
            }
            (Redirects::Any, Err(error)) => Some(format!("{error}; followed: --redirect any")),
            (Redirects::Owner | Redirects::Any, Ok(())) => None,
        };
        Ok((self.target.redirected(Some(host), port), doubt))
    }

    async fn warn_of_eavesdroppers(&mut self, peer: Option<IpAddr>) {
        let Account { url, route, .. } = &self.account;
        if let Some(v2) = &url.v2 {
            let is_open = v2.authority.is_none()
                && is_overheard(peer, &self.target.host)
                && !std::mem::replace(&mut self.warned_of_plaintext, true);
            if is_open {
                let text = "encrypted, and not authenticated, as the URL has no authority key: \
                            an attacker on the network can pose as this pool and steal the work; \
                            write stratum2+tcp://HOST:PORT/KEY with the key that it publishes";
                self.tell(Happened::warning(text)).await;
            }
        } else if url.tls && !route.trust.is_verified() {
            let text = "--tls-insecure: the certificate is not checked; an attacker can pose as \
                        this pool and steal the work";
            self.tell(Happened::warning(text)).await;
        } else if !url.tls
            && is_overheard(peer, &self.target.host)
            && !std::mem::replace(&mut self.warned_of_plaintext, true)
        {
            let text = "not encrypted: an attacker on the network can read all of it and steal the \
                        work; if the pool has a TLS port, use stratum+tls://";
            self.tell(Happened::warning(text)).await;
        }
    }

    async fn tell_health(&mut self, progress: &mut Progress) {
        if progress.let_in && progress.has_job && !progress.leaving {
            progress.healthy = Some(self.now());
            self.report(SeatNews::Healthy).await;
        }
    }

    async fn tell_state(&self, state: LinkState, reason: Option<String>) {
        self.tell(Happened::State { state, reason }).await;
    }

    async fn tell(&self, what: Happened) {
        self.report(SeatNews::Happened(what)).await;
    }

    /// Waits while the link is busy, and the pool with us: no queue grows.
    async fn report(&self, what: SeatNews) {
        // A link that is gone was the last one to care.
        let _ = self.reports.send(Report { seat: self.id, what }).await;
    }

    fn order(&mut self) -> Order {
        *self.orders.borrow_and_update()
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Ending {
    fn failed(reason: String) -> Self {
        Self::Failed(Failure::Passing, reason)
    }
}

fn failed_to_dial(error: &DialError) -> Ending {
    let how = if error.is_definite() { Failure::Hopeless } else { Failure::Passing };
    Ending::Failed(how, error.to_string())
}

pub(crate) fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            "the pool closed the connection".to_owned()
        }
        io::ErrorKind::ConnectionReset => {
            "the connection was reset by the pool or on the way".into()
        }
        io::ErrorKind::TimedOut => "the pool vanished: TCP got no answer any more".into(),
        _ => match broken_by_tls(error) {
            Some(why) => format!("the pool ended the connection: {why}"),
            None => format!("the connection broke: {}", without_os_number(&error.to_string())),
        },
    }
}
