//! The flags that every command has: how much is said, in which form, in which colours.

use std::io::{IsTerminal, Write};

use clap::error::ErrorKind;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, Args, Command, ValueEnum};
use midstate_net::without_login;

use super::output::broken;
use super::printer::Printer;

/// Flags that every command has. In a command's help they come last, under a heading of their own.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Global options")]
pub(crate) struct OutputArgs {
    /// Print one JSON object per line on stdout
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Log more to stderr (twice: everything)
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Log errors only, and show no hash rate while running
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
    /// Use colour: auto, always or never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    color: When,
    /// Print help
    #[arg(short = 'h', long = "help", global = true, action = clap::ArgAction::Help)]
    _help: Option<bool>,
    /// Print version
    #[arg(short = 'V', long = "version", global = true, action = clap::ArgAction::Version)]
    _version: Option<bool>,
}

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Auto,
    Always,
    Never,
}

impl OutputArgs {
    pub(crate) fn log_level(&self) -> &'static str {
        match (self.quiet, self.verbose) {
            (true, _) => "error",
            (_, 0) => "warn",
            (_, 1) => "debug",
            (_, _) => "trace",
        }
    }

    /// Whether stderr is coloured.
    pub(crate) fn stderr_colour(&self) -> bool {
        self.colours(&std::io::stderr())
    }

    /// Whether stdout is coloured: never where a program reads it.
    pub(super) fn stdout_colour(&self) -> bool {
        !self.json && self.colours(&std::io::stdout())
    }

    /// `--color` first, then `NO_COLOR` and `CLICOLOR_FORCE`, then whether anybody looks.
    fn colours(&self, stream: &impl IsTerminal) -> bool {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match self.color {
            When::Always => true,
            When::Never => false,
            When::Auto if set("NO_COLOR") => false,
            When::Auto => set("CLICOLOR_FORCE") || stream.is_terminal(),
        }
    }
}

/// clap's words about a mistake, broken between words where a terminal shows them. clap itself
/// breaks its help alone.
fn print_mistake(error: &clap::Error) {
    let mut stderr = anstream::AutoStream::auto(std::io::stderr());
    let text = error.render().ansi().to_string();
    let lines = broken(text.trim_end(), 2, &std::io::stderr()).join("\n");
    // There may be nobody left to be told.
    let _ = writeln!(stderr, "{lines}");
}

/// The command, so that every flag takes a negative number: the flag's own words then say which
/// numbers it expects. clap would take the number for a flag that it does not know.
pub(crate) fn with_negatives(command: Command) -> Command {
    let take = |arg: Arg| match arg.get_action().takes_values() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    command.mut_args(take).mut_subcommands(with_negatives)
}

/// Ends the program where clap does: after help and version, which are data, and after mistakes.
pub(crate) fn exit(error: &clap::Error, printer: &Printer) -> ! {
    match error.use_stderr() {
        true => print_mistake(error),
        false => printer.book(error.print()),
    }
    let code = printer.finish().map_or_else(|failure| failure.tell(), |()| error.exit_code());
    std::process::exit(code)
}

/// Names that other programs use, each with the name here.
const TIPS: [(&str, &str); 17] = [
    ("solo", "to mine solo at a node: midstate mine --address ADDR"),
    ("pool", "a pool for a lesson or a test: midstate demo --listen ADDR:PORT"),
    ("benchmark", "it is called bench: midstate bench"),
    ("config", "to check a configuration: midstate mine --config FILE --dry-run"),
    ("check", "to check this machine, a pool or a node: midstate doctor [URL]"),
    ("limits", "to see all limits: midstate mine --print-limits"),
    ("version", "it is a flag: midstate --version"),
    ("start", "to mine: midstate mine -o URL -u USER; to try it without a pool: midstate demo"),
    ("run", "to mine: midstate mine -o URL -u USER; to try it without a pool: midstate demo"),
    ("wallet", "midstate has none: blocks and pools pay to an address of your own wallet"),
    ("--wallet", "midstate has none: name an address with --address (node) or -u (pool)"),
    ("--pool", "a pool is named by -o: midstate mine -o HOST:PORT -u USER"),
    ("--benchmark", "it is a command: midstate bench"),
    ("--no-color", "it is called --color never"),
    ("--print-config", "to see what flags and file come to: --dry-run"),
    ("--coinbase-addr", "it is called --address"),
    ("--algo", "there is no choice: midstate hashes SHA-256d, and nothing else"),
];

