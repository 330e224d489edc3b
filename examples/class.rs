//! Many devices at one class: `cargo run --release --example class -- PROGRAM DEVICES MINUTES`
//! starts `midstate class` of that program, lets so many devices mine there by the door's protocol,
//! slowly, and compares what each of them was told with what the class says at the end. Prints what
//! it cost. Fails when a share was lost or counted twice, when a share was not on the class's page
//! within a second of its verdict, or when memory grew from the first minute to the last. Linux
//! alone, for the cost.

#[path = "../tests/devices.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod devices;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use devices::{Device, Tally, events};
use midstate_sha256d::Kernel;
use serde_json::Value;

/// Hashes a second of a device: a share every four seconds or so is as easy as a share gets.
const RATE: f64 = 15e3;
/// The class's page is current: a share is on it within so many seconds of its verdict.
const CURRENT: f64 = 1.0;
/// Memory is flat: the most of the last minute is not more than that of the first, times this.
const FLAT: f64 = 1.1;

/// When each share had its verdict.
type Verdicts = Arc<Mutex<Vec<Instant>>>;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [program, count, minutes] = &arguments[..] else {
        return Err("expected PROGRAM DEVICES MINUTES, as target/release/midstate 200 10".into());
    };
    let count: usize = count.parse()?;
    let mut class = Command::new(program)
        .args(["class", "--door", "127.0.0.1:0", "--max-hashrate", "1M", "--json"])
        .args(["--minutes", minutes])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let stdout = BufReader::new(class.stdout.take().ok_or("stdout is piped")?);
    let mut told = stdout
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let opened = told.find(|event| event["event"] == "class").ok_or("the class did not open")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let door = text(&opened["urls"][0]).trim_start_matches("http://").trim_matches('/').to_owned();
    let code = text(&opened["code"]);

    let verdicts = Verdicts::default();
    let watch = {
        let (door, pid, verdicts) = (door.clone(), class.id(), Arc::clone(&verdicts));
        std::thread::spawn(move || watch(&door, pid, &verdicts))
    };
    let kernel = Kernel::available().last().unwrap_or(Kernel::SCALAR);
    let mut threads = Vec::new();
    for number in 1..=count {
        let device = Device::join(&door, &code, &format!("device {number}"))
            .map_err(|(status, words)| format!("device {number}: {status} {words}"))?;
        let verdicts = Arc::clone(&verdicts);
        threads.push(std::thread::spawn(move || {
            let note = || lock(&verdicts).push(Instant::now());
            let tally = device.mine_and_tell(kernel, RATE, &AtomicBool::new(false), &note);
            (device.name, tally)
        }));
    }
    println!("{count} devices have joined");
    let standings: BTreeMap<String, Value> = told
        .filter(|event| event["event"] == "standing" && event["kind"] == "device")
        .map(|row| (text(&row["name"]), row))
        .collect();
    class.wait()?;

    let (mut sum, mut unlike) = (Tally::default(), 0);
    for thread in threads {
        let (name, tally) = thread.join().map_err(|_| "a device has panicked")?;
        let row = &standings[&name];
        let booked = ["shares", "blocks", "stale", "rejected"].map(|field| row[field].as_u64());
        let told = [tally.accepted, tally.blocks, tally.stale, tally.rejected].map(Some);
        if booked != told {
            println!("{name}: was told {told:?}, and the class has {booked:?}");
            unlike += 1;
        }
        sum.accepted += tally.accepted;
        sum.blocks += tally.blocks;
        sum.stale += tally.stale;
        sum.rejected += tally.rejected;
        sum.slowest = sum.slowest.max(tally.slowest);
    }
    let watched = watch.join().map_err(|_| "the watch has panicked")??;
    let Tally { accepted, blocks, stale, rejected, slowest, .. } = sum;
    println!(
        "shares of the devices: {accepted} accepted ({blocks} blocks), {stale} too late, \
         {rejected} rejected; the slowest verdict after {:.0} ms",
        1e3 * slowest
    );
    println!("devices whose count is another one than the class's: {unlike} of {count}");
    let Watched { states, longest, latest, cpu, minutes, .. } = &watched;
    println!("the class's page: {states} states, the longest wait for one {longest:.2} s");
    println!("the longest time from a share's verdict to the class's page: {latest:.2} s");
    println!("the program, its own mining included: {:.1} % of a core", 100.0 * cpu);
    println!("resident memory, the most of each minute: {minutes:?} kB");

    let mut faults = Vec::new();
    if unlike > 0 || watched.shown != accepted {
        let shown = watched.shown;
        faults.push(format!("the counts differ: devices {accepted}, the class's page {shown}"));
    }
    if rejected > 0 {
        faults.push(format!("{rejected} shares were rejected"));
    }
    if *latest > CURRENT {
        faults.push(format!("a share was on the class's page after {latest:.2} s"));
    }
    match minutes[..] {
        [first, .., last] if last as f64 > FLAT * first as f64 => {
            faults.push(format!("memory grew from {first} to {last} kB"));
        }
        [_, .., _] => {}
        _ => println!("too short to say whether memory grows: that takes two minutes"),
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(faults.join("; ").into()),
    }
}

/// What the class's page and the system say.
#[derive(Default)]
struct Watched {
    states: u64,
    /// Seconds between two states.
    longest: f64,
    /// Seconds from the verdict on a share to the state that counts it.
    latest: f64,
    /// Shares of devices in the last state.
    shown: u64,
    /// The last state said that the class is over.
    over: bool,
    /// Of a core, on average.
    cpu: f64,
    /// The most memory of each minute.
    minutes: Vec<u64>,
}

fn watch(door: &str, pid: u32, verdicts: &Verdicts) -> Result<Watched, Failure> {
    let (begun, mut last) = (Instant::now(), Instant::now());
    let mut watched = Watched::default();
    // A connection ends when it is ten minutes old, and a browser makes another.
    while !watched.over {
        for (_, state) in events(door, "/class/events")? {
            let now = Instant::now();
            // The first share that was not on the page until now.
            let first = lock(verdicts).get(watched.shown as usize).copied();
            if let Some(waited) = first.and_then(|verdict| now.checked_duration_since(verdict)) {
                watched.latest = watched.latest.max(waited.as_secs_f64());
            }
            let rows = state["rows"].as_array().into_iter().flatten();
            let devices = rows.filter(|row| row["kind"] == "device");
            watched.shown = devices.filter_map(|row| row["shares"].as_u64()).sum();
            watched.over = state["over"] == true;
            watched.states += 1;
            watched.longest = watched.longest.max((now - last).as_secs_f64());
            last = now;
            let minute = (begun.elapsed().as_secs() / 60) as usize;
            if let Some(resident) = resident(pid) {
                watched.minutes.resize(watched.minutes.len().max(minute + 1), 0);
                watched.minutes[minute] = watched.minutes[minute].max(resident);
            }
            if let Some(used) = used(pid).filter(|_| begun.elapsed() > Duration::from_secs(1)) {
                watched.cpu = used / begun.elapsed().as_secs_f64();
            }
        }
    }
    // The last moments are no minute.
    if begun.elapsed().as_secs() % 60 < 30 && watched.minutes.len() > 1 {
        watched.minutes.pop();
    }
    Ok(watched)
}

/// Seconds of processor time.
fn used(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}

/// Memory in kilobytes.
fn resident(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A device that has panicked is told of when it is joined.
fn lock(verdicts: &Verdicts) -> std::sync::MutexGuard<'_, Vec<Instant>> {
    verdicts.lock().unwrap_or_else(PoisonError::into_inner)
}
