//! The embedded pool on a TCP port, and on another one for Stratum V2: one task owns the pool, one
//! small task per connection moves bytes. A [`Backend`] gives the pool its work: a chain in memory,
//! or a node. Used by `midstate demo` and by tests.
//!
//! A miner may send as fast as it likes. The next bytes of a connection are read when the answers
//! to the bytes before have been written, so that a miner which reads its answers keeps its
//! connection, however many requests it sends at once. A connection ends when its miner has taken
//! not a byte for [`ServerLimits::write`]. Until then its lines wait in the pool, where only the
//! newest of its jobs waits: a line that stalls costs memory for a few answers and one job,
//! however fast the chain grows meanwhile.

mod connection;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_pool::{EmbeddedPoolEvent, Front, Pool, PoolTemplate, RegtestPool, SessionId};
use midstate_stratum::Server;
use midstate_sv2::Authority;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::ServerLimits;
use connection::{Inbound, Outbound, Unfinished, say_farewell, serve_connection};

/// From an attempt to accept a connection that failed to the next one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A pool, and the source of its work.
pub trait Backend: Front + Send + 'static {
    /// How many jobs it has given out: when there is a new one, every miner may have a line.
    /// `None`: any call may give every miner a line.
    fn jobs(&self) -> Option<u64> {
        Some(self.pool().jobs())
    }
    /// Waits until the work changes by itself. Cancel safe.
    fn renew(&mut self) -> impl Future<Output = ()> + Send;
}

impl Backend for RegtestPool {
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
    pub templates: mpsc::UnboundedReceiver<PoolTemplate>,
}

impl Front for NodePool {
    fn pool(&self) -> &Pool {
        &self.pool
    }

    fn pool_mut(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// The pool's own events bring its blocks to the node.
    fn settle(&mut self, _: Duration) {}

    fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
        self.pool.poll_event()
    }
}

impl Backend for NodePool {
    async fn renew(&mut self) {
        let due = self.pool.poll_timeout();
        let wait = async {
            match due {
                Some(due) => sleep(due.saturating_sub(now())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // When the node's link has ended, the last work is all there is.
            Some(template) = self.templates.recv() => self.pool.set_template(template),
            () = wait => self.pool.handle_timeout(now()),
        }
    }
}

/// Where connections come from: a TCP port, or the pipes of a test.
pub trait Listen: Send + 'static {
    /// A connection.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;
    /// Where it listens.
    ///
    /// # Errors
    /// When the address cannot be read.
    fn address(&self) -> io::Result<SocketAddr>;
    /// The next connection, and where it comes from. Cancel safe.
    fn accept(&mut self) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
}

impl Listen for TcpListener {
    type Stream = TcpStream;

    fn address(&self) -> io::Result<SocketAddr> {
        self.local_addr()
    }

    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = TcpListener::accept(self).await?;
        // Answers and jobs are small: waiting for more to send only adds latency.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}

/// A pool and the port it will listen on.
pub struct PoolServer<B, L = TcpListener> {
    pool: B,
    listener: L,
    v2: Option<(L, Authority)>,
    events: mpsc::UnboundedSender<EmbeddedPoolEvent>,
    limits: ServerLimits,
}

/// A running pool server.
pub struct ServerHandle<B> {
    address: SocketAddr,
    v2_address: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<B>,
}

/// The way in for connections.
struct Hall {
    inbound: mpsc::Sender<Inbound>,
    /// One for each open socket, which may outlast its session while it writes.
    places: Arc<Semaphore>,
    /// One for each connection that is told that every place is taken.
    doors: Arc<Semaphore>,
}

/// A connection, as the pool's task sees it.
struct Peer {
    /// One place is enough: while a connection writes it is given nothing more.
    outbox: mpsc::Sender<Outbound>,
    is_writing: bool,
    /// Bytes were read, and the answers have yet to be handed over.
    is_asking: bool,
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

impl<B: Backend, L: Listen> PoolServer<B, L> {
    /// Serves `pool` on `listener`; what happens goes to `events`.
    pub fn new(pool: B, listener: L, events: mpsc::UnboundedSender<EmbeddedPoolEvent>) -> Self {
        Self { pool, listener, v2: None, events, limits: ServerLimits::default() }
    }

