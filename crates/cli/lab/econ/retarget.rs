//! Topic `retarget`: a change of difficulty explained, the history of it, or fleets that switch off
//! and on under the real rule.

use std::path::PathBuf;

use clap::ValueEnum;
use midstate_chain::{RETARGET_INTERVAL, TARGET_SPACING, Target};
use midstate_economics::calendar::Date;
use midstate_economics::hashprice::interval_before_change;
use midstate_economics::history;
use midstate_economics::inputs::Inputs;
use midstate_economics::odds::network_rate;
use midstate_economics::simulate::{self, Event, Period, Scenario};
use midstate_economics::units::{DAY, DollarsPerKwh, HashesPerSecond, grouped, si};
use midstate_report::{Axis, Chart, Figure, Ink, Layer, Line, Marker, Point, Points, Rule, Scale};
use serde_json::json;

use super::sheet::Sheet;
use crate::lab::history::{history_chart, history_credit};
use crate::lab::inputs::{number, say_source};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::prose::Decades;
use crate::shell::style::Style;
use crate::shell::units;
use crate::shell::values::{leaving, positive, volatility, whole};

/// Flags of `econ retarget`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Explain a change from this difficulty ..
    #[arg(long, value_name = "D", requires = "to", value_parser = positive,
          conflicts_with_all = ["exit", "volatility", "periods", "seed", "svg"])]
    from: Option<f64>,
    /// .. to this one
    #[arg(long, value_name = "D", requires = "from", value_parser = positive)]
    to: Option<f64>,
    /// Show the difficulty of every period of mainnet until February 2026, and its deepest falls
    #[arg(long, conflicts_with_all = ["from", "replay", "exit", "volatility", "periods", "seed"])]
    history: bool,
    /// The event to simulate: calm (nothing happens), feb2026 (a tenth of the network leaves),
    /// us-exit (the United States leave, and return four periods later), halving2028, or price-fall
    /// (by 40 % overnight)
    #[arg(long, value_enum, default_value_t = Replay::Feb2026, conflicts_with = "from",
          hide_possible_values = true)]
    replay: Replay,
    /// Share of the machines that leaves, in place of the replay's own (feb2026 and us-exit)
    #[arg(long, value_name = "SHARE", value_parser = leaving)]
    exit: Option<f64>,
    /// Yearly deviation of the price; bitcoin's is about 0.5
    #[arg(long, value_name = "SHARE", value_parser = volatility, default_value_t = 0.0)]
    volatility: f64,
    /// How many periods of 2016 blocks
    #[arg(long, value_name = "N", default_value_t = 12,
          value_parser = whole(2..=1000_u32, 12))]
    periods: u32,
    /// The same seed gives the same run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = whole(0..=u64::MAX, 1))]
    seed: u64,
    /// Write the plot to an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// The network's rate before the retarget of February 2026: 141.67 T x 2^32 / 600.
const FEB2026: HashesPerSecond = HashesPerSecond::from_exa(1_014.0);

#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Replay {
    /// Nothing
    Calm,
    /// A tenth of the network leaves, as in February 2026
    Feb2026,
    /// The United States leave, and come back four periods later
    UsExit,
    /// The halving of 2028 comes in the third period
    Halving2028,
    /// The price falls by 40 % overnight
    PriceFall,
}

/// 2100-01-01: a header's seconds, 32 bits of them, end in 2106, and blocks may be late.
const LAST_TIME: i64 = 4_102_444_800;

/// How long a block takes, drawn in at most `columns`.
fn bar(minutes: f64, columns: usize) -> String {
    "█".repeat(((minutes * 1.2) as usize).min(columns))
}

pub(super) fn run(args: &Args, inputs: &Inputs, out: &mut Output) -> Result<(), Failure> {
    match (args.from, args.to) {
        (Some(from), Some(to)) => explain_change(from, to, out),
        _ if args.history => show_history(args, inputs, out),
        _ => simulate(args, inputs, out),
    }
}

