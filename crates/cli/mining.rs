//! Mining, whoever the jobs come from: joins a link and the engine, keeps the books, tells whoever
//! watches, does what it is told, and knows when to stop. Used by `demo` and `mine`.

mod backlog;
mod books;
pub(crate) mod event;
pub(crate) mod flood;
mod ration;
mod reload;
mod rig;
mod stalls;
pub(crate) mod status;
mod stopwatch;
mod turnstile;
mod view;
pub(crate) mod words;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use midstate_chain::{Header, Job, Share, Target, Verdict};
use midstate_economics::units::{DAY, YEAR};
use midstate_engine::{Engine, Progress};
use midstate_net::{Account, End, Happened, Link, LinkEvent, LinkState, NodeLink, NodeLinkConfig};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval};

use self::backlog::Backlog;
use self::books::{Allowance, Books};
use self::event::{
    BlockEvent, Event, JobEvent, MinerEvent, PoolEvent, RateEvent, RejectCount, ShareEvent,
    Summary, ThrottledEvent, name,
};
use self::flood::Flood;
use self::ration::Ration;
use self::reload::{List, Reload};
pub(crate) use self::rig::Rig;
use self::stalls::Stalls;
use self::status::{HeaderStatus, JobStatus, State, Status};
use self::stopwatch::Stopwatch;
use self::turnstile::Turnstile;
pub(crate) use self::view::{Lines, View, Views};
use crate::machine::choose::{self, Choice};
use crate::machine::sensors;
use crate::servers::pools::{Pools, Reloader};
use crate::shell::exit::{Failure, INTERRUPTED_TWICE, Kind};
use crate::shell::output::Output;
use crate::shell::signals::{Request, Requests, interrupted};
use crate::shell::units;

/// How often counts are read, times are checked, and views are shown how things stand.
const TICK: Duration = Duration::from_millis(250);
/// How often the rate is an event.
const RATE_EVERY: Duration = Duration::from_secs(10);
/// How often throttled shares are an event, at most.
const THROTTLED_EVERY: Duration = Duration::from_secs(10);

/// Where the jobs come from.
pub(crate) enum Source {
    /// Pools, by Stratum.
    Pools(Box<Pools>),
    /// Bitcoin Core nodes.
    Nodes(Box<NodeLinkConfig>),
}

impl Source {
    /// Shares that are sent in a second, at the pool that takes most.
    fn share_rate(&self) -> u32 {
        let usual = midstate_stratum::Limits::default().share_rate;
        match self {
            Self::Pools(pools) => {
                let accounts = pools.link.accounts.iter();
                accounts.map(|account| account.client.limits.share_rate).max().unwrap_or(usual)
            }
            Self::Nodes(_) => usual,
        }
    }
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

/// What somebody who watches may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// Stop, as after Ctrl-C.
    Quit,
    /// Rest, or go on where the search stands. While a sensor has hashing rest, this decides
    /// whether it goes on when the sensor allows it: a key lifts no limit of the machine's.
    TogglePause,
    /// Hash with a thread more, or with one fewer but never none.
    AddThread,
    RemoveThread,
}

/// News from a pool in this program.
#[derive(Debug, Clone)]
pub(crate) enum PoolNews {
    /// Another miner joined, left or found a block.
    Miner(MinerEvent),
    /// The pool has lost its work for good: mining ends.
    Failed,
}

