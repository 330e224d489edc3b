//! The words of mining, a sentence each.

use serde_json::json;

use crate::shell::output::Output;
use crate::shell::style::Style;

/// Each word after those that its meaning needs.
const TERMS: [(&str, &str); 33] = [
    ("hash", "32 bytes that SHA-256, done twice, makes of a header; no one can foresee them"),
    ("H/s", "hashes a second. MH/s is a million, GH/s 10^9, TH/s 10^12, PH/s 10^15, EH/s 10^18"),
    ("block", "a page of the ledger: payments, called transactions, and a header"),
    ("header", "the 80 bytes of a block that are hashed; they stand for all of it"),
    ("merkle root", "32 bytes in the header that stand for all payments of the block"),
    ("nonce", "the number in the header that miners change from one try to the next"),
    ("target", "the number that a hash must not exceed"),
    ("difficulty", "how small the target is: difficulty 1 takes 4.3 billion tries on average"),
    ("retarget", "every 2016 blocks the difficulty is set so that a block takes ten minutes"),
    ("subsidy", "the new coins of a block, 3.125 BTC now; they pay the miner"),
    ("fees", "sums that payers add to their transactions for the miner of the block"),
    ("reward", "subsidy and fees of a block"),
    ("halving", "every 210,000 blocks, in about four years, the subsidy falls to half"),
    ("BTC", "a bitcoin: 100,000,000 satoshi, the smallest unit"),
    (
        "mainnet",
        "Bitcoin itself. testnet4 and signet are for tests, regtest is a chain of your own",
    ),
    ("pool", "miners who share their luck: it hands out work and pays for shares"),
    ("authorized", "the pool knows the user and takes shares from now on"),
    ("share", "a hash good enough for the pool: the proof that a miner works"),
    ("stale", "a share that came too late: its block had been found elsewhere"),
    ("throttled", "a share that was not sent, because there were too many"),
    ("unresolved", "a share without an answer from the pool"),
    ("round", "one of the 64 steps of SHA-256"),
    ("midstate", "the state of SHA-256 after the header's first 64 bytes; it serves many tries"),
    ("CPU, GPU", "the processor of a computer, and the one of its graphics card"),
    ("FPGA", "a chip whose wiring can be programmed"),
    ("ASIC", "a chip made for one task alone: here, for this hash"),
    ("J/TH", "joules for 10^12 hashes: the energy of a machine's work. Low is good"),
    (
        "Landauer",
        "his law: to erase a bit takes 2.87e-21 J at room temperature, whatever the machine",
    ),
    ("hashprice", "the income of 1 PH/s (10^15 hashes a second) in a day"),
    ("break-even", "the price of power at which a machine's income just pays for its power"),
    ("PUE", "watts at the meter for 1 W at the machines; the rest goes into cooling"),
    ("hosting", "renting out a site's power and halls, for instance to AI, in place of mining"),
    ("c/kWh", "US cents for a kilowatt-hour; 5 c/kWh are $50/MWh"),
];

/// The meaning of one of them, if it is one.
pub(super) fn meaning(word: &str) -> Option<&'static str> {
    let is_it = |term: &str| term.split(", ").any(|term| term.eq_ignore_ascii_case(word));
    TERMS.iter().find(|(term, _)| is_it(term)).map(|&(_, meaning)| meaning)
}

/// Prints one.
pub(super) fn print_one(term: &str, meaning: &str, out: &mut Output) {
    let name = out.paint(Style::Heading, term);
    out.hanging(2, format!("{name}: {meaning}"));
    out.event(&json!({ "event": "term", "term": term, "meaning": meaning }));
}

/// Prints them.
pub(super) fn print(out: &mut Output) {
    let columns = TERMS.iter().map(|(term, _)| term.len()).max().unwrap_or(0);
    for (term, meaning) in TERMS {
        let padded = out.paint(Style::Heading, &format!("{term:<columns$}"));
        out.hanging(columns + 2, format!("{padded}  {meaning}"));
        out.event(&json!({ "event": "term", "term": term, "meaning": meaning }));
    }
}
