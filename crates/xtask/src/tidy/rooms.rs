//! The rooms as they are: how many lines each has, which rooms it uses, and whether the plan in
//! [`house`] allows it. `tidy` prints them as a table.
//!
//! The arrows between crates are those of their manifests, which [`manifest`](super::manifest)
//! checks. The arrows between the folders of the program are read here, from the paths that begin
//! with `crate::`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::house::{self, FOLDERS};
use super::tokens::Token;
use super::{Rule, Violation};

const FOLDER_ARROW: Rule = Rule {
    law: "a folder of the program uses only the folders below it, as house.rs lists them",
    cure: "hand in the value as an argument, or move what is shared into a lower folder",
};
const DOWNWARD: Rule = Rule {
    law: "a room may use only rooms that stand before it in the plan, so that no circle can exist",
    cure: "turn the arrow round, or move what is shared into a lower room",
};

const SMALL: Rule = Rule {
    law: "no room holds more than 15 % of the lines of all rooms, tests not counted",
    cure: "take out of it what has a name of its own, as a room below or beside it",
};
/// Percent.
const MOST: f64 = 15.0;

/// Lines and arrows of every room.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    lines: BTreeMap<String, Lines>,
    arrows: BTreeMap<String, BTreeSet<String>>,
}

#[derive(Debug, Default)]
struct Lines {
    source: usize,
    tests: usize,
}

impl Rooms {
    /// Counts a source file, of which so many lines are tests.
    pub(super) fn count(&mut self, path: &str, text: &str, tests: usize) {
        if path.starts_with("crates/") {
            let room = self.lines.entry(house::room_of_path(path).to_owned()).or_default();
            room.source += text.lines().count() - tests;
            room.tests += tests;
        }
    }

    /// The rooms that are too big for their house.
    pub(super) fn check_sizes(&self) -> Vec<Violation> {
        let shares = self.lines.iter().map(|(room, lines)| (room, self.share(lines)));
        let big = shares.filter(|&(_, share)| share > MOST);
        let found = big.map(|(room, share)| format!("{room} with {share:.1} % of the lines"));
        found.map(|found| SMALL.broken(house::PATH, 1, found)).collect()
    }

    /// Percent of the source lines of all rooms.
    fn share(&self, lines: &Lines) -> f64 {
        let all: usize = self.lines.values().map(|lines| lines.source).sum();
        100.0 * lines.source as f64 / all.max(1) as f64
    }

    /// Notes that `room` uses `used`.
    pub(super) fn note(&mut self, room: &str, used: &str) {
        self.arrows.entry(room.to_owned()).or_default().insert(used.to_owned());
    }

    /// The folders of the program that a file of a folder names, each with the line; notes them,
    /// and returns a violation for each that the plan does not allow.
    pub(super) fn check_folder(&mut self, path: &str, tokens: &[Token]) -> Vec<Violation> {
        let room = house::room_of_path(path);
        if !house::is_in_program(path) {
            return Vec::new();
        }
        let mut violations = Vec::new();
        for (used, line) in named_after_crate(tokens) {
            let is_folder = FOLDERS.iter().any(|(name, _)| *name == used);
            if used == room || (room == house::PROGRAM && !is_folder) {
                continue;
            }
            if is_folder {
                self.note(room, used);
            }
            if room != house::PROGRAM && !house::below(room).contains(&used) {
                violations.push(FOLDER_ARROW.broken(path, line, format!("{room} using {used}")));
            }
        }
        violations
    }
}

/// Every arrow of a plan that does not point to a room that stands before: an arrow upward, and so
/// every circle.
pub(super) fn check_plan(plan: &[(&str, &[&str])]) -> Vec<Violation> {
    let floor = |room: &str| plan.iter().position(|(name, _)| *name == room);
    let mut violations = Vec::new();
    for (own, (room, below)) in plan.iter().enumerate() {
        for used in *below {
            if floor(used).is_none_or(|floor| floor >= own) {
                let arrow = format!("the arrow from {room} to {used}");
                violations.push(DOWNWARD.broken(house::PATH, 1, arrow));
            }
        }
    }
    violations
}

/// The modules that stand right behind `crate::`, alone or in braces, with their lines.
fn named_after_crate(tokens: &[Token]) -> Vec<(&str, usize)> {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut found = Vec::new();
    for start in 0..tokens.len() {
        if text(start) != "crate" || text(start + 1) != "::" {
            continue;
        }
        if text(start + 2) != "{" {
            found.push((text(start + 2), tokens[start].line));
            continue;
        }
        let mut depth = 1;
        for (index, token) in tokens.iter().enumerate().skip(start + 3) {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                name if depth == 1 && matches!(text(index - 1), "{" | ",") => {
                    found.push((name, token.line));
                }
                _ => {}
            }
        }
    }
    found
}

