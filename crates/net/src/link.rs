//! The link to a pool: connects, drives the Stratum client over the socket, waits and tries again.
//!
//! With several pools it goes down the list when one cannot be used. It ends when it is told to stop,
//! when every pool has refused to let us in, or when none could be reached for long enough.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share, Verdict};
use midstate_stratum::{Client, ClientConfig, Event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::PoolUrl;
use crate::backoff::Backoff;

/// A connection that takes longer is given up (S9).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long answers to shares are awaited when stopping (I20).
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);
/// Failures in a row before the next pool of the list is tried.
const FAILURES_BEFORE_FAILOVER: u32 = 3;
/// Refusals by one pool before it counts as final.
const REFUSALS: u32 = 2;
/// TCP keepalive: first probe after, then every, so many times.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// Which pools, in which order, and how patient.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// In order of preference; at least one.
    pub pools: Vec<(PoolUrl, ClientConfig)>,
    /// Without any session for this long, give up. `None`: never.
    pub give_up: Option<Duration>,
}

/// What a link has to tell. The same for every kind of server that jobs can come from.
#[derive(Debug, Clone)]
pub struct LinkEvent {
    /// Which server.
    pub url: Arc<str>,
    /// What happened.
    pub what: Happened,
}

/// What happened on a link.
#[derive(Debug, Clone)]
pub enum Happened {
    /// The connection changed.
    State {
        /// What it is now.
        state: LinkState,
        /// Why, if there is a why.
        reason: Option<String>,
    },
    /// New work; the newest job is the one to hash.
    Job(Arc<Job>),
    /// A share got its verdict: exactly one event for each share.
    Verdict {
        /// The share.
        share: Share,
        /// What became of it.
        verdict: Verdict,
        /// The server's error code.
        code: Option<i64>,
        /// The server's words, or ours.
        reason: Option<String>,
        /// A guess of the cause, and what to do.
        advice: Option<&'static str>,
        /// From sending to the answer.
        latency: Duration,
    },
    /// The server has something to say to people.
    Message(String),
    /// Something is not as it should be, and work goes on.
    Warning(String),
}

/// States of the connection to a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Trying.
    Connecting,
    /// The socket is open.
    Connected,
    /// The pool let us in.
    Authorized,
    /// The connection is gone; it is tried again.
    Lost,
    /// The next pool of the list is tried.
    Failover,
}

/// Why the link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// It was told to.
    Stopped,
    /// The last pool left refused to let us in.
    Refused(String),
    /// No pool could be reached in time.
    Unreachable(String),
}

/// The link; [`run`](Self::run) it.
pub struct Link {
    pools: Vec<Pool>,
    give_up: Option<Duration>,
    started: Instant,
    shares: mpsc::UnboundedReceiver<Share>,
    events: mpsc::UnboundedSender<LinkEvent>,
    stop: oneshot::Receiver<()>,
    stopping: bool,
}

struct Pool {
    url: PoolUrl,
    /// The URL as people see it.
    name: Arc<str>,
    client: Client,
    refusals: u32,
}

/// How an attempt at a pool ended.
enum Attempt {
    Stopped,
    Refused(String),
    Failed { reason: String, authorized: bool },
}

impl Link {
    /// A link that sends `shares`, tells `events`, and ends after `stop`.
    pub fn new(
        config: LinkConfig,
        shares: mpsc::UnboundedReceiver<Share>,
        events: mpsc::UnboundedSender<LinkEvent>,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        let pools = config
            .pools
            .into_iter()
            .map(|(url, client)| {
                let name = url.to_string().into();
                Pool { url, name, client: Client::new(client), refusals: 0 }
            })
            .collect();
        let started = Instant::now();
        let stopping = false;
        Self { pools, give_up: config.give_up, started, shares, events, stop, stopping }
    }

