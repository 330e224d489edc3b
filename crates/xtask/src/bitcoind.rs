//! `cargo xtask bitcoind`: a Bitcoin Core node for the tests, found or built.
//!
//! It looks at `$BITCOIND_EXE`, along `$PATH` and in the cache, and else builds Bitcoin Core there.
//! stdout is the path of the program and nothing else, so that a script can write
//! `BITCOIND_EXE=$(cargo xtask bitcoind)`. The node that it builds has no wallet, no GUI and no
//! ZMQ: the tests need none of them.

mod recipe;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, bail, ensure};

use crate::cache;

/// Prints the path of a `bitcoind` that runs, building one where there is none.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    println!("{}", program()?.display());
    Ok(ExitCode::SUCCESS)
}

/// A `bitcoind` that runs, built where there is none.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    let cache = cache::directory()?;
    let found = find(env::var_os("BITCOIND_EXE").as_deref(), env::var_os("PATH").as_deref())?;
    let program = match found {
        Some(program) => program,
        None => recipe::cached_or_built(&cache)?,
    };
    eprintln!("bitcoind: {}", version(&program)?);
    Ok(program)
}

/// The `bitcoind` that the user has: the one they name, else the first along the path.
fn find(named: Option<&OsStr>, path: Option<&OsStr>) -> anyhow::Result<Option<PathBuf>> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        ensure!(
            named.is_file(),
            "BITCOIND_EXE is {}, which is no file: name the program itself, or unset it",
            named.display()
        );
        return Ok(Some(named));
    }
    let directories = path.into_iter().flat_map(env::split_paths);
    let mut programs = directories.map(|directory| directory.join("bitcoind"));
    Ok(programs.find(|program| program.is_file()))
}

/// The first line that `bitcoind -version` prints: the proof that the program runs here.
fn version(program: &Path) -> anyhow::Result<String> {
    let shown = program.display();
    let output = Command::new(program)
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {shown} -version"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next() {
        Some(line) if output.status.success() => Ok(line.to_owned()),
        _ => bail!("{shown} -version failed ({}): remove it or name another", output.status),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cache::tests::Scratch;

    #[test]
    fn the_named_one_comes_first_and_must_be_there() {
        let directory = Scratch::new("named");
        let (named, on_path) = (directory.join("named"), directory.join("bitcoind"));
        for program in [&named, &on_path] {
            fs::write(program, "").unwrap();
        }
        let path = Some(directory.as_os_str());
        assert_eq!(find(Some(named.as_os_str()), path).unwrap(), Some(named));
        assert_eq!(find(None, path).unwrap(), Some(on_path.clone()));
        assert_eq!(find(Some(OsStr::new("")), path).unwrap(), Some(on_path));

        let absent = directory.join("absent");
        let error = find(Some(absent.as_os_str()), path).unwrap_err().to_string();
        assert!(error.contains("BITCOIND_EXE") && error.contains("unset it"), "{error}");
    }

    #[test]
    fn the_path_is_searched_in_order() {
        let directory = Scratch::new("path");
        let bins = ["empty", "first", "second"].map(|name| directory.join(name));
        for bin in &bins {
            fs::create_dir(bin).unwrap();
        }
        let path = env::join_paths(&bins).unwrap();
        assert_eq!(find(None, Some(&path)).unwrap(), None);
        assert_eq!(find(None, None).unwrap(), None);
        for bin in &bins[1..] {
            fs::write(bin.join("bitcoind"), "").unwrap();
        }
        assert_eq!(find(None, Some(&path)).unwrap(), Some(bins[1].join("bitcoind")));
    }

    #[test]
    fn a_program_proves_that_it_runs() {
        assert!(version(Path::new("false")).unwrap_err().to_string().contains("-version failed"));
        assert!(version(Path::new("no-such-program")).is_err());
    }
}
