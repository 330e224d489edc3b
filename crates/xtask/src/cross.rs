//! `cargo xtask cross-test aarch64|windows`: the tests on a system that this machine is not, under
//! an emulator.
//!
//! It installs nothing. On Debian what it needs is, for aarch64,
//! `apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross` and
//! `rustup target add aarch64-unknown-linux-gnu`; for Windows,
//! `apt-get install gcc-mingw-w64-x86-64 wine` and `rustup target add x86_64-pc-windows-gnu`. Where
//! no standard library for Windows can be had, nightly builds one from `rust-src`:
//! `CARGO_UNSTABLE_BUILD_STD=std,panic_unwind cargo +nightly xtask cross-test windows`. Rust asks
//! `bcryptprimitives.dll` for random bytes; Wine 8 has none, and a library of that name whose
//! `ProcessPrng` calls `RtlGenRandom`, put into its `system32`, does instead.

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};

/// The target that a short name stands for.
struct Target {
    name: &'static str,
    triple: &'static str,
    linker: &'static str,
    /// The emulator and its arguments.
    runner: &'static [&'static str],
    /// The arguments of cargo, in turns.
    steps: &'static [&'static [&'static str]],
}

const TARGETS: [Target; 2] = [
    Target {
        name: "aarch64",
        triple: "aarch64-unknown-linux-gnu",
        linker: "aarch64-linux-gnu-gcc",
        runner: &["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
        // Its kernels are what is different there.
        steps: &[&["test", "--package", "midstate-sha256d", "--lib", "--tests"]],
    },
    Target {
        name: "windows",
        triple: "x86_64-pc-windows-gnu",
        linker: "x86_64-w64-mingw32-gcc",
        runner: &["wine"],
        // The program's own tests drive it with signals and terminals, which are others there.
        steps: &[
            &[
                "test",
                "--workspace",
                "--exclude=midstate",
                "--exclude=midstate-fuzz",
                "--exclude=xtask",
                "--lib",
                "--tests",
            ],
            &["run", "--package", "midstate", "--", "demo", "--blocks", "1"],
        ],
    },
];

/// Runs each step, up to the first that fails.
pub(crate) fn run(root: &Path, name: &str) -> anyhow::Result<ExitCode> {
    let Some(target) = TARGETS.iter().find(|target| target.name == name) else {
        bail!("no recipe for {name}; there is one for {}", TARGETS.map(|t| t.name).join(", "));
    };
    for program in [target.linker, target.runner[0]] {
        let found = Command::new(program).arg("--version").output();
        let found = found.with_context(|| format!("{program} does not start: is it installed?"))?;
        ensure!(found.status.success(), "{program} --version fails");
    }
    let variable = target.triple.to_uppercase().replace('-', "_");
    for step in target.steps {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(root).args(&step[..1]).args(["--target", target.triple]).args(&step[1..]);
        cargo.env(format!("CARGO_TARGET_{variable}_LINKER"), target.linker);
        cargo.env(format!("CARGO_TARGET_{variable}_RUNNER"), target.runner.join(" "));
        if !cargo.status()?.success() {
            return Ok(ExitCode::FAILURE);
        }
    }
    Ok(ExitCode::SUCCESS)
}
