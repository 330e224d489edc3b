//! The program at the real pool of the Stratum V2 reference implementation, `pool_sv2` as
//! published.
//!
//! The pool needs no Bitcoin Core: a provider in this test hands it templates over the protocol
//! that it speaks to a node, and takes its blocks.
//!
//! The program is `$POOL_SV2_EXE`, or the one that `cargo xtask sv2-pool` has put into the cache.
//! The tests that need it are ignored unless `--include-ignored` asks for them; then they fail
//! without it.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use binary_sv2::{B064K, B0255, Seq0255};
use midstate_chain::{Bits, Hash256, Header, without_witness};
use serde_json::Value;
use template_distribution_sv2 as templates;

use crate::failover::mine_on;
use crate::port::Port;
use crate::program::{Directory, PATIENCE, Running, SLOW_POOL, events, midstate};
use crate::v2_pool::{PUBLIC, Pool, SECRET};

/// Where `cargo xtask sv2-pool` puts it.
const HOME: &str = "pool_sv2-0.7.0";

/// Difficulty 1: a share is a block once in a few minutes.
const BITS: u32 = 0x1d00_ffff;

/// The pool and its provider of templates; both end when dropped.
struct PoolSv2 {
    child: Child,
    /// Its own while it is dead, too.
    port: Port,
    blocks: Arc<AtomicU32>,
    /// Where its configuration is.
    directory: Directory,
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("POOL_SV2_EXE").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    let program = cache.join("midstate").join(HOME).join("bin/pool_sv2");
    program.is_file().then_some(program)
}

impl PoolSv2 {
    /// A pool that answers so many shares of a channel at once.
    fn start(name: &str, batch: u32, bits: u32) -> Self {
        let blocks = Arc::new(AtomicU32::new(0));
        let provider = provide(Arc::clone(&blocks), bits);
        let (port, directory) = (Port::hold(), Directory::new(name));
        let configuration = format!(
            "authority_public_key = \"{PUBLIC}\"\nauthority_secret_key = \"{SECRET}\"\n\
             cert_validity_sec = 3600\nlisten_address = \"{}\"\n\
             coinbase_reward_script = \"raw(0014ebe1b7dcc293ccaa0ee743a86f89df8258c208fc)\"\n\
             server_id = 1\npool_signature = \"test\"\nshares_per_minute = 6000.0\n\
             share_batch_size = {batch}\n\
             [template_provider_type.Sv2Tp]\naddress = \"{provider}\"\n",
            port.address()
        );
        std::fs::write(directory.0.join("pool.toml"), configuration).unwrap();
        let child = Self::spawn(&directory);
        let pool = Self { child, port, blocks, directory };
        pool.wait_until_up();
        pool
    }

    fn spawn(directory: &Directory) -> Child {
        let program = find()
            .expect("a pool_sv2 in $POOL_SV2_EXE or in the cache: cargo xtask sv2-pool builds one");
        Command::new(program)
            .arg("-c")
            .arg(directory.0.join("pool.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    fn wait_until_up(&self) {
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.port.address()).is_err() {
            assert!(Instant::now() < deadline, "the pool does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// On the same port, with the same key.
    fn revive(&mut self) {
        self.child = Self::spawn(&self.directory);
        self.wait_until_up();
    }

    fn url(&self) -> String {
        format!("stratum2+tcp://{}/{PUBLIC}", self.port.address())
    }

    /// Mines until so many shares are accepted; the events. By the rate that the pool is told, a
    /// channel has a share in a hundredth of the hashes of a second.
    fn mine(&self, shares: u32, rate: &str, more: &[&str]) -> Vec<Value> {
        let url = self.url();
        let shares = shares.to_string();
        let flags = ["mine", "-o", &url, "-u", "rig", "--shares", &shares, "--json"];
        let speed = ["--threads", "1", "--nominal-hashrate", rate, "--time-limit", "150"];
        let output = midstate(&[&flags[..], &speed, more].concat()).output().unwrap();
        let events = events(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}\n{:?}", events.last());
        events
    }
}

impl Drop for PoolSv2 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves templates of empty blocks on a port of its own, each on top of the last block that a pool
/// found.
fn provide(blocks: Arc<AtomicU32>, bits: u32) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let provider = Provider {
                server: Pool::new(Duration::from_secs(3600)),
                tips: vec![Hash256::of(b"a tip")],
                bits,
                blocks: Arc::clone(&blocks),
            };
            // It ends with the connection.
            std::thread::spawn(move || provider.serve(stream.unwrap()));
        }
    });
    address
}

struct Provider {
    server: Pool,
    /// The tips so far: the template of that number, from 1, is on top of it.
    tips: Vec<Hash256>,
    bits: u32,
    blocks: Arc<AtomicU32>,
}

