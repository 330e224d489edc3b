//! One header, from its fields to the compare with the target.

use std::io::{BufRead, IsTerminal};

use midstate_chain::{Header, Target, U256};
use midstate_economics::calendar::utc;
use midstate_economics::units::significant;
use serde_json::json;

use super::rounds::{Compression, HeaderHash, START, State, bytes_of, distance};
use crate::lab::inputs::number;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::prose::bar;
use crate::shell::style::Style;

/// Prints the walk; with `step`, waits for Enter between its parts and shows every round.
pub(super) fn run(
    name: &str,
    header: &Header,
    step: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    let hash = HeaderHash::of(&header.to_bytes());
    let waits = step && std::io::stdin().is_terminal();
    let mut walk =
        Walk { name, header, hash: &hash, out, waits, shows_rounds: step, is_over: false };
    walk.event();
    let [first, others @ ..] = Walk::PARTS;
    first(&mut walk)?;
    for part in others {
        if walk.is_over || !walk.pause("next part")? {
            break;
        }
        part(&mut walk)?;
    }
    Ok(())
}

struct Walk<'a> {
    name: &'a str,
    header: &'a Header,
    hash: &'a HeaderHash,
    out: &'a mut Output,
    /// Whether somebody presses Enter between steps.
    waits: bool,
    shows_rounds: bool,
    /// The reader has asked for the end.
    is_over: bool,
}

type Part<'a> = fn(&mut Walk<'a>) -> Result<(), Failure>;

impl<'a> Walk<'a> {
    const PARTS: [Part<'a>; 7] = [
        Self::fields,
        Self::midstate,
        Self::first_hash,
        Self::second_hash,
        Self::compare,
        Self::avalanche,
        Self::in_short,
    ];

    fn fields(&mut self) -> Result<(), Failure> {
        let header = self.header;
        self.title(&format!("1. The header ({}): 80 bytes, all that is hashed", self.name));
        let bytes = header.to_bytes();
        let date = utc(i64::from(header.time));
        let target = header.bits.to_target();
        let difficulty = target.map_or_else(
            |error| error.to_string(),
            |target| format!("difficulty {}", number(target.difficulty())),
        );
        let rows = [
            (0..4, "version", format!("{:08x}", header.version)),
            (4..36, "previous", "hash of the block before, its lowest byte first".into()),
            (36..68, "merkle root", "one hash that stands for all transactions".into()),
            (68..72, "time", format!("{} = {date}", header.time)),
            (72..76, "bits", format!("{}: the target in short; {difficulty}", header.bits)),
            (76..80, "nonce", format!("{}: the number that miners turn", header.nonce)),
        ];
        for (range, field, meaning) in rows {
            let (start, end) = (range.start, range.end - 1);
            let hex = hex::encode(&bytes[range]);
            match hex.len() {
                ..=8 => self.line(format!("  {start:>2}..{end:<2} {field:<12} {hex}  {meaning}")),
                _ => {
                    self.labelled(&format!("  {start:>2}..{end:<2} {field:<12} "), &hex);
                    self.line(format!("  {:>19} {meaning}", ""));
                }
            }
        }
        self.say(&format!(
            "A block is a page of a ledger that many computers keep. It has payments, called \
             transactions, and a header that stands for them and names the block before. The \
             first block is called genesis. Everything is shown as it is stored: numbers begin \
             with their lowest byte. A miner hashes these 80 bytes with SHA-256, and the result \
             with SHA-256 again; both such a try and its result are called a hash. A hash is good \
             if, read as a number, it is not above the target. The miner who finds a good hash \
             has made the next block, and is paid for it. The smaller the target, the higher the \
             difficulty: difficulty d takes {:.3} billion x d tries on average. A change in any \
             transaction changes the merkle root, and with it the hash, so that the work has to \
             be done again.",
            Target::HASHES_AT_DIFFICULTY_1 / 1e9
        ));
        Ok(())
    }

