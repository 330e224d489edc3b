//! The consensus values against the `bitcoin` crate, which shares no code with ours, and against
//! their own definitions in exact arithmetic.

use std::sync::Arc;

use bitcoin::consensus::deserialize;
use bitcoin::hashes::Hash as _;
use midstate_chain::{
    Bits, BitsError, Coinbase, CoinbaseError, DifficultyError, Hash256, Header, Job, Network,
    Share, Target, TxOut, U256, coinbase_branch, coinbase_height, coinbase_outputs, fold_branch,
    merkle_root, serialize_block, with_witness, witness_commitment,
};
use proptest::prelude::*;

type U512 = ruint::aliases::U512;

const HEIGHTS: [u32; 9] = [127, 128, 255, 256, 32_767, 32_768, 8_388_607, 8_388_608, 1_000_000];

fn their_target(bits: u32) -> [u8; 32] {
    bitcoin::Target::from_compact(bitcoin::CompactTarget::from_consensus(bits)).to_le_bytes()
}

/// Core's rules for a compact target that bounds nothing, in the words of `arith_uint256.cpp`.
fn core_refuses(bits: u32) -> Option<BitsError> {
    let (size, mantissa) = (bits >> 24, bits & 0x007f_ffff);
    let word = if size <= 3 { mantissa >> (8 * (3 - size)) } else { mantissa };
    let overflow = size > 34 || (word > 0xff && size > 33) || (word > 0xffff && size > 32);
    match word {
        0 => Some(BitsError::Zero(bits)),
        _ if bits & 0x0080_0000 != 0 => Some(BitsError::Negative(bits)),
        _ if overflow => Some(BitsError::Overflow(bits)),
        _ => None,
    }
}

fn check_bits(bits: u32) {
    match (Bits::from_consensus(bits).to_target(), core_refuses(bits)) {
        (Err(ours), Some(core)) => assert_eq!(ours, core),
        (Ok(target), None) => {
            assert_eq!(target.to_le_bytes(), their_target(bits), "{bits:08x}");
            let compact = bitcoin::Target::from_le_bytes(target.to_le_bytes()).to_compact_lossy();
            assert_eq!(target.to_bits().to_consensus(), compact.to_consensus(), "{bits:08x}");
        }
        (ours, core) => panic!("{bits:08x}: {ours:?}, Core: {core:?}"),
    }
}

#[test]
fn compact_targets_agree_at_every_size_and_edge() {
    for size in 0..=40u32 {
        for mantissa in [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7f_ffff]
        {
            for sign in [0, 0x0080_0000] {
                check_bits(size << 24 | sign | mantissa);
            }
        }
    }
    check_bits(0xffff_ffff);
}

proptest! {
    #[test]
    fn compact_targets_agree(bits: u32) {
        check_bits(bits);
        // Most random sizes overflow: these do not.
        check_bits(bits % 0x2300_0000);
    }

    #[test]
    fn compacting_rounds_down_and_is_idempotent(bytes: [u8; 32], length in 1usize..=32) {
        let mut bytes = bytes;
        bytes[length..].fill(0);
        let target = Target::from_number(U256::from_le_bytes(bytes));
        prop_assume!(!target.to_number().is_zero());
        let theirs = bitcoin::Target::from_le_bytes(bytes).to_compact_lossy();
        prop_assert_eq!(target.to_bits().to_consensus(), theirs.to_consensus());
        let rounded = target.to_bits().to_target().unwrap();
        prop_assert!(rounded <= target);
        prop_assert_eq!(rounded.to_bits(), target.to_bits());
    }

    /// target * difficulty <= difficulty-1 target < (target + 1) * difficulty, with the double
    /// taken apart into integers.
    #[test]
    fn a_target_from_a_difficulty_is_the_largest_that_is_hard_enough(
        mantissa in 1u64 << 52..1 << 53,
        exponent in -84i32..=160,
    ) {
        let difficulty = mantissa as f64 * 2f64.powi(exponent);
        let target = Target::from_difficulty(difficulty).unwrap();
        let product = |number: U256| U512::from(number) * U512::from(mantissa);
        let one = U512::from(Target::DIFFICULTY_1.to_number());
        let (left, right) = (exponent.max(0) as usize, (-exponent).max(0) as usize);
        prop_assert!(product(target.to_number()) << left <= one << right);
        if target != Target::MAX {
            let above = target.to_number() + U256::ONE;
            prop_assert!(product(above) << left > one << right);
        }
    }

    #[test]
    fn difficulty_and_target_invert_each_other(difficulty in 1e-9f64..1e18) {
        let back = Target::from_difficulty(difficulty).unwrap().difficulty();
        prop_assert!((back / difficulty - 1.0).abs() < 1e-12, "{difficulty} came back as {back}");
    }

    #[test]
    fn expected_hashes_is_the_work_that_the_oracle_counts(bits in 0x0300_8000u32..0x2100_ffff) {
        let Ok(target) = Bits::from_consensus(bits).to_target() else { return Ok(()) };
        let work = bitcoin::Target::from_le_bytes(target.to_le_bytes()).to_work();
        let ours = target.expected_hashes();
        prop_assert_eq!(ours.to_le_bytes::<32>(), work.to_le_bytes());
        let real = target.expected_hashes_f64();
        prop_assert!((real / f64::from(ours) - 1.0).abs() <= 1.0 / f64::from(ours) + 1e-12);
    }

    #[test]
    fn headers_agree(bytes in proptest::collection::vec(any::<u8>(), 80)) {
        let header = Header::from_bytes(bytes.as_slice().try_into().unwrap());
        let theirs: bitcoin::block::Header = deserialize(&bytes).unwrap();
        prop_assert_eq!(*header.hash().as_bytes(), theirs.block_hash().to_byte_array());
        prop_assert_eq!(header.version, theirs.version.to_consensus() as u32);
        prop_assert_eq!(header.time, theirs.time);
        prop_assert_eq!(header.bits.to_consensus(), theirs.bits.to_consensus());
        prop_assert_eq!(header.nonce, theirs.nonce);
        prop_assert_eq!(header.to_bytes().to_vec(), bytes);
    }
}

