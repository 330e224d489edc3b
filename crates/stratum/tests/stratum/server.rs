//! The server's side, against foreign miners: byte for byte what they send, kind answers.

use midstate_chain::{Hash256, Job, Target};
use midstate_stratum::{
    CloseReason, Limits, Reject, Server, ServerConfig, ServerEvent, Submission,
};
use serde_json::{Value, json};

use crate::mock::{HARD_BITS, PREV, notify_params};

fn server() -> Server {
    Server::new(ServerConfig {
        extranonce1: vec![0xa1, 0xb2, 0xc3, 0xd4],
        extranonce2_size: 4,
        version_mask: 0x1fff_e000,
        limits: Limits::default(),
    })
}

fn say(server: &mut Server, line: &str) -> Vec<Value> {
    server.handle_bytes(line.as_bytes());
    server.handle_bytes(b"\n");
    sent(server)
}

fn sent(server: &mut Server) -> Vec<Value> {
    std::iter::from_fn(|| server.poll_transmit())
        .map(|line| {
            assert_eq!(line.last(), Some(&b'\n'));
            serde_json::from_slice(&line).expect("the server writes JSON")
        })
        .collect()
}

fn events(server: &mut Server) -> Vec<ServerEvent> {
    std::iter::from_fn(|| server.poll_event()).collect()
}

