//! `cargo xtask soak --hours H`: the program itself for a long time, with a fault every 30 s.
//!
//! `midstate mine` works at `midstate demo --listen` through a proxy that breaks things in turn.
//! At the end the books of both are compared. Both run from a release build, with one thread and
//! the scalar kernel: what is tried here is the endurance of the connection, not of the hashing.
//! Needs `/proc`, so Linux.

mod proxy;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::program::{self, Program, Use};
use proxy::{Fault, Proxy};

const BETWEEN_FAULTS: Duration = Duration::from_secs(30);
const BETWEEN_REPORTS: Duration = Duration::from_secs(300);
/// For the last answers, before the program is told to stop.
const CALM: Duration = Duration::from_secs(10);
/// About 43,000 hashes a share: several a second even where others want the processor more.
const DIFFICULTY: &str = "0.00001";
const WORKER: &str = "soak";

/// Prints the report on stdout; exit code 1 if a share was lost, doubled or too easy, or if the
/// books of both ends disagree.
pub(crate) fn run(root: &Path, hours: &str) -> anyhow::Result<ExitCode> {
    let hours: f64 = hours.parse().with_context(|| format!("{hours:?} is no number of hours"))?;
    ensure!((0.01..=1000.0).contains(&hours), "--hours takes 0.01 to 1000, got {hours}");
    let program = program::build(root)?;
    let hash = ["--threads", "1", "--kernel", "scalar"];
    let pool = ["demo", "--listen", "127.0.0.1:0", "--blocks", "1000000000"];
    let mut pool =
        Program::start(&program, &[&pool[..], &["--difficulty", DIFFICULTY], &hash].concat())?;
    let mut proxy = Proxy::start(pool.address()?)?;
    let url = proxy.url();
    let miner = ["mine", "-o", &url, "-u", WORKER];
    let mut miner = Program::start(&program, &[&miner[..], &hash].concat())?;

    let mut books = Books::default();
    let mut uses = Vec::new();
    let mut struck: BTreeMap<&str, u64> = BTreeMap::new();
    let started = Instant::now();
    let (mut next_fault, mut next_report) = (BETWEEN_FAULTS, BETWEEN_REPORTS);
    let mut faults = Fault::ALL.iter().cycle();
    while started.elapsed() < Duration::from_secs_f64(hours * 3600.0) {
        thread::sleep(Duration::from_secs(1));
        // The demo's own shares are of no interest, but its pipe must be kept empty.
        drop(pool.events()?);
        miner.events()?.iter().for_each(|event| books.enter(event));
        if started.elapsed() >= next_fault {
            next_fault += BETWEEN_FAULTS;
            uses.push(miner.usage()?);
            let fault = faults.next().context("the cycle has no end")?;
            proxy.strike(*fault);
            *struck.entry(fault.name()).or_default() += 1;
        }
        if started.elapsed() >= next_report {
            next_report += BETWEEN_REPORTS;
            eprintln!("soak: {} s: {books}", started.elapsed().as_secs());
        }
    }
    proxy.calm();
    thread::sleep(CALM);
    let pool_use = pool.usage()?;
    miner.stop()?.iter().for_each(|event| books.enter(event));
    let pool_books = PoolBooks::read(&pool.stop()?)?;

    println!("soak: {:.2} h, a fault every {} s", hours, BETWEEN_FAULTS.as_secs());
    let struck: Vec<_> = struck.iter().map(|(name, times)| format!("{name} {times}")).collect();
    println!("faults: {}", struck.join(", "));
    println!("miner: {books}");
    println!("pool: {} accepted, {} rejected", pool_books.accepted, pool_books.rejected);
    tell_usage(&uses, pool_use);
    let wrong = books.faults(&pool_books);
    wrong.iter().for_each(|fault| println!("wrong: {fault}"));
    if wrong.is_empty() {
        println!("shares lost 0, duplicated 0, below target 0; the books of both ends agree");
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the miner said about its shares and its connection.
#[derive(Default)]
struct Books {
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
    fn enter(&mut self, event: &Value) {
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

    /// What must not be.
    fn faults(&self, pool: &PoolBooks) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, words: String| {
            if !holds {
                faults.push(words);
            }
        };
        let Some(summary) = &self.summary else {
            return vec!["the miner printed no summary".to_owned()];
        };
        let shares = &summary["shares"];
        let ended: u64 = self.verdicts.values().sum();
        check(shares["found"] == ended, format!("{} found, {ended} ended", shares["found"]));
        for verdict in ["accepted", "rejected", "stale", "throttled", "unresolved"] {
            let (told, summed) = (self.count(verdict), &shares[verdict]);
            check(*summed == told, format!("{told} told as {verdict}, {summed} in the summary"));
        }
        check(self.duplicated == 0, format!("{} shares came twice", self.duplicated));
        check(
            self.called_duplicate == 0,
            format!("the pool called {} shares duplicates", self.called_duplicate),
        );
        check(self.below_target == 0, format!("{} shares below target", self.below_target));
        // Between a share and its answer the line may break: the pool has judged what is unresolved
        // here, or never saw it.
        let (accepted, rejected) = (self.count("accepted"), self.count("rejected"));
        let unresolved = self.count("unresolved");
        let (more, refused) =
            (pool.accepted.checked_sub(accepted), pool.rejected.checked_sub(rejected));
        let explained =
            more.zip(refused).is_some_and(|(more, refused)| more + refused <= unresolved);
        check(
            explained,
            format!(
                "the pool accepted {} and rejected {}; the miner counts {accepted}, {rejected} and \
                 {unresolved} unresolved",
                pool.accepted, pool.rejected
            ),
        );
        faults
    }
}

impl std::fmt::Display for Books {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// What the pool counted for our worker.
struct PoolBooks {
    accepted: u64,
    rejected: u64,
}

impl PoolBooks {
    fn read(events: &[Value]) -> anyhow::Result<Self> {
        let ours = |event: &&Value| event["event"] == "worker" && event["worker"] == WORKER;
        let Some(worker) = events.iter().find(ours) else {
            bail!("the demo did not say what became of worker {WORKER}");
        };
        let count =
            |key: &str| worker[key].as_u64().with_context(|| format!("no {key} in {worker}"));
        Ok(Self { accepted: count("accepted")?, rejected: count("rejected")? })
    }
}

/// The miner's memory as medians, so that one sample in the middle of a burst does not decide.
fn tell_usage(uses: &[Use], pool: Use) {
    let median = |uses: &[Use]| {
        let mut sizes: Vec<u64> = uses.iter().map(|usage| usage.resident_kib).collect();
        sizes.sort_unstable();
        sizes.get(sizes.len() / 2).copied().unwrap_or(0)
    };
    let quarter = uses.len().div_ceil(4);
    let (first, last) = (median(&uses[..quarter]), median(&uses[uses.len() - quarter..]));
    let peak = uses.iter().map(|usage| usage.resident_kib).max().unwrap_or(0);
    println!(
        "miner's memory: {first} KiB in the first quarter, {last} KiB in the last, drift {:+} KiB, \
         peak {peak} KiB ({} samples); the pool's at the end: {} KiB",
        last as i64 - first as i64,
        uses.len(),
        pool.resident_kib,
    );
    let files = || uses.iter().map(|usage| usage.descriptors);
    println!(
        "miner's descriptors: {} to {}, {} at the end",
        files().min().unwrap_or(0),
        files().max().unwrap_or(0),
        files().next_back().unwrap_or(0),
    );
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
        books.faults(&PoolBooks { accepted, rejected: 0 })
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
}
