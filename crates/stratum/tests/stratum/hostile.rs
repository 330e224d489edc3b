//! The corpus of hostile lines: each is fed to a client at work, and its whole effect is compared
//! with the verdict beside it.
//!
//! A row of `tests/data/hostile-lines` is `verdict | line`. The client has a job and one share
//! under way, with id 5. Macros in a line: `«text*n»` repeats, `«hex:00ff»` stands for bytes,
//! `«prev»` for the running job's previous hash. The verdict joins what happened with `+`:
//!
//! `nothing`, `malformed` (counted towards the limit), `warning`, `job`, `difficulty`, `message`,
//! `redirect`, `ignored` (counted, a method that is not known), `reply`, `unknown` (a refusal of
//! such a method), `accepted`, `rejected`, `close`.

use midstate_chain::Verdict;
use midstate_stratum::{ClientEvent, Remark, ShareOutcome};
use serde_json::json;

use crate::mock::{EASY, Mock, PREV, share};

const CORPUS: &str = include_str!("../data/hostile-lines");

/// The line that a row stands for.
fn expand(row: &str) -> Vec<u8> {
    let mut line = Vec::new();
    let mut rest = row;
    while let Some((plain, macro_on)) = rest.split_once('«') {
        let (inside, after) = macro_on.split_once('»').expect("a macro is closed");
        line.extend(plain.as_bytes());
        if inside == "prev" {
            line.extend(PREV.as_bytes());
        } else if let Some(bytes) = inside.strip_prefix("hex:") {
            line.extend(hex::decode(bytes).expect("hex in a macro"));
        } else {
            let (text, times) = inside.rsplit_once('*').expect("text*times");
            line.extend(text.repeat(times.parse().expect("a number of times")).as_bytes());
        }
        rest = after;
    }
    line.extend(rest.as_bytes());
    line
}

/// All that a line does to a client at work.
fn effect(line: &[u8]) -> String {
    let mut mock = Mock::ready();
    let job = mock.job("run", PREV, true);
    let request = mock.submitted(&share(&job, 0));
    assert_eq!(request["id"], 5);
    mock.bytes(line);
    mock.bytes(b"\n");

    let mut effects = Vec::new();
    let (mut ended, mut closed) = (0, false);
    for event in mock.events() {
        effects.push(match event {
            ClientEvent::Remark(Remark::Warning { text })
                if text.starts_with("ignored a malformed line") =>
            {
                "malformed"
            }
            ClientEvent::Remark(Remark::Warning { .. }) => "warning",
            ClientEvent::Job(_) => "job",
            ClientEvent::Difficulty(_) => "difficulty",
            ClientEvent::Remark(Remark::Message { .. }) => "message",
            ClientEvent::Redirect { .. } => "redirect",
            ClientEvent::Verdict(ShareOutcome { verdict, .. }) => {
                ended += 1;
                if verdict == Verdict::Accepted { "accepted" } else { "rejected" }
            }
            ClientEvent::Ignored { .. } => "ignored",
            ClientEvent::Close(_) => "close",
            other => panic!("unexpected: {other:?}"),
        });
        closed |= effects.last() == Some(&"close");
    }
    for sent in mock.sent() {
        effects.push(if sent["error"].is_null() { "reply" } else { "unknown" });
    }

    // After any line the books are right, and the client still works or is closed.
    assert_eq!(ended + mock.client.pending(), 1);
    if !closed {
        mock.difficulty(EASY);
        let job = mock.job("after", PREV, false);
        let request = mock.submitted(&share(&job, 1));
        mock.answer(&request["id"], json!(true));
        assert_eq!(mock.verdict().verdict, Verdict::Accepted);
    }
    if effects.is_empty() { "nothing".into() } else { effects.join("+") }
}

#[test]
fn s1_to_s12_every_hostile_line_has_the_effect_it_should_have() {
    let rows = CORPUS.lines().filter(|row| !row.is_empty() && !row.starts_with('#'));
    let mut count = 0;
    let mut wrong = Vec::new();
    for row in rows {
        let (verdict, line) = row.split_once(" | ").expect("verdict | line");
        let effect = effect(&expand(line));
        if effect != verdict.trim() {
            wrong.push(format!("expected {verdict}, got {effect}: {line}"));
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 300, "{count} lines");
}
