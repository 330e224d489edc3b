//! A classroom: several miners of ours and one that is not, all at one small pool on one real node.

use serde_json::Value;

use crate::bitcoind::Bitcoind;
use crate::browser::Browser;
use crate::foreign::Foreigner;
use crate::program::Running;
use crate::web::{address, status, wait_for};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// A slow pool in front of a node.
fn demo(node: &Bitcoind, more: &[&str]) -> Running {
    let mut flags = node.miner_flags();
    flags[0] = "--node".to_owned();
    let fixed = ["demo", "--address", ADDRESS, "--blocks", "100000", "--difficulty", "0.0002"];
    let slow = ["--kernel", "scalar", "--threads", "1"];
    let arguments = fixed.iter().chain(&slow).chain(more).copied();
    let arguments: Vec<_> = arguments.chain(flags.iter().map(String::as_str)).collect();
    Running::start(&arguments)
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn a_class_shares_one_node_through_plain_stratum() {
    let node = Bitcoind::regtest();
    let mut demo = demo(&node, &[]);
    let address = demo.pool_address();

    let names = ["ada", "bob", "cyd"];
    let miners = names.map(|name| {
        let arguments = ["mine", "-o", &address, "-u", name, "--shares", "3", "--threads", "1"];
        (name, Running::start(&arguments))
    });
    let mut foreigner = Foreigner::join(&address, "foreigner");
    foreigner.deliver("foreigner");

    let mut told = vec![("foreigner", 1, 0)];
    for (name, mut miner) in miners {
        let summary = miner.wait_for(|event| event["event"] == "summary");
        assert_eq!(miner.exit_code(), Some(0), "{summary}");
        let count = |verdict: &str| summary["shares"][verdict].as_u64().unwrap();
        told.push((name, count("accepted"), count("unresolved")));
    }
    demo.signal("INT");
    let mut blocks = 0;
    let mut workers = Vec::new();
    let verdicts = loop {
        let event = demo.wait_for(|event| event["event"] == "worker" || event["event"] == "node");
        if event["event"] == "node" {
            break event;
        }
        let name = event["worker"].as_str().unwrap().to_owned();
        workers.push((name, event["accepted"].as_u64().unwrap()));
        blocks += event["blocks"].as_u64().unwrap();
    };
    assert_eq!(demo.exit_code(), Some(0));

    for (name, accepted, unresolved) in told {
        let counted = workers.iter().find(|(worker, _)| worker == name).unwrap().1;
        // A share that has no answer when the miner leaves may have been taken.
        let alike = accepted..=accepted + unresolved;
        assert!(alike.contains(&counted), "{name}: pool and miner count alike: {counted}");
    }
    // Every block that the pool saw went to the node, and the chain is made of those it took.
    let count = |name: &str| verdicts[name].as_u64().unwrap();
    assert_eq!(count("accepted") + count("rejected") + count("other"), blocks, "{verdicts}");
    assert_eq!(node.height(), count("accepted"), "{verdicts}");
    assert!(node.height() >= 4, "{verdicts}");
    for height in 1..=node.height() {
        let coinbase = &node.block(height)["tx"][0]["vout"][0]["scriptPubKey"];
        assert_eq!(coinbase["address"], ADDRESS);
    }
}

#[test]
#[ignore = "needs chromium"]
fn the_page_shows_a_class_at_a_node() {
    let node = Bitcoind::regtest();
    // Her blocks stay among the last that the page remembers: hardly any come after them.
    let mut demo = demo(&node, &["--web", "127.0.0.1:0", "--max-hashrate", "10k"]);
    let (page, pool) = (address(&mut demo), demo.pool_address());
    let ada = ["mine", "-o", &pool, "-u", "ada", "--shares", "3", "--threads", "1"];
    assert_eq!(Running::start(&ada).exit_code(), Some(0));
    let found = demo.wait_for(|event| event["event"] == "miner" && event["state"] == "block");
    demo.wait_for(|event| event["event"] == "miner" && event["state"] == "left");

    let seen = wait_for("her blocks are on the page", || {
        let seen = status(&page);
        let hers = seen["workers"].as_array()?.iter().find(|worker| worker["name"] == "ada")?;
        (hers["accepted"].as_u64() >= Some(3)).then(|| seen.clone())
    });
    assert_eq!(seen["pool"]["listens"], pool);
    let block = |block: &&Value| block["hash"] == found["hash"];
    let block = seen["chain"].as_array().unwrap().iter().find(block).unwrap();
    assert_eq!((&block["finder"], &block["height"]), (&Value::from("ada"), &found["height"]));
    // The chain on the page is the node's.
    let height = found["height"].as_u64().unwrap();
    assert_eq!(node.block(height)["hash"], found["hash"]);

    let mut browser = Browser::start("class");
    browser.open(&format!("http://{page}/"), (1280, 800));
    browser.wait_until("document.body.dataset.state === 'mining'");
    browser.wait_until("document.getElementById('miners').textContent.includes('ada')");
    assert_eq!(browser.complaints, [""; 0]);
    demo.signal("INT");
    assert_eq!(demo.exit_code(), Some(0));
}
