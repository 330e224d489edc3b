//! The books of the soak: the shares that a miner reports, its blocks, and what the pool counted.
//! Everything here judges events and knows no process, so that its tests need none.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use anyhow::{Context, bail};
use serde_json::Value;

/// A miner's own account of its shares and its connection.
#[derive(Default)]
pub(super) struct Books {
    verdicts: BTreeMap<String, u64>,
    hashes: HashSet<String>,
    duplicated: u64,
    below_target: u64,
    /// The pool had seen the share before.
    called_duplicate: u64,
    authorized: u64,
    lost: u64,
    summary: Option<Value>,
}

impl Books {
    pub(super) fn enter(&mut self, event: &Value) {
        match (event["event"].as_str(), event["state"].as_str()) {
            (Some("share"), _) => self.enter_share(event),
            (Some("pool"), Some("authorized")) => self.authorized += 1,
            (Some("pool"), Some("lost")) => self.lost += 1,
            (Some("summary"), _) => self.summary = Some(event.clone()),
            _ => {}
        }
    }

    fn enter_share(&mut self, share: &Value) {
        let text = |key: &str| share[key].as_str().unwrap_or("missing").to_owned();
        *self.verdicts.entry(text("verdict")).or_default() += 1;
        self.duplicated += u64::from(!self.hashes.insert(text("hash")));
        self.called_duplicate += u64::from(share["code"] == 22);
        let (reached, wanted) = (share["difficulty"].as_f64(), share["target_difficulty"].as_f64());
        // Both are rounded from 256 bits.
        let meets = reached.zip(wanted).is_some_and(|(reached, wanted)| reached >= wanted * 0.999);
        self.below_target += u64::from(!meets);
    }

    fn count(&self, verdict: &str) -> u64 {
        self.verdicts.get(verdict).copied().unwrap_or(0)
    }

    /// The mistakes in the shares by themselves, at whichever pool.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Faults::default();
        let Some(summary) = &self.summary else {
            return vec!["the miner printed no summary".to_owned()];
        };
        let shares = &summary["shares"];
        let ended: u64 = self.verdicts.values().sum();
        faults.check(shares["found"] == ended, || {
            format!("{} found, {ended} ended", shares["found"])
        });
        for verdict in ["accepted", "rejected", "stale", "throttled", "unresolved"] {
            let (told, summed) = (self.count(verdict), &shares[verdict]);
            faults.check(*summed == told, || {
                format!("{told} told as {verdict}, {summed} in the summary")
            });
        }
        faults.check(self.duplicated == 0, || format!("{} shares came twice", self.duplicated));
        faults.check(self.called_duplicate == 0, || {
            format!("the pool called {} shares duplicates", self.called_duplicate)
        });
        faults
            .check(self.below_target == 0, || format!("{} shares below target", self.below_target));
        faults.0
    }

    /// Where the books of the pool differ from ours by more than the line can explain: when it
    /// breaks between a share and its answer, the pool has judged a share that is unresolved here.
    pub(super) fn differences(&self, pool: &PoolBooks) -> Vec<String> {
        let (accepted, rejected) = (self.count("accepted"), self.count("rejected"));
        let unresolved = self.count("unresolved");
        let (more, refused) =
            (pool.accepted.checked_sub(accepted), pool.rejected.checked_sub(rejected));
        let is_explained =
            more.zip(refused).is_some_and(|(more, refused)| more + refused <= unresolved);
        let mut faults = Faults::default();
        faults.check(is_explained, || {
            format!(
                "the pool accepted {} and rejected {}; the miner counts {accepted}, {rejected} and \
                 {unresolved} unresolved",
                pool.accepted, pool.rejected
            )
        });
        faults.0
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdicts: Vec<_> =
            self.verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        write!(
            f,
            "{} shares = {}; connected {} times, lost {} times",
            self.verdicts.values().sum::<u64>(),
            verdicts.join(" + "),
            self.authorized,
            self.lost
        )
    }
}

/// The pool's counts for our worker.
pub(super) struct PoolBooks {
    pub(super) accepted: u64,
    pub(super) rejected: u64,
}