/// Mines until a goal is met, Ctrl-C, or the link ends. The summary is the last event on every
/// path. `pool_news` comes from a pool in this program; elsewhere the channel is closed.
pub(crate) async fn mine(
    mut choice: Choice,
    source: Source,
    goals: Goals,
    views: Views<'_>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    mut pool_news: mpsc::UnboundedReceiver<PoolNews>,
) -> Result<(), Failure> {
    let (found, mut found_shares) = mpsc::unbounded_channel();
    let (outbox, shares) = mpsc::unbounded_channel();
    let (events, mut inbox) = midstate_net::events();
    let (stop, stopped) = oneshot::channel();
    let (reloads, reloaded) = mpsc::unbounded_channel();
    let gives_up = match &source {
        Source::Pools(pools) => pools.link.give_up.is_some(),
        Source::Nodes(config) => config.give_up.is_some(),
    };
    let share_rate = source.share_rate();
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
    let (reload, mut lists) = Reload::new(reloader);
    let backlog = Arc::new(Backlog::default());
    let bound = Arc::clone(&backlog);
    let turnstile = Arc::new(Turnstile::new(goals.blocks));
    let entrance = Arc::clone(&turnstile);
    let on_share = move |share| {
        if entrance.admits(&share) && bound.admits(&share) {
            // The receiver outlives the engine, which is stopped before the last shares are read.
            let _ = found.send(share);
        }
    };
    let engine = choice.engine(on_share);
    let easiest = choice.easiest_target(share_rate);
    engine.set_easiest_target(easiest);
    let hashing = Arc::new(Stopwatch::start());
    let watch = Arc::clone(&hashing);
    engine.set_on_busy(move |is_busy| watch.note(is_busy));

    if choice.max_rate.is_some() {
        // Nothing before the first grant.
        engine.set_allowance(0);
    }

    let (sensors, mut sensed) = mpsc::unbounded_channel();
    let watch = choice.watch.take().map(|watch| tokio::spawn(watch.run(sensors)));
    let mut miner = Miner::new(choice, engine, hashing, turnstile, backlog, reload, views);
    miner.easiest = easiest;
    miner.flood = Flood::new(share_rate);
    // Who set an end knows that there is none otherwise.
    miner.patience_told = gives_up;
    let mut interrupted = std::pin::pin!(interrupted());
    let mut requests = Requests::listen();
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let started = miner.start_threads();
    let reason = loop {
        if started.is_err() {
            break Reason::Error;
        }
        // In this order, what is rare is never held up by what is not, and shares that are done
        // make room for new ones. A view is first called when a signal would already be noticed.
        tokio::select! {
            biased;
            () = &mut interrupted => break Reason::Interrupted,
            Some(command) = commands.recv() => if miner.handle_command(command) {
                break Reason::Interrupted;
            },
            Some(news) = sensed.recv() => miner.handle_sensor(news),
            request = requests.next() => miner.handle_request(request),
            Some(list) = lists.recv() => miner.handle_list(list, &reloads),
            _ = ticks.tick() => miner.tick(),
            event = inbox.recv() => match event {
                Some(event) => miner.handle(event),
                // The link has ended by itself; its end tells why.
                None => break Reason::Error,
            },
            Some(news) = pool_news.recv() => match news {
                PoolNews::Miner(news) => miner.tell_guest(news),
                PoolNews::Failed => break Reason::Error,
            },
            Some(share) = found_shares.recv() => {
                miner.books.record_found(&share);
                let _ = outbox.send(share);
            }
        }
        if let Some(reason) = miner.goal_met(&goals) {
            break reason;
        }
    };

    // From here on a second Ctrl-C ends the program at once.
    miner.views.ending();
    crate::shell::signals::end_at_the_next(INTERRUPTED_TWICE);
    if let Some(watch) = watch {
        watch.abort();
    }
    miner.engine.stop();
    miner.record_turned_away();
    while let Ok(share) = found_shares.try_recv() {
        miner.books.record_found(&share);
        let _ = outbox.send(share);
    }
    let _ = stop.send(());
    while let Some(event) = inbox.recv().await {
        miner.handle(event);
    }
    while let Ok(PoolNews::Miner(news)) = pool_news.try_recv() {
        miner.tell_guest(news);
    }
    // The summary is the last event, whatever became of the link.
    let end = link.await;
    let reached = miner.missed_goal(&goals, reason);
    miner.finish(reason);
    started?;
    outcome(end?)?;
    reached
}

