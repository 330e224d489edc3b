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
                    "{shown} holds no token: expected at least {MIN_LENGTH} letters, digits, \
                     - or _ (128 bits in hex); remove the file and a token is made"
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
        (text.len() >= MIN_LENGTH && text.bytes().all(safe)).then(|| Self(text.to_owned()))
    }
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
    fn only_the_whole_token_is_the_token() {
        let token = Token::parse("0123456789abcdef0123456789abcdef").unwrap();
        assert!(token.is("0123456789abcdef0123456789abcdef"));
        for other in ["", "0123456789abcdef", "0123456789abcdef0123456789abcdee"] {
            assert!(!token.is(other), "{other}");
        }
        assert!(!token.is("0123456789abcdef0123456789abcdef0"));
    }
}
