//! A worked sheet: formulas with their numbers put in, tables, and the JSON of both.

use midstate_economics::inputs::Input;
use serde_json::{Map, Value, json};

use crate::lab::inputs::{number, origin, say_source};
use crate::shell::output::Output;
use crate::shell::style::Style;

/// The sheet of one topic.
pub(super) struct Sheet<'a> {
    topic: &'static str,
    out: &'a mut Output,
}

/// The result of a formula, or why there is no number.
pub(super) type Answer = Result<f64, &'static str>;

/// Why a cell of a table may be empty.
const NO_QUOTIENT: &str = "there is nothing to divide by";

/// A cell of a table: what it is called, how people read it, what programs get.
pub(super) type Cell = (&'static str, String, Value);

impl<'a> Sheet<'a> {
    pub(super) fn new(topic: &'static str, out: &'a mut Output) -> Self {
        Self { topic, out }
    }

    /// Where a value comes from.
    pub(super) fn given(&mut self, name: &'static str, input: &Input) {
        say_source(name, input, self.out);
        self.out.event(&json!({
            "event": "input", "topic": self.topic, "name": name, "value": input.value,
            "unit": input.unit, "origin": origin(input),
        }));
    }

    /// A formula, the numbers put in, the result.
    pub(super) fn step(
        &mut self,
        name: &str,
        formula: &str,
        with: impl AsRef<str>,
        value: f64,
        unit: &str,
    ) {
        self.step_or_reason(name, formula, with, Ok(value), unit);
    }

    /// The same where the numbers may have no result.
    pub(super) fn step_or_reason(
        &mut self,
        name: &str,
        formula: &str,
        with: impl AsRef<str>,
        answer: Answer,
        unit: &str,
    ) {
        let beyond = "the result is beyond what a number holds";
        let answer = answer.and_then(|value| value.is_finite().then_some(value).ok_or(beyond));
        let with = with.as_ref();
        self.out.styled(Style::Heading, format!("\n{name}"));
        self.out.text(format!("  = {formula}"));
        if !with.is_empty() {
            self.out.text(format!("  = {with}"));
        }
        match answer {
            Ok(value) => self.out.text(format!("  = {} {unit}", result(value))),
            Err(reason) => self.out.text(format!("  = -: {reason}")),
        }
        let mut event = json!({
            "event": "econ", "topic": self.topic, "name": name, "formula": formula,
            "with": with, "value": answer.ok(), "unit": unit,
        });
        if let Err(reason) = answer {
            event["reason"] = reason.into();
        }
        self.out.event(&event);
    }

    /// A paragraph for people.
    pub(super) fn explain(&mut self, text: impl AsRef<str>) {
        self.out.line("");
        self.out.prose(2, text);
    }

    /// A line for people.
    pub(super) fn say(&mut self, text: impl AsRef<str>) {
        self.out.text(text);
    }

    /// Rows under a head; the first column is text and left, the others right. A cell without a
    /// value is shown as `-`. Where the rows are wider than the terminal, each is a list of its
    /// cells.
    pub(super) fn table(&mut self, rows: &[Vec<Cell>]) {
        self.out.line("");
        self.print_rows(rows);
        for row in rows {
            let mut fields = Map::new();
            fields.insert("event".into(), "row".into());
            fields.insert("topic".into(), self.topic.into());
            for (name, _, value) in row {
                fields.insert(key(name), value.clone());
            }
            if row.iter().any(|cell| cell.2.is_null()) {
                fields.insert("reason".into(), NO_QUOTIENT.into());
            }
            self.out.event(&fields);
        }
    }

    fn print_rows(&mut self, rows: &[Vec<Cell>]) {
        let Some(first) = rows.first() else { return };
        let columns = first.len();
        let length = |text: &str| text.chars().count();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = rows.iter().map(|row| length(shown(&row[column])));
                cells.chain([length(first[column].0)]).max().unwrap_or(0)
            })
            .collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let aligned = cells.zip(&widths).enumerate().map(|(column, (cell, &width))| {
                if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
            });
            format!("  {}", aligned.collect::<Vec<_>>().join("  ").trim_end())
        };
        if 2 * columns + widths.iter().sum::<usize>() > self.out.width() {
            return self.print_lists(rows);
        }
        self.out.styled(Style::Heading, line(&mut first.iter().map(|cell| cell.0)));
        rows.iter().for_each(|row| self.out.line(line(&mut row.iter().map(shown))));
    }

    fn print_lists(&mut self, rows: &[Vec<Cell>]) {
        let names = rows.iter().flatten().map(|cell| cell.0.chars().count());
        let width = names.max().unwrap_or(0);
        for (name, cells) in rows.iter().filter_map(|row| row.split_first()) {
            self.out.text(format!("  {}: {}", name.0, shown(name)));
            for cell in cells {
                self.out.text(format!("    {:<width$}  {}", cell.0, shown(cell)));
            }
        }
    }
}

/// The text of a cell.
fn shown((_, text, value): &Cell) -> &str {
    if value.is_null() { "-" } else { text }
}

/// A column's name as a JSON key: `$/MW-year` becomes `usd_per_mw_year`.
fn key(name: &str) -> String {
    let words = name.replace('$', "usd").replace('%', "percent").replace('/', " per ");
    let words = words.replace(['-', '.'], " ");
    words.split_whitespace().collect::<Vec<_>>().join("_").to_lowercase()
}

/// A result: four digits, since three are not enough to check a table by.
fn result(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value == value.trunc() && size < 1e12 => number(value),
        _ if !(1e-3..1e7).contains(&size) => format!("{value:.3e}"),
        _ if size >= 1e4 => midstate_economics::units::grouped(value, 0),
        _ if size >= 100.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
