//! Notify, difficulty, extranonce, version mask: what makes a job, and what must not break one.

use std::sync::Arc;

use midstate_chain::{Hash256, Target, Verdict};
use midstate_stratum::{ClientConfig, ClientEvent, CloseReason, Remark};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::mock::{
    EASY, HARD_BITS, Mock, OTHER_PREV, PREV, asked, config, notify_params, share, share_at,
};

fn sha256d(data: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(data)).into()
}

#[test]
fn i18_a_header_from_a_notify_equals_one_computed_from_the_protocol_text_alone() {
    let mut mock = Mock::new(config());
    mock.handshake("a1b2c3d4", 4);
    let branch = ["11".repeat(32), "22".repeat(32)];
    mock.call(
        "mining.notify",
        json!(["j", PREV, "aabb", "ccdd", branch, "20000004", "1d00ffff", "65000001", true]),
    );
    let job = mock.newest_job().expect("a job");

    let mut root = sha256d(&hex::decode("aabba1b2c3d401020304ccdd").unwrap());
    for sibling in branch {
        root = sha256d(&[&root[..], &hex::decode(sibling).unwrap()].concat());
    }
    let mut header = hex::decode("04000020").unwrap();
    for word in hex::decode(PREV).unwrap().chunks(4) {
        header.extend(word.iter().rev());
    }
    header.extend(root);
    header.extend(hex::decode("01000065ffff001d00000000").unwrap());
    assert_eq!(hex::encode(job.header(&[1, 2, 3, 4]).to_bytes()), hex::encode(header));
}

#[test]
fn i18_the_previous_hash_of_a_real_job_reads_as_explorers_print_it() {
    // Block 125552's parent, as a pool would have announced it.
    let mut mock = Mock::ready();
    let wire = "1dbd981fe6985776b644b173a4d0385ddc1aa2a829688d1e0000000000000000";
    let shown = "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d";
    let swapped: String = (0..8)
        .map(|word| {
            let bytes = hex::decode(&wire[8 * word..8 * word + 8]).unwrap();
            hex::encode(bytes.into_iter().rev().collect::<Vec<_>>())
        })
        .collect();
    let job = mock.job("1", &swapped, true);
    assert_eq!(job.prev_hash, shown.parse::<Hash256>().unwrap());
}

/// Announces a job with one parameter replaced; the job, if it was taken.
fn with_parameter(at: usize, value: Value) -> Option<Arc<midstate_chain::Job>> {
    let mut mock = Mock::ready();
    let mut params = notify_params("1", PREV, HARD_BITS, true);
    params[at] = value;
    mock.call("mining.notify", params);
    mock.newest_job()
}

#[test]
fn s4_n18_a_bad_job_is_refused_with_one_clear_line_and_the_old_one_goes_on() {
    let hash = "ab".repeat(32);
    let refusals = [
        (0, json!(""), "job id: expected printable characters"),
        (0, json!("a\u{1b}[31m"), "job id: expected printable characters"),
        (0, json!("a\u{202e}b"), "job id: expected printable characters"),
        (0, json!(null), "job id: expected a text, got null"),
        (0, json!(["1"]), "job id: expected a text, got an array of 1"),
        (0, json!("x".repeat(257)), "a job id in bytes of 257, the limit is 256"),
        (1, json!(&PREV[2..]), "previous hash: expected 64 hex digits, got \"16b6"),
        (1, json!(format!("{PREV}00")), "previous hash: expected 64 hex digits"),
        (1, json!(format!("zz{}", &PREV[2..])), "previous hash: expected 64 hex digits"),
        (1, json!(0), "previous hash: expected 64 hex digits, got 0"),
        (2, json!("abc"), "coinb1: expected an even number of hex digits, got \"abc\" (3 bytes)"),
        (3, json!("xy"), "coinb2: expected an even number"),
        (3, json!(null), "coinb2: expected an even number of hex digits, got null"),
        (3, json!("00".repeat(128 * 1024)), "a coinbase in bytes of"),
        (4, json!(hash), "branch: expected an array of hashes, got \"abab"),
        (4, json!(null), "branch: expected an array of hashes, got null"),
        (4, json!([&hash[1..]]), "branch: expected 64 hex digits"),
        (4, json!([hash, 7]), "branch: expected 64 hex digits, got 7"),
        (4, json!(vec![&hash; 33]), "a merkle branch in hashes of 33, the limit is 32"),
        (5, json!("123456789"), "version: expected up to 8 hex digits"),
        (5, json!(536870912), "version: expected up to 8 hex digits, got 536870912"),
        (5, json!("-1"), "version: expected up to 8 hex digits"),
        (6, json!(""), "bits: expected up to 8 hex digits"),
        (6, json!("00000000"), "bits 00000000 stand for a target of zero"),
        (6, json!("1d000000"), "bits 1d000000 stand for a target of zero"),
        (6, json!("1d80ffff"), "bits 1d80ffff stand for a negative target"),
        (6, json!("ff00ffff"), "bits ff00ffff stand for a target above 256 bits"),
        (7, json!("6500000g"), "time: expected up to 8 hex digits"),
        (7, json!({"time": 1}), "time: expected up to 8 hex digits, got an object"),
    ];
    for (at, value, words) in refusals {
        let mut mock = Mock::ready();
        let running = mock.job("running", PREV, true);
        let mut params = notify_params("1", OTHER_PREV, HARD_BITS, true);
        params[at] = value;
        mock.call("mining.notify", params);

        let events = mock.events();
        let [ClientEvent::Remark(Remark::Warning { text: warning })] = events.as_slice() else {
            panic!("{words}: {events:?}")
        };
        assert!(warning.starts_with(&format!("refused a job: {words}")), "{warning}");
        let request = mock.submitted(&share(&running, 0));
        assert_eq!(request["params"][1], "running", "{words}");
    }
}

