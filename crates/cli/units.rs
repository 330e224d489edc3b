//! Numbers as people read them.

use std::time::Duration;

/// Three significant digits and an SI prefix: `23.4 M`, `1.20 k`, `0.50 `. The unit goes after it.
pub(crate) fn si(value: f64) -> String {
    const PREFIXES: [&str; 9] = ["", "k", "M", "G", "T", "P", "E", "Z", "Y"];
    let mut value = value;
    let mut prefix = 0;
    // 999.5 would print as 1000.
    while value.abs() >= 999.5 && prefix + 1 < PREFIXES.len() {
        value /= 1000.0;
        prefix += 1;
    }
    let digits = match value.abs() {
        v if v >= 99.95 => 0,
        v if v >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {}", PREFIXES[prefix])
}

/// `12.3 MH/s`.
pub(crate) fn rate(hashes_per_second: f64) -> String {
    format!("{}H/s", si(hashes_per_second))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn si_keeps_three_digits_and_never_prints_a_thousand() {
        for (value, text) in [
            (0.0, "0.00 "),
            (0.5, "0.50 "),
            (9.999, "10.0 "),
            (99.96, "100 "),
            (999.4, "999 "),
            (999.6, "1.00 k"),
            (86_000_000.0, "86.0 M"),
            (5.41e23, "541 Z"),
            (1e30, "1000000 Y"),
        ] {
            assert_eq!(si(value), text);
        }
    }

    #[test]
    fn durations_read_well() {
        let text = |seconds| duration(Duration::from_secs_f64(seconds));
        assert_eq!(text(3.24), "3.2 s");
        assert_eq!(text(48.9), "48 s");
        assert_eq!(text(312.0), "5 min 12 s");
        assert_eq!(text(11_220.0), "3 h 07 min");
    }
}
