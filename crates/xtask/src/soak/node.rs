//! The Bitcoin Core node of the soak: on regtest, with a directory of its own. It is stopped, or
//! killed, and started again on a schedule, and now and then it is given a block by someone else.
//!
//! Core writes its chain to disk about once an hour, so a node that is killed forgets up to an
//! hour of blocks. A miner can only bring back the ones that its spool still holds, which are the
//! last six. The soak therefore has the node write its chain shortly before the kill: a few blocks
//! are forgotten then, and every one of them must come back.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// Longer than the node takes to start, to stop, or to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// From writing the chain to the kill: time for one to three blocks that the node will forget.
const BEFORE_A_KILL: Duration = Duration::from_secs(6);
const BETWEEN_STRANGERS: Duration = Duration::from_secs(20);
/// The address that the other miner's blocks pay; the example of BIP173.
const STRANGER: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// How the node goes away, and for how long.
#[derive(Clone, Copy)]
struct Outage {
    is_kill: bool,
    pause: Duration,
}

/// In turn: long and short absences, both ways.
const OUTAGES: [Outage; 4] = [
    Outage { is_kill: false, pause: Duration::from_secs(2) },
    Outage { is_kill: true, pause: Duration::from_secs(0) },
    Outage { is_kill: false, pause: Duration::from_secs(20) },
    Outage { is_kill: true, pause: Duration::from_secs(10) },
];

/// The present task of the node.
enum Phase {
    Up,
    /// Its chain is written; the kill comes.
    Doomed(Outage, Instant),
    Down(Instant),
}

/// A node with its schedule; killed and removed when dropped.
pub(super) struct Node {
    program: PathBuf,
    directory: PathBuf,
    port: u16,
    /// Bound and never listening, so that no one else gets the port while the node is down.
    _held: Socket,
    child: Child,
    phase: Phase,
    between_outages: Duration,
    next_outage: Instant,
    next_stranger: Instant,
    /// The newest blocks by someone else, in hex: the network would bring them back.
    strangers: Vec<String>,
    pub(super) stopped: usize,
    pub(super) killed: usize,
    /// Blocks that were in its chain at a kill and not at the next start.
    pub(super) forgotten: u64,
    /// Of the chain at the last kill; 0 when the node was stopped.
    height_at_kill: u64,
}

