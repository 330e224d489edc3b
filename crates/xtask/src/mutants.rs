//! `cargo xtask mutants [--shard K/N] [CRATE..]`: whether the tests notice a change of the code.
//!
//! cargo-mutants changes one expression or function at a time (`<` becomes `<=`, a body becomes
//! `Default::default()`) and runs the tests of that crate. A change that no test notices has
//! survived: either a test is missing, or the change means the same. `.cargo/mutants.toml` lists
//! the changes that mean the same, each with its reason; they are not tried.
//!
//! A shard is every N-th change from the K-th on, so that a sample is the same at each run.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// The libraries whose rules decide about shares, blocks and money.
const CRATES: [&str; 5] = ["chain", "work", "stratum", "pool", "gbt"];
/// Of a hundred changes, this many must be noticed in each crate.
const LEAST_PERCENT: usize = 95;

/// Prints a line for each crate and each survivor; exit code 1 if too many survived somewhere.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let plan = Plan::parse(arguments)?;
    let version = Command::new("cargo").args(["mutants", "--version"]).output()?;
    ensure!(
        version.status.success(),
        "cargo-mutants is not installed: cargo install --locked cargo-mutants"
    );
    let mut is_enough = true;
    for name in plan.crates {
        let output = root.join("target/mutants").join(name);
        let tally = tried(root, name, plan.shard, &output)?;
        println!("{name}: {tally}");
        tally.survivors.iter().for_each(|mutant| println!("  missed: {mutant}"));
        is_enough &= tally.is_enough();
    }
    if !is_enough {
        println!("less than {LEAST_PERCENT} % were caught: a test is missing for each one above");
    }
    Ok(if is_enough { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The mutants to try.
#[derive(Debug, PartialEq)]
struct Plan<'a> {
    shard: Option<&'a str>,
    crates: Vec<&'a str>,
}

impl<'a> Plan<'a> {
    fn parse(arguments: &[&'a str]) -> anyhow::Result<Self> {
        let (shard, names) = match arguments {
            ["--shard", shard, names @ ..] => (Some(*shard), names),
            names => (None, names),
        };
        if let Some(wrong) = names.iter().find(|name| !CRATES.contains(name)) {
            bail!("{wrong:?} is none of the crates that are tried: {}", CRATES.join(", "));
        }
        let crates = if names.is_empty() { CRATES.to_vec() } else { names.to_vec() };
        Ok(Self { shard, crates })
    }
}

/// How the tests did against the changes of one crate.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    caught: usize,
    /// The change made something run for ever, or for much longer; that is noticed.
    timeout: usize,
    /// The change does not compile.
    unviable: usize,
    survivors: Vec<String>,
}

impl Tally {
    fn is_enough(&self) -> bool {
        let noticed = self.caught + self.timeout;
        100 * noticed >= LEAST_PERCENT * (noticed + self.survivors.len())
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { caught, timeout, unviable, survivors } = self;
        let (noticed, missed) = (caught + timeout, survivors.len());
        let percent = 100.0 * noticed as f64 / ((noticed + missed).max(1)) as f64;
        write!(
            f,
            "{caught} caught, {missed} missed, {timeout} timed out, {unviable} did not compile: \
             {percent:.1} %"
        )
    }
}

/// cargo-mutants' own report.
#[derive(Deserialize)]
struct Report {
    outcomes: Vec<Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    scenario: Scenario,
    summary: String,
}

#[derive(Deserialize)]
enum Scenario {
    Baseline,
    Mutant { name: String },
}

/// Tries the changes of a crate, each by the crate's own tests.
fn tried(root: &Path, name: &str, shard: Option<&str>, output: &Path) -> anyhow::Result<Tally> {
    fs::create_dir_all(output).with_context(|| format!("creating {}", output.display()))?;
    let package = format!("midstate-{name}");
    let mut command = Command::new("cargo");
    command.args(["mutants", "--package", &package, "--test-package", &package]);
    // A copy of what git has, without the build directories; one build at a time.
    command.args(["--gitignore", "true", "--jobs", "1", "--colors", "never", "--output"]);
    command.arg(output).current_dir(root);
    if let Some(shard) = shard {
        command.args(["--shard", shard, "--sharding", "round-robin"]);
    }
    // Several hundred builds: without what only a debugger reads.
    let status = command.env("CARGO_PROFILE_DEV_DEBUG", "false").status()?;
    // 2: some survived, 3: some timed out. The report says which.
    ensure!(
        matches!(status.code(), Some(0 | 2 | 3)),
        "cargo mutants failed for {package} ({status}): do its tests pass as they are?"
    );
    let path = output.join("mutants.out/outcomes.json");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    tally(&text).with_context(|| format!("{} is not as expected", path.display()))
}

fn tally(report: &str) -> anyhow::Result<Tally> {
    let report: Report = serde_json::from_str(report)?;
    let mut tally = Tally::default();
    for Outcome { scenario, summary } in report.outcomes {
        let Scenario::Mutant { name } = scenario else { continue };
        match summary.as_str() {
            "CaughtMutant" => tally.caught += 1,
            "Timeout" => tally.timeout += 1,
            "Unviable" => tally.unviable += 1,
            "MissedMutant" => tally.survivors.push(name),
            other => bail!("{name} ended as {other}"),
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_crates_or_those_named_and_a_part_of_their_changes() {
        let plan = |arguments: &[&'static str]| Plan::parse(arguments);
        assert_eq!(plan(&[]).unwrap(), Plan { shard: None, crates: CRATES.to_vec() });
        let shard = Some("0/4");
        assert_eq!(plan(&["--shard", "0/4", "gbt"]).unwrap(), Plan { shard, crates: vec!["gbt"] });
        assert!(plan(&["net"]).unwrap_err().to_string().contains("chain, work"));
    }

    #[test]
    fn a_report_is_counted_and_survivors_are_named() {
        let outcome = |scenario: &str, summary: &str| {
            format!(r#"{{"scenario": {scenario}, "summary": "{summary}", "phase_results": []}}"#)
        };
        let mutant = |name: &str| format!(r#"{{"Mutant": {{"name": "{name}", "package": "p"}}}}"#);
        let outcomes = [
            outcome("\"Baseline\"", "Success"),
            outcome(&mutant("a"), "CaughtMutant"),
            outcome(&mutant("b"), "MissedMutant"),
            outcome(&mutant("c"), "Timeout"),
            outcome(&mutant("d"), "Unviable"),
        ];
        let report = |outcomes: &[String]| format!(r#"{{"outcomes": [{}]}}"#, outcomes.join(","));
        let counted = tally(&report(&outcomes)).unwrap();
        let survivors = vec!["b".to_owned()];
        assert_eq!(counted, Tally { caught: 1, timeout: 1, unviable: 1, survivors });
        // A change that was not judged is not passed over.
        assert!(tally(&report(&[outcome(&mutant("a"), "Failure")])).is_err());
    }

    #[test]
    fn one_in_twenty_may_survive() {
        let tally = |caught, missed| Tally {
            caught,
            survivors: vec![String::new(); missed],
            ..Tally::default()
        };
        assert!(tally(19, 1).is_enough() && tally(0, 0).is_enough());
        assert!(!tally(18, 1).is_enough());
    }
}
