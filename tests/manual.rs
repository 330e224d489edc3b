//! Help, the manual's pages and the completions: of every command, readable by those who show them.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{fail, midstate, run};

const COMMANDS: [&str; 12] = [
    "class",
    "demo",
    "mine",
    "swarm",
    "grind",
    "bench",
    "asic",
    "explain",
    "econ",
    "doctor",
    "completions",
    "man",
];

fn stdout(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The flags that `--help` lists, by their long names.
fn flags(command: &[&str]) -> Vec<String> {
    let command = if command == ["minerd"] { &["--compat", "minerd"] } else { command };
    let help = stdout(&[command, &["--help"]].concat());
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let longs = lines.filter_map(|line| {
        let word = line.split([' ', ',']).find(|word| word.starts_with("--"))?;
        Some(word.trim_end_matches(['.', ']', '[']).to_owned())
    });
    longs.collect()
}

/// A page as groff renders it, and groff's complaints; `None` where there is no groff.
fn render(page: &Path) -> (String, String) {
    let mut groff = Command::new("groff");
    groff.args(["-man", "-Tutf8", "-P-cbou", "-ww", "-Wbreak", "-rLL=78n"]).arg(page);
    let output = groff.stdin(Stdio::null()).output().expect("groff starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn help_fits_a_screen() {
    for flag in ["--help", "-h"] {
        let output = midstate(&[flag]).env("COLUMNS", "80").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(help.lines().count() <= 24, "{} lines:\n{help}", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
        for command in COMMANDS {
            assert!(help.contains(&format!("\n  {command} ")), "{help}");
        }
        assert!(help.contains("\n      --compat <NAME>"), "{help}");
    }
}

/// The headings of a command's flags, in order, and the flags under each.
fn groups(command: &[&str]) -> Vec<(String, Vec<String>)> {
    let help = stdout(&[command, &["--help"]].concat());
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for line in help.lines() {
        let flag = line.trim_start();
        if let Some(heading) = line.strip_suffix(':').filter(|line| !line.starts_with(' ')) {
            groups.push((heading.to_owned(), Vec::new()));
        } else if let (true, Some((_, flags))) = (flag.starts_with('-'), groups.last_mut()) {
            let word = flag.split([' ', ',']).find(|word| word.starts_with("--"));
            flags.extend(word.map(|word| word.trim_end_matches(['.', ']', '[']).to_owned()));
        }
    }
    groups.retain(|(_, flags)| !flags.is_empty());
    groups
}

#[test]
fn flags_stand_in_groups_and_those_of_every_command_come_last() {
    let global = ["--json", "--verbose", "--quiet", "--color", "--help", "--version"];
    for command in COMMANDS.iter().map(|command| vec![*command]).chain([vec!["econ", "odds"]]) {
        let groups = groups(&command);
        let (heading, flags) = groups.last().expect("a group");
        assert_eq!(
            (heading.as_str(), &flags[..]),
            ("Global options", &global.map(String::from)[..])
        );
        let others = groups.iter().rev().skip(1).flat_map(|(_, flags)| flags);
        assert!(!others.into_iter().any(|flag| global.contains(&flag.as_str())), "{command:?}");
    }
    let of_mine = groups(&["mine"]);
    let headings: Vec<_> = of_mine.iter().map(|(heading, _)| heading.as_str()).collect();
    assert_eq!(
        headings,
        [
            "Pools and nodes",
            "Solo mining at a Bitcoin Core node",
            "Hashing",
            "Stopping",
            "Watching",
            "Checking",
            "Global options"
        ]
    );
}

#[test]
fn names_of_other_programs_lead_to_ours() {
    let tip = |arguments: &[&str]| {
        let (code, error) = fail(arguments);
        assert_eq!(code, 2, "{error}");
        let tip = error.lines().find_map(|line| line.trim().strip_prefix("tip: "));
        tip.unwrap_or_else(|| panic!("no tip: {error}")).to_owned()
    };
    assert_eq!(tip(&["solo"]), "to mine solo at a node: midstate mine --address ADDR");
    assert!(tip(&["config", "check"]).ends_with("midstate mine --config FILE --dry-run"));
    assert_eq!(tip(&["config", "check"]), tip(&["config"]));
    assert!(tip(&["wallet"]).contains("your own wallet"));
    assert!(tip(&["mine", "--print-config"]).ends_with("--dry-run"));
    assert!(tip(&["benchmark"]).ends_with("midstate bench"));
}

#[test]
fn every_example_of_help_is_at_its_end() {
    for command in COMMANDS {
        let help = stdout(&[command, "--help"]);
        let last = help.trim_end().rsplit("\n\n").next().unwrap();
        let is_example = last.starts_with("Example") && last.contains("midstate ");
        assert!(is_example, "{help}");
    }
}

/// Commands whose pages are looked at.
const PAGES: [&[&str]; 8] =
    [&[], &["class"], &["demo"], &["mine"], &["grind"], &["econ"], &["econ", "odds"], &["minerd"]];

/// The name of a command's page.
fn page_name(command: &[&str]) -> String {
    match command {
        ["minerd"] => "minerd".to_owned(),
        _ => [&["midstate"], command].concat().join("-"),
    }
}

#[test]
fn there_is_a_page_for_every_command_with_every_flag() {
    let directory = std::env::temp_dir().join(format!("midstate-man-{}", std::process::id()));
    assert_eq!(stdout(&["man", "--out", directory.to_str().unwrap()]), "");
    for command in PAGES {
        let name = page_name(command);
        let path = directory.join(format!("{name}.1"));
        let page = std::fs::read_to_string(&path).unwrap();
        assert!(page.contains(&format!(".TH {name} 1")), "{page}");
        for section in [".SH NAME", ".SH SYNOPSIS", "OPTIONS"] {
            assert!(page.contains(section), "{name}: {section}: {page}");
        }
        let plain = page.replace('\\', "");
        let flags = flags(command);
        assert!(flags.len() > 4, "{flags:?}");
        for flag in flags {
            assert!(plain.contains(&flag), "{name}: {flag}: {page}");
        }
        assert!(plain.contains("midstate demo") || plain.contains("Example"), "{name}: {page}");
    }
    for command in COMMANDS {
        assert!(directory.join(format!("midstate-{command}.1")).exists(), "{command}");
    }
    // One page on stdout is the page in the file.
    let file = std::fs::read_to_string(directory.join("midstate.1")).unwrap();
    assert_eq!(stdout(&["man"]), file);
    for command in PAGES {
        let path = directory.join(format!("{}.1", page_name(command)));
        assert_eq!(stdout(&[&["man"], command].concat()), std::fs::read_to_string(path).unwrap());
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
#[ignore = "needs groff"]
fn groff_shows_every_page_without_a_complaint() {
    let directory = std::env::temp_dir().join(format!("midstate-groff-{}", std::process::id()));
    assert_eq!(stdout(&["man", "--out", directory.to_str().unwrap()]), "");
    for command in PAGES {
        let name = page_name(command);
        let (text, complaints) = render(&directory.join(format!("{name}.1")));
        assert!(complaints.is_empty(), "{name}: {complaints}");
        assert!(text.contains("SYNOPSIS"), "{text}");
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_page_that_there_is_not_is_told_with_those_that_there_are() {
    let (code, error) = fail(&["man", "dmeo"]);
    assert_eq!(code, 2);
    assert!(
        error.contains("there is no page of \"dmeo\": expected one of demo, class,"),
        "{error}"
    );
    let (_, error) = fail(&["man", "econ", "luck"]);
    assert!(error.contains("expected one of hashprice, breakeven,"), "{error}");
    let (_, error) = fail(&["man", "mine", "fast"]);
    assert!(error.contains("midstate mine has no commands"), "{error}");
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&["completions", shell]);
        for command in COMMANDS {
            assert!(script.contains(command), "{shell}: {command}");
        }
        for flag in ["blocks", "userpass", "version-mask", "compat"] {
            assert!(script.contains(flag), "{shell}: {flag}");
        }
    }
}

#[test]
#[ignore = "needs bash"]
fn the_shell_itself_reads_its_completions() {
    let script = stdout(&["completions", "bash"]);
    let bash = Command::new("bash").args(["-n", "-c", &script]).output();
    let output = bash.expect("bash starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
