//! Calls that may wait for the system: a name, a file on another machine. Each has a thread of its
//! own, so that the async thread never waits. Not tokio's `spawn_blocking`, which panics where the
//! system starts no thread.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;

use tokio::sync::oneshot;

/// The result of `call`, which begins at once and ends whether or not it is waited for.
///
/// # Errors
/// When the system starts no thread, or `call` panics.
pub(crate) fn on_a_thread<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = io::Result<T>> + Send {
    let started = start(Builder::new(), call);
    async { end(started?).await }
}

/// As `on_a_thread`, for a call that must be made: where the system starts no thread, it is made
/// right here, and the async thread waits for it.
///
/// # Errors
/// When `call` panics.
pub fn on_a_thread_or_here<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = io::Result<T>> + Send {
    started_or_done(Builder::new(), call)
}

fn started_or_done<T: Send + 'static>(
    thread: Builder,
    call: impl FnOnce() -> T + Send + 'static,
) -> impl Future<Output = io::Result<T>> + Send {
    let call = Arc::new(Mutex::new(Some(call)));
    let for_thread = Arc::clone(&call);
    let started = start(thread, move || make(&for_thread)).map_err(|_| make(&call));
    async {
        let made = match started {
            Ok(started) => end(started).await?,
            Err(made) => made,
        };
        Ok(made.expect("one of both made the call, and once"))
    }
}

/// Makes the call, unless it was made.
fn make<T>(call: &Mutex<Option<impl FnOnce() -> T>>) -> Option<T> {
    let call = call.lock().unwrap_or_else(PoisonError::into_inner).take();
    call.map(|call| call())
}

fn start<T: Send + 'static>(
    thread: Builder,
    call: impl FnOnce() -> T + Send + 'static,
) -> io::Result<oneshot::Receiver<T>> {
    let (sender, result) = oneshot::channel();
    let call = move || {
        // Perhaps it is not waited for any more.
        let _ = sender.send(call());
    };
    match thread.name("blocking".into()).spawn(call) {
        Ok(_) => Ok(result),
        Err(error) => {
            Err(io::Error::new(error.kind(), format!("the system starts no thread: {error}")))
        }
    }
}

async fn end<T>(started: oneshot::Receiver<T>) -> io::Result<T> {
    started.await.map_err(|_| io::Error::other("a call ended by a bug in this program"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than any address space has.
    fn impossible() -> Builder {
        Builder::new().stack_size(1 << 60)
    }

    #[tokio::test]
    async fn rule_22_a_thread_that_the_system_does_not_start_is_an_error_and_no_panic() {
        assert_eq!(on_a_thread(|| 7).await.unwrap(), 7);
        let error = start(impossible(), || 7).unwrap_err();
        assert!(error.to_string().starts_with("the system starts no thread: "), "{error}");
        let fallen = on_a_thread(|| -> u8 { panic!("a test") }).await.unwrap_err();
        assert!(fallen.to_string().contains("bug"), "{fallen}");
    }

    #[tokio::test]
    async fn rule_22_a_call_that_must_be_made_is_made_without_a_thread() {
        let here = std::thread::current().id();
        let id = || std::thread::current().id();
        assert_ne!(on_a_thread_or_here(id).await.unwrap(), here);
        assert_eq!(started_or_done(impossible(), id).await.unwrap(), here);
    }
}
