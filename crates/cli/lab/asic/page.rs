//! The comparison as a report to hand around.

use midstate_economics::hardware::{Class, Confidence, Device, halving_months};
use midstate_economics::history;
use midstate_economics::joule::{self, Spending};
use midstate_economics::units::{HashesPerSecond, JoulesPerTerahash, significant};
use midstate_report::{
    Axis, Bar, Bars, Chart, Figure, Gap, Ink, Layer, Line, Marker, Page, Part, Point, Points, Rule,
    Scale, Shares, Slice, Table, Whole,
};
use midstate_sha256d::Kernel;

use super::Comparison;
use super::ladder::{Rung, is_on_ladder, rungs};
use super::verdict::ANSWER;
use crate::lab::history::history_chart;
use crate::lab::inputs::{number, origin};
use crate::machine::measure::Estimate;
use crate::shell::prose::band;

/// First and last machine of each era, by name.
const ERAS: [(&str, &str, &str); 3] = [
    ("from 110 nm to 16 nm", "Avalon batch 1", "Antminer S9"),
    ("from 16 nm to 7 nm", "Antminer S9", "Antminer S19 Pro"),
    ("since", "Antminer S19 Pro", "Antminer S23 Hyd"),
];

/// So many years after this machine stands the bracket over the gap.
const GAP: f64 = 0.9;

/// From this year on the plot has no room for the name of every ASIC.
const CROWDED: f64 = 2022.0;

/// The report; `kernels` are those of this machine with their rates, slowest first.
pub(super) fn page(comparison: &Comparison, kernels: &[(Kernel, Estimate)]) -> Page {
    let Comparison { here, verdict, .. } = comparison;
    let (low, high) = verdict.energy_ratio;
    let ratio = band(significant(low), significant(high));
    let mut parts = vec![
        Part::Heading("How much, and why".to_owned()),
        Part::Figure { figure: where_a_joule_goes(comparison), caption: joule_caption() },
        Part::Figure {
            figure: Figure::Chart(energy_by_year(comparison)),
            caption: "Joules for 10^12 hashes by year, log scale: from one line to the next a \
                      factor of ten or more. The bracket is the gap between this machine and the \
                      best ASIC. Vertical bars are bands: no CPU or graphics card was measured at \
                      the wall, so theirs is 0.7 to 1.3 of the TDP. The dashed lines are \
                      Landauer's floor at 300 K, by what a hash is thought to erase."
                .to_owned(),
        },
        Part::Text(format!(
            "Power of this machine: {} ({}).",
            band(here.watts.0.to_string(), here.watts.1.to_string()),
            here.power_source
        )),
        Part::Heading("Why".to_owned()),
        Part::Text(ANSWER.to_owned()),
        Part::Text(verdict.two_factors(here)),
    ];
    parts.extend(eras(comparison));
    parts.push(Part::Heading("How fast".to_owned()));
    parts.push(rates(&rungs(comparison), Scale::Log));
    parts.push(rates(&rungs(comparison), Scale::Linear));
    if !kernels.is_empty() {
        parts.push(Part::Heading("What software can do".to_owned()));
        parts.push(software(kernels));
    }
    parts.push(Part::Heading("A block on this machine".to_owned()));
    parts.push(blocks(comparison));
    parts.push(Part::Text(verdict.what_mining_leaves()));
    parts.push(Part::Heading("What it did to the network".to_owned()));
    parts.push(Part::Figure {
        figure: Figure::Chart(history_chart(&comparison.inputs.difficulty)),
        caption: format!(
            "Difficulty of mainnet at every 2016th block{}. Each step up is the network's answer \
             to faster machines.",
            history::retargets()
                .last()
                .map_or_else(String::new, |last| { format!(" up to {}", last.date()) })
        ),
    });
    parts.push(Part::Heading("Inputs".to_owned()));
    parts.push(inputs(comparison));
    parts.push(Part::Heading("Every machine and its source".to_owned()));
    parts.push(sources(comparison));
    parts.push(Part::Text(grades()));
    Page {
        title: "Why ASICs dominate".to_owned(),
        lead: format!(
            "{} hashes {}. One {} hashes {}: as much as {} of this machine, for {ratio} times less \
             energy a hash.",
            here.name,
            here.rate,
            verdict.best.name,
            verdict.best.rate,
            significant(verdict.rate_ratio)
        ),
        parts,
        footer: format!(
            "Made on {} by midstate {} with `midstate asic --html`. Rate: {}.",
            here.date,
            env!("CARGO_PKG_VERSION"),
            here.rate_source
        ),
    }
}

