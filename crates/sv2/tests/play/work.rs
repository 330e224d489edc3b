//! Jobs, targets and shares of an open channel.

use std::sync::Arc;

use midstate_chain::{Hash256, Share, Target, U256, Verdict};
use midstate_sv2::{ClientConfig, Event};
use mining_sv2 as mining;

use crate::pool::{CHANNEL, EASY, GROUP, MAINNET, Pair, REGTEST, Sent, UNIX, find, find_share};

fn shares(sent: &[Sent]) -> Vec<Sent> {
    let is_share = |sent: &&Sent| {
        matches!(
            sent.kind,
            mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD
                | mining::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED
        )
    };
    sent.iter().filter(is_share).cloned().collect()
}

#[test]
fn a_standard_job_is_a_header_with_version_nonce_and_time_to_search() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    assert!(!pair.events.iter().any(|event| matches!(event, Event::Job(_))), "it is for later");
    pair.new_block(1, MAINNET);
    let job = pair.job();
    assert!(job.clean && job.is_header_only());
    assert_eq!((job.time, job.version, job.version_mask), (UNIX, 0x2000_0000, 0x1fff_e000));
    assert_eq!(job.merkle_root(&[]), Hash256::from_bytes([1; 32]));
    assert_eq!(job.share_target, Target::from_number(U256::from_le_bytes(EASY)));

    let share = find_share(&job, 0);
    pair.submit(share.clone());
    let [sent] = &mut shares(&pair.sent)[..] else { panic!() };
    assert!(sent.is_for_channel);
    let sent: mining::SubmitSharesStandard = binary_sv2::from_bytes(&mut sent.payload).unwrap();
    assert_eq!((sent.channel_id, sent.sequence_number, sent.job_id), (CHANNEL, 1, 1));
    assert_eq!((sent.nonce, sent.ntime), (share.nonce, share.time));
    assert_eq!(sent.version, 0x2000_2000, "the whole version, with the bit that was rolled");
    pair.accept(1, 1);
    assert_eq!(pair.verdicts(), [(Verdict::Accepted, None)]);
    assert_eq!(pair.client.pending(), 0);
}

#[test]
fn an_extended_job_has_a_coinbase_and_its_share_our_part_of_the_extranonce() {
    let mut pair = Pair::extended().open();
    // To the group, as pools do.
    pair.extended_job(GROUP, 5, None);
    pair.new_block(5, MAINNET);
    let job = pair.job();
    assert_eq!((job.extranonce1.as_slice(), job.extranonce2_size), (&[1, 2, 3, 4][..], 4));
    let coinbase = [&[1, 5][..], &[1, 2, 3, 4], &[0, 0, 0, 9], &[2; 40]].concat();
    assert_eq!(job.coinbase(&[0, 0, 0, 9]), coinbase);
    let pair_of_hashes = [*Hash256::of(&coinbase).as_bytes(), [0xaa; 32]].concat();
    assert_eq!(job.merkle_root(&[0, 0, 0, 9]), Hash256::of(&pair_of_hashes));

    let share = find_share(&job, 0);
    pair.submit(share);
    let mut sent = shares(&pair.sent).remove(0);
    let sent: mining::SubmitSharesExtended<'_> = binary_sv2::from_bytes(&mut sent.payload).unwrap();
    assert_eq!(sent.extranonce.as_bytes(), [0; 4]);
    assert_eq!(sent.job_id, 5);
}

#[test]
fn a_new_block_voids_all_jobs_but_the_one_it_names() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.standard_job(2, None);
    pair.new_block(2, MAINNET);
    let first = pair.job();
    assert_eq!(first.id, "2");
    // A better job for the same block: shares of both count.
    pair.standard_job(3, Some(UNIX + 5));
    let second = pair.job();
    assert_eq!((second.id.as_str(), second.time, second.clean), ("3", UNIX + 5, false));
    pair.submit(find_share(&first, 0));
    pair.submit(find_share(&second, 0));
    assert_eq!(shares(&pair.sent).len(), 2);
    // Job 1 was for the block that came; it is not for the next one.
    pair.new_block(1, MAINNET);
    assert_eq!(
        pair.warnings(),
        ["warning: pool: refused a job: no future job 1 is known: no work until the next one"]
    );
    pair.submit(find_share(&second, 1));
    assert_eq!(shares(&pair.sent).len(), 2, "void");
    assert_eq!(pair.verdicts()[0].0, Verdict::Stale);
}

