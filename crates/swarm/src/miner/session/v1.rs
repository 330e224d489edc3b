//! Stratum V1: lines of our own beside those of the client, and the pool's answers to them. The
//! client never hears of the lines, and leaves answers to them alone.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use midstate_stratum::{Client, ClientConfig, Submission, read_answer};

use crate::fault::Code;

/// The first number of a request; those of the client count from 1. It fits into 31 bits, which is
/// all that some pools read.
const FIRST_ID: u64 = 1 << 30;

/// An answer to a line of our own, with its number.
type Answer = (u64, Result<(), Option<Code>>);

/// A client, and the lines beside its own.
#[derive(Debug)]
pub(in crate::miner) struct V1 {
    pub(super) client: Client,
    beside: Option<Box<Beside>>,
}

#[derive(Debug)]
struct Beside {
    depth: usize,
    longest: usize,
    next_id: u64,
    /// Without an answer yet.
    sent: BTreeSet<u64>,
    lines: VecDeque<Vec<u8>>,
    /// The beginning of a line of the pool; its rest comes.
    partial: Vec<u8>,
    answers: VecDeque<Answer>,
}

impl V1 {
    pub(super) fn new(config: ClientConfig, is_honest: bool) -> Self {
        let beside = Beside {
            depth: config.limits.depth,
            longest: config.limits.line,
            next_id: FIRST_ID,
            sent: BTreeSet::new(),
            lines: VecDeque::new(),
            partial: Vec::new(),
            answers: VecDeque::new(),
        };
        Self { client: Client::new(config), beside: (!is_honest).then(|| Box::new(beside)) }
    }

    pub(super) fn handle_disconnected(&mut self, now: Duration) {
        self.client.handle_disconnected(now);
        if let Some(beside) = &mut self.beside {
            beside.sent.clear();
            beside.lines.clear();
            beside.partial.clear();
        }
    }

    pub(super) fn handle_bytes(&mut self, now: Duration, bytes: &[u8]) {
        if let Some(beside) = &mut self.beside {
            beside.hear(bytes);
        }
        self.client.handle_bytes(now, bytes);
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        let own = |beside: &mut Box<Beside>| beside.lines.pop_front();
        self.client.poll_transmit().or_else(|| self.beside.as_mut().and_then(own))
    }

    pub(super) fn attempt(&mut self, submission: &Submission) -> Option<u64> {
        let beside = self.beside.as_mut()?;
        let id = beside.next_id;
        beside.next_id += 1;
        beside.sent.insert(id);
        beside.lines.push_back(submission.to_line(id));
        Some(id)
    }

    pub(super) fn poll_answer(&mut self) -> Option<Answer> {
        self.beside.as_mut()?.answers.pop_front()
    }
}

impl Beside {
    /// Bytes of the pool: the answers among them that are to our own lines.
    fn hear(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            // The client ends a connection with longer lines.
            if self.partial.len() + piece.len() > self.longest {
                self.partial.clear();
                continue;
            }
            self.partial.extend_from_slice(piece);
            if !piece.ends_with(b"\n") {
                continue;
            }
            let line = std::mem::take(&mut self.partial);
            if self.sent.is_empty() {
                continue;
            }
            let Some((id, answer)) = read_answer(&line, self.depth) else { continue };
            if self.sent.remove(&id) {
                self.answers.push_back((id, answer.map_err(|code| code.map(Code::Number))));
            }
        }
    }
}
