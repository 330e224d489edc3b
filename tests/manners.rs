//! Hashing gives way to whatever else the machine has to do (U7).
#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use crate::program::{Lines, Running, events, fail, midstate, run};
use crate::terminal::Terminal;
use crate::web::{status, wait_for};

/// Name and nice value of each thread of a process.
fn threads(pid: &str) -> Vec<(String, i32)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let read = |task: std::fs::DirEntry| {
        // A thread may end while the list is read.
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(')')?;
        // The 19th field of proc_pid_stat(5), 17 after the name.
        Some((name.to_owned(), fields.split_ascii_whitespace().nth(16)?.parse().unwrap()))
    };
    tasks.filter_map(|task| read(task.unwrap())).collect()
}

#[test]
fn u7_hashing_threads_have_the_lowest_priority_and_no_other_thread_has() {
    let own = threads("self")[0].1;
    for (priority, expected) in [("idle", 19), ("normal", own)] {
        let mut demo = Running::start(&[
            "demo",
            "--blocks",
            "100000",
            "--difficulty",
            "0.00001",
            "--threads",
            "1",
            "--priority",
            priority,
        ]);
        demo.wait_for(|event| event["event"] == "share");
        let threads = threads(&demo.child.id().to_string());
        let (hashing, others): (Vec<_>, Vec<_>) =
            threads.into_iter().partition(|(name, _)| name.starts_with("hash-"));
        assert_eq!(hashing, [("hash-0".to_owned(), expected)], "{priority}");
        assert!(!others.is_empty());
        assert!(others.iter().all(|(_, nice)| *nice == own), "{priority}: {others:?}");
    }
}

/// A tree like that of sysfs; removed when dropped.
struct Sensors(PathBuf);

const AC: &str = "class/power_supply/AC/online";
const HEAT: &str = "class/thermal/thermal_zone0/temp";