fn explain_change(from: f64, to: f64, out: &mut Output) -> Result<(), Failure> {
    let rate = |difficulty| -> Result<HashesPerSecond, Failure> {
        let target = Target::from_difficulty(difficulty)
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(network_rate(target))
    };
    let (before, after) = (rate(from)?, rate(to)?);
    let mut sheet = Sheet::new("retarget", out);
    sheet.step(
        "change of difficulty",
        "new / old - 1",
        format!("{} / {} - 1", number(to), number(from)),
        (to / from - 1.0) * 100.0,
        "%",
    );
    sheet.step(
        "mean time between blocks in the period before",
        "10 minutes x old / new",
        format!("10 x {} / {}", number(from), number(to)),
        interval_before_change(to / from) / 60.0,
        "minutes",
    );
    for (when, difficulty, rate) in [("before", from, before), ("after", to, after)] {
        sheet.step(
            &format!("hash rate that the difficulty {when} stands for"),
            "difficulty x 2^32 / 600 s",
            format!("{} x 2^32 / 600", number(difficulty)),
            rate.exa(),
            "EH/s",
        );
    }
    Ok(())
}

fn show_history(args: &Args, inputs: &Inputs, out: &mut Output) -> Result<(), Failure> {
    let periods: Vec<_> = history::retargets().collect();
    let powers = history::power_by_year();
    let difficulties = || periods.iter().map(|period| period.target.difficulty());
    let highest = difficulties().fold(1.0, f64::max);
    let scale = Decades::around(1.0, highest, out.width() - 37);
    let mut year: Option<(i32, f64)> = None;
    out.styled(
        Style::Heading,
        "difficulty of mainnet at the start of each year, its growth in the year before, and the",
    );
    out.styled(
        Style::Heading,
        "power of the network if all were the best machine then out; dots: difficulty, log scale",
    );
    for period in &periods {
        let difficulty = period.target.difficulty();
        out.event(&json!({
            "event": "history", "height": period.height, "time": period.time,
            "difficulty": difficulty, "is_from_header": period.is_from_header,
        }));
        let date = period.date();
        if year.is_none_or(|(last, _)| last != date.year) {
            let growth = year.map_or_else(String::new, |(_, before)| growth(difficulty / before));
            year = Some((date.year, difficulty));
            let power = powers.iter().find(|row| row.year == date.year);
            let power = power.map_or_else(|| "-".to_owned(), |row| row.least.to_string());
            let dot = scale.dot(difficulty);
            out.line(format!(
                "  {} {:>8} {growth:>9} {power:>9} {dot}",
                date.year,
                si(difficulty).trim()
            ));
        }
    }
    out.line(format!("{:37}{}", "", scale.labels()));
    deep_falls(out);
    if let (Some(header), Some(last)) =
        (periods.iter().rfind(|period| period.is_from_header), periods.last())
    {
        out.prose(
            0,
            format!(
                "The data ends at block {}, {}. Up to block {} it was taken from headers; of the \
                 later periods the targets are real, and the dates follow from them.",
                grouped(f64::from(last.height), 0),
                last.date(),
                grouped(f64::from(header.height), 0)
            ),
        );
    }
    save(args, history_chart(&inputs.difficulty), &history_credit(&inputs.difficulty), out)
}

/// By how much something grew, in a few columns.
fn growth(factor: f64) -> String {
    match factor {
        ..10.0 => format!("{:+.0} %", (factor - 1.0) * 100.0),
        _ => format!("x {}", grouped(factor, 0)),
    }
}

/// Falls as deep as this are shown.
const DEEP: f64 = 0.9;

fn deep_falls(out: &mut Output) {
    out.styled(Style::Heading, "\nfalls of 10 % and more from one period to the next");
    for change in history::changes().iter().filter(|change| change.factor <= DEEP) {
        let percent = (change.factor - 1.0) * 100.0;
        let height = grouped(f64::from(change.at.height), 0);
        out.line(format!("  {} {percent:>8.2} %  at block {height}", change.at.date()));
        out.event(&json!({
            "event": "fall", "height": change.at.height, "date": change.at.date().to_string(),
            "change": change.factor - 1.0,
        }));
    }
    out.line("");
}