    fn midstate(&mut self) -> Result<(), Failure> {
        let Self { header, hash, .. } = *self;
        self.title("2. The midstate: what the first 64 bytes leave behind");
        let bytes = header.to_bytes();
        self.labelled("  piece 1  ", &hex::encode(&bytes[..32]));
        self.labelled("           ", &hex::encode(&bytes[32..64]));
        self.line(format!("  piece 2  {}", hex::encode(&bytes[64..])));
        self.line("           then byte 0x80, zeros, and the length: 640 bits");
        self.labelled("  start    ", &words(&START));
        self.labelled("  MIDSTATE ", &words(&hash.first.result));
        self.say(
            "SHA-256 takes 64 bytes at a time. A compression mixes them, in 64 rounds, into a \
             state of eight 32-bit words, a to h, which begins with fixed constants (start). A \
             try takes three compressions: piece 1, piece 2, and one for the second SHA-256. The \
             nonce sits in piece 2, so the state after piece 1, the midstate, is the same for all \
             4,294,967,296 nonces: it is computed once, and two compressions are left. When the \
             nonces run out, the miner changes some bits of the version, or the transaction that \
             pays it and so the merkle root. Either changes piece 1: there is a new midstate, and \
             the nonces begin again.",
        );
        self.rounds("first piece", &hash.first)
    }

    fn first_hash(&mut self) -> Result<(), Failure> {
        let Self { header, hash, .. } = *self;
        self.title("3. The first SHA-256 ends: 64 rounds over the second piece");
        let message = &hash.second.schedule;
        self.line(format!("  word 0   {:08x} end of the merkle root", message[0]));
        self.line(format!("  word 1   {:08x} time", message[1]));
        self.line(format!("  word 2   {:08x} bits", message[2]));
        self.line(format!("  word 3   {:08x} the nonce {}", message[3], header.nonce));
        self.labelled("  RESULT 1 ", &words(&hash.second.result));
        self.say(
            "The rounds start from the midstate. Rounds 0 to 15 mix in the piece's sixteen words, \
             one each; rounds 16 to 63 mix in words made from those. The nonce is word 3: rounds \
             0, 1 and 2 do not see it, so their result, like the midstate, is computed once for \
             all nonces.",
        );
        self.rounds("second piece", &hash.second)
    }

    fn second_hash(&mut self) -> Result<(), Failure> {
        let hash = self.hash;
        self.title("4. The second SHA-256: of the 32 bytes of result 1");
        self.labelled("  RESULT 2 ", &words(&hash.third.result));
        self.labelled(
            "  word     ",
            &std::array::from_fn::<_, 8, _>(|n| format!("{n:<8}")).join(" "),
        );
        self.labelled("  bytes    ", &hex::encode(bytes_of(&hash.third.result)));
        self.labelled("  reversed ", &reversed(&hash.third.result));
        self.say(
            "The 32 bytes are read as one number with the LAST byte the highest; people therefore \
             print them reversed and see the zeros in front. The highest 32 bits are word 7. At \
             difficulty 1 and above it must be 0, which holds for one hash in 4,294,967,296. Word \
             7 comes from place h of the state. A round makes new words for a and e only and \
             moves the others on: e to f, f to g, g to h. So the word in e three rounds before \
             the end is the word in h at the end. Then the compression adds the state that it \
             began with, place by place, which turns h into word 7. A miner therefore knows word \
             7 three rounds early, and finishes only the tries that pass.",
        );
        self.rounds("second SHA-256", &hash.third)
    }