/// The summary is the last event on every path, also of a run that fails before anything is hashed:
/// a self-test, a port that is taken. Flags that make no sense are no run.
pub(crate) fn promised_summary(
    mined: Result<(), Failure>,
    rig: Rig,
    out: &mut Output,
) -> Result<(), Failure> {
    if mined.as_ref().is_err_and(|failure| !failure.is_usage()) && !out.has_last_event() {
        out.last_event(&Event::Summary(Summary::of_nothing(rig)));
    }
    mined
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

/// What is being hashed.
struct Work {
    job: Arc<Job>,
    pool: Arc<str>,
    /// When it first came, with whatever targets and versions.
    since: Instant,
}

struct Miner<'a> {
    choice: Choice,
    engine: Engine,
    stalls: Stalls,
    /// Unless the system refused to start one anew.
    has_all_threads: bool,
    turnstile: Arc<Turnstile>,
    backlog: Arc<Backlog>,
    reload: Reload,
    views: Views<'a>,
    started: Instant,
    /// Time that was spent hashing.
    hashing: Arc<Stopwatch>,
    books: Books,
    allowance: Option<Allowance>,
    work: Option<Work>,
    /// What was hashed when the last pause began.
    rested: Option<Work>,
    /// A header about to be hashed.
    header: Option<Header>,
    /// The server whose connection changed last.
    link: Option<Arc<str>>,
    /// Servers that let us in, until their connection is lost.
    let_in: Vec<Arc<str>>,
    /// For sentences that may come again and again.
    ration: Ration,
    /// Threads that hash, unless they rest.
    threads: usize,
    /// Whether they rest because a viewer asked for it.
    paused: bool,
    /// Why they rest because a sensor asks for it. What of both has gone does not end the other.
    held: Option<String>,
    rate_told: Instant,
    /// Shares that were throttled and are yet to be told of, and when others were.
    throttled: ThrottledEvent,
    throttled_told: Option<Instant>,
    /// Easier hits are not looked for.
    easiest: Target,
    flood: Flood,
    odds_told: bool,
    /// Whether any server was ever reached.
    has_connected: bool,
    patience_told: bool,
}

impl<'a> Miner<'a> {
    fn new(
        choice: Choice,
        engine: Engine,
        hashing: Arc<Stopwatch>,
        turnstile: Arc<Turnstile>,
        backlog: Arc<Backlog>,
        reload: Reload,
        views: Views<'a>,
    ) -> Self {
        let now = Instant::now();
        Self {
            threads: choice.config.threads,
            engine,
            stalls: Stalls::default(),
            has_all_threads: true,
            turnstile,
            backlog,
            reload,
            views,
            started: now,
            hashing,
            books: Books::new(),
            allowance: choice.max_rate.map(Allowance::new),
            choice,
            work: None,
            rested: None,
            header: None,
            link: None,
            let_in: Vec::new(),
            ration: Ration::default(),
            paused: false,
            held: None,
            rate_told: now,
            throttled: ThrottledEvent::default(),
            throttled_told: None,
            easiest: Target::MAX,
            flood: Flood::new(0),
            odds_told: false,
            has_connected: false,
            patience_told: false,
        }
    }

    /// Starts the hashing threads.
    fn start_threads(&mut self) -> Result<(), Failure> {
        self.engine.set_threads(self.threads).with_context(|| {
            format!(
                "{} hashing threads cannot be started; ask for fewer with --threads",
                self.threads
            )
        })?;
        Ok(())
    }

