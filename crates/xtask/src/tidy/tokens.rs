//! A source file as a flat row of tokens with their lines, which the rules of
//! [`source`](super::source) and [`rooms`](super::rooms) search.

use std::str::FromStr;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A word, a literal, a bracket or a punctuation mark. Every mark stands alone, but for `::`.
pub(super) struct Token {
    pub(super) text: String,
    /// Counts from 1.
    pub(super) line: usize,
    /// Whether it belongs to an item under `#[cfg(test)]`.
    pub(super) in_test: bool,
}

/// The tokens of a file, or the line and the reason where it is not made of Rust tokens. Comments
/// are gone, but for documentation, which becomes attributes with one string each.
pub(super) fn read(text: &str) -> Result<Vec<Token>, (usize, String)> {
    let stream = TokenStream::from_str(text)
        .map_err(|error| (error.span().start().line, error.to_string()))?;
    let mut tokens = Vec::new();
    flatten(stream, false, &mut tokens);
    Ok(tokens)
}

/// Where `name` stands in the list of a `use std::{..}`, itself and not inside a longer path.
pub(super) fn listed_below_std(tokens: &[Token], name: &str) -> Vec<usize> {
    let is_text = |index: usize, text: &str| tokens.get(index).is_some_and(|t| t.text == text);
    let opens_list = |&start: &usize| {
        is_text(start, "std") && is_text(start + 1, "::") && is_text(start + 2, "{")
    };
    let mut found = Vec::new();
    for start in (0..tokens.len()).filter(opens_list) {
        let mut depth = 1;
        for (index, token) in tokens.iter().enumerate().skip(start + 3) {
            match token.text.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                text if text == name && depth == 1 && !is_text(index - 1, "::") => {
                    found.push(index);
                }
                _ => {}
            }
        }
    }
    found
}

fn flatten(stream: TokenStream, in_test: bool, tokens: &mut Vec<Token>) {
    let mut in_test_item = false;
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        let in_test = in_test || in_test_item;
        let mut push = |text: &str, line| {
            tokens.push(Token { text: text.to_owned(), line, in_test });
        };
        let line = tree.span().start().line;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                match group.delimiter() {
                    Delimiter::Bracket if is_cfg_test(group.stream()) => in_test_item = true,
                    // The item's body, after which comes the next item.
                    Delimiter::Brace => in_test_item = false,
                    _ => {}
                }
                push(open, line);
                flatten(group.stream(), in_test, tokens);
                let line = group.span_close().start().line;
                tokens.push(Token { text: close.to_owned(), line, in_test });
            }
            TokenTree::Punct(mark) => {
                let doubled = mark.as_char() == ':'
                    && mark.spacing() == Spacing::Joint
                    && trees.next_if(is_colon).is_some();
                let mark_text = if doubled { "::".to_owned() } else { mark.to_string() };
                push(&mark_text, line);
                in_test_item &= mark.as_char() != ';';
            }
            TokenTree::Ident(word) => push(&word.to_string(), line),
            TokenTree::Literal(literal) => push(&literal.to_string(), line),
        }
    }
}

fn is_colon(tree: &TokenTree) -> bool {
    matches!(tree, TokenTree::Punct(mark) if mark.as_char() == ':')
}

/// Whether an attribute is `cfg(test)` or `cfg(all(test, ..))`: on in tests and nowhere else.
fn is_cfg_test(attribute: TokenStream) -> bool {
    let mut words = Vec::new();
    collect_words(attribute, &mut words);
    words.first().is_some_and(|word| word == "cfg")
        && words.iter().any(|word| word == "test")
        && !words.iter().any(|word| word == "not" || word == "any")
}

fn collect_words(stream: TokenStream, words: &mut Vec<String>) {
    for tree in stream {
        match tree {
            TokenTree::Ident(word) => words.push(word.to_string()),
            TokenTree::Group(group) => collect_words(group.stream(), words),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}
