//! The rules for pools that are no good, through the program's door: it mines at a scripted pool,
//! with a good one behind it. (The link's own tests play the same in virtual time, with more of
//! each kind.)

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::pools::{answer, notify, pool, refuse};
use crate::program::{Running, fail};

/// A pool's answers to the requests before the first share, with a difficulty at which there are
/// some shares a second.
fn handshake(request: &Value, stream: &mut TcpStream, job: &str) {
    match request["method"].as_str().unwrap() {
        "mining.subscribe" => answer(stream, request, &json!([[], "00000001", 4])),
        "mining.authorize" => {
            answer(stream, request, &json!(true));
            let easy = json!({"id": null, "method": "mining.set_difficulty", "params": [2e-6]});
            let _ = stream.write_all(format!("{easy}\n{}", notify(job)).as_bytes());
        }
        _ => answer(stream, request, &json!(true)),
    }
}

fn good_pool() -> String {
    pool(|request, stream| handshake(request, stream, "good"))
}

/// Mines at the first pool of the list, with the second behind it.
fn mine(first: &str, second: &str) -> Running {
    let hash = ["--threads", "1", "--kernel", "scalar", "--max-hashrate", "50k"];
    Running::start(&[&["mine", "-o", first, "-o", second, "-u", "me"][..], &hash].concat())
}

/// The reason for which the work went to the pool at this address, and its first accepted share.
fn failover_to(miner: &mut Running, address: &str) -> String {
    let is_at = |event: &Value, field: &str| {
        event[field].as_str().is_some_and(|url| url.ends_with(address))
    };
    let event = miner.wait_for(|event| event["state"] == "failover" && is_at(event, "url"));
    miner.wait_for(|event| {
        event["event"] == "share" && event["verdict"] == "accepted" && is_at(event, "pool")
    });
    event["reason"].as_str().expect("never null").to_owned()
}

#[test]
fn rule_1_a_pool_earns_trust_by_work_not_by_a_handshake() {
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    let first = pool(move |request, stream| {
        handshake(request, stream, "brief");
        if request["method"] == "mining.authorize" {
            count.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(50));
            let _ = stream.shutdown(Shutdown::Both);
        }
    });
    let second = good_pool();
    let mut miner = mine(&first, &second);
    failover_to(&mut miner, &second);
    let connections = connections.load(Ordering::Relaxed);
    assert!((3..=5).contains(&connections), "{connections} connections before the backup worked");
}

#[test]
fn rule_2_refusals_of_any_kind_have_consequences() {
    let first = pool(|request, stream| match request["method"].as_str().unwrap() {
        "mining.submit" => {
            refuse(stream, request, &json!([20, "Invalid address", null]));
        }
        _ => handshake(request, stream, "strict"),
    });
    let second = good_pool();
    let reason = failover_to(&mut mine(&first, &second), &second);
    assert!(reason.contains("Invalid address"), "{reason}");
}

#[test]
fn rule_3_silence_has_consequences_before_three_minutes() {
    let first = pool(|request, stream| match request["method"].as_str().unwrap() {
        "mining.submit" => {}
        _ => handshake(request, stream, "mute"),
    });
    let (second, started) = (good_pool(), Instant::now());
    let reason = failover_to(&mut mine(&first, &second), &second);
    let seconds = started.elapsed().as_secs();
    assert!((60..120).contains(&seconds), "after {seconds} s: {reason}");
    assert!(reason.contains("answer"), "{reason}");
}

#[test]
fn rule_5_a_reason_names_the_present_trouble_and_is_never_null() {
    // It hangs up on the first connection: a trouble that is over when it lets us in without work.
    let connections = Arc::new(AtomicUsize::new(0));
    let first = pool(move |request, stream| match request["method"].as_str().unwrap() {
        "mining.subscribe" if connections.fetch_add(1, Ordering::Relaxed) == 0 => {
            let _ = stream.shutdown(Shutdown::Both);
        }
        "mining.subscribe" => answer(stream, request, &json!([[], "00000001", 4])),
        _ => answer(stream, request, &json!(true)),
    });
    let second = good_pool();
    let reason = failover_to(&mut mine(&first, &second), &second);
    assert!(reason.contains("work"), "{reason}");
    let (code, stderr) = fail(&["mine", "-o", &first, "-u", "me", "-t", "1", "--give-up", "2"]);
    assert_eq!(code, 5, "{stderr}");
    assert!(stderr.contains("work"), "{stderr}");
}

#[test]
fn rule_6_after_a_redirect_events_name_the_server_and_the_pool_of_the_list() {
    let second = good_pool();
    let port: u16 = second.rsplit_once(':').unwrap().1.parse().unwrap();
    let first = pool(move |request, stream| {
        let method = request["method"].as_str().unwrap();
        if method != "mining.authorize" {
            return handshake(request, stream, "unused");
        }
        answer(stream, request, &json!(true));
        let params = json!(["127.0.0.1", port, 0]);
        let redirect = json!({"id": null, "method": "client.reconnect", "params": params});
        let _ = writeln!(stream, "{redirect}");
    });
    let mut miner = Running::start(&["mine", "-o", &first, "-u", "me", "-t", "1"]);
    let [listed, server] = [first, second].map(|address| format!("stratum+tcp://{address}"));
    let authorized = |event: &Value| event["state"] == "authorized" && event["url"] == *server;
    let state = miner.wait_for(authorized);
    assert_eq!(state["listed"], *listed, "{state}");
    for kind in ["job", "share"] {
        let event = miner.wait_for(|event| event["event"] == kind);
        assert_eq!((&event["pool"], &event["listed"]), (&json!(server), &json!(listed)), "{event}");
    }
}
