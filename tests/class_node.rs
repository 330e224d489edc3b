//! `class --node`: a class on the chain of a real regtest node, whose bits make every second hash a
//! block. The class's blocks are harder, and they alone come into the chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use midstate_sha256d::Kernel;
use serde_json::{Value, json};

use crate::bitcoind::Bitcoind;
use crate::class::Class;
use crate::devices::{Tally, events};
use crate::program::{Running, fail};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

fn class(node: &Bitcoind, more: &[&str]) -> Class {
    let mut flags = node.miner_flags();
    flags[0] = "--node".to_owned();
    let flags = flags.iter().map(String::as_str).chain(["--address", ADDRESS]);
    Class::start(&flags.chain(more.iter().copied()).collect::<Vec<_>>())
}

/// A device that mines until it is stopped.
struct Mining {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Tally>,
}

impl Mining {
    fn start(class: &Class, name: &str) -> Self {
        let (device, stop) = (class.join(name), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || device.mine(Kernel::SCALAR, 1e6, &stopped));
        Self { stop, thread }
    }

    fn end(self) -> Tally {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The class's page shows a state of which this is true.
fn wait_for(class: &Class, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut states = events(&class.door, "/class/events").unwrap();
    let state = states.find(|(_, state)| wanted(state));
    state.unwrap_or_else(|| panic!("the class ended before {what}")).1
}

/// All that it tells until its end.
fn rest(class: &mut Class) -> Vec<Value> {
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Value| event["event"] != "summary") {
        events.push(class.program.wait_for(|_| true));
    }
    assert_eq!(class.program.exit_code(), Some(0));
    events
}

/// Those of this name.
fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

fn blocks<'a>(rows: impl IntoIterator<Item = &'a Value>) -> u64 {
    rows.into_iter().map(|row| row["blocks"].as_u64().unwrap()).sum()
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn a_node_s_chain_grows_by_the_class_s_blocks_and_by_no_share() {
    let node = Bitcoind::regtest();
    // A class may begin on a chain that is longer than its own.
    node.generate(3);
    let class = class(&node, &["--blocks", "6", "--pace", "4"]);
    let page = events(&class.door, "/class/events").unwrap();
    let page = std::thread::spawn(move || page.map(|(_, state)| state).collect::<Vec<_>>());
    let devices = ["Ada", "Bo"].map(|name| Mining::start(&class, name));
    let miner = ["mine", "-o", &class.stratum, "-u", "Cy", "--max-hashrate", "1M", "-t", "1"];
    let mut miner = Running::start(&miner);
    drop(miner.wait_for(|event| event["event"] == "share"));

    let tallies = devices.map(|device| device.thread.join().unwrap());
    let states = page.join().unwrap();
    let last = states.last().unwrap();
    let found = last["found"].as_u64().unwrap();
    assert!(last["over"] == true && found >= 6, "{last}");
    assert_eq!(node.height(), 3 + found, "every block of the class, and nothing else");
    for height in 4..=node.height() {
        let paid = &node.block(height)["tx"][0]["vout"][0]["scriptPubKey"]["address"];
        assert_eq!(paid, ADDRESS);
    }
    let rows = last["rows"].as_array().unwrap();
    assert_eq!(blocks(rows), found);
    let shares: u64 = rows.iter().map(|row| row["shares"].as_u64().unwrap()).sum();
    assert!(shares > 2 * found, "{shares} shares, {found} blocks");
    for (name, tally) in ["Ada", "Bo"].into_iter().zip(tallies) {
        let row = rows.iter().find(|row| row["name"] == name && row["kind"] == "device").unwrap();
        let told = json!([tally.accepted, tally.blocks, tally.rejected]);
        assert_eq!(told, json!([row["shares"], row["blocks"], row["rejected"]]), "{name}: {row}");
    }
    let retargets = last["difficulties"].as_array().unwrap();
    assert!(retargets.len() > 1, "the pace is the class's own: {retargets:?}");
    assert_eq!(last["node"], true);
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn the_teacher_s_machine_counts_the_blocks_of_the_class_and_not_those_of_its_headers() {
    let node = Bitcoind::regtest();
    let mut class = class(&node, &["--blocks", "3", "--pace", "2"]);
    let events = rest(&mut class);
    let (own_shares, own_blocks) = (named(&events, "share"), named(&events, "block"));
    assert!(own_shares.len() > own_blocks.len(), "{own_shares:?}");
    assert!(own_shares.iter().all(|share| share["block"] == false), "{own_shares:?}");
    assert!(own_blocks.len() >= 3, "{own_blocks:?}");
    for block in &own_blocks {
        assert_eq!((&block["verdict"], &block["was"]), (&json!("accepted"), &Value::Null));
        let height = block["height"].as_u64().unwrap();
        assert_eq!(block["hash"], node.block_hash(height));
    }
    let [verdicts] = named(&events, "node")[..] else { panic!("{events:?}") };
    assert_eq!(verdicts["accepted"], node.height());
    // A block that is found when mining ends is told, and comes too late for the summary.
    let summary = events.last().unwrap()["blocks"]["accepted"].as_u64().unwrap();
    assert!((3..=node.height()).contains(&summary), "{summary} of {}", node.height());
    assert_eq!(blocks(named(&events, "standing")), node.height());
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn a_class_waits_for_a_node_that_is_down_and_a_block_found_meanwhile_counts_when_it_is_back() {
    let mut node = Bitcoind::regtest();
    node.stop();
    let mut class = class(&node, &["--pace", "2"]);
    let ada = Mining::start(&class, "Ada");
    let state = wait_for(&class, "it says that there is no node", |state| state["node"] == false);
    assert_eq!((&state["found"], &state["height"]), (&json!(0), &json!(0)));
    node.restart();
    // And there is work: a share has come since the last block.
    wait_for(&class, "there are blocks", |state| {
        let is_at_work = state["node"] == true && !state["nearest"].is_null();
        is_at_work && state["found"].as_u64() >= Some(2)
    });

    let before = node.spooled();
    node.kill();
    let down = wait_for(&class, "it is down", |state| state["node"] == false);
    // Blocks that are found now wait on the disk, and count for nobody.
    node.wait_for("a block on the disk", |node| {
        node.spooled().iter().any(|block| !before.contains(block))
    });
    let waiting = wait_for(&class, "a state", |_| true);
    assert_eq!(waiting["found"], down["found"]);
    node.restart();
    let back = wait_for(&class, "its block counts", |state| {
        state["node"] == true && state["found"].as_u64() > down["found"].as_u64()
    });
    assert!(back["height"].as_u64() > down["height"].as_u64(), "{back}");
    ada.end();
    class.program.signal("INT");
    let events = rest(&mut class);
    assert_eq!(blocks(named(&events, "standing")), node.height(), "{events:?}");
    assert_eq!(named(&events, "node")[0]["accepted"], node.height());
}

#[test]
fn a_class_is_for_regtest_nodes_and_flags_of_nodes_are_for_a_node() {
    let (code, words) = fail(&["class", "--chain", "regtest"]);
    assert!(code == 2 && words.contains("--chain is for a node"), "{words}");
    let node = ["class", "--node", "http://127.0.0.1:1", "--chain", "testnet4"];
    let (code, words) = fail(&[&node[..], &["--address", ADDRESS]].concat());
    assert!(code == 2 && words.contains("a node of regtest"), "{words}");
}
