//! Groups of bars from zero, each with a dot for every participant.

use std::fmt::Write as _;

use super::figure::Panel;
use super::ink::{Ink, Shape};
use super::line::Frame;
use super::number::number;
use super::scale::{range, widened};
use super::svg::{Anchor, Svg, fit};

/// Room that a group leaves to its neighbours, of its width.
const BETWEEN: f64 = 0.18;

/// A bar.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    /// Its height, none where there is nothing to show.
    pub(crate) value: Option<f64>,
    /// Said after the value.
    pub(crate) aside: String,
    /// Participants and their values.
    pub(crate) dots: Vec<(String, f64)>,
}

/// Bars beside each other.
#[derive(Debug, Clone)]
pub(crate) struct BarGroup {
    pub(crate) name: String,
    pub(crate) bars: Vec<Bar>,
}

/// Groups in a frame.
#[derive(Debug, Clone)]
pub(crate) struct BarChart<'a> {
    pub(crate) title: &'a str,
    pub(crate) y_label: &'a str,
    pub(crate) size: (f64, f64),
    /// Range of y, where panels share one.
    pub(crate) y_range: Option<(f64, f64)>,
    pub(crate) groups: &'a [BarGroup],
}

/// All values of groups, and zero.
pub(crate) fn y_range(groups: &[BarGroup]) -> Option<(f64, f64)> {
    let bars = groups.iter().flat_map(|group| &group.bars);
    let values = bars.flat_map(|bar| {
        let dots = bar.dots.iter().map(|(_, value)| *value);
        dots.chain(bar.value)
    });
    range(values.chain([0.0]))
}

impl BarChart<'_> {
    /// Draws it.
    pub(crate) fn panel(&self) -> Panel {
        let (low, high) = self
            .y_range
            .or_else(|| y_range(self.groups))
            .unwrap_or((0.0, 1.0));
        let (below, above) = widened(Some((low, high)));
        let y = (
            if low < 0.0 { below } else { 0.0 },
            if high > 0.0 { above } else { 0.0 },
        );
        let mut svg = Svg::default();
        let n_groups = self.groups.len().max(1) as f64;
        let frame = Frame::draw(
            &mut svg,
            (self.title, ""),
            ("", self.y_label),
            self.size,
            ((0.0, n_groups), y),
        );
        let wide = (frame.x.to - frame.x.from) / n_groups;
        let mut label = format!("{}: {}.", self.title, self.y_label);
        for (i, group) in self.groups.iter().enumerate() {
            let left = frame.x.at(i as f64);
            let name = fit(&group.name, 10.5, wide - 2.0);
            let at = (left + wide / 2.0, frame.y.from + 15.0);
            svg.text("s", at, Anchor::Middle, &name);
            let _ = write!(label, " {}:", group.name);
            let each = wide * (1.0 - BETWEEN) / group.bars.len().max(1) as f64;
            for (k, bar) in group.bars.iter().enumerate() {
                let left = left + wide * BETWEEN / 2.0 + k as f64 * each;
                bar.draw(&frame, &mut svg, (left, each), &group.name);
                let _ = write!(label, " {} {},", bar.name, number(bar.value));
            }
        }
        let (zero, left, right) = (frame.y.at(0.0), frame.x.from, frame.x.to);
        svg.path("a", &format!("M{left:.1} {zero:.1}H{right:.1}"));
        Panel {
            width: self.size.0,
            height: self.size.1,
            label,
            svg,
        }
    }
}

impl Bar {
    fn draw(&self, frame: &Frame, svg: &mut Svg, (left, width): (f64, f64), group: &str) {
        let Some(value) = self.value else { return };
        let (zero, end) = (frame.y.at(0.0), frame.y.at(value));
        let class = self.ink.class();
        let inner = (width - 2.0).clamp(1.0, 34.0);
        let x = left + (width - inner) / 2.0;
        let bar = ((x, zero.min(end)), (inner, (zero - end).abs()));
        svg.rect(&format!("r {class}"), bar.0, bar.1, "");
        let n = self.dots.len() as f64;
        let dots = self.dots.iter().enumerate().map(|(i, (_, value))| {
            let place = x + inner * (i as f64 + 0.5) / n;
            Shape::Circle.path((place, frame.y.at(*value)), 1.7)
        });
        let dots: String = dots.collect();
        if !dots.is_empty() {
            svg.path(&format!("o {class}"), &dots);
        }
        let mut title = format!("{group}, {}: {}{}", self.name, number(value), self.aside);
        for (participant, value) in &self.dots {
            let _ = write!(title, "\n{participant} {}", number(*value));
        }
        let height = frame.y.from - frame.y.to;
        svg.rect("v", (left, frame.y.to), (width, height), &title);
    }
}
