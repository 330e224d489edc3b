//! A share: a header that was found good enough to send.

use std::sync::Arc;

use crate::{Hash256, Header, Job, Target};

/// A solved header and the job it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Where it was found.
    pub job: Arc<Job>,
    /// Our part of the extranonce, exactly `job.extranonce2_size` bytes.
    pub extranonce2: Vec<u8>,
    /// The whole header version.
    pub version: u32,
    /// Header time.
    pub time: u32,
    /// Header nonce.
    pub nonce: u32,
    /// Hash of the header.
    pub hash: Hash256,
}

/// How a share ended. A share that has no verdict yet counts as unresolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The pool or node took it.
    Accepted,
    /// The pool or node refused it.
    Rejected,
    /// Its job was void before it could be sent.
    Stale,
    /// Held back by a rate limit of ours.
    Throttled,
    /// No answer came, and none can come any more.
    Unresolved,
}

impl Share {
    /// The header, built anew from the job: its hash is the one to trust.
    pub fn header(&self) -> Header {
        let (version, time, nonce) = (self.version, self.time, self.nonce);
        Header { version, time, nonce, ..self.job.header(&self.extranonce2) }
    }

    /// The version inside the negotiated mask: what Stratum submits (BIP310).
    pub fn version_bits(&self) -> u32 {
        self.version & self.job.version_mask
    }

    /// Whether the hash meets the pool's target.
    pub fn meets_share_target(&self) -> bool {
        self.job.share_target.is_met_by(&self.hash)
    }

    /// Whether the hash is a block.
    pub fn is_block(&self) -> bool {
        self.job.network_target.is_met_by(&self.hash)
    }

    /// The difficulty that the hash would have met.
    pub fn difficulty(&self) -> f64 {
        Target::from_number(crate::U256::from_le_bytes(*self.hash.as_bytes())).difficulty()
    }
}
