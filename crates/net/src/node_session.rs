//! Mining at nodes, without sockets, files or clock: what is asked, written and told, how long is
//! waited, and when to end. [`NodeLink`](crate::NodeLink) does what [`NodeSession::poll_task`] says
//! and brings the outcome back; the rules of the talk with a node are `midstate_gbt`'s.
//!
//! Every event names its node.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Job, Network, Share, Verdict};
use midstate_failover::Patience;
use midstate_gbt::client::{
    BlockOutcome, Config, Fatal, NodeEvent, NodeNews, NodeState, NotSent, Request,
};
use midstate_gbt::rpc::{Answer, NoAnswer};
use midstate_gbt::spool::{SpooledBlock, cure};
use midstate_gbt::{Client, Recurring, Work, likely_cause, refusal_in_words};
use midstate_pool::PoolTemplate;
use midstate_stratum::{Remark, ShareOutcome};

use crate::limits::FLUSH;
use crate::spool::{self, SpoolProblem};
use crate::{Happened, LinkEnd, LinkEvent, LinkState, Protocol};

/// A node, as people see it.
#[derive(Debug, Clone)]
pub struct NodeName {
    /// Its URL without a password.
    pub url: Arc<str>,
    /// Whether it has proved who it is, where it has to: false for `--tls-insecure`.
    pub is_proved: bool,
}

/// Something to do outside; the outcome comes back by the function that is named here.
#[derive(Debug)]
pub enum NodeTask {
    /// Ask a node: [`NodeSession::handle_answer`].
    Ask(Request),
    /// The answer to this call is not wanted any more: close its connection. Nothing comes back.
    Cancel(u64),
    /// Read the blocks of this chain that an earlier run left: [`NodeSession::handle_spool`].
    ReadSpool(Network),
    /// Write this block to the spool and sync it: [`NodeSession::handle_written`].
    Write(SpooledBlock),
    /// Delete the block's file, or keep it as evidence: [`NodeSession::handle_removed`].
    Remove {
        /// The node that this is about.
        node: usize,
        /// The block.
        hash: Hash256,
        /// It was refused.
        refused: bool,
    },
}

/// The link to nodes as a state machine: `handle_*` takes what happened, `poll_*` says what to do.
#[derive(Debug)]
pub struct NodeSession {
    client: Client,
    nodes: Vec<NodeName>,
    /// The work goes to a pool, which wants the transactions, too, and not to our own threads.
    is_for_pool: bool,
    patience: Patience,
    tasks: VecDeque<NodeTask>,
    events: VecDeque<LinkEvent>,
    templates: VecDeque<PoolTemplate>,
    /// Shares that are blocks without a verdict.
    waiting: HashMap<Hash256, Share>,
    /// The node that named the chain, and thus the directory of the spool.
    spool_of: usize,
    /// Files that could not be removed from it.
    unremoved: Recurring,
    unix_now: u64,
    skew_told: bool,
    fatal: Option<Fatal>,
    /// Told to stop: verdicts are awaited until then.
    flush_until: Option<Duration>,
}

impl NodeSession {
    /// Starts to ask at `now`. Without work for the time of `give_up` it ends; `None`: never.
    ///
    /// # Panics
    /// Without nodes.
    pub fn new(
        nodes: Vec<NodeName>,
        client: Config,
        give_up: Option<Duration>,
        is_for_pool: bool,
        now: Duration,
    ) -> Self {
        let client = Config { nodes: nodes.len(), ..client };
        let mut session = Self {
            client: Client::new(client, now),
            nodes,
            is_for_pool,
            patience: Patience::new(give_up, now),
            tasks: VecDeque::new(),
            events: VecDeque::new(),
            templates: VecDeque::new(),
            waiting: HashMap::new(),
            spool_of: 0,
            unremoved: Recurring::default(),
            unix_now: 0,
            skew_told: false,
            fatal: None,
            flush_until: None,
        };
        session.tell(0, LinkState::Connecting, None);
        session.pump(now);
        session
    }

