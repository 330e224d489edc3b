//! Faults on purpose: which there are, how often each is wished for, and what the pool made of
//! them. How a fault is done is in [`miner`](crate::miner).

mod books;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use midstate_chain::Job;
use midstate_limits::{LimitRow, row};

use crate::amount::{self, WHOLE};
use crate::draw::Draw;

pub use books::{FaultBooks, FaultCounts};

/// A plan has no more kinds of faults.
const MOST: usize = 64;
/// A rate of one kind is no higher.
const MOST_A_SECOND: u32 = 1000;
/// From one act of a count to the next, on average.
const PAUSE: Duration = Duration::from_secs(5);
/// Another name of [`Fault::HalfLine`]: Stratum V2 has frames.
const HALF_FRAME: &str = "half-frame";
/// What the draws of this room are for.
const FAULTS: u64 = 2;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// A share is held back until its job is void, and sent then.
    Stale,
    /// A share is sent twice.
    Duplicate,
    /// A share whose hash misses the target.
    Low,
    /// A share of a job that never was.
    BadJob,
    /// A share whose extranonce2 is a byte too short.
    BadExtranonce,
    /// A share whose time is too far in the future, and whose hash meets the target.
    BadTime,
    /// A share with version bits that were not agreed on, and whose hash meets the target.
    BadVersion,
    /// A share of a worker that was not let in.
    Unauthorized,
    /// A share that is sent ten seconds after it was found.
    Late,
    /// Nothing is read and nothing is written for a minute.
    Silent,
    /// Half of a share's line or frame is sent, and the rest five seconds later.
    HalfLine,
    /// The connection is cut without a word.
    Disconnect,
}

/// What a fault is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Matter {
    /// A share that every pool has to refuse.
    Wrong,
    /// A share that is good, but comes in an unusual way.
    Odd,
    /// No share at all.
    Act,
}

/// What there is to say of each kind: what it is made of, its name, and one and several in words.
const KINDS: [(Fault, Matter, &str, &str, &str); 12] = {
    use Matter::{Act, Odd, Wrong};
    [
        (Fault::Stale, Wrong, "stale", "stale share", "stale shares"),
        (Fault::Duplicate, Wrong, "duplicate", "duplicate", "duplicates"),
        (Fault::Low, Wrong, "low", "share below the target", "shares below the target"),
        (Fault::BadJob, Wrong, "bad-job", "share of no job", "shares of no job"),
        (
            Fault::BadExtranonce,
            Wrong,
            "bad-extranonce",
            "share with a short extranonce2",
            "shares with a short extranonce2",
        ),
        (Fault::BadTime, Wrong, "bad-time", "share from the future", "shares from the future"),
        (
            Fault::BadVersion,
            Wrong,
            "bad-version",
            "share with forbidden version bits",
            "shares with forbidden version bits",
        ),
        (
            Fault::Unauthorized,
            Wrong,
            "unauthorized",
            "share of an unknown worker",
            "shares of an unknown worker",
        ),
        (Fault::Late, Odd, "late", "late share", "late shares"),
        (Fault::Silent, Act, "silent", "silence", "silences"),
        (Fault::HalfLine, Odd, "half-line", "share in two halves", "shares in two halves"),
        (Fault::Disconnect, Act, "disconnect", "disconnect", "disconnects"),
    ]
};

impl Fault {
    /// All kinds, in the order of a table.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.into_iter().map(|(fault, ..)| fault)
    }

    /// As `--fault` names it.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// So many of them, in words: `20 duplicates`.
    pub fn counted(self, count: u64) -> String {
        let (.., one, many) = self.row();
        format!("{count} {}", if count == 1 { one } else { many })
    }

    /// Whether it is a share that every pool has to refuse.
    pub fn is_wrong(self) -> bool {
        self.row().1 == Matter::Wrong
    }

    /// Whether it is done with a share; without one it is an act.
    pub fn is_of_share(self) -> bool {
        self.row().1 != Matter::Act
    }

    fn row(self) -> (Self, Matter, &'static str, &'static str, &'static str) {
        KINDS[self as usize]
    }
}

