//! Pairs of extranonce2 values through the public door: their roots do end alike, and whenever one
//! is found, every header is hashed once (I2, I3).

use std::sync::Arc;

use midstate_chain::{Bits, Hash256, Job, Target};
use midstate_work::{Claim, Cut, Frontier, PageName, PairSearch, SearchSpace, Unit};

fn job(seed: u8, version_mask: u32, extranonce2_size: usize) -> Arc<Job> {
    Arc::new(Job {
        id: "1".into(),
        session: 1,
        channel: None,
        version: 0x2000_0000,
        version_mask,
        prev_hash: Hash256::of(b"previous"),
        coinbase_prefix: vec![seed; 70],
        extranonce1: vec![4, 5],
        extranonce2_size,
        coinbase_suffix: vec![6; 9],
        branch: vec![Hash256::of(b"sibling"), Hash256::of(b"cousin")],
        bits: Bits::from_consensus(0x207f_ffff),
        time: 1_700_000_000,
        share_target: Target::MAX,
        network_target: Target::MAX,
        clean: true,
    })
}

/// All pairs that a search finds, at most so many.
fn pairs(space: &SearchSpace, most: usize) -> Vec<[u64; 2]> {
    let mut search = PairSearch::new(space).expect("a search pays");
    let mut pairs = Vec::new();
    while pairs.len() < most && !search.is_over() {
        pairs.extend(search.step(space));
    }
    pairs
}

#[test]
fn the_headers_of_a_pair_are_those_of_its_values_and_have_one_tail() {
    let space = SearchSpace::new(job(1, 0, 8), Cut::by_hashes(16, 1000));
    let pairs = pairs(&space, 6);
    assert_eq!(pairs.len(), 6);
    let mut values = Vec::new();
    for pair in pairs {
        let page = space.page(PageName::Pair(pair));
        let [first, second] = page.headers[..] else { panic!("{} headers", page.headers.len()) };
        assert_eq!(first.tail(), second.tail());
        for (index, header) in page.headers.iter().enumerate() {
            assert_eq!(*header, space.job().header(page.extranonce2(index)));
            values.push(page.extranonce2(index).to_vec());
        }
    }
    values.sort();
    values.dedup();
    assert_eq!(values.len(), 12, "no value is in two pairs");
}

#[test]
fn pairs_are_searched_where_they_pay_and_nowhere_else() {
    let searches = |job: &Job, midstates| {
        let space = SearchSpace::new(Arc::new(job.clone()), Cut::by_hashes(midstates, 1000));
        PairSearch::new(&space).is_some()
    };
    for size in [2, 4, 8, 32] {
        assert!(searches(&job(1, 0, size), 2), "{size} bytes");
    }
    assert!(!searches(&job(1, 0, 1), 32), "too few values");
    assert!(!searches(&job(1, 0, 0), 32), "one value");
    assert!(!searches(&job(1, 0, 4), 1), "one midstate is asked for");
    assert!(!searches(&job(1, 0x2000, 4), 32), "versions are cheaper");
    assert!(!searches(&job(1, 0x6000, 4), 2), "as many versions as are left for later");
    let mut long = (*job(1, 0, 4)).clone();
    long.coinbase_suffix = vec![0; 50_000];
    assert!(!searches(&long, 32), "a root costs too much");
}

#[test]
fn a_search_is_lent_when_the_job_has_lasted_and_to_one_at_a_time() {
    let space = SearchSpace::new(job(1, 0, 4), Cut::by_hashes(32, 1 << 20));
    let mut frontier = Frontier::new(&space);
    let mut lent = None;
    for claims in 0.. {
        lent = frontier.lend_search(&space);
        if lent.is_some() {
            assert_eq!(claims << 20, 1 << 23, "hashes before it pays");
            break;
        }
        frontier.claim(&space, 0);
    }
    assert!(frontier.lend_search(&space).is_none(), "somebody has it");

    let mut search = lent.expect("the loop ends with one");
    let pair = loop {
        if let Some(pair) = search.step(&space) {
            break pair;
        }
    };
    frontier.return_search(search, Some(pair));
    assert!(frontier.lend_search(&space).is_none(), "a whole pair is ahead");
    let units = 1 << (33 - 20);
    for unit in 0..units {
        let Claim::Unit(Unit { page, nonces }) = frontier.claim(&space, 0) else { panic!("work") };
        assert_eq!((page, nonces.start), (PageName::Pair(pair), unit << 19));
        let due = frontier.lend_search(&space).map(|search| frontier.return_search(search, None));
        assert_eq!(due.is_some(), unit >= units / 2 - 1, "unit {unit}");
    }
    let Claim::Unit(unit) = frontier.claim(&space, 0) else { panic!("the line goes on") };
    assert_eq!((unit.page, unit.nonces.start), (PageName::InLine(0), 8 << 20));
}

const NONCES: u64 = 3;

fn cut(hashes: u64) -> Cut {
    Cut { midstates: 2, hashes, nonces: 5..5 + NONCES }
}

/// A job of 2^16 values, of which every third has a pair.
fn job_with_a_pair() -> (Arc<Job>, [u64; 2]) {
    let with_pair = |seed| {
        let job = job(seed, 0, 2);
        let space = SearchSpace::new(Arc::clone(&job), cut(1));
        pairs(&space, 1).first().map(|&pair| (job, pair))
    };
    (0..=u8::MAX).find_map(with_pair).expect("one in 256 has one")
}

