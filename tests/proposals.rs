//! Proposals (BIP23) to a real node: whatever the template, our block is right; and each rule that
//! we could break is one that the node checks.

use bitcoin::absolute::LockTime;
use bitcoin::block::Version;
use bitcoin::consensus::encode::{deserialize_hex, serialize_hex};
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Address, Amount, Block, BlockHash, CompactTarget, Network, OutPoint, PubkeyHash, ScriptBuf,
    Sequence, TxMerkleNode, TxOut, Txid, Witness,
};
use midstate_gbt::{Payout, Template, Work};
use serde_json::{Value, json};

use crate::bitcoind::Bitcoind;
use crate::coins::OpenCoins;

/// Work on the node's present template.
fn work(node: &Bitcoind, payout: &Payout) -> Work {
    let template = node.call("getblocktemplate", json!([{"rules": ["segwit"]}])).to_string();
    Work::new(Template::parse(&template).unwrap(), payout, "1".to_owned(), true).unwrap()
}

fn payout() -> Payout {
    let address = Address::p2pkh(PubkeyHash::from_byte_array([1; 20]), Network::Regtest);
    Payout {
        script: address.script_pubkey().into_bytes(),
        tag: b"/midstate/".to_vec(),
        extranonce1: vec![1, 2, 3, 4],
        version_mask: 0,
    }
}

