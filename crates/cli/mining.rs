//! Mining, whoever the jobs come from: joins a link and the engine, keeps the books, tells what
//! happens, and knows when to stop. Used by `demo` and `mine`.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Hash256, Job, Share, Verdict};
use midstate_engine::{Engine, Meter, Progress};
use midstate_net::{Account, End, Happened, Link, LinkEvent, LinkState, NodeLink, NodeLinkConfig};
use midstate_work::{BlockLedger, Ledger};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::backlog::Backlog;
use crate::choose::Choice;
use crate::exit::{Failure, INTERRUPTED_TWICE, Kind};
use crate::output::Output;
use crate::pools::{Pools, Reloader};
use crate::signals::{Request, Requests, interrupted};
use crate::turnstile::Turnstile;
use crate::units;

/// How often counts are read and times are checked.
const TICK: Duration = Duration::from_millis(250);
/// How often the rate is told where it cannot be refreshed in place.
const RATE_EVERY: Duration = Duration::from_secs(10);
const SECONDS_A_YEAR: f64 = 365.25 * 86400.0;
const WINDOWS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(15 * 60)];

/// Where the jobs come from.
pub(crate) enum Source {
    /// Pools, by Stratum.
    Pools(Box<Pools>),
    /// Bitcoin Core nodes.
    Nodes(Box<NodeLinkConfig>),
}

/// When to stop by ourselves.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Goals {
    /// Accepted blocks.
    pub(crate) blocks: Option<u64>,
    /// Accepted shares.
    pub(crate) shares: Option<u64>,
    /// Running time.
    pub(crate) time: Option<Duration>,
}

/// Why mining stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Reason {
    Blocks,
    Shares,
    TimeLimit,
    Interrupted,
    Error,
}

/// Mines until a goal is met, Ctrl-C, or the link ends. Prints everything, the summary too.
pub(crate) async fn mine(
    choice: Choice,
    source: Source,
    goals: Goals,
    out: &mut Output,
) -> Result<(), Failure> {
    let (found, mut found_shares) = mpsc::unbounded_channel();
    let (outbox, shares) = mpsc::unbounded_channel();
    let (events, mut inbox) = midstate_net::events();
    let (stop, stopped) = oneshot::channel();
    let (reloads, reloaded) = mpsc::unbounded_channel();
    let (link, reloader) = match source {
        Source::Pools(pools) => {
            let (config, reloader) = pools.into_parts();
            let link = Link::new(config, shares, events, stopped).with_reloads(reloaded);
            (tokio::spawn(link.run()), reloader)
        }
        Source::Nodes(config) => {
            let link = NodeLink::new(*config, shares, events, stopped);
            (tokio::spawn(link.run()), Reloader::none())
        }
    };
    let backlog = Arc::new(Backlog::default());
    let bound = Arc::clone(&backlog);
    let turnstile = Arc::new(Turnstile::default());
    let entrance = Arc::clone(&turnstile);
    let engine = Engine::start(choice.config.clone(), move |share| {
        if entrance.admits(&share) && bound.admits(&share) {
            // The receiver outlives the engine, which is stopped before the last shares are read.
            let _ = found.send(share);
        }
    });

    if choice.max_rate.is_some() {
        // Nothing before the first grant.
        engine.set_allowance(0);
    }

    let mut miner = Miner::new(&choice, engine, turnstile, backlog, out);
    let mut interrupted = std::pin::pin!(interrupted());
    let mut requests = Requests::listen();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let reason = loop {
        // In this order, what is rare is never held up by what is not, and shares that are done
        // make room for new ones.
        tokio::select! {
            biased;
            () = &mut interrupted => break Reason::Interrupted,
            request = requests.next() => miner.handle_request(request, &reloader, &reloads),
            _ = ticks.tick() => miner.tick(),
            event = inbox.recv() => match event {
                Some(event) => miner.handle(event),
                // The link has ended by itself; its end tells why.
                None => break Reason::Error,
            },
            Some(share) = found_shares.recv() => {
                miner.record_found(&share);
                let _ = outbox.send(share);
            }
        }
        if let Some(reason) = miner.goal_met(&goals) {
            break reason;
        }
    };

    // From here on a second Ctrl-C ends the program at once.
    tokio::spawn(async {
        crate::signals::interrupted().await;
        std::process::exit(INTERRUPTED_TWICE);
    });
    miner.engine.stop();
    miner.record_turned_away();
    while let Ok(share) = found_shares.try_recv() {
        miner.record_found(&share);
        let _ = outbox.send(share);
    }
    let _ = stop.send(());
    while let Some(event) = inbox.recv().await {
        miner.handle(event);
    }
    let end = link.await?;
    miner.finish(reason);
    outcome(end)
}

