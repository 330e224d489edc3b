//! The connections of a swarm, over pipes in virtual time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use midstate_chain::{Job, Share};
use midstate_net::{Account, Dial, Direction, Frames, LinkLimits, Order, Said, Swarm, SwarmConfig};
use midstate_stratum::Verdict;
use midstate_swarm::Event;
use tokio::time::{Instant, sleep};

use crate::pipes::{Mood, Pools, account};
use crate::v2::{Mixed, v2_account};
use crate::v2_pool::PUBLIC;

fn config(account: Account, dial: Arc<dyn Dial>) -> SwarmConfig {
    SwarmConfig {
        account,
        user: Arc::new(|worker| format!("w{worker}")),
        limits: LinkLimits::default(),
        connections_a_second: 100,
        is_public_allowed: true,
        dial,
        started: Instant::now(),
        frames: None,
        faults: None,
    }
}

/// A swarm, and all its events.
struct World {
    swarm: Swarm,
    events: Arc<Mutex<Vec<(Duration, u32, Event)>>>,
}

impl World {
    fn new(pools: &Pools, connections_a_second: u32, is_public_allowed: bool) -> Self {
        let config = SwarmConfig {
            connections_a_second,
            is_public_allowed,
            ..config(account("one:3333"), Arc::new(pools.clone()))
        };
        Self::of(config)
    }

    fn of(config: SwarmConfig) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&events);
        let tell = move |at, worker, event| told.lock().unwrap().push((at, worker, event));
        Self { swarm: Swarm::new(config, Arc::new(tell)), events }
    }

    fn count(&self, which: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|(_, _, event)| which(event)).count()
    }

    /// The newest job of that miner.
    fn job_of(&self, worker: u32) -> Arc<Job> {
        let events = self.events.lock().unwrap();
        let job = |(_, of, event): &(Duration, u32, Event)| match event {
            Event::Job(job) if *of == worker => job.clone(),
            _ => None,
        };
        events.iter().rev().find_map(job).unwrap()
    }

    fn job(&self) -> Option<Arc<Job>> {
        self.events.lock().unwrap().iter().rev().find_map(|(_, _, event)| match event {
            Event::Job(job) => job.clone(),
            _ => None,
        })
    }
}

