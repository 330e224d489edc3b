//! `midstate econ`: the arithmetic of mining, worked out in the open. Each topic prints its
//! formula, the same with the numbers put in, and the result.

mod claims;
mod odds;
mod power;
mod retarget;
mod revenue;
mod sheet;
mod supply;

use clap::Subcommand;

use crate::lab::inputs::InputArgs;
use crate::shell::exit::Failure;
use crate::shell::output::Output;

/// Flags of `econ`.
///
/// Inputs are a dated snapshot that ships with the program; every one can be replaced by a flag.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midstate econ breakeven --efficiency 17.5 --hashprice 38.7")]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: InputArgs,
    #[command(subcommand)]
    topic: Topic,
}

#[derive(Subcommand, Debug)]
enum Topic {
    /// The income of 1 PH/s in a day, and the price of a bitcoin that follows from it
    #[command(after_help = "Example: midstate econ hashprice --before 55")]
    Hashprice(revenue::HashpriceArgs),
    /// The power price at which a machine earns nothing
    #[command(after_help = "Example: midstate econ breakeven --efficiency 17.5 --hashprice 38.7")]
    Breakeven(revenue::BreakevenArgs),
    /// The schedule of new coins, and the growth that makes up for a halving
    #[command(after_help = "Example: midstate econ halving --years 4")]
    Halving(supply::Args),
    /// How difficulty follows hash rate: a change explained, the history, or a simulation
    #[command(after_help = "Example: midstate econ retarget --replay us-exit")]
    Retarget(retarget::Args),
    /// How long a block takes, how sure that is, and how long luck takes to even out
    #[command(after_help = "Example: midstate econ odds --rate 86000000 --days 30")]
    Odds(odds::OddsArgs),
    /// How much of a pool's share of blocks is luck, and how a pool changes the luck of its members
    #[command(after_help = "Example: midstate econ pools --before 0.4 --after 0.35")]
    Pools(odds::PoolsArgs),
    /// Rigs, hash rate and gigawatts of a site or of the network
    #[command(after_help = "Example: midstate econ site --megawatts 100 --efficiency 17.5,25")]
    Site(power::SiteArgs),
    /// Mine with a megawatt, or rent it out
    #[command(after_help = "Example: midstate econ host --megawatts 245 --years 15")]
    Host(power::HostArgs),
    /// A site that serves a tenant, mines or sells its power, hour by hour by the price
    #[command(after_help = "Example: midstate econ dispatch --megawatts 100 --hosted 40")]
    Dispatch(power::DispatchArgs),
    /// Days until a machine has paid for itself
    #[command(after_help = "Example: midstate econ payback --rig S21 --electricity 0.05")]
    Payback(revenue::PaybackArgs),
    /// Claims of articles about mining, computed and judged
    #[command(after_help = "Example: midstate econ claims halving")]
    Claims(claims::Args),
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let inputs = args.inputs.resolve()?;
    match args.topic {
        Topic::Hashprice(args) => revenue::hashprice(&args, &inputs, out),
        Topic::Breakeven(args) => revenue::breakeven(&args, &inputs, out),
        Topic::Halving(args) => supply::run(&args, &inputs, out),
        Topic::Retarget(args) => retarget::run(&args, &inputs, out)?,
        Topic::Odds(args) => odds::odds(&args, &inputs, out)?,
        Topic::Pools(args) => odds::pools(&args, &inputs, out)?,
        Topic::Site(args) => power::site(&args, &inputs, out),
        Topic::Host(args) => power::host(&args, &inputs, out),
        Topic::Dispatch(args) => power::dispatch(&args, &inputs, out)?,
        Topic::Payback(args) => revenue::payback(&args, &inputs, out)?,
        Topic::Claims(args) => claims::run(&args, out)?,
    }
    Ok(())
}
