//! Events and notices as sentences. No output here: [`Lines`](super::Lines) prints them, the live
//! view shows them.

use std::time::Duration;

use midstate_chain::Verdict;
use midstate_economics::units::DAY;
use midstate_net::LinkState;

use super::event::{
    BlockEvent, Effort, Event, LeftOutEvent, MinerEvent, MinerNews, PoolEvent, RejectCount,
    RemarkEvent, RenamedEvent, RetargetEvent, ShareEvent, Summary, ThrottledEvent, name,
};
use super::notice::{Notice, ReloadNotice};
use super::ration::Ration;
use super::states::States;
use super::status::{BlockCounts, ShareCounts, State, Status};
use crate::shell::units;

/// A sentence for people, and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sentence {
    /// For stdout.
    Result(String),
    /// News, for stderr.
    Note(String),
}

/// Puts events and notices into words. What peers can cause again and again is said at most once in
/// ten seconds ([`Ration`]); remarks come at that pace already.
#[derive(Debug, Default)]
pub(crate) struct Speech {
    states: States,
    texts: Ration<String>,
}

impl Speech {
    /// The sentence about `event`, if there is one and it is due.
    pub(crate) fn of(&mut self, event: &Event, status: &Status) -> Option<Sentence> {
        let now = up(status);
        match (event, of(event, status)) {
            (Event::Pool(pool), Some(Sentence::Note(note))) => {
                self.states.say(now, &pool.url, pool.state, &note).map(Sentence::Note)
            }
            (Event::Pool(pool), None) if pool.state == LinkState::Connected => {
                self.states.pass_over(&pool.url);
                None
            }
            (_, sentence) => sentence,
        }
    }

    /// The sentence about `notice`, if it is due. Advice on a pool's answers may come again and
    /// again.
    pub(crate) fn of_notice(&mut self, notice: &Notice, status: &Status) -> Option<Sentence> {
        let text = of_notice(notice);
        match notice {
            Notice::Advice { .. } | Notice::PoolFull { .. } => {
                self.texts.say(up(status), text).map(Sentence::Note)
            }
            _ => Some(Sentence::Note(text)),
        }
    }

    /// The words that were held back and are due.
    pub(crate) fn due(&mut self, status: &Status) -> Vec<Sentence> {
        let now = up(status);
        let due = self.texts.due(now).into_iter().chain(self.states.due(now));
        due.map(Sentence::Note).collect()
    }
}

/// The time since mining began.
fn up(status: &Status) -> Duration {
    Duration::from_secs_f64(status.seconds)
}

/// The sentence about `event`; not every event is of interest to people. The summary has
/// [words of its own](summary).
fn of(event: &Event, status: &Status) -> Option<Sentence> {
    match event {
        Event::Pool(pool) => of_pool(pool).map(Sentence::Note),
        Event::Remark(RemarkEvent { pool, remark, .. }) => {
            Some(Sentence::Note(remark.sentence(pool)))
        }
        Event::Share(share) => of_share(share, status).map(Sentence::Result),
        Event::Block(block) => of_block(block, status).map(Sentence::Result),
        Event::Miner(miner) => Some(of_miner(miner)),
        Event::Retarget(retarget) => Some(Sentence::Note(of_retarget(retarget))),
        Event::Renamed(RenamedEvent { before, name }) => {
            Some(Sentence::Note(format!("{before} is shown as {name} from now on")))
        }
        Event::Throttled(throttled) => Some(Sentence::Note(of_throttled(throttled))),
        Event::LeftOut(left_out) => of_left_out(left_out).map(Sentence::Note),
        Event::Job(_) | Event::Rate(_) | Event::Summary(_) => None,
    }
}

/// The sentence about what a pool of this program tells when mining has ended.
pub(crate) fn of_late(event: &Event) -> Option<Sentence> {
    match event {
        Event::Miner(miner) => Some(of_miner(miner)),
        Event::Block(block) => of_revised(block).or_else(|| of_ours(block)).map(Sentence::Result),
        Event::Retarget(retarget) => Some(Sentence::Note(of_retarget(retarget))),
        _ => None,
    }
}

