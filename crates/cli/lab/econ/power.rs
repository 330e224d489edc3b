//! Topics `site`, `host` and `dispatch`: what to do with a megawatt.

use std::path::PathBuf;

use anyhow::Context;
use midstate_economics::dispatch::{Plan, parse_prices};
use midstate_economics::figures::figure;
use midstate_economics::hashprice::revenue_per_mwh;
use midstate_economics::host::{Contract, Mine};
use midstate_economics::inputs::Inputs;
use midstate_economics::site::Site;
use midstate_economics::supply;
use midstate_economics::units::{
    Dollars, DollarsPerMwh, HOURS_PER_YEAR, HashesPerSecond, JoulesPerTerahash, Watts, grouped, si,
    significant,
};
use serde_json::json;

use super::sheet::Sheet;
use crate::lab::inputs::number;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::units;
use crate::shell::values::{count, hash_rate, not_negative, positive, share, whole};

/// A week of made-up prices: cheap at noon, dear in the evening, one evening of scarcity.
const EXAMPLE_WEEK: &str = include_str!("example-week.csv");

/// Flags of `econ site`.
#[derive(clap::Args, Debug)]
pub(super) struct SiteArgs {
    /// Share of the network
    #[arg(long, value_name = "SHARE", value_parser = share, group = "size")]
    share: Option<f64>,
    /// Hash rate, EH/s
    #[arg(long, value_name = "EH/S", value_parser = positive, group = "size")]
    exahash: Option<f64>,
    /// Power at the meter, MW [default: 100]
    #[arg(long, value_name = "MW", value_parser = positive, group = "size")]
    megawatts: Option<f64>,
    /// Number of rigs
    #[arg(long, value_name = "N", value_parser = count, group = "size")]
    rigs: Option<u64>,
    /// Rate of one rig, hashes per second
    #[arg(long, value_name = "H/S", value_parser = hash_rate, default_value = "200T")]
    rig_rate: f64,
    /// Efficiencies, J/TH, separated by commas
    #[arg(long, value_name = "J/TH", value_delimiter = ',', value_parser = positive,
          default_values_t = [17.5])]
    efficiency: Vec<f64>,
    /// Watts at the meter for each watt at the machines
    #[arg(long, value_name = "RATIO", value_parser = positive, default_value_t = 1.0)]
    pue: f64,
}

/// Flags of `econ host`: the shipped numbers are those of Hut 8's contract of December 2025.
#[derive(clap::Args, Debug)]
pub(super) struct HostArgs {
    /// Income of the whole contract, $
    #[arg(long, value_name = "USD", value_parser = positive, default_value = "7e9")]
    contract: f64,
    /// Years of the contract
    #[arg(long, value_name = "YEARS", default_value_t = 15,
          value_parser = whole(1..=100_u32, 15))]
    years: u32,
    /// Megawatts of computers
    #[arg(long, value_name = "MW", value_parser = positive, default_value_t = 245.0)]
    megawatts: f64,
    /// Megawatts at the meter, cooling included
    #[arg(long, value_name = "MW", value_parser = positive, default_value_t = 330.0)]
    utility_megawatts: f64,
    /// Share of the rent that is left after costs
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.985)]
    margin: f64,
    /// Cost of the hall for 1 MW at the meter, $
    #[arg(long, value_name = "USD", value_parser = not_negative, default_value = "5e6")]
    capex: f64,
    /// Chance a year that the tenant stops paying
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.0)]
    default_risk: f64,
    /// Efficiency of the miners, J/TH
    #[arg(long, value_name = "J/TH", value_parser = positive, default_value_t = 17.5)]
    efficiency: f64,
    /// Cost of hall and miners for 1 MW at the meter, $
    #[arg(long, value_name = "USD", value_parser = not_negative, default_value_t = 0.325e6)]
    mining_capex: f64,
    /// Share by which hashprice falls in a year
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.10)]
    decline: f64,
    /// Yearly discount rate of later income
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.10)]
    discount: f64,
}

