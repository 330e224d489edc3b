//! The books add up whatever happens, in whatever order (I9).

use midstate_chain::Verdict;
use midstate_work::{BlockLedger, Ledger};
use proptest::prelude::*;

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        Just(Verdict::Accepted),
        Just(Verdict::Rejected),
        Just(Verdict::Stale),
        Just(Verdict::Throttled),
        Just(Verdict::Unresolved),
    ]
}

proptest! {
    /// Verdicts come when they come: each entry is a find, or a verdict on one of those that wait.
    #[test]
    fn i9_the_books_add_up_at_every_instant(
        events in prop::collection::vec(prop::option::of(verdict()), 0..300),
    ) {
        let mut ledger = Ledger::default();
        let (mut waiting, mut kept, mut settled) = (0, 0, Vec::new());
        for event in events {
            match event {
                Some(Verdict::Unresolved) if waiting > 0 => {
                    ledger.record_verdict(Verdict::Unresolved);
                    (waiting, kept) = (waiting - 1, kept + 1);
                }
                Some(verdict) if waiting > 0 => {
                    ledger.record_verdict(verdict);
                    waiting -= 1;
                    settled.push(verdict);
                }
                _ => {
                    ledger.record_found();
                    waiting += 1;
                }
            }
            let of = |verdict| settled.iter().filter(|&&v| v == verdict).count() as u64;
            prop_assert_eq!(ledger.accepted(), of(Verdict::Accepted));
            prop_assert_eq!(ledger.rejected(), of(Verdict::Rejected));
            prop_assert_eq!(ledger.stale(), of(Verdict::Stale));
            prop_assert_eq!(ledger.throttled(), of(Verdict::Throttled));
            prop_assert_eq!(ledger.unresolved(), waiting + kept);
            prop_assert_eq!(ledger.found(), settled.len() as u64 + waiting + kept);
        }
    }

    /// A block's verdict may change as often as the best chain does.
    #[test]
    fn a_revised_block_is_counted_once_by_its_last_verdict(
        blocks in prop::collection::vec(prop::collection::vec(verdict(), 1..5), 0..20),
    ) {
        let mut ledger = BlockLedger::default();
        for verdicts in &blocks {
            ledger.record(verdicts[0]);
            for change in verdicts.windows(2) {
                ledger.revise(change[0], change[1]);
            }
        }
        let of = |verdict| {
            blocks.iter().filter(|verdicts| verdicts.last() == Some(&verdict)).count() as u64
        };
        let expected = BlockLedger {
            found: blocks.len() as u64,
            accepted: of(Verdict::Accepted),
            rejected: of(Verdict::Rejected),
        };
        prop_assert_eq!(ledger, expected);
    }
}