/// A notice as a sentence.
fn of_notice(notice: &Notice) -> String {
    match notice {
        Notice::Advice { server, advice } => format!("  {server}: {advice}"),
        Notice::NothingReached { server } => format!(
            "  --give-up SECS sets an end to the attempts; midstate doctor {server} looks closer"
        ),
        Notice::Odds { rate, seconds } => format!(
            "honest odds: at {} a block takes {} on average; each day finds one with probability \
             1 in {}",
            units::rate(*rate),
            units::wait(*seconds),
            units::si(seconds / DAY).trim_end(),
        ),
        Notice::PausedToo { paused: true, why } => {
            format!("paused by you, too ({why}); p lifts your pause")
        }
        Notice::PausedToo { paused: false, why } => {
            format!("your pause is lifted; still paused: {why}")
        }
        Notice::NoOtherCount { threads: 1 } => {
            "one thread hashes, and there are never fewer; p pauses it".to_owned()
        }
        Notice::NoOtherCount { threads } => {
            format!("{threads} threads hash, and + starts no more: there is one for each CPU")
        }
        Notice::Held { why } => format!("paused: {why}"),
        Notice::Released { now, paused: true } => {
            format!("{now}; still paused by you: p lifts your pause")
        }
        Notice::Released { now, paused: false } => format!("goes on: {now}"),
        Notice::SensorLost(what) => format!("warning: {what}"),
        Notice::PoolFull { places } => format!(
            "warning: a miner was turned away: all {} of this pool are taken",
            units::count(*places as u64, "place"),
        ),
        Notice::Said(line) => line.clone(),
        Notice::NoThread { error } => format!("warning: no other thread: {error}"),
        Notice::ThreadReplaced { index, lost } => format!(
            "warning: hashing thread {index} ended by a bug in this program and was started anew; \
             {lost} hashes of the job are left out"
        ),
        Notice::ThreadMissing { error } => format!(
            "warning: a hashing thread ended by a bug in this program, and the system starts no \
             other: {error}"
        ),
        Notice::ThreadStands { index, in_hand, seconds } => format!(
            "warning: hashing thread {index} has been at {in_hand} hashes for {seconds} s: the \
             system gives it no time, or it is stuck; the others go on"
        ),
        Notice::ThreadGoesOn { index } => format!("hashing thread {index} goes on"),
        Notice::Reload(notice) => of_reload(notice),
    }
}

fn of_retarget(retarget: &RetargetEvent) -> String {
    let &RetargetEvent { before, difficulty, height, .. } = retarget;
    format!(
        "from block {height} on a block has difficulty {}, {:.3} times that before",
        units::difficulty(difficulty),
        difficulty / before,
    )
}

fn of_reload(notice: &ReloadNotice) -> String {
    match notice {
        ReloadNotice::Queued => {
            "the configuration is being read; this request waits for the end of that".to_owned()
        }
        ReloadNotice::NoFile => "nothing to read again: there is no configuration file".to_owned(),
        ReloadNotice::Kept { error } => format!("kept the pools as they were: {error}"),
        ReloadNotice::Read { pools } => {
            format!("read the configuration again: {}", units::count(*pools, "pool"))
        }
    }
}

/// Shares that were not sent, and the reason.
fn of_throttled(throttled: &ThrottledEvent) -> String {
    let ThrottledEvent { shares, difficulty, absurdly_low, .. } = throttled;
    let shares = units::count(*shares, "share");
    match difficulty.filter(|_| *absurdly_low) {
        Some(difficulty) => format!(
            "throttled: {shares} found and not sent: difficulty {} is absurdly low for this rate \
             (--max-share-rate sets how many are sent)",
            units::difficulty(difficulty)
        ),
        None => format!(
            "throttled: {shares} found and not sent: more came than --max-share-rate allows, or \
             too many wait for an answer"
        ),
    }
}

/// The counts of events that were not told one by one. People are not told of jobs.
fn of_left_out(&LeftOutEvent { shares, miners, .. }: &LeftOutEvent) -> Option<String> {
    let counts = [(shares, "share"), (miners, "message about other miners")];
    let told: Vec<_> = (counts.into_iter())
        .filter(|&(count, _)| count > 0)
        .map(|(count, what)| format!("{what}: {count}"))
        .collect();
    (!told.is_empty())
        .then(|| format!("not told one by one, for there were too many: {}", told.join(", ")))
}