#[test]
fn difficulties_at_and_beyond_the_edges() {
    assert_eq!(Target::from_difficulty(1.0), Ok(Target::DIFFICULTY_1));
    assert_eq!(Target::DIFFICULTY_1.to_bits(), Network::Mainnet.limit());
    assert_eq!(Target::DIFFICULTY_1.difficulty(), 1.0);
    assert_eq!(Target::from_difficulty(5e-324), Ok(Target::MAX));
    assert_eq!(Target::from_difficulty(1e-10), Ok(Target::MAX));
    assert_eq!(Target::from_difficulty(2.6e67).unwrap().to_number(), U256::ONE);
    assert_eq!(Target::from_difficulty(2.8e67), Err(DifficultyError::TooHigh(2.8e67)));
    assert_eq!(Target::from_difficulty(1e308), Err(DifficultyError::TooHigh(1e308)));
    for bad in [0.0, -0.0, -1.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
        let refused = Target::from_difficulty(bad);
        assert!(matches!(refused, Err(DifficultyError::NotPositive(_))), "{bad}: {refused:?}");
    }
    assert_eq!(Target::MAX.expected_hashes(), U256::ONE);
    assert_eq!(Target::from_number(U256::ZERO).expected_hashes(), U256::MAX);
}

fn ids(count: usize) -> Vec<Hash256> {
    (0..count).map(|index| Hash256::of(&index.to_le_bytes())).collect()
}

#[test]
fn merkle_roots_agree_and_the_branch_leads_to_them() {
    assert_eq!(merkle_root(&[]), Hash256::ZERO);
    for count in 1..=40 {
        let ids = ids(count);
        let theirs = ids.iter().map(|id| bitcoin::Txid::from_byte_array(*id.as_bytes()));
        let theirs = bitcoin::merkle_tree::calculate_root(theirs).unwrap();
        assert_eq!(merkle_root(&ids).as_bytes(), theirs.as_byte_array(), "{count} transactions");

        let branch = coinbase_branch(&ids[1..]);
        assert_eq!(fold_branch(ids[0], &branch), merkle_root(&ids), "{count} transactions");
        assert_eq!(branch.len(), count.next_power_of_two().ilog2() as usize);
    }
}

fn outputs() -> Vec<TxOut> {
    vec![
        TxOut { value: 312_500_000, script: vec![0x51] },
        TxOut { value: u64::MAX >> 12, script: vec![0x6a; 300] },
    ]
}

/// A coinbase as the block holds it and as the transaction id is taken from it.
fn built(height: u32, extranonce: &[u8], commitment: Option<Hash256>) -> (Vec<u8>, Vec<u8>) {
    let parts = Coinbase {
        height,
        tag: b"/midstate/",
        extranonce_size: extranonce.len(),
        outputs: &outputs(),
        witness_commitment: commitment,
    }
    .build()
    .expect("the script is short enough");
    assert_eq!(coinbase_height(&parts.prefix), Some(height));
    let bare = [&parts.prefix, extranonce, &parts.suffix].concat();
    (with_witness(&bare).expect("a coinbase is long enough"), bare)
}

