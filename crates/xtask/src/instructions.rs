//! `cargo xtask instructions`: what a hash costs in instructions, and what the engine adds for each
//! unit of hashes, counted by callgrind.
//!
//! A count does not depend on what else the machine does, so it can guard a kernel where a
//! stopwatch cannot: it fails when a kernel takes over one percent more than
//! `benches/instructions.csv` says, or less, since what is not written down can be lost again.
//! valgrind knows neither AVX-512 nor the SHA instructions; those kernels are held by the length of
//! their loops, in `asm`.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};

/// The kernels that valgrind can run, and the lanes of each.
const KERNELS: [(&str, u64); 3] = [("scalar", 1), ("sse41", 4), ("avx2", 8)];

/// Units of one hash that are counted, in two runs.
const UNITS: [u64; 2] = [2_000, 12_000];

/// The change that fails.
const TOLERANCE: f64 = 0.01;

/// Counts every kernel with one midstate and with sixteen, then the units of a thread that takes
/// one hash at a time, and judges the counts.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let baseline = Baseline::read(root)?;
    let scan = build(root, "midstate-sha256d", "scan")?;
    let mut violations = 0;
    let mut judge = |row: &str, count: f64| {
        if let Some(violation) = baseline.judge("callgrind", row, count) {
            eprintln!("{row}: {violation}");
            violations += 1;
        }
    };
    let mut of_a_hash = None;
    for (kernel, lanes) in KERNELS {
        for midstates in [1, 16] {
            // The difference of two runs leaves out the start of the process.
            let [few, many] = [10 * lanes, 60 * lanes];
            let hashes = (many - few) * midstates;
            let run =
                |nonces: u64| count(&scan, &[kernel, &midstates.to_string(), &nonces.to_string()]);
            let per_hash = (run(many)? - run(few)?) as f64 / hashes as f64;
            println!("{kernel:8} {midstates:2} midstates {per_hash:9.1} instructions a hash");
            judge(&format!("{kernel}-{midstates}"), per_hash);
            // The first is that of the kernel that the units are hashed with.
            of_a_hash.get_or_insert(per_hash);
        }
    }
    let units = build(root, "midstate-engine", "units")?;
    let [few, many] = UNITS;
    let run = |number: u64| count(&units, &[&number.to_string()]);
    let per_unit = (run(many)? - run(few)?) as f64 / (many - few) as f64;
    let per_unit = per_unit - of_a_hash.context("there are kernels")?;
    println!("a unit beside its hashes {per_unit:9.1} instructions");
    judge("unit", per_unit);
    Ok(if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn build(root: &Path, package: &str, example: &str) -> anyhow::Result<std::path::PathBuf> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["build", "--quiet", "--release"]);
    cargo.args(["--package", package, "--example", example]);
    cargo.arg("--message-format=json-render-diagnostics");
    let output = cargo.stderr(std::process::Stdio::inherit()).output()?;
    ensure!(output.status.success(), "the build of the example failed");
    for line in String::from_utf8(output.stdout)?.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        if let Some(executable) = message["executable"].as_str() {
            return Ok(executable.into());
        }
    }
    bail!("cargo built no example")
}

/// The instructions of one run.
fn count(program: &Path, arguments: &[&str]) -> anyhow::Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    valgrind.args(arguments);
    let output = valgrind.output().context("valgrind does not start: is it installed?")?;
    let log = String::from_utf8_lossy(&output.stderr);
    let collected = log.lines().find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
        _ => bail!("valgrind counted nothing for {arguments:?}:\n{log}"),
    }
}

/// The counts that were accepted, by method and row.
pub(crate) struct Baseline(Vec<(String, f64)>);

impl Baseline {
    /// Reads `benches/instructions.csv`: `method,row,instructions`, with a heading.
    pub(crate) fn read(root: &Path) -> anyhow::Result<Self> {
        let file = root.join("benches").join("instructions.csv");
        let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let rows = text.lines().skip(1).map(|line| {
            let (key, count) = line.rsplit_once(',').context("a row is method,row,count")?;
            Ok((key.to_owned(), count.parse().with_context(|| format!("the count of {key}"))?))
        });
        Ok(Self(rows.collect::<anyhow::Result<_>>()?))
    }

    /// The fault of a count: no row to hold it against, or too far from it.
    pub(crate) fn judge(&self, method: &str, row: &str, count: f64) -> Option<String> {
        let key = format!("{method},{row}");
        let Some((_, accepted)) = self.0.iter().find(|(k, _)| *k == key) else {
            return Some(format!(
                "benches/instructions.csv has no row {key}; add {key},{count:.1}"
            ));
        };
        let advice = if count > accepted * (1.0 + TOLERANCE) {
            "make it shorter, or change"
        } else if count < accepted * (1.0 - TOLERANCE) {
            "if nothing is missing, change"
        } else {
            return None;
        };
        Some(format!(
            "{count:.1} instructions, accepted were {accepted:.1}: {advice} the row {key} of \
             benches/instructions.csv and say why in the commit"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_percent_more_or_less_passes_and_two_do_not() {
        let baseline = Baseline::parse("method,row,instructions\nloops,avx2,1000\n").unwrap();
        assert_eq!(baseline.judge("loops", "avx2", 1010.0), None);
        assert!(baseline.judge("loops", "avx2", 1020.0).is_some());
        assert_eq!(baseline.judge("loops", "avx2", 990.0), None);
        assert!(baseline.judge("loops", "avx2", 980.0).is_some());
        assert!(baseline.judge("loops", "avx512", 1.0).is_some());
    }

    #[test]
    fn a_broken_row_is_an_error() {
        assert!(Baseline::parse("method,row,instructions\nloops,avx2,many\n").is_err());
    }
}
