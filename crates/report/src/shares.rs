//! Wholes of equal length, each cut into its parts, as SVG: where something goes.

use crate::chart::{Ink, draw_text, push};
use crate::lettering::{LINE, SIZE, width, wrap};

/// Wholes under each other.
#[derive(Debug, Clone)]
pub struct Shares {
    /// A description for readers who cannot see the picture.
    pub title: String,
    /// From top to bottom.
    pub rows: Vec<Whole>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Whole {
    /// Above it, at its left end.
    pub name: String,
    /// Above it, at its right end: what it comes to.
    pub text: String,
    /// From left to right; their shares add up to 1.
    pub slices: Vec<Slice>,
}

/// A part of a whole.
#[derive(Debug, Clone)]
pub struct Slice {
    /// In it, or under it where it is too small.
    pub name: String,
    /// Of the whole.
    pub share: f64,
    /// Its colour.
    pub ink: Ink,
}

const BAR: f64 = 30.0;
const BETWEEN: f64 = 18.0;
/// So much of a part is seen, however small it is.
const LEAST: f64 = 1.0;

/// A row with its texts broken into lines.
struct Row<'a> {
    whole: &'a Whole,
    name: Vec<String>,
    text: Vec<String>,
    /// Whether both stand in one line.
    beside: bool,
    /// The parts with their left ends and widths.
    places: Vec<(&'a Slice, f64, f64)>,
}

impl Shares {
    pub(crate) fn height(&self, picture_width: f64) -> f64 {
        self.rows.iter().map(|whole| Row::new(whole, picture_width).height()).sum::<f64>() + 4.0
    }

    pub(crate) fn draw(&self, picture_width: f64) -> String {
        let mut svg = String::new();
        let mut top = 4.0;
        for whole in &self.rows {
            let row = Row::new(whole, picture_width);
            row.draw(top, picture_width, &mut svg);
            top += row.height();
        }
        svg
    }
}

impl<'a> Row<'a> {
    fn new(whole: &'a Whole, picture_width: f64) -> Self {
        let most = picture_width - 4.0;
        // Names are bold, which is wider.
        let (name, text) = (wrap(&whole.name, most, 1.12), wrap(&whole.text, most, 1.12));
        let beside = width(&whole.name) * 1.12 + width(&whole.text) * 1.12 + 20.0 < most;
        let mut left = 0.0;
        let places = whole.slices.iter().map(|slice| {
            let (from, wide) = (left, slice.share.clamp(0.0, 1.0) * picture_width);
            left += wide;
            // The last part ends where the whole does, even if it had to be widened.
            let from = from.min(picture_width - LEAST);
            (slice, from, wide.max(LEAST))
        });
        let places = places.collect();
        Self { whole, name, text, beside, places }
    }

    fn height(&self) -> f64 {
        self.above() + BAR + self.below().len() as f64 * LINE + BETWEEN
    }

    fn above(&self) -> f64 {
        let lines = if self.beside { 1 } else { self.name.len() + self.text.len() };
        lines as f64 * LINE + 5.0
    }

    fn fits(&(slice, _, wide): &(&Slice, f64, f64)) -> bool {
        width(&slice.name) + 10.0 <= wide
    }

    /// The parts whose names stand under the bar, in the order of their lines.
    fn below(&self) -> Vec<(&'a Slice, f64, f64)> {
        self.places.iter().filter(|place| !Self::fits(place)).copied().collect()
    }

    fn draw(&self, top: f64, picture_width: f64, svg: &mut String) {
        let mut y = top;
        let mut line = |text: &str, x: f64, anchor: &str, class: &str, y: f64| {
            draw_text(text, x, y, anchor, class, svg);
        };
        for text in &self.name {
            y += LINE;
            line(text, 2.0, "start", "whole", y - 3.0);
        }
        if self.beside {
            line(&self.whole.text, picture_width - 2.0, "end", "whole", y - 3.0);
        } else {
            for text in &self.text {
                y += LINE;
                line(text, 2.0, "start", "label", y - 3.0);
            }
        }
        let bar = top + self.above();
        for place @ (slice, left, wide) in &self.places {
            let class = slice.ink.class();
            push(
                svg,
                format_args!(
                    "<rect class=\"bar slice {class}\" x=\"{left:.1}\" y=\"{bar:.1}\" \
                     width=\"{wide:.1}\" height=\"{BAR}\"/>\n"
                ),
            );
            if Self::fits(place) {
                let baseline = bar + BAR / 2.0 + SIZE * 0.35;
                draw_text(&slice.name, left + wide / 2.0, baseline, "middle", "inside", svg);
            }
        }
        self.draw_below(bar + BAR, picture_width, svg);
    }

    /// Each name in a line of its own, on the side of its leader where there is more room: those in
    /// the right half in their order, so that no leader crosses a name.
    fn draw_below(&self, top: f64, picture_width: f64, svg: &mut String) {
        let below = self.below();
        let middle = |&(_, left, wide): &(&Slice, f64, f64)| left + wide / 2.0;
        let (mut lefts, rights): (Vec<_>, Vec<_>) =
            below.into_iter().partition(|place| middle(place) < picture_width / 2.0);
        lefts.reverse();
        for (index, place) in lefts.iter().chain(&rights).enumerate() {
            let x = middle(place).min(picture_width - 1.0);
            let baseline = top + (index + 1) as f64 * LINE;
            push(
                svg,
                format_args!(
                    "<path class=\"leader\" d=\"M{x:.1} {top:.1}V{:.1}\"/>\n",
                    baseline - 2.0
                ),
            );
            let is_left = x < picture_width / 2.0;
            let (from, anchor) = if is_left { (x + 4.0, "start") } else { (x - 4.0, "end") };
            draw_text(&place.0.name, from, baseline, anchor, "label", svg);
        }
    }
}
