//! `cargo xtask soak --hours H`: the program itself for a long time, with faults on a schedule.
//!
//! Two miners work at once. One is at a pool, `midstate demo --listen`, through a proxy that breaks
//! something every 30 s. The other mines alone at a Bitcoin Core node on regtest that is stopped or
//! killed every ten minutes. At the end the books of both ends are compared: no share and no block
//! is lost. All run from a release build, with one thread and the scalar kernel: the soak tries the
//! endurance of connections and books, and not of the hashing. Needs `/proc`, so Linux.

mod books;
mod node;
mod proxy;
mod usage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::slice::Iter;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::bitcoind;
use crate::program::{self, Program};
use books::{BlockBooks, Books, PoolBooks};
use node::Node;
use proxy::{Fault, Proxy};
use usage::Usage;

const BETWEEN_FAULTS: Duration = Duration::from_secs(30);
/// At most; five times in a run of less than 50 minutes.
const BETWEEN_OUTAGES: Duration = Duration::from_secs(600);
const BETWEEN_REPORTS: Duration = Duration::from_secs(300);
/// For the last answers, before the programs are told to stop.
const CALM: Duration = Duration::from_secs(20);
/// About 43,000 hashes a share: several a second even where others want the processor more.
const DIFFICULTY: &str = "0.00001";
const WORKER: &str = "soak";
/// The address that our blocks pay, of regtest: its key hash is 0.
const ADDRESS: &str = "mfWxJ45yp2SFn7UciZyNpvDKrzbhyfKrY8";
/// A block every three seconds, of which every second hash is one.
const AT_THE_NODE: [&str; 4] = ["--block-interval", "3", "--max-hashrate", "10k"];
const HASH: [&str; 4] = ["--threads", "1", "--kernel", "scalar"];

