//! Rules 20, 21 and 24 at a pair of real nodes: whatever happens to the first, no share, block or
//! warning is told as the wrong node's, work goes on, and no block goes to another chain.
#![cfg(unix)]

use std::cell::Cell;

use serde_json::{Value, json};

use crate::bitcoind::Bitcoind;
use crate::program::Running;

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// The user `me` with the password `secret`, at both nodes.
const LOGIN: &str =
    "-rpcauth=me:00$9d99c71b29e66632d629706e7b26d047dbb417a67e7997ecbe75f3dc08763692";

/// The next event that is wanted. Blocks come all the time, so that patience alone would not end.
fn next(miner: &mut Running, told: &mut Vec<Value>, wanted: impl Fn(&Value) -> bool) -> Value {
    let before = told.len();
    while told.len() < before + 500 {
        let event = miner.wait_for(|event| event["event"] != "rate");
        told.push(event.clone());
        if wanted(&event) {
            return event;
        }
    }
    told.retain(|event| event["event"] == "pool" || event["event"] == "warning");
    panic!("500 events without it, of all: {told:#?}")
}

/// The next accepted block. Its verdict is a node's that has it: both get it, and either may be
/// first.
fn mined(miner: &mut Running, nodes: &[&Bitcoind], told: &mut Vec<Value>) {
    let event =
        next(miner, told, |event| event["event"] == "block" && event["verdict"] == "accepted");
    let node = nodes.iter().find(|node| event["pool"] == node.url());
    let node = node.unwrap_or_else(|| panic!("told as the wrong node's: {event}"));
    let header = node.ask("getblockheader", json!([event["hash"]]));
    assert!(header.is_ok(), "{event}: {header:?}");
}

/// The miner goes over to that node, or has done so by now: under load a node may be slow, too.
fn goes_to(miner: &mut Running, node: &Bitcoind, told: &mut Vec<Value>) {
    let is_failover = |event: &Value| event["event"] == "pool" && event["state"] == "failover";
    let event = match told.iter().rev().find(|event| is_failover(event)) {
        Some(event) => event.clone(),
        None => next(miner, told, is_failover),
    };
    assert_eq!(event["url"], node.url(), "{event}");
}

/// Gives a node the blocks that it lacks; its height then.
fn catch_up(node: &Bitcoind, other: &Bitcoind) -> u64 {
    while let Ok(hash) = other.ask("getblockhash", json!([node.height() + 1])) {
        // The miner may be faster; then the block is a duplicate.
        let _ = node.ask("submitblock", json!([other.call("getblock", json!([hash, 0]))]));
    }
    node.height()
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn rules_20_21_24_a_pair_of_nodes_keeps_its_books_apart() {
    let node = || Bitcoind::start("regtest", &["-regtest", LOGIN]);
    let (mut first, second) = (node(), node());
    let spool = second.spool();
    let (first_url, second_url) = (first.url(), second.url());
    let mut miner = Running::start(
        &[
            ["mine", "-t", "1", "--address", ADDRESS, "--chain", "regtest"].as_slice(),
            &["-o", &first_url, "-o", &second_url, "-u", "me", "-p", "secret"],
            &["--spool", spool.to_str().unwrap(), "--block-interval", "0.5", "--give-up", "8"],
        ]
        .concat(),
    );
    let mut told = Vec::new();
    mined(&mut miner, &[&first, &second], &mut told);

    // It stops: the second one serves, for longer than --give-up.
    first.stop();
    goes_to(&mut miner, &second, &mut told);
    for _ in 0..20 {
        mined(&mut miner, &[&second], &mut told);
    }
    // It returns, hears of the blocks that it lacks, as from its peers, and takes further ones.
    first.restart();
    let height = Cell::new(0);
    first.wait_for("a further block", |first| {
        // On so fast a chain a block is buried in seconds, and not sent any more.
        if height.get() == 0 || second.height() > first.height() + 3 {
            height.set(catch_up(first, &second));
        }
        first.height() > height.get()
    });

    // A node of another chain takes its place: it gets no block, and work goes on.
    first.restart_as("signet", &["-signet", "-signetchallenge=51", LOGIN]);
    next(&mut miner, &mut told, |event| {
        event["reason"].as_str().is_some_and(|reason| reason.contains("signet"))
    });
    for _ in 0..5 {
        mined(&mut miner, &[&second], &mut told);
    }
    assert_eq!(first.height(), 0);

    miner.signal("INT");
    let summary = miner.wait_for(|event| event["event"] == "summary");
    assert_eq!(miner.exit_code(), Some(0), "{summary}");
    assert_eq!(summary["blocks"]["rejected"], 0, "{summary}");
    for event in &told {
        let is_lost = event["event"] == "pool" && event["state"] == "lost";
        assert!(!is_lost || event["url"] == first_url, "the second one never failed: {event}");
    }
}
