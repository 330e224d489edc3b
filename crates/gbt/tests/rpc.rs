//! JSON-RPC in every shape that nodes were seen to answer.

use midstate_gbt::rpc::{
    Answer, BlockVerdict, Call, ChainInfo, Headers, MAX_BODY, MAX_DEPTH, NetworkInfo, RpcError,
};
use proptest::prelude::*;
use serde_json::Value;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: body.as_bytes().to_vec(), ..Answer::default() }
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
    for unclear in ["true", "false", "{}", "-1", "[]"] {
        assert_eq!(verdict(unclear), Ok(BlockVerdict::Unknown(unclear.to_owned())));
    }
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
fn s11_a_nodes_name_for_itself_is_fit_to_be_printed() {
    let body = r#"{"result":{"connections":8,"subversion":"/Satoshi:28.0.0/\u001b[31m"}}"#;
    let network: NetworkInfo = answer(200, body).result().unwrap();
    assert_eq!((network.connections, network.agent()), (8, "/Satoshi:28.0.0/[31m".to_owned()));
}

#[test]
fn foreign_words_are_cut_by_letters_and_not_by_bytes() {
    let shown = |letter: &str| {
        let words = answer(200, &letter.repeat(500)).raw_result().unwrap_err().to_string();
        words.matches(letter).count()
    };
    // Letters of two and of three bytes.
    assert_eq!(shown("ß"), shown("語"));
    assert!(shown("ß") > 50, "{}", shown("ß"));
}

#[test]
fn s16_length_is_bounded() {
    let padded = |len: usize| {
        let result = r#"{"result":1}"#;
        let body = format!("{result}{}", " ".repeat(len - result.len()));
        answer(200, &body).raw_result().map(|_| ())
    };
    assert_eq!(padded(MAX_BODY), Ok(()));
    assert_eq!(padded(MAX_BODY + 2), Err(RpcError::TooMuch("64 MiB")));
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
        let answer = Answer { status, body, ..Answer::default() };
        let _ = answer.raw_result();
        let _ = BlockVerdict::from_answer(&answer);
    }
}

