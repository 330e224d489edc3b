//! Framing, floods and silence: when a connection has to end, and when not.

use std::time::Duration;

use midstate_chain::Verdict;
use midstate_stratum::{ClientEvent, CloseReason, Remark};
use serde_json::{Value, json};

use crate::mock::{HARD_BITS, Mock, PREV, asked, config, methods, notify_params, share};

#[test]
fn n16_a_session_byte_by_byte_equals_one_in_a_single_segment() {
    let session = |pieces: usize| {
        let mut mock = Mock::new(config());
        let sent = mock.connect();
        let id = |method| asked(&sent, method)["id"].to_string();
        let text = format!(
            "{}\r\n\n\r\n{}\n{}\n{}\n",
            json!({"id": id("mining.subscribe").parse::<u64>().unwrap(), "error": null,
                "result": [null, "a1b2c3d4", 4]}),
            json!({"id": id("mining.authorize").parse::<u64>().unwrap(), "result": true}),
            json!({"id": null, "method": "mining.set_difficulty", "params": [0.5]}),
            json!({"id": null, "method": "mining.notify",
                "params": notify_params("1", PREV, HARD_BITS, true)}),
        );
        text.as_bytes().chunks(pieces).for_each(|chunk| mock.bytes(chunk));
        mock.events()
    };
    let whole = session(usize::MAX);
    assert_eq!(whole.len(), 4);
    for pieces in [1, 2, 3, 7, 64] {
        assert_eq!(session(pieces), whole, "in pieces of {pieces}");
    }
}

#[test]
fn n16_fifty_lines_in_one_segment_are_fifty_messages() {
    let mut mock = Mock::ready();
    let ping = |id: u64| format!("{}\n", json!({"id": id, "method": "mining.ping", "params": []}));
    mock.bytes((0..50).map(ping).collect::<String>().as_bytes());
    let ids: Vec<_> = mock.sent().iter().map(|reply| reply["id"].as_u64()).collect();
    assert_eq!(ids, (0..50).map(Some).collect::<Vec<_>>());
}

#[test]
fn s6_questions_without_end_do_not_pile_up_replies() {
    let mut mock = Mock::ready();
    (0..10_000).for_each(|id| mock.line(&json!({"id": id, "method": "mining.ping"}).to_string()));
    assert_eq!(mock.sent().len(), 64);
}

#[test]
fn s1_n16_an_endless_line_closes_at_the_cap_and_names_it() {
    let mut mock = Mock::ready();
    let chunk = [b'x'; 4096];
    (0..128).for_each(|_| mock.bytes(&chunk));
    assert_eq!(mock.closed(), None, "the limit itself is allowed");
    mock.bytes(b"x");
    let reason = mock.closed().expect("one byte more");
    assert_eq!(reason, CloseReason::LineTooLong { got: 524_289, limit: 524_288 });
    assert_eq!(reason.to_string(), "a line of at least 524289 bytes came, the limit is 524288");
    // Deaf from now on: nothing grows, nothing else is said.
    (0..1000).for_each(|_| mock.bytes(&chunk));
    assert!(mock.events().is_empty());
}

#[test]
fn s1_real_lines_of_100_kb_pass() {
    let mut mock = Mock::ready();
    let mut params = notify_params("1", PREV, HARD_BITS, true);
    params[3] = json!("00".repeat(51_000));
    mock.call("mining.notify", params);
    assert_eq!(mock.newest_job().map(|job| job.coinbase_suffix.len()), Some(51_000));
}

#[test]
fn s1_a_line_must_be_finished_in_30_seconds() {
    let mut mock = Mock::ready();
    mock.job("1", PREV, true);
    mock.bytes(b"{\"id\":");
    // A byte now and then does not help.
    for _ in 0..29 {
        mock.wait_seconds(1);
        mock.bytes(b" ");
    }
    assert_eq!(mock.closed(), None);
    mock.wait_seconds(1);
    assert_eq!(mock.closed(), Some(CloseReason::LineUnfinished(Duration::from_secs(30))));
}

#[test]
fn s1_the_age_of_a_line_counts_from_its_own_first_byte() {
    let mut mock = Mock::ready();
    mock.job("1", PREV, true);
    for _ in 0..5 {
        mock.bytes(b"{\"method\":\"noise\"");
        mock.wait_seconds(20);
        mock.bytes(b"}\n{\"method\":\"noise\"");
        mock.wait_seconds(20);
        mock.bytes(b"}\n");
    }
    mock.wait_seconds(60);
    assert_eq!(mock.closed(), None);
}

