//! The difficulty dial: really mine at 8, 12, .. 28 bits, tries against expectation; then say what
//! mainnet would take.

use std::time::Instant;

use midstate_chain::{Hash256, Header, Network, Target, U256};
use midstate_economics::inputs::Inputs;
use midstate_economics::odds::{luck_p_value, mean_wait};
use midstate_economics::units::{HashesPerSecond, Seconds, grouped, significant};
use midstate_sha256d::{Kernel, Work};
use serde_json::json;

use crate::lab::inputs::{say_source, target};
use crate::machine::choose::{HashArgs, choose};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::style::Style;

const BITS: [u32; 6] = [8, 12, 16, 20, 24, 28];
/// A setting goes on until it has taken this long ..
const TIME: f64 = 0.5;
/// .. or found this many.
const ENOUGH: u64 = 1_000;
/// A setting that would take longer than this, on average, is left out.
const PATIENCE: f64 = 60.0;

pub(super) fn run(hash: &HashArgs, seed: u64, out: &mut Output) -> Result<(), Failure> {
    let choice = choose(hash)?;
    let (kernel, guess) = (choice.config.kernel, choice.thread_rate);
    out.line(format!(
        "One thread, kernel {}, seed {seed}.\nHow many tries until a hash starts with so many zero \
         bits?\n",
        kernel.name()
    ));
    let head = ["bits", "expected", "found", "tries", "tries / found", "p-value", "time"];
    out.styled(Style::Heading, row(&head.map(String::from), out.width()));
    let mut rate = guess;
    for bits in BITS {
        let expected = 2f64.powi(bits as i32);
        if expected / rate > PATIENCE {
            let wait = Seconds(expected / rate);
            let expected = grouped(expected, 0);
            out.line(format!("{bits:>4} {expected:>11} left out: it takes {wait} on average"));
            continue;
        }
        if out.is_live() {
            out.status(&format!("{bits} bits: about {}", Seconds(expected / rate)));
        }
        let start = Instant::now();
        let mut mine = Mine::new(kernel, bits, seed);
        while mine.found == 0 || (start.elapsed().as_secs_f64() < TIME && mine.found < ENOUGH) {
            mine.next_find();
        }
        let seconds = start.elapsed().as_secs_f64();
        out.end_status();
        // Short settings spend their time on beginning anew; the last is the honest rate.
        rate = mine.tries as f64 / seconds;
        let p_value = luck_p_value(mine.found, mine.tries, 1.0 / expected);
        let mean = mine.tries as f64 / mine.found as f64;
        let cells = [
            bits.to_string(),
            grouped(expected, 0),
            grouped(mine.found as f64, 0),
            grouped(mine.tries as f64, 0),
            grouped(mean, 0),
            format!("{p_value:.3}"),
            format!("{seconds:.2} s"),
        ];
        out.line(row(&cells, out.width()));
        out.event(&json!({
            "event": "dial", "bits": bits, "found": mine.found, "tries": mine.tries,
            "p_value": p_value, "seconds": seconds,
        }));
    }
    extrapolate(HashesPerSecond(rate), out)
}

/// A setting in a line; without its mean where that does not fit.
fn row(cells: &[String; 7], width: usize) -> String {
    let [bits, expected, found, tries, mean, p_value, time] = cells;
    let counts = format!("{bits:>4} {expected:>11} {found:>5} {tries:>13}");
    match width {
        ..72 => format!("{counts} {p_value:>7} {time:>7}"),
        _ => format!("{counts} {mean:>13} {p_value:>8} {time:>9}"),
    }
}

fn extrapolate(rate: HashesPerSecond, out: &mut Output) -> Result<(), Failure> {
    let inputs = Inputs::shipped();
    let target = target(&inputs)?;
    let bits = target.expected_hashes_f64().log2();
    let wait = mean_wait(target, rate);
    out.line("");
    let text = format!(
        "Every bit more doubles the tries. The p-value says how often luck alone is as far from \
         the mean: anything above 0.01 or so is ordinary. Mainnet asks for {bits:.1} bits, which \
         is {} tries. At the {rate} of the last row they take {wait}. From 28 bits it is {:.0} \
         doublings away.",
        significant(target.expected_hashes_f64()),
        bits - 28.0
    );
    out.prose(0, text);
    say_source("difficulty", &inputs.difficulty, out);
    out.event(&json!({
        "event": "mainnet", "bits": bits, "hps": rate.0, "seconds": wait.0,
    }));
    Ok(())
}

/// A search in the order of nonces, header after header, so that every try is counted.
pub(super) struct Mine {
    kernel: Kernel,
    target: Target,
    header: Header,
    work: Work,
    /// The next nonce to try.
    nonce: u64,
    /// How many nonces to hand to the kernel at once: a fraction of what a find takes, since what
    /// lies behind a find is searched twice.
    chunk: u64,
    pub(super) tries: u64,
    pub(super) found: u64,
}

impl Mine {
    pub(super) fn new(kernel: Kernel, bits: u32, seed: u64) -> Self {
        let target = Target::from_number(U256::MAX >> bits as usize);
        // A header that nobody has: genesis with its root replaced by the seed and the setting.
        let unique = [seed.to_le_bytes(), u64::from(bits).to_le_bytes()].concat();
        let merkle_root = Hash256::of(&unique);
        let header = Header { merkle_root, ..Network::Mainnet.genesis() };
        let work = work_on(&header, target);
        let chunk = 1 << bits.saturating_sub(2).clamp(6, 14);
        Self { kernel, target, header, work, nonce: 0, chunk, tries: 0, found: 0 }
    }

    /// Searches to the next hash that is good enough; how many tries that took.
    pub(super) fn next_find(&mut self) -> u64 {
        let before = self.tries;
        loop {
            if self.nonce == 1 << 32 {
                self.header.time += 1;
                self.work = work_on(&self.header, self.target);
                self.nonce = 0;
            }
            let end = (self.nonce + self.chunk).min(1 << 32);
            let mut first = None;
            self.kernel.scan(&self.work, self.nonce..end, &mut |hit| {
                let nonce = u64::from(hit.nonce);
                first = Some(first.map_or(nonce, |first: u64| first.min(nonce)));
            });
            // The nonces behind the hit are searched again from there: none is counted twice.
            let next = first.map_or(end, |hit| hit + 1);
            self.tries += next - self.nonce;
            self.nonce = next;
            if first.is_some() {
                self.found += 1;
                return self.tries - before;
            }
        }
    }
}

fn work_on(header: &Header, target: Target) -> Work {
    Work::new(&[header.midstate()], header.tail(), &target.to_le_bytes())
        .expect("one midstate is a legal number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_find_is_good_enough_and_nothing_before_it_was() {
        let mut mine = Mine::new(Kernel::SCALAR, 8, 42);
        let mut total = 0;
        for _ in 0..20 {
            let from = mine.nonce;
            let tries = mine.next_find();
            total += tries;
            for nonce in from..from + tries {
                let header = Header { nonce: nonce as u32, ..mine.header };
                assert_eq!(mine.target.is_met_by(&header.hash()), nonce + 1 == from + tries);
            }
        }
        assert_eq!((mine.tries, mine.found), (total, 20));
    }
}
