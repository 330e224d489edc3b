//! The memory and descriptors of a program over the hours of a soak: they must not grow.

use std::fmt;

use crate::program::Use;

/// Growth from the first quarter to the last that an allocator explains. What leaks at every
/// connection or every block leaks more in an hour.
const DRIFT_KIB: i64 = 4096;
/// Sockets that are open for a moment: the miner dials its next connection while the old one ends.
const DRIFT_DESCRIPTORS: usize = 8;

/// Samples in the order in which they were taken.
#[derive(Default)]
pub(super) struct Usage(Vec<Use>);

impl Usage {
    pub(super) fn add(&mut self, sample: Use) {
        self.0.push(sample);
    }

    /// Medians of the first and the last quarter, so that one sample in a burst does not decide.
    fn drift(&self, size: impl Fn(&Use) -> u64) -> [u64; 2] {
        let median = |samples: &[Use]| {
            let mut sizes: Vec<u64> = samples.iter().map(&size).collect();
            sizes.sort_unstable();
            sizes.get(sizes.len() / 2).copied().unwrap_or(0)
        };
        let quarter = self.0.len().div_ceil(4);
        [median(&self.0[..quarter]), median(&self.0[self.0.len() - quarter..])]
    }

    fn memory(&self) -> [u64; 2] {
        self.drift(|sample| sample.resident_kib)
    }

    fn descriptors(&self) -> [u64; 2] {
        self.drift(|sample| sample.descriptors as u64)
    }

    /// Where it grew.
    pub(super) fn faults(&self, name: &str) -> Vec<String> {
        let mut faults = Vec::new();
        let ([first, last], [few, many]) = (self.memory(), self.descriptors());
        if last as i64 - first as i64 > DRIFT_KIB {
            faults.push(format!("the memory of {name} grew from {first} to {last} KiB"));
        }
        if many > few + DRIFT_DESCRIPTORS as u64 {
            faults.push(format!("the descriptors of {name} grew from {few} to {many}"));
        }
        faults
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([first, last], [few, many]) = (self.memory(), self.descriptors());
        let peak = self.0.iter().map(|sample| sample.resident_kib).max().unwrap_or(0);
        let most = self.0.iter().map(|sample| sample.descriptors).max().unwrap_or(0);
        write!(
            f,
            "{first} KiB in the first quarter, {last} KiB in the last, drift {:+} KiB, peak {peak} \
             KiB; {few} descriptors in the first quarter, {many} in the last, at most {most} ({} \
             samples)",
            last as i64 - first as i64,
            self.0.len(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(samples: impl Iterator<Item = (u64, usize)>) -> usize {
        let mut usage = Usage::default();
        samples
            .for_each(|(resident_kib, descriptors)| usage.add(Use { resident_kib, descriptors }));
        usage.faults("x").len()
    }

    #[test]
    fn a_burst_is_no_growth_and_a_leak_is() {
        assert_eq!(faults([].into_iter()), 0);
        assert_eq!(faults((0..40).map(|i| (9000 + 90_000 * u64::from(i == 38), 12))), 0);
        assert_eq!(faults((0..40).map(|i| (9000 + 200 * i, 12))), 1);
        assert_eq!(faults((0..40).map(|i| (9000, 12 + i))), 1);
    }
}
