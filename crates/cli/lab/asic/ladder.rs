//! The comparison as text: at most 100 columns, no colour needed.

use midstate_economics::hardware::Device;
use midstate_economics::physics::{OPERATIONS, ROOM, landauer};
use midstate_economics::units::{
    HashesPerSecond, JoulesPerTerahash, Watts, grouped, si, significant,
};

use super::Comparison;
use super::verdict::{ANSWER, Block};
use crate::lab::inputs::{number, say_source};
use crate::shell::output::Output;
use crate::shell::prose::{band, bar, fit, wrap};
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

const NAME: usize = 36;
const COLUMNS: usize = 40;
const WIDTH: usize = 98;

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
    let rung = |device: &Device| Rung {
        name: device.name.clone(),
        year: device.year,
        rate: device.rate,
        efficiency: device.efficiency(),
        here: false,
    };
    let devices = comparison.devices.iter();
    let mut rungs: Vec<_> = devices.filter(|device| is_on_ladder(device)).map(rung).collect();
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

pub(super) fn print(comparison: &Comparison, out: &mut Output) {
    print_here(comparison, out);
    let rungs = rungs(comparison);
    print_rates(&rungs, out);
    print_energy(comparison, &rungs, out);
    print_blocks(comparison, out);
    print_answer(comparison, out);
    out.line("\nInputs: dated, shipped with the program, replaced by flags");
    let inputs = &comparison.inputs;
    say_source("difficulty", &inputs.difficulty, out);
    say_source("price", &inputs.price, out);
    say_source("power", &inputs.household, out);
    out.line("  all devices with their sources: --json, or --html FILE for a report with plots");
}

fn print_here(comparison: &Comparison, out: &mut Output) {
    let here = &comparison.here;
    let (low, high) = here.efficiency();
    out.line(format!("This machine: {}", here.name));
    let interval = here.interval.map_or_else(String::new, |(low, high, windows)| {
        let windows = units::count(windows, "window");
        format!(", median of {windows} in {} .. {}", rate(low), rate(high))
    });
    out.line(format!("  rate    {}{interval}", here.rate));
    let slowed = if here.interval.is_some() { "; other work on the machine slows it" } else { "" };
    out.line(format!("          {}{slowed}", here.rate_source));
    let watts = band(here.watts.0.to_string(), here.watts.1.to_string());
    for (index, line) in
        wrap(&format!("{watts} ({})", here.power_source), WIDTH - 10).iter().enumerate()
    {
        out.line(format!("  {:<8}{line}", if index == 0 { "power" } else { "" }));
    }
    let efficiency = band(short(low), short(high));
    out.line(format!("  energy  {efficiency} J/TH: joules for a terahash, 10^12 hashes"));
}

fn rate(value: f64) -> String {
    HashesPerSecond(value).to_string()
}

fn short(efficiency: JoulesPerTerahash) -> String {
    significant(efficiency.0)
}

fn print_rates(rungs: &[Rung], out: &mut Output) {
    let (Some(slowest), Some(fastest)) = (rungs.first(), rungs.last()) else { return };
    let low = slowest.rate.0.log10().floor();
    let decades = fastest.rate.0.log10() - low;
    out.line(format!(
        "\nHashes (tries) per second, LOG scale: {:.1} columns more mean ten times as many. ASIC: \
         a chip\nmade for this hash alone; FPGA: one whose wires can be laid anew",
        COLUMNS as f64 / decades
    ));
    for rung in rungs {
        let share = (rung.rate.0.log10() - low) / decades;
        out.line(row(rung, &bar(share, COLUMNS, true)));
    }
    out.line(format!(
        "\nThe same on a LINEAR scale: one column is {}",
        rate(fastest.rate.0 / COLUMNS as f64)
    ));
    for rung in rungs {
        let bar = bar(rung.rate / fastest.rate, COLUMNS, false);
        let shown = if bar.is_empty() && rung.here { "(you are here)".to_owned() } else { bar };
        out.line(row(rung, &shown));
    }
}