impl Sensors {
    /// A laptop on mains power, and cool.
    fn new(name: &str) -> Self {
        let name = format!("midstate-manners-{name}-{}", std::process::id());
        let sensors = Self(std::env::temp_dir().join(name));
        sensors.set("class/power_supply/BAT0/type", "Battery");
        sensors.set("class/power_supply/BAT0/status", "Discharging");
        sensors.set("class/power_supply/AC/type", "Mains");
        sensors.set(AC, "1");
        sensors.set("class/thermal/thermal_zone0/type", "x86_pkg_temp");
        sensors.set(HEAT, "40000");
        sensors
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// Writes a file all at once, as sysfs does.
    fn set(&self, file: &str, content: &str) {
        let (path, new) = (self.0.join(file), self.0.join("new"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&new, format!("{content}\n")).unwrap();
        std::fs::rename(new, path).unwrap();
    }
}

impl Drop for Sensors {
    fn drop(&mut self) {
        // A leftover does no harm.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn u7_hashing_rests_on_battery_and_in_the_heat_and_says_so() {
    let sensors = Sensors::new("lines");
    sensors.set(AC, "0");
    let demo = ["demo", "--blocks", "100000", "--threads", "1", "--max-hashrate", "1M"];
    let watched = ["--pause-on-battery", "--max-temp", "80", "--sensors", sensors.path()];
    let mut child = midstate(&[&demo[..], &watched, &["--json", "--web", "127.0.0.1:0"]].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdout, mut stderr) =
        (Lines::of(child.stdout.take().unwrap()), Lines::of(child.stderr.take().unwrap()));
    let page = stdout.find(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        let url = (event["event"] == "web").then(|| event["url"].as_str().unwrap().to_owned())?;
        Some(url.strip_prefix("http://")?.trim_end_matches('/').to_owned())
    });
    let mut says = |words: &str| stderr.find(|line| (line == words).then_some(()));
    let is = |state: &str| wait_for(state, || (status(&page)["state"] == state).then_some(()));

    says("paused: on battery");
    is("paused");
    // A unit that was begun is finished; then nothing moves.
    wait_for("rest", || {
        let hashes = || status(&page)["hashes"].as_u64().unwrap();
        let before = hashes();
        std::thread::sleep(std::time::Duration::from_millis(1000));
        (hashes() == before).then_some(())
    });
    sensors.set(AC, "1");
    says("goes on: on mains power");
    is("mining");
    stdout.find(|line| line.contains("\"event\":\"share\"").then_some(()));
    sensors.set(HEAT, "90400");
    says("paused: 90 °C, above --max-temp 80; the bound to go on is 75 °C");
    is("paused");
    sensors.set(HEAT, "74900");
    says("goes on: 75 °C");
    is("mining");
    // A sensor that is lost stops no thread.
    sensors.set(AC, "0");
    says("paused: on battery");
    std::fs::rename(sensors.0.join("class/power_supply"), sensors.0.join("gone")).unwrap();
    says(
        "warning: no battery or mains supply can be read any more: --pause-on-battery has no \
         effect while none can",
    );
    says("goes on: no supply to be read");
    is("mining");

    let pid = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    stdout.drain();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn u7_a_key_decides_whether_hashing_goes_on_when_the_battery_is_no_longer_emptied() {
    let sensors = Sensors::new("keys");
    let watched = ["--pause-on-battery", "--max-temp", "80", "--sensors", sensors.path()];
    let terminal = Terminal::demo(&watched, &[]);
    let sees = |words: &str| {
        terminal.wait_for(words, |screen| screen.contents().contains(words));
    };
    sensors.set(AC, "0");
    sees("paused: on battery");
    sees("paused  ");
    // A key lifts no limit.
    terminal.press("p");
    sees("paused by you, too (on battery); p lifts your pause");
    terminal.press("p");
    sees("your pause is lifted; still paused: on battery");
    sees("paused  ");
    terminal.press("p");
    // The key before the sensor: the first of both sentences is still on the page.
    let twice = |text: &str| text.matches("paused by you, too").count() == 2;
    terminal.wait_for("the key", |screen| twice(&screen.contents()));
    sensors.set(AC, "1");
    sees("on mains power; still paused by you: p lifts your pause");
    sees("paused  ");
    terminal.press("p");
    sees("mining  ");
    // A viewer's own pause outlasts a sensor's that comes later, too.
    terminal.press("p");
    sees("paused  ");
    sensors.set(HEAT, "85000");
    sees("paused: 85 °C, above --max-temp 80");
    sensors.set(HEAT, "60000");
    sees("60 °C; still paused by you: p lifts your pause");
    sees("paused  ");
    terminal.press("q");
}

#[test]
fn u7_what_this_machine_cannot_tell_is_usage() {
    let sensors = Sensors::new("usage");
    let empty = sensors.0.join("empty");
    let empty = empty.to_str().unwrap();
    for (arguments, words) in [
        (&["--pause-on-battery", "--sensors", empty][..], ["--pause-on-battery", "power_supply"]),
        (&["--max-temp", "80", "--sensors", empty], ["--max-temp", "thermal"]),
        (&["--max-temp", "hot"], ["--max-temp", "from 20 to 150"]),
        (&["--max-temp", "5"], ["--max-temp", "from 20 to 150"]),
        (&["--max-temp", "NaN"], ["--max-temp", "from 20 to 150"]),
    ] {
        for command in [&["demo"][..], &["mine", "-o", "a:1", "-u", "me"]] {
            let (code, stderr) = fail(&[command, arguments].concat());
            assert_eq!(code, 2, "{stderr}");
            for word in words {
                assert!(stderr.contains(word), "{word:?} is not in: {stderr}");
            }
        }
    }
    let dry = ["mine", "-o", "a:1", "-u", "me", "--dry-run", "--kernel", "scalar"];
    let watched = ["--pause-on-battery", "--max-temp", "80.5", "--sensors", sensors.path()];
    let dry = [&dry[..], &watched].concat();
    let told = String::from_utf8(run(&dry).stdout).unwrap();
    assert!(told.contains("resting on battery\nresting above 80.5 °C\n"), "{told}");
    let plan = &events(&run(&[&dry[..], &["--json"]].concat()).stdout)[0];
    assert_eq!((&plan["pause_on_battery"], &plan["max_temp"]), (&true.into(), &80.5.into()));
}
