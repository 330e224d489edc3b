//! The search space through its public door: every header once, none twice, whoever takes the
//! units.

use std::collections::HashSet;
use std::sync::Arc;

use midstate_chain::{Bits, Hash256, Header, Job, Target};
use midstate_work::{Claim, Cut, Frontier, MAX_TIME_ROLL, PageName, SearchSpace, Unit};
use proptest::prelude::*;

fn job(version_mask: u32, extranonce2_size: usize) -> Arc<Job> {
    Arc::new(Job {
        id: "1".into(),
        session: 1,
        channel: None,
        version: 0x2000_0000,
        version_mask,
        prev_hash: Hash256::of(b"previous"),
        coinbase_prefix: vec![1, 2, 3],
        extranonce1: vec![4, 5],
        extranonce2_size,
        coinbase_suffix: vec![6],
        branch: vec![Hash256::of(b"sibling")],
        bits: Bits::from_consensus(0x207f_ffff),
        time: 1_700_000_000,
        share_target: Target::MAX,
        network_target: Target::MAX,
        clean: true,
    })
}

/// Headers with the extranonce2 that went into their merkle root.
type Headers = HashSet<(Vec<u8>, [u8; 80])>;

/// Every header of the space as (extranonce2, header bytes), up to the end or to `elapsed`; panics
/// on a double.
fn drain(space: &SearchSpace, elapsed: u32) -> (Headers, Claim) {
    let mut seen = HashSet::new();
    let end = drain_into(&mut seen, &mut Frontier::new(space), space, elapsed, usize::MAX);
    (seen, end.expect("that many units are never made"))
}

/// Adds the headers of so many units, or returns why there is none.
fn drain_into(
    seen: &mut Headers,
    frontier: &mut Frontier,
    space: &SearchSpace,
    elapsed: u32,
    units: usize,
) -> Option<Claim> {
    for _ in 0..units {
        let Claim::Unit(unit) = frontier.claim(space, elapsed) else {
            return Some(frontier.peek(space, elapsed));
        };
        see(seen, space, &unit);
    }
    None
}

