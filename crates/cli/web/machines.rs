//! The machines of the page's scale, from pencil and paper to today's ASIC, out of the table of
//! `midstate asic`. This machine the page puts among them itself, as it hashes.

use midstate_economics::hardware;
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
    to_json(&Machines { event: "machines", machines })
}
