//! The program on itself beside `--help`: man pages and completions, made from the flags
//! as they are, so that neither can be out of date.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::Stdio;

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
    /// The shell
    shell: Shell,
}

/// Flags of `man`.
///
/// On a terminal the system's man shows the page; elsewhere its source is printed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  midstate man mine
  midstate man --out share/man/man1")]
pub(crate) struct ManArgs {
    /// The command whose page is printed, such as mine, or econ odds [default: midstate itself]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Vec<String>,
    /// Write the page of each command into this directory, which is created if it is missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Prints a completion script.
pub(crate) fn completions(
    args: &CompletionsArgs,
    mut program: Command,
    out: &mut Output,
) -> Result<(), Failure> {
    let name = program.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, name, &mut script);
    out.document(&script);
    Ok(())
}

/// Prints one page, or writes the pages of all commands, and of `other`, which the
/// program can be called as, too.
pub(crate) fn man(
    args: &ManArgs,
    program: Command,
    other: Command,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut program = program.disable_help_subcommand(true);
    let Some(directory) = &args.out else {
        program.build();
        let mut text = Vec::new();
        Man::new(page(&program, &other, &args.command)?.clone()).render(&mut text)?;
        if !(std::io::stdout().is_terminal() && is_shown_by_man(&text)) {
            out.document(&text);
        }
        return Ok(());
    };
    let shown = directory.display();
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(program, directory))
        .and_then(|()| clap_mangen::generate_to(other, directory))
        .with_context(|| format!("the pages cannot be written to {shown}"))?;
    out.note(format!("wrote the page of each command to {shown}"));
    Ok(())
}

/// Shows a page as the system's `man` shows any: a person cannot read its source. `false` where
/// there is no `man` that takes a page from its input.
fn is_shown_by_man(page: &[u8]) -> bool {
    let mut man = std::process::Command::new("man");
    man.args(["-l", "-"]).stdin(Stdio::piped()).stderr(Stdio::null());
    let Ok(mut man) = man.spawn() else { return false };
    if let Some(mut input) = man.stdin.take() {
        // A reader who leaves the pager early has seen enough.
        let _ = input.write_all(page);
    }
    man.wait().is_ok_and(|status| status.success())
}

/// The command of these words: of the program, or the other one that it can be called as.
fn page<'a>(
    program: &'a Command,
    other: &'a Command,
    words: &[String],
) -> Result<&'a Command, Failure> {
    if words.iter().eq([other.get_name()]) {
        return Ok(other);
    }
    words.iter().try_fold(program, |command, word| {
        command.find_subcommand(word).ok_or_else(|| {
            let names = command.get_subcommands().map(Command::get_name);
            let names = names.collect::<Vec<_>>().join(", ");
            let name = command.get_bin_name().unwrap_or(command.get_name());
            let expected = match names.as_str() {
                "" => format!("{name} has no commands"),
                _ => format!("expected one of {names}"),
            };
            Failure::usage(format!("there is no page of {word:?}: {expected}"))
        })
    })
}