/// Flags of `econ dispatch`.
#[derive(clap::Args, Debug)]
pub(super) struct DispatchArgs {
    /// Hourly prices: a CSV with $/MWh in its last column [default: a made-up week]
    #[arg(value_name = "CSV")]
    prices: Option<PathBuf>,
    /// Power of the connection, MW
    #[arg(long, value_name = "MW", value_parser = positive, default_value_t = 100.0)]
    megawatts: f64,
    /// Power of the tenant, MW: served first
    #[arg(long, value_name = "MW", value_parser = not_negative, default_value_t = 40.0)]
    hosted: f64,
    /// Rent that the tenant pays, power included, $/MWh
    #[arg(long, value_name = "USD", value_parser = not_negative, default_value_t = 161.0)]
    rent: f64,
    /// Efficiency of the miners, J/TH
    #[arg(long, value_name = "J/TH", value_parser = positive, default_value_t = 17.5)]
    efficiency: f64,
    /// Watts at the meter for each watt at the miners
    #[arg(long, value_name = "RATIO", value_parser = positive, default_value_t = 1.0)]
    pue: f64,
    /// Power is bought ahead at this price, $/MWh, and sold back when it is not used
    #[arg(long, value_name = "USD", value_parser = not_negative)]
    ahead: Option<f64>,
    /// Credits that a miner reports for power not used, $
    #[arg(long, value_name = "USD", value_parser = not_negative, requires = "curtailed_mwh",
          conflicts_with = "prices")]
    credits: Option<f64>,
    /// The energy of those credits, MWh
    #[arg(long, value_name = "MWH", value_parser = positive, requires = "credits")]
    curtailed_mwh: Option<f64>,
}

pub(super) fn site(args: &SiteArgs, inputs: &Inputs, out: &mut Output) {
    let mut sheet = Sheet::new("site", out);
    sheet.given("network", &inputs.network);
    let (network, pue) = (inputs.network(), args.pue);
    let rig = HashesPerSecond(args.rig_rate);
    let site = |efficiency: f64| {
        let efficiency = JoulesPerTerahash(efficiency);
        let megawatts = args.megawatts.unwrap_or(100.0);
        let rate = match (args.share, args.exahash, args.rigs) {
            (Some(share), ..) => network * share,
            (_, Some(exahash), _) => HashesPerSecond::from_exa(exahash),
            (.., Some(rigs)) => rig * rigs as f64,
            _ => return Site::for_power(Watts::from_mega(megawatts), efficiency, pue),
        };
        Site { rate, efficiency, pue }
    };
    let first = site(args.efficiency[0]);
    let (rate, efficiency) = (number(first.rate.exa()), args.efficiency[0]);
    sheet.step(
        "hash rate",
        "power / (J/TH x PUE)",
        format!("{}W / ({efficiency} x {pue})", si(first.power().0)),
        first.rate.exa(),
        &format!("EH/s, {:.2} % of the network", first.share_of(network) * 100.0),
    );
    sheet.step(
        "power at the meter",
        "hash rate x J/TH x PUE",
        format!("{rate} EH/s x {efficiency} x {pue}"),
        first.power().mega(),
        "MW",
    );
    sheet.step(
        "rigs",
        "hash rate / rate of one",
        format!("{rate} EH/s / {rig}"),
        first.rigs(rig),
        "rigs",
    );
    let coins = supply::per_day(inputs.height()).btc().0 * first.share_of(network);
    sheet.step(
        "coins a day, on average",
        "share of the network x 144 x subsidy",
        format!("{:.5} x {}", first.share_of(network), supply::per_day(inputs.height())),
        coins,
        "BTC",
    );
    let row = |&efficiency: &f64| {
        let site = site(efficiency);
        let exahash = site.rate.exa();
        let per_day = site.power().mega() * 24.0 * inputs.electricity().per_mwh().0;
        vec![
            ("J/TH", number(efficiency), json!(efficiency)),
            ("EH/s", number((exahash * 10.0).round() / 10.0), json!(exahash)),
            ("GW", format!("{:.3}", site.power().giga()), json!(site.power().giga())),
            ("rigs", grouped(site.rigs(rig), 0), json!(site.rigs(rig))),
            ("power $ a day", Dollars(per_day).to_string(), json!(per_day)),
        ]
    };
    sheet.table(&args.efficiency.iter().map(row).collect::<Vec<_>>());
}

