//! The plot of mainnet's difficulty since 2009, which `econ retarget` saves and `asic` shows.

use midstate_economics::history;
use midstate_economics::inputs::Input;
use midstate_economics::units::{grouped, si};
use midstate_report::{Axis, Chart, Ink, Layer, Line, Marker, Point, Points, Rule, Scale};

/// The difficulty of every period of mainnet that ships, with its end and the input marked.
pub(crate) fn history_chart(input: &Input) -> Chart {
    let periods: Vec<_> = history::retargets().collect();
    let points: Vec<(f64, f64)> =
        periods.iter().map(|period| (period.year(), period.target.difficulty())).collect();
    let end = periods.last().map(|period| {
        let difficulty = period.target.difficulty();
        Point {
            x: period.year(),
            y: difficulty,
            label: format!("the data ends {}", period.date()),
            detail: format!("block {}: {}", period.height, si(difficulty)),
            ..Point::default()
        }
    });
    let used = Rule {
        y: input.value,
        label: format!("used here: {}, {}", si(input.value).trim(), input.date),
    };
    let years = points.iter().map(|point| point.0);
    let difficulties = points.iter().map(|point| point.1).chain([used.y]);
    Chart {
        title: "Difficulty of mainnet, every 2016th block since 2009, log scale".to_owned(),
        x: Axis::around("year", Scale::Linear, years, |year| format!("{year:.0}")),
        y: Axis::around("difficulty", Scale::Log, difficulties, |value| {
            si(value).replace(".00", "").replace(".0 ", " ").trim().to_owned()
        }),
        layers: vec![
            Layer::Points(Points {
                name: String::new(),
                ink: Ink::Red,
                marker: Marker::Circle,
                points: end.into_iter().collect(),
            }),
            Layer::Rule(used),
            Layer::Line(Line {
                name: String::new(),
                end: String::new(),
                ink: Ink::Blue,
                points,
                steps: true,
            }),
        ],
    }
}

/// The source line of that plot, for a file of its own.
pub(crate) fn history_credit(input: &Input) -> String {
    let end = history::retargets().last();
    let end = end.map_or_else(String::new, |end| {
        format!(" to block {}, {}", grouped(f64::from(end.height), 0), end.date())
    });
    format!(
        "Targets of mainnet's blocks, every 2016th{end}; used here: {}, {}. Drawn by midstate {}.",
        input.date,
        input.source,
        env!("CARGO_PKG_VERSION")
    )
}
