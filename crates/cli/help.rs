//! What the program says of itself beside `--help`: man pages and completions, made from the flags
//! as they are, so that neither can be out of date.

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::shell::exit::Failure;
use crate::shell::output::Output;

/// Flags of `completions`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midstate completions bash")]
pub(crate) struct CompletionsArgs {
    /// Which shell
    shell: Shell,
}

/// Flags of `man`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  midstate man | man -l -
  midstate man share/man/man1")]
pub(crate) struct ManArgs {
    /// Write the page of each command into this directory, which is made if need be
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints a completion script.
pub(crate) fn completions(args: &CompletionsArgs, mut program: Command) -> Result<(), Failure> {
    let name = program.get_name().to_owned();
    // Where it cannot write, `generate` panics.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    Ok(stdout().write_all(&script)?)
}

/// Prints the program's own page, or writes the pages of all commands, and of `other`, which the
/// program can be called as, too.
pub(crate) fn man(
    args: &ManArgs,
    program: Command,
    other: Command,
    out: &mut Output,
) -> Result<(), Failure> {
    let program = program.disable_help_subcommand(true);
    let Some(directory) = &args.directory else {
        return Ok(Man::new(program).render(&mut stdout())?);
    };
    let shown = directory.display();
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(program, directory))
        .and_then(|()| clap_mangen::generate_to(other, directory))
        .with_context(|| format!("the pages cannot be written to {shown}"))?;
    out.note(format!("wrote the page of each command to {shown}"));
    Ok(())
}

#[cfg(test)]
mod tests {
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
}