fn simulate(args: &Args, inputs: &Inputs, out: &mut Output) -> Result<(), Failure> {
    refuse_what_changes_nothing(args, inputs)?;
    let scenario = scenario(args, inputs)?;
    let periods = simulate::run(&scenario)
        .map_err(|error| Failure::usage(format!("--difficulty: {error}")))?;
    let text = format!(
        "{} periods of 2016 blocks from height {}, seed {}: run it again with the same seed for \
         the same result. Fleets switch off while their power costs more than a hash brings.",
        args.periods,
        grouped(f64::from(scenario.height), 0),
        args.seed
    );
    out.prose(0, text);
    say_source("price", &inputs.price, out);
    if args.replay != Replay::Feb2026 {
        say_source("network", &inputs.network, out);
    }
    out.line("");
    let names: Vec<_> = scenario.fleets.iter().map(|fleet| fleet.name.as_str()).collect();
    for (fleet, letter) in scenario.fleets.iter().zip('A'..) {
        out.line(format!(
            "  {letter}  {:<14} {:>6.0} EH/s  {:>4} J/TH  {:>4.1} c/kWh",
            fleet.name,
            fleet.rate.exa(),
            fleet.efficiency.0,
            DollarsPerKwh(fleet.electricity.0).cents()
        ));
    }
    out.line("");
    let head = Row {
        block: "from block",
        difficulty: "difficulty",
        change: "change",
        rate: "EH/s on",
        minutes: "minutes",
        coins: "BTC a day",
        hashprice: "$/PH/day",
        on: "fleets on",
        bar: "minutes a block",
    };
    out.styled(Style::Heading, head.line(out.width()));
    let changes = periods.iter().map(|period| Some(period.change));
    for (period, change) in periods.iter().zip([None].into_iter().chain(changes)) {
        print_period(period, change, &names, out);
    }
    lesson(args, &periods, out);
    save(args, chart_of(&periods), &credit_of(args, inputs), out)
}

/// A flag that is taken and has no effect answers another question than was asked.
fn refuse_what_changes_nothing(args: &Args, inputs: &Inputs) -> Result<(), Failure> {
    let replay =
        args.replay.to_possible_value().map_or_else(String::new, |it| it.get_name().into());
    let is_feb2026 = args.replay == Replay::Feb2026;
    let has_own_time = args.replay == Replay::Halving2028;
    let somebody_leaves = matches!(args.replay, Replay::Feb2026 | Replay::UsExit);
    let given = [
        ("--difficulty", is_feb2026 && inputs.difficulty.is_given(), "it has its own"),
        ("--network", is_feb2026 && inputs.network.is_given(), "it has its own"),
        ("--height", has_own_time && inputs.height.is_given(), "it has its own"),
        ("--exit", !somebody_leaves && args.exit.is_some(), "no machine leaves in it"),
    ];
    if let Some((flag, _, why)) = given.iter().find(|(_, refused, _)| *refused) {
        return Err(Failure::usage(format!(
            "{flag} changes nothing in the replay {replay}: {why}; expected another --replay"
        )));
    }
    if inputs.electricity.is_given() {
        let text = "--electricity changes nothing here: every fleet has a price of its own";
        return Err(Failure::usage(text));
    }
    if inputs.hashprice.is_given() {
        let text =
            "--hashprice changes nothing here: it follows from difficulty, --price and --fees";
        return Err(Failure::usage(text));
    }
    Ok(())
}

