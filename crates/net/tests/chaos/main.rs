//! Chaos at the embedded pool's server: miners of V1 and V2 that send fast, lines that stall and
//! lines that cut anywhere, in virtual time over pipes. `CHAOS_SEEDS` sets the number of seeds;
//! `cargo xtask chaos --seeds N` sets it, and builds for speed.
//!
//! In every run: each request of a miner that reads has exactly one answer, in order, whatever its
//! line did for less than the ten seconds of the limits; its connection is never ended; the shares
//! that the miners know to be accepted are those that the pool counts, and its chain is as long as
//! its blocks. A miner that takes not a byte is hung up on, and the others do not notice.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod v2;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastrand::Rng;
use midstate_net::{Listen, PoolServer};
use midstate_pool::{Front, PoolConfig, RegtestPool, WorkerStats};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// Longest pause of a miner that reads, below the limit of the server.
const STALL: Duration = Duration::from_millis(9_900);
/// A run that takes longer has come to a standstill.
const DAY: Duration = Duration::from_secs(86_400);

fn seeds() -> u64 {
    match std::env::var("CHAOS_SEEDS") {
        Ok(text) => text.parse().expect("CHAOS_SEEDS is a number"),
        Err(_) => 1,
    }
}

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

/// Counts of one or more runs.
#[derive(Debug, Default)]
struct Outcome {
    requests: u64,
    accepted: u64,
    jobs: u64,
    hung_up: u64,
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.jobs += other.jobs;
        self.hung_up += other.hung_up;
    }
}

#[test]
fn a_client_that_reads_its_answers_is_never_disconnected_for_sending_fast() {
    let mut total = Outcome::default();
    for seed in 0..seeds() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let run = async { timeout(DAY, play(Rng::with_seed(seed))).await };
        let outcome = runtime.block_on(run);
        total += outcome.unwrap_or_else(|_| panic!("seed {seed} has come to a standstill"));
    }
    println!("the embedded pool, {} seeds: {total:?}", seeds());
}

async fn play(mut rng: Rng) -> Outcome {
    // Shares of four hashes on average; blocks as easy, or hard enough that a tip lasts.
    let difficulty = 1e-9;
    let block_difficulty = if rng.bool() { difficulty } else { 1e-7 };
    let config = PoolConfig { block_difficulty, ..PoolConfig::new(difficulty, rng.u32(..)) };
    let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let pool = RegtestPool::new(config, Vec::new(), start).unwrap();
    let (connect, pipes) = mpsc::unbounded_channel();
    let (connect_v2, pipes_v2) = mpsc::unbounded_channel();
    let (events, mut told) = mpsc::unbounded_channel();
    let drained = tokio::spawn(async move { while told.recv().await.is_some() {} });
    let server = PoolServer::new(pool, Pipes(pipes), events);
    let server = server.with_v2(Pipes(pipes_v2), v2::authority()).spawn().unwrap();

    // Pipes hold from less than a line to many answers.
    let plug = |rng: &mut Rng, connect: &mpsc::UnboundedSender<_>| {
        let (ours, theirs) = duplex(1 << rng.u32(4..16));
        connect.send(theirs).unwrap();
        ours
    };
    let mut readers: Vec<_> = (0..rng.usize(1..5))
        .map(|_| tokio::spawn(Miner::play(plug(&mut rng, &connect), rng.fork())))
        .collect();
    readers.extend(
        (0..rng.usize(1..4))
            .map(|_| tokio::spawn(v2::Miner::play(plug(&mut rng, &connect_v2), rng.fork()))),
    );
    let mut dead: Vec<_> =
        (0..rng.usize(0..3)).map(|_| tokio::spawn(play_dead(plug(&mut rng, &connect)))).collect();
    dead.extend(
        (0..rng.usize(0..2))
            .map(|_| tokio::spawn(v2::Miner::play_dead(plug(&mut rng, &connect_v2), rng.fork()))),
    );

    let mut outcome = Outcome { hung_up: dead.len() as u64, ..Outcome::default() };
    for reader in readers {
        outcome += reader.await.unwrap();
    }
    for dead in dead {
        dead.await.unwrap();
    }
    let pool = server.stop().await.unwrap();
    drained.await.unwrap();
    let sum = |count: fn(&WorkerStats) -> u64| pool.pool().standings().values().map(count).sum();
    // Shares of the dead are known to the pool alone.
    let mine = pool.pool().standings().iter().filter(|(label, _)| label.worker == "me");
    let accepted: u64 = mine.map(|(_, stats)| stats.accepted).sum();
    assert_eq!(accepted, outcome.accepted, "pool and miners count alike");
    let blocks: u64 = sum(|stats| stats.blocks);
    assert_eq!(blocks, u64::from(pool.chain().height()));
    outcome
}

