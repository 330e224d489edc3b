//! The order of four rounds in [`pairs`](super::pairs) and [`alone`](super::alone): data, of which
//! `cargo xtask order` makes other data that computes the same, and keeps it if it is faster.
//!
//! An instruction a line, and its operands with the written one first. `a0`, `c0` and `a1`, `c1`
//! are the states of the two second hashes, `a2`, `c2` and `a3`, `c3` those of the two first
//! hashes; `w` is the newest vector of a message schedule, `n` the next one, `m` its place in
//! memory (0 and 1 of the second hashes, 2 and 3 of the first); `x` is xmm0, `t` a register to
//! spare.

/// The first hashes read their schedule.
macro_rules! read {
    ($then:ident! $($with:tt)*) => {
        $then! { [
            (oldest n1 m1)
            (oldest n0 m0)
            (msg1 n0 m0)
            (kw_lower x)
            (rnds2 c3 a3)
            (rnds2 c2 a2)
            (msg1 n1 m1)
            (kw_upper x)
            (rnds2 a2 c2)
            (rnds2 a3 c3)
            (older x w1 m1)
            (add n1 x)
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
            (oldest n2 m2)
            (msg1 n0 m0)
            (round_words x w2)
            (keep_lower x)
            (rnds2 c2 a2)
            (oldest n1 m1)
            (rnds2 c3 a3)
            (msg1 n2 m2)
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

/// The first hashes have a schedule each, and keep it for nobody. The next vector of the schedule 0
/// is `n0`, and that of each other takes the register in which the one before it had its newest.
macro_rules! alone {
    ($then:ident! $($with:tt)*) => {
        $then! { [
            (oldest n0 m0)
            (round_words x w0)
            (msg1 n0 m0)
            (older t w0 m0)
            (add n0 t)
            (rnds2 c0 a0)
            (upper x)
            (rnds2 a0 c0)
            (msg2 n0 w0)
            (oldest w0 m1)
            (msg1 w0 m1)
            (older t w1 m1)
            (add w0 t)
            (round_words x w1)
            (rnds2 c1 a1)
            (upper x)
            (rnds2 a1 c1)
            (older t w2 m2)
            (msg2 w0 w1)
            (keep w0 m1)
            (oldest w1 m2)
            (msg1 w1 m2)
            (round_words x w2)
            (add w1 t)
            (rnds2 c2 a2)
            (upper x)
            (msg2 w1 w2)
            (keep w1 m2)
            (oldest w2 m3)
            (msg1 w2 m3)
            (rnds2 a2 c2)
            (older t w3 m3)
            (add w2 t)
            (round_words x w3)
            (rnds2 c3 a3)
            (keep n0 m0)
            (upper x)
            (rnds2 a3 c3)
            (msg2 w2 w3)
            (keep w2 m3)
        ] $($with)* }
    };
}
pub(super) use alone;
