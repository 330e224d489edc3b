//! One word's rate over time, and how many hashes it comes to.

/// A rate over time. Times are microseconds since the start of the run, rates hashes a second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flow {
    /// From each time on that rate; nothing before the first. The times rise.
    Step(Vec<(u64, u64)>),
    /// `from` until `at`, then in a straight line to `to` within `span`, where it stays.
    Ramp { from: u64, to: u64, span: u64, at: u64 },
    /// `rate` for `span`, again and again, from `at` on.
    Burst { rate: u64, span: u64, every: u64, at: u64 },
    /// `from` until `at`, then in straight lines to `to` and back, once in a `period`, which is
    /// even.
    Oscillate { from: u64, to: u64, period: u64, at: u64 },
}

impl Flow {
    /// Hashes from the start to `time`, in millionths of a hash; what is less than one of them is
    /// dropped. Rises with `time`.
    pub(super) fn sum(&self, time: u64) -> u128 {
        let wide = u128::from;
        match *self {
            Self::Step(ref steps) => {
                let ends = steps.iter().skip(1).map(|&(at, _)| at).chain([u64::MAX]);
                let part = |(&(at, rate), end): (&(u64, u64), u64)| {
                    wide(rate) * wide(time.min(end).saturating_sub(at))
                };
                steps.iter().zip(ends).map(part).sum()
            }
            Self::Ramp { from, to, span, at } => {
                let since = time.saturating_sub(at);
                let rising = since.min(span);
                wide(from) * wide(time.min(at))
                    + slope(from, to, span, rising)
                    + wide(to) * wide(since - rising)
            }
            Self::Burst { rate, span, every, at } => {
                let since = time.saturating_sub(at);
                wide(rate) * (wide(since / every) * wide(span) + wide((since % every).min(span)))
            }
            Self::Oscillate { from, to, period, at } => {
                let (since, half) = (time.saturating_sub(at), period / 2);
                let (whole, rest) = (since / period, since % period);
                let there = rest.min(half);
                wide(from) * wide(time.min(at))
                    + wide(whole) * (wide(from) + wide(to)) * wide(half)
                    + slope(from, to, half, there)
                    + slope(to, from, half, rest - there)
            }
        }
    }

    /// Hashes a second at `time`.
    pub(super) fn rate(&self, time: u64) -> f64 {
        let between = |from: u64, to: u64, part: u64, whole: u64| {
            from as f64 + (to as f64 - from as f64) * (part as f64 / whole as f64)
        };
        match *self {
            Self::Step(ref steps) => {
                let last = steps.iter().rev().find(|&&(at, _)| at <= time);
                last.map_or(0.0, |&(_, rate)| rate as f64)
            }
            Self::Ramp { from, to, span, at } => {
                between(from, to, time.saturating_sub(at).min(span), span)
            }
            Self::Burst { rate, span, every, at } => {
                let is_on = time >= at && (time - at) % every < span;
                if is_on { rate as f64 } else { 0.0 }
            }
            Self::Oscillate { from, to, period, at } => {
                let rest = time.saturating_sub(at) % period;
                between(from, to, rest.min(period - rest), period / 2)
            }
        }
    }

    /// The times at which it jumps or bends, those that come again and again excepted.
    pub(super) fn bends(&self) -> Vec<u64> {
        match *self {
            Self::Step(ref steps) => steps.iter().map(|&(at, _)| at).collect(),
            Self::Ramp { span, at, .. } => vec![at, at + span],
            Self::Burst { at, .. } | Self::Oscillate { at, .. } => vec![at],
        }
    }
}

/// Hashes of the first `part` of a straight line from one rate to another within `span`, in
/// millionths of a hash, rounded down.
fn slope(from: u64, to: u64, span: u64, part: u64) -> u128 {
    let level = u128::from(from) * u128::from(part);
    let area = u128::from(from.abs_diff(to)) * u128::from(part) * u128::from(part);
    let twice = 2 * u128::from(span);
    match from <= to {
        true => level + area / twice,
        false => level - area.div_ceil(twice),
    }
}
