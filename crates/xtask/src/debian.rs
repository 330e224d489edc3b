//! Packages of Debian that a build needs.

use std::process::Command;

use anyhow::ensure;

use crate::cache::{answer, is_root, run};

/// Installs the packages that are missing, or names them where it may not; `whose` says what for,
/// and `instead` what can be done without them.
pub(crate) fn install(whose: &str, packages: &[&str], instead: &str) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    if answer("apt-get", &["--version"]).is_none() {
        eprintln!("{whose}: no apt-get here; the build needs what Debian calls {packages}");
        return Ok(());
    }
    ensure!(
        is_root(),
        "Debian packages are missing: run `sudo apt-get install {packages}`, or {instead}"
    );
    eprintln!("{whose}: installing {packages}");
    // Another apt-get may be at work, in a fresh machine above all.
    let patience = ["-o", "DPkg::Lock::Timeout=300"];
    run(Command::new("apt-get").args(patience).args(["update", "-qq"]))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(patience)
        .args(["install", "-qq", "--no-install-recommends"])
        .args(missing))
}

fn is_installed(package: &str) -> bool {
    answer("dpkg-query", &["--show", "--showformat=${db:Status-Status}", package])
        .is_some_and(|status| status == "installed")
}
