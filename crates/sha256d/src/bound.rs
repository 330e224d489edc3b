//! The limit that a vector kernel works against: how fast this CPU executes a round's operations
//! when none waits for another and none touches memory, so that only the ports hold it up.
//!
//! Measured and not looked up, because no table has every CPU, and because CPUs change their
//! clock with the width of the vectors. `midstate bench` times it beside the kernels.

use core::hint::black_box;

use crate::lanes::Lanes;

/// Computations side by side: each has about a dozen cycles of operations that wait for each other
/// and three times as many that do not, so four keep any number of ports busy, and fit sixteen
/// registers.
const CHAINS: usize = 4;

/// Does the operations of a round, the same kinds in the same numbers, in each of four independent
/// computations, `turns` times. Returns the number of rounds, a lane each.
#[inline(always)]
pub(crate) fn independent_rounds<V: Lanes>(token: V::Token, turns: u32) -> u64 {
    let [seed, constant] = black_box([0x9e37_79b9, 0x243f_6a88]);
    let constant = V::splat(token, constant);
    let mut chains = [(constant, constant); CHAINS];
    for (i, chain) in (0..).zip(&mut chains) {
        *chain = (V::splat(token, seed ^ i), V::splat(token, seed + i));
    }
    for _ in 0..turns {
        for (x, y) in &mut chains {
            let (s0, s1) = (x.big_sigma0(), x.big_sigma1());
            let choice = V::choice(*x, s0, constant);
            // A kernel has the third operand's difference from the round before; any word will do.
            let (majority, _) = V::majority(*x, s1, choice, choice);
            (*x, *y) = (s0 + s1 + (choice + majority) + (*x + *y) + constant, *x);
        }
    }
    black_box(chains.map(|(x, y)| (x + y).zero_lanes()));
    u64::from(turns) * (CHAINS * V::COUNT) as u64
}
