//! The script: how many hashes each worker is to have done at any time of the run, and who is
//! there.
//!
//! A pure function of words, a count of workers and a seed. It knows no clock: time is an argument,
//! and the hashes of a worker are a sum over the whole time until then, so that it does not matter
//! how often, or how late, the script is asked.

mod file;
mod flow;
mod words;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::Duration;

use midstate_limits::{LimitRow, row};

use crate::Limits;
use crate::amount::{FASTEST, LONGEST, WHOLE};
use crate::draw::Draw;
use flow::Flow;

/// Workers of a run at most, those who join later included.
const MOST_WORKERS: u32 = Limits::PRIVATE.workers;
/// The unit of [`Flow::sum`].
const MILLION: u128 = 1_000_000;
/// What the draws of this room are for.
const LEAVING: u64 = 1;

/// Why words are no script.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// A word is not as it has to be.
    #[error("{word}: {problem}; expected {form}, as {example}")]
    Word {
        /// As it came.
        word: String,
        /// Why it is none.
        problem: String,
        /// How it has to be.
        form: &'static str,
        /// One that is.
        example: &'static str,
    },
    /// There is no such word.
    #[error("{word}: no word of a profile; expected one of {known}, as steady:5M")]
    Unknown {
        /// As it came.
        word: String,
        /// All that there are.
        known: String,
    },
    /// No word gives a rate.
    #[error(
        "no word gives a rate; expected steady, step, ramp, burst or oscillate among the words, as \
         steady:5M"
    )]
    NoRate,
    /// A word has more workers leave than are there.
    #[error("{word}: {got} workers are there at that time; let no more than those leave")]
    TooFew {
        /// As it came.
        word: String,
        /// How many are there.
        got: usize,
    },
    /// Too many workers, with those who join.
    #[error("{got} workers, with those who join: expected 1 to {limit} in all")]
    Workers {
        /// How many.
        got: u64,
        /// How many there may be.
        limit: u32,
    },
    /// Too long a text.
    #[error("the profile has {got} bytes: expected at most {limit}")]
    TooLong {
        /// Its bytes.
        got: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Too many words.
    #[error("the profile has {got} words: expected at most {limit}")]
    TooManyWords {
        /// Its words.
        got: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The mistake is in this group of a file.
    #[error("group {name}: {error}")]
    Group {
        /// Its name.
        name: String,
        /// The mistake.
        error: Box<ScriptError>,
    },
    /// The file is not as it has to be.
    #[error("{0}")]
    File(String),
}

/// Workers that hash alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// For people.
    pub name: String,
    /// How many are there from the start.
    pub workers: u32,
    /// The words of [`Script::parse`].
    pub profile: String,
}

/// What each worker is to hash, and when it is there. Workers have numbers, from 0.
#[derive(Debug, Clone)]
pub struct Script {
    groups: Vec<Crew>,
    /// When each worker comes and goes; it goes at [`u64::MAX`] if it stays.
    stays: Vec<Range<u64>>,
    /// When somebody comes or goes, in order. Nothing changes at 0.
    changes: Vec<u64>,
}

/// A group with its numbers.
#[derive(Debug, Clone)]
struct Crew {
    name: String,
    workers: Range<u32>,
    profile: Profile,
}

/// A profile that was read. Times are microseconds since the start of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Profile {
    /// Their rates add up.
    flows: Vec<Flow>,
    /// Nothing is hashed then, whatever the flows say. In order, apart from each other.
    stalls: Vec<(u64, u64)>,
    /// In order.
    moves: Vec<Move>,
}

/// Workers come or go.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Move {
    at: u64,
    joins: bool,
    /// How many, or else:
    count: u64,
    /// which part of those that are there, in hundred-thousandths.
    share: u64,
    /// As it came.
    word: String,
}

