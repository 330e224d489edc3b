//! Configure, subscribe, authorize and the courtesies, with every answer seen in the wild.

use midstate_chain::Verdict;
use midstate_stratum::{Client, ClientConfig, ClientEvent, CloseReason, ConfigError, Remark};
use serde_json::{Value, json};

use crate::mock::{EASY, HARD_BITS, Mock, PREV, asked, config, methods, notify_params, share};

#[test]
fn the_handshake_is_written_at_once_with_small_integers_as_ids() {
    let mut mock = Mock::new(config());
    mock.client = Client::new({
        let mut config = config();
        config.suggest_difficulty = Some(512.0);
        config
    });
    let sent = mock.connect();
    assert_eq!(
        methods(&sent),
        [
            "mining.configure",
            "mining.subscribe",
            "mining.extranonce.subscribe",
            "mining.authorize",
            "mining.suggest_difficulty"
        ]
    );
    let ids: Vec<_> = sent.iter().map(|request| request["id"].as_u64()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5].map(Some));
    assert_eq!(
        sent[0]["params"],
        json!([
            ["version-rolling"],
            {"version-rolling.mask": "1fffe000", "version-rolling.min-bit-count": 2}
        ])
    );
    assert_eq!(sent[1]["params"], json!(["midstate/0.1"]));
    assert_eq!(sent[2]["params"], json!([]));
    assert_eq!(sent[3]["params"], json!(["addr.worker", "x"]));
    // p2poolv2 reads an integer or nothing.
    assert_eq!(sent[4]["params"].to_string(), "[512]");
}

#[test]
fn nothing_is_configured_without_a_mask() {
    let mut mock = Mock::new(config());
    mock.client = Client::new(midstate_stratum::ClientConfig { version_mask: 0, ..config() });
    assert_eq!(methods(&mock.connect())[0], "mining.subscribe");
}

/// Answers all but subscribe, which gets `line` with `ID` replaced.
fn subscribe_with(line: &str) -> Mock {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    let id = asked(&sent, "mining.subscribe")["id"].to_string();
    mock.line(&line.replace("ID", &id));
    mock
}

fn subscribed(mock: &mut Mock) -> Option<(Vec<u8>, usize)> {
    mock.events().into_iter().find_map(|event| match event {
        ClientEvent::Subscribed { extranonce1, extranonce2_size, .. } => {
            Some((extranonce1, extranonce2_size))
        }
        _ => None,
    })
}