    /// The same with another listener for Stratum V2, where the authority proves who the pool is.
    #[must_use]
    pub fn with_v2(mut self, listener: L, authority: Authority) -> Self {
        self.v2 = Some((listener, authority));
        self
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
    pub fn spawn(self) -> io::Result<ServerHandle<B>> {
        let address = self.listener.address()?;
        let v2_address = self.v2.as_ref().map(|(listener, _)| listener.address()).transpose()?;
        let (stop, stopped) = oneshot::channel();
        Ok(ServerHandle { address, v2_address, stop, task: tokio::spawn(self.serve(stopped)) })
    }

    async fn serve(mut self, mut stopped: oneshot::Receiver<()>) -> B {
        let (inbound, mut inbox) = mpsc::channel(self.limits.inbox);
        let mut peers: HashMap<SessionId, Peer> = HashMap::new();
        let hall = Hall::new(inbound, &self.limits);
        let [mut accept_from, mut accept_v2_from] = [Instant::now(); 2];
        loop {
            let jobs = self.pool.jobs();
            let touched = tokio::select! {
                arrived = accept(&mut self.listener, &mut accept_from) => {
                    let id = self.welcome(arrived, None, &hall, &mut peers);
                    if id.is_none() { continue } else { id }
                }
                (arrived, authority) = accept_v2(&mut self.v2, &mut accept_v2_from) => {
                    let id = self.welcome(arrived, Some(authority), &hall, &mut peers);
                    if id.is_none() { continue } else { id }
                }
                Some(message) = inbox.recv() => Some(self.handle(message, &mut peers)),
                () = self.pool.renew() => None,
                _ = &mut stopped => break,
            };
            // With a thousand miners, to ask each of them at every line would take longer than all
            // else.
            match touched.filter(|_| jobs.is_some() && jobs == self.pool.jobs()) {
                Some(id) => {
                    if let Some(peer) = peers.get_mut(&id) {
                        peer.hand_over(id, &mut self.pool);
                    }
                }
                None => {
                    for (&id, peer) in &mut peers {
                        peer.hand_over(id, &mut self.pool);
                    }
                }
            }
            while let Some(event) = self.pool.poll_event() {
                if let EmbeddedPoolEvent::Close { session, reason } = &event {
                    tracing::info!(?session, reason, "closed");
                    // Without its outbox a connection ends, after it has written what it has.
                    peers.remove(session);
                    self.pool.disconnect(*session);
                }
                // A closed channel is no reason to stop serving.
                let _ = self.events.send(event);
            }
        }
        // Miners that are still there leave now, and are told of as any that leaves.
        let mut present: Vec<_> = peers.into_keys().collect();
        present.sort_unstable_by_key(|id| id.number());
        present.into_iter().for_each(|id| self.pool.disconnect(id));
        while let Some(event) = self.pool.poll_event() {
            let _ = self.events.send(event);
        }
        self.pool
    }

    /// Lets a connection in, if there is a place for it. With an authority it is one of Stratum V2.
    fn welcome(
        &mut self,
        (stream, from): (L::Stream, SocketAddr),
        authority: Option<Authority>,
        hall: &Hall,
        peers: &mut HashMap<SessionId, Peer>,
    ) -> Option<SessionId> {
        let Ok(place) = Arc::clone(&hall.places).try_acquire_owned() else {
            let words = authority.is_none();
            self.turn_away(stream, from, words, &hall.doors);
            return None;
        };
        let is_v2 = authority.is_some();
        let id = match authority {
            None => self.pool.connect(from),
            Some(authority) => self.pool.connect_v2(from, authority, entropy()),
        };
        tracing::debug!(%from, ?id, is_v2, "connected");
        let (outbox, lines) = mpsc::channel(1);
        peers.insert(id, Peer { outbox, is_writing: false, is_asking: false });
        let (inbound, limits) = (hall.inbound.clone(), self.limits.clone());
        tokio::spawn(async move {
            let unfinished = if is_v2 { Unfinished::frame() } else { Unfinished::line() };
            serve_connection(stream, id, inbound, lines, limits, unfinished).await;
            drop(place);
        });
        Some(id)
    }

    /// Tells a miner that there is no place for it, if its protocol has words for that. A few at a
    /// time: who connects in great numbers costs no more than that.
    fn turn_away(&self, stream: L::Stream, peer: SocketAddr, words: bool, doors: &Arc<Semaphore>) {
        tracing::debug!(%peer, "turned away, every place is taken");
        let (places, patience) = (self.limits.sessions, self.limits.farewell);
        let _ = self.events.send(EmbeddedPoolEvent::Full { places, from: peer });
        if words && let Ok(door) = Arc::clone(doors).try_acquire_owned() {
            tokio::spawn(async move {
                let words = format!("this pool is full: it has places for {places} miners");
                let _ = timeout(patience, say_farewell(stream, &Server::farewell(&words))).await;
                drop(door);
            });
        }
    }

    /// Says which miner the message is of.
    fn handle(&mut self, message: Inbound, peers: &mut HashMap<SessionId, Peer>) -> SessionId {
        match message {
            Inbound::Bytes(id, bytes) => {
                if let Some(peer) = peers.get_mut(&id) {
                    peer.is_asking = true;
                    self.pool.handle_bytes(now(), id, &bytes);
                }
                id
            }
            Inbound::Written(id) => {
                if let Some(peer) = peers.get_mut(&id) {
                    peer.is_writing = false;
                }
                id
            }
            Inbound::Due(id) => {
                if !self.pool.pool().is_let_in(id) && peers.remove(&id).is_some() {
                    tracing::info!(?id, "did not subscribe and authorize, dropped");
                    self.pool.disconnect(id);
                }
                id
            }
            Inbound::Gone(id) => {
                peers.remove(&id);
                self.pool.disconnect(id);
                id
            }
        }
    }
}

impl Peer {
    /// Gives the connection its lines, if it has written those before.
    fn hand_over(&mut self, id: SessionId, pool: &mut impl Backend) {
        if self.is_writing {
            return;
        }
        let lines = std::iter::from_fn(|| pool.poll_transmit(id)).flatten().collect::<Vec<u8>>();
        if lines.is_empty() && !self.is_asking {
            return;
        }
        let is_answer = std::mem::take(&mut self.is_asking);
        let outbound = Outbound { lines, is_answer, unfinished: pool.pool().unfinished_frame(id) };
        // A connection that has ended says so by itself.
        self.is_writing = self.outbox.try_send(outbound).is_ok();
    }
}

impl Hall {
    fn new(inbound: mpsc::Sender<Inbound>, limits: &ServerLimits) -> Self {
        let [places, doors] =
            [limits.sessions, limits.turned_away].map(|count| Arc::new(Semaphore::new(count)));
        Self { inbound, places, doors }
    }
}

impl<B: Backend> ServerHandle<B> {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The listener for Stratum V2.
    pub fn v2_address(&self) -> Option<SocketAddr> {
        self.v2_address
    }

