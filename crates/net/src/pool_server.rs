//! The embedded pool on a TCP port: one task owns the pool, one small task per connection moves
//! bytes. A [`Backend`] gives the pool its work: a chain in memory, or a node. Used by
//! `midstate demo` and by tests.
//!
//! A miner may send as fast as it likes. The next bytes of a connection are read when the answers
//! to the bytes before have been written, so that a miner which reads its answers keeps its
//! connection, however many requests it sends at once, and however long its line stalls below
//! [`ServerLimits::write`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_pool::{Event, Pool, RegtestPool, SessionId, Template};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::ServerLimits;

/// Chunks of bytes under way from one connection before its reader waits.
const INBOX: usize = 16;
/// From an attempt to accept a connection that failed to the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A pool, and whatever gives it work.
pub trait Backend: Send + 'static {
    /// A miner connected from there.
    fn connect(&mut self, from: SocketAddr) -> SessionId;
    /// A miner is gone.
    fn disconnect(&mut self, id: SessionId);
    /// Whether this miner has subscribed.
    fn is_subscribed(&self, id: SessionId) -> bool;
    /// Bytes from a miner.
    fn handle_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]);
    /// The next bytes to send, and to whom.
    fn poll_transmit(&mut self) -> Option<(SessionId, Vec<u8>)>;
    /// The next thing to tell.
    fn poll_event(&mut self) -> Option<Event>;
    /// Waits until the work changes by itself. Cancel safe.
    fn renew(&mut self) -> impl Future<Output = ()> + Send;
}

impl Backend for RegtestPool {
    fn connect(&mut self, from: SocketAddr) -> SessionId {
        self.connect(from)
    }

    fn disconnect(&mut self, id: SessionId) {
        self.disconnect(id);
    }

    fn is_subscribed(&self, id: SessionId) -> bool {
        self.pool().is_subscribed(id)
    }

    fn handle_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]) {
        self.handle_bytes(now, id, bytes);
    }

    fn poll_transmit(&mut self) -> Option<(SessionId, Vec<u8>)> {
        self.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.poll_event()
    }

    async fn renew(&mut self) {
        sleep(self.poll_timeout().saturating_sub(now())).await;
        self.handle_timeout(now());
    }
}

/// A pool that gets its work from a node: the other end of
/// [`NodeLink::for_pool`](crate::NodeLink::for_pool).
pub struct NodePool {
    /// The pool.
    pub pool: Pool,
    /// Where its work comes from.
    pub templates: mpsc::UnboundedReceiver<Template>,
}

impl Backend for NodePool {
    fn connect(&mut self, from: SocketAddr) -> SessionId {
        self.pool.connect(from)
    }

    fn disconnect(&mut self, id: SessionId) {
        self.pool.disconnect(id);
    }

    fn is_subscribed(&self, id: SessionId) -> bool {
        self.pool.is_subscribed(id)
    }

    fn handle_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]) {
        self.pool.handle_bytes(now, id, bytes);
    }

    fn poll_transmit(&mut self) -> Option<(SessionId, Vec<u8>)> {
        self.pool.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.pool.poll_event()
    }

    async fn renew(&mut self) {
        match self.templates.recv().await {
            Some(template) => self.pool.set_template(template),
            // The node's link has ended: the last work is all there is.
            None => std::future::pending().await,
        }
    }
}

/// A pool and the port it will listen on.
pub struct PoolServer<B> {
    pool: B,
    listener: TcpListener,
    events: mpsc::UnboundedSender<Event>,
    limits: ServerLimits,
}

/// A running pool server.
pub struct ServerHandle<B> {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<B>,
}

/// From the pool's task to a connection.
enum Outbound {
    /// To be written.
    Line(Vec<u8>),
    /// The last bytes are handled, and their answers stand before this.
    Handled,
}

/// From a connection's reader to the pool's task.
enum Inbound {
    Bytes(SessionId, Vec<u8>),
    /// It has had the time to subscribe.
    SubscriptionDue(SessionId),
    Gone(SessionId),
}

