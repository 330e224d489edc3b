//! The events of a test, its status line and its summary: for programs as JSON, for people in
//! words.

use std::time::Duration;

use midstate_chain::Verdict;
use midstate_stratum::Remark;
use midstate_swarm::expect::{self, Amount, Expectation, Judgement, Quantity};
use midstate_swarm::{
    Books, Connections, Event, FaultNews, HashCount, Latencies, Look, Standing, State, Vardiff,
};
use midstate_work::Ledger;
use serde_json::{Value, json};

use super::Names;
use super::view::Glance;
use super::watch::{self, Watch};
use super::yard::Yard;
use crate::machine::choose::Choice;
use crate::shell::exit::{Failure, Kind};
use crate::shell::output::Output;
use crate::shell::units;

/// Hashes that may be missing at the end: a thousandth.
const TOLERANCE: f64 = 1e-3;
/// Miners whose books are shown to people; programs get them all.
const SHOWN: usize = 10;

/// The event of the beginning.
pub(super) fn start(url: &str, workers: u32, profile: &str, length: Duration) -> Value {
    json!({
        "event": "swarm", "pool": url, "workers": workers, "profile": profile,
        "seconds": length.as_secs_f64(),
    })
}

/// The same for people.
pub(super) fn start_in_words(
    url: &str,
    workers: u32,
    profile: &str,
    length: Duration,
    choice: &Choice,
) -> String {
    format!(
        "testing {url} for {} with {}, {profile}; hashing with {}, {}",
        units::duration(length),
        units::count(workers, "miner"),
        choice.config.kernel.name(),
        units::count(choice.config.threads, "thread"),
    )
}

/// The event of the script's beginning.
pub(super) fn begin(seconds: f64, ready: u32) -> Value {
    json!({"event": "begin", "after_seconds": seconds, "ready": ready})
}

/// The event of every second.
pub(super) fn rate(at: Duration, total: &HashCount, books: &Books, look: Option<&Look>) -> Value {
    let difficulty = look
        .and_then(|look| look.difficulty)
        .map(|[low, median, high]| json!({"low": low, "median": median, "high": high}));
    json!({
        "event": "progress", "t": at.as_secs_f64(), "hashes": hashes(total),
        "shares": shares(books.shares()), "working": books.count(State::Working),
        "answers_ms": latencies(books.answers()), "difficulty": difficulty,
        "seen_hps": look.map(|look| look.seen / look.length().as_secs_f64()),
    })
}

fn hashes(total: &HashCount) -> Value {
    let HashCount { asked, done, idle, late, .. } = *total;
    json!({"asked": asked, "done": done, "idle": idle, "late": late})
}

fn shares(ledger: &Ledger) -> Value {
    json!({
        "found": ledger.found(), "accepted": ledger.accepted(), "rejected": ledger.rejected(),
        "stale": ledger.stale(), "throttled": ledger.throttled(),
        "unresolved": ledger.unresolved(),
    })
}

fn latencies(latencies: &Latencies) -> Value {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    json!({
        "count": latencies.count(), "p50": ms(latencies.quantile(0.5)),
        "p99": ms(latencies.quantile(0.99)), "max": ms(latencies.max()),
    })
}

fn connections(of: Connections) -> Value {
    let Connections { opened, unreached, refused, lost } = of;
    json!({"opened": opened, "unreached": unreached, "refused": refused, "lost": lost})
}

/// `p50 0.4 ms, p99 3.1 ms, max 12.0 ms`.
pub(super) fn latencies_in_words(latencies: &Latencies) -> String {
    if latencies.count() == 0 {
        return "none".to_owned();
    }
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    format!(
        "p50 {}, p99 {}, max {}",
        ms(latencies.quantile(0.5)),
        ms(latencies.quantile(0.99)),
        ms(latencies.max())
    )
}