/// Answers of everything that is not a node: status, headers, body, and the words that name them.
fn odd_answers() -> Vec<(Answer, Vec<&'static str>)> {
    let typed = |status, kind: &str, body: &[u8]| {
        let headers = Headers { content_type: Some(kind.to_owned()), ..Headers::default() };
        Answer { status, headers, body: body.to_vec() }
    };
    let redirect = |status, location: &str| {
        let headers = Headers { location: Some(location.to_owned()), ..Headers::default() };
        Answer { status, headers, body: b"<html>Moved".to_vec() }
    };
    let mut packed = typed(200, "application/json", b"\x1f\x8b\x08\0\0\0");
    packed.headers.content_encoding = Some("gzip".to_owned());
    let json = |body: &str| typed(200, "application/json", body.as_bytes());
    vec![
        (typed(200, "text/html", b"<html><h1>It works!"), vec!["200", "text/html", "It works!"]),
        (typed(404, "text/plain", b"nothing here"), vec!["404", "text/plain", "nothing here"]),
        (typed(502, "text/html", b"<html>Bad Gateway"), vec!["502", "Bad Gateway", "bitcoind"]),
        (typed(429, "text/plain", b"slow down"), vec!["429", "limits the calls"]),
        (packed, vec!["gzip", "did not ask", "gzip off"]),
        (typed(200, "application/json", b"\x1f\x8b\x08\0"), vec!["gzip"]),
        (typed(200, "application/json", b"\x28\xb5\x2f\xfd"), vec!["zstd"]),
        (typed(200, "image/png", b"\x89PNG\xff\xfe"), vec!["image/png", "no text"]),
        // A letter of another encoding in the midst of text.
        (typed(500, "text/plain", b"Erreur interne: r\xe9essayez"), vec!["Erreur interne: r"]),
        (answer(200, ""), vec!["an empty body", "no content type"]),
        (answer(204, " \r\n"), vec!["204", "an empty body", "never answers so"]),
        (redirect(301, "https://node.lan/rpc"), vec!["301", "redirect to https://node.lan/rpc"]),
        (redirect(302, "http://me:hunter2@h/?key=hunter2"), vec!["redirect to http://h/"]),
        (redirect(307, "/login"), vec!["307", "redirect to /login"]),
        (json("[1,2]"), vec!["a JSON array", "[1,2]"]),
        (json("[]"), vec!["a JSON array"]),
        (json("\"hello\""), vec!["a JSON string", "hello"]),
        (json("null"), vec!["a bare JSON value", "null"]),
        (json("true"), vec!["a bare JSON value"]),
        (json("17"), vec!["a bare JSON value", "17"]),
        (json("{}"), vec!["no answer to a call"]),
        (json(r#"{"id":1}"#), vec!["no answer to a call"]),
        (json(r#"{"id":1,"error":null}"#), vec!["no answer to a call"]),
        (json(r#"{"id":1,"result":{"chain""#), vec!["breaks off"]),
        (json(r#"{"id":1,"result":{"chain"}}"#), vec!["damaged JSON"]),
        (json(r#"{"id":1,"result":1,"result":2}"#), vec!["no answer to a call"]),
        (json(r#"{"error":"no such wallet"}"#), vec!["no such wallet", "a code and a message"]),
        (json(r#"{"error":17}"#), vec!["17", "a code and a message"]),
        (json(r#"{"error":{}}"#), vec!["a code and a message"]),
        (json(r#"{"error":{"code":"x","message":"y"}}"#), vec!["a code and a message"]),
        (json(r#"{"result":"main"}"#), vec!["\"main\"", "getblockchaininfo"]),
        (json(r#"{"result":null,"error":null}"#), vec!["null", "getblockchaininfo"]),
        (json(r#"{"result":{"chain":17,"blocks":1}}"#), vec!["17", "chain (text)"]),
        (json(r#"{"result":{"blocks":1}}"#), vec!["chain (text)"]),
        (json(r#"{"result":{"chain":"main","blocks":-1}}"#), vec!["-1", "blocks (a number)"]),
        (json("\u{feff}{}"), vec!["byte order mark of UTF-8", "look at the proxy"]),
        (
            typed(200, "application/json", b"\xff\xfe{\0}\0"),
            vec!["byte order mark of UTF-16", "\"{}\""],
        ),
        (
            typed(200, "application/json", b"\0{\0\"\0a\0\"\0:\x001\0}"),
            vec!["a JSON object in UTF-16", "{\"a\":1}", "look at the proxy"],
        ),
        (typed(200, "text/plain", b"N\0o\0\x1b\0!\0"), vec!["in UTF-16", "\"No!\""]),
        (
            typed(200, "text/html", "\u{feff}\u{feff}<!DOCTYPE html><title>Log in".as_bytes()),
            vec!["a web page behind the byte order mark of UTF-8", "<!DOCTYPE html><title>Log in"],
        ),
        (typed(200, "text/plain", b"\xef\xbb\xbf"), vec!["an empty body behind the byte order"]),
        (typed(400, "text/html", b"<title>400 No required SSL certificate was sent</title>"), {
            vec!["400", "wants a certificate from us", "No required SSL", "midstate has none"]
        }),
        (typed(400, "text/plain", b"Client sent an HTTP request to an HTTPS server.\n"), {
            vec!["400", "wants TLS", "Client sent an HTTP request", "write https://"]
        }),
        (typed(400, "text/html", b"<h1>400</h1>The plain HTTP request was sent to HTTPS port"), {
            vec!["wants TLS", "write https://"]
        }),
        (
            typed(
                400,
                "text/html",
                b"<p>You're speaking plain HTTP to an SSL-enabled server port.",
            ),
            { vec!["wants TLS", "write https://"] },
        ),
        (typed(407, "text/html", b""), vec!["407", "a proxy or a log-in page"]),
        (typed(511, "text/html", b"<title>Log in"), vec!["511", "log in there"]),
        (json(&format!("<{}", "\u{1b}[2J".repeat(9_999))), vec!["a web page"]),
    ]
}

#[test]
fn rule_26_an_answer_that_is_not_json_rpc_is_reported_as_what_it_is() {
    for (answer, words) in odd_answers() {
        let said = answer.result::<ChainInfo>().unwrap_err().to_string();
        for word in words {
            assert!(said.contains(word), "{word:?} is not in: {said}");
        }
        // Neither the parser's words nor our types, no secret, nothing that steers a terminal.
        for foreign in [
            "line 1",
            "column",
            "expected value",
            "struct",
            "NodeError",
            "missing field",
            "invalid type",
            "EOF",
            "hunter2",
            "\u{1b}",
        ] {
            assert!(!said.contains(foreign), "{foreign:?} is in: {said}");
        }
        assert!(said.chars().count() < 420, "{said}");
    }
}

#[test]
fn rule_26_an_answer_to_another_call_is_none_and_is_told_as_that() {
    let named = |id: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","result":{{"chain":"regtest","blocks":3}}{id}}}"#);
        answer(200, &body).to_call(7)
    };
    // Our number, as a text too; and no name at all, as in the answer to what cannot be read.
    for ours in [r#","id":7"#, r#","id":"7""#, r#","id":null"#, ""] {
        assert!(named(ours).is_ok(), "{ours}");
    }
    for other in ["6", "70", r#""x""#, "7.5", "[7]", "{}"] {
        let words = named(&format!(r#","id":{other}"#)).unwrap_err().to_string();
        let told = format!("an answer with the id {other} came, expected 7: ");
        assert!(words.starts_with(&told), "{words}");
    }
    let page = answer(502, "<html>").to_call(7);
    assert!(page.is_ok(), "it is told as what it is");
}
