//! What a browser's kernels do beside the same width of vectors outside of one: `sse41` in this
//! process, the WebAssembly module and the script in Node, in interleaved windows of 20 ms:
//! `browser [SECONDS]`. Of each the best window counts. `cargo xtask wasm --bench` runs it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use midstate_sha256d::{Kernel, Midstate, Tail, Work};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/module.js");
const WINDOW: Duration = Duration::from_millis(20);

/// A kernel, and the best of its windows in MH/s.
struct Row {
    name: String,
    /// Hashes for the length of a window: MH/s.
    window: Box<dyn FnMut() -> f64>,
    best: f64,
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(24);
    let native = Kernel::named("sse41").or_else(|| Kernel::named("neon"));
    let native = native.expect("a CPU with SSE4.1 or NEON: vectors of four words");
    let mut rows = Vec::new();
    for midstates in [16, 1] {
        rows.push(Row::new(native.name(), midstates, native_windows(native, midstates)));
        rows.push(Row::new("module in Node", midstates, Node::windows("module", midstates)));
        rows.push(Row::new("script in Node", midstates, Node::windows("script", midstates)));
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        for row in &mut rows {
            row.best = row.best.max((row.window)());
        }
    }
    for group in rows.chunks(3) {
        for Row { name, best, .. } in group {
            println!("{name:21} {best:7.2} MH/s {:6.3}", best / group[0].best);
        }
    }
}

impl Row {
    fn new(kernel: &str, midstates: u8, window: Box<dyn FnMut() -> f64>) -> Self {
        Self { name: format!("{kernel} k={midstates}"), window, best: 0.0 }
    }
}

fn versions(midstates: u8) -> impl Iterator<Item = Midstate> {
    (0..midstates).map(|version| Midstate::of(&[version; 64]))
}

/// With a target that nothing meets, so that the kernels alone are measured.
fn native_windows(kernel: Kernel, midstates: u8) -> Box<dyn FnMut() -> f64> {
    let versions: Vec<_> = versions(midstates).collect();
    let work =
        Work::new(&versions, Tail::from_bytes([7; 12]), &[0; 32]).expect("1 to 16 midstates");
    Box::new(move || {
        let (start, mut hashes) = (Instant::now(), 0);
        while start.elapsed() < WINDOW {
            hashes += kernel.scan(&work, 0..1024, &mut |_| {});
        }
        hashes as f64 / start.elapsed().as_secs_f64() / 1e6
    })
}

/// A process of Node that runs the tests' `module.js`.
struct Node {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Node {
    fn windows(kernel: &'static str, midstates: u8) -> Box<dyn FnMut() -> f64> {
        let mut node = Command::new("node");
        let node = node.arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = node.expect("node starts: is it installed?");
        let to = child.stdin.take().expect("stdin is piped");
        let from = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut node = Self { child, to, from };

        let words =
            |midstate: Midstate| midstate.words().map(|word| format!("{word:08x}")).concat();
        let midstates: Vec<_> = versions(midstates).map(words).collect();
        let (midstates, tail, target) = (midstates.join(","), "07".repeat(12), "00".repeat(32));
        node.ask(&format!("scan {kernel} {midstates} {tail} {target} 0 1"));
        let milliseconds = WINDOW.as_millis();
        Box::new(move || {
            let answer = node.ask(&format!("window {kernel} {milliseconds}"));
            answer.parse::<f64>().expect("hashes a second") / 1e6
        })
    }

    /// The first line of the answer.
    fn ask(&mut self, question: &str) -> String {
        writeln!(self.to, "{question}").expect("node listens");
        let answer = (&mut self.from).lines().map(|line| line.expect("node answers"));
        let answer: Vec<_> = answer.take_while(|line| !line.is_empty()).collect();
        answer.into_iter().next().expect("an answer has a line")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
