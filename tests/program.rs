//! Runs the program for the tests.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

/// The program with these arguments.
pub(crate) fn midstate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_midstate"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to the end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    midstate(arguments).output().expect("the program starts")
}

/// Its exit code, and what it wrote to stderr.
pub(crate) fn fail(arguments: &[&str]) -> (i32, String) {
    let output = run(arguments);
    let stderr = String::from_utf8(output.stderr).expect("stderr is text");
    (output.status.code().expect("it exits by itself"), stderr)
}

/// The events on stdout, in order; asserts what holds for each.
pub(crate) fn events(stdout: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(stdout).expect("stdout is text");
    text.lines().map(event).collect()
}

fn event(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).expect("every line of stdout is JSON");
    assert_eq!(event["schema"], 1, "{line}");
    assert!(event["event"].is_string(), "{line}");
    event
}

/// A program that runs in the background with `--json`; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = midstate(arguments)
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        Self { child, lines: BufReader::new(stdout).lines() }
    }

    /// The next event that `wanted` wants; panics if there is none.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        for line in self.lines.by_ref() {
            let event = event(&line.expect("stdout can be read"));
            if wanted(&event) {
                return event;
            }
        }
        panic!("the program ended without the event");
    }

    /// Where the embedded pool of a `demo` listens, as HOST:PORT.
    pub(crate) fn pool_address(&mut self) -> String {
        let event = self.wait_for(|event| event["event"] == "pool");
        let url = event["url"].as_str().expect("pools have a url");
        url.strip_prefix("stratum+tcp://").expect("it is a TCP pool").to_owned()
    }

    /// Sends a signal by name, as `kill` takes it.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args([&format!("-{name}"), &pid]).status();
        assert!(status.expect("kill can be run").success());
    }

    /// The exit code; the rest of stdout is dropped.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.lines.by_ref().for_each(drop);
        self.child.wait().expect("the program can be waited for").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