/// A share of this job that meets its target.
fn share(job: &Arc<Job>) -> Share {
    let (version, time) = (job.version, job.time);
    let mut shares = (0..).map(|nonce| {
        let extranonce2 = vec![0; job.extranonce2_size];
        let hash = Default::default();
        let mut share = Share { job: Arc::clone(job), extranonce2, version, time, nonce, hash };
        share.hash = share.header().hash();
        share
    });
    shares.find(Share::meets_share_target).unwrap()
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn all_miners_together_open_no_more_connections_than_may_be_in_a_second() {
    let pools = Pools::default();
    pools.set("one", Mood::Good);
    let mut world = World::new(&pools, 5, true);
    (0..30).for_each(|worker| world.swarm.order(Order::Join(worker)));
    for seconds in 1..=6 {
        sleep(SECOND).await;
        let opened = pools.connections("one");
        assert!((seconds * 5..=seconds * 5 + 1).contains(&opened), "{opened} in {seconds} s");
    }
    // Those that are there stay, and nobody connects twice.
    sleep(60 * SECOND).await;
    assert_eq!(pools.connections("one"), 30);
    world.swarm.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_leads_to_a_public_address_is_dropped_before_a_word() {
    // The pipes say that they lead to one.
    let pools = Pools::default();
    pools.set("one", Mood::Good);
    let mut world = World::new(&pools, 5, false);
    world.swarm.order(Order::Join(0));
    sleep(600 * SECOND).await;
    assert_eq!(pools.connections("one"), 1, "it does not try again");
    assert_eq!(world.count(|event| *event == Event::Connected), 0);
    let unreached = |event: &Event| {
        matches!(event, Event::Unreached { reason }
            if reason == "one has led to the public address 192.0.2.1")
    };
    assert_eq!(world.count(unreached), 1);
    world.swarm.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_miner_connects_again_until_it_is_told_to_leave() {
    let pools = Pools::default();
    pools.set("one", Mood::Brief(5000));
    let mut world = World::new(&pools, 100, true);
    world.swarm.order(Order::Join(7));
    sleep(120 * SECOND).await;
    pools.set("one", Mood::Refusing);
    sleep(120 * SECOND).await;
    let opened = world.count(|event| *event == Event::Connected);
    assert!(opened > 3, "{opened}");
    assert_eq!(world.count(|event| matches!(event, Event::Lost { .. })), opened);
    let jobs = world.count(|event| matches!(event, Event::Job(Some(_))));
    assert_eq!(world.count(|event| *event == Event::Job(None)), jobs, "each is taken back");
    assert!(world.count(|event| matches!(event, Event::Unreached { .. })) > 1);
    world.swarm.order(Order::Leave(7));
    sleep(10 * SECOND).await;
    assert_eq!(world.count(|event| *event == Event::Left), 1);
    let share = share(&world.job().unwrap());
    assert!(world.swarm.intake().submit(7, share, Instant::now()).is_err(), "it has left");
    world.swarm.end().await;
}

#[tokio::test(start_paused = true)]
async fn every_share_has_one_verdict_and_is_timed_until_it_is_written() {
    let pools = Pools::default();
    pools.set("one", Mood::Good);
    let mut world = World::new(&pools, 100, true);
    world.swarm.order(Order::Join(0));
    sleep(SECOND).await;
    let share = share(&world.job().unwrap());
    let intake = world.swarm.intake();
    assert!(intake.submit(0, share.clone(), Instant::now()).is_ok());
    sleep(SECOND).await;
    // The same again is not sent.
    assert!(intake.submit(0, share, Instant::now()).is_ok());
    sleep(SECOND).await;
    assert_eq!(world.count(|event| *event == Event::Found), 2);
    assert_eq!(world.count(|event| matches!(event, Event::Sent(_))), 1);
    let verdicts =
        |wanted| world.count(|event| matches!(event, Event::Verdict(of) if of.verdict == wanted));
    assert_eq!((verdicts(Verdict::Accepted), verdicts(Verdict::Rejected)), (1, 1));
    assert_eq!(pools.accepted("one").len(), 1);

    // A share on its way when all end has its verdict, too.
    pools.set("one", Mood::Mute);
    sleep(10 * SECOND).await;
    let share = self::share(&world.job().unwrap());
    assert!(intake.submit(0, share, Instant::now()).is_ok());
    let events = Arc::clone(&world.events);
    world.swarm.end().await;
    let events = events.lock().unwrap();
    let unresolved =
        |event: &Event| matches!(event, Event::Verdict(of) if of.verdict == Verdict::Unresolved);
    assert_eq!(events.iter().filter(|(_, _, event)| unresolved(event)).count(), 1);
    assert!(matches!(events.last(), Some((_, 0, Event::Left))));
}

#[tokio::test(start_paused = true)]
async fn miners_speak_v2_each_with_a_channel_for_its_user_and_its_rate() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let frames = Frames::to(move |frame| sink.lock().unwrap().push(frame));
    let config = config(v2_account(PUBLIC), Arc::new(Mixed::up()));
    let mut world = World::of(SwarmConfig { frames: Some(frames), ..config });
    for worker in 0..3 {
        world.swarm.order(Order::Join(worker));
        world.swarm.order(Order::Rate(worker, 1e6 * f64::from(worker + 1)));
    }
    sleep(SECOND).await;
    assert_eq!(world.count(|event| *event == Event::LetIn), 3);
    let intake = world.swarm.intake();
    for worker in 0..3 {
        assert!(intake.submit(worker, share(&world.job_of(worker)), Instant::now()).is_ok());
    }
    sleep(SECOND).await;
    let accepted =
        |event: &Event| matches!(event, Event::Verdict(of) if of.verdict == Verdict::Accepted);
    assert_eq!(
        (world.count(accepted), world.count(|event| matches!(event, Event::Sent(_)))),
        (3, 3)
    );
    world.swarm.end().await;
    let told = told.lock().unwrap();
    let mut opened: Vec<_> = told
        .iter()
        .filter_map(|frame| match &frame.said {
            Said::Message(of) if of.name == "OpenStandardMiningChannel" => {
                assert_eq!(frame.direction, Direction::Sent);
                let fields = serde_json::to_value(&of.fields).unwrap();
                assert_eq!(fields["user_identity"].as_str(), Some(&*frame.worker));
                fields["nominal_hash_rate"].as_f64()
            }
            _ => None,
        })
        .collect();
    opened.sort_by(f64::total_cmp);
    assert_eq!(opened, [1e6, 2e6, 3e6]);
}
