//! JSON-RPC in every shape that nodes were seen to answer.

use midstate_gbt::rpc::{Answer, BlockVerdict, Call, ChainInfo, MAX_DEPTH, RpcError};
use proptest::prelude::*;
use serde_json::Value;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: body.as_bytes().to_vec() }
}

#[test]
fn calls_are_the_json_that_core_reads() {
    let body = |call: Call| String::from_utf8(call.body(7)).unwrap();
    let template: Value =
        serde_json::from_str(&body(Call::Template { longpoll_id: Some("ab1".to_owned()) }))
            .unwrap();
    assert_eq!(template["method"], "getblocktemplate");
    assert_eq!(template["params"][0]["rules"], serde_json::json!(["segwit", "signet"]));
    assert_eq!(template["params"][0]["longpollid"], "ab1");
    let proposal = body(Call::Proposal { block: "00".into() });
    assert!(proposal.contains(r#""mode":"proposal""#) && proposal.contains(r#""data":"00""#));
    assert_eq!(
        body(Call::Submit { block: "00ff".into() }),
        r#"{"id":7,"jsonrpc":"2.0","method":"submitblock","params":["00ff"]}"#
    );
}

#[test]
fn version_1_and_2_answers_are_read() {
    let new = answer(200, r#"{"jsonrpc":"2.0","result":{"chain":"regtest","blocks":3},"id":1}"#);
    let old = answer(200, r#"{"result":{"chain":"regtest","blocks":3},"error":null,"id":1}"#);
    for answer in [new, old] {
        let info: ChainInfo = answer.result().unwrap();
        assert_eq!((info.chain.as_str(), info.blocks), ("regtest", 3));
    }
    let error = r#""error":{"code":-10,"message":"Bitcoin Core is in initial sync"},"id":1}"#;
    for answer in [
        answer(200, &format!("{{\"jsonrpc\":\"2.0\",{error}")),
        answer(500, &format!("{{\"result\":null,{error}")),
    ] {
        let error = answer.result::<ChainInfo>().unwrap_err();
        assert!(matches!(error, RpcError::Node { code: -10, .. }));
        assert!(error.to_string().contains("still downloading the chain"), "{error}");
    }
}

#[test]
fn every_verdict_on_a_block_is_told_apart() {
    let verdict = |result: &str| {
        BlockVerdict::from_answer(&answer(200, &format!(r#"{{"result":{result},"id":1}}"#)))
    };
    assert_eq!(verdict("null"), Ok(BlockVerdict::Accepted));
    assert_eq!(verdict("\"duplicate\""), Ok(BlockVerdict::Duplicate));
    assert_eq!(verdict("\"inconclusive\""), Ok(BlockVerdict::Inconclusive));
    for reason in ["high-hash", "duplicate-invalid", "bad-cb-amount", "rejected"] {
        let refused = BlockVerdict::Refused(reason.to_owned());
        assert_eq!(verdict(&format!("{reason:?}")), Ok(refused));
    }
    assert!(verdict("true").is_err());
    // Silence is no consent.
    for body in ["{}", r#"{"id":1}"#, r#"{"error":null,"id":1}"#, "null", ""] {
        assert!(BlockVerdict::from_answer(&answer(200, body)).is_err(), "{body}");
    }
}

#[test]
fn http_errors_carry_a_cure() {
    let words = |status, body| answer(status, body).result::<Value>().unwrap_err().to_string();
    assert!(words(401, "").contains("--rpccookiefile"));
    assert!(words(403, "").contains("rpcallowip"));
    assert!(words(503, "Work queue depth exceeded").contains("Work queue depth exceeded"));
    assert!(words(404, "<html>nginx</html>").contains("<html>nginx</html>"));
    assert!(
        words(500, r#"{"error":{"code":-32601,"message":"Method not found"},"id":1}"#)
            .contains("is this a Bitcoin Core node?")
    );
}

#[test]
fn s11_a_nodes_words_cannot_steer_the_terminal() {
    let evil = "\\u001b]0;title\\u0007\\u202e reversed\\nnext\\u200b\\u061c\\udb40\\udc41 line";
    let body = format!(r#"{{"error":{{"code":-1,"message":"{evil}"}},"id":1}}"#);
    let words = answer(500, &body).result::<Value>().unwrap_err().to_string();
    assert!(words.contains("]0;title reversed next line"), "{words:?}");
    let long = format!(r#"{{"error":{{"code":-1,"message":"{}"}},"id":1}}"#, "x".repeat(9999));
    assert!(answer(500, &long).result::<Value>().unwrap_err().to_string().len() < 400);
}

#[test]
fn s16_depth_is_bounded() {
    let nested = |depth: usize| {
        // The envelope is one level itself; brackets in strings do not count.
        let brackets = ["[".repeat(depth - 1), "]".repeat(depth - 1)].join("\"[[\\\"[[\"");
        answer(200, &format!(r#"{{"result":{brackets},"id":1}}"#)).raw_result().map(|_| ())
    };
    assert_eq!(nested(MAX_DEPTH), Ok(()));
    assert!(matches!(nested(MAX_DEPTH + 1), Err(RpcError::TooMuch(_))));
    assert!(matches!(nested(1_000_000), Err(RpcError::TooMuch(_))));
}

proptest! {
    #[test]
    fn any_body_is_an_error_or_a_result(status in 100..600u16, body: Vec<u8>) {
        let answer = Answer { status, body };
        let _ = answer.raw_result();
        let _ = BlockVerdict::from_answer(&answer);
    }
}
