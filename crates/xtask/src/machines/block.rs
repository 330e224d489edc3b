//! A block of `midstate bench --report`, read line by line. Other texts around it do not matter,
//! nor do the quotes of an answer to an issue (`> `).

use anyhow::{Context, bail, ensure};

/// How a block begins and ends.
pub(super) const FIRST: &str = "midstate report 1";
const LAST: &str = "end of report";

/// The facts of a block, in their order.
const FACTS: [&str; 11] = [
    "version",
    "date",
    "cpu",
    "model",
    "microcode",
    "flags",
    "clock source",
    "clock",
    "threads",
    "load",
    "sha2",
];
const HEADING: &str = "kernel midstates threads MH/s low high best cycles least bound";
/// The numbers of midstates that `bench` measures.
pub(super) const MIDSTATES: [u32; 4] = [1, 4, 16, 64];

/// The most rows of a block, and characters of a line: several times what a CPU can have.
const MOST_ROWS: usize = 200;
const LONGEST: usize = 200;

/// A block's row in the table.
pub(super) struct Block {
    /// All lines.
    pub(super) text: Vec<String>,
    pub(super) version: String,
    pub(super) date: String,
    pub(super) cpu: String,
    pub(super) model: String,
    /// In GHz.
    pub(super) clock: String,
    rows: Vec<Row>,
}

/// A kernel with so many midstates on so many threads.
pub(super) struct Row {
    kernel: String,
    midstates: u32,
    threads: u32,
    /// MH/s, and cycles a hash, in the best window.
    pub(super) best: f64,
    pub(super) least: f64,
}

/// Every block of a text; the name of the text is for errors.
pub(super) fn all(name: &str, text: &str) -> anyhow::Result<Vec<Block>> {
    let mut lines = text.lines().enumerate().map(|(index, line)| Line {
        name,
        number: index + 1,
        text: line.trim_start_matches(['>', ' ']).trim_end(),
    });
    let mut blocks = Vec::new();
    while let Some(line) = lines.next() {
        if line.text == FIRST {
            blocks.push(Block::read(line, &mut lines)?);
        }
    }
    Ok(blocks)
}

/// A line and where it stands.
#[derive(Clone, Copy)]
struct Line<'a> {
    name: &'a str,
    number: usize,
    text: &'a str,
}

impl Line<'_> {
    fn error(self, expected: &str) -> anyhow::Error {
        let Self { name, number, text } = self;
        let text: String = text.chars().take(LONGEST).collect();
        anyhow::anyhow!(
            "{name}:{number}: found {text:?}; expected {expected}; a block is pasted as \
             `midstate bench --report` prints it"
        )
    }
}

impl Block {
    fn read<'a>(
        first: Line<'a>,
        lines: &mut impl Iterator<Item = Line<'a>>,
    ) -> anyhow::Result<Self> {
        let mut text = vec![first.text.to_owned()];
        let mut last = first;
        let mut next = || -> anyhow::Result<Line<'a>> {
            let Some(line) = lines.next() else {
                bail!(last.error(&format!("a block that ends with `{LAST}`, and the text ends")));
            };
            last = line;
            // The characters of a table or a fence would break the page.
            let plain = |c: char| (c.is_ascii_graphic() && !"|<>`".contains(c)) || c == ' ';
            ensure!(
                line.text.len() <= LONGEST && line.text.chars().all(plain),
                line.error(&format!("up to {LONGEST} plain characters without | < > and `"))
            );
            text.push(line.text.to_owned());
            Ok(line)
        };
        let mut facts = Vec::new();
        for fact in FACTS {
            let mut line = next()?;
            // Blocks of the first days have no such line, and the table takes nothing from it.
            if fact == "sha2" && line.text.starts_with("fastest: ") {
                line = next()?;
            }
            let value = line.text.strip_prefix(fact).and_then(|rest| rest.strip_prefix(": "));
            let value = value.with_context(|| line.error(&format!("`{fact}: ..`")).to_string())?;
            check(fact, value, line)?;
            facts.push(value.to_owned());
        }
        let heading = next()?;
        ensure!(heading.text == HEADING, heading.error(&format!("`{HEADING}`")));
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let line = next()?;
            if line.text == LAST {
                break;
            }
            let row = Row::read(line)?;
            ensure!(!rows.iter().any(|other| row.is_same(other)), line.error("no row twice"));
            ensure!(rows.len() < MOST_ROWS, line.error(&format!("at most {MOST_ROWS} rows")));
            rows.push(row);
        }
        ensure!(!rows.is_empty(), last.error("a row before the end"));
        let [version, date, cpu, model, _, _, _, clock, ..] = &facts[..] else {
            bail!(first.error("all facts"));
        };
        let clock = clock.trim_end_matches(" GHz").to_owned();
        let [version, date, cpu, model] = [version, date, cpu, model].map(String::clone);
        Ok(Self { text, version, date, cpu, model, clock, rows })
    }

    /// The kernels, in the order of their rows.
    pub(super) fn kernels(&self) -> Vec<&str> {
        let mut kernels = Vec::new();
        for row in self.rows.iter().filter(|row| row.threads == 1) {
            if !kernels.contains(&row.kernel.as_str()) {
                kernels.push(row.kernel.as_str());
            }
        }
        kernels
    }

    /// The row of one thread.
    pub(super) fn row(&self, kernel: &str, midstates: u32) -> Option<&Row> {
        self.rows
            .iter()
            .find(|row| (&*row.kernel, row.midstates, row.threads) == (kernel, midstates, 1))
    }
}

