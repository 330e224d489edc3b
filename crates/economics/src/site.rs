//! Rigs, hash rate and power of a site or of the whole network.

use crate::units::{HashesPerSecond, JoulesPerTerahash, Watts};

/// Machines of one efficiency behind one meter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Site {
    /// Rate of all machines.
    pub rate: HashesPerSecond,
    /// Their efficiency.
    pub efficiency: JoulesPerTerahash,
    /// Watts at the meter for each watt at the machines.
    pub pue: f64,
}

impl Site {
    /// The site that a power connection of `power` can feed.
    pub fn for_power(power: Watts, efficiency: JoulesPerTerahash, pue: f64) -> Self {
        Self { rate: efficiency.rate(power * (1.0 / pue)), efficiency, pue }
    }

    /// The meter's reading.
    pub fn power(&self) -> Watts {
        self.rate.power(self.efficiency) * self.pue
    }

    /// How many rigs of `rate` each.
    pub fn rigs(&self, rate: HashesPerSecond) -> f64 {
        self.rate / rate
    }

    /// Share of a network's blocks.
    pub fn share_of(&self, network: HashesPerSecond) -> f64 {
        self.rate / network
    }
}

/// Bounds of a network's power: as if every machine were the best, then the worst that still pays.
/// The method is Marc Bevand's (blog.zorinaq.com, "Electricity consumption of Bitcoin", 2017).
pub fn network_power(
    network: HashesPerSecond,
    best: JoulesPerTerahash,
    worst: JoulesPerTerahash,
) -> (Watts, Watts) {
    (network.power(best), network.power(worst))
}
