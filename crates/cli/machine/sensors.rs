//! Manners towards the machine: hashing rests while a laptop runs on its battery, or while the CPU
//! is too hot. Both are read from the files in which Linux shows its sensors; other systems have
//! none, and there the flags are refused. Used by `demo` and `mine`, whose loop
//! ([`mining`](crate::mining)) is told what is to be done, and does it.

use std::ffi::OsStr;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::machine::gauge::Gauge;
use crate::shell::exit::Failure;

/// How often the sensors are looked at.
const EVERY: Duration = Duration::from_secs(5);
/// So much cooler than the limit, in degrees, hashing goes on: without it, it would stop and go at
/// every look.
const HYSTERESIS: f64 = 5.0;
/// Temperatures that a sensor can mean, in degrees; a contact that nothing is connected to reads as
/// -128 or 255.
const PLAUSIBLE: RangeInclusive<f64> = -40.0..=150.0;
/// Names of the sensors of CPUs; others are those of disks, radios and batteries.
const CPU_SENSORS: [&str; 4] = ["coretemp", "k10temp", "zenpower", "x86_pkg_temp"];

// Directories below the root of sysfs; what is in them is in the kernel's documentation, at
// ABI/testing/sysfs-class-power, ABI/testing/sysfs-class-thermal and hwmon/sysfs-interface.rst.
const SUPPLIES: &str = "class/power_supply";
const ZONES: &str = "class/thermal";
const MONITORS: &str = "class/hwmon";

/// Flags about when to rest.
#[derive(Args, Debug, Clone)]
pub(crate) struct SensorArgs {
    /// Rest while the machine runs on its battery (Linux)
    #[arg(long)]
    pause_on_battery: bool,
    /// Rest when the CPU is hotter than this, until it is 5 degrees cooler; where no sensor is the
    /// CPU's, the hottest one counts (Linux)
    #[arg(long, value_name = "CELSIUS", value_parser = parse_temperature)]
    max_temp: Option<f64>,
    /// Where the system shows its sensors; for tests
    #[arg(long, value_name = "DIR", default_value = "/sys", hide = true)]
    sensors: PathBuf,
}

fn parse_temperature(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(degrees) if (20.0..=150.0).contains(&degrees) => Ok(degrees),
        _ => Err("expected degrees Celsius from 20 to 150, as 85".to_owned()),
    }
}

impl SensorArgs {
    /// The readings of the CPU's sensors while it hashes, if it has any.
    pub(crate) fn gauge(&self) -> Option<Gauge> {
        Gauge::open(&self.sensors)
    }

    /// The sensors to watch, if a flag asks for any and this system has them.
    pub(crate) fn watch(&self) -> Result<Option<Watch>, Failure> {
        if !self.pause_on_battery && self.max_temp.is_none() {
            return Ok(None);
        }
        let flag = if self.pause_on_battery { "--pause-on-battery" } else { "--max-temp" };
        if !cfg!(target_os = "linux") {
            return Err(Failure::usage(format!(
                "{flag} reads sensors as Linux shows them, and this is another system: leave it out"
            )));
        }
        let root = &self.sensors;
        if self.pause_on_battery && on_battery(root).is_none() {
            return Err(Failure::usage(format!(
                "--pause-on-battery: {} shows neither a battery nor a mains supply, so that \
                 midstate cannot tell when to rest: leave the flag out",
                root.join(SUPPLIES).display()
            )));
        }
        let part = [Part::Cpu, Part::Any].into_iter().find(|&part| hottest(root, part).is_some());
        if self.max_temp.is_some() && part.is_none() {
            return Err(Failure::usage(format!(
                "--max-temp: neither {} nor {} shows a temperature, as in most virtual machines: \
                 leave the flag out, and limit the rate with --max-hashrate",
                root.join(ZONES).display(),
                root.join(MONITORS).display()
            )));
        }
        Ok(Some(Watch {
            root: root.clone(),
            battery: self.pause_on_battery.then(Guard::default),
            heat: self.max_temp.zip(part).map(|(limit, part)| Heat {
                limit,
                part,
                guard: Guard::default(),
            }),
        }))
    }
}

/// The sensors' news for the hashing threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// Rest, because the machine is like this: told again when the reason is another one.
    Rest(String),
    /// Go on, now that it is like this.
    GoOn(String),
    /// Something cannot be watched any more.
    Lost(&'static str),
}

/// The sensors that are watched, and what they have said.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    root: PathBuf,
    battery: Option<Guard>,
    heat: Option<Heat>,
}

#[derive(Debug, Clone)]
struct Heat {
    limit: f64,
    /// The part whose sensors were found at the start: if the CPU's fail, a disk's are no
    /// substitute.
    part: Part,
    guard: Guard,
}

