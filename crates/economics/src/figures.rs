//! Published figures that the claims are held against: `data/figures.toml`, each value with its
//! date and its source. Unlike [`crate::inputs`], no flag replaces them: they belong to the claims.

use std::collections::BTreeMap;

use crate::inputs::Input;

/// Every figure that ships, by its name.
pub fn figures() -> BTreeMap<String, Input> {
    toml::from_str(include_str!("../data/figures.toml")).expect("the shipped file is tested")
}

/// One of them. The names are those of the file; an unknown one is a slip in the code that asks,
/// and a test asks for all.
pub fn figure(name: &str) -> Input {
    figures().remove(name).unwrap_or_else(|| panic!("data/figures.toml has no {name}"))
}
