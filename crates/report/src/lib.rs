//! Plots as SVG and reports as one self-contained HTML file.
#![forbid(unsafe_code)]