#[test]
fn a_number_that_is_used_again_voids_the_job_that_had_it() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    pair.standard_job(2, Some(UNIX + 1));
    let old = pair.job();
    pair.standard_job(2, Some(UNIX + 2));
    pair.submit(find_share(&old, 0));
    assert!(shares(&pair.sent).is_empty(), "the pool would judge it by the new job");
    assert_eq!(pair.verdicts()[0].0, Verdict::Stale);
}

#[test]
fn a_target_is_frozen_in_a_job_and_holds_for_future_ones() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    pair.standard_job(2, None);
    let mut harder = EASY;
    harder[30] = 0;
    pair.set_target(harder);
    let hard = Target::from_number(U256::from_le_bytes(harder));
    assert!(pair.events.contains(&Event::Difficulty(hard.difficulty())));
    let job = pair.job();
    let easy = (0..).map(|nth| find_share(&job, nth)).find(|share| !hard.is_met_by(&share.hash));
    pair.submit(easy.unwrap());
    assert_eq!(shares(&pair.sent).len(), 1, "the old job keeps its target");
    pair.new_block(2, MAINNET);
    assert_eq!(pair.job().share_target, hard, "future jobs take the newest target");
    pair.set_target([0; 32]);
    assert!(pair.warnings()[0].contains("a target of 0"), "{:?}", pair.warnings());
}

#[test]
fn one_answer_may_end_many_shares_and_refused_ones_are_not_among_them() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    let job = pair.job();
    for nth in 0..5 {
        pair.submit(find_share(&job, nth));
    }
    pair.refuse(3, "difficulty-too-low");
    pair.accept(4, 3);
    let verdicts: Vec<_> = pair.verdicts().into_iter().map(|(verdict, _)| verdict).collect();
    use Verdict::{Accepted, Rejected};
    assert_eq!(verdicts, [Rejected, Accepted, Accepted, Accepted]);
    assert_eq!(pair.client.pending(), 1);
    // The same again, and a number that was never sent: no share has two verdicts.
    pair.accept(4, 3);
    pair.refuse(3, "duplicate-share");
    pair.accept(5, 1);
    pair.accept(u32::MAX, 7);
    assert_eq!(pair.verdicts().len(), 5);
    assert_eq!(pair.client.pending(), 0);
    assert!(pair.warnings()[0].contains("accepted 3 shares"), "{:?}", pair.warnings());
}

#[test]
fn with_single_submit_a_share_waits_for_the_answer_to_the_one_before_it() {
    let config = ClientConfig { single_submit: true, ..ClientConfig::new("bc1q.rig") };
    let mut pair = Pair::new(config).open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    let job = pair.job();
    pair.submit(find_share(&job, 0));
    pair.submit(find_share(&job, 1));
    assert_eq!(shares(&pair.sent).len(), 1);
    assert_eq!(pair.verdicts()[0].0, Verdict::Throttled, "the books have it");
    pair.accept(1, 1);
    pair.submit(find_share(&job, 2));
    assert_eq!(shares(&pair.sent).len(), 2);
    pair.refuse(2, "invalid-share");
    pair.submit(find_share(&job, 3));
    assert_eq!(shares(&pair.sent).len(), 3, "a refusal is an answer");
    // A pool that answers ten at once answers none of these.
    pair.wait(9);
    pair.submit(find_share(&job, 4));
    assert_eq!(shares(&pair.sent).len(), 3);
    pair.wait(1);
    pair.submit(find_share(&job, 5));
    assert_eq!(shares(&pair.sent).len(), 4);
    pair.submit(find_share(&job, 6));
    assert_eq!(shares(&pair.sent).len(), 4, "one in ten seconds");
    pair.accept(4, 2);
    use Verdict::{Accepted, Rejected, Throttled};
    let verdicts: Vec<_> = pair.verdicts().into_iter().map(|(verdict, _)| verdict).collect();
    let expected = [Throttled, Accepted, Rejected, Throttled, Throttled, Accepted, Accepted];
    assert_eq!(verdicts, expected);
}

#[test]
fn a_share_that_was_found_twice_or_misses_its_target_is_not_sent() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    let job = pair.job();
    let share = find_share(&job, 0);
    pair.submit(share.clone());
    pair.submit(share.clone());
    let all = Target::from_number(U256::from_le_bytes([0xff; 32]));
    let miss = (0..).map(|nth| find(&job, all, nth));
    let miss = miss.into_iter().find(|share| !job.share_target.is_met_by(&share.hash)).unwrap();
    pair.submit(miss);
    let mut wrong = share.clone();
    wrong.nonce += 1;
    pair.submit(wrong);
    let mut foreign = share;
    foreign.version ^= 1;
    pair.submit(foreign);
    assert_eq!(shares(&pair.sent).len(), 1);
    let reasons: Vec<_> = pair.verdicts().into_iter().map(|(_, reason)| reason.unwrap()).collect();
    assert!(reasons[0].contains("found and sent before"), "{reasons:?}");
    assert!(reasons[1].contains("above its job's target"), "{reasons:?}");
    assert!(reasons[2].contains("does not hash to its hash"), "{reasons:?}");
    assert!(reasons[3].contains("not one of its job's"), "{reasons:?}");
}

