//! Many channels of Stratum V2 at the embedded pool: `cargo run --release --example channels --
//! PROGRAM CHANNELS CONNECTIONS MINUTES` starts `midstate demo --listen-sv2` of that program, opens
//! so many channels on one connection and so many connections with one channel each, mines on all
//! of them at once, slowly, and compares each name's answers with the pool's books at the end.
//! Prints what it cost, and exits with 1 if a share is missing, if the books differ, or if the
//! pool's memory grew. Linux alone, for the cost.
#![expect(clippy::unwrap_used, reason = "a run that cannot go on has failed")]

#[path = "../crates/pool/tests/v2/wire.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod wire;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common_messages_sv2::MESSAGE_TYPE_SETUP_CONNECTION;
use midstate_sha256d::{Kernel, Work};
use mining_sv2::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL;
use serde_json::Value;
use wire::{EASIEST, Found, Wire};

/// Hashes a second of a channel: a share every 13 seconds is as easy as a share gets.
const RATE: f64 = 5e3;
/// Names that the channels of the one connection share: the pool keeps books of 1,024.
const NAMES: usize = 500;
/// Between two looks at all connections.
const TICK: Duration = Duration::from_millis(50);
/// For the last answers.
const CALM: Duration = Duration::from_secs(10);
/// Between two looks at the pool's memory.
const SAMPLE: Duration = Duration::from_secs(10);
/// The pool's memory may grow so much from the first half of a run to the second, in KiB.
const MOST_GROWTH: u64 = 4096;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, channels, connections, minutes] = &arguments[..] else {
        let example = "as target/release/midstate 1000 200 10";
        return Err(format!("expected PROGRAM CHANNELS CONNECTIONS MINUTES, {example}").into());
    };
    let (channels, connections): (usize, usize) = (channels.parse()?, connections.parse()?);
    let length = Duration::from_secs_f64(minutes.parse::<f64>()? * 60.0);
    let pool = Pool::start(program)?;

    let dial = Instant::now();
    let name = |number| format!("many {}", number % NAMES);
    // Bit 0 of the flags asks for standard jobs: without it one message is for all channels.
    let mut all = vec![Connection::open(&pool, 0, (0..channels).map(name).collect())?];
    for number in 0..connections {
        all.push(Connection::open(&pool, 1, vec![format!("single {number}")])?);
    }
    let opening = dial.elapsed();
    println!("{channels} channels on one connection, {connections} with one each: {opening:.1?}");

    let (start, mut samples) = (Instant::now(), Vec::new());
    while start.elapsed() < length {
        let tick = Instant::now();
        for connection in &mut all {
            connection.listen()?;
            connection.mine(TICK)?;
        }
        if start.elapsed() >= SAMPLE.mul_f64(samples.len() as f64) {
            samples.extend(pool.resident());
        }
        std::thread::sleep(TICK.saturating_sub(tick.elapsed()));
    }
    let (seconds, used) = (start.elapsed().as_secs_f64(), pool.processor_time());
    let calm = Instant::now();
    while calm.elapsed() < CALM && all.iter().any(|connection| !connection.waiting.is_empty()) {
        all.iter_mut().try_for_each(Connection::listen)?;
        std::thread::sleep(TICK);
    }

    let mut ours: BTreeMap<String, Tally> = BTreeMap::new();
    let mut latencies = Vec::new();
    let mut missing = 0;
    for connection in &mut all {
        missing += connection.waiting.len();
        latencies.append(&mut connection.latencies);
        for (name, tally) in &connection.tallies {
            let sum = ours.entry(name.clone()).or_default();
            sum.accepted += tally.accepted;
            sum.rejected += tally.rejected;
        }
    }
    let books = pool.stop()?;
    let differ: Vec<_> = ours
        .iter()
        .filter(|(name, tally)| books.get(*name) != Some(tally))
        .map(|(name, tally)| format!("{name}: {tally:?} here, {:?} there", books.get(name)))
        .collect();
    let sum = |of: fn(&Tally) -> u64| ours.values().map(of).sum::<u64>();
    let (accepted, rejected) = (sum(|it| it.accepted), sum(|it| it.rejected));
    println!(
        "{accepted} shares accepted, {rejected} refused as stale in {seconds:.0} s: {:.1} a second",
        (accepted + rejected) as f64 / seconds
    );
    latencies.sort_unstable();
    let at = |part: f64| latencies.get((latencies.len() as f64 * part) as usize).copied();
    let [median, high] = [0.5, 0.99].map(|part| at(part).unwrap_or_default());
    let slowest = latencies.last().copied().unwrap_or_default();
    println!("answers after {median:.1?} (median), {high:.1?} (99 %), {slowest:.1?} (slowest)");
    println!("the pool used {:.1} % of a core", 100.0 * used.unwrap_or_default() / seconds);
    println!("resident memory of the pool, every {} s: {samples:?} KiB", SAMPLE.as_secs());
    println!("shares without an answer: {missing}; names whose books differ: {}", differ.len());
    differ.iter().take(10).for_each(|line| println!("  {line}"));
    let (first, second) = samples.split_at(samples.len() / 2);
    let most = |half: &[u64]| half.iter().copied().max().unwrap_or_default();
    let has_grown = !first.is_empty() && most(second) > most(first) + MOST_GROWTH;
    if has_grown {
        println!("memory has grown from {} KiB to {} KiB", most(first), most(second));
    }
    let is_good = missing == 0 && differ.is_empty() && accepted > 0 && !has_grown;
    println!("{}", if is_good { "books agree to the share, memory is flat" } else { "FAILED" });
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Shares of a name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    accepted: u64,
    rejected: u64,
}

