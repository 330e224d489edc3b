//! Expectations of a run, as `p99<50ms,lost=0,settle<3m`, and whether they were met.

use std::fmt;
use std::time::Duration;

use midstate_limits::{LimitRow, row};

use crate::amount;

/// A list has no more expectations.
const MOST: usize = 64;

/// Something that a run measures and a user can expect something of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Quantity {
    /// Half of the answers to shares took no longer.
    P50,
    /// 99 of 100 answers to shares took no longer.
    P99,
    /// The slowest answer to a share.
    Max,
    /// From a new block to the last worker's job, at the slowest block.
    Job,
    /// From a change of the script to the difficulty that its rate asks for, at the slowest worker.
    Settle,
    /// How far the pool's difficulty went beyond the one that the rate asks for.
    Overshoot,
    /// Shares that were accepted.
    Accepted,
    /// Good shares that the pool refused.
    Refused,
    /// Good shares that never had an answer.
    Lost,
    /// Connections that broke and were not to break.
    Disconnects,
    /// Wrong shares that the pool accepted.
    LetThrough,
}

/// The kinds of amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Time,
    Count,
    Part,
}

/// A measured or an expected amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Amount {
    /// A time.
    Time(Duration),
    /// A number of things.
    Count(u64),
    /// A part of a whole, in hundred-thousandths.
    Part(u64),
}

const QUANTITIES: [(Quantity, &str, Kind); 11] = [
    (Quantity::P50, "p50", Kind::Time),
    (Quantity::P99, "p99", Kind::Time),
    (Quantity::Max, "max", Kind::Time),
    (Quantity::Job, "job", Kind::Time),
    (Quantity::Settle, "settle", Kind::Time),
    (Quantity::Overshoot, "overshoot", Kind::Part),
    (Quantity::Accepted, "accepted", Kind::Count),
    (Quantity::Refused, "refused", Kind::Count),
    (Quantity::Lost, "lost", Kind::Count),
    (Quantity::Disconnects, "disconnects", Kind::Count),
    (Quantity::LetThrough, "let-through", Kind::Count),
];

/// Longer ones first: the first that fits is taken.
const RELATIONS: [(&str, Relation); 5] = [
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("<", Relation::Below),
    (">", Relation::Above),
    ("=", Relation::Equal),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Below,
    AtMost,
    Equal,
    AtLeast,
    Above,
}

/// One expectation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    quantity: Quantity,
    relation: Relation,
    amount: Amount,
    /// As it came.
    text: String,
}

/// An expectation and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// As the user wrote it.
    pub text: String,
    /// What was measured; `None` if nothing was.
    pub measured: Option<Amount>,
    /// Whether it was met. A quantity that was not measured meets nothing.
    pub is_met: bool,
}

/// Why a text is no list of expectations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}: {problem}; expected QUANTITY, one of <, <=, =, >=, >, and an amount, as p99<50ms")]
pub struct ExpectError {
    /// The part that is wrong.
    text: String,
    /// Why.
    problem: String,
}

/// Reads a list of expectations, separated by commas.
///
/// # Errors
/// When one is none, with its text and an example.
pub fn parse(list: &str) -> Result<Vec<Expectation>, ExpectError> {
    let parts: Vec<&str> = list.split(',').map(str::trim).collect();
    if parts.len() > MOST {
        let problem = format!("{} expectations are too many, {MOST} are read", parts.len());
        return Err(ExpectError { text: parts[MOST].to_owned(), problem });
    }
    let one = |text: &str| {
        expectation(text).map_err(|problem| ExpectError { text: text.to_owned(), problem })
    };
    parts.into_iter().map(one).collect()
}

/// Whether they were met, in the order of the list. `measured` gives what the run has measured.
pub fn judge(
    expectations: &[Expectation],
    measured: impl Fn(Quantity) -> Option<Amount>,
) -> Vec<Judgement> {
    let one = |expectation: &Expectation| {
        let measured = measured(expectation.quantity);
        let is_met =
            measured.is_some_and(|amount| expectation.relation.holds(amount, expectation.amount));
        Judgement { text: expectation.text.clone(), measured, is_met }
    };
    expectations.iter().map(one).collect()
}

/// Each limit as a row.
pub(crate) fn rows() -> Vec<LimitRow> {
    vec![row("expectations of a run", MOST, "refused")]
}