#[test]
fn coinbases_are_what_the_oracle_reads_at_every_awkward_height() {
    let commitment = witness_commitment(&ids(3));
    for height in (1..=17).chain(HEIGHTS) {
        let (full, bare) = built(height, &[0xab; 12], Some(commitment));
        let coinbase: bitcoin::Transaction = deserialize(&full).unwrap();
        assert!(coinbase.is_coinbase(), "height {height}");
        assert_eq!(coinbase.compute_txid().as_byte_array(), Hash256::of(&bare).as_bytes());
        assert_eq!(bitcoin::consensus::serialize(&coinbase), full);

        let input = &coinbase.input[0];
        let push = bitcoin::script::Builder::new().push_int(i64::from(height)).into_script();
        let script = input.script_sig.as_bytes();
        assert!(script.starts_with(push.as_bytes()), "BIP34 at height {height}");
        assert!(script.ends_with(&[0xab; 12]), "the extranonce is last");
        assert!((2..=100).contains(&script.len()));
        assert_eq!(input.sequence.to_consensus_u32(), 0xffff_fffe);
        assert_eq!(coinbase.lock_time.to_consensus_u32(), height - 1);
        assert_eq!(input.witness.to_vec(), [vec![0; 32]]);

        for (ours, theirs) in outputs().iter().zip(&coinbase.output) {
            assert_eq!(ours.value, theirs.value.to_sat());
            assert_eq!(ours.script, theirs.script_pubkey.as_bytes());
        }
        let read = coinbase_outputs(&bare).expect("it is a transaction");
        let theirs = coinbase.output.iter().map(|output| TxOut {
            value: output.value.to_sat(),
            script: output.script_pubkey.to_bytes(),
        });
        assert_eq!(read, theirs.collect::<Vec<_>>());
        let last = coinbase.output.last().unwrap();
        assert_eq!(last.value.to_sat(), 0);
        let expected = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], &commitment.as_bytes()[..]].concat();
        assert_eq!(last.script_pubkey.as_bytes(), expected, "BIP141");
    }
}

#[test]
fn a_coinbase_before_segwit_has_no_commitment_and_an_empty_one_is_padded() {
    let (full, _) = built(100, &[], None);
    let coinbase: bitcoin::Transaction = deserialize(&full).unwrap();
    assert_eq!(coinbase.output.len(), 2);

    let bare = Coinbase {
        height: 1,
        tag: b"",
        extranonce_size: 0,
        outputs: &[],
        witness_commitment: None,
    };
    let parts = bare.build().unwrap();
    assert_eq!(parts.prefix[41..44], [2, 0x51, 0], "Core refuses a script of one byte");

    let long = Coinbase { tag: &[b'x'; 96], extranonce_size: 4, ..bare.clone() };
    assert_eq!(long.build(), Err(CoinbaseError::ScriptTooLong(101)));
    assert!(Coinbase { tag: &[b'x'; 95], ..long }.build().is_ok());
}

#[test]
fn outputs_are_read_from_a_whole_coinbase_and_from_nothing_else() {
    let (full, bare) = built(840_000, &[7; 8], Some(Hash256::ZERO));
    assert_eq!(coinbase_outputs(&full), None, "with witness");
    for cut in 0..bare.len() {
        assert_eq!(coinbase_outputs(&bare[..cut]), None, "{cut} bytes");
    }
    assert_eq!(coinbase_outputs(&[&bare[..], &[0]].concat()), None, "a byte too many");
    // Counts that no memory holds, in all three widths.
    for count in ["fdffff", "feffffffff", "ffffffffffffffffff"] {
        let mut huge = bare[..bare.len() - 4].to_vec();
        let outputs_at = huge.iter().rposition(|&byte| byte == 0xff).unwrap() + 1;
        huge.splice(outputs_at..=outputs_at, hex::decode(count).unwrap());
        assert_eq!(coinbase_outputs(&huge), None, "{count}");
    }
}

#[test]
fn a_height_that_is_not_minimal_or_not_there_is_not_read() {
    let (_, bare) = built(1_000_000, &[], None);
    for cut in 0..46 {
        assert_eq!(coinbase_height(&bare[..cut]), None, "{cut} bytes");
    }
    let mut padded = bare[..42].to_vec();
    padded.extend([0x02, 0x05, 0x00]);
    assert_eq!(coinbase_height(&padded), None, "5 is OP_5, not a push of two bytes");
    let zero = [&bare[..42], &[0x00]].concat();
    assert_eq!(coinbase_height(&zero), Some(0), "OP_0");
    assert_eq!(with_witness(&[0; 7]), None);
}

