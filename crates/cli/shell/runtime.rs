//! The runtime of the commands that use the network, and how it ends.

use std::future::Future;
use std::io;

use tokio::runtime::Builder;

/// Runs `task` on a runtime of its own, until it is done.
///
/// Work that the task left on blocking threads is not waited for, unlike at the drop of a runtime:
/// a resolver that asks a server which is not there, a file on a machine that does not answer. Such
/// work takes half a minute or forever, and its result is no longer needed. Blocks for the disk are
/// waited for by the link that writes them.
pub(crate) fn block_on<T>(task: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| {
        io::Error::new(error.kind(), format!("the network cannot be used here: {error}"))
    })?;
    let result = runtime.block_on(task);
    runtime.shutdown_background();
    Ok(result)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::task::spawn_blocking;

    use super::*;

    #[test]
    fn i20_a_resolver_that_hangs_does_not_keep_the_program() {
        let (answer, answered) = mpsc::channel::<()>();
        let asked = block_on(async {
            let (asking, asks) = tokio::sync::oneshot::channel();
            spawn_blocking(move || {
                let _ = asking.send(());
                answered.recv()
            });
            asks.await
        });
        assert_eq!(asked.unwrap(), Ok(()));
        drop(answer);
    }
}