fn scenario(args: &Args, inputs: &Inputs) -> Result<Scenario, Failure> {
    let network = if args.replay == Replay::Feb2026 { FEB2026 } else { inputs.network() };
    let period = match args.replay {
        Replay::Halving2028 => 1_050_000 / RETARGET_INTERVAL - 2,
        _ if inputs.height.is_given() => inputs.height() / RETARGET_INTERVAL,
        // Every block up to the snapshot's height is a real one.
        _ => inputs.height() / RETARGET_INTERVAL + 1,
    };
    let height = period * RETARGET_INTERVAL;
    let begin = Inputs::time_of(height);
    let end = begin + i64::from(args.periods) * i64::from(RETARGET_INTERVAL * TARGET_SPACING);
    let time = match u32::try_from(begin) {
        Ok(time) if end < LAST_TIME => time,
        _ => {
            return Err(Failure::usage(format!(
                "--height, --periods: {} periods from height {} end in {}, and headers count \
                 seconds up to 2106 only; expected an end before 2100",
                args.periods,
                grouped(f64::from(height), 0),
                Date::from_unix(end).year
            )));
        }
    };
    let least = network_rate(Target::DIFFICULTY_1);
    if network.0 < least.0 {
        return Err(Failure::usage(format!(
            "--network: {network} is below difficulty 1, the lowest; expected {least} or more"
        )));
    }
    let bits = simulate::bits_for(network);
    let leaves = |share: f64| 1.0 - args.exit.unwrap_or(share);
    let capacity = |period, capacity| Event { period, capacity, price: 1.0 };
    let events = match args.replay {
        Replay::Calm | Replay::Halving2028 => vec![],
        Replay::Feb2026 => vec![capacity(2, leaves(0.1116))],
        Replay::UsExit => vec![capacity(2, leaves(0.375)), capacity(6, 1.0)],
        Replay::PriceFall => vec![Event { period: 2, capacity: 1.0, price: 0.6 }],
    };
    Ok(Scenario {
        fleets: simulate::example_fleets(network),
        height,
        time,
        bits,
        fees: midstate_economics::units::Btc(inputs.fees.value),
        price: inputs.price(),
        price_growth: 0.0,
        price_volatility: args.volatility,
        periods: args.periods,
        events,
        seed: args.seed,
    })
}

/// A period as it stands in a line, or the head above all of them.
struct Row<'a> {
    block: &'a str,
    difficulty: &'a str,
    change: &'a str,
    rate: &'a str,
    minutes: &'a str,
    coins: &'a str,
    hashprice: &'a str,
    on: &'a str,
    bar: &'a str,
}

impl Row<'_> {
    /// Columns of the row without the bar.
    const LONG: usize = 76;
    /// A bar that is shorter shows nothing.
    const LEAST_BAR: usize = 15;

    /// As much of the row as fits: the bar goes first, then the money.
    fn line(&self, width: usize) -> String {
        let Self { block, difficulty, change, rate, minutes, coins, hashprice, on, bar } = self;
        let network = format!("{block:<10} {difficulty:>10} {change:>8} {rate:>7} {minutes:>7}");
        let line = match width {
            ..Self::LONG => format!("{network} {on:<8}"),
            _ if Self::bar_columns(width) == 0 => {
                format!("{network} {coins:>9} {hashprice:>9} {on:<8}")
            }
            _ => format!("{network} {coins:>9} {hashprice:>9} {on:<9} {bar}"),
        };
        line.trim_end().to_owned()
    }

    fn bar_columns(width: usize) -> usize {
        let left = width.saturating_sub(Self::LONG + 1);
        if left < Self::LEAST_BAR { 0 } else { left }
    }
}

/// A period, with the change that led to its difficulty; none for the first.
fn print_period(period: &Period, change: Option<f64>, names: &[&str], out: &mut Output) {
    let on: String =
        ('A'..).zip(&period.on).map(|(letter, on)| if *on { letter } else { '.' }).collect();
    let minutes = period.interval / 60.0;
    let difficulty = si(period.difficulty);
    let row = Row {
        block: &grouped(f64::from(period.height), 0),
        difficulty: difficulty.trim(),
        change: &change.map_or_else(String::new, |change| format!("{:+.1}%", change * 100.0)),
        rate: &format!("{:.0}", period.rate.exa()),
        minutes: &format!("{minutes:.2}"),
        coins: &format!("{:.0}", period.issued_per_day().0),
        hashprice: &format!("{:.2}", period.hashprice.petahash()),
        on: &on,
        bar: &bar(minutes, Row::bar_columns(out.width())),
    };
    out.line(row.line(out.width()));
    let running: Vec<_> =
        names.iter().zip(&period.on).filter(|(_, on)| **on).map(|(name, _)| name).collect();
    out.event(&json!({
        "event": "period", "height": period.height, "time": period.time,
        "difficulty": period.difficulty, "change": period.change, "hps": period.rate.0,
        "seconds_per_block": period.interval, "btc_per_day": period.issued_per_day().0,
        "hashprice": period.hashprice.petahash(), "price": period.price.0, "on": running,
    }));
}

