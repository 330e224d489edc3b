//! The CPU's own meter of energy, where it has one and this user may read it. `asic` and `bench`
//! read it before and after they hash, [`gauge`](super::gauge) while they do.

use std::fs;
use std::path::{Path, PathBuf};

/// The energy counters of all CPU packages (Linux powercap, Intel's RAPL and AMD's).
#[derive(Debug, Clone)]
pub(crate) struct EnergyMeter {
    packages: Vec<Package>,
}

#[derive(Debug, Clone)]
struct Package {
    counter: PathBuf,
    /// Where the counter starts again, in microjoules.
    wraps_at: u64,
}

impl EnergyMeter {
    const SYSTEM: &str = "/sys";
    const ZONES: &str = "class/powercap";

    /// `None` where there is no counter or this user may not read it (only root may, since
    /// CVE-2020-8694).
    pub(crate) fn open() -> Option<Self> {
        Self::open_below(Path::new(Self::SYSTEM))
    }

    /// The same below another root of sysfs.
    pub(crate) fn open_below(root: &Path) -> Option<Self> {
        let zones = fs::read_dir(root.join(Self::ZONES)).ok()?;
        let package = |zone: fs::DirEntry| {
            let path = zone.path();
            let name = fs::read_to_string(path.join("name")).ok()?;
            // Cores and memory are zones below their package: counting them would count twice.
            if !name.starts_with("package") {
                return None;
            }
            let wraps_at = fs::read_to_string(path.join("max_energy_range_uj")).ok()?;
            let counter = path.join("energy_uj");
            fs::read_to_string(&counter).ok()?;
            Some(Package { counter, wraps_at: wraps_at.trim().parse().ok()? })
        };
        let packages: Vec<_> = zones.filter_map(Result::ok).filter_map(package).collect();
        (!packages.is_empty()).then_some(Self { packages })
    }

    /// Why there is none, in words.
    pub(crate) fn why_not() -> &'static str {
        match fs::metadata(Path::new(Self::SYSTEM).join(Self::ZONES)) {
            Ok(_) => "RAPL is here but needs root",
            Err(_) => "no RAPL here",
        }
    }

    /// Microjoules of each package.
    pub(crate) fn read(&self) -> Option<Vec<u64>> {
        let read = |package: &Package| {
            fs::read_to_string(&package.counter).ok()?.trim().parse::<u64>().ok()
        };
        self.packages.iter().map(read).collect()
    }

    /// The energy between two readings.
    pub(crate) fn joules_between(&self, begin: Vec<u64>, end: Vec<u64>) -> f64 {
        let pairs = begin.into_iter().zip(end).zip(&self.packages);
        let micro = pairs.map(|((begin, end), package)| spent(begin, end, package.wraps_at));
        micro.sum::<u64>() as f64 / 1e6
    }
}

/// The count of a counter that wraps, once at most, which takes minutes.
fn spent(begin: u64, end: u64, wraps_at: u64) -> u64 {
    if end >= begin { end - begin } else { wraps_at.saturating_sub(begin) + end }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_may_wrap_once() {
        assert_eq!(spent(10, 25, 100), 15);
        assert_eq!(spent(90, 5, 100), 15);
        assert_eq!(spent(7, 7, 100), 0);
    }
}
