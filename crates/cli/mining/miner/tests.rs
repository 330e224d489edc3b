//! Whole runs in virtual time: the world around a miner is played, with exact counts.

mod channels;
mod judged;
mod spoken;

use midstate_chain::{Bits, Hash256, Verdict};
use midstate_engine::WorkerCount;
use midstate_net::{Happened, LinkEnd, LinkEvent, LinkState, Protocol};

use midstate_stratum::{Remark, ShareOutcome};

use super::*;
use crate::mining::BlockJudge;
use crate::mining::end::LinkPanic;
use crate::mining::event::{LeftOutEvent, MinerNews, ThrottledEvent};
use crate::mining::judged::Word;
use crate::mining::reload::ListError;
use crate::mining::words::{self, Sentence, Speech};

/// The world around a miner, which does as it is told.
struct World {
    miner: Miner,
    intake: Arc<Intake>,
    now: Duration,
    hashes: u64,
    /// The system's answer when threads are asked for.
    threads: Result<(), String>,
    /// Threads that hash.
    hashing: usize,
    job: Option<Arc<Job>>,
    /// Shares on their way to the link.
    sent: VecDeque<Share>,
    nonce: u32,
    allowed: Option<u64>,
    actions: Vec<&'static str>,
    pools: Vec<usize>,
    events: Vec<Event>,
    notices: Vec<Notice>,
    reports: usize,
    /// Events when hashing ended.
    ending_at: Option<usize>,
    end: Option<End>,
}

fn rig() -> Rig {
    let (rate, max_rate) = (1000.0, None);
    Rig { kernel: "scalar", threads: 2, midstates: 1, rate, max_rate, most_threads: 4 }
}

fn world(goals: Goals) -> World {
    world_with(goals, rig())
}

fn world_with(goals: Goals, rig: Rig) -> World {
    world_of(plan(goals, rig))
}

fn plan(goals: Goals, rig: Rig) -> Plan {
    Plan {
        rig,
        goals,
        gives_up: false,
        block_interval: Duration::ZERO,
        block_judge: BlockJudge::Header,
        share_rate: 20,
        easiest: Target::MAX,
    }
}

fn world_of(plan: Plan) -> World {
    let intake = Arc::new(Intake::new(plan.goals.blocks, 1));
    let mut world = World {
        miner: Miner::new(plan, Arc::clone(&intake)),
        intake,
        now: Duration::ZERO,
        hashes: 0,
        threads: Ok(()),
        hashing: 0,
        job: None,
        sent: VecDeque::new(),
        nonce: 0,
        allowed: None,
        actions: Vec::new(),
        pools: Vec::new(),
        events: Vec::new(),
        notices: Vec::new(),
        reports: 0,
        ending_at: None,
        end: None,
    };
    world.work_off();
    world
}

/// A job whose shares are easy and whose blocks are as hard as on main.
fn job(id: &str) -> Job {
    let bits = Bits::from_consensus(0x1d00_ffff);
    Job {
        id: id.into(),
        session: 0,
        channel: None,
        version: 0x2000_0000,
        version_mask: 0,
        prev_hash: Hash256::default(),
        coinbase_prefix: id.as_bytes().to_vec(),
        extranonce1: Vec::new(),
        extranonce2_size: 4,
        coinbase_suffix: Vec::new(),
        branch: Vec::new(),
        bits,
        time: 0,
        share_target: Target::from_difficulty(1e-9).unwrap(),
        network_target: bits.to_target().unwrap(),
        clean: true,
    }
}

/// A job of which every share is a block of regtest.
fn toy_job(id: &str) -> Job {
    let bits = midstate_chain::Network::Regtest.limit();
    let target = bits.to_target().unwrap();
    Job { bits, share_target: target, network_target: target, ..job(id) }
}

impl World {
    fn tell(&mut self, what: impl FnOnce(&mut Miner, Duration)) {
        self.count();
        what(&mut self.miner, self.now);
        self.work_off();
    }

    fn count(&mut self) {
        let progress = match self.job {
            Some(_) => Progress::Searching,
            None => Progress::Idle,
        };
        let threads = vec![WorkerCount { hashes: self.hashes, in_hand: 0 }];
        let (hashes, hashing) = (self.hashes, self.now);
        self.miner.handle_counts(Counts { hashes, hashing, progress, threads });
    }