/// The lesson of the run.
fn lesson(args: &Args, periods: &[Period], out: &mut Output) {
    let text = match args.replay {
        Replay::Calm => {
            let measured = f64::from(RETARGET_INTERVAL - 1) / f64::from(RETARGET_INTERVAL);
            format!(
                "Luck alone moves the difficulty by 2 % at every retarget: 2016 waits are a small \
                 sample. A retarget measures 2015 of them and divides by 2016, which makes it \
                 {:.1} s a block in the long run.",
                interval_before_change(measured)
            )
        }
        Replay::Feb2026 | Replay::UsExit => format!(
            "Machines leave in the third period{}. Less hash rate makes fewer coins for a while.{} \
             Coins come faster than planned only when machines return in an easy period, and only \
             until its end.",
            coins_after_the_exit(periods),
            income_of_those_who_stay(periods)
        ),
        Replay::Halving2028 => format!(
            "Hashprice halves in one block. Machines that cannot pay for their power stop, and \
             blocks come late until the difficulty follows.{}",
            swing(periods)
        ),
        Replay::PriceFall => format!(
            "The price falls at once, and the difficulty follows at the next retarget, which late \
             blocks put off to {:.0} days: in between the weakest machines stand still.{}",
            longest(periods) / DAY,
            swing(periods)
        ),
    };
    out.line("");
    out.prose(0, text);
}

/// Of the longest period, in seconds.
fn longest(periods: &[Period]) -> f64 {
    let took = periods.iter().map(|period| period.interval * f64::from(RETARGET_INTERVAL));
    took.fold(0.0, f64::max)
}

/// Why machines leave and return by turns, where they do.
fn swing(periods: &[Period]) -> &'static str {
    let turns = periods.windows(2).filter(|pair| pair[0].on != pair[1].on).count();
    if turns < 4 {
        return "";
    }
    " Then the difficulty is so low that all machines pay for themselves: they return together, \
     and the next retarget drives them out again. That swing is the model's: here each fleet \
     decides at a retarget, by the hashprice of that day alone. Real miners have contracts and \
     wait, which damps it."
}

/// The run's numbers on the exit, as far as it goes.
fn coins_after_the_exit(periods: &[Period]) -> String {
    // They leave in period 2; some come back in period 6.
    let after = periods.get(3..periods.len().min(6)).unwrap_or(&[]);
    let Some(exit) = periods.get(2) else {
        return ", which --periods does not reach".to_owned();
    };
    let until = format!(": {:.0} BTC a day until the retarget", exit.issued_per_day().0);
    if after.is_empty() {
        return until;
    }
    let coins = after.iter().map(|period| period.issued.btc().0).sum::<f64>();
    let seconds = |each: fn(&Period) -> f64| after.iter().map(each).sum::<f64>();
    let blocks = f64::from(RETARGET_INTERVAL);
    let took = seconds(|period| period.interval) * blocks;
    let planned = f64::from(TARGET_SPACING) * blocks * after.len() as f64;
    format!(
        "{until}, then {:.0} a day in the mean of the next {}: {:.0}, and luck",
        coins / took * DAY,
        units::count(after.len(), "period"),
        coins / planned * DAY
    )
}

/// The hashprice of the exit's period and of the next one.
fn income_of_those_who_stay(periods: &[Period]) -> String {
    let [Some(exit), Some(next)] = [periods.get(2), periods.get(3)] else { return String::new() };
    format!(
        " Those who stay earn what they did until the retarget, and {:.2} times as much from then \
         on, ${:.2} in place of ${:.2} per PH/s and day, since fewer share the same coins.",
        next.hashprice / exit.hashprice,
        next.hashprice.petahash(),
        exit.hashprice.petahash()
    )
}

