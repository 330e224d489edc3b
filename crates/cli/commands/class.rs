//! `midstate class`: a pool, a door for browsers and a page for the projector. A class mines one
//! chain with what is in its pockets, beside this machine and whoever speaks Stratum.

mod end;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use midstate_chain::Network;
use midstate_classroom::{Class, ClassLimits, Renamed};
use midstate_economics::hardware;
use midstate_net::{
    Account, Backend, NodeUrl, PacedNodePool, PoolServer, PoolUrl, Redirects, Route, ServerLimits,
    Upstream, V2Wishes,
};
use midstate_pool::{PaceConfig, PacedPool, PoolConfig, RegtestPool, VardiffConfig};
use midstate_stratum::ClientConfig;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::class::facts::{self, Facts, Reference};
use crate::class::{Door, Room, Said, listen_to_teacher};
use crate::commands::node_side::{self, Judged, NodeNews, NodeSide, PoolEnd};
use crate::commands::outcome::{of_link, outcome, with_summary};
use crate::commands::visitors;
use crate::machine::choose::{Choice, MEASURING, MiningArgs};
use crate::mining::event::RenamedEvent;
use crate::mining::{self, BlockJudge, Goals, PoolNews, Rig, Setup, Views};
use crate::servers::node::NodeArgs;
use crate::servers::pools::{Pools, RouteArgs};
use crate::shell::descriptors;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::runtime;
use crate::shell::values;

const TAG: &[u8] = b"/midstate class/";
/// How this machine is called among the others.
const TEACHER: &str = "teacher's machine";
/// The port that a class has to type, unless another program has it.
const PORT: u16 = 8080;
/// The machine of our days that a class is compared with.
const REFERENCE: &str = "Antminer S23 Hyd";

/// Flags of `class`.
///
/// The documentation has a lesson, and says who may do what (docs/class.md).
#[derive(clap::Args, Debug)]
#[command(mut_arg("threads", |threads| threads.help(THREADS)), after_help = "Examples:
  midstate class --minutes 45
  midstate class --pace 30 --listen 0.0.0.0:3333 --name physics
  midstate class --node http://127.0.0.1:18443 \
                 --address bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080")]
pub(crate) struct Args {
    /// Mean time between two blocks, in seconds: the difficulty follows the rate of the class
    #[arg(long, value_name = "SECS", default_value = "15", value_parser = values::patience)]
    pace: u64,
    /// Stop after so many minutes
    #[arg(long, value_name = "N", value_parser = values::patience, conflicts_with = "blocks")]
    minutes: Option<u64>,
    /// Stop when the class has found this many blocks
    #[arg(long, value_name = "N", value_parser = values::count)]
    blocks: Option<u64>,
    /// Address at which miners can join by Stratum, 0.0.0.0:3333 for instance
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::parse_address)]
    listen: Option<SocketAddr>,
    /// Address at which devices can join [default: 0.0.0.0:8080, or a free port if 8080 is taken]
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::parse_address)]
    door: Option<SocketAddr>,
    /// A title for the class's page
    #[arg(long, value_name = "TEXT", default_value = "Our class")]
    name: String,
    /// Mine on the chain of this regtest node instead of a chain in memory. A block counts when the
    /// node has taken it; --pace decides how hard it is, and not the node
    #[arg(long, value_name = "URL", requires = "address")]
    node: Option<NodeUrl>,
    #[command(flatten)]
    route: RouteArgs,
    #[command(flatten)]
    solo: NodeArgs,
    #[command(flatten)]
    mining: MiningArgs,
}

/// What the help says of this machine's threads.
const THREADS: &str = "Hashing threads of this machine, which serves all others [default: 1]";

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let mut args = args;
    if args.node.is_none()
        && let Some(flag) = args.solo.given().or(args.route.given())
    {
        return Err(Failure::usage(format!(
            "{flag} is for a node, and this class has a chain of its own: leave the flag out, or \
             add --node URL"
        )));
    }
    // This machine serves all others, and is to win no more than its share: it mines with one
    // thread, unless more are asked for.
    args.mining.hash.threads = args.mining.hash.threads.or(NonZeroUsize::new(1));
    let choice = args.mining.choose();
    let rig = choice.as_ref().map_or(Rig::NONE, Rig::of);
    let run = |choice| runtime::block_on(class(args, choice, out))?;
    let mined = choice.and_then(run);
    with_summary(mined, rig, out)
}

