//! The ledger adds up whatever happens, in whatever order (I9).

use midstate_chain::Verdict;
use midstate_work::Ledger;
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
    #[test]
    fn i9_the_books_add_up_at_every_instant(
        verdicts in prop::collection::vec(prop::option::of(verdict()), 0..200),
    ) {
        let mut ledger = Ledger::default();
        let mut unresolved = 0u64;
        for verdict in verdicts {
            ledger.record_found();
            unresolved += 1;
            if let Some(verdict) = verdict {
                ledger.record_verdict(verdict);
                unresolved -= u64::from(verdict != Verdict::Unresolved);
            }
            prop_assert_eq!(ledger.unresolved(), unresolved);
            let judged = ledger.accepted() + ledger.rejected();
            let settled = judged + ledger.stale() + ledger.throttled();
            prop_assert_eq!(ledger.found(), settled + ledger.unresolved());
        }
    }
}
