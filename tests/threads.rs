//! Rule 19 at the real node: a miner never takes a node's last RPC thread, however few threads the
//! node has and however many miners there are. `cargo test` plays 1 and 2 threads on regtest;
//! `RPC_THREADS=all` plays 1, 2, 4 and 16, on regtest and on a signet that anyone can mine.
#![cfg(unix)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bitcoind::Bitcoind;
use crate::program::{Running, midstate};

/// A chain's name, the node's flags for it, an address, and the least blocks that all find
/// together.
struct Chain {
    name: &'static str,
    flags: &'static [&'static str],
    address: &'static str,
    least: u64,
}

const REGTEST: Chain = Chain {
    name: "regtest",
    flags: &["-regtest"],
    address: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
    least: 10,
};
/// Its blocks take some millions of hashes each.
const SIGNET: Chain = Chain {
    name: "signet",
    flags: &["-signet", "-signetchallenge=51"],
    address: "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",
    least: 3,
};

fn is_all() -> bool {
    std::env::var("RPC_THREADS").is_ok_and(|value| value == "all")
}

fn play(chain: &Chain, threads: usize, seconds: u64) {
    let rpc_threads = format!("-rpcthreads={threads}");
    let flags: Vec<_> = chain.flags.iter().copied().chain([rpc_threads.as_str()]).collect();
    let node = Bitcoind::start(chain.name, &flags);
    let limit = seconds.to_string();
    let mut miners: Vec<_> = (0..threads)
        .map(|number| {
            let mut arguments: Vec<String> = node.miner_flags();
            let spool = node.datadir.join(format!("spool-{number}"));
            let at = arguments.iter().position(|argument| argument == "--spool").unwrap() + 1;
            arguments[at] = spool.to_str().unwrap().to_owned();
            let fixed = ["mine", "-t", "1", "--address", chain.address, "--time-limit", &limit];
            // A second between two blocks of a miner: the node's threads are what is tried.
            let more = ["--block-interval", "1"];
            let arguments = fixed.into_iter().chain(arguments.iter().map(String::as_str));
            Running::start(&arguments.chain(more).collect::<Vec<_>>())
        })
        .collect();
    // Meanwhile somebody asks, and must get answers.
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    while start.elapsed() < Duration::from_secs(seconds) {
        let asked = Instant::now();
        node.call("getblockcount", json!([]));
        slowest = slowest.max(asked.elapsed());
        std::thread::sleep(Duration::from_millis(100));
    }
    let at = format!("{} with {threads} threads and miners", chain.name);
    let summaries: Vec<Value> = miners
        .iter_mut()
        .map(|miner| miner.wait_for(|event| event["event"] == "summary"))
        .collect();
    let sum = |key: &str| -> u64 {
        summaries.iter().map(|summary| summary["blocks"][key].as_u64().unwrap()).sum()
    };
    println!(
        "{at}: blocks {} found, {} accepted; slowest call {slowest:?}",
        sum("found"),
        sum("accepted")
    );
    for summary in &summaries {
        assert!(summary["hashes"].as_f64().unwrap() > 0.0, "{at}: {summary}");
    }
    assert!(sum("accepted") >= chain.least, "{at}: {summaries:?}");
    assert!(node.height() >= chain.least, "{at}");
    assert!(slowest < Duration::from_secs(10), "{at}: a call took {slowest:?}");
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn rule_19_as_many_miners_as_rpc_threads_do_not_lock_up_the_node() {
    if is_all() {
        for chain in [&REGTEST, &SIGNET] {
            for threads in [1, 2, 4, 16] {
                play(chain, threads, 75);
            }
        }
    } else {
        play(&REGTEST, 1, 15);
        play(&REGTEST, 2, 15);
    }
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn rule_19_short_runs_leave_nothing_behind_at_the_node() {
    let (runs, seconds) = if is_all() { (40, 12) } else { (20, 1) };
    let node = Bitcoind::start(SIGNET.name, SIGNET.flags);
    for run in 0..runs {
        // At this rate no block is found that would end a wait.
        let limits = ["--max-hashrate", "1k", "--time-limit"];
        let seconds = seconds.to_string();
        let output = midstate(&["mine", "-t", "1", "--address", SIGNET.address])
            .args(limits)
            .arg(&seconds)
            .args(node.miner_flags())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "run {run}: {stderr}");
        let asked = Instant::now();
        let info = node.call("getrpcinfo", json!([]));
        assert!(asked.elapsed() < Duration::from_secs(5), "run {run}: {:?}", asked.elapsed());
        let commands = info["active_commands"].as_array().unwrap().len();
        assert!(commands <= 4, "run {run}: {info}");
    }
}
