//! Compiled by `cargo xtask order` beside two builds of the hasher: lets both hash in turns, in
//! short windows with the number of midstates that it is given, and prints the cycles a hash of
//! each one's best window and the median gain of the second.

use std::hint::black_box;
use std::time::Instant;

/// Windows of each: about 100 microseconds, short enough to run without a break now and then.
const WINDOWS: usize = 4000;

macro_rules! contestant {
    ($hasher:ident $midstates:ident) => {{
        use $hasher::{Kernel, Midstate, Tail, Work};
        let midstates: Vec<_> = (0..$midstates).map(|i| Midstate::of(&[i; 64])).collect();
        let tail = Tail::from_bytes([7; 12]);
        let work = Work::new(&midstates, tail, &[0; 32]).expect("1 or 64 are legal");
        let kernel = Kernel::named("sha-ni").expect("a CPU with SHA instructions");
        assert!(kernel.self_test(), "a wrong order");
        let nonces = 4096 / u64::from($midstates);
        move || kernel.scan(&work, 0..nonces, &mut |_| {})
    }};
}

fn main() {
    let argument = std::env::args().nth(1).and_then(|argument| argument.parse().ok());
    let midstates: u8 = argument.expect("the number of midstates");
    let (present, candidate) = (contestant!(present midstates), contestant!(candidate midstates));
    let mut windows = Vec::new();
    let mut clock = f64::MAX;
    for window in 0..WINDOWS {
        // Which goes first changes, too.
        let (one, other) = match window % 2 {
            0 => {
                let one = seconds(&present);
                (one, seconds(&candidate))
            }
            _ => {
                let other = seconds(&candidate);
                (seconds(&present), other)
            }
        };
        windows.push((one, other));
        clock = clock.min(cycle());
    }
    let best = |of: fn(&(f64, f64)) -> f64| windows.iter().map(of).fold(f64::MAX, f64::min);
    let mut gains: Vec<f64> = windows.iter().map(|(one, other)| one / other).collect();
    gains.sort_by(f64::total_cmp);
    println!("{} {} {}", best(|w| w.0) / clock, best(|w| w.1) / clock, gains[gains.len() / 2]);
}

/// Seconds a hash.
fn seconds(hash: impl Fn() -> u64) -> f64 {
    let start = Instant::now();
    let hashes = hash();
    start.elapsed().as_secs_f64() / hashes as f64
}

/// Seconds of a cycle, from a chain of two instructions of a cycle each.
fn cycle() -> f64 {
    let (mut state, addend) = (1_u64, black_box(0x9e37_79b9_7f4a_7c15));
    let start = Instant::now();
    for _ in 0..10_000 {
        state = state.rotate_left(5).wrapping_add(addend);
    }
    black_box(state);
    start.elapsed().as_secs_f64() / 20_000.0
}
