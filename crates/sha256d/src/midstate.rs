//! The two parts of a header that a nonce does not touch: the state after its first 64 bytes, and
//! the twelve bytes between them and the nonce. Callers make them; [`Work`](crate::Work) folds
//! them.

use crate::scalar::{self, IV};

/// The state of SHA-256 after a header's first 64 bytes (version, previous block, and all of the
/// merkle root but its last four bytes): computed once, shared by every nonce.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Midstate([u32; 8]);

impl Midstate {
    /// Hashes the first block of a header.
    pub fn of(first_64_bytes: &[u8; 64]) -> Self {
        let mut state = IV;
        scalar::compress(&mut state, &scalar::words(first_64_bytes));
        Self(state)
    }

    /// The midstate with these words, `a` to `h`: as another machine computed it.
    pub fn from_words(words: [u32; 8]) -> Self {
        Self(words)
    }

    /// The eight state words, `a` to `h`, as numbers.
    pub fn words(&self) -> [u32; 8] {
        self.0
    }

    /// The hash of the header that goes on with `tail` and `nonce`, in internal byte order.
    ///
    /// By the definition alone, with nothing else left out: what a kernel claims is checked
    /// against it.
    pub fn header_hash(&self, tail: &Tail, nonce: u32) -> [u8; 32] {
        let mut block = [0; 16];
        block[..3].copy_from_slice(&tail.0);
        block[3] = nonce.swap_bytes(); // little-endian in the header, read big-endian by SHA-256
        block[4] = scalar::PAD;
        block[15] = scalar::HEADER_BITS;
        let mut state = self.0;
        scalar::compress(&mut state, &block);
        scalar::sha256(&scalar::to_bytes(&state))
    }
}

/// The twelve header bytes before the nonce: the merkle root's last four, time, and bits.
///
/// Headers with equal tails and different midstates share the whole message schedule of their
/// second block, which is what [`Work`](crate::Work) over several midstates lives on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tail([u32; 3]);

impl Tail {
    /// The bytes 64 to 75 of a header as they stand in it.
    pub fn from_bytes(bytes: [u8; 12]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        Self(core::array::from_fn(|i| u32::from_be_bytes(words[i])))
    }

    /// The first three message words of the second block.
    pub(crate) fn words(&self) -> [u32; 3] {
        self.0
    }
}
