//! The systemd unit, and what the how-to puts beside it: judged by systemd itself.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

const UNIT: &str = "midstate.service";
const INSTALLED: &str = "/usr/local/bin/midstate";

#[test]
#[ignore = "needs systemd-analyze"]
fn s15_systemd_finds_nothing_wrong_with_the_unit_and_the_drop_in_of_the_how_to() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let how_to = read("docs/howto.md");
    let drop_in = how_to.split("```ini\n").nth(1).and_then(|rest| rest.split_once("```")).unwrap();
    let directory = std::env::temp_dir().join(format!("unit-{}", std::process::id()));
    let beside = directory.join(format!("{UNIT}.d"));
    std::fs::create_dir_all(&beside).unwrap();
    let program = |text: &str| text.replace(INSTALLED, env!("CARGO_BIN_EXE_midstate"));
    let unit = directory.join(UNIT);
    std::fs::write(&unit, program(&read("contrib/systemd/midstate.service"))).unwrap();
    std::fs::write(beside.join("password.conf"), program(drop_in.0)).unwrap();
    let verified = Command::new("systemd-analyze").args(["--man=no", "verify"]).arg(&unit).output();
    std::fs::remove_dir_all(&directory).unwrap();
    let output = verified.expect("systemd-analyze starts");
    let complaints = String::from_utf8_lossy(&output.stderr);
    // It reads the units of this machine, too, with which there may be more wrong.
    let ours: Vec<_> = complaints.lines().filter(|line| line.contains("midstate")).collect();
    assert!(ours.is_empty(), "{complaints}");
}
