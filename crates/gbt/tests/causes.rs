//! Core's words about blocks have a cause and a cure wherever they are told.

mod support;

use midstate_gbt::rpc::{Answer, RpcError};
use midstate_gbt::{cause, likely_cause, refusal_in_words};
use serde_json::Value;
use support::{Core, World};

/// Core's words for a block that it does not take: `validation.cpp`, `consensus/tx_check.cpp`,
/// `consensus/tx_verify.cpp`, `signet.cpp` and `rpc/mining.cpp` of 31.0, and older ones.
const WORDS: &str = "
    high-hash bad-diffbits bad-version(0x00000001) time-too-old time-too-new time-timewarp-attack
    too-little-chainwork prev-blk-not-found bad-prevblk duplicate-invalid bad-signet-blksig
    inconclusive-not-best-prevblk bad-fork-prior-to-checkpoint
    bad-txnmrklroot bad-txns-duplicate bad-blk-length bad-blk-weight bad-blk-sigops bad-cb-missing
    bad-cb-multiple bad-cb-length bad-cb-height bad-cb-amount bad-witness-nonce-size
    bad-witness-merkle-match unexpected-witness bad-txns-nonfinal bad-txns-BIP30
    bad-txns-accumulated-fee-outofrange bad-txns-fee-outofrange bad-txns-in-belowout
    bad-txns-inputs-duplicate bad-txns-inputs-missingorspent bad-txns-inputvalues-outofrange
    bad-txns-oversize bad-txns-premature-spend-of-coinbase bad-txns-prevout-null
    bad-txns-txouttotal-toolarge bad-txns-vin-empty bad-txns-vout-empty bad-txns-vout-negative
    bad-txns-vout-toolarge rejected valid? block-script-verify-flag-failed
    mandatory-script-verify-flag-failed
    bad-txns-inputs-spent bad-txns-fee-negative bad-txns bad-txns-missinginput
    bad-witness-merkle-size stale-prevblk stale-work bad-cb-flag bad-cb-prefix time-invalid
    unknown-user unknown-work
";

#[test]
fn rule_25_the_causes_of_a_transaction_that_may_be_mined_later_only_include_our_own() {
    // The coinbase is locked until the block before its own: one height too many, and it is early.
    let cause = cause("bad-txns-nonfinal").unwrap();
    assert!(cause.contains("clock") && cause.contains("coinbase"), "{cause}");
}

#[test]
fn rule_25_each_word_of_the_node_about_a_block_has_a_cause_and_a_cure() {
    for word in WORDS.split_whitespace() {
        let cause = cause(word).unwrap_or_else(|| panic!("{word} has no cause"));
        assert!((25..250).contains(&cause.len()), "{word}: {cause}");
        assert_eq!(refusal_in_words(word), format!("{word}: {cause}"));
    }
    let script = "block-script-verify-flag-failed (Operation not valid with the stack size)";
    assert!(refusal_in_words(script).starts_with(&format!("{script}: a transaction of")));
    for words in ["Block decode failed", "Block does not start with a coinbase"] {
        assert!(cause(words).is_some(), "{words}");
    }
    // Words of other programs are told as such.
    for word in ["no thanks", "the bad-cb-height", "bad-cb-heights", "bad-txnsx", "bad-headers-pow"]
    {
        assert_eq!(cause(word), None, "{word}");
        assert!(likely_cause(word).contains("does not know this reason"), "{word}");
        assert_eq!(refusal_in_words(word), format!("{word}: {}", likely_cause(word)));
    }
}

#[test]
fn rule_25_a_word_about_a_block_in_an_error_of_the_node_has_its_cause_too() {
    for (message, cure) in [
        (
            "CreateNewBlock: TestBlockValidity failed: bad-cb-height, block height mismatch in \
             coinbase",
            "; the height in its coinbase is not the next one",
        ),
        ("CreateNewBlock: bad-blk-weight", "-blockreservedweight=8000"),
        ("CreateNewBlock: TestBlockValidity failed: time-too-new", "check both clocks"),
        ("rejected", "its debug.log may say more"),
    ] {
        let body = format!(r#"{{"error":{{"code":-1,"message":"{message}"}},"id":1}}"#);
        let answer = Answer { status: 500, body: body.into_bytes(), ..Answer::default() };
        let error: Result<Value, RpcError> = answer.result();
        let words = error.unwrap_err().to_string();
        assert!(words.contains(cure), "{words}");
    }
}

#[test]
fn rule_25_each_error_of_a_node_has_a_cure_by_its_number() {
    for (code, cure) in [
        (-1, "its debug.log may say more"),
        (-2, "its debug.log may say more"),
        (-3, "does not understand our call"),
        (-7, "a trouble of its own"),
        (-9, "check its network"),
        (-10, "still downloading"),
        (-20, "a trouble of its own"),
        (-25, "a trouble of its own"),
        (-28, "it is starting"),
        (-32600, "does not understand our call"),
        (-32601, "is this a Bitcoin Core node?"),
        (-32602, "does not understand our call"),
        (-32603, "a trouble of its own"),
        (-32700, "does not understand our call"),
        (12345, "its debug.log may say more"),
    ] {
        let body = format!(r#"{{"error":{{"code":{code},"message":"Oops"}},"id":1}}"#);
        let answer = Answer { status: 500, body: body.into_bytes(), ..Answer::default() };
        let error: Result<Value, RpcError> = answer.result();
        let words = error.unwrap_err().to_string();
        assert!(words.starts_with(&format!("the node says: Oops ({code}); ")), "{words}");
        assert!(words.contains(cure), "{words}");
    }
}

#[test]
fn rule_25_a_refused_proposal_is_told_with_its_cause() {
    let mut core = Core::new();
    core.refuse_proposals = Some("bad-cb-height");
    let mut world = World::new(vec![core]);
    world.settle();
    world.pass(2);
    let told = world.warnings();
    let words = "bad-cb-height: the height in its coinbase is not the next one";
    assert!(told.iter().any(|text| text.contains(words)), "{told:?}");
}
