//! Amounts as the words of a script write them: `1.5M`, `1m30s`, `12.5%`. All of them are whole
//! numbers of something small, so that nothing is rounded.

use std::time::Duration;

/// The longest time that a script can name.
pub(crate) const LONGEST: Duration = Duration::from_secs(31 * 24 * 60 * 60);
/// The highest rate that a script can name, in hashes a second.
pub(crate) const FASTEST: u64 = 1_000_000_000_000;
/// A whole, in the unit of [`share`].
pub(crate) const WHOLE: u64 = 100_000;

/// Hashes a second: `200`, `50k`, `1.5M`.
pub(crate) fn rate(text: &str) -> Result<u64, String> {
    let units = [("k", 1_000), ("M", 1_000_000), ("G", 1_000_000_000), ("T", 1_000_000_000_000)];
    let unit = units.iter().find_map(|&(unit, size)| Some((text.strip_suffix(unit)?, size)));
    let (digits, size) = unit.unwrap_or((text, 1));
    match scaled(digits, size) {
        Some(rate) if rate <= FASTEST => Ok(rate),
        Some(_) => Err(format!("{text} is above 1T hashes a second")),
        None => Err(format!(
            "`{text}` is no rate: a rate is a whole number of hashes a second, as 50k, 1.5M or 2G"
        )),
    }
}

/// A time in whole milliseconds: `500ms`, `1.5s`, `2m`, `1h30m`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!("`{text}` is no time: a time is a number with ms, s, m, h or d, as 30s or 1m30s")
    };
    let (mut rest, mut sum) = (text, 0_u64);
    // Without this, no text at all would be 0 s.
    if text.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let letters = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let (digits, behind) = rest.split_at(letters);
        let end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let size = match &behind[..end] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        sum = scaled(digits, size).and_then(|part| sum.checked_add(part)).ok_or_else(wrong)?;
        rest = &behind[end..];
    }
    let time = Duration::from_millis(sum);
    match time <= LONGEST {
        true => Ok(time),
        false => Err(format!("{text} is longer than 31 days")),
    }
}

/// A time that is not nothing.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err(format!("{text} is no time at all")),
        span => Ok(span),
    }
}

/// A part of a whole, in hundred-thousandths: `20%`, `0.5%`, and more than the whole: `150%`.
pub(crate) fn part(text: &str) -> Result<u64, String> {
    let part = text.strip_suffix('%').and_then(|digits| scaled(digits, WHOLE / 100));
    part.ok_or_else(|| format!("`{text}` is no percentage, as 20% or 0.5%"))
}

/// A part that is no more than the whole.
pub(crate) fn share(text: &str) -> Result<u64, String> {
    match part(text)? {
        share if share <= WHOLE => Ok(share),
        _ => Err(format!("{text} is more than 100%")),
    }
}

/// How many: `20`.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    scaled(text, 1).ok_or_else(|| format!("`{text}` is no count: one is a whole number, as 20"))
}

/// A decimal number times `size`, if that is a whole number. Digits and one point, no sign.
pub(crate) fn scaled(text: &str, size: u64) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !are_digits(whole) || !are_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let divisor = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let parts = fraction.checked_mul(u128::from(size))?;
    if parts % divisor != 0 {
        return None;
    }
    let whole = whole.parse::<u128>().ok()?.checked_mul(u128::from(size))?;
    u64::try_from(whole.checked_add(parts / divisor)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_or_refused() {
        let rates =
            ["0", "200", "50k", "1.5M", "0.0005k", "1.2345k", "1T", "1.000001T", "2m", "-1"];
        let read = rates.map(|text| rate(text).ok());
        let k = Some;
        assert_eq!(read[..4], [k(0), k(200), k(50_000), k(1_500_000)]);
        assert_eq!(read[4..], [None, None, k(FASTEST), None, None, None]);
        for text in ["", ".", "1.", ".5", "1e6", "+1", "1,5M", "M", "9".repeat(60).as_str()] {
            assert!(rate(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_whole_milliseconds() {
        let times = ["0s", "500ms", "1.5s", "2m", "1m30s", "1h30m", "31d", "0.0005s", "31d1ms"];
        let read = times.map(|text| time(text).ok().map(|time| time.as_millis()));
        assert_eq!(read[..4], [Some(0), Some(500), Some(1500), Some(120_000)]);
        assert_eq!(read[4..7], [Some(90_000), Some(5_400_000), Some(31 * 86_400_000)]);
        assert_eq!(read[7..], [None, None]);
        for text in ["", "30", "s", "2M", "1m 30s", "30sec", "-1s", "9999999999999999999d"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert!(span("0s").is_err());
    }

    #[test]
    fn a_share_is_a_percentage() {
        let read = ["20%", "0.5%", "100%", "0.001%", "100.001%", "20", "%", "0.0001%"];
        let read = read.map(|text| share(text).ok());
        assert_eq!(read[..4], [Some(20_000), Some(500), Some(WHOLE), Some(1)]);
        assert_eq!(read[4..], [None, None, None, None]);
    }
}
