//! The tests of every kernel, against hashes that are not ours (`sha2`, `bitcoin_hashes`).
//!
//! Word 7 of a kernel's hash never leaves it, so these tests look for the hits that a wrong word
//! would lose: real headers, where all 32 bits must be zero, and targets of a few bits, where
//! thousands of lanes hit. (What a filter lets through in vain is seen from inside: `kernel.rs`.)
//!
//! The same tests are put to the WebAssembly module and to its fallback in JavaScript, both in Node
//! ([`node`]).

mod node;

use std::ops::Range;

use bitcoin_hashes::sha256d as bitcoin_sha256d;
use midstate_sha256d::{Hit, Kernel, Midstate, Tail, Work};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use node::Node;

/// The subject of the tests.
trait Subject {
    fn name(&self) -> &str;
    /// Nonces in a batch.
    fn lanes(&self) -> usize;
    fn self_test(&self) -> bool;
    /// [`Kernel::scan`].
    fn scan(&self, piece: &Piece, nonces: Range<u64>, on_hit: &mut dyn FnMut(Hit)) -> u64;
}

impl Subject for Kernel {
    fn name(&self) -> &str {
        Kernel::name(*self)
    }

    fn lanes(&self) -> usize {
        Kernel::lanes(*self)
    }

    fn self_test(&self) -> bool {
        Kernel::self_test(*self)
    }

    fn scan(&self, piece: &Piece, nonces: Range<u64>, on_hit: &mut dyn FnMut(Hit)) -> u64 {
        Kernel::scan(*self, &piece.work, nonces, on_hit)
    }
}

/// A piece of work, and the parts that it was made of.
struct Piece {
    work: Work,
    midstates: Vec<Midstate>,
    tail: [u8; 12],
    target: [u8; 32],
}

impl Piece {
    fn set_target(&mut self, target: &[u8; 32]) {
        self.work.set_target(target);
        self.target = *target;
    }
}

/// Each test with every kernel and variant of this CPU, named with `--nocapture` or a failure. So a
/// kernel in the table is a kernel that is tested.
macro_rules! tests {
    ($($test:ident)+) => {
        mod every_kernel { $(
            #[test]
            fn $test() {
                let variants = super::Kernel::variants().map(|(variant, _)| variant);
                for kernel in super::Kernel::available().chain(variants) {
                    println!("{}", kernel.name());
                    super::$test(&kernel);
                }
            }
        )+ }

        mod the_module { $(
            #[test]
            #[ignore = "needs node"]
            fn $test() {
                super::$test(&super::Node::with_the_module());
            }
        )+ }

        mod the_script { $(
            #[test]
            #[ignore = "needs node"]
            fn $test() {
                super::$test(&super::Node::with_the_script());
            }
        )+ }
    };
}

tests! {
    self_test_passes
    real_headers_are_found_and_their_neighbours_are_not
    a_hit_at_every_place_of_a_batch
    ranges_at_both_ends_of_the_nonce_space
    short_and_unaligned_ranges
    every_lane_hits_exactly_once
    equality_counts_and_one_less_does_not
    hits_come_by_batch_and_within_one_by_midstate
    targets_around_every_word_boundary
    a_million_hashes_agree_with_sha2
    any_work_agrees_with_bitcoin_hashes
}

pub(crate) fn header_of_block_125552() -> [u8; 80] {
    let hex = "0100000081cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000\
               e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122bc7f5d74d\
               f2b9441a42a14695";
    hex::decode(hex).unwrap().try_into().unwrap()
}

/// The project's real headers: genesis, block 1, and the first block of every retarget since.
fn real_headers() -> Vec<([u8; 80], [u8; 32])> {
    let csv = include_str!("../../../../tests/data/mainnet-headers.csv");
    let rows = csv.lines().skip(1).map(|row| {
        let [_, header, hash]: [&str; 3] = row.split(',').collect::<Vec<_>>().try_into().unwrap();
        // The file's hashes lack leading zeros here and there.
        let mut hash: [u8; 32] = hex::decode(format!("{hash:0>64}")).unwrap().try_into().unwrap();
        hash.reverse();
        (hex::decode(header).unwrap().try_into().unwrap(), hash)
    });
    rows.collect()
}

