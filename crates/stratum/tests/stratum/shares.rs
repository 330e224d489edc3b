//! The fate of shares: judged, sent, answered, resent, and each counted exactly once.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Job, Share, Target, Verdict};
use midstate_stratum::rules::Recent;
use midstate_stratum::{ClientConfig, CloseReason, Limits};
use serde_json::{Value, json};

use crate::mock::{
    BLOCK_BITS, EASY, HARD_BITS, Mock, OTHER_PREV, PREV, SIGNET_BITS, asked, block, config,
    earnest_block, methods, notify_params, share, share_at,
};

/// A client that is through the handshake and has a job whose every hash is a share.
fn with_job() -> (Mock, std::sync::Arc<midstate_chain::Job>) {
    let mut mock = Mock::ready();
    let job = mock.job("job", PREV, true);
    (mock, job)
}

fn ids(sent: &[Value]) -> Vec<Value> {
    sent.iter().map(|request| request["id"].clone()).collect()
}

#[test]
fn fields_are_sent_at_full_width_in_lower_case() {
    let (mut mock, job) = with_job();
    let request = mock.submitted(&share_at(&job, job.version | 0x2000, 0xab));
    let expected = json!(["addr.worker", "job", "00000000", "65000000", "000000ab", "00002000"]);
    assert_eq!((&request["method"], &request["params"]), (&json!("mining.submit"), &expected));
    assert!(request["id"].is_u64());
}

