//! The documentation is true: what README and docs tell people to type can be typed, and the
//! reference is what the program says of itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::program::{fail, midstate, run};

/// A command in a page: its words as a shell would cut them.
struct Typed {
    page: PathBuf,
    line: String,
    words: Vec<String>,
}

/// All pages for users, from the root of the repository.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    pages
}

/// The text after `$ ` in a fence marked `console`, up to a comment, and every indented line.
fn typed() -> Vec<Typed> {
    let mut all = Vec::new();
    for page in pages() {
        // A command goes on in the next line after a backslash.
        let text = std::fs::read_to_string(&page).unwrap().replace("\\\n", " ");
        let mut inside = false;
        for line in text.lines() {
            if let Some(language) = line.strip_prefix("```") {
                inside = !inside && language == "console";
                continue;
            }
            // A line with neither mark is an answer, or prose.
            let mark = if inside { "$ " } else { "    " };
            let Some(command) = line.strip_prefix(mark) else { continue };
            let command = command.split("  #").next().unwrap().trim();
            let words = cut(command);
            all.push(Typed { page: page.clone(), line: command.to_owned(), words });
        }
    }
    all
}

/// The words of a command as a shell cuts them: at blanks outside of quotes.
fn cut(command: &str) -> Vec<String> {
    let (mut words, mut quote) = (vec![String::new()], None);
    for letter in command.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '\'' | '"') => quote = Some(letter),
            (None, ' ') => words.push(String::new()),
            _ => words.last_mut().expect("there is one").push(letter),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The commands that end by themselves, without a network, in seconds; the others are read by the
/// program's own parser and go no further.
fn can_be_run(words: &[&str]) -> bool {
    let has = |word: &str| words.contains(&word);
    match words.first() {
        Some(&"demo") => !has("--listen") && has("--difficulty"),
        Some(&("explain" | "completions" | "econ")) => !has("--step") && !has("--dial"),
        Some(&("doctor" | "asic")) => words.len() == 1,
        Some(&"mine") => has("--print-limits"),
        _ => false,
    }
}

#[test]
fn what_the_pages_say_can_be_typed() {
    let mut ran = 0;
    let directory = std::env::temp_dir().join(format!("midstate-docs-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let commands = typed();
    assert!(commands.len() > 30, "{} commands: are the fences still marked?", commands.len());
    for Typed { page, line, words } in &commands {
        let page = page.display();
        let Some(("midstate", words)) = words.split_first().map(|(name, rest)| (&**name, rest))
        else {
            continue;
        };
        let pipe = words.iter().position(|word| word == "|" || word == ">").unwrap_or(words.len());
        let words: Vec<_> = words[..pipe].iter().map(String::as_str).collect();
        if words.iter().any(|word| word.starts_with("$(")) {
            // The argument here came out of another command.
            continue;
        }
        if can_be_run(&words) {
            let output = midstate(&words).current_dir(&directory).output().unwrap();
            let stderr = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{page}: {line}\n{stderr}");
            ran += 1;
        } else {
            let parsed = run(&[&words[..], &["--help"]].concat());
            let stderr = String::from_utf8_lossy(&parsed.stderr);
            assert!(parsed.status.success(), "{page}: {line}\n{stderr}");
        }
    }
    assert!(ran > 5, "only {ran} commands were run");
    std::fs::remove_dir_all(directory).unwrap();
}

#[test]
fn a_flag_that_does_not_exist_would_be_noticed() {
    let (code, stderr) = fail(&["mine", "-o", "pool.example:3333", "--wroker", "x", "--help"]);
    assert_eq!(code, 2, "{stderr}");
}

/// `cargo xtask NAME` and `cargo test --test NAME` in the pages name what there is.
#[test]
fn the_developers_commands_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tasks = std::fs::read_to_string(root.join("crates/xtask/src/main.rs")).unwrap();
    let mut seen = BTreeSet::new();
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for rest in text.split("cargo xtask ").skip(1) {
            let is_of_name = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-';
            let name: String = rest.chars().take_while(is_of_name).collect();
            let known = name == "help" || tasks.contains(&format!("\"{name}\""));
            assert!(known, "{}: cargo xtask {name}", page.display());
            seen.insert(name);
        }
    }
    assert!(seen.len() > 5, "{seen:?}");
}

#[test]
fn links_between_pages_lead_somewhere() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let target = target.0;
            if target.starts_with("http") {
                continue;
            }
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            assert!(path.exists(), "{}: {target}", page.display());
            if !anchor.is_empty() {
                let text = std::fs::read_to_string(&path).unwrap();
                assert!(
                    anchors(&text).any(|known| known == anchor),
                    "{}: {target}",
                    page.display()
                );
            }
        }
    }
}

