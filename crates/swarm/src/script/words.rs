//! The words of a profile, as `step:1M,10M@60s stall:@90s for 30s`.
//!
//! A word is a name, a colon and its values. Words are separated by spaces; a part without a colon
//! belongs to the word before it.

use super::flow::Flow;
use super::{Move, Profile, ScriptError, micros};
use crate::amount::{count, rate, share, span, time};

/// A profile has no more words.
pub(super) const MOST_WORDS: usize = 64;
/// A profile is no longer, in bytes.
pub(super) const LONGEST_PROFILE: usize = 16 * 1024;

/// A word of the language: its name, its form and an example.
struct Form {
    name: &'static str,
    form: &'static str,
    example: &'static str,
}

const FORMS: [Form; 8] = [
    Form { name: "steady", form: "steady:RATE", example: "steady:5M" },
    Form { name: "step", form: "step:RATE[@TIME],RATE@TIME,..", example: "step:1M,10M@60s" },
    Form { name: "ramp", form: "ramp:RATE..RATE/TIME[@TIME]", example: "ramp:1M..50M/2m" },
    Form {
        name: "burst",
        form: "burst:RATE/TIME[@TIME] every TIME",
        example: "burst:20M/1s every 10s",
    },
    Form { name: "stall", form: "stall:@TIME for TIME", example: "stall:@60s for 30s" },
    Form {
        name: "oscillate",
        form: "oscillate:RATE..RATE/TIME[@TIME]",
        example: "oscillate:1M..10M/1m",
    },
    Form {
        name: "leave",
        form: "leave:COUNT@TIME or leave:PERCENT%@TIME",
        example: "leave:20%@2m",
    },
    Form { name: "join", form: "join:COUNT@TIME or join:PERCENT%@TIME", example: "join:100@3m" },
];

/// What a word says.
enum Said {
    Flow(Flow),
    Stall(u64, u64),
    Move(Move),
}

impl Profile {
    /// Reads the words.
    pub(super) fn read(text: &str) -> Result<Self, ScriptError> {
        if text.len() > LONGEST_PROFILE {
            return Err(ScriptError::TooLong { got: text.len(), limit: LONGEST_PROFILE });
        }
        let words = words(text);
        if words.len() > MOST_WORDS {
            return Err(ScriptError::TooManyWords { got: words.len(), limit: MOST_WORDS });
        }
        let mut profile = Self::default();
        for word in &words {
            match read(word)? {
                Said::Flow(flow) => profile.flows.push(flow),
                Said::Stall(from, to) => profile.stalls.push((from, to)),
                Said::Move(one) => profile.moves.push(one),
            }
        }
        if profile.flows.is_empty() {
            return Err(ScriptError::NoRate);
        }
        profile.stalls = merged(std::mem::take(&mut profile.stalls));
        // Those that come at the same time keep their order.
        profile.moves.sort_by_key(|one| one.at);
        Ok(profile)
    }
}

/// Each word with all that belongs to it, single spaces between its parts.
fn words(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for part in text.split_whitespace() {
        match words.last_mut() {
            Some(word) if !part.contains(':') => {
                word.push(' ');
                word.push_str(part);
            }
            _ => words.push(part.to_owned()),
        }
    }
    words
}

fn read(word: &str) -> Result<Said, ScriptError> {
    let (name, values) = word.split_once(':').unwrap_or((word, ""));
    let Some(form) = FORMS.iter().find(|form| form.name == name) else {
        return Err(ScriptError::Unknown {
            word: word.to_owned(),
            known: FORMS.map(|form| form.name).join(", "),
        });
    };
    said(name, values.trim()).map_err(|problem| ScriptError::Word {
        word: word.to_owned(),
        problem,
        form: form.form,
        example: form.example,
    })
}

fn said(name: &str, values: &str) -> Result<Said, String> {
    Ok(match name {
        "steady" => Said::Flow(Flow::Step(vec![(0, rate(values)?)])),
        "step" => Said::Flow(Flow::Step(steps(values)?)),
        "ramp" => {
            let (from, to, span, at) = line(values)?;
            Said::Flow(Flow::Ramp { from, to, span, at })
        }
        "oscillate" => {
            let (from, to, period, at) = line(values)?;
            Said::Flow(Flow::Oscillate { from, to, period, at })
        }
        "burst" => {
            let (first, every) = cut(values, " every ", "the time from one burst to the next")?;
            let (first, at) = start(first)?;
            let (rate, span) = over(first)?;
            let rate = self::rate(rate)?;
            let every = micros(self::span(every)?);
            if span >= every {
                return Err("the bursts follow each other without a pause".to_owned());
            }
            Said::Flow(Flow::Burst { rate, span, every, at })
        }
        "stall" => {
            let (at, length) = cut(values, " for ", "how long it lasts")?;
            let at = at.strip_prefix('@').ok_or("when it begins is not said")?;
            let at = micros(time(at)?);
            Said::Stall(at, at + micros(span(length)?))
        }
        _ => {
            let (whom, at) = cut(values, "@", "when")?;
            let part = whom.ends_with('%');
            let (count, share) = match part {
                true => (0, share(whom)?),
                false => (count(whom)?, 0),
            };
            if count == 0 && share == 0 {
                return Err("nobody would come or go".to_owned());
            }
            let joins = name == "join";
            Said::Move(Move {
                at: micros(time(at)?),
                joins,
                count,
                share,
                word: format!("{name}:{values}"),
            })
        }
    })
}

/// `RATE[@TIME],RATE@TIME,..`
fn steps(values: &str) -> Result<Vec<(u64, u64)>, String> {
    let mut steps: Vec<(u64, u64)> = Vec::new();
    for value in values.split(',') {
        let step = match value.split_once('@') {
            Some((rate, at)) => (micros(time(at)?), self::rate(rate)?),
            None if steps.is_empty() => (0, self::rate(value)?),
            None => return Err(format!("{value} does not say from when on, as {value}@60s")),
        };
        if steps.last().is_some_and(|last| last.0 >= step.0) {
            return Err("the times do not rise".to_owned());
        }
        steps.push(step);
    }
    Ok(steps)
}

/// `RATE..RATE/TIME[@TIME]`
fn line(values: &str) -> Result<(u64, u64, u64, u64), String> {
    let (values, at) = start(values)?;
    let (rates, span) = over(values)?;
    let (from, to) = cut(rates, "..", "the second rate")?;
    Ok((rate(from)?, rate(to)?, span, at))
}

/// `..[@TIME]`: the values, and when they begin.
fn start(values: &str) -> Result<(&str, u64), String> {
    match values.split_once('@') {
        Some((values, at)) => Ok((values, micros(time(at)?))),
        None => Ok((values, 0)),
    }
}

/// `../TIME`
fn over(values: &str) -> Result<(&str, u64), String> {
    let (values, span) = cut(values, "/", "the time that it takes")?;
    Ok((values, micros(self::span(span)?)))
}

fn cut<'a>(values: &'a str, at: &str, what: &str) -> Result<(&'a str, &'a str), String> {
    values.split_once(at).ok_or_else(|| format!("{what} is not said"))
}

/// The same times, in order and apart from each other.
fn merged(mut stalls: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    stalls.sort_unstable();
    let mut apart: Vec<(u64, u64)> = Vec::new();
    for (from, to) in stalls {
        match apart.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => apart.push((from, to)),
        }
    }
    apart
}
