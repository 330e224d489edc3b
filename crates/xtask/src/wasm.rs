//! `cargo xtask wasm`: the kernel that browsers run. It builds the WebAssembly module from the
//! hasher with Debian's compiler ([`toolchain`]), compares it with the one in the repository, and
//! has the tests of the module run in Node and in Chromium.
//!
//! The module is committed, so that nobody needs that compiler to build midstate. Its bytes depend
//! on the compiler, which Debian replaces from time to time: they are compared only where the
//! compiler is the one that is written down beside the module. The tests run in any case.

mod rounds;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};

use crate::cache;
use toolchain::Toolchain;

/// The module.
const MODULE: &str = "crates/cli/class/kernel.wasm";
/// The compiler that made it, in words.
const COMPILER: &str = "crates/cli/class/kernel.wasm.txt";
/// How long the bench runs.
const BENCH_SECONDS: &str = "24";

/// Builds the module and checks it; with `write`, after it was written to the repository.
pub(crate) fn run(root: &Path, write: bool) -> anyhow::Result<ExitCode> {
    let built = toolchain::unpacked()?.map(|toolchain| build(root, &toolchain)).transpose()?;
    if write {
        let (module, compiler) = built.as_ref().context("there is no compiler to write with")?;
        let bytes = fs::read(module).with_context(|| module.display().to_string())?;
        fs::write(root.join(MODULE), bytes).context(MODULE)?;
        fs::write(root.join(COMPILER), compiler).context(COMPILER)?;
        fs::write(root.join(rounds::FILE), rounds::script()).context(rounds::FILE)?;
        eprintln!("wasm: wrote {MODULE}, {COMPILER} and {}", rounds::FILE);
    }
    let script = fs::read_to_string(root.join(rounds::FILE)).context(rounds::FILE)?;
    ensure!(script == rounds::script(), "{} is not up to date: {CURE}", rounds::FILE);

    let committed = root.join(MODULE);
    let tested = match &built {
        Some((module, compiler)) => {
            compare(root, module, compiler)?;
            module
        }
        None => {
            println!("wasm: not built, as told above: the module in the repository is tested");
            &committed
        }
    };
    test(root, tested)?;
    Ok(ExitCode::SUCCESS)
}

const CURE: &str = "run `cargo xtask wasm --write` and commit what it writes";

/// Rates of the module and the script in Node beside the native kernel's, in one run.
pub(crate) fn bench(root: &Path) -> anyhow::Result<ExitCode> {
    let example = ["run", "--quiet", "--release", "--package", "midstate-sha256d", "--example"];
    let mut cargo = Command::new(env!("CARGO"));
    let status = cargo.current_dir(root).args(example).args(["browser", BENCH_SECONDS]).status()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The module as the source gives it now, and the compiler in words.
fn build(root: &Path, toolchain: &Toolchain) -> anyhow::Result<(PathBuf, String)> {
    // Its own folder: cargo would forget about the other compiler's builds each time.
    let target = root.join("target").join("wasm");
    let mut cargo = toolchain.command(env!("CARGO"));
    cargo.current_dir(root).args(["rustc", "--quiet", "--locked", "--release", "--lib"]);
    cargo.args(["--package", "midstate-sha256d", "--crate-type", "cdylib"]);
    cargo.args(["--no-default-features", "--features", "module"]);
    cargo.args(["--target", "wasm32-unknown-unknown", "-Zbuild-std=core"]);
    cargo.args(["--config", "profile.release.strip=true"]).arg("--target-dir").arg(&target);
    cargo.env("RUSTFLAGS", "-Ctarget-feature=+simd128").env("CARGO_INCREMENTAL", "0");
    // What is set for other builds would change this one.
    for set in ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WRAPPER", "CARGO_BUILD_RUSTC_WRAPPER"] {
        cargo.env_remove(set);
    }
    cache::run(&mut cargo).context("building the module")?;
    let module = target.join("wasm32-unknown-unknown/release/midstate_sha256d.wasm");
    ensure!(module.is_file(), "cargo left no {}", module.display());
    Ok((module, toolchain.words()?))
}

/// Whether the source gives the module of the repository; told, if that cannot be asked.
fn compare(root: &Path, built: &Path, compiler: &str) -> anyhow::Result<()> {
    let recorded = fs::read_to_string(root.join(COMPILER)).context(COMPILER)?;
    let read = |path: &Path| fs::read(path).with_context(|| path.display().to_string());
    let (built, committed) = (read(built)?, read(&root.join(MODULE))?);
    if built == committed {
        println!("wasm: {MODULE} is what the source gives, {} bytes", built.len());
    } else if recorded == compiler {
        bail!(
            "{MODULE} has {} bytes and is not what the source gives, {} bytes: {CURE}",
            committed.len(),
            built.len()
        );
    } else {
        println!(
            "wasm: bytes not compared: {MODULE} was made by another compiler than the one here\n\
             recorded:\n{recorded}here:\n{compiler}"
        );
    }
    Ok(())
}

/// The suite of all kernels, over the module and the script in Node; then both in Chromium.
fn test(root: &Path, module: &Path) -> anyhow::Result<()> {
    let node = ["--package", "midstate-sha256d", "--test", "kernels", "--"];
    let browser = ["--package", "midstate", "--test", "integration", "--"];
    let suites =
        [(&node[..], &["the_module", "the_script"][..]), (&browser, &["kernels_in_chromium"])];
    for (test, names) in suites {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(root).args(["test", "--quiet", "--locked"]).args(test);
        cargo.arg("--include-ignored").args(names).env("MIDSTATE_MODULE", module);
        cache::run(&mut cargo).with_context(|| format!("testing {}", module.display()))?;
    }
    println!("wasm: {} passed the tests in Node and in Chromium", module.display());
    Ok(())
}
