//! Dates without a clock: days of the Gregorian calendar from and to Unix time (UTC). The
//! arithmetic is Howard Hinnant's `days_from_civil` ("chrono-Compatible Low-Level Date
//! Algorithms").

use std::fmt;
use std::str::FromStr;

/// A day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date {
    /// Year of the common era.
    pub year: i32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

/// Why a text is not a date.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a date is YYYY-MM-DD, got {0:?}")]
pub struct DateError(String);

/// A Unix time as people write it: `2009-01-03 18:15:05`, in UTC.
pub fn utc(seconds: i64) -> String {
    let time = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!("{} {hour:02}:{minute:02}:{second:02}", Date::from_unix(seconds))
}

impl Date {
    /// The day of a Unix time.
    pub fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months counted from March, so that the leap day is the last.
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year: year as i32, month: month as u32, day: day as u32 }
    }

    /// Midnight of the day, in Unix time.
    pub fn to_unix(self) -> i64 {
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let from_march = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * from_march + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        (era * 146_097 + day_of_era - 719_468) * 86_400
    }

    /// As a year with its fraction.
    pub fn fractional_year(self) -> f64 {
        let start = Self { month: 1, day: 1, ..self };
        let next = Self { year: self.year + 1, ..start };
        let passed = (self.to_unix() - start.to_unix()) as f64;
        f64::from(self.year) + passed / (next.to_unix() - start.to_unix()) as f64
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, DateError> {
        let parse = || {
            let mut parts = text.split('-');
            let date = Self {
                year: parts.next()?.parse().ok()?,
                month: parts.next()?.parse().ok()?,
                day: parts.next()?.parse().ok()?,
            };
            // A day that does not exist comes back as another.
            let real = (1..=12).contains(&date.month)
                && (1..=31).contains(&date.day)
                && Self::from_unix(date.to_unix()) == date;
            (parts.next().is_none() && real).then_some(date)
        };
        parse().ok_or_else(|| DateError(text.to_owned()))
    }
}
