//! The cookie of a Bitcoin Core node: a file with one line, USER:PASSWORD, which the node writes at
//! each start. Every way in which it can be wrong has words of its own; none shows what is in it.

use std::io::{self, ErrorKind};
#[cfg(unix)]
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use crate::file::read_up_to;

/// Bytes of a cookie file; Core's have 75.
pub(crate) const MAX_COOKIE: usize = 4096;

/// User name and password, joined by a colon. May wait for the disk.
///
/// # Errors
/// In words for people.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    // To open one waits for somebody who writes to it.
    #[cfg(unix)]
    if std::fs::metadata(path).is_ok_and(|data| data.file_type().is_fifo()) {
        return Err(format!(
            "{} is a named pipe, expected the node's cookie file, which is read more than once",
            path.display()
        ));
    }
    let bytes = read_up_to(path, MAX_COOKIE).map_err(|error| in_words(path, &error))?;
    let path = path.display();
    let text = String::from_utf8(bytes).map_err(|_| {
        format!(
            "the cookie file {path} is not text, expected one line USER:PASSWORD in UTF-8: is \
             --datadir or --rpccookiefile right?"
        )
    })?;
    // Some editors put a byte order mark before a text.
    let cookie = text.trim_start_matches('\u{feff}').trim();
    match cookie.lines().count() {
        0 => Err(format!(
            "the cookie file {path} is empty: the node writes it when it starts; if it stays \
             empty, make room on that disk and restart the node"
        )),
        1 if cookie.contains(':') => Ok(cookie.to_owned()),
        1 => Err(format!(
            "the cookie file {path} has no colon, expected one line USER:PASSWORD: is --datadir \
             or --rpccookiefile right?"
        )),
        lines => Err(format!(
            "the cookie file {path} has {lines} lines, expected one, USER:PASSWORD: is --datadir \
             or --rpccookiefile right?"
        )),
    }
}

fn in_words(path: &Path, error: &io::Error) -> String {
    let path = path.display();
    match error.kind() {
        ErrorKind::NotFound => format!(
            "there is no cookie file {path}, which a node writes when it starts: start bitcoind \
             for this chain, or say with --datadir or --rpccookiefile where its cookie is"
        ),
        ErrorKind::PermissionDenied => format!(
            "cannot read the cookie file {path} (permission denied): only the user who runs the \
             node may, by default"
        ),
        ErrorKind::IsADirectory => format!(
            "{path} is a directory, expected the node's cookie file: give the file .cookie in it"
        ),
        ErrorKind::FileTooLarge => format!(
            "the cookie file {path} has more than {MAX_COOKIE} bytes, expected one line \
             USER:PASSWORD: is --datadir or --rpccookiefile right?"
        ),
        _ => format!(
            "cannot read the cookie file {path} ({error}): is --datadir or --rpccookiefile right?"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_file_that_is_wrong_is_told_by_what_is_wrong_with_it() {
        let name = format!("midstate-cookies-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join(".cookie");
        let long = vec![b':'; 5_000_000];
        for (content, words) in [
            (b"".as_slice(), "is empty"),
            (b" \n\n", "is empty"),
            ("\u{feff}".as_bytes(), "is empty"),
            (b"s3cret", "has no colon"),
            (b"__cookie__:s3cret\n__cookie__:0ther", "has 2 lines"),
            (b"\xff\xfe:\0s3cret", "is not text"),
            (&long, "has more than 4096 bytes"),
        ] {
            std::fs::write(&file, content).unwrap();
            let error = read(&file).unwrap_err();
            assert!(error.contains(words) && error.contains(".cookie"), "{error}");
            assert!(!error.contains("s3cret") && !error.contains("os error"), "{error}");
        }
        #[cfg(unix)]
        assert!(read(&directory).unwrap_err().contains("is a directory"));
        std::fs::write(&file, "\u{feff}__cookie__:s3cret\r\n").unwrap();
        assert_eq!(read(&file), Ok("__cookie__:s3cret".to_owned()), "as an editor leaves it");
        #[cfg(unix)]
        {
            let pipe = directory.join("pipe");
            assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
            assert!(read(&pipe).unwrap_err().contains("pipe is a named pipe, expected"));
        }
        assert!(read(&directory.join("no")).unwrap_err().contains("there is no cookie"));
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
