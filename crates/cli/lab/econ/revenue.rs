//! Topics `hashprice`, `breakeven` and `payback`: what hashing takes in, and what is left of it.

use midstate_economics::hardware::{self, Device};
use midstate_economics::hashprice::{
    self, Operation, break_even, revenue_per_mw_year, revenue_per_mwh,
};
use midstate_economics::inputs::Inputs;
use midstate_economics::supply;
use midstate_economics::units::{
    Dollars, DollarsPerKwh, DollarsPerTerahashDay, JoulesPerTerahash, grouped,
};
use serde_json::json;

use super::sheet::Sheet;
use crate::lab::inputs::number;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::values::{leaving, not_negative, positive, share};

/// Efficiencies of well-known machines, from today's best to 2016's.
const CLASSES: [f64; 10] = [9.5, 12.0, 13.5, 15.0, 17.5, 18.5, 21.5, 29.5, 45.0, 98.0];

/// Flags of `econ hashprice`.
#[derive(clap::Args, Debug)]
pub(super) struct HashpriceArgs {
    /// An earlier hashprice, $ per PH/s and day, to compare with
    #[arg(long, value_name = "USD", value_parser = positive)]
    before: Option<f64>,
    /// A miner's cost of power, $ per PH/s and day: what price of power is that?
    #[arg(long, value_name = "USD", value_parser = not_negative)]
    cost: Option<f64>,
    /// Efficiency for --cost and --equilibrium, J/TH
    #[arg(long, value_name = "J/TH", value_parser = positive, default_value_t = 17.5)]
    efficiency: f64,
    /// Share of the network that leaves: what do the others earn after the retarget?
    #[arg(long, value_name = "SHARE", value_parser = leaving)]
    exit: Option<f64>,
    /// Price of power, $/kWh: how large can the network grow before it earns only its power?
    #[arg(long, value_name = "USD", value_parser = positive)]
    equilibrium: Option<f64>,
}

/// Flags of `econ breakeven`.
#[derive(clap::Args, Debug)]
pub(super) struct BreakevenArgs {
    /// Efficiencies, J/TH, separated by commas [default: ten machines from 2016 to 2026]
    #[arg(long, value_name = "J/TH", value_delimiter = ',', value_parser = positive)]
    efficiency: Vec<f64>,
    /// Watts at the meter for each watt at the machine
    #[arg(long, value_name = "RATIO", value_parser = positive, default_value_t = 1.0)]
    pue: f64,
}

/// Flags of `econ payback`.
#[derive(clap::Args, Debug)]
pub(super) struct PaybackArgs {
    /// A machine of the hardware table, by any part of its name
    #[arg(long, value_name = "NAME", default_value = "Antminer S21 XP")]
    rig: String,
    /// Price of the machine, $ [default: its TH/s at the shipped price]
    #[arg(long, value_name = "USD", value_parser = positive)]
    cost: Option<f64>,
    /// Watts at the meter for each watt at the machine
    #[arg(long, value_name = "RATIO", value_parser = positive, default_value_t = 1.0)]
    pue: f64,
    /// Share of the revenue that the pool keeps
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.02)]
    pool_fee: f64,
    /// Share of the time that it runs
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.98)]
    uptime: f64,
}

pub(super) fn hashprice(args: &HashpriceArgs, inputs: &Inputs, out: &mut Output) {
    let mut sheet = Sheet::new("hashprice", out);
    let (reward, price, network) = (inputs.reward(), inputs.price(), inputs.network());
    sheet.given("price", &inputs.price);
    sheet.given("network", &inputs.network);
    sheet.given("hashprice", &inputs.hashprice);
    sheet.step(
        "hashprice from the price",
        "(subsidy + fees) x 144 blocks x price / network",
        format!("{} BTC x 144 x {} / {} PH/s", reward.0, price.0, number(network.0 / 1e15)),
        hashprice::hashprice(reward, price, network).petahash(),
        "$ per PH/s and day",
    );
    let given = inputs.hashprice();
    let implied = hashprice::implied_price(given, network, reward);
    sheet.step_or_reason(
        "price of a bitcoin that the hashprice stands for",
        "hashprice x network / ((subsidy + fees) x 144)",
        format!(
            "{} x {} PH/s / ({} x 144)",
            number(given.petahash()),
            number(network.0 / 1e15),
            reward.0
        ),
        implied
            .map(|price| price.0)
            .ok_or("a block brings no coins: it says nothing of their price"),
        "$, with all fees inside that are not in --fees",
    );
    if let Some(before) = args.before {
        sheet.step(
            "change of hashprice",
            "now / before - 1",
            format!("{} / {before} - 1", number(given.petahash())),
            (given.petahash() / before - 1.0) * 100.0,
            "%",
        );
    }
    let efficiency = JoulesPerTerahash(args.efficiency);
    if let Some(cost) = args.cost {
        sheet.step(
            "price of power that a cost stands for",
            "cost per EH/s and day / (MW of 1 EH/s x 24 h)",
            format!("{} / ({} x 24)", grouped(cost * 1e3, 0), args.efficiency),
            hashprice::implied_power_price(Dollars(cost * 1e3), efficiency).0,
            "$/MWh",
        );
        sheet.step(
            "gross profit",
            "hashprice - cost",
            format!("{} - {cost}", number(given.petahash())),
            given.petahash() - cost,
            "$ per PH/s and day",
        );
    }
    if let Some(exit) = args.exit {
        sheet.step(
            "hashprice after the exit and the retarget",
            "hashprice / (1 - exit)",
            format!("{} / (1 - {exit})", number(given.petahash())),
            hashprice::after_exit(given, exit).petahash(),
            "$ per PH/s and day",
        );
        sheet.say("  Until the retarget it stays what it was: a hash earns by the difficulty.");
    }
    if let Some(power) = args.equilibrium {
        let income = Dollars(supply::per_day(inputs.height()).btc().0 * price.0);
        let limit = hashprice::equilibrium_rate(income, efficiency, DollarsPerKwh(power));
        sheet.step(
            "network that earns only its power",
            "$ a day / (0.024 x J/TH x $/kWh)",
            format!("{} / (0.024 x {} x {power}) TH/s", grouped(income.0, 0), args.efficiency),
            limit.exa(),
            "EH/s",
        );
        sheet.say("  More machines than that find no more coins: they share the same ones.");
    }
}