/// The facts that have a form.
fn check(fact: &str, value: &str, line: Line<'_>) -> anyhow::Result<()> {
    let is = |number: Option<f64>| number.is_some_and(|number| number > 0.0 && number.is_finite());
    let number = |unit: &str| value.strip_suffix(unit).and_then(|number| number.parse().ok());
    let (fits, expected) = match fact {
        "date" => (is_date(value), "a date as 2026-11-30"),
        "clock" => (is(number(" GHz")), "a clock as `3.700 GHz`"),
        "sha2" => (is(number(" MH/s")), "a rate as `7.50 MH/s`"),
        "threads" => (value.parse::<u32>().is_ok_and(|threads| threads > 0), "a number of threads"),
        _ => (true, ""),
    };
    ensure!(fits, line.error(expected));
    Ok(())
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = |text: &str, len: usize| {
        text.parse::<u32>().ok().filter(|_| text.len() == len && !text.starts_with('+'))
    };
    match parts[..] {
        [year, month, day] => {
            number(year, 4).is_some()
                && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
                && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
        }
        _ => false,
    }
}

impl Row {
    fn read(line: Line<'_>) -> anyhow::Result<Self> {
        let expected = || line.error(&format!("a row of `{HEADING}`, or `{LAST}`"));
        let fields: Vec<&str> = line.text.split(' ').collect();
        let &[kernel, midstates, threads, ref numbers @ .., bound] = &fields[..] else {
            bail!(expected());
        };
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        ensure!(kernel.len() <= 20 && kernel.chars().all(is_name), line.error("a kernel's name"));
        let numbers: Vec<f64> = numbers.iter().filter_map(|number| number.parse().ok()).collect();
        let &[median, low, high, best, cycles, least] = &numbers[..] else { bail!(expected()) };
        let all = [median, low, high, best, cycles, least];
        let sound = all.iter().all(|number| number.is_finite() && *number > 0.0);
        ensure!(sound, line.error("six numbers above zero"));
        let ordered = low <= median && median <= high;
        ensure!(ordered, line.error("a median within its interval"));
        let share = bound.strip_suffix('%').is_some_and(|share| share.parse::<u32>().is_ok());
        ensure!(bound == "-" || share, line.error("a share of the bound as 85%, or -"));
        let (Ok(midstates), Ok(threads)) = (midstates.parse(), threads.parse()) else {
            bail!(expected());
        };
        ensure!(MIDSTATES.contains(&midstates), line.error("1, 4, 16 or 64 midstates"));
        ensure!(threads > 0, line.error("a number of threads"));
        Ok(Self { kernel: kernel.to_owned(), midstates, threads, best, least })
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.kernel, self.midstates, self.threads)
            == (&other.kernel, other.midstates, other.threads)
    }
}