/// For a rate that was written in two words.
const UNIT_TIP: &str = "a rate is one word, with the first letter of its unit: 25.8M, 580T";

/// clap's error with a tip where it knows none: what the thing is called here.
pub(crate) fn with_tip(mut error: clap::Error) -> clap::Error {
    let typed = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg].map(|kind| {
        let typed = error.get(kind).map(ToString::to_string);
        typed.unwrap_or_default()
    });
    let tip = TIPS.iter().find(|(name, _)| typed.iter().any(|typed| typed == name));
    let is_unit = typed.iter().any(|typed| typed.ends_with("H/s"));
    let tip = tip.map(|(_, tip)| *tip).or(is_unit.then_some(UNIT_TIP));
    if let Some(tip) = tip {
        let tip = clap::builder::StyledStr::from(tip);
        for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg] {
            error.remove(kind);
        }
        // clap's usage line is about the flag that it would have suggested.
        error.remove(ContextKind::Usage);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// The commands that take no password, so that no word on their lines can be one.
const WITHOUT_PASSWORD: [&str; 6] = ["asic", "bench", "completions", "econ", "explain", "man"];

/// Whether a word may be a flag, or a misspelt one: a password may begin with a dash, too.
fn is_like_a_flag(word: &str) -> bool {
    let is_of = |name: &str, sign: fn(u8) -> bool| !name.is_empty() && name.bytes().all(sign);
    match (word.strip_prefix("--"), word.strip_prefix('-')) {
        (Some(name), _) => is_of(name, |byte| byte.is_ascii_lowercase() || byte == b'-'),
        (None, Some(letter)) => {
            letter.len() == 1 && is_of(letter, |byte| byte.is_ascii_alphabetic())
        }
        (None, None) => false,
    }
}

/// clap's error without passwords: clap repeats a value that it could not use, and a URL may hold
/// one; and it repeats a word that belongs to no flag, as the second one of `-p x PASSWORD`.
pub(crate) fn without_secrets(mut error: clap::Error) -> clap::Error {
    let text = |error: &clap::Error, kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    if let Some(value) = text(&error, ContextKind::InvalidValue) {
        let wants_url = text(&error, ContextKind::InvalidArg)
            .is_some_and(|argument| argument.contains("URL") || argument.contains("://"));
        if wants_url {
            error.insert(ContextKind::InvalidValue, ContextValue::String(without_login(&value)));
        }
        return error;
    }
    let no_flag =
        |word: &String| !is_like_a_flag(word) && TIPS.iter().all(|(known, _)| known != word);
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let has_password =
        !WITHOUT_PASSWORD.iter().any(|command| usage.contains(&format!("midstate {command}")));
    if has_password
        && error.kind() == ErrorKind::UnknownArgument
        && text(&error, ContextKind::InvalidArg).is_some_and(|word| no_flag(&word))
    {
        let words = "(not shown, as it may belong to a password)".to_owned();
        error.insert(ContextKind::InvalidArg, ContextValue::String(words));
        error.remove(ContextKind::Suggested);
        return error;
    }
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand] {
        let looks_like_url = |text: &String| text.contains('@') || text.contains("://");
        if let Some(value) = text(&error, kind).filter(looks_like_url) {
            error.insert(kind, ContextValue::String(without_login(&value)));
        }
    }
    error
}