fn nonce_of(header: &[u8; 80]) -> u32 {
    u32::from_le_bytes(header[76..].try_into().unwrap())
}

/// Headers that share a tail, and what to hash them with that is not ours.
struct Headers(Vec<[u8; 80]>);

impl Headers {
    /// `k` versions of a header, the first of them its own.
    fn versions(header: &[u8; 80], k: usize) -> Self {
        Self::versions_around(header, k, 0)
    }

    /// `k` versions of a header, its own at the index `at`.
    fn versions_around(header: &[u8; 80], k: usize, at: usize) -> Self {
        let rolled = |i: usize| {
            let mut header = *header;
            header[1] ^= (i ^ at) as u8;
            header
        };
        Self((0..k).map(rolled).collect())
    }

    fn work(&self, target: &[u8; 32]) -> Piece {
        let midstates: Vec<_> =
            self.0.iter().map(|h| Midstate::of(h[..64].try_into().unwrap())).collect();
        let tail = self.0[0][64..76].try_into().unwrap();
        let work = Work::new(&midstates, Tail::from_bytes(tail), target).unwrap();
        Piece { work, midstates, tail, target: *target }
    }

    fn with_nonce(&self, midstate: usize, nonce: u32) -> [u8; 80] {
        let mut header = self.0[midstate];
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        header
    }

    fn hash(&self, midstate: usize, nonce: u32) -> [u8; 32] {
        Sha256::digest(Sha256::digest(self.with_nonce(midstate, nonce))).into()
    }

    /// The hits of a range by `sha2`, in order.
    fn hits(&self, target: &[u8; 32], nonces: Range<u64>) -> Vec<Hit> {
        let mut hits = Vec::new();
        for nonce in nonces {
            for midstate in 0..self.0.len() {
                let hit =
                    Hit { midstate, nonce: nonce as u32, hash: self.hash(midstate, nonce as u32) };
                if at_most(&hit.hash, target) {
                    hits.push(hit);
                }
            }
        }
        hits
    }
}

fn at_most(hash: &[u8; 32], target: &[u8; 32]) -> bool {
    hash.iter().rev().cmp(target.iter().rev()).is_le()
}

/// All hits of a scan ordered by nonce and midstate, and the count it returned.
fn scan(kernel: &dyn Subject, piece: &Piece, nonces: Range<u64>) -> (Vec<Hit>, u64) {
    let mut hits = Vec::new();
    let hashes = kernel.scan(piece, nonces, &mut |hit| hits.push(hit));
    hits.sort_by_key(|hit| (hit.nonce, hit.midstate));
    (hits, hashes)
}

/// A target whose top `zeros` bits are zero and all others one.
fn target_with(zeros: u32) -> [u8; 32] {
    let mut target = [0xff; 32];
    for bit in 0..zeros as usize {
        target[31 - bit / 8] &= !(0x80 >> (bit % 8));
    }
    target
}

/// The 256-bit number, little-endian, plus or minus one at byte `at`, wrapping.
fn step(number: &[u8; 32], at: usize, up: bool) -> [u8; 32] {
    let mut stepped = *number;
    for byte in &mut stepped[at..] {
        *byte = if up { byte.wrapping_add(1) } else { byte.wrapping_sub(1) };
        if *byte != if up { 0 } else { 0xff } {
            break;
        }
    }
    stepped
}

fn self_test_passes(kernel: &dyn Subject) {
    assert!(kernel.self_test());
}

fn real_headers_are_found_and_their_neighbours_are_not(kernel: &dyn Subject) {
    let headers = real_headers();
    assert_eq!(headers.len(), 439);
    for (n, (header, hash)) in headers.into_iter().enumerate() {
        let nonce = nonce_of(&header);
        let around = u64::from(nonce).saturating_sub(33)..u64::from(nonce) + 34;
        // Alone, and at every place among two to five.
        for k in [1, 2 + n % 4] {
            let midstate = n / 4 % k;
            let work = Headers::versions_around(&header, k, midstate).work(&hash);
            let (hits, _) = scan(kernel, &work, around.clone());
            assert_eq!(hits, [Hit { midstate, nonce, hash }]);
        }
    }
}