/// Takes not a byte, and asks as long as it can: it is hung up on.
async fn play_dead(pipe: DuplexStream) {
    let (_reader, mut writer) = split(pipe);
    let subscribe = format!("{}\n", json!({"id": 1, "method": "mining.subscribe", "params": []}));
    writer.write_all(subscribe.as_bytes()).await.unwrap();
    while writer.write_all(b"{\"id\":2,\"method\":\"mining.ping\"}\n").await.is_ok() {}
}

/// The newest job that a miner has read of: id and time.
type Newest = Arc<Mutex<(String, String)>>;

/// A miner that reads.
struct Miner {
    rng: Rng,
    /// Requests so far. The id of a request is twice its number, and one more for a share.
    asked: u64,
    job: Newest,
}

impl Miner {
    async fn play(pipe: DuplexStream, mut rng: Rng) -> Outcome {
        let (reader, mut writer) = split(pipe);
        let job = Newest::default();
        let listener = Listener { rng: rng.fork(), job: Arc::clone(&job) };
        let (counts, expected) = mpsc::unbounded_channel();
        let listening = tokio::spawn(listener.play(reader, expected));
        let mut miner = Self { rng, asked: 0, job };
        miner.send(&mut writer, &["mining.subscribe", "mining.authorize"]).await;
        for _ in 0..miner.rng.u32(1..12) {
            let burst = 1 << miner.rng.u32(0..11);
            let methods: Vec<_> = (0..burst).map(|_| miner.method()).collect();
            miner.send(&mut writer, &methods).await;
            if miner.rng.bool() {
                sleep(Duration::from_millis(miner.rng.u64(0..20_000))).await;
            }
        }
        counts.send(miner.asked).unwrap();
        let outcome = listening.await.unwrap();
        assert_eq!(outcome.requests, miner.asked);
        outcome
    }

    fn method(&mut self) -> &'static str {
        let others =
            ["mining.configure", "mining.ping", "mining.authorize", "mining.suggest_difficulty"];
        if self.rng.u32(..20) > 0 { "mining.submit" } else { self.rng.choice(others).unwrap() }
    }

    /// Requests in one go, cut anywhere.
    async fn send(&mut self, writer: &mut WriteHalf<DuplexStream>, methods: &[&str]) {
        let requests: String = methods.iter().map(|method| self.request(method)).collect();
        let mut bytes = requests.as_bytes();
        while !bytes.is_empty() {
            let cut = if self.rng.bool() { bytes.len() } else { self.rng.usize(1..=bytes.len()) };
            writer.write_all(&bytes[..cut]).await.expect("the connection stays");
            bytes = &bytes[cut..];
        }
    }

    fn request(&mut self, method: &str) -> String {
        self.asked += 1;
        let (job, time) = self.job.lock().unwrap().clone();
        let params = match method {
            "mining.submit" => {
                let [extranonce2, nonce] = [(); 2].map(|()| format!("{:08x}", self.rng.u32(..)));
                json!(["me", job, extranonce2, time, nonce])
            }
            "mining.authorize" => json!(["me", "x"]),
            "mining.configure" => json!([[], {}]),
            "mining.suggest_difficulty" => json!([1]),
            _ => json!([]),
        };
        let id = 2 * self.asked + u64::from(method == "mining.submit");
        format!("{}\n", json!({"id": id, "method": method, "params": params}))
    }
}

/// The side of a miner that reads: at once, byte by byte, or after a stall.
struct Listener {
    rng: Rng,
    job: Newest,
}

impl Listener {
    /// Reads until all questions are answered, whose number comes when the last is asked.
    async fn play(
        mut self,
        mut reader: ReadHalf<DuplexStream>,
        mut expected: mpsc::UnboundedReceiver<u64>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut asked = None;
        let mut unread = Vec::new();
        while asked != Some(outcome.requests) {
            let mut chunk = vec![0; 1 << self.rng.u32(0..16)];
            let read = tokio::select! {
                read = reader.read(&mut chunk) => read.unwrap(),
                count = expected.recv(), if asked.is_none() => {
                    asked = count;
                    continue;
                }
            };
            assert!(read > 0, "the connection stays");
            unread.extend_from_slice(&chunk[..read]);
            while let Some(end) = unread.iter().position(|&byte| byte == b'\n') {
                let line: Vec<_> = unread.drain(..=end).collect();
                self.hear(&serde_json::from_slice(&line).unwrap(), &mut outcome);
            }
            if self.rng.u32(..50) == 0 {
                sleep(STALL.mul_f64(self.rng.f64())).await;
            }
        }
        outcome
    }

    fn hear(&mut self, message: &Value, outcome: &mut Outcome) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        if message["method"] == "mining.notify" {
            let params = &message["params"];
            *self.job.lock().unwrap() = (text(&params[0]), text(&params[7]));
            outcome.jobs += 1;
        } else if let Some(id) = message["id"].as_u64() {
            outcome.requests += 1;
            assert_eq!(id / 2, outcome.requests, "one answer each, in their order");
            outcome.accepted += u64::from(id % 2 == 1 && message["result"] == true);
        }
    }
}
