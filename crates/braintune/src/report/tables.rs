//! The tables of a report: what its figures show and what they leave out.

use super::finding;
use super::table::{Table, Value};
use super::view::View;
use crate::study::StepStatus;

/// Rows that a page shows of a long table.
const ON_PAGE: usize = 400;

/// Every table that has rows. Those for which the page has a place of its own are found by name.
pub(super) fn all(view: &View<'_>) -> Vec<Table> {
    let tables = [
        finding::table(view),
        Some(comparisons(view)),
        Some(mean_alignment(view)),
        Some(alignment(view)),
        Some(baselines(view)),
        Some(probes(view)),
        Some(low_level(view)),
        Some(voxels(view)),
        Some(training(view)),
        Some(sharing(view)),
        Some(excluded(view)),
        Some(warnings(view)),
        Some(steps(view)),
    ];
    let tables = tables.into_iter().flatten();
    tables.filter(|table| !table.rows.is_empty()).collect()
}

fn table(
    (name, title, note): (&str, &str, &str),
    header: &[&'static str],
    on_page: usize,
    rows: impl Iterator<Item = Vec<Value>>,
) -> Table {
    Table {
        name: name.to_owned(),
        title: title.to_owned(),
        note: note.to_owned(),
        header: header.to_vec(),
        rows: rows.collect(),
        on_page,
    }
}

fn text(text: &str) -> Value {
    Value::from(text)
}

fn comparisons(view: &View<'_>) -> Table {
    let mut tests: Vec<_> = view.results.comparisons.iter().collect();
    let order = |q: Option<f64>| q.filter(|q| q.is_finite()).unwrap_or(f64::INFINITY);
    tests.sort_by(|a, b| {
        let by_q = order(a.q_value).total_cmp(&order(b.q_value));
        by_q.then(order(a.p_value).total_cmp(&order(b.p_value)))
    });
    table(
        (
            "comparisons",
            "Paired tests of conditions",
            "Condition less reference, 95 % interval over units, two-sided p, false discovery rate q over all tests of the study of the same measure; the smallest q first.",
        ),
        &[
            "model",
            "layer",
            "roi",
            "condition",
            "reference",
            "measure",
            "difference",
            "ci low",
            "ci high",
            "unit",
            "n units",
            "n positive",
            "p",
            "q",
        ],
        ON_PAGE,
        tests.into_iter().map(|test| {
            vec![
                text(&test.model),
                Value::Count(test.layer),
                text(&test.roi),
                text(&test.condition),
                text(&test.reference),
                text(test.measure.name()),
                Value::Signed(test.difference.value),
                Value::Number(test.difference.low),
                Value::Number(test.difference.high),
                text(test.unit.name()),
                Value::Count(test.n_units),
                Value::Count(test.n_positive),
                Value::P(test.p_value),
                Value::P(test.q_value),
            ]
        }),
    )
}

/// Means over participants, a row per layer.
fn mean_alignment(view: &View<'_>) -> Table {
    let results = view.results;
    let mut rows = Vec::new();
    for model in &results.models {
        for roi in &results.rois {
            for condition in &results.conditions {
                let summaries = view.summaries(model, &condition.name, roi);
                for (layer, summary) in summaries.iter().enumerate() {
                    rows.push(vec![
                        text(model),
                        text(roi),
                        text(&condition.name),
                        Value::Count(layer),
                        Value::Number(summary.mean),
                        Value::Number(summary.band.map(|(low, _)| low)),
                        Value::Number(summary.band.map(|(_, high)| high)),
                        Value::Count(summary.n),
                    ]);
                }
            }
        }
    }
    let title = format!(
        "Alignment, mean over participants: {}",
        view.measure.words()
    );
    table(
        (
            "alignment_mean",
            &title,
            "Low and high: one standard error to both sides; of one participant, the 95 % interval.",
        ),
        &[
            "model",
            "roi",
            "condition",
            "layer",
            "mean",
            "low",
            "high",
            "n",
        ],
        ON_PAGE,
        rows.into_iter(),
    )
}

fn alignment(view: &View<'_>) -> Table {
    let rows = view.results.curves.iter().flat_map(|curve| {
        let n_layers = curve.mean_r.len().max(curve.normalized.len());
        (0..n_layers).map(|layer| {
            let r = curve.mean_r.get(layer);
            vec![
                text(&curve.model),
                text(&curve.condition),
                text(&curve.participant),
                text(&curve.roi),
                Value::Count(layer),
                Value::Count(curve.n_voxels),
                Value::Number(r.and_then(|r| r.value)),
                Value::Number(r.and_then(|r| r.low)),
                Value::Number(r.and_then(|r| r.high)),
                Value::Number(curve.normalized.get(layer).copied().flatten()),
                Value::P(curve.q_value.get(layer).copied().flatten()),
            ]
        })
    });
    table(
        (
            "alignment",
            "Alignment of each participant",
            "Mean Pearson r with its 95 % interval, mean of r / noise ceiling, and the false discovery rate of mean r > 0.",
        ),
        &[
            "model",
            "condition",
            "participant",
            "roi",
            "layer",
            "n voxels",
            "mean r",
            "ci low",
            "ci high",
            "normalized",
            "q",
        ],
        100,
        rows,
    )
}

fn baselines(view: &View<'_>) -> Table {
    table(
        (
            "baselines",
            "Baselines of each participant",
            "Feature spaces that are no model's.",
        ),
        &[
            "baseline",
            "participant",
            "roi",
            "mean r",
            "ci low",
            "ci high",
            "normalized",
        ],
        100,
        view.results.baselines.iter().map(|of| {
            vec![
                text(&of.baseline),
                text(&of.participant),
                text(&of.roi),
                Value::Number(of.mean_r.value),
                Value::Number(of.mean_r.low),
                Value::Number(of.mean_r.high),
                Value::Number(of.normalized),
            ]
        }),
    )
}

fn probes(view: &View<'_>) -> Table {
    let rows = view.results.probes.iter().flat_map(|probe| {
        let scores = probe.scores.iter().enumerate();
        scores.map(|(layer, score)| {
            vec![
                text(&probe.task),
                text(&probe.model),
                text(&probe.condition),
                text(probe.participant.as_deref().unwrap_or("")),
                text(&probe.metric),
                Value::Count(layer),
                Value::Number(score.value),
                Value::Number(score.low),
                Value::Number(score.high),
                Value::Number(probe.baseline),
                Value::Number(probe.peak.and_then(|peak| peak.value)),
                Value::Count(probe.n_test),
            ]
        })
    });
    table(
        (
            "probes",
            "Probes",
            "Scores on test data with 95 % intervals; the peak is that of the whole curve.",
        ),
        &[
            "task",
            "model",
            "condition",
            "participant",
            "metric",
            "layer",
            "score",
            "ci low",
            "ci high",
            "baseline",
            "peak",
            "n test",
        ],
        ON_PAGE,
        rows,
    )
}

fn low_level(view: &View<'_>) -> Table {
    table(
        (
            "low_level",
            "Low-level impact",
            "100 (full - residual) / full, in percent, for each participant.",
        ),
        &[
            "feature",
            "model",
            "condition",
            "participant",
            "roi",
            "layer",
            "full",
            "residual",
            "impact",
        ],
        100,
        view.results.low_level.iter().map(|of| {
            vec![
                text(&of.feature),
                text(&of.model),
                text(&of.condition),
                text(&of.participant),
                text(&of.roi),
                Value::Count(of.layer),
                Value::Number(of.full),
                Value::Number(of.residual),
                Value::Number(of.impact),
            ]
        }),
    )
}

fn voxels(view: &View<'_>) -> Table {
    let rows = view.results.voxels.iter().flat_map(|of| {
        let counts = of.before.iter().zip(&of.after);
        let bins = of
            .edges
            .windows(2)
            .zip(counts)
            .filter(|(_, (b, a))| **b > 0 || **a > 0);
        bins.map(|(edges, (before, after))| {
            vec![
                text(&of.model),
                text(&of.condition),
                text(&of.reference),
                text(&of.participant),
                Value::Count(of.layer),
                Value::Number(edges.first().copied()),
                Value::Number(edges.last().copied()),
                Value::Count(*before),
                Value::Count(*after),
            ]
        })
    });
    table(
        (
            "voxels",
            "Voxels by r",
            "Bins of r that hold voxels, before and after.",
        ),
        &[
            "model",
            "condition",
            "reference",
            "participant",
            "layer",
            "r from",
            "r to",
            "before",
            "after",
        ],
        0,
        rows,
    )
}

fn training(view: &View<'_>) -> Table {
    let rows = view.results.training.iter().flat_map(|of| {
        of.points.iter().map(|&(step, train, validation)| {
            vec![
                text(&of.model),
                text(&of.condition),
                text(&of.participant),
                Value::Count(step),
                Value::Number(train),
                Value::Number(validation),
            ]
        })
    });
    table(
        (
            "training",
            "Losses",
            "Some hundred steps of each run, and all that were evaluated.",
        ),
        &[
            "model",
            "condition",
            "participant",
            "step",
            "training loss",
            "validation loss",
        ],
        0,
        rows,
    )
}

fn sharing(view: &View<'_>) -> Table {
    table(
        (
            "sharing",
            "Data that tuning and evaluation share",
            "Shared: percent of the TRs that encoding models were fitted on which tuning has read.",
        ),
        &[
            "participant",
            "shared percent",
            "tuning",
            "validation",
            "encoding",
            "test",
        ],
        100,
        view.results.sharing.iter().map(|of| {
            vec![
                text(&of.participant),
                Value::Number(Some(100.0 * of.shared)),
                text(&of.tuning.join(", ")),
                text(&of.validation.join(", ")),
                text(&of.encoding.join(", ")),
                text(&of.test.join(", ")),
            ]
        }),
    )
}

fn excluded(view: &View<'_>) -> Table {
    let rows = view.results.excluded.iter();
    table(
        ("excluded", "What was left out", ""),
        &["what", "why"],
        ON_PAGE,
        rows.map(|of| vec![text(&of.what), text(&of.why)]),
    )
}

fn warnings(view: &View<'_>) -> Table {
    let rows = view.results.warnings.iter();
    table(
        ("warnings", "Warnings", ""),
        &["warning"],
        ON_PAGE,
        rows.map(|warning| vec![text(warning)]),
    )
}

fn steps(view: &View<'_>) -> Table {
    let rows = view.results.steps.iter().map(|step| {
        let status = match step.status {
            StepStatus::Done => "done",
            StepStatus::Failed => "failed",
            StepStatus::Skipped => "skipped",
        };
        let problem = step.problem.as_deref().unwrap_or("");
        vec![text(&step.name), text(status), text(problem)]
    });
    table(
        ("steps", "Steps", ""),
        &["step", "status", "problem"],
        ON_PAGE,
        rows,
    )
}
