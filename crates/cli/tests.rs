//! The command line as a whole: its flags are well formed and its examples are understood.

use clap::{CommandFactory, Parser};

use crate::Cli;

/// Every command below `command`, itself included, but for clap's own `help`.
fn all(command: &clap::Command) -> Vec<clap::Command> {
    let below = command.get_subcommands().filter(|command| command.get_name() != "help");
    std::iter::once(command.clone()).chain(below.flat_map(all)).collect()
}

/// Command lines in the text after the flags: from the program's name to the end of the line.
fn examples(command: &clap::Command) -> Vec<String> {
    let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.get(line.find("midstate ")?..));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_flags_are_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_an_example_and_its_examples_are_understood() {
    let mut program = Cli::command();
    program.build();
    for command in all(&program) {
        let name = command.get_display_name().unwrap_or(command.get_name());
        let examples = examples(&command);
        assert!(!examples.is_empty(), "{name} has no example");
        for example in examples {
            // What a pipe does with the output is not ours to judge.
            let (words, _) = example.split_once(" | ").unwrap_or((&example, ""));
            if let Err(error) = Cli::try_parse_from(words.split_whitespace()) {
                panic!("{name}: {example}: {error}");
            }
        }
    }
}
