//! Which node gives the work: the first in order that can, and what happens when it stops.
//!
//! **Only the first word of a node is final.** A node that has not given work yet, and is on
//! another chain or gives templates that cannot be mined, is out; when all are out, the run ends,
//! for waiting would not help. A node that gave work before and says so now is lost and asked
//! again, as any other that fails: somebody may be about to put it right. Until then it gets no
//! block.

use std::time::Duration;

use midstate_chain::{Network, NetworkError};
use midstate_failover::Failure;

use super::node::{Node, Phase};
use super::{Client, Fatal, NodeNews, NodeState, Purpose};
use crate::AddressError;
use crate::limits::{CALL_TIMEOUT, POLL, SLOW};
use crate::rpc::{Call, ChainInfo, NoAnswer, RpcError};

/// Why a node's chain is not the one to mine on.
#[derive(Debug, thiserror::Error)]
enum WrongChain {
    #[error(transparent)]
    Unknown(#[from] NetworkError),
    #[error(
        "the node is on {chain}, but --chain says {wanted}; name the right node with -o, or leave \
         --chain out"
    )]
    NotWanted { chain: Network, wanted: Network },
    #[error("the node is on {chain}, and was on {first}: another one has taken its place")]
    NotAsBefore { chain: Network, first: Network },
    #[error("the node is on {chain}, but the first node that answered is on {first}")]
    NotTheFirsts { chain: Network, first: Network },
    #[error("the node is on {chain}: {error}")]
    Address { chain: Network, error: AddressError },
}

impl Client {
    pub(super) fn handle_info(
        &mut self,
        now: Duration,
        index: usize,
        info: Result<ChainInfo, RpcError>,
    ) {
        self.nodes[index].identifying = None;
        let info = match info {
            Ok(info) => info,
            Err(error) => {
                let vain = self.nodes[index].not_identified(now, error.clone());
                self.blocks.postpone(now, vain, index, &mut self.events);
                // A node that gives no work is asked only for the sake of a block.
                match self.failover.is_wanted(index) {
                    true => self.lose(now, index, &error.to_string(), Some(&error)),
                    false => self.nodes[index].distrust(),
                }
                return;
            }
        };
        let (chain, script) = match self.check_chain(index, &info.chain) {
            Ok(checked) => checked,
            Err(error) => {
                self.nodes[index].is_foreign = true;
                self.blocks.bar(index);
                return self.refuse(now, index, Fatal::WrongChain(error.to_string()));
            }
        };
        if self.chain.replace(chain).is_none() {
            self.events.push(index, NodeNews::Chain(chain));
        }
        let node = &mut self.nodes[index];
        (node.script, node.has_named_chain) = (script, true);
        node.identified(now);
        if std::mem::take(&mut node.is_foreign) {
            self.blocks.unbar(now, index);
        }
        let node = &mut self.nodes[index];
        let mut is_back = node.vain.take().is_some();
        // A pause after another call that failed goes on, though the node names its chain. A node
        // that was only slow has answered now, and is asked on.
        let rests = !is_back && !node.is_silent && node.wake_at.is_some_and(|at| at > now);
        if node.phase == Phase::New && self.failover.is_wanted(index) && !rests {
            node.phase = Phase::Ready;
            node.wake_at = Some(now);
            is_back = true;
        }
        if is_back {
            // It may have been restarted. Of a node that gives work, the next template tells.
            if !self.failover.is_wanted(index) {
                self.blocks.recheck_after_absence(now, index, u32::MAX);
            }
            self.blocks.hurry(now, index);
        }
        if let Some(template) = self.nodes[index].held.take() {
            self.handle_template(now, index, Ok(template));
        }
    }

    /// Asks for the chain of a node that was away, or may be another one by now.
    pub(super) fn identify(&mut self, now: Duration, index: usize) {
        if self.nodes[index].identifying.is_none() {
            self.nodes[index].identify(now);
            self.call(now, index, Call::ChainInfo, Purpose::Info, CALL_TIMEOUT);
        }
    }

    /// The node's chain, and the payout script on it.
    fn check_chain(&self, index: usize, name: &str) -> Result<(Network, Vec<u8>), WrongChain> {
        let chain: Network = name.parse()?;
        if let Some(wanted) = self.config.chain.filter(|&wanted| wanted != chain) {
            return Err(WrongChain::NotWanted { chain, wanted });
        }
        if let Some(first) = self.chain.filter(|&first| first != chain) {
            return Err(match self.nodes[index].has_named_chain {
                true => WrongChain::NotAsBefore { chain, first },
                false => WrongChain::NotTheFirsts { chain, first },
            });
        }
        let script = self.config.address.script_for(chain);
        let script = script.map_err(|error| WrongChain::Address { chain, error })?;
        Ok((chain, script.to_vec()))
    }

    /// The node gives no work now. It is tried again, and after some failures another one is.
    pub(super) fn lose(
        &mut self,
        now: Duration,
        index: usize,
        reason: &str,
        error: Option<&RpcError>,
    ) {
        let how = match error {
            Some(RpcError::Unauthorized) => Failure::Refused,
            Some(RpcError::Unreachable(NoAnswer::NobodyThere(_))) => Failure::Hopeless,
            _ => Failure::Passing,
        };
        // Calls that time out one after the other are one silence.
        let timed_out = matches!(error, Some(RpcError::Unreachable(NoAnswer::TimedOut(_))));
        self.nodes[index].is_silent &= timed_out;
        self.lose_as(now, index, reason, how);
    }

