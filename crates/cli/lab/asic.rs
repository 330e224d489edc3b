//! `midstate asic`: this machine beside fifteen years of hardware, and why it loses.

mod here;
mod ladder;
mod page;
mod race;
mod verdict;

use std::io::IsTerminal;
use std::path::PathBuf;

use midstate_economics::hardware::{self, Device};
use midstate_economics::inputs::Inputs;
use midstate_report::Figure;
use serde_json::json;

use crate::lab::bench::parse_seconds;
use crate::lab::inputs::InputArgs;
use crate::machine::choose::HashArgs;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::values::{hash_rate, positive};
use here::Here;
use verdict::Verdict;

/// Flags of `asic`.
///
/// Power is read from the CPU's own meter (RAPL) where this user may, else taken from --watts, else
/// assumed as a band that is printed with its reason.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midstate asic --watts 65 --html report.html")]
pub(crate) struct Args {
    /// Hashes per second of this machine, in place of measuring them
    #[arg(long, value_name = "H/S", value_parser = hash_rate)]
    rate: Option<f64>,
    /// Watts of this machine, in place of reading or assuming them
    #[arg(long, value_name = "W", value_parser = positive)]
    watts: Option<f64>,
    /// Measuring time
    #[arg(long, value_name = "SECS", default_value_t = 3.0, value_parser = parse_seconds)]
    seconds: f64,
    /// Print the whole comparison: how this machine was measured, the linear scale, the energy of
    /// each machine, what a block takes, and every input with its source
    #[arg(long)]
    full: bool,
    /// Race the machines against each other first, live on a terminal
    #[arg(long)]
    race: bool,
    /// Write a report with plots into one HTML file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the plot of energy by year to an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write the picture of where a joule goes, in a CPU and in an ASIC, to an SVG file
    #[arg(long, value_name = "FILE")]
    svg_why: Option<PathBuf>,
    #[command(flatten)]
    hash: HashArgs,
    #[command(flatten)]
    inputs: InputArgs,
}

/// Everything that is shown, whichever way.
struct Comparison {
    here: Here,
    devices: Vec<Device>,
    inputs: Inputs,
    verdict: Verdict,
}

pub(crate) fn run(args: Args, out: &mut Output) -> Result<(), Failure> {
    let inputs = args.inputs.resolve()?;
    let devices = hardware::devices();
    if args.race && std::io::stdout().is_terminal() && !out.is_json() {
        race::run(&args.hash, args.rate, &devices, out)?;
    }
    let files = [&args.html, &args.svg, &args.svg_why];
    for path in files.into_iter().flatten() {
        out.try_to_save(path)?;
    }
    let here = Here::find(&args.hash, args.rate, args.watts, args.seconds, out)?;
    let verdict = Verdict::of(&here, &devices, &inputs)?;
    let comparison = Comparison { here, devices, inputs, verdict };
    match args.full {
        true => ladder::print_all(&comparison, out),
        false => ladder::print(&comparison, out),
    }
    send(&comparison, out);
    if let Some(path) = &args.html {
        let kernels = here::kernels(&args.hash, args.rate, args.seconds)?;
        out.save(path, &page::page(&comparison, &kernels).to_html())?;
    }
    if let Some(path) = &args.svg {
        let picture = Figure::Chart(page::energy_by_year(&comparison));
        out.save(path, &picture.to_svg(&page::credit(&comparison)))?;
    }
    if let Some(path) = &args.svg_why {
        let picture = page::where_a_joule_goes(&comparison);
        out.save(path, &picture.to_svg(&page::joule_credit(&comparison)))?;
    }
    Ok(())
}

/// The same as events.
fn send(comparison: &Comparison, out: &mut Output) {
    let Comparison { here, devices, verdict, .. } = comparison;
    let (low, high) = here.efficiency();
    out.event(&json!({
        "event": "device", "name": here.name, "class": "this", "year": here.year,
        "hps": here.measured.map_or(here.rate.0, |rate| rate.median),
        "hps_low": here.measured.map(|rate| rate.low),
        "hps_high": here.measured.map(|rate| rate.high),
        "hps_possible": here.measured.map(|rate| rate.possible),
        "cpu_elsewhere": here.measured.and_then(|rate| rate.elsewhere), "kernel": here.kernel,
        "watts": [here.watts.0.0, here.watts.1.0],
        "j_per_th": [low.0, high.0], "source": here.power_source,
        "rate_source": here.rate_source, "confidence": here.confidence().to_string(),
    }));
    for device in devices {
        let band = device.power.map(|power| power.band());
        let efficiency = device.efficiency();
        out.event(&json!({
            "event": "device", "name": device.name, "class": device.class.to_string(),
            "year": device.year, "hps": device.rate.0,
            "watts": band.map(|power| [power.low.0, power.high.0]),
            "basis": band.map(|power| power.basis.to_string()),
            "j_per_th": efficiency.map(|(low, high)| [low.0, high.0]),
            "source": device.source, "confidence": device.confidence.to_string(),
            "notes": device.notes,
        }));
    }
    out.event(&verdict.to_json());
}
