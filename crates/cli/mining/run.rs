//! Joins a [`Miner`] with a link, the engine, signals, sensors and views. All that is decided is
//! decided there; here are the clock, the channels and the threads.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Share;
use midstate_engine::Engine;
use midstate_net::{Account, EventReceiver, HashRate, Upstream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::crew::SensorNews;
use super::end::{End, LinkPanic, LinkResult};
use super::event::Event;
use super::intake::Intake;
use super::judged::Word;
use super::miner::{Action, Counts, Miner, News, Output, Plan};
use super::reload::{List, ListError};
use super::stopwatch::Stopwatch;
use super::view::{View, Views};
use super::{BlockJudge, Command, Goals, PoolNews, Rig};
use crate::machine::choose::Choice;
use crate::machine::gauge::Readings;
use crate::machine::sensors;
use crate::shell::signals::{Request, Requests, end_after, interrupted};

/// Reads the list of pools anew. Called on a thread of its own.
pub(crate) type ReadPools = Arc<dyn Fn() -> List + Send + Sync>;

/// The kernel and threads to mine with, the servers to mine at, and the goals.
pub(crate) struct Setup {
    pub(crate) choice: Choice,
    pub(crate) upstream: Upstream,
    pub(crate) read_pools: ReadPools,
    pub(crate) goals: Goals,
    pub(crate) block_judge: BlockJudge,
}

/// Mines until a goal is met, Ctrl-C, or the link ends. The summary is the last event on every
/// path. `pool_news` comes from a pool in this program; elsewhere the channel is closed. What such
/// a pool tells after the end is left in it.
pub(crate) async fn run(
    setup: Setup,
    views: Views<'_>,
    commands: mpsc::UnboundedReceiver<Command>,
    pool_news: &mut mpsc::UnboundedReceiver<PoolNews>,
) -> End {
    let Setup { mut choice, upstream, read_pools, goals, block_judge } = setup;
    let (outbox, shares) = mpsc::unbounded_channel();
    let (events, link_events) = midstate_net::events();
    let (stop, stopped) = oneshot::channel();
    let (reloads, reloaded) = mpsc::unbounded_channel();
    let (lists, lists_read) = mpsc::unbounded_channel();
    let (sensors, sensed) = mpsc::unbounded_channel();
    let (gauges, gauged) = mpsc::unbounded_channel();
    let mut inputs =
        Inputs { commands, sensed, gauged, lists: lists_read, link: link_events, pool_news };

    let (gives_up, share_rate) = (upstream.give_up().is_some(), upstream.share_rate());
    let easiest = choice.easiest_target(share_rate);
    let (block_interval, hash_rate) = (upstream.block_interval(), upstream.hash_rate());
    let rig = Rig::of(&choice);
    let plan = Plan { rig, goals, gives_up, block_interval, block_judge, share_rate, easiest };
    let intake = Arc::new(Intake::new(goals.blocks, upstream.channels()));
    let (engine, hashing, found) = start_engine(&choice, &intake);
    engine.set_easiest_target(easiest);
    let link = tokio::spawn(upstream.run(shares, events, stopped, reloaded));
    let watch = choice.watch.take().map(|watch| tokio::spawn(watch.run(sensors)));
    let gauge = choice.gauge.take().map(|gauge| tokio::spawn(gauge.run(gauges)));

    let stop = Some(stop);
    let started = Instant::now();
    let miner = Miner::new(plan, intake);
    let mut driver = Driver {
        miner,
        engine,
        hashing,
        started,
        found,
        outbox,
        stop,
        reloads,
        read_pools,
        lists,
        hash_rate,
        views,
    };
    driver.mine(&mut inputs).await;
    for task in watch.into_iter().chain(gauge) {
        task.abort();
    }
    driver.take_last(&mut inputs).await;
    let end: LinkResult = link.await.map_err(|error| LinkPanic(error.to_string()));
    driver.handle(|miner, now| miner.handle_link_end(now, end));
    driver.miner.poll_end().expect("a miner whose link has ended is over")
}

/// The channels by which something can come while mining, beside signals and shares.
struct Inputs<'a> {
    commands: mpsc::UnboundedReceiver<Command>,
    sensed: mpsc::UnboundedReceiver<sensors::News>,
    gauged: mpsc::UnboundedReceiver<Readings>,
    lists: mpsc::UnboundedReceiver<List>,
    link: EventReceiver,
    pool_news: &'a mut mpsc::UnboundedReceiver<PoolNews>,
}