/// The time as a pool wants it: since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl PoolServer<RegtestPool> {
    /// The time as the pool wants it: since 1970.
    pub fn now() -> Duration {
        now()
    }
}

impl<B: Backend> PoolServer<B> {
    /// Serves `pool` on `listener`; what happens goes to `events`.
    pub fn new(pool: B, listener: TcpListener, events: mpsc::UnboundedSender<Event>) -> Self {
        Self { pool, listener, events, limits: ServerLimits::default() }
    }

    /// The same within other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: ServerLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Starts serving in a task of its own.
    ///
    /// # Errors
    /// When the listener's address cannot be read.
    pub fn spawn(self) -> std::io::Result<ServerHandle<B>> {
        let address = self.listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        Ok(ServerHandle { address, stop, task: tokio::spawn(self.serve(stopped)) })
    }

    async fn serve(mut self, mut stopped: oneshot::Receiver<()>) -> B {
        let (inbound, mut inbox) = mpsc::channel(INBOX);
        let mut outboxes: HashMap<SessionId, mpsc::Sender<Outbound>> = HashMap::new();
        // One for each open socket, which may outlast its session while it writes.
        let places = Arc::new(Semaphore::new(self.limits.sessions));
        let mut accept_from = Instant::now();
        loop {
            let mut handled = None;
            tokio::select! {
                (stream, peer) = accept(&self.listener, &mut accept_from) => {
                    match Arc::clone(&places).try_acquire_owned() {
                        Ok(place) => {
                            let id = self.pool.connect(peer);
                            tracing::debug!(%peer, ?id, "connected");
                            let (outbound, outbox) = mpsc::channel(self.limits.unread_lines);
                            outboxes.insert(id, outbound);
                            let (inbound, limits) = (inbound.clone(), self.limits.clone());
                            tokio::spawn(async move {
                                serve_connection(stream, id, inbound, outbox, limits).await;
                                drop(place);
                            });
                            if places.available_permits() == 0 {
                                tracing::warn!("every place is taken, others are hung up on");
                            }
                        }
                        Err(_) => tracing::debug!(%peer, "hung up on, every place is taken"),
                    }
                }
                Some(message) = inbox.recv() => match message {
                    Inbound::Bytes(id, bytes) => {
                        self.pool.handle_bytes(now(), id, &bytes);
                        handled = Some(id);
                    }
                    Inbound::SubscriptionDue(id) => {
                        if !self.pool.is_subscribed(id) && outboxes.remove(&id).is_some() {
                            tracing::info!(?id, "did not subscribe, dropped");
                            self.pool.disconnect(id);
                        }
                    }
                    Inbound::Gone(id) => {
                        outboxes.remove(&id);
                        self.pool.disconnect(id);
                    }
                },
                () = self.pool.renew() => {}
                _ = &mut stopped => return self.pool,
            }
            let lines = std::iter::from_fn(|| {
                self.pool.poll_transmit().map(|(id, line)| (id, Outbound::Line(line)))
            });
            let mut outbound: Vec<_> = lines.collect();
            outbound.extend(handled.map(|id| (id, Outbound::Handled)));
            for (id, line) in outbound {
                // The answers to one read fit by far. It is full for a miner that reads next to
                // nothing while jobs come: closing its outbox ends its task.
                if outboxes.get(&id).is_some_and(|outbox| outbox.try_send(line).is_err()) {
                    tracing::warn!(?id, "does not read the lines that it is sent, dropped");
                    outboxes.remove(&id);
                    self.pool.disconnect(id);
                }
            }
            while let Some(event) = self.pool.poll_event() {
                if let Event::Close { session, reason } = &event {
                    tracing::info!(?session, reason, "closed");
                    outboxes.remove(session);
                    self.pool.disconnect(*session);
                }
                // Nobody listening any more is no reason to stop serving.
                let _ = self.events.send(event);
            }
        }
    }
}

impl<B: Backend> ServerHandle<B> {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops serving and hands the pool back, with all that it knows.
    pub async fn stop(self) -> Option<B> {
        let _ = self.stop.send(());
        self.task.await.ok()
    }
}

