//! One miner of the swarm: a Stratum client whose events are numbered and timed for the books.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share};
use midstate_stratum::{Client, ClientConfig, ClientEvent, Remark, ShareOutcome};

/// A miner, over as many connections as it takes. In the shape of
/// [`Client`]: bytes go in, lines and events come out, and `now` is an argument.
#[derive(Debug)]
pub struct Miner {
    client: Client,
    has_job: bool,
    /// The present connection is to end, and why.
    end: Option<String>,
    events: VecDeque<Event>,
}

/// An event of a miner. All text of the pool in it is sanitized.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It tries to connect.
    Connecting,
    /// There was no connection.
    Unreached {
        /// Why.
        reason: String,
    },
    /// A connection is open.
    Connected,
    /// The pool took user and password.
    LetIn,
    /// The pool refused user or password.
    Refused {
        /// In its own words.
        reason: String,
    },
    /// The work to hash from now on; `None`: hash nothing.
    Job(Option<Arc<Job>>),
    /// The difficulty of the jobs from now on.
    Difficulty(f64),
    /// A share was found.
    Found,
    /// A share was written to the socket so long after it was found.
    Sent(Duration),
    /// The end of a share: exactly one for each that was found.
    Verdict(ShareOutcome),
    /// The connection has ended.
    Lost {
        /// Why.
        reason: String,
    },
    /// It has left for good.
    Left,
    /// Something for people.
    Remark(Remark),
}

impl Miner {
    /// A miner that is not connected.
    pub fn new(config: ClientConfig) -> Self {
        let (client, events) = (Client::new(config), VecDeque::new());
        Self { client, has_job: false, end: None, events }
    }

    /// A connection is open: the handshake is ready to be sent.
    pub fn handle_connected(&mut self, now: Duration) {
        self.end = None;
        self.client.handle_connected(now);
        self.events.push_back(Event::Connected);
        self.take_events();
    }

    /// The connection has ended.
    pub fn handle_disconnected(&mut self, now: Duration, reason: &str) {
        self.client.handle_disconnected(now);
        self.take_events();
        self.drop_job();
        self.events.push_back(Event::Lost { reason: reason.to_owned() });
    }

    /// Bytes came.
    pub fn handle_bytes(&mut self, now: Duration, bytes: &[u8]) {
        self.client.handle_bytes(now, bytes);
        self.take_events();
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.client.handle_timeout(now);
        self.take_events();
    }

    /// A share was found.
    pub fn submit(&mut self, now: Duration, share: Share) {
        self.events.push_back(Event::Found);
        self.client.submit(now, share);
        self.take_events();
    }

    /// No more is to be hashed: it waits for its last answers, and leaves.
    pub fn rest(&mut self) {
        self.drop_job();
    }

    /// The end: a share without an answer is unresolved.
    pub fn finish(&mut self, now: Duration) {
        self.client.finish(now);
        self.take_events();
        self.drop_job();
        self.events.push_back(Event::Left);
    }

    /// The next line to write.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.client.poll_transmit()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Why the connection is to be dropped, if it is.
    pub fn poll_end(&mut self) -> Option<String> {
        self.end.take()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.client.poll_timeout()
    }

    /// Shares without a verdict.
    pub fn pending(&self) -> usize {
        self.client.pending()
    }

    fn drop_job(&mut self) {
        if std::mem::take(&mut self.has_job) {
            self.events.push_back(Event::Job(None));
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            let event = match event {
                ClientEvent::Authorized => Event::LetIn,
                ClientEvent::AuthorizationRefused { reason } => Event::Refused { reason },
                ClientEvent::Job(job) => {
                    self.has_job = true;
                    Event::Job(Some(job))
                }
                ClientEvent::Difficulty(difficulty) => Event::Difficulty(difficulty),
                ClientEvent::Verdict(outcome) => Event::Verdict(outcome),
                ClientEvent::Remark(remark) => Event::Remark(remark),
                ClientEvent::Close(reason) => {
                    self.end.get_or_insert_with(|| reason.to_string());
                    continue;
                }
                // A test of one pool stays at that pool: it connects again, and nowhere else.
                ClientEvent::Redirect { host, port, .. } => {
                    let words = match (host, port) {
                        (None, None) => "the pool asks to connect again".to_owned(),
                        _ => "the pool asks to connect elsewhere, which is not followed".to_owned(),
                    };
                    self.end.get_or_insert(words);
                    continue;
                }
                _ => continue,
            };
            self.events.push_back(event);
        }
    }
}
