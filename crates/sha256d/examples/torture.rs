//! Random header/nonce pairs through every kernel of this CPU, against `sha2` and `bitcoin_hashes`,
//! on all threads: `torture PAIRS [SEED]`. What `cargo xtask torture` runs.
//!
//! A round is a random header, one to 64 versions of it, a stretch of nonces and a target that one
//! hash in 16 to 4,096 meets: the kernels have to find exactly the hits that the two crates find.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bitcoin_hashes::sha256d as bitcoin_sha256d;
use midstate_sha256d::{Hit, Kernel, Midstate, Tail, Work};
use sha2::{Digest, Sha256};

/// Nonces of a round: a few batches of the widest kernel, and not divisible by any.
const NONCES: u64 = 501;
/// How often the rate is told.
const NEWS: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let arguments: Option<Vec<u64>> = std::env::args().skip(1).map(|n| n.parse().ok()).collect();
    let (pairs, seed) = match arguments.as_deref() {
        Some([pairs]) => (*pairs, seconds_since_1970()),
        Some([pairs, seed]) => (*pairs, *seed),
        _ => {
            eprintln!("usage: torture PAIRS [SEED], both numbers");
            return ExitCode::from(2);
        }
    };
    let variants = Kernel::variants().map(|(variant, _)| variant);
    let kernels: Vec<_> = Kernel::available().chain(variants).collect();
    let names: Vec<_> = kernels.iter().map(|kernel| kernel.name()).collect();
    println!("{pairs} pairs for each of {}, seed {seed}", names.join(", "));
    let (start, done) = (Instant::now(), AtomicU64::new(0));
    let (rounds, failures) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        while done.load(Relaxed) < pairs && failures.load(Relaxed) == 0 {
            let number = rounds.fetch_add(1, Relaxed);
            let round = Round::random(seed, number);
            for failure in round.failures(&kernels) {
                eprintln!("round {number} of seed {seed}: {failure}");
                failures.fetch_add(1, Relaxed);
            }
            done.fetch_add(round.pairs(), Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut next = NEWS;
        while !workers.iter().all(|worker| worker.is_finished()) {
            std::thread::sleep(Duration::from_millis(20));
            if start.elapsed() > next {
                println!("{}", rate(done.load(Relaxed), start));
                next += NEWS;
            }
        }
    });
    println!("{}", rate(done.load(Relaxed), start));
    match failures.into_inner() {
        0 => {
            println!("every kernel agrees with sha2 and with bitcoin_hashes");
            ExitCode::SUCCESS
        }
        failures => {
            println!("{failures} mismatches: see above");
            ExitCode::FAILURE
        }
    }
}

fn seconds_since_1970() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

fn rate(pairs: u64, start: Instant) -> String {
    let seconds = start.elapsed().as_secs_f64();
    format!("{pairs} pairs in {seconds:.1} s, {:.0} pairs/s", pairs as f64 / seconds)
}

/// The input of one round; a function of the seed and the round's number.
struct Round {
    /// Versions of one header: they differ in the second byte.
    headers: Vec<[u8; 80]>,
    target: [u8; 32],
    start: u64,
}

impl Round {
    fn random(seed: u64, number: u64) -> Self {
        let mut random = Sha256::digest([seed.to_le_bytes(), number.to_le_bytes()].concat());
        let mut header = [0; 80];
        for chunk in header.chunks_mut(32) {
            chunk.copy_from_slice(&random[..chunk.len()]);
            random = Sha256::digest(random);
        }
        let random: [u8; 32] = random.into();
        let [versions, zeros, place, n0, n1, n2, n3, ..] = random;
        let version = |index| {
            let mut header = header;
            header[1] ^= index;
            header
        };
        let mut target = [0xff; 32];
        target[28..].copy_from_slice(&(u32::MAX >> (4 + zeros % 9)).to_le_bytes());
        let last = (1 << 32) - NONCES;
        let start = match place {
            0..8 => 0,
            8..16 => last,
            _ => u64::from(u32::from_le_bytes([n0, n1, n2, n3])).min(last),
        };
        Self { headers: (0..=versions % 64).map(version).collect(), target, start }
    }

    fn pairs(&self) -> u64 {
        NONCES * self.headers.len() as u64
    }

    /// The mistake of each kernel that does not find the hits that the crates find.
    fn failures(&self, kernels: &[Kernel]) -> Vec<String> {
        let mut expected = Vec::new();
        for nonce in self.start..self.start + NONCES {
            for (midstate, header) in self.headers.iter().enumerate() {
                let (mut header, nonce) = (*header, nonce as u32);
                header[76..].copy_from_slice(&nonce.to_le_bytes());
                let hash: [u8; 32] = Sha256::digest(Sha256::digest(header)).into();
                if hash != bitcoin_sha256d::Hash::hash(&header).to_byte_array() {
                    return vec![format!("sha2 and bitcoin_hashes differ at nonce {nonce}")];
                }
                if hash.iter().rev().le(self.target.iter().rev()) {
                    expected.push(Hit { midstate, nonce, hash });
                }
            }
        }
        let work = self.work();
        let judge = |kernel: &Kernel| {
            let mut hits = Vec::new();
            let nonces = self.start..self.start + NONCES;
            let hashes = kernel.scan(&work, nonces, &mut |hit| hits.push(hit));
            hits.sort_by_key(|hit| (hit.nonce, hit.midstate));
            (hashes != self.pairs() || hits != expected).then(|| {
                let (name, found, hits) = (kernel.name(), hits.len(), expected.len());
                format!("{name} counted {hashes} hashes and found {found} hits, not these {hits}")
            })
        };
        kernels.iter().filter_map(judge).collect()
    }

    fn work(&self) -> Work {
        let midstates: Vec<_> = self
            .headers
            .iter()
            .map(|header| Midstate::of(header.first_chunk().expect("80 bytes are more")))
            .collect();
        let tail = self.headers[0][64..76].try_into().expect("twelve bytes");
        let tail = Tail::from_bytes(tail);
        Work::new(&midstates, tail, &self.target).expect("one to 64 midstates")
    }
}
