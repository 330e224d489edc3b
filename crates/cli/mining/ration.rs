//! Rations sentences, so that nobody is buried: advice, warnings, a connection that is lost again.
//!
//! The rule: one line per cause at once, then at most one in ten seconds with a count of those held
//! back. It holds for sentences of ours as for those of pools. Answers to the user are no such
//! sentences, and events for programs are never held back.
//!
//! A line is true when it is printed: one that tells how things stand is not printed any more when
//! they have changed while it had to wait ([`Ration::drop_those`]).

use std::collections::HashMap;
use std::time::Duration;

/// The time between two lines of one cause.
pub(super) const PACE: Duration = Duration::from_secs(10);
/// Causes that are remembered. A peer chooses its words, so the number has a bound; beyond it, all
/// further causes count as one.
pub(super) const CAUSES: usize = 64;

/// The end of a sentence behind the number of those like it that were not told.
const HELD_BACK: &str = " more held back)";

/// See the [module](self) page.
#[derive(Debug, Default)]
pub(crate) struct Ration {
    causes: HashMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    at: Duration,
    held_back: u64,
    /// The newest of those that wait, while it is true.
    waits: Option<String>,
}

impl Ration {
    /// The line to print now, if any.
    pub(crate) fn say(&mut self, now: Duration, text: &str) -> Option<String> {
        let (text, more) = without_count(text);
        let cause = cause(text);
        // A cause that was quiet for so long needs no memory.
        self.causes.retain(|_, told| told.waits.is_some() || now < told.at.saturating_add(PACE));
        let is_full = self.causes.len() >= CAUSES && !self.causes.contains_key(&cause);
        let key = if is_full { String::new() } else { cause };
        if let Some(told) = self.causes.get_mut(&key) {
            told.held_back += 1 + more;
            told.waits = Some(text.to_owned());
            return None;
        }
        self.causes.insert(key, Entry { at: now, held_back: 0, waits: None });
        Some(with_count(text, more))
    }

    /// Lines that wait and are true no longer: none of them is printed.
    pub(crate) fn drop_those(&mut self, is_over: impl Fn(&str) -> bool) {
        for told in self.causes.values_mut() {
            told.waits.take_if(|text| is_over(text));
        }
    }

    /// The lines that were held back and are due: the newest of each cause, with their count.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<String> {
        let is_due = |told: &&mut Entry| now >= told.at.saturating_add(PACE);
        let due = self.causes.values_mut().filter(is_due).filter_map(|told| {
            let text = told.waits.take()?;
            told.at = now;
            Some(with_count(&text, std::mem::take(&mut told.held_back).saturating_sub(1)))
        });
        let mut due: Vec<_> = due.collect();
        due.sort();
        due
    }
}

/// A sentence and how many like it were held back before it came here: the client of a pool counts
/// those that it held back itself.
fn without_count(text: &str) -> (&str, u64) {
    let counted = || {
        let (text, count) = text.strip_suffix(HELD_BACK)?.rsplit_once(" (")?;
        Some((text, count.parse().ok()?))
    };
    counted().unwrap_or((text, 0))
}

pub(super) fn with_count(text: &str, held_back: u64) -> String {
    match held_back {
        0 => text.to_owned(),
        count => format!("{text} ({count}{HELD_BACK}"),
    }
}

/// Sentences that differ in numbers only have one cause. The id of a job is such a number, and may
/// have letters: a word with a digit in it counts as one. So does a byte in hex, which may have
/// none: the first bytes of a server whose answers are encrypted are others each time.
pub(super) fn cause(text: &str) -> String {
    let mut cause = String::new();
    for part in text.split_inclusive(|symbol: char| !symbol.is_alphanumeric()) {
        let word = part.trim_end_matches(|symbol: char| !symbol.is_alphanumeric());
        let is_byte = word.len() == 2 && word.bytes().all(|byte| matches!(byte, b'a'..=b'f'));
        let is_number = is_byte || word.contains(|symbol: char| symbol.is_ascii_digit());
        cause.push_str(if is_number { "0" } else { word });
        cause.push_str(&part[word.len()..]);
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_say_ourselves_is_rationed_like_what_pools_say() {
        let mut ration = Ration::default();
        let mut lines = 0;
        for tenth in 0..600 {
            let now = Duration::from_millis(100 * tenth);
            lines += ration.due(now).len();
            lines += usize::from(ration.say(now, &format!("share {tenth} is bad")).is_some());
            lines += usize::from(ration.say(now, "another cause").is_some());
        }
        assert_eq!(lines, 12, "at 0, 10, .. 50 s, of each cause");
    }

    #[test]
    fn what_was_held_back_is_told_with_its_count() {
        let mut ration = Ration::default();
        let seconds = Duration::from_secs;
        assert_eq!(ration.say(seconds(0), "a 1").as_deref(), Some("a 1"));
        assert_eq!(ration.say(seconds(1), "a 22"), None);
        assert_eq!(ration.say(seconds(2), "a 3"), None);
        assert!(ration.due(seconds(9)).is_empty());
        assert_eq!(ration.due(seconds(10)), ["a 3 (1 more held back)"]);
        assert!(ration.due(seconds(20)).is_empty());
        assert_eq!(ration.say(seconds(21), "a 4").as_deref(), Some("a 4"));
    }

    #[test]
    fn rule_4_one_cause_has_one_count_and_its_newest_sentence_is_told() {
        let mut ration = Ration::default();
        let mut told = Vec::new();
        // A pool's job pays somebody else each 1.5 s; its client lets four through at once, then
        // one in ten seconds with a count of its own.
        let seconds = Duration::from_secs_f64;
        for (at, text) in [
            (1.1, "job 1: pays nobody"),
            (2.6, "job z2: pays nobody"),
            (4.1, "job 6f3a: pays nobody"),
            (5.6, "job z4: pays nobody"),
            (11.2, "job z8: pays nobody (3 more held back)"),
            (21.2, "job z14: pays nobody (5 more held back)"),
        ] {
            told.extend(ration.due(seconds(at)));
            told.extend(ration.say(seconds(at), text));
        }
        told.extend(ration.due(seconds(31.3)));
        assert_eq!(
            told,
            [
                "job 1: pays nobody",
                "job z4: pays nobody (2 more held back)",
                "job z8: pays nobody (3 more held back)",
                "job z14: pays nobody (5 more held back)",
            ]
        );
    }

    #[test]
    fn rule_4_bytes_that_are_others_each_time_are_one_cause() {
        let told = |bytes: &str| cause(&format!("its first bytes are {bytes}; write KEY"));
        assert_eq!(told("df 2a 08 c7 a9"), told("b2 71 fe ad 30"));
        assert_ne!(cause("a bad share"), cause("a low share"));
    }

    #[test]
    fn causes_without_end_fill_no_memory() {
        let mut ration = Ration::default();
        let words = |n: u32| char::from_u32(0x4e00 + n).unwrap().to_string();
        let told = (0..10_000).filter(|&n| ration.say(Duration::ZERO, &words(n)).is_some()).count();
        assert_eq!((told, ration.causes.len()), (CAUSES + 1, CAUSES + 1));
    }
}
