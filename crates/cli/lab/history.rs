//! The plot of mainnet's difficulty since 2009, which `econ retarget` saves and `asic` shows.

use midstate_economics::history;
use midstate_economics::units::si;
use midstate_report::{Axis, Chart, Ink, Layer, Line, Scale};

/// The difficulty of every period of mainnet that ships.
pub(crate) fn history_chart() -> Chart {
    let points: Vec<(f64, f64)> =
        history::retargets().map(|period| (period.year(), period.target.difficulty())).collect();
    Chart {
        title: "Difficulty of mainnet, every 2016th block from 2009 to 2025, log scale".to_owned(),
        x: Axis::around("year", Scale::Linear, points.iter().map(|point| point.0), |year| {
            format!("{year:.0}")
        }),
        y: Axis::around("difficulty", Scale::Log, points.iter().map(|point| point.1), |value| {
            si(value).replace(".00", "").trim().to_owned()
        }),
        layers: vec![Layer::Line(Line {
            name: String::new(),
            ink: Ink::Blue,
            points,
            steps: true,
        })],
    }
}
