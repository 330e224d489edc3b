//! `cargo xtask flood --seconds S`: what a pool that sends 10,000 jobs a second costs the program
//! itself (S6), beside the same pool with a single job: hash rate, memory, processor time, and
//! whether the newest job is the one that is mined. On all cores, and with one left to the network.
//!
//! The pool is a thread in here, on loopback. It takes processor time from the miner, and says how
//! much. Needs `/proc`, so Linux.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::program::{self, Program};

const JOBS_A_SECOND: f64 = 10_000.0;
/// They go out in packets, as many as are due. What was not taken in time is not made good.
const BETWEEN_PACKETS: Duration = Duration::from_millis(1);
const MOST_IN_A_PACKET: u64 = 20;
/// For the last job to be hashed, and for a first one to come.
const PATIENCE: Duration = Duration::from_secs(10);
/// Resident memory may grow so much from the first third of a flood to its end.
const MOST_GROWTH_KIB: u64 = 2048;

/// Prints a line for every run and what the flood costs; exit code 1 if memory grew or an old job
/// was mined.
pub(crate) fn run(root: &Path, seconds: &str) -> anyhow::Result<ExitCode> {
    let seconds: u64 =
        seconds.parse().with_context(|| format!("{seconds:?} is no number of seconds"))?;
    ensure!((3..=3600).contains(&seconds), "--seconds takes 3 to 3600, got {seconds}");
    let program = program::build(root)?;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut good = true;
    for threads in [Some(cores), cores.checked_sub(1)].into_iter().flatten().filter(|&n| n > 0) {
        println!("{threads} hashing threads on {cores} cores");
        let calm = Run::of(&program, threads, seconds, 0.0)?;
        println!("  one job: {calm}");
        let flood = Run::of(&program, threads, seconds, JOBS_A_SECOND)?;
        println!("  flood:   {flood}");
        println!(
            "           memory {} KiB after a third, {} KiB at the end; the pool used {:.2} \
             cores",
            flood.memory[0], flood.memory[1], flood.pool_cores
        );
        let change = |part: fn(&Run) -> f64| (part(&flood) / part(&calm) - 1.0) * 100.0;
        println!(
            "  change:  {:+.1} % by the clock, {:+.1} % in a second of the hashing threads' \
             processor time",
            change(|run| run.hashes / run.seconds),
            change(|run| run.hashes / run.hashing)
        );
        if !flood.is_newest {
            println!("  wrong: the newest job was not mined");
        }
        let [early, late] = flood.memory;
        if late > early + MOST_GROWTH_KIB {
            println!("  wrong: memory grew by {} KiB", late - early);
        }
        good &= flood.is_newest && late <= early + MOST_GROWTH_KIB;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The measurements of one run of the program.
struct Run {
    seconds: f64,
    hashes: f64,
    /// Jobs the pool sent, and jobs the hashing threads were given.
    sent: u64,
    mined: u64,
    is_newest: bool,
    /// Seconds of processor time: of the hashing threads, and of all others.
    hashing: f64,
    other: f64,
    pool_cores: f64,
    /// KiB resident after a third of the time and at the end.
    memory: [u64; 2],
}

impl Run {
    fn of(
        program: &Path,
        threads: usize,
        seconds: u64,
        jobs_a_second: f64,
    ) -> anyhow::Result<Self> {
        let time = Duration::from_secs(seconds);
        let pool = Pool::start(jobs_a_second, time)?;
        let (url, count) = (&pool.address, &threads.to_string());
        let mine = ["mine", "-o", url, "-u", "flood", "--threads", count];
        let mut miner = Program::start(program, &mine)?;
        let mut heard = Heard::default();
        let started = Instant::now();
        let (mut early, mut last) = (None, None);
        while last.is_none() {
            thread::sleep(Duration::from_millis(50));
            heard.listen(&mut miner)?;
            if early.is_none() && started.elapsed() > time / 3 {
                early = Some(miner.usage()?.resident_kib);
            }
            last = pool.sent.try_recv().ok();
            ensure!(started.elapsed() < time + PATIENCE, "the miner takes no jobs");
        }
        let (sent, pool_time) = last.context("the loop ends with it")?;
        let late = miner.usage()?.resident_kib;
        let [hashing, other] = miner.processor_time()?.map(|time| time.as_secs_f64());
        let (last, waiting) = ((sent - 1).to_string(), Instant::now());
        while heard.newest != last && waiting.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
            heard.listen(&mut miner)?;
        }
        let events = miner.stop()?;
        let summary = events.iter().rfind(|event| event["event"] == "summary");
        let number = |key: &str| summary.and_then(|summary| summary[key].as_f64());
        let seconds = number("seconds").context("the miner printed no summary")?;
        Ok(Self {
            seconds,
            hashes: number("hashes").context("the summary has no hashes")?,
            sent,
            mined: heard.jobs,
            is_newest: heard.newest == last,
            hashing,
            other,
            pool_cores: pool_time.as_secs_f64() / seconds,
            memory: [early.unwrap_or(late), late],
        })
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seconds, hashes, sent, mined, hashing, other, .. } = self;
        let per_second = |count: f64| count / seconds;
        write!(
            f,
            "{seconds:.0} s, {:.0} jobs/s sent and {:.0} mined; {:.2} MH/s on {:.2} cores, {:.2} \
             cores for all else",
            per_second(*sent as f64),
            per_second(*mined as f64),
            per_second(*hashes) / 1e6,
            per_second(*hashing),
            per_second(*other)
        )
    }
}

