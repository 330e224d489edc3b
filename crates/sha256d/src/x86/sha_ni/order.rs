//! The order of four rounds in [`pairs`](super::pairs). Written by `cargo xtask order`; edit the
//! description in `crates/xtask/src/order.rs` instead.
//!
//! An instruction a line, and its operands with the written one first. `a0`, `c0` and `a1`, `c1`
//! are the states of the two second hashes, `a2`, `c2` and `a3`, `c3` those of the two first
//! hashes; `w` is the newest vector of a message schedule, `n` the next one, `m` its place in
//! memory (0 and 1 of the second hashes, 2 of the first); `x` is xmm0, `t` a register to spare.

/// The first hashes read their schedule.
macro_rules! read {
    ($then:ident! $($with:tt)*) => {
        $then! { [
            (oldest n0 m0)
            (msg1 n0 m0)
            (kw_lower x)
            (rnds2 c2 a2)
            (rnds2 c3 a3)
            (oldest n1 m1)
            (msg1 n1 m1)
            (older x w1 m1)
            (add n1 x)
            (kw_upper x)
            (rnds2 a2 c2)
            (rnds2 a3 c3)
            (msg2 n1 w1)
            (keep n1 m1)
            (round_words x w0)
            (older t w0 m0)
            (rnds2 c0 a0)
            (upper x)
            (rnds2 a0 c0)
            (add n0 t)
            (msg2 n0 w0)
            (keep n0 m0)
            (round_words x w1)
            (rnds2 c1 a1)
            (upper x)
            (rnds2 a1 c1)
        ] $($with)* }
    };
}
pub(super) use read;

/// The first hashes make their schedule, and keep it for the midstates after them.
macro_rules! make {
    ($then:ident! $($with:tt)*) => {
        $then! { [
            (oldest n0 m0)
            (msg1 n0 m0)
            (round_words x w2)
            (keep_lower x)
            (rnds2 c2 a2)
            (rnds2 c3 a3)
            (oldest n2 m2)
            (msg1 n2 m2)
            (oldest n1 m1)
            (msg1 n1 m1)
            (older x w1 m1)
            (add n1 x)
            (older x w2 m2)
            (add n2 x)
            (upper_of_kept x)
            (keep_upper x)
            (rnds2 a2 c2)
            (rnds2 a3 c3)
            (msg2 n1 w1)
            (keep n1 m1)
            (round_words x w0)
            (older t w0 m0)
            (rnds2 c0 a0)
            (upper x)
            (rnds2 a0 c0)
            (add n0 t)
            (msg2 n0 w0)
            (keep n0 m0)
            (msg2 n2 w2)
            (keep n2 m2)
            (round_words x w1)
            (rnds2 c1 a1)
            (upper x)
            (rnds2 a1 c1)
        ] $($with)* }
    };
}
pub(super) use make;
