//! Templates and the work made of them; proposals and blocks judged by the `bitcoin` crate.

mod support;

use bitcoin::consensus::encode::{deserialize, deserialize_hex};
use bitcoin::{Block, Sequence};
use midstate_chain::{BIP320_MASK, Network, TxOut, coinbase_height};
use midstate_gbt::spool::{SpoolError, SpooledBlock};
use midstate_gbt::{Address, MAX_TAG, Payout, Room, Template, TemplateError, Work, WorkError};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{ADDRESS, Core, solve};

fn parse(json: &Value) -> Result<Template, TemplateError> {
    Template::parse(&json.to_string())
}

fn payout(tag: &[u8]) -> Payout {
    let address: Address = ADDRESS.parse().expect("a valid address");
    Payout {
        script: address.script_for(Network::Regtest).expect("its chain").to_vec(),
        tag: tag.to_vec(),
        extranonce1: vec![7; 4],
        version_mask: u32::MAX,
    }
}

fn with(change: Value) -> Value {
    let mut core = Core::new();
    core.transaction(1);
    core.transaction(2);
    core.template_extras = change;
    core.template()
}

#[test]
fn fields_arrive_as_meant() {
    let template =
        parse(&with(json!({"mintime": 1_800_000_600, "vbrequired": 0x2000_0000}))).unwrap();
    assert_eq!(template.height, 1);
    assert_eq!(template.version, 0x2000_0000);
    assert_eq!(template.time, 1_800_000_600, "I13: never below mintime");
    assert_eq!(template.bits.to_consensus(), 0x207f_ffff);
    assert_eq!(template.transactions.len(), 2);
    assert!(template.can_propose);
    assert_eq!(template.weight, Room { used: 340 + 2 * 349, limit: 4_000_000 });
    assert_eq!(template.sigops, Room { used: 2, limit: 80_000 });
    // A version with the top bit set is a negative number in JSON.
    assert_eq!(parse(&with(json!({"version": -1}))).unwrap().version, u32::MAX);
}

#[test]
fn damaged_templates_are_refused_with_the_field_and_the_value() {
    let cases = [
        (json!({"bits": "xyz"}), "bits \"xyz\""),
        (json!({"bits": "00000000"}), "target of zero"),
        (json!({"target": "00"}), "target \"00\""),
        (json!({"previousblockhash": "12"}), "previousblockhash \"12\""),
        (json!({"version": 4_294_967_296_i64}), "version"),
        (json!({"height": 0}), "height"),
        (json!({"coinbasevalue": 2_100_000_000_000_001_u64}), "coinbasevalue"),
        (json!({"coinbasevalue": -1}), "coinbasevalue -1"),
        (json!({"transactions": null}), "no transactions"),
        (json!({"curtime": 4_294_967_296_i64}), "curtime 4294967296"),
        (json!({"weightlimit": 900}), "weight"),
        (json!({"sigoplimit": 1}), "signature operations 2, above the node's limit of 1"),
        (json!({"rules": ["csv", "!segwit", "!\u{1b}[2Jevil"]}), "rule \"[2Jevil\""),
        (
            json!({"default_witness_commitment": "6a24aa21a9ed00"}),
            "or something in between changes its answers",
        ),
    ];
    for (change, words) in cases {
        let error = parse(&with(change.clone())).expect_err(&change.to_string()).to_string();
        assert!(error.contains(words), "{change}: {error}");
    }
}

#[test]
fn a_coinbase_may_pay_all_coins_that_will_ever_exist_and_no_more() {
    let value = |value: u64| parse(&with(json!({ "coinbasevalue": value })));
    assert!(value(2_100_000_000_000_000).is_ok());
    assert!(value(2_100_000_000_000_001).is_err());
}

#[test]
fn the_height_of_a_block_is_read_behind_any_number_of_transactions() {
    // The number takes one byte below 253, else three.
    for transactions in [0, 251, 252, 253, 600] {
        let mut core = Core::new();
        (0..transactions).for_each(|number| core.transaction(number));
        core.template_extras = json!({"height": 70_000});
        let template = parse(&core.template()).unwrap();
        let work = Work::new(template, &payout(b"tag"), "1".to_owned(), true).unwrap();
        let spooled = SpooledBlock::from_block(&work.block(&solve(work.job(), 0)));
        assert_eq!(spooled.map(|block| block.height), Some(70_000), "{transactions}");
    }
    // Five bytes are left to blocks that cannot be.
    let mut core = Core::new();
    core.template_extras = json!({"height": 70_000});
    let template = parse(&core.template()).unwrap();
    let work = Work::new(template, &payout(b"tag"), "1".to_owned(), true).unwrap();
    let block = work.block(&solve(work.job(), 0));
    let long = [&block[..80], &[0xfe, 1, 0, 0, 0], &block[81..]].concat();
    assert_eq!(SpooledBlock::from_block(&long).map(|block| block.height), Some(70_000));
}

