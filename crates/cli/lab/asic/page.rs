//! The comparison as a report to hand around.

use midstate_economics::hardware::{Class, Confidence, Device, halving_months};
use midstate_economics::units::{HashesPerSecond, JoulesPerTerahash, significant};
use midstate_report::{
    Axis, Bar, Bars, Chart, Figure, Ink, Layer, Line, Marker, Page, Part, Point, Points, Rule,
    Scale, Table,
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

/// From this year on the plot has no room for the name of every ASIC.
const CROWDED: f64 = 2022.0;

/// The report; `kernels` are those of this machine with their rates, slowest first.
pub(super) fn page(comparison: &Comparison, kernels: &[(Kernel, Estimate)]) -> Page {
    let Comparison { here, verdict, .. } = comparison;
    let (low, high) = verdict.energy_ratio;
    let ratio = band(significant(low), significant(high));
    let mut parts = vec![
        Part::Text(format!(
            "Power of this machine: {} ({}).",
            band(here.watts.0.to_string(), here.watts.1.to_string()),
            here.power_source
        )),
        Part::Heading("How fast".to_owned()),
        rates(&rungs(comparison), Scale::Log),
        rates(&rungs(comparison), Scale::Linear),
    ];
    if !kernels.is_empty() {
        parts.push(Part::Heading("What software can do".to_owned()));
        parts.push(software(kernels));
    }
    parts.push(Part::Heading("How much energy".to_owned()));
    parts.push(Part::Figure {
        figure: Figure::Chart(energy_by_year(comparison)),
        caption: "Joules for 10^12 hashes by year, log scale. Bars are bands: no CPU or graphics \
                  card was measured at the wall, so theirs is 0.7 to 1.3 of the TDP. The dashed \
                  lines are Landauer's floor at 300 K, by what a hash is thought to erase."
            .to_owned(),
    });
    parts.extend(eras(comparison));
    parts.push(Part::Heading("Why".to_owned()));
    parts.push(Part::Text(ANSWER.to_owned()));
    parts.push(Part::Heading("A block on this machine".to_owned()));
    parts.push(blocks(comparison));
    parts.push(Part::Text(format!(
        "A block of mainnet brings {}. {}",
        verdict.reward,
        verdict.what_mining_leaves()
    )));
    parts.push(Part::Heading("What it did to the network".to_owned()));
    parts.push(Part::Figure {
        figure: Figure::Chart(history_chart(&comparison.inputs.difficulty)),
        caption:
            "Difficulty of mainnet, from the header of every 2016th block. Each step up is the \
                  network answering faster machines."
                .to_owned(),
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
            "Hashes per second, log scale: equal steps are equal factors.",
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
            rows: rungs.iter().map(bar).collect(),
        }),
        caption: caption.to_owned(),
    }
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
            label: "you are here".to_owned(),
            detail: format!("{}: {} to {}", here.name, low, high),
        }],
    })];
    for floor in &verdict.floors {
        let label = format!("{}: {} J/TH", floor.model.name(), significant(floor.efficiency.0));
        layers.push(Layer::Rule(Rule { y: floor.efficiency.0, label }));
    }
    for (class, name, ink, marker) in classes {
        let mut shown: Vec<_> = devices.iter().filter(|device| device.class == class).collect();
        // What the ladder names finds its place first.
        shown.sort_by_key(|device| !is_on_ladder(device));
        let points = shown.into_iter().filter_map(point).collect();
        let name = name.to_owned();
        layers.push(Layer::Points(Points { name, ink, marker, points }));
    }
    let trend = ERAS.iter().map(|era| era.1).chain([ERAS[2].2]);
    let trend: Vec<_> = trend.filter_map(|name| end_point(devices, name)).collect();
    layers.push(Layer::Line(Line {
        name: "best ASIC".to_owned(),
        ink: Ink::Grey,
        points: trend.into_iter().map(|(year, efficiency)| (year, efficiency.0)).collect(),
        steps: false,
    }));

    let shown = devices.iter().filter(|device| device.class != Class::Hand);
    let years = shown.clone().map(|device| device.year).chain([here.year]);
    let bands = shown.filter_map(Device::efficiency).flat_map(|(low, high)| [low.0, high.0]);
    let floors = verdict.floors.iter().map(|floor| floor.efficiency.0 / 3.0);
    Chart {
        title: "Joules for a terahash by year, log scale, with this machine and the floor"
            .to_owned(),
        x: Axis::around("year", Scale::Linear, years, |year| format!("{year:.0}")),
        y: Axis::around(
            "J/TH",
            Scale::Log,
            bands.chain(floors).chain([low.0, high.0]),
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
         something else; guess, because nobody says. Years are those of the first sale."
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
            source = format!("{source}. {}", device.notes);
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
