//! Shares and their answers, blocks, books.

use midstate_pool::{Front, PoolBounds, PoolConfig, VardiffConfig};
use mining_sv2 as mining;

use crate::miner::{Found, Hall, Miner, STANDARD_JOBS};

#[test]
fn shares_of_a_standard_and_of_an_extended_channel_count_and_each_is_a_block() {
    for flags in [STANDARD_JOBS, 0] {
        let mut hall = Hall::new(PoolConfig::new(1e-9, 1));
        let mut miner = Miner::connect(&mut hall).set_up(&mut hall, flags);
        let mut channels = vec![miner.open(&mut hall, "one")];
        if flags == 0 {
            channels.push(miner.open_extended(&mut hall, "two"));
        }
        for round in 0..6 {
            for &channel in &channels {
                let found = miner.find(channel, 0);
                let sequence = miner.submit(&mut hall, channel, &found);
                assert_eq!(miner.answers(), [Ok((channel, sequence, 1))], "round {round}");
            }
        }
        let count = 6 * channels.len() as u64;
        let stats = hall.stats();
        assert_eq!((stats.accepted, stats.blocks, stats.rejected), (count, count, 0));
        assert_eq!(u64::from(hall.pool.chain().height()), count);
    }
}

#[test]
fn shares_of_one_channel_that_came_together_have_one_answer() {
    let mut hall = Hall::easy();
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let [one, two] = ["one", "two"].map(|name| miner.open(&mut hall, name));
    let shares: Vec<_> = (0..4).map(|nth| miner.find(one, nth)).collect();
    let other = miner.find(two, 0);
    let mut all = Vec::new();
    for (channel, share) in
        [(one, &shares[0]), (one, &shares[1]), (one, &shares[2]), (two, &other), (one, &shares[3])]
    {
        all.append(&mut miner.seal_share(channel, share).0);
    }
    // The same again is refused, and does not stand among the accepted ones.
    all.append(&mut miner.seal_share(one, &shares[0]).0);
    miner.send(&mut hall, &all);
    let expected = [
        Ok((one, 3, 3)),
        Ok((two, 1, 1)),
        Ok((one, 4, 1)),
        Err((one, 5, "duplicate-share".to_owned())),
    ];
    assert_eq!(miner.answers(), expected);
    let stats = hall.stats();
    assert_eq!((stats.accepted, stats.rejected), (5, 1));
}

#[test]
fn a_refused_share_has_the_code_of_its_fault_and_stands_in_the_books() {
    let bounds = PoolBounds { shares_on_a_tip: 2, ..PoolBounds::default() };
    let mut hall =
        Hall::new(PoolConfig { bounds, block_difficulty: 2.5e-4, ..PoolConfig::new(1e-9, 1) });
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let channel = miner.open_extended(&mut hall, "rig");
    let good = miner.find(channel, 0);
    let target = miner.channels[&channel].target;
    let weak = miner.find_where(channel, 0, |hash| !target.is_met_by(hash));
    let faults = [
        (Found { job: 99, ..good.clone() }, "invalid-job-id"),
        (Found { job: 0, ..good.clone() }, "invalid-job-id"),
        (Found { extranonce: Some(vec![1; 3]), ..good.clone() }, "bad-extranonce-size"),
        (
            Found { version: good.version ^ 0x10, ..good.clone() },
            "invalid-non-rollable-version-bit",
        ),
        (
            Found { version: good.version ^ 0x4000_0000, ..good.clone() },
            "invalid-non-rollable-version-bit",
        ),
        (Found { time: good.time + 7300, ..good.clone() }, "invalid-share"),
        (Found { time: 1, ..good.clone() }, "invalid-share"),
        (weak, "difficulty-too-low"),
    ];
    for (fault, code) in &faults {
        let sequence = miner.submit(&mut hall, channel, fault);
        assert_eq!(miner.answers(), [Err((channel, sequence, (*code).to_owned()))]);
    }
    miner.submit(&mut hall, channel, &good);
    let next = miner.find(channel, 1);
    miner.submit(&mut hall, channel, &next);
    assert_eq!(miner.answers().len(), 2);
    let next = miner.find(channel, 2);
    let sequence = miner.submit(&mut hall, channel, &next);
    let full = Err((channel, sequence, "invalid-share".to_owned()));
    assert_eq!(miner.answers(), [full], "the pool remembers two shares on a tip here");
    // A share of the other kind of channel belongs to none, and so stands in no book.
    let sequence = miner.submit(&mut hall, channel, &Found { extranonce: None, ..good });
    assert_eq!(miner.answers(), [Err((channel, sequence, "invalid-channel-id".to_owned()))]);
    let stats = hall.stats();
    assert_eq!((stats.accepted, stats.rejected), (2, faults.len() as u64 + 1));
}

