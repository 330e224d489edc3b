//! `midstate demo`: the whole path with nothing installed. An embedded regtest pool on a loopback
//! port, the real Stratum client over real TCP, real hashing, a real chain. With `--node` the
//! chain is a Bitcoin Core node's, so that a class shares it through plain Stratum.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use midstate_chain::Target;
use midstate_net::{
    Account, Backend, NodePool, NodeUrl, PoolServer, PoolUrl, Redirects, Route, ServerLimits,
    Upstream, V2Wishes,
};
use midstate_pool::{
    Front, Pool, PoolConfig, RegtestPool, VardiffConfig, WorkerStats, least_earnest_difficulty,
};
use midstate_stratum::ClientConfig;
use midstate_sv2::Authority;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::commands::node_side::{self, Judged, NodeNews, NodeSide, PoolEnd};
use crate::commands::outcome::{of_link, outcome, with_summary};
use crate::commands::visitors;
use crate::console::{self, ViewArgs};
use crate::machine::choose::{Choice, MEASURING, MiningArgs, available_threads};
use crate::mining::{self, BlockJudge, Goals, PoolNews, Rig, Setup};
use crate::servers::node::NodeArgs;
use crate::servers::pools::{Pools, RouteArgs};
use crate::shell::descriptors;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::runtime;
use crate::shell::units;
use crate::shell::values;
use crate::web::{Page, WebArgs};

/// Seconds that a block should take if no difficulty is asked for.
const PACE: f64 = 3.0;
/// Threads on one CPU at which that pace is kept. Each thread finishes two milliseconds of an old
/// job before it begins with a new one: with 64 on a CPU that is a tenth of a second for a block.
const MOST_THREADS_A_CPU: usize = 64;
const TAG: &[u8] = b"/midstate demo/";
/// Our own name at the pool, for people; the pool knows us by the password.
const WORKER: &str = "demo";

/// Flags of `demo`.
#[derive(clap::Args, Debug)]
#[command(after_help = "Examples:
  midstate demo --blocks 3 --json --out blocks.hex
  midstate demo --listen 0.0.0.0:3333 --web 8080
  midstate demo --listen-sv2 127.0.0.1:34255
  midstate demo --node http://127.0.0.1:18443 \
                --address bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080")]
pub(crate) struct Args {
    /// Stop when this machine has found this many blocks; blocks of miners who join do not count
    #[arg(long, value_name = "N", default_value = "6", value_parser = values::count)]
    blocks: u64,
    /// Address at which other miners can join the pool [default: a free loopback port]
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::parse_address)]
    listen: Option<SocketAddr>,
    /// Address at which miners of Stratum V2 can join the same pool; its URL with the pool's
    /// authority key is printed
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::parse_address)]
    listen_sv2: Option<SocketAddr>,
    /// Difficulty of shares and blocks: 1 is 4.3 billion hashes [default: a block every 3 s on
    /// this machine]
    #[arg(long, value_name = "D", value_parser = values::positive)]
    difficulty: Option<f64>,
    /// Let the share difficulty follow the rate of each miner, a share every 4 s; the difficulty of
    /// blocks is in their headers, 0.00112 at least
    #[arg(long, conflicts_with_all = ["node", "out"])]
    vardiff: bool,
    /// Write the blocks to FILE, raw, in hex, one a line
    #[arg(long, value_name = "FILE", conflicts_with = "node")]
    out: Option<PathBuf>,
    /// Take the work from this node instead of a chain in memory: a small pool for a lesson or a
    /// test, which pays all to one address. For real fleets use ckpool or datum_gateway
    #[arg(long, value_name = "URL", requires = "address")]
    node: Option<NodeUrl>,
    #[command(flatten)]
    route: RouteArgs,
    #[command(flatten)]
    solo: NodeArgs,
    #[command(flatten)]
    web: WebArgs,
    #[command(flatten)]
    mining: MiningArgs,
    #[command(flatten)]
    view: ViewArgs,
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    if args.node.is_none() {
        let given = args.solo.given().or(args.route.given());
        if let Some(flag) = given {
            return Err(Failure::usage(format!(
                "{flag} is for a node, and this demo has a chain of its own: leave the flag out, \
                 or add --node URL"
            )));
        }
    }
    let choice = args.mining.choose();
    let rig = choice.as_ref().map_or(Rig::NONE, Rig::of);
    let run = |choice| runtime::block_on(demo(args, choice, out))?;
    let mined = choice.and_then(run);
    with_summary(mined, rig, out)
}

