//! Double SHA-256 of Bitcoin block headers, as fast as a CPU can: the kernels of `midstate`.
//!
//! It has the hash functions ([`sha256`], [`sha256d`]), the state after a header's first 64 bytes
//! ([`Midstate`]), a prepared piece of [`Work`], and the [`Kernel`]s that scan nonces for it, one
//! for each instruction set. No dependency, no allocation, no panic, no `std` but for run-time CPU
//! detection (feature `std`, on by default).
//!
//! It knows no header fields beyond their place, no difficulty, no threads, no clock.
//! `midstate-chain` builds headers, `midstate-work` cuts the search, `midstate-engine` calls
//! [`Kernel::scan`].
//!
//! The `unsafe` code of the project lives here and nowhere else. A [`Kernel`] cannot be made for
//! an instruction set that the CPU lacks, so that no safe call leads to a wrong instruction.
//!
//! # Example
//! Find the nonce of block 125,552 again, with every kernel of this CPU:
//! ```
//! use midstate_sha256d::{Kernel, Midstate, Tail, Work};
//!
//! # fn bytes<const N: usize>(hex: &str) -> [u8; N] {
//! #     core::array::from_fn(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
//! # }
//! let header: [u8; 80] = bytes(
//!     "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000\
//!      e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74d\
//!      f2b9441a42a14695",
//! );
//! let midstate = Midstate::of(header[..64].try_into().unwrap());
//! let tail = Tail::from_bytes(header[64..76].try_into().unwrap());
//! let mut target = [0; 32]; // bits 1a44b9f2, little-endian: 0x44b9f2 << 8 * (0x1a - 3)
//! target[23..26].copy_from_slice(&[0xf2, 0xb9, 0x44]);
//! let work = Work::new(&[midstate], tail, &target).expect("one midstate is a legal number");
//!
//! let nonce = u64::from(u32::from_le_bytes(header[76..].try_into().unwrap()));
//! for kernel in Kernel::available() {
//!     let mut hits = Vec::new();
//!     let hashes = kernel.scan(&work, nonce - 500..nonce + 500, &mut |hit| hits.push(hit));
//!     assert_eq!(hashes, 1_000);
//!     assert_eq!(hits.len(), 1, "{}", kernel.name());
//!     assert_eq!(u64::from(hits[0].nonce), nonce);
//!     assert_eq!(hits[0].hash, midstate_sha256d::sha256d(&header));
//! }
//! ```
//!
//! [docs/sha256d.md][steps] derives every step that the kernels leave out, with its operation
//! count.
//!
//! [steps]: https://github.com/midstate/midstate/blob/main/docs/sha256d.md

#![no_std]

#[cfg(feature = "std")]
extern crate std;

mod kernel;
mod lanes;
mod midstate;
mod scalar;
mod scan;
mod self_test;
#[cfg(target_arch = "x86_64")]
mod two;
mod word;
mod work;

#[cfg(all(target_arch = "aarch64", target_endian = "little"))]
mod arm;
#[cfg(any(
    target_arch = "x86_64",
    all(target_arch = "aarch64", target_endian = "little"),
    all(target_arch = "wasm32", target_feature = "simd128"),
))]
mod bound;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use kernel::{Kernel, Operations};
pub use midstate::{Midstate, Tail};
pub use scalar::{sha256, sha256d};
pub use scan::Hit;
pub use work::Work;