fn row(rung: &Rung, bar: &str) -> String {
    let mark = if rung.here { '>' } else { ' ' };
    let (name, rate) = (fit(&rung.name, NAME), rung.rate.to_string());
    format!("{mark} {:.0} {name} {rate:>10} {bar}", rung.year.floor()).trim_end().to_owned()
}

fn print_energy(comparison: &Comparison, rungs: &[Rung], out: &mut Output) {
    let verdict = &comparison.verdict;
    let best = verdict.best.efficiency;
    let top = &verdict.floors[2];
    out.line(
        "\nJoules for a terahash (10^12 hashes), and how often that of the best ASIC (of a range: \
         its\nmiddle on a log scale, by which the rows are ordered)",
    );
    let mut by_energy: Vec<_> = rungs
        .iter()
        .filter_map(|rung| rung.efficiency.map(|(low, high)| (rung, low, high)))
        .collect();
    by_energy.sort_by(|a, b| (b.1.0 * b.2.0).total_cmp(&(a.1.0 * a.2.0)));
    for (rung, low, high) in by_energy {
        let mark = if rung.here { '>' } else { ' ' };
        let band = band(short(low), short(high));
        let middle = (low.0 * high.0).sqrt() / best.0;
        out.line(format!(
            "{mark} {:.0} {} {band:>20} J/TH {:>9} x",
            rung.year.floor(),
            fit(&rung.name, NAME),
            significant(middle)
        ));
    }
    out.line(format!(
        "  The floor that physics sets: to erase a bit costs {:.2e} J at {ROOM} K (Landauer). By \
         what a\n  hash is thought to erase, and how many times as much this machine takes, and \
         the best ASIC:",
        landauer(ROOM).0
    ));
    for floor in &verdict.floors {
        out.line(format!(
            "       {} {:>14} J/TH {:>9} x {:>9} x",
            fit(floor.model.name(), NAME - 5),
            short(floor.efficiency),
            power_of_ten(floor.here),
            power_of_ten(floor.best)
        ));
    }
    out.line(format!(
        "  The best ASIC is still {} times above the highest of them.",
        significant(top.best)
    ));
}

fn print_blocks(comparison: &Comparison, out: &mut Output) {
    let verdict = &comparison.verdict;
    let price = comparison.inputs.household();
    out.line(format!(
        "\nOne block on this machine, with the power above and a price of {} c/kWh",
        number(price.cents())
    ));
    for Block { network, difficulty, hashes, wait, energy, cost } in &verdict.blocks {
        out.line(format!(
            "  {network:<9} difficulty {}, {} hashes: {wait} on average",
            power_of_ten(*difficulty),
            power_of_ten(*hashes),
        ));
        out.line(format!(
            "  {:<9} {} kWh, a power bill of {}",
            "",
            band(power_of_ten(energy.0.kwh()), power_of_ten(energy.1.kwh())),
            band(cost.0.to_string(), cost.1.to_string()),
        ));
    }
    let text = format!(
        "A block of mainnet brings {} BTC x {} $ = {}. {} Every try starts anew: past ones bring a \
         block no nearer. One {} waits {} for a block on average, which is why miners share in \
         pools.",
        comparison.inputs.reward().0,
        number(comparison.inputs.price().0),
        verdict.reward,
        verdict.what_mining_leaves(),
        verdict.best.name,
        verdict.best_wait,
    );
    for line in wrap(&text, WIDTH - 2) {
        out.line(format!("  {line}"));
    }
    out.line(
        "  mainnet is Bitcoin; testnet4 is for tests, and that cheap only when its last block is \
         20\n  minutes old (BIP94): before that it is as hard as its other miners make it. \
         regtest is a chain\n  of your own, where every second hash is a block.",
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
    out.line("\nBy how much, and why");
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
    for line in wrap(&text, WIDTH - 2).iter().chain(&wrap(ANSWER, WIDTH - 2)) {
        out.line(format!("  {line}"));
    }
}
