//! Figures of probes: a panel per task, conditions as lines over layers.

use super::alignment::{Seen, bands, keys, line, panel_width, participants};
use super::files::slug;
use super::view::{self, Summary, View, names};
use crate::chart::{Figure, Ink, Key, Level, Line, LineChart};
use crate::study::ProbeCurve;

/// Tasks in order of appearance.
pub(super) fn tasks<'a>(view: &View<'a>) -> Vec<&'a str> {
    names(view.results.probes.iter().map(|probe| &probe.task))
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
    view::peak(&summaries(curves))
}

/// One figure per model.
pub(super) fn figures(view: &View<'_>) -> Vec<Figure> {
    let models = view.results.models.iter();
    models.filter_map(|model| figure(view, model)).collect()
}

/// What the panel of a task shows.
struct Task<'a> {
    name: &'a str,
    metric: &'a str,
    lines: Vec<Line>,
    level: Option<Level>,
}

fn task<'a>(view: &View<'a>, model: &str, name: &'a str, seen: &mut Seen<'a>) -> Option<Task<'a>> {
    let mut lines: Vec<Line> = Vec::new();
    let (mut level, mut metric) = (None, "score");
    for condition in &view.results.conditions {
        let curves = curves(view, (name, model, &condition.name));
        let Some(first) = curves.first() else {
            continue;
        };
        metric = &first.metric;
        level = level.or(first.baseline);
        lines.push(line(view, &condition.name, &summaries(&curves)));
        seen.add(&condition.name, curves.len());
    }
    let level = level.map(|y| Level {
        name: String::from("baseline"),
        ink: Ink::LEVEL,
        y,
    });
    (!lines.is_empty()).then_some(Task {
        name,
        metric,
        lines,
        level,
    })
}

fn figure(view: &View<'_>, model: &str) -> Option<Figure> {
    let mut seen = Seen::default();
    let tasks = tasks(view).into_iter();
    let tasks: Vec<_> = tasks
        .filter_map(|name| task(view, model, name, &mut seen))
        .collect();
    let (width, columns) = panel_width(tasks.len());
    let panel = |task: &Task<'_>| {
        LineChart {
            title: task.name,
            aside: "",
            x_label: "layer",
            y_label: task.metric,
            size: (width, 220.0),
            y_range: None,
            lines: &task.lines,
            levels: task.level.as_slice(),
        }
        .panel()
    };
    let mut keys = keys(view, seen.names.iter().copied());
    if tasks.iter().any(|task| task.level.is_some()) {
        keys.push((
            Key::Level(Ink::LEVEL),
            String::from("baseline: what is most frequent"),
        ));
    }
    (!tasks.is_empty()).then(|| Figure {
        name: format!("probes-{}", slug(model)),
        title: format!("{model}: probes per layer"),
        note: format!(
            "Scores on test data. Tuned models: mean over the models of up to {}; {}. Each task has its own axis.",
            participants(seen.most),
            bands(seen.most)
        ),
        keys,
        columns,
        panels: tasks.iter().map(panel).collect(),
    })
}
