//! `cargo xtask asm`: the compiled kernels, read from the assembly of a release build.
//!
//! It asserts what speed rests on and no test can see: that nothing is called inside a kernel's
//! loops (a lane operation that was not inlined costs a factor, not a percent), that the vector
//! registers are left clean for the SHA instructions, and that no kernel's loops are more than one
//! percent off the number written down in `benches/instructions.csv`. The kernels that this machine
//! cannot run are read, too. The rounds of `sha-ni` are compared with their description
//! ([`order`]).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs};

use anyhow::{Context, ensure};

use crate::instructions::Baseline;
use crate::kernels::{self, Row};
use crate::order;

/// A kernel's name, and the part of its mangled symbol that no other function has; of those that do
/// not hash by vectors. Vectors have theirs by their type, see [`functions`].
const X86_64: [(&str, &str); 5] = [
    ("scalar", "6Scalar4find"),
    ("sha-ni", "6sha_ni5pairs4find"),
    ("sha-ni-alone", "6sha_ni5alone4find"),
    // With several midstates, and with one.
    ("sha-ni-nonces", "6sha_ni6nonces4findKb1_"),
    ("sha-ni-nonces-alone", "6sha_ni6nonces4findKb0_"),
];
const AARCH64: [(&str, &str); 2] = [("scalar", "6Scalar4find"), ("sha2", "4sha24find")];

/// Builds the hasher's assembly, for this machine or the target triple, and checks every kernel.
pub(crate) fn run(root: &Path, target: Option<&str>) -> anyhow::Result<ExitCode> {
    let assembly = assemble(root, target)?;
    let aarch64 = target.map_or(cfg!(target_arch = "aarch64"), |t| t.starts_with("aarch64"));
    let baseline = Baseline::read(root)?;

    let mut violations = 0;
    for (kernel, symbol) in functions(&kernels::rows(root, aarch64)?, aarch64) {
        let kernel = kernel.as_str();
        let function = Function::find(&assembly, &symbol).with_context(|| {
            format!("no symbol of kernel {kernel} has {symbol}: add another one to asm.rs")
        })?;
        let loops = function.loops();
        let mut found = function.violations(kernel, &loops);
        let row = format!("{kernel}{}", if aarch64 { "-aarch64" } else { "" });
        found.extend(baseline.judge("loops", &row, loops.len() as f64));
        let blocks: &[&str] = match kernel {
            "sha-ni" => &["read", "make"],
            "sha-ni-alone" => &["alone"],
            _ => &[],
        };
        if !blocks.is_empty() {
            let checked = order::check(root, function.text, blocks);
            found.extend(checked.err().map(|error| format!("{error:#}")));
        }
        println!("{kernel:19} {:5} instructions in loops", loops.len());
        for violation in &found {
            eprintln!("{kernel}: {violation}");
        }
        violations += found.len();
    }
    Ok(if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every function to be read: its kernel, or a name for a part of one, and its symbol. `find` of a
/// vector type has a `find` inside it, which has the instructions.
fn functions(rows: &[Row], aarch64: bool) -> Vec<(String, String)> {
    let special = if aarch64 { &AARCH64[..] } else { &X86_64[..] };
    let of_vectors = |row: &&Row| special.iter().all(|(name, _)| *name != row.name);
    let symbol = |row: &Row| format!("{}{}4find4find", row.by.len(), row.by);
    let vectors = rows.iter().filter(of_vectors).map(|row| (row.name.clone(), symbol(row)));
    let special = special.iter().map(|&(name, symbol)| (name.to_owned(), symbol.to_owned()));
    special.chain(vectors).collect()
}

/// The file is this command's own, so that a build that was up to date left the right one behind.
fn assemble(root: &Path, target: Option<&str>) -> anyhow::Result<String> {
    let directory = env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let file = directory.join(format!("kernels-{}.s", target.unwrap_or("host")));
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["rustc", "--quiet", "--package", "midstate-sha256d", "--lib"]);
    cargo.arg("--release").args(target.map(|target| format!("--target={target}")));
    // An incremental build, which a variable may ask for, has other instructions.
    cargo.env("CARGO_INCREMENTAL", "0");
    // One way to write symbols, whichever is the compiler's default.
    cargo.args(["--", "-Csymbol-mangling-version=v0"]);
    cargo.arg(format!("--emit=asm={}", file.display()));
    ensure!(cargo.status()?.success(), "the build of the assembly failed");
    fs::read_to_string(&file).with_context(|| format!("no assembly at {}", file.display()))
}

/// One function: its instructions and labels, and its whole text.
struct Function<'a> {
    lines: Vec<&'a str>,
    text: &'a str,
}

impl<'a> Function<'a> {
    fn find(assembly: &'a str, symbol: &str) -> Option<Self> {
        let starts = |line: &&str| is_label(line) && line.contains(symbol);
        let label = assembly.lines().find(starts)?;
        let (_, text) = assembly.split_once(&format!("{label}\n"))?;
        let (text, _) = text.split_once(".cfi_endproc").unwrap_or((text, ""));
        let body =
            text.lines().map(|line| line.split_once("# ").map_or(line, |(code, _)| code).trim());
        // Directives, and the marks of an `asm!` block that has no instruction in it.
        let is_code = |line: &&str| !line.is_empty() && !line.starts_with(['#', '/']);
        let is_code = |line: &&str| is_code(line) && (!line.starts_with('.') || is_label(line));
        Some(Self { lines: body.filter(is_code).collect(), text })
    }