#[test]
fn s16_limits_beyond_all_reason_do_not_overflow() {
    let template = parse(&with(json!({
        "rules": ["csv"], "sigoplimit": u64::MAX, "weightlimit": u64::MAX,
        "default_witness_commitment": null, "transactions": [],
    })));
    assert_eq!(template.unwrap().sigops, Room { used: 0, limit: u64::MAX });
}

/// A template without some fields, and with others.
fn changed(without: &[&str], change: Value) -> Result<Template, TemplateError> {
    let mut template = with(change);
    let fields = template.as_object_mut().expect("an object");
    fields.retain(|name, _| !without.contains(&name.as_str()));
    parse(&template)
}

#[test]
fn rule_25_templates_of_other_nodes_are_named_with_the_field_and_are_final() {
    let segwit = "do not name segwit";
    for (without, change, words) in [
        // btcd.
        (&["rules"][..], json!({}), segwit),
        (&["rules", "default_witness_commitment"], json!({}), segwit),
        (&[], json!({"rules": null}), segwit),
        (&[], json!({"rules": []}), segwit),
        (&[], json!({"rules": ["csv"], "transactions": []}), segwit),
        (&["coinbasevalue"], json!({"coinbasetxn": {"data": "00"}}), "coinbasetxn"),
        (&["coinbasevalue"], json!({}), "no coinbasevalue"),
        (&[], json!({"bits": "1d00ffff"}), "bits \"1d00ffff\" stand for 00000000ffff"),
        (&[], json!({"bits": "+207ffff"}), "bits \"+207ffff\""),
        (&[], json!({"bits": "7fffff"}), "bits \"7fffff\""),
        (&[], json!({"bits": 545_259_519}), "bits 545259519"),
        (&[], json!({"height": "7"}), "height \"7\""),
        (&[], json!({"height": -1}), "height -1"),
        (&[], json!({"height": 500_000_001}), "height 500000001"),
        (&[], json!({"curtime": "now"}), "curtime \"now\""),
        (&[], json!({"curtime": 1.5}), "curtime 1.5"),
        (&[], json!({"mintime": -1}), "mintime -1"),
        (&[], json!({"rules": "segwit"}), "rules \"segwit\""),
        (&[], json!({"rules": [7]}), "rules [7]"),
        (&[], json!({"capabilities": {}}), "capabilities {}"),
        (&[], json!({"transactions": {}}), "transactions {}"),
        (&[], json!({"transactions": [7]}), "transaction 0 7"),
        (&[], json!({"transactions": [[1, 2, 3, 4, 5]]}), "transaction 0 [1,2,3,4,5]"),
        (&[], json!({"transactions": [{}]}), "no transaction 0 with data"),
        (&[], json!({"coinbaseaux": "00"}), "coinbaseaux \"00\""),
        (&[], json!({"version": "1"}), "version \"1\""),
        (&[], json!({"vbrequired": -1}), "vbrequired -1"),
        (&[], json!({"sigoplimit": "many"}), "sigoplimit \"many\""),
        (&[], json!({"weightlimit": -1}), "weightlimit -1"),
        (&[], json!({"longpollid": 7}), "longpollid 7"),
        (&[], json!({"signet_challenge": 51}), "signet_challenge 51"),
        (&[], json!({"previousblockhash": "x".repeat(5_000)}), "previousblockhash \"xxx"),
    ] {
        let error = changed(without, change.clone()).expect_err(&change.to_string());
        let said = error.to_string();
        assert!(said.contains(words), "{change}: {words:?} is not in: {said}");
        assert!(error.is_final(), "{said}");
        assert!(said.contains("; ") && said.contains("Bitcoin Core"), "the cure: {said}");
        assert!(said.len() < 500 && !said.contains("line 1") && !said.contains("struct"), "{said}");
    }
    for other in ["null", "[]", "\"text\"", "17", "[1,2,3]", "", "<html>"] {
        let error = Template::parse(other).unwrap_err();
        assert!(error.is_final() && error.to_string().contains("JSON object"), "{other}: {error}");
    }
}

