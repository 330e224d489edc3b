//! `midstate demo`: the whole path with nothing installed. An embedded regtest pool on a loopback
//! port, the real Stratum client over real TCP, real hashing, a real chain.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use midstate_net::{Account, PoolServer, PoolUrl, Route};
use midstate_pool::{Event, PoolConfig, RegtestPool};
use midstate_stratum::{ClientConfig, Limits};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::choose::{self, HashArgs};
use crate::exit::Failure;
use crate::mine::{USER_AGENT, VERSION_MASK};
use crate::mining::{self, Goals, Source};
use crate::output::Output;
use crate::pools::Pools;
use crate::units;

/// Seconds that a block should take if no difficulty is asked for.
const PACE: f64 = 3.0;
const TAG: &[u8] = b"/midstate demo/";

/// Flags of `demo`.
///
/// Example: midstate demo --blocks 3 --json --out blocks.hex
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Stop after this many blocks
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..))]
    blocks: u64,
    /// Where the pool listens, for other miners to join [default: a free loopback port]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    /// Share difficulty: 1 is 4.3 billion hashes [default: a block every 3 s on this machine]
    #[arg(long, value_name = "D")]
    difficulty: Option<f64>,
    /// Write the blocks to FILE, raw, in hex, one a line
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    hash: HashArgs,
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(demo(args, out))
}

async fn demo(args: Args, out: &mut Output) -> Result<(), Failure> {
    let choice = choose::choose(&args.hash)?;
    let difficulty = args.difficulty.unwrap_or_else(|| easy(choice.rate() * PACE / 2f64.powi(32)));
    let config = PoolConfig { difficulty, limits: Limits::default() };
    let pool = RegtestPool::new(config, TAG.to_vec(), PoolServer::now())
        .map_err(|error| Failure::usage(format!("--difficulty: {error}")))?;

    let listen = args.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen on {listen}; take a free port with --listen {}:0", listen.ip())
    })?;
    let (events, pool_events) = mpsc::unbounded_channel();
    let server = PoolServer::new(pool, listener, events).spawn()?;
    let address = server.address();
    out.note(format!(
        "regtest pool on stratum+tcp://{address}, difficulty {difficulty:.4}: about {}hashes a block",
        units::si(difficulty * 2f64.powi(32)),
    ));
    out.note(format!(
        "mining {} blocks with {}, {} threads",
        args.blocks,
        choice.config.kernel.name(),
        choice.config.threads
    ));

    let client = ClientConfig {
        user: "demo".into(),
        password: "x".into(),
        user_agent: USER_AGENT.into(),
        version_mask: VERSION_MASK,
        suggest_difficulty: None,
        limits: Limits::default(),
    };
    // The pool listens everywhere if it was told to; we live next door.
    let host = match address.ip() {
        ip if ip.is_unspecified() && ip.is_ipv6() => "::1".to_owned(),
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip => ip.to_string(),
    };
    let url = PoolUrl { host, port: address.port(), tls: false };
    let account = Account { url, client, route: Route::default(), follow_redirects: false };
    let goals = Goals { blocks: Some(args.blocks), ..Goals::default() };
    let visitors = tokio::spawn(note_visitors(pool_events));
    mining::mine(choice, Source::Pools(Box::new(Pools::new(vec![account]))), goals, out).await?;
    visitors.abort();

    let pool = server.stop().await.context("the pool stopped early")?;
    let blocks = pool.chain().blocks();
    if let Some(path) = &args.out {
        write_blocks(path, pool.chain().blocks().iter().map(|block| block.raw.as_slice()))?;
    }
    for (worker, stats) in pool.pool().workers().iter().filter(|(worker, _)| *worker != "demo") {
        out.line(format!(
            "worker {worker}: {} blocks, {} shares accepted, {} rejected",
            stats.blocks, stats.accepted, stats.rejected
        ));
    }
    if let Some(tip) = blocks.last() {
        out.line(format!(
            "proved: {} blocks on regtest's own genesis block, every hash recomputed by the pool with \
             the sha2 crate; tip {}",
            blocks.len(),
            tip.hash
        ));
    }
    Ok(())
}

/// Two significant digits are enough for a difficulty that people will see.
fn easy(difficulty: f64) -> f64 {
    let unit = 10f64.powf(difficulty.log10().floor() - 1.0);
    ((difficulty / unit).round() * unit).max(1e-9)
}

/// Says who joins; the rest of what the pool has to tell comes back to our own client anyway.
async fn note_visitors(mut events: mpsc::UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        match event {
            Event::Joined { worker, .. } => tracing::info!(worker, "joined"),
            Event::Block { worker, height, .. } => tracing::info!(worker, height, "block"),
            _ => {}
        }
    }
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