/// The node's answer to a block without proof of work.
fn propose(node: &Bitcoind, block: &str) -> Value {
    node.call("getblocktemplate", json!([{"mode": "proposal", "data": block}]))
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn fifty_templates_of_changing_shape_are_all_right() {
    let node = Bitcoind::regtest();
    let mut coins = OpenCoins::mine(&node, 12);
    // The node makes a new template when 5 s have passed; so that they pass:
    let mut clock = node.block(node.height())["time"].as_u64().unwrap();
    let mut shapes = Vec::new();
    for round in 0..50 {
        clock += 10;
        node.call("setmocktime", json!([clock]));
        match round % 10 {
            9 => drop(node.generate(1)),
            _ => drop(coins.spend(&node, round * 37 % 200 + 1, 20_000 + 1_000 * round)),
        }
        let script = match round % 5 {
            0 => payout().script,
            // p2wpkh, p2wsh, p2tr, p2sh by their shape: the node does not care who can spend.
            1 => [&[0x00, 20][..], &[3; 20]].concat(),
            2 => [&[0x00, 32][..], &[4; 32]].concat(),
            3 => [&[0x51, 32][..], &[5; 32]].concat(),
            _ => [&[0xa9, 20][..], &[6; 20], &[0x87]].concat(),
        };
        let payout = Payout {
            script,
            tag: vec![b'x'; round as usize * 3 % 76],
            extranonce1: vec![round as u8; round as usize % 5],
            version_mask: 0,
        };
        let work = work(&node, &payout);
        assert_eq!(propose(&node, &work.proposal()), Value::Null, "round {round}");
        shapes.push((work.template().height, work.template().transactions.len()));
    }
    shapes.sort_unstable();
    shapes.dedup();
    assert_eq!(shapes.len(), 50, "templates were alike");
}

/// A change that breaks a block, with the node's words for it.
type Breakage = (&'static str, fn(&mut Block));

/// Each breaks one rule; afterwards the header gets the merkle root that fits.
const CONTENT: &[Breakage] = &[
    ("bad-cb-height", |block| block.txdata[0].input[0].script_sig = script(&[1, 77, 0])),
    ("bad-cb-length", |block| block.txdata[0].input[0].script_sig = script(&[1])),
    ("bad-cb-length", |block| block.txdata[0].input[0].script_sig = script(&[1; 101])),
    ("bad-cb-amount", |block| block.txdata[0].output[0].value += Amount::ONE_SAT),
    ("bad-txns-vout-empty", |block| block.txdata[0].output.clear()),
    ("bad-txns-vout-toolarge", |block| {
        block.txdata[0].output[0].value = Amount::MAX_MONEY + Amount::ONE_SAT;
    }),
    ("bad-cb-missing", |block| {
        block.txdata[0].input[0].previous_output = OutPoint::new(Txid::all_zeros(), 0);
    }),
    ("bad-cb-multiple", |block| {
        let mut second = block.txdata[0].clone();
        second.output[0].value = Amount::ZERO;
        block.txdata.insert(1, second);
    }),
    ("bad-txns-nonfinal", |block| {
        // BIP54's lock time is the height before; this is one too late.
        let height = block.txdata[0].lock_time.to_consensus_u32() + 1;
        block.txdata[0].lock_time = LockTime::from_consensus(height);
    }),
    ("bad-witness-merkle-match", |block| {
        let commitment = block.txdata[0].output.last_mut().unwrap();
        let mut bytes = commitment.script_pubkey.to_bytes();
        bytes[37] ^= 1;
        commitment.script_pubkey = bytes.into();
    }),
    ("bad-witness-nonce-size", |block| {
        block.txdata[0].input[0].witness = Witness::from_slice(&[[0; 31]]);
    }),
    ("bad-witness-nonce-size", |block| block.txdata[0].input[0].witness.clear()),
    ("unexpected-witness", |block| drop(block.txdata[0].output.pop())),
    ("bad-blk-sigops", |block| {
        // 20 operations each, counted four times, against a limit of 80,000.
        let greedy = TxOut { value: Amount::ZERO, script_pubkey: script(&[0xae; 1001]) };
        block.txdata[0].output.insert(0, greedy);
    }),
    ("bad-blk-length", |block| {
        let fat = TxOut { value: Amount::ZERO, script_pubkey: script(&[0x6a; 1_000_000]) };
        block.txdata[0].output.insert(0, fat);
    }),
    ("bad-txns-inputs-missingorspent", |block| {
        block.txdata.swap(1, 2);
        let root = block.witness_root().unwrap();
        let commitment = Block::compute_witness_commitment(&root, &[0; 32]);
        let script = &mut block.txdata[0].output.last_mut().unwrap().script_pubkey;
        let head = script.to_bytes()[..6].to_vec();
        *script = [head, commitment.to_byte_array().to_vec()].concat().into();
    }),
];

/// Each breaks the header, or the tie between header and content.
const HEADER: &[Breakage] = &[
    ("bad-txnmrklroot", |block| block.header.merkle_root = TxMerkleNode::all_zeros()),
    // The root stays the same: it cannot tell an odd row from one with its last entry twice.
    ("bad-txns-duplicate", |block| block.txdata.push(block.txdata[2].clone())),
    ("time-too-old", |block| block.header.time -= 3_600),
    ("time-too-new", |block| block.header.time += 10_800),
    ("bad-diffbits", |block| block.header.bits = CompactTarget::from_consensus(0x207f_fffe)),
    ("bad-version(0x00000001)", |block| block.header.version = Version::ONE),
    ("inconclusive-not-best-prevblk", |block| {
        block.header.prev_blockhash = BlockHash::all_zeros();
    }),
];

fn script(bytes: &[u8]) -> ScriptBuf {
    bytes.to_vec().into()
}

#[test]
#[ignore = "needs bitcoind: cargo xtask bitcoind builds one"]
fn a_block_that_breaks_one_rule_is_refused_for_that_rule() {
    let node = Bitcoind::regtest();
    let mut coins = OpenCoins::mine(&node, 1);
    // A parent and its child, in this order.
    coins.spend(&node, 1, 1_000);
    coins.spend(&node, 1, 1_000);
    let work = work(&node, &payout());
    let good: Block = deserialize_hex(&work.proposal()).unwrap();
    assert_eq!(good.txdata.len(), 3);
    assert_eq!(good.txdata[0].input[0].sequence, Sequence(0xffff_fffe));
    assert_eq!(serialize_hex(&good), work.proposal());

    for (reason, breakage) in CONTENT {
        let mut block = good.clone();
        breakage(&mut block);
        block.header.merkle_root = block.compute_merkle_root().unwrap();
        assert_eq!(propose(&node, &serialize_hex(&block)), *reason);
    }
    for (reason, breakage) in HEADER {
        let mut block = good.clone();
        breakage(&mut block);
        assert_eq!(propose(&node, &serialize_hex(&block)), *reason);
    }
    assert_eq!(propose(&node, &work.proposal()), Value::Null, "and the good one is still good");
}