    fn work_off(&mut self) {
        while let Some(output) = self.miner.poll_output() {
            match output {
                Output::Do(action) => self.act(action),
                Output::Tell(News::Event(event)) => self.events.push(*event),
                Output::Tell(News::Notice(notice)) => self.notices.push(notice),
                Output::Tell(News::Report(_)) => self.reports += 1,
                Output::Tell(News::Tick) => {}
                Output::Tell(News::Ending) => self.ending_at = Some(self.events.len()),
            }
        }
        self.end = self.end.take().or(self.miner.poll_end());
    }

    fn act(&mut self, action: Action) {
        let name = match action {
            Action::Hash(job) => {
                self.job = job;
                "hash"
            }
            Action::HashBeside(job) => {
                self.job = Some(job);
                "hash beside"
            }
            Action::Leave(_) => "leave",
            Action::Threads(threads) => {
                if self.threads.is_ok() {
                    self.hashing = threads;
                }
                self.miner.handle_threads(self.now, self.threads.clone());
                "threads"
            }
            Action::Elapsed(_) => "elapsed",
            Action::Allow(hashes) => {
                self.allowed = Some(hashes);
                "allow"
            }
            Action::Send(share) => {
                self.sent.push_back(share);
                "send"
            }
            Action::ReadPools => "read",
            Action::SetPools(accounts) => {
                self.pools.push(accounts.len());
                "pools"
            }
            Action::HeedInterrupts(1) => "heed",
            Action::HeedInterrupts(_) => "heed two",
            Action::StopHashing => {
                self.hashing = 0;
                self.miner.handle_stopped(self.now);
                "stop hashing"
            }
            Action::StopLink => "stop link",
        };
        self.actions.push(name);
    }

    /// How often this was asked for.
    fn asked(&self, action: &str) -> usize {
        self.actions.iter().filter(|&&asked| asked == action).count()
    }

    fn link(&mut self, what: Happened) {
        self.link_of("one", what);
    }

    fn link_of(&mut self, url: &str, what: Happened) {
        let protocol = match url.starts_with("stratum2") {
            true => Protocol::Stratum2,
            false => Protocol::Stratum1,
        };
        let event = LinkEvent { url: url.into(), listed: None, protocol, what };
        self.tell(|miner, now| miner.handle_link(now, event));
    }

    fn state_of(&mut self, url: &str, state: LinkState) {
        let reason = (state == LinkState::Lost).then(|| "hung up".to_owned());
        self.link_of(url, Happened::State { state, reason });
    }

    fn start(&mut self, job: Job) {
        self.state_of("one", LinkState::Authorized);
        self.link(Happened::job(Arc::new(job)));
    }

    /// Ticks as they are due, for so many seconds.
    fn pass(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        while self.miner.poll_timeout() <= end && self.miner.is_mining() {
            self.now = self.miner.poll_timeout();
            self.hashes += 250 * u64::from(self.hashing > 0 && self.job.is_some());
            self.tell(|miner, now| miner.handle_tick(now, None));
        }
        self.now = end;
    }

    /// The threads find a share of the present job; whether it is admitted.
    fn find(&mut self) -> bool {
        let job = Arc::clone(self.job.as_ref().unwrap());
        self.nonce += 1;
        let mut hash = [0; 32];
        hash[..4].copy_from_slice(&self.nonce.to_le_bytes());
        // Meets the share's target and misses that of an earnest network.
        hash[30] = u8::from(!job.has_toy_blocks());
        let (version, time, nonce) = (job.version, job.time, self.nonce);
        let hash = Hash256::from_bytes(hash);
        let share = Share { job, extranonce2: vec![0; 4], version, time, nonce, hash };
        let is_admitted = self.intake.admits(&share);
        if is_admitted {
            self.tell(|miner, now| miner.handle_share(now, share));
        }
        is_admitted
    }

    /// The oldest share that was sent gets this verdict.
    fn answer(&mut self, verdict: Verdict) {
        let share = self.sent.pop_front().unwrap();
        self.answer_with(share, verdict);
    }