impl Node {
    /// A fresh node that goes away every so often.
    pub(super) fn start(program: PathBuf, between_outages: Duration) -> anyhow::Result<Self> {
        let name = format!("midstate-soak-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        let held = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        held.set_reuse_address(true)?;
        held.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = held.local_addr()?.as_socket().context("an IP socket")?;
        let child = spawn(&program, &directory, address.port())?;
        let now = Instant::now();
        let mut node = Self {
            program,
            directory,
            port: address.port(),
            _held: held,
            child,
            phase: Phase::Up,
            between_outages,
            next_outage: now + between_outages,
            next_stranger: now + BETWEEN_STRANGERS,
            strangers: Vec::new(),
            stopped: 0,
            killed: 0,
            forgotten: 0,
            height_at_kill: 0,
        };
        node.wait_until_up()?;
        Ok(node)
    }

    /// The node's URL for `-o`.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its data directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Does what is due.
    pub(super) fn step(&mut self) -> anyhow::Result<()> {
        let now = Instant::now();
        match self.phase {
            Phase::Up if now >= self.next_outage => {
                self.next_outage += self.between_outages;
                let outage = OUTAGES[(self.stopped + self.killed) % OUTAGES.len()];
                if outage.is_kill {
                    // Writes the chain to disk before it counts the coins.
                    self.call("gettxoutsetinfo", &json!([]))?;
                    self.phase = Phase::Doomed(outage, now + BEFORE_A_KILL);
                } else {
                    self.stop()?;
                    self.phase = Phase::Down(Instant::now() + outage.pause);
                }
            }
            Phase::Up if now >= self.next_stranger => self.mine_as_stranger()?,
            Phase::Up => {
                let ended = self.child.try_wait()?;
                ensure!(ended.is_none(), "bitcoind ended by itself: {ended:?}");
            }
            Phase::Doomed(outage, at) if now >= at => {
                self.height_at_kill = self.height()?;
                self.child.kill()?;
                self.child.wait()?;
                self.killed += 1;
                self.phase = Phase::Down(Instant::now() + outage.pause);
            }
            Phase::Down(until) if now >= until => self.start_again()?,
            Phase::Doomed(..) | Phase::Down(_) => {}
        }
        Ok(())
    }

    /// Ends the schedule: from now on the node is up.
    pub(super) fn calm(&mut self) -> anyhow::Result<()> {
        if let Phase::Down(_) = self.phase {
            self.start_again()?;
        }
        self.phase = Phase::Up;
        Ok(())
    }

    /// The hashes of its best chain, by height, without the genesis block.
    pub(super) fn chain(&self) -> anyhow::Result<Vec<String>> {
        let hash = |height| {
            let hash = self.call("getblockhash", &json!([height]))?;
            Ok(hash.as_str().context("a hash is text")?.to_owned())
        };
        (1..=self.height()?).map(hash).collect()
    }

    /// Whether the block of this hash pays the stranger.
    pub(super) fn is_by_stranger(&self, hash: &str) -> anyhow::Result<bool> {
        let block = self.call("getblock", &json!([hash, 2]))?;
        Ok(block["tx"][0]["vout"][0]["scriptPubKey"]["address"] == STRANGER)
    }

    /// A block by someone else: a new tip while the miner is at work, and sometimes a lost race.
    fn mine_as_stranger(&mut self) -> anyhow::Result<()> {
        self.next_stranger += BETWEEN_STRANGERS;
        let hashes = self.call("generatetoaddress", &json!([1, STRANGER]))?;
        let block = self.call("getblock", &json!([hashes[0], 0]))?;
        self.strangers.push(block.as_str().context("a block in hex")?.to_owned());
        // Some more than can be found between the last write and a kill.
        let surplus = self.strangers.len().saturating_sub(6);
        self.strangers.drain(..surplus);
        Ok(())
    }

    fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.program, &self.directory, self.port)?;
        let height = self.wait_until_up()?;
        self.forgotten += std::mem::take(&mut self.height_at_kill).saturating_sub(height);
        for block in &self.strangers {
            self.call("submitblock", &json!([block]))?;
        }
        self.phase = Phase::Up;
        self.next_stranger = Instant::now() + BETWEEN_STRANGERS;
        Ok(())
    }

    /// As its users do.
    fn stop(&mut self) -> anyhow::Result<()> {
        self.call("stop", &json!([]))?;
        let started = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(started.elapsed() < PATIENCE, "bitcoind does not stop");
            thread::sleep(Duration::from_millis(50));
        }
        self.stopped += 1;
        Ok(())
    }

    fn height(&self) -> anyhow::Result<u64> {
        let height = self.call("getblockcount", &json!([]))?;
        height.as_u64().context("the height is a number")
    }

    /// The height of its chain, as soon as it answers. The miner may be replaying blocks by then.
    fn wait_until_up(&mut self) -> anyhow::Result<u64> {
        let started = Instant::now();
        loop {
            let error = match self.height() {
                Ok(height) => return Ok(height),
                Err(error) => error,
            };
            if let Some(status) = self.child.try_wait()? {
                bail!("bitcoind does not start ({status})");
            }
            if started.elapsed() > PATIENCE {
                return Err(error.context("bitcoind does not answer after its start"));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn call(&self, method: &str, params: &Value) -> anyhow::Result<Value> {
        let request = json!({"id": 1, "method": method, "params": params}).to_string();
        let cookie = fs::read(self.directory.join("regtest/.cookie")).unwrap_or_default();
        let body =
            post(self.port, &cookie, &request).with_context(|| format!("calling {method}"))?;
        let mut reply: Value = serde_json::from_str(&body)
            .with_context(|| format!("{method} was answered with {body:?}"))?;
        ensure!(reply["error"].is_null(), "{method} failed: {}", reply["error"]);
        Ok(reply["result"].take())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn spawn(program: &Path, directory: &Path, port: u16) -> anyhow::Result<Child> {
    let mut command = Command::new(program);
    command.arg(format!("-datadir={}", directory.display())).arg(format!("-rpcport={port}"));
    command.args(["-regtest", "-server", "-listen=0", "-listenonion=0", "-dnsseed=0"]);
    command.args(["-fixedseeds=0", "-printtoconsole=0"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().with_context(|| format!("starting {}", program.display()))
}

/// One HTTP/1.1 POST on a connection of its own; the body of the answer.
fn post(port: u16, login: &[u8], body: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Basic {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        STANDARD.encode(login.trim_ascii()),
        body.len(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.with_context(|| format!("no HTTP answer: {answer:?}"))
}
