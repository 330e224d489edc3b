//! The client's messages to its caller: requests, events, and reasons for not sending a block.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Job, Network};

use super::BlockOutcome;
use crate::rpc::Call;
use crate::spool::SpooledBlock;

/// Why a block is not sent, in words for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotSent {
    /// A share that a miner found before it heard of its own block.
    #[error("another block of ours builds on the same tip")]
    Sibling,
    /// A job that is not known, or no longer.
    #[error("not sent: it belongs to no job of this run")]
    Foreign,
    /// A kernel or the CPU is at fault.
    #[error("not sent: its hash is above the target")]
    Unsolved,
    /// Not even a header and a list of transactions.
    #[error("not sent: it cannot be read")]
    Unreadable,
}

/// An HTTP POST to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Names it in [`Client::handle_answer`](super::Client::handle_answer).
    pub id: u64,
    /// To which node.
    pub node: usize,
    /// The call.
    pub call: Call,
    /// When the caller gives up, and reports that as an error.
    pub timeout: Duration,
}

impl Request {
    /// The body to send.
    pub fn body(&self) -> Vec<u8> {
        self.call.body(self.id)
    }
}

/// An event and its node, in order. A type of its own, so that no event can be made without its
/// node, and no caller has to guess one.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeEvent {
    /// Index of the node that this is about. For a block: the node that judged it, or, without a
    /// verdict, the node that gave its job.
    pub node: usize,
    /// The news.
    pub what: NodeNews,
}

/// News of a node.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum NodeNews {
    /// The node answers, or stopped to.
    Node {
        /// Its present state.
        state: NodeState,
        /// Why, for people.
        reason: Option<String>,
    },
    /// This node, the first that answered, is on this chain, and so must be the others. Comes once,
    /// before any job: the time to [`replay`](super::Client::replay) this chain's spool.
    Chain(Network),
    /// Hash this and nothing else.
    Job {
        /// The work.
        job: Arc<Job>,
        /// Height of the block.
        height: u32,
        /// Transactions in it, coinbase not counted.
        transactions: usize,
        /// The coinbase's value, in satoshi.
        value: u64,
    },
    /// Hash nothing until the next job: whatever is found now is worthless.
    Pause,
    /// Write this block and sync it, then call
    /// [`Client::handle_spooled`](super::Client::handle_spooled); it is sent after that.
    Spool(SpooledBlock),
    /// The block's file has done its duty.
    Unspool {
        /// The block.
        hash: Hash256,
        /// Whether to delete it or to keep it as evidence.
        refused: bool,
    },
    /// A block of ours has a verdict. Comes again should the verdict change.
    Block(BlockOutcome),
    /// So many blocks of earlier runs are in the node's chain, and were so before this run.
    Known(usize),
    /// For people.
    Warning(String),
    /// No node can be used; waiting would not help.
    Fatal(Fatal),
}

/// A node as a source of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// It gives work.
    Connected,
    /// It does not; it is tried again.
    Lost,
    /// Work comes from this node from now on.
    Active,
}

/// Why no node can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// All refused us; exit code 3.
    #[error("{0}")]
    Unauthorized(String),
    /// The address or `--chain` does not fit; exit code 2.
    #[error("{0}")]
    WrongChain(String),
    /// Its blocks are not for us; exit code 1.
    #[error("{0}")]
    Unusable(String),
}

/// Events that nobody has taken yet.
#[derive(Debug, Default)]
pub(super) struct Events(VecDeque<NodeEvent>);

impl Events {
    pub(super) fn push(&mut self, node: usize, what: NodeNews) {
        self.0.push_back(NodeEvent { node, what });
    }

    pub(super) fn pop(&mut self) -> Option<NodeEvent> {
        self.0.pop_front()
    }
}
