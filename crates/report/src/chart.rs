//! A chart of points and lines over two axes, as SVG.

use std::fmt::Write;

use crate::labels::{Area, Placement};
use crate::lettering::{LINE, SIZE, escape, width};
use crate::scale::Axis;

/// Points, lines and reference lines over two axes.
#[derive(Debug, Clone)]
pub struct Chart {
    /// A description, for readers who cannot see the picture and for the tooltip.
    pub title: String,
    /// Left to right.
    pub x: Axis,
    /// Bottom to top.
    pub y: Axis,
    /// Drawn in this order. Labels are placed in this order too: the first find the best places.
    pub layers: Vec<Layer>,
}

/// Something drawn.
#[derive(Debug, Clone)]
pub enum Layer {
    /// Marks at points.
    Points(Points),
    /// A line through points.
    Line(Line),
    /// A horizontal reference line.
    Rule(Rule),
    /// A bracket between two values.
    Gap(Gap),
}

/// Marks of one kind.
#[derive(Debug, Clone)]
pub struct Points {
    /// For the legend.
    pub name: String,
    /// Colour.
    pub ink: Ink,
    /// Shape: a chart must be readable without colour.
    pub marker: Marker,
    /// Where.
    pub points: Vec<Point>,
}

/// One mark.
#[derive(Debug, Clone, Default)]
pub struct Point {
    /// Value on the x axis.
    pub x: f64,
    /// Value on the y axis.
    pub y: f64,
    /// Lowest and highest y, drawn as a bar.
    pub band: Option<(f64, f64)>,
    /// Written beside it, where there is room; empty for no label.
    pub label: String,
    /// Shown when pointed at.
    pub detail: String,
}

/// A line.
#[derive(Debug, Clone)]
pub struct Line {
    /// For the legend.
    pub name: String,
    /// Written after its last point, which spares the reader the legend; empty for none.
    pub end: String,
    /// Colour.
    pub ink: Ink,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// Whether the value holds until the next point, as a price does, instead of sloping.
    pub steps: bool,
}

/// A horizontal line at a value.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Where.
    pub y: f64,
    /// Written on it.
    pub label: String,
}

/// A bracket from one value to another, for what lies between them.
#[derive(Debug, Clone)]
pub struct Gap {
    /// Where it stands.
    pub x: f64,
    /// Its ends.
    pub y: (f64, f64),
    /// Written left of its middle, a line each.
    pub lines: Vec<String>,
}

/// Colours, chosen to stay apart for colour-blind eyes (Okabe and Ito) and in dark mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Blue.
    Blue,
    /// Green.
    Green,
    /// Orange.
    Orange,
    /// Purple.
    Purple,
    /// Red: for what is meant, once a chart.
    Red,
    /// Grey: for what is only context.
    Grey,
}

/// Shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// A disc.
    Circle,
    /// A square.
    Square,
    /// A triangle.
    Triangle,
    /// A square on its corner.
    Diamond,
    /// A star with five points, larger than the others.
    Star,
    /// Nothing but the label.
    Hidden,
}

impl Marker {
    /// How far it reaches from its point, with a little air.
    fn radius(self) -> f64 {
        match self {
            Self::Hidden => 0.0,
            Self::Star => RADIUS * 2.2 + 1.0,
            Self::Circle | Self::Square | Self::Triangle | Self::Diamond => RADIUS * 1.3 + 1.0,
        }
    }
}

impl Ink {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Blue => "ink-blue",
            Self::Green => "ink-green",
            Self::Orange => "ink-orange",
            Self::Purple => "ink-purple",
            Self::Red => "ink-red",
            Self::Grey => "ink-grey",
        }
    }
}

const RADIUS: f64 = 4.0;
/// How much wider bold letters are.
const BOLD: f64 = 1.12;

/// The plot's rectangle inside of the picture.
struct Frame {
    width: f64,
    height: f64,
    plot: Area,
}

