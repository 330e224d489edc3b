//! The embedded pool's port of Stratum V2 among miners that mean it no good: pipes, virtual time.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_net::{Listen, PoolServer, ServerHandle, ServerLimits};
use midstate_pool::{Front, PoolConfig, RegtestPool};
use midstate_sv2::{Authority, Client, ClientConfig, Dialled, Event};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

/// Pipes instead of a port.
struct Pipes(mpsc::UnboundedReceiver<DuplexStream>);

impl Listen for Pipes {
    type Stream = DuplexStream;

    fn address(&self) -> io::Result<SocketAddr> {
        Ok(SocketAddr::from(([127, 0, 0, 1], 1)))
    }

    async fn accept(&mut self) -> io::Result<(DuplexStream, SocketAddr)> {
        match self.0.recv().await {
            Some(pipe) => Ok((pipe, self.address()?)),
            None => std::future::pending().await,
        }
    }
}

struct Hall {
    server: ServerHandle<RegtestPool>,
    door: mpsc::UnboundedSender<DuplexStream>,
    /// Of Stratum V1.
    _other: mpsc::UnboundedSender<DuplexStream>,
}

impl Hall {
    fn open(limits: ServerLimits) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let pool = RegtestPool::new(PoolConfig::new(1e-9, 0), Vec::new(), now).unwrap();
        let [(door, pipes), (other, no_pipes)] = [(); 2].map(|()| mpsc::unbounded_channel());
        let (events, _) = mpsc::unbounded_channel();
        let server = PoolServer::new(pool, Pipes(no_pipes), events)
            .with_v2(Pipes(pipes), Authority::from_secret([9; 32]).unwrap())
            .with_limits(limits)
            .spawn()
            .unwrap();
        Self { server, door, _other: other }
    }

    fn plug(&self) -> DuplexStream {
        let (ours, theirs) = duplex(1 << 16);
        self.door.send(theirs).unwrap();
        ours
    }
}

struct Miner {
    client: Client,
    pipe: DuplexStream,
}

impl Miner {
    fn connect(hall: &Hall) -> Self {
        let mut client = Client::new(ClientConfig::new("rig"));
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let (host, unix) = ("pool".to_owned(), since.as_secs() as u32);
        let dialled = Dialled { host, port: 1, unix, entropy: [1; 32] };
        client.handle_connected(Duration::ZERO, dialled);
        Self { client, pipe: hall.plug() }
    }

    /// Talks until `is_wanted` has come.
    async fn talk(&mut self, is_wanted: impl Fn(&Event) -> bool) {
        let mut chunk = [0; 4096];
        loop {
            while let Some(event) = self.client.poll_event() {
                if is_wanted(&event) {
                    return;
                }
            }
            while let Some(bytes) = self.client.poll_transmit() {
                self.pipe.write_all(&bytes).await.unwrap();
            }
            let read = self.pipe.read(&mut chunk).await.unwrap();
            assert!(read > 0, "the connection stays");
            self.client.handle_bytes(Duration::ZERO, &chunk[..read]);
        }
    }
}

/// Reads until the server hangs up.
async fn hung_up(pipe: &mut DuplexStream) -> Duration {
    let start = Instant::now();
    let _ = pipe.read_to_end(&mut Vec::new()).await;
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn who_has_set_up_nothing_after_a_minute_is_hung_up_on() {
    let hall = Hall::open(ServerLimits::default());
    let mut silent = hall.plug();
    assert_eq!(hung_up(&mut silent).await.as_secs(), 60);
    // A handshake alone is nothing.
    let mut half = Miner::connect(&hall);
    let hello = half.client.poll_transmit().unwrap();
    half.pipe.write_all(&hello).await.unwrap();
    assert_eq!(hung_up(&mut half.pipe).await.as_secs(), 60);
    assert_eq!(hall.server.stop().await.unwrap().pool().sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_a_frame_unfinished_is_hung_up_on_however_slowly_it_goes_on() {
    let hall = Hall::open(ServerLimits::default());
    let mut miner = Miner::connect(&hall);
    miner.talk(|event| matches!(event, Event::Job(_))).await;
    // Whole frames keep it in, for as long as it likes.
    sleep(Duration::from_secs(1000)).await;
    miner.client.set_hash_rate(Duration::from_secs(1000), 1e9);
    let frame = miner.client.poll_transmit().unwrap();
    let (first, rest) = frame.split_at(10);
    miner.pipe.write_all(first).await.unwrap();
    let start = Instant::now();
    for byte in rest {
        sleep(Duration::from_secs(2)).await;
        if miner.pipe.write_all(&[*byte]).await.is_err() {
            break;
        }
    }
    let patience = ServerLimits::default().line;
    assert!(start.elapsed() <= patience + Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(hall.server.stop().await.unwrap().pool().sessions(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_miner_too_many_is_hung_up_on_and_has_a_place_when_another_left() {
    let hall = Hall::open(ServerLimits { sessions: 1, ..ServerLimits::default() });
    let mut first = Miner::connect(&hall);
    first.talk(|event| matches!(event, Event::Job(_))).await;
    let mut late = hall.plug();
    assert_eq!(hung_up(&mut late).await.as_secs(), 0);
    drop(first);
    sleep(Duration::from_secs(1)).await;
    let mut second = Miner::connect(&hall);
    second.talk(|event| matches!(event, Event::Job(_))).await;
}
