//! Counts in bins: histograms over one another, and a heat map of two values.

use std::fmt::Write as _;

use super::figure::Panel;
use super::ink::{Ink, N_HEATS};
use super::line::Frame;
use super::number::{count, number};
use super::scale::Scale;
use super::svg::{Anchor, Svg, length};

/// Counts of several series in the same bins.
#[derive(Debug, Clone)]
pub(crate) struct Histogram<'a> {
    pub(crate) title: &'a str,
    /// Said beside the title, in small.
    pub(crate) aside: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) size: (f64, f64),
    /// `[n_bins + 1]`, rising.
    pub(crate) edges: &'a [f64],
    /// Name, ink and counts `[n_bins]`.
    pub(crate) series: &'a [(String, Ink, Vec<usize>)],
}

/// Things counted by two values: bin on x, bin on y, how many.
pub(crate) type Cell = (usize, usize, usize);

/// Counts by two values that share their bins.
#[derive(Debug, Clone)]
pub(crate) struct HeatMap<'a> {
    pub(crate) title: &'a str,
    /// Said beside the title, in small.
    pub(crate) aside: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) size: (f64, f64),
    /// `[n_bins + 1]`, rising, the same on both axes.
    pub(crate) edges: &'a [f64],
    pub(crate) cells: &'a [Cell],
}

/// First and last bin that holds anything; all where none does.
fn occupied(bins: impl Iterator<Item = usize>, n_bins: usize) -> (usize, usize) {
    let ends = bins.filter(|&bin| bin < n_bins).fold(None, |ends, bin| {
        let (first, last) = ends.unwrap_or((bin, bin));
        Some((bin.min(first), bin.max(last)))
    });
    ends.unwrap_or((0, n_bins.saturating_sub(1)))
}

impl Histogram<'_> {
    /// Draws it, without empty bins at both ends.
    pub(crate) fn panel(&self) -> Panel {
        let n_bins = self.edges.len().saturating_sub(1);
        let bins = self.series.iter().flat_map(|(_, _, counts)| {
            let counts = counts.iter().enumerate();
            counts.filter(|(_, n)| **n > 0).map(|(bin, _)| bin)
        });
        let (first, last) = occupied(bins, n_bins);
        let most = self.series.iter().flat_map(|(_, _, counts)| counts).max();
        let most = most.copied().unwrap_or(1).max(1) as f64;
        let edge = |bin: usize| self.edges.get(bin).copied().unwrap_or_default();
        let mut svg = Svg::default();
        let frame = Frame::draw(
            &mut svg,
            (self.title, self.aside),
            (self.x_label, self.y_label),
            self.size,
            ((edge(first), edge(last + 1)), (0.0, most * 1.05)),
        );
        frame.x_ticks(&mut svg, false);
        for (_, ink, counts) in self.series {
            let mut outline = format!("M{:.1} {:.1}", frame.x.at(edge(first)), frame.y.from);
            for bin in first..=last {
                let height = counts.get(bin).copied().unwrap_or_default() as f64;
                let (y, right) = (frame.y.at(height), frame.x.at(edge(bin + 1)));
                let _ = write!(outline, "V{}H{}", length(y), length(right));
            }
            let _ = write!(outline, "V{}", length(frame.y.from));
            svg.path(&format!("b {}", ink.class()), &format!("{outline}z"));
            svg.path(&format!("e {}", ink.class()), &outline);
        }
        for bin in first..=last {
            let (left, right) = (frame.x.at(edge(bin)), frame.x.at(edge(bin + 1)));
            let mut title = format!(
                "{} {} to {}",
                self.x_label,
                number(edge(bin)),
                number(edge(bin + 1))
            );
            for (name, _, counts) in self.series {
                let n = counts.get(bin).copied().unwrap_or_default();
                let _ = write!(title, "\n{name}: {}", count(n as f64));
            }
            let height = frame.y.from - frame.y.to;
            svg.rect("v", (left, frame.y.to), (right - left, height), &title);
        }
        Panel {
            width: self.size.0,
            height: self.size.1,
            label: format!("{}: histograms of {}", self.title, self.x_label),
            svg,
        }
    }
}

impl HeatMap<'_> {
    /// Draws it with the line of no change, without empty bins at the ends.
    pub(crate) fn panel(&self) -> Panel {
        let n_bins = self.edges.len().saturating_sub(1);
        let bins = self.cells.iter().flat_map(|&(x, y, _)| [x, y]);
        let (first, last) = occupied(bins, n_bins);
        let edge = |bin: usize| self.edges.get(bin).copied().unwrap_or_default();
        let range = (edge(first), edge(last + 1));
        let mut svg = Svg::default();
        let labels = (self.x_label, self.y_label);
        let heading = (self.title, self.aside);
        let frame = Frame::draw(&mut svg, heading, labels, self.size, (range, range));
        frame.x_ticks(&mut svg, false);
        let most = self.cells.iter().map(|&(_, _, n)| n).max().unwrap_or(1);
        for &(x, y, n) in self.cells {
            if n == 0 || x >= n_bins || y >= n_bins {
                continue;
            }
            let side = |scale: &Scale, bin: usize| {
                let (a, b) = (scale.at(edge(bin)), scale.at(edge(bin + 1)));
                (a.min(b), (b - a).abs())
            };
            let ((left, width), (top, height)) = (side(&frame.x, x), side(&frame.y, y));
            let title = format!(
                "{} {} to {}\n{} {} to {}\n{} voxels",
                self.x_label,
                number(edge(x)),
                number(edge(x + 1)),
                self.y_label,
                number(edge(y)),
                number(edge(y + 1)),
                count(n as f64)
            );
            let class = format!("q{}", heat(n, most));
            svg.rect(&class, (left, top), (width, height), &title);
        }
        let (a, b) = (range.0, range.1);
        let (from, to) = (
            (frame.x.at(a), frame.y.at(a)),
            (frame.x.at(b), frame.y.at(b)),
        );
        let d = format!("M{:.1} {:.1}L{:.1} {:.1}", from.0, from.1, to.0, to.1);
        svg.path("d", &d);
        let at = (frame.x.from, frame.y.to + 10.0);
        let scale = format!("1 to {} voxels", count(most as f64));
        svg.text("s", at, Anchor::Start, &scale);
        Panel {
            width: self.size.0,
            height: self.size.1,
            label: format!("{}: {} against {}", self.title, labels.1, labels.0),
            svg,
        }
    }
}

/// Shade of a count, by its logarithm.
fn heat(n: usize, most: usize) -> usize {
    let share = (n.max(1) as f64).ln() / (most.max(2) as f64).ln();
    let levels = (1..=N_HEATS).rev();
    let mut reached = levels.filter(|level| share * N_HEATS as f64 >= *level as f64 - 1.0);
    reached.next().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shades_rise_with_counts_and_the_highest_is_the_darkest() {
        assert_eq!(heat(1, 1000), 1);
        assert_eq!(heat(1000, 1000), N_HEATS);
        assert!((1..1000).all(|n| heat(n, 1000) <= heat(n + 1, 1000)));
        assert_eq!(heat(1, 1), 1);
    }

    #[test]
    fn bins_of_nothing_at_the_ends_are_not_drawn() {
        assert_eq!(occupied([3, 5, 4, 99].into_iter(), 10), (3, 5));
        assert_eq!(occupied([].into_iter(), 10), (0, 9));
        assert_eq!(occupied([].into_iter(), 0), (0, 0));
    }
}