#[test]
fn s4_too_few_parameters_are_no_job() {
    for count in 0..8 {
        let mut mock = Mock::ready();
        let mut params = notify_params("1", PREV, HARD_BITS, true);
        params.as_array_mut().unwrap().truncate(count);
        mock.call("mining.notify", params);
        let words = format!("refused a job: expected 9 parameters, got {count}");
        assert_eq!(mock.events(), [ClientEvent::Remark(Remark::warning(words))]);
    }
}

#[test]
fn s4_n4_n18_what_looks_odd_and_works() {
    let hash = "ab".repeat(32);
    for (quirk, at, value) in [
        ("eloipool: a space in the id", 0, json!("12 34")),
        ("translator: a hash sign", 0, json!("5#3")),
        ("datum: 17 characters", 0, json!("N2a/Q1b000000000f")),
        ("64 characters, not hex", 0, json!("g".repeat(64))),
        ("unicode", 0, json!("矿⛏")),
        ("a number as id", 0, json!(42)),
        ("the longest id", 0, json!("x".repeat(256))),
        ("public-pool: numbers without padding", 5, json!("4000000")),
        ("version 1", 5, json!("1")),
        ("25 branches", 4, json!(vec![&hash; 25])),
        ("100 kB of coinb2", 3, json!("00".repeat(100_000))),
        ("empty coinb1", 2, json!("")),
        ("upper case", 3, json!("FFFFFFFF")),
    ] {
        let job = with_parameter(at, value.clone()).unwrap_or_else(|| panic!("{quirk}"));
        match at {
            0 => assert_eq!(json!(job.id), json!(value.as_str().unwrap_or("42")), "{quirk}"),
            4 => assert_eq!(job.branch.len(), 25),
            5 => assert!([1, 0x400_0000].contains(&job.version), "{quirk}"),
            _ => {}
        }
    }
}

#[test]
fn s4_n5_clean_in_every_form() {
    let clean_with = |rest: Vec<Value>| {
        let mut mock = Mock::ready();
        mock.job("0", PREV, true);
        let mut params = notify_params("1", PREV, HARD_BITS, true);
        let params_list = params.as_array_mut().unwrap();
        params_list.truncate(8);
        params_list.extend(rest);
        mock.call("mining.notify", params);
        mock.newest_job().expect("a job").clean
    };
    assert!(clean_with(vec![json!(true)]));
    assert!(!clean_with(vec![json!(false)]));
    assert!(clean_with(vec![json!(1)]));
    assert!(!clean_with(vec![json!(0)]));
    assert!(!clean_with(vec![]), "missing");
    assert!(!clean_with(vec![json!(null)]));
    assert!(clean_with(vec![json!("extra"), json!(7), json!(true)]), "the last one (ESP-Miner)");
    assert!(!clean_with(vec![json!(true), json!(false)]));
}

