//! How far the search of a job is, and what comes next: nonces that a worker gave back, else the
//! pages of pairs as soon as there are any, else the line. Every header once, whenever a pair is
//! found: the pairs' extranonce2 values are taken from the far end of the line, and the line leaves
//! them out when it gets there.
//!
//! The search for pairs is lent to one thread at a time, so that nobody waits for a step of it.

use crate::pairs::{self, PairSearch};
use crate::{Claim, PageName, SearchSpace, Unit};

/// Hashes that a job has to last for before pairs are searched: about what a search costs. A job
/// that is replaced at once has cost nothing.
const PATIENCE: u64 = 1 << 23;

/// How far the search of a job is: which unit comes next, and the search for pairs. One serves all
/// workers of a search, each of which holds it for the moment of a claim.
pub struct Frontier {
    /// Claims that workers gave back. There are never more than claims that are not finished.
    returned: Vec<Unit>,
    /// Number of the next unit in the line.
    next: u64,
    /// Pairs in the order they were found; the units of all of them are numbered in that order.
    pairs: Vec<[u64; 2]>,
    next_of_pairs: u64,
    claimed: u64,
    search: Search,
    /// Whether another frontier has taken over.
    is_handed_over: bool,
}

/// Where the search for pairs is.
enum Search {
    NotBegun,
    Here(PairSearch),
    /// Lent to whoever takes a step.
    Away,
    /// Every value was tried or is claimed, or there is nothing to search.
    Over,
}

impl Frontier {
    /// Nothing of `space` is claimed.
    pub fn new(space: &SearchSpace) -> Self {
        let nothing = pairs::searched(space).is_empty();
        let search = if nothing { Search::Over } else { Search::NotBegun };
        Self {
            returned: Vec::new(),
            next: 0,
            pairs: Vec::new(),
            next_of_pairs: 0,
            claimed: 0,
            search,
            is_handed_over: false,
        }
    }

    /// The frontier of `space`, whose job is that of `own` with other versions to roll (see
    /// [`Job::same_work_but_versions`]). It begins behind every extranonce2 of which something was
    /// claimed here and leaves out those of the pairs, so that no header comes twice; and from here
    /// nothing comes any more, what was given back included: `space` may not have its versions.
    ///
    /// [`Job::same_work_but_versions`]: midstate_chain::Job::same_work_but_versions
    pub fn hand_over(&mut self, own: &SearchSpace, space: &SearchSpace) -> Self {
        self.is_handed_over = true;
        self.returned.clear();
        let begun = self.next.div_ceil(own.units_of_extranonce().max(1));
        let next = begun.saturating_mul(space.units_of_extranonce());
        let mut other = Self { next, ..Self::new(space) };
        if !self.pairs.is_empty() {
            // A new search would find the same ones.
            other.pairs = std::mem::take(&mut self.pairs);
            other.next_of_pairs = other.units_of_pairs(space);
            other.search = Search::Over;
        }
        other
    }

    /// Takes the next unit, which no other claim gets. Its worker hashes it to its end, or
    /// [gives the rest back](Self::give_back). `elapsed` is that of [`SearchSpace::unit`], and
    /// `space` the same at every call, but for the targets of its job.
    pub fn claim(&mut self, space: &SearchSpace, elapsed: u32) -> Claim {
        self.claim_many(space, elapsed, 0)
    }

    /// Takes as many neighbouring units of one page as have `hashes` hashes together, as one unit;
    /// at least one, and fewer where the page ends.
    pub fn claim_many(&mut self, space: &SearchSpace, elapsed: u32, hashes: u64) -> Claim {
        let mut unit = match self.peek(space, elapsed) {
            Claim::Unit(unit) => unit,
            nothing => return nothing,
        };
        if let Some(rest) = self.returned.last_mut() {
            space.lengthen(&mut unit, hashes, rest.nonces.end);
            rest.nonces.start = unit.nonces.end;
            if rest.nonces.is_empty() {
                self.returned.pop();
            }
        } else {
            let end = space.end_of_nonces();
            let more = if hashes > 0 { space.lengthen(&mut unit, hashes, end) } else { 0 };
            match unit.page {
                PageName::InLine(_) => self.next += 1 + more,
                PageName::Pair(_) => self.next_of_pairs += 1 + more,
            }
        }
        self.claimed = self.claimed.saturating_add(space.hashes(&unit));
        Claim::Unit(unit)
    }

    /// Takes back nonces of a claim that were not hashed; the next claim gets them.
    pub fn give_back(&mut self, space: &SearchSpace, unit: Unit) {
        if unit.nonces.is_empty() || self.is_handed_over {
            return;
        }
        self.claimed = self.claimed.saturating_sub(space.hashes(&unit));
        self.returned.push(unit);
    }

    /// The next claim, unless a pair is found before.
    pub fn peek(&mut self, space: &SearchSpace, elapsed: u32) -> Claim {
        if self.is_handed_over {
            return Claim::Exhausted;
        }
        if let Some(rest) = self.returned.last() {
            return Claim::Unit(space.first_unit(rest));
        }
        if let Some(unit) = self.unit_of_a_pair(space) {
            return Claim::Unit(unit);
        }
        loop {
            match space.unit(self.next, elapsed) {
                Claim::Unit(Unit { page: PageName::InLine(page), .. })
                    if self.is_in_a_pair(space, page) =>
                {
                    self.next = space.after(page);
                }
                claim => return claim,
            }
        }
    }

    /// The search for pairs, if a step of it is due and nobody else has it. To be given back.
    pub fn lend_search(&mut self, space: &SearchSpace) -> Option<PairSearch> {
        let enough = space.units_of_pair() / 2;
        if self.claimed < PATIENCE || self.units_of_pairs(space) - self.next_of_pairs > enough {
            return None;
        }
        match std::mem::replace(&mut self.search, Search::Away) {
            Search::NotBegun => PairSearch::new(space),
            Search::Here(search) => Some(search),
            other => {
                self.search = other;
                None
            }
        }
    }

    /// The search comes back, with what the step has found.
    pub fn return_search(&mut self, search: PairSearch, found: Option<[u64; 2]>) {
        // Meanwhile the line may have come to the values of the pair.
        if !matches!(self.search, Search::Over) {
            self.pairs.extend(found);
            self.search = if search.is_over() { Search::Over } else { Search::Here(search) };
        }
    }

    fn unit_of_a_pair(&self, space: &SearchSpace) -> Option<Unit> {
        let units = space.units_of_pair();
        let pair = self.pairs.get(usize::try_from(self.next_of_pairs.checked_div(units)?).ok()?)?;
        Some(space.unit_of_pair(*pair, self.next_of_pairs % units))
    }

    fn units_of_pairs(&self, space: &SearchSpace) -> u64 {
        self.pairs.len() as u64 * space.units_of_pair()
    }

    /// Whether the headers of this page in the line are those of a pair, or half of them.
    fn is_in_a_pair(&mut self, space: &SearchSpace, page: u64) -> bool {
        let Some(counter) = space.counter(page) else { return false };
        if pairs::searched(space).contains(&counter) {
            // The line is at its far end. From here on it is all there is.
            self.search = Search::Over;
        }
        self.pairs.iter().flatten().any(|&paired| paired == counter)
    }
}