/// Adds the headers of a unit; panics on a double.
fn see(seen: &mut Headers, space: &SearchSpace, unit: &Unit) {
    let page = space.page(unit.page);
    for (index, header) in page.headers.iter().enumerate() {
        for nonce in unit.nonces.clone() {
            let header = Header { nonce: nonce as u32, ..*header };
            let entry = (page.extranonce2(index).to_vec(), header.to_bytes());
            assert!(seen.insert(entry), "hashed twice: {header}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn i2_i3_units_cover_the_space_exactly_once(
        version in any::<u32>(),
        mask in proptest::sample::subsequence((13..29).collect::<Vec<u32>>(), 0..=4),
        extranonce2_size in 0usize..=1,
        midstates in 1usize..=9,
        hashes in 1u64..40,
        start in prop_oneof![Just(0u64), Just((1 << 32) - 7), 5u64..1000],
        elapsed in 0u32..3,
    ) {
        let nonces = start..(start + 7).min(1 << 32);
        let count = nonces.end - nonces.start;
        let version_mask = mask.into_iter().map(|bit| 1 << bit).sum();
        let job = Job { version, ..(*job(version_mask, extranonce2_size)).clone() };
        let versions = job.rollable_bits().count_ones();
        let space = SearchSpace::new(Arc::new(job), Cut { midstates, hashes, nonces });
        let (seen, end) = drain(&space, elapsed);
        let per_second = count << versions << (8 * extranonce2_size);
        prop_assert_eq!(seen.len() as u64, per_second * u64::from(elapsed + 1));
        prop_assert_eq!(end, Claim::NotYet);
    }

    #[test]
    fn i2_other_versions_to_roll_begin_behind_what_was_claimed(
        masks in proptest::collection::vec(0u32..8, 1..5),
        units in 0usize..200,
        midstates in 1usize..=9,
    ) {
        let cut = Cut { midstates, hashes: 20, nonces: 0..50 };
        let space = |mask| SearchSpace::new(job(mask << 13, 1), cut.clone());
        let (mut own, mut seen) = (space(0), HashSet::new());
        let mut frontier = Frontier::new(&own);
        for mask in masks {
            drain_into(&mut seen, &mut frontier, &own, 0, units);
            let next = space(mask);
            let mut over = frontier.hand_over(&own, &next);
            prop_assert_eq!(frontier.claim(&own, 0), Claim::Exhausted);
            std::mem::swap(&mut frontier, &mut over);
            own = next;
        }
        let before = seen.len();
        drain_into(&mut seen, &mut frontier, &own, 0, usize::MAX);
        // All of the extranonce2 values that are left: the last one, and whole ones.
        let all = 50 << own.job().rollable_bits().count_ones();
        prop_assert!((seen.len() - before).is_multiple_of(all), "{} of {all}", seen.len() - before);
        prop_assert!(seen.iter().any(|(extranonce2, _)| extranonce2 == &[255]));
    }
}

#[test]
fn i2_time_ends_with_its_32_bits() {
    let job = Job { time: u32::MAX - 2, ..(*job(0, 0)).clone() };
    let space = SearchSpace::new(Arc::new(job), Cut { midstates: 1, hashes: 2, nonces: 0..2 });
    let (seen, end) = drain(&space, u32::MAX);
    assert_eq!((seen.len(), end), (6, Claim::Exhausted));
}

#[test]
fn i11_time_is_rolled_last_and_never_beyond_its_bound() {
    let space = SearchSpace::new(job(0, 0), Cut { midstates: 4, hashes: 2, nonces: 0..2 });
    let (seen, end) = drain(&space, u32::MAX);
    assert_eq!(end, Claim::Exhausted);
    let times: HashSet<_> = seen.iter().map(|(_, bytes)| Header::from_bytes(bytes).time).collect();
    let expected: HashSet<_> = (0..=MAX_TIME_ROLL).map(|roll| 1_700_000_000 + roll).collect();
    assert_eq!(times, expected);
    assert_eq!(seen.len() as u64, 2 * u64::from(MAX_TIME_ROLL + 1));
}

#[test]
fn i14_only_bits_that_are_free_in_the_job_are_rolled() {
    let mut job = (*job(0x1fff_e000, 4)).clone();
    job.version = 0x2000_a000;
    let space = SearchSpace::new(Arc::new(job), Cut::by_hashes(64, 1 << 20));
    for number in [0, 1, 7, (1 << 14) / 64 - 1] {
        for header in space.page(PageName::InLine(number)).headers {
            assert_eq!(header.version & !0x1fff_e000, 0x2000_0000);
            assert_eq!(header.version & 0xa000, 0xa000, "bits set by the job stay set");
        }
    }
    let extranonce2 = |number| space.page(PageName::InLine(number)).extranonce2(0).to_vec();
    assert_eq!(extranonce2(0), extranonce2((1 << 14) / 64 - 1));
    assert_ne!(extranonce2(0), extranonce2((1 << 14) / 64));
}

/// The hashes that a stop waits for, between two looks at the slot: with any number of midstates,
/// with and without versions to roll.
#[test]
fn i10_a_unit_has_no_more_hashes_than_it_was_cut_to() {
    const HASHES: u64 = 1000;
    for version_mask in [0, 0x2000, 0x1fff_e000] {
        for midstates in 1..=64 {
            let cut = Cut::by_hashes(midstates, HASHES);
            let space = SearchSpace::new(job(version_mask, 4), cut);
            let mut frontier = Frontier::new(&space);
            for _ in 0..100 {
                let Claim::Unit(unit) = frontier.claim(&space, 0) else { panic!("there is work") };
                let headers = space.page(unit.page).headers.len() as u64;
                let hashes = headers * (unit.nonces.end - unit.nonces.start);
                assert!((HASHES / 2..=HASHES).contains(&hashes), "{hashes} with {midstates}");
                assert_eq!(hashes, space.hashes(&unit));
            }
        }
    }
}

#[test]
fn i15_wide_extranonces_do_not_overflow() {
    for size in [7, 8, 14, 32] {
        let space = SearchSpace::new(job(0x1fff_e000, size), Cut::by_hashes(16, 1 << 16));
        assert!(matches!(space.unit(u64::MAX, 0), Claim::Unit(_)));
        assert_eq!(space.page(PageName::InLine(3)).extranonce2(0).len(), size);
    }
}

#[test]
fn an_empty_range_is_exhausted() {
    let space = SearchSpace::new(job(0, 1), Cut { midstates: 1, hashes: 1, nonces: 9..9 });
    assert_eq!(space.unit(0, 0), Claim::Exhausted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Workers of any appetite, some of whom hash a part and give the rest back, in any order.
    #[test]
    fn i2_i3_what_is_given_back_comes_again_and_nothing_else_does(
        mask in 0u32..8,
        midstates in 1usize..=9,
        hashes in 1u64..40,
        steps in proptest::collection::vec(
            (0u64..200, 0u64..12, any::<prop::sample::Index>()),
            0..60,
        ),
    ) {
        let cut = Cut { midstates, hashes, nonces: 3..50 };
        let space = SearchSpace::new(job(mask << 13, 1), cut.clone());
        let (mut frontier, mut seen) = (Frontier::new(&space), HashSet::new());
        let mut in_hand: Vec<Unit> = Vec::new();
        for (most, done, which) in steps {
            let Claim::Unit(unit) = frontier.claim_many(&space, 0, most) else { break };
            // One nonce is a unit, if a unit has fewer hashes than its page has headers.
            let one = space.page(unit.page).headers.len() as u64;
            prop_assert!(space.hashes(&unit) <= most.max(hashes).max(one));
            prop_assert!(!unit.nonces.is_empty() && unit.nonces.end <= 50);
            in_hand.push(unit);
            let mut unit = in_hand.swap_remove(which.index(in_hand.len()));
            let until = (unit.nonces.start + done).min(unit.nonces.end);
            see(&mut seen, &space, &Unit { nonces: unit.nonces.start..until, ..unit.clone() });
            unit.nonces.start = until;
            frontier.give_back(&space, unit);
        }
        for unit in in_hand {
            see(&mut seen, &space, &unit);
        }
        drain_into(&mut seen, &mut frontier, &space, 0, usize::MAX);
        prop_assert_eq!(seen.len() as u64, 47u64 << (mask.count_ones() + 8));
    }
}

#[test]
fn what_is_given_back_after_a_hand_over_is_left_out() {
    let space = SearchSpace::new(job(0, 1), Cut { midstates: 1, hashes: 4, nonces: 0..16 });
    let mut frontier = Frontier::new(&space);
    let [first, second] = [(); 2].map(|()| match frontier.claim(&space, 0) {
        Claim::Unit(unit) => unit,
        nothing => panic!("there is work, not {nothing:?}"),
    });
    frontier.give_back(&space, first);
    let other = SearchSpace::new(job(0x2000, 1), Cut { midstates: 1, hashes: 4, nonces: 0..16 });
    let mut over = frontier.hand_over(&space, &other);
    frontier.give_back(&space, second);
    assert_eq!(frontier.claim(&space, 0), Claim::Exhausted);
    let Claim::Unit(unit) = over.claim(&other, 0) else { panic!("there is work") };
    assert_eq!(other.page(unit.page).extranonce2(0), [1], "behind what was claimed");
}

/// A unit that is given back may be longer than one thread is to take in one go.
#[test]
fn i10_what_is_given_back_is_cut_into_units_again() {
    let space = SearchSpace::new(job(0, 1), Cut { midstates: 1, hashes: 64, nonces: 0..6400 });
    let mut frontier = Frontier::new(&space);
    let Claim::Unit(long) = frontier.claim_many(&space, 0, 1000) else { panic!("there is work") };
    assert_eq!(long.nonces, 0..960, "whole units");
    frontier.give_back(&space, long);
    let mut next = || match frontier.claim(&space, 0) {
        Claim::Unit(unit) => unit.nonces,
        nothing => panic!("there is work, not {nothing:?}"),
    };
    for start in (0..1024).step_by(64) {
        assert_eq!(next(), start..start + 64);
    }
}