    /// The next task.
    pub fn poll_task(&mut self) -> Option<NodeTask> {
        self.tasks.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    /// The next work for a pool.
    pub fn poll_template(&mut self) -> Option<PoolTemplate> {
        self.templates.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing else comes first.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let deadlines = [self.client.poll_timeout(), self.flush_until, self.patience_ends()];
        deadlines.into_iter().flatten().min()
    }

    /// Why the session is over, if it is. Call [`finish`](Self::finish) then.
    pub fn poll_end(&self, now: Duration) -> Option<LinkEnd> {
        match &self.fatal {
            Some(Fatal::Unauthorized(words)) => return Some(LinkEnd::Refused(words.clone())),
            Some(Fatal::WrongChain(words)) => return Some(LinkEnd::Misconfigured(words.clone())),
            Some(Fatal::Unusable(words)) => return Some(LinkEnd::Unusable(words.clone())),
            None => {}
        }
        if self.flush_until.is_some_and(|until| self.client.is_settled() || now >= until) {
            return Some(LinkEnd::Stopped);
        }
        let is_over = self.flush_until.is_none() && self.patience.over(now).is_some();
        is_over.then(|| LinkEnd::Unreachable(self.troubles()))
    }

    /// When the patience with nodes that give no work ends. To stop needs no patience.
    fn patience_ends(&self) -> Option<Duration> {
        self.patience.ends().filter(|_| self.flush_until.is_none())
    }

    /// Why no node gives work: each node's own reason, by its name where there are several.
    fn troubles(&self) -> String {
        let named = |(node, reason): (usize, &str)| match self.nodes.len() {
            1 => reason.to_owned(),
            _ => format!("{}: {reason}", self.nodes[node].url),
        };
        let reasons: Vec<_> = self.client.troubles().map(named).collect();
        match reasons.is_empty() {
            true => "no node has given work yet".to_owned(),
            false => reasons.join("; "),
        }
    }

    /// Our wall clock, in seconds since 1970: templates are compared with it.
    pub fn handle_clock(&mut self, unix_now: u64) {
        self.unix_now = unix_now;
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.client.handle_timeout(now);
        self.pump(now);
    }

    /// A connection to this node was opened. Call it before the answer to whatever goes over it.
    pub fn handle_connected(&mut self, now: Duration, node: usize) {
        self.client.handle_connected(now, node);
        self.pump(now);
    }

    /// A call was answered, or not.
    pub fn handle_answer(&mut self, now: Duration, id: u64, outcome: Result<Answer, NoAnswer>) {
        self.client.handle_answer(now, id, outcome);
        self.pump(now);
    }

    /// A share of our own threads.
    pub fn handle_share(&mut self, now: Duration, share: Share) {
        match self.client.handle_share(now, &share) {
            Ok(()) => {
                self.waiting.insert(share.hash, share);
            }
            Err(error) => {
                let verdict = match error {
                    NotSent::Sibling => Verdict::Stale,
                    _ => Verdict::Rejected,
                };
                let (node, reason) = (self.client.node_of(&share.job), error.to_string());
                self.settle(node, share, verdict, Some(reason), Duration::ZERO);
            }
        }
        self.pump(now);
    }

    /// A block that a pool made of our work.
    pub fn handle_block(&mut self, now: Duration, block: &[u8]) {
        match self.client.handle_block(now, block) {
            Ok(()) => {}
            Err(error @ NotSent::Sibling) => tracing::debug!("a block of the pool: {error}"),
            Err(error) => tracing::warn!("a block of the pool: {error}"),
        }
        self.pump(now);
    }

    /// The spool was read: its blocks with their ages, and what is wrong with it.
    pub fn handle_spool(
        &mut self,
        now: Duration,
        blocks: Vec<(SpooledBlock, Duration)>,
        problems: &[SpoolProblem],
    ) {
        for words in spool::in_words(problems) {
            self.say(self.spool_of, Happened::warning(words));
        }
        for (block, age) in blocks {
            self.client.replay(now, block, age);
        }
        self.pump(now);
    }

    /// A block is on disk, or cannot be written.
    pub fn handle_written(&mut self, now: Duration, hash: Hash256, outcome: io::Result<()>) {
        self.client.handle_spooled(now, hash, outcome);
        self.pump(now);
    }

    /// A block's file is gone, or cannot be removed.
    pub fn handle_removed(
        &mut self,
        now: Duration,
        node: usize,
        hash: Hash256,
        outcome: io::Result<()>,
    ) {
        let Err(error) = outcome else { return self.unremoved.is_over() };
        let reason = error.to_string();
        let first = || {
            format!(
                "block {hash} needs its file in the spool no more, and the file cannot be removed \
                 ({reason}): the next start asks about the block once more; {}name another \
                 directory",
                cure(&error)
            )
        };
        if let Some(words) = self.unremoved.happened(now, &reason, first, further_unremoved) {
            self.say(node, Happened::warning(words));
        }
    }

    /// The disk has done all: what has not been told about it.
    pub fn tell_rest(&mut self) {
        if let Some(words) = self.unremoved.rest(further_unremoved) {
            self.say(self.spool_of, Happened::warning(words));
        }
    }

    /// Asks for no more work, and ends when every block has its verdict, or after some seconds.
    pub fn handle_stop(&mut self, now: Duration) {
        if self.flush_until.is_none() {
            self.flush_until = Some(now.saturating_add(FLUSH));
            self.client.finish(now);
            self.pump(now);
        }
    }

    /// No node is asked any more: the last verdicts. Blocks that have none stay in the spool; those
    /// that are being written are.
    pub fn finish(&mut self, now: Duration) {
        self.client.abandon();
        self.pump(now);
        for (_, share) in std::mem::take(&mut self.waiting) {
            let node = self.client.node_of(&share.job);
            self.settle(node, share, Verdict::Unresolved, None, Duration::ZERO);
        }
    }

    /// Takes what the client has to say.
    fn pump(&mut self, now: Duration) {
        self.patience.note(now, self.client.service(now));
        loop {
            if let Some(event) = self.client.poll_event() {
                self.handle_event(event);
            } else if let Some(id) = self.client.poll_cancel() {
                self.tasks.push_back(NodeTask::Cancel(id));
            } else if let Some(request) = self.client.poll_request() {
                self.tasks.push_back(NodeTask::Ask(request));
            } else {
                return;
            }
        }
    }

    fn handle_event(&mut self, NodeEvent { node, what }: NodeEvent) {
        match what {
            NodeNews::Node { state, reason } => self.handle_state(node, state, reason),
            NodeNews::Chain(chain) => {
                self.spool_of = node;
                self.tasks.push_back(NodeTask::ReadSpool(chain));
            }
            NodeNews::Job { job, height, transactions, value } => {
                tracing::debug!(node, height, transactions, value, "template");
                self.warn_of_skew(node);
                if self.is_for_pool {
                    self.templates.extend(self.client.newest_work().map(pool_template));
                } else {
                    self.say(node, Happened::job(job));
                }
            }
            NodeNews::Pause => self.say(node, Happened::Pause),
            NodeNews::Spool(block) => self.tasks.push_back(NodeTask::Write(block)),
            NodeNews::Unspool { hash, refused } => {
                self.tasks.push_back(NodeTask::Remove { node, hash, refused });
            }
            NodeNews::Block(outcome) => self.handle_outcome(node, outcome),
            NodeNews::Known(count) => {
                let message = match count {
                    1 => "a block of an earlier run is in the chain".to_owned(),
                    _ => format!("{count} blocks of earlier runs are in the chain"),
                };
                self.say(node, Happened::Remark(Remark::message(message)));
            }
            NodeNews::Warning(words) => self.say(node, Happened::warning(words)),
            NodeNews::Fatal(fatal) => self.fatal = Some(fatal),
            other => tracing::debug!(?other, "gbt"),
        }
    }

    fn handle_state(&mut self, node: usize, state: NodeState, reason: Option<String>) {
        let state = match state {
            NodeState::Connected => LinkState::Authorized,
            NodeState::Active => LinkState::Failover,
            NodeState::Lost => LinkState::Lost,
        };
        self.tell(node, state, reason);
        if state == LinkState::Authorized && !self.nodes[node].is_proved {
            let text = "--tls-insecure: the certificate is not checked; an attacker can pose as \
                        this node and steal the work";
            self.say(node, Happened::warning(text));
        }
    }

    fn handle_outcome(&mut self, node: usize, outcome: BlockOutcome) {
        let BlockOutcome { hash, height, verdict, was, reason, latency, replayed } = outcome;
        if let Some(share) = self.waiting.remove(&hash) {
            return self.settle(node, share, verdict, reason, latency);
        }
        // Of any other verdict the words are our own.
        let reason = reason.map(|reason| match verdict {
            Verdict::Rejected => refusal_in_words(&reason),
            _ => reason,
        });
        if replayed {
            let words = match verdict {
                Verdict::Accepted => "is accepted".to_owned(),
                _ => reason.unwrap_or_else(|| "has no verdict yet".to_owned()),
            };
            let message = format!("block {height} {hash} of an earlier run: {words}");
            self.say(node, Happened::Remark(Remark::message(message)));
        } else {
            // A pool's block has had no other verdict before.
            let was = was.unwrap_or(Verdict::Unresolved);
            self.say(node, Happened::Revised { hash, height, was, verdict, reason });
        }
    }

    fn settle(
        &mut self,
        node: usize,
        share: Share,
        verdict: Verdict,
        reason: Option<String>,
        latency: Duration,
    ) {
        let refusal = reason.as_deref().filter(|_| verdict == Verdict::Rejected);
        let advice = refusal.map(likely_cause);
        let outcome = ShareOutcome::new(share, verdict, reason);
        self.say(node, Happened::Verdict(ShareOutcome { latency, advice, ..outcome }));
    }

    fn warn_of_skew(&mut self, node: usize) {
        if let Some(skew) = self.client.clock_skew(self.unix_now)
            && !std::mem::replace(&mut self.skew_told, true)
        {
            let (seconds, direction) = (skew.abs(), if skew > 0 { "ahead of" } else { "behind" });
            let words = format!(
                "the node's clock or chain is {seconds} s {direction} ours: check both clocks; \
                 blocks more than two hours ahead are refused"
            );
            self.say(node, Happened::warning(words));
        }
    }

    fn tell(&mut self, node: usize, state: LinkState, reason: Option<String>) {
        self.say(node, Happened::State { state, reason });
    }

    fn say(&mut self, node: usize, what: Happened) {
        let url = Arc::clone(&self.nodes[node].url);
        self.events.push_back(LinkEvent { url, listed: None, protocol: Protocol::Node, what });
    }
}

fn further_unremoved(count: u64) -> String {
    match count {
        1 => "one more file could not be removed from the spool".to_owned(),
        _ => format!("{count} more files could not be removed from the spool"),
    }
}

/// A node's work as a pool wants it: the whole extranonce is the pool's, to share out to sessions.
fn pool_template(work: &Work) -> PoolTemplate {
    let mut job = Job::clone(work.job());
    job.extranonce1 = Vec::new();
    let template = work.template();
    PoolTemplate {
        height: template.height,
        min_time: job.time,
        transactions: template.transactions.iter().map(|tx| tx.data.clone()).collect(),
        job,
    }
}