    fn answer_with(&mut self, share: Share, verdict: Verdict) {
        self.link(Happened::Verdict(ShareOutcome::new(share, verdict, None)));
    }

    /// The node behind the pool has judged a block.
    fn judge(&mut self, hash: Hash256, word: Word) {
        self.tell(|miner, now| miner.handle_judged(now, &"node".into(), hash, word));
    }

    /// The link does as it is told, or ends by itself.
    fn end_link(&mut self, end: LinkEnd) {
        while let Some(share) = self.sent.pop_front() {
            self.answer_with(share, Verdict::Unresolved);
        }
        self.tell(|miner, now| miner.handle_link_end(now, Ok(end)));
    }

    /// The summary, which came once and last, and how it all ended.
    fn over(&mut self) -> (Summary, End) {
        if self.asked("stop link") > 0 && self.end.is_none() {
            self.end_link(LinkEnd::Stopped);
        }
        let summaries: Vec<_> = self.events.iter().filter_map(as_summary).collect();
        assert_eq!(summaries.len(), 1, "one summary");
        assert!(as_summary(self.events.last().unwrap()).is_some(), "the summary is the last event");
        let summary = summaries[0].clone();
        let shares = &summary.shares;
        let settled =
            shares.accepted + shares.rejected + shares.stale + shares.throttled + shares.unresolved;
        assert_eq!(shares.found, settled, "{summary:?}");
        let heeds = (self.asked("heed"), self.asked("heed two"));
        let expected = if summary.reason == Reason::Interrupted { (1, 0) } else { (0, 1) };
        assert_eq!(heeds, expected, "the second Ctrl-C counts from the end of hashing on");
        (summary, self.end.take().expect("it is over"))
    }

    fn throttled(&self) -> Vec<u64> {
        let throttled = self.events.iter().filter_map(|event| match event {
            Event::Throttled(throttled) => Some(throttled.shares),
            _ => None,
        });
        throttled.collect()
    }

    fn shares_told(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::Share(_))).count()
    }

    fn state(&self) -> State {
        self.miner.status(self.now).state
    }
}

fn as_summary(event: &Event) -> Option<&Summary> {
    match event {
        Event::Summary(summary) => Some(summary),
        _ => None,
    }
}

#[test]
fn a_goal_of_shares_ends_with_exactly_so_many() {
    let mut world = world(Goals { shares: Some(3), ..Goals::default() });
    world.start(job("a"));
    for _ in 0..5 {
        world.find();
    }
    world.answer(Verdict::Accepted);
    world.answer(Verdict::Rejected);
    world.answer(Verdict::Accepted);
    assert!(world.miner.is_mining());
    world.answer(Verdict::Accepted);
    let (summary, end) = world.over();
    assert_eq!((summary.reason, end), (Reason::Shares, End::Done));
    let shares = summary.shares;
    assert_eq!((shares.found, shares.accepted, shares.rejected, shares.unresolved), (5, 3, 1, 1));
}

#[test]
fn a_goal_of_blocks_counts_those_that_stay_in_the_chain() {
    let mut world = world(Goals { blocks: Some(2), ..Goals::default() });
    world.start(toy_job("a"));
    assert!(world.find() && !world.find(), "one block for a job where blocks are a toy");
    let hash = world.sent[0].hash;
    world.answer(Verdict::Accepted);
    // A reorganisation takes it back: another one may pass for it.
    let (was, verdict) = (Verdict::Accepted, Verdict::Unresolved);
    world.link(Happened::Revised { hash, height: 1, was, verdict, reason: None });
    for id in ["b", "c"] {
        world.link(Happened::job(Arc::new(toy_job(id))));
        assert!(world.miner.is_mining() && world.find());
        world.answer(Verdict::Accepted);
    }
    let (summary, end) = world.over();
    assert_eq!((summary.reason, end), (Reason::Blocks, End::Done));
    assert_eq!((summary.blocks.found, summary.blocks.accepted), (3, 2));
}

