//! Rules about Rust sources, asked of their tokens: comments and strings fool nobody, and the
//! bodies of macros are read too.
//!
//! It is not a parser and resolves no names: it finds words in a row. A rule that needs types
//! belongs to clippy.

use super::house::{self, HASHER, IMPURE};
use super::rooms::Rooms;
use super::sizes::{self, Sizes};
use super::tokens::{self, Token};
use super::{Rule, Violation};

const HEADED: Rule = Rule {
    law: "every source file begins with what it is, what it is not and who calls it",
    cure: "begin the file with that",
};
const SHORT: Rule = Rule {
    law: "a source file has at most 900 lines",
    cure: "find the rooms in it and give each a file",
};
const NARROW: Rule = Rule {
    law: "a line has at most 100 columns, comments and strings included",
    cure: "wrap it; a long string goes on after a `\\` at the end of the line",
};
const READABLE: Rule = Rule {
    law: "tidy reads every source file",
    cure: "mend what rustc says about it, or leave the file out of the project",
};
const SAFE: Rule = Rule {
    law: "`unsafe` lives in crates/sha256d only",
    cure: "find the safe way, or move what needs it behind a safe door of the hasher",
};
const FORBIDS_UNSAFE: Rule = Rule {
    law: "every crate but the hasher forbids unsafe code",
    cure: "write it below the file's comment",
};
const NO_STD: Rule =
    Rule { law: "the hasher builds without std", cure: "write it below the file's comment" };
const PURE: Rule = Rule {
    law: "no library reads the clock, the environment or a random source",
    cure: "take what it reads as an argument (`now`, a seed), and let the binary read it",
};
const FINISHED: Rule = Rule {
    law: "what is in the tree is finished",
    cure: "write it, or leave it out and open an issue",
};
const RUN: Rule = Rule {
    law: "a test is ignored only if it needs a program that may be missing; .ci/run runs it",
    cure: "make it fast, or write #[ignore = \"needs NAME\"]",
};
const QUIET: Rule = Rule { law: "no debugging print stays", cure: "remove it, or trace an event" };

const ONE_NAME: Rule = Rule {
    law: "a type of ours has the same name everywhere",
    cure: "import it by its own name; where two of a name meet, give one a better name",
};

const MAX_LINES: usize = 900;
const MAX_COLUMNS: usize = 100;

/// Every violation in the source file at `path`; `is_crate_root` for the first file of a library or
/// a binary.
pub(super) fn check(
    path: &str,
    text: &str,
    is_crate_root: bool,
    rooms: &mut Rooms,
    sizes: &mut Sizes,
) -> Vec<Violation> {
    let mut violations = check_shape(path, text);
    match tokens::read(text) {
        Ok(tokens) => {
            violations.extend(check_tokens(path, &tokens, is_crate_root));
            violations.extend(rooms.check_folder(path, &tokens));
            rooms.count(path, text, sizes::test_lines(path, text, &tokens));
            sizes.note(path, text, &tokens);
        }
        Err((line, message)) => violations.push(READABLE.broken(path, line, message)),
    }
    violations
}

