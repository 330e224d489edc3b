//! Our own blocks at a pool of this program, where a node behind the pool has the last word: the
//! pool takes a block at once, the node judges it a moment later, or never.

use std::collections::VecDeque;

use midstate_chain::{Hash256, Verdict};

/// Blocks that are remembered. The oldest make room for new ones.
const MOST: usize = 1024;

/// See the [module](self) page.
#[derive(Debug, Default)]
pub(super) struct Judged(VecDeque<Block>);

#[derive(Debug)]
struct Block {
    hash: Hash256,
    /// The pool's answer, once it is here.
    pool: Option<Verdict>,
    /// The node's newest word, with its reason and the block's height.
    node: Option<Word>,
    /// The news of it.
    told: Verdict,
}

/// A node's word on a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) verdict: Verdict,
    pub(super) height: u32,
    pub(super) reason: Option<String>,
}

impl Judged {
    /// A block is on its way to the pool.
    pub(super) fn found(&mut self, hash: Hash256) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(Block { hash, pool: None, node: None, told: Verdict::Unresolved });
    }

    /// Whether it remembers a block.
    pub(super) fn knows(&self, hash: Hash256) -> bool {
        self.0.iter().any(|block| block.hash == hash)
    }

    /// The pool's answer to a block. The verdict to replace and the node's word, if that came
    /// before and is another one.
    pub(super) fn pool_says(&mut self, hash: Hash256, verdict: Verdict) -> Option<(Verdict, Word)> {
        let block = self.0.iter_mut().find(|block| block.hash == hash)?;
        (block.pool, block.told) = (Some(verdict), verdict);
        block.correction()
    }

    /// The node's word on a block, which may be another miner's.
    pub(super) fn node_says(&mut self, hash: Hash256, word: Word) -> Option<(Verdict, Word)> {
        let block = self.0.iter_mut().find(|block| block.hash == hash)?;
        block.node = Some(word);
        block.correction()
    }

    /// Blocks that the pool took and the node has not, so far.
    pub(super) fn undecided(&self) -> u64 {
        let waits = |block: &&Block| block.pool == Some(Verdict::Accepted) && block.node.is_none();
        self.0.iter().filter(waits).count() as u64
    }
}

impl Block {
    fn correction(&mut self) -> Option<(Verdict, Word)> {
        let (word, _) = (self.node.clone()?, self.pool?);
        let was = std::mem::replace(&mut self.told, word.verdict);
        (was != word.verdict).then_some((was, word))
    }
}