#[test]
fn rule_21_a_block_without_a_verdict_does_not_hold_up_a_goal_of_blocks_for_ever() {
    for late in [None, Some(Verdict::Accepted), Some(Verdict::Rejected)] {
        let mut world = world(Goals { blocks: Some(1), ..Goals::default() });
        world.start(toy_job("a"));
        assert!(world.find());
        let first = world.sent.pop_front().unwrap();
        world.link(Happened::job(Arc::new(toy_job("b"))));
        world.pass(9);
        assert!(!world.find(), "its verdict may still come");
        world.pass(1);
        if let Some(verdict) = late {
            world.answer_with(first, verdict);
        }
        if late != Some(Verdict::Accepted) {
            assert!(world.find() && !world.find(), "one for one");
            world.answer(Verdict::Accepted);
        }
        let (summary, end) = world.over();
        assert_eq!((summary.reason, end), (Reason::Blocks, End::Done), "{late:?}");
        assert_eq!(summary.blocks.accepted, 1);
    }
}

#[test]
fn rule_10_a_goal_of_blocks_that_the_chain_takes_back_in_the_end_is_missed() {
    let mut world = world(Goals { blocks: Some(1), ..Goals::default() });
    world.start(toy_job("a"));
    assert!(world.find());
    let hash = world.sent[0].hash;
    world.answer(Verdict::Accepted);
    assert!(!world.miner.is_mining());
    // Asked in the end, the node does not have it.
    let (was, verdict) = (Verdict::Accepted, Verdict::Unresolved);
    world.link(Happened::Revised { hash, height: 1, was, verdict, reason: None });
    let goals = vec![MissedGoal { goal: 1, accepted: 0, thing: "block" }];
    assert_eq!(world.over().1, End::GoalMissed(Missed { goals, limit: None }));
}

#[test]
fn rule_10_a_time_limit_before_a_goal_is_a_goal_that_was_missed() {
    let time = Some(Duration::from_secs(4));
    let mut world = world(Goals { shares: Some(5), time, blocks: None });
    world.start(job("a"));
    world.pass(3);
    assert!(world.miner.is_mining());
    world.pass(2);
    let (summary, end) = world.over();
    let limit = Some(Duration::from_secs(4));
    let goals = vec![MissedGoal { goal: 5, accepted: 0, thing: "share" }];
    let missed = Missed { goals, limit };
    assert_eq!((summary.reason, end), (Reason::TimeLimit, End::GoalMissed(missed)));
}

#[test]
fn rule_10_of_several_goals_one_is_enough_and_none_are_all_named() {
    let time = Some(Duration::from_secs(4));
    let goals = Goals { shares: Some(1), time, blocks: Some(2) };
    let mut world = world(goals);
    world.start(job("a"));
    world.pass(5);
    let goals_missed = vec![
        MissedGoal { goal: 2, accepted: 0, thing: "block" },
        MissedGoal { goal: 1, accepted: 0, thing: "share" },
    ];
    let missed = Missed { goals: goals_missed, limit: Some(Duration::from_secs(4)) };
    assert_eq!(world.over().1, End::GoalMissed(missed));

    // A share is found in time, and its answer comes after the limit.
    let mut late = self::world(goals);
    late.start(job("a"));
    assert!(late.find());
    late.pass(5);
    late.answer(Verdict::Accepted);
    let (summary, end) = late.over();
    assert_eq!((summary.reason, end), (Reason::Shares, End::Done));
}

#[test]
fn rule_10_a_time_limit_alone_is_met() {
    let mut alone = world(Goals { time: Some(Duration::from_secs(1)), ..Goals::default() });
    alone.pass(2);
    let (summary, end) = alone.over();
    assert_eq!((summary.reason, end), (Reason::TimeLimit, End::Done));
}

