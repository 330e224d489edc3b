//! Axes: from values to places, and which values get a tick.

/// How values are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Equal steps are equally long.
    Linear,
    /// Equal ratios are equally long; values are above zero.
    Log,
}

/// One axis.
#[derive(Debug, Clone)]
pub struct Axis {
    /// The quantity on it, with its unit.
    pub label: String,
    /// How.
    pub scale: Scale,
    /// First and last value that are shown; data outside is left out.
    pub range: (f64, f64),
    /// How a tick is written.
    pub tick: fn(f64) -> String,
}

impl Axis {
    /// An axis that holds all of `values`, with a little room at both ends.
    ///
    /// Values that the scale cannot show (not finite; zero or less on a log scale) do not count.
    /// Without any value the axis runs from 1 to 10.
    pub fn around(
        label: impl Into<String>,
        scale: Scale,
        values: impl IntoIterator<Item = f64>,
        tick: fn(f64) -> String,
    ) -> Self {
        let shown = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let (low, high) = values
            .into_iter()
            .filter(shown)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let range = match scale {
            _ if low > high => (1.0, 10.0),
            Scale::Linear => {
                let room = match high - low {
                    0.0 => (high.abs() * 1e-3).max(1e-9),
                    length => length * 0.04,
                };
                (low - room, high + room)
            }
            Scale::Log => {
                let room = (high / low).powf(0.03).max(1.1);
                (low / room, high * room)
            }
        };
        Self { label: label.into(), scale, range, tick }
    }

    /// Where `value` lies: 0 at the start of the range, 1 at its end. `None` outside.
    pub(crate) fn place(&self, value: f64) -> Option<f64> {
        let (low, high) = self.range;
        let place = match self.scale {
            Scale::Linear => (value - low) / (high - low),
            Scale::Log => (value / low).ln() / (high / low).ln(),
        };
        (-1e-9..=1.0 + 1e-9).contains(&place).then_some(place)
    }

    /// Round values with a tick, at most `most`.
    pub(crate) fn ticks(&self, most: usize) -> Vec<f64> {
        let (low, high) = self.range;
        match self.scale {
            Scale::Linear => {
                let step = round_step((high - low) / most.max(1) as f64);
                let first = (low / step).ceil() as i64;
                let last = (high / step).floor() as i64;
                (first..=last).map(|index| index as f64 * step).collect()
            }
            Scale::Log => {
                let first = low.log10().ceil() as i32;
                let last = high.log10().floor() as i32;
                if last <= first {
                    return self.ticks_within_a_decade(most);
                }
                let every = ((last - first) as usize / most.max(1) + 1) as i32;
                let decades = (first..=last).filter(|power| power.rem_euclid(every) == 0);
                decades.map(|power| 10f64.powi(power)).collect()
            }
        }
    }
}

impl Axis {
    /// Round values of a log axis that holds one power of ten or none.
    fn ticks_within_a_decade(&self, most: usize) -> Vec<f64> {
        let (low, high) = self.range;
        let power = 10f64.powf(low.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0].map(|factor| factor * power);
        let inside: Vec<_> =
            round.into_iter().filter(|tick| (low..=high).contains(tick)).take(most).collect();
        // Less than a factor of two or so: equal steps are hardly unequal there.
        if inside.len() < 2 {
            let linear = Self { scale: Scale::Linear, ..self.clone() };
            return linear.ticks(most);
        }
        inside
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= step * 0.999_9);
    factor.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(scale: Scale, range: (f64, f64)) -> Axis {
        Axis { label: String::new(), scale, range, tick: |value| value.to_string() }
    }

    #[test]
    fn ticks_are_round_inside_and_few() {
        assert_eq!(
            axis(Scale::Linear, (2008.7, 2026.2)).ticks(8),
            [2010.0, 2015.0, 2020.0, 2025.0]
        );
        assert_eq!(axis(Scale::Linear, (-0.3, 1.0)).ticks(5), [0.0, 0.5, 1.0]);
        assert_eq!(axis(Scale::Log, (0.5, 2e3)).ticks(6), [1.0, 10.0, 100.0, 1000.0]);
        for most in 1..12 {
            assert!(axis(Scale::Log, (1e-9, 1e21)).ticks(most).len() <= most + 1);
        }
    }

    #[test]
    fn a_log_axis_within_one_decade_has_ticks() {
        assert_eq!(axis(Scale::Log, (1.5, 9.0)).ticks(6), [2.0, 5.0]);
        assert_eq!(axis(Scale::Log, (4.0, 60.0)).ticks(6), [5.0, 10.0, 20.0, 50.0]);
        for (low, high) in [(2.1, 4.9), (1.01, 1.02), (3e20, 3.3e20), (1e-9, 1.5e-9), (9.0, 11.0)] {
            let ticks = axis(Scale::Log, (low, high)).ticks(6);
            assert!(ticks.len() >= 2, "{low} to {high}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (low..=high).contains(tick)), "{ticks:?}");
        }
    }

    #[test]
    fn places_run_from_0_to_1_and_stop_there() {
        let log = axis(Scale::Log, (1.0, 1e4));
        assert_eq!(log.place(100.0), Some(0.5));
        assert_eq!((log.place(0.5), log.place(0.0), log.place(-1.0)), (None, None, None));
        let linear = axis(Scale::Linear, (10.0, 20.0));
        assert_eq!(linear.place(15.0), Some(0.5));
        assert_eq!((linear.place(9.0), linear.place(f64::NAN)), (None, None));
    }

    #[test]
    fn an_axis_around_nothing_is_still_an_axis() {
        let empty = Axis::around("x", Scale::Log, [f64::NAN, 0.0, -3.0], |_| String::new());
        assert_eq!(empty.range, (1.0, 10.0));
        let one = Axis::around("x", Scale::Linear, [5.0], |_| String::new());
        assert_eq!(one.place(5.0), Some(0.5));
    }
}