#[test]
fn i10_n5_a_new_previous_hash_voids_old_jobs_whatever_clean_says() {
    let mut mock = Mock::ready();
    let old = mock.job("1", PREV, true);
    let new = mock.job("2", OTHER_PREV, false);
    assert!(new.clean);
    mock.submit(&share(&old, 0));
    let ended = mock.verdict();
    assert_eq!((ended.verdict, ended.code), (Verdict::Stale, None));
    assert_eq!(ended.reason.as_deref(), Some("not sent: its job is void"));
    assert!(mock.sent().is_empty());
}

#[test]
fn i10_jobs_before_a_clean_one_are_void_jobs_before_another_are_not() {
    let mut mock = Mock::ready();
    let first = mock.job("1", PREV, true);
    let second = mock.job("2", PREV, false);
    assert!(!second.clean);
    assert_eq!(mock.submitted(&share(&first, 0))["params"][1], "1");
    mock.job("3", PREV, true);
    for old in [&first, &second] {
        mock.submit(&share(old, 1));
        assert_eq!(mock.verdict().verdict, Verdict::Stale);
    }
}

#[test]
fn n5_datums_empty_job_gives_way_to_the_full_one() {
    let mut mock = Mock::ready();
    let empty = mock.job("N1", PREV, true);
    let mut params = notify_params("N2", PREV, HARD_BITS, false);
    params[4] = json!(["ab".repeat(32)]);
    mock.call("mining.notify", params);
    let full = mock.newest_job().expect("the full job");
    assert!(!full.same_work(&empty));
    assert_eq!((full.branch.len(), full.clean), (1, false));
    assert_eq!(mock.submitted(&share(&empty, 0))["params"][1], "N1");
}

#[test]
fn i1_n4_the_same_job_again_keeps_its_identity_and_its_old_shares() {
    let mut mock = Mock::ready();
    let first = mock.job("1", PREV, true);
    mock.difficulty(EASY * 2.0);
    let again = mock.job("1", PREV, false);
    assert!(again.same_work(&first), "the search goes on where it stands");
    assert_eq!(mock.submitted(&share(&first, 0))["params"][1], "1");
}

#[test]
fn i1_n4_a_recycled_id_with_other_content_voids_the_old_content() {
    let mut mock = Mock::ready();
    let first = mock.job("1", PREV, true);
    let mut params = notify_params("1", PREV, HARD_BITS, false);
    params[3] = json!("00");
    mock.call("mining.notify", params);
    let second = mock.newest_job().expect("a job");
    assert!(!second.same_work(&first));
    mock.submit(&share(&first, 0));
    assert_eq!(
        mock.verdict().verdict,
        Verdict::Stale,
        "the pool would judge it by the new content"
    );
    assert_eq!(mock.submitted(&share(&second, 0))["params"][1], "1");
}

#[test]
fn s6_only_as_many_jobs_as_the_limit_are_remembered() {
    let mut mock = Mock::ready();
    let jobs: Vec<_> = (0..65).map(|n| mock.job(&n.to_string(), PREV, false)).collect();
    mock.submit(&share(&jobs[0], 0));
    assert_eq!(mock.verdict().verdict, Verdict::Stale);
    assert_eq!(mock.submitted(&share(&jobs[1], 0))["params"][1], "1");
}

#[test]
fn s6_ten_thousand_jobs_at_once_leave_the_newest_in_a_short_queue() {
    let mut mock = Mock::ready();
    for n in 0..10_000 {
        mock.call("mining.notify", notify_params(&n.to_string(), PREV, HARD_BITS, n == 5000));
    }
    let events = mock.events();
    let [ClientEvent::Job(job)] = events.as_slice() else { panic!("{} events", events.len()) };
    assert_eq!(job.id, "9999");
    assert!(job.clean, "a job in between that nobody saw voided the ones before");
}