#[test]
fn n2_every_shape_of_a_subscription() {
    for (quirk, result) in [
        ("slush", r#"[[["mining.set_difficulty","s"],["mining.notify","s"]],"a1b2c3d4",4]"#),
        (
            "datum: notify first",
            r#"[[["mining.notify","s"],["mining.set_difficulty","s"]],"a1b2c3d4",4]"#,
        ),
        ("ckpool, public-pool", r#"[[["mining.notify","s"]],"a1b2c3d4",4]"#),
        ("MiningRigRentals: one flat pair", r#"[["mining.notify","s"],"a1b2c3d4",4]"#),
        ("null", r#"[null,"a1b2c3d4",4]"#),
        ("empty", r#"[[],"a1b2c3d4",4]"#),
        ("extra items", r#"[[["mining.notify",7],5,"x"],"A1B2C3D4",4,"extra",{}]"#),
    ] {
        let mut mock = subscribe_with(&format!(r#"{{"id":ID,"result":{result},"error":null}}"#));
        assert_eq!(subscribed(&mut mock), Some((vec![0xa1, 0xb2, 0xc3, 0xd4], 4)), "{quirk}");
    }
}

#[test]
fn n2_refused_subscriptions_are_asked_again_with_less_then_given_up() {
    for refusal in [
        r#"{"id":ID,"result":null,"error":[20,"no names here"]}"#,
        r#"{"id":ID,"result":false,"error":null}"#,
        r#"{"id":ID,"result":null,"error":null}"#,
        r#"{"id":ID,"result":[],"error":null}"#,
        r#"{"id":ID,"error":"go away"}"#,
    ] {
        let mut mock = subscribe_with(refusal);
        let sent = mock.sent();
        assert_eq!(methods(&sent), ["mining.subscribe", "mining.authorize"], "{refusal}");
        assert_eq!(sent[0]["params"], json!([]));
        assert_eq!(mock.closed(), None);
        // The authorize that was under way fails for want of a subscription: no matter.
        mock.refuse(&json!(4), json!([25, "Not subscribed"]));
        assert_eq!(mock.closed(), None);
        mock.line(&refusal.replace("ID", &sent[0]["id"].to_string()));
        // A useless answer is no refusal.
        let closed = mock.closed();
        let is_right = match refusal.contains("\"error\":null") {
            true => matches!(closed, Some(CloseReason::Subscription(_))),
            false => matches!(closed, Some(CloseReason::SubscriptionRefused(_))),
        };
        assert!(is_right, "{refusal}: two are a no: {closed:?}");
    }
}

#[test]
fn rule_5_a_pool_that_refuses_the_subscription_and_hangs_up_is_told_by_its_words() {
    let messages = |mock: &mut Mock| {
        let text = |event| match event {
            ClientEvent::Remark(Remark::Message { text }) => Some(text),
            _ => None,
        };
        mock.events().into_iter().filter_map(text).collect::<Vec<_>>()
    };
    let refusal = r#"{"id":ID,"result":null,"error":[20,"full house",null]}"#;
    let mut mock = subscribe_with(refusal);
    mock.disconnect();
    assert_eq!(messages(&mut mock), ["full house"]);
    // A pool that takes the second question has nothing to say about the first, and a refusal
    // that we close for is told as the reason.
    for answer in [refusal, r#"{"id":ID,"result":[[],"00000001",4],"error":null}"#] {
        let mut mock = subscribe_with(refusal);
        let again = mock.sent()[0]["id"].to_string();
        mock.line(&answer.replace("ID", &again));
        mock.disconnect();
        assert_eq!(messages(&mut mock), [""; 0], "{answer}");
    }
}

#[test]
fn rule_8_a_pool_of_another_coin_is_named_and_is_not_said_to_refuse() {
    let eth = r#"[["mining.notify","ae68","EthereumStratum/1.0.0"],"080c"]"#;
    for (result, words, is_asked_again) in [
        (eth, "EthereumStratum", false),
        (
            r#"[["mining.notify","ae68","EthereumStratum/1.0.0"],"080c",4]"#,
            "EthereumStratum",
            false,
        ),
        (r#"[true,"EthereumStratum/1.0.0"]"#, "Kaspa", false),
        (r#"[null,"81000001"]"#, "Zcash", false),
        (r#"["session","81000001"]"#, "Zcash", false),
        (r#"[null,5]"#, "a list of 2 where a pool for Bitcoin gives", true),
        ("null", "null where a pool for Bitcoin gives", true),
        (r#"{"id":"x","job":{}}"#, "an object where", true),
        (r#"" ""#, "an empty text where", true),
    ] {
        let line = format!(r#"{{"id":ID,"result":{result},"error":null}}"#);
        let mut mock = subscribe_with(&line);
        if is_asked_again {
            let again = mock.sent()[0]["id"].to_string();
            mock.line(&line.replace("ID", &again));
        }
        let reason = mock.closed().unwrap_or_else(|| panic!("{result}")).to_string();
        assert!(reason.contains(words), "{result}: {reason}");
        assert!(!reason.contains("refused"), "{result}: {reason}");
    }
    // Where the call is unknown, the message asks whether the port is one of Stratum V1.
    let unknown = r#"{"id":ID,"error":{"code":-32601,"message":"no such thing"}}"#;
    let mut mock = subscribe_with(unknown);
    let again = mock.sent()[0]["id"].to_string();
    mock.line(&unknown.replace("ID", &again));
    let reason = mock.closed().unwrap().to_string();
    assert!(reason.contains("no such thing; is it a port of Stratum V1"), "{reason}");
}

#[test]
fn n2_ckpool_refuses_with_a_sentence_as_result() {
    for sentence in ["Initialising", "Only allowed user agents may subscribe", "proxy full"] {
        let line = format!(r#"{{"id":ID,"result":"{sentence}","error":null}}"#);
        let mut mock = subscribe_with(&line);
        assert_eq!(mock.closed(), Some(CloseReason::SubscriptionRefused(sentence.into())));
        assert!(mock.sent().is_empty(), "asking again would not help");
    }
}

#[test]
fn s3_n3_extranonces_within_the_limits_are_taken_whatever_their_size() {
    for size in [0, 1, 2, 3, 4, 8, 14, 16, 32] {
        for first in ["", "00", "a1b2c3d4", &"ab".repeat(14), &"ff".repeat(32)] {
            let mut mock = Mock::new(config());
            mock.handshake(first, size);
            let job = mock.job("1", PREV, true);
            assert_eq!((job.extranonce1.len(), job.extranonce2_size), (first.len() / 2, size));
            let request = mock.submitted(&share(&job, 0));
            // Exactly the size, or the pool pads it another way than we did.
            assert_eq!(request["params"][2], "00".repeat(size));
        }
    }
}

#[test]
fn s3_unusable_extranonces_end_the_session_and_are_never_clamped() {
    for (first, size) in [
        (json!("a1b2c3d4"), json!(33)),
        (json!("a1b2c3d4"), json!(200)),
        (json!("a1b2c3d4"), json!(-1)),
        (json!("a1b2c3d4"), json!(4.5)),
        (json!("a1b2c3d4"), json!("4")),
        (json!("a1b2c3d4"), json!(null)),
        (json!("a1b2c3d4"), json!(u64::MAX)),
        (json!("a1b2c3d"), json!(4)),
        (json!("zz"), json!(4)),
        (json!(7), json!(4)),
        (json!(null), json!(4)),
        (json!("ab".repeat(33)), json!(4)),
    ] {
        let line = json!({"id": "ID", "result": [null, first, size], "error": null}).to_string();
        let mut mock = subscribe_with(&line);
        assert!(
            matches!(mock.closed(), Some(CloseReason::Extranonce(_))),
            "extranonce1 {first}, size {size}"
        );
    }
}

fn authorize_with(line: &str) -> Vec<ClientEvent> {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    let id = asked(&sent, "mining.authorize")["id"].to_string();
    mock.line(&line.replace("ID", &id));
    mock.events()
}

#[test]
fn n19_every_shape_of_a_refused_authorization() {
    for (line, words) in [
        (r#"{"id":ID,"result":false,"error":null}"#, "no reason given"),
        (r#"{"id":ID,"result":false}"#, "no reason given"),
        (r#"{"id":ID,"result":null,"error":null}"#, "no reason given"),
        (
            r#"{"id":ID,"result":null,"error":[24,"Unauthorized worker",null]}"#,
            "Unauthorized worker",
        ),
        (r#"{"id":ID,"error":{"code":24,"message":"bad \u001b[31maddress"}}"#, "bad [31maddress"),
        (r#"{"id":ID,"result":false,"error":[24]}"#, "code 24"),
        (r#"{"id":ID,"result":"banned","error":null}"#, "banned"),
    ] {
        let reason = words.to_owned();
        assert_eq!(
            authorize_with(line),
            [
                ClientEvent::AuthorizationRefused { reason: reason.clone() },
                ClientEvent::Close(CloseReason::AuthorizationRefused(reason)),
            ],
            "{line}"
        );
    }
    assert_eq!(authorize_with(r#"{"id":ID,"result":true}"#), [ClientEvent::Authorized]);
}

/// The mask that jobs carry after the pool's answer `line` to configure.
fn mask_after(ours: u32, line: &str) -> (u32, bool) {
    let mut mock = Mock::new(config());
    mock.client = Client::new(midstate_stratum::ClientConfig { version_mask: ours, ..config() });
    let sent = mock.connect();
    let id = asked(&sent, "mining.configure")["id"].to_string();
    mock.line(&line.replace("ID", &id));
    mock.answer(&asked(&sent, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    mock.answer(&asked(&sent, "mining.authorize")["id"], json!(true));
    mock.difficulty(EASY);
    let job = mock.job("1", PREV, true);
    let request = mock.submitted(&share(&job, 0));
    let parameters = request["params"].as_array().expect("an array").len();
    (job.version_mask, parameters == 6)
}

#[test]
fn i14_n10_every_answer_to_configure() {
    let yes = |mask: &str| {
        format!(
            r#"{{"id":ID,"result":{{"version-rolling":true,"version-rolling.mask":"{mask}"}}}}"#
        )
    };
    for (quirk, ours, line, expected) in [
        ("as asked", 0x1fff_e000, yes("1fffe000"), (0x1fff_e000, true)),
        ("ckpool: always the same mask", 0x0000_e000, yes("1fffe000"), (0x0000_e000, true)),
        ("wider than asked", 0x1fff_e000, yes("1fffffe0"), (0x1fff_e000, true)),
        ("BIP323, asked and given", 0x1fff_ffe0, yes("1fffffe0"), (0x1fff_ffe0, true)),
        ("p2poolv2: unpadded", 0x1fff_e000, yes("e000"), (0xe000, true)),
        ("upper case with 0x", 0x1fff_e000, yes("0x00FFE000"), (0x00ff_e000, true)),
        ("translator: a yes to nothing", 0x1fff_e000, yes("00000000"), (0, true)),
        ("a mask that is none", 0x1fff_e000, yes("everything"), (0, true)),
        ("no", 0x1fff_e000, r#"{"id":ID,"result":{"version-rolling":false}}"#.into(), (0, false)),
        (
            "an error as value",
            0x1fff_e000,
            r#"{"id":ID,"result":{"version-rolling":"unsupported"}}"#.into(),
            (0, false),
        ),
        ("stratum-pool-sha256: empty", 0x1fff_e000, r#"{"id":ID,"result":{}}"#.into(), (0, false)),
        (
            "OCEAN once: null",
            0x1fff_e000,
            r#"{"id":ID,"result":null,"error":null}"#.into(),
            (0, false),
        ),
        (
            "an error",
            0x1fff_e000,
            r#"{"id":ID,"error":[-3,"Method not found"]}"#.into(),
            (0, false),
        ),
        ("true", 0x1fff_e000, r#"{"id":ID,"result":true}"#.into(), (0, false)),
    ] {
        assert_eq!(mask_after(ours, &line), expected, "{quirk}");
    }
}

/// Answers all but configure.
fn let_in(mock: &mut Mock, sent: &[Value]) {
    for request in sent {
        let result = match request["method"].as_str() {
            Some("mining.configure") => continue,
            Some("mining.subscribe") => json!([null, "a1b2c3d4", 4]),
            _ => json!(true),
        };
        mock.answer(&request["id"], result);
    }
}

const ALL: [&str; 4] =
    ["mining.configure", "mining.subscribe", "mining.extranonce.subscribe", "mining.authorize"];

#[test]
fn n10_a_pool_that_hangs_up_on_configure_is_asked_without_it_for_an_hour() {
    let mut mock = Mock::new(config());
    for _ in 0..2 {
        assert_eq!(methods(&mock.connect()), ALL);
        mock.disconnect();
    }
    for _ in 0..2 {
        let sent = mock.connect();
        assert_eq!(methods(&sent), ALL[1..], "it is remembered");
        let_in(&mut mock, &sent);
        mock.wait_seconds(100);
        mock.disconnect();
    }
    mock.wait_seconds(3600);
    assert_eq!(methods(&mock.connect()), ALL, "it may have been something else");
    mock.disconnect();
    assert_eq!(methods(&mock.connect()), ALL[1..], "this time, one hang-up is enough");
    mock.disconnect();
    mock.wait_seconds(3600);
    mock.handshake("a1b2c3d4", 4);
    assert_eq!(mock.job("1", PREV, true).version_mask, 0x1fff_e000);
}

#[test]
fn n10_a_pool_that_falls_silent_at_configure_is_asked_without_it() {
    let mut mock = Mock::new(config());
    for expected in [&ALL[..], &ALL[..], &ALL[1..]] {
        assert_eq!(methods(&mock.connect()), expected);
        mock.wait_seconds(15);
        assert!(matches!(mock.closed(), Some(CloseReason::Handshake { .. })));
        mock.disconnect();
    }
}

#[test]
fn n10_who_leaves_a_pool_does_not_hold_its_silence_against_it() {
    let mut mock = Mock::new(config());
    for _ in 0..5 {
        assert_eq!(methods(&mock.connect()), ALL);
        mock.client.leave(mock.now);
    }
}

#[test]
fn n10_a_hang_up_now_and_then_costs_no_version_rolling() {
    let mut mock = Mock::new(config());
    for _ in 0..3 {
        // A restart of the pool, or of what stands before it.
        assert_eq!(methods(&mock.connect()), ALL);
        mock.disconnect();
        // And one that never answers configure: no harm in asking.
        let sent = mock.connect();
        assert_eq!(methods(&sent), ALL);
        let_in(&mut mock, &sent);
        mock.disconnect();
    }
}

#[test]
fn n10_an_end_with_another_cause_does_not_count_as_a_hang_up() {
    let causes: [fn(&mut Mock); 2] = [
        |mock| (0..8).for_each(|_| mock.line("not JSON")),
        |mock| mock.call("client.reconnect", json!(["eu.example.com", 3333])),
    ];
    for cause in causes {
        let mut mock = Mock::new(config());
        for _ in 0..4 {
            assert_eq!(methods(&mock.connect()), ALL);
            cause(&mut mock);
            mock.disconnect();
        }
    }
}

#[test]
fn n10_the_courtesies_are_suspected_one_by_one_and_acquitted_if_it_fails_without_them() {
    let mut mock = Mock::new(config());
    let neither = &["mining.subscribe", "mining.authorize"][..];
    for expected in [&ALL[..], &ALL[..], &ALL[1..], neither, &ALL[..], &ALL[..], &ALL[1..]] {
        assert_eq!(methods(&mock.connect()), expected);
        mock.disconnect();
    }
}

#[test]
fn n10_a_pool_that_once_answered_configure_is_asked_again_after_any_mishap() {
    let mut mock = Mock::ready();
    for _ in 0..9 {
        mock.disconnect();
        assert_eq!(methods(&mock.connect())[0], "mining.configure");
    }
}

#[test]
fn rule_5_a_request_that_is_refused_before_a_hang_up_is_left_out_and_the_words_are_told_once() {
    let suggesting = || ClientConfig { suggest_difficulty: Some(0.5), ..config() };
    for method in ["mining.configure", "mining.suggest_difficulty", "mining.extranonce.subscribe"] {
        let mut mock = Mock::new(suggesting());
        let sent = mock.connect();
        let id = &asked(&sent, method)["id"];
        mock.refuse(id, json!([20, "Unknown method, go away"]));
        mock.disconnect();
        let told = mock.remarks();
        let [Remark::Message { text }, Remark::Warning { text: warning }] = &told[..] else {
            panic!("{method}: {told:?}")
        };
        assert_eq!(text, "Unknown method, go away");
        assert!(warning.contains(method) && warning.contains("hung up"), "{told:?}");
        let names_the_flag = warning.contains("--version-mask off");
        assert_eq!(names_the_flag, method == "mining.configure", "{told:?}");
        for _ in 0..3 {
            let sent = mock.connect();
            assert!(!methods(&sent).contains(&method), "{method} is left out: {sent:?}");
            assert_eq!(sent.len(), 4, "and nothing else: {sent:?}");
            let_in(&mut mock, &sent);
            mock.wait_seconds(100);
            mock.disconnect();
        }
        assert_eq!(mock.warnings(), [""; 0], "{method}: told once");
        mock.wait_seconds(3600);
        assert!(methods(&mock.connect()).contains(&method), "it may have been something else");
    }
}

#[test]
fn rule_5_a_request_that_is_answered_before_a_hang_up_is_suspected_until_the_pool_lets_us_in() {
    for answer in
        [json!({"version-rolling": true, "version-rolling.mask": "1fffe000"}), json!(false)]
    {
        let mut mock = Mock::new(config());
        for expected in [&ALL[..], &ALL[..], &ALL[1..]] {
            let sent = mock.connect();
            assert_eq!(methods(&sent), expected, "{answer}");
            match expected.len() {
                4 => mock.answer(&asked(&sent, "mining.configure")["id"], answer.clone()),
                _ => let_in(&mut mock, &sent),
            }
            mock.disconnect();
        }
        let told = mock.warnings();
        assert!(told.len() == 1 && told[0].contains("mining.configure"), "{told:?}");
    }
}

#[test]
fn rule_5_a_pool_that_lets_us_in_and_hangs_up_at_extranonce_subscribe_is_asked_without_it() {
    let method = "mining.extranonce.subscribe";
    for (refusal, bad) in [(None, 2), (Some(json!([20, "Unknown method, go away"])), 1)] {
        let mut mock = Mock::new(config());
        for connection in 0..5 {
            let sent = mock.connect();
            assert_eq!(methods(&sent).contains(&method), connection < bad, "{connection}");
            mock.answer(&asked(&sent, "mining.configure")["id"], json!(true));
            let (at_it, others): (Vec<_>, Vec<_>) =
                sent.into_iter().partition(|request| request["method"] == method);
            let_in(&mut mock, &others);
            if let (Some(refusal), Some(request)) = (&refusal, at_it.first()) {
                mock.refuse(&request["id"], refusal.clone());
            }
            mock.wait_seconds(1);
            mock.disconnect();
        }
        let told = mock.remarks();
        let (words, warnings) = told.split_at(usize::from(refusal.is_some()));
        assert!(words.iter().all(|words| *words == Remark::message("Unknown method, go away")));
        let [Remark::Warning { text }] = warnings else { panic!("{told:?}") };
        assert!(text.contains(method), "{told:?}");
        assert!(!text.contains("--version-mask"), "versions are rolled as before: {told:?}");
    }
}

#[test]
fn n10_a_refusal_by_a_pool_that_lets_us_in_counts_for_nothing() {
    let mut mock = Mock::new(config());
    for _ in 0..3 {
        let sent = mock.connect();
        assert_eq!(methods(&sent), ALL);
        mock.refuse(&asked(&sent, "mining.configure")["id"], json!([20, "Not supported."]));
        let_in(&mut mock, &sent);
        mock.disconnect();
        // It bears the question, so this hang-up is about something else.
        assert_eq!(methods(&mock.connect()), ALL);
        mock.disconnect();
    }
    assert_eq!(mock.warnings(), [""; 0]);
}

#[test]
fn rule_5_a_suggestion_at_which_a_pool_hangs_up_is_left_out_like_the_other_courtesies() {
    let suggest = "mining.suggest_difficulty";
    let mut mock = Mock::new(ClientConfig { suggest_difficulty: Some(0.5), ..config() });
    let mut left_out = Vec::new();
    for _ in 0..4 {
        let sent = mock.connect();
        let all = [&ALL[..], &[suggest]].concat().into_iter();
        left_out.push(all.filter(|method| !methods(&sent).contains(method)).collect::<Vec<_>>());
        // It hangs up at this request, and answers what came before it.
        if sent.iter().any(|request| request["method"] == suggest) {
            let id = &asked(&sent, "mining.subscribe")["id"];
            mock.answer(id, json!([null, "a1b2c3d4", 4]));
        } else {
            let_in(&mut mock, &sent);
        }
        mock.disconnect();
    }
    let configure = "mining.configure";
    let expected: [&[&str]; 4] = [&[], &[], &[configure], &[configure, suggest]];
    assert_eq!(left_out, expected.map(<[&str]>::to_vec));
    let told = mock.warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    for words in [configure, suggest, "hung up", "--version-mask off"] {
        assert!(told[0].contains(words), "{told:?}");
    }
}

#[test]
fn rule_5_a_pool_that_lets_us_in_and_hangs_up_at_the_suggestion_is_asked_without_it() {
    let suggest = "mining.suggest_difficulty";
    for refusal in [None, Some(json!([20, "Unknown method, go away"]))] {
        let mut mock = Mock::new(ClientConfig { suggest_difficulty: Some(0.5), ..config() });
        let bad = if refusal.is_some() { 1 } else { 2 };
        for connection in 0..5 {
            let sent = mock.connect();
            assert_eq!(methods(&sent).contains(&suggest), connection < bad, "{connection}");
            let_in(&mut mock, &sent[..4]);
            if let (Some(refusal), Some(request)) = (&refusal, sent.get(4)) {
                mock.refuse(&request["id"], refusal.clone());
            }
            mock.wait_seconds(1);
            mock.disconnect();
        }
        let told = mock.remarks();
        let (words, warnings) = told.split_at(usize::from(refusal.is_some()));
        assert!(words.iter().all(|words| *words == Remark::message("Unknown method, go away")));
        let [Remark::Warning { text }] = warnings else { panic!("{told:?}") };
        assert!(text.contains(suggest) && text.contains("hung up"), "{told:?}");
    }
    // A pool that never answers it, and whose connections last, is asked each time.
    let mut mock = Mock::new(ClientConfig { suggest_difficulty: Some(0.5), ..config() });
    for _ in 0..5 {
        let sent = mock.connect();
        assert!(methods(&sent).contains(&suggest));
        let_in(&mut mock, &sent[..4]);
        mock.wait_seconds(20);
        mock.disconnect();
    }
    assert_eq!(mock.warnings(), [""; 0]);
}

#[test]
fn n10_a_pool_that_says_no_did_not_hang_up_on_configure() {
    let mut mock = Mock::new(config());
    for _ in 0..3 {
        let sent = mock.connect();
        assert_eq!(methods(&sent), ALL);
        mock.refuse(&asked(&sent, "mining.authorize")["id"], json!([24, "who are you"]));
        mock.disconnect();
    }
}

#[test]
fn n10_n11_what_is_never_answered_holds_nothing_up() {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    mock.answer(&asked(&sent, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    mock.answer(&asked(&sent, "mining.authorize")["id"], json!(true));
    mock.difficulty(EASY);
    let job = mock.job("1", PREV, true);
    assert_eq!(job.version_mask, 0);
    let request = mock.submitted(&share(&job, 0));
    assert_eq!(request["params"].as_array().map(Vec::len), Some(5));
    mock.wait_seconds(60);
    assert_eq!(mock.closed(), None);
}

#[test]
fn n11_courtesies_may_be_refused_or_answered_with_something_else() {
    for answer in [
        r#"{"id":ID,"result":null,"error":[20,"Not supported.",null]}"#,
        r#"{"id":ID,"result":false,"error":null}"#,
        r#"{"id":ID,"error":"what?"}"#,
        r#"{"id":null,"method":"mining.set_difficulty","params":[1e-10]}"#,
    ] {
        let config = midstate_stratum::ClientConfig { suggest_difficulty: Some(0.5), ..config() };
        let mut mock = Mock::new(config);
        let sent = mock.connect();
        for request in &sent {
            let id = request["id"].to_string();
            match request["method"].as_str() {
                Some("mining.subscribe") => mock.answer(&request["id"], json!([null, "a1", 4])),
                Some("mining.authorize") => mock.answer(&request["id"], json!(true)),
                _ => mock.line(&answer.replace("ID", &id)),
            }
        }
        mock.difficulty(EASY);
        let job = mock.job("1", PREV, true);
        mock.submitted(&share(&job, 0));
        assert_eq!((mock.closed(), mock.client.pending()), (None, 1), "{answer}");
    }
}

#[test]
fn n10_a_late_answer_to_configure_counts_from_then_on() {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    mock.answer(&asked(&sent, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    mock.answer(&asked(&sent, "mining.authorize")["id"], json!(true));
    mock.difficulty(EASY);
    let before = mock.job("1", PREV, true);
    let agreed = json!({"version-rolling": true, "version-rolling.mask": "1fffe000"});
    mock.answer(&asked(&sent, "mining.configure")["id"], agreed);
    // The pool now wants a sixth parameter, for shares of older jobs, too.
    assert_eq!(mock.submitted(&share(&before, 0))["params"][5], "00000000");
    assert_eq!(mock.job("2", PREV, false).version_mask, 0x1fff_e000);
}

#[test]
fn n1_work_before_the_answers_is_kept_and_shares_wait_for_the_authorization() {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    let difficulty = json!({"id": null, "method": "mining.set_difficulty", "params": [EASY]});
    let job = |id: &str| {
        json!({"id": null, "method": "mining.notify",
            "params": notify_params(id, PREV, HARD_BITS, false)})
    };
    let subscribed = json!({"id": asked(&sent, "mining.subscribe")["id"],
        "result": [null, "a1b2c3d4", 4], "error": null});
    let segment = format!("{difficulty}\n{}\n{}\n{subscribed}\n", job("1"), job("2"));
    mock.bytes(segment.as_bytes());

    let job = mock.newest_job().expect("the newest of the jobs that came too early");
    assert_eq!((job.id.as_str(), job.clean), ("2", true));
    mock.submit(&share(&job, 0));
    assert_eq!((mock.sent(), mock.client.pending()), (vec![], 1));
    mock.answer(&asked(&sent, "mining.authorize")["id"], json!(true));
    let sent = mock.sent();
    assert_eq!(methods(&sent), ["mining.submit"]);
    mock.answer(&sent[0]["id"], json!(true));
    assert_eq!(mock.verdict().verdict, Verdict::Accepted);
}

#[test]
fn n1_a_job_before_the_extranonce_keeps_the_difficulty_of_its_time() {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    mock.difficulty(4.0);
    mock.call("mining.notify", notify_params("1", PREV, HARD_BITS, true));
    mock.difficulty(8.0);
    mock.answer(&asked(&sent, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    let job = mock.newest_job().expect("a job");
    assert_eq!(job.share_target.difficulty().round(), 4.0);
}

#[test]
fn n1_n17_a_job_before_the_extranonce_of_a_second_connection_waits_for_that_one() {
    let mut mock = Mock::ready();
    mock.disconnect();
    let sent = mock.connect();
    mock.call("mining.notify", notify_params("1", PREV, HARD_BITS, false));
    assert_eq!(mock.newest_job(), None);
    mock.answer(&asked(&sent, "mining.subscribe")["id"], json!([null, "ffff", 2]));
    let job = mock.newest_job().expect("the job that came too early");
    assert_eq!((job.extranonce1.as_slice(), job.extranonce2_size), (&[0xff, 0xff][..], 2));
}

#[test]
fn n1_of_jobs_that_come_too_early_the_newest_voids_what_the_others_voided() {
    let mut mock = Mock::ready();
    mock.job("0", PREV, true);
    mock.disconnect();
    let sent = mock.connect();
    mock.call("mining.notify", notify_params("1", PREV, HARD_BITS, true));
    mock.call("mining.notify", notify_params("2", PREV, HARD_BITS, false));
    mock.answer(&asked(&sent, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    let job = mock.newest_job().expect("a job of the resumed session");
    assert_eq!((job.id.as_str(), job.clean), ("2", true));
}

#[test]
fn ckpool_may_authorize_before_it_subscribes() {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    mock.answer(&asked(&sent, "mining.authorize")["id"], json!(true));
    mock.wait_seconds(14);
    mock.answer(&asked(&sent, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    mock.wait_seconds(14);
    assert_eq!(mock.closed(), None);
}

#[test]
fn the_session_is_asked_for_again_and_let_go_if_it_is_refused() {
    let mut mock = Mock::ready();
    mock.disconnect();
    let sent = mock.connect();
    let subscribe = asked(&sent, "mining.subscribe");
    assert_eq!(subscribe["params"], json!(["midstate/0.1", "session"]));
    mock.refuse(&subscribe["id"], json!([20, "unknown session"]));
    assert_eq!(mock.sent()[0]["params"], json!(["midstate/0.1"]));
}

#[test]
fn a_session_id_that_could_not_be_sent_is_not_remembered() {
    for id in [json!(""), json!("a\u{7}b"), json!("x".repeat(129)), json!(7), json!(null)] {
        let mut mock = Mock::new(config());
        let sent = mock.connect();
        let result = json!([[["mining.notify", id]], "a1b2c3d4", 4]);
        mock.answer(&asked(&sent, "mining.subscribe")["id"], result);
        mock.disconnect();
        let sent = mock.connect();
        assert_eq!(asked(&sent, "mining.subscribe")["params"], json!(["midstate/0.1"]), "{id}");
    }
}

#[test]
fn s12_n19_a_configuration_that_cannot_be_sent_says_so_instead_of_a_word() {
    type Change = fn(&mut midstate_stratum::ClientConfig);
    let broken: [(Change, &str); 8] = [
        (|c| c.user = "x".repeat(192), "the user name is 192 bytes, at most 191 are sent"),
        (|c| c.user = "矿工".into(), "the user name holds '矿'; only printable ASCII"),
        (|c| c.user = "a\nb".into(), "the user name holds '\\n'"),
        (|c| c.user.clear(), "the user name is empty"),
        (|c| c.password = "x".repeat(256), "the password is 256 bytes"),
        (|c| c.password = "\u{0}".into(), "the password holds '\\0'"),
        (|c| c.user_agent = "x".repeat(129), "the user agent is 129 bytes"),
        (|c| c.suggest_difficulty = Some(f64::NAN), "the difficulty to suggest"),
    ];
    for (change, words) in broken {
        let mut config = config();
        change(&mut config);
        let mut mock = Mock::new(config);
        assert!(mock.connect().is_empty(), "{words}");
        let Some(CloseReason::Config(error)) = mock.closed() else { panic!("{words}") };
        assert!(error.to_string().starts_with(words), "{error}");
    }
    assert_eq!(
        midstate_stratum::ClientConfig { user: String::new(), ..config() }.check(),
        Err(ConfigError::NoUser)
    );
}

#[test]
fn s12_n19_the_worst_names_still_make_lines_that_every_pool_reads() {
    let mut config = config();
    config.user = "\"\\".repeat(95);
    config.password = "\\\"ü".repeat(63);
    config.user_agent = "\"".repeat(128);
    config.suggest_difficulty = Some(1.0e-9);
    let mut mock = Mock::new(config.clone());
    // The lengths are asserted where lines are taken.
    mock.handshake(&"ab".repeat(32), 32);
    let id = "\"".repeat(128);
    mock.call("mining.notify", notify_params(&id, PREV, HARD_BITS, true));
    let job = mock.newest_job().expect("a job id of 256 bytes as JSON writes it");
    let request = mock.submitted(&share(&job, 0));
    assert_eq!(request["params"][0], Value::from(config.user));
    assert_eq!(request["params"][1], Value::from(id));
}