fn a_hit_at_every_place_of_a_batch(kernel: &dyn Subject) {
    let header = header_of_block_125552();
    let nonce = u64::from(nonce_of(&header));
    let headers = Headers::versions(&header, 3);
    let work = headers.work(&headers.hash(0, nonce as u32));
    for before in 0..65 {
        for after in [1, 2, 15, 16, 33] {
            let (hits, hashes) = scan(kernel, &work, nonce - before..nonce + after);
            assert_eq!(hits.len(), 1, "{before} before, {after} after");
            assert_eq!(hashes, (before + after) * 3);
        }
    }
    // A nonce's lane is fixed by its low bits, so for the other lanes other nonces have to hit.
    for nonce in 1_000..1_064 {
        let target = headers.hash(1, nonce);
        let around = u64::from(nonce - 40)..u64::from(nonce + 40);
        let (hits, _) = scan(kernel, &headers.work(&target), around.clone());
        assert_eq!(hits, headers.hits(&target, around));
    }
}

fn ranges_at_both_ends_of_the_nonce_space(kernel: &dyn Subject) {
    const END: u64 = 1 << 32;
    let headers = Headers::versions(&header_of_block_125552(), 2);
    let target = target_with(1);
    let work = headers.work(&target);
    for (asked, meant) in [
        (0..1, 0..1),
        (0..70, 0..70),
        (END - 1..END, END - 1..END),
        (END - 70..END, END - 70..END),
        (END - 3..u64::MAX, END - 3..END),
        (END - 64..END + 1, END - 64..END),
    ] {
        let (hits, hashes) = scan(kernel, &work, asked.clone());
        assert_eq!(hits, headers.hits(&target, meant.clone()), "{asked:?}");
        assert_eq!(hashes, (meant.end - meant.start) * 2, "{asked:?}");
    }
    let inverted = Range { start: 9, end: 3 };
    for nothing in [0..0, 5..5, inverted, END..END, END..END + 9, u64::MAX..u64::MAX] {
        assert_eq!(scan(kernel, &work, nothing.clone()), (vec![], 0), "{nothing:?}");
    }
}

fn short_and_unaligned_ranges(kernel: &dyn Subject) {
    let headers = Headers::versions(&header_of_block_125552(), 3);
    let target = target_with(2);
    let work = headers.work(&target);
    let lanes = kernel.lanes() as u64;
    let carry = 0x0100_0000; // where the nonce's last message byte, its highest, changes
    for start in carry - lanes..=carry + lanes {
        for len in [1, 2, 3, lanes - 1, lanes, lanes + 1, 2 * lanes + 1] {
            let range = start..start + len;
            let (hits, hashes) = scan(kernel, &work, range.clone());
            assert_eq!(hits, headers.hits(&target, range.clone()), "{range:?}");
            assert_eq!(hashes, len * 3, "{range:?}");
        }
    }
}

/// The count against a bitmap: with a target that everything meets, each pair must come once.
fn every_lane_hits_exactly_once(kernel: &dyn Subject) {
    for (midstates, range) in [(1, 7..5_003), (5, 250..1_777), (64, 65_500..65_600)] {
        let headers = Headers::versions(&header_of_block_125552(), midstates);
        let work = headers.work(&[0xff; 32]);
        let len = (range.end - range.start) as usize;
        let mut seen = vec![false; len * midstates];
        let hashes = kernel.scan(&work, range.clone(), &mut |hit| {
            let at = (u64::from(hit.nonce) - range.start) as usize * midstates + hit.midstate;
            assert!(!seen[at], "{hit:?} came twice");
            seen[at] = true;
        });
        assert_eq!(hashes, seen.len() as u64);
        assert!(seen.iter().all(|&seen| seen));
    }
}

fn equality_counts_and_one_less_does_not(kernel: &dyn Subject) {
    for (header, hash) in real_headers().into_iter().step_by(20) {
        let nonce = u64::from(nonce_of(&header));
        let mut work = Headers::versions(&header, 1).work(&hash);
        let found = |work: &Piece| scan(kernel, work, nonce..nonce + 1).0.len();
        assert_eq!(found(&work), 1);
        work.set_target(&step(&hash, 0, false));
        assert_eq!(found(&work), 0);
        work.set_target(&step(&hash, 0, true));
        assert_eq!(found(&work), 1);
    }
}