    /// Does what a viewer asks for; whether that is to stop.
    fn handle_command(&mut self, command: Command) -> bool {
        let most = choose::available_threads().max(self.choice.config.threads);
        let (mut threads, mut paused) = (self.threads, self.paused);
        match command {
            Command::Quit => return true,
            Command::TogglePause => paused = !paused,
            Command::AddThread => threads = (threads + 1).min(most),
            Command::RemoveThread => threads = (threads - 1).max(1),
        }
        let rests = paused || self.held.is_some();
        match self.engine.set_threads(if rests { 0 } else { threads }) {
            Ok(()) => {
                (self.threads, self.paused) = (threads, paused);
            }
            Err(error) => self.views.note(&format!("warning: no other thread: {error}")),
        }
        if let (Command::TogglePause, Some(why)) = (command, &self.held) {
            // Nothing else would show that the key was heard.
            self.views.note(&match paused {
                true => format!("paused for you, too: {why}; p lifts your pause"),
                false => format!("no longer paused for you, but for this: {why}"),
            });
        }
        self.views.tick(&self.status());
        false
    }

    /// Rests or goes on as a sensor asks, unless a viewer wants the rest.
    fn handle_sensor(&mut self, news: sensors::News) {
        let words = match news {
            sensors::News::Rest(why) => {
                let words = format!("paused: {why}");
                self.held = Some(why);
                words
            }
            sensors::News::GoOn(now) => {
                self.held = None;
                match self.paused {
                    true => format!("no longer paused for the machine: {now}; p lifts your pause"),
                    false => format!("goes on: {now}"),
                }
            }
            sensors::News::Lost(what) => return self.views.note(&format!("warning: {what}")),
        };
        self.views.note(&words);
        let (engine, rests) = (&mut self.engine, self.paused || self.held.is_some());
        if let Err(error) = engine.set_threads(if rests { 0 } else { self.threads }) {
            // Threads that rest are still there; refused is one that was asked for since.
            let most = (1..self.threads).rev().find(|&fewer| engine.set_threads(fewer).is_ok());
            self.threads = most.unwrap_or(1);
            self.views.note(&format!("warning: no other thread: {error}"));
        }
        self.views.tick(&self.status());
    }

    /// What a signal asks for. Nothing of it ends the program.
    fn handle_request(&mut self, request: Request) {
        match request {
            Request::Status => {
                let rejects = RejectCount::rows(&self.books.rejects);
                self.views.note(&words::full_status(&self.status(), &rejects));
            }
            Request::Reload => {
                if let Err(words) = self.reload.start() {
                    self.views.note(&words);
                }
            }
        }
    }

    /// The configuration was read again.
    fn handle_list(&mut self, list: List, reloads: &mpsc::UnboundedSender<Vec<Account>>) {
        let (words, accounts) = self.reload.finish(list);
        self.views.note(&words);
        if let Some(accounts) = accounts {
            // A link that has ended says so itself.
            let _ = reloads.send(accounts);
        }
        if self.reload.take_wanted_again() {
            self.handle_request(Request::Reload);
        }
    }

    fn record_turned_away(&mut self) {
        let count = self.backlog.take_turned_away();
        self.throttled.shares += count;
        self.books.record_turned_away(count);
    }

    /// Tells of the shares that were throttled since the last time.
    fn tell_throttled(&mut self) {
        self.throttled_told = Some(Instant::now());
        let work = self.work.as_ref();
        let throttled = ThrottledEvent {
            difficulty: work.map(|work| work.job.share_target.difficulty()),
            absurdly_low: work.is_some_and(|work| work.job.submit_target() > self.easiest),
            ..std::mem::take(&mut self.throttled)
        };
        self.tell(Event::Throttled(throttled));
    }