#[test]
fn i6_the_difficulty_is_frozen_in_a_job_when_it_comes() {
    let mut mock = Mock::ready();
    mock.difficulty(2.0);
    let before = mock.job("1", PREV, true);
    mock.difficulty(4.0);
    mock.difficulty(8.0);
    assert_eq!(
        mock.events(),
        [ClientEvent::Difficulty(8.0)],
        "twice between jobs: the last one counts"
    );
    let after = mock.job("2", PREV, false);
    assert_eq!(before.share_target, Target::from_difficulty(2.0).unwrap());
    assert_eq!(after.share_target, Target::from_difficulty(8.0).unwrap());
}

#[test]
fn the_difficulty_is_one_until_the_pool_says_otherwise() {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    mock.answer(&asked(&sent, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    assert_eq!(mock.job("1", PREV, true).share_target, Target::DIFFICULTY_1);
    // And again on each connection.
    mock.difficulty(64.0);
    mock.disconnect();
    let sent = mock.connect();
    mock.answer(&asked(&sent, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    assert_eq!(mock.job("2", PREV, true).share_target, Target::DIFFICULTY_1);
}

#[test]
fn s5_n6_difficulties_good_and_bad() {
    for (sent, value) in
        [("1e-9", 1e-9), ("1e15", 1e15), ("\"512\"", 512.0), ("0.0005", 0.0005), ("5e-324", 5e-324)]
    {
        let mut mock = Mock::ready();
        mock.line(&format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{sent}]}}"#));
        assert_eq!(mock.events(), [ClientEvent::Difficulty(value)], "{sent}");
    }
    for sent in ["0", "-1", "null", "1e308", "\"NaN\"", "\"much\"", "[]", "{}", "true"] {
        let mut mock = Mock::ready();
        mock.line(&format!(r#"{{"id":null,"method":"mining.set_difficulty","params":[{sent}]}}"#));
        let events = mock.events();
        let [ClientEvent::Remark(Remark::Warning { text: words })] = events.as_slice() else {
            panic!("{sent}: {events:?}")
        };
        assert!(words.starts_with("ignored mining.set_difficulty: "), "{words}");
        assert_eq!(
            mock.job("1", PREV, true).share_target,
            Target::from_difficulty(EASY).unwrap(),
            "{sent}: the old one goes on"
        );
    }
    let mut mock = Mock::ready();
    mock.line(r#"{"id":null,"method":"mining.set_difficulty","params":[NaN]}"#);
    assert!(mock.warnings()[0].starts_with("ignored a malformed line"), "no JSON at all");
}

#[test]
fn n8_a_new_extranonce_holds_for_the_next_job_and_old_jobs_keep_the_old_one() {
    let mut mock = Mock::ready();
    let before = mock.job("1", PREV, true);
    mock.call("mining.set_extranonce", json!(["0102030405", 3]));
    let request = mock.submitted(&share(&before, 0));
    assert_eq!(request["params"][2], "00000000");
    let after = mock.job("2", PREV, false);
    assert_eq!((after.extranonce1.as_slice(), after.extranonce2_size), (&[1, 2, 3, 4, 5][..], 3));
    assert_eq!(mock.submitted(&share(&after, 0))["params"][2], "000000");
    assert_eq!(mock.submitted(&share(&before, 1))["params"][2], "00000000");
}

#[test]
fn n8_an_extranonce_with_nulls_or_one_parameter_keeps_the_rest() {
    for (params, first, size) in [
        (json!(["ff"]), "ff", 4),
        (json!(["ff", null]), "ff", 4),
        (json!([null, 2]), "a1b2c3d4", 2),
        (json!([null, null]), "a1b2c3d4", 4),
        (json!([]), "a1b2c3d4", 4),
        (json!(["ff", 2, "extra"]), "ff", 2),
    ] {
        let mut mock = Mock::ready();
        mock.call("mining.set_extranonce", params.clone());
        let job = mock.job("1", PREV, true);
        assert_eq!((hex::encode(&job.extranonce1), job.extranonce2_size), (first.into(), size));
    }
}

#[test]
fn n8_a_session_resumed_in_its_new_extranonce_voids_the_jobs_of_the_old_one() {
    let mut mock = Mock::ready();
    let before = mock.job("1", PREV, true);
    mock.call("mining.set_extranonce", json!(["ff", 4]));
    mock.disconnect();
    // The pool puts every coinbase of this connection together with `ff`.
    mock.handshake("ff", 4);
    mock.submit(&share(&before, 0));
    assert_eq!(mock.sent(), [Value::Null; 0]);
    assert_eq!(mock.verdict().verdict, Verdict::Stale);
}

#[test]
fn s3_n8_an_unusable_extranonce_ends_the_connection() {
    for params in [json!(["f", 4]), json!(["ff", 33]), json!([7, 4]), json!(["ff", "4"])] {
        let mut mock = Mock::ready();
        mock.call("mining.set_extranonce", params.clone());
        assert!(matches!(mock.closed(), Some(CloseReason::Extranonce(_))), "{params}");
    }
}

#[test]
fn i14_n9_a_narrower_mask_holds_at_once() {
    let mut mock = Mock::ready();
    let wide = mock.job("1", PREV, true);
    let rolled = share_at(&wide, wide.version | 0x0000_2000, 1);
    let rolled_high = share_at(&wide, wide.version | 0x1000_0000, 2);
    mock.call("mining.set_version_mask", json!(["00006000"]));
    let narrow = mock.newest_job().expect("the running job again, with less to roll");
    assert_eq!((narrow.version_mask, narrow.clean, narrow.id.as_str()), (0x6000, false, "1"));

    assert_eq!(
        mock.submitted(&rolled)["params"][5],
        "00002000",
        "old shares within it still count"
    );
    mock.submit(&rolled_high);
    let ended = mock.verdict();
    assert_eq!(ended.verdict, Verdict::Stale);
    assert!(ended.reason.unwrap().contains("no longer allows the version bits"));
    assert_eq!(mock.submitted(&share(&narrow, 3))["params"][5], "00000000");
}

#[test]
fn i14_n9_masks_in_every_spelling_and_both_method_names() {
    for (method, sent, mask) in [
        ("mining.set_version_mask", "1fffe000", 0x1fff_e000),
        ("mining.set_version_mask", "1FFFFFE0", 0x1fff_e000),
        ("mining.set_version", "e000", 0xe000),
        ("mining.set_version_mask", "0xE000", 0xe000),
        ("mining.set_version_mask", "0", 0),
        ("mining.set_version_mask", "00000000", 0),
    ] {
        let mut mock = Mock::ready();
        mock.call(method, json!([sent]));
        let job = mock.job("1", PREV, true);
        assert_eq!(job.version_mask, mask, "{sent}");
        // Negotiated is negotiated: the sixth parameter stays.
        assert_eq!(mock.submitted(&share(&job, 0))["params"][5], "00000000");
    }
    for sent in [json!([]), json!([536862720]), json!(["mask"]), json!([null])] {
        let mut mock = Mock::ready();
        mock.call("mining.set_version_mask", sent);
        assert_eq!(mock.warnings().len(), 1);
        assert_eq!(mock.job("1", PREV, true).version_mask, 0x1fff_e000);
    }
}

#[test]
fn i14_a_mask_that_was_not_negotiated_is_not_believed() {
    let mut mock = Mock::new(ClientConfig { version_mask: 0, ..config() });
    mock.handshake("a1b2c3d4", 4);
    mock.call("mining.set_version_mask", json!(["1fffe000"]));
    assert_eq!(mock.warnings(), ["ignored a version mask: none was negotiated"]);
    let job = mock.job("1", PREV, true);
    assert_eq!(job.version_mask, 0);
    assert_eq!(mock.submitted(&share(&job, 0))["params"].as_array().map(Vec::len), Some(5));
}

#[test]
fn i14_n9_bits_that_are_set_in_the_version_are_told_and_never_rolled() {
    let mut mock = Mock::ready();
    let mut params = notify_params("1", PREV, HARD_BITS, true);
    params[5] = json!("20c06000");
    mock.call("mining.notify", params);
    let job = mock.newest_job().expect("a job");
    assert_eq!(job.rollable_bits(), 0x1fff_e000 & !0x20c0_6000);
    let rolled = share_at(&job, job.version | 0x0100_0000, 0);
    // (job & !mask) | bits must give our version back (BIP310).
    assert_eq!(mock.submitted(&rolled)["params"][5], "01c06000");
    let forbidden = share_at(&job, job.version & !0x6000, 0);
    mock.submit(&forbidden);
    assert_eq!(mock.verdict().verdict, Verdict::Rejected, "ours to refuse");
}