async fn demo(args: Args, choice: Choice, out: &mut Output) -> Result<(), Failure> {
    let difficulty = match args.difficulty {
        Some(difficulty) => difficulty,
        None => paced_difficulty(&choice)?,
    };
    // Easier blocks are toys: no miner could tell its blocks from its shares.
    let least = if args.vardiff { least_earnest_difficulty() } else { 0.0 };
    let difficulty = difficulty.max(least);
    let mut random = [0; 12];
    getrandom::fill(&mut random).context("the system gives no random numbers")?;
    let (salt, password) = random.split_at(4);
    let config = PoolConfig {
        host_password: Some(hex::encode(password)),
        vardiff: args.vardiff.then(VardiffConfig::default),
        ..PoolConfig::new(difficulty, u32::from_be_bytes(salt.try_into()?))
    };
    let page = args.web.open(out).await?;
    let mined = match args.node.clone() {
        None => in_memory(&args, choice, config, page.as_ref(), out).await,
        Some(url) => at_node(&args, url, choice, config, page.as_ref(), out).await,
    };
    if let Some(page) = page {
        page.close().await;
    }
    mined
}

/// The pool on a chain of its own.
async fn in_memory(
    args: &Args,
    choice: Choice,
    config: PoolConfig,
    page: Option<&Page>,
    out: &mut Output,
) -> Result<(), Failure> {
    if let Some(path) = &args.out {
        out.try_to_save(path)?;
    }
    let now = PoolServer::now();
    let pool =
        RegtestPool::new(config.clone(), TAG.to_vec(), now).and_then(|pool| match args.vardiff {
            true => pool.with_difficulty(config.block_difficulty, now),
            false => Ok(pool),
        });
    let pool = pool.map_err(|error| Failure::usage(format!("--difficulty: {error}")))?;
    let (miners, mut news) = mpsc::unbounded_channel();
    let served =
        serve(args, choice, pool, &config, Listeners { page, miners, node: None }, &mut news, out);
    let pool = served.await?;

    let blocks = pool.chain().blocks();
    if let Some(path) = &args.out {
        write_blocks(path, blocks.iter().map(|block| block.raw.as_slice()))?;
    }
    tell_workers(pool.pool(), out);
    if let Some(tip) = blocks.last() {
        let proved = format!(
            "proved: {} on regtest's own genesis block; the pool recomputed every hash with the \
             crate sha2, another implementation. The last block is {}",
            units::count(blocks.len(), "block"),
            tip.hash
        );
        out.message(2, proved);
    }
    Ok(())
}

/// The pool between a node and a class.
async fn at_node(
    args: &Args,
    url: NodeUrl,
    choice: Choice,
    config: PoolConfig,
    page: Option<&Page>,
    out: &mut Output,
) -> Result<(), Failure> {
    let (miners, mut news) = mpsc::unbounded_channel();
    let heard = miners.clone();
    let hear = move |news| {
        if let NodeNews::Judged(Judged { node, hash, height, verdict, reason }) = news {
            match &reason {
                Some(reason) => tracing::warn!(height, %hash, "block: {reason}"),
                None => tracing::info!(height, %hash, "block accepted"),
            }
            // Mining that has ended hears of it late.
            let _ = heard.send(PoolNews::Judged { node, hash, height, verdict, reason });
        }
    };
    let link = node_side::link(url, &args.solo, &args.route, out)?;
    let (mut node, PoolEnd { blocks, templates }) = NodeSide::start(link, hear);

    let pool = Pool::new(config.clone())
        .map_err(|error| Failure::usage(format!("--difficulty: {error}")))?;
    let pool = NodePool { pool, templates };
    let listeners = Listeners { page, miners: miners.clone(), node: Some(blocks) };
    let served = serve(args, choice, pool, &config, listeners, &mut news, out);
    let pool = node.attend(served, &miners).await;
    // Also when that failed: the link waits for the blocks on their way to the disk.
    let (end, verdicts) = node.stop().await?;
    let pool = pool??;
    visitors::tell_late(&mut news, out);
    tell_workers(&pool.pool, out);
    verdicts.tell(out);
    of_link(end)
}

/// Where the pool's events go.
struct Listeners<'a> {
    page: Option<&'a Page>,
    /// Our own mining.
    miners: mpsc::UnboundedSender<PoolNews>,
    /// A node that takes raw blocks.
    node: Option<mpsc::UnboundedSender<Vec<u8>>>,
}

