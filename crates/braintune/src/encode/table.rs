//! `alignment.csv`: one row per layer and region.

use std::path::Path;

use braintune_encoding::{benjamini_hochberg, normalized_alignment, normalized_mean};
use ndarray::{Array1, ArrayView1};

use super::Names;
use super::config::EncodeConfig;
use super::layers::LayerResult;
use crate::error::Result;
use crate::rows::{self, Row, Rows, cell};

/// Mean alignment of one layer in one region: a row of `alignment.csv`.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct AlignmentRow {
    /// Hidden state, 0 to `n_layers`, or the place of a feature space.
    pub layer: usize,
    /// Region of interest; `all` holds every voxel.
    pub roi: String,
    /// Voxels in the region.
    pub n_voxels: usize,
    /// Mean Pearson r over them.
    pub mean_r: f64,
    /// Mean of r / noise ceiling over those above the ceiling threshold, if there are ceilings.
    pub mean_r_normalized: Option<f64>,
    /// 95 % interval of `mean_r` over other stretches of the test stories, if asked for.
    pub interval: Option<(f64, f64)>,
    /// The false discovery rate at which `mean_r > 0` is called in this table, if asked for.
    pub q_value: Option<f64>,
}

const HEADER: [&str; 10] = [
    "subject",
    "model",
    "layer",
    "roi",
    "n_voxels",
    "mean_r",
    "mean_r_normalized",
    "ci_low",
    "ci_high",
    "q_value",
];

pub(super) fn alignment_rows(
    results: &[LayerResult],
    ceiling: Option<ArrayView1<'_, f32>>,
    config: &EncodeConfig,
) -> Result<Vec<AlignmentRow>> {
    let n_voxels = results.first().map_or(0, |result| result.r.len());
    let regions = config.regions.with_all(n_voxels);
    let mut rows = Vec::with_capacity(results.len() * regions.len());
    let mut p_values = Vec::with_capacity(rows.capacity());
    for (layer, result) in results.iter().enumerate() {
        let normalized = ceiling
            .map(|ceiling| {
                let r = ArrayView1::from(&result.r);
                normalized_alignment(r, ceiling, config.ceiling_threshold, config.low_ceiling)
            })
            .transpose()?;
        for ((roi, voxels), statistics) in regions.iter().zip(&result.regions) {
            let of_voxels = normalized
                .as_ref()
                .map(|normalized| normalized_mean(normalized.view(), voxels));
            rows.push(AlignmentRow {
                layer,
                roi: (*roi).to_owned(),
                n_voxels: voxels.len(),
                mean_r: mean(voxels.iter().map(|&voxel| f64::from(result.r[voxel]))),
                mean_r_normalized: of_voxels.transpose()?.and_then(|mean| mean.mean),
                interval: statistics.interval,
                q_value: None,
            });
            p_values.push(statistics.p_value.unwrap_or(f64::NAN));
        }
    }
    let q_values = benjamini_hochberg(Array1::from(p_values).view());
    for (row, q) in rows.iter_mut().zip(q_values) {
        row.q_value = (!q.is_nan()).then_some(q);
    }
    Ok(rows)
}

/// A line of `alignment.csv`, read back.
#[derive(Debug, Clone)]
pub(crate) struct AlignmentLine {
    pub(crate) subject: String,
    pub(crate) model: String,
    pub(crate) layer: usize,
    pub(crate) roi: String,
    pub(crate) n_voxels: usize,
    pub(crate) mean_r: Option<f64>,
    pub(crate) mean_r_normalized: Option<f64>,
    pub(crate) ci_low: Option<f64>,
    pub(crate) ci_high: Option<f64>,
    pub(crate) q_value: Option<f64>,
}

/// Reads what [`write_csv`] has written.
pub(crate) fn read(path: &Path) -> Result<Vec<AlignmentLine>> {
    let rows = Rows::read(path, &["subject", "model", "layer", "roi", "mean_r"])?;
    rows.check_unique(&["subject", "model", "layer", "roi"])?;
    let line = |row: Row<'_>| {
        Ok(AlignmentLine {
            subject: row.text("subject").to_owned(),
            model: row.text("model").to_owned(),
            layer: row.layer()?,
            roi: row.text("roi").to_owned(),
            n_voxels: row.number("n_voxels")?.unwrap_or(0),
            mean_r: row.correlation("mean_r")?,
            mean_r_normalized: row.finite("mean_r_normalized")?,
            ci_low: row.finite("ci_low")?,
            ci_high: row.finite("ci_high")?,
            q_value: row.finite("q_value")?,
        })
    };
    rows.iter().map(line).collect()
}

pub(super) fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0_usize), |(sum, n), value| (sum + value, n + 1));
    if n > 0 { sum / n as f64 } else { 0.0 }
}

pub(super) fn write_csv(
    path: &Path,
    rows: &[AlignmentRow],
    subject: &str,
    names: &Names,
) -> Result<()> {
    let row = |row: &AlignmentRow| {
        [
            subject.to_owned(),
            names.of(row.layer).to_owned(),
            row.layer.to_string(),
            row.roi.clone(),
            row.n_voxels.to_string(),
            cell(Some(row.mean_r)),
            cell(row.mean_r_normalized),
            cell(row.interval.map(|(low, _)| low)),
            cell(row.interval.map(|(_, high)| high)),
            cell(row.q_value),
        ]
    };
    rows::write_csv(path, &HEADER, rows.iter().map(row))
}