pub(super) fn host(args: &HostArgs, inputs: &Inputs, out: &mut Output) {
    let (contract, years) = (Dollars(args.contract), f64::from(args.years));
    let per_it = Contract::rent_per_mw_year(contract, years, args.megawatts);
    let per_meter = Contract::rent_per_mw_year(contract, years, args.utility_megawatts);
    let efficiency = JoulesPerTerahash(args.efficiency);
    let hashprice = inputs.hashprice();

    let mut sheet = Sheet::new("host", out);
    sheet.given("hashprice", &inputs.hashprice);
    sheet.given("electricity", &inputs.electricity);
    sheet.step(
        "rent of a MW of computers",
        "contract / years / MW",
        format!("{contract} / {} / {}", args.years, args.megawatts),
        per_it.0 / 1e6,
        "million $ a year",
    );
    sheet.step(
        "rent of a MWh at the meter",
        "contract / years / MW at the meter / 8,760 h",
        format!("{contract} / {} / {} / 8,760", args.years, args.utility_megawatts),
        per_meter.0 / HOURS_PER_YEAR,
        "$/MWh",
    );
    sheet.step(
        "mining's revenue of a MWh at the meter, before power",
        "hashprice [$/TH/day] x 10^6 / (24 x J/TH)",
        format!("{} x 10^6 / (24 x {})", number(hashprice.0), args.efficiency),
        revenue_per_mwh(hashprice, efficiency).0,
        "$/MWh",
    );
    let hosting = Contract {
        per_mw_year: per_meter,
        margin: args.margin,
        term: args.years,
        capex: Dollars(args.capex),
        default_risk: args.default_risk,
    };
    let mining = Mine {
        efficiency,
        electricity: inputs.electricity(),
        hashprice,
        decline: args.decline,
        capex: Dollars(args.mining_capex),
    };
    let (rent, mined) =
        (hosting.present_value(args.discount), mining.present_value(args.years, args.discount));
    sheet.step(
        "present value of hosting with 1 MW at the meter",
        "-capex + sum over years of rent x margin x (1 - default)^y / (1 + discount)^y",
        format!(
            "-{} + sum of {} x {} x (1 - {})^y / (1 + {})^y, {}",
            hosting.capex,
            per_meter,
            args.margin,
            args.default_risk,
            args.discount,
            units::count(args.years, "year")
        ),
        rent.0 / 1e6,
        "million $",
    );
    sheet.step(
        "present value of mining with it",
        "-capex + sum of max(0, revenue x (1 - decline)^(y-1) - power) / (1 + discount)^y",
        format!(
            "-{} + sum of max(0, {} x (1 - {})^(y-1) - {}) / (1 + {})^y",
            mining.capex,
            Dollars(revenue_per_mwh(hashprice, efficiency).0 * HOURS_PER_YEAR),
            args.decline,
            Dollars(inputs.electricity().per_mwh().0 * HOURS_PER_YEAR),
            args.discount
        ),
        mined.0 / 1e6,
        "million $",
    );
    let capital = if args.mining_capex > 0.0 {
        format!("{} times the capital", significant(args.capex / args.mining_capex))
    } else {
        format!("{} and mining nothing", hosting.capex)
    };
    let replaced = figure("replaced");
    let text = format!(
        "Hosting ties up {capital}, and there is no way back: {:.0} % of a mining site's \
         equipment is replaced ({}: {}). The comparison is net of power and building; headlines \
         compare gross income.",
        replaced.value * 100.0,
        replaced.date,
        replaced.source
    );
    sheet.explain(text);
}