/// The code of a refusal: a number with Stratum V1, a word with V2.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Of V1.
    Number(i64),
    /// Of V2, sanitized.
    Word(String),
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(code) => code.fmt(f),
            Self::Word(code) => code.fmt(f),
        }
    }
}

/// News of a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultNews {
    /// It was done: a share was put on its way, an act was begun.
    Done(Fault),
    /// It could not be done.
    Unsent(Fault),
    /// The pool answered.
    Answered {
        /// What.
        fault: Fault,
        /// Accepted, or refused with a code, if it gave one.
        answer: Result<(), Option<Code>>,
        /// From sending to the answer.
        latency: Duration,
    },
    /// No answer came, and none can come any more.
    Unanswered(Fault),
    /// The pool ended the connection meanwhile.
    CutOff(Fault),
}

/// The difficulty of the network from which on nothing is done wrong: its blocks are worth money.
/// No chain for tests is as hard, and no other sign is in every job.
pub const EARNEST: f64 = 1e10;

/// Whether the job is of a chain whose blocks are worth money, as far as that can be told.
pub fn is_earnest(job: &Job) -> bool {
    job.network_target.difficulty() >= EARNEST
}

/// How often a fault is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Often {
    /// So many in the run.
    Count(u64),
    /// That part of all shares, in hundred-thousandths.
    Share(u64),
    /// One within each of these times.
    Each(Duration),
}

/// Which faults are done when, by all workers together. A function of words, a seed, and the times
/// and the order in which it is asked.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    wishes: Vec<Wish>,
    /// Shares so far.
    shares: usize,
}

#[derive(Debug, Clone)]
struct Wish {
    fault: Fault,
    often: Often,
    /// How many were done, or were let pass as acts that nobody could do.
    done: u64,
    /// When the next one is due, for an act or a wish by the time.
    due: Duration,
    draw: Draw,
}

/// Why words are no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{word}: {problem}; expected KIND:COUNT, KIND:PERCENT% of the shares, or KIND:COUNT/TIME, as \
     duplicate:20, low:1% or disconnect:3/m"
)]
pub struct FaultError {
    word: String,
    problem: String,
}

impl FaultPlan {
    /// Reads kinds and how often each is wished for, separated by commas.
    ///
    /// # Errors
    /// When one is none, with its form and examples.
    pub fn parse(list: &str, seed: u64) -> Result<Self, FaultError> {
        let mut plan = Self::default();
        for word in list.split(',').map(str::trim) {
            let error = |problem| FaultError { word: word.to_owned(), problem };
            let (fault, often) = read(word).map_err(error)?;
            if plan.wishes.len() == MOST {
                return Err(error(format!("more than {MOST} faults")));
            }
            let draw = Draw::new(seed, FAULTS + ((plan.wishes.len() as u64) << 32));
            plan.wishes.push(Wish::new(fault, often, draw));
        }
        Ok(plan)
    }

    /// Whether there are no faults at all.
    pub fn is_empty(&self) -> bool {
        self.wishes.is_empty()
    }

    /// The kinds that are wished for.
    pub fn kinds(&self) -> impl Iterator<Item = Fault> {
        self.wishes.iter().map(|wish| wish.fault)
    }

    /// A share was found: the fault that it is to become, if any.
    pub fn for_share(&mut self, now: Duration) -> Option<Fault> {
        // Each wish comes first now and then, so that none takes all shares.
        let (count, first) = (self.wishes.len(), self.shares);
        self.shares = self.shares.wrapping_add(1);
        let turn = (0..count).map(|at| (first % count.max(1) + at) % count);
        for at in turn {
            let wish = &mut self.wishes[at];
            if wish.fault.is_of_share() && wish.takes(now) {
                return Some(wish.fault);
            }
        }
        None
    }

