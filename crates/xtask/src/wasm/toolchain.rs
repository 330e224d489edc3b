//! Where the module's compiler comes from: Debian's `rustc-web`, which Debian builds its browsers
//! with, the sources of `core` beside it, and LLVM's linker. They are downloaded as packages and
//! unpacked into the cache; nothing is installed, and no second `rustc` is on the path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::cache::{self, answer, is_root, lock, remove_if_there, run};

/// The compiler, the sources, and what its package needs beside what `apt-get` finds missing.
const COMPILER: &str = "rustc-web";
const SOURCES: &str = "rust-web-src";

/// The folder in the cache.
const HOME: &str = "rustc-web";

/// Debian's packages, unpacked.
pub(super) struct Toolchain {
    rustc: PathBuf,
    linker: PathBuf,
    libraries: PathBuf,
}

/// The unpacked toolchain, downloaded first where the cache has none. `None`, with the reason on
/// stderr, where there is no such package to be had.
pub(super) fn unpacked() -> anyhow::Result<Option<Toolchain>> {
    let cache = cache::directory()?;
    let home = cache.join(HOME);
    if home.is_dir() {
        return Toolchain::at(&home).map(Some);
    }
    if !is_known(COMPILER)? {
        eprintln!("wasm: no {COMPILER} here, which Debian has for its browsers: nothing is built");
        return Ok(None);
    }
    fs::create_dir_all(&cache).with_context(|| format!("creating {}", cache.display()))?;
    let _lock = lock(&cache.join("rustc-web.lock"))?;
    if !home.is_dir() {
        eprintln!("wasm: unpacking Debian's {COMPILER} into {}", home.display());
        let workshop = cache.join(format!("{HOME}.unpacking"));
        remove_if_there(&workshop)?;
        unpack(&workshop, &home)?;
        remove_if_there(&workshop)?;
    }
    Toolchain::at(&home).map(Some)
}

/// Whether apt knows the package; asked again after an update, for fresh machines know nothing.
fn is_known(package: &str) -> anyhow::Result<bool> {
    let known = || answer("apt-cache", &["show", package]).is_some_and(|text| !text.is_empty());
    if !known() && is_root() && answer("apt-get", &["--version"]).is_some() {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
    }
    Ok(known())
}

/// Downloads and unpacks in `workshop`, and moves what is complete to `home`.
fn unpack(workshop: &Path, home: &Path) -> anyhow::Result<()> {
    let (packages, tree) = (workshop.join("packages"), workshop.join("tree"));
    for folder in [&packages, &tree] {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    let mut download = Command::new("apt-get");
    // As root, apt would hand the downloads to a user who may not write here.
    download.args(["download", "-qq", "-o", "APT::Sandbox::User=root"]);
    run(download.args(packages_needed()?).current_dir(&packages))?;
    for package in fs::read_dir(&packages).with_context(|| packages.display().to_string())? {
        run(Command::new("dpkg").arg("-x").arg(package?.path()).arg(&tree))?;
    }
    fs::rename(&tree, home).with_context(|| format!("creating {}", home.display()))
}

/// The names of the packages: those that the compiler is made of, LLVM's linker of the same number,
/// and whatever else of their needs this machine lacks.
fn packages_needed() -> anyhow::Result<Vec<String>> {
    let depends = |package: &str| {
        let listed = answer("apt-cache", &["depends", package]);
        let listed = listed.with_context(|| format!("apt-cache does not know {package}"))?;
        let names = listed.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        anyhow::Ok(names.map(str::to_owned).collect::<Vec<_>>())
    };
    let mut packages = vec![COMPILER.to_owned(), SOURCES.to_owned()];
    let of_compiler = depends(COMPILER)?;
    packages.extend(of_compiler.iter().filter(|name| name.starts_with("libstd-rust-web")).cloned());
    let mut of_std = depends("libstd-rust-web-dev")?;
    of_std.retain(|name| name.starts_with("libstd-rust-web"));
    packages.extend(of_std.iter().cloned());
    let mut llvm = None;
    for package in &packages {
        llvm = llvm.or(depends(package)?.into_iter().find(|name| name.starts_with("libllvm")));
    }
    let llvm = llvm.context("the compiler's packages name no LLVM")?;
    packages.push(format!("lld-{}", llvm.trim_start_matches("libllvm")));
    packages.push(llvm);

    let mut simulated = Command::new("apt-get");
    simulated.args(["install", "--simulate", "--no-install-recommends"]).args(&packages);
    let simulated = simulated.output().context("running apt-get")?;
    let text = String::from_utf8_lossy(&simulated.stdout);
    let missing = text.lines().filter_map(|line| line.strip_prefix("Inst ")?.split(' ').next());
    packages.extend(missing.map(str::to_owned));
    packages.sort();
    packages.dedup();
    Ok(packages)
}

impl Toolchain {
    fn at(home: &Path) -> anyhow::Result<Self> {
        let rustc = home.join("usr/bin/rustc");
        // The folders' names have the architecture and LLVM's number in them.
        let linker = beside(home, "bin/wasm-ld")?.join("bin/wasm-ld");
        let libraries = beside(home, "librustc_driver-")?;
        Ok(Self { rustc, linker, libraries })
    }

    /// A command that finds this compiler and its libraries, cargo above all.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("RUSTC", &self.rustc).env("RUSTC_BOOTSTRAP", "1");
        command.env("LD_LIBRARY_PATH", &self.libraries);
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker);
        command
    }

    /// Which compiler and linker these are, without the machine that they run on.
    pub(super) fn words(&self) -> anyhow::Result<String> {
        let mut words = String::new();
        for (program, argument) in [(&self.rustc, "-vV"), (&self.linker, "--version")] {
            let mut command = Command::new(program);
            let output = command.arg(argument).env("LD_LIBRARY_PATH", &self.libraries).output();
            let output = output.with_context(|| format!("running {}", program.display()))?;
            let error = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{} does not run: {error}", program.display());
            let text = String::from_utf8(output.stdout).context("a compiler speaks UTF-8")?;
            let lines = text.lines().filter(|line| !line.starts_with("host: "));
            words.extend(lines.map(|line| format!("{line}\n")));
        }
        Ok(words)
    }
}

/// The folder in `usr/lib` that has a file whose path in it begins so.
fn beside(home: &Path, file: &str) -> anyhow::Result<PathBuf> {
    let (inner, name) = file.rsplit_once('/').unwrap_or(("", file));
    let library = home.join("usr/lib");
    for folder in fs::read_dir(&library).with_context(|| library.display().to_string())? {
        let folder = folder?.path();
        let Ok(files) = fs::read_dir(folder.join(inner)) else { continue };
        let mut names = files.filter_map(|file| file.ok()?.file_name().into_string().ok());
        if names.any(|found| found.starts_with(name)) {
            return Ok(folder);
        }
    }
    bail!("no folder of {} has {file}..: remove {}", library.display(), home.display())
}
