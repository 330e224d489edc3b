//! `--expect-payout`: every job's coinbase is looked into (S13).

use std::ops::Range;

use midstate_chain::{Coinbase, TxOut};
use midstate_stratum::{ClientConfig, ClientEvent, CloseReason, ExpectedPayout, Remark};
use serde_json::{Value, json};

use crate::mock::{HARD_BITS, Mock, PREV, config, notify_params};

const OURS: &[u8] = &[0x00, 0x14, 1, 2, 3];
const SUBSIDY: u64 = 312_500_000;

fn expecting(least_percent: Option<f64>, strict: bool) -> Mock {
    expecting_with("a1b2c3d4", 4, least_percent, strict)
}

fn expecting_with(
    extranonce1: &str,
    extranonce2_size: usize,
    least_percent: Option<f64>,
    strict: bool,
) -> Mock {
    let address = "bc1qours".to_owned();
    let expected = ExpectedPayout { address, script: OURS.to_vec(), least_percent, strict };
    let mut mock = Mock::new(ClientConfig { expect_payout: Some(expected), ..config() });
    mock.handshake(extranonce1, extranonce2_size);
    mock.events();
    mock
}

/// A job whose coinbase pays us so much, and the rest of the subsidy to the pool.
fn paying(ours: u64) -> Value {
    let output = |value, script: &[u8]| TxOut { value, script: script.to_vec() };
    let outputs = [output(SUBSIDY - ours, &[0x51]), output(ours, OURS)];
    let coinbase = Coinbase {
        height: 900_000,
        tag: b"a pool",
        extranonce_size: 8,
        outputs: &outputs,
        witness_commitment: Some(Default::default()),
    };
    let parts = coinbase.build().expect("the script is short enough");
    let mut params = notify_params("job", PREV, HARD_BITS, true);
    params[2] = json!(hex::encode(parts.prefix));
    params[3] = json!(hex::encode(parts.suffix));
    params
}

/// The fate of a job: whether it is handed out, and the words.
fn judged(mut mock: Mock, params: Value) -> (bool, Vec<String>) {
    mock.call("mining.notify", params);
    let events = mock.events();
    let is_job = |event: &ClientEvent| matches!(event, ClientEvent::Job(_));
    let words = events.iter().filter_map(|event| match event {
        ClientEvent::Remark(Remark::Warning { text }) => Some(text.clone()),
        ClientEvent::Close(reason @ CloseReason::Payout { .. }) => {
            Some(format!("closed: {reason}"))
        }
        _ => None,
    });
    (events.iter().any(is_job), words.collect())
}

#[test]
fn s13_a_job_that_pays_is_handed_out_without_a_word() {
    for strict in [false, true] {
        let silence = (true, Vec::new());
        assert_eq!(judged(expecting(None, strict), paying(1)), silence);
        assert_eq!(judged(expecting(Some(100.0), strict), paying(SUBSIDY)), silence);
        let rounded_down = SUBSIDY * 983 / 1000 - 1;
        assert_eq!(judged(expecting(Some(98.3), strict), paying(rounded_down)), silence);
    }
}

#[test]
fn s13_a_job_that_does_not_pay_is_told_and_hashed() {
    let nothing =
        "job job: its coinbase pays bc1qours nothing; it pays 312500000 satoshi to others";
    let (handed_out, words) = judged(expecting(None, false), paying(0));
    assert_eq!((handed_out, &words[..]), (true, &[nothing.to_owned()][..]));

    let little = "job job: its coinbase pays bc1qours 50.00 %, expected at least 98 %";
    let (handed_out, words) = judged(expecting(Some(98.0), false), paying(SUBSIDY / 2));
    assert_eq!((handed_out, &words[..]), (true, &[little.to_owned()][..]));

    let unreadable = notify_params("job", PREV, HARD_BITS, true);
    let (handed_out, words) = judged(expecting(None, false), unreadable);
    assert!(handed_out && words[0].contains("cannot be read"), "{words:?}");
}

#[test]
fn s13_a_strict_miner_leaves_before_it_hashes() {
    for (percent, params) in [
        (None, paying(0)),
        (Some(98.0), paying(SUBSIDY / 2)),
        (None, notify_params("job", PREV, HARD_BITS, true)),
    ] {
        let (handed_out, words) = judged(expecting(percent, true), params);
        assert!(!handed_out, "{words:?}");
        assert!(words.len() == 1 && words[0].starts_with("closed: job job: "), "{words:?}");
    }
}

/// A job whose coinbase pays us 1,000 satoshi and a stranger nothing, as long as the extranonce,
/// which has the place of these of its bytes, is zeros.
fn rolling(extranonce: Range<usize>) -> Value {
    let before = [&[1, 0, 0, 0, 1][..], &[0; 32], &[0xff; 4], &[8]].concat();
    let script = [3, 0xa0, 0xbb, 0x0d, 0, 0, 0, 0];
    let ours = [&[0xff; 4][..], &[2], &1000u64.to_le_bytes(), &[OURS.len() as u8], OURS].concat();
    let strangers = [&[0; 8][..], &[1, 0x51], &[0; 4]].concat();
    assert_eq!((before.len(), before.len() + script.len() + ours.len()), (42, 69));
    let coinbase = [&before[..], &script, &ours, &strangers].concat();
    let mut params = notify_params("job", PREV, HARD_BITS, true);
    params[2] = json!(hex::encode(&coinbase[..extranonce.start]));
    params[3] = json!(hex::encode(&coinbase[extranonce.end..]));
    params
}

#[test]
fn s13_what_is_rolled_must_not_be_what_is_paid() {
    let judged = |extranonce: Range<usize>| {
        judged(expecting_with("", extranonce.len(), Some(98.0), true), rolling(extranonce))
    };
    for within in [42..45, 46..50, 42..50] {
        assert_eq!(judged(within), (true, Vec::new()));
    }
    // The outpoint; a part of the sequence; the value of what the stranger gets.
    for outside in [38..41, 48..52, 69..72] {
        let (handed_out, words) = judged(outside);
        assert!(!handed_out && words.len() == 1, "{words:?}");
        assert!(words[0].contains("outside the coinbase's input script"), "{words:?}");
    }
}

#[test]
fn s13_a_job_that_came_before_the_subscription_is_looked_into_too() {
    let expected = ExpectedPayout {
        address: "bc1qours".to_owned(),
        script: OURS.to_vec(),
        least_percent: None,
        strict: true,
    };
    let mut mock = Mock::new(ClientConfig { expect_payout: Some(expected), ..config() });
    let asked = mock.connect();
    mock.call("mining.notify", paying(0));
    let subscribe = asked.iter().find(|request| request["method"] == "mining.subscribe").unwrap();
    mock.answer(&subscribe["id"], json!([[], "a1b2c3d4", 4]));
    let events = mock.events();
    assert!(!events.iter().any(|event| matches!(event, ClientEvent::Job(_))), "{events:?}");
    let is_close =
        |event: &ClientEvent| matches!(event, ClientEvent::Close(CloseReason::Payout { .. }));
    assert!(events.iter().any(is_close), "{events:?}");
}
