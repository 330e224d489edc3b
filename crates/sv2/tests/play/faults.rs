//! Pools that do what they should not.

use std::time::Duration;

use common_messages_sv2 as common;
use midstate_chain::Verdict;
use midstate_sv2::Event;
use mining_sv2 as mining;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::pool::{CHANNEL, EASY, MAINNET, Pair, UNIX, dialled, find_share};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn bytes_that_are_no_handshake_end_the_connection_with_a_question() {
    let mut pair = Pair::standard();
    pair.client.handle_connected(pair.now, dialled(UNIX));
    pair.client.handle_bytes(pair.now, &[b'{'; 233]);
    assert_eq!(pair.client.poll_event(), None, "not whole yet");
    pair.client.handle_bytes(pair.now, &[b'}'; 1]);
    pair.settle();
    assert!(pair.closed().unwrap().contains("is this a Stratum V2 port"), "{:?}", pair.closed());
    pair.client.handle_bytes(pair.now, &[1; 500]);
    pair.settle();
    assert_eq!(pair.events.len(), 1, "nothing is heard any more");
}

#[test]
fn a_byte_that_was_changed_on_the_way_ends_the_connection() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    let mut bytes = pair.pool.say(
        mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS,
        mining::SubmitSharesSuccess {
            channel_id: CHANNEL,
            last_sequence_number: 1,
            new_submits_accepted_count: 1,
            new_shares_sum: 1,
        },
    );
    *bytes.last_mut().unwrap() ^= 1;
    pair.hear(&bytes);
    assert!(pair.closed().unwrap().contains("cannot be decrypted"), "{:?}", pair.closed());
}

#[test]
fn a_frame_that_is_too_long_is_refused_by_its_header() {
    let mut pair = Pair::standard().open();
    let header = pair.pool.say_header(mining::MESSAGE_TYPE_NEW_MINING_JOB, 256 * 1024 + 1);
    pair.hear(&header);
    assert_eq!(
        pair.closed().unwrap(),
        "a frame of 262145 bytes was announced, the limit is 262144"
    );
    let mut pair = Pair::standard().open();
    let header = pair.pool.say_header(mining::MESSAGE_TYPE_NEW_MINING_JOB, 256 * 1024);
    pair.hear(&header);
    assert_eq!(pair.closed(), None);
    pair.wait(30);
    assert_eq!(pair.closed().unwrap(), "a frame was begun and not finished within 30 s");
}

#[test]
fn a_long_message_in_many_pieces_is_one_message() {
    let mut pair = Pair::extended().open();
    let suffix = vec![2; 65_535];
    let path = [[0xaa_u8; 32]; 12];
    let message = mining::NewExtendedMiningJob {
        channel_id: CHANNEL,
        job_id: 1,
        min_ntime: binary_sv2::Sv2Option::new(None),
        version: 0x2000_0000,
        version_rolling_allowed: false,
        merkle_path: binary_sv2::Seq0255::new(path.iter().map(|hash| hash.into()).collect())
            .unwrap(),
        coinbase_tx_prefix: binary_sv2::B064K::new(&suffix[..60_000]).unwrap(),
        coinbase_tx_suffix: binary_sv2::B064K::new(&suffix).unwrap(),
    };
    let bytes = pair.pool.say(mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB, message);
    for byte in bytes.chunks(977) {
        pair.hear(byte);
    }
    pair.new_block(1, MAINNET);
    let job = pair.job();
    assert_eq!(job.coinbase(&[0; 4]).len(), 60_000 + 4 + 4 + 65_535);
    assert_eq!((job.branch.len(), job.version_mask), (12, 0), "the version is not to be rolled");
}

#[test]
fn unknown_messages_and_extensions_are_ignored() {
    let mut pair = Pair::standard().open();
    for (kind, extension) in [(0x7f, 0), (0xff, 0), (0x20, 1), (0x21, 0x8001), (0x03, 0)] {
        let bytes = pair.pool.say_raw(kind, extension, &[1, 2, 3]);
        pair.hear(&bytes);
    }
    let bytes = pair.pool.say_raw(0x60, 0, &[]);
    pair.hear(&bytes);
    assert_eq!(pair.closed(), None);
    assert_eq!(pair.warnings(), [""; 0]);
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    assert_eq!(pair.job().id, "1");
}

