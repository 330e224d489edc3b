//! A test, from the first connection to the summary: the miners gather, the script runs, what is
//! left is hashed and answered.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use midstate_net::{Account, Frames, LinkLimits, Order, Swarm, SwarmConfig, SwarmDialler, Tell};
use midstate_swarm::expect::Expectation;
use midstate_swarm::{Allotment, Books, Connections, EARNEST, Event, FaultPlan, Script, State};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::guard::Bounds;
use super::nominal::Nominal;
use super::page::{self, Report};
use super::view::{Glance, View};
use super::watch::Watch;
use super::words::{self, Summary};
use super::yard::{Crew, Yard, easiest_target};
use super::{Names, name_of};
use crate::machine::choose::Choice;
use crate::shell::exit::{Failure, Kind};
use crate::shell::output::Output;
use crate::shell::signals::{end_after, interrupted};
use crate::shell::units;

/// Between two looks at everything.
const TICK: Duration = Duration::from_millis(100);
/// Between two reports of how it goes.
const REPORT: Duration = Duration::from_secs(1);
/// The same of the live view.
const FRAME: Duration = Duration::from_millis(250);
/// The same in a pipe, for people.
const REPORT_IN_PIPES: Duration = Duration::from_secs(10);
/// How long hashes that are late are waited for at the end.
const LATENESS: Duration = Duration::from_secs(10);

/// Attempts to connect that fail before the script begins without a miner.
const ATTEMPTS: u64 = 3;

/// All that a test needs.
pub(super) struct Setup {
    pub(super) account: Account,
    pub(super) names: Names,
    pub(super) script: Arc<Script>,
    pub(super) length: Duration,
    pub(super) bounds: Bounds,
    pub(super) choice: Choice,
    pub(super) profile: String,
    pub(super) frames: Option<Frames>,
    pub(super) expected: Vec<Expectation>,
    pub(super) faults: Option<FaultPlan>,
    pub(super) goal: Option<f64>,
    pub(super) html: Option<PathBuf>,
    /// Whether there is a live view.
    pub(super) is_watched: bool,
}

/// How far a test is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Miners connect; the script begins when each has a job, or at this time.
    Gathering { until: Duration },
    /// The script runs.
    Running,
    /// The script has ended; hashes that are late are done until this time.
    Finishing { until: Duration },
    /// All is hashed, or will not be.
    Over,
}

/// Why a test ended.
#[derive(Debug, Clone, PartialEq)]
enum Why {
    /// The script has come to its end.
    Done,
    Interrupted,
    /// No miner ever had a job.
    Nothing {
        is_refused: bool,
        reason: String,
    },
    /// Faults are wished for, and the network of this difficulty is too earnest.
    Earnest(f64),
}

struct Test<'a> {
    out: &'a mut Output,
    url: String,
    view: View,
    names: Names,
    script: Arc<Script>,
    length: Duration,
    yard: Arc<Yard>,
    books: Books,
    watch: Watch,
    nominal: Nominal,
    swarm: Swarm,
    started: Instant,
    phase: Phase,
    why: Why,
    /// The miners that were told to join, and not to leave.
    joined: Vec<bool>,
    /// When they are looked at next, in the script's time.
    next_change: Option<Duration>,
    /// Miners that leave as soon as they have done their last hashes, or at this time.
    leaving: Vec<(u32, Duration)>,
    next_report: Duration,
    /// The last failure to connect or to log in.
    trouble: Option<(bool, String)>,
}

/// What is wanted of a test when it has ended.
struct Wanted {
    profile: String,
    expected: Vec<Expectation>,
    html: Option<PathBuf>,
}

/// An event of a miner, with its time.
type Heard = (Duration, u32, Event);

