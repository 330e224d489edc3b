//! Every kernel of this CPU, by name and number of midstates, beside the `sha2` crate: what a
//! developer runs while changing one (`cargo bench -- avx2`). The rates are hashes per second.
//!
//! For claims use `midstate bench`, which interleaves its windows so that a noisy machine favours
//! nobody; for "did my change help" use the instruction counts of `cargo xtask instructions`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use midstate_sha256d::{Kernel, Midstate, Tail, Work};
use sha2::{Digest, Sha256};

/// Hashes of one iteration: about a millisecond.
const HASHES: u64 = 8192;

fn kernels(criterion: &mut Criterion) {
    for kernel in Kernel::available() {
        let mut group = criterion.benchmark_group(kernel.name());
        group.throughput(Throughput::Elements(HASHES));
        for midstates in [1, 4, 16, 64] {
            let work = work(midstates);
            let nonces = HASHES / midstates as u64;
            group.bench_function(BenchmarkId::from_parameter(midstates), |bencher| {
                bencher.iter(|| kernel.scan(black_box(&work), 0..nonces, &mut |_| {}));
            });
        }
        group.finish();
    }
}

fn sha2(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("sha2-crate");
    group.throughput(Throughput::Elements(1));
    let header = [7; 80];
    group.bench_function("double hash of 80 bytes", |bencher| {
        bencher.iter(|| Sha256::digest(Sha256::digest(black_box(header))));
    });
    group.finish();
}

/// A target that nothing meets, so that the kernels alone are measured.
fn work(midstates: usize) -> Work {
    let versions: Vec<_> =
        (0..midstates as u8).map(|version| Midstate::of(&[version; 64])).collect();
    Work::new(&versions, Tail::from_bytes([7; 12]), &[0; 32]).expect("at most 64 midstates")
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2));
    targets = kernels, sha2
}
criterion_main!(benches);