    /// Runs until there is a reason to end. Every share it was given has its verdict by then.
    pub async fn run(mut self) -> End {
        let mut backoff = Backoff::default();
        let mut current = 0;
        let mut failures = 0;
        let mut last_session = self.now();
        let end = loop {
            match self.attempt(current).await {
                Attempt::Stopped => break End::Stopped,
                Attempt::Refused(reason) => {
                    self.tell(current, LinkState::Lost, Some(reason.clone()));
                    self.pools[current].refusals += 1;
                    if self.pools.iter().all(|pool| pool.refusals >= REFUSALS) {
                        break End::Refused(reason);
                    }
                    failures += 1;
                }
                Attempt::Failed { reason, authorized } => {
                    self.tell(current, LinkState::Lost, Some(reason.clone()));
                    if authorized {
                        last_session = self.now();
                        backoff.reset();
                        failures = 0;
                    }
                    failures += 1;
                    if self.give_up.is_some_and(|limit| self.now() >= last_session + limit) {
                        break End::Unreachable(reason);
                    }
                }
            }
            let exhausted = self.pools[current].refusals >= REFUSALS;
            if self.pools.len() > 1 && (failures >= FAILURES_BEFORE_FAILOVER || exhausted) {
                failures = 0;
                current = (current + 1) % self.pools.len();
                self.tell(current, LinkState::Failover, None);
            }
            let wait = sleep(backoff.next());
            if self.offline(current, wait).await.is_none() {
                break End::Stopped;
            }
        };
        self.finish();
        end
    }

    /// One connection, from the first SYN to its end.
    async fn attempt(&mut self, current: usize) -> Attempt {
        self.tell(current, LinkState::Connecting, None);
        let url = self.pools[current].url.clone();
        let connect = timeout(CONNECT_TIMEOUT, TcpStream::connect((url.host.clone(), url.port)));
        let stream = match self.offline(current, connect).await {
            None => return Attempt::Stopped,
            Some(Ok(Ok(stream))) => stream,
            Some(Ok(Err(error))) => {
                let reason = format!("cannot connect to {url}: {error}");
                return Attempt::Failed { reason, authorized: false };
            }
            Some(Err(_)) => {
                let seconds = CONNECT_TIMEOUT.as_secs();
                let reason = format!("cannot connect to {url}: no answer within {seconds} s");
                return Attempt::Failed { reason, authorized: false };
            }
        };
        configure_socket(&stream);
        self.tell(current, LinkState::Connected, None);
        let now = self.now();
        self.pools[current].client.handle_connected(now);
        let attempt = self.session(current, stream).await;
        let now = self.now();
        self.pools[current].client.handle_disconnected(now);
        self.forward_events(current);
        attempt
    }

    /// Drives the client over an open socket.
    async fn session(&mut self, current: usize, mut stream: TcpStream) -> Attempt {
        let mut buffer = vec![0; 16 * 1024];
        let mut authorized = false;
        let mut flush_until = None;
        loop {
            while let Some(bytes) = self.pools[current].client.poll_transmit() {
                let written = timeout(CONNECT_TIMEOUT, stream.write_all(&bytes)).await;
                if !matches!(written, Ok(Ok(()))) {
                    let reason = "the pool does not take what is sent".to_owned();
                    return Attempt::Failed { reason, authorized };
                }
            }
            match self.forward_events(current) {
                Some(Ending::Close(reason)) => return Attempt::Failed { reason, authorized },
                Some(Ending::Refused(reason)) => return Attempt::Refused(reason),
                Some(Ending::Authorized) => authorized = true,
                None => {}
            }
            let now = self.now();
            let client = &mut self.pools[current].client;
            if let Some(until) = flush_until
                && (client.pending() == 0 || now >= until)
            {
                return Attempt::Stopped;
            }
            let deadline = [client.poll_timeout(), flush_until].into_iter().flatten().min();
            let wait = deadline.map_or(Duration::from_secs(3600), |at| at.saturating_sub(now));
            tokio::select! {
                read = stream.read(&mut buffer) => {
                    let now = self.started.elapsed();
                    match read {
                        Ok(0) => {
                            let reason = "the pool closed the connection".to_owned();
                            return Attempt::Failed { reason, authorized };
                        }
                        Ok(count) => client.handle_bytes(now, &buffer[..count]),
                        Err(error) => {
                            let reason = format!("the connection broke: {error}");
                            return Attempt::Failed { reason, authorized };
                        }
                    }
                }
                Some(share) = self.shares.recv() => client.submit(self.started.elapsed(), share),
                () = sleep(wait) => client.handle_timeout(self.started.elapsed()),
                _ = &mut self.stop, if !self.stopping => {
                    self.stopping = true;
                    // Shares that were found before the stop are sent and answered if possible.
                    let now = self.started.elapsed();
                    while let Ok(share) = self.shares.try_recv() {
                        client.submit(now, share);
                    }
                    flush_until = Some(now + FLUSH_TIMEOUT);
                }
            }
        }
    }