/// Serves `pool` to every miner that connects, ourselves first, until we have found our blocks.
async fn serve<B: Backend>(
    args: &Args,
    choice: Choice,
    pool: B,
    config: &PoolConfig,
    Listeners { page, miners, node }: Listeners<'_>,
    news: &mut mpsc::UnboundedReceiver<PoolNews>,
    out: &mut Output,
) -> Result<B, Failure> {
    let listen = args.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen}; take a free port with --listen {}:0", listen.ip())
    })?;
    let (events, pool_events) = mpsc::unbounded_channel();
    let difficulty = config.vardiff.is_none().then_some(config.share_difficulty);
    let pool_side = page.map(|page| page.pool_side(difficulty));
    let at_node = node.is_some();
    let view_side = console::PoolSide::new(difficulty);
    let view = view_side.clone();
    let listeners = visitors::Listeners {
        page: pool_side,
        view: Some(view),
        node,
        ..visitors::Listeners::new(miners)
    };
    let visitors = tokio::spawn(visitors::tell(pool_events, listeners));
    let limits = ServerLimits::default();
    let sessions = descriptors::places().map_or(limits.sessions, |most| most.min(limits.sessions));
    let limits = ServerLimits { sessions, ..limits };
    let server = PoolServer::new(pool, listener, events).with_limits(limits);
    let v2 = listen_sv2(args).await?;
    let key = v2.as_ref().map(|(_, authority)| authority.key());
    let server = match v2 {
        Some((listener, authority)) => server.with_v2(listener, authority),
        None => server,
    };
    let server = server.spawn()?;
    let address = server.address();
    let (share, hashes) =
        (units::difficulty(config.share_difficulty), hashes_a_share(config.share_difficulty));
    out.note(match &config.vardiff {
        None => {
            format!("pool on stratum+tcp://{address}, difficulty {share}: about {hashes} a share")
        }
        Some(VardiffConfig { seconds, .. }) => format!(
            "pool on stratum+tcp://{address}; the difficulty of shares follows each miner's rate: \
             a share every {seconds} s"
        ),
    });
    if let (Some(address), Some(key)) = (server.v2_address(), key) {
        let url = format!("stratum2+tcp://{address}/{key}");
        out.event(&serde_json::json!({ "event": "listening", "url": url }));
        out.note(format!("the same pool by Stratum V2 on {url}"));
    }
    if !at_node && config.vardiff.is_some() {
        out.note(format!("blocks have difficulty {share}: about {hashes} a block"));
    // Below two hashes a share is the easier of the two.
    } else if !at_node && config.share_difficulty * Target::HASHES_AT_DIFFICULTY_1 >= 2.0 {
        out.note("a block of regtest takes two hashes, so that every share here is a block, too");
    }
    out.note(format!(
        "mining {} with {}, {}",
        units::count(args.blocks, "block"),
        choice.config.kernel.name(),
        units::count(choice.config.threads, "thread")
    ));

    let client = ClientConfig {
        password: config.host_password.clone().unwrap_or_default(),
        ..ClientConfig::new(WORKER)
    };
    // The pool listens everywhere if it was told to; we live next door.
    let host = match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv6() => "::1".to_owned(),
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip => ip.to_string(),
    };
    let url = PoolUrl { host, port: address.port(), tls: false, v2: None };
    let (route, v2) = (Route::default(), V2Wishes::default());
    let account = Account { url, client, route, redirects: Redirects::None, v2 };
    let goals = Goals { blocks: Some(args.blocks), ..Goals::default() };
    let (link, _) = Pools::new(vec![account]).into_parts();
    let upstream = Upstream::Pools(Box::new(link));
    let block_judge = if at_node { BlockJudge::Node } else { BlockJudge::Header };
    let setup = Setup { choice, upstream, read_pools: Arc::new(|| None), goals, block_judge };
    let (mut views, commands) = console::views(&args.view, Some(view_side), out);
    if let Some(page) = page {
        page.pool_listens(address);
        views = page.join(views);
    }
    let end = mining::run(setup, views, commands, news).await;
    let pool = server.stop().await.context("the pool stopped early")?;
    // The last block may still be on its way from pool to node.
    visitors.await?;
    visitors::tell_late(news, out);
    outcome(end)?;
    Ok(pool)
}

/// The port of Stratum V2, if one is wanted, and a new key by which the pool proves who it is.
async fn listen_sv2(args: &Args) -> Result<Option<(TcpListener, Authority)>, anyhow::Error> {
    let Some(address) = args.listen_sv2 else { return Ok(None) };
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; take a free port with --listen-sv2 {}:0", address.ip())
    })?;
    let mut secret = [0; 32];
    getrandom::fill(&mut secret).context("the system gives no random numbers")?;
    let authority = Authority::from_secret(secret);
    Ok(Some((listener, authority.context("32 bytes that are no secret key were drawn")?)))
}