/// Coins a day, which an exit is about, beside what drives them; against the weeks.
fn chart_of(periods: &[Period]) -> Chart {
    const WEEK: f64 = 7.0 * DAY;
    let first = &periods[0];
    let weeks = |period: &Period| f64::from(period.time - first.time) / WEEK;
    let took = |period: &Period| period.interval * f64::from(RETARGET_INTERVAL) / WEEK;
    let line = |name: &str, ink, of: &dyn Fn(&Period) -> f64| {
        let mut points: Vec<_> = periods.iter().map(|p| (weeks(p), of(p) * 100.0)).collect();
        // The last period holds until its end.
        points.extend(periods.last().map(|p| (weeks(p) + took(p), of(p) * 100.0)));
        let end = name.to_owned();
        Layer::Line(Line { name: String::new(), end, ink, points, steps: true })
    };
    let planned = first.planned_per_day().0;
    let coins = |period: &Period| period.issued_per_day().0 / planned;
    let difficulty = |period: &Period| period.difficulty / first.difficulty;
    let hashprice = |period: &Period| period.hashprice / first.hashprice;
    let values = periods.iter().flat_map(|p| [coins(p), difficulty(p), hashprice(p), 1.0]);
    // The lowest and the highest day's coins, said in coins.
    let by_coins = |a: &&Period, b: &&Period| coins(a).total_cmp(&coins(b));
    let extremes = [periods.iter().min_by(by_coins), periods.iter().max_by(by_coins)];
    let points = extremes.into_iter().flatten().map(|period| Point {
        x: weeks(period) + took(period) / 2.0,
        y: coins(period) * 100.0,
        label: format!("{:.0} BTC a day", period.issued_per_day().0),
        ..Point::default()
    });
    Chart {
        title: "Coins a day in the simulation, with difficulty and hashprice".to_owned(),
        x: Axis::around(
            "weeks",
            Scale::Linear,
            periods.iter().flat_map(|period| [weeks(period), weeks(period) + took(period)]),
            |week| format!("{week:.0}"),
        ),
        y: Axis::around(
            format!("% of the first period; coins: % of {planned:.0} BTC a day, the plan"),
            Scale::Linear,
            values.map(|value| value * 100.0),
            |percent| format!("{percent:.0}"),
        ),
        layers: vec![
            Layer::Points(Points {
                name: String::new(),
                ink: Ink::Red,
                marker: Marker::Circle,
                points: points.collect(),
            }),
            Layer::Rule(Rule { y: 100.0, label: format!("{planned:.0} BTC a day") }),
            line("difficulty", Ink::Blue, &difficulty),
            line("hashprice", Ink::Green, &hashprice),
            line("coins a day", Ink::Red, &coins),
        ],
    }
}

/// The source line of the simulation, for a file of its own.
fn credit_of(args: &Args, inputs: &Inputs) -> String {
    let replay = args.replay.to_possible_value();
    let replay = replay.map_or_else(String::new, |replay| replay.get_name().to_owned());
    format!(
        "Simulated with the rule of consensus: midstate {} econ retarget --replay {replay} --seed \
         {}, price of {}.",
        env!("CARGO_PKG_VERSION"),
        args.seed,
        inputs.price.date
    )
}

fn save(args: &Args, chart: Chart, credit: &str, out: &mut Output) -> Result<(), Failure> {
    match &args.svg {
        Some(path) => out.save(path, &Figure::Chart(chart).to_svg(credit)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_a_block_takes_and_no_longer_than_a_line() {
        let widths = [0.0, 10.0, 1e12, f64::NAN].map(|minutes| bar(minutes, 60).chars().count());
        assert_eq!(widths, [0, 12, 60, 0]);
    }

    #[test]
    fn a_row_leaves_out_the_bar_and_then_the_money_where_they_do_not_fit() {
        let row = Row {
            block: "933,408",
            difficulty: "141.7 T",
            change: "-11.2%",
            rate: "901",
            minutes: "11.26",
            coins: "400",
            hashprice: "38.70",
            on: "ABC",
            bar: "#############",
        };
        let has = |width: usize| {
            let line = row.line(width);
            assert!(line.chars().count() <= width, "{line}");
            [line.contains("ABC"), line.contains("38.70"), line.contains('#')]
        };
        assert_eq!(has(60), [true, false, false]);
        assert_eq!(has(80), [true, true, false]);
        assert_eq!(has(96), [true, true, true]);
        assert_eq!(row.line(80).len() + 6, Row::LONG, "three fleets under a head of nine letters");
    }
}
