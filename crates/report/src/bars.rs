//! Horizontal bars with a name before each and its value after it, as SVG.

use crate::chart::{Ink, draw_text, open, push};
use crate::lettering::{LINE, SIZE, width};
use crate::scale::{Axis, Scale};

/// Bars under each other, on one scale.
#[derive(Debug, Clone)]
pub struct Bars {
    /// What is to be seen.
    pub title: String,
    /// How long a value is. On a log scale bars start at the lowest decade below all values: their
    /// ends compare, their lengths do not.
    pub scale: Scale,
    /// From top to bottom.
    pub rows: Vec<Bar>,
}

/// One bar.
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

impl Bars {
    pub(crate) fn height(&self, picture_width: f64) -> f64 {
        self.rows.len() as f64 * (ROW + self.name_above(picture_width)) + 8.0
    }

    /// A narrow picture has no room beside the bars: there the name goes above.
    fn name_above(&self, picture_width: f64) -> f64 {
        if picture_width < 600.0 { LINE } else { 0.0 }
    }

    /// The `<svg>` element, without a style of its own.
    pub(crate) fn draw(&self, picture_width: f64) -> String {
        let above = self.name_above(picture_width);
        let widest =
            |of: fn(&Bar) -> &str| self.rows.iter().map(|row| width(of(row))).fold(0.0, f64::max);
        let left = if above > 0.0 { 0.0 } else { widest(|row| &row.name) + 10.0 };
        let right = picture_width - widest(|row| &row.text) - 16.0;
        let axis = self.axis();

        let mut svg = open(&self.title, picture_width, self.height(picture_width));
        for (index, row) in self.rows.iter().enumerate() {
            let top = index as f64 * (ROW + above) + above + 4.0;
            let (baseline, middle) = (top + ROW * 0.66, top + ROW * 0.45);
            let at = |value: f64| left + axis.place(value).unwrap_or(0.0) * (right - left);
            // On a linear scale what is too small to see is not seen: that is the point of it.
            let least = if self.scale == Scale::Log { 1.0 } else { 0.0 };
            let end = at(row.value).max(left + least);
            match above {
                0.0 => draw_text(&row.name, left - 8.0, baseline, "end", "label", &mut svg),
                _ => draw_text(&row.name, 0.0, top - 2.0, "start", "label", &mut svg),
            }
            push(
                &mut svg,
                format_args!(
                    "<rect class=\"bar {}\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" \
                     height=\"{:.1}\"/>",
                    row.ink.class(),
                    top + 1.0,
                    end - left,
                    ROW - 8.0,
                ),
            );
            let mut after = end;
            if let Some((low, high)) = row.interval {
                let (low, high) = (at(low), at(high));
                after = after.max(high);
                push(
                    &mut svg,
                    format_args!(
                        "<path class=\"interval\" d=\"M{low:.1} {middle:.1}H{high:.1}\"/>"
                    ),
                );
            }
            let y = middle + SIZE * 0.35;
            draw_text(&row.text, after + 8.0, y, "start", "value", &mut svg);
        }
        svg + "</svg>\n"
    }

    fn axis(&self) -> Axis {
        let values = self.rows.iter().flat_map(|row| {
            let (low, high) = row.interval.unwrap_or((row.value, row.value));
            [low, row.value, high]
        });
        let shown: Vec<f64> = values.filter(|value| *value > 0.0 && value.is_finite()).collect();
        let high = shown.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let low = match self.scale {
            Scale::Linear => 0.0,
            Scale::Log => {
                let lowest = shown.iter().copied().fold(high, f64::min);
                10f64.powf((lowest.log10() - 0.2).floor())
            }
        };
        Axis {
            label: String::new(),
            scale: self.scale,
            range: (low, high),
            tick: |_| String::new(),
        }
    }
}
