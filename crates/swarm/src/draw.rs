//! Draws that a seed decides, so that a run can be repeated: the same seed gives the same numbers
//! with every version of this program.

/// A source of numbers: SplitMix64 (Steele, Lea and Flood, 2014).
#[derive(Debug, Clone)]
pub(crate) struct Draw(u64);

impl Draw {
    /// A source of its own for each `purpose`, so that one does not move the numbers of another.
    pub(crate) fn new(seed: u64, purpose: u64) -> Self {
        let mut draw = Self(seed);
        draw.0 = draw.next() ^ purpose;
        draw.next();
        draw
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none. Its bias is below one in 2^32 for any count of
    /// workers or shares.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }

    /// Moves `count` of the items, drawn without regard to their order, to the front.
    pub(crate) fn bring_forward<T>(&mut self, items: &mut [T], count: usize) {
        for at in 0..count.min(items.len()) {
            let left = (items.len() - at) as u64;
            items.swap(at, at + self.below(left) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_paper_and_fair() {
        // The first numbers of the reference implementation with seed 0.
        let mut draw = Draw(0);
        assert_eq!(draw.next(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(draw.next(), 0x6e78_9e6a_a1b9_65f4);
        let mut counts = [0; 10];
        let mut draw = Draw::new(7, 1);
        for _ in 0..10_000 {
            counts[draw.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
        assert_eq!(draw.below(0), 0);
        assert_ne!(Draw::new(7, 1).next(), Draw::new(7, 2).next());
    }
}
