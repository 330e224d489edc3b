//! The race: every machine hashes for a few seconds, this one for real. Log scale while it runs.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use midstate_economics::hardware::Device;
use midstate_economics::units::{Seconds, si};

use super::ladder::is_on_ladder;
use crate::machine::choose::{HashArgs, bench_work, choose};
use crate::shell::exit::Failure;
use crate::shell::prose::{bar, fit};

const LENGTH: Duration = Duration::from_secs(8);
const FRAME: Duration = Duration::from_millis(80);
/// With name and number the lines fit a terminal of 80 columns: one that wraps is not drawn over.
const COLUMNS: usize = 32;
const NAME: usize = 36;
/// The end of the log scale: what the fastest machine has hashed when the race ends.
const DECADES: f64 = 16.0;

struct Runner {
    name: String,
    /// `None`: counted, not computed.
    rate: Option<f64>,
}

/// Draws the race on a terminal, then the same on a linear scale.
pub(super) fn run(hash: &HashArgs, rate: Option<f64>, devices: &[Device]) -> Result<(), Failure> {
    let mut runners: Vec<_> = devices
        .iter()
        .filter(|device| is_on_ladder(device))
        .map(|device| Runner { name: device.name.clone(), rate: Some(device.rate.0) })
        .collect();
    runners.insert(4, Runner { name: "THIS MACHINE, hashing now".to_owned(), rate });

    let config = choose(hash)?.config;
    let (done, stop) = (AtomicU64::new(0), AtomicBool::new(rate.is_some()));
    std::thread::scope(|scope| {
        for _ in 0..config.threads {
            scope.spawn(|| {
                let work = bench_work(config.cut.midstates);
                let mut nonce = 0;
                while !stop.load(Ordering::Relaxed) {
                    let hashes = config.kernel.scan(&work, nonce..nonce + 512, &mut |_| {});
                    done.fetch_add(hashes, Ordering::Relaxed);
                    nonce = (nonce + 512) % (1 << 32);
                }
            });
        }
        let result = show(&runners, &done);
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    Ok(())
}

fn show(runners: &[Runner], done: &AtomicU64) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(
        stdout,
        "Hashes so far, LOG scale: {} columns are ten times more\n",
        COLUMNS as f64 / DECADES
    )?;
    let start = Instant::now();
    let mut hashes = frame(runners, done, 0.0);
    draw(runners, &hashes, &mut stdout)?;
    while start.elapsed() < LENGTH {
        std::thread::sleep(FRAME);
        hashes = frame(runners, done, start.elapsed().as_secs_f64());
        write!(stdout, "\x1b[{}A", runners.len())?;
        draw(runners, &hashes, &mut stdout)?;
    }
    let most = hashes.iter().copied().fold(1.0, f64::max);
    writeln!(stdout, "\nThe same on a LINEAR scale")?;
    for (runner, hashes) in runners.iter().zip(&hashes) {
        let bar = bar(hashes / most, COLUMNS, false);
        writeln!(stdout, "{} {:>7} {bar}", fit(&runner.name, NAME), si(*hashes))?;
    }
    let here = runners.iter().zip(&hashes).find(|(runner, _)| runner.name.starts_with("THIS"));
    if let Some((_, here)) = here {
        let wait = Seconds(most / here);
        writeln!(stdout, "\nFor one second of the fastest, this machine needs {wait}.\n")?;
    }
    stdout.flush()
}

/// What each has hashed after `seconds`.
fn frame(runners: &[Runner], done: &AtomicU64, seconds: f64) -> Vec<f64> {
    let counted = || done.load(Ordering::Relaxed) as f64;
    runners.iter().map(|runner| runner.rate.map_or_else(counted, |rate| rate * seconds)).collect()
}

fn draw(runners: &[Runner], hashes: &[f64], out: &mut impl Write) -> std::io::Result<()> {
    for (runner, hashes) in runners.iter().zip(hashes) {
        let share = hashes.max(1.0).log10() / DECADES;
        let bar = bar(share, COLUMNS, false);
        writeln!(out, "\x1b[K{} {:>7} {bar}", fit(&runner.name, NAME), si(*hashes))?;
    }
    out.flush()
}
