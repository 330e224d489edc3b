//! The one place where the network's side and the hashing threads meet: a slot that holds the
//! newest value and a counter that tells when it was replaced. Nothing queues up, so a flood of
//! jobs costs no memory and the newest one always wins.

#[cfg(all(test, loom))]
mod model;

use std::sync::{Arc, PoisonError};

#[cfg(all(test, loom))]
use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};
#[cfg(not(all(test, loom)))]
use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering},
};

/// Holds the newest `T` for any number of readers.
pub(crate) struct Slot<T> {
    /// Grows by one with every change; what a reader compares in its inner loop.
    epoch: AtomicU64,
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    value: Option<Arc<T>>,
    closed: bool,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self {
            epoch: AtomicU64::new(0),
            state: Mutex::new(State { value: None, closed: false }),
            changed: Condvar::new(),
        }
    }

    /// The number of changes so far.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The present value.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.lock().value.clone()
    }

    /// The present value, unless the slot is closed.
    pub(crate) fn take_up(&self) -> Option<Arc<T>> {
        let state = self.lock();
        state.value.clone().filter(|_| !state.closed)
    }

    /// Whether there is a value to be had.
    pub(crate) fn is_filled(&self) -> bool {
        let state = self.lock();
        !state.closed && state.value.is_some()
    }

    /// Replaces the value by what `next` makes of the present one, and wakes who waits.
    pub(crate) fn replace(&self, next: impl FnOnce(Option<&Arc<T>>) -> Option<Arc<T>>) {
        let mut state = self.lock();
        state.value = next(state.value.as_ref());
        self.publish(state);
    }

    /// Ends all waiting, for good.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.publish(state);
    }

    /// The present value; waits while there is none. `None` once the slot is closed.
    pub(crate) fn wait(&self) -> Option<(u64, Arc<T>)> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(value) = &state.value {
                return Some((self.epoch(), Arc::clone(value)));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits until the slot is no longer at `epoch`. `false` once it is closed.
    pub(crate) fn wait_past(&self, epoch: u64) -> bool {
        let mut state = self.lock();
        while self.epoch() == epoch && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        !state.closed
    }

    fn publish(&self, state: MutexGuard<'_, State<T>>) {
        // Under the lock: a reader that saw this epoch under the lock has seen this value.
        self.epoch.fetch_add(1, Ordering::Release);
        drop(state);
        self.changed.notify_all();
    }

    /// A panic elsewhere cannot leave the state half written: every change is one assignment.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
