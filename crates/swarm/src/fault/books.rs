//! What the pool made of the faults, by kind.

use std::collections::BTreeMap;
use std::fmt;

use super::{Code, Fault, FaultNews};

/// Different codes that are kept apart for one kind; a pool may invent others without end.
const CODES: usize = 16;

/// The faults of a run by kind, beside the pool's answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultBooks {
    kinds: BTreeMap<Fault, FaultCounts>,
}

/// One kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Shares that were sent, or acts that were done.
    pub done: u64,
    /// Shares that the pool accepted.
    pub accepted: u64,
    /// Shares that it refused, by its code. Those of an answer without a code, or with one code too
    /// many, are under `None`.
    pub refused: BTreeMap<Option<Code>, u64>,
    /// Shares whose connection ended before an answer came.
    pub unanswered: u64,
    /// Faults that could not be done, as a stale share whose job lasted to the end.
    pub unsent: u64,
    /// Faults during which the pool ended the connection.
    pub cut_off: u64,
}

impl FaultBooks {
    /// Books of these kinds, so that one that was not done is told, too.
    pub fn of(kinds: impl Iterator<Item = Fault>) -> Self {
        Self { kinds: kinds.map(|fault| (fault, FaultCounts::default())).collect() }
    }

    /// The kinds, each with its counts.
    pub fn kinds(&self) -> impl Iterator<Item = (Fault, &FaultCounts)> {
        self.kinds.iter().map(|(&fault, counts)| (fault, counts))
    }

    /// Wrong shares that the pool accepted.
    pub fn let_through(&self) -> u64 {
        self.kinds().filter(|(fault, _)| fault.is_wrong()).map(|(_, counts)| counts.accepted).sum()
    }

    /// Books the news of a fault.
    pub fn record(&mut self, news: &FaultNews) {
        match news {
            FaultNews::Done(fault) => self.of_kind(*fault).done += 1,
            FaultNews::Unsent(fault) => self.of_kind(*fault).unsent += 1,
            FaultNews::Unanswered(fault) => self.of_kind(*fault).unanswered += 1,
            FaultNews::CutOff(fault) => self.of_kind(*fault).cut_off += 1,
            FaultNews::Answered { fault, answer: Ok(()), .. } => self.of_kind(*fault).accepted += 1,
            FaultNews::Answered { fault, answer: Err(code), .. } => {
                let refused = &mut self.of_kind(*fault).refused;
                let has_room = refused.len() < CODES || refused.contains_key(code);
                *refused.entry(code.clone().filter(|_| has_room)).or_default() += 1;
            }
        }
    }

    fn of_kind(&mut self, fault: Fault) -> &mut FaultCounts {
        self.kinds.entry(fault).or_default()
    }
}

impl FaultCounts {
    /// Shares that the pool refused.
    pub fn refused(&self) -> u64 {
        self.refused.values().sum()
    }

    /// The sentence of a table: `sent 20 duplicates: 20 refused with 22`.
    pub fn sentence(&self, fault: Fault) -> String {
        let Self { done, accepted, refused, unanswered, unsent, cut_off } = self;
        let verb = if fault.is_of_share() { "sent" } else { "made" };
        let mut parts: Vec<String> = Vec::new();
        let mut part = |count: u64, words: fmt::Arguments<'_>| {
            if count > 0 {
                parts.push(format!("{count} {words}"));
            }
        };
        for (code, &count) in refused {
            match code {
                Some(code) => part(count, format_args!("refused with {code}")),
                None => part(count, format_args!("refused without a code")),
            }
        }
        match fault.is_wrong() {
            true => part(*accepted, format_args!("LET THROUGH")),
            false => part(*accepted, format_args!("accepted")),
        }
        part(*unanswered, format_args!("not answered"));
        part(*cut_off, format_args!("cut off by the pool"));
        part(*unsent, format_args!("could not be {verb}"));
        let head = format!("{verb} {}", fault.counted(*done));
        match parts.is_empty() {
            true => head,
            false => format!("{head}: {}", parts.join(", ")),
        }
    }
}