/// Prints the report on stdout; exit code 1 if a share or a block was lost, if books disagree, or
/// if a program grew.
pub(crate) fn run(root: &Path, hours: &str) -> anyhow::Result<ExitCode> {
    let hours: f64 = hours.parse().with_context(|| format!("{hours:?} is no number of hours"))?;
    ensure!((0.01..=1000.0).contains(&hours), "--hours takes 0.01 to 1000, got {hours}");
    let length = Duration::from_secs_f64(hours * 3600.0);
    let bitcoind = bitcoind::program()?;
    let program = program::build(root)?;
    let mut pool = AtPool::start(&program)?;
    let mut node = AtNode::start(&program, bitcoind, BETWEEN_OUTAGES.min(length / 5))?;

    let started = Instant::now();
    let mut next_report = BETWEEN_REPORTS;
    while started.elapsed() < length {
        thread::sleep(Duration::from_secs(1));
        pool.step().context("at the pool")?;
        node.step().context("at the node")?;
        if started.elapsed() >= next_report {
            next_report += BETWEEN_REPORTS;
            let seconds = started.elapsed().as_secs();
            eprintln!("soak: {seconds} s: {}; at the node {}", pool.books, node.blocks);
        }
    }
    pool.proxy.calm();
    node.node.calm()?;
    thread::sleep(CALM);

    println!("soak: {hours:.2} h");
    let wrong = [pool.finish()?, node.finish()?].concat();
    wrong.iter().for_each(|fault| println!("wrong: {fault}"));
    if wrong.is_empty() {
        println!(
            "shares lost 0, duplicated 0, below target 0; blocks lost 0; the books of both ends \
             agree; memory and descriptors are flat"
        );
    }
    Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The miner at the pool, and the proxy between them.
struct AtPool {
    pool: Program,
    proxy: Proxy,
    miner: Program,
    books: Books,
    usage: Usage,
    next_fault: Instant,
    faults: std::iter::Cycle<Iter<'static, Fault>>,
    struck: BTreeMap<&'static str, u64>,
}

impl AtPool {
    fn start(program: &Path) -> anyhow::Result<Self> {
        let demo = ["demo", "--listen", "127.0.0.1:0", "--blocks", "1000000000"];
        let difficulty = ["--difficulty", DIFFICULTY];
        let mut pool = Program::start(program, &[&demo[..], &difficulty, &HASH].concat())?;
        let proxy = Proxy::start(pool.address()?)?;
        let mine = ["mine", "-o", &proxy.url(), "-u", WORKER];
        let miner = Program::start(program, &[&mine[..], &HASH].concat())?;
        Ok(Self {
            pool,
            proxy,
            miner,
            books: Books::default(),
            usage: Usage::default(),
            next_fault: Instant::now() + BETWEEN_FAULTS,
            faults: Fault::ALL.iter().cycle(),
            struck: BTreeMap::new(),
        })
    }

    /// Reads what the miner says, and breaks something when it is time.
    fn step(&mut self) -> anyhow::Result<()> {
        // The demo's own shares are of no interest, but its pipe must be kept empty.
        drop(self.pool.events()?);
        self.miner.events()?.iter().for_each(|event| self.books.enter(event));
        if Instant::now() >= self.next_fault {
            self.next_fault += BETWEEN_FAULTS;
            self.usage.add(self.miner.usage()?);
            let fault = self.faults.next().context("the cycle has no end")?;
            self.proxy.strike(*fault);
            *self.struck.entry(fault.name()).or_default() += 1;
        }
        Ok(())
    }

    /// Stops both and prints the books. What is wrong.
    fn finish(mut self) -> anyhow::Result<Vec<String>> {
        let memory = self.pool.usage()?.resident_kib;
        self.miner.stop()?.iter().for_each(|event| self.books.enter(event));
        let pool = PoolBooks::read(&self.pool.stop()?, WORKER)?;
        let struck: Vec<_> =
            self.struck.iter().map(|(name, times)| format!("{name} {times}")).collect();
        println!(
            "at the pool, a fault every {} s: {}",
            BETWEEN_FAULTS.as_secs(),
            struck.join(", ")
        );
        println!("  miner: {}", self.books);
        println!("  pool: {} accepted, {} rejected", pool.accepted, pool.rejected);
        println!("  miner: {}", self.usage);
        println!("  pool: {memory} KiB at the end");
        let miner = "the miner at the pool";
        let faults = [self.books.faults(), self.books.differences(&pool), self.usage.faults(miner)];
        Ok(faults.concat())
    }
}

/// The miner at the node.
struct AtNode {
    node: Node,
    miner: Program,
    books: Books,
    blocks: BlockBooks,
    usage: Usage,
    next_sample: Instant,
}

impl AtNode {
    fn start(program: &Path, bitcoind: PathBuf, between_outages: Duration) -> anyhow::Result<Self> {
        let node = Node::start(bitcoind, between_outages)?;
        let directory = node.directory().to_str().context("a directory in UTF-8")?;
        let spool = format!("{directory}/spool");
        let mine = ["mine", "-o", &node.url(), "--datadir", directory, "--chain", "regtest"];
        let pay = ["--address", ADDRESS, "--spool", &spool];
        let miner = Program::start(program, &[&mine[..], &pay, &AT_THE_NODE, &HASH].concat())?;
        let (books, blocks, usage) = Default::default();
        Ok(Self { node, miner, books, blocks, usage, next_sample: Instant::now() + BETWEEN_FAULTS })
    }

    /// Reads what the miner says; stops, kills or starts the node when it is time.
    fn step(&mut self) -> anyhow::Result<()> {
        for event in self.miner.events()? {
            self.books.enter(&event);
            self.blocks.enter(&event);
        }
        if Instant::now() >= self.next_sample {
            self.next_sample += BETWEEN_FAULTS;
            self.usage.add(self.miner.usage()?);
        }
        self.node.step()
    }

    /// Stops the miner and prints its books. What is wrong.
    fn finish(self) -> anyhow::Result<Vec<String>> {
        let Self { node, miner, mut books, mut blocks, usage, .. } = self;
        for event in miner.stop()? {
            books.enter(&event);
            blocks.enter(&event);
        }
        let chain = node.chain()?;
        println!(
            "at the node: stopped {} times, killed {} times, blocks forgotten {}",
            node.stopped, node.killed, node.forgotten
        );
        println!("  miner: {books}");
        println!("  miner: {blocks}");
        println!("  node: a chain of {} blocks", chain.len());
        println!("  miner: {usage}");
        let of_blocks = blocks.faults(&chain, |hash| node.is_by_stranger(hash))?;
        Ok([books.faults(), of_blocks, usage.faults("the miner at the node")].concat())
    }
}
