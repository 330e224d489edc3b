//! Rations sentences, so that nobody is buried: advice, warnings, a connection that is lost again.
//!
//! The rule: one line per cause at once, then at most one in ten seconds with a count of those held
//! back. It holds for sentences of ours as for those of pools, and for the events that are remarks.
//! Answers to the user are no such sentences, and no other event for programs is held back.
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
#[derive(Debug)]
pub(crate) struct Ration<T> {
    causes: HashMap<String, Entry<T>>,
}

/// A thing that is told in a sentence.
pub(crate) trait Told {
    /// The sentence.
    fn sentence(&self) -> String;
    /// The text at its end.
    fn text_mut(&mut self) -> &mut String;
}

#[derive(Debug)]
struct Entry<T> {
    at: Duration,
    held_back: u64,
    /// The newest of those that wait, while it is true.
    waits: Option<T>,
}

impl Told for String {
    fn sentence(&self) -> String {
        self.clone()
    }

    fn text_mut(&mut self) -> &mut String {
        self
    }
}

impl<T> Default for Ration<T> {
    fn default() -> Self {
        Self { causes: HashMap::new() }
    }
}

impl<T: Told> Ration<T> {
    /// The one to tell now, if any.
    pub(crate) fn say(&mut self, now: Duration, mut told: T) -> Option<T> {
        let more = take_count(told.text_mut());
        let cause = cause(&told.sentence());
        // A cause that was quiet for so long needs no memory.
        self.causes.retain(|_, told| told.waits.is_some() || now < told.at.saturating_add(PACE));
        let is_full = self.causes.len() >= CAUSES && !self.causes.contains_key(&cause);
        let key = if is_full { String::new() } else { cause };
        if let Some(entry) = self.causes.get_mut(&key) {
            entry.held_back += 1 + more;
            entry.waits = Some(told);
            return None;
        }
        self.causes.insert(key, Entry { at: now, held_back: 0, waits: None });
        Some(counted(told, more))
    }

    /// Those that wait and are true no longer: none of them is told.
    pub(crate) fn drop_those(&mut self, is_over: impl Fn(&T) -> bool) {
        for entry in self.causes.values_mut() {
            entry.waits.take_if(|told| is_over(told));
        }
    }

    /// Those that were held back and are due: the newest of each cause, with their count.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<T> {
        let is_due = |entry: &&mut Entry<T>| now >= entry.at.saturating_add(PACE);
        let due = self.causes.values_mut().filter(is_due).filter_map(|entry| {
            let told = entry.waits.take()?;
            entry.at = now;
            Some(counted(told, std::mem::take(&mut entry.held_back).saturating_sub(1)))
        });
        let mut due: Vec<_> = due.collect();
        due.sort_by_cached_key(Told::sentence);
        due
    }

    /// All that were held back, due or not: nothing comes after them.
    pub(crate) fn rest(&mut self) -> Vec<T> {
        self.due(Duration::MAX)
    }
}

/// Takes off a text how many like it were held back before it came here: the client of a pool
/// counts those that it held back itself.
fn take_count(text: &mut String) -> u64 {
    let counted = || {
        let (plain, count) = text.strip_suffix(HELD_BACK)?.rsplit_once(" (")?;
        Some((plain.len(), count.parse().ok()?))
    };
    let (length, count) = counted().unwrap_or((text.len(), 0));
    text.truncate(length);
    count
}

fn counted<T: Told>(mut told: T, held_back: u64) -> T {
    let text = told.text_mut();
    *text = with_count(text, held_back);
    told
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
        let mut ration = Ration::<String>::default();
        let mut lines = 0;
        for tenth in 0..600 {
            let now = Duration::from_millis(100 * tenth);
            lines += ration.due(now).len();
            lines += usize::from(ration.say(now, format!("share {tenth} is bad")).is_some());
            lines += usize::from(ration.say(now, "another cause".to_owned()).is_some());
        }
        assert_eq!(lines, 12, "at 0, 10, .. 50 s, of each cause");
    }

    #[test]
    fn what_was_held_back_is_told_with_its_count() {
        let mut ration = Ration::<String>::default();
        let seconds = Duration::from_secs;
        assert_eq!(ration.say(seconds(0), "a 1".to_owned()).as_deref(), Some("a 1"));
        assert_eq!(ration.say(seconds(1), "a 22".to_owned()), None);
        assert_eq!(ration.say(seconds(2), "a 3".to_owned()), None);
        assert!(ration.due(seconds(9)).is_empty());
        assert_eq!(ration.due(seconds(10)), ["a 3 (1 more held back)"]);
        assert!(ration.due(seconds(20)).is_empty());
        assert_eq!(ration.say(seconds(21), "a 4".to_owned()).as_deref(), Some("a 4"));
    }

    #[test]
    fn rule_4_one_cause_has_one_count_and_its_newest_sentence_is_told() {
        let mut ration = Ration::<String>::default();
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
            told.extend(ration.say(seconds(at), text.to_owned()));
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
        let mut ration = Ration::<String>::default();
        let words = |n: u32| char::from_u32(0x4e00 + n).unwrap().to_string();
        let told = (0..10_000).filter(|&n| ration.say(Duration::ZERO, words(n)).is_some()).count();
        assert_eq!((told, ration.causes.len()), (CAUSES + 1, CAUSES + 1));
    }
}
