//! The token that opens the page to browsers on other machines: read from a file, or made and
//! written there. The file keeps it out of the command line, where every user of the machine could
//! read it, and lets a bookmark outlive the program.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use anyhow::Context;
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
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        match options.open(file) {
            Ok(mut file) => {
                let token = Self::random()?;
                writeln!(file, "{}", token.0)
                    .with_context(|| format!("cannot write the token to {shown}"))?;
                Ok((token, Origin::Made))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let text = std::fs::read_to_string(file)
                    .with_context(|| format!("cannot read the token in {shown}"))?;
                let token = Self::parse(text.trim()).ok_or_else(|| {
                    Failure::usage(format!(
                        "{shown} holds no token: expected at least {MIN_LENGTH} letters, digits, \
                         - or _ (128 bits in hex); remove the file and a token is made"
                    ))
                })?;
                Ok((token, Origin::Read))
            }
            Err(error) => Err(anyhow::Error::new(error)
                .context(format!("cannot make a token in {shown}"))
                .into()),
        }
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
    fn only_the_whole_token_is_the_token() {
        let token = Token::parse("0123456789abcdef0123456789abcdef").unwrap();
        assert!(token.is("0123456789abcdef0123456789abcdef"));
        for other in ["", "0123456789abcdef", "0123456789abcdef0123456789abcdee"] {
            assert!(!token.is(other), "{other}");
        }
        assert!(!token.is("0123456789abcdef0123456789abcdef0"));
    }
}
