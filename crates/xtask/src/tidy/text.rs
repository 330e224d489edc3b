//! Rules about any text file of the project: no path of somebody's machine, no file without a name.

use super::{Rule, Violation};

const ANY_MACHINE: Rule = Rule {
    law: "the project builds on any machine and mentions none",
    cure: "write a path relative to the repository, or one that starts with ~ or a variable",
};
const NAMED: Rule = Rule {
    law: "a file is named after what it holds",
    cure: "name it with a noun of the field, or move its parts to where they are used",
};

/// Directories at the top of a machine below which people and build farms keep their things.
const PRIVATE: [&str; 5] = ["home", "root", "work", "farm", "Users"];

/// Words for files that hold whatever did not fit elsewhere.
const NAMELESS: [&str; 8] =
    ["common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"];

/// Every violation in a text file at `path`.
pub(super) fn check(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    for part in path.split('/') {
        let stem = part.split('.').next().unwrap_or(part);
        if NAMELESS.contains(&stem.to_lowercase().as_str()) {
            violations.push(NAMED.broken(path, 1, format!("the name {part}")));
        }
    }
    for (index, line) in text.lines().enumerate() {
        if let Some(found) = private_path(line) {
            violations.push(ANY_MACHINE.broken(path, index + 1, format!("the path {found}..")));
        }
    }
    violations
}

/// The first absolute path into a private directory, cut after that directory's name.
fn private_path(line: &str) -> Option<&str> {
    line.match_indices('/').find_map(|(start, _)| {
        // Otherwise it is the middle of a longer path: crates/work/src, ~/work/, ${DIR}/home/.
        let starts_a_path = !line[..start].ends_with(|before: char| {
            before.is_alphanumeric() || matches!(before, '_' | '.' | '-' | '~' | '}' | ')' | '*')
        });
        let (directory, below) = line[start + 1..].split_once('/')?;
        let goes_on =
            below.starts_with(|next: char| next.is_alphanumeric() || "_.-".contains(next));
        (starts_a_path && goes_on && PRIVATE.contains(&directory))
            .then(|| &line[start..=start + 1 + directory.len()])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laws(path: &str, text: &str) -> Vec<&'static str> {
        check(path, text).iter().map(|violation| violation.law).collect()
    }

    #[test]
    fn paths_of_a_machine_are_violations() {
        // Composed, because this file is one of the files that the rule reads.
        for directory in PRIVATE {
            for before in ["", "see ", "\"", "file://", "a=", "(", "`"] {
                let line = format!("{before}/{directory}/someone/midstate");
                assert_eq!(laws("README.md", &line), [ANY_MACHINE.law], "{line}");
            }
        }
        let on_line_two = check("README.md", &format!("fine\n/{}/x", PRIVATE[0]));
        assert_eq!(on_line_two[0].line, 2);
    }

    #[test]
    fn other_paths_are_not() {
        for fine in [
            "crates/work/src/lib.rs",
            "../work/x",
            "~/work/x",
            "$HOME/work/x",
            "${HOME}/work/x",
            "/usr/local/bin",
            "/rooted/tree",
            "https://example.org/home/page",
            "a / b",
        ] {
            assert!(laws("README.md", fine).is_empty(), "{fine}");
        }
        let placeholder = format!("/{}/<user>", PRIVATE[0]);
        assert!(laws("README.md", &placeholder).is_empty());
    }

    #[test]
    fn files_have_names() {
        for nameless in ["crates/chain/src/utils.rs", "tests/common/mod.rs", "docs/Helper.md"] {
            assert_eq!(laws(nameless, ""), [NAMED.law], "{nameless}");
        }
        assert!(laws("crates/chain/src/header.rs", "").is_empty());
    }
}
