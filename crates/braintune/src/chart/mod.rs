//! Small charts as SVG text: lines with bands, bars with dots, histograms, heat maps.
//!
//! A chart draws a [`Panel`]; a [`Figure`] is a heading, a legend and panels, as one SVG file, as pixels, or as
//! pieces of a page. Marks carry classes and no colours: a file brings a style sheet in light colours along, a page
//! has its own. Same input, same bytes. Held by the tests here, by `tests/it/report.rs` and by those of
//! `crates/cli/tests/it/probe.rs`.

mod bars;
mod bins;
mod figure;
mod ink;
mod line;
mod number;
mod scale;
mod svg;

pub(crate) use bars::{Bar, BarChart, BarGroup, y_range as range_of_bars};
pub(crate) use bins::{Cell, HeatMap, Histogram};
pub(crate) use figure::{Figure, Key, Panel, tree};
pub(crate) use ink::{Ink, style_sheet};
pub(crate) use line::{Level, Line, LineChart, Point, y_range as range_of_lines};
pub(crate) use number::{count, number, signed};
pub(crate) use scale::range;
pub(crate) use svg::escape;