    /// The act that is due now, if any. Ask again until there is none.
    pub fn act(&mut self, now: Duration) -> Option<Fault> {
        let due = |wish: &&mut Wish| !wish.fault.is_of_share() && wish.is_due(now);
        let wish = self.wishes.iter_mut().find(due)?;
        wish.next();
        Some(wish.fault)
    }

    /// When the next act is due.
    pub fn next_act(&self) -> Option<Duration> {
        let acts = self.wishes.iter().filter(|wish| !wish.fault.is_of_share() && !wish.is_over());
        acts.map(|wish| wish.due).min()
    }

    /// Which of `count` workers does the act.
    pub fn pick(&mut self, count: usize) -> Option<usize> {
        let draw = &mut self.wishes.first_mut()?.draw;
        (count > 0).then(|| draw.below(count as u64) as usize)
    }
}

impl Wish {
    fn new(fault: Fault, often: Often, draw: Draw) -> Self {
        let mut wish = Self { fault, often, done: 0, due: Duration::ZERO, draw };
        wish.plan();
        wish
    }

    fn is_over(&self) -> bool {
        matches!(self.often, Often::Count(count) if self.done >= count)
    }

    fn is_due(&self, now: Duration) -> bool {
        !self.is_over() && now >= self.due
    }

    /// Whether a share is to become this fault.
    fn takes(&mut self, now: Duration) -> bool {
        let takes = match self.often {
            // Every second one, so that good shares come between the wrong ones.
            Often::Count(_) => !self.is_over() && self.draw.below(2) == 0,
            Often::Share(share) => self.draw.below(WHOLE) < share,
            Often::Each(_) => self.is_due(now),
        };
        if takes {
            self.next();
        }
        takes
    }

    fn next(&mut self) {
        self.done += 1;
        self.plan();
    }

    /// Sets when the next one is due: at some time within a span of its own.
    fn plan(&mut self) {
        let span = match self.often {
            Often::Each(span) => span,
            Often::Count(_) | Often::Share(_) => PAUSE,
        };
        let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
        let since = micros.saturating_mul(self.done).saturating_add(self.draw.below(micros));
        self.due = Duration::from_micros(since);
    }
}

/// Each limit of a plan as a row.
pub(crate) fn rows() -> Vec<LimitRow> {
    vec![
        row("faults of a plan", MOST, "refused"),
        row("faults of one kind", format!("{MOST_A_SECOND} a second"), "refused"),
    ]
}

fn read(word: &str) -> Result<(Fault, Often), String> {
    let (name, often) = word.split_once(':').unwrap_or((word, ""));
    let name = if name == HALF_FRAME { Fault::HalfLine.name() } else { name };
    let fault = Fault::all().find(|fault| fault.name() == name).ok_or_else(|| {
        let known: Vec<_> = Fault::all().map(Fault::name).collect();
        format!("`{name}` is no kind of fault; there are {}", known.join(", "))
    })?;
    if often.is_empty() {
        return Err("how often is not said".to_owned());
    }
    let often = if often.ends_with('%') {
        if !fault.is_of_share() {
            return Err(format!("{name} is not made of shares, so that there is no part of them"));
        }
        Often::Share(amount::share(often)?)
    } else if let Some((count, span)) = often.split_once('/') {
        // `3/m` is three in one minute.
        let one = if span.starts_with(|c: char| c.is_ascii_digit()) { "" } else { "1" };
        let (count, span) = (amount::count(count)?, amount::span(&format!("{one}{span}"))?);
        let each = u32::try_from(count).ok().and_then(|count| span.checked_div(count));
        let least = Duration::from_secs(1) / MOST_A_SECOND;
        let each = each.filter(|each| *each >= least);
        let error = || format!("{often} is none, or more than {MOST_A_SECOND} a second");
        Often::Each(each.ok_or_else(error)?)
    } else {
        Often::Count(amount::count(often)?)
    };
    Ok((fault, often))
}
