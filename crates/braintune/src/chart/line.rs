//! Lines over layers or steps, with bands and markers, and levels across.

use std::fmt::Write as _;

use super::figure::Panel;
use super::ink::Ink;
use super::number::number;
use super::scale::{Scale, range, ticks, whole_ticks, widened};
use super::svg::{Anchor, Svg, fit, text_width};

const TOP: f64 = 26.0;
const BOTTOM: f64 = 36.0;
const RIGHT: f64 = 10.0;
/// Room between the frame and the first and last point.
const INSET: f64 = 7.0;
/// Height of a line of tick labels, and width of one.
const TICK_HEIGHT: f64 = 34.0;
const TICK_WIDTH: f64 = 20.0;
/// Up to here numbers on x are layers, which all are whole.
const MOST_LAYERS: f64 = 200.0;

/// A point of a line, with the ends of its band.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: f64,
    /// None where the line has a gap.
    pub(crate) y: Option<f64>,
    pub(crate) band: Option<(f64, f64)>,
}

/// A series.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    /// Thin, without markers and without values on hover.
    pub(crate) thin: bool,
    pub(crate) points: Vec<Point>,
}

/// A value that holds for every x.
#[derive(Debug, Clone)]
pub(crate) struct Level {
    pub(crate) name: String,
    pub(crate) ink: Ink,
    pub(crate) y: f64,
}

/// Lines in a frame.
#[derive(Debug, Clone)]
pub(crate) struct LineChart<'a> {
    pub(crate) title: &'a str,
    /// Said beside the title, in small.
    pub(crate) aside: &'a str,
    pub(crate) x_label: &'a str,
    pub(crate) y_label: &'a str,
    /// Width and height.
    pub(crate) size: (f64, f64),
    /// Range of y, where panels share one.
    pub(crate) y_range: Option<(f64, f64)>,
    pub(crate) lines: &'a [Line],
    pub(crate) levels: &'a [Level],
}

/// The axes of a chart.
pub(super) struct Frame {
    pub(super) x: Scale,
    pub(super) y: Scale,
}

/// All values of lines and levels, with the ends of bands.
pub(crate) fn y_range(lines: &[Line], levels: &[Level]) -> Option<(f64, f64)> {
    let points = lines.iter().flat_map(|line| &line.points);
    let values = points.flat_map(|point| {
        let (low, high) = point.band.unwrap_or((f64::NAN, f64::NAN));
        [point.y.unwrap_or(f64::NAN), low, high]
    });
    range(values.chain(levels.iter().map(|level| level.y)))
}

impl Frame {
    /// Draws title, axes, the ticks of y and their grid. What `x` reads goes between the axes.
    pub(super) fn draw(
        svg: &mut Svg,
        (title, aside): (&str, &str),
        (x_label, y_label): (&str, &str),
        (width, height): (f64, f64),
        (x, y): ((f64, f64), (f64, f64)),
    ) -> Self {
        let bottom = height - BOTTOM;
        let labels = ticks(y.0, y.1, (bottom - TOP) / TICK_HEIGHT);
        let widths = labels.iter().map(|(_, label)| text_width(label, 10.5));
        let left = 24.0 + widths.fold(0.0, f64::max);
        let right = width - RIGHT;
        let frame = Self {
            x: Scale {
                low: x.0,
                high: x.1,
                from: left + INSET,
                to: right - INSET,
            },
            y: Scale {
                low: y.0,
                high: y.1,
                from: bottom,
                to: TOP,
            },
        };
        let fitted = fit(title, 12.5, width - left - RIGHT);
        svg.text("t", (left, 16.0), Anchor::Start, &fitted);
        let room = width - RIGHT - left - text_width(&fitted, 12.5) - 8.0;
        if text_width(aside, 10.5) <= room {
            svg.text("s", (right, 16.0), Anchor::End, aside);
        }
        let mut grid = String::new();
        for (value, label) in &labels {
            let at = frame.y.at(*value);
            let _ = write!(grid, "M{left:.1} {at:.1}H{right:.1}");
            svg.text("s", (left - 5.0, at + 3.8), Anchor::End, label);
        }
        svg.path("g", &grid);
        svg.path("a", &format!("M{left:.1} {TOP}V{bottom:.1}H{right:.1}"));
        let middle = f64::midpoint(left, right);
        svg.text("s", (middle, height - 5.0), Anchor::Middle, x_label);
        let y_label = fit(y_label, 10.5, bottom - TOP + 20.0);
        svg.upward("s", (11.0, f64::midpoint(TOP, bottom)), &y_label);
        frame
    }

    pub(super) fn x_tick(&self, svg: &mut Svg, value: f64, label: &str) {
        let (at, bottom) = (self.x.at(value), self.y.from);
        svg.path("a", &format!("M{at:.1} {bottom:.1}v3"));
        svg.text("s", (at, bottom + 14.0), Anchor::Middle, label);
    }

    /// Ticks of x, whole numbers where they are layers.
    pub(super) fn x_ticks(&self, svg: &mut Svg, layers: bool) {
        let room = self.x.to - self.x.from;
        if layers {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a layer"
            )]
            let (last, room) = (self.x.high.max(0.0) as usize, (room / TICK_WIDTH) as usize);
            for layer in whole_ticks(last, room) {
                self.x_tick(svg, layer as f64, &layer.to_string());
            }
        } else {
            for (value, label) in ticks(self.x.low, self.x.high, room / 60.0) {
                self.x_tick(svg, value, &label);
            }
        }
    }
}

