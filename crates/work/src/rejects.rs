//! Why shares were refused, counted by reason: pools word the same thing in a hundred ways, and
//! some put numbers into it, so the table has an end (S11).

use std::collections::BTreeMap;

/// Reasons that are told apart; those that come later are counted together.
const KINDS: usize = 32;

/// Counts of refusals by reason.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rejects {
    kinds: BTreeMap<String, u64>,
    others: u64,
}

impl Rejects {
    /// A share was refused for this reason. The text is kept as it is: bounded and without control
    /// characters, if it is a pool's.
    pub fn record(&mut self, reason: &str) {
        if let Some(count) = self.kinds.get_mut(reason) {
            *count += 1;
        } else if self.kinds.len() < KINDS {
            self.kinds.insert(reason.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// Reasons with their counts, the most frequent first; what the table had no room for is the
    /// last, as "other".
    pub fn rows(&self) -> Vec<(&str, u64)> {
        let mut rows: Vec<_> = self.kinds.iter().map(|(kind, &n)| (kind.as_str(), n)).collect();
        rows.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        rows.extend((self.others > 0).then_some(("other", self.others)));
        rows
    }
}
