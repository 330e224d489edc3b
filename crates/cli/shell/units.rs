//! Numbers as people read them. Those with SI prefixes, and waits beyond days, are worded by
//! `economics::units`, here as in the tables of `econ`.

use std::fmt::Display;
use std::time::Duration;

pub(crate) use midstate_economics::units::si;
use midstate_economics::units::{DAY, HashesPerSecond, Seconds};

/// `12.3 MH/s`.
pub(crate) fn rate(hashes_per_second: f64) -> String {
    HashesPerSecond(hashes_per_second).to_string()
}

/// `10.8 of 76.4 MH/s`, or `850 kH/s of 76.4 MH/s`.
pub(crate) fn rate_of(part: f64, whole: f64) -> String {
    let [part, whole] = [part, whole].map(rate);
    let unit = whole.find(' ').map_or("", |at| &whole[at..]);
    format!("{} of {whole}", part.strip_suffix(unit).unwrap_or(&part))
}

/// Seconds below ten with a tenth, then whole units: `3.2 s`, `48 s`, `5 min 12 s`, `3 h 07 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=9 => format!("{:.1} s", duration.as_secs_f64()),
        10..=59 => format!("{seconds} s"),
        60..=3599 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// A mean wait, which may be beyond all hours: `5 min 12 s`, `38.0 days`, `2.10 million years`.
pub(crate) fn wait(seconds: f64) -> String {
    match Duration::try_from_secs_f64(seconds) {
        Ok(wait) if seconds < 2.0 * DAY => duration(wait),
        _ => Seconds(seconds).to_string(),
    }
}

/// How many of a thing: `1 block`, `6 blocks`.
pub(crate) fn count<N: Display + PartialEq + From<u8>>(count: N, thing: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {thing}{plural}")
}

/// A difficulty, from regtest's to mainnet's, in three significant digits: `4.66e-10`, `0.000283`,
/// `0.123`, `42.0`, `155 T`.
pub(crate) fn difficulty(difficulty: f64) -> String {
    match difficulty {
        0.0 => "0".to_owned(),
        tiny if tiny < 0.000_099_95 => format!("{tiny:.2e}"),
        small if small < 0.000_999_5 => format!("{small:.6}"),
        small if small < 0.009_995 => format!("{small:.5}"),
        small if small < 0.099_95 => format!("{small:.4}"),
        small if small < 0.999_5 => format!("{small:.3}"),
        large => si(large).trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let text = |seconds| duration(Duration::from_secs_f64(seconds));
        assert_eq!(text(3.24), "3.2 s");
        assert_eq!(text(48.9), "48 s");
        assert_eq!(text(312.0), "5 min 12 s");
        assert_eq!(text(11_220.0), "3 h 07 min");
    }

    #[test]
    fn waits_and_difficulties_read_well_at_every_size() {
        let texts = [0.35, 90_000.0, 40.0 * DAY, 1e14].map(wait);
        assert_eq!(texts, ["0.3 s", "25 h 00 min", "40.0 days", "3.17 million years"]);
        assert_eq!(wait(f64::INFINITY), "never");
        let texts = [0.0, 4.656e-10, 5e-4, 0.001, 0.01234, 0.06, 0.5, 0.9996, 42.0, 1.55e14];
        assert_eq!(
            texts.map(difficulty),
            [
                "0", "4.66e-10", "0.000500", "0.00100", "0.0123", "0.0600", "0.500", "1.00",
                "42.0", "155 T"
            ]
        );
    }

    #[test]
    fn a_part_of_a_rate_names_the_unit_once() {
        assert_eq!(rate_of(10.8e6, 76.4e6), "10.8 of 76.4 MH/s");
        assert_eq!(rate_of(850e3, 76.4e6), "850 kH/s of 76.4 MH/s");
        assert_eq!(rate_of(0.0, 850.0), "0 of 850 H/s");
    }

    #[test]
    fn one_is_not_many() {
        let texts = [0u64, 1, 2].map(|blocks| count(blocks, "block"));
        assert_eq!(texts, ["0 blocks", "1 block", "2 blocks"]);
        assert_eq!(count(1usize, "thread"), "1 thread");
    }
}