    fn lose_as(&mut self, now: Duration, index: usize, reason: &str, how: Failure) {
        if self.nodes[index].failed(now, reason) {
            self.report(index, NodeState::Lost, Some(reason));
        }
        let was_out = self.failover.is_out(index);
        self.failover.failed(now, index, how);
        if self.failover.is_out(index) && !was_out && self.failover.all_out() {
            self.events.push(index, NodeNews::Fatal(Fatal::Unauthorized(reason.to_owned())));
        }
    }

    /// Calls that work depends on, and that have no answer: when that is told. A proposal is not
    /// one of them; see `client/supply.rs`.
    fn slow_calls(&self) -> impl Iterator<Item = (u64, usize, Duration)> {
        let is_of_work = |purpose| matches!(purpose, Purpose::Info | Purpose::Fetch);
        let calls = self.pending.iter().filter(move |(_, call)| {
            !call.told && is_of_work(call.purpose) && self.failover.is_wanted(call.node)
        });
        calls.map(|(&id, call)| (id, call.node, call.sent_at + SLOW))
    }

    pub(super) fn slow_at(&self) -> Option<Duration> {
        self.slow_calls().map(|(_, _, at)| at).min()
    }

    /// A node that does not answer for some seconds is no source of work, however well it worked
    /// before. The call goes on: an answer that comes late is used.
    pub(super) fn tell_slow(&mut self, now: Duration) {
        let slow: Vec<_> = self.slow_calls().filter(|&(_, _, at)| at <= now).collect();
        for (id, index, _) in slow {
            if let Some(call) = self.pending.get_mut(&id) {
                call.told = true;
            }
            if std::mem::replace(&mut self.nodes[index].is_silent, true) {
                continue;
            }
            let reason = format!("the node has not answered for {} s", SLOW.as_secs());
            self.lose_as(now, index, &reason, Failure::Silent);
        }
    }

    /// When the active node is asked whether it is still there, as nothing else is asked of it
    /// while a call waits.
    pub(super) fn ping_at(&self) -> Option<Duration> {
        let node = &self.nodes[self.active];
        let is_quiet = node.waiting.longpoll.is_some()
            && node.phase == Phase::Ready
            && !node.busy
            && node.identifying.is_none()
            && self.candidate.is_none();
        let at = node.heard_at + POLL;
        let is_asked_anyhow = node.wake_at.is_some_and(|wake_at| wake_at <= at);
        Some(at).filter(|_| is_quiet && !is_asked_anyhow)
    }

    pub(super) fn ping(&mut self, now: Duration) {
        if self.ping_at().is_some_and(|at| at <= now) {
            self.identify(now, self.active);
        }
    }

    /// The node's work cannot be mined. See the rule of this module.
    pub(super) fn refuse(&mut self, now: Duration, index: usize, fatal: Fatal) {
        match self.nodes[index].was_connected {
            true => self.lose_as(now, index, &fatal.to_string(), Failure::Hopeless),
            false => self.give_up(now, index, fatal),
        }
    }

    /// The node will not give work, however long we wait.
    fn give_up(&mut self, now: Duration, index: usize, fatal: Fatal) {
        let reason = fatal.to_string();
        self.nodes[index].failed(now, &reason);
        self.report(index, NodeState::Lost, Some(&reason));
        self.failover.rule_out(now, index);
        if self.failover.all_out() {
            self.events.push(index, NodeNews::Fatal(fatal));
        }
    }

    /// Goes over to the node that the failover decides for. A job at hand is hashed on until the
    /// next one comes: a block of it is good at every node.
    pub(super) fn choose(&mut self, now: Duration) {
        self.failover.decide(now);
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let is_wanted = self.failover.is_wanted(index);
            if is_wanted && !std::mem::replace(&mut node.was_wanted, is_wanted) {
                node.wake_at = Some(now);
                // It may have been restarted while nothing was asked of it.
                node.doubtful = true;
            }
            node.was_wanted = is_wanted;
        }
        if let Some(index) = self.failover.active().filter(|&index| index != self.active) {
            self.activate(now, index);
        }
        self.decision_due = self.failover.deadline(now);
    }

    fn activate(&mut self, now: Duration, index: usize) {
        let reason = match index < self.active {
            true if self.failover.owes(index) => {
                "it has given work without trouble, so that our blocks are tried there again"
                    .to_owned()
            }
            true => "it has answered again for long enough".to_owned(),
            false => self.troubles_above(index),
        };
        self.stop_waiting(self.active);
        self.active = index;
        self.nodes[index].wake_at = Some(now);
        self.drop_candidate();
        self.report(index, NodeState::Active, Some(&reason));
    }

    /// Why the nodes above this one give no work.
    fn troubles_above(&self, index: usize) -> String {
        let mut reasons: Vec<_> = self.nodes[..index].iter().filter_map(Node::trouble).collect();
        reasons.dedup();
        match reasons.is_empty() {
            true => "the nodes before it give no work".to_owned(),
            false => reasons.join("; "),
        }
    }

    pub(super) fn report(&mut self, node: usize, state: NodeState, reason: Option<&str>) {
        let reason = reason.map(str::to_owned);
        self.events.push(node, NodeNews::Node { state, reason });
    }
}
