//! The events of a link for the miner, the same whether the jobs come from a pool or from a node,
//! and the queue that they go through.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use midstate_chain::{Hash256, Job, Verdict};
use midstate_stratum::{Remark, ShareOutcome};
use tokio::sync::mpsc;

/// A queue of events. It closes when all senders are dropped.
///
/// It does not grow under a flood: a job takes the place of one that was not yet read (the newest
/// wins, S6), texts are paced where they arise, states by the back-off, and verdicts by their
/// shares.
pub fn events() -> (EventSender, EventReceiver) {
    let (tickets, taken) = mpsc::unbounded_channel();
    let queue = Arc::new(Mutex::new(VecDeque::new()));
    (EventSender { queue: Arc::clone(&queue), tickets }, EventReceiver { queue, tickets: taken })
}

/// Where a link puts its events.
#[derive(Debug, Clone)]
pub struct EventSender {
    queue: Arc<Mutex<VecDeque<LinkEvent>>>,
    /// One for each event in the queue.
    tickets: mpsc::UnboundedSender<()>,
}

/// Where they are read.
#[derive(Debug)]
pub struct EventReceiver {
    queue: Arc<Mutex<VecDeque<LinkEvent>>>,
    tickets: mpsc::UnboundedReceiver<()>,
}

impl EventSender {
    /// Puts an event into the queue. Nobody reading any more means that the program is on its way
    /// out; the event is dropped then.
    pub fn send(&self, mut event: LinkEvent) {
        let is_job = |event: &LinkEvent| matches!(event.what, Happened::Job { .. });
        let mut queue = lock(&self.queue);
        let replaced = is_job(&event)
            .then(|| queue.iter().rposition(is_job).and_then(|at| queue.remove(at)))
            .flatten();
        if let Some(older) = &replaced {
            keep_clean(older, &mut event);
        }
        queue.push_back(event);
        if replaced.is_none() && self.tickets.send(()).is_err() {
            queue.clear();
        }
    }
}

/// A job that nobody has read yet makes way for a newer one of the same server. If it voided the
/// jobs before it, the newer one does.
fn keep_clean(older: &LinkEvent, newer: &mut LinkEvent) {
    if let (Happened::Job { clean: true, .. }, Happened::Job { clean, .. }) =
        (&older.what, &mut newer.what)
    {
        *clean |= older.url == newer.url;
    }
}

impl EventReceiver {
    /// The next event; `None` when there will be none any more.
    pub async fn recv(&mut self) -> Option<LinkEvent> {
        self.tickets.recv().await?;
        lock(&self.queue).pop_front()
    }
}

/// A panic elsewhere cannot leave the queue half written.
fn lock(queue: &Mutex<VecDeque<LinkEvent>>) -> MutexGuard<'_, VecDeque<LinkEvent>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An event of a link. The same for every kind of server that jobs can come from.
#[derive(Debug, Clone)]
pub struct LinkEvent {
    /// The server that we are connected to.
    pub url: Arc<str>,
    /// The pool of the list that redirected us there, if that is another one.
    pub listed: Option<Arc<str>>,
    /// What it speaks.
    pub protocol: Protocol,
    /// The event itself.
    pub what: Happened,
}

/// The protocol that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Stratum V1.
    Stratum1,
    /// Stratum V2.
    Stratum2,
    /// `getblocktemplate` and `submitblock` of a node.
    Node,
}

/// An event of a link, without its server.
#[derive(Debug, Clone)]
pub enum Happened {
    /// The connection changed.
    State {
        /// Its state now.
        state: LinkState,
        /// Why, if there is a why.
        reason: Option<String>,
    },
    /// New work; the newest job is the one to hash.
    Job {
        /// The work.
        job: Arc<Job>,
        /// All earlier jobs of this server are void, by this job or by one that it replaced unread.
        clean: bool,
    },
    /// Hash nothing until the next job: whatever is found in the present one is worthless.
    Pause,
    /// A share got its verdict: exactly one event for each share.
    Verdict(ShareOutcome),
    /// A block that has its verdict got another one: the best chain took it up, or left it.
    Revised {
        /// The block.
        hash: Hash256,
        /// Its height.
        height: u32,
        /// The verdict until now.
        was: Verdict,
        /// The verdict that counts.
        verdict: Verdict,
        /// Why.
        reason: Option<String>,
    },
    /// The server has something to say to people, or something is to be said about it.
    Remark(Remark),
}

impl Happened {
    /// New work.
    pub fn job(job: Arc<Job>) -> Self {
        Self::Job { clean: job.clean, job }
    }

    /// Changes every text in it.
    pub(crate) fn each_text(&mut self, change: impl Fn(&mut String)) {
        match self {
            Self::State { reason: Some(text), .. }
            | Self::Verdict(ShareOutcome { reason: Some(text), .. })
            | Self::Revised { reason: Some(text), .. }
            | Self::Remark(Remark::Message { text } | Remark::Warning { text }) => change(text),
            Self::State { .. }
            | Self::Verdict(_)
            | Self::Revised { .. }
            | Self::Remark(_)
            | Self::Job { .. }
            | Self::Pause => {}
        }
    }

    /// Something is not as it should be, and work goes on.
    pub fn warning(text: impl Into<String>) -> Self {
        Self::Remark(Remark::warning(text))
    }
}

/// States of the connection to a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkState {
    /// Trying.
    Connecting,
    /// The socket is open.
    Connected,
    /// The pool let us in.
    Authorized,
    /// The connection is gone; it is tried again.
    Lost,
    /// The next pool of the list is tried.
    Failover,
}

/// Why the link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEnd {
    /// It was told to.
    Stopped,
    /// The last pool left refused to let us in.
    Refused(String),
    /// No pool could be reached in time.
    Unreachable(String),
    /// Our configuration does not fit the server: the wrong chain, for one.
    Misconfigured(String),
    /// The server cannot be mined at, however long we wait.
    Unusable(String),
}

impl LinkEnd {
    /// Changes its text.
    pub(crate) fn each_text(&mut self, change: impl Fn(&mut String)) {
        match self {
            Self::Stopped => {}
            Self::Refused(text)
            | Self::Unreachable(text)
            | Self::Misconfigured(text)
            | Self::Unusable(text) => change(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use midstate_chain::Target;

    use super::*;

    #[tokio::test]
    async fn the_clean_flag_of_a_job_that_is_replaced_in_the_queue_is_kept() {
        let job = |id: &str, clean| Job {
            id: id.into(),
            session: 0,
            channel: None,
            version: 0,
            version_mask: 0,
            prev_hash: Hash256::default(),
            coinbase_prefix: Vec::new(),
            extranonce1: Vec::new(),
            extranonce2_size: 4,
            coinbase_suffix: Vec::new(),
            branch: Vec::new(),
            bits: midstate_chain::Network::Regtest.limit(),
            time: 0,
            share_target: Target::MAX,
            network_target: Target::MAX,
            clean,
        };
        for (first, second, clean) in [("one", "one", true), ("one", "two", false)] {
            let (sender, mut receiver) = events();
            for (url, job) in [(first, job("a", true)), (second, job("b", false))] {
                let what = Happened::job(Arc::new(job));
                let protocol = Protocol::Stratum1;
                sender.send(LinkEvent { url: url.into(), listed: None, protocol, what });
            }
            let event = receiver.recv().await.unwrap();
            assert!(
                matches!(&event.what, Happened::Job { job, clean: kept }
                    if job.id == "b" && *kept == clean),
                "{event:?}"
            );
        }
    }
}
