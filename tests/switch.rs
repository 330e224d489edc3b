//! From a job on the pool's socket to the last hashing thread on it, over real TCP, on a machine
//! that has nothing else to do and on one whose cores are all taken: measured and printed (`cargo
//! test --release --test integration switch -- --nocapture`). No test asserts a speed; this one
//! asserts that every job reaches every thread.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use midstate_engine::{Config, Engine};
use midstate_net::{Account, Happened, Link, LinkConfig, LinkLimits, Redirects, Route};
use midstate_sha256d::Kernel;
use midstate_stratum::ClientConfig;
use midstate_work::Cut;
use serde_json::{Value, json};

use crate::program::PATIENCE;

const JOBS: usize = 200;
const MOST_LOAD: Duration = Duration::from_secs(30);

/// A thread's first share of a job.
struct FirstShare {
    thread: ThreadId,
    job: String,
    at: Instant,
}

/// A pool that lets one miner in, and its connection for jobs to be sent on.
fn pool() -> (String, mpsc::Receiver<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (ready, miner) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for line in lines.map_while(Result::ok) {
            let request: Value = serde_json::from_str(&line).unwrap();
            let result = match request["method"].as_str().unwrap() {
                "mining.configure" => {
                    json!({"version-rolling": true, "version-rolling.mask": "1fffe000"})
                }
                "mining.subscribe" => json!([[["mining.notify", "1"]], "00000001", 4]),
                _ => json!(true),
            };
            let answer = json!({"id": request["id"], "result": result, "error": null});
            writeln!(stream, "{answer}").unwrap();
            if request["method"] == "mining.authorize" {
                // Shares often enough to see a thread by, seldom enough not to slow it.
                let params = json!([2e-7]);
                let call = json!({"id": null, "method": "mining.set_difficulty", "params": params});
                writeln!(stream, "{call}").unwrap();
                ready.send(stream.try_clone().unwrap()).unwrap();
            }
        }
    });
    (address, miner)
}

/// As large as a real one: twelve branches, a coinbase of 250 bytes.
fn notify(number: usize) -> String {
    let prefix =
        format!("0200000001{}ffffffff5003{number:06x}{}", "00".repeat(32), "2f".repeat(70));
    let suffix = format!("ffffffff01{}{}00000000", "00".repeat(8), "7576".repeat(32));
    let branch: Vec<_> = (0..12).map(|level| format!("{level:02x}").repeat(32)).collect();
    let previous = format!("{number:064x}");
    let (version, bits, time) = ("20000000", "1d00ffff", "65000000");
    let id = number.to_string();
    let params = json!([id, previous, prefix, suffix, branch, version, bits, time, true]);
    format!("{}\n", json!({"id": null, "method": "mining.notify", "params": params}))
}

/// The threads, with a link to the pool that gives them its jobs.
fn mine(address: &str, threads: usize) -> mpsc::Receiver<FirstShare> {
    let (seen, first_shares) = mpsc::channel();
    let kernel = Kernel::available().last().unwrap();
    let config = Config { kernel, threads, cut: Cut::by_hashes(16, 2_000) };
    let engine = Engine::start(config, move |share| {
        thread_local!(static JOB: RefCell<String> = const { RefCell::new(String::new()) });
        JOB.with_borrow_mut(|job| {
            if *job != share.job.id {
                job.clone_from(&share.job.id);
                let thread = std::thread::current().id();
                let _ = seen.send(FirstShare { thread, job: job.clone(), at: Instant::now() });
            }
        });
    });
    let account = Account {
        url: address.parse().unwrap(),
        client: ClientConfig::new("me"),
        route: Route::default(),
        redirects: Redirects::None,
        v2: midstate_net::V2Wishes::default(),
    };
    let config = LinkConfig {
        accounts: vec![account],
        give_up: None,
        limits: LinkLimits::default(),
        frames: None,
        hash_rate: midstate_net::HashRate::default(),
    };
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (_shares, never) = tokio::sync::mpsc::unbounded_channel();
            let (events, mut told) = midstate_net::events();
            let (_stop, stopped) = tokio::sync::oneshot::channel();
            tokio::spawn(Link::new(config, never, events, stopped).run());
            while let Some(event) = told.recv().await {
                if let Happened::Job { job, .. } = event.what {
                    engine.set_job(Some(job));
                }
            }
        });
    });
    first_shares
}

/// Sends jobs one by one, each when all threads are on the one before; how long each took.
fn switches(
    pool: &mut TcpStream,
    first_shares: &mpsc::Receiver<FirstShare>,
    threads: usize,
    jobs: std::ops::Range<usize>,
) -> Vec<Duration> {
    let mut times: Vec<_> = jobs
        .map(|number| {
            let (line, sent) = (notify(number), Instant::now());
            pool.write_all(line.as_bytes()).unwrap();
            let mut there = HashSet::new();
            loop {
                let first = first_shares.recv_timeout(PATIENCE).unwrap();
                if first.job == number.to_string()
                    && there.insert(first.thread)
                    && there.len() == threads
                {
                    return first.at - sent;
                }
            }
        })
        .collect();
    times.sort_unstable();
    times
}

fn print(load: &str, threads: usize, times: &[Duration]) {
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    println!(
        "job written to last of {threads} threads on it, {load}, {} jobs: p50 {:.2} ms, p90 {:.2} \
         ms, p99 {:.2} ms, max {:.2} ms",
        times.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    );
}

#[test]
fn i19_every_job_of_a_pool_reaches_every_thread() {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (address, miner) = pool();
    let first_shares = mine(&address, threads);
    let mut pool = miner.recv_timeout(PATIENCE).unwrap();
    switches(&mut pool, &first_shares, threads, 1..2);
    let times = switches(&mut pool, &first_shares, threads, 2..JOBS);
    print("nothing else running", threads, &times);

    let (done, started) = (AtomicBool::new(false), Instant::now());
    // They end by themselves if the test fails.
    let busy = || {
        while !done.load(Ordering::Relaxed) && started.elapsed() < MOST_LOAD {
            std::hint::spin_loop()
        }
    };
    let times = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(busy);
        }
        let times = switches(&mut pool, &first_shares, threads, JOBS..2 * JOBS);
        done.store(true, Ordering::Relaxed);
        times
    });
    print("as many busy threads beside them", threads, &times);
}
