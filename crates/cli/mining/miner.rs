//! Mining as a state machine: what links, threads, sensors and viewers do goes in by `handle_*`;
//! what is to be done and told comes out of [`Miner::poll_output`], in order. No clock (`now` is
//! the time since the start), no channel, no thread, no sentence and no exit code here. The
//! [driver](mod@super::run) joins it with all of these.
//!
//! After each `handle_*` poll until there is no output. The miner is over when
//! [`Miner::poll_end`] has an end, and by then the summary was told.

mod link;
mod output;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Header, Job, Share, Target};
use midstate_engine::Progress;

pub(super) use self::output::{Action, Counts, News, Output, Plan};
use super::books::{Allowance, Books};
use super::connections::Connections;
use super::crew::{Crew, SensorNews};
use super::end::{End, LinkResult, Missed, MissedGoal};
use super::event::{
    Event, MinerEvent, RateEvent, RejectCount, RemarkEvent, RenamedEvent, RetargetEvent, Summary,
    ThrottledEvent,
};
use super::flood::Flood;
use super::intake::Intake;
use super::judged::Judged;
use super::notice::{Notice, ReloadNotice};
use super::overdue::Overdue;
use super::reload::{List, Reload};
use super::remarks::Remarks;
use super::status::{HeaderStatus, JobStatus, State, Status};
use super::works::{Work, Works};
use super::{BlockJudge, Command, Goals, Reason, Rig, TICK};
use crate::machine::gauge::Readings;

/// How often the rate is an event.
const RATE_EVERY: Duration = Duration::from_secs(10);
/// How often throttled shares are an event, at most.
const THROTTLED_EVERY: Duration = Duration::from_secs(10);

#[derive(Debug)]
enum Stage {
    /// The threads are not there yet.
    Starting,
    Mining,
    /// The threads end, and after them the link.
    Ending {
        reason: Reason,
        stopped: bool,
    },
    Over(Option<End>),
}

/// See the [module](self) page.
pub(super) struct Miner {
    plan: Plan,
    stage: Stage,
    /// Of the link, once it has ended.
    link_end: Option<LinkResult>,
    /// Why the threads could not be started.
    no_threads: Option<String>,
    counts: Counts,
    books: Books,
    allowance: Option<Allowance>,
    works: Works,
    /// When the block interval that the last block began is over.
    next_block_from: Duration,
    /// A header about to be hashed.
    header: Option<Header>,
    readings: Readings,
    connections: Connections,
    crew: Crew,
    intake: Arc<Intake>,
    judged: Judged,
    overdue: Overdue,
    reload: Reload,
    next_tick: Duration,
    rate_told: Duration,
    /// Shares that were throttled and are yet to be told of, and when others were.
    throttled: ThrottledEvent,
    throttled_told: Option<Duration>,
    flood: Flood,
    remarks: Remarks,
    odds_told: bool,
    outputs: VecDeque<Output>,
}

impl Miner {
    /// A miner that has just asked for its threads.
    pub(super) fn new(plan: Plan, intake: Arc<Intake>) -> Self {
        let Plan { rig, share_rate, gives_up, .. } = plan;
        let mut miner = Self {
            stage: Stage::Starting,
            link_end: None,
            no_threads: None,
            counts: Counts {
                hashes: 0,
                hashing: Duration::ZERO,
                progress: Progress::Idle,
                threads: Vec::new(),
            },
            books: Books::new(),
            allowance: rig.max_rate.map(Allowance::new),
            works: Works::default(),
            next_block_from: Duration::ZERO,
            header: None,
            readings: Readings::default(),
            connections: Connections::new(gives_up),
            crew: Crew::new(rig.threads, rig.most_threads),
            intake,
            judged: Judged::default(),
            overdue: Overdue::default(),
            reload: Reload::default(),
            next_tick: Duration::ZERO,
            rate_told: Duration::ZERO,
            throttled: ThrottledEvent::default(),
            throttled_told: None,
            flood: Flood::new(share_rate),
            remarks: Remarks::default(),
            odds_told: false,
            outputs: VecDeque::new(),
            plan,
        };
        if miner.allowance.is_some() {
            // Nothing before the first grant.
            miner.act(Action::Allow(0));
        }
        miner.act(Action::Threads(rig.threads));
        miner
    }