pub(super) fn breakeven(args: &BreakevenArgs, inputs: &Inputs, out: &mut Output) {
    let mut sheet = Sheet::new("breakeven", out);
    sheet.given("hashprice", &inputs.hashprice);
    let hashprice = inputs.hashprice();
    let efficiencies = if args.efficiency.is_empty() { &CLASSES[..] } else { &args.efficiency };
    let shown = efficiencies.iter().copied().find(|e| *e == 17.5).unwrap_or(efficiencies[0]);
    let efficiency = JoulesPerTerahash(shown);
    let per_terahash = number(hashprice.0);
    sheet.step(
        &format!("revenue of a MWh at {shown} J/TH"),
        "hashprice [$/TH/day] x 10^6 / (24 x J/TH)",
        format!("{per_terahash} x 10^6 / (24 x {shown})"),
        revenue_per_mwh(hashprice, efficiency).0,
        "$/MWh",
    );
    sheet.step(
        &format!("break-even price of power at {shown} J/TH"),
        "hashprice [$/TH/day] x 10^5 / (24 x J/TH x PUE)",
        format!("{per_terahash} x 10^5 / (24 x {shown} x {})", args.pue),
        break_even(hashprice, efficiency, args.pue).cents(),
        "c/kWh",
    );
    let row = |&efficiency: &f64| {
        let efficiency = JoulesPerTerahash(efficiency);
        let per_mwh = revenue_per_mwh(hashprice, efficiency).0;
        let cents = break_even(hashprice, efficiency, args.pue).cents();
        let per_year = revenue_per_mw_year(hashprice, efficiency).0;
        vec![
            ("J/TH", number(efficiency.0), json!(efficiency.0)),
            ("$/MWh", format!("{per_mwh:.1}"), json!(per_mwh)),
            ("break-even c/kWh", format!("{cents:.1}"), json!(cents)),
            ("million $/MW-year", format!("{:.2}", per_year / 1e6), json!(per_year / 1e6)),
        ]
    };
    sheet.table(&efficiencies.iter().map(row).collect::<Vec<_>>());
}

pub(super) fn payback(
    args: &PaybackArgs,
    inputs: &Inputs,
    out: &mut Output,
) -> Result<(), Failure> {
    let device = find_rig(&args.rig)?;
    let Some(power) = device.power else {
        return Err(Failure::usage(format!("{}: its power is not published", device.name)));
    };
    let power = power.band().high;
    let cost = Dollars(args.cost.unwrap_or(inputs.rig_price.value * device.rate.tera()));
    let electricity = inputs.electricity();
    let operation = Operation {
        rate: device.rate,
        power,
        electricity,
        pue: args.pue,
        pool_fee: args.pool_fee,
        uptime: args.uptime,
    };

    let mut sheet = Sheet::new("payback", out);
    sheet.say(format!("{}: {}, {} ({})", device.name, device.rate, power, device.source));
    sheet.given("hashprice", &inputs.hashprice);
    sheet.given("electricity", &inputs.electricity);
    if args.cost.is_none() {
        sheet.given("machine", &inputs.rig_price);
    }
    steps_of(&operation, inputs.hashprice(), &mut sheet);
    let profit = operation.profit_per_day(inputs.hashprice());
    match operation.payback_days(cost, inputs.hashprice()) {
        Some(days) => {
            sheet.step(
                "payback",
                "cost / profit a day",
                format!("{cost} / {profit}"),
                days,
                "days, if hashprice stood still",
            );
            sheet.say(
                "  It does not: it fell by a third in 2025, and a halving takes half at once.",
            );
        }
        None => sheet.say("\npayback: never, every day loses money"),
    }
    Ok(())
}

fn steps_of(operation: &Operation, hashprice: DollarsPerTerahashDay, sheet: &mut Sheet<'_>) {
    let Operation { rate, power, electricity, pue, pool_fee, uptime } = *operation;
    sheet.step(
        "revenue a day",
        "TH/s x hashprice x (1 - pool fee) x uptime",
        format!("{} x {} x (1 - {pool_fee}) x {uptime}", number(rate.tera()), number(hashprice.0)),
        operation.revenue_per_day(hashprice).0,
        "$",
    );
    sheet.step(
        "power a day",
        "kW x 24 h x $/kWh x PUE x uptime",
        format!("{} x 24 x {} x {pue} x {uptime}", power.0 / 1e3, electricity.0),
        operation.power_per_day().0,
        "$",
    );
    sheet.step("profit a day", "revenue - power", "", operation.profit_per_day(hashprice).0, "$");
}

/// The device whose name is `part`, or else the first that contains it.
pub(super) fn find_rig(part: &str) -> Result<Device, Failure> {
    let devices = hardware::devices();
    let lower = part.to_lowercase();
    let exact = devices.iter().find(|device| device.name.to_lowercase() == lower);
    let found =
        exact.or_else(|| devices.iter().find(|device| device.name.to_lowercase().contains(&lower)));
    found.cloned().ok_or_else(|| {
        Failure::usage(format!("no device is named {part:?}; `midstate asic --json` lists them"))
    })
}
