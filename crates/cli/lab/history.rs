//! The plot of mainnet's difficulty since 2009, which `econ retarget` saves and `asic` shows.

use midstate_economics::history;
use midstate_economics::inputs::Input;
use midstate_economics::units::si;
use midstate_report::{Axis, Chart, Ink, Layer, Line, Marker, Point, Points, Scale};

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
    let last_year = end.as_ref().map_or(0.0, |end| end.x);
    let used = Point {
        x: input.date.fractional_year().max(last_year),
        y: input.value,
        label: format!("used here: {}", si(input.value).trim()),
        detail: format!("{}: {}", input.date, input.source),
        ..Point::default()
    };
    let years = points.iter().map(|point| point.0).chain([used.x]);
    let difficulties = points.iter().map(|point| point.1).chain([used.y]);
    let marks = |name: &str, ink, marker, points| {
        Layer::Points(Points { name: name.to_owned(), ink, marker, points })
    };
    Chart {
        title: "Difficulty of mainnet, every 2016th block since 2009, log scale".to_owned(),
        x: Axis::around("year", Scale::Linear, years, |year| format!("{year:.0}")),
        y: Axis::around("difficulty", Scale::Log, difficulties, |value| {
            si(value).replace(".00", "").trim().to_owned()
        }),
        layers: vec![
            marks("", Ink::Red, Marker::Star, vec![used]),
            marks("", Ink::Grey, Marker::Circle, end.into_iter().collect()),
            Layer::Line(Line { name: String::new(), ink: Ink::Blue, points, steps: true }),
        ],
    }
}
