//! Files that the user names: a certificate, a configuration, a cookie, prices. A name may be that
//! of a device or of a disk image, so that each file is read up to a limit.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use midstate_limits::{LimitRow, row};

/// The most that is read of a file. The certificates of all public authorities are a quarter of a
/// megabyte, and ten years of hourly prices are two.
const MOST: usize = 8 << 20;

/// The limit as a row.
pub fn file_rows() -> Vec<LimitRow> {
    let most = format!("{} MiB", MOST >> 20);
    vec![row("a file that a flag or a key names", most, "an error, and it is not used")]
}

/// The content of a file. May wait for the disk, or for a pipe.
///
/// # Errors
/// When it cannot be read or is larger than the limit of [`file_rows`]; the words are for people,
/// without the system's number.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    read_up_to(path, MOST)
}

/// The same as a text. Some editors put a byte order mark before a text; it is taken off.
///
/// # Errors
/// As those of [`read_file`], and when it is no text in UTF-8.
pub fn read_text_file(path: &Path) -> Result<String> {
    let text = String::from_utf8(read_file(path)?).map_err(|error| {
        let byte = error.utf8_error().valid_up_to() + 1;
        let words = format!("it is no text in UTF-8: byte {byte} and what follows");
        Error::new(ErrorKind::InvalidData, words)
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The bytes of a file that has at most so many.
///
/// # Errors
/// As those of [`read_file`].
pub fn read_up_to(path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes))
        .map_err(in_words)?;
    if bytes.len() > most {
        let words = format!("it is larger than {most} bytes");
        return Err(Error::new(ErrorKind::FileTooLarge, words));
    }
    Ok(bytes)
}

/// The system's words alone, without Rust's words before those of a resolver.
pub(crate) fn in_words(error: Error) -> Error {
    let words = without_os_number(&error.to_string()).to_lowercase();
    let words = words.trim_start_matches("failed to lookup address information: ");
    Error::new(error.kind(), words)
}

/// An error's words without the system's numbers, which Rust puts behind them: "(os error 28)".
pub fn without_os_number(words: &str) -> String {
    let mut pieces = words.split(" (os error ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| {
        let rest = piece.trim_start_matches(|letter: char| letter.is_ascii_digit());
        plain + rest.strip_prefix(')').unwrap_or(rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_numbers_are_not_for_people() {
        let words = "cannot connect to h:1: Broken pipe (os error 32); is it up? (os error 9)";
        let plain = "cannot connect to h:1: Broken pipe; is it up?";
        assert_eq!(without_os_number(words), plain);
        assert_eq!(without_os_number(plain), plain);
    }

    #[test]
    fn a_file_that_the_user_names_is_read_up_to_a_limit() {
        let path = std::env::temp_dir().join(format!("midstate-file-{}", std::process::id()));
        for (length, is_read) in [(0, true), (10, true), (11, false), (1 << 20, false)] {
            std::fs::write(&path, vec![b'a'; length]).unwrap();
            let read = read_up_to(&path, 10);
            assert_eq!(read.as_ref().is_ok_and(|bytes| bytes.len() == length), is_read, "{length}");
            let kind = read.err().map(|error| error.kind());
            assert_eq!(kind, (!is_read).then_some(ErrorKind::FileTooLarge), "{length}");
        }
        std::fs::write(&path, "\u{feff}a").unwrap();
        assert_eq!(read_text_file(&path).unwrap(), "a");
        std::fs::write(&path, b"ab\xff").unwrap();
        assert_eq!(
            read_text_file(&path).unwrap_err().to_string(),
            "it is no text in UTF-8: byte 3 and what follows"
        );
        std::fs::remove_file(&path).unwrap();
        let error = read_file(&path).unwrap_err();
        assert!(!error.to_string().contains("os error"), "{error}");
        #[cfg(target_os = "linux")]
        assert_eq!(read_file(Path::new("/dev/zero")).unwrap_err().kind(), ErrorKind::FileTooLarge);
    }
}