/// How much, and why: what a joule is spent on here and there, and what it buys.
pub(super) fn where_a_joule_goes(comparison: &Comparison) -> Figure {
    let Comparison { here, verdict, .. } = comparison;
    let hashes = |efficiency: JoulesPerTerahash| 1e12 / efficiency.0;
    let (low, high) = here.efficiency();
    let best = hashes(verdict.best.efficiency);
    let bought = [
        format!("buys {} hashes here", band_of_counts(hashes(high), hashes(low))),
        format!("buys {} hashes in an {}", count(best), verdict.best.name),
    ];
    let rows = joule::spendings().into_iter().zip(bought);
    let work = ["an instruction that adds", "hash after hash"];
    let rows = rows.zip(work).map(|((spending, text), work)| Whole {
        name: format!("A joule in {} {}: {work}", article(&spending.machine), spending.machine),
        text,
        slices: slices(&spending),
    });
    Figure::Shares(Shares {
        title: "Where a joule goes, and what it buys".to_owned(),
        rows: rows.collect(),
    })
}

/// `a CPU`, and `an ASIC`.
fn article(word: &str) -> &'static str {
    if word.starts_with(['A', 'E', 'I', 'O', 'U']) { "an" } else { "a" }
}

fn slices(spending: &Spending) -> Vec<Slice> {
    // From the last part backwards, so that what is called the rest is grey everywhere.
    let besides = spending.parts.iter().filter(|part| !part.useful).count();
    let inks = [Ink::Blue, Ink::Purple, Ink::Grey];
    let mut inks = inks.into_iter().skip(3usize.saturating_sub(besides)).cycle();
    let about = if spending.estimate { "about " } else { "" };
    let slice = |part: &joule::Part| {
        let share = part.amount / spending.whole();
        let percent = match share * 100.0 {
            percent @ ..1.0 => format!("{percent:.1}"),
            percent => format!("{percent:.0}"),
        };
        Slice {
            name: format!("{}: {about}{percent} %", part.name),
            share,
            ink: match part.useful {
                true => Ink::Red,
                false => inks.next().unwrap_or(Ink::Grey),
            },
        }
    };
    spending.parts.iter().map(slice).collect()
}

/// Of a large number its first digits and the rest in words.
fn count(value: f64) -> String {
    const WORDS: [(f64, &str); 4] =
        [(1e12, " trillion"), (1e9, " billion"), (1e6, " million"), (1.0, "")];
    let word = WORDS.into_iter().find(|(scale, _)| value >= scale * 0.999_5);
    let (scale, word) = word.unwrap_or((1.0, ""));
    format!("{}{word}", significant(value / scale))
}

/// From a number to another, with the word once where both have it.
fn band_of_counts(low: f64, high: f64) -> String {
    let (low, high) = (count(low), count(high));
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((first, a)), Some((_, b))) if a == b && low != high => format!("{first} to {high}"),
        _ => band(low, high),
    }
}

fn joule_caption() -> String {
    let [cpu, asic] = joule::spendings();
    format!(
        "Red is what the machine is there for. In the CPU: {} ({}, {}). A large CPU spends more \
         on steering, some 2,000 pJ (Nikos Hardavellas, \"The Rise and Fall of Dark Silicon\", \
         ;login: April 2012, usenix.org/publications/login). In the ASIC, an \
         estimate: {} ({}, {}).",
        cpu.of, cpu.date, cpu.source, asic.of, asic.date, asic.source
    )
}