#[test]
fn s2_eight_malformed_lines_in_a_minute_close() {
    let mut mock = Mock::ready();
    for _ in 0..7 {
        mock.line("this is no JSON");
    }
    assert_eq!(mock.closed(), None);
    // They leave the window, the next seven are fine again.
    mock.wait_seconds(61);
    for _ in 0..7 {
        mock.bytes(b"\xff\xfe\n");
    }
    assert_eq!(mock.closed(), None);
    mock.line("{\"id\":1}}");
    let Some(CloseReason::Malformed { count: 8, last }) = mock.closed() else { panic!() };
    assert!(last.contains("damaged near byte 9"), "{last}");
}

#[test]
fn s2_malformed_lines_of_another_connection_do_not_count() {
    let mut mock = Mock::ready();
    (0..7).for_each(|_| mock.line("nonsense"));
    mock.disconnect();
    mock.handshake("a1b2c3d4", 4);
    (0..7).for_each(|_| mock.line("nonsense"));
    assert_eq!(mock.closed(), None);
}

#[test]
fn rule_8_what_never_spoke_stratum_is_told_of_once_by_what_it_speaks() {
    let mut mock = Mock::new(config());
    mock.connect();
    for line in ["HTTP/1.1 400 Bad Request", "Server: nginx", "", "<html>"] {
        mock.line(line);
    }
    assert_eq!(mock.warnings(), [""; 0], "whoever closes says what it looks like");
    mock.disconnect();
    // A pool with a banner speaks Stratum all the same.
    mock.connect();
    mock.line("welcome to the pool");
    assert_eq!(mock.warnings(), [""; 0]);
    mock.difficulty(1.0);
    let told = mock.warnings();
    assert!(told.len() == 1 && told[0].starts_with("ignored a malformed line"), "{told:?}");
}

#[test]
fn s2_n16_malformed_lines_leave_the_job_running() {
    for line in [
        &b"\xff\xff"[..],
        b"\0",
        b"{\"id\":1,\"result\":\"\xc3\x28\"}",
        b"{\"id\":1,\"id\":2,\"result\":true}",
        b"[{\"id\":1,\"result\":true}]",
        b"{\"method\":5,\"params\":[]}",
        b"{\"method\":\"mining.notify\",\"params\":[",
        b"HTTP/1.1 400 Bad Request",
    ] {
        let mut mock = Mock::ready();
        let job = mock.job("1", PREV, true);
        mock.bytes(line);
        mock.bytes(b"\n");
        let events = mock.events();
        assert!(
            matches!(events.as_slice(), [ClientEvent::Remark(Remark::Warning { .. })]),
            "{events:?}"
        );
        let request = mock.submitted(&share(&job, 0));
        mock.answer(&request["id"], json!(true));
        assert_eq!(mock.verdict().verdict, Verdict::Accepted);
    }
}

