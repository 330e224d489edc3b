//! The solo miner's side of the talk with one node or several, without sockets, files or clock.
//!
//! The caller sends each [`Request`] by HTTP and brings the outcome back, writes what
//! [`NodeNews::Spool`] asks for, hands jobs to the hashing threads and found shares back. `now` is
//! the time since any moment the caller chose; [`Client::poll_timeout`] says when to come again.
//!
//! - Work comes from the *active* node, the first in the order given that answers (failover).
//! - A template is asked for every few seconds, or, where the node has threads to spare, when a
//!   call that waits for the next tip returns; see `client/waiting.rs`.
//! - A template's block is checked by the node (`mode=proposal`) before it is hashed.
//! - A solved block goes to every node until one takes it; see `client/blocks.rs`.

mod block;
mod blocks;
mod config;
mod event;
mod node;
mod refusals;
mod sources;
mod supply;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::time::Duration;

use midstate_chain::{Hash256, Job, Network, Share};
use midstate_failover::{Failover, Service};

pub use self::block::BlockOutcome;
use self::blocks::Blocks;
pub use self::blocks::Ledger;
pub use self::config::{Config, LongPolling};
use self::event::Events;
pub use self::event::{Fatal, NodeEvent, NodeNews, NodeState, NotSent, Request};
use self::node::{Node, Phase};
use self::supply::{Candidate, Standstill};
use crate::limits::{CALL_TIMEOUT, HURRY, POLL, SLOW};
use crate::rpc::{Answer, BlockVerdict, Call, ChainInfo, HeaderInfo, NoAnswer, RpcError, code};
use crate::spool::{SpooledBlock, cure};
use crate::{Recurring, Work};

/// The purpose of an unanswered call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Info,
    Fetch,
    LongPoll,
    Probe,
    Proposal,
    /// A proposal that is not hashed: whether the node checks blocks again.
    Check,
    Submit(Hash256),
    Header(Hash256),
}

/// Work and the node that gave it.
#[derive(Debug)]
struct Given {
    node: usize,
    work: Work,
}

/// A call without an answer so far.
#[derive(Debug)]
struct Pending {
    node: usize,
    purpose: Purpose,
    sent_at: Duration,
    /// That it has no answer has been told, or the block has been asked about.
    told: bool,
}

fn further_unspooled(count: u64) -> String {
    match count {
        1 => "one more block could not be written to the spool".to_owned(),
        _ => format!("{count} more blocks could not be written to the spool"),
    }
}

/// See the [module](self) page.
#[derive(Debug)]
pub struct Client {
    config: Config,
    /// The chain of the first node that answered.
    chain: Option<Network>,
    nodes: Vec<Node>,
    failover: Failover,
    /// When time alone changes what the failover decides.
    decision_due: Option<Duration>,
    /// The node whose work is hashed, or was last.
    active: usize,
    candidate: Option<Candidate>,
    /// The newest is what threads hash, or will; the older ones are kept while a thread or a share
    /// holds their job, for a block may still come of them.
    works: Vec<Given>,
    /// The newest work waits for the block interval to pass.
    held: bool,
    /// Nothing is handed out before.
    pace_until: Duration,
    /// A block of ours builds on this tip: more on the same tip would only compete with it.
    solved_tip: Option<Hash256>,
    /// The same, and since when it is waited for to move.
    standstill: Standstill,
    /// That no more blocks may be found has been told.
    full_told: bool,
    /// Blocks that could not be written to the spool.
    unspooled: Recurring,
    blocks: Blocks,
    pending: HashMap<u64, Pending>,
    calls: u64,
    jobs: u64,
    requests: VecDeque<Request>,
    cancels: VecDeque<u64>,
    events: Events,
    finishing: bool,
}