fn rates(rungs: &[Rung], scale: Scale) -> Part {
    let bar = |rung: &Rung| Bar {
        name: format!("{:.0} {}", rung.year.floor(), rung.name),
        value: rung.rate.0,
        interval: None,
        text: rung.rate.to_string(),
        ink: if rung.here { Ink::Red } else { Ink::Blue },
    };
    let (title, caption) = match scale {
        Scale::Log => (
            "Hashes per second, log scale",
            "Hashes per second, log scale: from one mark to the next it is always the same factor.",
        ),
        Scale::Linear => (
            "Hashes per second, linear scale",
            "The same on a linear scale. Everything but the last few machines is there, and too \
             small to be seen.",
        ),
    };
    Part::Figure {
        figure: Figure::Bars(Bars {
            title: title.to_owned(),
            scale,
            reach: None,
            tick: match scale {
                Scale::Log => power_of_ten,
                Scale::Linear => round_rate,
            },
            mark: None,
            rows: rungs.iter().map(bar).collect(),
        }),
        caption: caption.to_owned(),
    }
}

/// A rate at a tick: a round number.
fn round_rate(rate: f64) -> String {
    if rate == 0.0 { "0".to_owned() } else { HashesPerSecond(rate).to_string().replace(".00", "") }
}

fn software(kernels: &[(Kernel, Estimate)]) -> Part {
    let bar = |(kernel, rate): &(Kernel, Estimate)| Bar {
        name: kernel.name().to_owned(),
        value: rate.median,
        interval: Some((rate.low, rate.high)),
        text: HashesPerSecond(rate.median).to_string(),
        ink: Ink::Green,
    };
    let gain = match (kernels.first(), kernels.last()) {
        (Some((_, slowest)), Some((_, fastest))) => fastest.median / slowest.median,
        _ => 1.0,
    };
    Part::Figure {
        figure: Figure::Bars(Bars {
            title: "Rate of every kernel on this machine, all threads".to_owned(),
            scale: Scale::Linear,
            reach: None,
            tick: round_rate,
            mark: None,
            rows: kernels.iter().map(bar).collect(),
        }),
        caption: format!(
            "Every kernel of this program on this machine, all threads, median of windows of 50 \
             ms; the thin line is the 95 % interval. The whole ladder of software is a factor \
             of {}.",
            significant(gain)
        ),
    }
}

/// The source line of the energy plot, with its date, for a file of its own.
pub(super) fn credit(comparison: &Comparison) -> String {
    format!(
        "{}. The others: makers, catalogues, measurements and lists, each named by midstate asic \
         --json. {}",
        this_machine(comparison),
        made(comparison)
    )
}

/// The same for the picture of a joule.
pub(super) fn joule_credit(comparison: &Comparison) -> String {
    let (machine, made) = (this_machine(comparison), made(comparison));
    format!("{} Here: {machine}. {made}", joule_caption())
}

fn this_machine(Comparison { here, .. }: &Comparison) -> String {
    let watts = band(here.watts.0.to_string(), here.watts.1.to_string());
    format!("{}, {} ({}), {watts} ({})", here.name, here.rate, here.rate_source, here.power_source)
}

fn made(comparison: &Comparison) -> String {
    format!("Drawn by midstate {}, {}.", env!("CARGO_PKG_VERSION"), comparison.here.date)
}

