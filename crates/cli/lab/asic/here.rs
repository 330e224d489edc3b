//! This machine: its rate, measured; its power, read, told or assumed, and which of the three.

use std::time::Instant;

use midstate_economics::calendar::Date;
use midstate_economics::hardware::Confidence;
use midstate_economics::units::{HashesPerSecond, JoulesPerTerahash, Watts};
use midstate_sha256d::Kernel;

use crate::lab::today;
use crate::machine::choose::{HashArgs, available_threads, choose};
use crate::machine::cpu::cpu_name;
use crate::machine::energy::EnergyMeter;
use crate::machine::measure::{Estimate, rate_of};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::units;

/// Watts that a hardware thread is assumed to draw where no meter tells them: the TDPs of the CPUs
/// in the table, divided by their threads, are 4 to 8 W; servers with many slow cores have less.
const WATTS_PER_THREAD: (f64, f64) = (2.0, 10.0);

/// This machine.
pub(super) struct Here {
    /// The CPU's name for itself.
    pub(super) name: String,
    /// Today's.
    pub(super) year: f64,
    /// Today.
    pub(super) date: Date,
    /// Of all threads, without other programs: the power below is that of a CPU with nothing else
    /// to do.
    pub(super) rate: HashesPerSecond,
    /// The measurement that it is from; `None` when the rate was given.
    pub(super) measured: Option<Estimate>,
    /// The measurement, in words.
    pub(super) rate_source: String,
    /// Name of the kernel; `None` when the rate was given.
    pub(super) kernel: Option<&'static str>,
    /// Lowest and highest power; equal when it is known.
    pub(super) watts: (Watts, Watts),
    /// How it is known.
    pub(super) power_source: String,
    /// Whether rate and power were both measured, now and here.
    pub(super) is_measured: bool,
}

impl Here {
    pub(super) fn find(
        hash: &HashArgs,
        rate: Option<f64>,
        watts: Option<f64>,
        seconds: f64,
        out: &mut Output,
    ) -> Result<Self, Failure> {
        let threads = hash.threads.map_or_else(available_threads, usize::from);
        let meter = EnergyMeter::open();
        let mut measured_watts = None;
        let (rate, measured, rate_source, kernel) = match rate {
            Some(rate) => (rate, None, "given with --rate".to_owned(), None),
            None => {
                let choice = choose(hash)?;
                let config = &choice.config;
                if out.is_live() {
                    out.status(&format!("measuring for {seconds} s with {}", config.kernel.name()));
                }
                let (start, begin) = (Instant::now(), meter.as_ref().and_then(EnergyMeter::read));
                let estimate = choice.measure_on(threads, seconds)?;
                let end = meter.as_ref().and_then(EnergyMeter::read);
                out.end_status();
                if let (Some(begin), Some(end), Some(meter)) = (begin, end, &meter) {
                    let joules = meter.joules_between(begin, end);
                    measured_watts = Some(Watts(joules / start.elapsed().as_secs_f64()));
                }
                let source = format!(
                    "measured now: kernel {}, {}, {}",
                    config.kernel.name(),
                    units::count(threads, "thread"),
                    units::count(config.cut.midstates, "midstate")
                );
                (estimate.undisturbed(), Some(estimate), source, Some(config.kernel.name()))
            }
        };
        let is_measured = measured.is_some() && watts.is_none() && measured_watts.is_some();
        let (watts, power_source) = match (watts, measured_watts) {
            (Some(watts), _) => ((Watts(watts), Watts(watts)), "given with --watts".to_owned()),
            (None, Some(watts)) => ((watts, watts), "RAPL: CPU package, not the wall".to_owned()),
            (None, None) => {
                let band = WATTS_PER_THREAD;
                let count = threads as f64;
                let source = format!(
                    "assumed: {} to {} W for each of {}, as in a TDP; {}",
                    band.0,
                    band.1,
                    units::count(threads, "thread"),
                    // Without hashing there was nothing to meter.
                    if measured.is_some() {
                        EnergyMeter::why_not()
                    } else {
                        "not measured, because --rate was given"
                    }
                );
                ((Watts(band.0 * count), Watts(band.1 * count)), source)
            }
        };
        let date = today();
        Ok(Self {
            name: cpu_name(),
            year: date.fractional_year(),
            date,
            rate: HashesPerSecond(rate),
            measured,
            rate_source,
            kernel,
            watts,
            power_source,
            is_measured,
        })
    }

    /// As of a row of the hardware table: what was told or assumed is derived.
    pub(super) fn confidence(&self) -> Confidence {
        if self.is_measured { Confidence::A } else { Confidence::C }
    }

    /// J/TH at the lowest and at the highest power.
    pub(super) fn efficiency(&self) -> (JoulesPerTerahash, JoulesPerTerahash) {
        let of = |watts| JoulesPerTerahash::of(watts, self.rate);
        (of(self.watts.0), of(self.watts.1))
    }

    /// The middle of the two, on a log scale.
    pub(super) fn typical_efficiency(&self) -> JoulesPerTerahash {
        let (low, high) = self.efficiency();
        JoulesPerTerahash((low.0 * high.0).sqrt())
    }
}

/// Every kernel's rate with all threads, slowest first; none when the rate was given.
pub(super) fn kernels(
    hash: &HashArgs,
    rate: Option<f64>,
    seconds: f64,
) -> Result<Vec<(Kernel, Estimate)>, Failure> {
    if rate.is_some() {
        return Ok(Vec::new());
    }
    let choice = choose(hash)?;
    let measure = |kernel| {
        let config = &choice.config;
        let rate = rate_of(kernel, config.threads, config.cut.midstates, seconds / 3.0)?;
        Ok((kernel, rate))
    };
    let mut rates: Vec<_> = Kernel::available().map(measure).collect::<Result<_, Failure>>()?;
    rates.sort_by(|a, b| a.1.median.total_cmp(&b.1.median));
    Ok(rates)
}
