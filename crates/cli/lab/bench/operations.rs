//! The pencil counts of `docs/sha256d.md`: how many operations a hash takes, with each instruction
//! set, before and after each thing that a kernel leaves out.

use midstate_sha256d::InstructionSet;

/// What the parts of a round cost on some instruction set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Costs {
    big_sigma: u32,
    small_sigma: u32,
    choice: u32,
    /// Saved in two rounds whose choice is between constants.
    constant_choice: u32,
    majority: u32,
    filter: u32,
    lanes: u32,
}

/// A word at a time, with a rotation in one operation, as CPUs have it for words.
const WORD: Costs = Costs {
    big_sigma: 5,
    small_sigma: 5,
    choice: 3,
    constant_choice: 1,
    majority: 3,
    filter: 3,
    lanes: 1,
};
/// Vectors without a rotation: two shifts and an OR.
const PLAIN: Costs = Costs { big_sigma: 11, small_sigma: 9, lanes: 4, ..WORD };
const AVX512: Costs = Costs {
    big_sigma: 4,
    small_sigma: 4,
    choice: 1,
    constant_choice: 0,
    majority: 1,
    filter: 1,
    lanes: 16,
};

/// 64 rounds, 48 schedule words and the sum at the end, with nothing left out.
const BLOCK: u32 = 128 * WORD.big_sigma
    + 96 * WORD.small_sigma
    + 64 * (WORD.choice + WORD.majority)
    + 64 * 7
    + 48 * 3
    + 8;

/// Three blocks of a word at a time: what the standard says.
pub(super) const NAIVE: f64 = (3 * BLOCK) as f64;
/// Two of them.
pub(super) const MIDSTATE: f64 = (2 * BLOCK) as f64;

impl Costs {
    fn of(set: InstructionSet) -> Option<Self> {
        match set {
            InstructionSet::Scalar => Some(WORD),
            InstructionSet::Sse41 => Some(PLAIN),
            InstructionSet::Avx2 => Some(Self { lanes: 8, ..PLAIN }),
            InstructionSet::Avx512 => Some(AVX512),
            // The page has no count of rounds for them.
            InstructionSet::ShaNi | InstructionSet::Neon | InstructionSet::Sha2 => None,
        }
    }

    /// Of each midstate of a batch.
    fn midstate(self) -> u32 {
        236 * self.big_sigma + 80 * self.small_sigma + 120 * self.choice - 2 * self.constant_choice
            + 116 * self.majority
            + 886
            + self.filter
    }

    /// Of the nonces and the schedule that the midstates of a batch share.
    fn shared(self) -> u32 {
        76 * self.small_sigma + 157
    }

    /// A round's, with the constant and the schedule word given as one.
    fn round(self) -> u32 {
        2 * self.big_sigma + self.choice + self.majority + 6
    }
}

/// Instructions of a hash by the folded algorithm; `None` where the page has no count. Of the SHA
/// kernel it counts the SHA instructions.
pub(super) fn of_hash(set: InstructionSet, midstates: usize) -> Option<f64> {
    let midstates = midstates as f64;
    if set == InstructionSet::ShaNi {
        return Some(61.0 + 23.0 + 22.0 / midstates);
    }
    let costs = Costs::of(set)?;
    let batch = f64::from(costs.midstate()) + f64::from(costs.shared()) / midstates;
    Some(batch / f64::from(costs.lanes))
}

/// The same in rounds of one lane, the unit that `Kernel::independent_rounds` counts.
pub(super) fn rounds_of_hash(set: InstructionSet, midstates: usize) -> Option<f64> {
    let costs = Costs::of(set)?;
    let operations = of_hash(set, midstates)?;
    Some(operations * f64::from(costs.lanes) / f64::from(costs.round()))
}

#[cfg(test)]
mod tests {
    use midstate_sha256d::Kernel;

    use super::*;

    #[test]
    fn the_sums_are_those_of_the_page() {
        let sums = |costs: Costs| (costs.midstate(), costs.shared(), costs.round());
        assert_eq!(sums(PLAIN), (4911, 841, 34));
        assert_eq!(sums(AVX512), (2387, 461, 16));
        assert_eq!(sums(WORD), (3175, 537, 22));
        assert_eq!((NAIVE, MIDSTATE), (6312.0, 4208.0));
        assert_eq!(of_hash(InstructionSet::Avx2, 1), Some((4911.0 + 841.0) / 8.0));
        assert_eq!(of_hash(InstructionSet::ShaNi, 1), Some(106.0));
        assert_eq!(of_hash(InstructionSet::Neon, 1), None);
    }
    #[test]
    fn the_page_counts_lanes_as_the_kernels_do() {
        for kernel in Kernel::available() {
            let counted = Costs::of(kernel.instruction_set()).map(|costs| costs.lanes as usize);
            assert!(counted.is_none_or(|lanes| lanes == kernel.lanes()), "{}", kernel.name());
        }
    }
}