/// Subscribed and authorized as `w`, nothing left in the queues.
fn open() -> Server {
    let mut server = server();
    say(&mut server, r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    say(&mut server, r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
    for event in events(&mut server) {
        if let ServerEvent::Authorize { ticket, .. } = event {
            server.answer(ticket, Ok(()));
        }
    }
    sent(&mut server);
    server
}

fn submission(server: &mut Server) -> Submission {
    match events(server).pop() {
        Some(ServerEvent::Submit { submission, .. }) => submission,
        other => panic!("a submission, not {other:?}"),
    }
}

/// The error of the only answer.
fn error(answers: &[Value]) -> (i64, String) {
    let [answer] = answers else { panic!("one answer: {answers:?}") };
    assert_eq!(answer["result"], json!(null), "{answer}");
    let (code, text) = (&answer["error"][0], &answer["error"][1]);
    (code.as_i64().expect("a code"), text.as_str().expect("words").to_owned())
}

#[test]
fn subscribe_with_or_without_parameters() {
    for (params, name) in [
        ("[]", None),
        (r#"["cpuminer/2.5.1"]"#, Some("cpuminer/2.5.1")),
        (r#"["cgminer/4.13","deadbeef"]"#, Some("cgminer/4.13")),
        (r#"["bosminer",null,"pool.example",3333]"#, Some("bosminer")),
        (r#"[null]"#, None),
        (r#"["esc\u001b[2J"]"#, Some("esc[2J")),
    ] {
        let mut server = server();
        let line = format!(r#"{{"id":1,"method":"mining.subscribe","params":{params}}}"#);
        let pair = |method: &str| json!([method, "a1b2c3d4"]);
        assert_eq!(
            say(&mut server, &line),
            [json!({"id": 1, "error": null, "result": [
                [pair("mining.set_difficulty"), pair("mining.notify")], "a1b2c3d4", 4]})],
        );
        let user_agent = name.map(str::to_owned);
        assert_eq!(events(&mut server), [ServerEvent::Subscribed { user_agent }]);
        // Asked twice, answered twice, announced once.
        assert_eq!(say(&mut server, &line).len(), 1);
        assert_eq!(events(&mut server), []);
    }
    let mut server = server();
    assert_eq!(say(&mut server, r#"{"id":1,"method":"mining.subscribe"}"#).len(), 1);
}

#[test]
fn ids_of_any_sort_come_back_or_are_refused_in_words() {
    for id in ["1", "0", "-5", "1.5", "18446744073709551615", "\"auth\"", "\"\"", "null"] {
        let mut server = server();
        let answers =
            say(&mut server, &format!(r#"{{"id":{id},"method":"mining.subscribe","params":[]}}"#));
        assert_eq!(answers[0]["id"].to_string(), id);
        assert_eq!(answers[0]["error"], json!(null));
    }
    let long = format!("\"{}\"", "x".repeat(65));
    for id in ["[1]", "{}", "true", &long, "\"\\u001b\""] {
        let mut server = server();
        let answers =
            say(&mut server, &format!(r#"{{"id":{id},"method":"mining.subscribe","params":[]}}"#));
        assert_eq!(answers[0]["id"], json!(null), "{id}");
        assert!(error(&answers).1.starts_with("an id must be"), "{id}");
        assert_eq!(events(&mut server), []);
    }
}

#[test]
fn submit_before_subscribe_is_25_and_before_authorize_24() {
    let submit =
        r#"{"id":4,"method":"mining.submit","params":["w","1","00000000","65000000","00000000"]}"#;
    let mut server = server();
    assert_eq!(error(&say(&mut server, submit)).0, 25);
    say(&mut server, r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    events(&mut server);
    assert_eq!(error(&say(&mut server, submit)).0, 24);
    let mut server = open();
    assert_eq!(say(&mut server, submit), [] as [Value; 0]);
    assert_eq!(submission(&mut server).worker, "w");
    // Another worker than the authorized one.
    let other = submit.replace("\"w\"", "\"v\"");
    assert_eq!(error(&say(&mut server, &other)).0, 24);
}

#[test]
fn authorize_is_the_pools_to_answer_even_before_subscribe() {
    for (params, user, password) in [
        (r#"["addr.rig","d=0.02"]"#, "addr.rig", "d=0.02"),
        (r#"["addr.rig"]"#, "addr.rig", ""),
        (r#"["addr.rig",null]"#, "addr.rig", ""),
        (r#"["\"quoted\\\" 矿","x",7]"#, "\"quoted\\\" 矿", "x"),
    ] {
        let mut server = server();
        let line = format!(r#"{{"id":2,"method":"mining.authorize","params":{params}}}"#);
        assert!(say(&mut server, &line).is_empty());
        let [ServerEvent::Authorize { ticket, user: got, password: secret }] =
            <[_; 1]>::try_from(events(&mut server)).expect("one event")
        else {
            panic!("{params}")
        };
        assert_eq!((got.as_str(), secret.as_str()), (user, password));
        server.answer(ticket, Err(Reject::unauthorized()));
        assert_eq!(error(&sent(&mut server)), (24, "unauthorized worker".into()));
    }
    let long = format!(r#"["{}"]"#, "x".repeat(192));
    let blank = r#"["  ","x"]"#;
    for params in ["[]", "[null]", "[7,8]", r#"["a\nb","x"]"#, r#"["",""]"#, blank, &long, "{}"] {
        let mut server = server();
        let line = format!(r#"{{"id":2,"method":"mining.authorize","params":{params}}}"#);
        assert_eq!(error(&say(&mut server, &line)).0, 24, "{params}");
        assert_eq!(events(&mut server), []);
    }
}

#[test]
fn i14_configure_answers_with_the_mask_of_both() {
    for (params, expected) in [
        (
            r#"[["version-rolling"],
                {"version-rolling.mask":"ffffffff","version-rolling.min-bit-count":2}]"#,
            json!({"version-rolling": true, "version-rolling.mask": "1fffe000"}),
        ),
        (
            r#"[["version-rolling"],{"version-rolling.mask":"0000e000"}]"#,
            json!({"version-rolling": true, "version-rolling.mask": "0000e000"}),
        ),
        // The reference implementation writes the count as a text in hex.
        (
            r#"[["version-rolling"],
                {"version-rolling.mask":"0000e000","version-rolling.min-bit-count":"00000004"}]"#,
            json!({"version-rolling": false, "version-rolling.mask": "00000000"}),
        ),
        (
            r#"[["version-rolling"],{"version-rolling.mask":"00000001"}]"#,
            json!({"version-rolling": false, "version-rolling.mask": "00000000"}),
        ),
        (
            r#"[["version-rolling"]]"#,
            json!({"version-rolling": true, "version-rolling.mask": "1fffe000"}),
        ),
        (
            r#"[["minimum-difficulty","subscribe-extranonce","info","teleport",7],{}]"#,
            json!({"minimum-difficulty": false, "subscribe-extranonce": true, "info": true}),
        ),
        // A mask that cannot be read is not one of all bits.
        (
            r#"[["version-rolling"],{"version-rolling.mask":"zz"}]"#,
            json!({"version-rolling": false, "version-rolling.mask": "00000000"}),
        ),
        (
            r#"[["version-rolling"],{"version-rolling.mask":5}]"#,
            json!({"version-rolling": false, "version-rolling.mask": "00000000"}),
        ),
        ("[]", json!({})),
        ("[{},[]]", json!({})),
    ] {
        let mut server = server();
        let line = format!(r#"{{"id":1,"method":"mining.configure","params":{params}}}"#);
        assert_eq!(say(&mut server, &line.replace('\n', ""))[0]["result"], expected, "{params}");
        let agreed = expected["version-rolling.mask"].as_str().unwrap_or("0");
        assert_eq!(Ok(server.version_mask()), u32::from_str_radix(agreed, 16), "{params}");
    }
}

#[test]
fn a_submission_is_taken_exactly_as_the_refusals_words_ask_for_it() {
    let mut server = open();
    let line = |params: &str| format!(r#"{{"id":4,"method":"mining.submit","params":[{params}]}}"#);
    say(&mut server, &line(r#""w","job 1","01020304","65000000","000000Ab""#));
    let expected = Submission {
        worker: "w".into(),
        job_id: "job 1".into(),
        extranonce2: vec![1, 2, 3, 4],
        time: 0x6500_0000,
        nonce: 0xab,
        version_bits: None,
    };
    assert_eq!(submission(&mut server), expected);
    for (quirk, params) in [
        ("lower case", r#""w","job 1","01020304","65000000","000000ab""#),
        ("rolled nothing, told so", r#""w","job 1","01020304","65000000","000000ab","00000000""#),
        ("a null", r#""w","job 1","01020304","65000000","000000ab",null"#),
    ] {
        say(&mut server, &line(params));
        assert_eq!(submission(&mut server), expected, "{quirk}");
    }
    for (params, words) in [
        (r#""w","1","01020304","65000000""#, "expected 5 or 6 parameters, got 4"),
        (
            r#""w","1","01020304","65000000","000000ab",null,"00","00""#,
            "expected 5 or 6 parameters, got 8",
        ),
        (
            r#""w","1","01020304","65000000","000000ab","00000000","00""#,
            "expected 5 or 6 parameters, got 7",
        ),
        (r#""w",null,"01020304","65000000","000000ab""#, "the job id must be a text"),
        (r#""w",1,"01020304","65000000","000000ab""#, "the job id must be a text"),
        (r#""w","1","010203","65000000","000000ab""#, "extranonce2 must be 8 hex digits"),
        (r#""w","1","0102030405","65000000","000000ab""#, "extranonce2 must be 8 hex digits"),
        (r#""w","1","   10203","65000000","000000ab""#, "extranonce2 must be 8 hex digits"),
        (r#""w","1","01020304",1694498816,"000000ab""#, "time must be 8 hex digits"),
        (r#""w","1","0x020304","65000000","000000ab""#, "extranonce2 must be 8 hex digits"),
        (r#""w","1","01020304","0x65000000","000000ab""#, "time must be 8 hex digits"),
        (r#""w","1","01020304","6500000","000000ab""#, "time must be 8 hex digits"),
        (r#""w","1","01020304","65000000","0000000ab""#, "nonce must be 8 hex digits"),
        (r#""w","1","01020304","65000000","00000ab""#, "nonce must be 8 hex digits"),
        (r#""w","1","01020304","65000000","0x0000ab""#, "nonce must be 8 hex digits"),
        (r#""w","1","01020304","65000000","0x000000ab""#, "nonce must be 8 hex digits"),
        (r#""w","1","01020304","65000000","+00000ab""#, "nonce must be 8 hex digits"),
        (r#""w","1","01020304","65000000","""#, "nonce must be 8 hex digits"),
        (
            r#""w","1","01020304","65000000","000000ab","00002000""#,
            "version bits without mining.configure",
        ),
        (r#""w","1","01020304","65000000","000000ab","no""#, "version bits must be 8 hex digits"),
        (r#""w","1","01020304","65000000","000000ab","0""#, "version bits must be 8 hex digits"),
    ] {
        assert_eq!(error(&say(&mut server, &line(params))), (20, words.into()), "{params}");
    }
    assert_eq!(events(&mut server), []);
}

#[test]
fn i14_version_bits_within_the_negotiated_mask_only() {
    let mut server = open();
    let params = json!([["version-rolling"], {"version-rolling.mask": "00ffe000"}]);
    let configure = json!({"id": 1, "method": "mining.configure", "params": params});
    say(&mut server, &configure.to_string());
    let line = |bits: &str| {
        let params = format!(r#"["w","1","01020304","65000000","00000000","{bits}"]"#);
        format!(r#"{{"id":4,"method":"mining.submit","params":{params}}}"#)
    };
    say(&mut server, &line("00002000"));
    assert_eq!(submission(&mut server).version_bits, Some(0x2000));
    let refused = error(&say(&mut server, &line("20000000")));
    assert_eq!(refused, (20, "version bits beyond the mask 00ffe000".into()));
    // Negotiated, and rolled nothing.
    say(&mut server, &line("x").replace(",\"x\"", ""));
    assert_eq!(submission(&mut server).version_bits, None);
}

#[test]
fn answers_carry_the_code_and_the_words() {
    for (verdict, expected) in [
        (Ok(()), json!({"id": "s", "result": true, "error": null})),
        (Err(Reject::stale()), json!([21, "job not found (stale)", null])),
        (Err(Reject::duplicate()), json!([22, "duplicate share", null])),
        (Err(Reject::low_difficulty()), json!([23, "low difficulty share", null])),
        (Err(Reject::other("why \"not\"")), json!([20, "why \"not\"", null])),
    ] {
        let mut server = open();
        let params = json!(["w", "1", "00000000", "65000000", "00000000"]);
        let line = json!({"id": "s", "method": "mining.submit", "params": params});
        say(&mut server, &line.to_string());
        let Some(ServerEvent::Submit { ticket, .. }) = events(&mut server).pop() else { panic!() };
        let is_ok = verdict.is_ok();
        server.answer(ticket, verdict);
        let answer = sent(&mut server).remove(0);
        assert_eq!(if is_ok { &answer } else { &answer["error"] }, &expected);
        assert_eq!(answer["id"], "s");
    }
}

#[test]
fn n14_courtesies_and_unknown_methods() {
    let mut server = server();
    let mut ask = |line: &str| say(&mut server, line);
    assert_eq!(ask(r#"{"id":9,"method":"mining.ping","params":[]}"#)[0]["result"], "pong");
    assert_eq!(ask(r#"{"id":9,"method":"mining.extranonce.subscribe"}"#)[0]["result"], true);
    for method in ["mining.multi_version", "mining.get_transactions", "mining.capabilities", ""] {
        let line = format!(r#"{{"id":9,"method":"{method}","params":[1]}}"#);
        assert_eq!(error(&ask(&line)).0, -3, "{method}");
    }
    assert!(ask(r#"{"id":null,"method":"mining.suggest_target","params":["ff"]}"#).is_empty());
    assert!(ask(r#"{"id":7,"result":"pong","error":null}"#).is_empty(), "ESP-Miner's late pong");
    assert!(ask(r#"{"id":7,"method":"pong","params":[]}"#).len() == 1);
}

#[test]
fn a_suggested_difficulty_may_be_a_text() {
    for (sent, value) in [("512", 512.0), ("0.02", 0.02), ("\"0.020000\"", 0.02)] {
        let mut server = server();
        let line = format!(r#"{{"id":1,"method":"mining.suggest_difficulty","params":[{sent}]}}"#);
        assert_eq!(say(&mut server, &line)[0]["result"], true);
        assert_eq!(events(&mut server), [ServerEvent::SuggestDifficulty(value)]);
    }
    let mut server = server();
    let line = r#"{"id":1,"method":"mining.suggest_difficulty","params":[0]}"#;
    assert_eq!(error(&say(&mut server, line)).0, 20);
    assert_eq!(events(&mut server), []);
}

#[test]
fn i18_a_job_is_announced_as_the_protocol_has_it() {
    let job = Job {
        id: "1f".into(),
        session: 0,
        channel: None,
        version: 0x2000_0000,
        version_mask: 0,
        prev_hash: Hash256::from_bytes(std::array::from_fn(|at| at as u8)),
        coinbase_prefix: vec![1, 2],
        extranonce1: vec![],
        extranonce2_size: 4,
        coinbase_suffix: vec![3],
        branch: vec![Hash256::from_bytes([0xab; 32])],
        bits: midstate_chain::Bits::from_consensus(0x207f_ffff),
        time: 0x6500_0000,
        share_target: Target::MAX,
        network_target: Target::MAX,
        clean: true,
    };
    let mut server = open();
    server.set_difficulty(512.0);
    server.set_difficulty(0.02);
    server.notify(&job);
    let lines = sent(&mut server);
    assert_eq!(lines[0]["params"].to_string(), "[512]");
    assert_eq!(lines[1]["params"].to_string(), "[0.02]");
    let prev = "03020100070605040b0a09080f0e0d0c13121110171615141b1a19181f1e1d1c";
    let branch = ["ab".repeat(32)];
    let params =
        json!(["1f", prev, "0102", "03", branch, "20000000", "207fffff", "65000000", true]);
    assert_eq!(lines[2], json!({"id": null, "method": "mining.notify", "params": params}));
}

#[test]
fn s1_s2_hostile_miners_are_shown_the_door() {
    let mut server = server();
    let endless = vec![b'x'; 8193];
    server.handle_bytes(&endless);
    let limit = 8192;
    let expected = ServerEvent::Close(CloseReason::LineTooLong { got: 8193, limit });
    assert_eq!(events(&mut server), [expected]);
    say(&mut server, r#"{"id":1,"method":"mining.subscribe","params":[]}"#);
    assert_eq!(events(&mut server), [], "deaf after that");

    let mut server = self::server();
    for _ in 0..7 {
        assert_eq!(error(&say(&mut server, "GET / HTTP/1.1")).0, 20);
    }
    say(&mut server, r#"{"id":1,"method":"mining.ping"}"#);
    for _ in 0..7 {
        say(&mut server, "nonsense");
    }
    assert_eq!(events(&mut server), []);
    say(&mut server, "nonsense");
    let closed = events(&mut server);
    let is_malformed = |event: &ServerEvent| {
        matches!(event, ServerEvent::Close(CloseReason::Malformed { count: 8, .. }))
    };
    assert!(closed.iter().all(is_malformed) && closed.len() == 1, "{closed:?}");
}

#[test]
fn s6_a_miner_that_does_not_read_is_dropped_before_memory_grows() {
    let mut server = open();
    for id in 0..5000 {
        server.handle_bytes(format!("{}\n", json!({"id": id, "method": "mining.ping"})).as_bytes());
    }
    assert_eq!(events(&mut server), [ServerEvent::Close(CloseReason::NotRead(4096))]);
    assert_eq!(sent(&mut server).len(), 4096);
}

/// A miner may write its whole handshake and its first share without waiting for an answer.
#[test]
fn requests_in_one_write_are_answered_one_after_the_other() {
    let submit = json!(["w", "1", "00000000", "65000000", "00000000"]);
    let requests = [
        ("mining.subscribe", json!([])),
        ("mining.authorize", json!(["w", "x"])),
        ("mining.ping", json!([])),
        ("mining.submit", submit.clone()),
        ("mining.ping", json!([])),
        ("mining.submit", submit),
    ];
    let line = |(id, (method, params))| json!({"id": id, "method": method, "params": params});
    let lines: String = (1..).zip(requests).map(|each| format!("{}\n", line(each))).collect();
    let mut server = server();
    server.handle_bytes(lines.as_bytes());
    while let Some(event) = server.poll_event() {
        if let ServerEvent::Authorize { ticket, .. } | ServerEvent::Submit { ticket, .. } = event {
            server.answer(ticket, Ok(()));
        }
    }
    let answers = sent(&mut server);
    let ids: Vec<_> = answers.iter().map(|answer| answer["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    assert!(answers.iter().all(|answer| answer["error"].is_null()), "{answers:?}");
}

/// Many authorizations in one write are all read before the pool answers the first.
#[test]
fn memory_that_a_miner_can_fill_has_a_bound_also_in_one_write() {
    let authorize = |name: usize| {
        let params = json!([format!("worker {name}")]);
        format!("{}\n", json!({"id": name, "method": "mining.authorize", "params": params}))
    };
    let mut server = server();
    let limit = Limits::default().workers;
    let flood: String = (0..1000).chain(0..1).map(authorize).collect();
    server.handle_bytes(flood.as_bytes());
    let asked = events(&mut server);
    assert_eq!(asked.len(), limit + 1, "the first one asked again");
    let answers = sent(&mut server);
    assert_eq!(answers.len(), 1000 - limit);
    assert!(answers[0]["error"][1].as_str().unwrap().contains("more than 64 workers"));
    // A worker that is refused makes room for another.
    for event in asked {
        let ServerEvent::Authorize { ticket, .. } = event else { panic!("{event:?}") };
        server.answer(ticket, Err(Reject::unauthorized()));
    }
    server.handle_bytes(authorize(7).as_bytes());
    assert!(matches!(&events(&mut server)[..], [ServerEvent::Authorize { .. }]));
}

/// A worker that was let in stays when a later authorization is refused.
#[test]
fn a_refused_password_takes_no_worker_away() {
    let mut server = open();
    server.handle_bytes(b"{\"id\":9,\"method\":\"mining.authorize\",\"params\":[\"w\",\"y\"]}\n");
    let Some(ServerEvent::Authorize { ticket, .. }) = events(&mut server).pop() else { panic!() };
    server.answer(ticket, Err(Reject::unauthorized()));
    assert_eq!(error(&sent(&mut server)).0, 24);
    let submit =
        r#"{"id":4,"method":"mining.submit","params":["w","1","00000000","65000000","00000000"]}"#;
    assert_eq!(say(&mut server, submit), [] as [Value; 0]);
    assert_eq!(submission(&mut server).worker, "w");
}

/// A line that stalls gets the newest job alone, and still hears that the older ones are void.
#[test]
fn a_job_replaces_one_that_waits_and_keeps_its_clean_flag() {
    let mut server = open();
    let plain = crate::mock::Mock::ready().job("1", PREV, false);
    let job = |id: usize, clean| Job { id: id.to_string(), clean, ..plain.as_ref().clone() };
    let said = |server: &mut Server| -> Vec<_> {
        sent(server)
            .iter()
            .map(|line| (line["params"][0].clone(), line["params"][8].clone()))
            .collect()
    };
    for id in 0..100_000 {
        server.notify(&job(id, id == 50_000));
    }
    assert_eq!(said(&mut server), [(json!("99999"), json!(true))]);
    server.notify(&job(1, false));
    server.set_difficulty(2.0);
    server.notify(&job(2, false));
    let lines = sent(&mut server);
    assert_eq!(lines[0]["method"], "mining.set_difficulty", "before the job that it holds for");
    assert_eq!((&lines[1]["params"][0], &lines[1]["params"][8]), (&json!("2"), &json!(false)));
    assert_eq!((lines.len(), events(&mut server)), (2, vec![]));
}

#[test]
fn n16_requests_in_any_fragmentation() {
    let text = format!(
        "{}\r\n\n{}\n",
        json!({"id": 1, "method": "mining.subscribe", "params": []}),
        json!({"id": 2, "method": "mining.authorize", "params": ["w", "x"]})
    );
    for pieces in [1, 2, 5, 1000] {
        let mut server = server();
        text.as_bytes().chunks(pieces).for_each(|chunk| server.handle_bytes(chunk));
        assert_eq!((sent(&mut server).len(), events(&mut server).len()), (1, 2));
    }
}

#[test]
fn the_mocks_job_is_one_that_the_server_could_have_announced() {
    // Both ends of the notify agree on its form: what the client's tests feed is what we send.
    let mut mock = crate::mock::Mock::ready();
    let job = mock.job("1", PREV, true);
    let mut server = open();
    server.notify(&job);
    assert_eq!(sent(&mut server)[0]["params"], notify_params("1", PREV, HARD_BITS, true));
}

#[test]
fn a_worker_that_asks_again_and_again_is_one_worker() {
    let mut server = open();
    for _ in 0..100 {
        say(&mut server, r#"{"id":3,"method":"mining.authorize","params":["w","x"]}"#);
        for event in events(&mut server) {
            if let ServerEvent::Authorize { ticket, .. } = event {
                server.answer(ticket, Ok(()));
            }
        }
    }
    sent(&mut server);
    let answers = say(&mut server, r#"{"id":4,"method":"mining.authorize","params":["other"]}"#);
    assert_eq!(answers, [Value::Null; 0], "the pool decides");
    assert!(matches!(events(&mut server)[..], [ServerEvent::Authorize { .. }]));
}

#[test]
fn rule_13_a_miner_that_is_hung_up_on_is_told_why() {
    let mut server = open();
    let answers = say(&mut server, &"x".repeat(Limits::default().request_line + 1));
    let (code, words) = error(&answers);
    assert_eq!(code, 20);
    assert!(words.starts_with("a line of at least ") && words.contains("the limit is"), "{words}");
    assert!(matches!(events(&mut server)[..], [ServerEvent::Close(_)]));
    let mut server = open();
    let answers = (0..100).flat_map(|_| say(&mut server, "{")).collect::<Vec<_>>();
    let (_, words) = error(&answers[answers.len() - 1..]);
    assert!(words.contains("malformed lines came, the last one: "), "{words}");
}

#[test]
fn an_id_comes_back_as_it_came_or_is_refused() {
    for (id, comes_back) in [
        ("18446744073709551615", true),
        ("-9223372036854775808", true),
        ("1.5", true),
        ("123456789012345678901234567890", false),
        ("1e300", false),
    ] {
        let mut server = server();
        let line = format!(r#"{{"id":{id},"method":"mining.subscribe","params":[]}}"#);
        let [answer] = &say(&mut server, &line)[..] else { panic!("one answer to {id}") };
        assert_eq!(answer["error"].is_null(), comes_back, "{answer}");
        let came = answer["id"].to_string();
        assert_eq!(came == id, comes_back, "{answer}");
    }
}
