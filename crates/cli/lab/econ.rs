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
    /// What a day of 1 PH/s takes in, and what price of a bitcoin that stands for
    #[command(after_help = "Example: midstate econ hashprice --before 55")]
    Hashprice(revenue::HashpriceArgs),
    /// The power price at which a machine earns nothing
    #[command(after_help = "Example: midstate econ breakeven --efficiency 17.5 --hashprice 38.7")]
    Breakeven(revenue::BreakevenArgs),
    /// The schedule of new coins, and what a halving asks of price and hash rate
    #[command(after_help = "Example: midstate econ halving --years 4")]
    Halving(supply::Args),
    /// Difficulty: a given change explained, or fleets that switch off and on under the real rule
    #[command(after_help = "Example: midstate econ retarget --replay us-exit")]
    Retarget(retarget::Args),
    /// How long until a block, and how sure of it
    #[command(after_help = "Example: midstate econ odds --rate 86000000 --days 30")]
    Odds(odds::OddsArgs),
    /// What a share of blocks says, and what a pool changes for its members
    #[command(after_help = "Example: midstate econ pools --before 0.4 --after 0.35")]
    Pools(odds::PoolsArgs),
    /// Rigs, hash rate and gigawatts of a site or of the network
    #[command(after_help = "Example: midstate econ site --megawatts 100 --efficiency 17.5,25")]
    Site(power::SiteArgs),
    /// Mine with a megawatt, or rent it out
    #[command(after_help = "Example: midstate econ host --megawatts 245 --years 15")]
    Host(power::HostArgs),
    /// A site with a tenant and miners, hour by hour over a list of power prices
    #[command(after_help = "Example: midstate econ dispatch --megawatts 100 --hosted 40")]
    Dispatch(power::DispatchArgs),
    /// Days until a machine has paid for itself
    #[command(after_help = "Example: midstate econ payback --rig S21 --electricity 0.05")]
    Payback(revenue::PaybackArgs),
    /// What articles about mining claim, computed again
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
