//! The slot under loom: every interleaving of the network's side and the hashing threads (I19). Run
//! by `cargo xtask loom`, and never part of an ordinary build.
//!
//! The value is the number of the change that put it there, so that a reader can tell whether value
//! and epoch belong together.

use loom::thread::{self, JoinHandle};

use super::*;

/// Beyond three preemptions the models with two readers take hours; two threads need no bound.
const PREEMPTIONS: usize = 3;

fn explore(preemptions: Option<usize>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions;
    builder.check(model);
}

fn put(slot: &Slot<u64>, change: u64) {
    slot.replace(|_| Some(Arc::new(change)));
}

/// A hashing thread, with no unit of work between two looks at the slot: what it saw, in order.
fn hash(slot: &Arc<Slot<u64>>) -> JoinHandle<Vec<u64>> {
    let slot = Arc::clone(slot);
    thread::spawn(move || {
        let mut seen = Vec::new();
        while let Some((epoch, value)) = slot.wait() {
            assert_eq!(epoch, *value, "value and epoch belong together");
            seen.push(epoch);
            slot.wait_past(epoch);
            assert!(slot.epoch() > epoch, "it has moved on");
        }
        assert!(seen.is_sorted_by(|older, newer| older < newer), "{seen:?}");
        seen
    })
}

#[test]
fn i19_no_wake_up_is_lost_and_nobody_works_on_what_was_replaced() {
    explore(None, || {
        let slot = Arc::new(Slot::new());
        let reader = hash(&slot);
        put(&slot, 1);
        put(&slot, 2);
        slot.close();
        // Every state may be missed, as the newest wins, but none may be seen twice.
        assert!(reader.join().unwrap().len() <= 2);
    });
}

#[test]
fn i19_two_threads_are_woken_by_every_change() {
    explore(Some(PREEMPTIONS), || {
        let slot = Arc::new(Slot::new());
        let readers = [hash(&slot), hash(&slot)];
        put(&slot, 1);
        slot.close();
        for reader in readers {
            assert!(reader.join().unwrap().len() <= 1);
        }
    });
}

#[test]
fn i19_a_reader_that_sees_the_epoch_without_the_lock_finds_that_value_or_a_newer_one() {
    explore(None, || {
        let slot = Arc::new(Slot::new());
        let writer = Arc::clone(&slot);
        let writer = thread::spawn(move || {
            put(&writer, 1);
            put(&writer, 2);
        });
        let epoch = slot.epoch();
        let value = slot.get().map_or(0, |value| *value);
        assert!(value >= epoch, "epoch {epoch}, value {value}");
        writer.join().unwrap();
        assert_eq!(slot.get().as_deref(), Some(&2));
    });
}

#[test]
fn i19_two_writers_leave_one_newest_value_and_an_exact_count() {
    explore(Some(PREEMPTIONS), || {
        let slot = Arc::new(Slot::new());
        let grow = |slot: &Slot<u64>| {
            slot.replace(|present| Some(Arc::new(present.map_or(0, |value| **value) + 1)));
        };
        let other = Arc::clone(&slot);
        let other = thread::spawn(move || grow(&other));
        grow(&slot);
        other.join().unwrap();
        let (epoch, value) = slot.wait().expect("it is not closed");
        assert_eq!((epoch, *value), (2, 2));
    });
}