fn expectation(text: &str) -> Result<Expectation, String> {
    let at = text.find(['<', '>', '=']).ok_or("it compares nothing")?;
    let (name, rest) = (text[..at].trim(), &text[at..]);
    let (sign, relation) = RELATIONS
        .into_iter()
        .find(|(sign, _)| rest.starts_with(sign))
        .ok_or("it compares nothing")?;
    let known = QUANTITIES.iter().find(|(_, known, _)| *known == name);
    let &(quantity, _, kind) = known.ok_or_else(|| {
        format!(
            "`{name}` is not measured; there are {}",
            QUANTITIES.map(|(_, name, _)| name).join(", ")
        )
    })?;
    let value = rest[sign.len()..].trim();
    let amount = match kind {
        Kind::Time => Amount::Time(amount::time(value)?),
        Kind::Count => Amount::Count(amount::count(value)?),
        Kind::Part => Amount::Part(amount::part(value)?),
    };
    Ok(Expectation { quantity, relation, amount, text: text.to_owned() })
}

impl Quantity {
    /// All, in the order of a table.
    pub fn all() -> impl Iterator<Item = Self> {
        QUANTITIES.into_iter().map(|(quantity, ..)| quantity)
    }

    /// As an expectation writes it.
    pub fn name(self) -> &'static str {
        QUANTITIES.iter().find(|(quantity, ..)| *quantity == self).map_or("", |(_, name, _)| name)
    }
}

impl Amount {
    /// A part of a whole that is 1.
    pub fn part(part: f64) -> Self {
        Self::Part((part * amount::WHOLE as f64).round() as u64)
    }
}

impl Relation {
    fn holds(self, measured: Amount, expected: Amount) -> bool {
        match self {
            Self::Below => measured < expected,
            Self::AtMost => measured <= expected,
            Self::Equal => measured == expected,
            Self::AtLeast => measured >= expected,
            Self::Above => measured > expected,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Time(time) if time < Duration::from_secs(1) => {
                write!(f, "{} ms", time.as_micros() as f64 / 1e3)
            }
            Self::Time(time) => write!(f, "{} s", time.as_millis() as f64 / 1e3),
            Self::Count(count) => write!(f, "{count}"),
            Self::Part(part) => write!(f, "{} %", part as f64 * 100.0 / amount::WHOLE as f64),
        }
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, measured, is_met } = self;
        match (measured, is_met) {
            (Some(amount), true) => write!(f, "{text}: met, {amount}"),
            (Some(amount), false) => write!(f, "{text}: not met, {amount}"),
            (None, _) => write!(f, "{text}: not met, nothing was measured"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Amount {
        Amount::Time(Duration::from_millis(ms))
    }

    fn judged(list: &str, amount: Option<Amount>) -> Vec<bool> {
        let expectations = parse(list).expect(list);
        judge(&expectations, |_| amount).iter().map(|judgement| judgement.is_met).collect()
    }

    #[test]
    fn every_relation_holds_on_its_side_of_the_amount() {
        let list = "p99<50ms,p99<=50ms,p99=50ms,p99>=50ms,p99>50ms";
        assert_eq!(judged(list, Some(ms(49))), [true, true, false, false, false]);
        assert_eq!(judged(list, Some(ms(50))), [false, true, true, true, false]);
        assert_eq!(judged(list, Some(ms(51))), [false, false, false, true, true]);
    }

    #[test]
    fn what_was_not_measured_meets_nothing() {
        assert_eq!(judged("settle<3m,lost=0", None), [false, false]);
        let judgements = judge(&parse("settle < 3m").unwrap(), |_| None);
        assert_eq!(judgements[0].to_string(), "settle < 3m: not met, nothing was measured");
    }

    #[test]
    fn every_quantity_is_asked_for_by_its_name() {
        for quantity in Quantity::all() {
            let name = quantity.name();
            let value = ["1ms", "1", "150%"].into_iter();
            let lists: Vec<_> = value.map(|value| format!("{name}<={value}")).collect();
            let read: Vec<_> = lists.iter().filter_map(|list| parse(list).ok()).collect();
            assert_eq!(read.len(), 1, "{name}: an amount of one kind");
            assert_eq!(read[0][0].quantity, quantity);
        }
    }

    #[test]
    fn a_mistake_is_named_with_the_part_that_has_it() {
        let said = |list| parse(list).unwrap_err().to_string();
        let form = "; expected QUANTITY, one of <, <=, =, >=, >, and an amount, as p99<50ms";
        assert_eq!(said("p99<50ms,lost"), format!("lost: it compares nothing{form}"));
        assert!(said("p98<1s").starts_with("p98<1s: `p98` is not measured; there are p50, p99"));
        assert!(said("p99<50").starts_with("p99<50: `50` is no time"));
        assert!(said("lost=0.5").starts_with("lost=0.5: `0.5` is no count"));
        assert!(said("").starts_with(": it compares nothing"));
        assert!(said(&vec!["lost=0"; 65].join(",")).contains("65 expectations are too many"));
    }
}