/// The program, with the pool.
struct Pool {
    child: Child,
    events: BufReader<std::process::ChildStdout>,
    address: String,
    key: [u8; 32],
}

impl Pool {
    fn start(program: &str) -> Result<Self, Failure> {
        let mut child = Command::new(program)
            .args(["demo", "--listen-sv2", "127.0.0.1:0", "--vardiff", "--difficulty", "0.004"])
            .args(["--threads", "1", "--max-hashrate", "1", "--blocks", "1000000000", "--json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut events = BufReader::new(child.stdout.take().ok_or("stdout is piped")?);
        loop {
            let mut line = String::new();
            if events.read_line(&mut line)? == 0 {
                return Err("the program has ended without a word of where it listens".into());
            }
            let event: Value = serde_json::from_str(&line)?;
            let Some(url) = event["url"].as_str().filter(|_| event["event"] == "listening") else {
                continue;
            };
            let (address, key) = url
                .strip_prefix("stratum2+tcp://")
                .and_then(|url| url.split_once('/'))
                .ok_or("the URL has an address and a key")?;
            let key: midstate_sv2::AuthorityKey = key.parse()?;
            let (address, key) = (address.to_owned(), *key.as_bytes());
            return Ok(Self { child, events, address, key });
        }
    }

    /// Stops it: its books by name.
    fn stop(mut self) -> Result<BTreeMap<String, Tally>, Failure> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-INT", &pid]).status()?;
        let mut books = BTreeMap::new();
        for line in self.events.by_ref().lines() {
            let event: Value = serde_json::from_str(&line?)?;
            if let Some(name) = event["worker"].as_str().filter(|_| event["event"] == "worker") {
                let [accepted, rejected] =
                    ["accepted", "rejected"].map(|field| event[field].as_u64().unwrap_or_default());
                books.insert(name.to_owned(), Tally { accepted, rejected });
            }
        }
        self.child.wait()?;
        Ok(books)
    }

    /// KiB.
    fn resident(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Seconds.
    fn processor_time(&self) -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some((ticks(11)? + ticks(12)?) / 100.0)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection with its channels.
struct Connection {
    stream: TcpStream,
    wire: Wire,
    kernel: Kernel,
    /// By channel.
    names: BTreeMap<u32, String>,
    searches: BTreeMap<u32, Search>,
    /// When each share was sent, by channel and sequence number.
    waiting: HashMap<(u32, u32), Instant>,
    tallies: BTreeMap<String, Tally>,
    latencies: Vec<Duration>,
}

/// The search of a channel.
struct Search {
    found: Found,
    work: Work,
    next: u64,
}

impl Connection {
    /// Connects, and opens a channel for each name.
    fn open(pool: &Pool, flags: u32, names: Vec<String>) -> Result<Self, Failure> {
        let stream = TcpStream::connect(&pool.address)?;
        stream.set_nodelay(true)?;
        let mut entropy = [0; 32];
        getrandom::fill(&mut entropy)?;
        let mut connection = Self {
            stream,
            wire: Wire::new(pool.key, entropy),
            kernel: Kernel::available().last().unwrap_or(Kernel::SCALAR),
            names: BTreeMap::new(),
            searches: BTreeMap::new(),
            waiting: HashMap::new(),
            tallies: BTreeMap::new(),
            latencies: Vec::new(),
        };
        let hello = connection.wire.hello();
        connection.stream.write_all(&hello)?;
        connection.wait_for(|connection| connection.wire.is_open())?;
        let setup = connection.wire.seal(MESSAGE_TYPE_SETUP_CONNECTION, 0, &wire::setup(flags));
        connection.stream.write_all(&setup)?;
        connection.wait_for(|connection| !connection.wire.heard.is_empty())?;
        for name in names {
            let opening = wire::open_standard(&name, RATE as f32, EASIEST);
            let opening =
                connection.wire.seal(MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL, 0, &opening);
            connection.stream.write_all(&opening)?;
            let before = connection.names.len();
            connection.wait_for(|connection| connection.wire.channels.len() > before)?;
            let channel = *connection.wire.channels.last_key_value().unwrap().0;
            connection.names.insert(channel, name);
        }
        connection.stream.set_nonblocking(true)?;
        Ok(connection)
    }

    /// Reads until that has come.
    fn wait_for(&mut self, has_come: impl Fn(&Self) -> bool) -> Result<(), Failure> {
        while !has_come(self) {
            self.read()?;
        }
        Ok(())
    }

    /// Whether something came.
    fn read(&mut self) -> Result<bool, Failure> {
        let mut chunk = [0; 65_536];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err("the pool has hung up".into()),
            Ok(count) => {
                let unix = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as u32;
                self.wire.receive(&chunk[..count], unix);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads what has come, and books the answers.
    fn listen(&mut self) -> Result<(), Failure> {
        while self.read()? {}
        for answer in self.wire.answers() {
            match answer {
                Ok((channel, last, count)) => {
                    // Those up to the last one that were not refused: as many as it says.
                    let mut done: Vec<_> = self.waiting.keys().copied().collect();
                    done.retain(|&(of, number)| of == channel && number <= last);
                    if done.len() != count as usize {
                        let words = format!("accepted {count}, of {} that waited", done.len());
                        return Err(words.into());
                    }
                    for share in done {
                        self.settle(share, true);
                    }
                }
                Err((channel, number, code)) if code == "stale-share" => {
                    self.settle((channel, number), false);
                }
                Err(refused) => return Err(format!("{refused:?}").into()),
            }
        }
        Ok(())
    }

    fn settle(&mut self, share: (u32, u32), is_accepted: bool) {
        let Some(sent) = self.waiting.remove(&share) else { return };
        self.latencies.push(sent.elapsed());
        let tally = self.tallies.entry(self.names[&share.0].clone()).or_default();
        if is_accepted {
            tally.accepted += 1;
        } else {
            tally.rejected += 1;
        }
    }

    /// Hashes for that long on each channel, and sends the shares.
    fn mine(&mut self, time: Duration) -> Result<(), Failure> {
        let nonces = (RATE * time.as_secs_f64()) as u64;
        let mut bytes = Vec::new();
        for (&number, channel) in &self.wire.channels {
            let is_new = |search: &Search| search.found.job != channel.newest;
            if self.searches.get(&number).is_none_or(is_new) {
                self.searches.extend(Search::new(channel).map(|search| (number, search)));
            }
        }
        let mut shares = Vec::new();
        for (&number, search) in &mut self.searches {
            let range = search.next..search.next + nonces;
            search.next = range.end;
            self.kernel.scan(&search.work, range, &mut |hit| {
                shares.push((number, Found { nonce: hit.nonce, ..search.found.clone() }));
            });
        }
        for (number, found) in shares {
            let (sealed, sequence) = self.wire.seal_share(number, &found);
            bytes.extend(sealed);
            self.waiting.insert((number, sequence), Instant::now());
        }
        // The pool reads when its answers are read, and there are few shares in a tick.
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.listen()?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl Search {
    /// Of a channel's newest job, if it has one.
    fn new(channel: &wire::Channel) -> Option<Self> {
        let job = channel.jobs.get(&channel.newest)?;
        let (time, version) = (job.start?.time, job.version);
        let found = Found { job: channel.newest, time, version, nonce: 0, extranonce: None };
        let header = channel.header(&found);
        let target = job.target.to_le_bytes();
        let work = Work::new(&[header.midstate()], header.tail(), &target)?;
        Some(Self { found, work, next: 0 })
    }
}