#[test]
fn a_pause_and_a_rest_for_a_sensor_are_independent() {
    let mut world = world(Goals::default());
    world.start(job("a"));
    world.pass(1);
    assert_eq!((world.hashing, world.state()), (2, State::Mining));
    world.tell(|miner, _| miner.handle_command(Command::TogglePause));
    assert_eq!((world.hashing, world.state()), (0, State::Paused));
    let hold = || SensorNews::Hold("on battery".into());
    let release = || SensorNews::Release("on mains power".into());
    world.tell(|miner, _| miner.handle_sensor(hold()));
    world.tell(|miner, _| miner.handle_sensor(release()));
    assert_eq!((world.hashing, world.state()), (0, State::Paused), "the pause is in force");
    world.tell(|miner, _| miner.handle_sensor(hold()));
    world.tell(|miner, _| miner.handle_command(Command::TogglePause));
    assert_eq!((world.hashing, world.state()), (0, State::Paused), "a key lifts no limit");
    world.tell(|miner, _| miner.handle_command(Command::AddThread));
    assert_eq!(world.hashing, 0);
    world.tell(|miner, _| miner.handle_sensor(release()));
    assert_eq!((world.hashing, world.state()), (3, State::Mining));
    let why = "on battery".to_owned();
    let released = |paused| Notice::Released { now: "on mains power".into(), paused };
    let expected = [
        Notice::Held { why: why.clone() },
        released(true),
        Notice::Held { why: why.clone() },
        Notice::PausedToo { paused: false, why },
        released(false),
    ];
    assert_eq!(world.notices, expected);
    world.tell(|miner, _| miner.handle_sensor(SensorNews::Lost("no supply")));
    assert_eq!(world.hashing, 3, "a sensor that is lost stops nobody");
}

#[test]
fn threads_that_are_refused_leave_those_that_are_there() {
    let mut world = world(Goals::default());
    world.start(job("a"));
    world.threads = Err("no memory".into());
    world.tell(|miner, _| miner.handle_command(Command::AddThread));
    let refused = Notice::NoThread { error: "no memory".into() };
    assert_eq!((world.hashing, &world.notices[..]), (2, &[refused][..]));
    assert_eq!(world.miner.status(world.now).threads, 2);
    // A viewer asks for no more threads than there are CPUs, and keeps one.
    world.threads = Ok(());
    for _ in 0..5 {
        world.tell(|miner, _| miner.handle_command(Command::AddThread));
    }
    assert_eq!(world.hashing, 4);
    let told = |threads| Notice::NoOtherCount { threads };
    assert_eq!(world.notices[1..], [4, 4, 4].map(told), "a key without effect is answered");
    for _ in 0..9 {
        world.tell(|miner, _| miner.handle_command(Command::RemoveThread));
    }
    assert_eq!(world.hashing, 1);
    assert_eq!(world.notices[4..], [1; 6].map(told));
}

#[test]
fn a_fallen_thread_is_told_of_and_one_that_cannot_be_replaced_once() {
    let mut world = world(Goals::default());
    world.start(job("a"));
    world.tell(|miner, _| miner.handle_fallen(vec![(1, 700)], None));
    for missing in [Some("no memory"), Some("no memory"), None, Some("no memory")] {
        let missing = missing.map(str::to_owned);
        world.tell(|miner, _| miner.handle_fallen(Vec::new(), missing));
    }
    let missing = || Notice::ThreadMissing { error: "no memory".into() };
    let expected = [Notice::ThreadReplaced { index: 1, lost: 700 }, missing(), missing()];
    assert_eq!(world.notices, expected);
    assert!(world.miner.is_mining());
}

#[test]
fn requests_to_read_the_configuration_again_are_answered_by_one_more_reading() {
    let line_1 = || ListError::File("line 1".into());
    let mut world = world(Goals::default());
    world.tell(|miner, _| miner.handle_reload_request());
    for _ in 0..3 {
        world.tell(|miner, _| miner.handle_reload_request());
    }
    assert_eq!(world.asked("read"), 1, "one reading at a time");
    world.tell(|miner, _| miner.handle_list(Some(Err(line_1()))));
    assert_eq!(world.asked("read"), 2, "the file may have changed since");
    world.tell(|miner, _| miner.handle_list(Some(Ok(Vec::new()))));
    assert_eq!((world.asked("read"), &world.pools[..]), (2, &[0][..]), "a wrong file changes none");
    world.tell(|miner, _| miner.handle_reload_request());
    world.tell(|miner, _| miner.handle_list(None));
    let expected = [
        ReloadNotice::Queued,
        ReloadNotice::Queued,
        ReloadNotice::Queued,
        ReloadNotice::Kept { error: line_1() },
        ReloadNotice::Read { pools: 0 },
        ReloadNotice::NoFile,
    ];
    assert_eq!(world.notices, expected.map(Notice::Reload));
}