impl PoolBooks {
    /// The worker of this name among the last events of a `demo`.
    pub(super) fn read(events: &[Value], name: &str) -> anyhow::Result<Self> {
        let ours = |event: &&Value| event["event"] == "worker" && event["worker"] == name;
        let Some(worker) = events.iter().find(ours) else {
            bail!("the demo did not say what became of worker {name}");
        };
        let count =
            |key: &str| worker[key].as_u64().with_context(|| format!("no {key} in {worker}"));
        Ok(Self { accepted: count("accepted")?, rejected: count("rejected")? })
    }
}

/// The miner's last verdict on each block of its own at the node.
#[derive(Default)]
pub(super) struct BlockBooks {
    blocks: BTreeMap<String, Told>,
    /// Verdicts that took the place of earlier ones.
    revised: u64,
    summary: Option<Value>,
}

/// The last verdict on a block.
struct Told {
    height: u64,
    verdict: String,
    reason: String,
}

impl BlockBooks {
    pub(super) fn enter(&mut self, event: &Value) {
        match event["event"].as_str() {
            Some("block") => {
                let text = |key: &str| event[key].as_str().unwrap_or("none").to_owned();
                self.revised += u64::from(!event["was"].is_null());
                let told = Told {
                    height: event["height"].as_u64().unwrap_or(0),
                    verdict: text("verdict"),
                    reason: text("reason"),
                };
                self.blocks.insert(text("hash"), told);
            }
            Some("summary") => self.summary = Some(event.clone()),
            _ => {}
        }
    }

    pub(super) fn count(&self, verdict: &str) -> u64 {
        self.blocks.values().filter(|told| told.verdict == verdict).count() as u64
    }

    /// The faults of the books. `chain` has the hashes of the node's best chain from height 1 on,
    /// and `is_by_stranger` knows the blocks that are not ours.
    pub(super) fn faults(
        &self,
        chain: &[String],
        mut is_by_stranger: impl FnMut(&str) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Vec<String>> {
        let mut faults = Faults::default();
        let Some(summary) = &self.summary else {
            return Ok(vec!["the miner at the node printed no summary".to_owned()]);
        };
        let blocks = &summary["blocks"];
        let (found, accepted) = (self.blocks.len(), self.count("accepted"));
        faults.check(blocks["found"] == found, || {
            format!("{found} blocks told, {} in the summary", blocks["found"])
        });
        faults.check(blocks["accepted"] == accepted, || {
            format!("{accepted} blocks told as accepted, {} in the summary", blocks["accepted"])
        });
        let heights: BTreeMap<&str, u64> = chain.iter().map(String::as_str).zip(1..).collect();
        for (hash, told) in &self.blocks {
            let Told { height, verdict, reason } = told;
            let place = heights.get(hash.as_str());
            // Neither accepted nor refused: it lost a race, and another block stands there.
            let is_replaced =
                verdict == "unresolved" && place.is_none() && *height <= chain.len() as u64;
            let is_in_place = verdict == "accepted" && place == Some(height);
            faults.check(is_replaced || is_in_place, || {
                let place = place.map_or("not in the chain".to_owned(), |at| format!("at {at}"));
                format!("block {hash} of height {height}: {verdict} ({reason}), and {place}")
            });
        }
        for (hash, height) in &heights {
            let is_known = self.blocks.contains_key(*hash) || is_by_stranger(hash)?;
            faults.check(is_known, || format!("block {hash} at {height} was never told"));
        }
        Ok(faults.0)
    }
}

impl fmt::Display for BlockBooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} blocks = {} accepted + {} rejected + {} replaced; {} verdicts revised",
            self.blocks.len(),
            self.count("accepted"),
            self.count("rejected"),
            self.count("unresolved"),
            self.revised,
        )
    }
}

/// A list that grows where something does not hold.
#[derive(Default)]
struct Faults(Vec<String>);

