//! The token that opens the page to browsers on other machines: read from a file, or made and
//! written there. The file keeps it out of the command line, where every user of the machine could
//! read it, and lets a bookmark outlive the program.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use subtle::ConstantTimeEq;

use crate::shell::exit::Failure;

/// Bytes of randomness in a token of our making.
const BYTES: usize = 16;
/// The shortest token that is taken: 128 bits, written in hex.
const MIN_LENGTH: usize = 2 * BYTES;
/// The longest one: browsers send it in a line of a request.
const MAX_LENGTH: usize = 256;

/// A secret of at least 128 bits, in characters that may stand in a URL and in a cookie.
pub(super) struct Token(String);

/// Where a token came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is new, and nobody knows it yet.
    Made,
    /// It was in the file.
    Read,
}

impl Token {
    /// The token in `file`; made and written there, readable by its owner only, if there is no such
    /// file.
    pub(super) fn read_or_make(file: &Path) -> Result<(Self, Origin), Failure> {
        let shown = file.display();
        if let Some(what) = no_place(file) {
            return Err(Failure::usage(format!("--web-token: {shown} is {what}")));
        }
        if let Some(token) = Self::read(file)? {
            return Ok((token, Origin::Read));
        }
        let token = Self::random()?;
        match Self::publish(&token, file) {
            Ok(()) => Ok((token, Origin::Made)),
            // Another program was faster: its token is the one.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match Self::read(file)? {
                Some(token) => Ok((token, Origin::Read)),
                None => {
                    Err(anyhow::anyhow!("the token in {shown} came and went; try again").into())
                }
            },
            Err(error) => Err(anyhow::Error::new(error)
                .context(format!("cannot write the token to {shown}"))
                .into()),
        }
    }

    /// The token in `file`; `None` where there is no such file.
    fn read(file: &Path) -> Result<Option<Self>, Failure> {
        let shown = file.display();
        match midstate_net::read_text_file(file) {
            Ok(text) => Self::parse(text.trim()).map(Some).ok_or_else(|| {
                Failure::usage(format!(
                    "{shown} holds no token: expected from {MIN_LENGTH} to {MAX_LENGTH} letters, \
                     digits, - or _ (128 bits in hex); remove the file and a token is made"
                ))
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(anyhow::Error::new(error)
                .context(format!("cannot read the token in {shown}"))
                .into()),
        }
    }

    /// Makes `file` appear with the whole token in it, or not at all: it is written beside, and
    /// gets its name in one step that fails where the name is taken.
    fn publish(token: &Self, file: &Path) -> std::io::Result<()> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(std::io::Error::other)?;
        let mut beside = file.as_os_str().to_owned();
        beside.push(format!(".{}", hex::encode(random)));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options
            .open(&beside)
            .and_then(|mut made| writeln!(made, "{}", token.0).and_then(|()| made.sync_all()));
        let published = written.and_then(|()| std::fs::hard_link(&beside, file));
        // Best effort: the name beside has done its work.
        let _ = std::fs::remove_file(&beside);
        published
    }

    /// Whether `given` is the token. How long that takes does not tell how much of it is right.
    pub(super) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// To be shown to whoever started the program, and to nobody else.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    fn random() -> Result<Self, Failure> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes).map_err(|error| {
            anyhow::anyhow!("the system gives no random numbers for a token: {error}")
        })?;
        Ok(Self(hex::encode(bytes)))
    }

    /// A token in these words, if it is long enough and has safe characters only.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let safe = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        ((MIN_LENGTH..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(safe))
            .then(|| Self(text.to_owned()))
    }
}

/// A place that holds no token, nor can one be made there, with the cure. A pipe that a shell has
/// made for us, `<(..)`, has its writer; a named one may wait for a writer for ever.
fn no_place(file: &Path) -> Option<String> {
    let own = std::fs::symlink_metadata(file).ok()?.file_type();
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&own) {
        return Some("a named pipe, which keeps no token: name a plain file".to_owned());
    }
    let is_nowhere = || std::fs::metadata(file).is_err_and(|e| e.kind() == ErrorKind::NotFound);
    (own.is_symlink() && is_nowhere()).then(|| {
        let to = std::fs::read_link(file).unwrap_or_default();
        let to = to.display();
        format!("a symbolic link to {to}, which is not there: delete the link, or name that file")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_128_bits_and_needs_no_escapes() {
        let made = Token::random().unwrap();
        assert_eq!(made.reveal().len(), MIN_LENGTH);
        assert!(Token::parse(made.reveal()).is_some());
        assert!(!Token::random().unwrap().is(made.reveal()), "two are not alike");
        assert!(Token::parse(&"a".repeat(MIN_LENGTH - 1)).is_none(), "too short");
        assert!(Token::parse(&"a".repeat(MAX_LENGTH)).is_some());
        assert!(Token::parse(&"a".repeat(MAX_LENGTH + 1)).is_none(), "too long");
        for unsafe_character in ["&", " ", ";", "%", "é"] {
            assert!(Token::parse(&format!("{}{unsafe_character}", "a".repeat(40))).is_none());
        }
    }

    #[test]
    fn a_token_file_appears_with_its_content_or_not_at_all() {
        let directory = std::env::temp_dir().join(format!("midstate-token-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("token");
        // Many programs at once: one makes the token, the others read the whole of it.
        let tokens: Vec<_> = std::thread::scope(|scope| {
            let read = || Token::read_or_make(&file).map(|(token, origin)| (token.0, origin));
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
        });
        assert!(tokens.iter().all(|(token, _)| *token == tokens[0].0));
        assert_eq!(tokens.iter().filter(|(_, origin)| *origin == Origin::Made).count(), 1);
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1, "nothing is left beside it");
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(Token::read_or_make(&file).is_err(), "no directory, no token");
    }

    #[test]
    #[cfg(unix)]
    fn rule_30_a_place_that_can_hold_no_token_is_told_as_what_it_is() {
        let name = format!("midstate-token-place-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        let link = directory.join("link");
        std::os::unix::fs::symlink(directory.join("target"), &link).unwrap();
        let pipe = directory.join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = |file: &Path| Token::read_or_make(file).err().unwrap().to_string();
        let told = error(&link);
        assert!(told.contains("a symbolic link to") && told.contains("target, which"), "{told}");
        assert!(error(&pipe).contains("a named pipe"), "{}", error(&pipe));
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 2, "nothing is made");
        // A link to a token is as good as the token.
        std::fs::write(directory.join("target"), "a".repeat(MIN_LENGTH)).unwrap();
        assert!(Token::read_or_make(&link).is_ok_and(|(_, origin)| origin == Origin::Read));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn only_the_whole_token_is_the_token() {
        let token = Token::parse("0123456789abcdef0123456789abcdef").unwrap();
        assert!(token.is("0123456789abcdef0123456789abcdef"));
        for other in ["", "0123456789abcdef", "0123456789abcdef0123456789abcdee"] {
            assert!(!token.is(other), "{other}");
        }
        assert!(!token.is("0123456789abcdef0123456789abcdef0"));
    }
}