/// What the end of a link means for the program.
pub(crate) fn outcome(end: End) -> Result<(), Failure> {
    match end {
        End::Stopped => Ok(()),
        End::Refused(reason) => Err(Failure::new(Kind::Refused, anyhow::Error::msg(reason))),
        End::Misconfigured(reason) => Err(Failure::usage(reason)),
        End::Unusable(reason) => Err(Failure::new(Kind::Runtime, anyhow::Error::msg(reason))),
        End::Unreachable(reason) => {
            Err(Failure::new(Kind::Unreachable, anyhow::Error::msg(reason)))
        }
    }
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted => "accepted",
        Verdict::Rejected => "rejected",
        Verdict::Stale => "stale",
        Verdict::Throttled => "throttled",
        Verdict::Unresolved => "unresolved",
    }
}

/// A block that was held back or too late was never offered: no verdict on it.
fn block_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted | Verdict::Rejected => name(verdict),
        Verdict::Stale | Verdict::Throttled | Verdict::Unresolved => name(Verdict::Unresolved),
    }
}

struct Miner<'a> {
    choice: &'a Choice,
    engine: Engine,
    turnstile: Arc<Turnstile>,
    backlog: Arc<Backlog>,
    out: &'a mut Output,
    started: Instant,
    meter: Meter,
    job: Option<(Arc<Job>, Instant)>,
    shares: Ledger,
    blocks: BlockLedger,
    best_difficulty: f64,
    /// When the last block was accepted, and the hashes done by then.
    last_block: (Instant, u64),
    rate_told: Instant,
    /// Hashes that `--max-hashrate` allows so far, and when that was worked out.
    granted: (f64, Duration),
    odds_told: bool,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Pool {
        url: &'a str,
        state: &'static str,
        reason: Option<&'a str>,
    },
    Job {
        pool: &'a str,
        job_id: &'a str,
        height: Option<u32>,
        difficulty: f64,
        network_difficulty: f64,
        clean: bool,
    },
    Share {
        pool: &'a str,
        job_id: &'a str,
        extranonce2: String,
        ntime: String,
        nonce: String,
        version: String,
        hash: String,
        difficulty: f64,
        target_difficulty: f64,
        verdict: &'static str,
        code: Option<i64>,
        reason: Option<&'a str>,
        latency_ms: f64,
        block: bool,
    },
    Block {
        hash: String,
        height: Option<u32>,
        verdict: &'static str,
        reason: Option<&'a str>,
    },
    Rate {
        hps_10s: Option<f64>,
        hps_60s: Option<f64>,
        hps_15m: Option<f64>,
        hashes: u64,
    },
    Summary {
        seconds: f64,
        hashes: u64,
        hps: f64,
        kernel: &'static str,
        threads: usize,
        midstates: usize,
        shares: ShareCounts,
        blocks: BlockCounts,
        best_difficulty: f64,
        reason: Reason,
    },
}

#[derive(Serialize)]
struct ShareCounts {
    found: u64,
    accepted: u64,
    rejected: u64,
    stale: u64,
    throttled: u64,
    unresolved: u64,
}

#[derive(Serialize)]
struct BlockCounts {
    found: u64,
    accepted: u64,
    rejected: u64,
}

impl<'a> Miner<'a> {
    fn new(
        choice: &'a Choice,
        engine: Engine,
        turnstile: Arc<Turnstile>,
        backlog: Arc<Backlog>,
        out: &'a mut Output,
    ) -> Self {
        let now = Instant::now();
        Self {
            choice,
            engine,
            turnstile,
            backlog,
            out,
            started: now,
            meter: Meter::new(WINDOWS[2], Duration::ZERO, 0),
            job: None,
            shares: Ledger::default(),
            blocks: BlockLedger::default(),
            best_difficulty: 0.0,
            last_block: (now, 0),
            rate_told: now,
            granted: (0.0, Duration::ZERO),
            odds_told: false,
        }
    }

