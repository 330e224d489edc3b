//! Several channels on one connection: each has jobs, a target and books of its own.

use std::sync::Arc;
use std::time::Duration;

use binary_sv2::B032;
use common_messages_sv2 as common;
use midstate_chain::{Hash256, Job, Share, Target, U256, Verdict};
use midstate_sv2::{ChannelKind, ClientConfig, Event};
use mining_sv2 as mining;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::pool::{EASY, GROUP, MAINNET, Pair, Sent, UNIX, find_share};

/// The requests for channels among the messages, by their numbers.
fn requests(sent: &[Sent]) -> Vec<u32> {
    let is_request = |sent: &&Sent| {
        matches!(
            sent.kind,
            mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL
                | mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL
        )
    };
    let number = |sent: &Sent| u32::from_le_bytes(sent.payload[..4].try_into().unwrap());
    sent.iter().filter(is_request).map(number).collect()
}

/// Shares on standard channels, as `(channel, sequence, job)`.
fn shares(sent: &[Sent]) -> Vec<(u32, u32, u32)> {
    let of = |sent: &Sent| {
        let mut payload = sent.payload.clone();
        let share: mining::SubmitSharesStandard = binary_sv2::from_bytes(&mut payload).unwrap();
        (share.channel_id, share.sequence_number, share.job_id)
    };
    let is_share = |sent: &&Sent| sent.kind == mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD;
    sent.iter().filter(is_share).map(of).collect()
}

/// The prefix of a channel's extranonce.
fn prefix(channel: u32) -> [u8; 4] {
    channel.to_be_bytes()
}

/// The channel that the pool opens for a request.
fn channel_of(request: u32) -> u32 {
    100 + request
}

fn open(pair: &mut Pair, request: u32) {
    let prefix = prefix(channel_of(request));
    let message = mining::OpenStandardMiningChannelSuccess {
        request_id: request,
        channel_id: channel_of(request),
        target: (&EASY).into(),
        extranonce_prefix: B032::new(&prefix).unwrap(),
        group_channel_id: GROUP,
    };
    pair.say(mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS, message);
}

fn refuse_channel(pair: &mut Pair, request: u32) {
    let error_code = "channel-capacity-exhausted".try_into().unwrap();
    let message = mining::OpenMiningChannelError { request_id: request, error_code };
    pair.say(mining::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR, message);
}

fn close(pair: &mut Pair, channel: u32) {
    let reason_code = "maintenance".try_into().unwrap();
    let message = mining::CloseChannel { channel_id: channel, reason_code };
    pair.say(mining::MESSAGE_TYPE_CLOSE_CHANNEL, message);
}

fn new_block_of_group(pair: &mut Pair, job: u32) {
    let prev_hash = [job as u8; 32];
    let message = mining::SetNewPrevHash {
        channel_id: GROUP,
        job_id: job,
        prev_hash: (&prev_hash).into(),
        min_ntime: UNIX,
        nbits: MAINNET,
    };
    pair.say(mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH, message);
}

fn accept(pair: &mut Pair, channel: u32, last: u32, count: u32) {
    let message = mining::SubmitSharesSuccess {
        channel_id: channel,
        last_sequence_number: last,
        new_submits_accepted_count: count,
        new_shares_sum: 1,
    };
    pair.say(mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS, message);
}

/// A connection of so many standard channels, none of them open.
fn connected(channels: usize) -> Pair {
    let mut pair = Pair::new(ClientConfig { channels, ..ClientConfig::new("bc1q.rig") });
    pair.connect();
    pair.accept_setup(0);
    pair
}

/// All of them open, with a job of the group.
fn working(channels: u32) -> Pair {
    let mut pair = connected(channels as usize);
    let mut opened = 0;
    while opened < channels {
        for request in requests(&std::mem::take(&mut pair.sent)) {
            open(&mut pair, request);
            opened += 1;
        }
    }
    pair.extended_job(GROUP, 1, None);
    new_block_of_group(&mut pair, 1);
    pair
}

/// The newest job of a channel.
fn job_of(pair: &Pair, channel: u32) -> Arc<Job> {
    let job = |event: &Event| match event {
        Event::Job(job) if job.channel == Some(channel) => Some(Arc::clone(job)),
        _ => None,
    };
    pair.events.iter().rev().find_map(job).unwrap()
}

