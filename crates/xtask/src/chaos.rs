//! `cargo xtask chaos --seeds N`: the faults of `crates/stratum/tests/chaos`, those of nodes in
//! `crates/gbt/tests/chaos`, the useless pools of `crates/net/tests/link/trust.rs` and the miners
//! of `crates/net/tests/chaos` at the embedded pool, and our own two sides of Stratum V2 in
//! `crates/pool/tests/v2/chaos.rs`, each over N seeds, built for speed.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

/// Prints a line for each fault; fails if an invariant broke.
pub(crate) fn run(root: &Path, seeds: &str) -> anyhow::Result<ExitCode> {
    let number: u64 = seeds.parse().with_context(|| format!("{seeds:?} is no number of seeds"))?;
    ensure!(number > 0, "--seeds takes at least 1");
    let suites = [
        ["--package", "midstate-stratum", "--test", "chaos", "--", ""],
        ["--package", "midstate-gbt", "--test", "chaos", "--", ""],
        ["--package", "midstate-net", "--test", "link", "--", "trust::no_pool_that_takes_no_work"],
        ["--package", "midstate-net", "--test", "chaos", "--", ""],
        ["--package", "midstate-pool", "--test", "v2", "--", "chaos"],
    ];
    for suite in suites {
        let status = Command::new(env!("CARGO"))
            .args(["test", "--release", "--locked"])
            .args(suite)
            .arg("--nocapture")
            .env("CHAOS_SEEDS", seeds)
            .current_dir(root)
            .status()
            .context("running cargo test")?;
        if !status.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
