//! The pencil counts of `docs/sha256d.md`: how many operations a hash takes, with each instruction
//! set, before and after each thing that a kernel leaves out.

use midstate_sha256d::{Kernel, Operations};

/// The cost of a round's parts in a vector, or in a word.
#[derive(Debug, Clone, Copy)]
struct Costs {
    big_sigma: u32,
    small_sigma: u32,
    choice: u32,
    /// Saved in two rounds whose choice is between constants.
    constant_choice: u32,
    majority: u32,
    filter: u32,
}

/// A word at a time, with a rotation in one operation, as CPUs have it for words.
const WORD: Costs = Costs::new(1, false);

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
    /// See [`Operations::Lanes`]. A big sigma is the exclusive-or of three rotations, a small one
    /// that of two rotations and a shift.
    const fn new(rotation: u32, ternary: bool) -> Self {
        let (xor, logic, constant_choice) = if ternary { (1, 1, 0) } else { (2, 3, 1) };
        Self {
            big_sigma: 3 * rotation + xor,
            small_sigma: 2 * rotation + 1 + xor,
            choice: logic,
            constant_choice,
            majority: logic,
            filter: logic,
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
/// kernel it counts the SHA instructions. A variant is asked for by its kernel.
pub(super) fn of_hash(kernel: Kernel, midstates: usize) -> Option<f64> {
    Some(count(kernel.operations()?, kernel.lanes(), midstates))
}

fn count(operations: Operations, lanes: usize, midstates: usize) -> f64 {
    let midstates = midstates as f64;
    match operations {
        Operations::Lanes { rotation, ternary } => {
            let costs = Costs::new(rotation, ternary);
            let batch = f64::from(costs.midstate()) + f64::from(costs.shared()) / midstates;
            batch / lanes as f64
        }
        Operations::Sha { hash, shared } => f64::from(hash) + f64::from(shared) / midstates,
    }
}

/// The same in rounds of one lane, the unit that `Kernel::independent_rounds` counts; `None` for
/// SHA instructions, too.
pub(super) fn rounds_of_hash(kernel: Kernel, midstates: usize) -> Option<f64> {
    let Operations::Lanes { rotation, ternary } = kernel.operations()? else { return None };
    let round = f64::from(Costs::new(rotation, ternary).round());
    Some(of_hash(kernel, midstates)? * kernel.lanes() as f64 / round)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_the_page() {
        let sums = |costs: Costs| (costs.midstate(), costs.shared(), costs.round());
        assert_eq!(sums(Costs::new(3, false)), (4911, 841, 34));
        assert_eq!(sums(Costs::new(1, true)), (2387, 461, 16));
        assert_eq!(sums(WORD), (3175, 537, 22));
        assert_eq!((NAIVE, MIDSTATE), (6312.0, 4208.0));
        let plain = Operations::Lanes { rotation: 3, ternary: false };
        assert_eq!(count(plain, 8, 1), (4911.0 + 841.0) / 8.0);
    }

    #[test]
    fn a_kernel_of_this_cpu_takes_the_operations_of_the_page() {
        let of_page = [("scalar", 3712.0), ("sse41", 1438.0), ("avx2", 719.0), ("avx512", 178.0)];
        for (name, operations) in of_page.into_iter().chain([("sha-ni", 106.0)]) {
            let Some(kernel) = Kernel::named(name) else { continue };
            assert_eq!(of_hash(kernel, 1), Some(operations), "{name}");
        }
    }
}
