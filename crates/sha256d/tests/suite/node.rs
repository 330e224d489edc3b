//! Kernels that run in Node, as in a browser: the WebAssembly module and the script that takes its
//! place where a browser has no vectors. `module.js` beside this file answers, a line a question.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::ops::Range;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use midstate_sha256d::Hit;

use super::{Piece, Subject};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite/module.js");

/// A kernel in a process of Node, which ends with it.
pub(super) struct Node {
    name: &'static str,
    process: RefCell<Process>,
}

struct Process {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Node {
    pub(super) fn with_the_module() -> Self {
        Self::start("module")
    }

    pub(super) fn with_the_script() -> Self {
        Self::start("script")
    }

    fn start(name: &'static str) -> Self {
        let mut node = Command::new("node");
        let node = node.arg(SCRIPT).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = node.expect("node starts");
        let to = child.stdin.take().unwrap();
        let from = BufReader::new(child.stdout.take().unwrap());
        Self { name, process: RefCell::new(Process { child, to, from }) }
    }

    /// The lines of the answer, which ends with an empty one.
    fn ask(&self, question: &str) -> Vec<String> {
        let mut process = self.process.borrow_mut();
        writeln!(process.to, "{question}").unwrap();
        let answer = (&mut process.from).lines().map(|line| line.expect("node answers"));
        let answer: Vec<_> = answer.take_while(|line| !line.is_empty()).collect();
        assert!(!answer.is_empty(), "node ended at the question {question}");
        answer
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Subject for Node {
    fn name(&self) -> &str {
        self.name
    }

    fn lanes(&self) -> usize {
        self.ask(&format!("lanes {}", self.name))[0].parse().unwrap()
    }

    fn self_test(&self) -> bool {
        self.ask(&format!("self-test {}", self.name)) == ["true"]
    }

    fn scan(&self, piece: &Piece, nonces: Range<u64>, on_hit: &mut dyn FnMut(Hit)) -> u64 {
        let words = |midstate: &midstate_sha256d::Midstate| {
            midstate.words().map(|word| format!("{word:08x}")).concat()
        };
        let midstates: Vec<_> = piece.midstates.iter().map(words).collect();
        let mut target = piece.target;
        target.reverse();
        let question = format!(
            "scan {} {} {} {} {} {}",
            self.name,
            midstates.join(","),
            hex::encode(piece.tail),
            hex::encode(target),
            nonces.start,
            nonces.end
        );
        let answer = self.ask(&question);
        let (hashes, hits) = answer.split_first().unwrap();
        for hit in hits {
            let [midstate, nonce, hash]: [&str; 3] =
                hit.split(' ').collect::<Vec<_>>().try_into().unwrap();
            let hash = hex::decode(hash).unwrap().try_into().unwrap();
            on_hit(Hit {
                midstate: midstate.parse().unwrap(),
                nonce: nonce.parse().unwrap(),
                hash,
            });
        }
        hashes.parse().unwrap()
    }
}
