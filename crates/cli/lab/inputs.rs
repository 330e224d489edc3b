//! The inputs of the formulas of `econ` and `asic`: the dated snapshot that ships, overridden by
//! flags. Nothing is fetched.

use midstate_chain::{DifficultyError, Target};
use midstate_economics::inputs::{Input, Inputs};
use midstate_economics::units::{grouped, significant};

use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::values::{large, not_negative, positive, whole};

/// Flags that replace the shipped values.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Inputs, in place of the shipped ones")]
pub(crate) struct InputArgs {
    /// Difficulty of mainnet
    #[arg(long, global = true, value_name = "D", value_parser = positive)]
    difficulty: Option<f64>,
    /// Hash rate of mainnet, EH/s [default: from the difficulty]. Given alone, it sets the
    /// difficulty
    #[arg(long, global = true, value_name = "EH/S", value_parser = large)]
    network: Option<f64>,
    /// Price of a bitcoin, $, as 68800
    #[arg(long, global = true, value_name = "USD", value_parser = large)]
    price: Option<f64>,
    /// Fees in a block, BTC
    #[arg(long, global = true, value_name = "BTC", value_parser = not_negative)]
    fees: Option<f64>,
    /// Hashprice, $ per PH/s and day [default: from price, fees and network]
    #[arg(long, global = true, value_name = "USD", value_parser = positive)]
    hashprice: Option<f64>,
    /// Height of mainnet
    #[arg(long, global = true, value_name = "HEIGHT",
          value_parser = whole(0..=10_000_000_u32, 900_000))]
    height: Option<u32>,
    /// Price of power, $/kWh
    #[arg(long, global = true, value_name = "USD", value_parser = not_negative)]
    electricity: Option<f64>,
}

impl InputArgs {
    /// The snapshot with what was given in place, and what follows from it.
    pub(crate) fn resolve(&self) -> Result<Inputs, Failure> {
        let mut inputs = Inputs::shipped();
        inputs.difficulty.overridden(self.difficulty);
        inputs.price.overridden(self.price);
        inputs.fees.overridden(self.fees);
        inputs.height.overridden(self.height.map(f64::from));
        inputs.electricity.overridden(self.electricity);
        inputs.household.overridden(self.electricity);
        inputs.network.overridden(self.network);
        match (self.difficulty, self.network) {
            (Some(_), None) => {
                inputs.derive_network().map_err(wrong_difficulty)?;
                "the difficulty that was given".clone_into(&mut inputs.network.source);
            }
            (None, Some(_)) => {
                inputs.derive_difficulty();
                "the network that was given".clone_into(&mut inputs.difficulty.source);
            }
            _ => {}
        }
        inputs.hashprice.overridden(self.hashprice);
        let given = [self.price, self.fees, self.network, self.difficulty];
        let given = given.iter().any(Option::is_some) || self.height.is_some();
        if self.hashprice.is_none() && given {
            inputs.derive_hashprice();
            "reward, price and network".clone_into(&mut inputs.hashprice.source);
        }
        Ok(inputs)
    }
}

/// Mainnet's target, or why there is none.
pub(crate) fn target(inputs: &Inputs) -> Result<Target, Failure> {
    inputs.target().map_err(wrong_difficulty)
}

fn wrong_difficulty(error: DifficultyError) -> Failure {
    Failure::usage(format!("--difficulty: {error}"))
}

/// Says a value and where it is from.
pub(crate) fn say_source(name: &str, input: &Input, out: &mut Output) {
    out.text(format!("  {name} {} {} ({})", number(input.value), input.unit, origin(input)));
}

/// Date and source, or the flag that it came from.
pub(crate) fn origin(input: &Input) -> String {
    let is_shipped = Inputs::shipped().all().iter().any(|shipped| shipped.source == input.source);
    match is_shipped {
        true => format!("{}: {}", input.date, input.source),
        false if input.is_given() => input.source.clone(),
        false => format!("from {}", input.source),
    }
}

/// A number as it is put into a formula: exact where that is short, else six digits.
pub(crate) fn number(value: f64) -> String {
    const PREFIXES: [(f64, &str); 4] = [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G")];
    let size = value.abs();
    let short = |value: f64| {
        let digits = value.abs().max(1.0).log10().floor() as usize;
        let text = grouped(value, 5usize.saturating_sub(digits));
        match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        }
    };
    match PREFIXES.iter().find(|(scale, _)| (1e9..1e21).contains(&size) && size >= *scale) {
        Some((scale, prefix)) => format!("{} {prefix}", short(value / scale)),
        None if value == value.trunc() && size < 1e9 => grouped(value, 0),
        None if (1e-3..1e6).contains(&size) => short(value),
        None => significant(value),
    }
}
