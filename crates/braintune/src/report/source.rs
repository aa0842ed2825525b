//! Where a report's numbers come from: `study.json`, or what `encode` and `probe` have left in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{Result, file_error, io_error};
use crate::study::{
    AlignmentCurve, Condition, ConditionKind, Estimate, ProbeCurve, SCHEMA_VERSION, Setting,
    StudyResults,
};

/// The one condition of a folder without a study: models as they were given.
const AS_GIVEN: &str = "as given";
/// Rows of `probes.csv` that are no scores.
const NO_SCORES: [&str; 6] = [
    "control",
    "selectivity",
    "c",
    "median_alpha",
    "baseline",
    "peak_layer",
];
/// A layer beyond this is damage: no model has as many.
const MOST_LAYERS: usize = 10_000;

pub(super) fn read(dir: &Path) -> Result<StudyResults> {
    let path = dir.join("study.json");
    let mut results = match std::fs::read(&path) {
        Ok(bytes) => of_study(&path, &bytes)?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => of_tables(dir)?,
        Err(e) => return Err(io_error("read", &path)(e)),
    };
    complete(&mut results);
    Ok(results)
}

fn of_study(path: &Path, bytes: &[u8]) -> Result<StudyResults> {
    let damaged = |e: serde_json::Error| {
        file_error(
            path,
            format!("is damaged or no study's results ({e}); run braintune study again"),
        )
    };
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(damaged)?;
    match value.get("schema_version").map(serde_json::Value::as_u64) {
        Some(Some(version)) if version == u64::from(SCHEMA_VERSION) => {}
        Some(Some(version)) => {
            return Err(file_error(
                path,
                format!(
                    "has schema_version {version}, this version of braintune reads {SCHEMA_VERSION}; use the version that wrote it, or run braintune study again"
                ),
            ));
        }
        _ => {
            return Err(file_error(
                path,
                "has no schema_version, so it is no study's results; run braintune study again",
            ));
        }
    }
    // Once more from the bytes: an error then says its line.
    serde_json::from_slice(bytes).map_err(damaged)
}

/// A small study out of tables.
fn of_tables(dir: &Path) -> Result<StudyResults> {
    let [alignment, probes] = ["alignment.csv", "probes.csv"].map(|name| dir.join(name));
    if !alignment.is_file() && !probes.is_file() {
        let problem = if dir.is_dir() {
            "has no study.json, no alignment.csv and no probes.csv; give a folder that braintune study, encode or probe has written"
        } else {
            "is no folder; give one that braintune study, encode or probe has written"
        };
        return Err(file_error(dir, problem));
    }
    let name = dir.canonicalize().ok();
    let name = name.as_deref().and_then(Path::file_name);
    let name = name.map_or_else(
        || dir.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let mut results = StudyResults::new(&name, "");
    results.conditions.push(Condition {
        name: AS_GIVEN.to_owned(),
        kind: ConditionKind::Pretrained,
    });
    if alignment.is_file() {
        results.curves = alignment_curves(&alignment)?;
        setting(&mut results, "alignment.csv", "written by braintune encode");
    }
    if probes.is_file() {
        results.probes = probe_curves(&probes)?;
        setting(&mut results, "probes.csv", "written by braintune probe");
    }
    let provenance = dir.join("provenance.json");
    if let Ok(bytes) = std::fs::read(&provenance) {
        results.provenance =
            serde_json::from_slice(&bytes).map_err(|e| file_error(&provenance, e))?;
    }
    Ok(results)
}

fn setting(results: &mut StudyResults, name: &str, value: &str) {
    results.settings.push(Setting {
        name: name.to_owned(),
        value: value.to_owned(),
    });
}

/// Columns of a CSV by name.
struct Rows {
    columns: BTreeMap<String, usize>,
    records: Vec<csv::StringRecord>,
}

impl Rows {
    fn read(path: &Path, needed: &[&str]) -> Result<Self> {
        let damaged = |e: csv::Error| file_error(path, format!("is damaged: {e}"));
        let mut reader = csv::Reader::from_path(path).map_err(damaged)?;
        let header = reader.headers().map_err(damaged)?.clone();
        let columns: BTreeMap<_, _> = header
            .iter()
            .enumerate()
            .map(|(i, name)| (name.to_owned(), i))
            .collect();
        for name in needed {
            if !columns.contains_key(*name) {
                let found: Vec<_> = header.iter().collect();
                return Err(file_error(
                    path,
                    format!("has no column {name}, only {}", found.join(", ")),
                ));
            }
        }
        let records = reader
            .records()
            .collect::<Result<_, _>>()
            .map_err(damaged)?;
        Ok(Self { columns, records })
    }

    fn text<'a>(&self, row: &'a csv::StringRecord, name: &str) -> &'a str {
        let at = self.columns.get(name).and_then(|at| row.get(*at));
        at.unwrap_or_default()
    }

    /// None where the cell is empty or there is no such column.
    fn number<T: std::str::FromStr>(
        &self,
        (path, line): (&Path, usize),
        row: &csv::StringRecord,
        name: &str,
    ) -> Result<Option<T>> {
        match self.text(row, name) {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| {
                let line = line + 2;
                file_error(
                    path,
                    format!("line {line}: {name} is {text:?}, expected a number"),
                )
            }),
        }
    }

    fn layer(&self, at: (&Path, usize), row: &csv::StringRecord) -> Result<usize> {
        let layer = self.number(at, row, "layer")?;
        layer.filter(|layer| *layer < MOST_LAYERS).ok_or_else(|| {
            let (found, line) = (self.text(row, "layer"), at.1 + 2);
            file_error(
                at.0,
                format!("line {line}: layer is {found:?}, expected a number of a layer"),
            )
        })
    }

    fn estimate(
        &self,
        at: (&Path, usize),
        row: &csv::StringRecord,
        name: &str,
    ) -> Result<Estimate> {
        Ok(Estimate {
            value: self.number(at, row, name)?,
            low: self.number(at, row, "ci_low")?,
            high: self.number(at, row, "ci_high")?,
        })
    }
}

