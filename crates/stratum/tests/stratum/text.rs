//! Words of the pool on their way to people (S11), and the page of limits.

use std::time::Duration;

use midstate_stratum::{ClientEvent, Limits};
use serde_json::json;

use crate::mock::Mock;

#[test]
fn s11_messages_are_clean_short_and_slow() {
    let mut mock = Mock::ready();
    mock.call("client.show_message", json!(["\u{1b}]52;c;ZWNobyBvd25lZA==\u{7}\u{9b}2Jhello\r\n"]));
    assert_eq!(mock.events(), [ClientEvent::Message("]52;c;ZWNobyBvd25lZA==2Jhello".into())]);
    for _ in 0..50 {
        mock.call("client.show_message", json!(["again"]));
    }
    assert_eq!(mock.events(), []);
    mock.wait_seconds(10);
    mock.call("client.show_message", json!(["x".repeat(300)]));
    let expected = format!("{}… (50 more were held back)", "x".repeat(255));
    assert_eq!(mock.events(), [ClientEvent::Message(expected)]);
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
        ["refused a job: expected 9 parameters, got 0 (9996 more were held back)"]
    );
}

#[test]
fn s11_an_error_without_an_id_is_shown_and_pairs_with_nothing() {
    let mut mock = Mock::ready();
    mock.line(r#"{"id":null,"result":null,"error":[-32700,"Parse \u001b[1merror",null]}"#);
    assert_eq!(mock.warnings(), ["the pool says: Parse [1merror"]);
}

#[test]
fn limits_have_a_page_with_a_consequence_each() {
    let rows = Limits::default().rows();
    let mut names: Vec<_> = rows.iter().map(|(name, ..)| *name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rows.len(), "each name once");
    assert!(rows.iter().all(|(_, value, over)| !value.is_empty() && !over.is_empty()));
    let value = |wanted: &str| rows.iter().find(|(name, ..)| *name == wanted).map(|row| &*row.1);
    assert_eq!(value("line from a pool"), Some("524288 bytes"));
    assert_eq!(value("malformed lines"), Some("8 in 60 s"));
}