    fn record_found(&mut self, share: &Share) {
        self.shares.record_found();
        self.best_difficulty = self.best_difficulty.max(share.difficulty());
    }

    /// What a signal asks for. Nothing of it ends the program.
    fn handle_request(
        &mut self,
        request: Request,
        reloader: &Reloader,
        reloads: &mpsc::UnboundedSender<Vec<Account>>,
    ) {
        match request {
            Request::Status => self.tell_status(),
            Request::Reload => match reloader.accounts() {
                None => self.out.note("nothing to read again: there is no configuration file"),
                Some(Err(failure)) => {
                    self.out.note(format!("kept the pools as they were: {failure}"))
                }
                Some(Ok(accounts)) => {
                    self.out
                        .note(format!("read the configuration again: {} pools", accounts.len()));
                    // A link that has ended says so itself.
                    let _ = reloads.send(accounts);
                }
            },
        }
    }

    /// All there is to know, on stderr.
    fn tell_status(&mut self) {
        let pool = self.job.as_ref().map_or("none", |(job, _)| job.id.as_str()).to_owned();
        let (status, shares) = (self.status(), self.shares);
        self.out.note(format!(
            "status: {status}; job {pool}; shares {} = {} accepted + {} rejected + {} stale + {} \
             throttled + {} unresolved; up {}",
            shares.found(),
            shares.accepted(),
            shares.rejected(),
            shares.stale(),
            shares.throttled(),
            shares.unresolved(),
            units::duration(self.started.elapsed()),
        ));
    }

    /// Shares that the threads found and nobody could have taken.
    fn record_turned_away(&mut self) {
        for _ in 0..self.backlog.take_turned_away() {
            self.shares.record_found();
            self.shares.record_verdict(Verdict::Throttled);
        }
    }

    fn handle(&mut self, LinkEvent { url, what }: LinkEvent) {
        match what {
            Happened::State { state, reason } => self.handle_state(&url, state, reason.as_deref()),
            Happened::Job(job) => self.handle_job(&url, job),
            Happened::Pause => {
                self.job = None;
                self.engine.set_job(None);
            }
            Happened::Verdict { share, verdict, code, reason, advice, latency } => {
                self.handle_verdict(&url, &share, verdict, code, reason.as_deref(), latency);
                if let Some(advice) = advice {
                    self.out.note(format!("  {advice}"));
                }
            }
            Happened::Revised { hash, height, was, verdict, reason } => {
                self.handle_revised(&hash, height, was, verdict, reason.as_deref());
            }
            Happened::Message(text) => self.out.note(format!("{url} says: {text}")),
            Happened::Warning(text) => self.out.note(format!("warning: {url}: {text}")),
        }
    }

    fn handle_state(&mut self, url: &str, state: LinkState, reason: Option<&str>) {
        let (name, words) = match state {
            LinkState::Connecting => ("connecting", "connecting to"),
            LinkState::Connected => ("connected", "connected to"),
            LinkState::Authorized => ("authorized", "authorized at"),
            LinkState::Lost => ("lost", "lost"),
            LinkState::Failover => ("failover", "going over to"),
        };
        self.out.event(&Event::Pool { url, state: name, reason });
        match (state, reason) {
            (_, Some(reason)) => self.out.note(format!("{words} {url}: {reason}")),
            // The steps that go well are of interest to programs, the last one to people.
            (LinkState::Connecting | LinkState::Connected, None) => {}
            (_, None) => self.out.note(format!("{words} {url}")),
        }
    }

    fn handle_job(&mut self, pool: &str, job: Arc<Job>) {
        self.turnstile.open(&job);
        self.engine.set_job(Some(Arc::clone(&job)));
        self.out.event(&Event::Job {
            pool,
            job_id: &job.id,
            height: job.height(),
            difficulty: job.share_target.difficulty(),
            network_difficulty: job.network_target.difficulty(),
            clean: job.clean,
        });
        tracing::debug!(id = job.id, height = job.height(), clean = job.clean, "job");
        self.tell_odds(&job);
        self.job = Some((job, Instant::now()));
    }