/// One line while miners connect.
pub(super) fn gathering(books: &Books) -> String {
    let (ready, all) = (books.count(State::Working), books.miners().len());
    format!("connecting: {ready} of {all} miners have a job")
}

/// One line that tells how it goes.
pub(super) fn status(at: Duration, length: Duration, total: &HashCount, books: &Books) -> String {
    let shares = books.shares();
    let seconds = at.min(length).as_secs_f64();
    let rate = if seconds > 0.0 { total.done as f64 / seconds } else { 0.0 };
    format!(
        "{} of {}: {} of {} miners at work, {}, {} of {} shares accepted, answers {}",
        units::duration(at.min(length)),
        units::duration(length),
        books.count(State::Working),
        books.miners().len(),
        units::rate(rate),
        shares.accepted(),
        shares.found(),
        latencies_in_words(books.answers()),
    )
}

/// Tells an event of a miner.
pub(super) fn tell(out: &mut Output, names: &Names, at: Duration, worker: u32, event: &Event) {
    if !out.is_json() {
        return;
    }
    let (t, worker) = (at.as_secs_f64(), names.of(worker));
    let state = |state: &str, reason: Option<&str>| {
        let mut event = json!({"event": "worker", "t": t, "worker": worker});
        event["state"] = state.into();
        event["reason"] = reason.into();
        event
    };
    let told = match event {
        Event::Connecting => state("connecting", None),
        Event::Connected => state("connected", None),
        Event::LetIn => state("authorized", None),
        Event::Unreached { reason } => state("unreached", Some(reason)),
        Event::Refused { reason } => state("refused", Some(reason)),
        Event::Lost { reason } => state("lost", Some(reason)),
        Event::Cut { reason, .. } => state("cut", Some(reason)),
        Event::Fault(news) => {
            let (fault, what, code) = match news {
                FaultNews::Done(fault) => (fault, "done", None),
                FaultNews::Unsent(fault) => (fault, "unsent", None),
                FaultNews::Unanswered(fault) => (fault, "unanswered", None),
                FaultNews::CutOff(fault) => (fault, "cut_off", None),
                FaultNews::Answered { fault, answer: Ok(()), .. } => (fault, "accepted", None),
                FaultNews::Answered { fault, answer: Err(code), .. } => {
                    (fault, "refused", code.as_ref())
                }
            };
            json!({
                "event": "fault", "t": t, "worker": worker, "fault": fault.name(), "state": what,
                "code": code.map(watch::code),
            })
        }
        Event::Left => state("left", None),
        Event::Difficulty(difficulty) => json!({
            "event": "difficulty", "t": t, "worker": worker, "difficulty": difficulty,
        }),
        Event::Verdict(outcome) => {
            let verdict = match outcome.verdict {
                Verdict::Accepted => "accepted",
                Verdict::Rejected => "rejected",
                Verdict::Stale => "stale",
                Verdict::Throttled => "throttled",
                Verdict::Unresolved => "unresolved",
            };
            json!({
                "event": "share", "t": t, "worker": worker, "job_id": outcome.share.job.id,
                "hash": outcome.share.hash.to_string(), "difficulty": outcome.share.difficulty(),
                "target_difficulty": outcome.share.job.share_target.difficulty(),
                "verdict": verdict, "code": outcome.code, "reason": outcome.reason,
                "latency_ms": outcome.latency.as_secs_f64() * 1e3,
            })
        }
        Event::Remark(remark) => {
            let text = match remark {
                Remark::Message { text } | Remark::Warning { text } => text.as_str(),
                _ => return,
            };
            json!({"event": "remark", "t": t, "worker": worker, "text": text})
        }
        // Too many: one for each miner with every block.
        Event::Job(_) | Event::Found | Event::Sent(_) => return,
    };
    out.event(&told);
}

