//! `probes.csv`, `paired.csv` and predictions of each task.

use std::path::Path;

use braintune_probing::{Penalty, ProbeSettings, Probed, paired_bootstrap};

use super::ModelProbed;
use crate::error::Result;
use crate::files::{remove_if_there, write_streamed};
use crate::rows::{Row, Rows, write_csv};

/// A row of `probes.csv` to be.
struct Found<'a> {
    layer: usize,
    metric: &'a str,
    value: f64,
    interval: Option<(f64, f64)>,
}

const PROBES: [&str; 10] = [
    "task", "model", "layer", "metric", "value", "ci_low", "ci_high", "n_train", "n_test",
    "n_groups",
];
const PAIRED: [&str; 10] = [
    "task",
    "model",
    "reference",
    "layer",
    "metric",
    "difference",
    "ci_low",
    "ci_high",
    "p_value",
    "n_groups",
];

/// Both tables so far, a task added at a time.
#[derive(Default)]
pub(super) struct Tables {
    probes: Vec<[String; 10]>,
    paired: Vec<[String; 10]>,
    compares: bool,
}

impl Tables {
    /// Adds what the models gave on a task, and their differences.
    pub(super) fn add(&mut self, of_task: &[ModelProbed], settings: &ProbeSettings) -> Result<()> {
        for ModelProbed { model, found } in of_task {
            let end = |end: Option<f64>| end.map_or_else(String::new, number);
            self.probes.extend(rows(found).into_iter().map(|row| {
                [
                    found.task.clone(),
                    model.clone(),
                    row.layer.to_string(),
                    row.metric.to_owned(),
                    number(row.value),
                    end(row.interval.map(|(low, _)| low)),
                    end(row.interval.map(|(_, high)| high)),
                    found.n_train.to_string(),
                    found.n_test.to_string(),
                    found.groups[2].len().to_string(),
                ]
            }));
        }
        if let Some((reference, others)) = of_task.split_first() {
            for other in others {
                self.compares = true;
                self.paired.extend(differences(other, reference, settings)?);
            }
        }
        Ok(())
    }

    pub(super) fn write(&self, out: &Path) -> Result<()> {
        write_csv(&out.join("probes.csv"), &PROBES, &self.probes)?;
        let path = out.join("paired.csv");
        if self.compares {
            return write_csv(&path, &PAIRED, &self.paired);
        }
        // That of an earlier run with more models would not belong to these results.
        remove_if_there(&path)
    }
}

/// Metrics of `probes.csv` that are no scores.
const NO_SCORES: [&str; 6] = [
    "control",
    "selectivity",
    "c",
    "median_alpha",
    "baseline",
    "peak_layer",
];

/// A line of `probes.csv`, read back.
#[derive(Debug, Clone)]
pub(crate) struct ProbeLine {
    pub(crate) task: String,
    pub(crate) model: String,
    pub(crate) layer: usize,
    pub(crate) metric: String,
    pub(crate) value: Option<f64>,
    pub(crate) ci_low: Option<f64>,
    pub(crate) ci_high: Option<f64>,
    pub(crate) n_test: usize,
}

impl ProbeLine {
    /// Whether it is a score, and not what is told beside scores.
    pub(crate) fn is_score(&self) -> bool {
        !NO_SCORES.contains(&self.metric.as_str())
    }
}

/// Reads what [`Tables::write`] has written.
pub(crate) fn read(path: &Path) -> Result<Vec<ProbeLine>> {
    let rows = Rows::read(path, &["task", "model", "layer", "metric", "value"])?;
    rows.check_unique(&["task", "model", "layer", "metric"])?;
    let line = |row: Row<'_>| {
        Ok(ProbeLine {
            task: row.text("task").to_owned(),
            model: row.text("model").to_owned(),
            layer: row.layer()?,
            metric: row.text("metric").to_owned(),
            value: row.number("value")?,
            ci_low: row.number("ci_low")?,
            ci_high: row.number("ci_high")?,
            n_test: row.number("n_test")?.unwrap_or(0),
        })
    };
    rows.iter().map(line).collect()
}