async fn class(args: Args, choice: Choice, out: &mut Output) -> Result<(), Failure> {
    let mut random = [0; 20];
    getrandom::fill(&mut random).context("the system gives no random numbers")?;
    let (salt, rest) = random.split_at(4);
    let (password, digits) = rest.split_at(8);
    let config = PoolConfig {
        host_password: Some(hex::encode(password)),
        vardiff: Some(VardiffConfig::default()),
        ..PoolConfig::new(1.0, u32::from_be_bytes(salt.try_into()?))
    };
    let password = config.host_password.clone().unwrap_or_default();
    let (pace, now) = (PaceConfig::new(args.pace as f64), PoolServer::now());
    // By this machine alone; devices that join are followed soon enough.
    let difficulty = pace.first_difficulty(choice.measure(MEASURING)?.median);
    let lesson = Lesson { code: code(u64::from_be_bytes(digits.try_into()?)), password, now };
    match args.node.clone() {
        None => {
            let pool = RegtestPool::new(config, TAG.to_vec(), now)
                .and_then(|pool| pool.with_pace(pace, difficulty, now))
                .map_err(|error| Failure::usage(format!("--pace: {error}")))?;
            let block = (pool.chain().height() + 1, pool.block_difficulty());
            let (room, end) = hold(&args, choice, lesson, pool, block, None, out).await?;
            end::tell_standings(&room.status(), out);
            end::tell_proof(room.backend().chain(), out);
            end
        }
        Some(url) => {
            let pool = PacedPool::new(config, pace, difficulty)
                .map_err(|error| Failure::usage(format!("--pace: {error}")))?;
            let block = (0, pool.block_difficulty());
            let solo = args.solo.clone().on(Network::Regtest).map_err(|chain| {
                Failure::usage(format!(
                    "--chain {chain}: a class mines at a node of regtest, where the class alone \
                     decides how hard a block is; leave --chain out"
                ))
            })?;
            let (judged, verdicts) = mpsc::unbounded_channel();
            let (here, node_is_here) = watch::channel(false);
            let hear = move |news| match news {
                // A room that has closed has no use for it.
                NodeNews::Judged(Judged { hash, verdict, reason, .. }) => {
                    let _ = judged.send((hash, verdict, reason));
                }
                NodeNews::Here(is_here) => drop(here.send_replace(is_here)),
            };
            let name = Arc::from(url.to_string());
            let link = node_side::link(url, &solo, &args.route, out)?;
            let (node, PoolEnd { blocks, templates }) = NodeSide::start(link, hear);
            let pool = PacedNodePool { pool, templates, blocks, verdicts };
            let node = AtNode { node, name, is_here: node_is_here };
            let (room, end) = hold(&args, choice, lesson, pool, block, Some(node), out).await?;
            end::tell_standings(&room.status(), out);
            end::tell_waiting(room.backend().pool.waiting(), out);
            end
        }
    }
}

/// The random numbers and the hash rate, drawn and measured once.
struct Lesson {
    code: String,
    /// By which the pool knows this machine's miner.
    password: String,
    /// When it begins.
    now: Duration,
}

/// The node whose chain the class mines.
struct AtNode {
    node: NodeSide,
    name: Arc<str>,
    /// Whether it gives work.
    is_here: watch::Receiver<bool>,
}

/// Opens the door, mines until the class ends, and closes the door. The room as it was then, and
/// how mining ended.
async fn hold<B: Backend>(
    args: &Args,
    choice: Choice,
    Lesson { code, password, now }: Lesson,
    pool: B,
    block: (u32, f64),
    at_node: Option<AtNode>,
    out: &mut Output,
) -> Result<(Room<B>, Result<(), Failure>), Failure> {
    let door = open_door(args.door).await?;
    let stratum = args.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
    let stratum = TcpListener::bind(stratum).await.with_context(|| {
        format!("cannot listen on {stratum}; take a free port with --listen {}:0", stratum.ip())
    })?;
    let class = Class::new(now, code.clone(), TEACHER, block, ClassLimits::default());
    let facts = facts(args, &code, door.local_addr()?, stratum.local_addr()?);
    let (room, desk) = Room::new(pool, class, facts.clone());
    let room = room.at_node(at_node.as_ref().map(|at| at.is_here.clone()));

    let (events, pool_events) = mpsc::unbounded_channel();
    let (miners, mut news) = mpsc::unbounded_channel();
    let told = tokio::spawn(visitors::tell(
        pool_events,
        visitors::Listeners {
            enough: args.blocks,
            judge: at_node.as_ref().map(|at| Arc::clone(&at.name)),
            ..visitors::Listeners::new(miners.clone())
        },
    ));
    // Devices have most of the descriptors, miners the rest.
    let places = descriptors::places().unwrap_or(usize::MAX);
    let connections = Door::CONNECTIONS.min(places / 4 * 3);
    let limits = ServerLimits::default();
    let sessions = limits.sessions.min(places - connections);
    let limits = ServerLimits { sessions, ..limits };
    let server = PoolServer::new(room, stratum, events).with_limits(limits).spawn()?;
    let door = Door::open(door, desk.clone(), connections).await?;
    end::say_welcome(&facts, door.page(), out);
    if let Some(at) = &at_node {
        end::say_node(&at.name, args.listen.is_some(), out);
    }
    let heard = miners.clone();
    listen_to_teacher(desk.clone(), move |said| {
        // Mining that has ended is told no more.
        let _ = heard.send(match said {
            Said::Line(line) => PoolNews::Said(line),
            Said::Renamed(Renamed { before, name }) => {
                PoolNews::Renamed(RenamedEvent { before, name })
            }
        });
    });

    let setup = setup(args, choice, server.address(), password);
    let views = Views::new(end::Bulletin::new(out));
    let (keys, commands) = mpsc::unbounded_channel();
    let mining = mining::run(setup, views, commands, &mut news);
    let (mined, node) = match at_node {
        None => (outcome(mining.await), None),
        Some(AtNode { mut node, .. }) => {
            let mined = node.attend(mining, &miners).await;
            // The last blocks count if the node takes them.
            let (end, verdicts) = node.stop().await?;
            (outcome(mined?).and(of_link(end)), Some(verdicts))
        }
    };
    drop(keys);

    // Devices learn of the end while the door is still open.
    desk.end();
    tokio::time::sleep(Duration::from_millis(300)).await;
    door.close().await;
    let room = server.stop().await.context("the pool stopped early")?;
    told.await?;
    visitors::tell_late(&mut news, out);
    if let Some(verdicts) = node {
        verdicts.tell(out);
    }
    Ok((room, mined))
}

