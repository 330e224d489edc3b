//! Where the files of a user are: in XDG's directories on all Unix systems, in AppData on Windows.
//! Used by `mine`, for its configuration and for the blocks that wait.

use std::env;
use std::path::PathBuf;

/// Where users say what they want.
pub(crate) fn config() -> Option<PathBuf> {
    ours("XDG_CONFIG_HOME", ".config", "APPDATA")
}

/// Where programs keep what must survive them.
pub(crate) fn state() -> Option<PathBuf> {
    ours("XDG_STATE_HOME", ".local/state", "LOCALAPPDATA")
}

/// Our own directory; none for a user who has no home.
fn ours(variable: &str, below_home: &str, on_windows: &str) -> Option<PathBuf> {
    // A path that starts from wherever the program was started is to be ignored, says XDG: whoever
    // can write there would tell us what to do.
    let named = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = if cfg!(windows) {
        named(on_windows)
    } else {
        let home = || env::home_dir().filter(|path| path.is_absolute());
        named(variable).or_else(|| Some(home()?.join(below_home)))
    };
    Some(base?.join("midstate"))
}
