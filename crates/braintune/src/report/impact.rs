//! What low-level features explain of an alignment: percent that goes when they are taken out, per layer.

use super::alignment::{Seen, bands, keys, line, panel_width, participants, shared};
use super::files::slug;
use super::view::{Summary, View, names};
use crate::chart::{Figure, Line, LineChart, range_of_lines};
use crate::study::LowLevelImpact;

/// Features in order of appearance.
pub(super) fn features<'a>(view: &View<'a>) -> Vec<&'a str> {
    names(view.results.low_level.iter().map(|impact| &impact.feature))
}

/// Mean over participants for each layer, of what `keep` picks.
pub(super) fn summaries(
    view: &View<'_>,
    keep: impl Fn(&LowLevelImpact) -> bool,
) -> (Vec<Summary>, usize) {
    let of: Vec<_> = view.results.low_level.iter().filter(|i| keep(i)).collect();
    let n_layers = of
        .iter()
        .map(|impact| impact.layer.saturating_add(1))
        .max()
        .unwrap_or(0);
    // A layer out of a damaged file is no reason to fill the memory.
    let summary = |layer: usize| {
        let here = of.iter().filter(|impact| impact.layer == layer);
        let values = here.filter_map(|impact| impact.impact.filter(|v| v.is_finite()));
        Summary::of(&values.collect::<Vec<_>>())
    };
    let summaries: Vec<_> = (0..n_layers.min(1_000)).map(summary).collect();
    let most = summaries.iter().map(|summary| summary.n).max().unwrap_or(0);
    (summaries, most)
}

/// One figure per model and feature: a panel per region.
pub(super) fn figures(view: &View<'_>) -> Vec<Figure> {
    let models = view.results.models.iter();
    models
        .flat_map(|model| {
            features(view)
                .into_iter()
                .map(move |feature| (model, feature))
        })
        .filter_map(|(model, feature)| figure(view, model, feature))
        .collect()
}

/// A region with a line per condition.
fn lines<'a>(
    view: &View<'a>,
    (model, feature, roi): (&str, &str, &str),
    seen: &mut Seen<'a>,
) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for condition in &view.results.conditions {
        let (summaries, n) = summaries(view, |impact| {
            impact.model == model
                && impact.feature == feature
                && impact.roi == roi
                && impact.condition == condition.name
        });
        let mut line = line(view, &condition.name, &summaries);
        // Layers that nobody asked about are no gaps.
        line.points.retain(|point| point.y.is_some());
        if !line.points.is_empty() {
            lines.push(line);
            seen.add(&condition.name, n);
        }
    }
    lines
}

fn figure(view: &View<'_>, model: &str, feature: &str) -> Option<Figure> {
    let mut seen = Seen::default();
    let rois = view.results.rois.iter();
    let of_rois = rois.map(|roi| (roi, lines(view, (model, feature, roi), &mut seen)));
    let of_rois: Vec<_> = of_rois.filter(|(_, lines)| !lines.is_empty()).collect();
    let y_range = shared(of_rois.iter().map(|(_, lines)| range_of_lines(lines, &[])));
    let (width, columns) = panel_width(of_rois.len());
    let panels = of_rois.iter().map(|(roi, lines)| {
        LineChart {
            title: roi,
            aside: "",
            x_label: "layer",
            y_label: "impact, percent",
            size: (width, 200.0),
            y_range,
            lines,
            levels: &[],
        }
        .panel()
    });
    (!of_rois.is_empty()).then(|| Figure {
        name: format!("impact-{}-{}", slug(feature), slug(model)),
        title: format!("{model}: impact of {feature}"),
        note: format!(
            "100 (full − residual) / full: percent of the alignment of a layer that goes when {feature} is taken out of it (Moussa, Klakow & Toneva 2025). Mean over {}; {}.",
            participants(seen.most),
            bands(seen.most)
        ),
        keys: keys(view, seen.names.iter().copied()),
        columns,
        panels: panels.collect(),
    })
}