/// The words between single backticks of a page, fences left out.
fn code_words(text: &str) -> Vec<&str> {
    let lines = text.split("```").step_by(2);
    lines.flat_map(|prose| prose.split('`').skip(1).step_by(2)).collect()
}

/// Every file below a folder, build outputs left out.
fn files_below(below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(below).unwrap().map(|entry| entry.unwrap().path());
    let (folders, mut files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let sources = folders.iter().filter(|path| !path.ends_with("target"));
    files.extend(sources.flat_map(|path| files_below(path)));
    files
}

/// The pages for those who change the code name files, by the path or by the end of it.
#[test]
fn the_files_that_the_pages_for_contributors_name_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> =
        ["crates", "tests", "benches"].iter().flat_map(|d| files_below(&root.join(d))).collect();
    let mut looked = 0;
    for page in ["docs/architecture.md", "docs/style.md", "CONTRIBUTING.md", "SECURITY.md"] {
        let text = std::fs::read_to_string(root.join(page)).unwrap();
        for name in code_words(&text) {
            let is_path = (name.contains('/') || name.ends_with(".rs"))
                && !name.contains([' ', ':', '{', '<', '*', '!']);
            if !is_path {
                continue;
            }
            looked += 1;
            let name = name.trim_end_matches('/');
            let is_named = |file: &PathBuf| file.ancestors().any(|path| path.ends_with(name));
            let is_there = root.join(name).exists() || files.iter().any(is_named);
            assert!(is_there, "{page} names {name}, and there is no such file");
        }
    }
    assert!(looked > 50, "{looked} names of files: are they still in backticks?");
}

/// The journeys name a file and then functions in it.
#[test]
fn the_functions_of_the_four_journeys_are_where_the_page_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/architecture.md")).unwrap();
    let (_, journeys) = page.split_once("## Four journeys\n").expect("the page has them");
    let journeys = journeys.split("\n## ").next().unwrap();
    assert_eq!(journeys.matches("\n### ").count(), 4);
    let (mut file, mut source) = ("", String::new());
    let mut looked = 0;
    for word in code_words(journeys) {
        if word.starts_with("crates/") {
            file = word;
            source = std::fs::read_to_string(root.join(word)).unwrap();
        } else if word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && word.starts_with(|c: char| c.is_ascii_lowercase())
        {
            looked += 1;
            let is_there = ["fn", "function"].iter().any(|keyword| {
                [format!("{keyword} {word}("), format!("{keyword} {word}<")]
                    .iter()
                    .any(|text| source.contains(text))
            });
            assert!(is_there, "architecture.md names {word} in {file}, and there is none");
        }
    }
    assert!(looked > 25, "{looked} functions: are they still in backticks?");
}

/// The names of headings, as forges make them.
fn anchors(text: &str) -> impl Iterator<Item = String> + '_ {
    text.lines().filter(|line| line.starts_with('#')).map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    })
}

/// Every name of a command, as `--help` lists them: indented by two, unlike flags.
pub(crate) fn commands(help: &str) -> Vec<&str> {
    let entries = help.lines().filter_map(|line| line.strip_prefix("  "));
    let commands = entries.filter(|entry| entry.starts_with(|c: char| c.is_ascii_lowercase()));
    let names = commands.filter_map(|entry| entry.split_whitespace().next());
    names.filter(|name| *name != "help").collect()
}

fn text_of(arguments: &[&str]) -> String {
    let output = midstate(arguments).env("COLUMNS", "100").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// `docs/reference.md` between its marks, made from the program's own words.
fn generated() -> String {
    let help = text_of(&["--help"]);
    let mut page = String::new();
    for name in commands(&help) {
        let text = text_of(&[name, "--help"]);
        page += &format!("### `midstate {name}`\n\n```text\n{}\n```\n\n", text.trim_end());
    }
    page += &format!(
        "## Limits\n\n`midstate mine --print-limits`, and what happens over each:\n\n\
         ```text\n{}\n```\n",
        text_of(&["mine", "--print-limits"]).trim_end()
    );
    page
}

#[test]
fn the_reference_is_what_the_program_says() {
    const MARK: &str = "<!-- From here on: MIDSTATE_WRITE_DOCS=1 cargo test the_reference -->\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (by_hand, by_program) = page.split_once(MARK).expect("the mark stands in the page");
    let generated = generated();
    if std::env::var_os("MIDSTATE_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{by_hand}{MARK}\n{generated}")).unwrap();
        return;
    }
    assert!(
        by_program.trim() == generated.trim(),
        "the program's help has changed; write the reference again with \
         MIDSTATE_WRITE_DOCS=1 cargo test the_reference"
    );
}
