//! `midstate grind`: a header in, the solved header out. Takes the place of `bitcoin-util grind` in
//! scripts: same argument, same output, same exit code, and Core's words first in every error.
//!
//! It differs on purpose in two points: it finds the lowest nonce, where bitcoin-util's threads
//! find any, and it adds the reason to Core's words.

use std::iter::successors;
use std::ops::Range;

use midstate_chain::{Header, Target};
use midstate_engine::{Config, grind};

use crate::machine::choose::{self, HashArgs};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::units;
use crate::shell::values::{parse_mask, whole};

const UNSPECIFIED: &str = "Must specify block header to grind";
const UNSATISFIED: &str = "Could not satisfy difficulty target";
const ALL_NONCES: Range<u64> = 0..1 << 32;

/// The text of `--help` below the flags.
const WHAT_IS_CHANGED: &str = "\
Only the nonce is changed, as bitcoin-util does. Exit code 1 and \"Could not satisfy difficulty \
target\" mean that none of the 2^32 will do.

With --roll-version and --roll-time the search goes on: all nonces for each version, all \
versions for each second. Then use all 80 bytes of the result. Bitcoin Core's \
contrib/signet/miner takes back the nonce alone, and the signature on a block of a signed signet \
covers version and time: leave these flags out there.

Example, the first block of regtest:
  midstate grind \\
0100000000000000000000000000000000000000000000000000000000000000\
000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a\
dae5494dffff7f2002000000";

/// Flags of `grind`.
#[derive(clap::Args, Debug)]
#[command(after_help = WHAT_IS_CHANGED, override_usage = "midstate grind [OPTIONS] <HEADERHEX>")]
pub(crate) struct Args {
    /// The header: 80 bytes, 160 hex digits
    // Any number is parsed, so that none and two end as they do in bitcoin-util, with exit code 1.
    #[arg(value_name = "HEADERHEX", num_args = 0..)]
    header: Vec<String>,
    /// Version bits that may be changed when the nonces are used up, as 1fffe000 (BIP320)
    #[arg(long, value_name = "HEX", default_value = "off", value_parser = parse_mask)]
    roll_version: u32,
    /// Seconds that may be added to the time when nonces and versions are used up
    #[arg(long, value_name = "SECS", default_value_t = 0, value_parser = whole(0..=u32::MAX, 600))]
    roll_time: u32,
    #[command(flatten)]
    hash: HashArgs,
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let [header] = &args.header[..] else {
        let came = args.header.len();
        return Err(anyhow::anyhow!("{UNSPECIFIED}: expected one header, got {came}").into());
    };
    let header = decode(header)?;
    let target =
        header.bits.to_target().map_err(|error| anyhow::anyhow!("{UNSATISFIED}: {error}"))?;
    let choice = choose::choose(&args.hash)?;
    // Only for people: scripts that call bitcoin-util may take any word on stderr for a failure.
    if out.is_live() {
        out.note(outlook(target, choice.rate()));
    }
    let config = choice.config;
    let solved = candidates(header, args.roll_version, args.roll_time)
        .find_map(|header| solve(&config, &header, target, ALL_NONCES))
        .ok_or_else(|| anyhow::anyhow!(UNSATISFIED))?;
    if out.is_json() {
        let (header, hash) = (solved.to_string(), solved.hash().to_string());
        out.event(&serde_json::json!({
            "event": "grind", "header": header, "nonce": solved.nonce, "hash": hash,
        }));
    }
    out.line(solved.to_string());
    Ok(())
}

/// The time and luck that the user can expect.
fn outlook(target: Target, rate: f64) -> String {
    let hashes = target.expected_hashes_f64();
    let mut words = format!(
        "one hash in {} will do: {} on average at {}",
        units::si(hashes).trim_end(),
        units::wait(hashes / rate),
        units::rate(rate),
    );
    // 1 - (1 - 1/n)^(2^32)
    let solvable = -f64::exp_m1(2f64.powi(32) * f64::ln_1p(-1.0 / hashes));
    if solvable < 0.99 {
        words += &format!("; {:.2} % of all headers have such a nonce", 100.0 * solvable);
    }
    words
}