/// The job that the miner says it mines.
#[derive(Default)]
struct Heard {
    jobs: u64,
    /// Id of the last one.
    newest: Value,
}

impl Heard {
    fn listen(&mut self, miner: &mut Program) -> anyhow::Result<()> {
        for event in miner.events()?.iter().filter(|event| event["event"] == "job") {
            self.jobs += 1;
            self.newest = event["job_id"].clone();
        }
        Ok(())
    }
}

/// A pool for one miner.
struct Pool {
    address: String,
    /// How many jobs it sent, when it has ended, and the processor time it took.
    sent: mpsc::Receiver<(u64, Duration)>,
}

impl Pool {
    /// Sends jobs for so long from the moment when the miner is let in: one at once, then so many a
    /// second.
    fn start(jobs_a_second: f64, time: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("opening a port")?;
        let address = listener.local_addr()?.to_string();
        let (told, sent) = mpsc::channel();
        thread::spawn(move || {
            // A miner that went away is missed by whoever started it.
            if let Ok(ended) = serve(&listener, jobs_a_second, time) {
                let _ = told.send(ended);
            }
        });
        Ok(Self { address, sent })
    }
}

fn serve(
    listener: &TcpListener,
    jobs_a_second: f64,
    time: Duration,
) -> anyhow::Result<(u64, Duration)> {
    let (mut stream, _) = listener.accept()?;
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    loop {
        let request: Value = serde_json::from_str(&lines.next().context("the miner left")??)?;
        answer(&mut stream, &request)?;
        if request["method"] == "mining.authorize" {
            break;
        }
    }
    // Shares are few at difficulty 1. They are answered in turn with the jobs.
    let mut answers = stream.try_clone()?;
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let request = serde_json::from_str(&line).unwrap_or_default();
            if answer(&mut answers, &request).is_err() {
                break;
            }
        }
    });
    let started = Instant::now();
    let mut sent = 0;
    while started.elapsed() < time {
        let due = (started.elapsed().as_secs_f64() * jobs_a_second) as u64 + 1;
        let due = due.min(sent + MOST_IN_A_PACKET);
        let packet: String = (sent..due).map(notify).collect();
        stream.write_all(packet.as_bytes())?;
        sent = due;
        thread::sleep(BETWEEN_PACKETS);
    }
    Ok((sent, program::scheduled(Path::new("/proc/thread-self"))?))
}

fn answer(stream: &mut TcpStream, request: &Value) -> anyhow::Result<()> {
    let result = match request["method"].as_str() {
        Some("mining.configure") => {
            json!({"version-rolling": true, "version-rolling.mask": "1fffe000"})
        }
        Some("mining.subscribe") => json!([[["mining.notify", "1"]], "00000001", 8]),
        _ => json!(true),
    };
    let answer = json!({"id": request["id"], "result": result, "error": null});
    Ok(stream.write_all(format!("{answer}\n").as_bytes())?)
}

/// As large as a real one: twelve branches, a coinbase of 250 bytes. The number is its id, and in
/// the coinbase.
fn notify(number: u64) -> String {
    let prefix =
        format!("0200000001{}ffffffff5003515151{}{number:016x}", "00".repeat(32), "2f".repeat(56));
    let suffix = format!("ffffffff01{}{}00000000", "00".repeat(8), "7576".repeat(32));
    let branch = (0..12).map(|level| format!("\"{}\"", format!("{level:02x}").repeat(32)));
    let branch = branch.collect::<Vec<_>>().join(",");
    let previous = "11".repeat(32);
    format!(
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{number}\",\"{previous}\",\
         \"{prefix}\",\"{suffix}\",[{branch}],\"20000000\",\"1d00ffff\",\"65000000\",true]}}\n"
    )
}
