//! SHA-256 with everything left standing: the state after each of its 64 rounds. Written to be
//! looked at, not to be fast; a test holds it against the hasher. Source: FIPS 180-4.

/// The eight working variables, `a` to `h`.
pub(super) type State = [u32; 8];

/// The state before the first block.
pub(super) const START: State = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

/// First 32 bits of the fractions of the cube roots of the first 64 primes.
#[rustfmt::skip]
const K: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

/// One block, compressed in the open.
pub(super) struct Compression {
    /// The 64 words of the message schedule.
    pub(super) schedule: [u32; 64],
    /// The variables after each round.
    pub(super) rounds: [State; 64],
    /// The state after the block: the last round's variables added to the state before.
    pub(super) result: State,
}

impl Compression {
    /// Compresses a block of 64 bytes onto `before`.
    pub(super) fn of(before: State, block: &[u8; 64]) -> Self {
        let mut schedule = [0; 64];
        for (word, bytes) in schedule.iter_mut().zip(block.as_chunks().0) {
            *word = u32::from_be_bytes(*bytes);
        }
        for at in 16..64 {
            let w = |back: usize| schedule[at - back];
            let s0 = w(15).rotate_right(7) ^ w(15).rotate_right(18) ^ (w(15) >> 3);
            let s1 = w(2).rotate_right(17) ^ w(2).rotate_right(19) ^ (w(2) >> 10);
            schedule[at] = w(16).wrapping_add(s0).wrapping_add(w(7)).wrapping_add(s1);
        }
        let mut rounds = [State::default(); 64];
        let mut state = before;
        for (round, after) in rounds.iter_mut().enumerate() {
            let [a, b, c, d, e, f, g, h] = state;
            let s1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
            let choice = (e & f) ^ (!e & g);
            let sum = [s1, choice, K[round], schedule[round]];
            let t1 = sum.into_iter().fold(h, u32::wrapping_add);
            let s0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
            let majority = (a & b) ^ (a & c) ^ (b & c);
            state =
                [t1.wrapping_add(s0).wrapping_add(majority), a, b, c, d.wrapping_add(t1), e, f, g];
            *after = state;
        }
        let result = std::array::from_fn(|word| before[word].wrapping_add(state[word]));
        Self { schedule, rounds, result }
    }
}

/// The three compressions of a header's hash.
pub(super) struct HeaderHash {
    /// Of bytes 0 to 63; its result is the midstate.
    pub(super) first: Compression,
    /// Of bytes 64 to 79 and padding; its result is the first hash.
    pub(super) second: Compression,
    /// Of the first hash and padding; its result is the block hash.
    pub(super) third: Compression,
}

impl HeaderHash {
    pub(super) fn of(header: &[u8; 80]) -> Self {
        let mut block = [0; 64];
        block.copy_from_slice(&header[..64]);
        let first = Compression::of(START, &block);
        let second = Compression::of(first.result, &padded(&header[64..], 80));
        let third = Compression::of(START, &padded(&bytes_of(&second.result), 32));
        Self { first, second, third }
    }
}

/// The last block of a message of `length` bytes: its `rest`, a one bit, zeros, the length in bits.
fn padded(rest: &[u8], length: u8) -> [u8; 64] {
    let mut block = [0; 64];
    block[..rest.len()].copy_from_slice(rest);
    block[rest.len()] = 0x80;
    block[62..].copy_from_slice(&(u16::from(length) * 8).to_be_bytes());
    block
}

/// A state as bytes, in the order of SHA-256.
pub(super) fn bytes_of(state: &State) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(state) {
        *bytes = word.to_be_bytes();
    }
    bytes
}

/// How many of the 256 bits differ.
pub(super) fn distance(a: &State, b: &State) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

#[cfg(test)]
mod tests {
    use midstate_chain::Network;
    use midstate_sha256d::{sha256, sha256d};

    use super::*;

    #[test]
    fn the_open_hash_is_the_hash() {
        for network in Network::ALL {
            let bytes = network.genesis().to_bytes();
            let hash = HeaderHash::of(&bytes);
            assert_eq!(hash.first.result, network.genesis().midstate().words());
            assert_eq!(bytes_of(&hash.second.result), sha256(&bytes));
            assert_eq!(bytes_of(&hash.third.result), sha256d(&bytes));
        }
    }

    #[test]
    fn one_bit_changes_half_of_the_bits_but_not_before_the_nonce_is_read() {
        let header = Network::Mainnet.genesis();
        let one = HeaderHash::of(&header.to_bytes());
        let flipped = midstate_chain::Header { nonce: header.nonce ^ 1, ..header };
        let other = HeaderHash::of(&flipped.to_bytes());
        assert_eq!(one.first.result, other.first.result);
        assert_eq!(one.second.rounds[2], other.second.rounds[2]);
        assert_ne!(one.second.rounds[3], other.second.rounds[3]);
        let changed = distance(&one.third.result, &other.third.result);
        assert!((96..=160).contains(&changed), "{changed}");
    }
}