impl LineChart<'_> {
    /// Draws it.
    pub(crate) fn panel(&self) -> Panel {
        let points = self.lines.iter().flat_map(|line| &line.points);
        let (_, last) = range(points.map(|point| point.x)).unwrap_or((0.0, 1.0));
        let y = widened(self.y_range.or_else(|| y_range(self.lines, self.levels)));
        let mut svg = Svg::default();
        let frame = Frame::draw(
            &mut svg,
            (self.title, self.aside),
            (self.x_label, self.y_label),
            self.size,
            ((0.0, last.max(1.0)), y),
        );
        frame.x_ticks(&mut svg, last <= MOST_LAYERS);
        if y.0 < 0.0 && y.1 > 0.0 {
            let (zero, left, right) = (frame.y.at(0.0), frame.x.from, frame.x.to);
            svg.path(
                "a",
                &format!("M{:.1} {zero:.1}H{:.1}", left - INSET, right + INSET),
            );
        }
        for level in self.levels {
            let at = frame.y.at(level.y);
            let class = format!("l {}", level.ink.class());
            svg.polyline(
                &class,
                &[(frame.x.from - INSET, at), (frame.x.to + INSET, at)],
            );
        }
        for line in self.lines {
            line.draw(&frame, &mut svg);
        }
        self.columns(&frame, &mut svg);
        Panel {
            width: self.size.0,
            height: self.size.1,
            label: self.label(),
            svg,
        }
    }

    /// What a reader hears: each line from its first to its last value.
    fn label(&self) -> String {
        let mut label = format!("{}: {} by {}.", self.title, self.y_label, self.x_label);
        for line in self.lines.iter().filter(|line| !line.thin) {
            let values: Vec<_> = line
                .points
                .iter()
                .filter_map(|p| Some((p.x, p.y?)))
                .collect();
            let highest = values
                .iter()
                .copied()
                .reduce(|a, b| if b.1 > a.1 { b } else { a });
            if let (Some((_, first)), Some((_, last)), Some((at, highest))) =
                (values.first(), values.last(), highest)
            {
                let _ = write!(
                    label,
                    " {}: from {} to {}, highest {} at {at}.",
                    line.name,
                    number(*first),
                    number(*last),
                    number(highest)
                );
            }
        }
        label
    }

    /// Unseen columns over the chart that say all values at an x.
    fn columns(&self, frame: &Frame, svg: &mut Svg) {
        let lines = || self.lines.iter().filter(|line| !line.thin);
        let mut at: Vec<f64> = lines()
            .flat_map(|line| line.points.iter().map(|point| point.x))
            .collect();
        at.sort_by(f64::total_cmp);
        at.dedup();
        let (first, last) = (frame.x.from - INSET, frame.x.to + INSET);
        for (i, &x) in at.iter().enumerate() {
            let middle = |other: Option<&f64>, end: f64| {
                other.map_or(end, |&other| frame.x.at(f64::midpoint(x, other)))
            };
            let left = middle(i.checked_sub(1).and_then(|i| at.get(i)), first);
            let right = middle(at.get(i + 1), last);
            let mut title = format!("{}, {} {x}", self.title, self.x_label);
            for line in lines() {
                let here = line.points.iter().find(|p| p.x.total_cmp(&x).is_eq());
                if let Some((y, band)) = here.and_then(|point| Some((point.y?, point.band))) {
                    let _ = write!(title, "\n{} {}", line.name, number(y));
                    if let Some((low, high)) = band {
                        let _ = write!(title, " ({} to {})", number(low), number(high));
                    }
                }
            }
            for level in self.levels {
                let _ = write!(title, "\n{} {}", level.name, number(level.y));
            }
            let height = frame.y.from - frame.y.to;
            svg.rect("v", (left, frame.y.to), (right - left, height), &title);
        }
    }
}

impl Line {
    fn draw(&self, frame: &Frame, svg: &mut Svg) {
        let class = self.ink.class();
        let gap = |a: &Point, b: &Point| a.y.is_some() == b.y.is_some();
        let runs = || {
            let runs = self.points.chunk_by(gap);
            runs.filter(|run| run.iter().all(|point| point.y.is_some()))
        };
        for run in runs() {
            let ends = |end: fn((f64, f64)) -> f64| {
                let bands = run.iter().filter_map(move |p| Some((p.x, end(p.band?))));
                bands.map(|(x, y)| (frame.x.at(x), frame.y.at(y)))
            };
            let mut band: Vec<_> = ends(|(low, _)| low).collect();
            let mut high: Vec<_> = ends(|(_, high)| high).collect();
            high.reverse();
            band.append(&mut high);
            if band.len() > 2 {
                svg.polygon(&format!("b {class}"), &band);
            }
        }
        for run in runs() {
            let places = run.iter().filter_map(|p| Some((p.x, p.y?)));
            let places: Vec<_> = places
                .map(|(x, y)| (frame.x.at(x), frame.y.at(y)))
                .collect();
            let kind = if self.thin { "n" } else { "l" };
            if places.len() > 1 || self.thin {
                svg.polyline(&format!("{kind} {class}"), &places);
            }
            if !self.thin {
                let r = if self.points.len() > 30 { 1.6 } else { 2.4 };
                let marks: String = places
                    .iter()
                    .map(|&place| self.ink.shape().path(place, r))
                    .collect();
                svg.path(&format!("k {class}"), &marks);
            }
        }
    }
}