/// J/TH by year, with this machine and the floors.
pub(super) fn energy_by_year(comparison: &Comparison) -> Chart {
    let Comparison { here, devices, verdict, .. } = comparison;
    let classes = [
        (Class::Asic, "ASIC", Ink::Purple, Marker::Diamond),
        (Class::Fpga, "FPGA", Ink::Green, Marker::Triangle),
        (Class::Gpu, "graphics card", Ink::Orange, Marker::Square),
        (Class::Cpu, "CPU", Ink::Blue, Marker::Circle),
    ];
    let (low, high) = here.efficiency();
    let mut layers = vec![Layer::Points(Points {
        name: "this machine".to_owned(),
        ink: Ink::Red,
        marker: Marker::Star,
        points: vec![Point {
            x: here.year,
            y: here.typical_efficiency().0,
            band: Some((low.0, high.0)),
            label: "this machine, today".to_owned(),
            detail: format!("{}: {} to {}", here.name, low, high),
        }],
    })];
    let middle = here.typical_efficiency().0;
    let bracket = here.year + GAP;
    layers.push(Layer::Gap(Gap {
        x: bracket,
        y: (middle, verdict.best.efficiency.0),
        lines: vec![
            format!("{} times", {
                let (low, high) = verdict.energy_ratio;
                band(significant(low), significant(high))
            }),
            "the energy for a hash".to_owned(),
        ],
    }));
    for floor in &verdict.floors {
        let label = format!("{}: {} J/TH", floor.model.name(), significant(floor.efficiency.0));
        layers.push(Layer::Rule(Rule { y: floor.efficiency.0, label }));
    }
    for (class, name, ink, marker) in classes {
        let mut shown: Vec<_> = devices.iter().filter(|device| device.class == class).collect();
        // Devices of the ladder get their labels first.
        shown.sort_by_key(|device| !is_on_ladder(device));
        let points = shown.into_iter().filter_map(point).collect();
        let name = name.to_owned();
        layers.push(Layer::Points(Points { name, ink, marker, points }));
    }
    let trend = ERAS.iter().map(|era| era.1).chain([ERAS[2].2]);
    let trend: Vec<_> = trend.filter_map(|name| end_point(devices, name)).collect();
    layers.push(Layer::Line(Line {
        name: "best ASIC".to_owned(),
        end: String::new(),
        ink: Ink::Grey,
        points: trend.into_iter().map(|(year, efficiency)| (year, efficiency.0)).collect(),
        steps: false,
    }));

    let shown = devices.iter().filter(|device| device.class != Class::Hand);
    let years = shown.clone().map(|device| device.year).chain([bracket]);
    let bands = shown.filter_map(Device::efficiency).flat_map(|(low, high)| [low.0, high.0]);
    let floors = verdict.floors.iter().map(|floor| floor.efficiency.0 / 3.0);
    Chart {
        title:
            "Joules for 10^12 hashes by year: this machine, the best ASIC and the floor of physics"
                .to_owned(),
        x: Axis::around("year", Scale::Linear, years, |year| format!("{year:.0}")),
        y: Axis::around(
            "J/TH",
            Scale::Log,
            // Above, room for this machine's label.
            bands.chain(floors).chain([low.0, high.0 * 10.0]),
            power_of_ten,
        ),
        layers,
    }
}

fn power_of_ten(value: f64) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let power = value.log10().round() as i32;
    let sign = if power < 0 { "⁻" } else { "" };
    let digits = power.unsigned_abs().to_string();
    let raised = digits.chars().filter_map(|digit| DIGITS.get(digit.to_digit(10)? as usize));
    format!("10{sign}{}", raised.collect::<String>())
}

fn point(device: &Device) -> Option<Point> {
    let (low, high) = device.efficiency()?;
    let middle = device.typical_efficiency()?;
    // A dozen ASICs of the last years lie on each other: only the ladder's are named.
    let named = device.class != Class::Asic || device.year < CROWDED || is_on_ladder(device);
    Some(Point {
        x: device.year,
        y: middle.0,
        band: (low != high).then_some((low.0, high.0)),
        label: if named { device.short_name().to_owned() } else { String::new() },
        detail: format!(
            "{} ({:.0}): {middle}, {}",
            device.name,
            device.year.floor(),
            device.source
        ),
    })
}

