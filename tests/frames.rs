//! `--frames`: a file that shows every line both ways, and never gets into the way of mining.

use std::process::Output;

use serde_json::Value;

use crate::program::{Directory, Running, events, fail, midstate};

/// A pool with easy shares, and its address.
fn pool(difficulty: &str) -> (Running, String) {
    let mut pool = Running::start(&[
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--difficulty",
        difficulty,
        "--max-hashrate",
        "1",
        "--threads",
        "1",
    ]);
    let address = pool.pool_address();
    (pool, address)
}

fn mine(address: &str, frames: &str, more: &[&str]) -> Output {
    let user = ["-u", "me", "-p", "hunter22", "--threads", "1", "--shares", "3"];
    let command = [&["mine", "-o", address, "--frames", frames], &user[..], more].concat();
    midstate(&command).output().unwrap()
}

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// The line of a frame as JSON.
fn line(frame: &Value) -> Value {
    serde_json::from_str(frame["line"].as_str().unwrap()).unwrap()
}

#[test]
fn a_file_of_frames_has_every_line_both_ways_and_no_password() {
    let (_pool, address) = pool("0.0005");
    let directory = Directory::new("frames");
    let file = directory.0.join("frames.jsonl");
    let output = mine(&address, file.to_str().unwrap(), &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read(&file).unwrap();
    assert!(!String::from_utf8_lossy(&text).contains("hunter22"));
    let frames = events(&text);
    for frame in &frames {
        assert_eq!(frame["event"], "frame");
        assert_eq!(frame["pool"], format!("stratum+tcp://{address}"));
        assert_eq!(frame["worker"], "me");
    }
    assert!(frames.is_sorted_by_key(|frame| frame["time"].as_f64().unwrap()));
    let of = |direction: &str| -> Vec<Value> {
        let of_direction = frames.iter().filter(|frame| frame["direction"] == direction);
        of_direction.map(line).collect()
    };
    let (sent, received) = (of("sent"), of("received"));
    let method = |line: &Value, name: &str| line["method"] == name;
    let login = sent.iter().find(|line| method(line, "mining.authorize")).unwrap();
    assert_eq!(login["params"], serde_json::json!(["me", "***"]));
    assert!(received.iter().any(|line| method(line, "mining.notify")));
    // Every submission, and its answer. A share may be stale; three were to be accepted.
    let mut accepted = 0;
    for share in sent.iter().filter(|line| method(line, "mining.submit")) {
        let answers: Vec<_> = received.iter().filter(|line| line["id"] == share["id"]).collect();
        assert!(answers.len() == 1 || accepted >= 3, "{share}: {answers:?}");
        accepted += answers.iter().filter(|line| line["result"] == true).count();
    }
    assert!(accepted >= 3, "{accepted}");
    // A second run adds to the file.
    assert!(mine(&address, file.to_str().unwrap(), &[]).status.success());
    assert!(std::fs::read(&file).unwrap().starts_with(&text));
}

#[test]
fn frames_stand_between_the_events_on_stdout() {
    let (_pool, address) = pool("0.0005");
    let output = mine(&address, "-", &["--json"]);
    let events = events(&output.stdout);
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert!(count("frame") > 10 && count("share") >= 3);
    assert_eq!(events.last().unwrap()["event"], "summary", "the summary is the last line");
    for name in ["pool", "job", "share"] {
        let event = events.iter().find(|event| event["event"] == name).unwrap();
        assert_eq!((&event["protocol"], event.get("channel")), (&"stratum1".into(), None));
    }
    let (code, said) = fail(&["mine", "-o", &address, "-u", "me", "--frames", "-"]);
    assert_eq!(code, 2);
    assert!(said.contains("--frames - writes to stdout") && said.contains("--json"), "{said}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_once_and_stops_nothing() {
    let (_pool, address) = pool("0.0005");
    let output = mine(&address, "/dev/full", &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let told = "--frames /dev/full: no more lines are written, mining goes on: No space left";
    assert_eq!(said.matches(told).count(), 1, "{said}");
    assert_eq!(said.matches("--frames").count(), 1, "{said}");
}

/// A pipe that is never read takes some lines, and then no more, as a disk that hangs.
#[test]
#[cfg(unix)]
fn a_disk_that_hangs_stops_nothing() {
    let (_pool, address) = pool("0.00005");
    let directory = Directory::new("frames-hang");
    let pipe = directory.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // Whoever has it open for both keeps it from closing, and does not read.
    let _held = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let more = ["--shares", "200"];
    let user = ["-u", "me", "--threads", "1", "--time-limit", "60"];
    let frames = ["--frames", pipe.to_str().unwrap()];
    let command = [&["mine", "-o", &address], &user[..], &more, &frames].concat();
    let output = midstate(&command).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("--frames: the disk is too slow"), "{said}");
}

#[test]
fn frames_that_cannot_be_written_at_all_are_a_mistake_before_the_run() {
    let (code, said) = fail(&["mine", "-o", "a:1", "-u", "me", "--frames", "/no/such/folder/file"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("--frames /no/such/folder/file: cannot be written"), "{said}");
    let (code, said) = fail(&["mine", "-o", "http://a", "--address", ADDRESS, "--frames", "f"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("--frames is for pools"), "{said}");
}

#[test]
fn at_a_pool_of_stratum_v2_a_frame_is_a_message_and_the_handshake_one_of_them() {
    // It takes the connection and says nothing.
    let pool = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("stratum2+tcp://{}", pool.local_addr().unwrap());
    let directory = Directory::new("frames-v2");
    let file = directory.0.join("frames");
    let output = mine(&url, file.to_str().unwrap(), &["--time-limit", "1"]);
    assert_eq!(output.status.code(), Some(6), "{}", String::from_utf8_lossy(&output.stderr));
    let frames = events(&std::fs::read(&file).unwrap());
    let [frame] = &frames[..] else { panic!("{frames:?}") };
    assert_eq!((&frame["direction"], &frame["message"]), (&"sent".into(), &"Handshake".into()));
    assert_eq!(frame["fields"], serde_json::json!({"bytes": 64}));
    assert_eq!((&frame["pool"], &frame["worker"]), (&url.into(), &"me".into()));
    assert!(frame.get("line").is_none(), "{frame}");
}