/// The rates and the shares in one line.
pub(crate) fn status(status: &Status) -> String {
    let rates = &status.rates;
    let [now, minute, quarter] = [rates.hps_10s, rates.hps_60s, rates.hps_15m].map(rate);
    let overall = overall(rates.hps_10s, rates.hps_10s_overall);
    let (accepted, answered) = (status.shares.accepted, status.shares.answered());
    let standing = match (status.state, &status.job) {
        (State::Mining, _) => {
            let wait = status.seconds_to_share.map_or_else(|| "ages".to_owned(), units::wait);
            format!("a share takes {wait} on average")
        }
        (State::Paused, _) => "paused".to_owned(),
        (State::Connecting, _) => "no server gives work".to_owned(),
        (State::Waiting, None) if status.seconds_of_interval > 0.0 => {
            format!("waits for --block-interval: {} left", units::wait(status.seconds_of_interval))
        }
        (State::Waiting, None) => "no job now".to_owned(),
        (State::Waiting, Some(_)) => "all of the job is hashed".to_owned(),
    };
    let shares = format!("shares {accepted}/{answered}");
    match status.state {
        State::Mining => {
            format!("{now}{overall} (60 s: {minute}, 15 min: {quarter})  {shares}  {standing}")
        }
        // A bare rate would say that hashing goes on.
        _ if rates.hps_10s.is_some() => {
            format!("not hashing (before: {now} in 10 s, {minute} in 60 s)  {shares}  {standing}")
        }
        _ => format!("not hashing  {shares}  {standing}"),
    }
}

/// All there is to know, in one line.
pub(crate) fn full_status(now: &Status, rejects: &[RejectCount]) -> String {
    let job = now.job.as_ref().map_or("none", |job| job.job_id.as_str());
    let (status, up) = (status(now), Duration::from_secs_f64(now.seconds));
    format!(
        "status: {status}; job {job}; shares {}; up {}{}",
        ledger(&now.shares),
        units::duration(up),
        reasons(rejects).map(|reasons| format!("; {reasons}")).unwrap_or_default(),
    )
}

/// How it all ended.
pub(crate) fn summary(summary: &Summary) -> Vec<String> {
    let Summary { kernel, threads, midstates, shares, blocks, .. } = summary;
    let mut lines = vec![
        format!(
            "{}hashes in {}: {}{} with {kernel}, {}, {}",
            units::si(summary.hashes as f64),
            hashing_time(summary.seconds, summary.seconds_hashing),
            units::rate(summary.hps),
            overall(Some(summary.hps), Some(summary.hps_overall)),
            units::count(*threads, "thread"),
            units::count(*midstates, "midstate"),
        ),
        format!(
            "shares {}; best difficulty {}",
            ledger(shares),
            match summary.best_difficulty {
                0.0 => "none".to_owned(),
                best => units::difficulty(best),
            },
        ),
    ];
    lines.extend(reasons(&summary.rejects));
    if blocks.found > 0 {
        lines.push(format!("blocks {}", fates_of_blocks(blocks)));
    }
    lines
}

/// How long mining took, and how long the threads hashed where that is a tenth shorter.
fn hashing_time(seconds: f64, seconds_hashing: f64) -> String {
    let [all, hashing] =
        [seconds, seconds_hashing].map(|seconds| units::duration(Duration::from_secs_f64(seconds)));
    if seconds_hashing < 0.9 * seconds { format!("{hashing} of {all}") } else { all }
}

/// All shares, and what became of them.
pub(crate) fn ledger(shares: &ShareCounts) -> String {
    let &ShareCounts { found, accepted, rejected, stale, throttled, unresolved } = shares;
    let told = [
        (accepted, "accepted"),
        (rejected, "rejected"),
        (stale, "stale"),
        (throttled, "throttled"),
        (unresolved, "unresolved"),
    ];
    fates(found, &told)
}

/// All blocks, and what became of them.
pub(crate) fn fates_of_blocks(blocks: &BlockCounts) -> String {
    let &BlockCounts { found, accepted, rejected } = blocks;
    let open = found.saturating_sub(accepted + rejected);
    fates(found, &[(accepted, "accepted"), (rejected, "rejected"), (open, "without a verdict")])
}

