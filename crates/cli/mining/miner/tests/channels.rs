//! Several channels at a pool of Stratum V2.

use super::*;

#[test]
fn jobs_of_several_channels_are_hashed_beside_each_other_until_one_is_alone() {
    let mut world = world(Goals::default());
    let job = |channel, id: &str| {
        Arc::new(Job { session: channel, channel: u32::try_from(channel).ok(), ..job(id) })
    };
    world.state_of("one", LinkState::Authorized);
    world.link(Happened::job(job(1, "a")));
    world.link(Happened::job_beside(job(2, "b")));
    let hard =
        Job { share_target: Target::from_difficulty(1.0).unwrap(), ..(*job(2, "c")).clone() };
    world.link(Happened::job_beside(Arc::new(hard)));
    let status = |world: &World| {
        let status = world.miner.status(world.now);
        (status.jobs, status.job.map(|job| job.job_id))
    };
    assert_eq!(status(&world), (2, Some("c".to_owned())));
    // Every second hash is for the easy channel: a share takes twice the hashes of that one.
    let easy = job(1, "a").submit_target().expected_hashes_f64();
    let expected = world.miner.works.expected_hashes(Job::submit_target).unwrap();
    assert!((expected / easy - 2.0).abs() < 1e-6, "{expected} and {easy}");
    world.link(Happened::ChannelEnded { channel: 2 });
    assert_eq!(status(&world), (1, Some("a".to_owned())));
    world.link(Happened::job_beside(job(3, "d")));
    world.link(Happened::Pause);
    assert_eq!(status(&world), (0, None));
    world.link_of("two", Happened::job(job(1, "e")));
    assert_eq!(status(&world), (1, Some("e".to_owned())), "of another pool");
    let hashed = ["hash", "hash beside", "leave"].map(|action| world.asked(action));
    assert_eq!(hashed, [3, 3, 1]);
}