    fn compare(&mut self) -> Result<(), Failure> {
        let Self { header, hash, .. } = *self;
        self.title("5. The compare: is the number small enough?");
        let number = reversed(&hash.third.result);
        let Ok(target) = header.bits.to_target() else {
            self.say("The bits of this header stand for no target that a hash could meet.");
            return Ok(());
        };
        self.labelled("  hash     ", &number);
        self.labelled("  target   ", &target.to_string());
        let met = target.is_met_by(&header.hash());
        let zeros = U256::from_le_bytes(bytes_of(&hash.third.result)).leading_zeros();
        let reached =
            Target::from_number(U256::from_le_bytes(bytes_of(&hash.third.result))).difficulty();
        let expected = target.expected_hashes_f64();
        self.say(&format!(
            "bits {} say that the target is {} bytes long (0x{:02x}) and begins with {:06x}: it \
             is 0x{:06x} x 256^({} - 3), since three bytes are given. The hash has {zeros} zero \
             bits in front and {}. The target of difficulty 1 divided by the hash is {}: up to \
             that difficulty the hash would have been good enough. One hash in {} meets this \
             target, and no one can know beforehand which nonce will.",
            header.bits,
            header.bits.to_consensus() >> 24,
            header.bits.to_consensus() >> 24,
            header.bits.to_consensus() & 0x00ff_ffff,
            header.bits.to_consensus() & 0x007f_ffff,
            header.bits.to_consensus() >> 24,
            if met { "is at or below the target" } else { "is not at or below the target" },
            significant(reached),
            significant(expected),
        ));
        Ok(())
    }

    fn avalanche(&mut self) -> Result<(), Failure> {
        let Self { header, hash, .. } = *self;
        self.title("6. The avalanche: flip one bit of the nonce");
        let other = Header { nonce: header.nonce ^ 1, ..*header };
        let flipped = HeaderHash::of(&other.to_bytes());
        for (nonce, hash) in [(header.nonce, hash), (other.nonce, &flipped)] {
            self.labelled(&format!("  nonce {nonce:>10}  "), &reversed(&hash.third.result));
        }
        self.line("  bits of the state that differ, of 256, after a round:");
        let columns = (self.out.width() - 24).min(64);
        let shown = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48, 63];
        for round in shown {
            let changed = distance(&hash.second.rounds[round], &flipped.second.rounds[round]);
            let strip = bar(f64::from(changed) / 256.0, columns, changed > 0);
            self.line(format!("  piece 2, round {round:>2}  {changed:>3} {strip}"));
        }
        for (name, one, two) in [
            ("result 1", &hash.second.result, &flipped.second.result),
            ("result 2", &hash.third.result, &flipped.third.result),
        ] {
            let changed = distance(one, two);
            let strip = bar(f64::from(changed) / 256.0, columns, true);
            self.line(format!("  {name:<17}  {changed:>3} {strip}"));
        }
        self.say(
            "Half of all bits, like the toss of 256 coins (128, most often give or take 8; result \
             1 is the midstate added to the last round, and result 2 its hash). A try says \
             nothing about the next: there is no getting closer, only more tries. So most \
             blocks are made by those who can pay for the most tries, with the machines that need \
             the least power for one, and such machines do nothing else. `midstate asic` shows \
             them.",
        );
        Ok(())
    }

    fn in_short(&mut self) -> Result<(), Failure> {
        self.title("In short");
        self.say(
            "A miner hashes the header, 80 bytes, and changes one number in it from one try to the \
             next, the nonce. A hash is good if, read as a number, it is not above the target. \
             No try brings a good hash nearer: luck has no memory.",
        );
        if !self.waits {
            let name = if self.name.len() > 16 { "HEADER" } else { self.name };
            self.line("");
            self.line(format!(
                "  One part at a time, with all rounds: midstate explain {name} --step"
            ));
            self.line("  The words: midstate explain terms");
            self.line("  Miners leave, coins halve: midstate econ claims");
        }
        Ok(())
    }

    /// Every round of a compression, one line each, when asked for.
    fn rounds(&mut self, name: &str, compression: &Compression) -> Result<(), Failure> {
        if !self.shows_rounds || !self.pause(&format!("the 64 rounds of the {name}"))? {
            return Ok(());
        }
        self.labelled("  round  word     ", &LETTERS.map(|name| format!("{name:<8}")).join(" "));
        for (round, state) in compression.rounds.iter().enumerate() {
            let word = compression.schedule[round];
            self.labelled(&format!("  {round:>5}  {word:08x} "), &words(state));
            if self.waits && !self.pause("next round")? {
                break;
            }
        }
        self.labelled("    sum           ", &words(&compression.result));
        Ok(())
    }

    /// Waits for Enter; `false` when the rest of this step is to be skipped.
    fn pause(&mut self, what: &str) -> Result<bool, Failure> {
        if !self.waits {
            return Ok(true);
        }
        loop {
            self.out.note(format!("[Enter: {what}; s: skip; q: end]"));
            let mut answer = String::new();
            let read = std::io::stdin().lock().read_line(&mut answer)?;
            self.is_over |= read == 0 || answer.trim() == "q";
            match answer.trim() {
                "" | "q" => return Ok(!self.is_over),
                "s" => return Ok(false),
                _ => self.out.note(
                    "Enter goes on; s and Enter leaves the rest of this part out; q and Enter ends",
                ),
            }
        }
    }

    fn event(&mut self) {
        let Self { header, hash, .. } = *self;
        let target = header.bits.to_target().ok();
        self.out.event(&json!({
            "event": "explain", "header": header.to_string(), "version": header.version,
            "prev_hash": header.prev_hash.to_string(),
            "merkle_root": header.merkle_root.to_string(), "time": header.time,
            "bits": header.bits.to_string(), "nonce": header.nonce,
            "midstate": words(&hash.first.result).replace(' ', ""),
            "first_hash": hex::encode(bytes_of(&hash.second.result)),
            "hash": header.hash().to_string(), "target": target.map(|target| target.to_string()),
            "difficulty": target.map(Target::difficulty),
            "met": target.is_some_and(|target| target.is_met_by(&header.hash())),
        }));
    }

    fn title(&mut self, text: &str) {
        self.out.styled(Style::Heading, format!("\n{text}"));
    }

    /// A value behind its label: in one line, or in halves below each other, or below the label.
    fn labelled(&mut self, label: &str, value: &str) {
        for line in labelled(label, value, self.out.width()) {
            self.line(line);
        }
    }

    fn line(&mut self, text: impl AsRef<str>) {
        self.out.text(text);
    }

    fn say(&mut self, text: &str) {
        self.out.prose(2, text);
    }
}

