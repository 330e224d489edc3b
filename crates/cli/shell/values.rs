//! Values of flags that more than one command takes: numbers, hash rates, addresses. Each parser
//! says which values it expects. `clap` adds the flag and the value that came.

use std::fmt::Display;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Sizes of numbers that a flag takes. No quantity of mining is outside them, and inside them no
/// formula of a few factors leaves what an `f64` holds.
const SIZES: RangeInclusive<f64> = 1e-30..=1e30;

/// A flag's value above zero.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    parse(text, |value| SIZES.contains(&value), "a number above 0, from 1e-30 to 1e30, as 0.5")
}

/// A flag's value above zero that is commonly in the thousands: `68.800` is refused, since half of
/// the world writes 68,800 so.
pub(crate) fn large(text: &str) -> Result<f64, String> {
    let groups = text.split_once('.').filter(|(whole, part)| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (1..=3).contains(&whole.len())
            && digits(whole)
            && !whole.starts_with('0')
            && part.len() == 3
            && digits(part)
    });
    match groups {
        Some((whole, part)) => Err(format!(
            "the point may stand for thousands or for a fraction; expected {whole}{part}, or \
             {text}0 for the fraction"
        )),
        None => {
            let expected = "a number above 0, from 1e-30 to 1e30, as 1000";
            parse(text, |value| SIZES.contains(&value), expected)
        }
    }
}

/// A flag's whole number within these bounds, such as `example`.
pub(crate) fn whole<T>(
    bounds: RangeInclusive<T>,
    example: T,
) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Clone,
{
    move |text| {
        let (least, most) = (bounds.start(), bounds.end());
        text.parse()
            .ok()
            .filter(|number| bounds.contains(number))
            .ok_or_else(|| format!("expected a whole number from {least} to {most}, as {example}"))
    }
}

/// Channels on one connection.
pub(crate) fn channels(text: &str) -> Result<usize, String> {
    whole(1..=10_000, 100)(text)
}

/// The longest time that a flag takes, in seconds: 31 years.
const LONGEST: u64 = 1_000_000_000;

/// A flag's whole seconds.
pub(crate) fn seconds(text: &str) -> Result<u64, String> {
    whole(0..=LONGEST, 60)(text).map_err(of_seconds)
}

/// A flag's whole seconds, one at least.
pub(crate) fn patience(text: &str) -> Result<u64, String> {
    whole(1..=LONGEST, 60)(text).map_err(of_seconds)
}

fn of_seconds(words: String) -> String {
    words.replace("whole number", "whole number of seconds")
}

/// A flag's shares in a second.
pub(crate) fn share_rate(text: &str) -> Result<NonZeroU32, String> {
    let rate = whole(1..=u32::MAX, 200)(text)?;
    Ok(NonZeroU32::new(rate).expect("1 or more"))
}

/// Threads that may be asked for. A thread that the system has no memory for ends the program, and
/// that begins at some sixteen thousand; no machine has a quarter of this many CPUs.
pub(crate) const MOST_THREADS: usize = 4096;

/// A flag's count of threads.
pub(crate) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let count = whole(1..=MOST_THREADS, 2)(text)?;
    Ok(NonZeroUsize::new(count).expect("1 or more"))
}

/// A flag's count of what there has to be one of.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    whole(1..=u64::MAX, 10)(text)
}

/// A flag's hash rate: hashes per second, above zero, with a unit from k to E or without.
pub(crate) fn hash_rate(text: &str) -> Result<f64, String> {
    const UNITS: &str = "kMGTPE";
    let unit = text.char_indices().next_back();
    let (digits, unit) = match unit.map(|(at, unit)| (at, UNITS.find(unit))) {
        Some((at, Some(place))) => (&text[..at], 1000f64.powi(place as i32 + 1)),
        _ => (text, 1.0),
    };
    let rate = digits.parse().ok().map(|rate: f64| rate * unit);
    rate.filter(|rate| SIZES.contains(rate)).ok_or_else(|| {
        "expected hashes per second from 1e-30 to 1e30, as 50000, 1.5M or 200T".to_owned()
    })
}

/// A flag's value, zero or more.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    let good = |value| value == 0.0 || SIZES.contains(&value);
    parse(text, good, "0, or a number from 1e-30 to 1e30, as 0.5")
}

/// A flag's value from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    parse(text, |value| (0.0..=1.0).contains(&value), "a share from 0 to 1, as 0.35")
}

/// A flag's share that leaves enough machines for the next retarget to come within four years, and
/// somebody to earn what the others leave.
pub(crate) fn leaving(text: &str) -> Result<f64, String> {
    parse(text, |value| (0.0..=0.99).contains(&value), "a share from 0 to 0.99, as 0.35")
}

/// A flag's yearly growth: less than all of it can be lost.
pub(crate) fn growth(text: &str) -> Result<f64, String> {
    let good = |value| value > -1.0 && value <= *SIZES.end();
    parse(text, good, "a yearly growth from above -1 (which is -100 %) to 1e30, as 0.5 for 50 %")
}

/// A flag's years, for a root of that order.
pub(crate) fn years(text: &str) -> Result<f64, String> {
    parse(text, |value| (0.1..=1e3).contains(&value), "a number of years from 0.1 to 1000, as 4")
}

/// A flag's yearly deviation of a logarithm: with ten, a price may lose or win all its digits.
pub(crate) fn volatility(text: &str) -> Result<f64, String> {
    let expected = "a yearly deviation from 0 to 10, as 0.5, which is bitcoin's";
    parse(text, |value| (0.0..=10.0).contains(&value), expected)
}

fn parse(text: &str, good: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if f64::is_finite(value) && good(value) => Ok(value),
        _ if text.contains(',') => {
            Err(format!("expected {expected}, with a point and no comma in it"))
        }
        _ => Err(format!("expected {expected}")),
    }
}

/// The first flag of these that is given.
pub(crate) fn first_given(flags: &[(bool, &'static str)]) -> Option<&'static str> {
    flags.iter().find(|(is_given, _)| *is_given).map(|(_, flag)| *flag)
}

/// Version bits to roll, in hex; `off` is none.
pub(crate) fn parse_mask(text: &str) -> Result<u32, String> {
    if text == "off" {
        return Ok(0);
    }
    let digits = text.strip_prefix("0x").unwrap_or(text);
    // Rust's parser takes a sign.
    u32::from_str_radix(digits, 16)
        .ok()
        .filter(|_| !digits.starts_with('+'))
        .ok_or_else(|| "expected hex digits from 0 to ffffffff, as 1fffe000, or off".to_owned())
}

/// A socket's address; a port alone is one of this machine.
pub(crate) fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix("localhost:").unwrap_or(text);
    match (text.parse(), port.parse()) {
        (Ok(address), _) => Ok(address),
        (_, Ok(port)) => Ok(SocketAddr::from(([127, 0, 0, 1], port))),
        _ => Err("expected an address and a port, as 127.0.0.1:8080, or a port".to_owned()),
    }
}