#[test]
fn n13_every_shape_of_an_answer_has_its_verdict() {
    use Verdict::{Accepted, Rejected};
    for (answer, verdict, code, reason) in [
        (r#"{"id":ID,"result":true,"error":null}"#, Accepted, None, None),
        (r#"{"result":true,"id":ID}"#, Accepted, None, None),
        (r#"{"id":ID,"result":false,"error":null}"#, Rejected, None, None),
        (r#"{"id":ID,"result":null,"error":null}"#, Rejected, None, None),
        (r#"{"id":ID}"#, Rejected, None, None),
        (r#"{"id":ID,"error":[23]}"#, Rejected, Some(23), None),
        (r#"{"id":ID,"error":[20,"x"]}"#, Rejected, Some(20), Some("x")),
        (
            r#"{"id":ID,"result":null,"error":[21,"Job not found",null]}"#,
            Rejected,
            Some(21),
            Some("Job not found"),
        ),
        (r#"{"id":ID,"error":["22","dup"]}"#, Rejected, Some(22), Some("dup")),
        (
            r#"{"id":ID,"error":{"code":-32000,"message":"busy","data":1}}"#,
            Rejected,
            Some(-32000),
            Some("busy"),
        ),
        (r#"{"id":ID,"error":"low"}"#, Rejected, None, Some("low")),
        (r#"{"id":ID,"error":true}"#, Rejected, None, None),
        (
            r#"{"reject-reason":"Above target","result":false,"error":null,"id":ID}"#,
            Rejected,
            None,
            Some("Above target"),
        ),
        (
            r#"{"id":ID,"error":[20,"\u001b]0;owned\u0007 \u001b[31mred\r\n"]}"#,
            Rejected,
            Some(20),
            Some("]0;owned [31mred"),
        ),
    ] {
        let (mut mock, job) = with_job();
        let found = share(&job, 0);
        let request = mock.submitted(&found);
        mock.wait(Duration::from_millis(38));
        mock.line(&answer.replace("ID", &request["id"].to_string()));
        let ended = mock.verdict();
        assert_eq!(
            (ended.verdict, ended.code, ended.reason.as_deref(), ended.latency),
            (verdict, code, reason, Duration::from_millis(38)),
            "{answer}"
        );
        assert_eq!((ended.share, mock.client.pending()), (found, 0));
    }
}

#[test]
fn n12_answers_are_paired_by_id_in_any_order_and_once() {
    let (mut mock, job) = with_job();
    for nth in 0..4 {
        mock.submit(&share(&job, nth));
    }
    let ids = ids(&mock.sent());
    mock.refuse(&ids[2], json!([23, "low"]));
    mock.answer(&json!(ids[0].to_string()), json!(true));
    mock.line(&format!(r#"{{"id":{}.0,"result":true}}"#, ids[3]));
    mock.answer(&ids[1], json!(true));
    // Doubled, unknown, null, negative, huge and absurd ids change nothing.
    for id in [&ids[2], &json!(999), &json!(null), &json!(-1), &json!(u64::MAX), &json!([1])] {
        mock.answer(id, json!(true));
    }
    let ended: Vec<_> = mock.verdicts().into_iter().map(|e| (e.share.nonce, e.verdict)).collect();
    let expected = [2, 0, 3, 1].map(|nth: usize| {
        let verdict = if nth == 2 { Verdict::Rejected } else { Verdict::Accepted };
        (share(&job, nth).nonce, verdict)
    });
    assert_eq!(ended, expected);
    assert_eq!((mock.client.pending(), mock.closed()), (0, None));
}

#[test]
fn n14_requests_of_the_pool_are_told_from_answers_by_their_method() {
    let (mut mock, job) = with_job();
    let request = mock.submitted(&share(&job, 0));
    let id = &request["id"];
    for (line, reply) in [
        // eloipool's id 7 and 8, ckpool's 42: here the very id of the share.
        (r#"{"id":ID,"method":"client.get_version","params":[]}"#, Some(json!("midstate/0.1"))),
        (r#"{"id":ID,"method":"client.show_message","params":["hi"]}"#, Some(json!(true))),
        (r#"{"params":[],"id":ID,"method":"mining.ping"}"#, Some(json!("pong"))),
        (r#"{"id":null,"method":"client.show_message","params":["hi"]}"#, None),
        (r#"{"method":"mining.ping"}"#, None),
        (r#"{"id":null,"method":"mining.set_goal","params":["x",{"malgo":"y"}]}"#, None),
    ] {
        mock.line(&line.replace("ID", &id.to_string()));
        let sent = mock.sent();
        match reply {
            Some(result) => {
                assert_eq!(sent, [json!({"id": id, "result": result, "error": null})], "{line}");
            }
            None => assert!(sent.is_empty(), "{line}: {sent:?}"),
        }
    }
    mock.line(&format!(r#"{{"id":{id},"method":"mining.multi_version","params":[1]}}"#));
    assert_eq!(mock.sent()[0]["error"][0], -3);
    assert_eq!((mock.client.pending(), mock.closed()), (1, None));
    mock.answer(id, json!(true));
    assert_eq!(mock.verdict().verdict, Verdict::Accepted);
}

#[test]
fn i6_equality_counts_and_one_more_does_not() {
    let mut mock = Mock::ready();
    let job = mock.job("1", PREV, true);
    let found = share(&job, 0);
    for (above, verdict) in [(0u64, None), (1, Some(Verdict::Rejected))] {
        let mut job = midstate_chain::Job::clone(&job);
        let hash = midstate_chain::U256::from_le_bytes(*found.hash.as_bytes());
        job.share_target =
            midstate_chain::Target::from_number(hash - midstate_chain::U256::from(above));
        mock.submit(&Share { job: job.into(), ..found.clone() });
        assert_eq!(mock.verdicts().first().map(|ended| ended.verdict), verdict);
        assert_eq!(mock.sent().len(), usize::from(verdict.is_none()));
    }
}

#[test]
fn i6_a_share_that_does_not_hash_to_its_hash_is_not_sent() {
    let (mut mock, job) = with_job();
    let good = share(&job, 0);
    for (broken, words) in [
        (Share { nonce: good.nonce ^ 1, ..good.clone() }, "does not hash to its hash"),
        (Share { extranonce2: vec![0; 3], ..good.clone() }, "extranonce2 or version"),
        (Share { version: good.version | 1, ..good.clone() }, "extranonce2 or version"),
    ] {
        mock.submit(&broken);
        let ended = mock.verdict();
        assert_eq!(ended.verdict, Verdict::Rejected);
        assert!(ended.reason.unwrap().contains(words), "{words}");
    }
    assert!(mock.sent().is_empty());
}

#[test]
fn i2_the_same_share_is_sent_once() {
    let (mut mock, job) = with_job();
    mock.submitted(&share(&job, 0));
    mock.submit(&share(&job, 0));
    assert_eq!(mock.verdict().reason.as_deref(), Some("not sent: it was found and sent before"));
    assert!(mock.sent().is_empty());
}

#[test]
fn a_share_is_remembered_as_long_as_its_job_counts() {
    let mut mock = Mock::ready();
    let old = mock.job("1", PREV, true);
    mock.submitted(&share(&old, 0));
    // The same headers under another id, after the first was voided: a share of them is known.
    let again = mock.job("2", PREV, true);
    assert!(again.same_work(&old));
    mock.submitted(&share(&again, 1));
    mock.submit(&Share { job: again, ..share(&old, 0) });
    assert_eq!(mock.verdict().reason.as_deref(), Some("not sent: it was found and sent before"));
    // With the job its shares are forgotten: one more is stale, whether it was sent or not.
    mock.job("3", OTHER_PREV, true);
    mock.submit(&share(&old, 0));
    assert_eq!(mock.verdict().verdict, Verdict::Stale);
}

#[test]
fn shares_of_void_jobs_take_no_memory() {
    let (mut mock, old) = with_job();
    let new = mock.job("2", OTHER_PREV, true);
    let mut recent = Recent::new(3);
    let hash = |nth: u8| Hash256::from_bytes([nth; 32]);
    (0..3).for_each(|nth| recent.insert(&old, hash(nth), |_| true));
    recent.insert(&old, hash(3), |_| true);
    assert_eq!([0, 1, 2, 3].map(|nth| recent.contains(&hash(nth))), [false, true, true, true]);
    recent.insert(&new, hash(4), |job| Arc::ptr_eq(job, &new));
    assert_eq!([1, 2, 3, 4].map(|nth| recent.contains(&hash(nth))), [false, false, false, true]);
}

/// A client with a job that is older than a raise of the difficulty, and the raised target, which
/// about half of all hashes meet.
fn raised() -> (Mock, std::sync::Arc<midstate_chain::Job>, Target) {
    let mut mock = Mock::ready();
    let old = mock.job("1", PREV, true);
    mock.difficulty(1.0 / f64::from(1u32 << 31));
    let target = mock.job("2", PREV, false).share_target;
    (mock, old, target)
}

/// The `nth` share of a job that meets this target, or does not.
fn share_that(meets: bool, target: Target, job: &std::sync::Arc<Job>, nth: usize) -> Share {
    let all = (0..1000).map(|nonce| share_at(job, job.version, nonce));
    all.filter(|share| target.is_met_by(&share.hash) == meets).nth(nth).expect("half of all")
}

/// "Too easy", as several pools say it, with the id left out.
const TOO_EASY: [&str; 4] = [
    r#""result":null,"error":[23,"low difficulty share"]"#,
    // ckpool before 2026.
    r#""reject-reason":"Above target","result":false,"error":null"#,
    r#""result":null,"error":"above target""#,
    // p2poolv2, which applies a difficulty at once.
    r#""result":false,"error":null"#,
];

fn answer_with(mock: &mut Mock, id: &Value, rest: &str) {
    mock.line(&format!(r#"{{"id":{id},{rest}}}"#));
}

#[test]
fn n6_after_a_refusal_on_a_raise_old_jobs_are_judged_by_the_harder_of_both() {
    for refusal in TOO_EASY {
        let (mut mock, old, target) = raised();
        let outgrown = |nth| share_that(false, target, &old, nth);
        // Pools differ: as long as this one takes them, they are sent.
        let request = mock.submitted(&outgrown(0));
        mock.answer(&request["id"], json!(true));
        assert_eq!(mock.verdict().verdict, Verdict::Accepted);

        let request = mock.submitted(&outgrown(1));
        answer_with(&mut mock, &request["id"], refusal);
        let ended = mock.verdict();
        assert_eq!(ended.verdict, Verdict::Rejected);
        assert!(ended.advice.unwrap().contains("judges old jobs by its new difficulty"));

        mock.submit(&outgrown(2));
        let ended = mock.verdict();
        assert_eq!(ended.verdict, Verdict::Stale, "after {refusal}");
        assert!(ended.reason.unwrap().contains("higher difficulty"));
        mock.submitted(&share_that(true, target, &old, 3));

        // A lower difficulty does not reach back: the job's own is the harder one now.
        mock.difficulty(EASY);
        mock.submit(&outgrown(4));
        assert_eq!(mock.sent().len(), 1);
    }
}

#[test]
fn n6_a_refusal_that_the_raise_does_not_explain_changes_nothing() {
    // A hash that meets the new target, too, was refused for something else.
    for refusal in TOO_EASY {
        let (mut mock, old, target) = raised();
        let request = mock.submitted(&share_that(true, target, &old, 0));
        answer_with(&mut mock, &request["id"], refusal);
        assert!(!mock.verdict().advice.unwrap().contains("judges old jobs"), "{refusal}");
        mock.submitted(&share_that(false, target, &old, 0));
    }
    // And here the pool names the something else; DATUM with the same code.
    for refusal in [
        r#""result":null,"error":[23,"bad-version"]"#,
        r#""result":null,"error":[23,"H-not-zero"]"#,
        r#""reject-reason":"Stale","result":false,"error":null"#,
        r#""result":null,"error":[20,"no"]"#,
        r#""result":null,"error":"not above target at all""#,
    ] {
        let (mut mock, old, target) = raised();
        let request = mock.submitted(&share_that(false, target, &old, 0));
        answer_with(&mut mock, &request["id"], refusal);
        assert_eq!(mock.verdict().verdict, Verdict::Rejected);
        mock.submitted(&share_that(false, target, &old, 1));
    }
}

#[test]
fn n6_a_pool_that_judges_by_the_newest_is_not_held_to_the_default_after_a_reconnect() {
    let (mut mock, old, target) = raised();
    let request = mock.submitted(&share_that(false, target, &old, 0));
    mock.refuse(&request["id"], json!([23, "low"]));
    assert!(mock.verdict().advice.unwrap().contains("new difficulty"));
    mock.disconnect();
    // No difficulty is known here: 1, the default, would refuse nearly every share.
    mock.submit(&share_that(false, target, &old, 1));
    assert_eq!((mock.verdicts().len(), mock.client.pending()), (0, 1));
}

#[test]
fn n6_what_one_connection_taught_about_difficulties_is_forgotten_with_it() {
    let (mut mock, old, target) = raised();
    let request = mock.submitted(&share_that(false, target, &old, 0));
    mock.refuse(&request["id"], json!([23, "low"]));
    mock.disconnect();
    // A redirect may have led to another pool.
    mock.handshake("a1b2c3d4", 4);
    mock.difficulty(1.0 / f64::from(1u32 << 31));
    mock.events();
    mock.submitted(&share_that(false, target, &old, 1));
}

#[test]
fn n6_code_23_without_a_raise_changes_nothing() {
    let (mut mock, job) = with_job();
    let request = mock.submitted(&share(&job, 0));
    mock.refuse(&request["id"], json!([23, "low"]));
    assert!(mock.verdict().advice.unwrap().contains("disagree about the difficulty"));
    mock.submitted(&share(&job, 1));
}

#[test]
fn every_refusal_that_pools_explain_has_a_guess_and_a_cure() {
    for (error, words) in [
        (json!([21, "stale"]), "job was replaced"),
        (json!([20, "unknown-work"]), "job was replaced"),
        (json!([22, "dup"]), "has this share already"),
        (json!([23, "H-not-zero"]), "difficulty 1 or more"),
        (json!([23, "bad-version"]), "without version rolling"),
        (json!([24, "who"]), "check the user name"),
        (json!([25, "not subscribed"]), "a reconnect cures it"),
        // ckpool's words, which came without a number until 2026.
        (json!("Stale"), "job was replaced"),
        (json!("Invalid JobID"), "job was replaced"),
        (json!("Duplicate"), "has this share already"),
        (json!("ABOVE TARGET"), "disagree about the difficulty"),
        (json!("Worker mismatch"), "check the user name"),
    ] {
        let (mut mock, job) = with_job();
        let request = mock.submitted(&share(&job, 0));
        mock.job("next", PREV, false);
        mock.refuse(&request["id"], error.clone());
        let advice = mock.verdict().advice.unwrap_or_else(|| panic!("{error}"));
        assert!(advice.contains(words), "{error}: {advice}");
    }
    // "job" in the words of another refusal is no staleness.
    for error in [json!([20, "good job, but no"]), json!("not stale"), json!("duplicate?")] {
        let (mut mock, job) = with_job();
        let request = mock.submitted(&share(&job, 0));
        mock.refuse(&request["id"], error);
        let ended = mock.verdict();
        assert_eq!((ended.verdict, ended.advice), (Verdict::Rejected, None));
    }
}

#[test]
fn advice_says_that_a_job_was_replaced_only_where_one_was() {
    let (mut mock, job) = with_job();
    let request = mock.submitted(&share(&job, 0));
    mock.refuse(&request["id"], json!([21, "Job not found"]));
    let advice = mock.verdict().advice.unwrap();
    assert!(!advice.contains("replaced") && advice.contains("newest job"), "{advice}");
}

#[test]
fn a_refusal_without_a_readable_reason_has_none_and_has_advice() {
    for (answer, code) in [
        (r#"{"id":ID,"result":"","error":null}"#, None),
        (r#"{"id":ID,"result":"\u200b","error":null}"#, None),
        (r#"{"id":ID,"error":[20,"   "]}"#, Some(20)),
        (r#"{"id":ID,"error":[20,""]}"#, Some(20)),
        (r#"{"id":ID,"error":"\u200b\u202e"}"#, None),
        (r#"{"id":ID,"error":{"message":"\u001b\u0007"}}"#, None),
        (r#"{"id":ID,"error":{"code":-7,"message":"\n"}}"#, Some(-7)),
        (r#"{"id":ID,"result":false,"reject-reason":" "}"#, None),
    ] {
        let (mut mock, job) = with_job();
        let request = mock.submitted(&share(&job, 0));
        mock.line(&answer.replace("ID", &request["id"].to_string()));
        let ended = mock.verdict();
        assert_eq!((ended.verdict, ended.code), (Verdict::Rejected, code), "{answer}");
        assert_eq!(ended.reason, None, "{answer}");
        assert!(ended.advice.is_some_and(|advice| advice.contains("no reason")), "{answer}");
    }
}

/// A client with a job whose every second hash is a block, and that job voided.
fn with_void_block_job() -> (Mock, std::sync::Arc<midstate_chain::Job>) {
    let mut mock = Mock::ready();
    mock.call("mining.notify", notify_params("1", PREV, BLOCK_BITS, true));
    let job = mock.newest_job().expect("a job");
    mock.job("2", OTHER_PREV, true);
    (mock, job)
}

#[test]
fn i7_n20_a_block_is_sent_though_its_job_is_void() {
    let (mut mock, job) = with_void_block_job();
    let request = mock.submitted(&block(&job, 0));
    assert_eq!(request["params"][1], "1");
    let mut all = (0..100).map(|nonce| share_at(&job, job.version, nonce));
    let no_block = all.find(|share| !share.is_block()).expect("half of all");
    mock.submit(&no_block);
    assert_eq!(mock.verdict().verdict, Verdict::Stale);
}

#[test]
fn i7_i14_a_block_that_rolled_what_is_forbidden_by_now_is_sent_with_all_its_bits() {
    let mut mock = Mock::ready();
    mock.call("mining.notify", notify_params("1", PREV, BLOCK_BITS, true));
    let job = mock.newest_job().expect("a job");
    mock.call("mining.set_version_mask", json!(["00002000"]));
    let mut rolled = (0..100).map(|nonce| share_at(&job, job.version | 0x0100_2000, nonce));
    let found = rolled.find(Share::is_block).expect("regtest's target");
    assert_eq!(mock.submitted(&found)["params"][5], "01002000");
}

#[test]
fn i7_i9_a_block_is_sent_again_though_its_bits_are_forbidden_on_the_new_connection() {
    let mut mock = Mock::ready();
    mock.call("mining.notify", notify_params("1", PREV, BLOCK_BITS, true));
    let job = mock.newest_job().expect("a job");
    let mut rolled = (0..100).map(|nonce| share_at(&job, job.version | 0x2000, nonce));
    let found = rolled.find(Share::is_block).expect("regtest's target");
    mock.submitted(&found);
    mock.disconnect();
    // The mask comes last this time, or never.
    for request in mock.connect() {
        let result = match request["method"].as_str().unwrap() {
            "mining.configure" => continue,
            "mining.subscribe" => json!([null, "a1b2c3d4", 4]),
            _ => json!(true),
        };
        mock.answer(&request["id"], result);
    }
    let [again] = &mock.sent()[..] else { panic!("{:?}", mock.verdicts()) };
    assert_eq!(again["params"][4], json!(format!("{:08x}", found.nonce)));
    assert_eq!(again["params"][5], json!("00002000"), "without it another header is judged");
}

#[test]
fn i7_a_block_overtakes_shares_that_were_not_written_yet() {
    let mut mock = Mock::ready();
    mock.call("mining.notify", notify_params("1", PREV, BLOCK_BITS, true));
    let job = mock.newest_job().expect("a job");
    let all: Vec<_> = (0..40).map(|nonce| share_at(&job, job.version, nonce)).collect();
    let (blocks, shares): (Vec<_>, Vec<_>) = all.into_iter().partition(Share::is_block);
    shares.iter().take(3).chain(blocks.iter().take(2)).for_each(|share| mock.submit(share));
    let nonces: Vec<_> = mock.sent().iter().map(|sent| sent["params"][4].clone()).collect();
    let expected = blocks.iter().take(2).chain(shares.iter().take(3));
    let expected: Vec<_> = expected.map(|share| json!(format!("{:08x}", share.nonce))).collect();
    assert_eq!(nonces, expected);
}

#[test]
fn i7_s6_a_block_is_never_throttled_unless_it_is_a_toy() {
    for (bits, sent) in [(SIGNET_BITS, 7), (BLOCK_BITS, 1)] {
        let limits = Limits { share_rate: 1, ..Limits::default() };
        let mut mock = Mock::new(ClientConfig { limits, ..config() });
        mock.handshake("a1b2c3d4", 4);
        mock.call("mining.notify", notify_params("1", PREV, bits, true));
        let job = mock.newest_job().expect("a job");
        let found = if bits == BLOCK_BITS { block } else { earnest_block };
        (0..7).for_each(|nth| mock.submit(&found(&job, nth)));
        assert_eq!((mock.sent().len(), mock.verdicts().len()), (sent, 7 - sent));
    }
}

#[test]
fn i7_a_block_waits_for_authorization_and_survives_a_lost_session() {
    let (mut mock, job) = with_void_block_job();
    mock.disconnect();
    let found = block(&job, 0);
    mock.submit(&found);
    mock.handshake("ffffffff", 4);
    assert_eq!(methods(&mock.sent()), ["mining.submit"]);
    assert_eq!((mock.client.pending(), mock.verdicts().len()), (1, 0));
}

#[test]
fn s6_shares_above_the_rate_are_counted_as_throttled() {
    let (mut mock, job) = with_job();
    (0..500).for_each(|nth| mock.submit(&share_at(&job, job.version, nth)));
    assert_eq!(mock.sent().len(), 200);
    let throttled = mock.verdicts();
    assert_eq!(throttled.len(), 300);
    assert!(throttled.iter().all(|ended| ended.verdict == Verdict::Throttled));
    mock.wait(Duration::from_millis(500));
    (500..1000).for_each(|nth| mock.submit(&share_at(&job, job.version, nth)));
    assert_eq!(mock.sent().len(), 100);
}

#[test]
fn s6_n7_a_pool_that_answers_nothing_leaves_memory_flat_and_every_share_counted() {
    // Such a pool is left before this; what is tried here is memory.
    let unanswered = usize::MAX;
    let limits = Limits { outbox: 100, share_rate: 1_000_000, unanswered, ..Limits::default() };
    let mut mock = Mock::new(ClientConfig { limits, ..config() });
    mock.handshake("a1b2c3d4", 4);
    let job = mock.job("1", PREV, true);
    (0..1000).for_each(|nonce| mock.submit(&share_at(&job, job.version, nonce)));
    assert_eq!((mock.client.pending(), mock.sent().len()), (100, 100));
    let verdicts = mock.verdicts();
    assert_eq!(verdicts.len(), 900);
    assert!(verdicts.iter().all(|ended| ended.verdict == Verdict::Throttled));

    // A share without an answer in time is given up, and the next shares get their chance.
    mock.call("mining.notify", notify_params("1", PREV, HARD_BITS, false));
    mock.wait_seconds(119);
    assert_eq!(mock.verdicts().len(), 0);
    mock.wait_seconds(1);
    let verdicts = mock.verdicts();
    assert_eq!(verdicts.len(), 100);
    assert!(verdicts.iter().all(|ended| ended.verdict == Verdict::Unresolved));
    assert_eq!(verdicts[0].latency, Duration::from_secs(120));
    mock.submitted(&share_at(&job, job.version, 1000));
}

/// A client that keeps so many shares without an answer, and a job with earnest blocks.
fn with_room_for(outbox: usize) -> (Mock, std::sync::Arc<Job>) {
    let unanswered = usize::MAX;
    let limits = Limits { outbox, share_rate: 1_000_000, unanswered, ..Limits::default() };
    let mut mock = Mock::new(ClientConfig { limits, ..config() });
    mock.handshake("a1b2c3d4", 4);
    mock.call("mining.notify", notify_params("1", PREV, SIGNET_BITS, true));
    let job = mock.newest_job().expect("a job");
    (mock, job)
}

fn nonces(sent: &[Value]) -> Vec<Value> {
    sent.iter().map(|request| request["params"][4].clone()).collect()
}

#[test]
fn i7_s6_a_block_displaces_the_oldest_share_when_memory_is_full() {
    for is_written in [true, false] {
        let (mut mock, job) = with_room_for(3);
        (0..3).for_each(|nth| mock.submit(&share(&job, nth)));
        if is_written {
            assert_eq!(mock.sent().len(), 3);
        }
        (0..5).for_each(|nth| mock.submit(&earnest_block(&job, nth)));
        assert_eq!(mock.client.pending(), 3);
        let displaced: Vec<_> = mock.verdicts().into_iter().map(|ended| ended.share).collect();
        // Shares first, then the oldest of the blocks.
        let shares = (0..3).map(|nth| share(&job, nth));
        let expected: Vec<_> = shares.chain((0..2).map(|nth| earnest_block(&job, nth))).collect();
        assert_eq!(displaced, expected);
        // A settled share is not sent any more.
        let kept = [2, 3, 4].map(|nth| json!(format!("{:08x}", earnest_block(&job, nth).nonce)));
        assert_eq!(nonces(&mock.sent()), kept);
    }
}

#[test]
fn s6_no_more_lines_wait_to_be_written_than_shares_for_an_answer() {
    // Two minutes of a pool that reads nothing, over and over.
    let (mut mock, job) = with_room_for(10);
    for round in 0..20 {
        (0..50).for_each(|nth| mock.submit(&share_at(&job, job.version, round * 50 + nth)));
        assert_eq!(mock.client.pending(), 10);
        mock.call("mining.notify", notify_params("1", PREV, SIGNET_BITS, false));
        mock.wait_seconds(120);
    }
    assert_eq!(mock.client.pending(), 0);
    assert_eq!(nonces(&mock.sent()), Vec::<Value>::new(), "all were given up");

    // Toys do not get around it.
    mock.call("mining.notify", notify_params("2", PREV, BLOCK_BITS, true));
    let job = mock.newest_job().expect("a job");
    (0..1000).for_each(|nonce| mock.submit(&share_at(&job, job.version, nonce)));
    assert_eq!((mock.client.pending(), mock.sent().len()), (10, 10));
}

#[test]
fn n12_an_answer_before_its_question_meets_nothing() {
    let (mut mock, job) = with_job();
    let before = mock.submitted(&share(&job, 0))["id"].as_u64().expect("ours are numbers");
    mock.submit(&share(&job, 1));
    mock.answer(&json!(before + 1), json!(true));
    assert_eq!((mock.verdicts().len(), mock.client.pending()), (0, 2));
    let sent = mock.sent();
    assert_eq!(sent[0]["id"], before + 1);
    mock.answer(&sent[0]["id"], json!(true));
    assert_eq!(mock.verdict().share, share(&job, 1));
}

#[test]
fn i9_unanswered_shares_are_sent_again_when_the_session_comes_back() {
    let (mut mock, job) = with_job();
    (0..3).for_each(|nth| mock.submit(&share(&job, nth)));
    let first = mock.sent();
    mock.answer(&first[0]["id"], json!(true));
    assert_eq!(mock.verdict().verdict, Verdict::Accepted);
    mock.disconnect();
    assert_eq!((mock.client.pending(), mock.verdicts().len()), (2, 0));
    // Found while nobody listens, in the job that may still be good.
    mock.submit(&share(&job, 3));

    mock.handshake("a1b2c3d4", 4);
    let again = mock.sent();
    let nonces: Vec<_> = again.iter().map(|request| request["params"][4].clone()).collect();
    let expected = [1, 2, 3].map(|nth| json!(format!("{:08x}", share(&job, nth).nonce)));
    assert_eq!(nonces, expected);
    assert!(ids(&again).iter().all(|id| !ids(&first).contains(id)), "ids are never used twice");

    // The pool had the first of them; its answer was lost with the connection.
    mock.refuse(&again[0]["id"], json!([22, "Duplicate share"]));
    let ended = mock.verdict();
    assert_eq!((ended.verdict, ended.code), (Verdict::Accepted, Some(22)));
    assert!(ended.advice.unwrap().contains("counted as accepted"));
    mock.answer(&again[1]["id"], json!(true));
    // This one was never sent before: a duplicate of it is one.
    mock.refuse(&again[2]["id"], json!([22, "Duplicate share"]));
    let rest: Vec<_> = mock.verdicts().into_iter().map(|ended| ended.verdict).collect();
    assert_eq!(rest, [Verdict::Accepted, Verdict::Rejected]);
}

/// A pool that stopped reading cannot have what was never written.
#[test]
fn i9_a_share_whose_line_was_not_written_was_not_sent() {
    let (mut mock, job) = with_job();
    mock.submit(&share(&job, 0));
    mock.disconnect();
    mock.handshake("a1b2c3d4", 4);
    let sent = mock.sent();
    assert_eq!(sent.len(), 1, "now it is");
    mock.refuse(&sent[0]["id"], json!([22, "Duplicate share"]));
    assert_eq!(mock.verdict().verdict, Verdict::Rejected);
}

#[test]
fn i9_what_was_sent_is_given_up_in_time_though_the_pool_is_away() {
    for stays_down in [true, false] {
        let (mut mock, job) = with_job();
        mock.submitted(&share(&job, 0));
        mock.wait_seconds(60);
        mock.submitted(&share(&job, 1));
        mock.disconnect();
        mock.submit(&share(&job, 2));
        mock.wait_seconds(30);
        if !stays_down {
            // A connection without a subscription is no better.
            mock.connect();
            (0..8).for_each(|_| mock.line("not JSON"));
            assert!(mock.closed().is_some());
        }
        mock.wait_seconds(29);
        assert_eq!((mock.verdicts().len(), mock.client.pending()), (0, 3));
        mock.wait_seconds(1);
        let ended = mock.verdict();
        assert_eq!((ended.share, ended.verdict), (share(&job, 0), Verdict::Unresolved));
        assert_eq!(ended.latency, Duration::from_secs(120));
        mock.wait_seconds(60);
        assert_eq!(mock.verdict().share, share(&job, 1));
        // A share that was never sent has no answer to wait for.
        mock.wait_seconds(3600);
        assert_eq!((mock.verdicts().len(), mock.client.pending()), (0, 1));
        assert_eq!(mock.client.poll_timeout(), None);
    }
}

#[test]
fn i7_i9_a_block_waits_for_its_pool_however_long_unless_it_is_a_toy() {
    for bits in [SIGNET_BITS, BLOCK_BITS] {
        let mut mock = Mock::ready();
        mock.call("mining.notify", notify_params("1", PREV, bits, true));
        let job = mock.newest_job().expect("a job");
        let is_toy = bits == BLOCK_BITS;
        let found = if is_toy { block(&job, 0) } else { earnest_block(&job, 0) };
        mock.submitted(&found);
        mock.disconnect();
        mock.wait_seconds(3600);
        let ended: Vec<_> = mock.verdicts().into_iter().map(|ended| ended.verdict).collect();
        assert_eq!(ended, vec![Verdict::Unresolved; usize::from(is_toy)]);
        mock.handshake("a1b2c3d4", 4);
        assert_eq!(mock.sent().len(), usize::from(!is_toy));
    }
}

#[test]
fn i9_a_share_that_is_sent_again_has_as_long_again() {
    let (mut mock, job) = with_job();
    mock.submitted(&share(&job, 0));
    mock.wait_seconds(100);
    mock.disconnect();
    mock.handshake("a1b2c3d4", 4);
    assert_eq!(mock.sent().len(), 1);
    mock.wait_seconds(119);
    assert_eq!(mock.verdicts().len(), 0);
    mock.wait_seconds(1);
    assert_eq!(mock.verdict().verdict, Verdict::Unresolved);
}

#[test]
fn i9_ckpool_says_without_a_number_that_it_had_a_resent_share() {
    let (mut mock, job) = with_job();
    mock.submitted(&share(&job, 0));
    mock.disconnect();
    mock.submit(&share(&job, 1));
    mock.handshake("a1b2c3d4", 4);
    for id in ids(&mock.sent()) {
        let rest = r#""reject-reason":"Duplicate","result":false,"error":null"#;
        answer_with(&mut mock, &id, rest);
    }
    let [again, new] = &mock.verdicts()[..] else { panic!("two were sent") };
    assert_eq!((again.verdict, new.verdict), (Verdict::Accepted, Verdict::Rejected));
    assert!(again.advice.unwrap().contains("counted as accepted"));
    assert_eq!((again.code, again.reason.as_deref()), (None, Some("Duplicate")));
}

#[test]
fn i1_i9_a_resumed_session_goes_on_with_its_search() {
    let (mut mock, job) = with_job();
    mock.disconnect();
    mock.handshake("a1b2c3d4", 4);
    mock.events();
    let again = mock.job("job", PREV, true);
    assert!(again.same_work(&job), "the same headers: searching them anew would find duplicates");
}

#[test]
fn i1_i9_n17_another_extranonce_ends_the_session() {
    let (mut mock, job) = with_job();
    mock.submitted(&share(&job, 0));
    mock.disconnect();
    mock.submit(&share(&job, 1));
    mock.handshake("ffffffff", 4);
    assert!(mock.sent().is_empty());
    let ended: Vec<_> = mock.verdicts().into_iter().map(|e| (e.share.nonce, e.verdict)).collect();
    let nonce = |nth| share(&job, nth).nonce;
    assert_eq!(ended, [(nonce(0), Verdict::Unresolved), (nonce(1), Verdict::Stale)]);

    let new = mock.job("job", PREV, false);
    assert!(new.clean, "the first job of a session voids all of the one before");
    assert!(!new.same_work(&job));
    mock.submit(&share(&job, 2));
    assert_eq!(mock.verdict().verdict, Verdict::Stale);
}

#[test]
fn i9_rolled_shares_found_between_two_connections_wait_for_the_second() {
    let (mut mock, job) = with_job();
    mock.disconnect();
    mock.submit(&share_at(&job, job.version | 0x2000, 0));
    mock.connect();
    mock.submit(&share_at(&job, job.version | 0x4000, 0));
    assert_eq!((mock.verdicts().len(), mock.client.pending()), (0, 2));
    mock.handshake("a1b2c3d4", 4);
    let bits: Vec<_> = mock.sent().iter().map(|request| request["params"][5].clone()).collect();
    assert_eq!(bits, ["00002000", "00004000"]);
}

#[test]
fn i9_rolled_shares_wait_for_a_pool_that_answers_configure_last() {
    let mut mock = Mock::ready();
    mock.call("mining.notify", notify_params("job", PREV, BLOCK_BITS, true));
    let job = mock.newest_job().unwrap();
    let rolled = |bits: u32| {
        let mut shares = (0..).map(|nonce| share_at(&job, job.version | bits, nonce));
        shares.find(|share| !share.is_block()).unwrap()
    };
    mock.submitted(&rolled(0x2000));
    mock.submitted(&rolled(0x4000));
    mock.disconnect();
    let again = mock.connect();
    mock.answer(&asked(&again, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
    mock.answer(&asked(&again, "mining.authorize")["id"], json!(true));
    // A share without rolled versions need not wait.
    mock.submit(&share_at(&job, job.version, 7));
    let sent = mock.sent();
    assert_eq!((sent.len(), mock.verdicts().len(), mock.client.pending()), (1, 0, 3));
    let yes = json!({"version-rolling": true, "version-rolling.mask": "1fffe000"});
    mock.answer(&asked(&again, "mining.configure")["id"], yes);
    let bits: Vec<_> = mock.sent().iter().map(|request| request["params"][5].clone()).collect();
    assert_eq!(bits, ["00002000", "00004000"]);
}

#[test]
fn i9_rolled_shares_do_not_wait_for_ever_and_a_mask_is_an_answer() {
    for mask_comes in [false, true] {
        let (mut mock, job) = with_job();
        mock.submitted(&share_at(&job, job.version | 0x2000, 0));
        mock.disconnect();
        let again = mock.connect();
        mock.answer(&asked(&again, "mining.subscribe")["id"], json!([null, "a1b2c3d4", 4]));
        mock.answer(&asked(&again, "mining.authorize")["id"], json!(true));
        assert_eq!((mock.sent().len(), mock.client.pending()), (0, 1));
        if mask_comes {
            mock.call("mining.set_version_mask", json!(["1fffe000"]));
            assert_eq!(mock.sent()[0]["params"][5], "00002000");
        } else {
            mock.wait(Limits::default().handshake);
            assert_eq!(mock.verdict().verdict, Verdict::Unresolved);
            assert_eq!(mock.client.pending(), 0);
        }
    }
}

#[test]
fn i14_a_resumed_session_that_may_roll_less_gets_its_running_job_again() {
    let (mut mock, job) = with_job();
    mock.disconnect();
    let sent = mock.connect();
    mock.answer(&sent[0]["id"], json!({"version-rolling": true, "version-rolling.mask": "e000"}));
    mock.answer(&sent[1]["id"], json!([null, "a1b2c3d4", 4]));
    let narrow = mock.newest_job().expect("the running job, with less to roll");
    assert_eq!((narrow.id.as_str(), narrow.version_mask, narrow.clean), ("job", 0xe000, false));
    assert_eq!(narrow.header(&[0; 4]), job.header(&[0; 4]));
}

#[test]
fn i9_rolled_shares_cannot_be_resent_where_rolling_is_not_agreed_any_more() {
    let (mut mock, job) = with_job();
    mock.submitted(&share_at(&job, job.version | 0x2000, 0));
    mock.disconnect();
    for request in mock.connect() {
        let result = match request["method"].as_str().unwrap() {
            "mining.configure" => json!({"version-rolling": false}),
            "mining.subscribe" => json!([null, "a1b2c3d4", 4]),
            _ => json!(true),
        };
        mock.answer(&request["id"], result);
    }
    assert!(mock.sent().is_empty());
    let ended = mock.verdict();
    assert_eq!(ended.verdict, Verdict::Unresolved);
    let reason = ended.reason.unwrap();
    assert!(reason.contains("no longer allows the version bits"), "{reason}");
}

#[test]
fn n12_an_answer_from_before_a_reconnect_meets_nothing() {
    let (mut mock, job) = with_job();
    let request = mock.submitted(&share(&job, 0));
    mock.disconnect();
    mock.handshake("a1b2c3d4", 4);
    mock.refuse(&request["id"], json!([23, "late"]));
    assert_eq!((mock.verdicts().len(), mock.client.pending()), (0, 1));
}

#[test]
fn s9_three_unauthorized_answers_in_a_row_end_the_connection() {
    let (mut mock, job) = with_job();
    let refuse = |mock: &mut Mock, nth: usize, code: i64| {
        let request = mock.submitted(&share(&job, nth));
        mock.refuse(&request["id"], json!([code, "Unauthorized worker"]));
        mock.closed()
    };
    assert_eq!([0, 1].map(|nth| refuse(&mut mock, nth, 24)), [None, None]);
    assert_eq!(refuse(&mut mock, 2, 23), None, "another verdict breaks the row");
    assert_eq!([3, 4].map(|nth| refuse(&mut mock, nth, 24)), [None, None]);
    let request = mock.submitted(&share(&job, 5));
    mock.answer(&request["id"], json!(true));
    assert_eq!([6, 7].map(|nth| refuse(&mut mock, nth, 24)), [None, None]);
    assert_eq!(refuse(&mut mock, 8, 25), Some(CloseReason::Unauthorized(3)));
}

#[test]
fn n19_a_pool_that_refuses_everything_neither_stops_nor_spins_the_client() {
    let (mut mock, job) = with_job();
    for nth in 0..1000 {
        let request = mock.submitted(&share_at(&job, job.version, nth));
        mock.refuse(&request["id"], json!([20, format!("reason {nth}")]));
        mock.wait(Duration::from_millis(10));
    }
    let verdicts = mock.verdicts();
    assert_eq!(verdicts.len(), 1000);
    assert!(verdicts.iter().all(|ended| ended.verdict == Verdict::Rejected));
}

#[test]
fn i9_i20_the_end_settles_what_is_open_and_what_comes_after_it() {
    let (mut mock, job) = with_job();
    (0..2).for_each(|nth| mock.submit(&share(&job, nth)));
    mock.disconnect();
    mock.submit(&share(&job, 2));
    mock.client.finish(mock.now);
    mock.submit(&share(&job, 3));
    mock.client.finish(mock.now);
    let ended = mock.verdicts();
    assert_eq!(ended.len(), 4);
    assert!(ended.iter().all(|ended| ended.verdict == Verdict::Unresolved));
    assert!(mock.connect().is_empty(), "no connection after the end");
    assert_eq!((mock.client.pending(), mock.client.poll_timeout()), (0, None));
}
