//! A tip that the user of a real node takes back while a block on it is being submitted, and gives
//! again: the block comes into the chain.
#![cfg(unix)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::bitcoind::Bitcoind;
use crate::program::Running;
use crate::proxy::{Fate, proxy};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn i8_a_block_whose_parent_was_taken_back_meanwhile_comes_when_the_parent_is_reconsidered() {
    let node = Arc::new(Bitcoind::regtest());
    let parent = node.generate(3).pop().unwrap();
    let is_done = AtomicBool::new(false);
    let url = proxy(node.port, {
        let (node, parent) = (Arc::clone(&node), parent.clone());
        move |call| {
            if call.contains("submitblock") && !is_done.swap(true, Ordering::Relaxed) {
                node.call("invalidateblock", json!([parent]));
            }
            Fate::Pass
        }
    });
    let flags = node.miner_flags();
    // Long enough to give the parent back before another block is found.
    let mut arguments = vec!["mine", "-t", "1", "--address", ADDRESS, "--block-interval", "20"];
    arguments.extend(
        flags.iter().map(|flag| if *flag == node.url() { &url } else { flag }).map(String::as_str),
    );
    let mut miner = Running::start(&arguments);

    let refused = miner.wait_for(|event| event["event"] == "share" && event["block"] == true);
    assert_eq!(
        (&refused["verdict"], &refused["reason"]),
        (&json!("rejected"), &json!("bad-prevblk"))
    );
    let name = format!("{}.", refused["hash"].as_str().unwrap());
    let file = |node: &Bitcoind| node.spooled().into_iter().find(|file| file.starts_with(&name));
    let kept = file(&node).unwrap_or_else(|| panic!("no file of it: {:?}", node.spooled()));
    assert_eq!(node.height(), 2);
    node.call("reconsiderblock", json!([parent]));
    assert_eq!(node.block_hash(3), parent);

    let taken = miner.wait_for(|event| event["event"] == "block" && event["was"] != Value::Null);
    assert_eq!((&taken["verdict"], &taken["was"]), (&json!("accepted"), &json!("rejected")));
    assert_eq!(json!(node.block_hash(4)), refused["hash"]);
    assert_eq!(file(&node), Some(kept));

    miner.signal("INT");
    let summary = miner.wait_for(|event| event["event"] == "summary");
    assert_eq!(miner.exit_code(), Some(0), "{summary}");
    let blocks = &summary["blocks"];
    assert_eq!(
        (&blocks["rejected"], &blocks["accepted"]),
        (&json!(0), &blocks["found"]),
        "{blocks}"
    );
}
