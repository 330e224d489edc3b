//! `cargo xtask torture`: the kernels of this CPU against hashes that are not ours, for as long as
//! it takes. What the suite does with a million pairs in seconds, this does with any number.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;

/// Pairs of a header and a nonce when nothing else is asked.
pub(crate) const PAIRS: &str = "1000000000";

/// Runs the example of that name in release, as it is the released code that shall be right.
pub(crate) fn run(root: &Path, pairs: &str) -> anyhow::Result<ExitCode> {
    let pairs: u64 = pairs.parse().with_context(|| format!("--pairs takes a number: {pairs}"))?;
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["run", "--quiet", "--release"]);
    cargo.args(["--package", "midstate-sha256d", "--example", "torture", "--"]);
    let status = cargo.arg(pairs.to_string()).status().context("cargo does not start")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