/// The books of each miner at the end.
pub(super) fn tell_miners(
    out: &mut Output,
    names: &Names,
    books: &Books,
    yard: &Yard,
    watch: &Watch,
    end: Duration,
) {
    let goal = watch.vardiff(end).goal;
    let few = books.miners().len() <= SHOWN;
    for (worker, miner) in (0..).zip(books.miners()) {
        let count = yard.count(worker);
        let followings = goal.map(|goal| watch.findings.followings(worker, end, goal));
        let followings: Vec<_> = followings
            .into_iter()
            .flatten()
            .map(|one| {
                let settled = one.settled.map(|time| time.as_secs_f64());
                json!({"settle_seconds": settled, "overshoot": one.overshoot})
            })
            .collect();
        out.event(&json!({
            "event": "books", "worker": names.of(worker), "hashes": hashes(&count),
            "shares": shares(&miner.shares), "expected_shares": count.expected_shares,
            "difficulty": miner.difficulty, "answers_ms": latencies(&miner.answers),
            "connections": connections(miner.connections), "stretches": followings,
        }));
        if few {
            let ledger = &miner.shares;
            out.line(format!(
                "{}: {} of {} hashes, {} of {} accepted",
                names.of(worker),
                count.done,
                count.asked,
                ledger.accepted(),
                units::count(ledger.found(), "share"),
            ));
        }
    }
}

/// What a test comes to.
pub(super) struct Summary {
    seconds: f64,
    length: f64,
    workers: usize,
    hashes: HashCount,
    late_at_worst: u64,
    orphans: u64,
    shares: Ledger,
    answers: Latencies,
    own: Latencies,
    spreads: Latencies,
    connections: Connections,
    rejects: Vec<(String, u64)>,
    judgements: Vec<Judgement>,
}

impl Summary {
    pub(super) fn new(
        books: &Books,
        yard: &Yard,
        watch: &Watch,
        [ran, planned]: [Duration; 2],
        vardiff: &Vardiff,
        expected: &[Expectation],
    ) -> Self {
        let rejects = books.rejects().rows();
        Self {
            seconds: ran.as_secs_f64(),
            length: yard.now().min(planned).as_secs_f64(),
            workers: books.miners().len(),
            hashes: yard.total(),
            late_at_worst: watch.late_at_worst(),
            orphans: yard.orphans(),
            shares: *books.shares(),
            answers: books.answers().clone(),
            own: books.own().clone(),
            spreads: books.spreads(),
            connections: books.connections(),
            rejects: rejects.into_iter().map(|(why, count)| (why.to_owned(), count)).collect(),
            judgements: expect::judge(expected, |quantity| measured(books, vardiff, quantity)),
        }
    }

    /// `0 late at the end, 5000 at worst`.
    pub(super) fn late_in_words(&self) -> String {
        match self.hashes.late {
            late if late < self.late_at_worst => {
                format!("{late} late at the end, {} at worst", self.late_at_worst)
            }
            late => format!("{late} late"),
        }
    }

    /// What was expected, and whether it is met.
    pub(super) fn judgements(&self) -> &[Judgement] {
        &self.judgements
    }

    /// Whether the script was kept, and what was expected is met.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if self.hashes.late as f64 > self.hashes.asked as f64 * TOLERANCE {
            let words = anyhow::anyhow!(
                "this machine is too slow for the script: {} of {} hashes were not done; ask for \
                 less, or run fewer programs beside it",
                self.hashes.late,
                self.hashes.asked
            );
            return Err(Failure::new(Kind::Runtime, words));
        }
        let unmet = self.judgements.iter().filter(|judgement| !judgement.is_met);
        let unmet: Vec<_> = unmet.map(ToString::to_string).collect();
        match unmet.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(Kind::GoalMissed, anyhow::anyhow!(unmet.join(", ")))),
        }
    }
}