#[test]
fn s9_the_handshake_has_15_seconds() {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    mock.wait(Duration::from_millis(14_999));
    assert_eq!(mock.closed(), None);
    mock.wait(Duration::from_millis(1));
    let limit = Duration::from_secs(15);
    assert_eq!(mock.closed(), Some(CloseReason::Handshake { call: "mining.subscribe", limit }));
    assert_eq!(mock.client.poll_timeout(), None);

    mock.disconnect();
    let again = mock.connect();
    assert_ne!(sent, again);
    mock.answer(&asked(&again, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    mock.wait_seconds(15);
    assert_eq!(mock.closed(), Some(CloseReason::Handshake { call: "mining.authorize", limit }));
}

#[test]
fn s9_n17_silence_of_180_seconds_closes() {
    let mut mock = Mock::ready();
    mock.job("1", PREV, true);
    mock.wait_seconds(179);
    assert_eq!(mock.closed(), None);
    mock.wait_seconds(1);
    assert_eq!(mock.closed(), Some(CloseReason::Silent(Duration::from_secs(180))));
}

#[test]
fn s9_n17_a_zombie_that_pings_but_gives_no_work_is_left_after_5_minutes() {
    let mut mock = Mock::ready();
    mock.job("1", PREV, true);
    for _ in 0..4 {
        mock.wait_seconds(60);
        mock.line(r#"{"id":42,"method":"mining.ping","params":[]}"#);
        // A job that cannot be worked on is no sign of life.
        mock.call("mining.notify", json!(["2", "bad"]));
    }
    assert_eq!(mock.closed(), None);
    mock.wait_seconds(60);
    assert_eq!(mock.closed(), Some(CloseReason::NoJob(Duration::from_secs(300))));
}

#[test]
fn s9_a_pool_that_works_every_minute_is_kept_for_a_week() {
    let mut mock = Mock::ready();
    for n in 0..7 * 24 * 60 {
        mock.call("mining.notify", notify_params(&n.to_string(), PREV, HARD_BITS, false));
        mock.wait_seconds(60);
    }
    assert!(mock.client.poll_timeout().is_some());
    let events = mock.events();
    assert!(
        matches!(events.as_slice(), [ClientEvent::Job(_)]),
        "only the newest job waits: {events:?}"
    );
}

#[test]
fn after_close_the_transport_is_not_heard_and_a_fresh_one_is() {
    let mut mock = Mock::ready();
    mock.wait_seconds(180);
    assert!(mock.closed().is_some());
    mock.call("mining.notify", notify_params("1", PREV, HARD_BITS, true));
    assert!(mock.events().is_empty());
    mock.disconnect();
    mock.handshake("a1b2c3d4", 4);
    mock.job("2", PREV, true);
}

#[test]
fn a_half_line_dies_with_its_connection() {
    let mut mock = Mock::ready();
    mock.bytes(b"{\"id\":1,");
    mock.disconnect();
    mock.handshake("a1b2c3d4", 4);
    mock.job("1", PREV, true);
    assert!(mock.warnings().is_empty());
}

#[test]
fn a_connection_that_replaces_another_needs_no_word_in_between() {
    let mut mock = Mock::ready();
    let job = mock.job("1", PREV, true);
    mock.submitted(&share(&job, 0));
    mock.handshake("a1b2c3d4", 4);
    assert_eq!(methods(&mock.sent()), ["mining.submit"]);
}

fn redirect(params: Value) -> Vec<ClientEvent> {
    let mut mock = Mock::ready();
    mock.call("client.reconnect", params);
    mock.events()
}

#[test]
fn s7_n15_redirects_in_every_form() {
    let to = |host: Option<&str>, port: Option<u16>, wait: u64| {
        [ClientEvent::Redirect {
            host: host.map(str::to_owned),
            port,
            wait: Duration::from_secs(wait),
        }]
    };
    assert_eq!(redirect(json!([])), to(None, None, 0));
    assert_eq!(redirect(json!(["eu.pool.com", 3333, 5])), to(Some("eu.pool.com"), Some(3333), 5));
    assert_eq!(
        redirect(json!(["eu.pool.com", "3333", "5"])),
        to(Some("eu.pool.com"), Some(3333), 5)
    );
    assert_eq!(redirect(json!(["", 3333])), to(None, Some(3333), 0));
    assert_eq!(redirect(json!([null, null, null])), to(None, None, 0));
    assert_eq!(redirect(json!(["a", 65535, 60])), to(Some("a"), Some(65535), 60));
    for (wait, told) in [(json!(3600), "3600"), (json!("3600"), "3600"), (json!(1e300), "10000")] {
        let [ClientEvent::Remark(Remark::Warning { text }), event] =
            &redirect(json!(["1.2.3.4", 1, wait]))[..]
        else {
            panic!("{wait}: a wait that is cut is told")
        };
        assert_eq!(*event, to(Some("1.2.3.4"), Some(1), 60)[0]);
        let words = format!("the wait is cut to 60 s, the limit, from {told}");
        assert!(text.contains(&words) && text.chars().count() <= 256, "{text}");
    }
    assert_eq!(redirect(json!(["a", 1, -5])), to(Some("a"), Some(1), 0));
    for bad in [
        json!(["a".repeat(5000), 3333]),
        json!(["stratum+tcp://evil.com", 3333]),
        json!(["evil.com:3333", 3333]),
        json!([7, 3333]),
        json!(["a b", 3333]),
        json!(["a", 0]),
        json!(["a", "0"]),
        json!(["a", 70000]),
        json!(["a", "70000"]),
        json!(["a", -1]),
        json!(["a", 33.5]),
        json!(["a", "http"]),
        json!(["a", [3333]]),
    ] {
        let events = redirect(bad.clone());
        let [ClientEvent::Remark(Remark::Warning { text: words })] = events.as_slice() else {
            panic!("{bad}: {events:?}")
        };
        assert!(words.starts_with("ignored client.reconnect: its "), "{words}");
    }
}

#[test]
fn s7_n15_a_loop_of_redirects_ends_after_three_in_ten_minutes_even_over_reconnects() {
    let mut mock = Mock::ready();
    let redirects = |mock: &mut Mock| {
        mock.call("client.reconnect", json!(["other.pool.com", 3333]));
        let is_redirect = |event: &ClientEvent| matches!(event, ClientEvent::Redirect { .. });
        let followed = mock.events().iter().any(is_redirect);
        mock.disconnect();
        mock.wait_seconds(1);
        mock.handshake("a1b2c3d4", 4);
        followed
    };
    let followed: Vec<_> = (0..6).map(|_| redirects(&mut mock)).collect();
    assert_eq!(followed, [true, true, true, false, false, false]);
    mock.job("1", PREV, true);
    for n in 0..10 {
        mock.wait_seconds(60);
        mock.job(&n.to_string(), PREV, false);
    }
    assert!(redirects(&mut mock));
}
