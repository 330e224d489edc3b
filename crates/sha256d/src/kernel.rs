//! Which kernels this CPU has, and the way into each: a match on the token, once for as many
//! batches as have no candidate.

use core::ops::Range;

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use crate::arm::{Neon, Sha2};
use crate::scan::{self, Batches, Candidates, Hit};
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use crate::wasm::Simd128;
use crate::word::Scalar;
#[cfg(target_arch = "x86_64")]
use crate::x86::{Avx2, Avx512, Avx512Two, ShaNi, ShaNiNonces, Sse41};
use crate::{Work, self_test};

/// One way to hash headers. Holding one proves that the CPU has its instructions: a kernel comes
/// from [`Kernel::available`] or [`Kernel::named`], or is [`Kernel::SCALAR`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kernel(Isa);

/// The cost of an operation on words in a kernel: the numbers that the pencil counts of
/// `docs/sha256d.md` begin with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operations {
    /// Of a vector, or of a word as a vector of one lane.
    Lanes {
        /// Operations of a rotation.
        rotation: u32,
        /// Any function of three words is one operation.
        ternary: bool,
    },
    /// Of SHA instructions.
    Sha {
        /// Those of each hash.
        hash: u32,
        /// Those that the midstates of a batch share.
        shared: u32,
    },
}

impl Operations {
    /// Vectors without a rotation: two shifts and an OR.
    #[cfg(any(target_arch = "x86_64", target_arch = "wasm32"))]
    pub(crate) const PLAIN: Self = Self::Lanes { rotation: 3, ternary: false };
}