#[test]
fn the_bits_of_bip_323_may_be_rolled_and_those_of_bip_320_are_among_them() {
    let mut hall = Hall::easy();
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, STANDARD_JOBS);
    let channel = miner.open(&mut hall, "rig");
    for bits in [0, 0x2000, 0x1fff_e000, 0x20, 0x1fff_ffe0] {
        let found = miner.find(channel, 0);
        // The nonce that makes it a share with this version.
        let job = &miner.channels[&channel].jobs[&found.job];
        let version = job.version | bits;
        let with = |nonce| Found { version, nonce, ..found.clone() };
        let channel_state = &miner.channels[&channel];
        let meets =
            |nonce: &u32| channel_state.target.is_met_by(&channel_state.hash(&with(*nonce)));
        let nonce = (0..).find(meets).unwrap();
        let found = with(nonce);
        let sequence = miner.submit(&mut hall, channel, &found);
        assert_eq!(miner.answers(), [Ok((channel, sequence, 1))], "{bits:08x}");
    }
}

#[test]
fn a_block_voids_the_jobs_of_every_channel_and_of_stratum_v1() {
    let mut hall = Hall::new(PoolConfig::new(1e-9, 1));
    let mut v1 = hall.pool.connect(([127, 0, 0, 1], 5).into());
    let subscribe = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n";
    hall.pool.handle_bytes(hall.now, v1, subscribe);
    let lines = |hall: &mut Hall, id: &mut midstate_pool::SessionId| -> String {
        let lines = std::iter::from_fn(|| hall.pool.poll_transmit(*id)).flatten().collect();
        String::from_utf8(lines).unwrap()
    };
    assert!(lines(&mut hall, &mut v1).contains("mining.notify"));
    let mut one = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let mut two = Miner::connect(&mut hall).set_up(&mut hall, STANDARD_JOBS);
    let (first, second) = (one.open(&mut hall, "one"), two.open(&mut hall, "two"));
    let (block, late) = (one.find(first, 0), two.find(second, 0));
    one.kinds();
    one.submit(&mut hall, first, &block);
    assert_eq!(
        one.kinds(),
        [
            mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS,
            mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB,
            mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH,
        ],
        "the answer goes before the next job"
    );
    assert!(lines(&mut hall, &mut v1).contains(",true]"), "a new tip by V1, too");
    two.submit(&mut hall, second, &late);
    assert_eq!(two.answers(), [Err((second, 1, "stale-share".to_owned()))]);
    let found = two.find(second, 0);
    two.submit(&mut hall, second, &found);
    assert_eq!(two.answers(), [Ok((second, 2, 1))]);
    assert_eq!(hall.pool.chain().height(), 2);
}

#[test]
fn a_channel_whose_shares_come_fast_gets_a_harder_job_of_its_own_and_each_job_keeps_its_target() {
    let vardiff =
        VardiffConfig { first: 1e-9, easiest: 1e-9, hardest: 1e-6, ..VardiffConfig::default() };
    let config =
        PoolConfig { vardiff: Some(vardiff), block_difficulty: 2.5e-4, ..PoolConfig::new(1e-9, 1) };
    let mut hall = Hall::new(config);
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let [fast, slow] = ["fast", "slow"].map(|name| miner.open(&mut hall, name));
    let easy = miner.channels[&fast].target;
    for nth in 0..8 {
        let found = miner.find(fast, nth);
        miner.submit(&mut hall, fast, &found);
    }
    let target = miner.channels[&fast].target;
    assert!(target < easy, "harder");
    assert_eq!(miner.channels[&slow].target, easy);
    let newest = miner.channels[&fast].newest;
    assert_eq!(miner.channels[&fast].jobs[&newest].target, target);
    assert!(miner.channels[&slow].newest < newest, "a job of its own");
    miner.answers();
    // A share of the job before is judged by the target of that job.
    let old = *miner.channels[&fast].jobs.keys().next().unwrap();
    miner.channels.get_mut(&fast).unwrap().newest = old;
    let meets_old = |hash: &_| easy.is_met_by(hash) && !target.is_met_by(hash);
    let weak = miner.find_where(fast, 20, meets_old);
    let sequence = miner.submit(&mut hall, fast, &weak);
    assert_eq!(miner.answers(), [Ok((fast, sequence, 1))]);
    // ...and work counts by it.
    let work: u64 = easy.expected_hashes().saturating_to();
    assert_eq!(hall.stats().work, 9 * work);
}

#[test]
fn on_a_line_that_stalls_only_the_newest_job_waits_and_its_shares_count() {
    for flags in [STANDARD_JOBS, 0] {
        let mut hall = Hall::new(PoolConfig::new(1e-9, 1));
        let mut quick = Miner::connect(&mut hall).set_up(&mut hall, 0);
        let own = quick.open(&mut hall, "quick");
        let mut stalled = Miner::connect(&mut hall).set_up(&mut hall, flags);
        let channels: Vec<_> = (0..3).map(|_| stalled.open(&mut hall, "stalled")).collect();
        stalled.kinds();
        for _ in 0..200 {
            let found = quick.find(own, 0);
            quick.submit(&mut hall, own, &found);
        }
        stalled.listen(&mut hall);
        let kinds = stalled.kinds();
        assert!(kinds.len() <= 6, "{kinds:?}");
        for channel in channels {
            let found = stalled.find(channel, 0);
            let sequence = stalled.submit(&mut hall, channel, &found);
            assert_eq!(stalled.answers(), [Ok((channel, sequence, 1))]);
            quick.listen(&mut hall);
        }
    }
}
