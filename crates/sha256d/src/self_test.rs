//! Two known answers that a kernel has to get right before it is trusted; called by
//! [`Kernel::self_test`]. Not the test suite, which is in `tests/` and takes seconds.

use crate::{Hit, Kernel, Midstate, Tail, Work};

/// Block 125,552 up to its nonce, and its hash in internal order.
const FIRST: [u8; 64] = [
    0x01, 0x00, 0x00, 0x00, 0x81, 0xcd, 0x02, 0xab, 0x7e, 0x56, 0x9e, 0x8b, 0xcd, 0x93, 0x17, 0xe2,
    0xfe, 0x99, 0xf2, 0xde, 0x44, 0xd4, 0x9a, 0xb2, 0xb8, 0x85, 0x1b, 0xa4, 0xa3, 0x08, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0xe3, 0x20, 0xb6, 0xc2, 0xff, 0xfc, 0x8d, 0x75, 0x04, 0x23, 0xdb, 0x8b,
    0x1e, 0xb9, 0x42, 0xae, 0x71, 0x0e, 0x95, 0x1e, 0xd7, 0x97, 0xf7, 0xaf, 0xfc, 0x88, 0x92, 0xb0,
];
const TAIL: [u8; 12] = [0xf1, 0xfc, 0x12, 0x2b, 0xc7, 0xf5, 0xd7, 0x4d, 0xf2, 0xb9, 0x44, 0x1a];
const NONCE: u32 = 0x9546a142;
const HASH: [u8; 32] = [
    0x1d, 0xbd, 0x98, 0x1f, 0xe6, 0x98, 0x57, 0x76, 0xb6, 0x44, 0xb1, 0x73, 0xa4, 0xd0, 0x38, 0x5d,
    0xdc, 0x1a, 0xa2, 0xa8, 0x29, 0x68, 0x8d, 0x1e, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
];
/// The target that the block's bits, 1a44b9f2, stand for.
const TARGET: [u8; 32] = {
    let mut target = [0; 32];
    [target[23], target[24], target[25]] = [0xf2, 0xb9, 0x44];
    target
};

pub(crate) fn finds_block_125552(kernel: Kernel) -> bool {
    let Some(work) = Work::new(&[Midstate::of(&FIRST)], Tail::from_bytes(TAIL), &TARGET) else {
        return false;
    };
    let nonce = u64::from(NONCE);
    let (mut hits, mut right) = (0, 0);
    let hashes = kernel.scan(&work, nonce - 101..nonce + 52, &mut |hit| {
        hits += 1;
        right += u32::from(hit == Hit { midstate: 0, nonce: NONCE, hash: HASH });
    });
    (hashes, hits, right) == (153, 1, 1)
}

/// Three midstates, 64 nonces around a carry, and regtest's target: each hit a bit.
pub(crate) fn finds_every_lane(kernel: Kernel) -> bool {
    const FROM: u32 = 0x00ff_ffdd;
    let midstates = [1, 2, 3].map(|version| {
        let mut first = FIRST;
        first[0] = version;
        Midstate::of(&first)
    });
    let mut target = [0xff; 32];
    target[31] = 0x7f;
    let Some(work) = Work::new(&midstates, Tail::from_bytes(TAIL), &target) else {
        return false;
    };

    let mut found = [0_u64; 3];
    let hashes = kernel.scan(&work, u64::from(FROM)..u64::from(FROM + 64), &mut |hit| {
        found[hit.midstate] ^= 1 << (hit.nonce - FROM); // twice is as wrong as never
    });
    let expected: [u64; 3] = core::array::from_fn(|midstate| {
        (0..64).filter(|i| work.check(midstate, FROM + i).is_some()).map(|i| 1 << i).sum()
    });
    hashes == 192 && found == expected
}