/// A code of six digits, each as likely as any other.
fn code(random: u64) -> String {
    format!("{:06}", random % 1_000_000)
}

/// A listener where devices knock. Where nothing is asked for, any port will do if the usual one is
/// taken.
async fn open_door(asked: Option<SocketAddr>) -> Result<TcpListener, Failure> {
    let everywhere = |port| SocketAddr::from(([0, 0, 0, 0], port));
    let address = asked.unwrap_or(everywhere(PORT));
    let listener = match (TcpListener::bind(address).await, asked) {
        (Err(_), None) => TcpListener::bind(everywhere(0)).await,
        (listener, _) => listener,
    };
    Ok(listener.with_context(|| {
        format!(
            "cannot open the door on {address}; take a free port with --door {}:0",
            address.ip()
        )
    })?)
}

fn facts(args: &Args, code: &str, door: SocketAddr, stratum: SocketAddr) -> Facts {
    let urls: Vec<_> =
        facts::addresses(door).into_iter().map(|address| format!("http://{address}/")).collect();
    let qr = urls.first().map(|url| facts::qr(&facts::link(url, code))).unwrap_or_default();
    let reference = hardware::devices().into_iter().find(|device| device.name == REFERENCE);
    let hps = reference.expect("a test looks for it").rate.0;
    Facts {
        name: args.name.clone(),
        code: code.to_owned(),
        urls,
        stratum: args.listen.map(|_| facts::addresses(stratum)).unwrap_or_default(),
        pace: args.pace as f64,
        minutes: args.minutes.map(|minutes| minutes as f64),
        blocks_goal: args.blocks,
        reference: Reference { name: REFERENCE.to_owned(), hps },
        qr,
    }
}

/// This machine mines at its own pool, as any other.
fn setup(args: &Args, choice: Choice, pool: SocketAddr, password: String) -> Setup {
    let client = ClientConfig { password, ..ClientConfig::new(TEACHER) };
    // The pool listens everywhere if it was told to; we live next door.
    let host = match pool.ip() {
        ip if ip.is_unspecified() && ip.is_ipv6() => "::1".to_owned(),
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip => ip.to_string(),
    };
    let url = PoolUrl { host, port: pool.port(), tls: false, v2: None };
    let (route, v2) = (Route::default(), V2Wishes::default());
    let account = Account { url, client, route, redirects: Redirects::None, v2 };
    let time = args.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let (link, _) = Pools::new(vec![account]).into_parts();
    Setup {
        choice,
        upstream: Upstream::Pools(Box::new(link)),
        read_pools: Arc::new(|| None),
        goals: Goals { time, ..Goals::default() },
        // A regtest node's headers make every second hash a block: the pool asks for more.
        block_judge: match args.node {
            Some(_) => BlockJudge::Pool,
            None => BlockJudge::Header,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_six_digits() {
        assert_eq!(code(7), "000007");
        assert_eq!(code(123_456_789), "456789");
    }

    #[test]
    fn the_machine_that_a_class_is_compared_with_is_in_the_table() {
        assert!(hardware::devices().iter().any(|device| device.name == REFERENCE));
    }
}