impl Faults {
    fn check(&mut self, holds: bool, words: impl FnOnce() -> String) {
        if !holds {
            self.0.push(words());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn share(hash: &str, verdict: &str, difficulty: f64) -> Value {
        json!({"event": "share", "hash": hash, "verdict": verdict, "difficulty": difficulty,
               "target_difficulty": 1.0, "code": null})
    }

    fn summary(found: u64, accepted: u64, unresolved: u64) -> Value {
        json!({"event": "summary", "shares": {"found": found, "accepted": accepted, "rejected": 0,
               "stale": 0, "throttled": 0, "unresolved": unresolved}})
    }

    fn judge(events: &[Value], accepted: u64) -> Vec<String> {
        let mut books = Books::default();
        events.iter().for_each(|event| books.enter(event));
        [books.faults(), books.differences(&PoolBooks { accepted, rejected: 0 })].concat()
    }

    #[test]
    fn books_that_agree_have_no_fault() {
        let events = [share("a", "accepted", 1.0), share("b", "unresolved", 2.0), summary(2, 1, 1)];
        // The answer to b was lost, or b itself.
        assert_eq!([1, 2].map(|accepted| judge(&events, accepted)), [vec![], Vec::<String>::new()]);
    }

    #[test]
    fn every_kind_of_wrong_books_is_found() {
        for (events, accepted) in [
            (vec![share("a", "accepted", 1.0)], 1),
            (vec![share("a", "accepted", 1.0), summary(2, 1, 0)], 1),
            (vec![share("a", "accepted", 1.0), summary(1, 1, 0)], 0),
            (vec![share("a", "accepted", 1.0), summary(1, 1, 0)], 2),
            (vec![share("a", "accepted", 0.9), summary(1, 1, 0)], 1),
            (vec![share("a", "accepted", 1.0), share("a", "accepted", 1.0), summary(2, 2, 0)], 2),
        ] {
            assert_eq!(judge(&events, accepted).len(), 1, "{events:?}, {accepted}");
        }
    }

    fn block(hash: &str, height: u64, verdict: &str, was: Option<&str>) -> Value {
        json!({"event": "block", "hash": hash, "height": height, "verdict": verdict,
               "reason": null, "was": was})
    }

    fn end(found: u64, accepted: u64) -> Value {
        json!({"event": "summary", "blocks": {"found": found, "accepted": accepted, "rejected": 0}})
    }

    /// The chain: ours at 1 and 3, a stranger's at 2.
    fn judge_blocks(events: &[Value]) -> Vec<String> {
        let mut books = BlockBooks::default();
        events.iter().for_each(|event| books.enter(event));
        let chain = ["a", "s", "c"].map(str::to_owned);
        books.faults(&chain, |hash| Ok(hash == "s")).unwrap()
    }

    #[test]
    fn a_block_is_in_the_chain_or_was_told_replaced() {
        let (a, c) = (block("a", 1, "accepted", None), block("c", 3, "accepted", None));
        let lost_race = block("b", 2, "unresolved", None);
        let overtaken = [block("b", 2, "accepted", None), block("b", 2, "unresolved", Some("x"))];
        let none: [String; 0] = [];
        assert_eq!(judge_blocks(&[a.clone(), lost_race, c.clone(), end(3, 2)]), none);
        assert_eq!(judge_blocks(&[&[a, c], &overtaken[..], &[end(3, 2)]].concat()), none);
    }

    #[test]
    fn every_kind_of_lost_block_is_found() {
        let (a, c) = (block("a", 1, "accepted", None), block("c", 3, "accepted", None));
        for more in [
            // Told as accepted, and not in the chain.
            vec![block("b", 2, "accepted", None), end(3, 3)],
            // Refused.
            vec![block("b", 2, "rejected", None), end(3, 2)],
            // Open still: nothing has that height.
            vec![block("b", 4, "unresolved", None), end(3, 2)],
            // In the chain, and the miner's last word is that it is not.
            vec![block("a", 1, "unresolved", Some("accepted")), end(2, 1)],
            // Left out of the summary.
            vec![end(1, 2)],
            vec![end(2, 1)],
        ] {
            let events = [vec![a.clone(), c.clone()], more].concat();
            assert_eq!(judge_blocks(&events).len(), 1, "{events:?}");
        }
        let never_told = judge_blocks(&[a, end(1, 1)]);
        assert_eq!(never_told, ["block c at 3 was never told"]);
    }
}
