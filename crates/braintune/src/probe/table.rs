//! `probes.csv` and `paired.csv`.

use std::path::Path;

use braintune_probing::{ProbeSettings, ProbeValue, Probed, paired_bootstrap};

use super::ModelProbed;
use crate::arrays::{write_atomically, write_streamed};
use crate::error::{Result, file_error, io_error};

/// A row of `probes.csv`.
struct Row<'a> {
    layer: usize,
    metric: &'a str,
    value: f64,
    interval: Option<(f64, f64)>,
}

pub(super) fn write(
    results: &[Vec<ModelProbed>],
    settings: &ProbeSettings,
    out: &Path,
) -> Result<()> {
    let mut probes = csv::Writer::from_writer(Vec::new());
    let path = out.join("probes.csv");
    let failed = |e: csv::Error| file_error(&path, e.to_string());
    let header = [
        "task", "model", "layer", "metric", "value", "ci_low", "ci_high", "n_train", "n_test",
        "n_groups",
    ];
    probes.write_record(header).map_err(failed)?;
    for ModelProbed { model, found } in results.iter().flatten() {
        for row in rows(found) {
            let end = |end: Option<f64>| end.map_or_else(String::new, number);
            let record = [
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
            ];
            probes.write_record(&record).map_err(failed)?;
        }
    }
    finish(probes, &path)?;
    let path = out.join("paired.csv");
    if results.iter().any(|of_task| of_task.len() > 1) {
        return write_paired(results, settings, &path);
    }
    // That of an earlier run with more models would not belong to these results.
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error("remove", &path)(e)),
        _ => Ok(()),
    }
}

/// Scores of every layer, control and selectivity, the baseline, and the layer where the first score peaks.
fn rows(found: &Probed) -> Vec<Row<'_>> {
    let mut rows = Vec::new();
    for layer in &found.layers {
        let mut add = |metric, value, interval| {
            rows.push(Row {
                layer: layer.layer,
                metric,
                value,
                interval,
            });
        };
        for score in &layer.scores {
            let ProbeValue { estimate, interval } = score.value;
            add(score.metric, estimate, interval);
        }
        if let (Some(control), Some(first)) = (layer.control, layer.scores.first()) {
            add("control", control, None);
            add("selectivity", first.value.estimate - control, None);
        }
        if let Some(baseline) = found.baseline {
            add("baseline", baseline, None);
        }
    }
    if let Some(peak) = &found.peak {
        rows.push(Row {
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
        table.flush()?;
        Ok(())
    })
}

/// The first score of every other model less that of the first model, layer by layer as far as both have them.
fn write_paired(results: &[Vec<ModelProbed>], settings: &ProbeSettings, path: &Path) -> Result<()> {
    let mut paired = csv::Writer::from_writer(Vec::new());
    let failed = |e: csv::Error| file_error(path, e.to_string());
    let header = [
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
    paired.write_record(header).map_err(failed)?;
    for of_task in results {
        let Some((reference, others)) = of_task.split_first() else {
            continue;
        };
        for other in others {
            if other.found.n_test != reference.found.n_test {
                tracing::warn!(
                    task = other.found.task,
                    model = other.model,
                    n_rows = other.found.n_test,
                    n_rows_of_reference = reference.found.n_test,
                    "frames of these models are not the same items: there is no paired test of them"
                );
                continue;
            }
            for (a, b) in other.found.layers.iter().zip(&reference.found.layers) {
                let (Some(of_a), Some(of_b)) = (&a.sums, &b.sums) else {
                    continue;
                };
                let found = paired_bootstrap(of_a, of_b, &settings.bootstrap)?;
                let metric = a.scores.first().map_or("", |score| score.metric);
                let record = [
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
                ];
                paired.write_record(&record).map_err(failed)?;
            }
        }
    }
    finish(paired, path)
}

fn number(value: f64) -> String {
    format!("{value:.6}")
}

fn finish(table: csv::Writer<Vec<u8>>, path: &Path) -> Result<()> {
    let bytes = table
        .into_inner()
        .map_err(|e| file_error(path, e.to_string()))?;
    write_atomically(path, &bytes)
}