impl Script {
    /// Reads a profile that holds for all workers.
    ///
    /// # Errors
    /// When a word is none, with its form and an example.
    pub fn parse(profile: &str, workers: u32, seed: u64) -> Result<Self, ScriptError> {
        let group = Group { name: String::new(), workers, profile: profile.to_owned() };
        Self::from_groups(vec![group], seed)
    }

    /// Reads a file of groups: TOML with a table `[[group]]` for each, which has `workers` and
    /// `profile`, and may have a `name`.
    ///
    /// # Errors
    /// When the file is not as it has to be, with the line or the group.
    pub fn from_toml(text: &str, seed: u64) -> Result<Self, ScriptError> {
        Self::from_groups(file::groups(text)?, seed)
    }

    /// Of groups. The first one's workers have the lowest numbers; in each group those who join
    /// later come after those who are there from the start.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), with the name of the group, if it has one.
    pub fn from_groups(groups: Vec<Group>, seed: u64) -> Result<Self, ScriptError> {
        let mut script = Self { groups: Vec::new(), stays: Vec::new(), changes: Vec::new() };
        for (index, group) in groups.into_iter().enumerate() {
            let draw = Draw::new(seed, LEAVING + ((index as u64) << 32));
            let name = group.name.clone();
            script.add(group, draw).map_err(|error| match name.is_empty() {
                true => error,
                false => ScriptError::Group { name, error: Box::new(error) },
            })?;
        }
        if script.stays.is_empty() {
            return Err(ScriptError::Workers { got: 0, limit: MOST_WORKERS });
        }
        script.changes.sort_unstable();
        script.changes.dedup();
        Ok(script)
    }

    fn add(&mut self, group: Group, mut draw: Draw) -> Result<(), ScriptError> {
        let profile = Profile::read(&group.profile)?;
        let first = self.stays.len();
        self.check_count(u64::from(group.workers))?;
        self.stays.extend((0..group.workers).map(|_| 0..u64::MAX));
        for one in &profile.moves {
            let there = |stay: &Range<u64>| stay.contains(&one.at);
            let mut present: Vec<usize> =
                (first..self.stays.len()).filter(|&worker| there(&self.stays[worker])).collect();
            let part = (present.len() as u64 * one.share + WHOLE / 2) / WHOLE;
            let count = one.count + part;
            if one.joins {
                self.check_count(count)?;
                self.stays.extend((0..count).map(|_| one.at..u64::MAX));
            } else if count > present.len() as u64 {
                return Err(ScriptError::TooFew { word: one.word.clone(), got: present.len() });
            } else {
                let count = count as usize;
                draw.bring_forward(&mut present, count);
                for &worker in &present[..count] {
                    self.stays[worker].end = one.at;
                }
            }
            self.changes.extend((one.at > 0 && count > 0).then_some(one.at));
        }
        // The count is within its limit.
        let workers = first as u32..self.stays.len() as u32;
        self.groups.push(Crew { name: group.name, workers, profile });
        Ok(())
    }

    /// Whether there may be so many more.
    fn check_count(&self, more: u64) -> Result<(), ScriptError> {
        let got = (self.stays.len() as u64).saturating_add(more);
        match got > u64::from(MOST_WORKERS) {
            true => Err(ScriptError::Workers { got, limit: MOST_WORKERS }),
            false => Ok(()),
        }
    }

    /// How many workers there are, those who join later included: their numbers end here.
    pub fn workers(&self) -> u32 {
        self.stays.len() as u32
    }

    /// The names of the groups, each with the numbers of its workers. A script of one profile has
    /// one group without a name.
    pub fn groups(&self) -> impl Iterator<Item = (&str, Range<u32>)> {
        self.groups.iter().map(|crew| (crew.name.as_str(), crew.workers.clone()))
    }

