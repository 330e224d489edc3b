//! Ctrl-C: once for a summary, twice for the door. Against a pool that never answers a share.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::program::{PATIENCE, Running};

/// A pool that lets miners in, gives them one very easy job, and falls silent. It tells of each
/// share that comes.
fn silent_pool() -> (String, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (told, shares) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let told = told.clone();
            std::thread::spawn(move || serve(stream, &told));
        }
    });
    (address, shares)
}

fn serve(stream: TcpStream, told: &Sender<()>) {
    let mut writer = stream.try_clone().unwrap();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let request: Value = serde_json::from_str(&line).unwrap();
        let result = match request["method"].as_str().unwrap() {
            "mining.configure" => {
                json!({"version-rolling": true, "version-rolling.mask": "1fffe000"})
            }
            "mining.subscribe" => json!([[["mining.notify", "1"]], "00000001", 4]),
            "mining.authorize" => json!(true),
            "mining.submit" => {
                // The test may be over.
                let _ = told.send(());
                continue;
            }
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

/// A miner at such a pool, which has sent a share.
fn mine() -> Running {
    mine_with(&[])
}

fn mine_with(flags: &[&str]) -> Running {
    let (address, shares) = silent_pool();
    let mine = ["mine", "-o", &address, "-u", "me", "--threads", "1"];
    let mut mine = Running::start(&[&mine, flags].concat());
    mine.wait_for(|event| event["event"] == "job");
    shares.recv_timeout(PATIENCE).expect("a share comes");
    mine
}

#[test]
fn i20_ctrl_c_stops_prints_the_summary_and_exits_0() {
    for signal in ["INT", "TERM"] {
        let mut mine = mine();
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

/// The answers are awaited for 3 s after the time limit, too, and a service manager may say TERM
/// then.
#[test]
fn i20_one_ctrl_c_in_the_wait_for_the_last_answers_exits_0_with_the_summary() {
    for _ in 0..10 {
        let start = Instant::now();
        let mut mine = mine_with(&["--time-limit", "2"]);
        std::thread::sleep(Duration::from_millis(3_500).saturating_sub(start.elapsed()));
        mine.signal("TERM");
        let signalled = start.elapsed();
        let summary = mine.wait_for(|event| event["event"] == "summary");
        let code = mine.exit_code();
        assert_eq!(code, Some(0), "{summary}");
        if summary["reason"] == "time-limit" && signalled < Duration::from_millis(4_500) {
            return;
        }
        println!("the signal came too early or too late: once more");
    }
    panic!("the signal never came in time");
}

#[test]
fn a_second_ctrl_c_exits_130_at_once() {
    for _ in 0..10 {
        let mut mine = mine();
        // Answers are awaited for 3 s after the first one.
        let first = Instant::now();
        mine.signal("INT");
        std::thread::sleep(Duration::from_millis(500));
        mine.signal("INT");
        match mine.exit_code() {
            Some(0) if first.elapsed() >= Duration::from_secs(3) => {
                println!("the second one came too late: once more");
            }
            code => return assert_eq!(code, Some(130)),
        }
    }
    panic!("the second one is not heeded");
}

#[test]
fn i20_a_signal_that_timeout_sends_twice_is_one() {
    for signal in ["INT", "TERM"] {
        let mut mine = mine();
        mine.signal_times(signal, 8);
        let summary = mine.wait_for(|event| event["event"] == "summary");
        assert_eq!(summary["reason"], "interrupted");
        assert_eq!(mine.exit_code(), Some(0));
    }
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
