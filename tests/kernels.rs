//! The library through the types of `chain`: real headers through every kernel.

use std::ops::Range;

use midstate_chain::{Header, Target};
use midstate_engine::grind;
use midstate_sha256d::{Kernel, Work};

fn mainnet_headers() -> Vec<Header> {
    let text = include_str!("data/mainnet-headers.csv");
    let field = |line: &str| line.split(',').nth(1).unwrap().parse().unwrap();
    text.lines().skip(1).map(field).collect()
}

fn hits(kernel: Kernel, header: &Header, target: Target, nonces: Range<u64>) -> Vec<u32> {
    let work = Work::new(&[header.midstate()], header.tail(), &target.to_le_bytes()).unwrap();
    let mut hits = Vec::new();
    kernel.scan(&work, nonces, &mut |hit| {
        let solved = Header { nonce: hit.nonce, ..*header };
        assert_eq!(hit.hash, *solved.hash().as_bytes());
        hits.push(hit.nonce);
    });
    hits
}

#[test]
fn every_kernel_finds_the_nonce_of_every_real_header_and_no_neighbour() {
    let headers = mainnet_headers();
    assert_eq!(headers.len(), 439);
    for kernel in Kernel::available() {
        for header in &headers {
            let nonce = u64::from(header.nonce);
            let around = nonce.saturating_sub(40)..nonce + 40;
            let target = header.bits.to_target().unwrap();
            assert_eq!(hits(kernel, header, target, around), [header.nonce], "{}", kernel.name());
        }
    }
}

#[test]
fn an_exhausted_range_finds_nothing_and_the_whole_of_it_the_lowest() {
    let header = mainnet_headers()[0];
    let target = header.bits.to_target().unwrap();
    let nonce = u64::from(header.nonce);
    for kernel in Kernel::available() {
        for threads in [1, 2, 5] {
            let solve = |nonces| grind(kernel, threads, &header, target, nonces);
            assert_eq!(solve(nonce + 1..nonce + 100_000), None);
            assert_eq!(solve(nonce - 100_000..nonce), None);
            assert_eq!(solve(nonce - 50_000..nonce + 50_000), Some(header));
            let easy = grind(kernel, threads, &header, Target::MAX, 7..1 << 32);
            assert_eq!(easy.map(|header| header.nonce), Some(7), "the lowest of many");
        }
    }
}