/// The part whose temperature it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Cpu,
    Any,
}

#[derive(Debug, Clone, Default)]
struct Guard {
    /// Whether it has hashing rest.
    holds: bool,
    /// Whether it was told that it has nothing to go by.
    lost: bool,
}

impl Guard {
    /// Takes note of what a sensor says now: whether to rest, or `None` if there is no sensor. News
    /// of the loss, the first time.
    fn heed(&mut self, holds: Option<bool>, loss: &'static str) -> Option<News> {
        self.holds = holds.unwrap_or(false);
        let is_new = holds.is_none() && !self.lost;
        self.lost |= is_new;
        is_new.then_some(News::Lost(loss))
    }
}

impl Watch {
    /// The limit, if the temperature is watched.
    pub(crate) fn max_temp(&self) -> Option<f64> {
        self.heat.as_ref().map(|heat| heat.limit)
    }

    /// Whether the battery is watched.
    pub(crate) fn pauses_on_battery(&self) -> bool {
        self.battery.is_some()
    }

    /// Looks every few seconds, and tells what is new until nobody listens.
    pub(crate) async fn run(mut self, listener: mpsc::UnboundedSender<News>) {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            // On a thread of its own: the controller of a battery may take its time to answer.
            let looked = midstate_net::on_a_thread_or_here(move || {
                let news = self.look();
                (self, news)
            });
            let Ok((watch, news)) = looked.await else { return };
            self = watch;
            if news.into_iter().try_for_each(|news| listener.send(news)).is_err() {
                return;
            }
        }
    }

    /// One look at the sensors.
    fn look(&mut self) -> Vec<News> {
        let (mut news, mut reasons, mut remedies) = (Vec::new(), Vec::new(), Vec::new());
        let mut has_changed = false;
        if let Some(guard) = &mut self.battery {
            let held = guard.holds;
            let on_battery = on_battery(&self.root);
            news.extend(guard.heed(
                on_battery,
                "no battery or mains supply can be read any more: --pause-on-battery has no effect \
                 while none can",
            ));
            match on_battery {
                Some(true) => reasons.push("on battery".to_owned()),
                Some(false) if held => remedies.push("on mains power".to_owned()),
                None if held => remedies.push("no supply to be read".to_owned()),
                _ => {}
            }
            has_changed |= guard.holds != held;
        }
        if let Some(Heat { limit, part, guard }) = &mut self.heat {
            let held = guard.holds;
            let temperature = hottest(&self.root, *part);
            let least = *limit - if held { HYSTERESIS } else { 0.0 };
            news.extend(guard.heed(
                temperature.map(|degrees| degrees > least),
                "no temperature can be read any more: --max-temp has no effect while none can",
            ));
            match temperature {
                Some(degrees) if guard.holds => reasons.push(format!(
                    "{degrees:.0} °C, above --max-temp {limit}; the bound to go on is {} °C",
                    *limit - HYSTERESIS
                )),
                Some(degrees) if held => remedies.push(format!("{degrees:.0} °C")),
                None if held => remedies.push("no temperature to be read".to_owned()),
                _ => {}
            }
            has_changed |= guard.holds != held;
        }
        if has_changed {
            news.push(match reasons.is_empty() {
                true => News::GoOn(remedies.join(", ")),
                false => News::Rest(reasons.join(", ")),
            });
        }
        news
    }
}

/// Whether a battery is being emptied and nothing feeds the machine; `None` if nothing tells.
fn on_battery(root: &Path) -> Option<bool> {
    let (mut is_known, mut is_emptied, mut is_fed) = (false, false, false);
    for supply in entries(&root.join(SUPPLIES)) {
        let said = |name: &str| read(&supply.join(name));
        // A mouse has a battery, too, and so has a headset.
        if said("scope").is_some_and(|scope| scope == "Device") {
            continue;
        }
        let kind = said("type").unwrap_or_default();
        if kind == "Battery" {
            let status = said("status");
            is_known |= status.is_some();
            is_emptied |= status.is_some_and(|status| status == "Discharging");
        } else if kind == "Mains" || kind.starts_with("USB") {
            let online = said("online");
            is_known |= online.is_some();
            is_fed |= online.is_some_and(|online| online != "0");
        }
    }
    is_known.then_some(is_emptied && !is_fed)
}

