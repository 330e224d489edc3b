//! Prose for a terminal: wrapped lines and bars of text.

/// Lines of at most `width` columns.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The lines of a text that has lines of its own, none wider than `width` unless one word is. What
/// is broken goes on two columns further to the right than it began.
pub(crate) fn fold(text: &str, width: usize) -> Vec<String> {
    let fold_line = |line: &str| {
        if line.chars().count() <= width {
            return vec![line.to_owned()];
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        let first = " ".repeat(indent);
        let next = " ".repeat(indent + 2);
        let room = width.saturating_sub(indent + 2).max(1);
        let lines = wrap(line, room).into_iter().enumerate();
        lines.map(|(at, line)| format!("{}{line}", if at == 0 { &first } else { &next })).collect()
    };
    text.split('\n').flat_map(fold_line).collect()
}

/// A bar, `share` of `columns` long, to an eighth of a column. What is above zero shows at least a
/// hair when `visible` says so.
pub(crate) fn bar(share: f64, columns: usize, visible: bool) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = (share.clamp(0.0, 1.0) * columns as f64 * 8.0).round() as usize;
    let eighths = if visible { eighths.max(1) } else { eighths };
    let mut bar = "█".repeat(eighths / 8);
    if eighths % 8 > 0 {
        bar.push(EIGHTHS[eighths % 8]);
    }
    bar
}

/// `text` in exactly `width` columns: filled up, or cut with an ellipsis.
pub(crate) fn fit(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return format!("{text:<width$}");
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// `low to high`, or one of them when they read alike.
pub(crate) fn band(low: String, high: String) -> String {
    if low == high { low } else { format!("{low} to {high}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped_at_words() {
        assert_eq!(wrap("aa bb  cc\nd", 5), ["aa bb", "cc d"]);
        assert_eq!(wrap("longer than that", 4), ["longer", "than", "that"]);
        assert!(wrap(" ", 4).is_empty());
    }

    #[test]
    fn a_line_that_is_too_wide_goes_on_further_to_the_right() {
        assert_eq!(fold("ab\n\n  cd  ef", 8), ["ab", "", "  cd  ef"]);
        assert_eq!(fold("  one two three", 9), ["  one", "    two", "    three"]);
        assert_eq!(fold("äöü äöü", 7), ["äöü äöü"], "columns are counted, not bytes");
        assert_eq!(fold("  longerthanthat", 4), ["  longerthanthat"]);
    }

    #[test]
    fn bars_have_eighths_and_never_exceed_their_columns() {
        assert_eq!(bar(0.5, 4, false), "██");
        assert_eq!(bar(0.0, 4, false), "");
        assert_eq!(bar(1e-9, 4, true), "▏");
        assert_eq!(bar(7.0, 3, false), "███");
        assert_eq!(bar(1.0 / 16.0, 2, false), "▏");
    }

    #[test]
    fn text_fits_exactly() {
        assert_eq!(fit("abc", 5), "abc  ");
        assert_eq!(fit("abcdef", 4), "abc…");
    }
}