fn verdicts(pair: &Pair) -> Vec<(Option<u32>, Verdict)> {
    let verdict = |event: &Event| match event {
        Event::Verdict(outcome) => Some((outcome.share.job.channel, outcome.verdict)),
        _ => None,
    };
    pair.events.iter().filter_map(verdict).collect()
}

#[test]
fn each_channel_is_asked_for_with_its_part_of_the_hash_rate_and_jobs_by_group_are_welcome() {
    let mut pair = connected(4);
    let setup: common::SetupConnection<'_> =
        binary_sv2::from_bytes(&mut pair.sent[0].payload).unwrap();
    assert_eq!(setup.flags, 0, "standard jobs are not insisted on");
    assert_eq!(requests(&pair.sent), [1, 2, 3, 4]);
    let ask: mining::OpenStandardMiningChannel<'_> =
        binary_sv2::from_bytes(&mut pair.sent[1].payload).unwrap();
    assert!((ask.nominal_hash_rate - 2.5e6).abs() < 1.0);
    // In any order.
    open(&mut pair, 3);
    open(&mut pair, 1);
    let opened = |channel| Event::Opened { channel, kind: ChannelKind::Standard };
    for request in [1, 3] {
        assert!(pair.events.contains(&opened(channel_of(request))), "{:?}", pair.events);
    }
    // A changed rate is told to each that is open.
    pair.sent.clear();
    pair.wait(31);
    pair.client.set_hash_rate(pair.now, 4e9);
    pair.settle();
    let is_update = |sent: &&Sent| sent.kind == mining::MESSAGE_TYPE_UPDATE_CHANNEL;
    let updates: Vec<Sent> = pair.sent.iter().filter(is_update).cloned().collect();
    assert_eq!(updates.len(), 2);
    for mut update in updates {
        let update: mining::UpdateChannel<'_> =
            binary_sv2::from_bytes(&mut update.payload).unwrap();
        assert!((update.nominal_hash_rate - 1e9).abs() < 100.0);
    }
}

#[test]
fn an_extended_job_of_the_group_is_a_job_for_each_standard_channel_in_it() {
    let mut pair = working(3);
    for request in 1..=3 {
        let channel = channel_of(request);
        let job = job_of(&pair, channel);
        assert_eq!((job.id.as_str(), job.extranonce2_size), ("1", 0), "nothing of it is ours");
        // As the group's job has it, with this channel's whole extranonce.
        let coinbase = [&[1, 1][..], &prefix(channel), &[2; 40]].concat();
        let both = [*Hash256::of(&coinbase).as_bytes(), [0xaa; 32]].concat();
        assert_eq!(job.merkle_root(&[]), Hash256::of(&both));
        pair.submit(find_share(&job, 0));
    }
    // Each counts its own shares from 1.
    assert_eq!(shares(&pair.sent), [(101, 1, 1), (102, 1, 1), (103, 1, 1)]);
    // To one of them directly, it is a job of the other kind.
    pair.extended_job(101, 2, Some(UNIX));
    assert!(pair.warnings()[0].contains("other kind of channel"), "{:?}", pair.warnings());
}

#[test]
fn a_channel_that_leaves_the_group_has_its_jobs_elsewhere() {
    let mut pair = working(2);
    let message = mining::SetGroupChannel {
        group_channel_id: 9,
        channel_ids: binary_sv2::Seq064K::new(vec![102]).unwrap(),
    };
    pair.say(mining::MESSAGE_TYPE_SET_GROUP_CHANNEL, message);
    pair.extended_job(GROUP, 2, Some(UNIX));
    assert_eq!((job_of(&pair, 101).id.as_str(), job_of(&pair, 102).id.as_str()), ("2", "1"));
    pair.extended_job(9, 3, Some(UNIX));
    assert_eq!((job_of(&pair, 101).id.as_str(), job_of(&pair, 102).id.as_str()), ("2", "3"));
}

#[test]
fn an_answer_ends_shares_of_its_own_channel_alone() {
    let mut pair = working(2);
    let jobs = [101, 102].map(|channel| job_of(&pair, channel));
    for job in &jobs {
        pair.submit(find_share(job, 0));
        pair.submit(find_share(job, 1));
    }
    accept(&mut pair, 102, 2, 2);
    assert_eq!(verdicts(&pair), [(Some(102), Verdict::Accepted); 2]);
    let message = mining::SubmitSharesError {
        channel_id: 101,
        sequence_number: 2,
        error_code: "stale-share".try_into().unwrap(),
    };
    pair.say(mining::MESSAGE_TYPE_SUBMIT_SHARES_ERROR, message);
    assert_eq!(verdicts(&pair)[2], (Some(101), Verdict::Rejected));
    assert_eq!(pair.client.pending(), 1);
    // A group has no shares.
    accept(&mut pair, GROUP, 2, 2);
    assert_eq!(pair.client.pending(), 1);
}