    /// The honest word to whoever mines for a block that will not come.
    fn tell_odds(&mut self, job: &Job) {
        let solo = job.share_target == job.network_target;
        let years = job.network_target.expected_hashes_f64() / self.choice.rate() / SECONDS_A_YEAR;
        if solo && years > 1.0 && !std::mem::replace(&mut self.odds_told, true) {
            self.out.note(format!(
                "honest odds: at {} a block takes {}years on average; each day finds one with \
                 probability 1 in {}",
                units::rate(self.choice.rate()),
                units::si(years),
                units::si(years * 365.25),
            ));
        }
    }

    fn handle_verdict(
        &mut self,
        pool: &str,
        share: &Share,
        verdict: Verdict,
        code: Option<i64>,
        reason: Option<&str>,
        latency: Duration,
    ) {
        self.shares.record_verdict(verdict);
        self.backlog.settled();
        let name = name(verdict);
        let block = share.is_block();
        self.out.event(&Event::Share {
            pool,
            job_id: &share.job.id,
            extranonce2: hex::encode(&share.extranonce2),
            ntime: format!("{:08x}", share.time),
            nonce: format!("{:08x}", share.nonce),
            version: format!("{:08x}", share.version_bits()),
            hash: share.hash.to_string(),
            difficulty: share.difficulty(),
            target_difficulty: share.job.share_target.difficulty(),
            verdict: name,
            code,
            reason,
            latency_ms: latency.as_secs_f64() * 1e3,
            block,
        });
        if block {
            self.blocks.record(verdict);
            let (hash, height) = (share.hash.to_string(), share.job.height());
            self.out.event(&Event::Block { hash, height, verdict: block_name(verdict), reason });
        }
        match verdict {
            Verdict::Accepted if block => self.tell_block(share),
            Verdict::Accepted => {
                let (accepted, found) = (self.shares.accepted(), self.shares.found());
                let percent = 100.0 * accepted as f64 / found as f64;
                self.out.line(format!(
                    "accepted {accepted}/{found} ({percent:.2}%)  difficulty {:.4}  {:.0} ms",
                    share.difficulty(),
                    latency.as_secs_f64() * 1e3
                ));
            }
            Verdict::Rejected | Verdict::Stale => {
                let reason = reason.unwrap_or("no reason given");
                let code = code.map(|code| format!(" (code {code})")).unwrap_or_default();
                self.out.line(format!("{name} share {}{code}: {reason}", share.hash));
            }
            Verdict::Unresolved if block => {
                let reason = reason.unwrap_or("no verdict came");
                self.out.line(format!("block {} has no verdict: {reason}", share.hash));
            }
            Verdict::Throttled | Verdict::Unresolved => {
                tracing::debug!(hash = %share.hash, reason, "{name}");
            }
        }
    }

    /// A block got another verdict than the one it had.
    fn handle_revised(
        &mut self,
        hash: &Hash256,
        height: u32,
        was: Verdict,
        verdict: Verdict,
        reason: Option<&str>,
    ) {
        self.blocks.revise(was, verdict);
        let name = block_name(verdict);
        let words = reason.unwrap_or("it is in the best chain now");
        self.out.line(format!("block {height} {hash} is {name}: {words}"));
        let (hash, height) = (hash.to_string(), Some(height));
        self.out.event(&Event::Block { hash, height, verdict: name, reason });
    }

    /// The line of an accepted block: how long and how many tries it took, against what was to be
    /// expected.
    fn tell_block(&mut self, share: &Share) {
        let (now, hashes) = (Instant::now(), self.engine.hashes());
        let (then, before) = std::mem::replace(&mut self.last_block, (now, hashes));
        let tries = (hashes - before) as f64;
        let expected = share.job.block_target().expected_hashes_f64();
        let height = share.job.height().map(|height| height.to_string());
        self.out.line(format!(
            "block {:<4} {}  after {:<8} {}hashes, {:.2} of the expected {}",
            height.as_deref().unwrap_or("?"),
            share.hash,
            units::duration(now - then),
            units::si(tries),
            tries / expected,
            units::si(expected).trim_end(),
        ));
    }

