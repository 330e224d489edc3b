//! Ctrl-C: once for a summary, twice for the door. Against a pool that never answers a share.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::Running;

/// A pool that lets miners in, gives them one very easy job, and falls silent.
fn silent_pool() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || serve(stream));
        }
    });
    address
}

fn serve(stream: TcpStream) {
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let request: Value = serde_json::from_str(&line).unwrap();
        let result = match request["method"].as_str().unwrap() {
            "mining.configure" => {
                json!({"version-rolling": true, "version-rolling.mask": "1fffe000"})
            }
            "mining.subscribe" => json!([[["mining.notify", "1"]], "00000001", 4]),
            "mining.authorize" => json!(true),
            _ => continue,
        };
        writeln!(writer, "{}", json!({"id": request["id"], "result": result, "error": null}))
            .unwrap();
        if request["method"] == "mining.authorize" {
            let set_difficulty =
                json!({"id": null, "method": "mining.set_difficulty", "params": [0.000_01]});
            let prefix = format!("0200000001{}ffffffff0a510000", "00".repeat(32));
            let suffix = "ffffffff0000000000";
            let (previous, version) = ("00".repeat(32), "20000000");
            let params =
                json!(["a", previous, prefix, suffix, [], version, "1d00ffff", "65000000", true]);
            let notify = json!({"id": null, "method": "mining.notify", "params": params});
            writeln!(writer, "{set_difficulty}\n{notify}").unwrap();
        }
    }
}

fn mine(address: &str) -> Running {
    Running::start(&["mine", "-o", address, "-u", "me", "--threads", "1"])
}

#[test]
fn i20_ctrl_c_stops_prints_the_summary_and_exits_0() {
    for signal in ["INT", "TERM"] {
        let mut mine = mine(&silent_pool());
        mine.wait_for(|event| event["event"] == "job");
        std::thread::sleep(Duration::from_millis(300));
        mine.signal(signal);
        let summary = mine.wait_for(|event| event["event"] == "summary");
        assert_eq!(summary["reason"], "interrupted");
        let shares = &summary["shares"];
        assert!(shares["found"].as_u64().unwrap() > 0, "{summary}");
        assert_eq!(shares["accepted"], 0, "{summary}");
        let settled: u64 = ["rejected", "stale", "throttled", "unresolved"]
            .map(|name| shares[name].as_u64().unwrap())
            .iter()
            .sum();
        assert_eq!(shares["found"], settled, "{summary}");
        assert_eq!(mine.exit_code(), Some(0));
    }
}

#[test]
fn a_second_ctrl_c_exits_130_at_once() {
    let mut mine = mine(&silent_pool());
    mine.wait_for(|event| event["event"] == "job");
    std::thread::sleep(Duration::from_millis(300));
    // Answers are awaited for seconds after the first one.
    mine.signal("INT");
    std::thread::sleep(Duration::from_millis(500));
    let second = Instant::now();
    mine.signal("INT");
    assert_eq!(mine.exit_code(), Some(130));
    assert!(second.elapsed() < Duration::from_secs(2));
}

#[test]
fn ctrl_c_ends_the_demo_with_its_summary() {
    let mut demo = Running::start(&["demo", "--blocks", "1000000", "--difficulty", "0.001"]);
    demo.wait_for(|event| event["event"] == "block");
    demo.signal("INT");
    let summary = demo.wait_for(|event| event["event"] == "summary");
    assert_eq!(summary["reason"], "interrupted");
    assert_eq!(demo.exit_code(), Some(0));
}
