//! Whether a node's answers to proposals come too late. The client and `doctor` judge by this code
//! alone.
//!
//! A proposal that is answered when the tip has moved, or not before the next template comes, says
//! nothing about the block. If no template were hashed without an answer, a node that is merely
//! slow, or a chain that is fast, would give no work at all. So after [`MAX_LATE`] late ones the
//! newest template is hashed while it is being checked. What that may cost is a few seconds of
//! hashing on a template that the node then refuses.
//!
//! A node whose templates build on a tip that it does not take for its best contradicts itself:
//! that is no slowness, and its templates are not hashed.

use midstate_chain::Hash256;

use crate::limits::MAX_LATE;

/// A proposal's tip is not the node's best: Core's word for a tip that moved meanwhile.
pub const NOT_BEST: &str = "inconclusive-not-best-prevblk";

/// The words for a node that contradicts itself.
pub(crate) const CONTRADICTION: &str = "its templates build on a tip that it does not take for its \
     best; is something between us that asks several nodes in turn?";

/// The late answers of one node.
#[derive(Debug, Default)]
pub struct Lateness {
    late: u32,
    contradictions: u32,
    /// The last proposal was said not to build on the best tip, but on this.
    not_best: Option<Hash256>,
}

impl Lateness {
    /// The node said [`NOT_BEST`] to a proposal on this tip. The next template tells whether the
    /// tip has moved.
    pub fn not_best(&mut self, tip: Hash256) {
        self.not_best = Some(tip);
    }

    /// A further template is proposed, which builds on this tip.
    pub fn template(&mut self, tip: Hash256) {
        match self.not_best.take() {
            Some(old) if old == tip => self.contradictions += 1,
            Some(_) => self.overtaken(),
            None => {}
        }
    }

    /// A further template came before the answer.
    pub fn overtaken(&mut self) {
        self.late = (self.late + 1).min(MAX_LATE);
        self.contradictions = 0;
    }

    /// An answer has taken too long.
    pub fn slow(&mut self) {
        self.late = MAX_LATE;
    }

    /// An answer came in time, and said something about the block.
    pub fn in_time(&mut self) {
        *self = Self { late: self.late.saturating_sub(1), ..Self::default() };
    }

    /// Whether the next template is to be hashed while it is being checked.
    pub fn is_slow(&self) -> bool {
        self.late >= MAX_LATE
    }

    /// Whether the node contradicts itself.
    pub fn contradicts(&self) -> bool {
        self.contradictions >= MAX_LATE
    }
}