    /// Every instruction that lies between a label and a jump back to it.
    fn loops(&self) -> Vec<&'a str> {
        let labels: HashMap<_, _> = (self.lines.iter().enumerate())
            .filter_map(|(i, line)| Some((line.strip_suffix(':')?, i)))
            .collect();
        let mut inside = vec![false; self.lines.len()];
        for (i, line) in self.lines.iter().enumerate() {
            let Some(&target) = line.split_whitespace().last().and_then(|t| labels.get(t)) else {
                continue;
            };
            if target < i {
                inside[target..=i].fill(true);
            }
        }
        let lines = self.lines.iter().zip(inside);
        lines.filter(|(line, inside)| *inside && !is_label(line)).map(|(&line, _)| line).collect()
    }

    fn violations(&self, kernel: &str, loops: &[&str]) -> Vec<String> {
        let mut violations = Vec::new();
        let is_call = |line: &&&str| matches!(mnemonic(line), "call" | "callq" | "bl" | "blr");
        violations.extend(loops.iter().filter(is_call).map(|call| format!("in a loop: {call}")));

        let count = |name| self.lines.iter().filter(|line| mnemonic(line) == name).count();
        let clean = count("vzeroupper");
        if kernel.starts_with("avx") && clean < count("ret") + count("retq") {
            violations.push("a return without vzeroupper before it".into());
        }
        let sha = |line: &&str| mnemonic(line).starts_with("sha256");
        if (kernel.starts_with("sha-ni") || kernel == "sha2") && !loops.iter().any(sha) {
            violations.push("no SHA instruction in a loop: is the loop elsewhere?".into());
        }
        if kernel.starts_with("sha-ni") {
            violations.extend(self.sha_while_upper_halves_are_in_use());
            let wide = loops.iter().filter(|line| is_wide(line));
            violations.extend(wide.map(|line| format!("in a loop of SHA instructions: {line}")));
        }
        violations
    }

    /// The first SHA instruction that meets upper halves in use: whoever called may leave them so,
    /// and so does any use of the wide registers, which the compiler is free to copy with.
    fn sha_while_upper_halves_are_in_use(&self) -> Option<String> {
        let mut in_use = true;
        for line in &self.lines {
            match mnemonic(line) {
                "vzeroupper" => in_use = false,
                sha if sha.starts_with("sha256") && in_use => {
                    return Some(format!("no vzeroupper before: {line}"));
                }
                _ => in_use |= is_wide(line),
            }
        }
        None
    }
}

fn is_label(line: &str) -> bool {
    line.ends_with(':')
}

fn is_wide(line: &str) -> bool {
    line.contains("%ymm") || line.contains("%zmm")
}

fn mnemonic(line: &str) -> &str {
    line.split_whitespace().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSEMBLY: &str = "\
_RNvMNtCs1_4hash4wordNtB2_6Scalar4find:
\t.cfi_startproc
\tpushq\t%rbx
.LBB0_1:
\taddl\t%eax, %ebx
.LBB0_2:
\tcallq\tmemset@PLT
\tjne\t.LBB0_2
\tjb\t.LBB0_1
\tcallq\tpanic
\tretq
\t.cfi_endproc
_RNvCs1_4hash5other:
\tcallq\tpanic
";

    #[test]
    fn every_kernel_of_the_table_has_a_function() {
        let root = crate::repository().unwrap();
        let rows = kernels::rows(&root, false).unwrap();
        let functions = functions(&rows, false);
        let has = |name: &str| functions.iter().any(|(kernel, _)| kernel == name);
        assert!(rows.iter().all(|row| has(&row.name)), "{functions:?}");
        assert!(functions.contains(&("avx2".to_owned(), "4Avx24find4find".to_owned())));
        assert!(has("sha-ni-alone"));
    }

    #[test]
    fn loops_are_what_a_jump_goes_back_over() {
        let function = Function::find(ASSEMBLY, "6Scalar4find").unwrap();
        let loops = function.loops();
        assert_eq!(loops.len(), 4, "{loops:?}");
        assert_eq!(function.violations("scalar", &loops).len(), 1);
    }

    #[test]
    fn a_dirty_return_is_a_violation_of_the_wide_kernels_alone() {
        let function = Function::find(ASSEMBLY, "6Scalar4find").unwrap();
        assert_eq!(function.violations("avx2", &[]).len(), 1);
        assert_eq!(function.violations("sse41", &[]).len(), 0);
    }

    #[test]
    fn sha_instructions_want_clean_upper_halves() {
        let first_of = |lines: &[&'static str]| {
            Function { lines: lines.to_vec(), text: "" }
                .sha_while_upper_halves_are_in_use()
                .is_some()
        };
        let [sha, zero, wide] =
            ["sha256rnds2\t%xmm0, %xmm1, %xmm2", "vzeroupper", "vmovups\t%ymm0, (%rsp)"];
        assert!(first_of(&[sha]));
        assert!(!first_of(&[wide, zero, sha]));
        assert!(first_of(&[zero, sha, wide, sha]));
    }

    #[test]
    fn a_loop_of_sha_instructions_has_some_and_nothing_wide() {
        let zero_first = Function { lines: vec!["vzeroupper"], text: "" };
        let judged = |kernel, loops: &[&str]| zero_first.violations(kernel, loops).len();
        assert_eq!(judged("sha-ni", &["sha256rnds2\t%xmm0, %xmm1, %xmm2"]), 0);
        assert_eq!(
            judged("sha-ni", &["sha256rnds2\t%xmm0, %xmm1, %xmm2", "vmovups\t%ymm0, (%rsp)"]),
            1
        );
        assert_eq!(judged("sha-ni", &[]), 1);
        assert_eq!(judged("sha2", &["sha256h\tq0, q1, v2.4s"]), 0);
        assert_eq!(judged("sha2", &["add\tv0.4s, v1.4s, v2.4s"]), 1);
    }

    #[test]
    fn no_symbol_no_function() {
        assert!(Function::find(ASSEMBLY, "4avx2").is_none());
    }
}