    fn handle(&mut self, LinkEvent { url, listed, what }: LinkEvent) {
        let listed = listed.map(|pool| pool.to_string());
        match what {
            Happened::State { state, reason } => {
                self.note_state(&url, state);
                let event = PoolEvent { url: url.to_string(), state, reason, listed };
                self.tell(Event::Pool(event));
                self.has_connected |= matches!(state, LinkState::Connected | LinkState::Authorized);
                if state == LinkState::Lost && !self.has_connected && !self.patience_told {
                    self.patience_told = true;
                    self.views.hint(&format!(
                        "  --give-up SECS sets an end to the attempts; midstate doctor {url} \
                         looks closer"
                    ));
                }
            }
            Happened::Job { job, clean } => {
                let event = JobEvent { clean, listed, ..JobEvent::new(&url, &job) };
                self.handle_job(url, job, event);
            }
            Happened::Pause => {
                self.rested = self.work.take();
                self.header = None;
                self.engine.set_job(None);
            }
            Happened::Verdict { share, verdict, code, reason, advice, latency } => {
                self.books.record_verdict(verdict, latency);
                if verdict == Verdict::Rejected {
                    self.books.record_reject(code, reason.as_deref());
                }
                self.backlog.settled();
                let event = ShareEvent::new(&url, &share, verdict, code, reason, latency);
                self.tell_verdict(&share, ShareEvent { advice, listed, ..event });
                if let Some(advice) = advice {
                    self.say_rationed(&format!("  {advice}"));
                }
            }
            Happened::Revised { hash, height, was, verdict, reason } => {
                self.books.blocks.revise(was, verdict);
                if was == Verdict::Accepted && verdict != Verdict::Accepted {
                    self.turnstile.take_back();
                }
                let block = BlockEvent::revised(&url, &hash, height, [was, verdict], reason);
                self.tell(Event::Block(BlockEvent { listed, ..block }));
            }
            Happened::Message(text) => self.say_rationed(&format!("{url} says: {text}")),
            Happened::Warning(text) => self.say_rationed(&format!("warning: {url}: {text}")),
        }
    }

    fn handle_job(&mut self, pool: Arc<str>, job: Arc<Job>, event: JobEvent) {
        self.turnstile.open(&job);
        self.engine.set_job(Some(Arc::clone(&job)));
        tracing::debug!(id = job.id, height = job.height(), clean = event.clean, "job");
        self.header = None;
        // The engine goes on with work that it had, and so does the time by which it may be ahead.
        let before = self.work.take().or(self.rested.take());
        let before = before.filter(|before| before.job.same_work_but_versions(&job));
        let since = before.map_or_else(Instant::now, |before| before.since);
        self.work = Some(Work { job: Arc::clone(&job), pool, since });
        if let Some(event) = self.flood.job(self.started.elapsed(), event) {
            self.tell(Event::Job(event));
        }
        self.tell_odds(&job);
    }

    /// The honest word to whoever mines for a block that will not come.
    fn tell_odds(&mut self, job: &Job) {
        let solo = job.share_target == job.network_target;
        let seconds = job.network_target.expected_hashes_f64() / self.choice.rate();
        if solo && seconds > YEAR && !std::mem::replace(&mut self.odds_told, true) {
            self.views.note(&format!(
                "honest odds: at {} a block takes {} on average; each day finds one with \
                 probability 1 in {}",
                units::rate(self.choice.rate()),
                units::wait(seconds),
                units::si(seconds / DAY).trim_end(),
            ));
        }
    }

    fn tell_verdict(&mut self, share: &Share, event: ShareEvent) {
        let verdict = event.verdict;
        if event.block && verdict != Verdict::Accepted {
            self.turnstile.take_back();
        }
        if verdict == Verdict::Throttled {
            self.throttled.shares += 1;
            if event.block {
                self.throttled.blocks += 1;
                self.books.blocks.record(verdict);
            }
            return;
        }
        if verdict == Verdict::Unresolved {
            tracing::debug!(hash = event.hash, reason = event.reason, "{}", name(verdict));
        }
        // A block that is no toy is rare, and always told.
        let is_rare = event.block && !share.job.has_toy_blocks();
        let is_told = verdict == Verdict::Accepted
            || is_rare
            || self.flood.admits_share(self.started.elapsed());
        let block = event.block.then(|| {
            let (now, hashes) = (self.started.elapsed(), self.engine.hashes());
            let effort = self.books.record_block(share, verdict, now, hashes);
            BlockEvent::first(&event, share.job.height(), effort)
        });
        if !is_told {
            return;
        }
        self.tell(Event::Share(event));
        if let Some(block) = block {
            self.tell(Event::Block(block));
        }
    }

