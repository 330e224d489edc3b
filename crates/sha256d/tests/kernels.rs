//! The few functions around the kernels; the kernels themselves go through the [`suite`].

#![expect(clippy::unwrap_used, reason = "a test's panic is its report")]

mod suite;

use midstate_sha256d::{Kernel, Midstate, Tail, Work, sha256, sha256d};
use sha2::{Digest, Sha256};

#[test]
fn sha256_agrees_with_sha2_at_every_length_around_the_padding() {
    let data: Vec<u8> = (0..=255).cycle().take(300).collect();
    for len in 0..=data.len() {
        let first: [u8; 32] = Sha256::digest(&data[..len]).into();
        let second: [u8; 32] = Sha256::digest(first).into();
        assert_eq!(sha256(&data[..len]), first, "{len} bytes");
        assert_eq!(sha256d(&data[..len]), second, "{len} bytes");
    }
}

#[test]
fn a_midstate_is_the_standards_state_after_one_block() {
    // The midstate of block 125,552's header, as getwork servers once handed it out.
    let header = suite::header_of_block_125552();
    let words = Midstate::of(header[..64].try_into().unwrap()).words();
    assert_eq!(
        words,
        [
            0x9524c593, 0x05c56713, 0x16e669ba, 0x2d2810a0, 0x07e86e37, 0x2f56a9da, 0xcd5bce69,
            0x7a78da2d
        ]
    );
}

#[test]
fn a_midstate_goes_on_to_the_headers_hash() {
    let header = suite::header_of_block_125552();
    let midstate = Midstate::of(header[..64].try_into().unwrap());
    let tail = Tail::from_bytes(header[64..76].try_into().unwrap());
    assert_eq!(midstate.header_hash(&tail, 0x9546_a142), sha256d(&header));
    assert_ne!(midstate.header_hash(&tail, 0x9546_a143), sha256d(&header));
}

/// So that no suite is skipped but for want of instructions.
#[cfg(feature = "std")]
#[test]
fn a_kernel_is_available_where_the_cpu_has_its_instructions() {
    #[cfg(target_arch = "x86_64")]
    let has = {
        use std::is_x86_feature_detected as has;
        [
            ("sse41", has!("sse4.1")),
            ("avx2", has!("avx2")),
            ("avx512", has!("avx512f")),
            ("sha-ni", has!("sha") && has!("avx")),
        ]
    };
    #[cfg(target_arch = "aarch64")]
    let has = {
        use std::arch::is_aarch64_feature_detected as has;
        [("neon", has!("neon")), ("sha2", has!("sha2"))]
    };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has: [(&str, bool); 0] = [];
    for (name, has) in has {
        assert_eq!(Kernel::named(name).is_some(), has, "{name}");
    }
}

#[test]
fn independent_rounds_are_counted_by_lanes() {
    for kernel in Kernel::available() {
        let (name, rounds) = (kernel.name(), kernel.independent_rounds(10));
        assert!(rounds.is_none_or(|rounds| rounds == 10 * 4 * kernel.lanes() as u64), "{name}");
        let is_vector = ["sse41", "avx2", "avx512", "neon", "simd128"].contains(&name);
        let is_not = ["scalar", "sha-ni", "sha2"].contains(&name);
        assert!(if rounds.is_some() { !is_not } else { !is_vector }, "{name}");
    }
}

#[test]
fn work_holds_one_to_64_midstates() {
    let midstate = Midstate::of(&[0; 64]);
    let tail = Tail::from_bytes([0; 12]);
    let len = |n| Work::new(&vec![midstate; n], tail, &[0; 32]).map(|work| work.midstates());
    assert_eq!([len(0), len(1), len(64), len(65)], [None, Some(1), Some(64), None]);
    assert_eq!(Work::MAX_MIDSTATES, 64);
}

#[test]
fn a_variant_has_the_operations_of_its_kernel() {
    for (variant, of) in Kernel::variants() {
        assert_eq!(variant.operations(), of.operations(), "{}", variant.name());
    }
}

#[test]
fn available_kernels_start_with_scalar_and_answer_to_their_names() {
    assert_eq!(Kernel::available().next(), Some(Kernel::SCALAR));
    for kernel in Kernel::available() {
        assert_eq!(Kernel::named(kernel.name()), Some(kernel));
        assert!(kernel.lanes().is_power_of_two());
    }
    assert_eq!(Kernel::named("AVX2"), None);
    assert_eq!(Kernel::named(""), None);
}