impl Chart {
    /// The content of an `<svg>` element, `width` by `height` units large.
    pub(crate) fn draw(&self, width: f64, height: f64) -> String {
        let frame = self.frame(width, height);
        let mut svg = String::new();
        self.draw_legend(&frame, &mut svg);
        self.draw_axes(&frame, &mut svg);

        let mut placement = Placement::inside(frame.plot);
        self.block_data(&frame, &mut placement);
        let mut labels = String::new();
        self.draw_ends(&frame, &mut labels, &mut placement);
        for layer in &self.layers {
            match layer {
                Layer::Rule(rule) => self.draw_rule(rule, &frame, &mut svg, &mut placement),
                Layer::Line(line) => self.draw_line(line, &frame, &mut svg),
                Layer::Gap(gap) => {
                    self.draw_gap(gap, &frame, &mut svg, &mut labels, &mut placement);
                }
                Layer::Points(points) => {
                    self.draw_points(points, &frame, &mut svg, &mut labels, &mut placement);
                }
            }
        }
        // Labels last, so that no line crosses them.
        svg + &labels
    }

    fn frame(&self, picture_width: f64, height: f64) -> Frame {
        let ticks = self.y.ticks((height / 45.0) as usize);
        let widest = ticks.iter().map(|&value| width(&(self.y.tick)(value))).fold(0.0, f64::max);
        let top = LINE * 1.5 + self.legend_rows(picture_width) as f64 * (LINE + 3.0);
        let ends = self.lines().map(|line| width(&line.end)).fold(0.0, f64::max);
        // The last tick on the x axis may stand half outside of the plot.
        let right = picture_width - (ends + 10.0).max(24.0);
        let plot = Area { left: widest + 12.0, top, right, bottom: height - 40.0 };
        Frame { width: picture_width, height, plot }
    }

    fn lines(&self) -> impl Iterator<Item = &Line> {
        self.layers.iter().filter_map(|layer| match layer {
            Layer::Line(line) => Some(line),
            _ => None,
        })
    }

    fn at(&self, x: f64, y: f64, frame: &Frame) -> Option<(f64, f64)> {
        Some((self.x_at(x, frame)?, self.y_at(y, frame)?))
    }

    fn x_at(&self, x: f64, Frame { plot, .. }: &Frame) -> Option<f64> {
        Some(plot.left + self.x.place(x)? * (plot.right - plot.left))
    }

    fn y_at(&self, y: f64, Frame { plot, .. }: &Frame) -> Option<f64> {
        Some(plot.bottom - self.y.place(y)? * (plot.bottom - plot.top))
    }

    /// The entries of the legend with their places; they wrap.
    fn legend(&self, picture_width: f64) -> Vec<(f64, usize, &Layer, &str)> {
        let (mut x, mut row) = (0.0, 0);
        let mut entries = Vec::new();
        for layer in &self.layers {
            let name = match layer {
                Layer::Points(points) => &points.name,
                Layer::Line(line) => &line.name,
                Layer::Rule(_) | Layer::Gap(_) => continue,
            };
            if name.is_empty() {
                continue;
            }
            let entry_width = 18.0 + width(name) + 14.0;
            if x > 0.0 && x + entry_width > picture_width {
                (x, row) = (0.0, row + 1);
            }
            entries.push((x, row, layer, name.as_str()));
            x += entry_width;
        }
        entries
    }

    fn legend_rows(&self, picture_width: f64) -> usize {
        self.legend(picture_width).last().map_or(0, |(_, row, ..)| row + 1)
    }

    fn draw_legend(&self, frame: &Frame, svg: &mut String) {
        for (x, row, layer, name) in self.legend(frame.width) {
            let y = LINE * 0.7 + row as f64 * (LINE + 3.0);
            match layer {
                Layer::Points(points) => draw_marker(points.marker, points.ink, x + 8.0, y, svg),
                Layer::Line(line) => {
                    let (class, end) = (line.ink.class(), x + 14.0);
                    push(
                        svg,
                        format_args!("<path class=\"line {class}\" d=\"M{x} {y:.1}H{end:.1}\"/>"),
                    );
                }
                Layer::Rule(_) | Layer::Gap(_) => {}
            }
            draw_text(name, x + 18.0, y + SIZE * 0.35, "start", "", svg);
        }
    }

