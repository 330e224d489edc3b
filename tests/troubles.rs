//! Troubles between a miner and its node, on a real node: no block is lost, nothing is sent twice
//! without need, and the summary tells the truth.
#![cfg(unix)]

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::bitcoind::Bitcoind;
use crate::program::{PATIENCE, Running, events, midstate};
use crate::proxy::{Fate, proxy};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// A miner in the background: at the node, or at `url` on the way to it.
fn mine(node: &Bitcoind, url: Option<&str>, more: &[&str]) -> Running {
    let mut flags = node.miner_flags();
    if let Some(url) = url {
        flags[1] = url.to_owned();
    }
    let fixed = ["mine", "--address", ADDRESS];
    let arguments = fixed.into_iter().chain(flags.iter().map(String::as_str));
    Running::start(&arguments.chain(more.iter().copied()).collect::<Vec<_>>())
}

fn wait_for_block(miner: &mut Running, verdict: &str) -> Value {
    miner.wait_for(|event| event["event"] == "block" && event["verdict"] == verdict)
}

fn finish(mut miner: Running) -> Value {
    let summary = miner.wait_for(|event| event["event"] == "summary");
    assert_eq!(miner.exit_code(), Some(0), "{summary}");
    summary
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn i8_a_node_killed_between_solving_and_submitting() {
    let mut node = Bitcoind::regtest();
    let (arrived, arrivals) = channel();
    let (go_on, killed) = channel();
    let killed = Mutex::new(killed);
    let seen = AtomicUsize::new(0);
    let url = proxy(node.port, move |body| {
        if body.contains("submitblock") && seen.fetch_add(1, Ordering::Relaxed) == 0 {
            arrived.send(()).unwrap();
            killed.lock().unwrap().recv().unwrap();
            return Fate::Drop;
        }
        Fate::Pass
    });
    let mut miner = mine(&node, Some(&url), &["--blocks", "1"]);
    arrivals.recv_timeout(PATIENCE).unwrap();
    node.kill();
    assert_eq!(node.spooled().len(), 1, "it was on disk before it was sent");
    go_on.send(()).unwrap();
    node.restart();
    let block = wait_for_block(&mut miner, "accepted");
    assert_eq!(node.block_hash(1), block["hash"]);
    let summary = finish(miner);
    assert_eq!(summary["blocks"]["accepted"], 1);
    assert_eq!(summary["shares"]["unresolved"], 0);
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn a_node_restarted_in_the_middle_with_a_new_cookie() {
    let mut node = Bitcoind::regtest();
    let mut miner = mine(&node, None, &["--blocks", "6", "--block-interval", "0.5"]);
    wait_for_block(&mut miner, "accepted");
    wait_for_block(&mut miner, "accepted");
    let old = std::fs::read_to_string(node.cookie()).unwrap();
    node.stop();
    node.restart();
    assert_ne!(std::fs::read_to_string(node.cookie()).unwrap(), old);
    let summary = finish(miner);
    assert_eq!(summary["blocks"]["accepted"], 6);
    assert_eq!(node.height(), 6);
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn i8_a_node_that_crashed_and_forgot_gets_its_blocks_again() {
    let mut node = Bitcoind::regtest();
    let mut miner = mine(&node, None, &["--blocks", "6", "--block-interval", "2"]);
    let mut told = vec![wait_for_block(&mut miner, "accepted")];
    told.push(wait_for_block(&mut miner, "accepted"));
    // A node writes its chain to disk now and then: what it took a second ago is gone.
    node.kill();
    node.restart();
    let (rest, summary) = miner.rest("block");
    told.extend(rest);
    assert_eq!(summary["blocks"]["accepted"], 6);
    // A block that the restarted node built past gets another verdict: the last one counts.
    let is_accepted = |hash: &str| {
        let last = told.iter().rev().find(|block| block["hash"] == hash);
        last.is_some_and(|block| block["verdict"] == "accepted")
    };
    for height in 1..=6 {
        let hash = node.block_hash(height);
        assert!(is_accepted(&hash), "{hash} is in the chain and not told: {told:?}");
    }
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn i8_a_full_disk_costs_no_block() {
    let node = Bitcoind::regtest();
    // Files of this process may not grow beyond nothing: writing fails, as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
    let program = midstate(&[]);
    let output = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(program.get_program())
        .args(["mine", "--json", "--blocks", "2", "--address", ADDRESS])
        .args(node.miner_flags())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(stderr.contains("could not be written to the spool"), "{stderr}");
    assert_eq!(events(&output.stdout).last().unwrap()["blocks"]["accepted"], 2);
    assert_eq!(node.height(), 2);
    assert!(node.spooled().is_empty(), "no half file is left: {:?}", node.spooled());
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn a_second_miner_who_wins_the_race() {
    let node = Bitcoind::regtest();
    let (arrived, arrivals) = channel();
    let (go_on, overtaken) = channel();
    let overtaken = Mutex::new(overtaken);
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let url = proxy(node.port, move |body| {
        if body.contains("submitblock") && counter.fetch_add(1, Ordering::Relaxed) == 0 {
            arrived.send(()).unwrap();
            overtaken.lock().unwrap().recv().unwrap();
        }
        Fate::Pass
    });
    let mut miner = mine(&node, Some(&url), &["--blocks", "1"]);
    arrivals.recv_timeout(PATIENCE).unwrap();
    let winner = node.generate(1);
    go_on.send(()).unwrap();
    let lost = wait_for_block(&mut miner, "unresolved");
    assert!(lost["reason"].as_str().unwrap().starts_with("inconclusive"), "{lost}");
    let won = wait_for_block(&mut miner, "accepted");
    assert_eq!((won["height"].as_u64(), node.height()), (Some(2), 2));
    assert_eq!(node.block_hash(1), winner[0]);
    let summary = finish(miner);
    assert_eq!(summary["blocks"]["found"], 2);
    assert_eq!(summary["blocks"]["accepted"], 1);
    assert_eq!(sent.load(Ordering::Relaxed), 2, "what is stored is not sent again");
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn a_reorganisation_under_the_miner() {
    let node = Bitcoind::regtest();
    let mut miner = mine(&node, None, &["--block-interval", "1"]);
    let ours = [wait_for_block(&mut miner, "accepted"), wait_for_block(&mut miner, "accepted")];
    node.call("invalidateblock", serde_json::json!([ours[0]["hash"]]));
    node.generate(4);
    // Above those four, in the chain that has them: on the other one, too, blocks may have come in
    // the meantime.
    miner.wait_for(|event| {
        let hash = || node.ask("getblockhash", serde_json::json!([event["height"]]));
        event["event"] == "block"
            && event["verdict"] == "accepted"
            && event["height"].as_u64() > Some(4)
            && hash().is_ok_and(|hash| hash == event["hash"])
    });
    miner.signal("INT");
    let summary = finish(miner);
    let blocks = &summary["blocks"];
    let (found, accepted) =
        (blocks["found"].as_u64().unwrap(), blocks["accepted"].as_u64().unwrap());
    assert_eq!(accepted, node.height() - 4, "{summary}");
    assert!(found >= accepted + 2, "{summary}");
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn i8_a_block_of_a_killed_miner_is_sent_at_the_next_start() {
    let node = Bitcoind::regtest();
    let (arrived, arrivals) = channel();
    let url = proxy(node.port, move |body| {
        if body.contains("submitblock") {
            let _ = arrived.send(());
            return Fate::Drop;
        }
        Fate::Pass
    });
    let miner = mine(&node, Some(&url), &[]);
    arrivals.recv_timeout(PATIENCE).unwrap();
    drop(miner);
    let spooled = node.spooled();
    assert_eq!(spooled.len(), 1);
    assert_eq!(node.height(), 0);

    let summary = finish(mine(&node, None, &["--blocks", "2", "--block-interval", "1"]));
    assert_eq!(summary["blocks"]["accepted"], 2, "of this run");
    assert!(node.height() >= 2);
    let old =
        node.ask("getblockheader", serde_json::json!([spooled[0].trim_end_matches(".block")]));
    assert!(old.is_ok(), "the node has the old block: {old:?}");
}