#[test]
fn a_whole_block_passes_the_checks_of_the_oracle() {
    let (second, second_id) = built(7, &[1], None);
    let height = 840_000;
    let second_tx: bitcoin::Transaction = deserialize(&second).unwrap();
    let wtxid = Hash256::from_bytes(second_tx.compute_wtxid().to_byte_array());
    let (coinbase, bare) = built(height, &[9; 8], Some(witness_commitment(&[wtxid])));
    let ids = [Hash256::of(&bare), Hash256::of(&second_id)];
    let header = Header { merkle_root: merkle_root(&ids), ..Network::Regtest.genesis() };
    let header = Header { version: 0x2000_0000, ..header };

    let block: bitcoin::Block =
        deserialize(&serialize_block(&header, &coinbase, &[second])).unwrap();
    assert_eq!(block.block_hash().as_byte_array(), header.hash().as_bytes());
    assert!(block.check_merkle_root());
    assert!(block.check_witness_commitment());
    assert_eq!(block.bip34_block_height().ok(), Some(u64::from(height)));
}

#[test]
fn counts_are_written_as_the_oracle_reads_them_at_every_size() {
    let header = Network::Regtest.genesis();
    let (coinbase, _) = built(7, &[1], None);
    // With the coinbase these are the first and the last counts of each size.
    for others in [0, 0xfb, 0xfc, 0xfffe, 0xffff] {
        let others = vec![built(8, &[1], None).1; others];
        let block: bitcoin::Block =
            deserialize(&serialize_block(&header, &coinbase, &others)).unwrap();
        assert_eq!(block.txdata.len(), 1 + others.len());
    }
}

#[test]
fn genesis_headers_are_the_oracle_s() {
    for network in Network::ALL {
        let theirs = bitcoin::Network::from_core_arg(network.name()).unwrap();
        let genesis = bitcoin::constants::genesis_block(theirs).header;
        assert_eq!(
            network.genesis().to_bytes().as_slice(),
            bitcoin::consensus::serialize(&genesis)
        );
    }
}

#[test]
fn targets_and_bits_are_shown_in_hex_highest_digit_first_in_assertions_too() {
    let bits = Target::DIFFICULTY_1.to_bits();
    let target = bits.to_target().unwrap();
    let zeros = "0".repeat(52);
    assert_eq!(format!("{target:?}"), format!("Target(00000000ffff{zeros})"));
    assert_eq!(format!("{bits:?}"), "Bits(1d00ffff)");
}

fn job() -> Job {
    Job {
        id: "1".into(),
        session: 1,
        channel: None,
        version: 0x2000_4000,
        version_mask: 0x1fff_e000,
        prev_hash: Hash256::of(b"tip"),
        coinbase_prefix: vec![1, 2, 3],
        extranonce1: vec![4],
        extranonce2_size: 2,
        coinbase_suffix: vec![7],
        branch: ids(2),
        bits: Network::Regtest.limit(),
        time: 1_700_000_000,
        share_target: Target::DIFFICULTY_1,
        network_target: Network::Regtest
            .limit()
            .to_target()
            .expect("a network's limit is a target"),
        clean: false,
    }
}

