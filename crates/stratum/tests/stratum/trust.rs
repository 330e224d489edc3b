//! The consequences of a pool's answers to shares, or of their absence.

use midstate_stratum::{ClientEvent, CloseReason};
use serde_json::{Value, json};

use crate::mock::{Mock, PREV, share, share_at};

/// Finds a share each second and answers it like this; why the client leaves, and when.
fn refused(seconds: u32, mut answer: impl FnMut(&mut Mock, u32, &Value)) -> Option<(u32, String)> {
    let mut mock = Mock::ready();
    let mut job = mock.job("1", PREV, true);
    for second in 0..seconds {
        let request = mock.submitted(&share_at(&job, job.version, second));
        answer(&mut mock, second, &request["id"]);
        mock.wait_seconds(1);
        for event in mock.events() {
            match event {
                ClientEvent::Close(reason) => return Some((second, reason.to_string())),
                ClientEvent::Job(newer) => job = newer,
                _ => {}
            }
        }
    }
    None
}

#[test]
fn refusals_of_any_kind_have_consequences() {
    for (error, words, cause) in [
        (json!([20, "Invalid address", null]), "Invalid address", "user name, address or password"),
        (json!([21, "Job not found", null]), "Job not found", "knows none of our jobs"),
        (json!([22, "Duplicate share", null]), "Duplicate share", "repeated one"),
        (json!([23, "Low difficulty", null]), "Low difficulty", "disagree about the difficulty"),
        (json!([-2, null, null]), "code -2", "user name, address or password"),
        (json!("go away"), "go away", "user name, address or password"),
        (json!({"code": 99, "message": "odd"}), "odd", "user name, address or password"),
        (json!(false), "no reason given", "user name, address or password"),
    ] {
        let (second, reason) = refused(100, |mock, _, id| match &error {
            Value::Bool(false) => mock.answer(id, json!(false)),
            error => mock.refuse(id, error.clone()),
        })
        .unwrap_or_else(|| panic!("{error}: nothing followed"));
        assert_eq!(second, 30, "{error}: after 30 s");
        assert!(reason.contains("refused 31 shares in a row over 30 s"), "{error}: {reason}");
        assert!(reason.contains(words) && reason.contains(cause), "{error}: {reason}");
    }
}

#[test]
fn advice_for_a_refusal_and_the_likely_cause_of_many_do_not_contradict_each_other() {
    for error in [json!(null), json!([20, null]), json!([21, "Job not found"]), json!([23, "low"])]
    {
        let (_, reason) = refused(100, |mock, _, id| mock.refuse(id, error.clone())).unwrap();
        let mut mock = Mock::ready();
        let job = mock.job("job", PREV, true);
        let request = mock.submitted(&share(&job, 0));
        mock.refuse(&request["id"], error.clone());
        let advice = mock.verdict().advice.unwrap();
        let words = ["difficulty", "user name", "job ids"];
        for word in words {
            assert_eq!(advice.contains(word), reason.contains(word), "{advice}; {reason}");
        }
    }
}

#[test]
fn one_accepted_share_ends_the_row_of_refusals() {
    let left = refused(290, |mock, second, id| match second % 15 {
        0 => mock.answer(id, json!(true)),
        _ => mock.refuse(id, json!([20, "no", null])),
    });
    assert_eq!(left, None);
}

#[test]
fn stale_refusals_directly_after_a_new_job_do_not_count_unless_nothing_else_ever_comes() {
    use crate::mock::{HARD_BITS, notify_params};
    let next_job = |mock: &mut Mock, second: u32| {
        let id = format!("j{second}");
        mock.call("mining.notify", notify_params(&id, PREV, HARD_BITS, true));
    };
    let stale = json!([21, "Stale", null]);
    let all_stale = |mock: &mut Mock, second: u32, id: &Value| {
        next_job(mock, second);
        mock.refuse(id, stale.clone());
    };
    assert_eq!(refused(290, all_stale), None);
    assert!(refused(400, all_stale).is_some(), "five minutes of nothing else");
    let some_stale = |mock: &mut Mock, second: u32, id: &Value| {
        next_job(mock, second);
        match second % 100 {
            0 => mock.answer(id, json!(true)),
            _ => mock.refuse(id, stale.clone()),
        }
    };
    assert_eq!(refused(1000, some_stale), None);
}

#[test]
fn a_pool_that_waits_for_its_next_block_to_build_on_refuses_without_consequences() {
    let words = "a block on this tip was found already; the next job follows";
    assert_eq!(refused(290, |mock, _, id| mock.refuse(id, json!([21, words, null]))), None);
    let mut mock = Mock::ready();
    let job = mock.job("1", PREV, true);
    let request = mock.submitted(&share(&job, 0));
    mock.refuse(&request["id"], json!([21, words, null]));
    assert_eq!(mock.verdict().advice, None, "there is nothing to do");
}

#[test]
fn silence_has_consequences_before_three_minutes() {
    // One share in so many seconds, and when the pool is left: the slower the miner, the later.
    for (every, at) in [(1, 60), (12, 60), (20, 81), (40, 161)] {
        let mut mock = Mock::ready();
        let job = mock.job("1", PREV, true);
        let mut left = None;
        for second in 0..300_u32 {
            if second % every == 0 && left.is_none() {
                mock.submit(&share_at(&job, job.version, second));
                mock.sent();
            }
            let reason = mock.events().into_iter().find_map(|event| match event {
                ClientEvent::Close(reason @ CloseReason::Unanswered { .. }) => {
                    Some(reason.to_string())
                }
                _ => None,
            });
            if let Some(reason) = reason {
                left = Some((second, reason));
                break;
            }
            mock.wait_seconds(1);
        }
        let (second, reason) = left.unwrap_or_else(|| panic!("every {every} s: never left"));
        assert_eq!(second, at, "every {every} s: {reason}");
        assert!(reason.contains("shares unanswered"), "{reason}");
    }
}

#[test]
fn silence_is_as_old_as_the_oldest_share_that_waits_and_no_older() {
    let mut mock = Mock::ready();
    let job = mock.job("1", PREV, true);
    let first = mock.submitted(&share_at(&job, job.version, 0));
    mock.wait_seconds(20);
    for nonce in 1..=5 {
        mock.submitted(&share_at(&job, job.version, nonce));
    }
    mock.wait_seconds(1);
    mock.answer(&first["id"], json!(true));
    mock.wait_seconds(58);
    assert_eq!(mock.closed(), None);
    mock.wait_seconds(1);
    let reason = mock.closed().expect("five shares wait for a minute").to_string();
    assert_eq!(reason, "the pool left 5 shares unanswered, the oldest for 60 s");
}