/// The places of the state.
const LETTERS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Eight words, or 64 digits, behind a label; two lines of half of them where one is too narrow.
fn labelled(label: &str, value: &str, width: usize) -> Vec<String> {
    let (value, indent) = (value.trim_end(), label.chars().count());
    if indent + value.chars().count() <= width {
        return vec![format!("{label}{value}")];
    }
    let middle = value.len().div_ceil(2);
    let (first, second) = value.split_at(middle);
    vec![format!("{label}{}", first.trim_end()), format!("{:indent$}{}", "", second.trim_start())]
}

fn words(state: &State) -> String {
    state.map(|word| format!("{word:08x}")).join(" ")
}

fn reversed(state: &State) -> String {
    let mut bytes = bytes_of(state);
    bytes.reverse();
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_stands_in_one_line_or_in_halves_below_each_other() {
        let state = [0x0123_4567; 8];
        assert_eq!(labelled("  word ", &words(&state), 96).len(), 1);
        let half = "01234567 01234567 01234567 01234567";
        let halves = [format!("  word {half}"), format!("       {half}")];
        assert_eq!(labelled("  word ", &words(&state), 60), halves);
        assert_eq!(labelled("  ", &"ab".repeat(32), 60)[1], format!("  {}", "ab".repeat(16)));
        let names = labelled("  ", &LETTERS.map(|name| format!("{name:<8}")).join(" "), 60);
        assert_eq!(names, ["  a        b        c        d", "  e        f        g        h"]);
    }
}
