//! A report: one HTML file with everything in it. It asks for nothing: a policy in its head forbids
//! scripts and every kind of loading.

use crate::bars::Bars;
use crate::chart::{Chart, draw_text, open, push};
use crate::lettering::{LINE, escape, wrap};
use crate::shares::Shares;

const STYLE: &str = include_str!("style.css");
/// Widths of a picture: for a desk or paper, and for a telephone. Both are in the page, drawn with
/// letters of the same size, and the style shows the one that fits.
const WIDE: f64 = 860.0;
const NARROW: f64 = 360.0;
/// Columns of a table that fit a telephone.
const MOST_ON_A_TELEPHONE: usize = 4;
/// How much larger the title of a file of its own is than its letters.
const HEAD: f64 = 1.3;

/// A report.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Of the window, and at the top.
    pub title: String,
    /// The subject, in a sentence or two.
    pub lead: String,
    /// From top to bottom.
    pub parts: Vec<Part>,
    /// How and from what it was made.
    pub footer: String,
}

/// A part of a report.
#[derive(Debug, Clone)]
pub enum Part {
    /// Begins a section.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// Text whose line breaks count, such as a command and its output.
    Verbatim(String),
    /// A picture with a caption.
    Figure {
        /// The picture.
        figure: Figure,
        /// A sentence on what the picture shows.
        caption: String,
    },
    /// A table.
    Table(Table),
}

/// A picture.
#[derive(Debug, Clone)]
pub enum Figure {
    /// Points and lines.
    Chart(Chart),
    /// Bars.
    Bars(Bars),
    /// Wholes and their parts.
    Shares(Shares),
}

/// A table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each as long as the columns.
    pub rows: Vec<Vec<String>>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub struct Column {
    /// At its head.
    pub name: String,
    /// Whether it holds numbers, which are set to the right.
    pub numeric: bool,
}

impl Figure {
    /// The picture as an SVG file of its own, which brings its title, its style and `credit` along:
    /// from what and when it was made.
    pub fn to_svg(&self, credit: &str) -> String {
        let (title, height) = (self.title(), self.height(WIDE));
        let mut texts = String::new();
        let mut y = 4.0;
        for line in wrap(title, WIDE - 12.0, HEAD) {
            y += LINE * HEAD;
            draw_text(&line, 3.0, y, "start", "title", &mut texts);
        }
        let top = y + 12.0;
        y = top + height + 8.0;
        for line in wrap(credit, WIDE - 12.0, 1.0) {
            y += LINE;
            draw_text(&line, 3.0, y, "start", "axis", &mut texts);
        }
        let start = open(title, WIDE, y + 10.0);
        let picture = self.content(WIDE);
        format!(
            "{start}<style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" \
             height=\"100%\"/>\n{texts}<g transform=\"translate(0 {top:.1})\">\n{picture}</g>\n\
             </svg>\n"
        )
    }

    /// The `<svg>` element, without a style of its own.
    fn draw(&self, width: f64) -> String {
        open(self.title(), width, self.height(width)) + &self.content(width) + "</svg>\n"
    }

    fn title(&self) -> &str {
        match self {
            Self::Chart(chart) => &chart.title,
            Self::Bars(bars) => &bars.title,
            Self::Shares(shares) => &shares.title,
        }
    }

    fn height(&self, width: f64) -> f64 {
        match self {
            Self::Chart(_) if width > 600.0 => 520.0,
            Self::Chart(_) => 480.0,
            Self::Bars(bars) => bars.height(width),
            Self::Shares(shares) => shares.height(width),
        }
    }

    fn content(&self, width: f64) -> String {
        match self {
            Self::Chart(chart) => chart.draw(width, self.height(width)),
            Self::Bars(bars) => bars.draw(width),
            Self::Shares(shares) => shares.draw(width),
        }
    }
}

impl Table {
    /// With columns of text (`false`) and of numbers (`true`).
    pub fn new(columns: &[(&str, bool)]) -> Self {
        let columns = columns
            .iter()
            .map(|&(name, numeric)| Column { name: name.to_owned(), numeric })
            .collect();
        Self { columns, rows: Vec::new() }
    }
}