    fn draw_axes(&self, frame: &Frame, svg: &mut String) {
        let plot = &frame.plot;
        for value in self.y.ticks(((plot.bottom - plot.top) / 40.0) as usize) {
            let Some(y) = self.y_at(value, frame) else { continue };
            let (left, right) = (plot.left, plot.right);
            push(svg, format_args!("<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>"));
            // One at the very top keeps clear of the axis' name, which stands above it.
            let baseline = (y + SIZE * 0.35).max(plot.top + SIZE * 0.65);
            draw_text(&(self.y.tick)(value), left - 6.0, baseline, "end", "tick", svg);
        }
        let room =
            self.x.ticks(4).iter().map(|&value| width(&(self.x.tick)(value))).fold(20.0, f64::max);
        for value in self.x.ticks(((plot.right - plot.left) / (room + 24.0)) as usize) {
            let Some(x) = self.x_at(value, frame) else { continue };
            let (top, bottom) = (plot.top, plot.bottom);
            push(svg, format_args!("<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"));
            draw_text(&(self.x.tick)(value), x, bottom + LINE, "middle", "tick", svg);
        }
        draw_text(&self.y.label, 3.0, plot.top - 7.0, "start", "axis", svg);
        let middle = (plot.left + plot.right) / 2.0;
        draw_text(&self.x.label, middle, frame.height - 6.0, "middle", "axis", svg);
    }

    fn block_data(&self, frame: &Frame, placement: &mut Placement) {
        for layer in &self.layers {
            match layer {
                Layer::Points(points) if points.marker != Marker::Hidden => {
                    let places = points.points.iter().filter_map(|p| self.at(p.x, p.y, frame));
                    places.for_each(|(x, y)| placement.block_point(x, y, points.marker.radius()));
                }
                Layer::Line(line) => {
                    let places = line.points.iter().filter_map(|&(x, y)| self.at(x, y, frame));
                    let places: Vec<_> = places.collect();
                    for pair in places.windows(2) {
                        let corner = if line.steps { (pair[1].0, pair[0].1) } else { pair[0] };
                        placement.block_line(pair[0], corner);
                        placement.block_line(corner, pair[1]);
                    }
                }
                Layer::Gap(gap) => {
                    let ends = (self.at(gap.x, gap.y.0, frame), self.at(gap.x, gap.y.1, frame));
                    if let (Some(from), Some(to)) = ends {
                        placement.block_line(from, to);
                    }
                }
                Layer::Rule(rule) => {
                    if let Some(y) = self.y_at(rule.y, frame) {
                        placement.block_line((frame.plot.left, y), (frame.plot.right, y));
                    }
                }
                Layer::Points(_) => {}
            }
        }
    }

    fn draw_rule(&self, rule: &Rule, frame: &Frame, svg: &mut String, placement: &mut Placement) {
        let Some(y) = self.y_at(rule.y, frame) else { return };
        let Area { left, right, .. } = frame.plot;
        push(svg, format_args!("<path class=\"rule\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>"));
        let text_width = width(&rule.label);
        let above = |from: f64, top: f64| Area {
            left: from,
            top,
            right: from + text_width,
            bottom: top + LINE,
        };
        let last = right - text_width - 4.0;
        // At the ends first, above the line and below it; then wherever there is room.
        let ends = [left + 4.0, last].into_iter();
        let between = (1..).map(|step| left + 4.0 + f64::from(step) * LINE);
        let from = || ends.clone().chain(between.clone().take_while(|from| *from < last));
        let tops = [y - LINE - 1.0, y + 1.0];
        let mut candidates = tops.into_iter().flat_map(|top| from().map(move |from| (from, top)));
        let place = candidates.find_map(|(from, top)| {
            let area = above(from, top);
            placement.is_free(&area).then_some(area)
        });
        if let Some(area) = place {
            placement.block_label(area);
            draw_text(&rule.label, area.left, area.bottom - 4.0, "start", "note", svg);
        }
    }

