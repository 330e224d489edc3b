//! Prose for a terminal: wrapped lines and bars of text.

/// Lines of at most `width` columns.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if columns(line) + 1 + columns(word) <= width => {
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
    fold_hanging(text, width, 2)
}

/// The same; what is broken goes on `hang` columns further to the right than it began. Columns
/// within a line stay as far apart as they were.
pub(crate) fn fold_hanging(text: &str, width: usize, hang: usize) -> Vec<String> {
    // Some room stays for words.
    let hang = hang.min(width * 3 / 4);
    let fold_line = |line: &str| {
        if columns(line) <= width {
            return vec![line.to_owned()];
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        let mut lines = vec![" ".repeat(indent)];
        let mut gap = String::new();
        for word in line[indent..].split_inclusive(' ') {
            let bare = word.trim_end_matches(' ');
            if !bare.is_empty() {
                let last = lines.last_mut().expect("there is a first one");
                // A line begins with a word, however long that is.
                let begins = last.trim_start().is_empty();
                if begins || columns(last) + gap.len() + columns(bare) <= width {
                    last.push_str(if begins { "" } else { &gap });
                    last.push_str(bare);
                } else {
                    lines.push(format!("{}{bare}", " ".repeat(indent + hang)));
                }
                gap.clear();
            }
            gap.push_str(&word[bare.len()..]);
        }
        lines
    };
    text.split('\n').flat_map(fold_line).collect()
}

/// Columns of a text on a terminal, where a colour, `ESC [ .. m`, takes none.
fn columns(text: &str) -> usize {
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().map_or(0, |piece| piece.chars().count());
    let coloured = pieces.map(|piece| piece.split_once('m').map_or(piece, |(_, text)| text));
    first + coloured.map(|text| text.chars().count()).sum::<usize>()
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

/// A log scale in some columns, with marks at round decades. It has no zero, so that a value is a
/// dot on it and no bar.
pub(crate) struct Decades {
    first: i32,
    last: i32,
    columns: usize,
}

impl Decades {
    /// A mark and the least distance to the next.
    const MARK: usize = 7;

    /// From the decade below the least value to the one above the greatest; both above zero.
    pub(crate) fn around(least: f64, greatest: f64, columns: usize) -> Self {
        let first = least.log10().floor() as i32;
        let last = (greatest.log10().ceil() as i32).max(first + 1);
        Self { first, last, columns: columns.max(2) }
    }

    /// How many decades lie between two marks.
    pub(crate) fn step(&self) -> i32 {
        let decades = (self.last - self.first) as usize;
        (Self::MARK * decades).div_ceil(self.columns - 1).max(1) as i32
    }

    /// The dot of a value among the marks.
    pub(crate) fn dot(&self, value: f64) -> String {
        let mut row = vec![' '; self.columns];
        for (column, _) in self.marks() {
            row[column] = '·';
        }
        row[self.column(value.log10())] = '●';
        row.into_iter().collect::<String>().trim_end().to_owned()
    }

    /// The labels of the marks, for the line below them.
    pub(crate) fn labels(&self) -> String {
        let mut line = String::new();
        for (column, power) in self.marks() {
            let label = if power == 0 { "1".to_owned() } else { format!("10^{power}") };
            if column + label.len() <= self.columns {
                line += &" ".repeat(column - line.len());
                line += &label;
            }
        }
        line
    }

    /// Columns and powers of ten.
    fn marks(&self) -> impl Iterator<Item = (usize, i32)> + '_ {
        let step = self.step();
        let powers = (self.first..=self.last).filter(move |power| power.rem_euclid(step) == 0);
        powers.map(|power| (self.column(f64::from(power)), power))
    }

    fn column(&self, power: f64) -> usize {
        let share = (power - f64::from(self.first)) / f64::from(self.last - self.first);
        (share.clamp(0.0, 1.0) * (self.columns - 1) as f64).round() as usize
    }
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
    fn dots_stand_on_marks_that_say_their_decade() {
        let scale = Decades::around(1.0, 1e6, 43);
        assert_eq!(scale.step(), 1);
        assert_eq!(scale.labels(), "1      10^1   10^2   10^3   10^4   10^5");
        assert_eq!(scale.dot(1.0).chars().next(), Some('●'));
        assert_eq!(scale.dot(1e3).chars().position(|c| c == '●'), Some(21));
        for (least, greatest, columns) in [(7e-6, 5.8e14, 18), (1.0, 1.0, 5), (2.0, 9e99, 0)] {
            let scale = Decades::around(least, greatest, columns);
            let most = columns.max(2);
            assert!(scale.labels().len() <= most, "{}", scale.labels());
            for value in [least, greatest, 0.0, f64::INFINITY] {
                assert!(scale.dot(value).chars().count() <= most, "{value}");
            }
        }
    }

    #[test]
    fn lines_are_wrapped_at_words() {
        assert_eq!(wrap("aa bb  cc\nd", 5), ["aa bb", "cc d"]);
        assert_eq!(wrap("longer than that", 4), ["longer", "than", "that"]);
        assert!(wrap(" ", 4).is_empty());
    }

    #[test]
    fn a_line_that_is_too_wide_goes_on_further_to_the_right() {
        assert_eq!(fold("ab\n\n  cd  ef", 8), ["ab", "", "  cd  ef"]);
        assert_eq!(fold("  one two three", 9), ["  one two", "    three"]);
        assert_eq!(fold("äöü äöü", 7), ["äöü äöü"], "columns are counted, not bytes");
        assert_eq!(fold("  longerthanthat", 4), ["  longerthanthat"]);
        assert_eq!(fold("a   bb   cc", 9), ["a   bb", "  cc"], "gaps are kept, but for the break");
        assert_eq!(fold_hanging("ok  one two", 8, 4), ["ok  one", "    two"]);
        assert_eq!(fold("\x1b[31mred\x1b[0m one", 7), ["\x1b[31mred\x1b[0m one"]);
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
