//! The merkle tree over transaction ids, and the branch that ties a coinbase to its root. Source:
//! Core's `consensus/merkle.cpp`; the witness commitment is BIP141.

use crate::Hash256;

/// Root over `ids`, coinbase first. An odd level repeats its last hash. No ids: zero.
pub fn merkle_root(ids: &[Hash256]) -> Hash256 {
    let Some((coinbase, others)) = ids.split_first() else { return Hash256::ZERO };
    fold_branch(*coinbase, &coinbase_branch(others))
}

/// The hashes that, folded from the left in order, lead from a coinbase to the root. `others` are
/// the transaction ids after the coinbase. This is Stratum's list of merkle branches.
pub fn coinbase_branch(others: &[Hash256]) -> Vec<Hash256> {
    let mut branch = Vec::new();
    // Every level without its first node, which depends on the coinbase.
    let mut level = others.to_vec();
    while !level.is_empty() {
        let sibling = level.remove(0);
        branch.push(sibling);
        if level.len() % 2 == 1 {
            level.push(level[level.len() - 1]);
        }
        level = level.chunks_exact(2).map(|pair| hash_pair(pair[0], pair[1])).collect();
    }
    branch
}

/// The merkle root of a block with this coinbase id.
pub fn fold_branch(coinbase: Hash256, branch: &[Hash256]) -> Hash256 {
    branch.iter().fold(coinbase, |root, sibling| hash_pair(root, *sibling))
}

/// The 32 bytes a coinbase commits to (BIP141): `sha256d(witness root || reserved value of zeros)`.
/// `others` are the witness ids after the coinbase, whose own witness id counts as zero.
pub fn witness_commitment(others: &[Hash256]) -> Hash256 {
    let root = fold_branch(Hash256::ZERO, &coinbase_branch(others));
    hash_pair(root, Hash256::ZERO)
}

fn hash_pair(left: Hash256, right: Hash256) -> Hash256 {
    let mut both = [0; 64];
    both[..32].copy_from_slice(left.as_bytes());
    both[32..].copy_from_slice(right.as_bytes());
    Hash256::of(&both)
}