#[test]
fn a_job_makes_headers_from_all_of_its_parts() {
    let job = job();
    let header = job.header(&[5, 6]);
    let coinbase_id = Hash256::of(&[1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(header.merkle_root, fold_branch(coinbase_id, &ids(2)));
    assert_eq!((header.version, header.time, header.nonce), (job.version, job.time, 0));
    assert_eq!((header.prev_hash, header.bits), (job.prev_hash, job.bits));
    assert_eq!(job.rollable_bits(), 0x1fff_a000, "a set bit is not rolled");
}

#[test]
fn a_job_is_header_only_where_nothing_but_the_root_came() {
    let root = ids(1);
    let bare = Job {
        coinbase_prefix: Vec::new(),
        extranonce1: Vec::new(),
        extranonce2_size: 0,
        coinbase_suffix: Vec::new(),
        branch: root.clone(),
        ..job()
    };
    assert!(bare.is_header_only());
    assert_eq!(bare.merkle_root(&[]), root[0]);
    // One part of a coinbase, or no branch, or a longer one.
    for (job, extranonce2) in [
        (Job { coinbase_prefix: vec![1], ..bare.clone() }, &[][..]),
        (Job { extranonce1: vec![1], ..bare.clone() }, &[]),
        (Job { extranonce2_size: 1, ..bare.clone() }, &[1]),
        (Job { coinbase_suffix: vec![1], ..bare.clone() }, &[]),
        (Job { branch: Vec::new(), ..bare.clone() }, &[]),
        (Job { branch: ids(2), ..bare }, &[]),
    ] {
        assert!(!job.is_header_only(), "{job:?}");
        let coinbase_id = Hash256::of(&job.coinbase(extranonce2));
        assert_eq!(job.merkle_root(extranonce2), fold_branch(coinbase_id, &job.branch));
    }
}

#[test]
fn a_block_is_sent_although_the_pool_asks_for_more_unless_blocks_are_a_toy() {
    let hard = Target::from_difficulty(1e6).unwrap();
    let signet = Network::Signet.limit().to_target().unwrap();
    let earnest = Job { network_target: signet, share_target: hard, ..job() };
    assert_eq!((earnest.submit_target(), earnest.block_target()), (signet, signet));
    let easy_share = Job { network_target: hard, share_target: signet, ..job() };
    assert_eq!((easy_share.submit_target(), easy_share.block_target()), (signet, hard));
    let toy = Job { share_target: hard, ..job() };
    assert_eq!((toy.submit_target(), toy.block_target()), (hard, hard));
}

#[test]
fn a_coinbase_script_is_padded_to_two_bytes_and_no_further() {
    // Core refuses a script of one byte (bad-cb-length).
    for (height, extranonce_size, script) in [(1, 0, 2), (1, 1, 2), (17, 0, 2), (1, 2, 3)] {
        let coinbase = Coinbase {
            height,
            tag: b"",
            extranonce_size,
            outputs: &outputs(),
            witness_commitment: None,
        };
        let parts = coinbase.build().expect("the script is short enough");
        let bytes = [&parts.prefix[..], &[7; 2][..extranonce_size], &parts.suffix].concat();
        let transaction: bitcoin::Transaction = deserialize(&bytes).unwrap();
        assert_eq!(transaction.input[0].script_sig.len(), script, "{height} {extranonce_size}");
    }
}

#[test]
fn a_job_is_as_high_as_its_coinbase_says() {
    let coinbase = |height| {
        let parts = Coinbase {
            height,
            tag: b"",
            extranonce_size: 3,
            outputs: &outputs(),
            witness_commitment: None,
        };
        parts.build().expect("the script is short enough").prefix
    };
    for height in [1, 17, 840_000] {
        let job = Job { coinbase_prefix: coinbase(height), ..job() };
        assert_eq!(job.height(), Some(height));
    }
    assert_eq!(job().height(), None, "three bytes are no coinbase");
}

#[test]
fn work_is_the_same_only_when_every_header_is() {
    let job = job();
    let other_name = Job {
        id: "2".into(),
        clean: true,
        share_target: Target::MAX,
        network_target: Target::MAX,
        ..job.clone()
    };
    assert!(job.same_work(&other_name));

    let changed: [fn(&mut Job); 10] = [
        |job| job.session += 1,
        |job| job.version ^= 1,
        |job| job.version_mask ^= 0x2000,
        |job| job.prev_hash = Hash256::ZERO,
        |job| job.coinbase_prefix.push(0),
        |job| job.extranonce1.push(0),
        |job| job.extranonce2_size += 1,
        |job| job.coinbase_suffix.push(0),
        |job| job.branch.truncate(1),
        |job| job.time += 1,
    ];
    for (index, change) in changed.into_iter().enumerate() {
        let mut other = job.clone();
        change(&mut other);
        assert!(!job.same_work(&other), "change {index} went unnoticed");
    }
}

#[test]
fn a_share_rebuilds_its_header_and_judges_its_hash() {
    let job = Arc::new(job());
    let mut share = Share {
        job: Arc::clone(&job),
        extranonce2: vec![5, 6],
        version: 0x2000_6000,
        time: job.time + 9,
        nonce: 77,
        hash: Hash256::ZERO,
    };
    let header = share.header();
    assert_eq!((header.version, header.time, header.nonce), (0x2000_6000, job.time + 9, 77));
    assert_eq!(header.merkle_root, job.merkle_root(&[5, 6]));
    assert_eq!(share.version_bits(), 0x6000);

    share.hash = Hash256::from_bytes(Target::DIFFICULTY_1.to_le_bytes());
    assert!(share.meets_share_target() && share.is_block());
    assert_eq!(share.difficulty(), 1.0);
    share.hash = Hash256::from_bytes(job.network_target.to_le_bytes());
    assert!(!share.meets_share_target() && share.is_block());
    share.hash = Hash256::from_bytes(Target::MAX.to_le_bytes());
    assert!(!share.meets_share_target() && !share.is_block());
    assert!(share.difficulty() < 1e-9, "{}", share.difficulty());
}