/// The hottest sensor of the CPU or of the whole machine, in degrees Celsius; `None` if there is
/// none.
fn hottest(root: &Path, part: Part) -> Option<f64> {
    let zones = entries(&root.join(ZONES)).filter(|zone| starts_with(zone, "thermal_zone"));
    let zones = zones.map(|zone| (read(&zone.join("type")), zone.join("temp")));
    let monitors = entries(&root.join(MONITORS)).flat_map(|monitor| {
        let name = read(&monitor.join("name"));
        let is_input = |file: &PathBuf| {
            starts_with(file, "temp") && file.to_string_lossy().ends_with("_input")
        };
        entries(&monitor).filter(is_input).map(move |file| (name.clone(), file))
    });
    let readings = zones.chain(monitors).filter_map(|(name, file)| {
        let degrees = read(&file)?.parse::<f64>().ok()? / 1000.0;
        let counts = part == Part::Any || name.is_some_and(|name| is_cpu_sensor(&name));
        (counts && PLAUSIBLE.contains(&degrees)).then_some(degrees)
    });
    readings.max_by(f64::total_cmp)
}

/// The hottest sensor of the CPU, in degrees Celsius; `None` where it has none.
pub(super) fn cpu_temperature(root: &Path) -> Option<f64> {
    hottest(root, Part::Cpu)
}

/// Boards call theirs `cpu_thermal`, `cpu-thermal`, `cpu0-thermal` and so on.
fn is_cpu_sensor(name: &str) -> bool {
    CPU_SENSORS.contains(&name) || name.starts_with("cpu")
}

fn entries(directory: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn starts_with(path: &Path, prefix: &str) -> bool {
    path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with(prefix))
}

