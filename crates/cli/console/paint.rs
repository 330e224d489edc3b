//! The lines of the page that are still free, and what is painted on them.

use std::collections::VecDeque;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Sparkline;

/// Columns of the labels, where there is room for them.
const LABEL: usize = 9;
/// Between two panes.
const GAP: &str = " │ ";

/// Colours, where they are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    pub(crate) colours: bool,
}

impl Palette {
    pub(crate) fn style(self, colour: Color, modifier: Modifier) -> Style {
        let style = Style::default().add_modifier(modifier);
        if self.colours { style.fg(colour) } else { style }
    }
}

/// A row of the page: a label, and words in the longest wording that fits.
pub(crate) struct Row {
    pub(crate) label: &'static str,
    /// The same in fewer and fewer words; none in the row of the plot.
    pub(crate) wordings: Vec<String>,
    pub(crate) style: Style,
    /// Which rows go first when there are too few lines: those with high numbers.
    pub(crate) rank: usize,
}

impl Row {
    pub(crate) fn is_plot(&self) -> bool {
        self.wordings.is_empty()
    }

    /// The longest wording that fits, or as much of the shortest as there is room for.
    fn line(&self, width: usize) -> Line<'_> {
        let label = match self.label {
            // A row that goes on with the one above it begins where that does.
            "" if self.rank == 0 => String::new(),
            label if width >= 40 => format!("{label:<LABEL$}"),
            label => format!("{label} "),
        };
        let room = width.saturating_sub(label.chars().count());
        let fits = |words: &&String| words.chars().count() <= room;
        let words = self.wordings.iter().find(fits).or(self.wordings.last());
        Line::from(vec![
            Span::styled(label, dim()),
            Span::styled(words.map_or("", String::as_str), self.style),
        ])
    }
}

/// Labels, heads and axes.
pub(crate) fn dim() -> Style {
    Style::default().add_modifier(Modifier::DIM)
}

/// The free lines of an area, from the top down.
pub(crate) struct Lines<'a, 'b> {
    frame: &'a mut Frame<'b>,
    area: Rect,
    next: u16,
}

impl<'a, 'b> Lines<'a, 'b> {
    pub(crate) fn new(frame: &'a mut Frame<'b>, area: Rect) -> Self {
        Self { frame, area, next: 0 }
    }

    /// Those of another area of the same page.
    pub(crate) fn within(&mut self, area: Rect) -> Lines<'_, 'b> {
        Lines::new(self.frame, area)
    }

    pub(crate) fn width(&self) -> usize {
        usize::from(self.area.width)
    }

    pub(crate) fn left(&self) -> usize {
        usize::from(self.area.height.saturating_sub(self.next))
    }

    /// So many lines, or those that there are.
    fn take(&mut self, height: u16) -> Rect {
        let height = height.min(self.area.height.saturating_sub(self.next));
        let taken = Rect { y: self.area.y + self.next, height, ..self.area };
        self.next += height;
        taken
    }

    pub(crate) fn put(&mut self, line: Line) {
        let area = self.take(1);
        if area.height > 0 {
            self.frame.render_widget(line, area);
        }
    }

    pub(crate) fn put_row(&mut self, row: &Row) {
        self.put(row.line(self.width()));
    }

    /// The rates, a second a column, the newest at the right end.
    pub(crate) fn put_plot(&mut self, rates: &VecDeque<u64>, height: u16, style: Style) {
        let area = self.take(height);
        let width = usize::from(area.width);
        let skipped = rates.len().saturating_sub(width);
        let empty = std::iter::repeat_n(0, width.saturating_sub(rates.len()));
        let rates: Vec<_> = empty.chain(rates.iter().skip(skipped).copied()).collect();
        // A hair of space above the highest.
        let peak = rates.iter().max().map_or(1, |peak| peak + peak / 7).max(1);
        self.frame.render_widget(Sparkline::default().data(rates).max(peak).style(style), area);
    }

    /// Two panes of so many lines with a rule between them.
    pub(crate) fn take_panes(&mut self, height: usize) -> [Rect; 2] {
        let area = self.take(u16::try_from(height).unwrap_or(u16::MAX));
        let gap = GAP.chars().count() as u16;
        let left = area.width.saturating_sub(gap) / 2;
        let rule = Rect { x: area.x + left, width: gap.min(area.width - left), ..area };
        for y in rule.top()..rule.bottom() {
            let line = Rect { y, height: 1, ..rule };
            self.frame.render_widget(Line::styled(GAP, dim()), line);
        }
        let right = Rect { x: rule.right(), width: area.right() - rule.right(), ..area };
        [Rect { width: left, ..area }, right]
    }
}
