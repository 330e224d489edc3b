//! How a block of [`order`](super::order) becomes assembly, and the few rounds beside the blocks
//! whose order the compiler shall not change, either. Under Miri, which runs no assembly, those
//! rounds are intrinsics.

#[cfg(not(miri))]
use core::arch::asm;
use core::arch::x86_64::*;

use super::{PAIR, State};
#[cfg(not(miri))]
use crate::scalar::K;

/// The text of an instruction of [`order`](super::order), with operands as `asm!` has them. `k` are
/// the round constants; `i` is the offset of four words, and `at` of four rounds in `Shared::kw`.
#[cfg(not(miri))]
macro_rules! text {
    (oldest $n:ident $m:ident) => {
        concat!("vmovdqa ", text!($n), ", [", text!($m), " - 48]")
    };
    (msg1 $n:ident $m:ident) => {
        concat!("sha256msg1 ", text!($n), ", [", text!($m), " - 32]")
    };
    (older $t:ident $w:ident $m:ident) => {
        concat!("vpalignr ", text!($t), ", ", text!($w), ", [", text!($m), " - 16], 4")
    };
    (add $n:ident $t:ident) => {
        concat!("vpaddd ", text!($n), ", ", text!($n), ", ", text!($t))
    };
    (msg2 $n:ident $w:ident) => {
        concat!("sha256msg2 ", text!($n), ", ", text!($w))
    };
    (keep $n:ident $m:ident) => {
        concat!("vmovdqa [", text!($m), " + 16], ", text!($n))
    };
    (round_words x $w:ident) => {
        concat!("vpaddd xmm0, ", text!($w), ", [{k} + {i}]")
    };
    (upper x) => {
        "vpshufd xmm0, xmm0, 14"
    };
    (rnds2 $c:ident $a:ident) => {
        concat!("sha256rnds2 ", text!($c), ", ", text!($a), ", xmm0")
    };
    (kw_lower x) => {
        "vmovdqa xmm0, [{kw} + {at}]"
    };
    (kw_upper x) => {
        "vmovdqa xmm0, [{kw} + {at} + 16]"
    };
    (keep_lower x) => {
        "vmovdqa [{kw} + {at}], xmm0"
    };
    (keep_upper x) => {
        "vmovdqa [{kw} + {at} + 16], xmm0"
    };
    (upper_of_kept x) => {
        "vpshufd xmm0, [{kw} + {at}], 14"
    };
    (x) => {
        "xmm0"
    };
    (m0) => {
        "{words} + {i}"
    };
    (m1) => {
        "{words} + {i} + 256"
    };
    (m2) => {
        "{message} + {i}"
    };
    (m3) => {
        "{message} + {i} + 256"
    };
    ($register:ident) => {
        concat!("{", stringify!($register), "}")
    };
}

#[cfg(not(miri))]
pub(super) use text;

/// A block of [`order`](super::order) with its operands.
#[cfg(not(miri))]
macro_rules! assemble {
    ([$(($($instruction:tt)+))+] $($operands:tt)*) => {
        // SAFETY: the caller has SHA and AVX. Reads and writes stay within the arrays of the
        // pointers: vectors `I - 3` to `I + 1` of sixteen, with `I` from 3 to 14, and four rounds
        // `I - 3` of thirteen. All of them are aligned to their sixteen bytes.
        unsafe { asm!($(text!($($instruction)+),)+ $($operands)*) }
    };
}
#[cfg(not(miri))]
pub(super) use assemble;

/// Two rounds of two states with the same words, where the compiler moves nothing across.
#[inline]
#[target_feature(enable = "sha,avx")]
pub(super) fn two_rounds_of_both([s, t]: [State; PAIR], kw: __m128i) -> [State; PAIR] {
    #[cfg(miri)]
    return [s.two_rounds(kw), t.two_rounds(kw)];
    #[cfg(not(miri))]
    {
        let (mut a, mut b) = (s.cdgh, t.cdgh);
        // SAFETY: the CPU has SHA and AVX, and only the operands are touched.
        unsafe {
            asm!(
                "sha256rnds2 {a}, {s}, xmm0",
                "sha256rnds2 {b}, {t}, xmm0",
                a = inout(xmm_reg) a, s = in(xmm_reg) s.abef,
                b = inout(xmm_reg) b, t = in(xmm_reg) t.abef,
                in("xmm0") kw,
                options(nomem, nostack, preserves_flags),
            );
        }
        [State { abef: a, cdgh: s.abef }, State { abef: b, cdgh: t.abef }]
    }
}

impl State {
    /// [`State::four_rounds`] where the compiler moves nothing across.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    pub(super) fn four_rounds_in_order(self, kw: __m128i) -> Self {
        #[cfg(miri)]
        return self.four_rounds(kw);
        #[cfg(not(miri))]
        {
            let Self { mut abef, mut cdgh } = self;
            // SAFETY: the CPU has SHA and AVX, and only the operands are touched.
            unsafe {
                asm!(
                    "sha256rnds2 {c}, {a}, xmm0",
                    "vpshufd xmm0, xmm0, 14",
                    "sha256rnds2 {a}, {c}, xmm0",
                    a = inout(xmm_reg) abef, c = inout(xmm_reg) cdgh,
                    inout("xmm0") kw => _,
                    options(nomem, nostack, preserves_flags),
                );
            }
            Self { abef, cdgh }
        }
    }

    /// [`State::two_rounds`] where the compiler moves nothing across.
    #[inline]
    #[target_feature(enable = "sha,avx")]
    pub(super) fn two_rounds_in_order(self, kw: __m128i) -> Self {
        #[cfg(miri)]
        return self.two_rounds(kw);
        #[cfg(not(miri))]
        {
            let mut abef = self.cdgh;
            // SAFETY: the CPU has SHA and AVX, and only the operands are touched.
            unsafe {
                asm!(
                    "sha256rnds2 {a}, {s}, xmm0",
                    a = inout(xmm_reg) abef, s = in(xmm_reg) self.abef, in("xmm0") kw,
                    options(nomem, nostack, preserves_flags),
                );
            }
            Self { abef, cdgh: self.abef }
        }
    }
}

/// The round constants, aligned as the four rounds read them.
#[cfg(not(miri))]
pub(super) static ROUNDS: Rounds = Rounds(K);
#[cfg(not(miri))]
#[repr(align(64))]
pub(super) struct Rounds(#[expect(dead_code, reason = "read by assembly")] [u32; 64]);
