//! The smallest miner: block 1 of a regtest chain, from the genesis block to bytes that a node
//! takes. No pool, no network, and half a minute to build:
//!
//! ```console
//! $ cargo run -p midstate-engine --example block
//! ```
//!
//! Regtest would be content with one hash in two. So that there is something to see, only one in
//! a hundred million will do here. The last line is the block, for `bitcoin-cli -regtest
//! submitblock`.

use std::sync::{Arc, mpsc};
use std::time::{Instant, SystemTime};

use midstate_chain::{
    BIP320_MASK, Coinbase, Job, Network, Target, TxOut, serialize_block, with_witness,
    witness_commitment,
};
use midstate_engine::{Config, Engine};
use midstate_sha256d::Kernel;
use midstate_work::Cut;

/// Difficulty 1 is 2^32 hashes.
const DIFFICULTY: f64 = 1.0 / 43.0;
/// The subsidy of a block: 50 bitcoin, in satoshi.
const SUBSIDY: u64 = 50 * 100_000_000;
/// OP_TRUE: anybody may spend it.
const ANYBODY: u8 = 0x51;

fn main() {
    let genesis = Network::Regtest.genesis();
    let payout = TxOut { value: SUBSIDY, script: vec![ANYBODY] };
    let coinbase = Coinbase {
        height: 1,
        tag: b"the smallest miner",
        extranonce_size: 4,
        outputs: &[payout],
        witness_commitment: Some(witness_commitment(&[])),
    };
    let coinbase = coinbase.build().expect("the tag is short");
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("it is later than 1970").as_secs();
    let job = Job {
        id: "1".to_owned(),
        session: 0,
        channel: None,
        version: 0x2000_0000,
        version_mask: BIP320_MASK,
        prev_hash: genesis.hash(),
        coinbase_prefix: coinbase.prefix,
        extranonce1: Vec::new(),
        extranonce2_size: 4,
        coinbase_suffix: coinbase.suffix,
        branch: Vec::new(),
        bits: genesis.bits,
        time: u32::try_from(now).expect("it is earlier than 2106"),
        share_target: Target::from_difficulty(DIFFICULTY).expect("it is above 0"),
        network_target: genesis.bits.to_target().expect("the chain began with it"),
        clean: true,
    };

    let config = Config {
        kernel: Kernel::available().last().expect("there is always the scalar one"),
        threads: std::thread::available_parallelism().map_or(1, usize::from),
        cut: Cut::by_hashes(32, 15_000),
    };
    println!("hashing with {}, {} threads", config.kernel.name(), config.threads);
    let (found, shares) = mpsc::channel();
    let started = Instant::now();
    let mut engine = Engine::start(config, move |share| {
        // There may be a second one before the engine has stopped.
        let _ = found.send(share);
    });
    engine.set_job(Some(Arc::new(job)));
    let share = shares.recv().expect("the engine runs");
    engine.stop();

    let header = share.header();
    assert!(share.job.share_target.is_met_by(&header.hash()), "hashed once more, the plain way");
    let seconds = started.elapsed().as_secs_f64();
    let hashes = engine.hashes();
    println!("block 1 after {seconds:.1} s and {:.1} million hashes", hashes as f64 / 1e6);
    println!("builds on {}", genesis.hash());
    println!("its hash  {}", header.hash());
    println!("the nonce {:08x}, the version {:08x}", header.nonce, header.version);
    let coinbase = with_witness(&share.job.coinbase(&share.extranonce2)).expect("we built it");
    let no_others: [&[u8]; 0] = [];
    let block = serialize_block(&header, &coinbase, &no_others);
    println!("the whole block in hex, its 80 bytes of header first, for submitblock of a node:");
    println!("{}", block.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}