/// What a test has measured of this, if anything.
fn measured(books: &Books, vardiff: &Vardiff, quantity: Quantity) -> Option<Amount> {
    let answers = books.answers();
    let spreads = books.spreads();
    let time = |latencies: &Latencies, time: Duration| {
        (latencies.count() > 0).then_some(Amount::Time(time))
    };
    match quantity {
        Quantity::P50 => time(answers, answers.quantile(0.5)),
        Quantity::P99 => time(answers, answers.quantile(0.99)),
        Quantity::Max => time(answers, answers.max()),
        Quantity::Job => time(&spreads, spreads.max()),
        Quantity::Accepted => Some(Amount::Count(books.shares().accepted())),
        Quantity::Refused => Some(Amount::Count(books.shares().rejected())),
        Quantity::Lost => Some(Amount::Count(books.lost())),
        Quantity::Disconnects => Some(Amount::Count(books.connections().lost)),
        Quantity::LetThrough => Some(Amount::Count(books.faults().let_through())),
        // One that has not settled has no time to settle.
        Quantity::Settle if vardiff.settled == vardiff.stretches => {
            vardiff.settle.map(|[_, longest]| Amount::Time(longest))
        }
        Quantity::Overshoot => vardiff.overshoot.map(Amount::part),
        _ => None,
    }
}

/// Tells the summary, which is the last event.
pub(super) fn tell_summary(
    out: &mut Output,
    summary: &Summary,
    books: &Books,
    vardiff: &Vardiff,
    reason: &str,
) {
    let Summary { seconds, length, workers, hashes: total, orphans, .. } = summary;
    let judgements: Vec<_> = summary
        .judgements
        .iter()
        .map(|Judgement { text, measured, is_met }| {
            let measured = measured.map(|amount| amount.to_string());
            json!({"text": text, "measured": measured, "met": is_met})
        })
        .collect();
    let kinds: Vec<_> = summary
        .rejects
        .iter()
        .map(|(reason, count)| json!({"reason": reason, "count": count}))
        .collect();
    out.last_event(&json!({
        "event": "summary", "seconds": seconds, "script_seconds": length, "workers": workers,
        "hashes": hashes(total), "shares": shares(&summary.shares),
        "late_at_worst": summary.late_at_worst,
        "expected_shares": total.expected_shares, "withheld": total.withheld,
        "orphans": orphans, "rejects": kinds, "answers_ms": latencies(&summary.answers),
        "own_ms": latencies(&summary.own), "spread_ms": latencies(&summary.spreads),
        "connections": connections(summary.connections), "expectations": judgements,
        "faults": watch::faults(books.faults()), "vardiff": watch::vardiff(vardiff),
        "reason": reason,
    }));
    let HashCount { asked, done, idle, expected_shares, withheld, .. } = *total;
    let part = if asked > 0 { done as f64 / asked as f64 * 100.0 } else { 100.0 };
    out.line(format!(
        "hashes       {asked} asked in {length:.1} s, {done} done ({part:.4} %), {idle} without a \
         job, {}",
        summary.late_in_words()
    ));
    let ledger = &summary.shares;
    out.line(format!(
        "shares       {} found, {expected_shares:.0} expected: {} accepted, {} rejected, {} stale, \
         {} throttled, {} unresolved",
        ledger.found(),
        ledger.accepted(),
        ledger.rejected(),
        ledger.stale(),
        ledger.throttled(),
        ledger.unresolved(),
    ));
    for (reason, count) in &summary.rejects {
        out.line(format!("  rejected   {count} with {reason}"));
    }
    if withheld + orphans > 0 {
        out.line(format!(
            "  not sent   {withheld} above the limit of shares a second, {orphans} whose miner had \
             left"
        ));
    }
    out.line(format!("answers      {}", latencies_in_words(&summary.answers)));
    out.line(format!("our own part {}", latencies_in_words(&summary.own)));
    if summary.spreads.count() > 0 {
        out.line(format!(
            "new blocks   {}, from the first miner's job to the last one's: {}",
            summary.spreads.count(),
            latencies_in_words(&summary.spreads)
        ));
    }
    let Connections { opened, unreached, refused, lost } = summary.connections;
    out.line(format!(
        "connections  {opened} opened, {lost} lost, {unreached} not reached, {refused} refused"
    ));
    watch::tell(out, books.faults(), vardiff);
    for judgement in &summary.judgements {
        out.line(format!("expected     {judgement}"));
    }
}