fn end_point(devices: &[Device], name: &str) -> Option<(f64, JoulesPerTerahash)> {
    let device = devices.iter().find(|device| device.name.starts_with(name))?;
    Some((device.year, device.efficiency()?.1))
}

fn eras(comparison: &Comparison) -> Option<Part> {
    let mut table =
        Table::new(&[("era", false), ("from", false), ("to", false), ("J/TH halves every", true)]);
    for (era, first, last) in ERAS {
        let (from, to) =
            (end_point(&comparison.devices, first)?, end_point(&comparison.devices, last)?);
        let end = |name: &str, (year, efficiency): (f64, JoulesPerTerahash)| {
            format!("{name} ({:.0}), {efficiency}", year.floor())
        };
        table.rows.push(vec![
            era.to_owned(),
            end(first, from),
            end(last, to),
            format!("{:.0} months", halving_months(from, to)),
        ]);
    }
    Some(Part::Table(table))
}

fn blocks(comparison: &Comparison) -> Part {
    let mut table = Table::new(&[
        ("network", false),
        ("difficulty", true),
        ("hashes", true),
        ("mean wait", true),
        ("energy, kWh", true),
        ("power bill", true),
    ]);
    for block in &comparison.verdict.blocks {
        table.rows.push(vec![
            block.network.to_owned(),
            number(block.difficulty),
            significant(block.hashes),
            block.wait.to_string(),
            band(significant(block.energy.0.kwh()), significant(block.energy.1.kwh())),
            band(block.cost.0.to_string(), block.cost.1.to_string()),
        ]);
    }
    Part::Table(table)
}

fn inputs(comparison: &Comparison) -> Part {
    let inputs = &comparison.inputs;
    let mut table =
        Table::new(&[("input", false), ("value", true), ("unit", false), ("source", false)]);
    let rows = [
        ("difficulty", &inputs.difficulty),
        ("price", &inputs.price),
        ("power, at home", &inputs.household),
        ("difficulty on testnet4", &inputs.testnet4_difficulty),
    ];
    for (name, input) in rows {
        table.rows.push(vec![
            name.to_owned(),
            number(input.value),
            input.unit.clone(),
            origin(input),
        ]);
    }
    Part::Table(table)
}

fn grades() -> String {
    let grade = |grade: Confidence| format!("{grade}: {}", grade.meaning());
    let grades = Confidence::ALL.map(grade).join(". ");
    format!(
        "Grades. {grades}. The watts: measured, by a meter; rated, by the maker; TDP, of the chip \
         or card, which says neither what it drew nor what the wall gave; estimate, reckoned from \
         something else; guess, because no source says. Years are those of the first sale."
    )
}

fn sources(comparison: &Comparison) -> Part {
    let mut table = Table::new(&[
        ("machine", false),
        ("class", false),
        ("year", true),
        ("rate", true),
        ("watts", true),
        ("J/TH", true),
        ("grade", false),
        ("source and notes", false),
    ]);
    for device in &comparison.devices {
        let watts = device.power.map(|power| {
            let claimed = band(significant(power.low.0), significant(power.high.0));
            format!("{claimed} {}", power.basis)
        });
        let efficiency =
            device.efficiency().map(|(low, high)| band(significant(low.0), significant(high.0)));
        let mut source = device.source.clone();
        if !device.notes.is_empty() {
            source = format!("{source}; {}", device.notes);
        }
        table.rows.push(vec![
            device.name.clone(),
            device.class.to_string(),
            format!("{:.0}", device.year.floor()),
            device.rate.to_string(),
            watts.unwrap_or_else(|| "not known".to_owned()),
            efficiency.unwrap_or_else(|| "-".to_owned()),
            device.confidence.to_string(),
            source,
        ]);
    }
    Part::Table(table)
}
