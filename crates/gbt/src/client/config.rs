//! The settings of a solo client.

use std::time::Duration;

use midstate_chain::Network;

use crate::Address;

/// The payee, the chain and the pace.
#[derive(Debug, Clone)]
pub struct Config {
    /// The chain the user named; all nodes must be on it. `None`: whichever the first one is on.
    pub chain: Option<Network>,
    /// The payee.
    pub address: Address,
    /// Text for the coinbase, at most [`MAX_TAG`](crate::MAX_TAG) bytes.
    pub tag: Vec<u8>,
    /// A mark that tells this process from others with the same address.
    pub extranonce1: Vec<u8>,
    /// Version bits to roll; 0 for none.
    pub version_mask: u32,
    /// How many nodes there are; they are named by index, in order of preference.
    pub nodes: usize,
    /// Whether a call may wait at a node for the next tip.
    pub long_poll: LongPolling,
    /// When work goes to another node of the list, and back.
    pub failover: midstate_failover::Limits,
    /// Least time between two blocks of ours (regtest at a human pace); zero for none.
    pub block_interval: Duration,
}

/// Whether a call may wait at a node for the next tip, which takes a thread of the node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LongPolling {
    /// Where the node has threads to spare; see `client/waiting.rs`.
    #[default]
    Auto,
    /// Without asking whether it has.
    Always,
    /// The node is asked every few seconds.
    Never,
}
