//! The names in the hasher's table of kernels, read from its source: the tools must run when the
//! hasher does not compile, and no kernel is to be forgotten.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

const TABLE: &str = "crates/sha256d/src/kernel.rs";

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The type of its vectors, or whatever else finds candidates.
    pub(crate) by: String,
}

/// The kernels and variants of a processor family, in the order of the table.
pub(crate) fn rows(root: &Path, aarch64: bool) -> anyhow::Result<Vec<Row>> {
    let text = fs::read_to_string(root.join(TABLE)).context(TABLE)?;
    let rows = parse(&text, if aarch64 { "aarch64" } else { "x86_64" });
    ensure!(!rows.is_empty(), "{TABLE} has no table of kernels: has it moved?");
    Ok(rows)
}

/// A row is `#[cfg(target_arch = "x86_64")] "avx2" Avx2`, without the attribute for all families.
fn parse(text: &str, family: &str) -> Vec<Row> {
    let table = text.split("\nisas! {\n").nth(1).and_then(|rest| rest.split("\n}").next());
    let rows = table.unwrap_or_default().lines().map(str::trim);
    let of_family = rows.filter(|row| !row.starts_with('#') || row.contains(family));
    let read = |row: &str| {
        let row = row.rsplit_once(")] ").map_or(row, |(_, row)| row);
        let (name, rest) = row.strip_prefix('"')?.split_once('"')?;
        Some(Row { name: name.to_owned(), by: rest.split_whitespace().next()?.to_owned() })
    };
    of_family.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_with_their_family() {
        let text = "isas!(@impl x)\n\nisas! {\n    \"plain\" Plain\n    #[cfg(target_arch = \
                    \"x86_64\")] \"wide\" Wide\n    #[cfg(all(target_arch = \"aarch64\", \
                    target_endian = \"little\"))] \"arm\" Arm\n    variants:\n    \
                    #[cfg(target_arch = \"x86_64\")] \"wide-two\" WideTwo of \"wide\"\n}\n";
        let read = |family| {
            let rows = parse(text, family).into_iter();
            rows.map(|Row { name, by }| format!("{name} {by}")).collect::<Vec<_>>()
        };
        assert_eq!(read("x86_64"), ["plain Plain", "wide Wide", "wide-two WideTwo"]);
        assert_eq!(read("aarch64"), ["plain Plain", "arm Arm"]);
        assert!(parse("no table", "x86_64").is_empty());
    }

    #[test]
    fn the_hashers_table_is_read() {
        let root = crate::repository().unwrap();
        for aarch64 in [false, true] {
            let rows = rows(&root, aarch64).unwrap();
            assert!(rows.len() > 2 && rows[0].name == "scalar", "{rows:?}");
        }
    }
}
