//! `cargo xtask chaos --seeds N`: the faults of `crates/stratum/tests/chaos`, each over N
//! seeds, built for speed.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

/// Prints a line for each fault; fails if an invariant broke.
pub(crate) fn run(root: &Path, seeds: &str) -> anyhow::Result<ExitCode> {
    let number: u64 = seeds.parse().with_context(|| format!("{seeds:?} is no number of seeds"))?;
    ensure!(number > 0, "--seeds takes at least 1");
    let status = Command::new(env!("CARGO"))
        .args(["test", "--release", "--locked", "--package", "midstate-stratum", "--test", "chaos"])
        .args(["--", "--nocapture"])
        .env("CHAOS_SEEDS", seeds)
        .current_dir(root)
        .status()
        .context("running cargo test")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
