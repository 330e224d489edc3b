//! How many connections fit into the descriptors that the system gives this process. Used by the
//! commands that have thousands of them.

/// Descriptors for all else: files, the runtime, the page.
pub(crate) const OWN: usize = 64;

/// Asks the system for as many descriptors as it lets this process have, and says how many
/// connections they are enough for. `None`: there is no such limit here.
pub(crate) fn places() -> Option<usize> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // Where even that is refused, the limit is what it was.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        let limit = getrlimit(Resource::Nofile).current?;
        Some(usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(OWN))
    }
    #[cfg(not(unix))]
    None
}
