//! The command line as a whole: its flags are well formed and its examples are understood.

use clap::builder::ValueParser;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, value_parser};

use crate::Cli;
use crate::shell::flags::with_negatives;

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
            // A pipe's use of the output is not ours to judge.
            let (words, _) = example.split_once(" | ").unwrap_or((&example, ""));
            if let Err(error) = Cli::try_parse_from(words.split_whitespace()) {
                panic!("{name}: {example}: {error}");
            }
        }
    }
}

/// A program's commands, each with the words that call it.
fn calls() -> Vec<(Vec<String>, clap::Command)> {
    let words = |command: &clap::Command| {
        let name = command.get_bin_name().unwrap_or(command.get_name());
        name.split(' ').map(str::to_owned).collect::<Vec<_>>()
    };
    let programs = [crate::Cli::command(), crate::minerd::command()].map(with_negatives);
    let commands = programs.into_iter().flat_map(|mut program| {
        program.build();
        all(&program).into_iter().map(|command| (program.clone(), command)).collect::<Vec<_>>()
    });
    commands.map(|(program, command)| (words(&command), program)).collect()
}

/// Flags that take a number, by what their values are called in the help.
const NUMBERS: [&str; 20] = [
    "N", "SECS", "HS", "H/S", "EH/S", "W", "MW", "MWH", "D", "USD", "BTC", "J/TH", "SHARE",
    "RATIO", "YEARS", "GROWTH", "DAYS", "HEIGHT", "CELSIUS", "HEX",
];

fn is_called_a_number(flag: &clap::Arg) -> bool {
    let names = flag.get_value_names().unwrap_or_default();
    names.iter().any(|name| NUMBERS.contains(&name.as_str()))
}

/// The flags with values of the command that these words call.
fn flags_with_values<'a>(
    words: &[String],
    program: &'a clap::Command,
) -> impl Iterator<Item = &'a clap::Arg> {
    let command = words[1..]
        .iter()
        .fold(program, |command, word| command.find_subcommand(word).expect("it is called so"));
    command.get_arguments().filter(|flag| flag.get_action().takes_values())
}

#[test]
fn a_number_that_a_flag_cannot_take_is_told_with_the_flag_its_bounds_and_an_example() {
    let rust = [
        "invalid digit",
        "..=",
        "number too large",
        "number too small",
        "target type",
        "os error",
        "cannot parse integer",
        "invalid float",
        "unexpected argument",
        "UTF-8",
    ];
    let mut refused = 0;
    for (words, program) in calls() {
        for flag in flags_with_values(&words, &program) {
            let (Some(long), true) = (flag.get_long(), is_called_a_number(flag)) else { continue };
            if long == "tls-pin" {
                continue;
            }
            for value in ["x", "-1", "0", "1e99", "", "99999999999999999999999999", "-1e99", "nan"]
            {
                let line = words.iter().cloned().chain([format!("--{long}"), value.to_owned()]);
                let Err(error) = program.clone().try_get_matches_from(line) else { continue };
                let said = error.to_string();
                let said = said.lines().next().unwrap_or_default();
                match error.kind() {
                    ErrorKind::ValueValidation | ErrorKind::InvalidValue => {}
                    // The value was taken, and something else is missing.
                    ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => continue,
                    kind => panic!("{kind:?}: {said}"),
                }
                refused += 1;
                let named = format!("invalid value '{value}' for '--{long} ");
                assert!(said.contains(&named), "{said}");
                for word in ["expected ", " from ", " to ", ", as "] {
                    assert!(said.contains(word), "{word:?} is not in: {said}");
                }
                for word in rust {
                    assert!(!said.contains(word), "{word:?} is in: {said}");
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// So that the test above finds every one of them.
#[test]
fn a_flag_whose_value_is_a_number_is_called_as_one_and_has_bounds_of_its_own() {
    let bare = [
        ValueParser::from(value_parser!(u64)),
        ValueParser::from(value_parser!(u32)),
        ValueParser::from(value_parser!(i32)),
        ValueParser::from(value_parser!(usize)),
        ValueParser::from(value_parser!(f64)),
    ];
    let bare = bare.map(|parser| parser.type_id());
    for (words, program) in calls() {
        for flag in flags_with_values(&words, &program) {
            let is_bare = bare.contains(&flag.get_value_parser().type_id());
            assert!(is_called_a_number(flag) || !is_bare, "{words:?} {flag}");
        }
    }
}
