//! The program between two embedded pools: the primary is killed in the middle of mining and comes
//! back, and at the end all books agree to the share.

use std::collections::HashSet;
use std::time::Instant;

use midstate_net::{PoolServer, ServerHandle};
use midstate_pool::{EmbeddedPoolEvent, PoolConfig, RegtestPool};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::port::Port;
use crate::program::{PATIENCE, Running};

/// A pool on a port, and what it thinks of every share.
pub(crate) struct Pool {
    /// Its own while it is dead, too.
    port: Port,
    server: Option<ServerHandle<RegtestPool>>,
    /// Its state while it is dead.
    remains: Option<RegtestPool>,
    events: mpsc::UnboundedReceiver<EmbeddedPoolEvent>,
    told: mpsc::UnboundedSender<EmbeddedPoolEvent>,
}

impl Pool {
    pub(crate) fn start(runtime: &Runtime) -> Self {
        let config = PoolConfig::new(2e-5, 0);
        let pool = RegtestPool::new(config, b"/test/".to_vec(), PoolServer::now()).unwrap();
        let (told, events) = mpsc::unbounded_channel();
        let mut pool = Self { port: Port::hold(), server: None, remains: Some(pool), events, told };
        pool.revive(runtime);
        pool
    }

    fn revive(&mut self, runtime: &Runtime) {
        let pool = self.remains.take().expect("it is dead");
        runtime.block_on(async {
            let listener = TcpListener::bind(self.port.address()).await.unwrap();
            let server = PoolServer::new(pool, listener, self.told.clone()).spawn().unwrap();
            self.server = Some(server);
        });
    }

    pub(crate) fn kill(&mut self, runtime: &Runtime) {
        let server = self.server.take().expect("it is alive");
        self.remains = runtime.block_on(server.stop());
    }

    pub(crate) fn url(&self) -> String {
        format!("stratum+tcp://{}", self.port.address())
    }

    /// The hashes that were accepted, and how many shares were refused.
    fn books(&mut self) -> (HashSet<String>, usize) {
        let (mut accepted, mut refused) = (HashSet::new(), 0);
        while let Ok(event) = self.events.try_recv() {
            match event {
                EmbeddedPoolEvent::Share { hash: Some(hash), rejected: None, .. } => {
                    assert!(accepted.insert(hash.to_string()), "a share was counted twice");
                }
                EmbeddedPoolEvent::Share { .. } => refused += 1,
                _ => {}
            }
        }
        (accepted, refused)
    }
}

/// Waits for so many accepted shares of this pool; every share on the way goes into the books.
pub(crate) fn mine_on(miner: &mut Running, url: &str, shares: usize, books: &mut Vec<Value>) {
    let (mut accepted, deadline) = (0, Instant::now() + PATIENCE);
    while accepted < shares {
        assert!(Instant::now() < deadline, "{accepted} of {shares} shares at {url}");
        let share = miner.wait_for(|event| event["event"] == "share");
        accepted += usize::from(share["pool"] == url && share["verdict"] == "accepted");
        books.push(share);
    }
}

#[test]
fn s9_the_primary_dies_and_returns_and_the_ledgers_agree_to_the_share() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut primary, mut backup) = (Pool::start(&runtime), Pool::start(&runtime));
    let (first, second) = (primary.url(), backup.url());
    let mut miner = Running::start(&[
        "mine",
        "-o",
        &first,
        "-o",
        &second,
        "-u",
        "me",
        "--threads",
        "1",
        "--return-after",
        "1",
    ]);
    let mut shares = Vec::new();
    mine_on(&mut miner, &first, 20, &mut shares);

    primary.kill(&runtime);
    let killed = Instant::now();
    mine_on(&mut miner, &second, 1, &mut shares);
    // In virtual time, crate `net` asserts that it takes less than 5 s.
    println!("work moved after {:?}", killed.elapsed());
    mine_on(&mut miner, &second, 20, &mut shares);

    primary.revive(&runtime);
    mine_on(&mut miner, &first, 20, &mut shares);
    miner.signal("INT");
    let (rest, summary) = miner.rest("share");
    shares.extend(rest);
    assert_eq!(miner.exit_code(), Some(0));

    let verdicts =
        |verdict: &str| shares.iter().filter(|share| share["verdict"] == verdict).count();
    // Throttled shares are told together.
    let count = |name: &str| summary["shares"][name].as_u64().unwrap() as usize;
    assert_eq!(count("found") - count("throttled"), shares.len(), "every share has its verdict");
    for verdict in ["accepted", "rejected", "stale", "unresolved"] {
        assert_eq!(summary["shares"][verdict], verdicts(verdict), "{verdict}");
    }
    for (url, pool) in [(&first, &mut primary), (&second, &mut backup)] {
        let (mut accepted, mut refused) = pool.books();
        let mut unresolved = 0;
        for share in shares.iter().filter(|share| share["pool"] == url.as_str()) {
            let was_accepted = accepted.remove(share["hash"].as_str().unwrap());
            match share["verdict"].as_str().unwrap() {
                "accepted" => assert!(was_accepted, "{share}"),
                "unresolved" => unresolved += usize::from(!was_accepted),
                "rejected" => {
                    assert!(!was_accepted, "{share}");
                    refused = refused.checked_sub(1).expect("the pool refused it, too");
                }
                _ => assert!(!was_accepted, "never sent: {share}"),
            }
        }
        assert!(accepted.is_empty(), "{url} has shares that the miner knows nothing of");
        // One whose answer did not come back before the pool died may have been refused.
        assert!(refused <= unresolved, "{url}: {refused} refused, {unresolved} unresolved");
    }
}
