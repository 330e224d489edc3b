//! A real Bitcoin Core node for the tests, on regtest or on a signet that anyone can mine, with a
//! data directory of its own. Spoken to by a small HTTP client that is not the program's.
//!
//! The program is `$BITCOIND_EXE`, or the one that `cargo xtask bitcoind` has put into the cache.
//! The tests that need it are ignored unless `--include-ignored` asks for them; then they fail
//! without it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::port::Port;

/// How long a node may take to start, to stop, to answer, or to reach what a test waits for.
const PATIENCE: Duration = Duration::from_secs(200);

/// A node; killed and removed when dropped.
pub(crate) struct Bitcoind {
    program: PathBuf,
    arguments: Vec<String>,
    pub(crate) datadir: PathBuf,
    pub(crate) port: u16,
    /// Its own while it is down, too.
    _held: Port,
    chain: &'static str,
    child: Child,
}

/// The answer to a call: a result, or the node's error code and words.
pub(crate) type Reply = Result<Value, (i64, String)>;

impl Bitcoind {
    /// A fresh regtest node.
    pub(crate) fn regtest() -> Self {
        Self::start("regtest", &["-regtest"])
    }

    /// A fresh node of a chain, with extra flags.
    pub(crate) fn start(chain: &'static str, flags: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let program = find()
            .expect("a bitcoind in $BITCOIND_EXE or in the cache: cargo xtask bitcoind builds one");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("midstate-node-{}-{number}", std::process::id());
        let datadir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&datadir).unwrap();
        let held = Port::hold();
        let port = held.number();
        let mut arguments: Vec<String> = flags.iter().map(ToString::to_string).collect();
        arguments.extend([
            format!("-datadir={}", datadir.display()),
            format!("-rpcport={port}"),
            "-server".into(),
            "-listen=0".into(),
            "-listenonion=0".into(),
            "-dnsseed=0".into(),
            "-fixedseeds=0".into(),
            "-printtoconsole=0".into(),
        ]);
        let child = spawn(&program, &arguments);
        let node = Self { program, arguments, datadir, port, _held: held, chain, child };
        node.wait_until_up();
        node
    }

    /// The value for `-o`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The flags that a miner needs to find this node, its cookie, and a spool beside it.
    pub(crate) fn miner_flags(&self) -> Vec<String> {
        let spool = self.spool();
        ["-o", &self.url(), "--datadir", text(&self.datadir), "--chain", self.chain, "--spool"]
            .into_iter()
            .chain([text(&spool)])
            .map(str::to_owned)
            .collect()
    }

    /// Where [`miner_flags`](Self::miner_flags) puts solved blocks.
    pub(crate) fn spool(&self) -> PathBuf {
        self.datadir.join("spool")
    }

    /// Names of the files in the spool.
    pub(crate) fn spooled(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.spool().join(self.chain)) else {
            return Vec::new();
        };
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    /// Calls the node; panics if it says no.
    pub(crate) fn call(&self, method: &str, params: Value) -> Value {
        self.ask(method, params).unwrap_or_else(|error| panic!("{method}: {error:?}"))
    }

    /// Calls the node.
    pub(crate) fn ask(&self, method: &str, params: Value) -> Reply {
        let request = json!({"id": 1, "method": method, "params": params}).to_string();
        let cookie = std::fs::read_to_string(self.cookie()).unwrap_or_default();
        let body = post(self.port, &cookie, &request).map_err(|error| (0, error.to_string()))?;
        let mut reply: Value =
            serde_json::from_str(&body).map_err(|error| (0, format!("{error}: {body:?}")))?;
        match reply["error"].take() {
            Value::Null => Ok(reply["result"].take()),
            error => Err((
                error["code"].as_i64().unwrap(),
                error["message"].as_str().unwrap().to_owned(),
            )),
        }
    }

    /// Where it writes its cookie.
    pub(crate) fn cookie(&self) -> PathBuf {
        self.datadir.join(self.chain).join(".cookie")
    }

    /// Height of the tip.
    pub(crate) fn height(&self) -> u64 {
        self.call("getblockcount", json!([])).as_u64().unwrap()
    }

    /// Hash of a block in the best chain.
    pub(crate) fn block_hash(&self, height: u64) -> String {
        self.call("getblockhash", json!([height])).as_str().unwrap().to_owned()
    }

    /// A block of the best chain, with its transactions.
    pub(crate) fn block(&self, height: u64) -> Value {
        self.call("getblock", json!([self.block_hash(height), 2]))
    }

    /// Blocks found by somebody else.
    pub(crate) fn generate(&self, count: u64) -> Vec<String> {
        let elsewhere = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";
        let hashes = self.call("generatetoaddress", json!([count, elsewhere]));
        serde_json::from_value(hashes).unwrap()
    }

    /// Waits until `done` says so.
    pub(crate) fn wait_for(&self, what: &str, done: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !done(self) {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it as its users do.
    pub(crate) fn stop(&mut self) {
        self.call("stop", json!([]));
        self.child.wait().unwrap();
    }

    /// Kills it: no time to write anything down.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again, on the same port and data, with a new cookie.
    pub(crate) fn restart(&mut self) {
        self.child = spawn(&self.program, &self.arguments);
        self.wait_until_up();
    }

    /// Another node in its place: of another chain, on the same port.
    pub(crate) fn restart_as(&mut self, chain: &'static str, flags: &[&str]) {
        self.stop();
        let own = self.arguments.iter().position(|flag| flag.starts_with("-datadir="));
        let old = own.expect("every node has a directory of its own");
        self.arguments.splice(..old, flags.iter().map(ToString::to_string));
        self.chain = chain;
        self.restart();
    }

    fn wait_until_up(&self) {
        self.wait_for("the node to start", |node| node.ask("getblockcount", json!([])).is_ok());
    }
}

impl Drop for Bitcoind {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.datadir);
    }
}

/// Core's `bitcoin-util`, which `cargo xtask bitcoind` builds beside the node.
pub(crate) fn util() -> PathBuf {
    let util = find().map(|node| node.with_file_name("bitcoin-util"));
    util.filter(|util| util.is_file())
        .expect("a bitcoin-util beside bitcoind: cargo xtask bitcoind builds both")
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("BITCOIND_EXE").filter(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
    let entries = std::fs::read_dir(cache.join("midstate")).ok()?;
    let programs = entries.flatten().map(|entry| entry.path().join("bitcoind"));
    programs.filter(|program| program.is_file()).max()
}

fn spawn(program: &Path, arguments: &[String]) -> Child {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// One HTTP/1.1 POST on a connection of its own; the body of the answer.
fn post(port: u16, login: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nAuthorization: Basic {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        base64(login.trim().as_bytes()),
        body.len(),
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0, |group, &byte| group << 8 | u32::from(byte));
        let group = group << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let value = (group >> (18 - 6 * digit)) as usize & 63;
            text.push(if digit <= chunk.len() { char::from(DIGITS[value]) } else { '=' });
        }
    }
    text
}
