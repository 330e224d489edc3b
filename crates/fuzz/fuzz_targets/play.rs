//! Any session with a pool, on two clients that hear the same in different pieces: they say the
//! same (S1, S2), each share ends exactly once (I9), and time does not spin.
//!
//! An input is a script of lines, and the first byte of a line says what happens:
//!
//! - `=` the pool answers the oldest open request with the JSON that follows;
//! - `s` the miner finds a share of its newest job;
//! - `w` time passes until the client's next deadline;
//! - `x` the connection breaks, and a new one is up;
//! - any other: the pool says this line.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_fuzz::{NOW, events, idle, sent, share};
use midstate_stratum::{Client, ClientEvent};
use serde_json::Value;

/// Lines of a script that are played.
const LINES: usize = 64;

/// A client, what it said, and the pieces that it hears lines in.
struct Side {
    client: Client,
    piece: usize,
    open: VecDeque<Value>,
    job: Option<Arc<Job>>,
    happened: Vec<ClientEvent>,
    now: Duration,
    shares: u32,
}

impl Side {
    fn new(piece: usize) -> Self {
        let mut client = idle();
        client.handle_connected(NOW);
        let (open, happened) = Default::default();
        Self { client, piece, open, job: None, happened, now: NOW, shares: 0 }
    }

    fn hear(&mut self, line: &[u8]) {
        for piece in [line, b"\n"].concat().chunks(self.piece) {
            self.client.handle_bytes(self.now, piece);
        }
    }

    fn play(&mut self, line: &[u8]) {
        match line.split_first() {
            Some((b'=', result)) => {
                let id = self.open.pop_front().map_or(Value::Null, |request| request["id"].clone());
                let head = format!(r#"{{"id":{id},"error":null,"result":"#);
                self.hear(&[head.as_bytes(), result, b"}"].concat());
            }
            Some((b's', _)) => {
                if let Some(job) = &self.job {
                    self.client.submit(self.now, share(job, self.shares));
                    self.shares += 1;
                }
            }
            Some((b'w', _)) => self.wait(),
            Some((b'x', _)) => {
                self.client.handle_disconnected(self.now);
                self.open.clear();
                self.client.handle_connected(self.now);
            }
            _ => self.hear(line),
        }
        self.listen();
    }

    fn wait(&mut self) {
        if let Some(due) = self.client.poll_timeout() {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
            assert_ne!(self.client.poll_timeout(), Some(due), "a timer that was handled returns");
        }
    }

    fn listen(&mut self) {
        // The client's answers to the pool's questions have no method.
        let requests = sent(&mut self.client).into_iter().filter(|line| line["method"].is_string());
        self.open.extend(requests);
        for event in events(&mut self.client) {
            if let ClientEvent::Job(job) = &event {
                self.job = Some(Arc::clone(job));
            }
            self.happened.push(event);
        }
    }

    /// The last day of the session; how many shares ended.
    fn end(&mut self) -> usize {
        self.client.handle_disconnected(self.now);
        self.client.finish(self.now + Duration::from_secs(24 * 3600));
        self.listen();
        assert_eq!(self.client.pending(), 0);
        let is_verdict = |event: &&ClientEvent| matches!(event, ClientEvent::Verdict(_));
        self.happened.iter().filter(is_verdict).count()
    }
}

midstate_fuzz::target!(|script| {
    let (mut whole, mut cut) = (Side::new(usize::MAX), Side::new(script.len() % 17 + 1));
    for line in script.split(|&byte| byte == b'\n').take(LINES) {
        whole.play(line);
        cut.play(line);
        assert_eq!((&whole.open, whole.now), (&cut.open, cut.now));
    }
    assert_eq!((whole.end(), cut.end()), (whole.shares as usize, cut.shares as usize));
    assert_eq!(whole.happened, cut.happened);
});
