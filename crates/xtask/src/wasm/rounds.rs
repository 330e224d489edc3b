//! Writes `crates/cli/class/rounds.js`: the two hashes of a header in plain 32-bit numbers,
//! unrolled, for browsers whose WebAssembly has no vectors. A loop as one writes it is seven times
//! slower, and a page's policy forbids a script to make another one, so the text lies in the
//! repository.
//!
//! As in `crates/sha256d/src/lanes.rs`, the midstates share a nonce's schedule, which is worth a
//! fifth at 16 midstates, and most of what is left out there is left out here.

use std::fmt::Write as _;

/// Where the text belongs.
pub(crate) const FILE: &str = "crates/cli/class/rounds.js";

/// Square and cube roots of the first primes, as the standard writes them (FIPS 180-4).
const IV: [u32; 8] = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

const PAD: u32 = 0x8000_0000;
const HEADER_BITS: u32 = 640;
const DIGEST_BITS: u32 = 256;

/// The constants of the 64 rounds: the first 32 bits of the fractional parts of the cube roots of
/// the first 64 primes.
fn round_constants() -> Vec<u32> {
    let is_prime = |n: &u128| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    // The cube root of p * 2^96 is that of p times 2^32; its low 32 bits are the fraction.
    let root = |n: u128| {
        let bits = (0..36).rev();
        bits.fold(0_u128, |root, bit| {
            let next = root | 1 << bit;
            if next.pow(3) <= n << 96 { next } else { root }
        })
    };
    (2..).filter(is_prime).take(64).map(|prime| root(prime) as u32).collect()
}

const SIGMA_0: [u32; 3] = [2, 13, 22];
const SIGMA_1: [u32; 3] = [6, 11, 25];

/// The text of the script.
pub(crate) fn script() -> String {
    let mut script = Script { text: String::new(), k: round_constants(), turn: 0 };
    script.write();
    script.text
}

struct Script {
    text: String,
    k: Vec<u32>,
    /// Rounds written so far since the variables had their own names.
    turn: usize,
}

impl Script {
    fn write(&mut self) {
        let list = |words: &[u32]| {
            let signed = words.iter().map(|word| word.cast_signed().to_string());
            let rows: Vec<_> = signed.collect::<Vec<_>>().chunks(8).map(|r| r.join(", ")).collect();
            rows.join(",\n  ")
        };
        self.text = format!(
            "// Written by `cargo xtask wasm`, not by hand: see crates/xtask/src/wasm/rounds.rs.\n\
             'use strict';\n\n\
             const FIRST_STATE = [\n  {},\n];\n\
             const ROUND_CONSTANTS = [\n  {},\n];\n\n\
             // The schedule words 16 to 63 of a nonce, each with its round's constant: what the \
             midstates share.\nconst SCHEDULE = new Int32Array(48);\n\n",
            list(&IV),
            list(&self.k)
        );
        self.schedule();
        self.candidates();
    }

    /// A function that fills in the schedule of a nonce, whose bytes are swapped.
    fn schedule(&mut self) {
        self.text.push_str("function expand(work, nonce) {\n");
        self.line(1, "const w16 = work[0], w17 = work[1];");
        self.line(1, &format!("const w31 = ({}) + {HEADER_BITS} | 0;", small("w16", [7, 18], 3)));
        self.line(1, &format!("const w32 = ({}) + w16 | 0;", small("w17", [7, 18], 3)));
        self.line(1, &format!("let w2 = work[2] + ({}) | 0;", small("nonce", [7, 18], 3)));
        self.line(1, "let w3 = work[3] + nonce | 0;");
        self.line(1, "let w0, w1, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15;");
        for i in 16..64 {
            let word = match i {
                16 | 17 => format!("w{i}"),
                _ => format!("w{}", i % 16),
            };
            if i >= 20 {
                self.word_of_the_header(i);
            }
            let with_constant = sum(&word, self.k[i]);
            self.line(1, &format!("SCHEDULE[{}] = {with_constant} | 0;", i - 16));
        }
        self.text.push_str("}\n\n");
    }

