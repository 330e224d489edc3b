//! The few styles of text on stdout. Each says what the text is; the colours stand here alone.

use anstyle::AnsiColor;

/// The role of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A heading.
    Heading,
    /// This machine, and what is said of it.
    Here,
    /// A statement that the arithmetic confirms.
    Good,
    /// A statement that it contradicts.
    Bad,
    /// A statement that it cannot decide.
    Open,
}

impl Style {
    pub(super) fn paint(self, text: &str) -> String {
        let style = match self {
            Self::Heading => anstyle::Style::new().bold(),
            Self::Here => AnsiColor::Cyan.on_default().bold(),
            Self::Good => AnsiColor::Green.on_default().bold(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Open => AnsiColor::Yellow.on_default().bold(),
        };
        format!("{style}{text}{style:#}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_style_ends_where_its_text_does() {
        assert_eq!(Style::Heading.paint("a"), "\x1b[1ma\x1b[0m");
    }
}