    fn tick(&mut self) {
        self.record_turned_away();
        let now = self.started.elapsed();
        self.meter.record(now, self.engine.hashes());
        self.grant(now);
        if let Some((_, since)) = &self.job
            && self.engine.progress() != Progress::Searching
        {
            let elapsed = u32::try_from(since.elapsed().as_secs()).unwrap_or(u32::MAX);
            self.engine.set_elapsed(elapsed);
        }
        let due = self.rate_told.elapsed() >= RATE_EVERY;
        if due || (self.out.is_live() && !self.out.is_json()) {
            self.out.status(&self.status());
        }
        if due {
            self.rate_told = Instant::now();
            let [hps_10s, hps_60s, hps_15m] = WINDOWS.map(|window| self.meter.rate(window));
            let hashes = self.engine.hashes();
            self.out.event(&Event::Rate { hps_10s, hps_60s, hps_15m, hashes });
        }
    }

    /// Keeps to `--max-hashrate`: time that passes is turned into hashes that may be done. What was
    /// not used, for want of a job, is not saved up.
    fn grant(&mut self, now: Duration) {
        let Some(limit) = self.choice.max_rate else { return };
        let (granted, then) = self.granted;
        let saved_up = self.engine.hashes() as f64 + limit * TICK.as_secs_f64();
        let granted = (granted + limit * (now - then).as_secs_f64()).min(saved_up);
        self.granted = (granted, now);
        self.engine.set_allowance(granted as u64);
    }

    fn status(&self) -> String {
        let rates = WINDOWS.map(|window| self.meter.rate(window).unwrap_or(0.0));
        let (accepted, found) = (self.shares.accepted(), self.shares.found());
        let Some((job, _)) = &self.job else {
            return format!("no job yet, shares {accepted}/{found}");
        };
        let expected = job.submit_target().expected_hashes_f64() / rates[0].max(1.0);
        let next = Duration::try_from_secs_f64(expected)
            .map_or_else(|_| "ages".to_owned(), units::duration);
        format!(
            "{} (60 s: {}, 15 min: {})  shares {accepted}/{found}  one every {next}",
            units::rate(rates[0]),
            units::rate(rates[1]),
            units::rate(rates[2]),
        )
    }

    fn goal_met(&self, goals: &Goals) -> Option<Reason> {
        if goals.blocks.is_some_and(|goal| self.blocks.accepted >= goal) {
            return Some(Reason::Blocks);
        }
        if goals.shares.is_some_and(|goal| self.shares.accepted() >= goal) {
            return Some(Reason::Shares);
        }
        if goals.time.is_some_and(|limit| self.started.elapsed() >= limit) {
            return Some(Reason::TimeLimit);
        }
        self.out.is_closed().then_some(Reason::Interrupted)
    }

    /// Stops hashing and prints the summary.
    fn finish(self, reason: Reason) {
        let Self { choice, engine, out, started, shares, blocks, best_difficulty, .. } = self;
        let seconds = started.elapsed().as_secs_f64();
        let threads = engine.threads();
        let hashes = engine.hashes();
        let hps = hashes as f64 / seconds;
        let kernel = choice.config.kernel.name();
        let midstates = choice.config.cut.midstates;
        out.last_event(&Event::Summary {
            seconds,
            hashes,
            hps,
            kernel,
            threads,
            midstates,
            shares: ShareCounts {
                found: shares.found(),
                accepted: shares.accepted(),
                rejected: shares.rejected(),
                stale: shares.stale(),
                throttled: shares.throttled(),
                unresolved: shares.unresolved(),
            },
            blocks: BlockCounts {
                found: blocks.found,
                accepted: blocks.accepted,
                rejected: blocks.rejected,
            },
            best_difficulty,
            reason,
        });
        out.line(format!(
            "{}hashes in {}: {} with {kernel}, {threads} threads, {midstates} midstates",
            units::si(hashes as f64),
            units::duration(Duration::from_secs_f64(seconds)),
            units::rate(hps),
        ));
        out.line(format!(
            "shares {} = {} accepted + {} rejected + {} stale + {} throttled + {} unresolved; \
             best difficulty {best_difficulty:.4}",
            shares.found(),
            shares.accepted(),
            shares.rejected(),
            shares.stale(),
            shares.throttled(),
            shares.unresolved(),
        ));
        if blocks.found > 0 {
            out.line(format!(
                "blocks {} found, {} accepted, {} rejected",
                blocks.found, blocks.accepted, blocks.rejected
            ));
        }
    }
}
