//! A limit as users read it. Each room has limits of its own and makes a [`LimitRow`] of each;
//! `midstate mine --print-limits` prints all rows.
#![forbid(unsafe_code)]

use std::time::Duration;

/// A limit, for a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRow {
    /// The thing that is limited.
    pub name: &'static str,
    /// How much of it is allowed, with its unit.
    pub value: String,
    /// The consequence of going over it.
    pub over: &'static str,
}

/// A row, with the value in words.
pub fn row(name: &'static str, value: impl LimitValue, over: &'static str) -> LimitRow {
    LimitRow { name, value: value.in_words(), over }
}

/// A value that can be a limit.
pub trait LimitValue {
    /// As users read it, with its unit.
    fn in_words(&self) -> String;
}

impl<T: LimitValue> LimitValue for &T {
    fn in_words(&self) -> String {
        (*self).in_words()
    }
}

/// Seconds.
impl LimitValue for Duration {
    fn in_words(&self) -> String {
        format!("{} s", self.as_secs_f64())
    }
}

/// Seconds before the first, second, .. attempt.
impl<const N: usize> LimitValue for [u64; N] {
    fn in_words(&self) -> String {
        format!("{} s", self.map(|seconds| seconds.to_string()).join(", "))
    }
}

impl LimitValue for u32 {
    fn in_words(&self) -> String {
        self.to_string()
    }
}

impl LimitValue for usize {
    fn in_words(&self) -> String {
        self.to_string()
    }
}

/// A value with a unit that it does not say of itself, as `8192 bytes`.
impl LimitValue for String {
    fn in_words(&self) -> String {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_seconds_and_a_count_without_a_unit() {
        let value = |value: &dyn LimitValue| value.in_words();
        assert_eq!(value(&Duration::from_millis(250)), "0.25 s");
        assert_eq!(value(&[1_u64, 2, 5]), "1, 2, 5 s");
        assert_eq!((value(&8_usize), value(&3_u32)), ("8".to_owned(), "3".to_owned()));
        assert_eq!(value(&"8 bytes".to_owned()), "8 bytes");
    }
}
