//! Figures of alignment: a curve over layers for each region, and bars of late and best layers.

use std::fmt::Write as _;

use super::files::slug;
use super::view::{Summary, View};
use crate::chart::{
    Bar, BarChart, BarGroup, Figure, Key, Level, Line, LineChart, Panel, Point, count, number,
    range, range_of_bars, range_of_lines,
};
use crate::study::Measure;

const HEIGHT: f64 = 214.0;
/// Regions beside each other in a chart of bars.
const MOST_GROUPS: usize = 10;

/// One figure per model: a panel per region, conditions as lines, baselines as levels.
pub(super) fn curves(view: &View<'_>) -> Vec<Figure> {
    let models = view.results.models.iter();
    models.filter_map(|model| curves_of(view, model)).collect()
}

/// Summaries per layer as a line.
pub(super) fn line(view: &View<'_>, condition: &str, summaries: &[Summary]) -> Line {
    let points = summaries.iter().enumerate();
    Line {
        name: condition.to_owned(),
        ink: view.ink(condition),
        thin: false,
        points: points
            .map(|(layer, summary)| Point {
                x: layer as f64,
                y: summary.mean,
                band: summary.band,
            })
            .collect(),
    }
}

/// Conditions that a figure shows, and the most participants that a line of it is a mean over.
#[derive(Default)]
pub(super) struct Seen<'a> {
    pub(super) names: Vec<&'a str>,
    pub(super) most: usize,
}

impl<'a> Seen<'a> {
    pub(super) fn add(&mut self, name: &'a str, n: usize) {
        self.most = self.most.max(n);
        if !self.names.contains(&name) {
            self.names.push(name);
        }
    }
}

/// The range of many.
pub(super) fn shared(ranges: impl Iterator<Item = Option<(f64, f64)>>) -> Option<(f64, f64)> {
    range(ranges.flatten().flat_map(|(low, high)| [low, high]))
}

/// How bands are to be read.
pub(super) fn bands(n: usize) -> &'static str {
    match n {
        0 | 1 => "bands: 95 % interval where there is one",
        _ => "bands: one standard error of the mean to both sides",
    }
}

/// `8 participants`.
pub(super) fn participants(n: usize) -> String {
    format!("{n} participant{}", if n == 1 { "" } else { "s" })
}

fn conditions<'a>(view: &View<'a>, model: &str) -> Vec<&'a str> {
    let conditions = view.results.conditions.iter();
    let names = conditions.map(|condition| condition.name.as_str());
    names.filter(|name| view.has(model, name)).collect()
}

/// A region with its lines and levels.
struct Region<'a> {
    roi: &'a str,
    lines: Vec<Line>,
    levels: Vec<Level>,
}

fn regions<'a>(view: &View<'a>, model: &str) -> Vec<Region<'a>> {
    let of = |roi: &'a String| {
        let lines = conditions(view, model)
            .into_iter()
            .map(|condition| line(view, condition, &view.summaries(model, condition, roi)));
        let baselines = view.baselines().into_iter().enumerate();
        let levels = baselines.filter_map(|(i, name)| {
            Some(Level {
                name: name.to_owned(),
                ink: crate::chart::Ink::of_level(i),
                y: view.baseline(name, roi).mean?,
            })
        });
        Region {
            roi,
            lines: lines.collect(),
            levels: levels.collect(),
        }
    };
    view.results.rois.iter().map(of).collect()
}

fn curves_of(view: &View<'_>, model: &str) -> Option<Figure> {
    let (shown, empty): (Vec<_>, Vec<_>) = regions(view, model).into_iter().partition(|region| {
        let mut points = region.lines.iter().flat_map(|line| &line.points);
        points.any(|point| point.y.is_some())
    });
    let ranges = shown.iter();
    let ranges = ranges.map(|region| range_of_lines(&region.lines, &region.levels));
    // From zero, unless all values are far from it.
    let y_range = shared(ranges);
    let y_range = y_range.map(|(low, high)| {
        let far = low > 0.5 * high;
        (if far { low } else { low.min(0.0) }, high)
    });
    let (width, columns) = panel_width(shown.len());
    let panel = |region: &Region<'_>| -> Panel {
        LineChart {
            title: region.roi,
            aside: &voxels(view, model, region.roi),
            x_label: "layer",
            y_label: view.measure.axis(),
            size: (width, HEIGHT),
            y_range,
            lines: &region.lines,
            levels: &region.levels,
        }
        .panel()
    };
    let mut keys = keys(view, conditions(view, model));
    for level in shown.iter().flat_map(|region| &region.levels) {
        let name = format!("{} features", level.name);
        if keys.iter().all(|(_, key)| *key != name) {
            keys.push((Key::Level(level.ink), name));
        }
    }
    (!shown.is_empty()).then(|| Figure {
        name: format!("alignment-{}", slug(model)),
        title: format!("{model}: alignment per layer"),
        note: note(view, model, &empty),
        keys,
        columns,
        panels: shown.iter().map(panel).collect(),
    })
}

/// Conditions as lines of a legend.
pub(super) fn keys<'a>(
    view: &View<'_>,
    names: impl IntoIterator<Item = &'a str>,
) -> Vec<(Key, String)> {
    let names = names.into_iter();
    names
        .map(|name| (Key::Line(view.ink(name)), name.to_owned()))
        .collect()
}