/// Sets a place behind the end too.
fn set<T: Copy>(values: &mut Vec<T>, at: usize, value: T, none: T) {
    if values.len() <= at {
        values.resize(at + 1, none);
    }
    values[at] = value;
}

const NONE: Estimate = Estimate {
    value: None,
    low: None,
    high: None,
};

fn alignment_curves(path: &Path) -> Result<Vec<AlignmentCurve>> {
    let rows = Rows::read(path, &["subject", "model", "layer", "roi", "mean_r"])?;
    let mut curves: Vec<AlignmentCurve> = Vec::new();
    for (line, row) in rows.records.iter().enumerate() {
        let at = (path, line);
        let [participant, model, roi] =
            ["subject", "model", "roi"].map(|name| rows.text(row, name));
        let place = curves.iter().position(|curve| {
            curve.participant == participant && curve.model == model && curve.roi == roi
        });
        let place = if let Some(place) = place {
            place
        } else {
            curves.push(AlignmentCurve {
                model: model.to_owned(),
                condition: AS_GIVEN.to_owned(),
                participant: participant.to_owned(),
                roi: roi.to_owned(),
                n_voxels: rows.number(at, row, "n_voxels")?.unwrap_or(0),
                mean_r: Vec::new(),
                normalized: Vec::new(),
                q_value: Vec::new(),
            });
            curves.len() - 1
        };
        let (curve, layer) = (&mut curves[place], rows.layer(at, row)?);
        set(
            &mut curve.mean_r,
            layer,
            rows.estimate(at, row, "mean_r")?,
            NONE,
        );
        let normalized = rows.number(at, row, "mean_r_normalized")?;
        set(&mut curve.normalized, layer, normalized, None);
        set(
            &mut curve.q_value,
            layer,
            rows.number(at, row, "q_value")?,
            None,
        );
    }
    Ok(curves)
}

/// Of each task and model the first score, with its baseline and peak.
fn probe_curves(path: &Path) -> Result<Vec<ProbeCurve>> {
    let rows = Rows::read(path, &["task", "model", "layer", "metric", "value"])?;
    let mut curves: Vec<ProbeCurve> = Vec::new();
    for (line, row) in rows.records.iter().enumerate() {
        let at = (path, line);
        let [task, model, metric] = ["task", "model", "metric"].map(|name| rows.text(row, name));
        let place = curves
            .iter()
            .position(|curve| curve.task == task && curve.model == model);
        let place = match place {
            Some(place) => place,
            None if NO_SCORES.contains(&metric) => continue,
            None => {
                curves.push(ProbeCurve {
                    task: task.to_owned(),
                    model: model.to_owned(),
                    condition: AS_GIVEN.to_owned(),
                    participant: None,
                    metric: metric.to_owned(),
                    scores: Vec::new(),
                    baseline: None,
                    peak: None,
                    n_test: rows.number(at, row, "n_test")?.unwrap_or(0),
                });
                curves.len() - 1
            }
        };
        let curve = &mut curves[place];
        let value = rows.estimate(at, row, "value")?;
        match metric {
            "baseline" => curve.baseline = value.value,
            "peak_layer" => curve.peak = Some(value),
            metric if metric == curve.metric => {
                set(&mut curve.scores, rows.layer(at, row)?, value, NONE);
            }
            _ => {}
        }
    }
    Ok(curves)
}

/// Names that only results have join the lists.
pub(super) fn complete(results: &mut StudyResults) {
    fn joined<'a>(known: &[String], more: impl Iterator<Item = &'a String>) -> Vec<String> {
        let mut names = known.to_vec();
        let mut seen: BTreeSet<String> = known.iter().cloned().collect();
        for name in more {
            if seen.insert(name.clone()) {
                names.push(name.clone());
            }
        }
        names
    }
    let r = &*results;
    let models = r.curves.iter().map(|of| &of.model);
    let models = models.chain(r.probes.iter().map(|of| &of.model));
    let models = models.chain(r.voxels.iter().map(|of| &of.model));
    let models = models.chain(r.low_level.iter().map(|of| &of.model));
    let models = models.chain(r.training.iter().map(|of| &of.model));
    let conditions = r.curves.iter().map(|of| &of.condition);
    let conditions = conditions.chain(r.probes.iter().map(|of| &of.condition));
    let conditions = conditions.chain(r.low_level.iter().map(|of| &of.condition));
    let rois = r.curves.iter().map(|of| &of.roi);
    let rois = rois.chain(r.low_level.iter().map(|of| &of.roi));
    let named: Vec<_> = r.conditions.iter().map(|of| of.name.clone()).collect();
    let models = joined(&r.models, models);
    let participants = joined(&r.participants, r.curves.iter().map(|of| &of.participant));
    let rois = joined(&r.rois, rois);
    let conditions = joined(&named, conditions);
    let unknown = conditions.into_iter().skip(named.len());
    results.conditions.extend(unknown.map(|name| Condition {
        name,
        kind: ConditionKind::Control,
    }));
    (results.models, results.participants, results.rois) = (models, participants, rois);
}