/// A bitmap of all (extranonce2, nonce): each once, be the pair found at any time, or too late.
#[test]
fn i2_i3_every_header_once_whenever_a_pair_is_found() {
    let (job, pair) = job_with_a_pair();
    let (reserve, all) = (NONCES << 12, NONCES << 16);
    for (hashes, found_at) in
        [(1, 0), (7, reserve - 1), (1, reserve), (4, reserve + 1), (2, all - 1)]
    {
        let space = SearchSpace::new(Arc::clone(&job), cut(hashes));
        let mut frontier = Frontier::new(&space);
        let mut search = Some(PairSearch::new(&space).expect("a search pays"));
        let mut page = (PageName::InLine(0), space.page(PageName::InLine(0)));
        let mut seen = vec![false; all as usize];
        let (mut hashed, mut in_pairs) = (0, 0);
        while let Claim::Unit(unit) = frontier.claim(&space, 0) {
            if unit.page != page.0 {
                page = (unit.page, space.page(unit.page));
            }
            let headers = page.1.headers.len();
            for index in 0..headers {
                let value = u16::from_le_bytes(page.1.extranonce2(index).try_into().unwrap());
                for nonce in unit.nonces.clone() {
                    let seen = &mut seen[(u64::from(value) * NONCES + nonce - 5) as usize];
                    assert!(!std::mem::replace(seen, true), "{value} twice at {nonce}");
                    hashed += 1;
                    in_pairs += u64::from(headers == 2);
                }
            }
            if hashed >= found_at
                && let Some(search) = search.take()
            {
                frontier.return_search(search, Some(pair));
            }
        }
        assert_eq!(hashed, all, "found at {found_at}");
        // Of the reserve's last page some nonces are left when the pair still counts.
        assert_eq!(in_pairs, if found_at <= reserve { 2 * NONCES } else { 0 }, "{found_at}");
        assert_eq!(frontier.claim(&space, 0), Claim::NotYet);
        // In the next second all of it can be hashed again.
        let Claim::Unit(unit) = frontier.claim(&space, 1) else { panic!("there is work") };
        assert_eq!(unit.page, PageName::InLine(1 << 16));
    }
}

/// There and back again: a mask comes and goes after a pair was hashed.
#[test]
fn i2_a_pair_is_not_found_again_when_the_versions_change() {
    let (job, pair) = job_with_a_pair();
    let own = SearchSpace::new(Arc::clone(&job), cut(7));
    let mut frontier = Frontier::new(&own);
    frontier.return_search(PairSearch::new(&own).expect("a search pays"), Some(pair));
    let Claim::Unit(unit) = frontier.claim(&own, 0) else { panic!("there is work") };
    assert_eq!((unit.page, own.hashes(&unit)), (PageName::Pair(pair), 2 * NONCES));

    let rolling = Job { version_mask: 0x2000, ..(*job).clone() };
    let other = SearchSpace::new(Arc::new(rolling), cut(7));
    let mut frontier = frontier.hand_over(&own, &other).hand_over(&other, &own);
    let mut hashed = 0;
    while let Claim::Unit(unit) = frontier.claim(&own, 0) {
        let page = own.page(unit.page);
        let value = u16::from_le_bytes(page.extranonce2(0).try_into().unwrap());
        assert!(page.headers.len() == 1 && !pair.contains(&u64::from(value)), "{value} again");
        hashed += own.hashes(&unit);
        assert!(frontier.lend_search(&own).is_none());
    }
    assert_eq!(hashed, (NONCES << 16) - 2 * NONCES, "all the rest");
}

#[test]
fn i2_i3_the_units_of_a_pair_that_are_claimed_together_are_followed_by_the_next_one() {
    let (job, pair) = job_with_a_pair();
    let space = SearchSpace::new(job, Cut { nonces: 0..10, ..cut(2) });
    let mut frontier = Frontier::new(&space);
    frontier.return_search(PairSearch::new(&space).expect("a search pays"), Some(pair));
    // Two hashes a nonce.
    let claims = [0, 6, 0, 100].map(|hashes| match frontier.claim_many(&space, 0, hashes) {
        Claim::Unit(Unit { page, nonces }) if page == PageName::Pair(pair) => nonces,
        other => panic!("{other:?}"),
    });
    assert_eq!(claims, [0..1, 1..4, 4..5, 5..10]);
}

#[test]
fn a_search_pays_up_to_96_compressions_for_a_root() {
    let pays = |prefix: usize, suffix: usize, levels: usize| {
        let job = Job {
            coinbase_prefix: vec![1; prefix],
            coinbase_suffix: vec![6; suffix],
            branch: vec![Hash256::of(b"sibling"); levels],
            ..(*job(1, 0, 4)).clone()
        };
        PairSearch::new(&SearchSpace::new(Arc::new(job), Cut::by_hashes(32, 1 << 20))).is_some()
    };
    // 31 levels take 93 and the coinbase's second hash one, which leaves two for its first: they
    // end at byte 192, with nine bytes of padding. The 72 bytes before our four fill one block that
    // is not hashed again.
    assert!(pays(70, 107, 31) && !pays(70, 108, 31));
    // 62 bytes and two of extranonce1 fill a block; one byte less does not, and costs another.
    assert!(pays(62, 115, 31) && !pays(61, 116, 31));
    // Without a tree the coinbase may take 95: to byte 95 * 64 behind the block of the prefix.
    assert!(pays(70, 96 * 64 - 85, 0) && !pays(70, 96 * 64 - 84, 0));
}
