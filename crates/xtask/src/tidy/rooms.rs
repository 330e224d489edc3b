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

/// Lines and arrows of every room.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    lines: BTreeMap<String, usize>,
    arrows: BTreeMap<String, BTreeSet<String>>,
}

impl Rooms {
    /// Counts a source file.
    pub(super) fn count(&mut self, path: &str, text: &str) {
        if path.starts_with("crates/") {
            *self.lines.entry(house::room_of_path(path).to_owned()).or_default() +=
                text.lines().count();
        }
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
        let all: usize = self.lines.values().sum();
        for (room, _) in house::rooms() {
            let Some(&lines) = self.lines.get(room) else { continue };
            let arrows = self.arrows.get(room).map_or(String::new(), |used| {
                used.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
            });
            let share = 100.0 * lines as f64 / all as f64;
            writeln!(f, "{room:<10} {lines:>6} lines {share:>5.1} %  {arrows}")?;
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
        rooms.count("crates/chain/src/lib.rs", "one\ntwo\nthree\n");
        rooms.count("crates/cli/shell/exit.rs", "one\n");
        rooms.count("tests/tests.rs", "not counted\n");
        rooms.note("chain", "sha256d");
        let table = rooms.to_string();
        let lines: Vec<_> = table.lines().map(str::trim_end).collect();
        assert_eq!(
            lines,
            ["chain           3 lines  75.0 %  sha256d", "shell           1 lines  25.0 %"]
        );
    }
}