/// The rows of the live view, each in shorter and shorter wordings.
pub(super) fn rows(glance: &Glance<'_>, rate: f64) -> Vec<(&'static str, Vec<String>)> {
    let Glance { asked_rate, total, books, .. } = glance;
    let [working, waiting, offline] =
        [State::Working, State::Waiting, State::Offline].map(|state| books.count(state));
    let Connections { opened, unreached, refused, lost } = books.connections();
    let ledger = books.shares();
    let mut rows = vec![
        (
            "miners",
            vec![
                format!(
                    "{working} at work, {waiting} waiting for a job, {offline} without a connection"
                ),
                format!("{working} at work, {waiting} waiting, {offline} offline"),
            ],
        ),
        (
            "lines",
            vec![format!(
                "{opened} connections opened, {lost} lost, {unreached} not reached, {refused} \
                 refused"
            )],
        ),
        (
            "rate",
            vec![
                format!(
                    "{} of {} asked; {} hashes done, {} without a job, {} late",
                    units::rate(rate),
                    units::rate(*asked_rate),
                    total.done,
                    total.idle,
                    total.late
                ),
                format!("{} of {} asked", units::rate(rate), units::rate(*asked_rate)),
            ],
        ),
        (
            "shares",
            vec![
                format!(
                    "{} found, {:.0} expected: {} accepted, {} rejected, {} stale, {} unresolved",
                    ledger.found(),
                    total.expected_shares,
                    ledger.accepted(),
                    ledger.rejected(),
                    ledger.stale(),
                    ledger.unresolved()
                ),
                format!("{} of {} accepted", ledger.accepted(), ledger.found()),
            ],
        ),
        ("answers", vec![latencies_in_words(books.answers())]),
        ("own part", vec![latencies_in_words(books.own())]),
    ];
    if let Some([low, median, high]) = difficulties(books) {
        rows.push((
            "diff",
            vec![format!(
                "{} median, {} to {}",
                units::difficulty(median),
                units::difficulty(low),
                units::difficulty(high)
            )],
        ));
    }
    let spreads = books.spreads();
    if spreads.count() > 0 {
        let words = latencies_in_words(&spreads);
        let blocks = units::count(spreads.count(), "block");
        rows.push(("blocks", vec![format!("{blocks}; until the last miner had its job: {words}")]));
    }
    rows
}

/// The lowest, the median and the highest difficulty of all miners.
fn difficulties(books: &Books) -> Option<[f64; 3]> {
    let mut all: Vec<f64> = books.miners().iter().filter_map(|miner| miner.difficulty).collect();
    all.sort_by(f64::total_cmp);
    Some([*all.first()?, all[all.len() / 2], *all.last()?])
}

/// The head of the table of miners.
pub(super) const MINERS_HEAD: &str =
    "miner             state    difficulty   found accepted   p99      longest  lost";

/// A row of that table.
pub(super) fn miner_row(name: &str, miner: &Standing) -> String {
    let state = match miner.state {
        State::Absent => "absent",
        State::Offline => "offline",
        State::Waiting => "waiting",
        State::Working => "at work",
    };
    let name: String = name.chars().take(17).collect();
    let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    format!(
        "{name:<17} {state:<8} {:<12} {:>5} {:>8}   {:<8} {:<8} {}",
        miner.difficulty.map_or_else(|| "-".to_owned(), units::difficulty),
        miner.shares.found(),
        miner.shares.accepted(),
        ms(miner.answers.quantile(0.99)),
        ms(miner.answers.max()),
        miner.connections.lost
    )
}