#[test]
fn rule_25_a_field_that_is_missing_is_treated_as_one_that_is_null() {
    let needed = [
        "version",
        "previousblockhash",
        "transactions",
        "coinbasevalue",
        "target",
        "sigoplimit",
        "curtime",
        "bits",
        "height",
    ];
    for name in with(json!({})).as_object().unwrap().keys().filter(|name| *name != "rules") {
        let (missing, null) = (changed(&[name], json!({})), changed(&[], json!({ name: null })));
        assert_eq!(missing, null, "{name}");
        match missing {
            Ok(_) => assert!(!needed.contains(&name.as_str()), "{name}"),
            Err(error) => {
                assert!(error.to_string().contains(&format!("no {name} ")), "{error}");
                assert!(needed.contains(&name.as_str()), "{error}");
            }
        }
    }
}

#[test]
fn rule_25_what_is_said_about_a_transaction_must_be_what_its_data_give() {
    for (key, value) in [
        ("txid", json!("0".repeat(64))),
        ("hash", json!("0".repeat(64))),
        ("weight", json!(1)),
        ("weight", json!(u64::MAX)),
    ] {
        let mut template = with(json!({}));
        template["transactions"][1][key] = value.clone();
        let error = parse(&template).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(&format!("transaction 1 of the block template has {key}")), "{said}");
        assert!(!error.is_final(), "transactions come and go: {said}");
    }
    for (key, value) in [("weight", json!("heavy")), ("sigops", json!(-1)), ("data", json!("02"))] {
        let mut template = with(json!({}));
        template["transactions"][1][key] = value.clone();
        assert!(parse(&template).is_err(), "{key} {value}");
    }
}

#[test]
fn transactions_are_checked_against_their_hashes() {
    let changed = |key: &str, value: &str| {
        let mut template = with(json!({}));
        template["transactions"][1][key] = json!(value);
        parse(&template).unwrap_err().to_string()
    };
    assert!(changed("data", "0200").contains("transaction 1"));
    assert!(changed("data", "020").contains("even number of hex digits"));
    assert!(changed("txid", "zz").contains("64 hex digits"));
    assert!(changed("hash", &"0".repeat(64)).contains("transaction 1"));
}

#[test]
fn optional_rules_are_the_nodes_business() {
    let template = with(json!({"rules": ["csv", "!segwit", "taproot", "checktemplateverify"]}));
    assert!(parse(&template).is_ok());
}

#[test]
fn i13_clock_skew_is_told_beyond_two_minutes() {
    let template = parse(&with(json!({}))).unwrap();
    let time = u64::from(template.time);
    assert_eq!(template.clock_skew(time + 120), None);
    assert_eq!(template.clock_skew(time + 7200), Some(-7200));
    assert_eq!(template.clock_skew(time - 7200), Some(7200));
}

#[test]
fn i14_only_bip320_bits_are_rolled_and_required_ones_kept() {
    let template = parse(&with(json!({"vbrequired": 0x0000_2000}))).unwrap();
    let work = Work::new(template, &payout(b""), "1".to_owned(), true).unwrap();
    assert_eq!(work.job().version_mask, BIP320_MASK & !0x2000);
}

#[test]
fn i16_coinbases_of_the_awkward_heights_are_valid() {
    for height in [1, 2, 15, 16, 17, 18, 127, 128, 129, 255, 256, 32_767, 32_768, 8_388_608] {
        let template = parse(&with(json!({ "height": height }))).unwrap();
        let work = Work::new(template, &payout(b"tag"), "1".to_owned(), true).unwrap();
        let block: Block = deserialize_hex(&work.proposal()).unwrap();
        let coinbase = &block.txdata[0];
        if height > 16 {
            assert_eq!(block.bip34_block_height(), Ok(height));
        }
        assert_eq!(coinbase_height(&work.job().coinbase_prefix), Some(height as u32));
        assert_eq!(u64::from(coinbase.lock_time.to_consensus_u32()), height - 1);
        assert_eq!(coinbase.input[0].sequence, Sequence(0xffff_fffe));
        assert!(block.check_merkle_root() && block.check_witness_commitment());
        assert!(coinbase.output.last().unwrap().script_pubkey.is_op_return());
        // Tag and extranonce are pushed data: no byte of them counts as an operation.
        assert_eq!(coinbase.input[0].script_sig.count_sigops_legacy(), 0);
    }
}

