//! The folder that outlives clones and their `target`: the commands keep programs in it that they
//! build or unpack for the tests.

use std::env;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

/// `$XDG_CACHE_HOME/midstate`, or `~/.cache/midstate`.
pub(crate) fn directory() -> anyhow::Result<PathBuf> {
    below(env::var_os("XDG_CACHE_HOME"), env::home_dir())
}

fn below(xdg: Option<impl Into<PathBuf>>, home: Option<PathBuf>) -> anyhow::Result<PathBuf> {
    let xdg = xdg.map(Into::into).filter(|path: &PathBuf| path.is_absolute());
    let base = xdg.or_else(|| home.map(|home| home.join(".cache")));
    Ok(base.context("neither XDG_CACHE_HOME nor HOME is set: set one")?.join("midstate"))
}

pub(crate) fn is_root() -> bool {
    answer("id", &["-u"]).is_some_and(|id| id == "0")
}

/// A program's stdout, without spaces around it; `None` where it is not there or fails.
pub(crate) fn answer(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Runs a step with all its words on stderr, since stdout carries the result alone.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).stdout(io::stderr()).status();
    let status = status.with_context(|| format!("running {program}: is it installed?"))?;
    ensure!(status.success(), "{program} failed ({status}); its words are above");
    Ok(())
}

/// Waits until no other call builds. The lock ends with the file, or with the process.
pub(crate) fn lock(path: &Path) -> anyhow::Result<File> {
    let shown = path.display();
    let file = File::create(path).with_context(|| format!("creating {shown}"))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => eprintln!("waiting for another build ({shown})"),
        Err(TryLockError::Error(error)) => bail!("locking {shown}: {error}"),
    }
    file.lock().with_context(|| format!("locking {shown}"))?;
    Ok(file)
}

pub(crate) fn remove_if_there(directory: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", directory.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::ops::Deref;
    use std::process;

    use super::*;

    /// An empty directory for one test, which goes with it.
    pub(crate) struct Scratch(PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let name = format!("midstate-xtask-{}-{name}", process::id());
            let directory = env::temp_dir().join(name);
            fs::create_dir(&directory).unwrap();
            Self(directory)
        }
    }

    impl Deref for Scratch {
        type Target = Path;

        fn deref(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn the_cache_outlives_clones() {
        let home = || Some(PathBuf::from("/h"));
        let cache = |xdg: Option<&str>, home| below(xdg, home);
        assert_eq!(cache(None, home()).unwrap(), Path::new("/h/.cache/midstate"));
        assert_eq!(cache(Some("/c"), home()).unwrap(), Path::new("/c/midstate"));
        // As the XDG specification asks: a relative path counts as none.
        assert_eq!(cache(Some("c"), home()).unwrap(), Path::new("/h/.cache/midstate"));
        assert!(cache(None, None).is_err());
    }

    #[test]
    fn the_lock_is_held_by_one() {
        let scratch = Scratch::new("lock");
        let path = scratch.join("a.lock");
        let held = lock(&path).unwrap();
        let second = File::open(&path).unwrap();
        assert!(matches!(second.try_lock(), Err(TryLockError::WouldBlock)));
        drop(held);
        second.try_lock().unwrap();
    }

    #[test]
    fn a_step_that_fails_names_its_program() {
        let error = run(&mut Command::new("false")).unwrap_err().to_string();
        assert!(error.starts_with("false failed"), "{error}");
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert_eq!(error, "running no-such-program: is it installed?");
    }

    #[test]
    fn what_is_not_there_is_removed_already() {
        let cache = Scratch::new("remove");
        let workshop = cache.join("workshop");
        fs::create_dir(&workshop).unwrap();
        remove_if_there(&workshop).unwrap();
        remove_if_there(&workshop).unwrap();
        assert!(!workshop.exists());
    }
}
