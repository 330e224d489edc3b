//! The signals to a running miner: the first Ctrl-C or SIGTERM to stop, SIGHUP to read the
//! configuration again, or to stop where it says that the terminal was closed, SIGUSR1 to print the
//! status. Systems without signals have Ctrl-C.

use std::time::Duration;

use super::exit::INTERRUPTED_TWICE;

/// Signals other than those that stop.
#[cfg_attr(not(unix), expect(dead_code, reason = "nothing there asks for it"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Request {
    /// The terminal is gone.
    Stop,
    Reload,
    Status,
}

/// Listens from its making on; SIGHUP no longer ends the program by itself.
pub(crate) struct Requests {
    /// Where the program was started on a terminal: which of stdin, stdout and stderr it was.
    #[cfg(unix)]
    on_terminal: [bool; 3],
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
    #[cfg(unix)]
    user: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Requests {
    pub(crate) fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        Self {
            on_terminal: terminals(),
            hangup: signal(SignalKind::hangup()).ok(),
            user: signal(SignalKind::user_defined1()).ok(),
        }
    }

    /// The next request; forever if none can be had.
    pub(crate) async fn next(&mut self) -> Request {
        async fn came(signal: &mut Option<tokio::signal::unix::Signal>) {
            if let Some(signal) = signal
                && signal.recv().await.is_some()
            {
                return;
            }
            std::future::pending().await
        }
        let on_terminal = self.on_terminal;
        tokio::select! {
            () = came(&mut self.hangup) => meaning_of_hangup(on_terminal, terminals()),
            () = came(&mut self.user) => Request::Status,
        }
    }
}

/// Which of stdin, stdout and stderr are a terminal. One that was closed is none any more.
#[cfg(unix)]
fn terminals() -> [bool; 3] {
    use std::io::{IsTerminal, stderr, stdin, stdout};
    [stdin().is_terminal(), stdout().is_terminal(), stderr().is_terminal()]
}

/// The meaning of a SIGHUP. If the terminal that the program was started on is gone: stop. If it is
/// still there, or there never was one (a service, `nohup`): read the configuration.
#[cfg(unix)]
fn meaning_of_hangup(before: [bool; 3], now: [bool; 3]) -> Request {
    match before.into_iter().zip(now).any(|(before, now)| before && !now) {
        true => Request::Stop,
        false => Request::Reload,
    }
}

#[cfg(not(unix))]
impl Requests {
    pub(crate) fn listen() -> Self {
        Self {}
    }

    /// Forever.
    pub(crate) async fn next(&mut self) -> Request {
        std::future::pending().await
    }
}

/// How long one Ctrl-C lasts. `timeout` sends its signal twice, to the program and to its group,
/// and means one.
const ONE: Duration = Duration::from_millis(200);

/// So many more times Ctrl-C end the program at once. On a thread of its own: the one that mines
/// may wait for a hashing thread, or for whoever reads the last lines.
pub(crate) fn end_after(count: usize) {
    let thread = std::thread::Builder::new().spawn(move || {
        for _ in 0..count {
            std::thread::sleep(ONE);
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(interrupted()),
                Err(_) => return,
            }
        }
        std::process::exit(INTERRUPTED_TWICE);
    });
    if let Err(error) = thread {
        tracing::debug!(%error, "a second Ctrl-C has no effect");
    }
}

/// Waits for Ctrl-C or, where there is such a thing, SIGTERM. Forever if neither can be had.
pub(crate) async fn interrupted() {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<Option<()>>();
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        _ = terminated => {}
    }
}