    /// Says a sentence that may come again and again, each cause at most once in ten seconds.
    fn say_rationed(&mut self, text: &str) {
        if let Some(line) = self.ration.say(self.started.elapsed(), text) {
            self.views.note(&line);
        }
    }

    /// Keeps in mind which servers let us in. The loss of one hides no other.
    fn note_state(&mut self, url: &Arc<str>, state: LinkState) {
        self.link = Some(Arc::clone(url));
        match state {
            LinkState::Authorized if !self.let_in.contains(url) => {
                self.let_in.push(Arc::clone(url));
            }
            LinkState::Authorized => {}
            // Work is at this server now; the others may have been left without a word.
            LinkState::Failover => self.let_in.retain(|known| known == url),
            LinkState::Connecting | LinkState::Connected | LinkState::Lost => {
                self.let_in.retain(|known| known != url);
            }
        }
    }

    fn tell_guest(&mut self, news: MinerEvent) {
        if self.flood.admits_guest(self.started.elapsed()) {
            self.tell(Event::Miner(news));
        }
    }

    fn tell(&mut self, event: Event) {
        self.views.event(&event, &self.status());
    }

    fn tick(&mut self) {
        self.record_turned_away();
        let (now, hashes) = (self.started.elapsed(), self.engine.hashes());
        self.books.record_hashes(now, self.hashing.total(), hashes);
        if let Some(allowance) = &mut self.allowance {
            self.engine.set_allowance(allowance.grant(now, hashes, TICK));
        }
        if let Some(Work { since, .. }) = &self.work
            && self.engine.progress() != Progress::Searching
        {
            let elapsed = u32::try_from(since.elapsed().as_secs()).unwrap_or(u32::MAX);
            self.engine.set_elapsed(elapsed);
        }
        self.header = self.engine.next_header();
        self.look_after_threads();
        for line in self.ration.due(self.started.elapsed()) {
            self.views.note(&line);
        }
        let is_due = self.throttled_told.is_none_or(|told| told.elapsed() >= THROTTLED_EVERY);
        if self.throttled.shares > 0 && is_due {
            self.tell_throttled();
        }
        if let Some(job) = self.flood.held_job(now) {
            self.tell(Event::Job(job));
        }
        if let Some(left_out) = self.flood.left_out(now, false) {
            self.tell(Event::LeftOut(left_out));
        }
        if self.rate_told.elapsed() >= RATE_EVERY {
            self.rate_told = Instant::now();
            let rates = self.books.rates();
            self.tell(Event::Rate(RateEvent { rates, hashes }));
        }
        self.views.tick(&self.status());
    }

    /// Tells of hashing threads that fell or stand still. The fallen are replaced.
    fn look_after_threads(&mut self) {
        let (replaced, outcome) = self.engine.replace_fallen();
        for (index, lost) in replaced {
            self.views.note(&format!(
                "warning: hashing thread {index} ended by a bug in this program and was started \
                 anew; {lost} hashes of the job are left out"
            ));
        }
        let had_all = std::mem::replace(&mut self.has_all_threads, outcome.is_ok());
        if let (true, Err(error)) = (had_all, outcome) {
            self.views.note(&format!(
                "warning: a hashing thread ended by a bug in this program, and the system starts \
                 no other: {error}"
            ));
        }
        for news in self.stalls.look(self.engine.thread_counts()) {
            self.views.note(&news);
        }
    }