pub(super) fn dispatch(
    args: &DispatchArgs,
    inputs: &Inputs,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut sheet = Sheet::new("dispatch", out);
    if let (Some(credits), Some(energy)) = (args.credits, args.curtailed_mwh) {
        sheet.step(
            "credits for each MWh not used",
            "credits / MWh",
            format!("{} / {}", grouped(credits, 0), number(energy)),
            credits / energy,
            "$/MWh",
        );
        let mined = revenue_per_mwh(inputs.hashprice(), JoulesPerTerahash(args.efficiency)).0;
        sheet.step(
            &format!("what mining takes in for it at {} J/TH", args.efficiency),
            "hashprice [$/TH/day] x 10^6 / (24 x J/TH)",
            format!("{} x 10^6 / (24 x {})", number(inputs.hashprice().0), args.efficiency),
            mined,
            "$/MWh",
        );
        return Ok(());
    }
    if args.hosted > args.megawatts {
        return Err(Failure::usage(format!(
            "--hosted {} MW does not fit a connection of {} MW",
            args.hosted, args.megawatts
        )));
    }
    let prices = match &args.prices {
        Some(path) => midstate_net::read_text_file(path)
            .with_context(|| format!("{}: cannot be read", path.display()))?,
        None => EXAMPLE_WEEK.to_owned(),
    };
    let prices = parse_prices(&prices).map_err(|error| Failure::usage(error.to_string()))?;
    let plan = Plan {
        megawatts: args.megawatts,
        hosted: args.hosted,
        rent: DollarsPerMwh(args.rent),
        efficiency: JoulesPerTerahash(args.efficiency),
        hashprice: inputs.hashprice(),
        pue: args.pue,
        bought_ahead: args.ahead.map(DollarsPerMwh),
    };
    sheet.given("hashprice", &inputs.hashprice);
    if args.prices.is_none() {
        sheet.say("  prices: a made-up week of 168 hours; give a CSV for real ones");
    }
    sheet.step(
        "price above which the miners stop",
        "hashprice [$/TH/day] x 10^6 / (24 x J/TH x PUE)",
        format!(
            "{} x 10^6 / (24 x {} x {})",
            number(inputs.hashprice().0),
            args.efficiency,
            args.pue
        ),
        plan.break_even().per_mwh().0,
        "$/MWh",
    );
    books(&plan, &prices, &mut sheet);
    Ok(())
}

fn books(plan: &Plan, prices: &[DollarsPerMwh], sheet: &mut Sheet<'_>) {
    let outcome = plan.run(prices);
    let hours = format!("{} of {}", outcome.mined_hours, outcome.hours);
    sheet.step(
        "hours in which the miners run",
        "hours with a price at or below it",
        hours,
        outcome.mined_hours as f64,
        if outcome.mined_hours == 1 { "hour" } else { "hours" },
    );
    let row = |name: &str, energy: f64, dollars: Dollars| {
        let per_mwh = dollars.0 / energy;
        vec![
            ("use", name.to_owned(), json!(name)),
            ("MWh", grouped(energy, 0), json!(energy)),
            ("$", grouped(dollars.0, 0), json!(dollars.0)),
            ("$/MWh", format!("{per_mwh:.1}"), json!((energy > 0.0).then_some(per_mwh))),
        ]
    };
    let left = match plan.bought_ahead {
        Some(_) => "left, sold back",
        None => "left, not bought",
    };
    sheet.table(&[
        row("tenant", outcome.hosted_mwh, outcome.rent),
        row("mining", outcome.mined_mwh, outcome.mining),
        row(left, outcome.curtailed_mwh, outcome.credits),
        row("power", outcome.bought_mwh, Dollars(-outcome.power.0)),
    ]);
    sheet.step(
        "profit",
        "rent + mining + credits - power",
        format!("{} + {} + {} - {}", outcome.rent, outcome.mining, outcome.credits, outcome.power),
        outcome.profit().0,
        "$",
    );
    sheet.step(
        "worth of switching off",
        "profit - profit if the miners never stopped",
        format!("{} - {}", outcome.profit(), outcome.profit_always_on),
        outcome.profit().0 - outcome.profit_always_on.0,
        "$",
    );
}