#[test]
fn the_eighth_malformed_message_ends_the_connection() {
    let mut pair = Pair::standard().open();
    for nth in 1..=8 {
        assert_eq!(pair.closed(), None, "before number {nth}");
        let bytes = pair.pool.say_raw(mining::MESSAGE_TYPE_SET_TARGET, 0, &[1; 9]);
        pair.hear(&bytes);
    }
    let closed = pair.closed().unwrap();
    assert!(closed.starts_with("8 malformed messages came"), "{closed}");
    assert!(closed.contains("SetTarget: its fields do not fit its 9 bytes"), "{closed}");
}

#[test]
fn messages_for_another_channel_change_nothing() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    let job = pair.job();
    pair.submit(find_share(&job, 0));
    let events = pair.events.len();
    pair.say(
        mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS,
        mining::SubmitSharesSuccess {
            channel_id: CHANNEL + 1,
            last_sequence_number: 1,
            new_submits_accepted_count: 1,
            new_shares_sum: 1,
        },
    );
    pair.say(
        mining::MESSAGE_TYPE_CLOSE_CHANNEL,
        mining::CloseChannel { channel_id: CHANNEL + 1, reason_code: "gone".try_into().unwrap() },
    );
    assert_eq!(pair.events.len(), events, "{:?}", pair.events);
    pair.say(
        mining::MESSAGE_TYPE_CLOSE_CHANNEL,
        mining::CloseChannel {
            channel_id: CHANNEL,
            reason_code: "\x1b[31mgone".try_into().unwrap(),
        },
    );
    assert_eq!(pair.closed().unwrap(), "the pool closed the channel: [31mgone");
}

#[test]
fn a_job_before_its_block_waits_for_it() {
    let mut pair = Pair::standard().open();
    pair.standard_job(4, Some(UNIX));
    assert!(pair.warnings()[0].contains("no block was named yet"), "{:?}", pair.warnings());
    pair.new_block(4, MAINNET);
    assert_eq!(pair.job().id, "4");
}

#[test]
fn a_pool_without_work_is_left() {
    let mut pair = Pair::standard().open();
    pair.wait(299);
    assert_eq!(pair.closed(), None);
    pair.wait(1);
    assert!(pair.closed().unwrap().starts_with("no job came for 300 s"), "{:?}", pair.closed());

    // With a job, silence is no fault for two hours: blocks take their time.
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    pair.wait(7199);
    assert_eq!(pair.closed(), None);
    pair.wait(1);
    assert_eq!(pair.closed().unwrap(), "nothing came for 7200 s");
}

#[test]
fn a_pool_that_takes_no_share_is_left_by_the_rules_of_v1() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    let job = pair.job();
    for nth in 0..20_u32 {
        assert_eq!(pair.closed(), None, "before number {nth}");
        pair.wait(2);
        pair.submit(find_share(&job, nth as usize));
        pair.refuse(nth + 1, "invalid-share");
    }
    let closed = pair.closed().unwrap();
    assert!(closed.contains("refused 20 shares in a row"), "{closed}");
    assert!(closed.contains("invalid-share"), "{closed}");
    assert_eq!(pair.verdicts().len(), 20);
}

#[test]
fn a_share_that_is_stale_right_behind_a_new_job_is_bad_luck_and_later_it_counts() {
    for (after, is_left) in [(1, false), (10, true)] {
        let mut pair = Pair::standard().open();
        pair.standard_job(1, None);
        pair.new_block(1, MAINNET);
        let old = pair.job();
        pair.standard_job(2, Some(UNIX));
        for nth in 0..20_u32 {
            // A job of the same block comes each time, and a share of the first one later.
            pair.standard_job(3 + nth, Some(UNIX));
            pair.wait(after);
            pair.submit(find_share(&old, nth as usize));
            pair.refuse(nth + 1, "stale-share");
            pair.wait(10 - after);
        }
        assert_eq!(pair.closed().is_some(), is_left, "{after} s behind it: {:?}", pair.closed());
    }
}

