//! Heights whose push in the coinbase changes its width (BIP34), on a real node: 1 to 20 and 127 to
//! 129 are in `solo`, those that take minutes of mining for a single miner are here.

use std::time::Instant;

use serde_json::json;

use crate::bitcoind::Bitcoind;
use crate::program::{events, midstate};

/// The last height whose push takes two bytes; the next one takes three, for the sign.
const NARROW: u64 = 32_767;
const BATCH: u64 = 1_000;

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn i16_heights_32767_and_32768_on_a_real_node() {
    // Regtest checks its whole block index after every block, unless it is told not to.
    let quick = ["-regtest", "-checkblockindex=0", "-checkmempool=0"];
    let node = Bitcoind::start("regtest", &quick);
    let start = Instant::now();
    while node.height() < NARROW - 1 {
        node.generate(BATCH.min(NARROW - 1 - node.height()));
    }
    eprintln!("{} blocks in {:.1} s", node.height(), start.elapsed().as_secs_f64());

    let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let output = midstate(&["mine", "--json", "--blocks", "4", "--address", address])
        .args(node.miner_flags())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    // It may warn of the clock: so many blocks in so short a time run an hour ahead of it.
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_eq!(events(&output.stdout).last().unwrap()["blocks"]["accepted"], 4);
    for (height, push) in [(NARROW, "02ff7f"), (NARROW + 1, "03008000"), (NARROW + 2, "03018000")] {
        let coinbase = &node.block(height)["tx"][0];
        let script = coinbase["vin"][0]["coinbase"].as_str().unwrap();
        assert!(script.starts_with(push), "{height}: {script}");
        assert_eq!(coinbase["vout"][0]["scriptPubKey"]["address"], json!(address));
    }
}
