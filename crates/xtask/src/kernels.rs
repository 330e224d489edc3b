//! The names in the hasher's table of kernels, read from its source: the tools must run when the
//! hasher does not compile, and list no kernel by hand without being told of one that is missing.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};

const TABLE: &str = "crates/sha256d/src/kernel.rs";

/// The kernels and variants of a processor family, in the order of the table.
pub(crate) fn names(root: &Path, aarch64: bool) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(root.join(TABLE)).context(TABLE)?;
    let names = parse(&text, if aarch64 { "aarch64" } else { "x86_64" });
    ensure!(!names.is_empty(), "{TABLE} has no table of kernels: has it moved?");
    Ok(names)
}

/// A row is `#[cfg(target_arch = "x86_64")] "avx2" Avx2`, without the attribute for all families.
fn parse(text: &str, family: &str) -> Vec<String> {
    let table = text.split("\nisas! {\n").nth(1).and_then(|rest| rest.split("\n}").next());
    let rows = table.unwrap_or_default().lines().map(str::trim);
    let of_family = rows.filter(|row| !row.starts_with('#') || row.contains(family));
    let name = |row: &str| {
        let row = row.rsplit_once(")] ").map_or(row, |(_, row)| row);
        Some(row.strip_prefix('"')?.split('"').next()?.to_owned())
    };
    of_family.filter_map(name).collect()
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
        assert_eq!(parse(text, "x86_64"), ["plain", "wide", "wide-two"]);
        assert_eq!(parse(text, "aarch64"), ["plain", "arm"]);
        assert!(parse("no table", "x86_64").is_empty());
    }

    #[test]
    fn the_hashers_table_is_read() {
        let root = crate::repository().unwrap();
        for aarch64 in [false, true] {
            let names = names(&root, aarch64).unwrap();
            assert!(names.len() > 2 && names[0] == "scalar", "{names:?}");
        }
    }
}