impl Provider {
    fn serve(mut self, mut stream: TcpStream) {
        let mut bytes = vec![0; 65_536];
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            let (mut answer, messages) = self.server.receive(&bytes[..count], unix());
            for message in messages {
                answer.append(&mut self.reply(message.kind, message.payload));
            }
            if stream.write_all(&answer).is_err() {
                return;
            }
        }
    }

    fn reply(&mut self, kind: u8, mut payload: Vec<u8>) -> Vec<u8> {
        match kind {
            common_messages_sv2::MESSAGE_TYPE_SETUP_CONNECTION => self.server.say(
                common_messages_sv2::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS,
                common_messages_sv2::SetupConnectionSuccess { used_version: 2, flags: 0 },
            ),
            templates::MESSAGE_TYPE_COINBASE_OUTPUT_CONSTRAINTS => self.template(),
            templates::MESSAGE_TYPE_SUBMIT_SOLUTION => {
                let solution: templates::SubmitSolution<'_> =
                    binary_sv2::from_bytes(&mut payload).unwrap();
                let coinbase = without_witness(solution.coinbase_tx.as_bytes()).unwrap();
                let number = usize::try_from(solution.template_id).unwrap();
                let header = Header {
                    version: solution.version,
                    prev_hash: self.tips[number - 1],
                    merkle_root: Hash256::of(&coinbase),
                    time: solution.header_timestamp,
                    bits: Bits::from_consensus(self.bits),
                    nonce: solution.header_nonce,
                };
                let target = header.bits.to_target().unwrap();
                assert!(target.is_met_by(&header.hash()), "a solution that solves nothing");
                self.blocks.fetch_add(1, Ordering::Relaxed);
                // The pool may find another one before it has the next template.
                if number < self.tips.len() {
                    return Vec::new();
                }
                self.tips.push(header.hash());
                self.template()
            }
            _ => Vec::new(),
        }
    }

    /// The next template, and that it is the one to work on.
    fn template(&mut self) -> Vec<u8> {
        let id = self.tips.len() as u64;
        // The height, as a script pushes it (BIP 34), far from the numbers that have an opcode.
        let height = (1000 + id as u16).to_le_bytes();
        let script = [2, height[0], height[1]];
        let template = templates::NewTemplate {
            template_id: id,
            future_template: true,
            version: 0x2000_0000,
            coinbase_tx_version: 2,
            coinbase_prefix: B0255::new(&script).unwrap(),
            coinbase_tx_input_sequence: u32::MAX,
            coinbase_tx_value_remaining: 5_000_000_000,
            coinbase_tx_outputs_count: 0,
            coinbase_tx_outputs: B064K::new(&[]).unwrap(),
            coinbase_tx_locktime: 0,
            merkle_path: Seq0255::new(vec![]).unwrap(),
        };
        let mut said = self.server.say(templates::MESSAGE_TYPE_NEW_TEMPLATE, template);
        let prev_hash = *self.tips.last().unwrap().as_bytes();
        let target = Bits::from_consensus(self.bits).to_target().unwrap().to_le_bytes();
        let block = templates::SetNewPrevHash {
            template_id: id,
            prev_hash: (&prev_hash).into(),
            header_timestamp: unix(),
            n_bits: self.bits,
            target: (&target).into(),
        };
        said.append(&mut self.server.say(templates::MESSAGE_TYPE_SET_NEW_PREV_HASH, block));
        said
    }
}

fn unix() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u32::try_from(since.as_secs()).unwrap()
}

/// The accepted shares by their channels: none doubled, none below its target, and no other end of
/// a share but that it had no answer, `unanswered` of them at most.
fn accepted(events: &[Value], unanswered: u64) -> Vec<u64> {
    let mut seen = HashSet::new();
    let mut channels = Vec::new();
    for share in events.iter().filter(|event| event["event"] == "share") {
        assert!(seen.insert(share["hash"].as_str().unwrap()), "doubled: {share}");
        assert!(share["difficulty"].as_f64() >= share["target_difficulty"].as_f64(), "{share}");
        assert_eq!(share["protocol"], "stratum2");
        match share["verdict"].as_str() {
            Some("accepted") => channels.push(share["channel"].as_u64().unwrap()),
            Some("unresolved") => {}
            _ => panic!("{share}"),
        }
    }
    let shares = &events.last().unwrap()["shares"];
    let count = |what: &str| shares[what].as_u64().unwrap();
    assert_eq!(count("accepted"), channels.len() as u64, "{shares}");
    let ends: u64 = ["accepted", "unresolved", "throttled"].map(count).iter().sum();
    assert_eq!(count("found"), ends, "{shares}");
    assert!(count("unresolved") <= unanswered, "{shares}");
    channels
}

