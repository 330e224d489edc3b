//! Pictures and pages as a parser sees them. What a browser makes of a real report is tested with
//! the command line (`tests/report.rs` of the whole project).

use midstate_report::{
    Axis, Bar, Bars, Chart, Figure, Ink, Layer, Line, Marker, Page, Part, Point, Points, Rule,
    Scale, Table,
};

fn tick(value: f64) -> String {
    format!("{value}")
}

fn chart() -> Chart {
    let point = |index: i32| Point {
        x: 2010.0 + f64::from(index % 5),
        y: 10f64.powi(index % 7),
        band: Some((10f64.powi(index % 7) * 0.7, 10f64.powi(index % 7) * 1.3)),
        label: format!("device <{index}> & \"sons\""),
        detail: "seen & told".into(),
    };
    let points: Vec<Point> = (0..40).map(point).collect();
    Chart {
        title: "A <chart>".into(),
        x: Axis::around("year", Scale::Linear, points.iter().map(|point| point.x), tick),
        y: Axis::around("J/TH", Scale::Log, points.iter().map(|point| point.y), tick),
        layers: vec![
            Layer::Rule(Rule { y: 100.0, label: "a hundred".into() }),
            Layer::Line(Line {
                name: "trend".into(),
                ink: Ink::Grey,
                points: vec![(2010.0, 1.0), (1900.0, 1.0), (2012.0, 50.0), (2014.0, 9.0)],
                steps: true,
            }),
            Layer::Points(Points {
                name: "devices".into(),
                ink: Ink::Blue,
                marker: Marker::Diamond,
                points,
            }),
        ],
    }
}

fn bars(scale: Scale) -> Bars {
    let bar = |(name, value): (&str, f64)| Bar {
        name: name.into(),
        value,
        interval: Some((value * 0.9, value * 1.1)),
        text: format!("{value} H/s"),
        ink: Ink::Red,
    };
    let rows = [("pencil", 1e-5), ("processor", 1e8), ("machine", 5.8e14)].map(bar).to_vec();
    Bars { title: "Rates".into(), scale, rows }
}

#[test]
fn every_picture_is_well_formed_and_names_itself() {
    let figures =
        [Figure::Chart(chart()), Figure::Bars(bars(Scale::Log)), Figure::Bars(bars(Scale::Linear))];
    for figure in figures {
        let svg = figure.to_svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "svg");
        assert!(!root.attribute("aria-label").unwrap().is_empty());
        assert!(svg.contains("prefers-color-scheme: dark") && svg.contains("@media print"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

#[test]
fn points_keep_their_details_and_values_outside_break_a_line() {
    let svg = Figure::Chart(chart()).to_svg();
    let document = roxmltree::Document::parse(&svg).unwrap();
    let titles = document.descendants().filter(|node| node.tag_name().name() == "title");
    assert_eq!(titles.count(), 40);
    // The first is the legend's; the second has a point before the axis begins.
    let lines = document.descendants().filter(|n| n.attribute("class") == Some("line ink-grey"));
    let paths: Vec<_> = lines.filter_map(|line| line.attribute("d")).collect();
    assert_eq!((paths.len(), paths[1].matches('M').count()), (2, 2), "{paths:?}");
}

/// Wherever the axis ends: it does so where the data do, and what is measured differs.
#[test]
fn a_tick_at_the_top_keeps_clear_of_the_name_of_its_axis() {
    for end in [1e4, 1.01e4, 1.1e4, 2e4] {
        let mut chart = chart();
        chart.y.range = (1.0, end);
        let svg = Figure::Chart(chart).to_svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let heights = |text: &str| -> Vec<f64> {
            let labels = document.descendants().filter(|node| node.text() == Some(text));
            let labels = labels.filter(|node| node.tag_name().name() == "text");
            labels.map(|label| label.attribute("y").unwrap().parse().unwrap()).collect()
        };
        let (names, ticks) = (heights("J/TH"), heights("10000"));
        assert!(!names.is_empty() && names.len() == ticks.len(), "{names:?}, {ticks:?}");
        for (name, tick) in names.into_iter().zip(ticks) {
            assert!(tick - name > 14.0, "{name}, {tick} at {end}");
        }
    }
}

#[test]
fn on_a_linear_scale_small_bars_vanish_and_on_a_log_scale_they_do_not() {
    let widths = |scale| -> Vec<f64> {
        let svg = Figure::Bars(bars(scale)).to_svg();
        let document = roxmltree::Document::parse(&svg).unwrap();
        let bars = document.descendants().filter(|n| n.tag_name().name() == "rect");
        bars.map(|bar| bar.attribute("width").unwrap().parse().unwrap()).collect()
    };
    let (log, linear) = (widths(Scale::Log), widths(Scale::Linear));
    assert!(log[0] < log[1] && log[1] < log[2] && log[1] > 300.0, "{log:?}");
    assert!(linear[1] <= 1.0 && linear[2] > 500.0, "{linear:?}");
}

#[test]
fn a_page_asks_for_nothing_and_lets_nothing_out_of_its_place() {
    let mut table = Table::new(&[("device", false), ("J/TH", true)]);
    table.rows.push(vec!["<b>S9</b>".into(), "98".into()]);
    let page = Page {
        title: "Why & how".into(),
        lead: "<script>alert(1)</script>".into(),
        parts: vec![
            Part::Heading("One".into()),
            Part::Text("two < three".into()),
            Part::Verbatim("$ midstate asic".into()),
            Part::Figure { figure: Figure::Chart(chart()), caption: "Look".into() },
            Part::Table(table),
        ],
        footer: "made today".into(),
    };
    let html = page.to_html();
    assert!(html.contains("default-src 'none'"));
    assert!(!html.contains("<script") && !html.contains("<b>"));
    assert!(!html.contains("src=") && !html.contains("@import") && !html.contains("url("));
    let outside = html.replace("http://www.w3.org/2000/svg", "");
    assert!(!outside.contains("http://") && !outside.contains("https://"));
    assert!(html.contains("<td class=\"number\">98</td>"));
    assert_eq!(html.matches("<svg").count(), 2, "one for a desk, one for a telephone");
    for tag in ["main", "figure", "table", "svg", "g", "div", "p", "pre", "h2", "footer"] {
        let opened =
            html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

#[test]
fn an_address_is_a_link_without_what_ends_its_sentence() {
    let text = "Horowitz (https://doi.org/10.1109/ISSCC.2014.6757323). See a.example/?b&c; at 9.2 \
                c/kWh or 10.5 J/TH, U.S./EU, 10.1109/6, /x and e.g. two/three";
    let page = Page { parts: vec![Part::Text(text.into())], ..Page::default() };
    let html = page.to_html();
    let doi = "https://doi.org/10.1109/ISSCC.2014.6757323";
    let link = format!("<p>Horowitz (<a href=\"{doi}\" rel=\"noreferrer\">{doi}</a>). See ");
    assert!(html.contains(&link), "{html}");
    assert!(html.contains("<a href=\"https://a.example/?b&amp;c\" rel=\"noreferrer\">a.example/"));
    assert_eq!(html.matches("<a ").count(), 2, "{html}");
}
