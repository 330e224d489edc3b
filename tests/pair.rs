//! Rules 20, 21 and 24 at a pair of real nodes: whatever happens to the first, no share, block or
//! warning is told as the wrong node's, work goes on, and no block goes to another chain.
#![cfg(unix)]

use serde_json::{Value, json};

use crate::bitcoind::Bitcoind;
use crate::program::Running;

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
/// The user `me` with the password `secret`, at both nodes.
const LOGIN: &str =
    "-rpcauth=me:00$9d99c71b29e66632d629706e7b26d047dbb417a67e7997ecbe75f3dc08763692";

/// The next accepted block. Its verdict is a node's that has it: both get it, and either may be
/// first.
fn mined(miner: &mut Running, nodes: &[&Bitcoind], told: &mut Vec<Value>) {
    loop {
        let event = miner.wait_for(|event| event["event"] != "rate");
        told.push(event.clone());
        if event["event"] == "block" && event["verdict"] == "accepted" {
            let node = nodes.iter().find(|node| event["pool"] == node.url());
            let node = node.unwrap_or_else(|| panic!("told as the wrong node's: {event}"));
            let header = node.ask("getblockheader", json!([event["hash"]]));
            assert!(header.is_ok(), "{event}: {header:?}");
            return;
        }
    }
}

/// The miner has gone over to that node.
fn goes_to(miner: &mut Running, node: &Bitcoind, told: &mut Vec<Value>) {
    loop {
        let event = miner.wait_for(|event| event["event"] != "rate");
        told.push(event.clone());
        if event["event"] == "pool" && event["state"] == "failover" {
            assert_eq!(event["url"], node.url(), "{event}");
            return;
        }
    }
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
    // It returns, hears of the blocks that it lacks, and takes further ones.
    first.restart();
    while let Ok(hash) = second.ask("getblockhash", json!([first.height() + 1])) {
        // The miner may be faster; then the block is a duplicate.
        let _ = first.ask("submitblock", json!([second.call("getblock", json!([hash, 0]))]));
    }
    let height = first.height();
    first.wait_for("a further block", |node| node.height() > height);

    // A node of another chain takes its place: it gets no block, and work goes on.
    first.restart_as("signet", &["-signet", "-signetchallenge=51", LOGIN]);
    while miner.wait_for(|event| event["event"] != "rate")["reason"]
        .as_str()
        .is_none_or(|reason| !reason.contains("signet"))
    {}
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