/// An engine without threads, the time that it spends hashing, and the shares that it finds.
fn start_engine(
    choice: &Choice,
    intake: &Arc<Intake>,
) -> (Engine, Arc<Stopwatch>, mpsc::UnboundedReceiver<Share>) {
    let (finder, found) = mpsc::unbounded_channel();
    let entrance = Arc::clone(intake);
    let engine = choice.engine(move |share| {
        if entrance.admits(&share) {
            // The receiver outlives the engine, which is stopped before the last shares are read.
            let _ = finder.send(share);
        }
    });
    let hashing = Arc::new(Stopwatch::start());
    let watch = Arc::clone(&hashing);
    engine.set_on_busy(move |is_busy| watch.note(is_busy));
    (engine, hashing, found)
}

fn of_sensor(news: sensors::News) -> SensorNews {
    match news {
        sensors::News::Rest(why) => SensorNews::Hold(why),
        sensors::News::GoOn(now) => SensorNews::Release(now),
        sensors::News::Lost(what) => SensorNews::Lost(what),
    }
}

/// A miner, and all that it steers.
struct Driver<'a> {
    miner: Miner,
    engine: Engine,
    hashing: Arc<Stopwatch>,
    started: Instant,
    found: mpsc::UnboundedReceiver<Share>,
    outbox: mpsc::UnboundedSender<Share>,
    stop: Option<oneshot::Sender<()>>,
    reloads: mpsc::UnboundedSender<Vec<Account>>,
    read_pools: ReadPools,
    lists: mpsc::UnboundedSender<List>,
    hash_rate: HashRate,
    views: Views<'a>,
}

