//! Many devices at one class: `cargo run --release --example class -- PROGRAM DEVICES MINUTES`
//! starts `midstate class` of that program, lets so many devices mine there by the door's protocol,
//! slowly, and compares what each of them was told with what the class says at the end. Prints what
//! it cost. Linux alone, for the cost.

#[path = "../tests/devices.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod devices;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use devices::{Device, Tally, events};
use midstate_sha256d::Kernel;
use serde_json::Value;

/// Hashes a second of a device: a share every four seconds or so is as easy as a share gets.
const RATE: f64 = 15e3;

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

    let watch = {
        let (door, pid) = (door.clone(), class.id());
        std::thread::spawn(move || watch(&door, pid))
    };
    let kernel = Kernel::available().last().unwrap_or(Kernel::SCALAR);
    let mut threads = Vec::new();
    for number in 1..=count {
        let device = Device::join(&door, &code, &format!("device {number}"))
            .map_err(|(status, words)| format!("device {number}: {status} {words}"))?;
        threads.push(std::thread::spawn(move || {
            let tally = device.mine(kernel, RATE, &AtomicBool::new(false));
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
    println!("devices, all together: {sum:?}");
    println!("devices whose count is another one than the class's: {unlike}");
    let Watched { states, longest, cpu, memory } =
        watch.join().map_err(|_| "the watch has panicked")??;
    println!("the class's page: {states} states, the longest wait for one {longest:.2} s");
    println!("the program, its own mining included: {:.1} % of a core", 100.0 * cpu);
    println!("resident memory, a sample a minute: {memory:?} kB");
    if unlike == 0 { Ok(()) } else { Err("the counts differ".into()) }
}

/// What the class's page and the system say.
struct Watched {
    states: u64,
    /// Seconds between two states.
    longest: f64,
    /// Of a core, on average.
    cpu: f64,
    memory: Vec<u64>,
}

fn watch(door: &str, pid: u32) -> Result<Watched, Failure> {
    let (begun, mut last) = (Instant::now(), Instant::now());
    let mut watched = Watched { states: 0, longest: 0.0, cpu: 0.0, memory: Vec::new() };
    let used = |pid: u32| -> Option<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
        Some((ticks(11)? + ticks(12)?) / 100.0)
    };
    let resident = |pid: u32| -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse().ok()
    };
    for _ in events(door, "/class/events")? {
        watched.states += 1;
        watched.longest = watched.longest.max(last.elapsed().as_secs_f64());
        last = Instant::now();
        let minutes = begun.elapsed().as_secs() / 60;
        if watched.memory.len() as u64 <= minutes {
            watched.memory.extend(resident(pid));
        }
        if let Some(used) = used(pid).filter(|_| begun.elapsed() > Duration::from_secs(1)) {
            watched.cpu = used / begun.elapsed().as_secs_f64();
        }
    }
    Ok(watched)
}
