//! The client's state machine: one pool, over as many connections as it takes.

mod config;
mod event;

use std::collections::VecDeque;
use std::time::Duration;

use midstate_chain::{Share, Verdict};

pub use config::{ClientConfig, ConfigError};
pub use event::Event;

/// A Stratum v1 client for one pool.
///
/// One `Client` lives across reconnects (and redirects), so that sessions are resumed and no share
/// is lost with its connection. Each share that is submitted gets exactly one [`Event::Verdict`].
#[derive(Debug)]
pub struct Client {
    config: ClientConfig,
    shares: VecDeque<Share>,
    transmit: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

impl Client {
    /// A client that is not connected.
    pub fn new(config: ClientConfig) -> Self {
        Self { config, shares: VecDeque::new(), transmit: VecDeque::new(), events: VecDeque::new() }
    }

    /// A fresh transport is up: the whole handshake is ready to be sent.
    pub fn handle_connected(&mut self, _now: Duration) {
        if let Err(error) = self.config.check() {
            self.events.push_back(Event::Close(error.into()));
        }
    }

    /// The transport is gone, whoever closed it. Shares wait for the next one.
    pub fn handle_disconnected(&mut self, _now: Duration) {
        self.transmit.clear();
    }

    /// Bytes came, in any fragmentation.
    pub fn handle_bytes(&mut self, _now: Duration, _bytes: &[u8]) {}

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, _now: Duration) {}

    /// Takes a share that was found. Its end comes as [`Event::Verdict`].
    pub fn submit(&mut self, _now: Duration, share: Share) {
        self.shares.push_back(share);
    }

    /// No more connections: what has no answer ends as unresolved. For the end of the program, after
    /// waiting for [`pending`](Self::pending) to reach zero.
    pub fn finish(&mut self, _now: Duration) {
        for share in self.shares.drain(..) {
            self.events.push_back(Event::Verdict {
                share,
                verdict: Verdict::Unresolved,
                code: None,
                reason: None,
                advice: None,
                latency: Duration::ZERO,
            });
        }
    }

    /// The next line to write, with its line feed.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.transmit.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), unless something happens before.
    pub fn poll_timeout(&self) -> Option<Duration> {
        None
    }

    /// Shares without a verdict.
    pub fn pending(&self) -> usize {
        self.shares.len()
    }
}
