//! Names of devices: what a stranger typed, made fit for a projector.

use midstate_chain::is_printable;

/// The name of a device that gave none.
const NAMELESS: &str = "guest";

/// A name without what cannot be seen, with single spaces, within `most` characters.
pub(crate) fn clean(name: &str, most: usize) -> String {
    let printable: String = name
        .chars()
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .filter(|&c| is_printable(c) && !is_stacked(c))
        .collect();
    let words: Vec<_> = printable.split_whitespace().collect();
    let cut: String = words.join(" ").chars().take(most).collect();
    match cut.trim_end() {
        "" => NAMELESS.to_owned(),
        name => name.to_owned(),
    }
}

/// The name, or with a number behind it, so that it is no other's. A number that was put behind it
/// before makes room for the new one. `is_taken` gets names as [`key`] makes them.
pub(crate) fn unique(name: &str, most: usize, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(&key(name)) {
        return name.to_owned();
    }
    let name = unnumbered(name).filter(|name| is_taken(&key(name))).unwrap_or(name);
    let numbered = |number: u32| {
        let number = format!(" {number}");
        let kept: String = name.chars().take(most.saturating_sub(number.len())).collect();
        format!("{}{number}", kept.trim_end())
    };
    let mut names = (2..).map(numbered);
    names.find(|name| !is_taken(&key(name))).expect("there are more numbers than names")
}

/// The name without the number behind it, if there is one.
fn unnumbered(name: &str) -> Option<&str> {
    let (name, number) = name.rsplit_once(' ')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(name)
}

/// Names with equal keys look alike from the last row.
pub(crate) fn key(name: &str) -> String {
    name.to_lowercase()
}

/// Marks that are drawn over and below other letters: a few hundred of them cover a page. Letters
/// with accents have characters of their own.
fn is_stacked(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cleaned_and_cut() {
        for (typed, shown) in [
            ("Ada", "Ada"),
            ("  Ada \t Lovelace\n", "Ada Lovelace"),
            ("\u{1b}[2J\u{202e}Bo\u{200b}", "[2JBo"),
            ("Zoe\u{300}\u{301}\u{302}", "Zoe"),
            ("Zoë Müller", "Zoë Müller"),
            ("李明", "李明"),
            ("<b>x</b>", "<b>x</b>"),
            ("abcdefghijklmnopqrs tuv", "abcdefghijklmnopqrs"),
            ("", "guest"),
            ("\u{200b} \u{7}", "guest"),
        ] {
            assert_eq!(clean(typed, 20), shown, "{typed:?}");
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number_and_stays_short() {
        let taken = ["ada", "ada 2", "abcdefghijklmnopqrst", "room 7"];
        let unique = |name| unique(name, 20, |name| taken.contains(&name));
        assert_eq!(unique("Bo"), "Bo");
        assert_eq!(unique("ADA"), "ADA 3", "capitals make no other name");
        assert_eq!(unique("abcdefghijklmnopqrst"), "abcdefghijklmnopqr 2");
        assert_eq!(unique("Ada 2"), "Ada 3", "typed again as it was shown");
        assert_eq!(unique("Room 7"), "Room 7 2", "its number is its own");
    }
}