impl Driver<'_> {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Until the miner stops, or the link ends by itself.
    async fn mine(&mut self, inputs: &mut Inputs<'_>) {
        let mut interrupted = std::pin::pin!(interrupted());
        let mut requests = Requests::listen();
        self.work_off();
        while self.miner.is_mining() {
            let tick = self.started + self.miner.poll_timeout();
            // In this order, rare things are never held up by frequent ones, and shares that are
            // done make room for new ones. A view is first called when a signal would already be
            // noticed.
            tokio::select! {
                biased;
                () = &mut interrupted => self.handle(|miner, _| miner.handle_interrupt()),
                Some(command) = inputs.commands.recv() => {
                    self.handle(|miner, _| miner.handle_command(command));
                }
                Some(news) = inputs.sensed.recv() => {
                    self.handle(|miner, _| miner.handle_sensor(of_sensor(news)));
                }
                Some(readings) = inputs.gauged.recv() => {
                    self.handle(|miner, _| miner.handle_readings(readings));
                }
                request = requests.next() => self.handle(|miner, _| match request {
                    Request::Stop => miner.handle_interrupt(),
                Request::Status => miner.handle_status_request(),
                    Request::Reload => miner.handle_reload_request(),
                }),
                Some(list) = inputs.lists.recv() => self.handle(|miner, _| miner.handle_list(list)),
                () = sleep_until(tick) => self.tick(),
                event = inputs.link.recv() => match event {
                    Some(event) => self.handle(|miner, now| miner.handle_link(now, event)),
                    // The link has ended by itself.
                    None => break,
                },
                Some(news) = inputs.pool_news.recv() => self.handle_pool_news(news),
                Some(share) = self.found.recv() => {
                    self.handle(|miner, now| miner.handle_share(now, share));
                }
            }
        }
    }

    /// Hands on what comes until the link has ended: verdicts, above all.
    async fn take_last(&mut self, inputs: &mut Inputs<'_>) {
        while let Some(event) = inputs.link.recv().await {
            self.handle(|miner, now| miner.handle_link(now, event));
        }
        while let Ok(news) = inputs.pool_news.try_recv() {
            self.handle_pool_news(news);
        }
    }

    /// Hands something to the miner, and does what comes of it.
    fn handle(&mut self, what: impl FnOnce(&mut Miner, Duration)) {
        self.count();
        let now = self.now();
        what(&mut self.miner, now);
        self.work_off();
    }

    fn tick(&mut self) {
        let (replaced, outcome) = self.engine.replace_fallen();
        let missing = outcome.err().map(|error| error.to_string());
        let header = self.engine.next_header();
        self.handle(|miner, now| {
            miner.handle_fallen(replaced, missing);
            miner.handle_tick(now, header);
        });
        if self.views.is_gone() {
            self.handle(|miner, _| miner.handle_interrupt());
        }
    }

    fn handle_pool_news(&mut self, news: PoolNews) {
        self.handle(|miner, now| match news {
            PoolNews::Miner(news) => miner.handle_guest(now, news),
            PoolNews::Judged { node, hash, height, verdict, reason } => {
                miner.handle_judged(now, &node, hash, Word { verdict, height, reason });
            }
            PoolNews::Full { places } => miner.handle_full(places),
            PoolNews::OwnBlock { node, hash, height, verdict, reason } => {
                miner.handle_own_block(now, &node, hash, Word { verdict, height, reason });
            }
            PoolNews::Retarget(retarget) => miner.handle_retarget(retarget),
            PoolNews::Renamed(renamed) => miner.handle_renamed(renamed),
            PoolNews::Said(line) => miner.handle_said(line),
            PoolNews::Enough => miner.handle_enough(),
            PoolNews::Failed => miner.handle_pool_failure(),
        });
    }

    /// Tells the miner what the threads have done.
    fn count(&mut self) {
        self.miner.handle_counts(Counts {
            hashes: self.engine.hashes(),
            hashing: self.hashing.total(),
            progress: self.engine.progress(),
            threads: self.engine.thread_counts().collect(),
        });
    }

    /// Does and tells what the miner wants done and told.
    fn work_off(&mut self) {
        while let Some(output) = self.miner.poll_output() {
            match output {
                Output::Do(action) => self.act(action),
                Output::Tell(news) => self.tell(news),
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Hash(job) => self.engine.set_job(job),
            Action::HashBeside(job) => self.engine.add_job(job),
            Action::Leave(channel) => self.engine.remove_job(Some(channel)),
            Action::Threads(threads) => {
                let outcome = self.engine.set_threads(threads).map_err(|error| error.to_string());
                self.count();
                self.miner.handle_threads(self.now(), outcome);
            }
            Action::Elapsed(seconds) => self.engine.set_elapsed(seconds),
            Action::Allow(hashes) => self.engine.set_allowance(hashes),
            // A link that has ended says so itself; here and below.
            Action::Send(share) => drop(self.outbox.send(share)),
            Action::SetPools(accounts) => drop(self.reloads.send(accounts)),
            Action::ReadPools => self.read_pools(),
            Action::HeedInterrupts(count) => end_after(count),
            Action::StopHashing => {
                self.engine.stop();
                while let Ok(share) = self.found.try_recv() {
                    self.miner.handle_share(self.now(), share);
                }
                self.count();
                self.miner.handle_stopped(self.now());
            }
            Action::StopLink => drop(self.stop.take().map(|stop| stop.send(()))),
        }
    }

    /// Reads the configuration on a thread of its own: a file on a machine that does not answer, or
    /// a pipe into which nothing is written, must not hold up mining.
    fn read_pools(&self) {
        let (read, lists) = (Arc::clone(&self.read_pools), self.lists.clone());
        let read = move || {
            // Mining may have ended meanwhile.
            let _ = lists.send(read());
        };
        let thread = std::thread::Builder::new().name("reload".into()).spawn(read);
        if let Err(error) = thread {
            let _ = self.lists.send(Some(Err(ListError::NoThread(error.to_string()))));
        }
    }

    fn tell(&mut self, news: News) {
        let status = self.miner.status(self.now());
        let views = &mut self.views;
        match news {
            News::Event(event) => {
                log(&event);
                views.event(&event, &status);
            }
            News::Notice(notice) => views.notice(&notice, &status),
            News::Report(rejects) => views.report(&status, &rejects),
            News::Tick => {
                self.hash_rate.set(status.rates.hps_10s.unwrap_or_default());
                views.tick(&status);
            }
            News::Ending => views.ending(),
        }
    }
}

fn log(event: &Event) {
    match event {
        Event::Job(job) => {
            tracing::debug!(id = job.job_id, height = job.height, clean = job.clean, "job");
        }
        Event::Share(share) if share.verdict == midstate_chain::Verdict::Unresolved => {
            tracing::debug!(hash = share.hash, reason = share.reason, "unresolved");
        }
        _ => {}
    }
}
