//! The machines of the page's scale, from pencil and paper to today's ASIC, and where a joule goes:
//! the tables of `midstate asic`. This machine the page puts among them itself, as it hashes.

use midstate_economics::hardware;
use midstate_economics::joule::{self, Spending};
use serde::Serialize;

use crate::shell::output::to_json;

/// As many as a projector shows in large type: each is the first or the last of its kind, or stands
/// on a desk.
const SHOWN: [&str; 9] = [
    "Pencil and paper",
    "ESP32-D0",
    "Radeon HD 5870",
    "GeForce RTX 4090",
    "BFL miniRig",
    "Avalon batch 1",
    "Bitaxe Gamma 601",
    "Antminer S9",
    "Antminer S23 Hyd",
];

#[derive(Serialize)]
struct Machines {
    event: &'static str,
    /// Slowest first.
    machines: Vec<Machine>,
    /// In a CPU, then in an ASIC.
    joule: Vec<Joule>,
}

/// The parts that a joule goes to in a machine.
#[derive(Serialize)]
struct Joule {
    machine: String,
    estimate: bool,
    parts: Vec<Part>,
    source: String,
}

#[derive(Serialize)]
struct Part {
    name: String,
    share: f64,
    /// Whether that is what the machine is there for.
    useful: bool,
}

#[derive(Serialize)]
struct Machine {
    name: String,
    class: String,
    year: f64,
    hps: f64,
    source: String,
}

/// All of them, slowest first, as JSON.
pub(super) fn to_json_text() -> String {
    let mut devices = hardware::devices();
    devices.retain(|device| SHOWN.contains(&device.short_name()));
    devices.sort_by(|a, b| a.rate.0.total_cmp(&b.rate.0));
    let machine = |device: hardware::Device| Machine {
        name: device.short_name().to_owned(),
        class: device.class.to_string(),
        year: device.year,
        hps: device.rate.0,
        source: device.source,
    };
    let machines = devices.into_iter().map(machine).collect();
    let joule = joule::spendings().into_iter().map(spent).collect();
    to_json(&Machines { event: "machines", machines, joule })
}

fn spent(spending: Spending) -> Joule {
    let whole = spending.whole();
    let part = |part: joule::Part| Part {
        name: part.name,
        share: part.amount / whole,
        useful: part.useful,
    };
    Joule {
        machine: spending.machine,
        estimate: spending.estimate,
        parts: spending.parts.into_iter().map(part).collect(),
        source: spending.source,
    }
}