    /// The names of the lines after their last points, moved apart where these lie close.
    fn draw_ends(&self, frame: &Frame, labels: &mut String, placement: &mut Placement) {
        let end = |line: &'_ Line| -> Option<(f64, f64)> {
            line.points.iter().rev().find_map(|&(x, y)| self.at(x, y, frame))
        };
        let named = self.lines().filter(|line| !line.end.is_empty());
        let mut ends: Vec<_> = named.filter_map(|line| Some((end(line)?, line))).collect();
        ends.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
        let places = apart(&ends.iter().map(|end| end.0.1).collect::<Vec<_>>(), LINE);
        for (((x, _), line), y) in ends.into_iter().zip(places) {
            let (left, baseline) = (x + 6.0, y + SIZE * 0.35);
            placement.block_label(Area {
                left,
                top: y - LINE / 2.0,
                right: left + width(&line.end),
                bottom: y + LINE / 2.0,
            });
            let class = format!("end {}", line.ink.class());
            draw_text(&line.end, left, baseline, "start", &class, labels);
        }
    }

    /// A bracket that opens to the left, with its text before its middle.
    fn draw_gap(
        &self,
        gap: &Gap,
        frame: &Frame,
        svg: &mut String,
        labels: &mut String,
        placement: &mut Placement,
    ) {
        let ends = (self.at(gap.x, gap.y.0, frame), self.at(gap.x, gap.y.1, frame));
        let (Some((x, from)), Some((_, to))) = ends else { return };
        let tip = x - 7.0;
        push(
            svg,
            format_args!(
                "<path class=\"gap\" d=\"M{tip:.1} \
                   {from:.1}H{x:.1}V{to:.1}H{tip:.1}\"/>\n"
            ),
        );
        let widest = gap.lines.iter().map(|line| width(line)).fold(0.0, f64::max) * BOLD;
        let tall = gap.lines.len() as f64 * LINE;
        let right = x - 6.0;
        let place = |top: f64| Area { left: right - widest, top, right, bottom: top + tall };
        let (low, high) = (from.min(to), from.max(to));
        let middle = (low + high - tall) / 2.0;
        // From the middle outwards, in steps of half a line.
        let tops = (0..200).map(|step| {
            let distance = f64::from(step / 2) * LINE / 2.0;
            if step % 2 == 0 { middle + distance } else { middle - distance }
        });
        let mut areas = tops.filter(|top| *top >= low && top + tall <= high).map(place);
        if let Some(area) = areas.find(|area| placement.is_free(area)) {
            placement.block_label(area);
            for (index, line) in gap.lines.iter().enumerate() {
                let baseline = area.top + index as f64 * LINE + LINE - 4.0;
                draw_text(line, area.right, baseline, "end", "here", labels);
            }
        }
    }

    fn draw_line(&self, line: &Line, frame: &Frame, svg: &mut String) {
        let mut path = String::new();
        let mut drawing = false;
        for &(x, y) in &line.points {
            let Some((x, y)) = self.at(x, y, frame) else {
                drawing = false;
                continue;
            };
            let step = match (drawing, line.steps) {
                (false, _) => format!("M{x:.1} {y:.1}"),
                (true, false) => format!("L{x:.1} {y:.1}"),
                (true, true) => format!("H{x:.1}V{y:.1}"),
            };
            path += &step;
            drawing = true;
        }
        push(svg, format_args!("<path class=\"line {}\" d=\"{path}\"/>", line.ink.class()));
    }

    fn draw_points(
        &self,
        points: &Points,
        frame: &Frame,
        svg: &mut String,
        labels: &mut String,
        placement: &mut Placement,
    ) {
        let class = points.ink.class();
        for point in &points.points {
            let Some((x, y)) = self.at(point.x, point.y, frame) else { continue };
            push(svg, format_args!("<g>"));
            if !point.detail.is_empty() {
                push(svg, format_args!("<title>{}</title>", escape(&point.detail)));
            }
            if let Some((low, high)) = point.band
                && let (Some(low), Some(high)) = (self.y_at(low, frame), self.y_at(high, frame))
            {
                push(
                    svg,
                    format_args!("<path class=\"band {class}\" d=\"M{x:.1} {low:.1}V{high:.1}\"/>"),
                );
            }
            draw_marker(points.marker, points.ink, x, y, svg);
            push(svg, format_args!("</g>\n"));
            if point.label.is_empty() {
                continue;
            }
            let wide = width(&point.label) * if points.marker == Marker::Star { BOLD } else { 1.0 };
            if let Some(place) = placement.take(wide, x, y, points.marker.radius()) {
                let area = place.area;
                if let Some((end, edge)) = place.leader {
                    push(
                        labels,
                        format_args!(
                            "<path class=\"leader\" d=\"M{x:.1} {y:.1}L{end:.1} {edge:.1}\"/>"
                        ),
                    );
                }
                let important = if points.marker == Marker::Star { "here" } else { "label" };
                draw_text(&point.label, area.left, area.bottom - 4.0, "start", important, labels);
            }
        }
    }
}

