//! The race: which machine is the first to try as many hashes as a block of difficulty 1,000 takes
//! on average? The lanes are linear, this machine hashes for real, and after a few seconds the race
//! is over: whoever is still on the way is told how long the rest would take.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use midstate_chain::Target;
use midstate_economics::hardware::Device;
use midstate_economics::units::{Seconds, grouped, si};

use super::ladder::is_on_ladder;
use crate::machine::choose::{HashArgs, bench_work, choose};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::prose::{bar, fit};
use crate::shell::style::Style;

const DIFFICULTY: f64 = 1_000.0;
const LENGTH: Duration = Duration::from_secs(10);
const FRAME: Duration = Duration::from_millis(80);
/// Columns for a place, a share of the way, or the time that the rest would take.
const RESULT: usize = 25;
const NAME: usize = 24;
const HERE: &str = "THIS MACHINE";

struct Runner {
    name: String,
    /// `None`: this machine, whose hashes are counted.
    rate: Option<f64>,
}

/// A runner at some moment.
struct Standing<'a> {
    name: &'a str,
    hashes: f64,
    rate: f64,
}

/// Draws the race on a terminal; its last picture stays.
pub(super) fn run(
    hash: &HashArgs,
    rate: Option<f64>,
    devices: &[Device],
    out: &mut Output,
) -> Result<(), Failure> {
    let mut runners: Vec<_> = devices
        .iter()
        .filter(|device| is_on_ladder(device))
        .map(|device| Runner { name: device.name.clone(), rate: Some(device.rate.0) })
        .collect();
    runners.push(Runner { name: HERE.to_owned(), rate });

    let choice = choose(hash)?;
    let config = choice.config;
    // This machine's lane lies where its rate belongs, whether that is given or only known roughly.
    let roughly = choice.thread_rate * config.threads as f64;
    runners.sort_by(|a, b| a.rate.unwrap_or(roughly).total_cmp(&b.rate.unwrap_or(roughly)));
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
        let result = show(&runners, &done, out);
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    Ok(())
}

fn show(runners: &[Runner], done: &AtomicU64, out: &mut Output) -> std::io::Result<()> {
    let distance =
        Target::from_difficulty(DIFFICULTY).expect("a difficulty above zero").expected_hashes_f64();
    out.styled(Style::Heading, format!("The race to {} hashes", si(distance)));
    out.prose(
        0,
        format!(
            "A block of difficulty {} takes that many on average. LINEAR scale; this machine \
             hashes now, the others run as their makers say.",
            grouped(DIFFICULTY, 0)
        ),
    );
    out.line("");
    out.flush();
    let start = Instant::now();
    let mut stdout = std::io::stdout().lock();
    loop {
        let elapsed = start.elapsed();
        let seconds = elapsed.as_secs_f64();
        let counted = done.load(Ordering::Relaxed) as f64;
        let standings = runners.iter().map(|runner| {
            let hashes = runner.rate.map_or(counted, |rate| rate * seconds);
            let rate = runner.rate.unwrap_or(counted / seconds);
            Standing { name: &runner.name, hashes, rate }
        });
        let standings: Vec<_> = standings.collect();
        let is_over = elapsed >= LENGTH;
        for line in picture(&standings, distance, out.width(), is_over) {
            let is_here = line.starts_with(HERE);
            let line = if is_here { out.paint(Style::Here, &line) } else { line };
            writeln!(stdout, "\x1b[K{line}")?;
        }
        stdout.flush()?;
        if is_over {
            writeln!(stdout)?;
            return stdout.flush();
        }
        std::thread::sleep(FRAME);
        write!(stdout, "\x1b[{}A", runners.len())?;
    }
}

/// A lane for each runner: its name, its way so far, and its place or how far it is.
fn picture(standings: &[Standing<'_>], distance: f64, width: usize, is_over: bool) -> Vec<String> {
    let columns = width - NAME - RESULT - 3;
    let faster = |rate: f64| standings.iter().filter(|other| other.rate > rate).count();
    let lane = |runner: &Standing<'_>| {
        let share = runner.hashes / distance;
        let strip = format!("{:<columns$}", bar(share, columns, false));
        let result = if share >= 1.0 {
            format!("{}. in {}", faster(runner.rate) + 1, short(distance / runner.rate))
        } else if is_over {
            format!("needs {}", short(distance / runner.rate))
        } else {
            format!("{:.4} %", share * 100.0)
        };
        format!("{} {strip}| {result}", fit(runner.name, NAME)).trim_end().to_owned()
    };
    standings.iter().map(lane).collect()
}

fn short(seconds: f64) -> String {
    if seconds < 0.1 { format!("{:.1} ms", seconds * 1e3) } else { Seconds(seconds).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_race_has_places_and_says_how_long_the_rest_would_take() {
        let standing = |name, rate: f64| Standing { name, hashes: rate * 10.0, rate };
        let standings = [
            standing("Pencil and paper", 7.75e-6),
            standing(HERE, 1e6),
            standing("slow ASIC", 1e12),
            standing("ASIC", 1e14),
        ];
        let [hand, here, slow, fast]: [String; 4] =
            picture(&standings, 4e12, 60, true).try_into().unwrap();
        assert!(hand.ends_with("| needs 16.4 billion years"), "{hand}");
        assert!(here.ends_with("| needs 46.3 days") && here.starts_with(HERE), "{here}");
        assert!(slow.ends_with("| 2. in 4.00 seconds"), "{slow}");
        assert!(fast.ends_with("| 1. in 40.0 ms"), "{fast}");
        let on_the_way = &picture(&standings, 4e12, 60, false)[1];
        assert!(on_the_way.ends_with("| 0.0003 %"), "{on_the_way}");
        for line in [hand, here, slow, fast] {
            assert!(line.chars().count() <= 60, "{line}");
        }
    }
}