pub(super) async fn run(setup: Setup, out: &mut Output) -> Result<(), Failure> {
    let Setup { account, names, script, length, bounds, choice, profile, .. } = setup;
    let watch = Watch::new(Arc::clone(&script), setup.faults, setup.goal);
    let url = name_of(&account.url);
    let workers = script.workers();
    out.event(&words::start(&url, workers, &profile, length));
    out.note(words::start_in_words(&url, workers, &profile, length, &choice));

    let mut allotment = Allotment::new(Arc::clone(&script), length, &bounds.limits);
    allotment
        .set_easiest_target(easiest_target(highest_rate(&script, length), bounds.limits.shares));
    let yard = Yard::new(allotment);
    let (events, mut heard) = mpsc::unbounded_channel();
    let started = Instant::now();
    let nominal = Nominal::new(&account, &script);
    let user = names.clone();
    let config = SwarmConfig {
        account,
        user: Arc::new(move |worker| user.of(worker)),
        limits: LinkLimits::default(),
        connections_a_second: bounds.limits.connections,
        is_public_allowed: bounds.is_public_allowed,
        dial: Arc::new(SwarmDialler::default()),
        started,
        frames: setup.frames,
        faults: watch.plan(),
    };
    let swarm = Swarm::new(config, told(&yard, events));
    let mut books = Books::new(workers);
    books.expect_faults(watch.kinds().into_iter());
    let crew = Crew::start(&yard, &choice, &swarm.intake())?;
    let (view, ends) = if setup.is_watched { View::enter(out) } else { View::none() };
    let mut test = Test {
        out,
        url,
        view,
        names,
        length,
        yard,
        books,
        watch,
        nominal,
        swarm,
        started,
        phase: Phase::Gathering { until: gathering(&bounds, workers) },
        why: Why::Done,
        joined: vec![false; workers as usize],
        next_change: Some(Duration::ZERO),
        leaving: Vec::new(),
        next_report: Duration::ZERO,
        trouble: None,
        script,
    };
    test.drive(&mut heard, ends).await;
    test.view.leave(test.out);
    let has_fallen = crew.stop();
    let wanted = Wanted { profile, expected: setup.expected, html: setup.html };
    let concluded = test.conclude(heard, wanted).await;
    match has_fallen {
        true => Err(anyhow::anyhow!("a hashing thread has fallen; the books miss its hashes"))?,
        false => concluded,
    }
}

/// The jobs of the miners go to the yard, and all their events to `events`.
fn told(yard: &Arc<Yard>, events: mpsc::UnboundedSender<Heard>) -> Tell {
    let yard = Arc::clone(yard);
    Arc::new(move |at: Duration, worker: u32, event: Event| {
        if let Event::Job(job) = &event {
            yard.set_job(worker, job.clone());
        }
        // The receiver lives until all miners have left.
        let _ = events.send((at, worker, event));
    })
}

/// How long miners may take to gather: all have to connect first.
fn gathering(bounds: &Bounds, workers: u32) -> Duration {
    let connecting = Duration::from_secs(1) * workers / bounds.limits.connections;
    connecting + bounds.limits.gather
}

/// The highest rate of all miners together, as far as a hundred looks tell.
fn highest_rate(script: &Script, length: Duration) -> f64 {
    let at = |part: u32| script.rate_of_all(length * part / 100);
    (0..=100).map(at).fold(1.0, f64::max)
}

