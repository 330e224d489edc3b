//! `cargo xtask tidy`: asserts the invariants of `docs/architecture.md` that a machine can assert.
//!
//! It reads `cargo metadata` and the files of the working tree, and lists every violation at once,
//! one a line, each with its rule and its cure. Where there is none, it prints the rooms with
//! their lines and arrows, and the long files and functions. It compiles nothing and changes
//! nothing. It leaves to rustfmt, rustc and clippy what they already check.

mod house;
mod manifest;
mod rooms;
mod sizes;
mod source;
mod text;
mod tokens;

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, ensure};

use rooms::Rooms;
use sizes::Sizes;

/// Checks the working tree at `root`: every violation on stdout, the count on stderr, exit code 1
/// where there is one.
pub(crate) fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let (mut rooms, mut sizes) = (Rooms::default(), Sizes::default());
    let mut violations = rooms::check_plan(house::ARROWS);
    violations.extend(rooms::check_plan(house::FOLDERS));
    let mut crate_roots = BTreeSet::new();
    for package in manifest::workspace(root)? {
        let manifest_text = read(root, &package.manifest)?;
        violations.extend(manifest::check(&package, &manifest_text));
        for (room, used) in manifest::arrows(&package) {
            rooms.note(room, used);
        }
        crate_roots.extend(package.crate_roots);
    }

    let files = files(root)?;
    for path in &files {
        let bytes = fs::read(root.join(path)).with_context(|| format!("reading {path}"))?;
        let Ok(text) = String::from_utf8(bytes) else { continue };
        violations.extend(text::check(path, &text));
        if path.ends_with(".rs") {
            let is_crate_root = crate_roots.contains(path);
            violations.extend(source::check(path, &text, is_crate_root, &mut rooms, &mut sizes));
        }
    }

    violations.extend(rooms.check_sizes());

    violations.sort();
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        print!("{rooms}\n{sizes}");
        eprintln!("tidy: {} files, no violation", files.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("tidy: {} files, {} violation(s)", files.len(), violations.len());
    Ok(ExitCode::FAILURE)
}

/// One rule of the house: what holds everywhere, and what to do where it does not.
struct Rule {
    law: &'static str,
    cure: &'static str,
}

impl Rule {
    /// `line` counts from 1.
    fn broken(&self, path: &str, line: usize, found: impl Into<String>) -> Violation {
        let Self { law, cure } = *self;
        Violation { path: path.to_owned(), line, found: found.into(), law, cure }
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    line: usize,
    found: String,
    law: &'static str,
    cure: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, found, law, cure } = self;
        write!(f, "{path}:{line}: found {found}; {law}; {cure}")
    }
}

/// Paths, relative to `root`, of the files that git tracks or would track: a violation shows before
/// it is committed.
fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("running git, which tells tidy the files of the project: install it")?;
    ensure!(
        output.status.success(),
        "git ls-files failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let listing =
        String::from_utf8(output.stdout).context("a file name is not UTF-8: rename it")?;
    let paths: BTreeSet<&str> = listing.split_terminator('\0').collect();
    // A file that is deleted and not yet committed is still listed.
    Ok(paths.into_iter().filter(|path| root.join(path).is_file()).map(str::to_owned).collect())
}

fn read(root: &Path, path: &str) -> anyhow::Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("reading {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_one_line_with_place_rule_and_cure() {
        let rule = Rule { law: "no ducks", cure: "remove the duck" };
        let line = rule.broken("crates/chain/src/lib.rs", 7, "a duck").to_string();
        assert_eq!(line, "crates/chain/src/lib.rs:7: found a duck; no ducks; remove the duck");
    }

    #[test]
    fn this_file_is_among_the_files_of_the_project() {
        let files = files(&crate::repository().unwrap()).unwrap();
        assert!(files.iter().any(|path| path == "crates/xtask/src/tidy.rs"), "{files:?}");
        assert!(files.iter().all(|path| !path.starts_with("target/")));
    }
}
