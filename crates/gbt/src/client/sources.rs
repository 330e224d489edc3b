//! Which node gives the work: the first in order that can, and what happens when it stops.

use std::time::Duration;

use midstate_chain::Network;

use super::node::Phase;
use super::{Client, Fatal, NodeState, Purpose, What};
use crate::limits::{CALL_TIMEOUT, FAILOVER_AFTER, MAX_REFUSALS, PROBE};
use crate::rpc::{Call, ChainInfo, RpcError};

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
                self.blocks.postpone(now, index, &error, &mut self.events);
                // A node that gives no work is asked only for the sake of a block.
                if index <= self.active {
                    self.lose(now, index, &error.to_string(), Some(&error));
                }
                return;
            }
        };
        let (chain, script) = match self.check_chain(&info.chain) {
            Ok(checked) => checked,
            Err(words) => {
                self.nodes[index].is_foreign = true;
                self.blocks.bar(index);
                return self.give_up(now, index, Fatal::WrongChain(words));
            }
        };
        if self.chain.replace(chain).is_none() {
            self.events.push(index, What::Chain(chain));
        }
        let node = &mut self.nodes[index];
        node.script = script;
        node.identified(now);
        if node.phase == Phase::New && index <= self.active {
            node.phase = Phase::Ready;
            node.wake_at = Some(now);
            self.blocks.hurry(now, index);
        }
        let node = &self.nodes[index];
        if index < self.active && node.phase == Phase::Ready {
            self.activate(now, index, "it answers again");
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
    fn check_chain(&self, name: &str) -> Result<(Network, Vec<u8>), String> {
        let chain: Network = name.parse()?;
        if let Some(wanted) = self.config.chain.filter(|&wanted| wanted != chain) {
            return Err(format!(
                "the node is on {chain}, but --chain says {wanted}; name the right node with -o, \
                 or leave --chain out"
            ));
        }
        if let Some(first) = self.chain.filter(|&first| first != chain) {
            return Err(format!("the node is on {chain}, but another one is on {first}"));
        }
        let script = self.config.address.script_for(chain).map_err(|error| error.to_string())?;
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
        let node = &mut self.nodes[index];
        let news = node.failed(now, reason);
        let (failures, never_connected) = (node.failures, !node.was_connected);
        if news {
            self.report(index, NodeState::Lost, Some(reason));
        }
        if error == Some(&RpcError::Unauthorized) && failures >= MAX_REFUSALS && never_connected {
            return self.give_up(now, index, Fatal::Unauthorized(reason.to_owned()));
        }
        if index < self.active {
            self.nodes[index].wake_at = Some(now + PROBE);
        } else if index == self.active && failures >= FAILOVER_AFTER {
            self.fail_over(now, reason);
        }
    }

    /// The node will not give work, however long we wait.
    pub(super) fn give_up(&mut self, now: Duration, index: usize, fatal: Fatal) {
        let reason = fatal.to_string();
        self.report(index, NodeState::Lost, Some(&reason));
        self.nodes[index].phase = Phase::Unusable;
        self.nodes[index].wake_at = None;
        if self.nodes.iter().all(|node| node.phase == Phase::Unusable) {
            self.events.push(index, What::Fatal(fatal));
        } else if index == self.active {
            self.fail_over(now, &reason);
        }
    }

    /// The next node in order that can be used, if there is another.
    fn fail_over(&mut self, now: Duration, reason: &str) {
        let count = self.nodes.len();
        let next = (1..count)
            .map(|step| (self.active + step) % count)
            .find(|&index| self.nodes[index].phase != Phase::Unusable);
        let Some(next) = next else { return };
        for index in 0..next {
            self.nodes[index].rest(now + PROBE);
        }
        self.activate(now, next, reason);
        // One that failed before is not asked at once: where none answers, that would go on without
        // a pause from one to the next.
        self.nodes[next].pause(now);
    }

    fn activate(&mut self, now: Duration, index: usize, reason: &str) {
        self.stop_waiting(self.active);
        self.active = index;
        self.nodes[index].wake_at = Some(now);
        self.drop_candidate();
        self.report(index, NodeState::Active, Some(reason));
    }

    pub(super) fn report(&mut self, node: usize, state: NodeState, reason: Option<&str>) {
        let reason = reason.map(str::to_owned);
        self.events.push(node, What::Node { state, reason });
    }
}
