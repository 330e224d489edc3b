//! `cargo xtask machines [FILE]`: makes the table of `docs/machines.md` from the blocks below it,
//! printed by `midstate bench --report`. With a file, such as a saved issue, its blocks are checked
//! and put behind those of the page first.
//!
//! The blocks come from strangers. A block that is not as the program prints it is an error that
//! names file and line, and nothing is written.

mod block;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

use block::{Block, MIDSTATES};

const PAGE: &str = "docs/machines.md";
const BEGIN: &str = "<!-- From here to the end of the table: cargo xtask machines -->";
const END: &str = "<!-- End of the table -->";

/// Rewrites the table, with the blocks of the file added if there is one.
pub(crate) fn run(root: &Path, file: Option<&str>) -> anyhow::Result<ExitCode> {
    let path = root.join(PAGE);
    let mut page = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    if let Some(file) = file {
        let text = fs::read_to_string(file).with_context(|| file.to_owned())?;
        let new = block::all(file, &text)?;
        if new.is_empty() {
            bail!("{file} has no block: it begins with `{}`", block::FIRST);
        }
        for block in &new {
            write!(page, "\n```text\n{}\n```\n", block.text.join("\n"))?;
        }
    }
    let blocks = block::all(PAGE, &page)?;
    let written = with_table(&page, &blocks)?;
    fs::write(&path, written).with_context(|| path.display().to_string())?;
    println!("{PAGE}: {} blocks", blocks.len());
    Ok(ExitCode::SUCCESS)
}

/// The page with the table of these blocks.
fn with_table(page: &str, blocks: &[Block]) -> anyhow::Result<String> {
    let missing = |mark| format!("{PAGE} has no line {mark}");
    let (before, rest) = page.split_once(BEGIN).with_context(|| missing(BEGIN))?;
    let (_, after) = rest.split_once(END).with_context(|| missing(END))?;
    Ok(format!("{before}{BEGIN}\n\n{}\n{END}{after}", table(blocks)))
}

/// Cycles a hash in the best window of one thread, by kernel; the blocks in their order.
fn table(blocks: &[Block]) -> String {
    let mut table = "| CPU | measured | kernel |".to_owned();
    for midstates in MIDSTATES {
        table += &format!(" {midstates} |");
    }
    table += " MH/s |\n|---|---|---|---|---|---|---|---|\n";
    for block in blocks {
        for kernel in block.kernels() {
            let cycles = MIDSTATES.map(|midstates| match block.row(kernel, midstates) {
                Some(row) => format!("{:.1}", row.least),
                None => "-".to_owned(),
            });
            let best = MIDSTATES.into_iter().filter_map(|midstates| block.row(kernel, midstates));
            let best = best.map(|row| row.best).fold(0.0, f64::max);
            table += &format!(
                "| {}, {} | {}, {} GHz, {} | {kernel} | {} | {best:.2} |\n",
                block.cpu,
                block.model,
                block.date,
                block.clock,
                block.version,
                cycles.join(" | "),
            );
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        fs::read_to_string(root.join(PAGE)).unwrap()
    }

    #[test]
    fn the_page_has_the_table_of_its_blocks() {
        let page = page();
        let blocks = block::all(PAGE, &page).unwrap();
        assert!(!blocks.is_empty());
        let expected = with_table(&page, &blocks).unwrap();
        assert!(page == expected, "{PAGE} is not up to date: cargo xtask machines");
    }

    #[test]
    fn a_page_without_a_place_for_the_table_is_an_error() {
        let error = with_table("no marks", &[]).unwrap_err().to_string();
        assert!(error.contains(BEGIN), "{error}");
    }

    #[test]
    fn a_row_has_the_cycles_of_one_thread_and_a_dash_where_none_were_measured() {
        let blocks = block::all("an issue", block::SAMPLE).unwrap();
        let table = table(&blocks);
        let row = "| AMD EPYC, AuthenticAMD family 25 model 17 stepping 1 \
                   | 2026-11-30, 3.700 GHz, 0.1.0 release x86_64 | sha-ni | 99.0 | - | - | 71.0 \
                   | 51.62 |";
        assert!(table.lines().any(|line| line == row), "{table}");
    }
}