#[test]
fn a_second_ctrl_c_changes_nothing_in_the_end_that_the_first_one_began() {
    let mut world = world(Goals::default());
    world.start(job("a"));
    world.find();
    world.find();
    world.tell(|miner, _| miner.handle_interrupt());
    assert_eq!(world.actions[world.actions.len() - 3..], ["heed", "stop hashing", "stop link"]);
    world.tell(|miner, _| miner.handle_interrupt());
    world.tell(|miner, _| miner.handle_command(Command::Quit));
    assert_eq!((world.asked("stop hashing"), world.asked("stop link")), (1, 1));
    // Shares and verdicts that come while it ends count.
    world.answer(Verdict::Accepted);
    let (summary, end) = world.over();
    assert_eq!((summary.reason, end), (Reason::Interrupted, End::Done));
    assert_eq!((summary.shares.accepted, summary.shares.unresolved), (1, 1));
}

#[test]
fn a_first_ctrl_c_in_an_end_that_a_goal_began_changes_nothing() {
    let time = Some(Duration::from_secs(4));
    let mut world = world(Goals { time, ..Goals::default() });
    world.start(job("a"));
    world.find();
    world.pass(5);
    assert_eq!((world.asked("heed two"), world.asked("heed")), (1, 0));
    world.tell(|miner, _| miner.handle_interrupt());
    world.answer(Verdict::Accepted);
    let (summary, end) = world.over();
    assert_eq!((summary.reason, end), (Reason::TimeLimit, End::Done));
    assert_eq!((summary.shares.accepted, summary.shares.unresolved), (1, 0));
}

#[test]
fn a_link_that_ends_by_itself_ends_mining() {
    let mut world = world(Goals { shares: Some(1), ..Goals::default() });
    world.start(job("a"));
    world.find();
    world.end_link(LinkEnd::Refused("no such worker".into()));
    assert_eq!(world.asked("stop hashing"), 1);
    assert_eq!(world.asked("stop link"), 0, "it has ended");
    let (summary, end) = world.over();
    assert_eq!((summary.reason, summary.shares.unresolved), (Reason::Error, 1));
    assert_eq!(end, End::Link(Ok(LinkEnd::Refused("no such worker".into()))));
}

/// Every way to end, before anything was hashed and after: one summary, and it is last.
#[test]
fn rule_22_there_is_a_summary_on_every_path() {
    type Way = fn(&mut World);
    let ways: [(Way, Reason); 8] = [
        (|world| world.tell(|miner, _| miner.handle_interrupt()), Reason::Interrupted),
        (|world| world.tell(|miner, _| miner.handle_command(Command::Quit)), Reason::Interrupted),
        (|world| world.pass(60), Reason::TimeLimit),
        (|world| world.tell(|miner, _| miner.handle_pool_failure()), Reason::Error),
        (|world| world.end_link(LinkEnd::Unreachable("nobody".into())), Reason::Error),
        (|world| world.end_link(LinkEnd::Misconfigured("chain".into())), Reason::Error),
        (|world| world.end_link(LinkEnd::Stopped), Reason::Error),
        (
            |world| {
                world.tell(|miner, now| miner.handle_link_end(now, Err(LinkPanic("a bug".into()))))
            },
            Reason::Error,
        ),
    ];
    for (way, reason) in ways {
        for begin in [|_: &mut World| {}, |world: &mut World| world.start(job("a"))] {
            let time = Some(Duration::from_secs(30));
            let mut world = world(Goals { time, ..Goals::default() });
            begin(&mut world);
            way(&mut world);
            assert_eq!(world.over().0.reason, reason);
            assert!(world.ending_at.is_some(), "views heard of the end before it");
        }
    }
}

#[test]
fn rule_22_threads_that_cannot_be_started_end_with_a_summary() {
    let intake = Arc::new(Intake::new(None, 1));
    let plan = plan(Goals::default(), rig());
    let mut world = World { miner: Miner::new(plan, intake), ..world(Goals::default()) };
    world.actions.clear();
    world.threads = Err("no memory".into());
    world.work_off();
    let (summary, end) = world.over();
    assert_eq!(summary.reason, Reason::Error);
    assert_eq!(end, End::NoThreads { threads: 2, error: "no memory".into() });
}