fn note(view: &View<'_>, model: &str, empty: &[Region<'_>]) -> String {
    let n = n_participants(view, model);
    let mut note = format!(
        "Alignment is {} over the voxels of a region, mean over {}; {}. Layer 0 is the input of the first layer. All panels have the same axes.",
        match view.measure {
            Measure::MeanR => "Pearson r, averaged",
            Measure::Normalized => "Pearson r divided by the noise ceiling, averaged",
        },
        participants(n),
        bands(n)
    );
    if !empty.is_empty() {
        let names: Vec<_> = empty.iter().map(|region| region.roi).collect();
        let _ = write!(note, " No values for {}.", names.join(", "));
    }
    note
}

fn n_participants(view: &View<'_>, model: &str) -> usize {
    let curves = view.results.curves.iter();
    let of_model = curves.filter(|curve| curve.model == model);
    let mut names: Vec<_> = of_model.map(|curve| &curve.participant).collect();
    names.sort();
    names.dedup();
    names.len()
}

/// `812 to 1,204 voxels`.
fn voxels(view: &View<'_>, model: &str, roi: &str) -> String {
    let curves = view.results.curves.iter();
    let of = curves.filter(|curve| curve.model == model && curve.roi == roi);
    let counts = of.map(|curve| curve.n_voxels as f64);
    match range(counts) {
        None => String::new(),
        Some((low, high)) if low.total_cmp(&high).is_eq() => format!("{} voxels", count(low)),
        Some((low, high)) => format!("{} to {} voxels", count(low), count(high)),
    }
}

/// Two figures per model: bars of late layers, and of the best one.
pub(super) fn bars(view: &View<'_>) -> Vec<Figure> {
    let models = view.results.models.iter();
    models
        .flat_map(|model| [bars_of(view, model, true), bars_of(view, model, false)])
        .flatten()
        .collect()
}

fn bar(view: &View<'_>, (model, condition, roi): (&str, &str, &str), late: bool) -> Bar {
    let (layers, aside) = if late {
        (Some(view.late(model)), String::new())
    } else {
        let peak = view.peak(model, condition, roi);
        let layers = peak.map(|(layer, _)| layer..=layer);
        let aside = peak.map(|(layer, _)| format!(", layer {layer}"));
        (layers, aside.unwrap_or_default())
    };
    let of = layers.map(|layers| view.of_layers((model, condition, roi), layers));
    let dots: Vec<_> = of.unwrap_or_default();
    let values: Vec<f64> = dots.iter().map(|(_, value)| *value).collect();
    Bar {
        name: condition.to_owned(),
        ink: view.ink(condition),
        value: Summary::of(&values).mean,
        aside,
        dots: dots
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

/// Regions that have any value.
fn groups(view: &View<'_>, model: &str, conditions: &[&str], late: bool) -> Vec<BarGroup> {
    let group = |roi: &String| BarGroup {
        name: roi.clone(),
        bars: conditions
            .iter()
            .map(|condition| bar(view, (model, condition, roi), late))
            .collect(),
    };
    let groups = view.results.rois.iter().map(group);
    let groups = groups.filter(|group| group.bars.iter().any(|bar| bar.value.is_some()));
    groups.collect()
}

fn bars_of(view: &View<'_>, model: &str, late: bool) -> Option<Figure> {
    let conditions = conditions(view, model);
    let groups = groups(view, model, &conditions, late);
    if groups.is_empty() {
        return None;
    }
    let y_range = range_of_bars(&groups);
    let n_rows = groups.len().div_ceil(MOST_GROUPS);
    let per_row = groups.len().div_ceil(n_rows);
    let width = 70.0 + per_row as f64 * (26.0 * conditions.len() as f64).clamp(96.0, 200.0);
    let title = if late {
        format!("late layers ({})", layers_in_words(view, model))
    } else {
        String::from("best layer")
    };
    let panel = |groups: &[BarGroup]| {
        BarChart {
            title: &title,
            y_label: view.measure.axis(),
            size: (width.min(1060.0), 250.0),
            y_range,
            groups,
        }
        .panel()
    };
    let note = if late {
        "Bars are means over participants, dots are participants."
    } else {
        "Bars are means over participants in the layer where that mean is highest, which flatters every condition a little; dots are participants."
    };
    Some(Figure {
        name: format!("{}-{}", if late { "late" } else { "best" }, slug(model)),
        title: format!("{model}: {title} per region"),
        note: note.to_owned(),
        keys: conditions
            .iter()
            .map(|name| (Key::Area(view.ink(name)), (*name).to_owned()))
            .collect(),
        columns: 1,
        panels: groups.chunks(per_row).map(panel).collect(),
    })
}

/// Late layers, `9 to 12`.
pub(super) fn layers_in_words(view: &View<'_>, model: &str) -> String {
    let late = view.late(model);
    if late.start() == late.end() {
        late.end().to_string()
    } else {
        format!("{} to {}", late.start(), late.end())
    }
}

/// So wide that panels fill their rows: three of them beside each other, four where three would leave one alone.
pub(super) fn panel_width(n_panels: usize) -> (f64, usize) {
    match n_panels {
        4 | 7 | 8 => (256.0, 4),
        _ => (336.0, 3),
    }
}

/// What the level of a baseline is, for a table.
pub(super) fn baseline_words(view: &View<'_>, roi: &str) -> Vec<String> {
    let names = view.baselines().into_iter();
    let of = names.filter_map(|name| {
        let mean = view.baseline(name, roi).mean?;
        Some(format!("{name} {}", number(mean)))
    });
    of.collect()
}
