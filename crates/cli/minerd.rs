//! The voice of another miner: called as `minerd`, or as `midstate --compat minerd ...`, the
//! program takes the flags of minerd 2.5.1 (pooler's cpuminer) and prints its lines, so that
//! scripts and test suites that drive it run unmodified. What each flag becomes: `docs/minerd.md`.
//!
//! Nothing is mined here: flags become those of [`mine`](crate::commands::mine), words become a
//! [`View`](crate::mining::View).

mod benchmark;
mod config;
mod flags;
mod voice;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::CommandFactory;
use midstate_net::Upstream;
use tokio::sync::mpsc;

use self::flags::Flags;
use self::voice::Voice;
use crate::commands::outcome::outcome;
use crate::machine::choose;
use crate::mining::{self, Views};
use crate::shell::exit::Failure;
use crate::shell::logs::Logs;
use crate::shell::output::Output;
use crate::shell::printer::Printer;
use crate::shell::runtime;

/// The program's name then.
pub(crate) const NAME: &str = "minerd";

/// minerd's arguments, if the program is called by that name or told to go by it.
pub(crate) fn arguments(command_line: &[OsString]) -> Option<&[OsString]> {
    let (program, arguments) = command_line.split_first()?;
    if Path::new(program).file_stem() == Some(OsStr::new(NAME)) {
        return Some(arguments);
    }
    match arguments {
        [flag, name, arguments @ ..] if flag == "--compat" && name == NAME => Some(arguments),
        [flag, arguments @ ..] if flag == "--compat=minerd" => Some(arguments),
        _ => None,
    }
}

/// The flags, for the manual.
pub(crate) fn command() -> clap::Command {
    Flags::command().name(NAME)
}

/// Mines, or measures, as minerd would.
pub(crate) fn run(arguments: &[OsString], printer: &Printer) -> Result<(), Failure> {
    let flags = Flags::read(arguments, printer)?;
    let mut voice = Voice::new(&flags, printer.clone())?;
    if flags.benchmark {
        let choice = choose::choose(&flags.hash_args())?;
        return benchmark::run(choice, &mut voice);
    }
    let (output, mut args) = flags.as_mine()?;
    let logs = Logs::init(&output, printer.clone());
    let mut out = Output::new(&output, printer.clone(), logs);
    let mut plan = args.plan(&mut out)?;
    match &mut plan.upstream {
        Upstream::Pools(pools) => {
            pools.give_up = flags.give_up();
            pools.limits.backoff_first = flags.retry_pause();
            pools.limits.backoff_cap = flags.retry_pause();
        }
        Upstream::Nodes(nodes) => nodes.give_up = flags.give_up(),
    }
    voice.started(plan.choice.config.threads);
    let (_, commands) = mpsc::unbounded_channel();
    let (_, mut pool_news) = mpsc::unbounded_channel();
    let views = Views::new(voice);
    let end = runtime::block_on(mining::run(plan.into_setup(), views, commands, &mut pool_news))?;
    outcome(end)
}
