//! Our password in texts of a server: some servers repeat the line that they refuse, and their
//! words go to the terminal, to logs and into JSON.

use std::fmt;

/// Passwords that are shorter hide nothing: `x` is the usual one, and stands in every second word.
const SHORTEST: usize = 4;

/// A password, as it may stand in a text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(Vec<String>);

impl Secret {
    /// One of less than four characters hides nothing and stays in texts.
    pub fn new(password: &str) -> Self {
        if password.chars().count() < SHORTEST {
            return Self::default();
        }
        // As itself, and as a quoted text has it.
        let quoted = format!("{password:?}");
        let quoted = quoted[1..quoted.len() - 1].to_owned();
        Self(if quoted == password { vec![quoted] } else { vec![quoted, password.to_owned()] })
    }

    /// The text with `***` where the password stood.
    pub fn hide(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, form| text.replace(form, "***"))
    }

    pub(super) fn is_in(&self, text: &str) -> bool {
        self.0.iter().any(|form| text.contains(form))
    }

    pub(super) fn is_none(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
