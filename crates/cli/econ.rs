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

use crate::exit::Failure;
use crate::inputs::InputArgs;
use crate::output::Output;
pub(crate) use retarget::history_chart;

/// Flags of `econ`.
///
/// Inputs are a dated snapshot that ships with the program; every one can be replaced by a flag.
///
/// Example: midstate econ breakeven --efficiency 17.5 --hashprice 38.7
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    inputs: InputArgs,
    #[command(subcommand)]
    topic: Topic,
}

#[derive(Subcommand, Debug)]
enum Topic {
    /// What a day of 1 PH/s takes in, and what price of a bitcoin that stands for
    Hashprice(revenue::HashpriceArgs),
    /// The power price at which a machine earns nothing
    Breakeven(revenue::BreakevenArgs),
    /// The schedule of new coins, and what a halving asks of price and hash rate
    Halving(supply::Args),
    /// Difficulty: a given change explained, or fleets that switch off and on under the real rule
    Retarget(retarget::Args),
    /// How long until a block, and how sure of it
    Odds(odds::OddsArgs),
    /// What a share of blocks says, and what a pool changes for its members
    Pools(odds::PoolsArgs),
    /// Rigs, hash rate and gigawatts of a site or of the network
    Site(power::SiteArgs),
    /// Mine with a megawatt, or rent it out
    Host(power::HostArgs),
    /// A site with a tenant and miners, hour by hour over a list of power prices
    Dispatch(power::DispatchArgs),
    /// Days until a machine has paid for itself
    Payback(revenue::PaybackArgs),
    /// What articles about mining claim, computed again
    Claims,
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
        Topic::Claims => claims::run(out),
    }
    Ok(())
}
