//! `demo`: every block is judged by the `bitcoin` crate.

use bitcoin::consensus::deserialize;
use bitcoin::constants::genesis_block;
use bitcoin::{Block, Network};

use crate::program::{events, run};

#[test]
fn blocks_of_the_demo_are_valid_to_the_bitcoin_crate() {
    let directory = std::env::temp_dir().join(format!("midstate-demo-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let file = directory.join("blocks.hex");
    let output = run(&[
        "demo",
        "--blocks",
        "20",
        "--difficulty",
        "0.0005",
        "--json",
        "--out",
        file.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
    let blocks: Vec<Block> =
        text.lines().map(|line| deserialize(&hex::decode(line).unwrap()).unwrap()).collect();
    assert_eq!(blocks.len(), 20);
    let mut previous = genesis_block(Network::Regtest).header;
    for (index, block) in blocks.iter().enumerate() {
        assert_eq!(block.header.bits, previous.bits);
        block.header.validate_pow(previous.target()).unwrap();
        assert_eq!(block.header.prev_blockhash, previous.block_hash());
        assert!(block.check_merkle_root());
        assert!(block.check_witness_commitment());
        let height = index as u64 + 1;
        match height {
            // The crate does not read OP_1 to OP_16, which BIP34 asks for here.
            1..=16 => {
                let script = block.coinbase().unwrap().input[0].script_sig.as_bytes();
                assert_eq!(u64::from(script[0]), 0x50 + height);
            }
            _ => assert_eq!(block.bip34_block_height().unwrap(), height),
        }
        let coinbase = block.coinbase().unwrap();
        let paid: u64 = coinbase.output.iter().map(|output| output.value.to_sat()).sum();
        assert_eq!(paid, 5_000_000_000);
        assert_eq!(coinbase.lock_time.to_consensus_u32(), index as u32, "BIP54");
        previous = block.header;
    }

    let events = events(&output.stdout);
    let of = |kind: &'static str| events.iter().filter(move |event| event["event"] == kind);
    let accepted: Vec<_> = of("block").filter(|block| block["verdict"] == "accepted").collect();
    let hashes: Vec<_> = blocks.iter().map(|block| block.block_hash().to_string()).collect();
    let told: Vec<_> = accepted.iter().map(|block| block["hash"].as_str().unwrap()).collect();
    assert_eq!(told, hashes, "the events tell the chain");
    let heights: Vec<_> = accepted.iter().map(|block| block["height"].as_u64().unwrap()).collect();
    assert_eq!(heights, (1..=20).collect::<Vec<_>>());
    assert!(of("job").all(|job| job["difficulty"].as_f64().unwrap() > 0.000_499));

    let summary = events.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["reason"], "blocks");
    assert_eq!(summary["blocks"]["accepted"], 20);
    let shares = &summary["shares"];
    let sum: u64 = ["accepted", "rejected", "stale", "throttled", "unresolved"]
        .map(|name| shares[name].as_u64().unwrap())
        .iter()
        .sum();
    assert_eq!(shares["found"], sum, "I9: {shares}");
    assert_eq!(of("share").count() as u64, sum, "one event for each share");
    assert!(summary["hashes"].as_u64().unwrap() > 0);
}

#[test]
fn people_get_a_line_for_each_block_and_what_was_proved() {
    let output = run(&["demo", "--blocks", "2", "--difficulty", "0.0001"]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    let blocks: Vec<_> = stdout.lines().filter(|line| line.starts_with("block ")).collect();
    assert_eq!(blocks.len(), 2, "{stdout}");
    assert!(blocks.iter().all(|line| line.contains("of the expected")), "{stdout}");
    assert!(stdout.contains("proved: 2 blocks"), "{stdout}");
    assert!(!stdout.contains('\x1b') && !stdout.contains('\r'), "no terminal codes in a pipe");
}

#[test]
fn with_vardiff_the_share_difficulty_follows_the_rate_and_a_block_is_told_from_a_share() {
    let output = run(&[
        "demo",
        "--vardiff",
        "--difficulty",
        "0.004",
        "--blocks",
        "3",
        "--max-hashrate",
        "4M",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output.stdout);
    let of = |kind: &'static str| events.iter().filter(move |event| event["event"] == kind);
    let difficulties: Vec<_> =
        of("share").map(|share| share["target_difficulty"].as_f64().unwrap()).collect();
    let (first, last) = (difficulties[0], difficulties.last().unwrap());
    assert!((first * 16_384.0 - 1.0).abs() < 1e-6, "it begins where a telephone is: {first}");
    // 4 MH/s need 16 Mhashes for a share every 4 s, 64 times as many.
    assert!(*last > 4.0 * first, "{difficulties:?}");
    assert!(difficulties.iter().all(|difficulty| *difficulty <= 0.0041), "{difficulties:?}");
    let jobs = of("job").filter(|job| job["network_difficulty"].as_f64().unwrap() < 0.0039);
    assert_eq!(jobs.count(), 0, "the header says how hard a block is");
    let accepted = |kind| of(kind).filter(|event| event["verdict"] == "accepted").count();
    let (shares, blocks) = (accepted("share"), accepted("block"));
    assert_eq!(blocks, 3);
    assert!(shares > blocks + 5, "{shares} shares");
    let worker = of("worker").next().unwrap();
    assert_eq!((&worker["accepted"], &worker["blocks"]), (&shares.into(), &blocks.into()));
    assert!(worker["work"].as_f64().unwrap() > 2e6, "{worker}");
}