impl Client {
    /// Starts to ask at `now`.
    ///
    /// # Panics
    /// Without nodes.
    pub fn new(config: Config, now: Duration) -> Self {
        assert!(config.nodes > 0, "a client needs a node");
        let nodes = (0..config.nodes).map(|_| Node::new(now)).collect();
        let mut failover = Failover::new(&config.failover);
        failover.set_servers(now, &vec![None; config.nodes]);
        let mut client = Self {
            blocks: Blocks::new(config.nodes),
            config,
            chain: None,
            nodes,
            failover,
            decision_due: None,
            active: 0,
            candidate: None,
            works: Vec::new(),
            held: false,
            pace_until: Duration::ZERO,
            solved_tip: None,
            standstill: Standstill::default(),
            full_told: false,
            unspooled: Recurring::default(),
            pending: HashMap::new(),
            calls: 0,
            jobs: 0,
            requests: VecDeque::new(),
            cancels: VecDeque::new(),
            events: Events::default(),
            finishing: false,
        };
        client.drive(now);
        client
    }

    /// The next call to make; any number may be under way at once.
    pub fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// A call whose answer is not wanted any more: close its connection. Take these before the
    /// next requests, which may be what the node could not answer for it.
    pub fn poll_cancel(&mut self) -> Option<u64> {
        self.cancels.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<NodeEvent> {
        self.events.pop()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing else comes first.
    pub fn poll_timeout(&self) -> Option<Duration> {
        // A node that has not answered yet is asked again no sooner than it has: its time, if it is
        // past, would only wake the caller for nothing. So would the time of work that is held, to
        // one who wants no more.
        let wanted = (0..self.nodes.len()).filter(|&index| self.failover.is_wanted(index));
        let asked = wanted.map(|index| &self.nodes[index]).filter(|node| !node.waits());
        let fetching = asked.filter_map(|node| node.wake_at).min();
        let held = self.held.then(|| self.offer_at()).filter(|_| !self.blocks.is_full());
        let wanted = [
            fetching,
            held,
            self.decision_due,
            self.slow_at(),
            self.ping_at(),
            self.slow_proposal_at(),
        ]
        .into_iter()
        .flatten()
        .filter(|_| !self.finishing)
        .min();
        let slow_block = self.slow_blocks().map(|(_, _, _, at)| at).min();
        let sending = self.nodes.iter().enumerate().filter_map(|(index, node)| {
            let due = self.blocks.due_at(index).filter(|_| !node.is_foreign)?;
            // While its chain is being asked for, the answer comes first, or the end of patience.
            match node.identifying {
                Some(_) => Some(due.max(node.patience_ends()?)),
                None => Some(due),
            }
        });
        wanted.into_iter().chain(slow_block).chain(sending).chain(self.waiting_ends()).min()
    }

    /// A block file of an earlier run, and its age. The block is sent unless the node has it.
    pub fn replay(&mut self, now: Duration, block: SpooledBlock, age: Duration) {
        let tip = block.prev_hash;
        self.blocks.replay(now, self.active, block, age);
        if self.candidate.as_ref().is_some_and(|candidate| candidate.builds_on(tip)) {
            self.wait_for_ours(now, tip);
        }
        self.drive(now);
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.drive(now);
    }

    /// The outcome of a request: what HTTP brought, or why it brought nothing.
    pub fn handle_answer(&mut self, now: Duration, id: u64, outcome: Result<Answer, NoAnswer>) {
        let Some(Pending { node, purpose, sent_at, .. }) = self.pending.remove(&id) else { return };
        self.nodes[node].heard_at = now;
        let outcome = outcome.and_then(|answer| answer.to_call(id)).map_err(RpcError::Unreachable);
        match purpose {
            Purpose::Info => {
                let info = outcome.and_then(|answer| answer.result::<ChainInfo>());
                self.handle_info(now, node, info);
            }
            Purpose::Fetch => {
                self.nodes[node].busy = false;
                self.receive_template(now, node, outcome);
            }
            Purpose::LongPoll => self.handle_longpoll(now, node, id, outcome),
            Purpose::Probe => self.handle_probe(now, node, id, outcome),
            Purpose::Proposal => {
                let verdict = outcome.and_then(|answer| BlockVerdict::from_answer(&answer));
                self.handle_proposal(now, node, id, verdict);
            }
            Purpose::Check => {
                let verdict = outcome.and_then(|answer| BlockVerdict::from_answer(&answer));
                self.handle_check(now, node, verdict);
            }
            Purpose::Submit(hash) => {
                let verdict = outcome.and_then(|answer| BlockVerdict::from_answer(&answer));
                let tip = self.tip_height_at(node);
                let is_accepted = verdict == Ok(BlockVerdict::Accepted);
                let refusal = refusals::is_for_good(&verdict).map(str::to_owned);
                let found_on = self.blocks.found_on(node, hash);
                self.blocks.handle_submitted(now, node, hash, verdict, tip, &mut self.events);
                if let Some((why, on)) = refusal.zip(found_on) {
                    self.handle_refused(now, node, &why, on);
                } else if is_accepted {
                    self.handle_accepted(node);
                }
                self.look_back_at_way(now, node, sent_at);
                self.look_after_block(now, node);
            }
            Purpose::Header(hash) => {
                let header = match outcome.and_then(|answer| answer.result::<HeaderInfo>()) {
                    Err(RpcError::Node { code: code::INVALID_ADDRESS_OR_KEY, .. }) => Ok(None),
                    other => other.map(Some),
                };
                let (tip, found_on) = (self.tip_height_at(node), self.blocks.found_on(node, hash));
                let refusal =
                    self.blocks.handle_header(now, node, hash, header, tip, &mut self.events);
                if let Some((why, on)) = refusal.zip(found_on) {
                    self.handle_refused(now, node, &why, on);
                }
                self.look_after_question(now, node);
            }
        }
        self.drive(now);
    }

    /// A connection to this node was opened. Call it before the answer to whatever goes over that
    /// connection: another node may answer there, on another chain, so the chain is asked for
    /// before the answer is used.
    pub fn handle_connected(&mut self, now: Duration, node: usize) {
        self.nodes[node].opened();
        self.drive(now);
    }

    /// The threads found a share of one of our jobs.
    ///
    /// # Errors
    /// It is not sent, and never gets a verdict from a node.
    pub fn handle_share(&mut self, now: Duration, share: &Share) -> Result<(), NotSent> {
        // Nearly every hash solves a block on regtest: most shares end here.
        if self.is_sibling(share.job.prev_hash) {
            return Err(NotSent::Sibling);
        }
        let given = self.given_for(&share.job).ok_or(NotSent::Foreign)?;
        let (node, block) = (given.node, given.work.block(share));
        self.handle_solved(now, node, &block)
    }

    /// A block that was made of one of our jobs elsewhere, by a pool.
    ///
    /// # Errors
    /// As for a share.
    pub fn handle_block(&mut self, now: Duration, block: &[u8]) -> Result<(), NotSent> {
        // The pool does not say which template it was; all those on a tip come from one node, but
        // for the moment of a failover.
        let node = SpooledBlock::from_block(block).and_then(|block| {
            let builds_on = |given: &&Given| given.work.job().prev_hash == block.prev_hash;
            self.works.iter().rfind(builds_on).map(|given| given.node)
        });
        self.handle_solved(now, node.unwrap_or(self.active), block)
    }

    fn handle_solved(&mut self, now: Duration, node: usize, block: &[u8]) -> Result<(), NotSent> {
        let block = SpooledBlock::from_block(block).ok_or(NotSent::Unreadable)?;
        if !block.is_solved() {
            return Err(NotSent::Unsolved);
        }
        if self.is_sibling(block.prev_hash) {
            return Err(NotSent::Sibling);
        }
        if self.is_tip(block.prev_hash) {
            self.wait_for_tip(now, block.prev_hash);
            self.pace_until = now.saturating_add(self.config.block_interval);
            self.events.push(node, NodeNews::Pause);
        }
        self.events.push(node, NodeNews::Spool(block.clone()));
        self.blocks.found(now, node, block, &mut self.events);
        self.drive(now);
        Ok(())
    }

    /// Whether a block on `tip` would only compete with a block of ours.
    fn is_sibling(&self, tip: Hash256) -> bool {
        if self.is_tip(tip) { self.solved_tip == Some(tip) } else { self.blocks.builds_on(tip) }
    }

    fn is_tip(&self, hash: Hash256) -> bool {
        self.newest_work().is_some_and(|work| work.job().prev_hash == hash)
    }

    fn given_for(&self, job: &Job) -> Option<&Given> {
        self.works.iter().find(|given| given.work.job().id == job.id)
    }

    /// The node that gave a job; the node that gives work at present for a job that is no more.
    pub fn node_of(&self, job: &Job) -> usize {
        self.given_for(job).map_or(self.active, |given| given.node)
    }

    /// The block of [`NodeNews::Spool`] is on disk, or cannot be written. It is sent either way.
    pub fn handle_spooled(&mut self, now: Duration, hash: Hash256, outcome: io::Result<()>) {
        let is_on_disk = outcome.is_ok();
        match outcome {
            Ok(()) => self.unspooled.is_over(),
            Err(error) => self.tell_unspooled(now, hash, &error),
        }
        self.blocks.release(now, hash, is_on_disk);
        self.drive(now);
    }

    fn tell_unspooled(&mut self, now: Duration, hash: Hash256, error: &io::Error) {
        let reason = error.to_string();
        let first = || {
            format!(
                "block {hash} could not be written to the spool ({reason}): it is sent all the \
                 same, but would be lost if this process ended before a node has it; {}name \
                 another directory",
                cure(error)
            )
        };
        if let Some(words) = self.unspooled.happened(now, &reason, first, further_unspooled) {
            let node = self.blocks.origin(hash).unwrap_or(self.active);
            self.events.push(node, NodeNews::Warning(words));
        }
    }

    /// Asks for no more work. Blocks on their way go on; once more the nodes are asked whether the
    /// accepted ones still stand.
    pub fn finish(&mut self, now: Duration) {
        if !self.finishing {
            self.finishing = true;
            self.drop_candidate();
            self.stop_waiting(self.active);
            let nodes = 0..self.nodes.len();
            for node in nodes.filter(|&node| !self.nodes[node].is_foreign) {
                self.blocks.recheck(now, node);
            }
        }
        self.drive(now);
    }

    /// Whether every block of this run has a verdict, and no call about one is under way.
    pub fn is_settled(&self) -> bool {
        self.blocks.is_settled()
    }

    /// The caller waits no longer: blocks without a verdict stay in the spool, unresolved.
    pub fn abandon(&mut self) {
        if let Some(words) = self.unspooled.rest(further_unspooled) {
            self.events.push(self.active, NodeNews::Warning(words));
        }
        self.blocks.abandon(&mut self.events);
    }

    /// The work of the last [`NodeNews::Job`], transactions included.
    pub fn newest_work(&self) -> Option<&Work> {
        self.works.last().map(|given| &given.work)
    }

    /// How far the node's clock is from `unix_now`, if that deserves a warning.
    pub fn clock_skew(&self, unix_now: u64) -> Option<i64> {
        self.newest_work()?.template().clock_skew(unix_now)
    }

    /// Whether some node gives work, as far as can be seen.
    pub fn service(&self, now: Duration) -> Service {
        self.failover.service(now)
    }

    /// The trouble of each node that gives no work, by its index.
    pub fn troubles(&self) -> impl Iterator<Item = (usize, &str)> {
        let nodes = self.nodes.iter().enumerate();
        nodes.filter_map(|(index, node)| {
            // It may hang, for less time than is told of.
            let is_asked = node.waits() && node.waiting.seen.is_none();
            let unheard = is_asked.then_some("the node has not answered yet");
            Some((index, node.trouble().or(unheard)?))
        })
    }

    /// Blocks counted so far.
    pub fn ledger(&self) -> Ledger {
        self.blocks.ledger()
    }

    /// Does what is due.
    fn drive(&mut self, now: Duration) {
        self.give_up_waiting(now);
        if let Some(tip) = self.blocks.take_refusal()
            && self.solved_tip == Some(tip)
        {
            // Our block was no good, so the tip is free again.
            self.solved_tip = None;
            self.held = true;
            self.nodes[self.active].wake_at = Some(now);
        }
        if !self.finishing {
            self.look_after_proposal(now);
            self.tell_slow(now);
            self.ping(now);
            self.choose(now);
            for index in 0..self.nodes.len() {
                if self.failover.is_wanted(index) {
                    self.ask(now, index);
                }
            }
            self.wait_for_next(now);
            self.offer(now);
        }
        self.ask_about_slow_blocks(now);
        self.ask_for_chains(now);
        while let Some((node, hash, call)) =
            self.blocks.poll_call(now, |node| self.nodes[node].may_submit(now))
        {
            let purpose = match call {
                Call::Header(_) => Purpose::Header(hash),
                _ => {
                    self.make_way(now, node);
                    Purpose::Submit(hash)
                }
            };
            self.call(now, node, call, purpose, CALL_TIMEOUT);
        }
        self.forget_none(now);
    }

    /// No node that is wanted is left without a call and without a time for one: the work of a run
    /// would end there without a word.
    fn forget_none(&mut self, now: Duration) {
        for index in 0..self.nodes.len() {
            let node = &mut self.nodes[index];
            if self.failover.is_wanted(index) && !self.finishing && node.is_forgotten() {
                debug_assert!(false, "node {index} is forgotten: {node:?}");
                node.wake_at = Some(now + POLL);
            }
        }
    }

    fn call(
        &mut self,
        now: Duration,
        node: usize,
        call: Call,
        purpose: Purpose,
        timeout: Duration,
    ) -> u64 {
        let id = self.calls;
        self.calls += 1;
        self.pending.insert(id, Pending { node, purpose, sent_at: now, told: false });
        self.requests.push_back(Request { id, node, call, timeout });
        id
    }

    /// The answer to this call is not wanted any more.
    fn withdraw(&mut self, id: u64) {
        self.pending.remove(&id);
        // One that was never handed out need not be taken back.
        let before = self.requests.len();
        self.requests.retain(|request| request.id != id);
        if self.requests.len() == before {
            self.cancels.push_back(id);
        }
    }

    /// Asks a node that is due: what it is if that is not known, else for a template.
    fn ask(&mut self, now: Duration, index: usize) {
        let node = &mut self.nodes[index];
        if node.waits() || node.wake_at.is_none_or(|at| at > now) {
            return;
        }
        node.wake_at = None;
        match node.phase {
            Phase::Ready => {
                node.busy = true;
                let call = Call::Template { longpoll_id: None };
                self.call(now, index, call, Purpose::Fetch, CALL_TIMEOUT);
            }
            Phase::New => self.identify(now, index),
        }
    }

    /// Blocks that were sent and have no answer: when the node is asked whether it has them.
    fn slow_blocks(&self) -> impl Iterator<Item = (u64, usize, Hash256, Duration)> {
        let patience = if self.finishing { HURRY } else { SLOW };
        self.pending.iter().filter_map(move |(&id, call)| match call.purpose {
            Purpose::Submit(hash) if !call.told => {
                Some((id, call.node, hash, call.sent_at + patience))
            }
            _ => None,
        })
    }

    /// The call goes on: an answer that comes late is used.
    fn ask_about_slow_blocks(&mut self, now: Duration) {
        let slow: Vec<_> = self.slow_blocks().filter(|&(_, _, _, at)| at <= now).collect();
        for (id, node, hash, _) in slow {
            if let Some(call) = self.pending.get_mut(&id) {
                call.told = true;
            }
            self.blocks.ask_about(now, node, hash);
        }
    }

    /// A node that is doubted is asked for its chain at once, and any node before it gets a block.
    /// One that did not name it is asked again after a pause, however many blocks there are for it.
    fn ask_for_chains(&mut self, now: Duration) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            // A template that is held waits for that word whatever the phase.
            let waits_for_word = node.phase == Phase::Ready || node.held.is_some();
            let is_doubted = node.doubted && waits_for_word && !self.finishing;
            let has_due = !node.is_foreign
                && !node.may_submit(now)
                && self.blocks.due_at(index).is_some_and(|at| at <= now);
            match &node.vain {
                Some(vain) if has_due && now < vain.until && node.identifying.is_none() => {
                    self.blocks.postpone(now, vain, index, &mut self.events);
                }
                _ if is_doubted || has_due => self.identify(now, index),
                _ => {}
            }
        }
    }
}
