//! A target without libFuzzer: the examples of `seeds/TARGET`, as they are and changed at random.
//!
//! It finds little that is hidden deep. It is for every build, on any toolchain, to show that a
//! target compiles, that its claims hold for the examples, and how many executions it does.

use std::path::Path;
use std::time::Instant;

/// An example grows by a few bytes a change; longer ones say nothing new.
const LONGEST: usize = 4096;
/// Bytes at which numbers, texts and frames break.
const SPICES: [&[u8]; 12] = [
    b"\n",
    b"\"",
    b"null",
    b"-1",
    b"0",
    b"1e999",
    b"18446744073709551616",
    b"\xff",
    b"\x00",
    b"[[[[[[[[",
    b"{\"a\":",
    b"\xf0\x9f\x92\xa5",
];

/// Plays a target as many times as the first argument says, 2,000 without one.
pub fn main(target: fn(&[u8])) {
    let mut arguments = std::env::args();
    let program = arguments.next().expect("a program has a name");
    let name = Path::new(&program).file_stem().and_then(|name| name.to_str()).expect("a target");
    let number = arguments.next().map_or(2000, |text| text.parse().expect("a number of times"));
    let seeds = seeds(name);
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let started = Instant::now();
    for turn in 0..number {
        let mut input = seeds[turn % seeds.len()].clone();
        if turn >= seeds.len() {
            (0..=random.below(4)).for_each(|_| change(&mut input, &seeds, &mut random));
        }
        input.truncate(LONGEST);
        target(&input);
    }
    let rate = number as f64 / started.elapsed().as_secs_f64();
    println!("{name}: {number} executions, {rate:.0} a second");
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds").join(name);
    let files = std::fs::read_dir(&directory).expect("every target has a directory of seeds");
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    // The same inputs on every machine.
    paths.sort();
    assert!(!paths.is_empty(), "no seed in {}", directory.display());
    paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect()
}

fn change(input: &mut Vec<u8>, seeds: &[Vec<u8>], random: &mut Random) {
    let (at, until) = (random.below(input.len() + 1), random.below(input.len() + 1));
    let (at, until) = (at.min(until), at.max(until));
    match random.below(6) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 => drop(input.drain(at..until)),
        2 => input.extend_from_within(at..until),
        3 => {
            let spice = SPICES[random.below(SPICES.len())];
            input.splice(at..at, spice.iter().copied());
        }
        4 => {
            let spice = SPICES[random.below(SPICES.len())];
            input.splice(at..until.min(at + 8), spice.iter().copied());
        }
        _ => {
            let other = &seeds[random.below(seeds.len())];
            let from = random.below(other.len() + 1);
            input.splice(at.., other[from..].iter().copied());
        }
    }
}

/// xorshift64: good enough for changing bytes, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound.max(1)
    }
}
