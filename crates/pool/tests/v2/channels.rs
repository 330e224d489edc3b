//! Setup, and the opening, changing and closing of channels.

use common_messages_sv2 as common;
use midstate_chain::Target;
use midstate_pool::{EmbeddedPoolEvent, Front, PoolBounds, PoolConfig, VardiffConfig};
use midstate_sv2::ServerLimits;
use mining_sv2 as mining;

use crate::miner::{EASIEST, Hall, Miner, STANDARD_JOBS, bytes, setup};

const NEW_JOB: u8 = mining::MESSAGE_TYPE_NEW_MINING_JOB;
const NEW_EXTENDED_JOB: u8 = mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB;
const NEW_BLOCK: u8 = mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH;
const SET_TARGET: u8 = mining::MESSAGE_TYPE_SET_TARGET;
const REFUSED: u8 = mining::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR;

#[test]
fn a_channel_opens_with_a_future_job_and_its_block_and_with_an_extranonce_of_its_own() {
    let mut hall = Hall::easy();
    let mut prefixes = Vec::new();
    for flags in [STANDARD_JOBS, 0] {
        let mut miner = Miner::connect(&mut hall).set_up(&mut hall, flags);
        miner.kinds();
        let channel = miner.open(&mut hall, "rig");
        let opened = mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS;
        assert_eq!(miner.kinds(), [opened, NEW_JOB, NEW_BLOCK]);
        assert_eq!(miner.channels[&channel].prefix.len(), 16, "the whole of it");
        if flags == 0 {
            let channel = miner.open_extended(&mut hall, "rig");
            let opened = mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS;
            assert_eq!(miner.kinds(), [opened, NEW_EXTENDED_JOB, NEW_BLOCK]);
            let channel = &miner.channels[&channel];
            assert_eq!((channel.prefix.len(), channel.size), (4, Some(12)));
        }
        assert!(!miner.channels.contains_key(&miner.group), "the group is no channel");
        prefixes.extend(miner.channels.values().map(|channel| channel.prefix[..4].to_vec()));
    }
    prefixes.sort();
    prefixes.dedup();
    assert_eq!(prefixes.len(), 3, "no two channels search the same headers");
    assert_eq!(hall.pool.pool().sessions(), 3);
}

#[test]
fn a_setup_that_cannot_be_served_is_refused_with_its_code_and_the_line_ends() {
    let setup_for = |protocol, versions: (u16, u16), flags| {
        bytes(common::SetupConnection {
            protocol,
            min_version: versions.0,
            max_version: versions.1,
            ..binary_sv2::from_bytes::<common::SetupConnection<'_>>(&mut setup(flags)).unwrap()
        })
    };
    use common::Protocol::{JobDeclarationProtocol, MiningProtocol};
    for (message, flags, code) in [
        (setup_for(JobDeclarationProtocol, (2, 2), 0), 0, "unsupported-protocol"),
        (setup_for(MiningProtocol, (3, 4), 0), 0, "protocol-version-mismatch"),
        (setup_for(MiningProtocol, (2, 2), 0b10), 0b10, "unsupported-feature-flags"),
        // So a proxy learns which flags are supported.
        (setup_for(MiningProtocol, (2, 2), u32::MAX), !0b101, "unsupported-feature-flags"),
    ] {
        let mut hall = Hall::easy();
        let mut miner = Miner::connect(&mut hall);
        miner.say(&mut hall, common::MESSAGE_TYPE_SETUP_CONNECTION, &message);
        assert_eq!(miner.last(), common::MESSAGE_TYPE_SETUP_CONNECTION_ERROR);
        assert_eq!(miner.last_code(4), code);
        assert_eq!(miner.heard[0].payload[..4], u32::to_le_bytes(flags));
        let closed = hall.closed().unwrap();
        assert_eq!(closed, format!("its SetupConnection was refused: {code}"));
    }
}

#[test]
fn a_job_for_a_group_is_one_message_and_standard_jobs_are_one_for_each_channel() {
    for (flags, kinds) in [(0, vec![NEW_EXTENDED_JOB]), (STANDARD_JOBS, vec![NEW_JOB; 3])] {
        let mut hall = Hall::easy();
        let mut miner = Miner::connect(&mut hall).set_up(&mut hall, flags);
        let channels: Vec<_> = (0..3).map(|_| miner.open(&mut hall, "rig")).collect();
        miner.kinds();
        // The pool renews its job every 30 s.
        hall.wait(30);
        miner.listen(&mut hall);
        assert_eq!(miner.kinds(), kinds);
        for channel in channels {
            let found = miner.find(channel, 0);
            miner.submit(&mut hall, channel, &found);
            assert_eq!(miner.answers(), [Ok((channel, 1, 1))]);
        }
    }
}

