//! The events of a link for the miner, the same whether the jobs come from a pool or from a node,
//! and the queue that they go through.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use midstate_chain::{Hash256, Job, Verdict};
use midstate_stratum::{Remark, ShareOutcome};
use tokio::sync::mpsc;

/// A queue of events. It closes when all senders are dropped.
///
/// It does not grow under a flood: a job takes the place of one of its channel that was not yet
/// read (the newest wins, S6), texts are paced where they arise, states by the back-off, and
/// verdicts by their shares.
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
        let mut queue = lock(&self.queue);
        let replaced = queue.iter().rposition(|older| gives_way(older, &event));
        if let Some(at) = replaced
            && let Some(older) = queue.remove(at)
        {
            keep_clean(&older, &mut event);
            keep_alone(&older, queue.iter_mut().skip(at).chain([&mut event]));
        }
        queue.push_back(event);
        if replaced.is_none() && self.tickets.send(()).is_err() {
            queue.clear();
        }
    }
}

/// A job that nobody has read yet makes way for a newer one of the same channel, or for one that is
/// alone.
fn gives_way(older: &LinkEvent, newer: &LinkEvent) -> bool {
    match (&older.what, &newer.what) {
        (Happened::Job { job: older, .. }, Happened::Job { job: newer, beside, .. }) => {
            !beside || older.channel == newer.channel
        }
        _ => false,
    }
}

/// If the older job ended those of all other channels, the next job that is read does.
fn keep_alone<'a>(older: &LinkEvent, mut later: impl Iterator<Item = &'a mut LinkEvent>) {
    if let Happened::Job { beside: false, .. } = older.what {
        let next = later.find_map(|event| match &mut event.what {
            Happened::Job { beside, .. } => Some(beside),
            _ => None,
        });
        next.into_iter().for_each(|beside| *beside = false);
    }
}

/// If the job that was not read voided the jobs before it, the newer one of the same server does.
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
    /// The protocol of the server.
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
    /// New work; the newest job is the one to hash, or of each [channel](Job::channel) the newest.
    Job {
        /// The work.
        job: Arc<Job>,
        /// All earlier jobs of this server are void, by this job or by one that it replaced unread.
        clean: bool,
        /// The jobs of the server's other channels go on. Else this is the only one.
        beside: bool,
    },
    /// A channel of Stratum V2 is closed: its job is void, and those of other channels go on.
    ChannelEnded {
        /// The pool's number.
        channel: u32,
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
    /// New work, and no other.
    pub fn job(job: Arc<Job>) -> Self {
        Self::Job { clean: job.clean, job, beside: false }
    }

    /// New work beside that of other channels.
    pub fn job_beside(job: Arc<Job>) -> Self {
        Self::Job { clean: job.clean, job, beside: true }
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
            | Self::ChannelEnded { .. }
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

    fn job(id: &str, channel: Option<u32>, clean: bool) -> Arc<Job> {
        Arc::new(Job {
            id: id.into(),
            session: 0,
            channel,
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
        })
    }

    fn send(sender: &EventSender, url: &str, what: Happened) {
        let protocol = Protocol::Stratum2;
        sender.send(LinkEvent { url: url.into(), listed: None, protocol, what });
    }

    #[tokio::test]
    async fn a_job_replaces_one_of_its_channel_and_one_that_is_alone_the_newest() {
        let (sender, mut receiver) = events();
        send(&sender, "one", Happened::job(job("a1", Some(1), true)));
        send(&sender, "one", Happened::job_beside(job("b1", Some(2), true)));
        send(&sender, "one", Happened::job_beside(job("c1", Some(3), true)));
        // The first one said that no others go on; the next one in the queue has to.
        send(&sender, "one", Happened::job_beside(job("a2", Some(1), false)));
        send(&sender, "one", Happened::job_beside(job("c2", Some(3), false)));
        drop(sender);
        let mut told = Vec::new();
        while let Some(event) = receiver.recv().await {
            let Happened::Job { job, clean, beside } = event.what else { panic!() };
            told.push((job.id.clone(), clean, beside));
        }
        let expected = [("b1", true, false), ("a2", true, true), ("c2", true, true)];
        assert_eq!(told, expected.map(|(id, clean, beside)| (id.to_owned(), clean, beside)));
    }

    #[tokio::test]
    async fn the_clean_flag_of_a_job_that_is_replaced_in_the_queue_is_kept() {
        for (first, second, clean) in [("one", "one", true), ("one", "two", false)] {
            let (sender, mut receiver) = events();
            for (url, job) in [(first, job("a", None, true)), (second, job("b", None, false))] {
                send(&sender, url, Happened::job(job));
            }
            let event = receiver.recv().await.unwrap();
            assert!(
                matches!(&event.what, Happened::Job { job, clean: kept, .. }
                    if job.id == "b" && *kept == clean),
                "{event:?}"
            );
        }
    }
}