    /// The function that a kernel calls.
    fn candidates(&mut self) {
        self.text.push_str(
            "// The first hash whose word 7 is zero in the bits that must be, of those from `from` \
             up to `until`,\n// `until` if there is none. A hash has the number of its nonce, from \
             `first` on, times the midstates,\n// plus that of its midstate. `work` is what `fold` \
             in kernel.js makes.\n\
             function firstCandidate(work, first, from, until) {\n",
        );
        for line in [
            "const zero = work[4], k = (work.length - 5) / 16;",
            "let midstate = from % k, nonce = first + (from - midstate) / k | 0;",
            "let n = swapped(nonce);",
            "expand(work, n);",
            "for (let hash = from; hash < until; hash++) {",
        ] {
            self.line(1, line);
        }
        self.line(2, "if (midstate === k) {");
        self.line(3, "midstate = 0;");
        self.line(3, "nonce = nonce + 1 | 0;");
        self.line(3, "n = swapped(nonce);");
        self.line(3, "expand(work, n);");
        self.line(2, "}");
        self.line(2, "const at = 5 + 16 * midstate;");
        self.line(2, "midstate++;");
        self.line(2, "let t, x, y;");
        self.first_hash();
        self.second_hash();
        self.line(2, "if ((e & zero) === 0) return hash;");
        self.line(1, "}");
        self.line(1, "return until;");
        self.text.push_str("}\n");
    }

    /// Rounds 4 to 63 of the second block, and the sum with the midstate.
    fn first_hash(&mut self) {
        for (i, name) in "abcdefgh".chars().enumerate() {
            let nonce = if name == 'a' || name == 'e' { " + n | 0" } else { "" };
            self.line(2, &format!("let {name} = work[at + {}]{nonce};", 8 + i));
        }
        self.line(2, "y = b ^ c;");
        self.turn = 0;
        for i in 4..64 {
            let k = self.k[i];
            match i {
                4 => self.round_with(k.wrapping_add(PAD)),
                5..15 => self.round_with(k),
                15 => self.round_with(k.wrapping_add(HEADER_BITS)),
                _ => self.round_with_scheduled(i - 16),
            }
        }
        for (i, name) in self.names().into_iter().enumerate() {
            self.line(2, &format!("let w{i} = {name} + work[at + {i}] | 0;"));
        }
        self.line(2, "let w8, w9, w10, w11, w12, w13, w14, w15;");
    }

    /// Schedule word `i` of the second block, of which the words 4 to 15 are padding.
    fn word_of_the_header(&mut self, i: usize) {
        let w = |back: usize| match i - back {
            i @ (16 | 17) => format!("w{i}"),
            i => format!("w{}", i % 16),
        };
        let mut parts = vec![format!("({})", small(&w(2), [17, 19], 10))];
        match i {
            20 => parts.push(PAD.cast_signed().to_string()),
            21 => {}
            22 => parts.push(HEADER_BITS.to_string()),
            23..30 => parts.push(w(7)),
            30 => parts.extend([w(7), scalar_small_sigma0(HEADER_BITS).cast_signed().to_string()]),
            31 => parts.extend([w(7), "w31".to_owned()]),
            32 => parts.extend([w(7), "w32".to_owned()]),
            _ => parts.extend([w(7), format!("({})", small(&w(15), [7, 18], 3)), w(16)]),
        }
        self.line(1, &format!("w{} = {} | 0;", i % 16, parts.join(" + ")));
    }

    /// Rounds 0 to 60 of the third block; `e` after them is word 7 of the hash.
    fn second_hash(&mut self) {
        for (name, word) in "abcdefgh".chars().zip(IV) {
            self.line(2, &format!("{name} = {};", word.cast_signed()));
        }
        self.line(2, "y = b ^ c;");
        self.turn = 0;
        for i in 0..61 {
            let k = self.k[i];
            match i {
                0..8 => self.round_with_word(k, &format!("w{i}")),
                8 => self.round_with(k.wrapping_add(PAD)),
                9..15 => self.round_with(k),
                15 => self.round_with(k.wrapping_add(DIGEST_BITS)),
                _ => {
                    self.word_of_the_digest(i);
                    // The first state's `h` is added to word 7.
                    let k = if i == 60 { k.wrapping_add(IV[7]) } else { k };
                    self.round_with_word(k, &format!("w{}", i % 16));
                }
            }
        }
        let [.., e, _, _, _] = self.names();
        if e != 'e' {
            self.line(2, &format!("e = {e};"));
        }
    }