#[test]
fn what_the_node_wants_in_the_coinbase_is_there() {
    // BIP22: the values, not the names.
    let aux = json!({"coinbaseaux": {"flags": "062f503253482f", "b": "aced"}, "height": 128});
    let template = parse(&with(aux)).unwrap();
    let work = Work::new(template, &payout(b"tag"), "1".to_owned(), true).unwrap();
    let block: Block = deserialize_hex(&work.proposal()).unwrap();
    let script = &block.txdata[0].input[0].script_sig;
    let pushes: Vec<_> = script
        .instructions()
        .map(|i| i.unwrap().push_bytes().unwrap().as_bytes().to_vec())
        .collect();
    assert_eq!(pushes[0], [0x80, 0x00], "the height comes first");
    assert_eq!(hex::encode(&pushes[1]), "aced062f503253482f");
    assert_eq!(pushes[2], b"tag");
    assert_eq!(script.count_sigops_legacy(), 0);

    let with_aux = |bytes: usize| {
        let template = parse(&with(json!({"coinbaseaux": {"": "00".repeat(bytes)}}))).unwrap();
        let work = Work::new(template, &payout(b""), "1".to_owned(), true)?;
        let block: Block = deserialize_hex(&work.proposal()).unwrap();
        let script = &block.txdata[0].input[0].script_sig;
        let longest = script.instructions().filter_map(|i| Some(i.ok()?.push_bytes()?.len())).max();
        assert_eq!(longest, Some(bytes), "a push of {bytes} bytes");
        Ok::<_, WorkError>(())
    };
    assert!(with_aux(75).is_ok() && with_aux(76).is_ok() && with_aux(84).is_ok());
    assert!(with_aux(85).is_err() && with_aux(300).is_err());
    let error = parse(&with(json!({"coinbaseaux": {"": "xy"}}))).unwrap_err();
    assert!(error.to_string().contains("coinbaseaux {\"\":\"xy\"}"), "{error}");
}

#[test]
fn before_segwit_nothing_is_committed_to() {
    let mut core = Core::new();
    core.template_extras =
        json!({"rules": ["csv"], "default_witness_commitment": null, "weightlimit": null});
    let template = parse(&core.template()).unwrap();
    let work = Work::new(template, &payout(b"tag"), "1".to_owned(), true).unwrap();
    let block: Block = deserialize_hex(&work.proposal()).unwrap();
    assert_eq!(block.txdata[0].output.len(), 1);
    assert!(block.txdata[0].input[0].witness.is_empty());
}

#[test]
fn i17_the_coinbase_must_fit_as_well() {
    let full = parse(&with(json!({"weightlimit": 340 + 2 * 349 + 300}))).unwrap();
    let error = Work::new(full, &payout(b""), "1".to_owned(), true).unwrap_err();
    assert!(matches!(error, WorkError::NoRoom(_)), "{error}");
    assert!(!error.is_final(), "transactions come and go");

    let full = parse(&with(json!({"sigoplimit": 4}))).unwrap();
    let p2pkh: Address = "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn".parse().unwrap();
    let script = p2pkh.script_for(Network::Regtest).unwrap().to_vec();
    let to_key_hash = Payout { script, ..payout(b"") };
    assert!(Work::new(full.clone(), &to_key_hash, "1".to_owned(), true).is_err());
    assert!(Work::new(full.clone(), &payout(b""), "1".to_owned(), true).is_ok());
    // A witness program is no script, whatever its last byte.
    let script = [&[0, 20][..], &[0xac; 20]].concat();
    let to_witness = Payout { script, ..payout(b"") };
    assert!(Work::new(full, &to_witness, "1".to_owned(), true).is_ok());
}

#[test]
fn i17_a_block_may_have_the_nodes_weight_to_the_last_unit() {
    let work = |limit: u64| {
        let template = parse(&with(json!({"weightlimit": limit}))).unwrap();
        Work::new(template, &payout(b"tag"), "1".to_owned(), true)
    };
    let block: Block = deserialize_hex(&work(4_000_000).unwrap().proposal()).unwrap();
    // Room is kept for a count of transactions of five bytes, of which this block needs one.
    let weight = block.weight().to_wu() + 4 * 4;
    assert!(work(weight).is_ok());
    let Err(error @ WorkError::NoRoom(_)) = work(weight - 1) else { panic!("it has no room") };
    // The whole block's weight, and the node's own limit.
    let words = format!("weight {weight}, above the node's limit of {}", weight - 1);
    assert!(error.to_string().contains(&words), "{error}");
}

