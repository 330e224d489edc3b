//! Values of flags that more than one command takes: numbers, hash rates, addresses. Each parser
//! says which values it expects. `clap` adds the flag and the value that came.

use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Sizes of numbers that a flag takes. No quantity of mining is outside them, and inside them no
/// formula of a few factors leaves what an `f64` holds.
const SIZES: RangeInclusive<f64> = 1e-30..=1e30;

/// A flag's value above zero.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    parse(text, |value| SIZES.contains(&value), "a number above 0, from 1e-30 to 1e30")
}

/// A flag's count of what there has to be one of.
pub(crate) fn at_least_one<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "expected a whole number, 1 or more".to_owned())
}

/// Threads that may be asked for. A thread that the system has no memory for ends the program, and
/// that begins at some sixteen thousand; no machine has a quarter of this many CPUs.
pub(crate) const MOST_THREADS: usize = 4096;

/// A flag's count of threads.
pub(crate) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let count = text.parse().ok().filter(|count: &NonZeroUsize| count.get() <= MOST_THREADS);
    count.ok_or_else(|| format!("expected a whole number from 1 to {MOST_THREADS}"))
}

/// The same as a plain number.
pub(crate) fn count(text: &str) -> Result<u64, String> {
    at_least_one(text).map(NonZeroU64::get)
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
    rate.filter(|rate| SIZES.contains(rate))
        .ok_or_else(|| "expected hashes per second, as 50000, 1.5M or 200T".to_owned())
}

/// A flag's value, zero or more.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    let good = |value| value == 0.0 || SIZES.contains(&value);
    parse(text, good, "a number, 0 or more (from 1e-30 to 1e30)")
}

/// A flag's value from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    parse(text, |value| (0.0..=1.0).contains(&value), "a share from 0 to 1, such as 0.35")
}

/// A flag's share that leaves enough machines for the next retarget to come within four years, and
/// somebody to earn what the others leave.
pub(crate) fn leaving(text: &str) -> Result<f64, String> {
    parse(text, |value| (0.0..=0.99).contains(&value), "a share from 0 to 0.99, such as 0.35")
}

/// A flag's yearly growth: less than all of it can be lost.
pub(crate) fn growth(text: &str) -> Result<f64, String> {
    let good = |value| value > -1.0 && value <= *SIZES.end();
    parse(text, good, "a yearly growth above -1 (which is -100 %), such as 0.5 for 50 %")
}

/// A flag's years, for a root of that order.
pub(crate) fn years(text: &str) -> Result<f64, String> {
    parse(text, |value| (0.1..=1e3).contains(&value), "a number of years from 0.1 to 1000")
}

/// A flag's yearly deviation of a logarithm: with ten, a price may lose or win all its digits.
pub(crate) fn volatility(text: &str) -> Result<f64, String> {
    let expected = "a yearly deviation from 0 to 10, where 0.5 is bitcoin's";
    parse(text, |value| (0.0..=10.0).contains(&value), expected)
}

fn parse(text: &str, good: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if f64::is_finite(value) && good(value) => Ok(value),
        _ => Err(format!("expected {expected}")),
    }
}

/// Version bits to roll, in hex; `off` is none.
pub(crate) fn parse_mask(text: &str) -> Result<u32, String> {
    if text == "off" {
        return Ok(0);
    }
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u32::from_str_radix(digits, 16)
        .map_err(|_| "expected up to 8 hex digits, as 1fffe000, or off".to_owned())
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
