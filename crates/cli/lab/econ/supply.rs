//! Topic `halving`: the schedule of new coins.

use midstate_chain::Network;
use midstate_economics::calendar::Date;
use midstate_economics::inputs::Inputs;
use midstate_economics::supply;
use midstate_economics::units::{Satoshi, grouped};
use serde_json::json;

use super::sheet::Sheet;
use crate::shell::output::Output;
use crate::shell::values::{growth, years};

/// Flags of `econ halving`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Yearly growth of the price: 0.5 for 50 %
    #[arg(long, value_name = "GROWTH", allow_negative_numbers = true, value_parser = growth)]
    price_growth: Option<f64>,
    /// Yearly growth of the network's hash rate
    #[arg(long, value_name = "GROWTH", allow_negative_numbers = true, value_parser = growth,
          default_value_t = 0.0)]
    hash_growth: f64,
    /// Years in which growth makes up for one halving
    #[arg(long, value_name = "YEARS", default_value_t = 4.0, value_parser = years)]
    years: f64,
}

pub(super) fn run(args: &Args, inputs: &Inputs, out: &mut Output) {
    let height = inputs.height();
    let mut sheet = Sheet::new("halving", out);
    sheet.given("height", &inputs.height);
    let remaining = supply::remaining_at(height);
    sheet.say(format!(
        "  {} BTC made, {remaining} to come, {} in all and for ever",
        supply::issued_before(height),
        supply::TOTAL
    ));
    sheet.step(
        "coins in all",
        "sum over eras of 210,000 blocks x (50 BTC halved once more, in whole satoshi)",
        "210,000 x (50 + 25 + 12.5 + .. + 0.00000001)",
        supply::TOTAL.btc().0,
        &format!("BTC, exactly {}", supply::TOTAL),
    );
    if let Some(halving) = supply::next_halving(height) {
        sheet.step(
            &format!("coins a day from block {}", grouped(f64::from(halving.height), 0)),
            "144 blocks x subsidy",
            format!("144 x {} BTC, after 144 x {}", halving.after, halving.before),
            supply::per_day(halving.height).btc().0,
            "BTC",
        );
        let blocks = halving.height - height;
        let time = Inputs::time_of(halving.height);
        sheet.step(
            "days until then",
            "blocks to go / 144",
            format!("{} / 144", grouped(f64::from(blocks), 0)),
            f64::from(blocks) / 144.0,
            &format!("days, about {} if blocks take ten minutes", Date::from_unix(time)),
        );
        let fees = inputs.fees.value;
        if fees > 0.0 {
            let before = halving.before.btc().0;
            sheet.step(
                "share of the fees in a block's reward",
                "fees / (subsidy + fees)",
                format!("{fees} / ({} + {fees})", halving.before),
                fees / (before + fees) * 100.0,
                "%",
            );
        }
        let gap = halving.before.btc().0 - halving.after.btc().0;
        sheet.step(
            "fees a block that would make up for it",
            "old subsidy - new subsidy",
            format!("{} - {}", halving.before, halving.after),
            gap,
            &format!(
                "BTC a block, {:.0} % of the new reward",
                100.0 * gap / halving.before.btc().0
            ),
        );
    }
    growth_steps(args, &mut sheet);
    sheet.explain(
        "No rule of bitcoin raises the price at a halving, and no formula here says that it rises: \
         buyers and sellers make the price, and --price takes any. A halving takes half of a \
         miner's new coins. The miner earns the same only if the price doubles, or half of the \
         others leave.",
    );
    schedule(height, &mut sheet);
}

fn growth_steps(args: &Args, sheet: &mut Sheet<'_>) {
    let Args { hash_growth, years, .. } = *args;
    sheet.step(
        "yearly price growth at which a hash earns the same after one halving",
        "2^(1 / years) x (1 + growth of the network) - 1",
        format!("2^(1 / {years}) x (1 + {hash_growth}) - 1"),
        supply::break_even_price_growth(hash_growth, years) * 100.0,
        "% a year",
    );
    if let Some(price_growth) = args.price_growth {
        sheet.step(
            "yearly growth of the network that this price growth allows",
            "(1 + growth of the price) / 2^(1 / years) - 1",
            format!("(1 + {price_growth}) / 2^(1 / {years}) - 1"),
            supply::implied_hash_growth(price_growth, years) * 100.0,
            "% a year",
        );
    }
}

fn schedule(height: u32, sheet: &mut Sheet<'_>) {
    let interval = Network::Mainnet.halving_interval();
    let era_now = height / interval;
    let row = |era: u32| {
        let first = era * interval;
        let subsidy = Satoshi(Network::Mainnet.subsidy(first));
        let issued = supply::issued_before(first);
        let share = issued.0 as f64 / supply::TOTAL.0 as f64;
        let name = if era == era_now { format!("{era} now") } else { era.to_string() };
        vec![
            ("halvings", name, json!(era)),
            ("from block", grouped(f64::from(first), 0), json!(first)),
            ("BTC a block", subsidy.to_string(), json!(subsidy.btc().0)),
            ("BTC before it", issued.to_string(), json!(issued.btc().0)),
            ("% of all", format!("{:.2}", share * 100.0), json!(share * 100.0)),
        ]
    };
    sheet.table(&(0..=era_now.max(4) + 2).map(row).collect::<Vec<_>>());
}
