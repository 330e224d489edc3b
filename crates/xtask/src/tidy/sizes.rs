//! How long files and functions are: what of a file is a test, and a list of the long ones, which
//! `tidy` prints for the reader. A long one is no violation; `docs/style.md` has the rule of thumb.

use std::fmt;

use super::tokens::Token;

/// From so many lines on a file is in the list.
const LONG_FILE: usize = 500;
/// From so many lines on a function is in the list.
const LONG_FUNCTION: usize = 70;

/// The long files and functions of the project.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    /// Lines, and the path.
    files: Vec<(usize, String)>,
    /// Lines, and `path:line name`.
    functions: Vec<(usize, String)>,
}

impl Sizes {
    /// Looks at a file.
    pub(super) fn note(&mut self, path: &str, text: &str, tokens: &[Token]) {
        let lines = text.lines().count();
        if lines > LONG_FILE {
            self.files.push((lines, path.to_owned()));
        }
        for Function { name, line, lines } in functions(tokens) {
            if lines > LONG_FUNCTION {
                self.functions.push((lines, format!("{path}:{line} {name}")));
            }
        }
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists =
            [("files", LONG_FILE, &self.files), ("functions", LONG_FUNCTION, &self.functions)];
        for (what, most, found) in lists {
            let mut found = found.clone();
            found.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
            writeln!(f, "{what} of more than {most} lines: {}", found.len())?;
            for (lines, name) in &found {
                writeln!(f, "{lines:>6}  {name}")?;
            }
        }
        Ok(())
    }
}

/// How many lines of a file are tests: all of a file of tests, else the items under `#[cfg(test)]`.
pub(super) fn test_lines(path: &str, text: &str, tokens: &[Token]) -> usize {
    if path.contains("/tests/") || path.ends_with("/tests.rs") {
        return text.lines().count();
    }
    let runs = tokens.chunk_by(|one, other| one.in_test == other.in_test);
    let of_run = |run: &[Token]| match run {
        [first, .., last] if first.in_test => last.line - first.line + 1,
        _ => 0,
    };
    runs.map(of_run).sum()
}

struct Function<'a> {
    name: &'a str,
    line: usize,
    /// From `fn` to the brace that ends its body.
    lines: usize,
}

fn functions(tokens: &[Token]) -> Vec<Function<'_>> {
    let text = |index: usize| tokens.get(index).map_or("", |token: &Token| token.text.as_str());
    let is_named =
        |name: &str| name.starts_with(|first: char| first == '_' || first.is_alphabetic());
    let mut found = Vec::new();
    for start in (0..tokens.len()).filter(|&index| text(index) == "fn") {
        let name = text(start + 1);
        // `fn(u8)` is a type.
        if !is_named(name) {
            continue;
        }
        let mut depth = 0;
        for token in &tokens[start..] {
            match token.text.as_str() {
                // A declaration has no body.
                ";" if depth == 0 => break,
                "{" | "(" | "[" => depth += 1,
                ")" | "]" => depth -= 1,
                "}" if depth == 1 => {
                    let line = tokens[start].line;
                    found.push(Function { name, line, lines: token.line - line + 1 });
                    break;
                }
                "}" => depth -= 1,
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tokens;
    use super::*;

    #[test]
    fn a_file_is_source_and_tests() {
        let text = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\nfn h() {}\n";
        let tokens = tokens::read(text).unwrap_or_default();
        assert_eq!(test_lines("crates/chain/src/lib.rs", text, &tokens), 3);
        assert_eq!(test_lines("crates/chain/tests/oracle.rs", text, &tokens), 7);
        assert_eq!(test_lines("crates/cli/console/scene/tests.rs", text, &tokens), 7);
    }

    #[test]
    fn functions_are_measured_from_their_name_to_their_end() {
        let text = "trait T { fn declared(&self) -> [u8; 2]; }\nfn takes(f: fn(u8)) {\n}\n\
                    impl S {\nfn long(\n&self,\n) -> [u8; 2] {\n{ [1; 2] }\n}\n}\n";
        let tokens = tokens::read(text).unwrap_or_default();
        let found: Vec<_> =
            functions(&tokens).into_iter().map(|f| (f.name.to_owned(), f.line, f.lines)).collect();
        assert_eq!(found, [("takes".to_owned(), 2, 2), ("long".to_owned(), 5, 5)]);
    }

    #[test]
    fn the_long_ones_are_listed_longest_first() {
        let body = |lines: usize| format!("fn f() {{\n{}}}\n", "\n".repeat(lines));
        let mut sizes = Sizes::default();
        for (path, lines) in [("a.rs", 10), ("b.rs", 80), ("c.rs", 600)] {
            let text = body(lines);
            sizes.note(path, &text, &tokens::read(&text).unwrap_or_default());
        }
        assert_eq!(
            sizes.to_string(),
            "files of more than 500 lines: 1\n   602  c.rs\nfunctions of more than 70 lines: 2\n   \
             602  c.rs:1 f\n    82  b.rs:1 f\n"
        );
    }
}
