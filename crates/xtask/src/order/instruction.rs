//! The instructions of an order: read from the file, executed with symbols for values, and held
//! against assembly.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, bail, ensure};

/// An instruction as the file has it: its name and its operands, the written one first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Instruction(Vec<String>);

impl fmt::Display for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// Four rounds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Block(pub(crate) Vec<Instruction>);

/// The instruction of a line like `(rnds2 c2 a2)`.
pub(crate) fn of_line(line: &str) -> Option<Instruction> {
    let inner = line.trim().strip_prefix('(')?.strip_suffix(')')?;
    (!inner.contains(['$', '(']))
        .then(|| Instruction(inner.split_whitespace().map(str::to_owned).collect()))
}

/// The blocks of a file, by name.
pub(crate) const NAMES: [&str; 3] = ["read", "make", "alone"];

/// The blocks of a file, as [`NAMES`] has them.
pub(crate) fn parse(text: &str) -> anyhow::Result<[Block; 3]> {
    let block = |name: &str| -> anyhow::Result<Block> {
        let start = format!("macro_rules! {name} {{");
        let (_, rest) = text.split_once(&start).with_context(|| format!("no {start}"))?;
        let (body, _) = rest.split_once("\n}").with_context(|| format!("no end of {name}"))?;
        let block = Block(body.lines().filter_map(of_line).collect());
        ensure!(!block.0.is_empty(), "the block {name} has no instruction");
        for instruction in &block.0 {
            instruction.effect()?;
        }
        Ok(block)
    };
    Ok([block(NAMES[0])?, block(NAMES[1])?, block(NAMES[2])?])
}

/// The operands of an instruction: registers by name, memory by name and place.
struct Effect {
    reads: Vec<String>,
    writes: String,
    /// The instruction as assemblers know it, and its operands in their order.
    mnemonic: &'static str,
    operands: Vec<String>,
}

impl Instruction {
    /// Places in memory are written `m0-48`, relative to the four rounds at hand; of the words of
    /// the rounds `kw+0` and `kw+16`; of the constants `k+0`. `$14` is a number.
    fn effect(&self) -> anyhow::Result<Effect> {
        let names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        let (mnemonic, reads, writes, operands): (_, Vec<String>, String, Vec<String>) =
            match names[..] {
                ["oldest", n, m] => load(format!("{m}-48"), n),
                ["kw_lower", x] => load("kw+0".into(), x),
                ["kw_upper", x] => load("kw+16".into(), x),
                ["keep", n, m] => load(n.into(), &format!("{m}+16")),
                ["keep_lower", x] => load(x.into(), "kw+0"),
                ["keep_upper", x] => load(x.into(), "kw+16"),
                ["msg1", n, m] => two("sha256msg1", &format!("{m}-32"), n),
                ["msg2", n, w] => two("sha256msg2", w, n),
                ["rnds2", c, a] => {
                    ("sha256rnds2", strings([c, a, "x"]), c.into(), strings(["x", a, c]))
                }
                ["older", t, w, m] => {
                    let place = format!("{m}-16");
                    let operands = strings(["$4", &place, w, t]);
                    ("vpalignr", strings([w, &place]), t.into(), operands)
                }
                ["add", n, t] => ("vpaddd", strings([n, t]), n.into(), strings([t, n, n])),
                ["round_words", x, w] => {
                    ("vpaddd", strings([w, "k+0"]), x.into(), strings(["k+0", w, x]))
                }
                ["upper", x] => ("vpshufd", strings([x]), x.into(), strings(["$14", x, x])),
                ["upper_of_kept", x] => {
                    ("vpshufd", strings(["kw+0"]), x.into(), strings(["$14", "kw+0", x]))
                }
                _ => bail!("not an instruction of the order: ({self})"),
            };
        Ok(Effect { reads, writes, mnemonic, operands })
    }
}