    /// Stops serving and hands the pool back, with all that it knows.
    pub async fn stop(self) -> Option<B> {
        let _ = self.stop.send(());
        self.task.await.ok()
    }
}

/// The next connection. After an attempt that failed, `from` says when the next may be made: the
/// caller drops this future for everything else that happens, so that connected miners do not wait.
async fn accept<L: Listen>(listener: &mut L, from: &mut Instant) -> (L::Stream, SocketAddr) {
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

/// The same at the port of Stratum V2, if there is one; with the authority there.
async fn accept_v2<L: Listen>(
    v2: &mut Option<(L, Authority)>,
    from: &mut Instant,
) -> ((L::Stream, SocketAddr), Authority) {
    match v2 {
        Some((listener, authority)) => (accept(listener, from).await, *authority),
        None => std::future::pending().await,
    }
}

/// Random bytes for a handshake.
fn entropy() -> [u8; 32] {
    let mut entropy = [0; 32];
    getrandom::fill(&mut entropy).expect("the system has random bytes");
    entropy
}

#[cfg(test)]
mod tests {
    use midstate_pool::PoolConfig;
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// Has more to say than any socket's buffers hold.
    struct Talkative {
        pool: RegtestPool,
        speech: Option<(SessionId, Vec<u8>)>,
    }

    impl Front for Talkative {
        fn pool(&self) -> &Pool {
            self.pool.pool()
        }

        fn pool_mut(&mut self) -> &mut Pool {
            self.pool.pool_mut()
        }

        fn settle(&mut self, _: Duration) {}

        fn poll_event(&mut self) -> Option<EmbeddedPoolEvent> {
            None
        }

        fn connect(&mut self, from: SocketAddr) -> SessionId {
            let id = self.pool.connect(from);
            self.speech = Some((id, vec![b'\n'; 64 << 20]));
            id
        }

        fn handle_bytes(&mut self, _: Duration, _: SessionId, _: &[u8]) {}

        fn poll_transmit(&mut self, id: SessionId) -> Option<Vec<u8>> {
            self.speech.take_if(|(to, _)| *to == id).map(|(_, speech)| speech)
        }
    }

    impl Backend for Talkative {
        fn jobs(&self) -> Option<u64> {
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
