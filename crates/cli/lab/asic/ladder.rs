//! The comparison as text: the answer first, then the ladder of machines, then, when asked for, the
//! rest. It fits the terminal, and needs no colour.

use midstate_economics::hardware::Device;
use midstate_economics::physics::{OPERATIONS, ROOM, landauer};
use midstate_economics::units::{
    HashesPerSecond, JoulesPerTerahash, Watts, grouped, si, significant,
};

use super::Comparison;
use super::verdict::{ANSWER, Block, WHY};
use crate::lab::inputs::{number, say_source};
use crate::machine::measure::Estimate;
use crate::shell::output::Output;
use crate::shell::prose::{Decades, band, bar, fit};
use crate::shell::style::Style;
use crate::shell::units;

/// The machines that a person should have heard of, by their names without brackets.
const LADDER: [&str; 14] = [
    "Pencil and paper",
    "ESP32-D0",
    "Core i7-6700HQ",
    "Ryzen 9 5900X",
    "Radeon HD 5870",
    "GeForce RTX 4090",
    "X6500",
    "BFL miniRig",
    "Avalon batch 1",
    "Bitaxe Gamma 601",
    "Antminer S9",
    "Antminer S19 Pro",
    "Antminer S21 XP",
    "Antminer S23 Hyd",
];

/// Those of them that stand below the answer: it fits a terminal of 24 rows.
const FIRST_SCREEN: [&str; 6] = [
    "Pencil and paper",
    "ESP32-D0",
    "GeForce RTX 4090",
    "Avalon batch 1",
    "Antminer S9",
    "Antminer S23 Hyd",
];

/// Columns of a rung beside name and bar: mark, year, rate.
const BESIDE: usize = 20;

/// Columns of a machine's name.
fn name_columns(out: &Output) -> usize {
    (out.width() * 2 / 5).clamp(22, 40)
}

/// A rung of the ladder.
pub(super) struct Rung {
    pub(super) name: String,
    pub(super) year: f64,
    pub(super) rate: HashesPerSecond,
    pub(super) efficiency: Option<(JoulesPerTerahash, JoulesPerTerahash)>,
    /// Whether it is this machine.
    pub(super) here: bool,
}

/// Whether a machine is on the ladder.
pub(super) fn is_on_ladder(device: &Device) -> bool {
    LADDER.contains(&device.short_name())
}

/// The machines of the ladder with this one among them, slowest first.
pub(super) fn rungs(comparison: &Comparison) -> Vec<Rung> {
    rungs_of(comparison, &LADDER)
}

fn rungs_of(comparison: &Comparison, names: &[&str]) -> Vec<Rung> {
    let rung = |device: &Device| Rung {
        name: device.name.clone(),
        year: device.year,
        rate: device.rate,
        efficiency: device.efficiency(),
        here: false,
    };
    let devices = comparison.devices.iter();
    let mut rungs: Vec<_> =
        devices.filter(|device| names.contains(&device.short_name())).map(rung).collect();
    let here = &comparison.here;
    rungs.push(Rung {
        name: format!("THIS MACHINE: {}", here.name),
        year: here.year,
        rate: here.rate,
        efficiency: Some(here.efficiency()),
        here: true,
    });
    rungs.sort_by(|a, b| a.rate.0.total_cmp(&b.rate.0));
    rungs
}

/// The answer, and the machines side by side.
pub(super) fn print(comparison: &Comparison, out: &mut Output) {
    print_short_answer(comparison, out);
    print_rates(&rungs_of(comparison, &FIRST_SCREEN), out);
    out.text("More: midstate asic --full; if miners leave or coins halve: midstate econ claims");
}

/// Everything.
pub(super) fn print_all(comparison: &Comparison, out: &mut Output) {
    print_short_answer(comparison, out);
    print_here(comparison, out);
    let rungs = rungs(comparison);
    print_rates(&rungs, out);
    print_linear_rates(&rungs, out);
    print_energy(comparison, &rungs, out);
    print_blocks(comparison, out);
    print_answer(comparison, out);
    out.styled(
        Style::Heading,
        "\nInputs: a dated snapshot that ships with the program; flags replace them",
    );
    let inputs = &comparison.inputs;
    say_source("difficulty", &inputs.difficulty, out);
    say_source("price", &inputs.price, out);
    say_source("power", &inputs.household, out);
    out.text("  all devices with their sources: --json, or --html FILE for a report with plots");
}