#[test]
fn a_pool_that_answers_in_batches_has_time_and_a_mute_one_is_left() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    let job = pair.job();
    for nth in 0..255 {
        pair.submit(find_share(&job, nth));
        pair.now += Duration::from_millis(20);
    }
    pair.wait(100);
    assert_eq!(pair.closed(), None, "255 wait, which may be a batch");
    pair.submit(find_share(&job, 255));
    pair.wait(1);
    assert!(pair.closed().unwrap().contains("left 256 shares unanswered"), "{:?}", pair.closed());
    pair.client.handle_disconnected(pair.now);
    pair.settle();
    assert_eq!(pair.verdicts().len(), 256);
    assert!(pair.verdicts().iter().all(|(verdict, _)| *verdict == Verdict::Unresolved));
}

/// A pool with so many shares sent at once, none of them answered.
fn unanswered(shares: usize) -> Pair {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    let job = pair.job();
    (0..shares).for_each(|nth| pair.submit(find_share(&job, nth)));
    pair
}

#[test]
fn rule_3_a_v2_pool_on_which_nothing_comes_any_more_is_left_within_three_minutes() {
    for shares in [5, 40] {
        let mut pair = unanswered(shares);
        pair.wait(149);
        assert_eq!(pair.closed(), None, "{shares} shares");
        assert!(pair.client.poll_timeout().is_some_and(|due| due <= pair.now + SECOND));
        pair.wait(1);
        let words = format!("the pool left {shares} shares unanswered, the oldest for 150 s");
        assert_eq!(pair.closed(), Some(words));
    }
    // Few shares are no proof, nor is the time before the first of them.
    let mut pair = unanswered(4);
    pair.wait(3000);
    assert_eq!(pair.closed(), None);
    let job = pair.job();
    pair.submit(find_share(&job, 4));
    pair.wait(0);
    assert!(pair.closed().unwrap().contains("left 5 shares unanswered"), "{:?}", pair.closed());
    let mut pair = unanswered(0);
    pair.wait(3000);
    let job = pair.job();
    (0..5).for_each(|nth| pair.submit(find_share(&job, nth)));
    pair.wait(149);
    assert_eq!(pair.closed(), None);
}

#[test]
fn rule_3_a_v2_pool_that_sends_jobs_and_answers_no_share_is_left_after_twenty_minutes() {
    let mut pair = unanswered(5);
    for job in 2..22 {
        assert_eq!(pair.closed(), None, "before job {job}");
        pair.wait(60);
        pair.standard_job(job, Some(UNIX));
    }
    assert_eq!(pair.closed().unwrap(), "the pool left 5 shares unanswered, the oldest for 1200 s");
}

#[test]
fn rule_3_a_v2_pool_that_answers_in_large_batches_is_never_left() {
    let mut pair = unanswered(0);
    // A share in ten seconds, a hundred with one answer, and a job a minute.
    for second in 1..=3000_u32 {
        pair.wait(1);
        if second % 60 == 0 {
            pair.standard_job(1 + second / 60, Some(UNIX));
        }
        if second % 10 == 0 {
            let job = pair.job();
            pair.submit(find_share(&job, (second / 10 % 6) as usize));
        }
        if second % 1000 == 0 {
            pair.accept(second / 10, 100);
        }
        assert_eq!(pair.closed(), None, "after {second} s");
    }
    assert_eq!(pair.verdicts().len(), 300);
    assert!(pair.verdicts().iter().all(|(verdict, _)| *verdict == Verdict::Accepted));
}

/// Finds a share every `pace` seconds, for so many shares; the pool answers `batch` at a time,
/// none for 0. There is a new job for each.
fn mine(pair: &mut Pair, pace: u64, shares: u32, batch: u32) {
    for _ in 0..shares {
        pair.wait(pace);
        let nth = pair.client.pending() as u32 + pair.verdicts().len() as u32 + 1;
        pair.standard_job(1 + nth, Some(UNIX));
        let job = pair.job();
        if pair.closed().is_none() {
            pair.submit(find_share(&job, 0));
            if batch > 0 && nth.is_multiple_of(batch) {
                pair.accept(nth, batch);
            }
        }
    }
}

