//! Values under each other on one scale, with a name before each and the value after it, as SVG:
//! bars from zero on a linear scale, dots among labelled decades on a log scale, which has no zero.

use crate::chart::{Ink, Marker, draw_marker, draw_text, push};
use crate::lettering::{LINE, SIZE, width};
use crate::scale::{Axis, Scale};

/// Values under each other, on one scale.
#[derive(Debug, Clone)]
pub struct Bars {
    /// A description for readers who cannot see the picture.
    pub title: String,
    /// How long a value is.
    pub scale: Scale,
    /// The least reach of the scale, for pictures that are compared; without it the values set the
    /// scale.
    pub reach: Option<f64>,
    /// How a tick is written.
    pub tick: fn(f64) -> String,
    /// A value to compare with, as a line through all rows, and what it is.
    pub mark: Option<(f64, String)>,
    /// From top to bottom.
    pub rows: Vec<Bar>,
}

/// One of them.
#[derive(Debug, Clone)]
pub struct Bar {
    /// Before it.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// Ends of an interval, drawn over its end.
    pub interval: Option<(f64, f64)>,
    /// After it.
    pub text: String,
    /// Its colour.
    pub ink: Ink,
}

const ROW: f64 = 24.0;
/// Above the first row, for the name of the mark.
const HEAD: f64 = LINE + 4.0;
/// Below the last row, for the ticks.
const FOOT: f64 = LINE + 8.0;

/// Where the rows lie.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Bars {
    pub(crate) fn height(&self, picture_width: f64) -> f64 {
        self.head() + self.rows.len() as f64 * (ROW + self.name_above(picture_width)) + FOOT
    }

    fn head(&self) -> f64 {
        if self.mark.is_some() { HEAD } else { 4.0 }
    }

    /// A narrow picture has no room beside the bars: there the name goes above.
    fn name_above(&self, picture_width: f64) -> f64 {
        if picture_width < 600.0 { LINE } else { 0.0 }
    }

    /// The content of an `<svg>` element.
    pub(crate) fn draw(&self, picture_width: f64) -> String {
        let axis = self.axis();
        let frame = self.frame(&axis, picture_width);
        let mut svg = String::new();
        self.draw_scale(&axis, &frame, picture_width, &mut svg);
        let above = self.name_above(picture_width);
        for (index, row) in self.rows.iter().enumerate() {
            let top = frame.top + index as f64 * (ROW + above) + above;
            match above {
                0.0 => {
                    let baseline = top + ROW * 0.66;
                    draw_text(&row.name, frame.left - 8.0, baseline, "end", "label", &mut svg);
                }
                _ => draw_text(&row.name, 0.0, top - 2.0, "start", "value", &mut svg),
            }
            self.draw_row(row, top, &axis, &frame, &mut svg);
        }
        svg
    }

    fn frame(&self, axis: &Axis, picture_width: f64) -> Frame {
        let widest =
            |of: fn(&Bar) -> &str| self.rows.iter().map(|row| width(of(row))).fold(0.0, f64::max);
        let names =
            if self.name_above(picture_width) > 0.0 { 0.0 } else { widest(|row| &row.name) + 10.0 };
        // The first and the last tick stand half outside of the rows.
        let ticks = axis.ticks(4).into_iter().map(|tick| width(&(self.tick)(tick)) / 2.0);
        let half = ticks.fold(0.0, f64::max) + 2.0;
        let top = self.head();
        Frame {
            left: names.max(half),
            right: picture_width - (widest(|row| &row.text) + 18.0).max(half),
            top,
            bottom: self.height(picture_width) - FOOT,
        }
    }

    fn draw_scale(&self, axis: &Axis, frame: &Frame, picture_width: f64, svg: &mut String) {
        let Frame { left, right, top, bottom } = *frame;
        let at = |value: f64| Some(left + axis.place(value)? * (right - left));
        let widest =
            axis.ticks(4).iter().map(|tick| width(&(self.tick)(*tick))).fold(20.0, f64::max);
        let most = ((right - left) / (widest + 18.0)) as usize;
        let ticks = axis.ticks(most);
        // One tick says nothing of a scale; between round numbers there is room for twice as many.
        let ticks = if ticks.len() < 2 { axis.ticks(most * 2) } else { ticks };
        for tick in ticks {
            let Some(x) = at(tick) else { continue };
            push(svg, format_args!("<path class=\"grid\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>\n"));
            draw_text(&(self.tick)(tick), x, bottom + LINE, "middle", "tick", svg);
        }
        if let Some((value, name)) = &self.mark
            && let Some(x) = at(*value)
        {
            let (from, half) = (top - 3.0, width(name) / 2.0);
            // It leaves out the names that stand above their rows.
            let above = self.name_above(picture_width);
            let lines = match above {
                0.0 => format!("M{x:.1} {from:.1}V{bottom:.1}"),
                _ => (0..self.rows.len())
                    .map(|index| top + index as f64 * (ROW + above) + above)
                    .map(|row| format!("M{x:.1} {row:.1}v{:.1}", ROW - 4.0))
                    .collect(),
            };
            push(svg, format_args!("<path class=\"rule\" d=\"{lines}\"/>\n"));
            let middle = x.max(half + 2.0).min(picture_width - half - 2.0);
            draw_text(name, middle, top - 7.0, "middle", "note", svg);
        }
    }

    fn draw_row(&self, row: &Bar, top: f64, axis: &Axis, frame: &Frame, svg: &mut String) {
        let middle = top + ROW * 0.45;
        let at =
            |value: f64| frame.left + axis.place(value).unwrap_or(0.0) * (frame.right - frame.left);
        let end = at(row.value);
        // On a linear scale what is too small to see is not seen: that is the point of it.
        if self.scale == Scale::Linear {
            push(
                svg,
                format_args!(
                    "<rect class=\"bar {}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
                     height=\"{:.1}\"/>",
                    row.ink.class(),
                    frame.left,
                    top + 1.0,
                    end - frame.left,
                    ROW - 8.0,
                ),
            );
        }
        let mut after = end;
        if let Some((low, high)) = row.interval {
            let (low, high) = (at(low), at(high));
            after = after.max(high);
            push(
                svg,
                format_args!("<path class=\"interval\" d=\"M{low:.1} {middle:.1}H{high:.1}\"/>"),
            );
        }
        if self.scale == Scale::Log {
            draw_marker(Marker::Circle, row.ink, end, middle, svg);
        }
        draw_text(&row.text, after + 8.0, middle + SIZE * 0.35, "start", "value", svg);
    }

    fn axis(&self) -> Axis {
        let values = self.rows.iter().flat_map(|row| {
            let (low, high) = row.interval.unwrap_or((row.value, row.value));
            [low, row.value, high]
        });
        let marked = self.mark.iter().map(|mark| mark.0);
        let shown = values.chain(self.reach).chain(marked);
        let shown: Vec<f64> = shown.filter(|value| *value > 0.0 && value.is_finite()).collect();
        let high = shown.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let low = match self.scale {
            Scale::Linear => 0.0,
            // A whole decade, so that the lowest value lies between two that are labelled.
            Scale::Log => 10f64.powf(shown.iter().copied().fold(high, f64::min).log10().floor()),
        };
        Axis { label: String::new(), scale: self.scale, range: (low, high), tick: self.tick }
    }
}
