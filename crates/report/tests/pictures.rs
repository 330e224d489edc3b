//! Pictures and pages as a parser sees them. What a browser makes of a real report is tested with
//! the command line (`tests/report.rs` of the whole project).

use midstate_report::{
    Axis, Bar, Bars, Chart, Figure, Gap, Ink, Layer, Line, Marker, Page, Part, Point, Points, Rule,
    Scale, Shares, Slice, Table, Whole,
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
            Layer::Gap(Gap { x: 2013.5, y: (1e5, 10.0), lines: vec!["10,000 times".into()] }),
            Layer::Rule(Rule { y: 100.0, label: "a hundred".into() }),
            Layer::Line(Line {
                name: "trend".into(),
                end: "its end".into(),
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
    let mark = Some((1e9, "a yardstick".into()));
    Bars { title: "Rates".into(), scale, reach: None, tick, mark, rows }
}

fn shares() -> Shares {
    let slice = |(name, share): (&str, f64)| Slice { name: name.into(), share, ink: Ink::Blue };
    let slices = [("fetching", 0.35), ("registers", 0.09), ("steering", 0.559), ("sum", 0.001)];
    let whole = Whole {
        name: "A joule in a CPU".into(),
        text: "buys a million hashes".into(),
        slices: slices.map(slice).to_vec(),
    };
    Shares { title: "Where a joule goes".into(), rows: vec![whole] }
}

#[test]
fn every_picture_is_well_formed_and_has_its_title_and_its_source_in_it() {
    let figures = [
        Figure::Chart(chart()),
        Figure::Bars(bars(Scale::Log)),
        Figure::Bars(bars(Scale::Linear)),
        Figure::Shares(shares()),
    ];
    for figure in figures {
        let svg = figure.to_svg("Measured & drawn on 2026-11-30.");
        let document = roxmltree::Document::parse(&svg).unwrap();
        let root = document.root_element();
        assert_eq!(root.tag_name().name(), "svg");
        let texts: Vec<_> = document.descendants().filter(|n| n.has_tag_name(SVG_TEXT)).collect();
        let title = root.attribute("aria-label").unwrap();
        assert_eq!(texts[0].text(), Some(title), "the title is the first that is read");
        assert!(texts.iter().any(|n| n.text() == Some("Measured & drawn on 2026-11-30.")));
        let [_, _, width, height] = *view_box(&root) else { panic!("{svg}") };
        let inside = |node: &roxmltree::Node<'_, '_>| {
            let at = |name| node.attribute(name).unwrap().parse::<f64>().unwrap();
            let (x, y) = (at("x"), at("y"));
            (0.0..=width).contains(&x) && (0.0..=height).contains(&y)
        };
        assert!(texts.iter().all(inside), "{svg}");
        assert!(svg.contains("prefers-color-scheme: dark") && svg.contains("@media print"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

const SVG_TEXT: (&str, &str) = ("http://www.w3.org/2000/svg", "text");

fn view_box(root: &roxmltree::Node<'_, '_>) -> Box<[f64]> {
    let numbers = root.attribute("viewBox").expect("a picture has its size").split(' ');
    numbers.map(|number| number.parse().expect("a number")).collect()
}

#[test]
fn points_keep_their_details_and_values_outside_break_a_line() {
    let svg = Figure::Chart(chart()).to_svg("");
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
        let svg = Figure::Chart(chart).to_svg("");
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
fn on_a_linear_scale_bars_start_at_zero_and_on_a_log_scale_dots_lie_among_decades() {
    let numbers = |scale, tag: &str, attribute: &str| -> Vec<f64> {
        let svg = Figure::Bars(bars(scale)).to_svg("");
        let document = roxmltree::Document::parse(&svg).unwrap();
        let found = document.descendants().filter(|n| n.tag_name().name() == tag);
        let found = found.filter_map(|node| node.attribute(attribute)?.parse().ok());
        found.collect()
    };
    let linear = numbers(Scale::Linear, "rect", "width");
    assert!(linear[1] <= 1.0 && linear[2] > 500.0, "{linear:?}");
    assert_eq!(numbers(Scale::Log, "rect", "width"), [], "a length from an arbitrary zero");
    let dots = numbers(Scale::Log, "circle", "cx");
    assert_eq!(dots.len(), 3);
    // From 10^-5 to 10^8 are 13 decades, from there to 5.8e14 are 6.76.
    let ratio = (dots[2] - dots[1]) / (dots[1] - dots[0]);
    assert!((ratio - 6.763 / 13.0).abs() < 0.01, "{ratio}");
    let svg = Figure::Bars(bars(Scale::Log)).to_svg("");
    let decades = svg.matches("class=\"tick\"").count();
    assert!(decades >= 3, "{decades} decades are labelled");
}

#[test]
fn pictures_with_the_same_reach_have_the_same_scale() {
    let longest = |reach| {
        let mut bars = bars(Scale::Linear);
        bars.rows.pop();
        bars.reach = reach;
        let svg = Figure::Bars(bars).to_svg("");
        let document = roxmltree::Document::parse(&svg).unwrap();
        let widths = document.descendants().filter_map(|n| n.attribute("width")?.parse().ok());
        widths.fold(0.0, f64::max)
    };
    let (short, long): (f64, f64) = (longest(Some(1e10)), longest(Some(1e9)));
    assert!((long / short - 10.0).abs() < 0.5, "{long}, {short}");
}

#[test]
fn parts_are_as_long_as_their_shares_and_the_least_is_still_seen() {
    let svg = Figure::Shares(shares()).to_svg("");
    let document = roxmltree::Document::parse(&svg).unwrap();
    let slices = document
        .descendants()
        .filter(|n| n.attribute("class").is_some_and(|class| class.starts_with("bar slice")));
    let widths: Vec<f64> =
        slices.map(|slice| slice.attribute("width").unwrap().parse().unwrap()).collect();
    assert_eq!(widths, [301.0, 77.4, 480.7, 1.0]);
}

#[test]
fn lines_that_end_together_have_names_apart() {
    let line = |name: &str, y: f64| {
        Layer::Line(Line {
            name: String::new(),
            end: name.into(),
            ink: Ink::Blue,
            points: vec![(0.0, 1.0), (10.0, y)],
            steps: false,
        })
    };
    let layers = vec![line("one", 5.0), line("two", 5.01), line("three", 5.02), line("four", 9.0)];
    let axis = |high| Axis::around("x", Scale::Linear, [0.0, high], tick);
    let svg = Figure::Chart(Chart { title: "Ends".into(), x: axis(10.0), y: axis(10.0), layers });
    let svg = svg.to_svg("");
    let document = roxmltree::Document::parse(&svg).unwrap();
    let ends = document.descendants().filter(|n| n.attribute("class") == Some("end ink-blue"));
    let mut heights: Vec<f64> =
        ends.map(|end| end.attribute("y").unwrap().parse().unwrap()).collect();
    heights.sort_by(f64::total_cmp);
    assert_eq!(heights.len(), 4);
    assert!(heights.windows(2).all(|pair| pair[1] - pair[0] > 14.0), "{heights:?}");
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
