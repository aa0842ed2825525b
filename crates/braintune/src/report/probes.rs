//! Figures of probes: a panel per task, conditions as lines over layers.

use super::alignment::{bands, line, panel_width, participants};
use super::files::slug;
use super::view::{Summary, View};
use crate::chart::{Figure, Ink, Key, Level, Line, LineChart};
use crate::study::ProbeCurve;

/// Tasks in order of appearance.
pub(super) fn tasks<'a>(view: &View<'a>) -> Vec<&'a str> {
    let mut tasks: Vec<&str> = Vec::new();
    for probe in &view.results.probes {
        if !tasks.contains(&probe.task.as_str()) {
            tasks.push(&probe.task);
        }
    }
    tasks
}

/// Curves of a task and model under a condition: one, or one per participant whose tuned model it is.
pub(super) fn curves<'a>(
    view: &View<'a>,
    (task, model, condition): (&str, &str, &str),
) -> Vec<&'a ProbeCurve> {
    let probes = view.results.probes.iter();
    let of = probes
        .filter(|probe| probe.task == task && probe.model == model && probe.condition == condition);
    of.collect()
}

/// Mean over curves per layer; of one curve its own intervals.
pub(super) fn summaries(curves: &[&ProbeCurve]) -> Vec<Summary> {
    let n_layers = curves.iter().map(|curve| curve.scores.len()).max();
    let summary = |layer: usize| {
        let here = curves.iter().filter_map(|curve| curve.scores.get(layer));
        let values = here.filter_map(|score| score.value.filter(|value| value.is_finite()));
        let mut summary = Summary::of(&values.collect::<Vec<_>>());
        if let [curve] = curves {
            let score = curve.scores.get(layer);
            summary.band = score.and_then(|score| score.low.zip(score.high));
        }
        summary
    };
    (0..n_layers.unwrap_or(0)).map(summary).collect()
}

/// Layer where the mean over curves is highest.
pub(super) fn peak(curves: &[&ProbeCurve]) -> Option<(usize, f64)> {
    let summaries = summaries(curves);
    let means = summaries
        .iter()
        .enumerate()
        .filter_map(|(layer, summary)| Some((layer, summary.mean?)));
    means.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

/// One figure per model.
pub(super) fn figures(view: &View<'_>) -> Vec<Figure> {
    let models = view.results.models.iter();
    models.filter_map(|model| figure(view, model)).collect()
}

fn figure(view: &View<'_>, model: &str) -> Option<Figure> {
    let conditions: Vec<_> = view.results.conditions.iter().collect();
    let (mut panels, mut seen, mut most) = (Vec::new(), Vec::new(), 0);
    let mut has_level = false;
    let (width, columns) = panel_width(tasks(view).len());
    for task in tasks(view) {
        let mut lines: Vec<Line> = Vec::new();
        let (mut level, mut metric) = (None, "score");
        for condition in &conditions {
            let curves = curves(view, (task, model, &condition.name));
            let Some(first) = curves.first() else {
                continue;
            };
            most = most.max(curves.len());
            metric = &first.metric;
            level = level.or(first.baseline);
            lines.push(line(view, &condition.name, &summaries(&curves)));
            if !seen.contains(&condition.name.as_str()) {
                seen.push(&condition.name);
            }
        }
        let level = level.map(|y| Level {
            name: String::from("baseline"),
            ink: Ink::LEVEL,
            y,
        });
        has_level |= level.is_some();
        if lines.is_empty() {
            continue;
        }
        let chart = LineChart {
            title: task,
            aside: "",
            x_label: "layer",
            y_label: metric,
            size: (width, 220.0),
            y_range: None,
            lines: &lines,
            levels: level.as_slice(),
        };
        panels.push(chart.panel());
    }
    let mut keys: Vec<_> = seen
        .iter()
        .map(|name| (Key::Line(view.ink(name)), (*name).to_owned()))
        .collect();
    if has_level {
        keys.push((
            Key::Level(Ink::LEVEL),
            String::from("baseline: what is most frequent"),
        ));
    }
    (!panels.is_empty()).then(|| Figure {
        name: format!("probes-{}", slug(model)),
        title: format!("{model}: probes per layer"),
        note: format!(
            "Scores on test data. Tuned models: mean over the models of up to {}; {}. Each task has its own axis.",
            participants(most),
            bands(most)
        ),
        keys,
        columns,
        panels,
    })
}