    /// The next thing to do or to tell.
    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_tick`](Self::handle_tick) is due.
    pub(super) fn poll_timeout(&self) -> Duration {
        self.next_tick
    }

    /// How it all ended, once.
    pub(super) fn poll_end(&mut self) -> Option<End> {
        match &mut self.stage {
            Stage::Over(end) => end.take(),
            _ => None,
        }
    }

    /// Whether the threads are to hash, so that signals and viewers still count.
    pub(super) fn is_mining(&self) -> bool {
        matches!(self.stage, Stage::Starting | Stage::Mining)
    }

    /// The counts of the threads by now. To be handed in before anything else is.
    pub(super) fn handle_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    /// The threads that were asked for were started, or not.
    pub(super) fn handle_threads(&mut self, now: Duration, outcome: Result<(), String>) {
        match (&self.stage, outcome) {
            (Stage::Starting, Ok(())) => self.stage = Stage::Mining,
            (Stage::Starting, Err(error)) => {
                self.no_threads = Some(error);
                self.end(Reason::Error);
            }
            (_, outcome) => {
                let (notice, fewer) = self.crew.granted(outcome);
                self.notice(notice);
                match fewer {
                    Some(threads) => self.act(Action::Threads(threads)),
                    None => self.tell(News::Tick),
                }
            }
        }
        self.look_at_goals(now);
    }

    /// Threads that fell and were replaced, each with the hashes that are lost; the error of one
    /// that could not be.
    pub(super) fn handle_fallen(&mut self, replaced: Vec<(usize, u64)>, missing: Option<String>) {
        let notices = self.crew.fallen(replaced, missing);
        self.notice(notices);
    }

    /// The threads found a share.
    pub(super) fn handle_share(&mut self, now: Duration, share: Share) {
        self.books.record_found(&share);
        if share.is_block() {
            self.next_block_from = now.saturating_add(self.plan.block_interval);
            if self.plan.block_judge == BlockJudge::Node {
                self.judged.found(share.hash);
            }
            if share.job.has_toy_blocks() {
                self.overdue.found(now, share.hash);
            }
        }
        self.act(Action::Send(share));
    }

    /// A quarter of a second has passed; this header is hashed next.
    pub(super) fn handle_tick(&mut self, now: Duration, header: Option<Header>) {
        self.next_tick = now + TICK;
        self.header = header;
        self.record_turned_away();
        let Counts { hashes, hashing, progress, .. } = self.counts;
        self.books.record_hashes(now, hashing, hashes);
        if let Some(allowance) = &mut self.allowance {
            let granted = allowance.grant(now, hashes, TICK);
            self.act(Action::Allow(granted));
        }
        if let Some(since) = self.works.youngest_since()
            && progress != Progress::Searching
        {
            let elapsed = now.saturating_sub(since).as_secs();
            self.act(Action::Elapsed(u32::try_from(elapsed).unwrap_or(u32::MAX)));
        }
        let notices = self.crew.look(&self.counts.threads);
        self.notice(notices);
        let nothing_reached = self.connections.nothing_reached(now);
        self.notice(nothing_reached.map(|server| Notice::NothingReached { server }));
        for _ in 0..self.overdue.look(now) {
            self.intake.take_back();
        }
        self.tell_what_is_due(now);
        self.tell(News::Tick);
        self.look_at_goals(now);
    }

    /// A viewer asks for something.
    pub(super) fn handle_command(&mut self, command: Command) {
        if command == Command::Quit {
            return self.end(Reason::Interrupted);
        }
        let threads = self.crew.command(command);
        self.act(Action::Threads(threads));
    }

    /// Ctrl-C, or everybody who watched has gone. While mining ends that changes nothing: the
    /// program itself heeds a second Ctrl-C.
    pub(super) fn handle_interrupt(&mut self) {
        self.end(Reason::Interrupted);
    }

    /// A sensor has news.
    pub(super) fn handle_sensor(&mut self, news: SensorNews) {
        let (threads, notice) = self.crew.sensor(news);
        if let Some(threads) = threads {
            self.act(Action::Threads(threads));
        }
        self.notice([notice]);
    }

    /// The sensors' readings, to be shown.
    pub(super) fn handle_readings(&mut self, readings: Readings) {
        self.readings = readings;
    }

    /// A request for the status.
    pub(super) fn handle_status_request(&mut self) {
        let rejects = RejectCount::rows(&self.books.rejects);
        self.tell(News::Report(rejects));
    }

    /// A request to read the configuration again.
    pub(super) fn handle_reload_request(&mut self) {
        match self.reload.request() {
            true => self.act(Action::ReadPools),
            false => self.notice([Notice::Reload(ReloadNotice::Queued)]),
        }
    }

    /// The configuration was read.
    pub(super) fn handle_list(&mut self, list: List) {
        let (notice, accounts, again) = self.reload.finish(list);
        self.notice([Notice::Reload(notice)]);
        if let Some(accounts) = accounts {
            self.act(Action::SetPools(accounts));
        }
        if again {
            self.act(Action::ReadPools);
        }
    }

    /// Another miner at the pool in this program did something.
    pub(super) fn handle_guest(&mut self, now: Duration, news: MinerEvent) {
        if self.flood.admits_guest(now) {
            self.tell_event(Event::Miner(news));
        }
    }

    /// The pool in this program has no place for another guest.
    pub(super) fn handle_full(&mut self, places: usize) {
        self.notice([Notice::PoolFull { places }]);
    }

    /// The pool in this program has changed the difficulty of blocks.
    pub(super) fn handle_retarget(&mut self, retarget: RetargetEvent) {
        self.tell_event(Event::Retarget(retarget));
    }

    /// A miner of the class in this program is shown under another name.
    pub(super) fn handle_renamed(&mut self, renamed: RenamedEvent) {
        self.tell_event(Event::Renamed(renamed));
    }

    /// A line that was typed has an answer.
    pub(super) fn handle_said(&mut self, line: String) {
        self.notice([Notice::Said(line)]);
    }

    /// All miners at the pool in this program have found blocks enough.
    pub(super) fn handle_enough(&mut self) {
        self.end(Reason::Blocks);
    }

    /// The pool in this program has lost its work for good.
    pub(super) fn handle_pool_failure(&mut self) {
        self.end(Reason::Error);
    }

    /// All threads have stopped, and their last shares were handed in.
    pub(super) fn handle_stopped(&mut self, now: Duration) {
        self.record_turned_away();
        if let Stage::Ending { stopped, .. } = &mut self.stage {
            *stopped = true;
        }
        match self.link_end {
            Some(_) => self.finish(now),
            None => self.act(Action::StopLink),
        }
    }

    /// The link has ended, as it was told to or by itself. Its last events came before.
    pub(super) fn handle_link_end(&mut self, now: Duration, end: LinkResult) {
        self.link_end = Some(end);
        match self.stage {
            Stage::Ending { stopped: true, .. } => self.finish(now),
            _ => self.end(Reason::Error),
        }
    }

    fn record_turned_away(&mut self) {
        let count = self.intake.take_turned_away();
        self.throttled.shares += count;
        self.books.record_turned_away(count);
    }

    /// Events that are told together, now and then.
    fn tell_what_is_due(&mut self, now: Duration) {
        let is_due = self.throttled_told.is_none_or(|told| now >= told + THROTTLED_EVERY);
        if self.throttled.shares > 0 && is_due {
            self.tell_throttled(now);
        }
        if let Some(job) = self.flood.held_job(now) {
            self.tell_event(Event::Job(job));
        }
        if let Some(left_out) = self.flood.left_out(now, false) {
            self.tell_event(Event::LeftOut(left_out));
        }
        let remarks = self.remarks.due(now);
        self.tell_remarks(remarks);
        if now >= self.rate_told + RATE_EVERY {
            self.rate_told = now;
            let (rates, hashes) = (self.books.rates(), self.counts.hashes);
            self.tell_event(Event::Rate(RateEvent { rates, hashes }));
        }
    }

    /// Tells of the shares that were throttled since the last time.
    fn tell_throttled(&mut self, now: Duration) {
        self.throttled_told = Some(now);
        let work = self.works.newest();
        let throttled = ThrottledEvent {
            difficulty: work.map(|work| work.job.share_target.difficulty()),
            absurdly_low: work.is_some_and(|work| work.job.submit_target() > self.plan.easiest),
            ..std::mem::take(&mut self.throttled)
        };
        self.tell_event(Event::Throttled(throttled));
    }

    fn look_at_goals(&mut self, now: Duration) {
        if let Some(reason) = self.reached_goal() {
            self.end(reason);
        } else if self.plan.goals.time.is_some_and(|limit| now >= limit) {
            self.end(Reason::TimeLimit);
        }
    }

    /// Begins to end. The first reason counts.
    fn end(&mut self, reason: Reason) {
        if self.is_mining() {
            self.stage = Stage::Ending { reason, stopped: false };
            self.tell(News::Ending);
            // While the last answers are waited for, a first Ctrl-C changes nothing, either.
            let was_interrupted = reason == Reason::Interrupted;
            self.act(Action::HeedInterrupts(if was_interrupted { 1 } else { 2 }));
            self.act(Action::StopHashing);
        }
    }

    /// The last event, with the last counts.
    fn finish(&mut self, now: Duration) {
        let Stage::Ending { reason, .. } = self.stage else { return };
        let reason = self.reached_late(reason);
        if self.throttled.shares > 0 {
            self.tell_throttled(now);
        }
        if let Some(left_out) = self.flood.left_out(now, true) {
            self.tell_event(Event::LeftOut(left_out));
        }
        let remarks = self.remarks.rest();
        self.tell_remarks(remarks);
        let status = self.status(now);
        let rejects = RejectCount::rows(&self.books.rejects);
        self.tell_event(Event::Summary(Summary::new(status, rejects, reason)));
        self.stage = Stage::Over(Some(self.conclusion(reason)));
    }

    /// A goal that the last answers reach is reached, although the time limit ended the hashing.
    fn reached_late(&self, reason: Reason) -> Reason {
        match reason {
            Reason::TimeLimit => self.reached_goal().unwrap_or(reason),
            _ => reason,
        }
    }

    /// The goal that is reached, if one is: the first of them is enough.
    fn reached_goal(&self) -> Option<Reason> {
        let Goals { blocks, shares, .. } = self.plan.goals;
        if blocks.is_some_and(|goal| self.accepted_blocks() >= goal) {
            Some(Reason::Blocks)
        } else if shares.is_some_and(|goal| self.books.shares.accepted() >= goal) {
            Some(Reason::Shares)
        } else {
            None
        }
    }

    /// Blocks that count for the goal: a node's word is the last one.
    fn accepted_blocks(&self) -> u64 {
        self.books.blocks.accepted - self.judged.undecided()
    }

    fn conclusion(&mut self, reason: Reason) -> End {
        if let Some(error) = self.no_threads.take() {
            return End::NoThreads { threads: self.plan.rig.threads, error };
        }
        match self.link_end.take() {
            Some(Ok(midstate_net::LinkEnd::Stopped)) | None => {
                self.missed(reason).map_or(End::Done, End::GoalMissed)
            }
            Some(end) => End::Link(end),
        }
    }

    /// The goals that the time limit came before, if it did. A goal of blocks is reached by those
    /// that are in the chain when all is over.
    fn missed(&self, reason: Reason) -> Option<Missed> {
        let Goals { blocks, shares, time } = self.plan.goals;
        let limit = match reason {
            Reason::TimeLimit => Some(time?),
            Reason::Blocks if self.reached_goal().is_none() => None,
            _ => return None,
        };
        let (accepted_blocks, accepted_shares) =
            (self.accepted_blocks(), self.books.shares.accepted());
        let goals = [(blocks, accepted_blocks, "block"), (shares, accepted_shares, "share")];
        let goals = goals.into_iter().filter_map(|(goal, accepted, thing)| {
            Some(MissedGoal { goal: goal?, accepted, thing })
        });
        let goals: Vec<_> = goals.collect();
        (!goals.is_empty()).then_some(Missed { goals, limit })
    }

    /// All that mining is at this instant.
    pub(super) fn status(&self, now: Duration) -> Status {
        let (rates, state) = (self.books.rates(), self.state());
        // A rate that is as good as none gives no time worth telling.
        let wait = |target: fn(&Job) -> Target| {
            let rate = rates.hps_10s_overall.filter(|&rate| rate >= 1.0)?;
            let hashes = self.works.expected_hashes(target)?;
            (state == State::Mining).then_some(hashes / rate)
        };
        let work = self.works.newest();
        let age = |work: &Work| now.saturating_sub(work.since).as_secs_f64();
        let server = work.map(|work| &work.pool).or(self.connections.last());
        let Rig { kernel, midstates, .. } = self.plan.rig;
        Status {
            seconds: now.as_secs_f64(),
            seconds_hashing: self.counts.hashing.as_secs_f64(),
            state,
            url: server.map(|server| server.to_string()),
            kernel,
            threads: self.crew.threads(),
            midstates,
            job: work.map(|work| JobStatus::new(&work.job, work.protocol, age(work))),
            jobs: self.works.count(),
            header: self.header.as_ref().map(HeaderStatus::from),
            rates,
            hashes: self.counts.hashes,
            thread_hashes: self.counts.threads.iter().map(|count| count.hashes).collect(),
            shares: (&self.books.shares).into(),
            blocks: (&self.books.blocks).into(),
            best_difficulty: self.books.best_difficulty,
            readings: self.readings,
            latency_ms: self.books.latency.map(|latency| latency.as_secs_f64() * 1e3),
            seconds_to_share: wait(Job::submit_target),
            seconds_to_block: wait(Job::block_target),
            seconds_of_interval: self.next_block_from.saturating_sub(now).as_secs_f64(),
        }
    }

    fn state(&self) -> State {
        match self.works.is_empty() {
            _ if self.crew.rests() => State::Paused,
            false if self.counts.progress == Progress::Searching => State::Mining,
            true if !self.connections.any_lets_us_in() => State::Connecting,
            _ => State::Waiting,
        }
    }

    fn act(&mut self, action: Action) {
        self.outputs.push_back(Output::Do(action));
    }

    fn tell(&mut self, news: News) {
        self.outputs.push_back(Output::Tell(news));
    }

    fn tell_remarks(&mut self, remarks: impl IntoIterator<Item = RemarkEvent>) {
        remarks.into_iter().for_each(|remark| self.tell_event(Event::Remark(remark)));
    }

    fn tell_event(&mut self, event: Event) {
        self.remarks.drop_untrue(&event);
        self.tell(News::Event(Box::new(event)));
    }

    fn notice(&mut self, notices: impl IntoIterator<Item = Notice>) {
        notices.into_iter().for_each(|notice| self.tell(News::Notice(notice)));
    }
}

#[cfg(test)]
mod tests;
