//! The chain in memory takes a block by the rules of consensus, and names the rule that one breaks.

use std::time::Duration;

use midstate_chain::{Bits, Hash256, Header};
use midstate_pool::{BlockError, RegtestChain};

const NOW: Duration = Duration::from_secs(1_700_000_000);
/// Core's `MAX_FUTURE_BLOCK_TIME`.
const TWO_HOURS: u32 = 7200;

/// A header on the tip with this time, whose hash meets regtest's target or misses it.
fn header(chain: &RegtestChain, time: u32, is_met: bool) -> Header {
    let job = chain.template(NOW).job;
    let header = |nonce| Header { time, nonce, ..job.header(&[0; 4]) };
    let meets = |header: &Header| job.network_target.is_met_by(&header.hash()) == is_met;
    (0..).map(header).find(meets).expect("every second nonce will do")
}

fn now() -> u32 {
    u32::try_from(NOW.as_secs()).expect("until 2106")
}

#[test]
fn each_rule_of_a_block_is_named_with_its_numbers() {
    let mut chain = RegtestChain::new(b"tag".to_vec()).expect("a short tag");
    let genesis = chain.template(NOW).job.prev_hash;
    let median = chain.template(NOW).min_time - 1;

    let stranger = Hash256::from_bytes([7; 32]);
    let elsewhere = Header { prev_hash: stranger, ..header(&chain, now(), true) };
    let low = Header { bits: Bits::from_consensus(0x1d00_ffff), ..header(&chain, now(), true) };
    let high = header(&chain, now(), false);
    for (header, error) in [
        (elsewhere, BlockError::NotOnTip(stranger, genesis)),
        (header(&chain, median, true), BlockError::TooOld(median, median)),
        (
            header(&chain, now() + TWO_HOURS + 1, true),
            BlockError::TooNew(now() + TWO_HOURS + 1, NOW.as_secs()),
        ),
        (high, BlockError::HighHash(high.hash())),
        (low, BlockError::HighHash(low.hash())),
    ] {
        assert_eq!(chain.accept(NOW, header, Vec::new()), Err(error));
        assert_eq!((chain.height(), chain.template(NOW).job.prev_hash), (0, genesis));
    }
}

#[test]
fn times_from_above_the_median_to_two_hours_ahead_are_taken() {
    let mut chain = RegtestChain::new(Vec::new()).expect("no tag");
    // The median of one, two and three: of an even number, the upper one.
    for (time, height, least) in [
        (now() + TWO_HOURS, 1, now() + TWO_HOURS + 1),
        (now() + TWO_HOURS + 1, 2, now() + TWO_HOURS + 1),
    ] {
        let later = NOW + Duration::from_secs(1);
        let block = header(&chain, time, true);
        let taken = chain.accept(later, block, vec![height]).expect("within the rules");
        assert_eq!((taken.height, taken.raw.as_slice()), (height.into(), &[height][..]));
        assert_eq!((taken.header, taken.hash), (block, block.hash()));
        let next = chain.template(NOW);
        assert_eq!(
            (next.min_time, next.job.time, next.height),
            (least, least, u32::from(height) + 1)
        );
    }
    // The clock decides where it is later than the median.
    let later = NOW + Duration::from_secs(10_000);
    assert_eq!(chain.template(later).job.time, now() + 10_000);
    assert!(chain.template(NOW).job.clean);
}

#[test]
fn a_tag_that_leaves_no_room_is_refused_before_the_first_block() {
    // 6 bytes for the largest height, 16 of extranonce, 100 in all.
    assert!(RegtestChain::new(vec![b'x'; 78]).is_ok());
    assert!(RegtestChain::new(vec![b'x'; 79]).is_err());
}
