//! Blocks that a node refused because it held the block before them for invalid (`bad-prevblk`):
//! its user has taken that one back with `invalidateblock`, and may change that with
//! `reconsiderblock`.
//!
//! **Rule: a refusal that the node's user can lift is no last word.** It is told as a refusal, with
//! the cure. The block and its file are kept. When a template of the node builds on the same
//! parent, the node gets the block again: at once if it has just come back to that parent, else
//! after a pause of [`INVALID_RETRIES`]. There are as many attempts as pauses. Once others have
//! buried its place, the block is let go of, and its file is kept as evidence, as that of any
//! refused block.

use std::time::Duration;

use midstate_chain::Hash256;

use super::super::{Events, NodeNews};
use super::Blocks;
use crate::client::block::{Block, Delivery, Standing};
use crate::limits::{BURIED, INVALID_RETRIES};

impl Blocks {
    /// The node offers work at this height on this tip, which may be a new one.
    pub(in crate::client) fn offer_again(
        &mut self,
        now: Duration,
        node: usize,
        (tip, height): (Hash256, u32),
        is_new: bool,
        events: &mut Events,
    ) {
        for block in self.blocks.iter_mut().filter(|block| block.is_held_invalid(node)) {
            let attempt = block.troubles[node].invalid;
            if block.spooled.prev_hash == tip
                && let Some(&pause) = INVALID_RETRIES.get(attempt - 1)
            {
                let pause = if is_new { Duration::ZERO } else { Duration::from_secs(pause) };
                block.deliveries[node] = Delivery::Due { at: now + pause, attempt, ask: false };
            }
        }
        let is_buried = |block: &&Block| {
            block.standing == Some(Standing::Rejected) && block.spooled.height + BURIED <= height
        };
        while let Some(hash) = self.blocks.iter().find(is_buried).map(|it| it.spooled.hash) {
            self.let_go(hash);
            events.push(node, NodeNews::Unspool { hash, refused: true });
        }
    }
}
