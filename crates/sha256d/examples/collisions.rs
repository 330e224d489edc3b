//! Whether a pool that forbids version rolling leaves a schedule to share: extranonce2 values
//! whose merkle roots end in the same four bytes make two midstates with one tail.
//! `collisions [EXPONENT]` searches 2^EXPONENT roots on one thread, counts such pairs, and holds
//! the cost against the gain of two midstates over one, with every kernel.

use std::time::{Duration, Instant};

use midstate_sha256d::{Kernel, Midstate, Tail, Work};
use sha2::{Digest, Sha256};

/// Roots between two looks at the clock. The quickest counts for all, as the best window does.
const CHUNK: u64 = 256;
const WINDOW: Duration = Duration::from_millis(3);
/// A pool's coinbase of 250 bytes, in a block of some 4,000 transactions.
const COINBASE: usize = 250;
const BRANCH: usize = 12;
/// Seconds between two jobs of a pool, after which the search begins anew.
const JOB: f64 = 30.0;

fn main() {
    let exponent = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(20_u32);
    let roots = 1_u64 << exponent.clamp(12, 24);
    let (mut ends, mut quickest) = (Vec::new(), f64::INFINITY);
    for chunk in 0..roots / CHUNK {
        let start = Instant::now();
        let extras = chunk * CHUNK..(chunk + 1) * CHUNK;
        ends.extend(extras.map(|extra| (end_of_root(extra), extra)));
        quickest = quickest.min(start.elapsed().as_secs_f64());
    }
    let start = Instant::now();
    ends.sort_unstable();
    let pairs = ends.windows(2).filter(|pair| pair[0].0 == pair[1].0).count();
    let cost = quickest * (roots / CHUNK) as f64 + start.elapsed().as_secs_f64();
    println!("{roots} roots, {pairs} pairs, {cost:.2} s");

    let rates: Vec<_> = Kernel::available().map(|kernel| (kernel, [1, 2].map(work))).collect();
    let mut best = vec![[0.0; 2]; rates.len()];
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(20) {
        for ((kernel, works), best) in rates.iter().zip(&mut best) {
            for (work, best) in works.iter().zip(best) {
                *best = f64::max(*best, rate(*kernel, work));
            }
        }
    }
    for ((kernel, _), [one, two]) in rates.iter().zip(best) {
        // A thread needs the pairs that last it for a job, and at least one. As pairs grow with the
        // square of the roots, that is a share of the search above.
        let needed = (JOB * two / (2.0 * (1_u64 << 32) as f64)).max(1.0);
        let search = cost * (needed / pairs.max(1) as f64).sqrt();
        let net = (JOB - search) / JOB * two / one - 1.0;
        println!(
            "{:8} {:6.2} MH/s alone, {:6.2} in pairs: {:+.1} %; search {search:.2} s, net {:+.1} %",
            kernel.name(),
            one / 1e6,
            two / 1e6,
            100.0 * (two / one - 1.0),
            100.0 * net
        );
    }
}

/// The last four bytes of the merkle root with that extranonce2.
fn end_of_root(extra: u64) -> u32 {
    let mut coinbase = [7; COINBASE];
    coinbase[100..108].copy_from_slice(&extra.to_le_bytes());
    let mut root = Sha256::digest(Sha256::digest(coinbase));
    for level in 0..BRANCH as u8 {
        let sibling = [level; 32];
        root = Sha256::digest(Sha256::new().chain_update(root).chain_update(sibling).finalize());
    }
    u32::from_le_bytes([root[28], root[29], root[30], root[31]])
}

fn rate(kernel: Kernel, work: &Work) -> f64 {
    let (start, mut hashes) = (Instant::now(), 0);
    while start.elapsed() < WINDOW {
        hashes += kernel.scan(work, 0..2048, &mut |_| {});
    }
    hashes as f64 / start.elapsed().as_secs_f64()
}

/// A target that nothing meets, so that the kernels alone are measured.
fn work(midstates: u8) -> Work {
    let versions: Vec<_> = (0..midstates).map(|version| Midstate::of(&[version; 64])).collect();
    Work::new(&versions, Tail::from_bytes([7; 12]), &[0; 32]).expect("one or two midstates")
}
