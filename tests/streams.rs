//! Runs whose output cannot be written: a full disk is an error (rules 10 and 22), a reader that
//! has gone is none.
#![cfg(target_os = "linux")]

use std::fs::OpenOptions;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::pools::{answer, notify, pool};
use crate::program::{Directory, midstate};

const QUICK: [&str; 4] = ["--kernel", "scalar", "--threads", "1"];
const DEMO: [&str; 6] = ["demo", "--plain", "--blocks", "2", "--difficulty", "1e-6"];
const HEADER: &str = "0100000000000000000000000000000000000000000000000000000000000000\
    000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a\
    dae5494dffff7f2002000000";

/// Every way to get data out of the program that ends soon by itself.
fn commands() -> Vec<Vec<&'static str>> {
    let quick = |arguments: &[&'static str]| [arguments, &QUICK].concat();
    let mut commands = vec![
        vec!["--help"],
        vec!["--version"],
        vec!["mine", "--help"],
        vec!["mine", "--print-limits"],
        vec!["mine", "--print-limits", "--json"],
        quick(&["mine", "--dry-run", "-o", "a.example:1", "-u", "me"]),
        quick(&DEMO),
        quick(&[&DEMO[..], &["--json"]].concat()),
        quick(&["doctor"]),
        quick(&["grind", HEADER]),
        quick(&["asic", "--seconds", "0.05"]),
        vec!["bench", "--kernel", "scalar", "--threads", "1", "--seconds", "0.05"],
        vec!["explain", "genesis"],
        vec!["completions", "bash"],
        vec!["man"],
        vec!["man", "mine"],
        vec!["--compat", "minerd", "--help"],
    ];
    for topic in ["hashprice", "odds", "pools", "retarget", "claims"] {
        commands.push(vec!["econ", topic]);
        commands.push(vec!["econ", topic, "--json"]);
    }
    commands
}

#[test]
fn rule_10_output_that_cannot_be_written_is_an_error_in_every_command() {
    for arguments in commands() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = midstate(&arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {stderr}");
        let words = "error: cannot write to stdout: No space left on device\n";
        assert!(stderr.ends_with(words), "{arguments:?}: {stderr}");
        assert_eq!(stderr.matches("error:").count(), 1, "told once: {arguments:?}: {stderr}");
    }
}

/// As in `midstate .. | true`.
#[test]
fn a_reader_that_has_gone_ends_every_command_in_order_and_is_no_error() {
    for arguments in commands() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = midstate(&arguments).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {stderr}");
        assert!(!stderr.contains("error") && !stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn rule_22_a_full_disk_loses_no_share_on_its_way() {
    for more in [&[][..], &["--json"]] {
        let (submits, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(0)));
        let (sent, answered) = (Arc::clone(&submits), Arc::clone(&answers));
        // The first answer comes when the miner has long seen that its output is full.
        let address = pool(move |request: &Value, stream: &mut TcpStream| match request["method"]
            .as_str()
            .unwrap()
        {
            "mining.subscribe" => {
                answer(stream, request, &json!([[["mining.notify", "1"]], "00000001", 4]));
            }
            "mining.authorize" => {
                answer(stream, request, &json!(true));
                let easy = json!({"id": null, "method": "mining.set_difficulty",
                        "params": [0.000_01]});
                use std::io::Write;
                let _ = write!(stream, "{easy}\n{}", notify("a"));
            }
            "mining.submit" => {
                if sent.fetch_add(1, Ordering::Relaxed) == 0 {
                    std::thread::sleep(Duration::from_millis(1_000));
                }
                answer(stream, request, &json!(true));
                let is_there = stream.peer_addr().is_ok();
                *answered.lock().unwrap() += usize::from(is_there);
            }
            _ => answer(stream, request, &json!(false)),
        });
        // A file that takes a few lines, and then no more.
        let directory = Directory::new("streams");
        let file = std::fs::File::create(directory.0.join("out")).unwrap();
        let mine = ["mine", "-o", &address, "-u", "me", "--shares", "1000000", "-v", "--plain"];
        let program = midstate(&[&mine, &QUICK[..], &["--max-hashrate", "300k"], more].concat());
        let limited = r#"trap '' XFSZ && ulimit -f 2 && exec "$0" "$@""#;
        let output = Command::new("sh")
            .args(["-c", limited])
            .arg(program.get_program())
            .args(program.get_args())
            .stdout(file)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("cannot write to stdout: File too large"), "{stderr}");
        assert!(!stderr.contains("unresolved"), "a share has no answer: {stderr}");
        let sent = submits.load(Ordering::Relaxed);
        assert!(sent > 0, "{stderr}");
        assert_eq!(*answers.lock().unwrap(), sent, "all were answered before the end: {stderr}");
    }
}
