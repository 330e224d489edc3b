//! Runs the program for the tests.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a test waits for something that is sure to come. A busy machine may need long; a test
/// that waits for ever tells nobody what it waits for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(200);

/// The program with these arguments. It mines like any other program: on a machine that has a lot
/// to do, a test would wait long for what is done only when there is nothing else.
pub(crate) fn midstate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_midstate"));
    command.args(arguments).stdin(Stdio::null());
    // Variables that it heeds, and that may be set where the tests run.
    for name in ["NO_COLOR", "CLICOLOR_FORCE", "COLUMNS", "MIDSTATE_LOG", "MIDSTATE_RPC_USER"] {
        command.env_remove(name);
    }
    // Nor is the configuration of theirs ours to mine by.
    let no_configuration = std::env::temp_dir().join("midstate-without-configuration");
    for name in ["XDG_CONFIG_HOME", "APPDATA"] {
        command.env(name, &no_configuration);
    }
    let asks = arguments.iter().any(|argument| argument.starts_with("--priority"));
    if matches!(arguments, ["class" | "demo" | "mine", ..]) && !asks {
        command.args(["--priority", "normal"]);
    }
    command
}

/// Runs it to the end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    midstate(arguments).output().expect("the program starts")
}

/// Runs it to the end with address space for itself and for some threads. Where a thread that was
/// just started finds none for its signal stack, Rust's library aborts the program: such a run says
/// nothing, and another one is made.
#[cfg(unix)]
pub(crate) fn run_in_little_space(arguments: &[&str]) -> Output {
    let run = || {
        Command::new("sh")
            .args(["-c", r#"ulimit -v 400000 && exec "$0" "$@""#, env!("CARGO_BIN_EXE_midstate")])
            .args(arguments)
            .output()
            .expect("there is a shell")
    };
    let mut runs = std::iter::repeat_with(run).take(20);
    runs.find(|output| output.status.code().is_some()).expect("one run in twenty ends by itself")
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

/// The lines that a program writes. They are taken off it as they come, whether or not the test
/// looks at them: a full pipe would stop the program.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(stream).lines().map_while(Result::ok);
            // A test that is over takes no more of them; they are still read.
            lines.for_each(|line| drop(sender.send(line)));
        });
        Self(lines)
    }

    /// The first line of which `wanted` makes something; panics if it does not come.
    pub(crate) fn find<T>(&mut self, mut wanted: impl FnMut(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut last = String::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.0.recv_timeout(left) {
                Ok(line) => match wanted(&line) {
                    Some(found) => return found,
                    None => last = line,
                },
                Err(RecvTimeoutError::Timeout) => panic!("it did not come; the last line: {last}"),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the program ended without it; its last line: {last}")
                }
            }
        }
    }

    /// Drops what is left, until the program closes the stream.
    pub(crate) fn drain(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.0.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => panic!("the program goes on"),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// A program that runs in the background with `--json`; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Lines,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(midstate(arguments))
    }

    /// As [`start`](Self::start), with so many descriptors.
    #[cfg(unix)]
    pub(crate) fn start_with_descriptors(descriptors: u32, arguments: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!(r#"ulimit -n {descriptors} && exec "$0" "$@""#)]);
        command.arg(env!("CARGO_BIN_EXE_midstate")).args(arguments).stdin(Stdio::null());
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .arg("--json")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        let stdout = child.stdout.take().expect("stdout is piped");
        Self { child, lines: Lines::of(stdout) }
    }

    /// The next event that `wanted` wants; panics if there is none.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        self.lines.find(|line| {
            let event = event(line);
            wanted(&event).then_some(event)
        })
    }

    /// All further events of this name, and the summary.
    pub(crate) fn rest(&mut self, name: &str) -> (Vec<Value>, Value) {
        let mut events = Vec::new();
        loop {
            let event =
                self.wait_for(|event| event["event"] == name || event["event"] == "summary");
            if event["event"] == "summary" {
                return (events, event);
            }
            events.push(event);
        }
    }

    /// Where the embedded pool of a `demo` listens, as HOST:PORT.
    pub(crate) fn pool_address(&mut self) -> String {
        let event = self.wait_for(|event| event["event"] == "pool");
        let url = event["url"].as_str().expect("pools have a url");
        url.strip_prefix("stratum+tcp://").expect("it is a TCP pool").to_owned()
    }

    /// Where the embedded pool of a `demo` listens for Stratum V2, as a URL with its key.
    pub(crate) fn pool_v2_url(&mut self) -> String {
        let event = self.wait_for(|event| event["event"] == "listening");
        event["url"].as_str().expect("it has a url").to_owned()
    }

    /// Sends a signal by name, as `kill` takes it.
    pub(crate) fn signal(&self, name: &str) {
        self.signal_times(name, 1);
    }

    /// Sends a signal several times at once.
    pub(crate) fn signal_times(&self, name: &str, times: usize) {
        let pids = vec![self.child.id().to_string(); times];
        let status = Command::new("kill").arg(format!("-{name}")).args(pids).status();
        assert!(status.expect("kill can be run").success());
    }

    /// The exit code; the rest of stdout is dropped.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.lines.drain();
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

/// `demo` as a pool whose own miner is too slow to find anything.
pub(crate) const SLOW_POOL: [&str; 12] = [
    "demo",
    "--listen",
    "127.0.0.1:0",
    "--difficulty",
    "0.00005",
    "--max-hashrate",
    "1",
    "--threads",
    "1",
    "--midstates",
    "1",
    "--plain",
];

/// A directory of a test's own, gone with it.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("midstate-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary directory can be made");
        Self(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A leftover does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