#[test]
fn rule_3_a_v2_pool_that_answered_and_falls_silent_is_left_by_the_size_of_its_batches() {
    // Batches, the time between two shares, and how many of them have no answer at the end. The
    // last pool is left after twenty minutes.
    for (batch, pace, count) in [(1, 1, 60), (1, 10, 16), (10, 1, 60), (10, 10, 40), (100, 10, 120)]
    {
        let mut pair = unanswered(0);
        mine(&mut pair, pace, 200, batch);
        assert_eq!(pair.closed(), None, "{batch} at a time");
        mine(&mut pair, pace, 300, 0);
        let closed = pair.closed().unwrap_or_default();
        let words = format!("left {count} shares unanswered");
        assert!(closed.contains(&words), "{batch} at a time, every {pace} s: {closed}");
    }
}

#[test]
fn rule_3_a_v2_pool_that_answers_in_batches_is_not_left_when_the_miner_changes_its_pace() {
    for (batch, paces) in [(10, [1, 60, 1]), (100, [1, 10, 1]), (10, [60, 1, 60])] {
        let mut pair = unanswered(0);
        for pace in paces {
            mine(&mut pair, pace, 200, batch);
            assert_eq!(pair.closed(), None, "{batch} at a time, every {pace} s");
        }
        assert_eq!(pair.verdicts().len(), 600);
    }
    // One that answers every four minutes counts nothing, and the miner becomes faster.
    let mut pair = unanswered(0);
    for (pace, shares) in [(40, 6), (40, 6), (2, 120), (2, 120), (2, 120)] {
        mine(&mut pair, pace, shares, 0);
        let sent = (pair.client.pending() + pair.verdicts().len()) as u32;
        pair.accept(sent, shares);
        assert_eq!(pair.closed(), None, "a share in {pace} s");
    }
    assert_eq!((pair.client.pending(), pair.verdicts().len()), (0, 372));
}

#[test]
fn reconnect_is_handed_on_and_not_without_end() {
    let mut pair = Pair::standard().open();
    let say = |pair: &mut Pair, host: &str, port| {
        let new_host = host.try_into().unwrap();
        pair.say(common::MESSAGE_TYPE_RECONNECT, common::Reconnect { new_host, new_port: port });
    };
    say(&mut pair, "", 0);
    say(&mut pair, "eu.pool.example", 4444);
    say(&mut pair, "no host!", 1);
    say(&mut pair, "", 1);
    say(&mut pair, "", 2);
    let redirects: Vec<_> = pair
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Redirect { host, port, .. } => Some((host.clone(), *port)),
            _ => None,
        })
        .collect();
    assert_eq!(
        redirects,
        [(None, None), (Some("eu.pool.example".to_owned()), Some(4444)), (None, Some(1))]
    );
    assert_eq!(pair.warnings().len(), 2, "{:?}", pair.warnings());
}

#[test]
fn rule_5_a_channel_that_cannot_be_used_ends_the_connection_and_its_part_that_is_wrong_is_named() {
    for (size, target, words) in [
        (0, EASY, "no byte of its extranonce is ours, though four were asked for"),
        (33, EASY, "33 bytes of its extranonce are ours, the limit is 32"),
        (4, [0; 32], "its target is 0, which no hash can meet"),
    ] {
        let mut pair = Pair::extended();
        pair.connect();
        pair.accept_setup(0);
        pair.open_extended_for(size, target);
        let words = format!("the pool opened a channel that cannot be used: {words}");
        assert_eq!(pair.closed(), Some(words));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 50, ..ProptestConfig::default() })]

    /// Whatever a pool says, in whatever pieces: no panic, and each share ends once.
    #[test]
    fn random_messages_lose_and_double_no_share(
        says in vec((0x10_u8..0x26, vec(any::<u8>(), 0..80)), 0..40),
        chunk in 1_usize..200,
    ) {
        let mut pair = Pair::standard().open();
        pair.standard_job(1, None);
        pair.new_block(1, MAINNET);
        let job = pair.job();
        for nth in 0..3 {
            pair.submit(find_share(&job, nth));
        }
        for (kind, mut payload) in says {
            // Half of them are for our channel.
            if payload.len() > 4 && payload[4] % 2 == 0 {
                payload[..4].copy_from_slice(&CHANNEL.to_le_bytes());
            }
            let bytes = pair.pool.say_raw(kind, 0, &payload);
            for piece in bytes.chunks(chunk) {
                pair.hear(piece);
            }
        }
        pair.client.finish(pair.now);
        pair.settle();
        prop_assert_eq!(pair.verdicts().len(), 3);
        prop_assert_eq!(pair.client.pending(), 0);
    }
}