/// How much, how much more energy, and why, before anything else.
fn print_short_answer(comparison: &Comparison, out: &mut Output) {
    let Comparison { here, verdict, .. } = comparison;
    let (best, (low, high)) = (&verdict.best, verdict.energy_ratio);
    let watts = band(here.watts.0.to_string(), here.watts.1.to_string());
    let is_assumed = here.watts.0 != here.watts.1;
    let tries = significant(here.rate.0);
    let known = match &here.measured {
        None => "as given",
        Some(measured) if measured.is_busy() => "without other programs",
        Some(_) => "measured now",
    };
    out.styled(
        Style::Here,
        format!("This machine: {} {known}, {tries} hashes a second.", here.rate),
    );
    if let Some(measured) = here.measured.filter(Estimate::is_busy) {
        out.prose(0, format!("The CPU is {}.", measured.words()));
    }
    out.prose(
        0,
        format!(
            "One {} does {}: as much as {} machines like this one. For the same hash this machine \
             takes {} times as much energy (at {}{watts}).",
            best.name,
            best.rate,
            significant(verdict.rate_ratio),
            band(significant(low), significant(high)),
            if is_assumed { "an assumed " } else { "" },
        ),
    );
    out.prose(0, WHY);
    out.prose(0, verdict.what_mining_leaves());
    out.prose(
        0,
        format!(
            "What physics leaves: by Landauer's law, which says what erasing a bit takes, a chip \
             could do with {} times less energy than the best ASIC.",
            significant(verdict.floors[2].best)
        ),
    );
}

fn print_here(comparison: &Comparison, out: &mut Output) {
    let here = &comparison.here;
    let (low, high) = here.efficiency();
    out.styled(Style::Heading, format!("\nThis machine: {}", here.name));
    let interval = here.measured.map_or_else(String::new, |measured| {
        let Estimate { low, high, samples, .. } = measured;
        let windows = units::count(samples, "window");
        let found = format!("{windows} in {} .. {}", rate(low), rate(high));
        match measured.is_busy() {
            true => format!(", possible; on the busy CPU {found}"),
            false => format!(", median of {found}"),
        }
    });
    out.text(format!("  rate    {}{interval}", here.rate));
    out.text(format!("          {}", here.rate_source));
    let watts = band(here.watts.0.to_string(), here.watts.1.to_string());
    out.text(format!("  power   {watts} ({})", here.power_source));
    let efficiency = band(short(low), short(high));
    out.text(format!("  energy  {efficiency} J/TH: joules for a terahash, 10^12 hashes"));
}

fn rate(value: f64) -> String {
    HashesPerSecond(value).to_string()
}

fn short(efficiency: JoulesPerTerahash) -> String {
    significant(efficiency.0)
}

fn print_rates(rungs: &[Rung], out: &mut Output) {
    let (Some(slowest), Some(fastest)) = (rungs.first(), rungs.last()) else { return };
    let columns = out.width() - name_columns(out) - BESIDE;
    let scale = Decades::around(slowest.rate.0, fastest.rate.0, columns);
    out.styled(
        Style::Heading,
        format!(
            "\nHashes a second, LOG scale: from one mark to the next {} times as many",
            grouped(10f64.powi(scale.step()), 0)
        ),
    );
    for rung in rungs {
        print_rung(rung, &scale.dot(rung.rate.0), out);
    }
    let before = " ".repeat(name_columns(out) + BESIDE - 1);
    out.line(format!("{before}{}", scale.labels()));
}

fn print_linear_rates(rungs: &[Rung], out: &mut Output) {
    let Some(fastest) = rungs.last() else { return };
    let columns = out.width() - name_columns(out) - BESIDE;
    let step = rate(fastest.rate.0 / columns as f64);
    let title = format!("\nThe same on a LINEAR scale: one column is {step}");
    out.styled(Style::Heading, title);
    for rung in rungs {
        let bar = bar(rung.rate / fastest.rate, columns, false);
        let shown = if bar.is_empty() && rung.here { "(too small)".to_owned() } else { bar };
        print_rung(rung, &shown, out);
    }
    out.prose(
        2,
        "ASIC: a chip made for this hash alone. FPGA: a chip whose wiring can be programmed.",
    );
}

fn print_rung(rung: &Rung, bar: &str, out: &mut Output) {
    let (name, rate) = (fit(&rung.name, name_columns(out)), rung.rate.to_string());
    let line = format!("{} {name} {rate:>10} {bar}", mark_and_year(rung));
    print_marked(rung, line.trim_end(), out);
}

fn mark_and_year(rung: &Rung) -> String {
    format!("{} {:.0}", if rung.here { '>' } else { ' ' }, rung.year.floor())
}

/// A line of the ladder; this machine's stands out.
fn print_marked(rung: &Rung, line: &str, out: &mut Output) {
    let line = if rung.here { out.paint(Style::Here, line) } else { line.to_owned() };
    out.line(line);
}