/// Places as near to those that are wished, sorted, as a distance between them allows.
fn apart(wished: &[f64], distance: f64) -> Vec<f64> {
    let mut places = wished.to_vec();
    // A few rounds of pushing neighbours apart settle a handful of labels.
    for _ in 0..50 {
        for index in 1..places.len() {
            let missing = distance - (places[index] - places[index - 1]);
            if missing > 0.0 {
                places[index - 1] -= missing / 2.0;
                places[index] += missing / 2.0;
            }
        }
    }
    places
}

/// The start tag, with what a screen reader says.
pub(crate) fn open(title: &str, width: f64, height: f64) -> String {
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"{title}\">\n"
    )
}

pub(crate) fn draw_text(text: &str, x: f64, y: f64, anchor: &str, class: &str, svg: &mut String) {
    let text = escape(text);
    push(
        svg,
        format_args!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">\
             {text}</text>\n"
        ),
    );
}

pub(crate) fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing into a string does not fail");
}

pub(crate) fn draw_marker(marker: Marker, ink: Ink, x: f64, y: f64, svg: &mut String) {
    let class = ink.class();
    let polygon = |corners: &[(f64, f64)]| {
        corners.iter().map(|(dx, dy)| format!("{:.1},{:.1} ", x + dx, y + dy)).collect::<String>()
    };
    let r = RADIUS;
    let corners = match marker {
        Marker::Hidden => return,
        Marker::Circle => {
            push(
                svg,
                format_args!(
                    "<circle class=\"mark {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\"/>"
                ),
            );
            return;
        }
        Marker::Square => polygon(&[(-r, -r), (r, -r), (r, r), (-r, r)]),
        Marker::Triangle => polygon(&[(0.0, -r * 1.2), (r * 1.1, r), (-r * 1.1, r)]),
        Marker::Diamond => {
            polygon(&[(0.0, -r * 1.3), (r * 1.3, 0.0), (0.0, r * 1.3), (-r * 1.3, 0.0)])
        }
        Marker::Star => {
            let corner = |index: i32| {
                let angle = f64::from(index) * std::f64::consts::PI / 5.0;
                let radius = if index % 2 == 0 { r * 2.2 } else { r * 0.95 };
                (angle.sin() * radius, -angle.cos() * radius)
            };
            polygon(&(0..10).map(corner).collect::<Vec<_>>())
        }
    };
    push(svg, format_args!("<polygon class=\"mark {class}\" points=\"{}\"/>", corners.trim_end()));
}