    /// Waits for `done` while there is no session; shares that are found meanwhile go to the client,
    /// which knows what to do with them. `None`: told to stop.
    async fn offline<T>(&mut self, current: usize, done: impl Future<Output = T>) -> Option<T> {
        let mut done = pin!(done);
        loop {
            tokio::select! {
                result = &mut done => return Some(result),
                Some(share) = self.shares.recv() => {
                    let now = self.now();
                    self.pools[current].client.submit(now, share);
                    self.forward_events(current);
                }
                _ = &mut self.stop => return None,
            }
        }
    }

    /// The last verdicts: nothing more can be sent or answered.
    fn finish(&mut self) {
        let now = self.now();
        self.shares.close();
        while let Ok(share) = self.shares.try_recv() {
            self.pools[0].client.submit(now, share);
        }
        for index in 0..self.pools.len() {
            self.pools[index].client.finish(now);
            self.forward_events(index);
        }
    }

    /// Passes the client's events on, and picks out the one that matters to the connection.
    fn forward_events(&mut self, current: usize) -> Option<Ending> {
        let mut ending = None;
        while let Some(event) = self.pools[current].client.poll_event() {
            let what = match event {
                Event::Authorized => {
                    self.pools[current].refusals = 0;
                    ending = ending.or(Some(Ending::Authorized));
                    Happened::State { state: LinkState::Authorized, reason: None }
                }
                Event::AuthorizationRefused { reason } => {
                    ending = Some(Ending::Refused(reason));
                    continue;
                }
                Event::Close(reason) => {
                    // A refusal closes too, and says more.
                    if !matches!(ending, Some(Ending::Refused(_))) {
                        ending = Some(Ending::Close(reason.to_string()));
                    }
                    continue;
                }
                Event::Job(job) => Happened::Job(job),
                Event::Verdict { share, verdict, code, reason, advice, latency } => {
                    Happened::Verdict { share, verdict, code, reason, advice, latency }
                }
                Event::Message(text) => Happened::Message(text),
                Event::Warning(text) => Happened::Warning(text),
                event => {
                    tracing::debug!(?event, "stratum");
                    continue;
                }
            };
            self.send(current, what);
        }
        ending
    }

    fn tell(&self, current: usize, state: LinkState, reason: Option<String>) {
        self.send(current, Happened::State { state, reason });
    }

    fn send(&self, current: usize, what: Happened) {
        let url = Arc::clone(&self.pools[current].name);
        // Nobody listening means that the program is on its way out.
        let _ = self.events.send(LinkEvent { url, what });
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

/// An event after which the connection is not what it was.
enum Ending {
    Authorized,
    Refused(String),
    Close(String),
}

/// Small messages at once, and a peer that vanished is noticed. Neither is worth failing for.
fn configure_socket(stream: &TcpStream) {
    let (idle, interval, retries) = KEEPALIVE;
    let keepalive =
        socket2::TcpKeepalive::new().with_time(idle).with_interval(interval).with_retries(retries);
    if let Err(error) = stream
        .set_nodelay(true)
        .and_then(|()| socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive))
    {
        tracing::debug!(%error, "socket options");
    }
}