/// The exact form of what the program shows at its door, where the counts depend on the machine.
#[test]
fn rule_23_a_thousand_throttled_shares_are_told_together() {
    let mut world = world(Goals::default());
    world.start(job("a"));
    for _ in 0..1000 {
        world.find();
    }
    for _ in 0..20 {
        world.answer(Verdict::Accepted);
    }
    for _ in 0..980 {
        world.answer(Verdict::Throttled);
    }
    assert_eq!((world.shares_told(), world.throttled()), (20, vec![]));
    world.pass(5);
    assert_eq!(world.throttled(), [980], "at once");
    // Ten more in the next ten seconds.
    for _ in 0..10 {
        world.find();
        world.answer(Verdict::Throttled);
    }
    world.pass(4);
    assert_eq!(world.throttled(), [980], "at most once in ten seconds");
    world.pass(2);
    assert_eq!(world.throttled(), [980, 10]);
    // A share that no pool could take is counted where it is found, and told at the end.
    let admitted = (0..9000).filter(|_| world.find()).count();
    assert_eq!(admitted, 8192, "so many may be under way");
    world.tell(|miner, _| miner.handle_interrupt());
    let (summary, _) = world.over();
    assert_eq!(world.throttled(), [980, 10, 808]);
    let shares = summary.shares;
    assert_eq!((shares.found, shares.throttled), (1000 + 10 + 9000, 980 + 10 + 808));
    assert_eq!((shares.accepted, shares.unresolved), (20, 8192));
}

#[test]
fn s6_a_flood_of_jobs_leaves_the_newest_on_the_desk_and_tells_it() {
    let mut world = world(Goals::default());
    world.start(job("first"));
    for id in 0..10_000 {
        world.link(Happened::job(Arc::new(job(&id.to_string()))));
    }
    assert_eq!(world.job.as_ref().unwrap().id, "9999");
    world.pass(11);
    let told: Vec<_> = (world.events.iter())
        .filter_map(|event| match event {
            Event::Job(job) => Some(job.job_id.clone()),
            _ => None,
        })
        .collect();
    assert_eq!((told.len(), told.last().unwrap().as_str()), (201, "9999"));
    let left_out = world.events.iter().find_map(|event| match event {
        Event::LeftOut(left_out) => Some(left_out.jobs),
        _ => None,
    });
    assert_eq!(left_out, Some(10_001 - 201));
}

#[test]
fn rule_30_a_backups_loss_does_not_show_connecting_while_the_first_pool_works() {
    let mut world = world(Goals::default());
    assert_eq!(world.state(), State::Connecting);
    world.start(job("a"));
    world.pass(1);
    for state in [LinkState::Connecting, LinkState::Connected, LinkState::Lost] {
        world.state_of("two", state);
        assert_eq!(world.state(), State::Mining);
    }
    // Nor while the first one has no work for the moment.
    world.link(Happened::Pause);
    world.state_of("two", LinkState::Lost);
    world.pass(1);
    assert_eq!(world.state(), State::Waiting);
    world.state_of("one", LinkState::Lost);
    assert_eq!(world.state(), State::Connecting);
}

#[test]
fn that_nothing_was_reached_is_told_once_and_not_after_a_server_was() {
    let mut lost = world(Goals::default());
    for server in ["one", "two", "one"] {
        lost.state_of(server, LinkState::Lost);
        lost.pass(8);
    }
    assert_eq!(lost.notices, [Notice::NothingReached { server: "one".into() }]);
    let mut reached = world(Goals::default());
    for state in [LinkState::Lost, LinkState::Connected, LinkState::Lost] {
        reached.state_of("one", state);
    }
    reached.pass(8);
    assert_eq!(reached.notices, []);
}

#[test]
fn rule_27_no_line_promises_further_attempts_just_before_the_end() {
    let refused = || LinkEnd::Refused("no".to_owned());
    let misconfigured = || LinkEnd::Misconfigured("another chain".to_owned());
    let unusable = || LinkEnd::Unusable("a rule".to_owned());
    for end in [refused(), misconfigured(), unusable()] {
        let mut world = world(Goals::default());
        for _ in 0..2 {
            world.state_of("one", LinkState::Lost);
            world.pass(2);
        }
        world.end_link(end);
        assert_eq!(world.notices, []);
    }
}