    /// Schedule word `i` of the third block, of which the words 8 to 15 are padding.
    fn word_of_the_digest(&mut self, i: usize) {
        let padding = |i: usize| match i {
            8 => Some(PAD),
            9..15 => Some(0),
            15 => Some(DIGEST_BITS),
            _ => None,
        };
        let (mut parts, mut constant) = (Vec::new(), 0_u32);
        let mut add =
            |back: usize, of: &dyn Fn(&str) -> String, folded: &dyn Fn(u32) -> u32| match padding(
                i - back,
            ) {
                Some(word) => constant = constant.wrapping_add(folded(word)),
                None => parts.push(of(&format!("w{}", (i - back) % 16))),
            };
        add(16, &str::to_owned, &|word| word);
        add(15, &|w| format!("({})", small(w, [7, 18], 3)), &scalar_small_sigma0);
        add(7, &str::to_owned, &|word| word);
        add(2, &|w| format!("({})", small(w, [17, 19], 10)), &scalar_small_sigma1);
        if constant != 0 {
            parts.push(constant.cast_signed().to_string());
        }
        self.line(2, &format!("w{} = {} | 0;", i % 16, parts.join(" + ")));
    }

    fn round_with(&mut self, constant: u32) {
        let [.., h] = self.names();
        self.round(&sum(&h.to_string(), constant));
    }

    fn round_with_scheduled(&mut self, word: usize) {
        let [.., h] = self.names();
        self.round(&format!("{h} + SCHEDULE[{word}]"));
    }

    fn round_with_word(&mut self, constant: u32, word: &str) {
        let [.., h] = self.names();
        self.round(&format!("{} + {word}", sum(&h.to_string(), constant)));
    }

    /// A round, given `h` plus the round's constant and schedule word. `d` becomes the next `e`,
    /// and `h` the next `a`; the other names move on by one.
    fn round(&mut self, hkw: &str) {
        let [a, b, _, d, e, f, g, h] = self.names();
        // `a ^ b` of a round is `b ^ c` of the next.
        let [ab, bc] = if self.turn.is_multiple_of(2) { ['x', 'y'] } else { ['y', 'x'] };
        let (s1, s0) = (big(e, SIGMA_1), big(a, SIGMA_0));
        self.line(2, &format!("t = {hkw} + ({g} ^ {e} & ({f} ^ {g})) + ({s1}) | 0;"));
        self.line(2, &format!("{d} = {d} + t | 0; {ab} = {a} ^ {b};"));
        self.line(2, &format!("{h} = t + ({b} ^ {ab} & {bc}) + ({s0}) | 0;"));
        self.turn += 1;
    }

    /// The variables that are `a` to `h` now.
    fn names(&self) -> [char; 8] {
        let names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
        std::array::from_fn(|i| names[(i + 8 - self.turn % 8) % 8])
    }

    fn line(&mut self, depth: usize, text: &str) {
        writeln!(self.text, "{:1$}{text}", "", 2 * depth).expect("a string takes all");
    }
}

fn sum(variable: &str, constant: u32) -> String {
    match constant.cast_signed() {
        constant @ 0.. => format!("{variable} + {constant}"),
        constant => format!("{variable} - {}", constant.unsigned_abs()),
    }
}

fn rotated(x: impl std::fmt::Display, by: u32) -> String {
    format!("({x} >>> {by} | {x} << {})", 32 - by)
}

fn big(x: char, by: [u32; 3]) -> String {
    by.map(|by| rotated(x, by)).join(" ^ ")
}

fn small(x: &str, by: [u32; 2], shift: u32) -> String {
    format!("{} ^ {} ^ {x} >>> {shift}", rotated(x, by[0]), rotated(x, by[1]))
}

fn scalar_small_sigma0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3)
}

fn scalar_small_sigma1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ (x >> 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_in_the_repository_is_the_one_that_is_written() {
        let path = crate::repository().unwrap().join(FILE);
        let found = std::fs::read_to_string(path).unwrap();
        assert!(found == script(), "{FILE} is not up to date: cargo xtask wasm --write");
    }

    #[test]
    fn the_constants_are_the_standards() {
        let k = round_constants();
        assert_eq!((k.len(), k[0], k[1], k[63]), (64, 0x428a2f98, 0x71374491, 0xc67178f2));
    }
}
