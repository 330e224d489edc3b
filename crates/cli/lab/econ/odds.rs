//! Topics `odds` and `pools`: chance, and how to tell it from change.

use midstate_chain::Target;
use midstate_economics::hardware;
use midstate_economics::inputs::Inputs;
use midstate_economics::odds;
use midstate_economics::pools::{self, Share};
use midstate_economics::supply::BLOCKS_PER_DAY;
use midstate_economics::units::{DAY, HashesPerSecond, Seconds, YEAR, grouped, significant};
use serde_json::json;

use super::sheet::Sheet;
use crate::lab::inputs::{number, target};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::values::{count, hash_rate, positive, share};

/// Flags of `econ odds`.
#[derive(clap::Args, Debug)]
pub(super) struct OddsArgs {
    /// A machine's rate, hashes per second
    #[arg(long, value_name = "H/S", value_parser = hash_rate, default_value = "100M")]
    rate: f64,
    /// Days of hashing
    #[arg(long, value_name = "DAYS", value_parser = positive, default_value_t = 365.25)]
    days: f64,
    /// Number of blocks: how far has luck evened out after them, and how long do they take?
    #[arg(long, value_name = "N", value_parser = count, default_value_t = 100)]
    blocks: u64,
    /// An earlier difficulty, to compare with
    #[arg(long, value_name = "D", value_parser = positive)]
    before: Option<f64>,
}

/// Flags of `econ pools`.
#[derive(clap::Args, Debug)]
pub(super) struct PoolsArgs {
    /// Share of blocks in the first period
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.40)]
    before: f64,
    /// Share of blocks in the second period
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.35)]
    after: f64,
    /// Blocks in each period
    #[arg(long, value_name = "N", default_value_t = 31 * u64::from(BLOCKS_PER_DAY),
          value_parser = count)]
    blocks: u64,
    /// A member's rate, hashes per second
    #[arg(long, value_name = "H/S", value_parser = hash_rate, default_value = "200T")]
    rate: f64,
    /// Share of the income that the pool keeps
    #[arg(long, value_name = "SHARE", value_parser = share, default_value_t = 0.02)]
    pool_fee: f64,
}

pub(super) fn odds(args: &OddsArgs, inputs: &Inputs, out: &mut Output) -> Result<(), Failure> {
    let target = target(inputs)?;
    let rate = HashesPerSecond(args.rate);
    let hashes = target.expected_hashes_f64();
    let mean = odds::mean_wait(target, rate);
    let expected = odds::expected_blocks(target, rate, Seconds(args.days * DAY));

    let mut sheet = Sheet::new("odds", out);
    sheet.given("difficulty", &inputs.difficulty);
    sheet.step(
        "hashes for a block",
        "2^256 / (target + 1)",
        format!("difficulty {} x 2^32 x 65536/65535", number(inputs.difficulty.value)),
        hashes,
        "hashes, on average",
    );
    sheet.step(
        "mean wait",
        "hashes / rate",
        format!("{hashes:.3e} / {} H/s", number(args.rate)),
        mean.years(),
        &format!("years ({mean})"),
    );
    sheet.step(
        "wait that is not exceeded 95 times in 100",
        "-ln(1 - 0.95) x mean",
        format!("3.00 x {mean}"),
        odds::wait_at_confidence(mean, 0.95).years(),
        "years; the median is 0.69 of the mean",
    );
    sheet.step(
        &format!("chance of a block in {} days", number(args.days)),
        "1 - e^-(time / mean)",
        format!("1 - e^-{expected:.3e}"),
        odds::at_least_one(expected),
        &format!("or 1 in {}", significant(1.0 / odds::at_least_one(expected))),
    );
    evening_out(args.blocks, mean, &mut sheet);
    if let Some(before) = args.before {
        let earlier = Target::from_difficulty(before)
            .map_err(|error| Failure::usage(format!("--before: {error}")))?;
        let factor = odds::mean_wait(earlier, rate) / mean;
        sheet.step(
            "odds by those of the earlier difficulty",
            "difficulty before / difficulty now",
            format!("{} / {}", number(before), number(inputs.difficulty.value)),
            factor,
            "times as likely",
        );
        sheet.step(
            "fall of the price that takes all of it again",
            "1 - now / before",
            "",
            (1.0 - 1.0 / factor) * 100.0,
            "%: easier is not the same as more profitable",
        );
    }
    let names =
        ["Ryzen 9 5900X", "RTX 4090", "Bitaxe Gamma", "NerdQAxe++", "Antminer S21", "S23 Hyd"];
    let devices = hardware::devices();
    let rows = names.iter().filter_map(|name| {
        let device = devices.iter().find(|device| device.name.contains(name))?;
        let wait = odds::mean_wait(target, device.rate);
        let chance = odds::at_least_one(YEAR / wait.0);
        Some(vec![
            ("alone with", device.name.clone(), json!(device.name)),
            ("rate", device.rate.to_string(), json!(device.rate.0)),
            ("mean wait", wait.to_string(), json!(wait.0)),
            ("chance in a year", format!("{chance:.2e}"), json!(chance)),
        ])
    });
    sheet.table(&rows.collect::<Vec<_>>());
    Ok(())
}