    fn status(&self) -> Status {
        let (rates, state) = (self.books.rates(), self.state());
        // A rate that is as good as none gives no time worth telling.
        let wait = |target: Target| {
            let rate = rates.hps_10s_overall.filter(|&rate| rate >= 1.0)?;
            (state == State::Mining).then(|| target.expected_hashes_f64() / rate)
        };

        let work = self.work.as_ref();
        let pool = work.map(|work| &work.pool).or(self.link.as_ref());
        Status {
            seconds: self.started.elapsed().as_secs_f64(),
            seconds_hashing: self.hashing.total().as_secs_f64(),
            state,
            url: pool.map(|pool| pool.to_string()),
            kernel: self.choice.config.kernel.name(),
            threads: self.threads,
            midstates: self.choice.config.cut.midstates,
            job: work.map(|work| JobStatus::new(&work.job, work.since.elapsed().as_secs_f64())),
            header: self.header.as_ref().map(HeaderStatus::from),
            rates,
            hashes: self.engine.hashes(),
            thread_hashes: self.engine.thread_counts().map(|count| count.hashes).collect(),
            shares: (&self.books.shares).into(),
            blocks: (&self.books.blocks).into(),
            best_difficulty: self.books.best_difficulty,
            latency_ms: self.books.latency.map(|latency| latency.as_secs_f64() * 1e3),
            seconds_to_share: work.and_then(|work| wait(work.job.submit_target())),
            seconds_to_block: work.and_then(|work| wait(work.job.block_target())),
        }
    }

    fn state(&self) -> State {
        match &self.work {
            _ if self.paused || self.held.is_some() => State::Paused,
            Some(_) if self.engine.progress() == Progress::Searching => State::Mining,
            None if self.let_in.is_empty() => State::Connecting,
            _ => State::Waiting,
        }
    }

    fn goal_met(&self, goals: &Goals) -> Option<Reason> {
        let Books { shares, blocks, .. } = &self.books;
        if goals.blocks.is_some_and(|goal| blocks.accepted >= goal) {
            return Some(Reason::Blocks);
        }
        if goals.shares.is_some_and(|goal| shares.accepted() >= goal) {
            return Some(Reason::Shares);
        }
        if goals.time.is_some_and(|limit| self.started.elapsed() >= limit) {
            return Some(Reason::TimeLimit);
        }
        self.views.is_gone().then_some(Reason::Interrupted)
    }

    /// The error of a goal that the time limit came before.
    fn missed_goal(&self, goals: &Goals, reason: Reason) -> Result<(), Failure> {
        let Books { shares, blocks, .. } = &self.books;
        let goals_and_counts =
            [(goals.blocks, blocks.accepted, "block"), (goals.shares, shares.accepted(), "share")];
        let missed = goals_and_counts.into_iter().find_map(|(goal, accepted, thing)| {
            goal.filter(|&goal| accepted < goal).map(|goal| (goal, accepted, thing))
        });
        match (reason, missed, goals.time) {
            (Reason::TimeLimit, Some((goal, accepted, thing)), Some(limit)) => Err(Failure::new(
                Kind::GoalMissed,
                anyhow::anyhow!(
                    "goal not reached: {accepted} of {} accepted within --time-limit {}",
                    units::count(goal, thing),
                    limit.as_secs_f64(),
                ),
            )),
            _ => Ok(()),
        }
    }

    /// The last event, with the last counts.
    fn finish(mut self, reason: Reason) {
        if self.throttled.shares > 0 {
            self.tell_throttled();
        }
        if let Some(left_out) = self.flood.left_out(self.started.elapsed(), true) {
            self.tell(Event::LeftOut(left_out));
        }
        let Status {
            seconds,
            seconds_hashing,
            hashes,
            kernel,
            threads,
            midstates,
            shares,
            blocks,
            ..
        } = self.status();
        let rate = |seconds| if seconds > 0.0 { hashes as f64 / seconds } else { 0.0 };
        self.tell(Event::Summary(Summary {
            seconds,
            seconds_hashing,
            hashes,
            hps: rate(seconds_hashing),
            hps_overall: rate(seconds),
            kernel,
            threads,
            midstates,
            shares,
            blocks,
            rejects: RejectCount::rows(&self.books.rejects),
            best_difficulty: self.books.best_difficulty,
            reason,
        }));
    }
}
