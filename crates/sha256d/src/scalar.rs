//! SHA-256 as FIPS 180-4 writes it: the readable definition that every hit is hashed with again.
//! Not fast. The kernels share its constants and fold theirs with its rounds and sigmas, so what
//! proves them is hashed by the tests' other crates.

/// The cube-root constants of the 64 rounds (FIPS 180-4, section 4.2.2).
pub(crate) const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// The square-root constants: the state before the first block (section 5.3.3).
pub(crate) const IV: [u32; 8] = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/// The first padding word: the bit after the message.
pub(crate) const PAD: u32 = 0x8000_0000;

/// The last padding word: the message's length, of a header's 80 bytes and of a digest's 32.
pub(crate) const HEADER_BITS: u32 = 80 * 8;
pub(crate) const DIGEST_BITS: u32 = 32 * 8;

/// SHA-256 of a message of any length; the digest in the order the standard prints it.
///
/// ```
/// assert_eq!(midstate_sha256d::sha256(b"abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
/// ```
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let (blocks, rest) = data.as_chunks::<64>();
    let mut state = IV;
    for block in blocks {
        compress(&mut state, &words(block));
    }

    let mut block = [0; 64];
    block[..rest.len()].copy_from_slice(rest);
    block[rest.len()] = 0x80;
    if rest.len() >= 56 {
        compress(&mut state, &words(&block));
        block = [0; 64];
    }
    block[56..].copy_from_slice(&(data.len() as u64).wrapping_mul(8).to_be_bytes());
    compress(&mut state, &words(&block));
    to_bytes(&state)
}

/// SHA-256 of the SHA-256 of a message of any length: Bitcoin's hash.
///
/// The digest is in the order it is computed ("internal" order, as it stands in a header's
/// previous-block field); explorers print it reversed. As a number to hold against a target it is
/// little-endian.
///
/// ```
/// let mut hash = midstate_sha256d::sha256d(&[0; 80]);
/// hash.reverse();
/// assert_eq!(hash[..4], [0x14, 0x50, 0x84, 0x59]);
/// ```
pub fn sha256d(data: &[u8]) -> [u8; 32] {
    sha256(&sha256(data))
}

/// Mixes one block of sixteen big-endian words into the state (section 6.2.2).
pub(crate) fn compress(state: &mut [u32; 8], block: &[u32; 16]) {
    let mut w = [0; 64];
    w[..16].copy_from_slice(block);
    for i in 16..64 {
        w[i] = small_sigma1(w[i - 2])
            .wrapping_add(w[i - 7])
            .wrapping_add(small_sigma0(w[i - 15]))
            .wrapping_add(w[i - 16]);
    }
    let mut mixed = *state;
    for i in 0..64 {
        mixed = round(mixed, K[i].wrapping_add(w[i]));
    }
    for (word, mixed) in state.iter_mut().zip(mixed) {
        *word = word.wrapping_add(mixed);
    }
}

/// One round; `kw` is the round's constant plus its schedule word.
pub(crate) const fn round([a, b, c, d, e, f, g, h]: [u32; 8], kw: u32) -> [u32; 8] {
    let choice = (e & f) ^ (!e & g);
    let majority = (a & b) ^ (a & c) ^ (b & c);
    let t1 = h.wrapping_add(big_sigma1(e)).wrapping_add(choice).wrapping_add(kw);
    let t2 = big_sigma0(a).wrapping_add(majority);
    [t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g]
}

pub(crate) const fn big_sigma0(x: u32) -> u32 {
    x.rotate_right(2) ^ x.rotate_right(13) ^ x.rotate_right(22)
}

pub(crate) const fn big_sigma1(x: u32) -> u32 {
    x.rotate_right(6) ^ x.rotate_right(11) ^ x.rotate_right(25)
}

pub(crate) const fn small_sigma0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3)
}

pub(crate) const fn small_sigma1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ (x >> 10)
}

/// A block's bytes as the sixteen words that the schedule starts from.
pub(crate) fn words(block: &[u8; 64]) -> [u32; 16] {
    let (bytes, _) = block.as_chunks::<4>();
    core::array::from_fn(|i| u32::from_be_bytes(bytes[i]))
}

/// A state as the digest's bytes.
pub(crate) fn to_bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (chunk, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *chunk = word.to_be_bytes();
    }
    bytes
}