impl fmt::Display for Rooms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "room        lines  share   tests  uses")?;
        for (room, _) in house::rooms() {
            let Some(lines) = self.lines.get(room) else { continue };
            let arrows = self.arrows.get(room).map_or(String::new(), |used| {
                used.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
            });
            let (share, Lines { source, tests }) = (self.share(lines), lines);
            writeln!(f, "{room:<10} {source:>6} {share:>5.1} %  {tests:>6}  {arrows}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens;
    use super::*;

    fn violations(path: &str, text: &str) -> Vec<String> {
        let tokens = tokens::read(text).unwrap_or_default();
        let found = Rooms::default().check_folder(path, &tokens);
        found.into_iter().map(|violation| violation.found).collect()
    }

    #[test]
    fn an_arrow_upward_between_folders_is_a_violation() {
        for text in [
            "use crate::lab::bench::run;",
            "use crate::{lab, shell::units};",
            "use crate::{shell::{exit, units}, lab::bench};",
            "fn f() { crate::lab::bench::run() }",
        ] {
            assert_eq!(violations("crates/cli/machine/cpu.rs", text), ["machine using lab"]);
        }
        let flat = "use crate::anything_of_the_program::Args;";
        let found = violations("crates/cli/shell.rs", flat);
        assert_eq!(found, ["shell using anything_of_the_program"]);
    }

    #[test]
    fn arrows_downward_and_those_of_the_program_itself_are_none() {
        let down = "use crate::shell::exit::Failure; use crate::lab::inputs; // crate::mine";
        assert!(violations("crates/cli/lab/asic.rs", down).is_empty());
        assert!(violations("crates/cli/main.rs", "use crate::lab::asic;").is_empty());
        assert!(violations("crates/net/src/lib.rs", "use crate::lab::asic;").is_empty());
    }

    #[test]
    fn a_circle_in_the_plan_is_a_violation() {
        let circle: [(&str, &[&str]); 3] = [("a", &["c"]), ("b", &["a"]), ("c", &["b"])];
        let found: Vec<_> = check_plan(&circle).into_iter().map(|arrow| arrow.found).collect();
        assert_eq!(found, ["the arrow from a to c"]);
        let itself: [(&str, &[&str]); 1] = [("a", &["a"])];
        assert_eq!(check_plan(&itself).len(), 1);
        let unknown: [(&str, &[&str]); 1] = [("a", &["ducks"])];
        assert_eq!(check_plan(&unknown).len(), 1);
        assert!(check_plan(house::ARROWS).is_empty() && check_plan(FOLDERS).is_empty());
    }

    #[test]
    fn the_table_has_lines_shares_and_arrows() {
        let mut rooms = Rooms::default();
        rooms.count("crates/chain/src/lib.rs", "one\ntwo\nthree\nfour\n", 1);
        rooms.count("crates/cli/shell/exit.rs", "one\n", 0);
        rooms.count("tests/tests.rs", "not counted\n", 0);
        rooms.note("chain", "sha256d");
        let table = rooms.to_string();
        let lines: Vec<_> = table.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            [
                "room        lines  share   tests  uses",
                "chain           3  75.0 %       1  sha256d",
                "shell           1  25.0 %       0"
            ]
        );
    }

    #[test]
    fn a_room_with_more_than_15_percent_of_the_lines_is_a_violation_and_its_tests_do_not_count() {
        let mut rooms = Rooms::default();
        let text = |lines| "line\n".repeat(lines);
        for room in ["sha256d", "chain", "work", "gbt", "engine", "net"] {
            rooms.count(&format!("crates/{room}/src/lib.rs"), &text(15), 0);
        }
        rooms.count("crates/pool/src/lib.rs", &text(10), 0);
        rooms.count("crates/pool/tests/pool.rs", &text(500), 500);
        assert!(rooms.check_sizes().is_empty(), "15 % are allowed");
        rooms.count("crates/net/src/link.rs", &text(1), 0);
        let found: Vec<_> =
            rooms.check_sizes().into_iter().map(|violation| violation.found).collect();
        assert_eq!(found, ["net with 15.8 % of the lines"]);
    }
}
