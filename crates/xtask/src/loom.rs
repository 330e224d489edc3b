//! `cargo xtask loom`: every interleaving of the slot between the network and the hashing threads.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context;

/// Fails if an interleaving breaks an assertion, or ends with a thread that nobody wakes.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let status = Command::new("cargo")
        .args(["test", "--locked", "--release", "--package", "midstate-engine", "--lib", "slot"])
        // Apart: with other flags everything is compiled anew.
        .args(["--target-dir", "target/loom"])
        .env("RUSTFLAGS", "--cfg loom")
        .current_dir(root)
        .status()
        .context("running cargo test")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