#[test]
#[ignore = "needs pool_sv2"]
fn the_real_pool_takes_every_share_of_a_standard_and_of_an_extended_channel() {
    let pool = PoolSv2::start("sv2-pool-one", 1, BITS);
    for kind in ["standard", "extended"] {
        let events = pool.mine(100, "500k", &["--channel", kind]);
        // The last ones may be on their way when mining ends.
        let channels = accepted(&events, 0);
        assert!(channels.len() >= 100);
        assert!(channels.iter().all(|channel| *channel == channels[0]), "there is one channel");
    }
}

#[test]
#[ignore = "needs pool_sv2"]
fn the_real_pool_answers_in_batches_and_none_is_lost_but_the_last_ones() {
    let pool = PoolSv2::start("sv2-pool-batch", 10, BITS);
    let channels = accepted(&pool.mine(100, "500k", &[]), 9);
    assert_eq!(channels.len() % 10, 0, "they are accepted by tens");
}

#[test]
#[ignore = "needs pool_sv2"]
fn the_real_pool_takes_shares_of_many_channels_on_one_connection() {
    let pool = PoolSv2::start("sv2-pool-many", 1, BITS);
    for kind in ["standard", "extended"] {
        let events = pool.mine(200, "2G", &["--channel", kind, "--channels", "50"]);
        let channels = accepted(&events, 0);
        let different: HashSet<_> = channels.into_iter().collect();
        assert!(different.len() > 25, "{different:?}");
    }
}

#[test]
#[ignore = "needs pool_sv2"]
fn blocks_that_are_found_at_the_real_pool_reach_its_provider_of_templates() {
    // Every second hash is a block: each accepted share is one, and the next job is another
    // block's.
    let pool = PoolSv2::start("sv2-pool-blocks", 1, 0x207f_ffff);
    let events = pool.mine(3, "500k", &["--single-submit"]);
    let shares = &events.last().unwrap()["shares"];
    assert!(shares["accepted"].as_u64() >= Some(3), "{shares}");
    assert!(pool.blocks.load(Ordering::Relaxed) >= 3);
}

#[test]
#[ignore = "needs pool_sv2"]
fn when_the_real_pool_is_killed_a_v1_pool_has_the_work_until_it_is_back() {
    let mut pool = PoolSv2::start("sv2-pool-killed", 1, BITS);
    let mut demo = Running::start(&SLOW_POOL);
    let (first, second) = (pool.url(), format!("stratum+tcp://{}", demo.pool_address()));
    let pools = ["mine", "-o", &first, "-o", &second, "-u", "rig", "--return-after", "1"];
    let speed = ["--threads", "1", "--nominal-hashrate", "500k"];
    let mut miner = Running::start(&[&pools[..], &speed].concat());
    let mut shares = Vec::new();
    mine_on(&mut miner, &first, 20, &mut shares);
    pool.kill();
    mine_on(&mut miner, &second, 5, &mut shares);
    pool.revive();
    mine_on(&mut miner, &first, 20, &mut shares);
    miner.signal("INT");
    let (rest, summary) = miner.rest("share");
    shares.extend(rest);
    assert_eq!(miner.exit_code(), Some(0));

    // None is lost, and none is told twice; what was under way to the dead pool has no answer.
    let hashes: HashSet<_> = shares.iter().map(|share| share["hash"].as_str().unwrap()).collect();
    assert_eq!(hashes.len(), shares.len());
    let told = |verdict: &str| shares.iter().filter(|share| share["verdict"] == verdict).count();
    let count = |what: &str| summary["shares"][what].as_u64().unwrap() as usize;
    assert_eq!(count("found"), shares.len() + count("throttled"), "{summary}");
    for verdict in ["accepted", "rejected", "stale", "unresolved"] {
        assert_eq!(count(verdict), told(verdict), "{verdict}: {summary}");
    }
    // At the V1 pool each share is a block, and the next one comes too late at times.
    for share in shares.iter().filter(|share| share["verdict"] == "rejected") {
        assert!(share["protocol"] == "stratum1" && share["code"] == 21, "{share}");
    }
    // The V1 pool's books: each share that it accepted is one that we know of.
    demo.signal("INT");
    let worker = demo.wait_for(|event| event["event"] == "worker" && event["worker"] == "rig");
    let at = |verdict| {
        let it = |share: &&Value| share["protocol"] == "stratum1" && share["verdict"] == verdict;
        shares.iter().filter(it).count() as u64
    };
    let known = at("accepted")..=at("accepted") + at("unresolved");
    assert!(known.contains(&worker["accepted"].as_u64().unwrap()), "{worker} {summary}");
}
