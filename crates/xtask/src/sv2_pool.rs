//! `cargo xtask sv2-pool`: the pool of the Stratum V2 reference implementation for the tests, found
//! or built.
//!
//! It looks at `$POOL_SV2_EXE` and in the cache, and else builds the published crate there, which
//! takes ten minutes of processor time. stdout is the path of the program and nothing else, so that
//! a script can write `POOL_SV2_EXE=$(cargo xtask sv2-pool)`.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, bail, ensure};

use crate::{cache, debian};

const VERSION: &str = "0.7.0";

/// The directory in the cache; the tests look there as well.
const HOME: &str = "pool_sv2-0.7.0";

/// Its build generates code for the protocol by which it can ask Bitcoin Core.
const PACKAGES: [&str; 3] = ["capnproto", "g++", "libcapnp-dev"];

/// Prints the path of a pool that runs, building one where there is none if it `may_build`.
pub(crate) fn run(may_build: bool) -> anyhow::Result<ExitCode> {
    let cache = cache::directory()?;
    let named = env::var_os("POOL_SV2_EXE");
    let program = match find(named.as_deref(), &cache)? {
        Some(program) => program,
        None if may_build => built(&cache)?,
        None => bail!("there is no pool_sv2 in the cache; `cargo xtask sv2-pool` builds one"),
    };
    prove(&program)?;
    println!("{}", program.display());
    Ok(ExitCode::SUCCESS)
}

/// The pool that the user names, else the one of the cache.
fn find(named: Option<&OsStr>, cache: &Path) -> anyhow::Result<Option<PathBuf>> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        ensure!(
            named.is_file(),
            "POOL_SV2_EXE is {}, which is no file: name the program itself, or unset it",
            named.display()
        );
        return Ok(Some(named));
    }
    let program = in_cache(cache);
    Ok(program.is_file().then_some(program))
}

fn in_cache(cache: &Path) -> PathBuf {
    cache.join(HOME).join("bin").join("pool_sv2")
}

/// Builds it into the cache, where it appears by one rename. Two calls build it once.
fn built(cache: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(cache).with_context(|| format!("creating {}", cache.display()))?;
    let _lock = cache::lock(&cache.join("pool_sv2.lock"))?;
    let (program, home) = (in_cache(cache), cache.join(HOME));
    if program.is_file() {
        return Ok(program);
    }
    let started = Instant::now();
    eprintln!("pool_sv2: none found; building one in {}: this takes minutes", home.display());
    debian::install("pool_sv2", &PACKAGES, "name a pool in POOL_SV2_EXE")?;
    let workshop = cache.join(format!("{HOME}.building"));
    cache::remove_if_there(&workshop)?;
    fs::create_dir_all(&workshop).with_context(|| format!("creating {}", workshop.display()))?;
    let mut install = Command::new(env!("CARGO"));
    install.args(["install", "--locked", "--version", VERSION, "--root"]).arg(&workshop);
    // Beside the configuration and the build folder of this project.
    install.arg("pool_sv2").current_dir(&workshop).env_remove("CARGO_TARGET_DIR");
    cache::run(&mut install)?;
    prove(&workshop.join("bin").join("pool_sv2"))?;
    fs::rename(&workshop, &home).with_context(|| format!("creating {}", home.display()))?;
    eprintln!("pool_sv2: built in {} s", started.elapsed().as_secs());
    Ok(program)
}

/// That the program runs here, and its version to stderr.
fn prove(program: &Path) -> anyhow::Result<()> {
    let shown = program.display();
    let output = Command::new(program).arg("--version").stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("running {shown} --version"))?;
    ensure!(
        output.status.success(),
        "{shown} --version failed ({}): remove it or name another",
        output.status
    );
    eprintln!("pool_sv2: {}", String::from_utf8_lossy(&output.stdout).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::tests::Scratch;

    #[test]
    fn the_named_one_comes_first_and_must_be_there() {
        let cache = Scratch::new("sv2-pool");
        let named = cache.join("named");
        fs::write(&named, "").unwrap();
        assert_eq!(find(Some(named.as_os_str()), &cache).unwrap(), Some(named));
        assert_eq!(find(None, &cache).unwrap(), None);
        let absent = cache.join("absent");
        let error = find(Some(absent.as_os_str()), &cache).unwrap_err().to_string();
        assert!(error.contains("POOL_SV2_EXE") && error.contains("unset it"), "{error}");

        let program = in_cache(&cache);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::write(&program, "").unwrap();
        assert_eq!(find(Some(OsStr::new("")), &cache).unwrap(), Some(program));
    }

    #[test]
    fn the_directory_names_the_version() {
        assert!(HOME.ends_with(VERSION));
    }

    #[test]
    fn a_program_proves_that_it_runs() {
        assert!(prove(Path::new("false")).unwrap_err().to_string().contains("--version failed"));
    }
}