#[test]
fn a_block_goes_out_although_its_job_was_replaced() {
    let mut pair = Pair::standard().open();
    // The genesis block, as a job.
    let merkle_root: Hash256 =
        "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b".parse().unwrap();
    let job = mining::NewMiningJob {
        channel_id: CHANNEL,
        job_id: 1,
        min_ntime: binary_sv2::Sv2Option::new(None),
        version: 1,
        merkle_root: merkle_root.as_bytes().into(),
    };
    pair.say(mining::MESSAGE_TYPE_NEW_MINING_JOB, job);
    let block = mining::SetNewPrevHash {
        channel_id: CHANNEL,
        job_id: 1,
        prev_hash: (&[0; 32]).into(),
        min_ntime: 1_231_006_505,
        nbits: 0x1d00_ffff,
    };
    pair.say(mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH, block);
    let old = pair.job();
    pair.standard_job(2, None);
    pair.new_block(2, MAINNET);
    let hash = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f".parse().unwrap();
    let (version, time, nonce) = (1, 1_231_006_505, 2_083_236_893);
    pair.submit(Share { job: old, extranonce2: Vec::new(), version, time, nonce, hash });
    let sent: mining::SubmitSharesStandard =
        binary_sv2::from_bytes(&mut shares(&pair.sent)[0].payload).unwrap();
    assert_eq!((sent.job_id, sent.version, sent.nonce), (1, 1, 2_083_236_893));
}

#[test]
fn no_share_outlives_its_channel() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, REGTEST);
    let old = pair.job();
    pair.submit(find_share(&old, 0));
    pair.client.handle_disconnected(pair.now);
    pair.settle();
    let (verdict, reason) = pair.verdicts().remove(0);
    assert_eq!(verdict, Verdict::Unresolved);
    assert!(reason.unwrap().contains("the session did not come back"));
    // Found while nothing is connected, and after the next channel was opened, with the same
    // numbers: the pool would take it for a share of the new job 1.
    pair.submit(find_share(&old, 1));
    pair.reconnect();
    pair.accept_setup(0);
    pair.open_standard();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    assert_ne!(pair.job().session, old.session);
    let before = shares(&pair.sent).len();
    pair.submit(find_share(&old, 2));
    assert_eq!(shares(&pair.sent).len(), before);
    assert_eq!(pair.verdicts().len(), 3);
}

#[test]
fn at_the_end_what_has_no_answer_is_unresolved_and_no_share_comes_after() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    pair.new_block(1, MAINNET);
    let job = pair.job();
    pair.submit(find_share(&job, 0));
    pair.client.finish(pair.now);
    pair.submit(find_share(&job, 1));
    let verdicts: Vec<_> = pair.verdicts().into_iter().map(|(verdict, _)| verdict).collect();
    assert_eq!(verdicts, [Verdict::Unresolved; 2]);
    pair.connect();
    assert_eq!(pair.client.poll_transmit(), None);
}

#[test]
fn the_newest_job_replaces_one_that_was_not_polled_and_stays_clean() {
    let mut pair = Pair::standard().open();
    pair.standard_job(1, None);
    let mut bytes = Vec::new();
    let block = mining::SetNewPrevHash {
        channel_id: CHANNEL,
        job_id: 1,
        prev_hash: (&[0x11; 32]).into(),
        min_ntime: UNIX,
        nbits: MAINNET,
    };
    bytes.append(&mut pair.pool.say(mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH, block));
    let better = mining::NewMiningJob {
        channel_id: CHANNEL,
        job_id: 2,
        min_ntime: binary_sv2::Sv2Option::new(Some(UNIX)),
        version: 0x2000_0000,
        merkle_root: (&[2; 32]).into(),
    };
    bytes.append(&mut pair.pool.say(mining::MESSAGE_TYPE_NEW_MINING_JOB, better));
    pair.hear(&bytes);
    let jobs: Vec<Arc<_>> = pair
        .events
        .iter()
        .filter_map(|event| if let Event::Job(job) = event { Some(Arc::clone(job)) } else { None })
        .collect();
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].clean && jobs[0].id == "2");
}