/// An issue with a block in it.
#[cfg(test)]
pub(super) const SAMPLE: &str = "\
Hello, here are my numbers:
> midstate report 1
> version: 0.1.0 release x86_64
> date: 2026-11-30
> cpu: AMD EPYC
> model: AuthenticAMD family 25 model 17 stepping 1
> microcode: 0x1000065
> flags: hypervisor avx avx2 avx512f sha_ni
> clock source: tsc
> clock: 3.700 GHz
> threads: 2
> load: 0.41
> fastest: sha-ni, 2 threads, 64 midstates: 101 MH/s measured now
> sha2: 7.50 MH/s
> kernel midstates threads MH/s low high best cycles least bound
> avx2 1 1 16.30 16.20 16.40 16.48 227.0 224.5 85%
> sha-ni 1 1 37.20 37.10 37.30 37.37 99.5 99.0 -
> sha-ni 64 1 51.40 51.10 51.50 51.62 72.0 71.0 -
> sha-ni 64 2 101.40 100.10 102.50 103.12 72.9 71.7 -
> end of report
Bye.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_found_in_an_answer_that_quotes_it() {
        let blocks = all("an issue", SAMPLE).unwrap();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].kernels(), ["avx2", "sha-ni"]);
        assert_eq!(blocks[0].row("sha-ni", 64).unwrap().best, 51.62);
        assert!(blocks[0].row("sha-ni", 4).is_none());
        assert_eq!(blocks[0].text[1], "version: 0.1.0 release x86_64");
        assert_eq!(all("an issue", "nothing of that kind\n").unwrap().len(), 0);
        let older: Vec<_> = SAMPLE.lines().filter(|line| !line.contains("fastest:")).collect();
        let older = all("an older issue", &older.join("\n")).unwrap();
        assert_eq!(older[0].row("sha-ni", 64).unwrap().best, 51.62);
    }

    /// Each change of one line is told with that line's number.
    #[test]
    fn a_bad_line_is_told_with_its_number_and_what_was_expected() {
        for (good, bad, expected) in [
            ("> date: 2026-11-30", "> date: 30.11.2026", "a date as"),
            ("> date: 2026-11-30", "> date: 2026-13-30", "a date as"),
            ("> cpu: AMD EPYC", "> cpu: AMD | EPYC", "plain characters"),
            ("> cpu: AMD EPYC", "> cpu: <b>AMD", "plain characters"),
            ("> cpu: AMD EPYC", "> processor: AMD EPYC", "`cpu: ..`"),
            ("> microcode: 0x1000065\n", "", "`microcode: ..`"),
            ("> clock: 3.700 GHz", "> clock: fast", "a clock as"),
            ("> clock: 3.700 GHz", "> clock: inf GHz", "a clock as"),
            ("> threads: 2", "> threads: 0", "a number of threads"),
            ("MH/s low high", "MH/s high low", "kernel midstates"),
            ("sha-ni 64 1 51.40", "sha-ni 64 1 NaN", "above zero"),
            ("sha-ni 64 1 51.40", "sha-ni 64 1 61.40", "within its interval"),
            ("sha-ni 64 1 51.40 51.10", "sha-ni 64 1 51.40", "a row of"),
            ("sha-ni 64 1", "sha-ni 63 1", "1, 4, 16 or 64"),
            ("sha-ni 64 1", "sha-ni 1 1", "no row twice"),
            ("sha-ni 64 1", "SHA! 64 1", "a kernel's name"),
            ("85%", "most", "a share of the bound"),
            ("> end of report\n", "", "a row of"),
        ] {
            let text = SAMPLE.replacen(good, bad, 1);
            assert_ne!(text, SAMPLE, "{good}");
            let error = all("an issue", &text).err().expect(bad).to_string();
            let same = |(a, b): (&str, &str)| a == b;
            let changed = SAMPLE.lines().zip(text.lines()).take_while(|&pair| same(pair)).count();
            let place = format!("an issue:{}:", changed + 1);
            assert!(error.starts_with(&place) && error.contains(expected), "{place} {error}");
        }
    }

    #[test]
    fn a_block_that_does_not_end_or_does_not_fit_is_an_error() {
        let (cut, _) = SAMPLE.split_once("> end of report").unwrap();
        let error = all("an issue", cut).err().unwrap().to_string();
        assert!(error.contains("the text ends"), "{error}");
        let long = SAMPLE.replace("AMD EPYC", &"x".repeat(500));
        let error = all("an issue", &long).err().unwrap().to_string();
        assert!(error.starts_with("an issue:5:"), "{error}");
        let row = "> avx2 1 1 16.30 16.20 16.40 16.48 227.0 224.5 85%\n";
        let many: String =
            (2..300).map(|threads| row.replace("1 1", &format!("1 {threads}"))).collect();
        let error = all("an issue", &SAMPLE.replace(row, &many)).err().unwrap().to_string();
        assert!(error.contains("at most 200 rows"), "{error}");
    }
}
