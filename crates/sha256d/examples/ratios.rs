//! Every kernel of this CPU against the `sha2` crate, in interleaved windows of three milliseconds:
//! `ratios [SECONDS]`. Of each row the best window counts, so that a busy machine makes the run
//! longer and not the numbers smaller. `midstate bench` is the tool for users, with medians.

use std::hint::black_box;
use std::time::{Duration, Instant};

use midstate_sha256d::{Kernel, Midstate, Tail, Work};
use sha2::{Digest, Sha256};

const WINDOW: Duration = Duration::from_millis(3);

struct Row {
    name: String,
    /// Hashes a millisecond's worth, and says how many that were.
    hash: Box<dyn FnMut() -> u64>,
    best: f64,
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(20);
    let mut rows = vec![Row { name: "sha2".into(), hash: Box::new(sha2), best: 0.0 }];
    for kernel in Kernel::available().chain(Kernel::variants().map(|(variant, _)| variant)) {
        for midstates in [1, 4, 16, 64] {
            let name = format!("{} k={midstates}", kernel.name());
            let work = work(midstates);
            let nonces = 4096 / u64::from(midstates);
            let hash = Box::new(move || kernel.scan(&work, 0..nonces, &mut |_| {}));
            rows.push(Row { name, hash, best: 0.0 });
        }
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(seconds) {
        for row in &mut rows {
            let (start, mut hashes) = (Instant::now(), 0);
            while start.elapsed() < WINDOW {
                hashes += (row.hash)();
            }
            row.best = row.best.max(hashes as f64 / start.elapsed().as_secs_f64() / 1e6);
        }
    }
    let sha2 = rows[0].best;
    for Row { name, best, .. } in &rows {
        println!("{name:18} {best:7.2} MH/s {:6.3}", best / sha2);
    }
}

fn sha2() -> u64 {
    for _ in 0..512 {
        black_box(Sha256::digest(Sha256::digest(black_box([7; 80]))));
    }
    512
}

/// A target that nothing meets, so that the kernels alone are measured.
fn work(midstates: u8) -> Work {
    let versions: Vec<_> = (0..midstates).map(|version| Midstate::of(&[version; 64])).collect();
    Work::new(&versions, Tail::from_bytes([7; 12]), &[0; 32]).expect("one to 64 midstates")
}
