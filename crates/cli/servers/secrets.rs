//! Passwords in files (S15): a command line can be read by every user of the machine, a file by
//! those whom its owner lets. Used by `mine`, for the flag and for the configuration; what a file
//! holds is in no message.

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

use midstate_net::read_up_to;

use crate::shell::exit::Failure;
use crate::shell::output::Output;

/// The most that is read of a password's file. No pool is sent more than 255 bytes of one; what is
/// longer by far is another file, or has no end (`/dev/zero`).
const MAX_BYTES: usize = 4096;

/// Reads a password: the one line of `file`, without its end.
pub(crate) fn read_password(file: &Path) -> Result<String, Failure> {
    let failure = |problem: fmt::Arguments<'_>| {
        Failure::usage(format!(
            "the password file {} {problem}; expected the password as its only line",
            file.display()
        ))
    };
    let bytes = read_up_to(file, MAX_BYTES).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => failure(format_args!("is larger than {MAX_BYTES} bytes")),
        _ => failure(format_args!("cannot be read: {error}")),
    })?;
    let text = String::from_utf8(bytes).map_err(|_| failure(format_args!("is no UTF-8 text")))?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = if line.len() < text.len() { line.strip_suffix('\r').unwrap_or(line) } else { line };
    if line.is_empty() {
        return Err(failure(format_args!("holds no password")));
    }
    if line.contains(['\n', '\r']) {
        return Err(failure(format_args!("has more than one line")));
    }
    Ok(line.to_owned())
}

/// Warns of a file that others can read `what` from.
pub(crate) fn warn_of_readers(file: &Path, what: &str, out: &mut Output) {
    if others_can_read(file) {
        let shown = file.display();
        out.note(format!("warning: others can read the {what} in {shown}: chmod 600 {shown}"));
    }
}

#[cfg(unix)]
pub(crate) fn others_can_read(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    // systemd lets a service read its credentials by an access list, and what that list may grant
    // at most is shown where a mode has the group's bits. Nobody else gets into the directory.
    let is_credential = std::env::var_os("CREDENTIALS_DIRECTORY")
        .is_some_and(|directory| !directory.is_empty() && file.starts_with(directory));
    !is_credential
        && std::fs::metadata(file).is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

/// Not known where a file has no mode.
#[cfg(not(unix))]
pub(crate) fn others_can_read(_: &Path) -> bool {
    false
}