fn hits_come_by_batch_and_within_one_by_midstate(kernel: &dyn Subject) {
    let work = Headers::versions(&header_of_block_125552(), 3).work(&target_with(1));
    let mut hits = Vec::new();
    kernel.scan(&work, 5..500, &mut |hit| {
        hits.push((hit.nonce / kernel.lanes() as u32, hit.midstate, hit.nonce));
    });
    assert!(hits.len() > 500 && hits.is_sorted(), "{hits:?}");
}

fn targets_around_every_word_boundary(kernel: &dyn Subject) {
    let headers = Headers::versions(&header_of_block_125552(), 2);
    let range = 0..96;
    let mut work = headers.work(&[0; 32]);
    let mut check = |target: [u8; 32]| {
        work.set_target(&target);
        let (hits, _) = scan(kernel, &work, range.clone());
        assert_eq!(hits, headers.hits(&target, range.clone()), "target {}", hex::encode(target));
    };
    for nonce in [3, 40, 77] {
        let hash = headers.hash(1, nonce);
        for byte in (0..32).step_by(4) {
            check(step(&hash, byte, true));
            check(step(&hash, byte, false));
            let mut cut = hash;
            cut[..byte].fill(0);
            check(cut);
            cut[..byte].fill(0xff);
            check(cut);
        }
    }
    for zeros in 0..=12 {
        check(target_with(zeros)); // around the bytes of the filter's word, too
    }
    check([0; 32]);
}

fn a_million_hashes_agree_with_sha2(kernel: &dyn Subject) {
    const MIDSTATES: usize = 50;
    let mut seed = Sha256::digest(kernel.name());
    for round in 0..20 {
        seed = Sha256::digest(seed);
        let mut header = [0; 80];
        for (chunk, i) in header.chunks_mut(32).zip(0_u8..) {
            let random = Sha256::new().chain_update(seed).chain_update([i]).finalize();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
        let headers = Headers::versions(&header, MIDSTATES);
        let target = target_with(1 + round % 9);
        let start = u64::from(nonce_of(&header)).min(u64::from(u32::MAX) - 1_000);
        let range = start..start + 1_000;
        let (hits, hashes) = scan(kernel, &headers.work(&target), range.clone());
        assert_eq!(hashes, 1_000 * MIDSTATES as u64);
        assert_eq!(hits, headers.hits(&target, range), "round {round}");
    }
}

fn any_work_agrees_with_bitcoin_hashes(kernel: &dyn Subject) {
    let work = (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 16]>(), 1..=64_usize);
    let range = (any::<u32>(), 0..100_u64);
    let target = (0..6_u32, any::<[u8; 32]>());
    proptest!(ProptestConfig::with_cases(64), |(
        (a, b, c, midstates) in work, (start, len) in range, (zeros, low) in target,
    )| {
        let mut header = [0; 80];
        header[..32].copy_from_slice(&a);
        header[32..64].copy_from_slice(&b);
        header[64..].copy_from_slice(&c);
        let headers = Headers::versions(&header, midstates);
        let mut target = target_with(zeros);
        for (byte, low) in target.iter_mut().zip(low) {
            *byte &= low;
        }
        let range = u64::from(start)..u64::from(start) + len;
        let (hits, hashes) = scan(kernel, &headers.work(&target), range.clone());
        let end = range.end.min(1 << 32);
        prop_assert_eq!(hashes, (end - range.start) * midstates as u64);
        let mut expected = Vec::new();
        for nonce in range.start as u32..=(end.max(1) - 1) as u32 {
            for midstate in 0..midstates {
                let header = headers.with_nonce(midstate, nonce);
                let hash = bitcoin_sha256d::Hash::hash(&header).to_byte_array();
                if len > 0 && at_most(&hash, &target) {
                    expected.push(Hit { midstate, nonce, hash });
                }
            }
        }
        prop_assert_eq!(hits, expected);
    });
}