/// The table of kernels and of their variants: a name and a token, which is only made where the CPU
/// has the instructions. A variant hashes as its kernel does, in another order. The kernel of a
/// WebAssembly module is unknown elsewhere: no program for a CPU can ever have it.
macro_rules! isas {
    (
        $($(#[$cfg:meta])? $name:literal $isa:ident)+
        module: #[$cfg_m:meta] $name_m:literal $isa_m:ident
        variants: $($(#[$cfg_v:meta])? $name_v:literal $isa_v:ident of $of:literal)+
    ) => {
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        enum Isa {
            $($(#[$cfg])? $isa($isa),)+
            #[$cfg_m] $isa_m($isa_m),
            $($(#[$cfg_v])? $isa_v($isa_v),)+
        }

        impl Isa {
            const NAMES: &[&str] = &[$($name,)+ #[$cfg_m] $name_m];
            const VARIANTS: &[(&str, &str)] = &[$(($name_v, $of)),+];
        }

        isas!(@impl
            $($(#[$cfg])? $name $isa)+ #[$cfg_m] $name_m $isa_m $($(#[$cfg_v])? $name_v $isa_v)+
        );
    };
    (@impl $($(#[$cfg:meta])? $name:literal $isa:ident)+) => {
        impl Isa {
            fn named(name: &str) -> Option<Self> {
                match name {
                    $($(#[$cfg])? $name => $isa::detect().map(Self::$isa),)+
                    _ => None,
                }
            }

            fn name(self) -> &'static str {
                match self { $($(#[$cfg])? Self::$isa(_) => $name,)+ }
            }

            fn lanes(self) -> usize {
                match self { $($(#[$cfg])? Self::$isa(_) => $isa::LANES,)+ }
            }

            fn operations(self) -> Option<Operations> {
                match self { $($(#[$cfg])? Self::$isa(_) => $isa::OPERATIONS,)+ }
            }

            fn independent_rounds(self, turns: u32) -> Option<u64> {
                match self { $($(#[$cfg])? Self::$isa(token) => token.independent_rounds(turns),)+ }
            }

            fn find(self, work: &Work, batches: Batches, candidates: &mut Candidates) -> u32 {
                match self {
                    $($(#[$cfg])? Self::$isa(token) => token.find(work, batches, candidates),)+
                }
            }
        }
    };
}

isas! {
    "scalar" Scalar
    #[cfg(target_arch = "x86_64")] "sse41" Sse41
    #[cfg(target_arch = "x86_64")] "avx2" Avx2
    #[cfg(target_arch = "x86_64")] "avx512" Avx512
    #[cfg(target_arch = "x86_64")] "sha-ni" ShaNi
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))] "neon" Neon
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))] "sha2" Sha2
    module:
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))] "simd128" Simd128
    variants:
    #[cfg(target_arch = "x86_64")] "avx512-two" Avx512Two of "avx512"
    #[cfg(target_arch = "x86_64")] "sha-ni-nonces" ShaNiNonces of "sha-ni"
}

impl Kernel {
    /// Plain Rust, one nonce at a time: on every CPU.
    pub const SCALAR: Kernel = Kernel(Isa::Scalar(Scalar));

    /// What the module hashes with.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128", feature = "module"))]
    pub(crate) const MODULE: Kernel = Kernel(Isa::Simd128(Simd128::PROOF));

    /// Every name the project knows, on whichever CPU; in a WebAssembly module with vectors theirs,
    /// too.
    pub const NAMES: &'static [&'static str] = Isa::NAMES;

    /// The kernels of this CPU, scalar first. In no order of speed: that is for a measurement.
    pub fn available() -> impl Iterator<Item = Kernel> {
        Self::NAMES.iter().filter_map(|name| Self::named(name))
    }

    /// The variants of kernels that this CPU has, each with the kernel that it is a variant of: the
    /// same hashes in another order, which is the faster one on some CPUs. A program that chooses
    /// by measurement tries them beside the kernels; lists for users leave them out.
    pub fn variants() -> impl Iterator<Item = (Kernel, Kernel)> {
        let both = |(variant, of)| Self::named(variant).zip(Self::named(of));
        Isa::VARIANTS.iter().copied().filter_map(both)
    }

    /// The kernel or variant of that name, in lower case; `None` if the name is unknown or the CPU
    /// lacks the instructions.
    pub fn named(name: &str) -> Option<Kernel> {
        Isa::named(name).map(Kernel)
    }

    /// One of [`Self::NAMES`], or a variant's.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Its operations on paper; of a variant, those of its kernel. `None` where `docs/sha256d.md`
    /// has no count.
    pub fn operations(self) -> Option<Operations> {
        self.0.operations()
    }

    /// Nonces in a batch: a range costs whole batches, though only the range's own nonces are
    /// reported and counted.
    pub fn lanes(self) -> usize {
        self.0.lanes()
    }

    /// Hashes every nonce of `nonces` with every midstate of `work`, each pair exactly once.
    ///
    /// The bounds are numbers, not wrapped words: `0..1 << 32` is the whole space, whatever lies
    /// beyond is left out, and an empty or inverted range hashes nothing. `on_hit` gets every
    /// header whose hash is at or below the target (equality counts), hashed again by the scalar
    /// definition, in the order of batches of [`Self::lanes`] nonces and within one by midstate.
    /// Returns the number of hashes: nonces times midstates.
    ///
    /// A scan cannot be stopped from outside. Call it with ranges as short as the stop has to be
    /// quick; a call costs well under a microsecond beside its hashes.
    pub fn scan(self, work: &Work, nonces: Range<u64>, on_hit: &mut dyn FnMut(Hit)) -> u64 {
        let find =
            |work: &Work, batches, candidates: &mut _| self.0.find(work, batches, candidates);
        scan::scan(work, nonces, self.lanes() as u32, find, on_hit)
    }

    /// Whether the kernel gets two known answers right: block 125,552 found again, alone in a range
    /// not divisible by the lanes, and a target that half of all lanes meet, for three midstates.
    ///
    /// Under two thousand hashes, well under 5 ms. A kernel that fails must not be used: the CPU,
    /// or whoever emulates it, is broken.
    pub fn self_test(self) -> bool {
        self_test::finds_block_125552(self) && self_test::finds_every_lane(self)
    }

    /// Executes rounds that do not wait for one another, to be timed by the caller: what bounds a
    /// vector kernel. A round here is its two big sigmas, choice, majority and six additions, on
    /// registers alone; four of them in each of [`Self::lanes`] lanes make a turn.
    ///
    /// Returns the number of rounds, lanes counted, or `None` for a kernel that is not bound by
    /// vector operations: `scalar` and those of SHA instructions.
    pub fn independent_rounds(self, turns: u32) -> Option<u64> {
        self.0.independent_rounds(turns)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{Midstate, Tail};

    /// A candidate is hashed again before it counts, so from outside a kernel whose word 7 has a
    /// wrong bit is slow, or loses the rare hit. A filter of one bit at a time shows each of them.
    #[test]
    fn every_bit_of_word_7_is_the_hashs_own() {
        let midstates: [_; 7] = core::array::from_fn(|i| Midstate::of(&[i as u8; 64]));
        let tail = Tail::from_bytes(*b"twelve bytes");
        for kernel in Kernel::available().chain(Kernel::variants().map(|(variant, _)| variant)) {
            for (k, first) in [1, 2, 3, 4, 5, 7].into_iter().zip([
                0,
                64,
                0x00ff_ffc0,
                0x1234_5680,
                u32::MAX - 63,
                96,
            ]) {
                let midstates = &midstates[..k];
                let words7 = |midstate: &Midstate| -> Vec<u32> {
                    let nonces = (0..kernel.lanes() as u32).map(|lane| first + lane);
                    let hashes = nonces.map(|nonce| midstate.header_hash(&tail, nonce));
                    let word7 = |[.., a, b, c, d]: [u8; 32]| u32::from_be_bytes([a, b, c, d]);
                    hashes.map(word7).collect()
                };
                let words7: Vec<_> = midstates.iter().map(words7).collect();
                let mut work =
                    Work::new(midstates, tail, &[0; 32]).expect("one to seven midstates");
                for bit in 0..32 {
                    work.zero_bits = 1 << bit;
                    let mut candidates = [0; Work::MAX_MIDSTATES];
                    let hashed = kernel.0.find(&work, Batches { first, count: 1 }, &mut candidates);
                    assert_eq!(hashed, 1);
                    for (midstate, words) in words7.iter().enumerate() {
                        let zero =
                            |(lane, word): (usize, &u32)| u32::from(word >> bit & 1 == 0) << lane;
                        let expected = words.iter().enumerate().map(zero).sum::<u32>();
                        let name = kernel.name();
                        assert_eq!(candidates[midstate], expected, "{name}, bit {bit}, {midstate}");
                    }
                }
            }
        }
    }
}