fn print_energy(comparison: &Comparison, rungs: &[Rung], out: &mut Output) {
    let verdict = &comparison.verdict;
    let best = verdict.best.efficiency;
    let top = &verdict.floors[2];
    out.styled(
        Style::Heading,
        "\nJoules for a terahash (10^12 hashes), and how many times those of the best ASIC",
    );
    out.prose(2, "A row with a range stands and counts by the middle of it, on a log scale.");
    let mut by_energy: Vec<_> = rungs
        .iter()
        .filter_map(|rung| rung.efficiency.map(|(low, high)| (rung, low, high)))
        .collect();
    by_energy.sort_by(|a, b| (b.1.0 * b.2.0).total_cmp(&(a.1.0 * a.2.0)));
    // Without years in a small terminal: the names matter more.
    let is_small = out.width() < 80;
    let columns = out.width().min(96) - if is_small { 41 } else { 46 };
    for (rung, low, high) in by_energy {
        let mark = mark_and_year(rung);
        let mark = if is_small { &mark[..1] } else { &mark[..] };
        let line = format!(
            "{mark} {} {:>20} J/TH {:>9} x",
            fit(&rung.name, columns),
            band(short(low), short(high)),
            significant((low.0 * high.0).sqrt() / best.0)
        );
        print_marked(rung, &line, out);
    }
    out.prose(
        2,
        format!(
            "Physics sets a floor: to erase a bit costs at least {:.2e} J at {ROOM} K (Landauer). \
             How far this machine and the best ASIC are above it depends on the bits that a hash \
             is said to erase:",
            landauer(ROOM).0
        ),
    );
    for floor in &verdict.floors {
        out.text(format!(
            "    {}: {} J/TH, this machine {} x, the best ASIC {} x",
            floor.model.name(),
            short(floor.efficiency),
            power_of_ten(floor.here),
            power_of_ten(floor.best)
        ));
    }
    out.prose(
        2,
        format!(
            "The best ASIC is still {} times above the highest of them.",
            significant(top.best)
        ),
    );
}

fn print_blocks(comparison: &Comparison, out: &mut Output) {
    let verdict = &comparison.verdict;
    let price = comparison.inputs.household();
    let title = format!(
        "\nOne block on this machine, with the power above and a price of {} c/kWh",
        number(price.cents())
    );
    out.styled(Style::Heading, title);
    for Block { network, difficulty, hashes, wait, energy, cost } in &verdict.blocks {
        out.text(format!(
            "  {network:<9} difficulty {}, {} hashes: {wait} on average",
            power_of_ten(*difficulty),
            power_of_ten(*hashes),
        ));
        out.text(format!(
            "  {:<9} {} kWh, a power bill of {}",
            "",
            band(power_of_ten(energy.0.kwh()), power_of_ten(energy.1.kwh())),
            band(cost.0.to_string(), cost.1.to_string()),
        ));
    }
    let text = format!(
        "A block of mainnet brings {} BTC x {} $ = {}. {} Every try starts anew: past tries do not \
         bring a block nearer. One {} waits {} for a block on average. Therefore miners join \
         pools, and share what they find.",
        comparison.inputs.reward().0,
        number(comparison.inputs.price().0),
        verdict.reward,
        verdict.what_mining_leaves(),
        verdict.best.name,
        verdict.best_wait,
    );
    out.prose(2, text);
    out.prose(
        2,
        "mainnet is Bitcoin. testnet4 is for tests; a block costs so little there only when the \
         last block is 20 minutes old (BIP94), and before that as much as the other miners make \
         it. regtest is a chain of your own, where every second hash is a block.",
    );
}

fn power_of_ten(value: f64) -> String {
    if (1e-2..1e5).contains(&value) { significant(value) } else { format!("{value:.2e}") }
}

fn print_answer(comparison: &Comparison, out: &mut Output) {
    let verdict = &comparison.verdict;
    let (here, best) = (&comparison.here, &verdict.best);
    let (low, high) = verdict.energy_ratio;
    let ratio = band(significant(low), significant(high));
    let together = |watts: Watts| format!("{}W", si(watts.0 * verdict.rate_ratio));
    let draws = band(together(here.watts.0), together(here.watts.1));
    out.styled(Style::Heading, "\nBy how much, and why");
    let text = format!(
        "A hash is {} operations of 32 bits. One {} does {} at {}. It takes {} of this machine to \
         match it, drawing {draws}. For one second of its work this machine needs {}; for the same \
         hash it spends {ratio} times the energy.",
        grouped(OPERATIONS as f64, 0),
        best.name,
        best.rate,
        best.power,
        significant(verdict.rate_ratio),
        verdict.one_second,
    );
    out.prose(2, text);
    out.prose(2, ANSWER);
    out.prose(2, verdict.two_factors(here));
}
