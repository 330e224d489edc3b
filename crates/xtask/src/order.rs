//! `cargo xtask order`: searches the order of four rounds in the `sha-ni` kernel on the CPU at
//! hand, and writes it to the file that the kernel includes.
//!
//! The present order is the start. A step moves a few instructions of the best order so far to
//! other places, at random but seeded: of the blocks for pairs of midstates, which race with 64, or
//! of the block for a lone one. An order counts only if it computes the same: both are
//! executed with symbols for values ([`instruction`]), and every value that is left must be equal.
//! The candidate is compiled beside the present order, both race in one process in short windows
//! taken in turns, and a winner must win a second race. Beforehand the search says what it will do;
//! afterwards `cargo test -p midstate-sha256d` and `cargo xtask asm` judge the new file as any
//! other.

pub(crate) mod instruction;
mod race;

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use instruction::{Block, NAMES, parse};
use race::Race;

/// The file that the kernel includes.
pub(crate) const FILE: &str = "crates/sha256d/src/x86/sha_ni/order.rs";

/// The four rounds that a block is assembled for.
const FOUR_ROUNDS: RangeInclusive<i64> = 3..=14;

/// A candidate must be this much faster in the median window and in the best one, twice.
const GAIN: f64 = 1.003;

/// Searches for so many seconds, with that seed, and writes the file if it finds a better order.
pub(crate) fn run(root: &Path, seconds: &str, seed: &str) -> anyhow::Result<ExitCode> {
    let seconds =
        seconds.parse().with_context(|| format!("--seconds takes a number: {seconds}"))?;
    let mut random: Random =
        Random(seed.parse().with_context(|| format!("--seed takes a number: {seed}"))?);
    let file = root.join(FILE);
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let present = parse(&text)?;
    let mut best = present.clone();
    let mut race = Race::prepare(root, &text)?;
    println!("{seconds} s on this CPU, seed {seed}");
    println!(
        " tried midstates  cycles a hash: present, candidate; gain in the best windows, median"
    );

    let (start, mut tried, mut wins) = (Instant::now(), 0, 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        let (candidate, midstates) = shuffled(&best, &mut random);
        if candidate == best {
            continue;
        }
        tried += 1;
        let written = write(&text, &candidate);
        let first = race.run(&written, midstates)?;
        println!("{tried:6} {midstates:9}  {first}");
        if !first.gains(GAIN) {
            continue;
        }
        let second = race.run(&written, midstates)?;
        println!(" again {midstates:9}  {second}");
        if second.gains(GAIN) {
            (best, wins) = (candidate, wins + 1);
            race.hold_against(&written)?;
        }
    }
    println!("{tried} orders tried, {wins} better than the one before");
    if wins > 0 {
        fs::write(&file, write(&text, &best)).with_context(|| file.display().to_string())?;
        println!("written to {FILE}; now run the crate's tests and cargo xtask asm");
    }
    Ok(ExitCode::SUCCESS)
}

/// The best order with one to eight moves, each of one to six instructions, and the midstates that
/// show its worth: in the block for a lone one, or in either of those for pairs.
fn shuffled(best: &[Block; 3], random: &mut Random) -> ([Block; 3], usize) {
    let mut blocks = best.clone();
    let (changed, midstates) = match random.below(3) {
        0 => (2..3, 1),
        _ => (0..2, 64),
    };
    let moves = 1 + random.below(8);
    for _ in 0..moves {
        let block = &mut blocks[changed.start + random.below(changed.len())];
        // Most places are wrong: what they would compute is not the same.
        for _ in 0..200 {
            let len = 1 + random.below(6);
            let (from, to) = (random.below(block.0.len() - len), random.below(block.0.len() - len));
            let mut moved = block.clone();
            let run: Vec<_> = moved.0.drain(from..from + len).collect();
            moved.0.splice(to..to, run);
            if from != to && moved.outcome() == block.outcome() {
                *block = moved;
                break;
            }
        }
    }
    (blocks, midstates)
}

/// The file with other instructions in its blocks.
fn write(text: &str, blocks: &[Block; 3]) -> String {
    let (mut written, mut blocks) = (String::new(), blocks.iter());
    for line in text.lines() {
        if line.trim_start().starts_with("$then! {") {
            written += line;
            written.push('\n');
            for instruction in blocks.next().map_or(&[][..], |block| &block.0) {
                written += &format!("            ({instruction})\n");
            }
        } else if instruction::of_line(line).is_none() {
            written += line;
            written.push('\n');
        }
    }
    written
}

/// SplitMix64 (Steele, Lea and Flood 2014): a seed repeats a search on the same CPU.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// Whether the blocks that were assembled are those of the description with these names: each block
/// of assembly in the kernel's function with a step of a message schedule, in any order of blocks.
pub(crate) fn check(root: &Path, function: &str, names: &[&str]) -> anyhow::Result<()> {
    let file = root.join(FILE);
    let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let blocks = parse(&text)?;
    let names = || NAMES.iter().zip(&blocks).filter(|(name, _)| names.contains(name));
    let mut seen = BTreeSet::new();
    for assembled in function.split("#APP").skip(1) {
        let (assembled, _) = assembled.split_once("#NO_APP").context("a block without an end")?;
        if !assembled.contains("sha256msg1") {
            continue;
        }
        let lines: Vec<&str> =
            assembled.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let found = names().find_map(|(name, block)| {
            FOUR_ROUNDS.into_iter().find(|&i| block.is_assembled_as(&lines, i)).map(|i| (name, i))
        });
        seen.insert(found.with_context(|| {
            format!("no block of {FILE} was assembled as this:\n{}", lines.join("\n"))
        })?);
    }
    for (name, _) in names() {
        for i in FOUR_ROUNDS {
            let assembled = seen.contains(&(name, i));
            ensure!(assembled, "the block {name} of {FILE} was not assembled for four rounds {i}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present() -> (&'static str, [Block; 3]) {
        let text = include_str!("../../sha256d/src/x86/sha_ni/order.rs");
        (text, parse(text).unwrap())
    }

    #[test]
    fn an_order_that_is_written_is_read_again() {
        let (text, blocks) = present();
        assert_eq!(write(text, &blocks), text);
        let (other, _) = shuffled(&blocks, &mut Random(1));
        assert_eq!(parse(&write(text, &other)).unwrap(), other);
    }

    #[test]
    fn a_seed_repeats_its_orders_and_they_all_compute_the_same() {
        let (_, blocks) = present();
        let (mut one, mut two) = (Random(7), Random(7));
        let mut different = 0;
        for _ in 0..20 {
            let (candidate, midstates) = shuffled(&blocks, &mut one);
            assert_eq!((candidate.clone(), midstates), shuffled(&blocks, &mut two));
            assert_eq!(candidate[2] != blocks[2], midstates == 1 && candidate != blocks);
            for (candidate, block) in candidate.iter().zip(&blocks) {
                assert_eq!(candidate.outcome(), block.outcome());
            }
            different += usize::from(candidate != blocks);
        }
        assert!(different > 10, "{different} of 20 were other orders");
    }

    #[test]
    fn an_instruction_at_a_wrong_place_or_missing_computes_something_else() {
        let (_, blocks) = present();
        for block in blocks {
            for i in 0..block.0.len() {
                let mut missing = block.clone();
                missing.0.remove(i);
                assert_ne!(missing.outcome(), block.outcome(), "without {}", block.0[i]);
            }
            let mut reversed = block.clone();
            reversed.0.reverse();
            assert_ne!(reversed.outcome(), block.outcome());
        }
    }
}