type Parts = (&'static str, Vec<String>, String, Vec<String>);

fn load(from: String, to: &str) -> Parts {
    ("vmovdqa", vec![from.clone()], to.into(), vec![from, to.into()])
}

fn two(mnemonic: &'static str, other: &str, to: &str) -> Parts {
    (mnemonic, strings([to, other]), to.into(), strings([other, to]))
}

fn strings<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

impl Block {
    /// The value that each register and each place in memory has in the end, as a formula of the
    /// values before. `x` and `t` are for the block alone. A reader of `keep`s in this block would
    /// see them: places are names as registers are.
    pub(crate) fn outcome(&self) -> BTreeMap<String, String> {
        let mut values = BTreeMap::<String, String>::new();
        for instruction in &self.0 {
            let Ok(Effect { reads, writes, mnemonic, .. }) = instruction.effect() else { continue };
            let value = |name: &String| values.get(name).unwrap_or(name).clone();
            let inputs: Vec<_> = reads.iter().map(value).collect();
            // A move hands on the value that it reads.
            let formula = match mnemonic {
                "vmovdqa" => inputs.concat(),
                _ => format!("{mnemonic}({})", inputs.join(",")),
            };
            values.insert(writes, formula);
        }
        values.remove("x");
        values.remove("t");
        values
    }

    /// Whether lines of assembly (AT&T's syntax, sources first) are this block for the four rounds
    /// `i`: the same instructions in the same order, each name one register throughout and each
    /// register one name, and the places in memory where they belong.
    pub(crate) fn is_assembled_as(&self, lines: &[&str], i: i64) -> bool {
        let writes_words = self.0.iter().any(|instruction| {
            instruction.effect().is_ok_and(|effect| effect.writes.starts_with('w'))
        });
        let known = BTreeMap::from([("x".to_owned(), "%xmm0".to_owned())]);
        let mut registers = Registers { known, words_may_share: !writes_words };
        lines.len() == self.0.len()
            && self.0.iter().zip(lines).all(|(instruction, line)| {
                let Ok(Effect { mnemonic, operands, .. }) = instruction.effect() else {
                    return false;
                };
                let Some((name, rest)) = line.split_once(char::is_whitespace) else { return false };
                // No address here has an index, so that no comma stands within parentheses.
                let actual: Vec<&str> = rest.split(',').map(str::trim).collect();
                let mut commuted = actual.clone();
                // An assembler may exchange the summands for a shorter encoding.
                if mnemonic == "vpaddd" && actual.iter().all(|operand| operand.starts_with('%')) {
                    commuted.swap(0, 1);
                }
                name == mnemonic
                    && [actual, commuted].iter().any(|actual| {
                        let mut known = registers.clone();
                        let fits = actual.len() == operands.len()
                            && (operands.iter().zip(actual))
                                .all(|(described, actual)| same(described, actual, i, &mut known));
                        if fits {
                            registers = known;
                        }
                        fits
                    })
            })
    }
}

/// The names that have met a register of the CPU.
#[derive(Clone)]
struct Registers {
    known: BTreeMap<String, String>,
    /// Whether `w0` to `w3` may stand for one register: a block that writes none of them can be
    /// given the same words twice, as at first by the padding of both second hashes.
    words_may_share: bool,
}

/// Whether an operand is the described one. Names meet registers for the first time here.
fn same(described: &str, actual: &str, i: i64, registers: &mut Registers) -> bool {
    if described.starts_with('$') {
        return described == actual;
    }
    let Some(split) = described.find(['+', '-']) else {
        return actual.starts_with("%xmm") && registers.are_one(described, actual);
    };
    let (area, offset) = described.split_at(split);
    let (base, start) = match area {
        "m0" => ("digests", 16 * i),
        "m1" => ("digests", 16 * i + 256),
        "m2" => ("message", 16 * i),
        "m3" => ("message", 16 * i + 256),
        "k" => ("constants", 16 * i),
        // Four lanes of two vectors for each four rounds, from the fourth on.
        _ => ("kw", 128 * (i - 3)),
    };
    let place = actual.strip_suffix(')').and_then(|actual| actual.split_once('('));
    let Some((displacement, register)) = place else { return false };
    let displacement = if displacement.is_empty() { Ok(0) } else { displacement.parse::<i64>() };
    displacement.ok() == offset.parse::<i64>().ok().map(|offset| start + offset)
        && registers.are_one(base, register)
}

impl Registers {
    /// Whether the name stands for that register, and no other name does.
    fn are_one(&mut self, name: &str, register: &str) -> bool {
        if let Some(known) = self.known.get(name) {
            return known == register;
        }
        let is_word = |name: &str| self.words_may_share && name.starts_with('w');
        let taken = |(other, known): (&String, &String)| {
            known == register && !(is_word(name) && is_word(other))
        };
        let free = !self.known.iter().any(taken);
        if free {
            self.known.insert(name.to_owned(), register.to_owned());
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(lines: &[&str]) -> Block {
        Block(lines.iter().map(|line| of_line(line).unwrap()).collect())
    }

    #[test]
    fn assembly_is_held_against_the_description_operand_by_operand() {
        let block = block(&["(oldest n0 m0)", "(msg1 n0 m0)", "(older t w0 m0)", "(add n0 t)"]);
        let good = [
            "vmovdqa\t16(%r8), %xmm8",
            "sha256msg1\t32(%r8), %xmm8",
            "vpalignr\t$4, 48(%r8), %xmm7, %xmm3",
            "vpaddd\t%xmm3, %xmm8, %xmm8",
        ];
        assert!(block.is_assembled_as(&good, 4));
        assert!(!block.is_assembled_as(&good, 5), "other places in memory");
        for (line, wrong) in [
            (0, "vmovdqa\t16(%r9), %xmm8"),
            (1, "sha256msg1\t32(%r8), %xmm9"),
            (2, "vpalignr\t$8, 48(%r8), %xmm7, %xmm3"),
            (2, "vpalignr\t$4, 48(%r8), %xmm8, %xmm3"),
            (3, "vpaddd\t%xmm3, %xmm8, %xmm3"),
            (3, "vpaddq\t%xmm3, %xmm8, %xmm8"),
        ] {
            let mut lines = good;
            lines[line] = wrong;
            assert!(!block.is_assembled_as(&lines, 4), "{wrong}");
        }
        assert!(!block.is_assembled_as(&good[..3], 4), "one is missing");
        // Words that nobody writes may share a register; where one is written, none may.
        let shared = ["vpaddd\t64(%r9), %xmm7, %xmm0", "vpaddd\t64(%r9), %xmm7, %xmm0"];
        let words = ["(round_words x w0)", "(round_words x w1)"];
        assert!(self::block(&words).is_assembled_as(&shared, 4));
        let written = [&shared[..], &["vmovdqa\t16(%r8), %xmm7"]].concat();
        let words = [&words[..], &["(oldest w1 m0)"]].concat();
        assert!(!self::block(&words).is_assembled_as(&written, 4));
        let mut commuted = good;
        commuted[3] = "vpaddd\t%xmm8, %xmm3, %xmm8";
        assert!(block.is_assembled_as(&commuted, 4));
    }

    #[test]
    fn two_that_do_not_meet_may_change_places_and_two_that_do_may_not() {
        let outcome = |lines: &[&str]| block(lines).outcome();
        let [msg2, add, upper, rnds2] =
            ["(msg2 n1 w1)", "(add n0 t)", "(upper x)", "(rnds2 c0 a0)"];
        assert_eq!(outcome(&[msg2, add]), outcome(&[add, msg2]));
        assert_ne!(outcome(&[upper, rnds2]), outcome(&[rnds2, upper]));
    }

    #[test]
    fn a_file_with_an_unknown_instruction_is_refused() {
        let file = |instruction| {
            format!(
                "macro_rules! read {{\n({instruction})\n}}\nmacro_rules! make {{\n(upper x)\n}}\n\
                 macro_rules! alone {{\n(upper x)\n}}"
            )
        };
        assert!(parse(&file("upper x")).is_ok());
        let error = parse(&file("lower x")).unwrap_err().to_string();
        assert!(error.contains("(lower x)"), "{error}");
    }
}
