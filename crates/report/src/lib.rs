//! Plots as SVG and reports as one self-contained HTML file: no script, no network, no fonts,
//! readable in dark mode, on paper and on a telephone.
//!
//! It draws what it is given. It has no numbers of its own, knows nothing about mining, and reads
//! and writes no file: the command line fills a [`Page`] and stores the text.
#![forbid(unsafe_code)]

mod bars;
mod chart;
mod labels;
mod lettering;
mod page;
mod scale;
mod shares;

pub use bars::{Bar, Bars};
pub use chart::{Chart, Gap, Ink, Layer, Line, Marker, Point, Points, Rule};
pub use page::{Column, Figure, Page, Part, Table};
pub use scale::{Axis, Scale};
pub use shares::{Shares, Slice, Whole};
