//! Solo mining at a real node: everything that is found is accepted, and paid to whom it should be.

use bitcoin::hashes::Hash as _;
use bitcoin::{Address, KnownHrp, Network, PubkeyHash, ScriptHash, WitnessProgram, WitnessVersion};
use serde_json::{Value, json};

use crate::bitcoind::Bitcoind;
use crate::coins::OpenCoins;
use crate::port::Port;
use crate::program::{events, midstate, run};

/// Runs `mine` at a node until it has found so many blocks; its events.
fn mine(node: &Bitcoind, address: &str, blocks: u64, more: &[&str]) -> Vec<Value> {
    let output = midstate(&["mine", "--json", "--address", address])
        .args(["--blocks", &blocks.to_string()])
        .args(node.miner_flags())
        .args(more)
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
    events(&output.stdout)
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn the_blocks_of_the_demo_go_into_a_fresh_node_one_by_one() {
    let node = Bitcoind::regtest();
    let file = node.datadir.join("blocks.hex");
    let path = file.to_str().unwrap();
    let demo = run(&["demo", "--blocks", "12", "--difficulty", "0.0005", "--out", path]);
    assert!(demo.status.success(), "{}", String::from_utf8_lossy(&demo.stderr));
    let text = std::fs::read_to_string(file).unwrap();
    for (index, block) in text.lines().enumerate() {
        assert_eq!(node.call("submitblock", json!([block])), Value::Null, "block {}", index + 1);
    }
    assert_eq!(node.height(), 12);
}

/// An address of each type, made by the `bitcoin` crate.
fn addresses() -> Vec<(&'static str, Address)> {
    let program = |version, bytes: &[u8]| {
        let program = WitnessProgram::new(version, bytes).unwrap();
        Address::from_witness_program(program, KnownHrp::Regtest)
    };
    vec![
        ("pubkeyhash", Address::p2pkh(PubkeyHash::from_byte_array([1; 20]), Network::Regtest)),
        (
            "scripthash",
            Address::p2sh_from_hash(ScriptHash::from_byte_array([2; 20]), Network::Regtest),
        ),
        ("witness_v0_keyhash", program(WitnessVersion::V0, &[3; 20])),
        ("witness_v0_scripthash", program(WitnessVersion::V0, &[4; 32])),
        // The generator's x coordinate: a program that is a key.
        (
            "witness_v1_taproot",
            program(
                WitnessVersion::V1,
                &hex::decode("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
                    .unwrap(),
            ),
        ),
    ]
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn i8_two_hundred_blocks_in_a_row_and_every_type_of_address() {
    let node = Bitcoind::regtest();
    let mut first = 1;
    for (turn, (kind, address)) in addresses().iter().enumerate() {
        let (address, blocks) = (address.to_string(), if turn == 0 { 200 } else { 10 });
        let events = mine(&node, &address, blocks, &[]);

        let summary = events.last().unwrap();
        assert_eq!(summary["reason"], "blocks");
        assert_eq!(summary["blocks"], json!({"found": blocks, "accepted": blocks, "rejected": 0}));
        let told: Vec<_> = of(&events, "block");
        for (height, told) in (first..first + blocks).zip(told) {
            let block = node.block(height);
            assert_eq!(told["hash"], block["hash"]);
            assert_eq!(told["height"], height);
            assert_eq!(told["verdict"], "accepted");
            let paid = &block["tx"][0]["vout"][0]["scriptPubKey"];
            assert_eq!((&paid["address"], &paid["type"]), (&json!(address), &json!(kind)));
            // BIP54.
            assert_eq!(block["tx"][0]["locktime"], height - 1);
            assert_eq!(block["tx"][0]["vin"][0]["sequence"], 0xffff_fffe_u32);
        }
        first += blocks;
    }
    assert_eq!(node.height(), 240);
    // The last 64 blocks are kept, should the node crash and forget; the rest is gone.
    assert!((60..=64).contains(&node.spooled().len()), "{}", node.spooled().len());
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn blocks_carry_the_mempool_and_its_fees() {
    let node = Bitcoind::regtest();
    let mut coins = OpenCoins::mine(&node, 3);
    let mut fees = 0;
    for (outputs, fee) in [(1, 1_000), (7, 5_000), (40, 20_000)] {
        coins.spend(&node, outputs, fee);
        fees += fee;
    }
    let height = node.height() + 1;
    let address = addresses()[2].1.to_string();
    mine(&node, &address, 1, &["--coinbase-tag", "fees & friends"]);

    let block = node.block(height);
    assert_eq!(block["nTx"], 4);
    // Halved at block 150, and this one is before.
    let subsidy = 5_000_000_000;
    let paid = &block["tx"][0]["vout"][0]["value"];
    assert_eq!((paid.as_f64().unwrap() * 1e8).round() as u64, subsidy + fees);
    assert!(
        block["tx"][0]["vin"][0]["coinbase"]
            .as_str()
            .unwrap()
            .contains(&hex::encode("fees & friends"))
    );
    assert_eq!(node.call("getrawmempool", json!([])), json!([]));
    // The node has checked the witness commitment; that there was something to commit to is ours.
    assert_ne!(block["tx"][1]["txid"], block["tx"][1]["hash"]);
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn open_signets_are_mined_and_signed_ones_named() {
    let address = "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx";
    let open = ["-signet", "-signetchallenge=51"];
    let node = Bitcoind::start("signet", &open);
    mine(&node, address, 1, &[]);
    assert_eq!(node.height(), 1);
    drop(node);

    let node = Bitcoind::start("signet", &["-signet"]);
    let output = midstate(&["mine", "--address", address]).args(node.miner_flags()).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("must be signed by the holders of its key"), "{stderr}");
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn what_does_not_fit_is_refused_with_the_right_exit_code() {
    let node = Bitcoind::regtest();
    let ours = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let mainnet = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let url = node.url();
    let cookie = node.cookie().to_str().unwrap().to_owned();
    let free = Port::hold();
    let nobody = format!("http://{}", free.address());
    let at_node: &[&str] = &["-o", &url, "--rpccookiefile", &cookie, "--time-limit", "200"];
    let cases: [(&[&str], i32, &str); 6] = [
        (&["--chain", "main", "--address", mainnet], 2, "the node is on regtest"),
        (&["--address", mainnet], 2, "is for main, not for regtest"),
        (&["--chain", "main", "--address", ours], 2, "--chain main: address"),
        (&["--address", "nonsense"], 2, "no Bitcoin address"),
        (&[], 2, "--address"),
        (&["-u", "x", "-p", "wrong", "--address", ours], 3, "--rpccookiefile"),
    ];
    let cases = cases.map(|(arguments, code, words)| ([at_node, arguments].concat(), code, words));
    let away = ["-o", &nobody, "-u", "x", "-p", "y", "--address", ours, "--give-up", "10"];
    for (arguments, code, words) in cases.into_iter().chain([(away.to_vec(), 5, "bitcoind")]) {
        let output = midstate(&["mine"]).args(&arguments).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(words), "{arguments:?}: {stderr}");
    }
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn u4_a_local_node_is_found_by_its_address_alone() {
    let node = Bitcoind::regtest();
    // A home with a node in its usual place, on a port that only bitcoin.conf knows.
    let home = node.datadir.join("home");
    let usual = home.join(".bitcoin");
    std::fs::create_dir_all(usual.join("regtest")).unwrap();
    std::fs::write(usual.join("bitcoin.conf"), format!("[regtest]\nrpcport={}\n", node.port))
        .unwrap();
    let cookie = |home: &std::path::Path| home.join("regtest/.cookie");
    std::fs::copy(cookie(&node.datadir), cookie(&usual)).unwrap();
    let address = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
    let output = midstate(&["mine", "--blocks", "1", "--address", address])
        .env("HOME", &home)
        .env_remove("XDG_STATE_HOME")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(node.height(), 1);
    assert!(home.join(".local/state/midstate/blocks/regtest").is_dir());
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn grind_solves_what_the_signet_miner_of_core_feeds_it() {
    let open = ["-signet", "-signetchallenge=51"];
    let node = Bitcoind::start("signet", &open);
    // As contrib/signet/miner does: a block without its proof of work, 80 bytes of it to a program
    // as the last argument, 80 bytes back on stdout, and the nonce of those into the block.
    let request = json!([{"rules": ["segwit", "signet"]}]);
    let template = node.call("getblocktemplate", request).to_string();
    let template = midstate_gbt::Template::parse(&template).unwrap();
    let payout = midstate_gbt::Payout {
        script: vec![0x51],
        tag: Vec::new(),
        extranonce1: Vec::new(),
        version_mask: 0,
    };
    let work = midstate_gbt::Work::new(template, &payout, "1".to_owned(), true).unwrap();
    let block = work.proposal();
    let output = run(&["grind", &block[..160]]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let solved = String::from_utf8(output.stdout).unwrap();
    assert_eq!(solved.len(), 161, "one line: {solved:?}");
    assert_eq!(solved[..152], block[..152], "only the nonce is changed");
    let is_lower_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    assert!(solved.trim_end().bytes().all(is_lower_hex));
    let block = format!("{}{}{}", &block[..152], &solved[152..160], &block[160..]);
    assert_eq!(node.call("submitblock", json!([block])), Value::Null);
    assert_eq!(node.height(), 1);
}
