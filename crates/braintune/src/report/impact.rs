//! What low-level features explain of an alignment: percent that goes when they are taken out, per layer.

use super::alignment::{bands, line, panel_width, participants, shared};
use super::files::slug;
use super::view::{Summary, View};
use crate::chart::{Figure, Key, Line, LineChart, range_of_lines};
use crate::study::LowLevelImpact;

/// Features in order of appearance.
pub(super) fn features<'a>(view: &View<'a>) -> Vec<&'a str> {
    let mut features: Vec<&str> = Vec::new();
    for impact in &view.results.low_level {
        if !features.contains(&impact.feature.as_str()) {
            features.push(&impact.feature);
        }
    }
    features
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

fn figure(view: &View<'_>, model: &str, feature: &str) -> Option<Figure> {
    let conditions: Vec<_> = view.results.conditions.iter().collect();
    let (mut of_rois, mut seen, mut most) = (Vec::new(), Vec::new(), 0);
    for roi in &view.results.rois {
        let mut lines: Vec<Line> = Vec::new();
        for condition in &conditions {
            let (summaries, n) = summaries(view, |impact| {
                impact.model == model
                    && impact.feature == feature
                    && impact.roi == *roi
                    && impact.condition == condition.name
            });
            if summaries.iter().all(|summary| summary.mean.is_none()) {
                continue;
            }
            most = most.max(n);
            let mut line = line(view, &condition.name, &summaries);
            // Layers that nobody asked about are no gaps.
            line.points.retain(|point| point.y.is_some());
            lines.push(line);
            if !seen.contains(&condition.name.as_str()) {
                seen.push(&condition.name);
            }
        }
        if !lines.is_empty() {
            of_rois.push((roi, lines));
        }
    }
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
            participants(most),
            bands(most)
        ),
        keys: seen
            .iter()
            .map(|name| (Key::Line(view.ink(name)), (*name).to_owned()))
            .collect(),
        columns,
        panels: panels.collect(),
    })
}
