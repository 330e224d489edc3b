//! Stratum V2 for the targets: a client, and the pool of the client's tests at its other end.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_sv2::{Client, ClientConfig, Dialled, Event};

use self::pool::{Pool, UNIX};
use crate::NOW;

#[allow(dead_code, reason = "most of it is for the tests of the client")]
#[allow(clippy::unwrap_used, reason = "a pool that cannot go on is a mistake of the target")]
#[path = "../../sv2/tests/play/pool.rs"]
mod pool;

/// A client of two standard channels, and its pool.
pub struct Side {
    pub client: Client,
    pool: Pool,
    /// Bytes that the client hears at once.
    pub piece: usize,
    pub job: Option<Arc<Job>>,
    pub happened: Vec<Event>,
    pub now: Duration,
    pub shares: usize,
    /// The client has asked for a new connection, or was never connected.
    pub is_closed: bool,
}

impl Side {
    /// Not yet connected.
    pub fn new(piece: usize) -> Self {
        let config = ClientConfig { channels: 2, ..ClientConfig::new("address.worker") };
        Self {
            client: Client::new(config),
            pool: Pool::new(Duration::from_secs(3600)),
            piece,
            job: None,
            happened: Vec::new(),
            now: NOW,
            shares: 0,
            is_closed: true,
        }
    }

    /// A fresh transport, to a pool that remembers nothing; with the handshake done.
    pub fn connect(&mut self) {
        self.pool = Pool::new(Duration::from_secs(3600));
        self.is_closed = false;
        self.client.handle_connected(self.now, dialled());
        self.settle();
    }

    /// The client hears bytes.
    pub fn hear(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.piece) {
            self.client.handle_bytes(self.now, piece);
        }
        self.settle();
    }

    /// The pool says a message, of which a bit is changed on its way if it `is_damaged`.
    pub fn say(&mut self, kind: u8, payload: &[u8], is_damaged: bool) {
        if self.is_closed {
            return;
        }
        let mut bytes = self.pool.say_raw(kind, 0, payload);
        if let Some(last) = bytes.last_mut() {
            *last ^= u8::from(is_damaged);
        }
        self.hear(&bytes);
        assert!(self.is_closed || !is_damaged, "a damaged frame was taken");
    }

    /// Carries bytes to the pool and its handshake back, and takes all events.
    pub fn settle(&mut self) {
        while let Some(bytes) = self.client.poll_transmit() {
            let (answer, _) = self.pool.receive(&bytes, UNIX);
            for piece in answer.chunks(self.piece) {
                self.client.handle_bytes(self.now, piece);
            }
        }
        while let Some(event) = self.client.poll_event() {
            match &event {
                Event::Job(job) => self.job = Some(Arc::clone(job)),
                Event::Close(_) => self.is_closed = true,
                _ => {}
            }
            self.happened.push(event);
        }
    }

    /// The last day; how many shares ended.
    pub fn end(&mut self) -> usize {
        self.client.finish(self.now + Duration::from_secs(24 * 3600));
        self.settle();
        assert_eq!(self.client.pending(), 0);
        self.happened.iter().filter(|event| matches!(event, Event::Verdict(_))).count()
    }
}

/// The facts about a connection, the same for every one.
pub fn dialled() -> Dialled {
    pool::dialled(UNIX)
}