/// The first 80 bytes; what follows, as in a whole block, is of no interest to bitcoin-util either.
fn decode(text: &str) -> Result<Header, anyhow::Error> {
    let undecodable = |why: String| anyhow::anyhow!("Could not decode block header: {why}");
    let bytes = hex::decode(text).map_err(|error| undecodable(error.to_string()))?;
    let header = bytes.first_chunk::<{ Header::LEN }>().ok_or_else(|| {
        undecodable(format!("expected {} bytes, got {}", Header::LEN, bytes.len()))
    })?;
    Ok(Header::from_bytes(header))
}

fn solve(config: &Config, header: &Header, target: Target, nonces: Range<u64>) -> Option<Header> {
    grind(config.kernel, config.threads, header, target, nonces)
}

/// The header, and what it may be changed to: for each second every version, its own first.
fn candidates(header: Header, versions: u32, seconds: u32) -> impl Iterator<Item = Header> {
    let last = header.time.saturating_add(seconds);
    (header.time..=last).flat_map(move |time| {
        subsets(versions).map(move |bits| Header { version: header.version ^ bits, time, ..header })
    })
}

/// All numbers made of bits of `mask`, from 0 upwards.
fn subsets(mask: u32) -> impl Iterator<Item = u32> {
    // Subtracting the mask adds one to the subset and carries it over the gaps between the bits.
    let next = move |subset: &u32| Some(subset.wrapping_sub(mask) & mask).filter(|&next| next != 0);
    successors(Some(0), next)
}

#[cfg(test)]
mod tests {
    use midstate_chain::Network;
    use midstate_sha256d::Kernel;
    use midstate_work::Cut;

    use super::*;

    #[test]
    fn subsets_are_all_there_once_each() {
        assert_eq!(subsets(0).collect::<Vec<_>>(), [0]);
        assert_eq!(subsets(0b1010).collect::<Vec<_>>(), [0, 0b10, 0b1000, 0b1010]);
        assert_eq!(subsets(0x8000_0001).count(), 4);
        assert_eq!(subsets(0x1fff_e000).count(), 1 << 16);
    }

    #[test]
    fn versions_are_rolled_before_the_time_and_nothing_else_is() {
        let header = Network::Regtest.genesis();
        let rolled: Vec<_> = candidates(header, 0x6000, 1).collect();
        let fields: Vec<_> = rolled.iter().map(|h| (h.time - header.time, h.version)).collect();
        let versions = [1, 0x2001, 0x4001, 0x6001];
        assert_eq!(fields, [0, 1].map(|time| versions.map(|version| (time, version))).concat());
        assert!(rolled.iter().all(|h| Header { version: 1, time: header.time, ..*h } == header));
        assert_eq!(candidates(header, 0, 0).collect::<Vec<_>>(), [header]);
        let latest = Header { time: u32::MAX, ..header };
        assert_eq!(candidates(latest, 0, 5).count(), 1, "time does not wrap");
    }

    #[test]
    fn what_one_header_has_not_another_may_have() {
        let config = Config { kernel: Kernel::SCALAR, threads: 2, cut: Cut::by_hashes(1, 1) };
        // One hash in 65,536, and only 1,024 nonces for each header.
        let target = midstate_chain::Bits::from_consensus(0x1f00_ffff).to_target().unwrap();
        let header = Network::Regtest.genesis();
        let solve = |header: Header| solve(&config, &header, target, 0..1 << 10);
        assert_eq!(solve(header), None);
        for (versions, seconds) in [(0x1fff_e000, 0), (0, 100_000)] {
            let solved = candidates(header, versions, seconds).find_map(solve).unwrap();
            assert!(target.is_met_by(&solved.hash()));
            assert_eq!((solved.version ^ header.version) & !versions, 0);
            assert!(solved.time - header.time <= seconds);
        }
    }
}