/// The word in a file of sysfs.
fn read(file: &Path) -> Option<String> {
    Some(fs::read_to_string(file).ok()?.trim().to_owned())
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    /// A tree like sysfs; removed when dropped.
    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Self {
            let name = format!("midstate-sensors-{name}-{}", std::process::id());
            Self(std::env::temp_dir().join(name))
        }

        fn set(&self, files: &[(&str, &str)]) {
            for (file, content) in files {
                let path = self.0.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("{content}\n")).unwrap();
            }
        }

        fn remove(&self, directory: &str) {
            fs::remove_dir_all(self.0.join(directory)).unwrap();
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            // A leftover does no harm.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const BATTERY: [(&str, &str); 2] = [
        ("class/power_supply/BAT0/type", "Battery"),
        ("class/power_supply/BAT0/status", "Discharging"),
    ];

    #[test]
    fn u7_on_battery_is_when_a_battery_is_emptied_and_nothing_feeds_the_machine() {
        let tree = Tree::new("supplies");
        assert_eq!(on_battery(&tree.0), None, "there is nothing");
        // A mouse on a desktop.
        tree.set(&[
            ("class/power_supply/hidpp_battery_0/type", "Battery"),
            ("class/power_supply/hidpp_battery_0/scope", "Device"),
            ("class/power_supply/hidpp_battery_0/status", "Discharging"),
        ]);
        assert_eq!(on_battery(&tree.0), None, "a mouse says nothing of the machine");
        tree.set(&BATTERY);
        assert_eq!(on_battery(&tree.0), Some(true));
        for (supply, kind) in [("AC", "Mains"), ("ucsi-source-psy-1", "USB"), ("usb", "USB_PD")] {
            let file = |name: &str| format!("class/power_supply/{supply}/{name}");
            for (online, expected) in [("1", false), ("2", false), ("0", true)] {
                tree.set(&[(&file("type"), kind), (&file("online"), online)]);
                assert_eq!(on_battery(&tree.0), Some(expected), "{supply} {online}");
            }
        }
        for status in ["Charging", "Full", "Not charging", "Unknown"] {
            tree.set(&[("class/power_supply/BAT0/status", status)]);
            assert_eq!(on_battery(&tree.0), Some(false), "{status}");
        }
        tree.set(&[
            ("class/power_supply/BAT1/type", "Battery"),
            ("class/power_supply/BAT1/status", "Discharging"),
        ]);
        assert_eq!(on_battery(&tree.0), Some(true), "the second one");
        tree.remove("class/power_supply/BAT0");
        tree.remove("class/power_supply/BAT1");
        assert_eq!(on_battery(&tree.0), Some(false), "no battery, and no mains that feed");
    }

    #[test]
    fn u7_the_temperature_is_the_hottest_of_the_cpu_else_of_the_machine() {
        let tree = Tree::new("heat");
        assert_eq!(hottest(&tree.0, Part::Any), None, "there is nothing");
        // A cooling device is no sensor, nor is a sensor without a contact.
        tree.set(&[
            ("class/thermal/cooling_device0/temp", "99000"),
            ("class/thermal/thermal_zone0/type", "acpitz"),
            ("class/thermal/thermal_zone0/temp", "-274000"),
            ("class/hwmon/hwmon0/name", "nct6775"),
            ("class/hwmon/hwmon0/temp1_input", "255000"),
            ("class/hwmon/hwmon0/temp2_input", "nonsense"),
            ("class/hwmon/hwmon0/temp3_crit", "100000"),
        ]);
        assert_eq!(hottest(&tree.0, Part::Any), None);
        tree.set(&[
            ("class/thermal/thermal_zone0/temp", "31500"),
            ("class/hwmon/hwmon1/name", "nvme"),
            ("class/hwmon/hwmon1/temp1_input", "70850"),
        ]);
        assert_eq!(hottest(&tree.0, Part::Any), Some(70.85), "the hottest of all");
        assert_eq!(hottest(&tree.0, Part::Cpu), None, "a disk is no substitute");
        for (file, name) in [
            ("class/hwmon/hwmon2/name", "coretemp"),
            ("class/hwmon/hwmon2/name", "k10temp"),
            ("class/hwmon/hwmon2/name", "zenpower"),
            ("class/hwmon/hwmon2/name", "cpu_thermal"),
        ] {
            tree.set(&[
                (file, name),
                ("class/hwmon/hwmon2/temp1_input", "44000"),
                ("class/hwmon/hwmon2/temp12_input", "45000"),
            ]);
            assert_eq!(hottest(&tree.0, Part::Cpu), Some(45.0), "{name}");
        }
        for name in ["x86_pkg_temp", "cpu-thermal", "cpu0-thermal"] {
            tree.set(&[
                ("class/thermal/thermal_zone1/type", name),
                ("class/thermal/thermal_zone1/temp", "46000"),
            ]);
            assert_eq!(hottest(&tree.0, Part::Cpu), Some(46.0), "{name}");
        }
    }

    fn watch(tree: &Tree, pause_on_battery: bool, max_temp: Option<f64>) -> Watch {
        let args = SensorArgs { pause_on_battery, max_temp, sensors: tree.0.clone() };
        args.watch().unwrap().unwrap()
    }

    #[test]
    fn u7_hashing_rests_above_the_limit_until_it_is_five_degrees_cooler() {
        let tree = Tree::new("hysteresis");
        let set = |millidegrees: &str| {
            tree.set(&[("class/thermal/thermal_zone0/temp", millidegrees)]);
        };
        set("85000");
        let mut watch = watch(&tree, false, Some(85.0));
        let mut told = Vec::new();
        for degrees in ["85000", "85001", "95000", "80001", "84000", "80000", "84999", "90000"] {
            set(degrees);
            told.push(watch.look());
        }
        let rest = |degrees| {
            vec![News::Rest(format!(
                "{degrees} °C, above --max-temp 85; the bound to go on is 80 °C"
            ))]
        };
        let go_on = vec![News::GoOn("80 °C".to_owned())];
        let quiet = Vec::new;
        let expected =
            [quiet(), rest(85), quiet(), quiet(), quiet(), go_on.clone(), quiet(), rest(90)];
        assert_eq!(told, expected);

        // A sensor that cannot be read is told once and stops no thread.
        tree.remove("class");
        let lost = watch.look();
        assert!(
            matches!(&lost[..], [News::Lost(words), News::GoOn(_)] if words.contains("--max-temp")),
            "{lost:?}"
        );
        assert_eq!(watch.look(), []);
        set("90000");
        assert_eq!(watch.look(), rest(90));
        tree.remove("class");
        assert_eq!(watch.look(), [News::GoOn("no temperature to be read".to_owned())]);
    }

    #[test]
    fn u7_hashing_goes_on_when_nothing_speaks_against_it() {
        let tree = Tree::new("both");
        tree.set(&BATTERY);
        tree.set(&[("class/thermal/thermal_zone0/temp", "90000")]);
        let mut watch = watch(&tree, true, Some(80.0));
        let hot = "90 °C, above --max-temp 80; the bound to go on is 75 °C";
        assert_eq!(watch.look(), [News::Rest(format!("on battery, {hot}"))]);
        assert_eq!(watch.look(), []);
        tree.set(&[("class/power_supply/BAT0/status", "Charging")]);
        assert_eq!(watch.look(), [News::Rest(hot.to_owned())]);
        tree.set(&[("class/thermal/thermal_zone0/temp", "70000")]);
        assert_eq!(watch.look(), [News::GoOn("70 °C".to_owned())]);
        tree.set(&BATTERY);
        assert_eq!(watch.look(), [News::Rest("on battery".to_owned())]);
        tree.remove("class/power_supply");
        let lost = watch.look();
        assert!(matches!(&lost[..], [News::Lost(_), News::GoOn(_)]), "{lost:?}");
    }
}
