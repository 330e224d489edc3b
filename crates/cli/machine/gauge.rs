//! The temperature and the watts of the CPU while it hashes, where the system has a sensor that
//! this user may read. The live view and the page show them; [`sensors`] decides by them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::machine::energy::EnergyMeter;
use crate::machine::sensors;

/// How often it is read.
const EVERY: Duration = Duration::from_secs(2);

/// The sensors' readings; null where there is no sensor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Readings {
    /// Of the CPU, in degrees Celsius.
    pub(crate) temperature: Option<f64>,
    /// Of all CPU packages, without the rest of the machine.
    pub(crate) watts: Option<f64>,
}

/// The sensors of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Gauge {
    root: PathBuf,
    meter: Option<EnergyMeter>,
    /// The meter's last reading.
    last: Option<(Instant, Vec<u64>)>,
}

impl Gauge {
    /// The sensors below `root`, which is `/sys`; `None` where there are none.
    pub(crate) fn open(root: &Path) -> Option<Self> {
        let meter = EnergyMeter::open_below(root);
        let has_any = meter.is_some() || sensors::cpu_temperature(root).is_some();
        has_any.then(|| Self { root: root.to_owned(), meter, last: None })
    }

    /// Reads every few seconds, until nobody listens.
    pub(crate) async fn run(mut self, listener: mpsc::UnboundedSender<Readings>) {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            // On a thread of its own: a sensor may take its time to answer.
            let looked = midstate_net::on_a_thread_or_here(move || {
                let readings = self.read(Instant::now());
                (self, readings)
            });
            let Ok((gauge, readings)) = looked.await else { return };
            self = gauge;
            if listener.send(readings).is_err() {
                return;
            }
        }
    }

    /// The watts are the mean since the last call.
    fn read(&mut self, now: Instant) -> Readings {
        let temperature = sensors::cpu_temperature(&self.root);
        let watts = self.meter.as_ref().and_then(|meter| {
            let counted = meter.read()?;
            let (then, before) = self.last.replace((now, counted.clone()))?;
            let seconds = now.saturating_duration_since(then).as_secs_f64();
            (seconds > 0.0).then(|| meter.joules_between(before, counted) / seconds)
        });
        Readings { temperature, watts }
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_sensor_is_read_where_there_is_one_and_nothing_is_made_up() {
        let root = std::env::temp_dir().join(format!("midstate-gauge-{}", std::process::id()));
        let set = |file: &str, content: &str| {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("{content}\n")).unwrap();
        };
        assert!(Gauge::open(&root).is_none(), "there is nothing");
        // A disk's temperature is not the CPU's.
        set("class/hwmon/hwmon0/name", "nvme");
        set("class/hwmon/hwmon0/temp1_input", "50000");
        assert!(Gauge::open(&root).is_none());

        set("class/hwmon/hwmon1/name", "k10temp");
        set("class/hwmon/hwmon1/temp1_input", "67250");
        set("class/powercap/intel-rapl:0/name", "package-0");
        set("class/powercap/intel-rapl:0/max_energy_range_uj", "1000000000");
        set("class/powercap/intel-rapl:0/energy_uj", "5000000");
        let mut gauge = Gauge::open(&root).unwrap();
        let start = Instant::now();
        let first = gauge.read(start);
        assert_eq!(first, Readings { temperature: Some(67.25), watts: None }, "no mean of one");
        set("class/powercap/intel-rapl:0/energy_uj", "135000000");
        let second = gauge.read(start + Duration::from_secs(2));
        assert_eq!(second.watts, Some(65.0), "130 J in 2 s");
        fs::remove_dir_all(&root).unwrap();
        let lost = gauge.read(start + Duration::from_secs(4));
        assert_eq!(lost, Readings::default(), "a sensor that has gone says nothing");
    }
}