    /// How many hashes a worker is to have done at `at`, a time since the start. Never falls.
    pub fn owed(&self, worker: u32, at: Duration) -> u64 {
        let Some((profile, stay)) = self.of(worker) else { return 0 };
        let end = micros(at).min(stay.end);
        let between = |from: u64, to: u64| match from < to {
            true => profile.sum(to) - profile.sum(from),
            false => 0,
        };
        let stalled: u128 = profile
            .stalls
            .iter()
            .map(|&(from, to)| between(from.max(stay.start), to.min(end)))
            .sum();
        let hashes = (between(stay.start, end) - stalled) / MILLION;
        u64::try_from(hashes).unwrap_or(u64::MAX)
    }

    /// The rate of a worker at `at`, in hashes a second, for a plot.
    pub fn rate(&self, worker: u32, at: Duration) -> f64 {
        match self.of(worker) {
            Some((profile, stay)) if stay.contains(&micros(at)) => profile.rate(micros(at)),
            _ => 0.0,
        }
    }

    /// The rates of all workers at `at` together.
    pub fn rate_of_all(&self, at: Duration) -> f64 {
        let of_group = |crew: &Crew| {
            let stays = &self.stays[crew.workers.start as usize..crew.workers.end as usize];
            let present = stays.iter().filter(|stay| stay.contains(&micros(at))).count();
            present as f64 * crew.profile.rate(micros(at))
        };
        self.groups.iter().map(of_group).sum()
    }

    /// Whether a worker has come and not gone.
    pub fn is_present(&self, worker: u32, at: Duration) -> bool {
        self.of(worker).is_some_and(|(_, stay)| stay.contains(&micros(at)))
    }

    /// When next somebody comes or goes.
    pub fn next_change(&self, after: Duration) -> Option<Duration> {
        let next = self.changes.partition_point(|&at| at <= micros(after));
        self.changes.get(next).copied().map(Duration::from_micros)
    }

    /// When the rate of a worker jumps or bends, from its coming on: the times from which a pool
    /// has to find its difficulty anew. Those of bursts and oscillations are left out, but for the
    /// first.
    pub fn bends(&self, worker: u32) -> Vec<Duration> {
        let Some((profile, stay)) = self.of(worker) else { return Vec::new() };
        let stalls = profile.stalls.iter().flat_map(|&(from, to)| [from, to]);
        let flows = profile.flows.iter().flat_map(Flow::bends);
        let mut bends: Vec<_> = [stay.start].into_iter().chain(stalls).chain(flows).collect();
        bends.retain(|at| stay.contains(at));
        bends.sort_unstable();
        bends.dedup();
        bends.into_iter().map(Duration::from_micros).collect()
    }

    fn of(&self, worker: u32) -> Option<(&Profile, &Range<u64>)> {
        let stay = self.stays.get(worker as usize)?;
        let crew = self.groups.partition_point(|crew| crew.workers.end <= worker);
        Some((&self.groups.get(crew)?.profile, stay))
    }
}

impl Profile {
    fn sum(&self, time: u64) -> u128 {
        self.flows.iter().map(|flow| flow.sum(time)).sum()
    }

    fn rate(&self, time: u64) -> f64 {
        let is_stalled = self.stalls.iter().any(|&(from, to)| (from..to).contains(&time));
        if is_stalled { 0.0 } else { self.flows.iter().map(|flow| flow.rate(time)).sum() }
    }
}

/// Each limit of the language as a row.
pub(crate) fn rows() -> Vec<LimitRow> {
    let bytes = |bytes: usize| format!("{bytes} bytes");
    vec![
        row("a rate of a profile", format!("{FASTEST} H/s"), "refused"),
        row("a time of a profile", LONGEST, "refused"),
        row("words of a profile", words::MOST_WORDS, "refused"),
        row("a profile", bytes(words::LONGEST_PROFILE), "refused"),
        row("groups of a file of profiles", file::MOST_GROUPS, "refused"),
        row("a file of profiles", bytes(file::LONGEST_FILE), "refused"),
    ]
}

/// Microseconds, the unit of all times of a script.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
