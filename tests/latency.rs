//! From somebody else's block at the node to the last hashing thread on new work, through long
//! poll: measured and printed (`cargo test --release -- --nocapture new_tip`). No test asserts a
//! speed; this one asserts that every tip reaches every thread.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::{Arc, mpsc};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use midstate_chain::{Header, Job, Target};
use midstate_engine::{Config, Engine};
use midstate_gbt::conf::Credentials;
use midstate_gbt::{Payout, Template, Work, client};
use midstate_net::{Happened, NodeAccess, NodeLink, NodeLinkConfig, Route};
use midstate_sha256d::Kernel;
use midstate_work::Cut;
use serde_json::{Value, json};

use crate::bitcoind::Bitcoind;
use crate::program::PATIENCE;

const TIPS: usize = 100;
const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// A block on the node's tip that is nobody's of ours: its coinbase pays another script.
fn foreign_block(node: &Bitcoind) -> (String, String) {
    let template = node.call("getblocktemplate", json!([{"rules": ["segwit"]}])).to_string();
    let template = Template::parse(&template).unwrap();
    let payout =
        Payout { script: vec![0x51], tag: Vec::new(), extranonce1: Vec::new(), version_mask: 0 };
    let work = Work::new(template, &payout, "1".to_owned(), true).unwrap();
    let block = work.proposal();
    let header: Header = block[..160].parse().unwrap();
    let target = work.job().network_target;
    let solved = (0..).map(|nonce| Header { nonce, ..header });
    let solved = solved.into_iter().find(|header| target.is_met_by(&header.hash())).unwrap();
    (format!("{solved}{}", &block[160..]), solved.hash().to_string())
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn new_tip_to_last_thread_on_new_work() {
    let node = Bitcoind::regtest();
    let link = NodeLinkConfig {
        nodes: vec![NodeAccess {
            url: node.url().parse().unwrap(),
            route: Route::default(),
            credentials: Credentials::Cookie(node.cookie()),
        }],
        client: client::Config {
            failover: midstate_failover::Limits::default(),
            chain: None,
            address: ADDRESS.parse().unwrap(),
            tag: Vec::new(),
            extranonce1: Vec::new(),
            version_mask: 0x1fff_e000,
            nodes: 1,
            long_poll: midstate_gbt::client::LongPolling::Always,
            block_interval: Duration::ZERO,
        },
        spool: node.spool(),
        give_up: None,
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (seen, first_shares) = mpsc::channel::<(ThreadId, String, Instant)>();
    let config = Config {
        kernel: Kernel::available().last().unwrap(),
        threads,
        cut: Cut::by_hashes(16, 2_000),
    };
    let engine = Engine::start(config, move |share| {
        // Each thread's first share of a job shows when it came to it.
        thread_local!(static JOB: RefCell<String> = const { RefCell::new(String::new()) });
        JOB.with_borrow_mut(|job| {
            if *job != share.job.id {
                job.clone_from(&share.job.id);
                let _ = seen.send((std::thread::current().id(), job.clone(), Instant::now()));
            }
        });
    });

    let (_shares, never) = tokio::sync::mpsc::unbounded_channel();
    let (events, mut told) = midstate_net::events();
    let (_stop, stopped) = tokio::sync::oneshot::channel();
    let (jobs, tips) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.spawn(NodeLink::new(link, never, events, stopped).run());
        runtime.block_on(async {
            while let Some(event) = told.recv().await {
                if let Happened::Job { job, .. } = event.what {
                    // Shares often enough to see a thread by, seldom enough not to slow it.
                    let share_target = Target::from_difficulty(2e-7).unwrap();
                    let job = Arc::new(Job { share_target, ..Job::clone(&job) });
                    // Before it has shares, so that who gets one of them knows the job.
                    if jobs.send(Arc::clone(&job)).is_err() {
                        return;
                    }
                    engine.set_job(Some(job));
                }
            }
        });
    });

    tips.recv_timeout(PATIENCE).unwrap();
    let mut times = Vec::new();
    for _ in 0..TIPS {
        let (block, hash) = foreign_block(&node);
        let start = Instant::now();
        assert_eq!(node.call("submitblock", json!([block])), Value::Null);
        let job = loop {
            let job = tips.recv_timeout(PATIENCE).unwrap();
            if job.prev_hash.to_string() == hash {
                break job;
            }
        };
        let (mut ids, mut there) = (HashSet::from([job.id.clone()]), HashSet::new());
        while there.len() < threads {
            let (thread, id, at) = first_shares.recv_timeout(PATIENCE).unwrap();
            // The work on a tip is made anew now and then: that is on the tip, too.
            ids.extend(tips.try_iter().map(|job| job.id.clone()));
            if ids.contains(&id) && there.insert(thread) && there.len() == threads {
                times.push(at - start);
            }
        }
    }
    times.sort_unstable();
    let at = |percent: usize| times[(TIPS - 1) * percent / 100].as_secs_f64() * 1e3;
    println!(
        "submitblock sent to last of {threads} threads on new work, {TIPS} tips: \
         median {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, max {:.1} ms",
        at(50),
        at(90),
        at(99),
        at(100)
    );
}
