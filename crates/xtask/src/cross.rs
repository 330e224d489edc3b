//! `cargo xtask cross-test aarch64`: the hasher's whole suite on an architecture that this machine
//! is not, under qemu's user-mode emulation.
//!
//! It installs nothing. On Debian what it needs is
//! `apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross` and
//! `rustup target add aarch64-unknown-linux-gnu`.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};

/// What a short name stands for: the target triple, its linker, and the emulator as a runner.
struct Target {
    name: &'static str,
    triple: &'static str,
    linker: &'static str,
    emulator: &'static str,
    libraries: &'static str,
}

const TARGETS: [Target; 1] = [Target {
    name: "aarch64",
    triple: "aarch64-unknown-linux-gnu",
    linker: "aarch64-linux-gnu-gcc",
    emulator: "qemu-aarch64",
    libraries: "/usr/aarch64-linux-gnu",
}];

/// Runs the tests of `midstate-sha256d`, every kernel of the target included.
pub(crate) fn run(root: &Path, name: &str) -> anyhow::Result<ExitCode> {
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        bail!("no recipe for {name}; there is one for {}", TARGETS.map(|t| t.name).join(", "));
    };
    for program in [target.linker, target.emulator] {
        let found = Command::new(program).arg("--version").output();
        let found = found.with_context(|| format!("{program} does not start: is it installed?"))?;
        ensure!(found.status.success(), "{program} --version fails");
    }
    let variable = target.triple.to_uppercase().replace('-', "_");
    let runner = format!("{} -L {}", target.emulator, target.libraries);
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root).args(["test", "--package", "midstate-sha256d", "--lib", "--tests"]);
    cargo.args(["--target", target.triple]);
    cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), target.linker);
    cargo.env(format!("CARGO_TARGET_{variable}_RUNNER"), runner);
    let status = cargo.status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