impl Page {
    /// The whole file.
    pub fn to_html(&self) -> String {
        let (title, lead) = (escape(&self.title), escape(&self.lead));
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" \
             content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <h1>{title}</h1>\n<p class=\"lead\">{lead}</p>\n"
        );
        for part in &self.parts {
            part.write(&mut html);
        }
        push(&mut html, format_args!("</main>\n<footer>{}</footer>\n", escape(&self.footer)));
        html + "</body>\n</html>\n"
    }
}

impl Part {
    fn write(&self, html: &mut String) {
        match self {
            Self::Heading(text) => push(html, format_args!("<h2>{}</h2>\n", escape(text))),
            Self::Text(text) => push(html, format_args!("<p>{}</p>\n", linked(text))),
            Self::Verbatim(text) => push(html, format_args!("<pre>{}</pre>\n", escape(text))),
            Self::Figure { figure, caption } => {
                let (wide, narrow) = (figure.draw(WIDE), figure.draw(NARROW));
                push(
                    html,
                    format_args!(
                        "<figure>\n<div class=\"wide\">{wide}</div>\n\
                         <div class=\"narrow\">{narrow}</div>\n\
                     <figcaption>{}</figcaption>\n</figure>\n",
                        linked(caption)
                    ),
                );
            }
            Self::Table(table) => table.write(html),
        }
    }
}

/// Text with its addresses as links, with `https://` before them or without: they are followed,
/// never loaded.
fn linked(text: &str) -> String {
    let mut html = String::new();
    for word in text.split_inclusive(char::is_whitespace) {
        // Brackets and full stops around an address are no part of it.
        let from = word.trim_start_matches('(');
        let address = from.trim_end().trim_end_matches(['.', ',', ':', ';', ')']);
        if !is_address(address) {
            html += &escape(word);
            continue;
        }
        let (before, after) = (&word[..word.len() - from.len()], &from[address.len()..]);
        let scheme = if address.starts_with(SCHEME) { "" } else { SCHEME };
        let (before, address, after) = (escape(before), escape(address), escape(after));
        push(
            &mut html,
            format_args!(
                "{before}<a href=\"{scheme}{address}\" rel=\"noreferrer\">{address}</a>{after}"
            ),
        );
    }
    html
}

const SCHEME: &str = "https://";

/// Whether this is the name of a host and a path.
fn is_address(word: &str) -> bool {
    let word = word.strip_prefix(SCHEME).unwrap_or(word);
    let Some((host, _)) = word.split_once('/') else { return false };
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let is_domain = |label: &str| label.len() > 1 && label.bytes().all(|b| b.is_ascii_lowercase());
    host.split('.').all(is_label)
        && host.rsplit_once('.').is_some_and(|(_, domain)| is_domain(domain))
}

impl Table {
    fn write(&self, html: &mut String) {
        let class = |index: usize| match self.columns.get(index) {
            Some(column) if column.numeric => " class=\"number\"",
            _ => "",
        };
        // On a telephone a wide table is a list: each cell has the name of its column before it.
        let listed = self.columns.len() > MOST_ON_A_TELEPHONE;
        let class_of_table = if listed { " class=\"listed\"" } else { "" };
        push(html, format_args!("<div class=\"table\"><table{class_of_table}>\n<thead><tr>"));
        for (index, column) in self.columns.iter().enumerate() {
            push(html, format_args!("<th{}>{}</th>", class(index), escape(&column.name)));
        }
        html.push_str("</tr></thead>\n<tbody>\n");
        for row in &self.rows {
            html.push_str("<tr>");
            for (index, cell) in row.iter().enumerate() {
                let column = self.columns.get(index).filter(|_| listed);
                let name = column.map_or_else(String::new, |column| {
                    format!(" data-name=\"{}\"", escape(&column.name))
                });
                push(html, format_args!("<td{}{name}>{}</td>", class(index), linked(cell)));
            }
            html.push_str("</tr>\n");
        }
        html.push_str("</tbody></table></div>\n");
    }
}