#[test]
fn rule_27_a_standstill_of_the_block_interval_is_told_as_one_and_before() {
    let block_interval = Duration::from_secs(30);
    let mut world = world_of(Plan { block_interval, ..plan(Goals::default(), rig()) });
    world.start(toy_job("1"));
    world.pass(1);
    assert!(world.find());
    world.link(Happened::Pause);
    world.answer(Verdict::Accepted);
    let status = world.miner.status(world.now);
    let block = world.events.iter().find(|event| matches!(event, Event::Block(_))).unwrap();
    let Some(Sentence::Result(line)) = Speech::default().of(block, &status) else {
        panic!("no line")
    };
    assert!(line.ends_with("; the next in 30 s (--block-interval)"), "{line}");
    world.pass(10);
    let line = words::status(&world.miner.status(world.now));
    assert!(line.ends_with("waits for --block-interval: 20 s left"), "{line}");
    world.pass(20);
    let line = words::status(&world.miner.status(world.now));
    assert!(line.ends_with("no job now"), "{line}");
}

#[test]
fn a_limit_on_the_hash_rate_is_granted_tick_by_tick() {
    let mut world = world_with(Goals::default(), Rig { max_rate: Some(1000.0), ..rig() });
    assert_eq!(world.allowed, Some(0), "nothing before the first grant");
    world.start(job("a"));
    world.pass(2);
    assert_eq!(world.allowed, Some(2000));
}

#[test]
fn guests_the_status_and_the_odds_are_told() {
    let mut world = world(Goals::default());
    let solo = Job { share_target: job("a").network_target, ..job("a") };
    let hard = Target::from_difficulty(1e12).unwrap();
    world.start(Job { share_target: hard, network_target: hard, ..solo });
    world.link(Happened::job(Arc::new(Job {
        share_target: hard,
        network_target: hard,
        ..job("b")
    })));
    let odds = world.notices.iter().filter(|notice| matches!(notice, Notice::Odds { .. })).count();
    assert_eq!(odds, 1, "once");
    world.tell(|miner, _| miner.handle_status_request());
    assert_eq!(world.reports, 1);
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1));
    for session in 0..1000 {
        let (worker, news) = ("ann".to_owned(), MinerNews::Joined { address });
        let news = MinerEvent { worker, session, device: false, news };
        world.tell(|miner, now| miner.handle_guest(now, news));
    }
    let guests = world.events.iter().filter(|event| matches!(event, Event::Miner(_))).count();
    assert_eq!(guests, 200, "as many at once as the limits say");
}

#[test]
fn a_remark_of_a_pool_is_an_event_for_programs_and_a_sentence_for_people() {
    let told = [
        (Remark::message("down at ten"), "message", "down at ten", "one says: down at ten"),
        (Remark::warning("no job"), "warning", "no job", "warning: one: no job"),
    ];
    for (remark, kind, text, sentence) in told {
        let mut world = world(Goals::default());
        world.link_of("one", Happened::Remark(remark));
        let [event] = &world.events[..] else { panic!("{:?}", world.events) };
        let json = serde_json::to_value(event).unwrap();
        let expected =
            serde_json::json!({"event": "remark", "pool": "one", "kind": kind, "text": text});
        assert_eq!(json, expected);
        let said = Speech::default().of(event, &world.miner.status(world.now));
        assert_eq!(said, Some(Sentence::Note(sentence.to_owned())));
    }
}

#[test]
fn an_event_has_the_name_that_its_json_has() {
    let mut world = world(Goals { blocks: Some(1), ..Goals::default() });
    world.link(Happened::Remark(Remark::warning("no job")));
    world.start(toy_job("a"));
    world.pass(20);
    assert!(world.find());
    world.answer(Verdict::Accepted);
    world.end_link(LinkEnd::Stopped);
    world.events.push(Event::Throttled(ThrottledEvent::default()));
    world.events.push(Event::LeftOut(LeftOutEvent::default()));
    let mut names = std::collections::BTreeSet::new();
    for event in &world.events {
        assert_eq!(serde_json::to_value(event).unwrap()["event"], event.name());
        names.insert(event.name());
    }
    let all = "block job left_out pool rate remark share summary throttled";
    assert!(names.into_iter().eq(all.split(' ')), "{:?}", world.events);
}
