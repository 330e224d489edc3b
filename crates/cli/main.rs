//! The `midstate` program: flags to meaning, events to words, errors to exit codes. Protocols and
//! hashing live in the crates below; this one joins them.
#![forbid(unsafe_code)]

mod class;
mod commands;
mod console;
mod lab;
mod machine;
mod minerd;
mod mining;
mod servers;
mod shell;
mod tester;
#[cfg(test)]
mod tests;
mod web;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{class as lesson, demo, doctor, grind, help, mine};
use crate::lab::{asic, bench, econ, explain};
use crate::shell::exit::Failure;
use crate::shell::flags::{self, OutputArgs};
use crate::shell::logs::Logs;
use crate::shell::output::Output;
use crate::shell::printer::Printer;

/// Fits a screen of 24 lines.
const HELP: &str = "\
{about}
{usage-heading} {usage}

{subcommands}

{options}
On mainnet a CPU earns nothing. To begin with: midstate demo";

/// Mine with a CPU on regtest, testnet4 and signet, and see why ASICs dominate.
#[derive(Parser)]
#[command(
    name = "midstate",
    version,
    propagate_version = true,
    disable_help_flag = true,
    disable_version_flag = true,
    max_term_width = 100,
    help_template = HELP,
    after_help = "On mainnet a CPU earns nothing. To begin with: midstate demo",
)]
struct Cli {
    #[command(flatten)]
    output: OutputArgs,
    /// Take the flags of minerd; this flag comes first
    #[arg(long, value_name = "NAME", value_parser = [minerd::NAME], hide_possible_values = true)]
    compat: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Mine blocks on an embedded regtest pool, with nothing installed
    Demo(Box<demo::Args>),
    /// Let a class mine together with the browsers of its phones
    Class(Box<lesson::Args>),
    /// Mine at a pool, or solo at a Bitcoin Core node
    Mine(Box<mine::Args>),
    /// Test a pool with many miners, whose hash rates a script decides
    Swarm(Box<tester::Args>),
    /// Find a nonce for an 80-byte header, as `bitcoin-util grind` does
    Grind(grind::Args),
    /// Measure the hash rate of every kernel of this CPU
    Bench(bench::Args),
    /// Compare this machine with GPUs, FPGAs and ASICs: why it loses
    Asic(asic::Args),
    /// Walk through one header's hash, from its fields to the target
    Explain(explain::Args),
    /// Compute the economics of mining, with every formula shown
    Econ(econ::Args),
    /// Check this machine, a pool or a node, and name each cure
    Doctor(Box<doctor::Args>),
    /// Print a completion script for a shell
    Completions(help::CompletionsArgs),
    /// Print a page of the manual, or write the pages of all commands
    Man(help::ManArgs),
}

impl Cli {
    /// Reads a command line, the name of the program first.
    fn read(command_line: &[OsString]) -> Result<Self, clap::Error> {
        let mut command = flags::with_negatives(Self::command());
        // It stands in the list of options.
        command.build();
        command = command.mut_subcommand("help", |help| help.hide(true));
        let matches = command.try_get_matches_from_mut(command_line)?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

fn main() -> ExitCode {
    let command_line: Vec<OsString> = std::env::args_os().collect();
    let printer = Printer::start();
    if let Some(arguments) = minerd::arguments(&command_line) {
        let result = minerd::run(arguments, &printer);
        return exit_code([result, printer.finish()]);
    }
    let Cli { output, compat, command } = Cli::read(&command_line).unwrap_or_else(|error| {
        flags::exit(&flags::with_tip(flags::without_secrets(error)), &printer)
    });
    if let Some(name) = compat {
        let words = format!("--compat comes before everything else: midstate --compat {name} ..");
        return exit_code([Err(Failure::usage(words)), printer.finish()]);
    }
    let logs = Logs::init(&output, printer.clone());
    let mut out = Output::new(&output, printer.clone(), logs);
    let result = run(command, &mut out);
    out.finish();
    exit_code([result, printer.finish()])
}

/// Of what was done, and of the output of it. All failures are told; the first one is the code.
fn exit_code(results: [Result<(), Failure>; 2]) -> ExitCode {
    let codes = results.into_iter().filter_map(Result::err).map(|failure| failure.report());
    codes.collect::<Vec<_>>().first().copied().unwrap_or(ExitCode::SUCCESS)
}

fn run(command: Command, out: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(*args, out),
        Command::Class(args) => lesson::run(*args, out),
        Command::Mine(args) => mine::run(*args, out),
        Command::Swarm(args) => tester::run(&args, out),
        Command::Grind(args) => grind::run(args, out),
        Command::Bench(args) => bench::run(args, out),
        Command::Asic(args) => asic::run(args, out),
        Command::Explain(args) => explain::run(&args, out),
        Command::Econ(args) => econ::run(args, out),
        Command::Doctor(args) => doctor::run(*args, out),
        Command::Completions(args) => help::completions(&args, Cli::command(), out),
        Command::Man(args) => help::man(&args, Cli::command(), minerd::command(), out),
    }
}