/// How long luck takes to even out: a table of blocks, and the number that was asked for.
fn evening_out(blocks: u64, mean: Seconds, sheet: &mut Sheet<'_>) {
    let blocks = blocks as f64;
    let spread = odds::spread_at_95(blocks);
    sheet.step(
        &format!("spread of the income after {} blocks", grouped(blocks, 0)),
        "1.96 / sqrt(blocks)",
        format!("1.96 / sqrt({})", grouped(blocks, 0)),
        spread * 100.0,
        "% more or less than its mean, 95 times in 100",
    );
    let time = mean * blocks;
    sheet.step(
        "time that so many blocks take",
        "blocks x mean wait",
        format!("{} x {mean}", grouped(blocks, 0)),
        time.years(),
        &format!("years ({time})"),
    );
    let row = |&share: &f64| {
        let blocks = odds::blocks_until_spread(share);
        let time = mean * blocks;
        let words = format!("+-{:.0} %", share * 100.0);
        vec![
            ("luck evens out to", words, json!(share)),
            ("after blocks", grouped(blocks, 0), json!(blocks)),
            ("that is", time.to_string(), json!(time.0)),
        ]
    };
    sheet.table(&[1.0, 0.5, 0.2, 0.1, 0.05, 0.01].iter().map(row).collect::<Vec<_>>());
    sheet.say(
        "  Four times as many blocks halve the spread. Bad luck is not made up for later; it \
         only counts for less in a longer time.",
    );
}

pub(super) fn pools(args: &PoolsArgs, inputs: &Inputs, out: &mut Output) -> Result<(), Failure> {
    let target = target(inputs)?;
    let mut sheet = Sheet::new("pools", out);
    sheet.given("difficulty", &inputs.difficulty);
    let (before, after) = (Share::of(args.before, args.blocks), Share::of(args.after, args.blocks));
    for (when, share) in [("first", before), ("second", after)] {
        let (low, high) = share.interval();
        sheet.step(
            &format!("spread of the {when} share"),
            "sqrt(p (1 - p) / n)",
            format!("sqrt({0:.4} x (1 - {0:.4}) / {1})", share.fraction(), share.blocks),
            share.deviation() * 100.0,
            &format!(
                "points; {:.1} % may be {:.1} to {:.1} % of the hash rate (95 %)",
                share.fraction() * 100.0,
                low * 100.0,
                high * 100.0
            ),
        );
    }
    let change = pools::change(before, after);
    let unit = change.map_or_else(
        || "sigma".to_owned(),
        |change| format!("sigma: luck alone does that with probability {:.1e}", change.p_value),
    );
    sheet.step_or_reason(
        "change, in standard deviations",
        "(p2 - p1) / sqrt(s1^2 + s2^2)",
        format!(
            "({:.4} - {:.4}) / sqrt({:.5}^2 + {:.5}^2)",
            after.fraction(),
            before.fraction(),
            before.deviation(),
            after.deviation()
        ),
        change
            .map(|change| change.sigmas)
            .ok_or("neither share has a spread: it is none of the blocks, or all"),
        &unit,
    );
    let day = Share::of(args.after, u64::from(BLOCKS_PER_DAY));
    sheet.step(
        "spread of one day",
        "sqrt(p (1 - p) / 144)",
        format!("sqrt({0} x (1 - {0}) / 144)", args.after),
        day.deviation() * 100.0,
        "points: daily charts of pools are mostly noise",
    );

    let rate = HashesPerSecond(args.rate);
    let month = odds::expected_blocks(target, rate, Seconds(30.0 * DAY));
    let solo = pools::solo(month);
    sheet.step(
        &format!("blocks a month for {rate} alone"),
        "30 days x 86,400 x rate / hashes for a block",
        format!("2,592,000 x {:.3e} / {:.3e}", rate.0, target.expected_hashes_f64()),
        month,
        &format!("blocks; {:.4} % of months bring nothing", solo.dry * 100.0),
    );
    let pool_blocks = args.after * 30.0 * f64::from(BLOCKS_PER_DAY);
    let pooled = pools::pooled(month, pool_blocks, args.pool_fee);
    let row = |how: &str, income: pools::Income| {
        let spread = income.spread.map_or_else(String::new, |spread| format!("{spread:.3}"));
        vec![
            ("a month", how.to_owned(), json!(how)),
            ("blocks", format!("{:.3e}", income.expected), json!(income.expected)),
            ("dry months", format!("{:.4} %", income.dry * 100.0), json!(income.dry)),
            ("spread / mean", spread, json!(income.spread)),
        ]
    };
    sheet.table(&[row("alone", solo), row("in the second pool", pooled)]);
    sheet.say("  The mean is the same but for the fee. A pool sells a smaller spread.");
    Ok(())
}