/// The next connection. An attempt that fails says when there may be another, in `from`: the caller
/// drops this future for everything else that happens, so that nobody who is connected waits.
async fn accept(listener: &TcpListener, from: &mut Instant) -> (TcpStream, SocketAddr) {
    loop {
        sleep_until(*from).await;
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Out of descriptors, usually.
                tracing::warn!(%error, "cannot accept a connection");
                *from = Instant::now() + ACCEPT_PAUSE;
            }
        }
    }
}

/// Moves bytes between a socket and the pool's task until either side ends it.
async fn serve_connection(
    mut stream: TcpStream,
    id: SessionId,
    inbound: mpsc::Sender<Inbound>,
    mut outbox: mpsc::Receiver<Outbound>,
    limits: ServerLimits,
) {
    // Shares and jobs are single small lines: waiting for more to send only adds latency.
    let _ = stream.set_nodelay(true);
    let (mut reader, mut writer) = stream.split();
    let mut buffer = vec![0; 4096];
    let mut subscription_due = pin!(sleep(limits.subscribe));
    let mut is_due = false;
    // Whether the bytes read last are still being handled, or their answers being written.
    let mut is_asking = false;
    loop {
        tokio::select! {
            () = &mut subscription_due, if !is_due => {
                is_due = true;
                if inbound.send(Inbound::SubscriptionDue(id)).await.is_err() {
                    break;
                }
            }
            read = reader.read(&mut buffer), if !is_asking => match read {
                Ok(0) | Err(_) => break,
                Ok(count) => {
                    is_asking = true;
                    let bytes = buffer[..count].to_vec();
                    if inbound.send(Inbound::Bytes(id, bytes)).await.is_err() {
                        break;
                    }
                }
            },
            chunk = outbox.recv() => match chunk {
                Some(Outbound::Line(line)) => {
                    match timeout(limits.write, writer.write_all(&line)).await {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) | Err(_) => break,
                    }
                }
                Some(Outbound::Handled) => is_asking = false,
                None => break,
            },
        }
    }
    let _ = inbound.send(Inbound::Gone(id)).await;
}

#[cfg(test)]
mod tests {
    use midstate_pool::PoolConfig;

    use super::*;

    /// Has more to say than any socket's buffers hold.
    struct Talkative {
        pool: RegtestPool,
        speech: Option<(SessionId, Vec<u8>)>,
    }

    impl Backend for Talkative {
        fn connect(&mut self, from: SocketAddr) -> SessionId {
            let id = self.pool.connect(from);
            self.speech = Some((id, vec![b'\n'; 64 << 20]));
            id
        }

        fn disconnect(&mut self, id: SessionId) {
            self.pool.disconnect(id);
        }

        fn is_subscribed(&self, _: SessionId) -> bool {
            true
        }

        fn handle_bytes(&mut self, _: Duration, _: SessionId, _: &[u8]) {}

        fn poll_transmit(&mut self) -> Option<(SessionId, Vec<u8>)> {
            self.speech.take()
        }

        fn poll_event(&mut self) -> Option<Event> {
            None
        }

        async fn renew(&mut self) {
            std::future::pending().await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_miner_that_reads_nothing_is_hung_up_on() {
        let config = PoolConfig::new(1.0, 0);
        let pool = RegtestPool::new(config, Vec::new(), now()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (events, _told) = mpsc::unbounded_channel();
        let pool = Talkative { pool, speech: None };
        let server = PoolServer::new(pool, listener, events).spawn().unwrap();

        let mut miner = TcpStream::connect(server.address()).await.unwrap();
        // The time is ours and leaps, the sockets are the system's and take theirs: each second
        // lasts as long as a real thing. Only a failure takes a day of them.
        let real = || std::thread::sleep(Duration::from_millis(1));
        let hung_up = async {
            while miner.write_all(&[b'\n'; 4096]).await.is_ok() {
                sleep(Duration::from_secs(1)).await;
                tokio::task::spawn_blocking(real).await.unwrap();
            }
        };
        let day = Duration::from_secs(86_400);
        timeout(day, hung_up).await.expect("the connection ends");
        assert_eq!(server.stop().await.unwrap().pool.pool().sessions(), 0);
    }
}
