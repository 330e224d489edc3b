//! What the formulas of `econ` and `asic` are fed with: the dated snapshot that ships, overridden
//! by flags. Nothing is fetched.

use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::str::FromStr;

use midstate_chain::{DifficultyError, Target};
use midstate_economics::hashprice::hashprice;
use midstate_economics::inputs::{Input, Inputs};
use midstate_economics::odds::network_rate;
use midstate_economics::units::{grouped, significant};

use crate::exit::Failure;
use crate::output::Output;
use crate::prose::wrap;

/// Flags that replace the shipped values.
#[derive(clap::Args, Debug, Clone)]
pub(crate) struct InputArgs {
    /// Difficulty of mainnet
    #[arg(long, global = true, value_name = "D", value_parser = positive)]
    difficulty: Option<f64>,
    /// Hash rate of mainnet, EH/s
    #[arg(long, global = true, value_name = "EH/S", value_parser = positive)]
    network: Option<f64>,
    /// Price of a bitcoin, $
    #[arg(long, global = true, value_name = "USD", value_parser = positive)]
    price: Option<f64>,
    /// Fees in a block, BTC
    #[arg(long, global = true, value_name = "BTC", value_parser = not_negative)]
    fees: Option<f64>,
    /// Hashprice, $ per PH/s and day [default: from price, fees and network where any is given]
    #[arg(long, global = true, value_name = "USD", value_parser = positive)]
    hashprice: Option<f64>,
    /// Height of mainnet
    #[arg(long, global = true, value_name = "HEIGHT",
          value_parser = clap::value_parser!(u32).range(..=10_000_000))]
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
        if self.difficulty.is_some() && self.network.is_none() {
            inputs.network.value = network_rate(target(&inputs)?).exa();
            "the difficulty that was given".clone_into(&mut inputs.network.source);
        }
        inputs.hashprice.overridden(self.hashprice);
        let given = [self.price, self.fees, self.network, self.difficulty];
        let given = given.iter().any(Option::is_some) || self.height.is_some();
        if self.hashprice.is_none() && given {
            let computed = hashprice(inputs.reward(), inputs.price(), inputs.network());
            inputs.hashprice.value = computed.petahash();
            "reward, price and network".clone_into(&mut inputs.hashprice.source);
        }
        Ok(inputs)
    }
}

/// Mainnet's target, or why there is none.
pub(crate) fn target(inputs: &Inputs) -> Result<Target, Failure> {
    inputs
        .target()
        .map_err(|error: DifficultyError| Failure::usage(format!("--difficulty: {error}")))
}

/// Says a value and where it is from.
pub(crate) fn say_source(name: &str, input: &Input, out: &mut Output) {
    let text = format!("{name} {} {} ({})", number(input.value), input.unit, origin(input));
    for (index, line) in wrap(&text, 94).iter().enumerate() {
        out.line(format!("{:indent$}{line}", "", indent = if index == 0 { 2 } else { 4 }));
    }
}

/// Date and source, or the flag that it came from.
pub(crate) fn origin(input: &Input) -> String {
    match Inputs::shipped() {
        shipped if shipped_sources(&shipped).contains(&input.source.as_str()) => {
            format!("{}: {}", input.date, input.source)
        }
        _ => format!("from {}", input.source),
    }
}

fn shipped_sources(inputs: &Inputs) -> [&str; 10] {
    [
        &inputs.difficulty,
        &inputs.height,
        &inputs.hashprice,
        &inputs.network,
        &inputs.price,
        &inputs.fees,
        &inputs.electricity,
        &inputs.household,
        &inputs.rig_price,
        &inputs.testnet4_difficulty,
    ]
    .map(|input| input.source.as_str())
}

/// A number as it is put into a formula: exact where that is short, else five digits.
pub(crate) fn number(value: f64) -> String {
    const PREFIXES: [(f64, &str); 4] = [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G")];
    let size = value.abs();
    let short = |value: f64| {
        let text = format!("{value:.5}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match PREFIXES.iter().find(|(scale, _)| (1e9..1e21).contains(&size) && size >= *scale) {
        Some((scale, prefix)) => format!("{} {prefix}", short(value / scale)),
        None if value == value.trunc() && size < 1e9 => grouped(value, 0),
        None if (1e-3..1e6).contains(&size) => short(value),
        None => significant(value),
    }
}

/// Sizes of numbers that a flag takes. No quantity of mining is outside them, and inside them no
/// formula of a few factors leaves what an `f64` holds.
const SIZES: RangeInclusive<f64> = 1e-30..=1e30;

/// A flag's value above zero.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    parse(text, |value| SIZES.contains(&value), "a number above 0, from 1e-30 to 1e30")
}

/// A flag's count of what there has to be one of.
pub(crate) fn at_least_one<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "expected a whole number, 1 or more".to_owned())
}

/// The same as a plain number.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    at_least_one(text).map(NonZeroU64::get)
}

/// A flag's hash rate: hashes per second, above zero, with a unit from k to E or without.
pub(crate) fn hash_rate(text: &str) -> Result<f64, String> {
    const UNITS: &str = "kMGTPE";
    let unit = text.char_indices().next_back();
    let (digits, unit) = match unit.map(|(at, unit)| (at, UNITS.find(unit))) {
        Some((at, Some(place))) => (&text[..at], 1000f64.powi(place as i32 + 1)),
        _ => (text, 1.0),
    };
    let rate = digits.parse().ok().map(|rate: f64| rate * unit);
    rate.filter(|rate| SIZES.contains(rate))
        .ok_or_else(|| "expected hashes per second, as 50000, 1.5M or 200T".to_owned())
}

/// A flag's value, zero or more.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    let good = |value| value == 0.0 || SIZES.contains(&value);
    parse(text, good, "a number, 0 or more (from 1e-30 to 1e30)")
}

/// A flag's value from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    parse(text, |value| (0.0..=1.0).contains(&value), "a share from 0 to 1, such as 0.35")
}

/// A flag's share that leaves enough machines for the next retarget to come within four years, and
/// somebody to earn what the others leave.
pub(crate) fn leaving(text: &str) -> Result<f64, String> {
    parse(text, |value| (0.0..=0.99).contains(&value), "a share from 0 to 0.99, such as 0.35")
}

/// A flag's yearly growth: less than all of it can be lost.
pub(crate) fn growth(text: &str) -> Result<f64, String> {
    let good = |value| value > -1.0 && value <= *SIZES.end();
    parse(text, good, "a yearly growth above -1 (which is -100 %), such as 0.5 for 50 %")
}

/// A flag's years, for a root of that order.
pub(crate) fn years(text: &str) -> Result<f64, String> {
    parse(text, |value| (0.1..=1e3).contains(&value), "a number of years from 0.1 to 1000")
}

/// A flag's yearly deviation of a logarithm: with ten, a price may lose or win all its digits.
pub(crate) fn volatility(text: &str) -> Result<f64, String> {
    let expected = "a yearly deviation from 0 to 10, where 0.5 is bitcoin's";
    parse(text, |value| (0.0..=10.0).contains(&value), expected)
}

fn parse(text: &str, good: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if f64::is_finite(value) && good(value) => Ok(value),
        _ => Err(format!("expected {expected}")),
    }
}