/// Scores of every layer, control and selectivity, the penalty, the baseline, and the layer where the first score peaks.
fn rows(found: &Probed) -> Vec<Found<'_>> {
    let mut rows = Vec::new();
    for layer in &found.layers {
        let mut add = |metric, value, interval| {
            rows.push(Found {
                layer: layer.layer,
                metric,
                value,
                interval,
            });
        };
        for score in &layer.scores {
            let value = score.value;
            add(score.metric, value.estimate, value.interval);
        }
        if let Some(control) = &layer.control {
            add("control", control.value, None);
            let selectivity = control.selectivity;
            add("selectivity", selectivity.estimate, selectivity.interval);
        }
        match layer.penalty {
            Some(Penalty::C(c)) => add("c", c, None),
            Some(Penalty::MedianAlpha(alpha)) => add("median_alpha", alpha, None),
            None => {}
        }
        if let Some(baseline) = found.baseline {
            add("baseline", baseline, None);
        }
    }
    if let Some(peak) = &found.peak {
        rows.push(Found {
            layer: peak.layer,
            metric: "peak_layer",
            value: peak.layer as f64,
            interval: Some((peak.low as f64, peak.high as f64)),
        });
    }
    rows
}

/// `TASK.predictions.csv`: a row for each layer and test row of a task with one class per row.
pub(super) fn write_predictions(
    names: &[String],
    of_task: &[ModelProbed],
    out: &Path,
) -> Result<()> {
    let Some(task) = of_task.first().map(|first| &first.found) else {
        return Ok(());
    };
    if task.test_classes.is_empty() {
        return Ok(());
    }
    let path = out.join(format!("{}.predictions.csv", task.task));
    write_streamed(&path, |file| {
        let mut table = csv::Writer::from_writer(file);
        table.write_record(["model", "layer", "row", "group", "truth", "predicted"])?;
        for ModelProbed { model, found } in of_task {
            for layer in &found.layers {
                let predicted = layer.predicted.iter().flatten();
                let truth = found.test_groups.iter().zip(&found.test_classes);
                for (row, ((group, &truth), &predicted)) in truth.zip(predicted).enumerate() {
                    let (layer, row) = (layer.layer.to_string(), row.to_string());
                    let (truth, predicted) = (&names[truth], &names[predicted]);
                    table.write_record([model, &layer, &row, group, truth, predicted])?;
                }
            }
        }
        table.flush()
    })
}

/// The first score of a model less that of the reference, layer by layer as far as both have them.
fn differences(
    other: &ModelProbed,
    reference: &ModelProbed,
    settings: &ProbeSettings,
) -> Result<Vec<[String; 10]>> {
    if other.found.n_test != reference.found.n_test {
        tracing::warn!(
            task = other.found.task,
            model = other.model,
            n_rows = other.found.n_test,
            n_rows_of_reference = reference.found.n_test,
            "frames of these models are not the same items: there is no paired test of them"
        );
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for (a, b) in other.found.layers.iter().zip(&reference.found.layers) {
        let (Some(of_a), Some(of_b)) = (&a.sums, &b.sums) else {
            continue;
        };
        let found = paired_bootstrap(of_a, of_b, &settings.bootstrap)?;
        let metric = a.scores.first().map_or("", |score| score.metric);
        rows.push([
            other.found.task.clone(),
            other.model.clone(),
            reference.model.clone(),
            a.layer.to_string(),
            metric.to_owned(),
            number(found.difference.estimate),
            number(found.difference.low),
            number(found.difference.high),
            number(found.p_two_sided),
            reference.found.groups[2].len().to_string(),
        ]);
    }
    Ok(rows)
}

fn number(value: f64) -> String {
    format!("{value:.6}")
}
