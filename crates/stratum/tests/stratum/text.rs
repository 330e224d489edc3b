//! Words of the pool on their way to people (S11), and the page of limits.

use std::time::Duration;

use midstate_stratum::{ClientConfig, ClientEvent, Limits, Remark};
use serde_json::json;

use crate::mock::{HARD_BITS, Mock, PREV, asked, config, notify_params, share};

#[test]
fn s11_messages_are_clean_short_and_slow() {
    let mut mock = Mock::ready();
    mock.call("client.show_message", json!(["\u{1b}]52;c;ZWNobyBvd25lZA==\u{7}\u{9b}2Jhello\r\n"]));
    assert_eq!(
        mock.events(),
        [ClientEvent::Remark(Remark::message("]52;c;ZWNobyBvd25lZA==2Jhello"))]
    );
    for _ in 0..50 {
        mock.call("client.show_message", json!(["again"]));
    }
    assert_eq!(mock.events(), []);
    mock.wait_seconds(10);
    mock.call("client.show_message", json!(["x".repeat(300)]));
    let expected = format!("{}… (50 more held back)", "x".repeat(255));
    assert_eq!(mock.events(), [ClientEvent::Remark(Remark::message(expected))]);
}

#[test]
fn s11_a_message_without_text_is_nothing() {
    let mut mock = Mock::ready();
    for params in [json!([]), json!([null]), json!([5]), json!({"text": "x"})] {
        mock.call("client.show_message", params);
    }
    assert_eq!(mock.events(), []);
}

#[test]
fn rule_7_our_password_is_in_no_text_of_the_pool() {
    let secret = "hUnTe\"R2";
    let config = ClientConfig { password: secret.to_owned(), ..config() };
    let mut mock = Mock::new(config.clone());
    mock.handshake("a1b2c3d4", 4);
    let job = mock.job("1", PREV, true);
    mock.events();
    let said = format!("bad login ['w', '{secret}']");
    mock.call("client.show_message", json!([said]));
    mock.wait_seconds(11);
    mock.line(&json!({"id": null, "error": [-1, said, null]}).to_string());
    mock.wait_seconds(11);
    // With what does not print between its letters, and in the field of a job.
    mock.line(&json!({"id": null, "error": [-1, "hUn\u{200b}Te\"R2", null]}).to_string());
    let mut params = notify_params("2", PREV, HARD_BITS, true);
    params[6] = json!(secret);
    mock.call("mining.notify", params);
    mock.call(&format!("x{secret}"), json!([]));
    let request = mock.submitted(&share(&job, 0));
    mock.refuse(&request["id"], json!([20, said]));
    let mut events = mock.events();
    assert!(events.len() >= 6, "{events:?}");
    // Cut in the middle of the password.
    mock.wait_seconds(60);
    mock.call("client.show_message", json!(["x".repeat(252) + secret]));
    events.extend(mock.events());
    // Refusals that end a connection.
    for method in ["mining.subscribe", "mining.authorize"] {
        let mut mock = Mock::new(config.clone());
        let sent = mock.connect();
        mock.refuse(&asked(&sent, method)["id"], json!([20, said]));
        let again = mock.sent();
        if let Some(request) = again.first() {
            mock.refuse(&request["id"], json!([20, said]));
        }
        let ended = mock.events();
        assert!(ended.iter().any(|event| matches!(event, ClientEvent::Close(_))), "{ended:?}");
        events.extend(ended);
    }
    let told = format!("{events:?}");
    assert!(!told.contains("hUn"), "{told}");
    assert!(told.matches("['w', '***']").count() >= 4, "{told}");
    // `x` hides nothing, and would be in every second word.
    let mut mock = Mock::ready();
    mock.call("client.show_message", json!(["next"]));
    assert_eq!(mock.events(), [ClientEvent::Remark(Remark::message("next"))]);
}

#[test]
fn s11_warnings_do_not_flood() {
    let mut mock = Mock::ready();
    for _ in 0..10_000 {
        mock.call("mining.notify", json!(["1", "bad"]));
    }
    assert_eq!(mock.warnings().len(), 4);
    mock.wait(Duration::from_secs(10));
    mock.call("mining.notify", json!([]));
    assert_eq!(
        mock.warnings(),
        ["refused a job: expected 9 parameters, got 0 (9996 more held back)"]
    );
}

#[test]
fn s11_an_error_without_an_id_is_shown_and_pairs_with_nothing() {
    let mut mock = Mock::ready();
    mock.line(r#"{"id":null,"result":null,"error":[-32700,"Parse \u001b[1merror",null]}"#);
    let told = ClientEvent::Remark(Remark::message("Parse [1merror"));
    assert_eq!(mock.events(), [told], "the pool's own words");
}

#[test]
fn limits_have_a_page_with_a_consequence_each() {
    let rows = Limits::default().rows();
    let mut names: Vec<_> = rows.iter().map(|row| row.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows.len(), "each name once");
    assert!(rows.iter().all(|row| !row.value.is_empty() && !row.over.is_empty()));
    let value = |wanted: &str| rows.iter().find(|row| row.name == wanted).map(|row| &*row.value);
    assert_eq!(value("line from a pool"), Some("524288 bytes"));
    assert_eq!(value("malformed lines"), Some("8 in 60 s"));
}

#[test]
fn rule_2_an_answer_that_is_neither_yes_nor_no_is_shown_as_the_reason() {
    for (answer, shown) in [
        (json!(1), "1"),
        (json!([true]), "[true]"),
        (json!({"status": "OK"}), r#"{"status":"OK"}"#),
    ] {
        let mut mock = Mock::ready();
        let job = mock.job("job", PREV, true);
        let request = mock.submitted(&share(&job, 0));
        mock.answer(&request["id"], answer);
        let reason = mock.verdict().reason.unwrap();
        assert_eq!(reason, format!("the answer is {shown}, neither true nor an error"));
    }
}