#[test]
fn tags_have_a_limit_that_is_said() {
    let template = parse(&with(json!({}))).unwrap();
    let tag = |len| Work::new(template.clone(), &payout(&vec![b'x'; len]), "1".to_owned(), true);
    assert!(tag(MAX_TAG).is_ok());
    assert_eq!(tag(MAX_TAG + 1), Err(WorkError::LongTag(76)));
}

#[test]
fn spool_files_survive_the_way_to_disk_and_damage_is_seen() {
    let template = parse(&with(json!({}))).unwrap();
    let work = Work::new(template, &payout(b"tag"), "1".to_owned(), true).unwrap();
    let share = solve(work.job(), 0);
    let block = work.block(&share);
    let judged: Block = deserialize(&block).unwrap();
    let spooled = SpooledBlock::from_block(&block).unwrap();
    assert_eq!(spooled.hash.to_string(), judged.block_hash().to_string());
    assert_eq!(spooled.height, 1);

    let (name, content) = (spooled.file_name(), spooled.file_content());
    assert_eq!(SpooledBlock::from_file(&name, &content), Ok(spooled));
    let cut = &content[..content.len() / 2];
    // A cut block still has its header; the node would find the rest missing.
    assert!(SpooledBlock::from_file(&name, &cut[..100]).is_err());
    let mut other = content.clone().into_bytes();
    other[150] ^= 1;
    let other = String::from_utf8(other).unwrap();
    assert!(matches!(SpooledBlock::from_file(&name, &other), Err(SpoolError::OtherBlock(_))));
    assert_eq!(SpooledBlock::from_file("notes.txt", &content), Err(SpoolError::Name));
    assert_eq!(SpooledBlock::from_file(&name, "<html>"), Err(SpoolError::Content));
}

proptest! {
    /// With any template, tag and extranonce the block is the template's transactions in order,
    /// under a coinbase that pays exactly the coinbase value to the payout script.
    #[test]
    fn blocks_are_the_template_and_a_coinbase(
        height in 1..20_000_000u32,
        transactions in 0..40u32,
        tag in prop::collection::vec(any::<u8>(), 0..=75),
        extranonce1 in prop::collection::vec(any::<u8>(), 0..=8),
        extranonce2: [u8; 8],
        version_bits: u32,
    ) {
        let mut core = Core::new();
        (0..transactions).for_each(|number| core.transaction(number));
        core.template_extras = json!({ "height": height });
        let template = parse(&core.template()).unwrap();
        let payout = Payout { extranonce1, ..payout(&tag) };
        let work = Work::new(template, &payout, "1".to_owned(), true).unwrap();
        let mut share = solve(work.job(), 0);
        share.extranonce2 = extranonce2.to_vec();
        share.version |= version_bits & work.job().rollable_bits();

        let block: Block = deserialize(&work.block(&share)).unwrap();
        prop_assert_eq!(&block.txdata[1..], &core.mempool[..]);
        prop_assert!(block.check_merkle_root());
        prop_assert!(block.check_witness_commitment());
        let coinbase = &block.txdata[0];
        prop_assert!((2..=100).contains(&coinbase.input[0].script_sig.len()));
        let output = &coinbase.output[0];
        let paid = TxOut {
            value: output.value.to_sat(),
            script: output.script_pubkey.to_bytes(),
        };
        prop_assert_eq!(paid, TxOut { value: core.value(), script: payout.script });
        prop_assert_eq!(block.header.version.to_consensus() as u32, share.version);
        prop_assert_eq!(block.block_hash().to_string(), share.header().hash().to_string());
        let spooled = SpooledBlock::from_block(&work.block(&share)).unwrap();
        prop_assert_eq!(spooled.height, height);
    }

    /// A changed byte of a template is an error or another template, never a panic.
    #[test]
    fn damaged_json_never_panics(at in 0..2000usize, byte: u8) {
        let mut json = with(json!({})).to_string().into_bytes();
        let at = at % json.len();
        json[at] = byte;
        if let Ok(json) = String::from_utf8(json) {
            let _ = Template::parse(&json).map(|template| {
                Work::new(template, &payout(b"tag"), "1".to_owned(), true)
            });
        }
    }
}