#[test]
fn a_channel_that_cannot_be_opened_is_refused_with_its_code() {
    let limits = ServerLimits { channels: 2, ..ServerLimits::default() };
    let mut hall = Hall::new(PoolConfig { v2_limits: limits, ..PoolConfig::new(1e-9, 1) });
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let hard = Target::DIFFICULTY_1.to_le_bytes();
    for (user, rate, max_target, code) in [
        ("", 0.0, EASIEST, "invalid-user-identity"),
        ("a\nb", 0.0, EASIEST, "invalid-user-identity"),
        (&"x".repeat(192), 0.0, EASIEST, "invalid-user-identity"),
        ("rig", f32::NAN, EASIEST, "invalid-nominal-hashrate"),
        ("rig", -1.0, EASIEST, "invalid-nominal-hashrate"),
        ("rig", 0.0, [0; 32], "max-target-out-of-range"),
        // Harder than a block of this pool.
        ("rig", 0.0, hard, "max-target-out-of-range"),
    ] {
        miner.ask(&mut hall, user, rate, max_target);
        assert_eq!((miner.last(), miner.last_code(4).as_str()), (REFUSED, code), "{user:?}");
    }
    miner.ask_extended(&mut hall, "rig", 13);
    assert_eq!(miner.last_code(4), "min-extranonce-size-too-large");
    assert_eq!(miner.heard.last().unwrap().payload[..4], u32::to_le_bytes(78));
    miner.open(&mut hall, "rig");
    miner.open(&mut hall, "rig");
    miner.ask(&mut hall, "rig", 0.0, EASIEST);
    assert_eq!(miner.last_code(4), "channel-capacity-exhausted");

    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, STANDARD_JOBS);
    miner.ask_extended(&mut hall, "rig", 4);
    assert_eq!(miner.last_code(4), "extended-channels-not-supported-for-standard-jobs");
    assert_eq!(hall.closed(), None, "a refusal ends no connection");
}

#[test]
fn all_connections_together_have_so_many_channels_and_a_closed_one_makes_room() {
    let bounds = PoolBounds { channels: 3, ..PoolBounds::default() };
    let mut hall = Hall::new(PoolConfig { bounds, ..PoolConfig::new(1e-9, 1) });
    let mut first = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let closed = first.open(&mut hall, "rig");
    first.open(&mut hall, "rig");
    let mut second = Miner::connect(&mut hall).set_up(&mut hall, 0);
    second.open(&mut hall, "rig");
    second.ask(&mut hall, "rig", 0.0, EASIEST);
    assert_eq!(second.last_code(4), "channel-capacity-exhausted");
    first.close(&mut hall, closed);
    second.open(&mut hall, "rig");
    hall.pool.disconnect(first.id);
    second.open(&mut hall, "rig");
    assert_eq!(hall.pool.pool().sessions(), 3);
}

#[test]
fn a_closed_channel_leaves_and_its_shares_are_refused_and_a_group_closes_with_all_in_it() {
    let mut hall = Hall::easy();
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let [ann, ben, _] = ["ann", "ben", "eve"].map(|name| miner.open(&mut hall, name));
    let left = |hall: &Hall| -> Vec<String> {
        let worker = |event: &EmbeddedPoolEvent| match event {
            EmbeddedPoolEvent::Left { miner, .. } => Some(miner.worker.clone()),
            _ => None,
        };
        hall.events.iter().filter_map(worker).collect()
    };
    let found = miner.find(ann, 0);
    miner.close(&mut hall, ann);
    assert_eq!(left(&hall), ["ann"]);
    miner.kinds();
    miner.submit(&mut hall, ann, &found);
    assert_eq!(miner.answers(), [Err((ann, 1, "invalid-channel-id".to_owned()))]);
    miner.channels.remove(&ann);
    let found = miner.find(ben, 0);
    miner.submit(&mut hall, ben, &found);
    assert_eq!(miner.answers(), [Ok((ben, 1, 1))]);
    let group = miner.group;
    miner.close(&mut hall, group);
    assert_eq!(left(&hall), ["ann", "ben", "eve"]);
    hall.wait(30);
    miner.listen(&mut hall);
    assert!(miner.kinds().is_empty(), "no more work");
    // The connection stays, and can open others.
    miner.channels.clear();
    miner.open(&mut hall, "ann");
}

#[test]
fn with_vardiff_the_nominal_hash_rate_chooses_the_target_and_updates_change_it() {
    let config = PoolConfig { vardiff: Some(VardiffConfig::default()), ..PoolConfig::new(1.0, 1) };
    let mut hall = Hall::new(config);
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let difficulty = |miner: &Miner, channel| miner.channels[&channel].target.difficulty();
    // A share every 4 s: 2^32 hashes at 2^28 a second are 16 s.
    miner.ask(&mut hall, "rig", 2f32.powi(28), EASIEST);
    let channel = *miner.channels.keys().next().unwrap();
    assert!((difficulty(&miner, channel) - 0.25).abs() < 1e-3);
    miner.kinds();
    miner.update(&mut hall, channel, 2f32.powi(29), EASIEST);
    assert_eq!(miner.kinds(), [SET_TARGET, NEW_JOB], "the target is for the job behind it");
    assert!((difficulty(&miner, channel) - 0.5).abs() < 1e-3);
    // The miner's own bound is kept, to the bit.
    let max_target = Target::from_difficulty(0.75).unwrap().to_le_bytes();
    miner.update(&mut hall, channel, 2f32.powi(29), max_target);
    assert_eq!(miner.channels[&channel].target.to_le_bytes(), max_target);
    miner.kinds();
    miner.update(&mut hall, channel, f32::INFINITY, EASIEST);
    assert_eq!(miner.last(), mining::MESSAGE_TYPE_UPDATE_CHANNEL_ERROR);
    assert_eq!(miner.last_code(4), "invalid-nominal-hashrate");
    miner.update(&mut hall, channel + 1, 1.0, EASIEST);
    assert_eq!(miner.last_code(4), "invalid-channel-id");
    miner.update(&mut hall, channel, 1.0, [0; 32]);
    assert_eq!(miner.last_code(4), "max-target-out-of-range");
}