#[test]
fn a_target_holds_for_its_channel_and_one_of_the_group_for_all() {
    let mut pair = working(2);
    let mut harder = EASY;
    harder[30] = 0;
    let target = |target: [u8; 32]| Target::from_number(U256::from_le_bytes(target));
    let set = |pair: &mut Pair, channel| {
        let message = mining::SetTarget { channel_id: channel, maximum_target: (&harder).into() };
        pair.say(mining::MESSAGE_TYPE_SET_TARGET, message);
    };
    set(&mut pair, 102);
    pair.extended_job(GROUP, 2, Some(UNIX));
    assert_eq!(job_of(&pair, 101).share_target, target(EASY));
    assert_eq!(job_of(&pair, 102).share_target, target(harder));
    set(&mut pair, GROUP);
    pair.extended_job(GROUP, 3, Some(UNIX));
    assert_eq!(job_of(&pair, 101).share_target, target(harder));
}

#[test]
fn a_channel_that_the_pool_closes_ends_alone_and_is_opened_again_after_a_growing_pause() {
    let mut pair = working(2);
    let old = job_of(&pair, 101);
    pair.submit(find_share(&old, 0));
    pair.submit(find_share(&job_of(&pair, 102), 0));
    pair.sent.clear();
    close(&mut pair, 101);
    assert_eq!(pair.closed(), None, "the other one goes on");
    assert!(pair.events.contains(&Event::Ended { channel: 101 }), "{:?}", pair.events);
    assert_eq!(verdicts(&pair), [(Some(101), Verdict::Unresolved)]);
    assert_eq!(
        pair.warnings(),
        ["warning: pool: closed channel 101: maintenance; asking again in 1 s"]
    );
    // Its job is void, and so are the shares that a thread finds yet.
    pair.submit(find_share(&old, 1));
    assert_eq!(verdicts(&pair)[1], (Some(101), Verdict::Stale));
    accept(&mut pair, 102, 1, 1);
    assert_eq!(verdicts(&pair)[2], (Some(102), Verdict::Accepted));

    let mut pauses = Vec::new();
    for _ in 0..8 {
        assert_eq!(requests(&pair.sent), [0; 0]);
        let (closed, due) = (pair.now, pair.client.poll_timeout().unwrap());
        pair.now = due;
        pair.wait(0);
        pauses.push((due - closed).as_secs());
        let [request] = requests(&std::mem::take(&mut pair.sent))[..] else { panic!() };
        open(&mut pair, request);
        close(&mut pair, channel_of(request));
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
    // A share that is accepted makes the pause short again.
    pair.wait(60);
    let [request] = requests(&std::mem::take(&mut pair.sent))[..] else { panic!() };
    open(&mut pair, request);
    pair.extended_job(GROUP, 2, None);
    new_block_of_group(&mut pair, 2);
    pair.submit(find_share(&job_of(&pair, channel_of(request)), 0));
    accept(&mut pair, channel_of(request), 1, 1);
    close(&mut pair, channel_of(request));
    assert_eq!(pair.client.poll_timeout(), Some(pair.now + Duration::from_secs(1)));
    // The last channel takes the connection with it.
    close(&mut pair, 102);
    assert_eq!(pair.closed().unwrap(), "the pool closed the channel: maintenance");
}

#[test]
fn a_channel_that_is_refused_beside_others_is_asked_for_again_and_the_last_refusal_counts() {
    let mut pair = connected(3);
    refuse_channel(&mut pair, 1);
    open(&mut pair, 2);
    refuse_channel(&mut pair, 3);
    assert_eq!(pair.closed(), None);
    assert!(pair.warnings()[0].contains("the pool is full; asking again in 1 s"));
    pair.sent.clear();
    pair.wait(1);
    assert_eq!(requests(&pair.sent), [4, 5]);

    let mut pair = connected(2);
    refuse_channel(&mut pair, 1);
    assert_eq!(pair.closed(), None, "the other one may be opened");
    refuse_channel(&mut pair, 2);
    assert!(pair.closed().unwrap().contains("channel-capacity-exhausted"));
    assert!(pair.events.iter().any(|event| matches!(event, Event::Refused { .. })));
}

#[test]
fn a_request_without_an_answer_is_made_again_while_another_channel_is_open() {
    let mut pair = connected(2);
    open(&mut pair, 1);
    pair.sent.clear();
    pair.wait(15);
    assert!(
        pair.warnings()[0].contains("no answer to OpenStandardMiningChannel within 15 s"),
        "{:?}",
        pair.warnings()
    );
    pair.wait(1);
    assert_eq!(requests(&pair.sent), [3]);
    // The late answer is to no request of ours.
    open(&mut pair, 2);
    assert!(
        !pair
            .events
            .contains(&Event::Opened { channel: channel_of(2), kind: ChannelKind::Standard })
    );
}

#[test]
fn a_number_that_is_given_twice_ends_the_connection() {
    let mut pair = connected(3);
    open(&mut pair, 1);
    let message = mining::OpenStandardMiningChannelSuccess {
        request_id: 2,
        channel_id: channel_of(1),
        target: (&EASY).into(),
        extranonce_prefix: B032::new(&[1, 2, 3, 4]).unwrap(),
        group_channel_id: GROUP,
    };
    pair.say(mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS, message);
    assert!(pair.closed().unwrap().contains("opened channel 101 twice"), "{:?}", pair.closed());
    assert_eq!(pair.client.poll_timeout(), None, "the third request has no answer to wait for");
}

#[test]
fn one_share_at_a_time_is_one_on_each_channel() {
    let config = ClientConfig { channels: 2, single_submit: true, ..ClientConfig::new("rig") };
    let mut pair = Pair::new(config);
    pair.connect();
    pair.accept_setup(0);
    open(&mut pair, 1);
    open(&mut pair, 2);
    pair.extended_job(GROUP, 1, None);
    new_block_of_group(&mut pair, 1);
    for channel in [101, 102, 101] {
        let job = job_of(&pair, channel);
        pair.submit(find_share(&job, pair.sent.len()));
    }
    assert_eq!(shares(&pair.sent), [(101, 1, 1), (102, 1, 1)]);
}

#[test]
fn a_thousand_channels_are_opened_a_window_at_a_time_and_none_loses_a_share() {
    assert_eq!(requests(&connected(1000).sent).len(), 64);
    let mut pair = working(1000);
    for round in 0..2 {
        for channel in 101..=1100 {
            let job = job_of(&pair, channel);
            pair.submit(find_share(&job, round));
            pair.now += Duration::from_millis(6);
        }
    }
    assert_eq!(pair.client.pending(), 2000);
    for channel in 101..=1100 {
        accept(&mut pair, channel, 2, 2);
    }
    assert_eq!(pair.client.pending(), 0);
    assert_eq!(verdicts(&pair).len(), 2000);
    assert!(verdicts(&pair).iter().all(|&(_, verdict)| verdict == Verdict::Accepted));
    assert_eq!(pair.closed(), None);
    assert_eq!(pair.warnings(), [""; 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 30, ..ProptestConfig::default() })]

    /// No message of a pool to any of several channels makes it panic, and each share ends once.
    #[test]
    fn random_messages_to_several_channels_lose_and_double_no_share(
        says in vec((0x10_u8..0x26, 0_u32..6, vec(any::<u8>(), 0..80)), 0..40),
    ) {
        let mut pair = working(3);
        let mut sent: Vec<Share> = Vec::new();
        for (kind, whom, mut payload) in says {
            let newest = pair.events.iter().rev().find_map(|event| match event {
                Event::Job(job) => Some(Arc::clone(job)),
                _ => None,
            });
            let job = newest.unwrap();
            // A target that the pool made up may take for ever.
            if job.share_target == Target::from_number(U256::from_le_bytes(EASY)) {
                let share = find_share(&job, sent.len());
                sent.push(share.clone());
                pair.submit(share);
            }
            if payload.len() > 4 {
                let number = if whom == 5 { GROUP } else { 100 + whom };
                payload[..4].copy_from_slice(&number.to_le_bytes());
            }
            let bytes = pair.pool.say_raw(kind, 0, &payload);
            pair.hear(&bytes);
            pair.wait(1);
        }
        pair.client.finish(pair.now);
        pair.settle();
        prop_assert_eq!(pair.verdicts().len(), sent.len());
        prop_assert_eq!(pair.client.pending(), 0);
    }
}