/// The standings at the end: for programs every name, for people the guests.
fn tell_workers(pool: &Pool, out: &mut Output) {
    // Any name may be a guest's: the sum of those without a place has none.
    let others = (None, false, pool.others());
    let rows =
        pool.standings().iter().map(|(label, &stats)| (Some(&*label.worker), label.is_host, stats));
    let rows = rows.chain((others.2 != WorkerStats::default()).then_some(others));
    for (worker, is_host, stats) in rows {
        let (event, words) = standing(worker, is_host, stats);
        out.event(&event);
        if !is_host {
            out.message(2, words);
        }
    }
}

/// A row of the standings for programs, and for people. Without a worker: the sum of the names
/// that have no row of their own.
fn standing(
    worker: Option<&str>,
    is_host: bool,
    stats: WorkerStats,
) -> (serde_json::Value, String) {
    let event = serde_json::json!({
        "event": "worker", "worker": worker, "own": is_host, "blocks": stats.blocks,
        "accepted": stats.accepted, "rejected": stats.rejected, "work": stats.work,
    });
    let who = worker
        .map_or_else(|| "further workers together".to_owned(), |worker| format!("worker {worker}"));
    let words = format!(
        "{who}: {}, {} accepted, {} rejected",
        units::count(stats.blocks, "block"),
        units::count(stats.accepted, "share"),
        stats.rejected
    );
    (event, words)
}

/// The difficulty at which a block takes [`PACE`] seconds.
fn paced_difficulty(choice: &Choice) -> Result<f64, Failure> {
    let (threads, cpus) = (choice.config.threads, available_threads());
    if threads > MOST_THREADS_A_CPU * cpus {
        return Err(Failure::usage(format!(
            "--threads {threads}: with more than {} on {} a block every {PACE} s cannot be kept; \
             take fewer threads, or set --difficulty",
            units::count(MOST_THREADS_A_CPU * cpus, "thread"),
            units::count(cpus, "CPU"),
        )));
    }
    Ok(easy(choice.measure(MEASURING)?.median * PACE / Target::HASHES_AT_DIFFICULTY_1))
}

/// The hashes that a share of this difficulty takes on average, in words: one at least.
fn hashes_a_share(difficulty: f64) -> String {
    /// Above it there is no prefix of SI.
    const MOST: f64 = 1e27;
    match difficulty * Target::HASHES_AT_DIFFICULTY_1 {
        hashes if hashes >= MOST => format!("{hashes:.2e} hashes"),
        hashes if hashes < 2.0 => "1 hash".to_owned(),
        hashes => format!("{}hashes", units::si(hashes)),
    }
}

/// Two significant digits are enough for a difficulty that people will see.
fn easy(difficulty: f64) -> f64 {
    let unit = 10f64.powf(difficulty.log10().floor() - 1.0);
    ((difficulty / unit).round() * unit).max(1e-9)
}

fn write_blocks<'a>(
    path: &Path,
    blocks: impl Iterator<Item = &'a [u8]>,
) -> Result<(), anyhow::Error> {
    let write = || {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        for block in blocks {
            writeln!(file, "{}", hex::encode(block))?;
        }
        file.flush()
    };
    write().with_context(|| format!("cannot write the blocks to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_takes_a_hash_at_least_and_no_number_has_two_units() {
        for (difficulty, words) in [
            (1e-30, "1 hash"),
            (1e-9, "4.30 hashes"),
            (5e-5, "215 khashes"),
            (1e30, "4.30e39 hashes"),
        ] {
            assert_eq!(hashes_a_share(difficulty), words);
        }
    }

    #[test]
    fn a_guest_of_any_name_is_told_apart_from_the_sum_of_the_others() {
        let stats = WorkerStats { accepted: 3, ..WorkerStats::default() };
        let (guest, words) = standing(Some("others"), false, stats);
        let (sum, words_of_sum) = standing(None, false, stats);
        assert_eq!(
            (&guest["worker"], &sum["worker"]),
            (&"others".into(), &serde_json::Value::Null)
        );
        assert_eq!(words, "worker others: 0 blocks, 3 shares accepted, 0 rejected");
        assert_eq!(
            words_of_sum,
            "further workers together: 0 blocks, 3 shares accepted, 0 rejected"
        );
    }
}