fn check_shape(path: &str, text: &str) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !text.starts_with("//!") {
        violations.push(HEADED.broken(path, 1, "no `//!` at the top"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        violations.push(SHORT.broken(path, lines, format!("{lines} lines")));
    }
    for (index, line) in text.lines().enumerate() {
        let columns = line.chars().count();
        if columns > MAX_COLUMNS {
            violations.push(NARROW.broken(path, index + 1, format!("{columns} columns")));
        }
    }
    violations
}

fn check_tokens(path: &str, tokens: &[Token], is_crate_root: bool) -> Vec<Violation> {
    let room = house::room_of_path(path);
    let mut violations = Vec::new();
    let mut forbid = |rule: &Rule, words: &str| {
        let lines = find(tokens, words).map(|index| tokens[index].line);
        violations.extend(lines.map(|line| rule.broken(path, line, format!("`{words}`"))));
    };

    forbid(&FINISHED, "todo !");
    forbid(&FINISHED, "unimplemented !");
    forbid(&QUIET, "dbg !");
    if room != HASHER {
        forbid(&SAFE, "unsafe");
    }
    let ignored = find(tokens, "# [ ignore").filter(|&index| {
        let reason = tokens.get(index + 4).map_or("", |token| token.text.as_str());
        !reason.starts_with("\"needs ")
    });
    let lines = ignored.map(|index| tokens[index].line);
    violations.extend(lines.map(|line| RUN.broken(path, line, "an ignored test")));
    if is_crate_root && room == HASHER && !has(tokens, "# ! [ no_std ]") {
        violations.push(NO_STD.broken(path, 1, "no `#![no_std]`"));
    }
    if is_crate_root && room != HASHER && !has(tokens, "# ! [ forbid ( unsafe_code") {
        violations.push(FORBIDS_UNSAFE.broken(path, 1, "no `#![forbid(unsafe_code)]`"));
    }
    if !IMPURE.contains(&room) && !house::is_in_program(path) && !is_test_code(path) {
        violations.extend(check_purity(path, tokens));
    }
    let renamed = renamed_types(tokens);
    violations.extend(renamed.map(|(name, line)| ONE_NAME.broken(path, line, name)));
    violations
}

/// `Name as Other` in a `use` of our crates or modules, with the line.
fn renamed_types(tokens: &[Token]) -> impl Iterator<Item = (String, usize)> {
    let is_ours = |statement: &&[Token]| {
        let first = statement.get(1).map_or("", |token| token.text.as_str());
        statement[0].text == "use"
            && (first.starts_with("midstate_") || matches!(first, "crate" | "super" | "self"))
    };
    let statements = (0..tokens.len()).filter_map(|start| {
        let length = tokens[start..].iter().position(|token| token.text == ";")?;
        (tokens[start].text == "use").then(|| &tokens[start..start + length])
    });
    statements.filter(is_ours).flat_map(|statement| {
        statement.windows(3).filter_map(|three| {
            let [from, keyword, to] = [0, 1, 2].map(|index| three[index].text.as_str());
            let is_type = to.starts_with(char::is_uppercase);
            (keyword == "as" && is_type).then(|| (format!("`{from} as {to}`"), three[1].line))
        })
    })
}

/// Names of the clock, the environment and random sources, as they are written where they are
/// imported or used.
fn check_purity(path: &str, tokens: &[Token]) -> Vec<Violation> {
    const IMPURITIES: [&str; 8] = [
        "Instant :: now",
        ". elapsed ( )",
        "SystemTime",
        "std :: env",
        "rand ::",
        "getrandom",
        "fastrand",
        "RandomState",
    ];
    let listed = tokens::listed_below_std(tokens, "env").into_iter();
    IMPURITIES
        .into_iter()
        .flat_map(|words| find(tokens, words).map(move |index| (index, words)))
        .chain(listed.map(|index| (index, "std :: { env }")))
        .filter(|&(index, _)| !tokens[index].in_test)
        .map(|(index, words)| PURE.broken(path, tokens[index].line, format!("`{words}`")))
        .collect()
}

/// Files that only tests and benches are built from.
fn is_test_code(path: &str) -> bool {
    path.split('/').any(|part| matches!(part, "tests" | "benches" | "examples" | "tests.rs"))
}

fn has(tokens: &[Token], words: &str) -> bool {
    find(tokens, words).next().is_some()
}

/// Where `words`, separated by spaces, stand in a row: the index of the first.
fn find<'a>(tokens: &'a [Token], words: &str) -> impl Iterator<Item = usize> + use<'a> {
    let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let rows = tokens.windows(words.len()).enumerate();
    rows.filter(move |(_, row)| row.iter().map(|token| &token.text).eq(&words))
        .map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [&str; 0] = [];

    /// The laws that a file breaks, and the lines where.
    fn broken(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        check(
            path,
            &format!("//! Sample.\n{text}"),
            false,
            &mut Rooms::default(),
            &mut Sizes::default(),
        )
        .iter()
        .map(|violation| (violation.law, violation.line))
        .collect()
    }

    fn laws(path: &str, text: &str) -> Vec<&'static str> {
        broken(path, text).into_iter().map(|(law, _)| law).collect()
    }

    #[test]
    fn tidy_code_breaks_nothing() {
        let text = r##"
            /// Never `unsafe`, never Instant::now(), SystemTime or a dbg!(print).
            // unsafe, todo!() and std::env are words here
            const WORDS: &str = "unsafe std::env dbg!(1) #[ignore]";
            const RAW: &str = r#"unsafe " SystemTime"#;
            fn unsafe_code<'a>(now: Instant, operand: &'a u32) -> char { 'u' }
            fn version() -> &'static str { env!("CARGO_PKG_VERSION") }
            #[cfg_attr(miri, ignore = "slow there, and run everywhere else")]
            fn a_test_with_many_rounds() {}
        "##;
        assert_eq!(laws("crates/chain/src/header.rs", text), NOTHING);
    }

    #[test]
    fn a_file_says_what_it_is() {
        for text in ["fn main() {}\n", "// a comment\n", "/// of an item\nfn f() {}\n", ""] {
            let violations = check(
                "crates/chain/src/x.rs",
                text,
                false,
                &mut Rooms::default(),
                &mut Sizes::default(),
            );
            assert_eq!(violations[0].law, HEADED.law, "{text}");
        }
    }

    #[test]
    fn files_are_short_and_lines_narrow() {
        let most = "//\n".repeat(MAX_LINES - 1);
        assert_eq!(laws("crates/chain/src/x.rs", &most), NOTHING);
        assert_eq!(laws("crates/chain/src/x.rs", &format!("{most}//\n")), [SHORT.law]);

        let widest = format!("// {}", "\u{fc}".repeat(MAX_COLUMNS - 3));
        assert_eq!(laws("crates/chain/src/x.rs", &widest), NOTHING);
        assert_eq!(broken("crates/chain/src/x.rs", &format!("{widest}.")), [(NARROW.law, 2)]);
    }

    #[test]
    fn a_type_of_ours_is_not_renamed_where_it_is_imported() {
        for text in
            ["use midstate_net::Network as Dialler;", "use crate::{a, b::{Event as PoolEvent, C}};"]
        {
            assert_eq!(broken("crates/net/src/seat.rs", text), [(ONE_NAME.law, 2)], "{text}");
        }
        for text in [
            "use bitcoin::Address as Foreign;",
            "use midstate_chain::Share as _;",
            "use crate::text as words; fn f() { 1 as Size; }",
        ] {
            assert_eq!(laws("crates/net/src/seat.rs", text), NOTHING, "{text}");
        }
    }

    #[test]
    fn unsafe_lives_in_the_hasher() {
        for text in [
            "fn f() { unsafe { g() } }",
            "unsafe fn f() {}",
            "unsafe impl Send for X {}",
            "macro_rules! m { () => { unsafe { g() } } }",
            "#[unsafe(no_mangle)]\nfn f() {}",
            "#[cfg(test)]\nmod tests { fn f() { unsafe { g() } } }",
        ] {
            assert_eq!(laws("crates/engine/src/x.rs", text), [SAFE.law], "{text}");
            assert_eq!(laws("tests/tests.rs", text), [SAFE.law], "{text}");
            assert_eq!(laws("crates/sha256d/src/x86/avx2.rs", text), NOTHING, "{text}");
        }
        assert_eq!(broken("crates/cli/main.rs", "fn f() {\n    unsafe {}\n}"), [(SAFE.law, 3)]);
    }

    #[test]
    fn crate_roots_say_what_they_forbid() {
        let at_root = |path: &str, text: &str| -> Vec<&str> {
            let violations = check(
                path,
                &format!("//! Sample.\n{text}"),
                true,
                &mut Rooms::default(),
                &mut Sizes::default(),
            );
            violations.iter().map(|violation| violation.law).collect()
        };
        assert_eq!(at_root("crates/chain/src/lib.rs", "#![forbid(unsafe_code)]"), NOTHING);
        for without in ["", "// #![forbid(unsafe_code)]", "#![deny(unsafe_code)]"] {
            assert_eq!(at_root("crates/chain/src/lib.rs", without), [FORBIDS_UNSAFE.law]);
            assert_eq!(at_root("crates/cli/main.rs", without), [FORBIDS_UNSAFE.law]);
        }
        assert_eq!(at_root("crates/sha256d/src/lib.rs", "#![no_std]"), NOTHING);
        assert_eq!(at_root("crates/sha256d/src/lib.rs", "//! #![no_std]"), [NO_STD.law]);
    }

    #[test]
    fn libraries_are_pure() {
        for text in [
            "fn f() { std::time::Instant::now(); }",
            "use std::time::SystemTime;",
            "fn f(start: Instant) -> Duration { start.elapsed() }",
            "use std::env;",
            "fn f() { std::env::var(\"HOME\"); }",
            "use std::{collections::{BTreeMap, BTreeSet}, env};",
            "fn f() { rand::random() }",
            "fn f() { getrandom(&mut [0]) }",
            "fn f() -> fastrand::Rng { todo }",
            "use std::hash::RandomState;",
            "#[cfg(not(test))]\nuse std::env;",
            "#[cfg(test)]\nmod tests {}\nuse std::env;",
        ] {
            for path in ["crates/chain/src/job.rs", "crates/engine/src/lib.rs"] {
                assert_eq!(laws(path, text), [PURE.law], "{text}");
            }
            for path in ["crates/net/src/tcp.rs", "crates/cli/main.rs", "crates/chain/tests/x.rs"] {
                assert_eq!(laws(path, text), NOTHING, "{path}: {text}");
            }
        }
    }

    #[test]
    fn tests_in_a_library_may_read_what_they_need() {
        for text in [
            "#[cfg(test)]\nmod tests { use std::env; }",
            "#[cfg(test)]\n#[expect(dead_code)]\nfn f() { std::env::var(\"SEED\"); }",
            "#[cfg(test)]\nuse std::env;",
            "#[cfg(all(test, feature = \"std\"))]\nmod tests { fn f() { Instant::now(); } }",
        ] {
            assert_eq!(laws("crates/chain/src/job.rs", text), NOTHING, "{text}");
        }
        assert_eq!(laws("crates/chain/src/job/tests.rs", "use std::env;"), NOTHING);
    }

    #[test]
    fn nothing_is_left_undone() {
        // Brackets, so that a plain search for the usual spelling finds no sample here.
        for text in ["fn f() { todo![] }", "fn f() { unimplemented![] }"] {
            assert_eq!(laws("crates/chain/src/x.rs", text), [FINISHED.law], "{text}");
        }
        assert_eq!(laws("tests/tests.rs", "fn f() { dbg![1]; }"), [QUIET.law]);
        let ignored = "#[test]\n#[ignore = \"slow\"]\nfn f() {}";
        assert_eq!(broken("tests/tests.rs", ignored), [(RUN.law, 3)]);
        assert_eq!(broken("tests/tests.rs", "#[test]\n#[ignore]\nfn f() {}"), [(RUN.law, 3)]);
        let needy = "#[test]\n#[ignore = \"needs bitcoind\"]\nfn f() {}";
        assert_eq!(laws("tests/tests.rs", needy), NOTHING);
    }

    #[test]
    fn an_unreadable_file_is_a_violation() {
        assert_eq!(broken("crates/chain/src/x.rs", "fn f() {\n"), [(READABLE.law, 2)]);
    }
}