/// How many were found and what became of them, zeros left out.
fn fates(found: u64, fates: &[(u64, &str)]) -> String {
    let some: Vec<_> = fates.iter().filter(|(count, _)| *count > 0).collect();
    match some[..] {
        _ if found == 0 => "none".to_owned(),
        [(1, fate)] if found == 1 => format!("1 found, {fate}"),
        [(count, fate)] if *count == found => format!("{found} found, all {fate}"),
        _ => {
            let told = some.iter().map(|(count, fate)| format!("{count} {fate}"));
            format!("{found} found: {}", told.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Why shares were refused, if any were.
fn reasons(rejects: &[RejectCount]) -> Option<String> {
    let rows: Vec<_> =
        rejects.iter().map(|row| format!("{} x {}", row.count, row.reason)).collect();
    (!rows.is_empty()).then(|| format!("rejected for: {}", rows.join(", ")))
}

/// Block hashes are longer than most lines, and their ends are enough to know them by.
pub(crate) fn shorten_hashes(text: &str) -> String {
    let is_hash =
        |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let shorten = |word: &str| match is_hash(word) {
        true => format!("{}…{}", &word[..8], &word[56..]),
        false => word.to_owned(),
    };
    text.split(' ').map(shorten).collect::<Vec<_>>().join(" ")
}

/// The rate with all pauses and rests in it, where it is a tenth lower than the rate of hashing.
pub(crate) fn overall(hashing: Option<f64>, overall: Option<f64>) -> String {
    match (hashing, overall) {
        (Some(hashing), Some(overall)) if overall < 0.9 * hashing => {
            format!(" ({} overall)", units::rate(overall))
        }
        _ => String::new(),
    }
}

fn rate(hashes_per_second: Option<f64>) -> String {
    units::rate(hashes_per_second.unwrap_or(0.0))
}

pub(super) fn is_node(url: &str) -> bool {
    url.starts_with("http")
}

fn of_pool(PoolEvent { url, state, reason, listed, .. }: &PoolEvent) -> Option<String> {
    let url = match listed {
        Some(pool) => format!("{url} (redirected by {pool})"),
        None => url.clone(),
    };
    let words = match state {
        LinkState::Connecting => "connecting to",
        LinkState::Connected => "connected to",
        LinkState::Authorized => "authorized at",
        // There is one to a node that answers with an error.
        LinkState::Lost if is_node(&url) => "no work from",
        LinkState::Lost => "no connection to",
        LinkState::Failover => "going over to",
    };
    match (state, reason) {
        (_, Some(reason)) => Some(format!("{words} {url}: {reason}")),
        // The steps that go well are of interest to programs, the last one to people.
        (LinkState::Connecting | LinkState::Connected, None) => None,
        (_, None) => Some(format!("{words} {url}")),
    }
}

fn of_share(share: &ShareEvent, status: &Status) -> Option<String> {
    let ShareEvent { hash, verdict, code, reason, .. } = share;
    match verdict {
        // A block has a line of its own.
        Verdict::Accepted if share.block => None,
        Verdict::Accepted => {
            let (accepted, answered) = (status.shares.accepted, status.shares.answered());
            let percent = 100.0 * accepted as f64 / answered as f64;
            Some(format!(
                "accepted {accepted}/{answered} ({percent:.2}%)  difficulty {}  {:.0} ms",
                units::difficulty(share.difficulty),
                share.latency_ms
            ))
        }
        Verdict::Rejected | Verdict::Stale => {
            let reason = reason.as_deref().unwrap_or("no reason given");
            let code = code.map(|code| format!(" (code {code})")).unwrap_or_default();
            Some(format!("{} share {hash}{code}: {reason}", name(*verdict)))
        }
        Verdict::Unresolved if share.block => {
            let reason = reason.as_deref().unwrap_or("no verdict came");
            Some(format!("block {hash} has no verdict: {reason}"))
        }
        Verdict::Throttled | Verdict::Unresolved => None,
    }
}

/// Rule 27: the line before a standstill says so. A shorter one passes unnoticed.
const STANDSTILL: f64 = 5.0;

/// A block that has another verdict than before.
fn of_revised(block: &BlockEvent) -> Option<String> {
    let BlockEvent { hash, verdict, reason, .. } = block;
    block.was?;
    let reason = reason.as_deref().unwrap_or("it is in the best chain now");
    Some(format!("block {} {hash} is {}: {reason}", height_of(block), name(*verdict)))
}

/// A block of which there is no more to tell.
fn of_ours(block: &BlockEvent) -> Option<String> {
    let (hash, height) = (&block.hash, height_of(block));
    let is_ours = block.verdict == Verdict::Accepted;
    is_ours.then(|| format!("block {height:<4} {hash}  found by this machine"))
}

fn height_of(block: &BlockEvent) -> String {
    block.height.map_or_else(|| "?".to_owned(), |height| height.to_string())
}

fn of_block(block: &BlockEvent, status: &Status) -> Option<String> {
    if block.was.is_some() {
        return of_revised(block);
    }
    let (hash, height) = (&block.hash, height_of(block));
    // How long and how many tries it took, against what was to be expected.
    let Some(Effort { seconds, hashes, expected_hashes }) = block.effort else {
        return of_ours(block);
    };
    let left = status.seconds_of_interval;
    let standstill = match left >= STANDSTILL && status.job.is_none() {
        true => format!("; the next in {} (--block-interval)", units::wait(left)),
        false => String::new(),
    };
    Some(format!(
        "block {height:<4} {hash}  after {:<8} {}hashes, {:.2} of the expected {}{standstill}",
        units::duration(Duration::from_secs_f64(seconds)),
        units::si(hashes as f64),
        hashes as f64 / expected_hashes,
        units::si(expected_hashes).trim_end(),
    ))
}

fn of_miner(MinerEvent { worker, session, news, .. }: &MinerEvent) -> Sentence {
    // The page tells miners of one name apart by this number: no name may pass for one with it.
    let worker = match worker.contains('#') {
        true => format!("{worker} #{session}"),
        false => worker.clone(),
    };
    match news {
        MinerNews::Joined { address } => {
            Sentence::Note(format!("{worker} joined from {}", address.ip()))
        }
        MinerNews::Block { height, hash } => {
            Sentence::Result(format!("block {height:<4} {hash}  found by {worker}"))
        }
        MinerNews::Refused { height, hash, verdict, reason } => {
            let reason = reason.as_deref().unwrap_or("the node gives no reason");
            let verdict = name(*verdict);
            Sentence::Result(format!(
                "block {height:<4} {hash}  of {worker} does not count, it is {verdict}: {reason}"
            ))
        }
        MinerNews::Left { accepted, blocks, .. } => {
            let [shares, blocks] = [(*accepted, "share"), (*blocks, "block")]
                .map(|(count, what)| units::count(count, what));
            Sentence::Note(format!("{worker} left after {shares}, {blocks}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use midstate_chain::Hash256;

    use super::*;

    #[test]
    fn a_node_that_answers_with_an_error_has_a_connection() {
        let lost = |url: &str| {
            let reason = Some("why".to_owned());
            of_pool(&PoolEvent {
                url: url.to_owned(),
                protocol: midstate_net::Protocol::Stratum1,
                state: LinkState::Lost,
                reason,
                listed: None,
            })
        };
        assert_eq!(lost("http://n:8332").as_deref(), Some("no work from http://n:8332: why"));
        assert_eq!(
            lost("stratum+tcp://p:1").as_deref(),
            Some("no connection to stratum+tcp://p:1: why")
        );
    }

    #[test]
    fn a_refused_block_of_a_guest_is_told_with_the_node_s_words() {
        let news = |reason: Option<&str>| {
            let (hash, reason) = ("00ab".to_owned(), reason.map(str::to_owned));
            let news = MinerNews::Refused { height: 7, hash, verdict: Verdict::Rejected, reason };
            let worker = "Ada".to_owned();
            match of_miner(&MinerEvent { worker, session: 2, device: true, news }) {
                Sentence::Result(line) => line,
                Sentence::Note(note) => panic!("{note}"),
            }
        };
        let line = "block 7    00ab  of Ada does not count, it is rejected: high-hash";
        assert_eq!(news(Some("high-hash")), line);
        assert!(news(None).ends_with("the node gives no reason"));
    }

    #[test]
    fn a_verdict_that_comes_when_mining_has_ended_is_told() {
        let change = [Verdict::Accepted, Verdict::Rejected];
        let reason = Some("high-hash".to_owned());
        let block = BlockEvent::revised("n", &Hash256::default(), 7, change, reason);
        let Some(Sentence::Result(line)) = of_late(&Event::Block(block)) else { panic!() };
        assert!(line.starts_with("block 7 ") && line.ends_with("is rejected: high-hash"), "{line}");
    }
}