impl Test<'_> {
    /// Until all is hashed, or will not be.
    async fn drive(
        &mut self,
        heard: &mut mpsc::UnboundedReceiver<Heard>,
        mut ends: mpsc::UnboundedReceiver<()>,
    ) {
        let mut interrupted = pin!(interrupted());
        let mut is_interrupted = false;
        let mut tick = self.started;
        while self.phase != Phase::Over {
            tokio::select! {
                biased;
                () = &mut interrupted, if !is_interrupted => {
                    is_interrupted = true;
                    end_after(1);
                    self.interrupt();
                }
                Some(()) = ends.recv() => self.interrupt(),
                () = sleep_until(tick) => {
                    self.tick();
                    tick = Instant::now() + self.until_next_tick();
                }
                Some((at, worker, event)) = heard.recv() => self.hear(at, worker, &event),
            }
        }
    }

    /// The miners leave when their shares are answered; then the books are told.
    async fn conclude(
        self,
        mut heard: mpsc::UnboundedReceiver<Heard>,
        wanted: Wanted,
    ) -> Result<(), Failure> {
        let Test { out, url, names, yard, mut books, mut watch, swarm, started, .. } = self;
        let mut hear = |out: &mut Output, (at, worker, event): Heard| {
            words::tell(out, &names, at, worker, &event);
            books.record(at, worker, &event);
            watch.record(at, worker, &event);
        };
        let mut ended = pin!(swarm.end());
        loop {
            tokio::select! {
                biased;
                Some(event) = heard.recv() => hear(out, event),
                () = &mut ended => break,
            }
        }
        while let Ok(event) = heard.try_recv() {
            hear(out, event);
        }
        out.end_status();
        let (total, end) = (yard.total(), yard.now().min(self.length));
        watch.findings.finish(end, total.asked, total.done);
        let vardiff = watch.vardiff(end);
        let ran = started.elapsed();
        let times = [ran, self.length];
        let summary = Summary::new(&books, &yard, &watch, times, &vardiff, &wanted.expected);
        words::tell_miners(out, &names, &books, &yard, &watch, end);
        words::tell_summary(out, &summary, &books, &vardiff, self.why.words());
        if let Some(path) = wanted.html {
            let report = Report {
                url: &url,
                profile: &wanted.profile,
                end,
                names: &names,
                books: &books,
                watch: &watch,
                vardiff: &vardiff,
                total,
                summary: &summary,
            };
            out.save(&path, &page::page(&report).to_html())?;
        }
        self.why.outcome(&summary)
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    fn hear(&mut self, at: Duration, worker: u32, event: &Event) {
        match event {
            Event::Unreached { reason } => self.trouble = Some((false, reason.clone())),
            Event::Refused { reason } => self.trouble = Some((true, reason.clone())),
            Event::Lost { reason } if self.trouble.is_none() => {
                self.trouble = Some((false, reason.clone()));
            }
            _ => {}
        }
        words::tell(self.out, &self.names, at, worker, event);
        self.books.record(at, worker, event);
        self.watch.record(at, worker, event);
        if let Some(difficulty) = self.watch.forbids() {
            self.interrupt();
            self.why = Why::Earnest(difficulty);
            self.phase = Phase::Over;
        }
    }

    fn interrupt(&mut self) {
        if self.why == Why::Interrupted {
            return;
        }
        self.why = Why::Interrupted;
        self.yard.end();
        self.phase = match self.phase {
            Phase::Gathering { .. } | Phase::Over => Phase::Over,
            _ => Phase::Finishing { until: self.now() + LATENESS },
        };
    }

    fn tick(&mut self) {
        let now = self.now();
        self.join_and_leave();
        let rates = self.nominal.orders(self.yard.now(), &self.script);
        rates.into_iter().for_each(|rate| self.swarm.order(rate));
        if self.phase == Phase::Running {
            self.watch.look(self.yard.now(), || self.yard.total());
            let left = self.length.saturating_sub(self.yard.now());
            for act in self.watch.acts(now, left, &self.books) {
                self.swarm.order(act);
            }
        }
        match self.phase {
            Phase::Gathering { until } => self.gather(until),
            Phase::Running if self.yard.now() >= self.length => {
                self.phase = Phase::Finishing { until: now + LATENESS };
            }
            Phase::Finishing { until } if self.yard.is_over() || now >= until => {
                self.phase = Phase::Over;
            }
            Phase::Running | Phase::Finishing { .. } | Phase::Over => {}
        }
        if self.view.is_up() && now >= self.next_report {
            self.next_report = now + FRAME;
            self.view.show(&Glance {
                url: &self.url,
                names: &self.names,
                at: self.yard.now(),
                length: self.length,
                asked_rate: self.script.rate_of_all(self.yard.now()),
                total: self.yard.total(),
                books: &self.books,
            });
        } else if now >= self.next_report {
            self.report();
        }
        if self.out.is_closed() {
            self.interrupt();
        }
    }

    /// The script begins when every miner that is to be there has a job.
    fn gather(&mut self, until: Duration) {
        let (mut expected, mut ready, mut hopeless) = (0, 0, 0);
        let joined = self.joined.iter().zip(self.books.miners()).filter(|(joined, _)| **joined);
        for (_, miner) in joined {
            let Connections { unreached, refused, lost, .. } = miner.connections;
            expected += 1;
            ready += u32::from(miner.state == State::Working);
            let has_failed = refused > 0 || unreached + lost >= ATTEMPTS;
            hopeless += u32::from(miner.state != State::Working && has_failed);
        }
        if ready + hopeless < expected && self.now() < until {
            return;
        }
        if ready == 0 && expected > 0 {
            let (is_refused, reason) =
                self.trouble.take().unwrap_or_else(|| (false, "the pool sends no job".to_owned()));
            self.why = Why::Nothing { is_refused, reason };
            self.phase = Phase::Over;
            return;
        }
        if ready < expected {
            let missing = units::count(expected - ready, "miner");
            let words = format!(
                "warning: the script begins without {missing}, which the pool has given no job"
            );
            self.view.say(self.out, words);
        }
        self.yard.begin();
        self.watch.begin(self.now());
        self.phase = Phase::Running;
        let seconds = self.now().as_secs_f64();
        self.out.event(&words::begin(seconds, ready));
        let ready = units::count(ready, "miner");
        let words = format!("the script begins: {ready} at work after {seconds:.1} s");
        self.view.say(self.out, words);
    }

    /// Miners come when the script says, not at the next look.
    fn until_next_tick(&self) -> Duration {
        let change = self.next_change.filter(|_| self.phase == Phase::Running);
        change.map_or(TICK, |change| change.saturating_sub(self.yard.now()).min(TICK))
    }

    /// Miners come and go by the script. Those that go do their last hashes before.
    fn join_and_leave(&mut self) {
        let at = self.yard.now();
        let (yard, swarm) = (&self.yard, &mut self.swarm);
        self.leaving.retain(|&(worker, by)| {
            let stays = at < by && !yard.is_served(worker);
            if !stays {
                swarm.order(Order::Leave(worker));
            }
            stays
        });
        if self.next_change.is_none_or(|change| at < change) {
            return;
        }
        for worker in 0..self.script.workers() {
            let is_present = self.script.is_present(worker, at);
            let joined = &mut self.joined[worker as usize];
            if is_present != *joined {
                *joined = is_present;
                match is_present {
                    true => self.swarm.order(Order::Join(worker)),
                    false => self.leaving.push((worker, at + LATENESS)),
                }
            }
        }
        self.next_change = self.script.next_change(at);
    }

    fn report(&mut self) {
        let is_for_people = !self.out.is_live() && !self.out.is_json();
        self.next_report = self.now() + if is_for_people { REPORT_IN_PIPES } else { REPORT };
        let total = self.yard.total();
        let at = self.yard.now();
        let is_running = self.phase == Phase::Running;
        if is_running {
            let look = self.watch.findings.looks().last();
            self.out.event(&words::rate(at, &total, &self.books, look));
        }
        match self.phase {
            _ if self.out.is_json() && !self.out.is_live() => {}
            Phase::Gathering { .. } if is_for_people => {}
            Phase::Gathering { .. } => self.out.status(&words::gathering(&self.books)),
            _ => self.out.status(&words::status(at, self.length, &total, &self.books)),
        }
    }
}

impl Why {
    fn words(&self) -> &'static str {
        match self {
            Self::Done => "time-limit",
            Self::Interrupted => "interrupted",
            Self::Nothing { .. } | Self::Earnest(_) => "error",
        }
    }

    fn outcome(self, summary: &Summary) -> Result<(), Failure> {
        match self {
            Self::Nothing { is_refused, reason } => {
                let kind = if is_refused { Kind::Refused } else { Kind::Unreachable };
                Err(Failure::new(kind, anyhow::anyhow!("no miner was given a job: {reason}")))
            }
            Self::Earnest(difficulty) => Err(Failure::usage(format!(
                "--fault is for chains whose blocks are worth nothing, and the difficulty of this \
                 pool's network is {}, where {} is the limit: leave the flag out, or test the pool \
                 on regtest",
                units::difficulty(difficulty),
                units::difficulty(EARNEST),
            ))),
            Self::Done | Self::Interrupted => summary.check(),
        }
    }
}
