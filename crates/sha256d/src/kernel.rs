//! Which kernels this CPU has, and the way into each: once per scan, a match on the token.

use core::ops::Range;

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
use crate::arm::{Neon, Sha2};
use crate::lanes::{self, Word};
use crate::scan::{self, Batches, Candidates, Hit};
#[cfg(target_arch = "x86_64")]
use crate::x86::{Avx2, Avx512, ShaNi, Sse41};
use crate::{Work, self_test};

/// One way to hash headers. Holding one proves that the CPU has its instructions: a kernel comes
/// from [`Kernel::available`] or [`Kernel::named`], or is [`Kernel::SCALAR`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kernel(Isa);

/// The tokens; each is only made where the CPU has the instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Isa {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Sse41(Sse41),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    ShaNi(ShaNi),
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Neon(Neon),
    #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
    Sha2(Sha2),
}

impl Kernel {
    /// Plain Rust, one nonce at a time: on every CPU.
    pub const SCALAR: Kernel = Kernel(Isa::Scalar);

    /// Every name the project knows, on whichever CPU: `scalar` everywhere, four for x86-64, two
    /// for aarch64.
    pub const NAMES: &'static [&'static str] =
        &["scalar", "sse41", "avx2", "avx512", "sha-ni", "neon", "sha2"];

    /// The kernels of this CPU, scalar first. In no order of speed: that is for a measurement.
    pub fn available() -> impl Iterator<Item = Kernel> {
        Self::NAMES.iter().filter_map(|name| Self::named(name))
    }

    /// The kernel of that name; `None` if the name is unknown or the CPU lacks the instructions.
    pub fn named(name: &str) -> Option<Kernel> {
        let isa = match name {
            "scalar" => Isa::Scalar,
            #[cfg(target_arch = "x86_64")]
            "sse41" => Isa::Sse41(Sse41::detect()?),
            #[cfg(target_arch = "x86_64")]
            "avx2" => Isa::Avx2(Avx2::detect()?),
            #[cfg(target_arch = "x86_64")]
            "avx512" => Isa::Avx512(Avx512::detect()?),
            #[cfg(target_arch = "x86_64")]
            "sha-ni" => Isa::ShaNi(ShaNi::detect()?),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            "neon" => Isa::Neon(Neon::detect()?),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            "sha2" => Isa::Sha2(Sha2::detect()?),
            _ => return None,
        };
        Some(Kernel(isa))
    }

    /// One of [`Self::NAMES`].
    pub fn name(self) -> &'static str {
        match self.0 {
            Isa::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Isa::Sse41(_) => "sse41",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Isa::ShaNi(_) => "sha-ni",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Isa::Neon(_) => "neon",
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Isa::Sha2(_) => "sha2",
        }
    }

    /// Nonces hashed side by side: a range costs whole batches of them, though only the range's
    /// own nonces are reported and counted.
    pub fn lanes(self) -> usize {
        match self.0 {
            Isa::Scalar => 1,
            #[cfg(target_arch = "x86_64")]
            Isa::Sse41(_) => Sse41::LANES,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(_) => Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(_) => Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Isa::ShaNi(_) => ShaNi::LANES,
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Isa::Neon(_) => Neon::LANES,
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Isa::Sha2(_) => Sha2::LANES,
        }
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
        let find = |work: &Work, batches: Batches, candidates: &mut Candidates| match self.0 {
            Isa::Scalar => lanes::find::<Word>((), work, batches, candidates),
            #[cfg(target_arch = "x86_64")]
            Isa::Sse41(token) => token.find(work, batches, candidates),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(token) => token.find(work, batches, candidates),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512(token) => token.find(work, batches, candidates),
            #[cfg(target_arch = "x86_64")]
            Isa::ShaNi(token) => token.find(work, batches, candidates),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Isa::Neon(token) => token.find(work, batches, candidates),
            #[cfg(all(target_arch = "aarch64", target_endian = "little"))]
            Isa::Sha2(token) => token.find(work, batches, candidates),
        };
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
}
