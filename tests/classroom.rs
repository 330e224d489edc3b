//! A classroom: several miners of ours and one that is not, all at one small pool on one real node.

use crate::bitcoind::Bitcoind;
use crate::foreign::Foreigner;
use crate::program::Running;

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

#[test]
fn a_class_shares_one_node_through_plain_stratum() {
    let Some(node) = Bitcoind::regtest() else { return };
    let mut arguments = node.miner_flags();
    arguments[0] = "--node".to_owned();
    let fixed = ["demo", "--address", ADDRESS, "--blocks", "100000", "--difficulty", "0.0002"];
    let slow = ["--kernel", "scalar", "--threads", "1"];
    let arguments = fixed.iter().chain(&slow).copied().chain(arguments.iter().map(String::as_str));
    let mut demo = Running::start(&arguments.collect::<Vec<_>>());
    let address = demo.pool_address();

    let names = ["ada", "bob", "cyd"];
    let miners = names.map(|name| {
        let arguments = ["mine", "-o", &address, "-u", name, "--shares", "3", "--threads", "1"];
        (name, Running::start(&arguments))
    });
    let mut foreigner = Foreigner::join(&address, "foreigner");
    foreigner.deliver("foreigner");

    let mut told = vec![("foreigner", 1)];
    for (name, mut miner) in miners {
        let summary = miner.wait_for(|event| event["event"] == "summary");
        assert_eq!(miner.exit_code(), Some(0), "{summary}");
        told.push((name, summary["shares"]["accepted"].as_u64().unwrap()));
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

    for (name, accepted) in told {
        let counted = workers.iter().find(|(worker, _)| worker == name).unwrap().1;
        assert_eq!(counted, accepted, "{name}: pool and miner count alike");
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
