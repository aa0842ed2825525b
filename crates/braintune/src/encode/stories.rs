//! `stories.csv`: mean r of each layer and region on each test story alone, where there are several.
//!
//! Of the same predictions as `alignment.csv`; ceilings are those of all test stories together. What
//! comparisons over stories are made of. Held by `tests/it/study.rs`.

use std::path::Path;

use braintune_encoding::{normalized_alignment, normalized_mean};
use ndarray::ArrayView1;
use serde::Deserialize;

use super::config::EncodeConfig;
use super::layers::LayerResult;
use super::table::mean;
use crate::error::Result;
use crate::rows::{cell, write_csv};

/// Mean alignment of one layer in one region with one test story: a row of `stories.csv`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct StoryRow {
    /// Hidden state, 0 to `n_layers`.
    pub(crate) layer: usize,
    /// Region of interest; `all` holds every voxel.
    pub(crate) roi: String,
    /// Test story.
    pub(crate) story: String,
    /// Mean Pearson r over the voxels.
    pub(crate) mean_r: f64,
    /// Mean of r / noise ceiling over those above the ceiling threshold, if there are ceilings.
    pub(crate) mean_r_normalized: Option<f64>,
}

pub(super) fn write_stories(
    path: &Path,
    results: &[LayerResult],
    ceiling: Option<ArrayView1<'_, f32>>,
    config: &EncodeConfig,
) -> Result<()> {
    let mut rows = Vec::new();
    for (layer, result) in results.iter().enumerate() {
        for (story, r) in config.test_stories.iter().zip(&result.stories) {
            rows.extend(of_story(
                layer,
                (story.as_str(), r.as_slice()),
                ceiling,
                config,
            )?);
        }
    }
    let header = ["layer", "roi", "story", "mean_r", "mean_r_normalized"];
    let cells = |row: StoryRow| {
        [
            row.layer.to_string(),
            row.roi,
            row.story,
            cell(Some(row.mean_r)),
            cell(row.mean_r_normalized),
        ]
    };
    write_csv(path, &header, rows.into_iter().map(cells))
}

fn of_story(
    layer: usize,
    (story, r): (&str, &[f32]),
    ceiling: Option<ArrayView1<'_, f32>>,
    config: &EncodeConfig,
) -> Result<Vec<StoryRow>> {
    let normalized = ceiling.map(|ceiling| {
        let r = ArrayView1::from(r);
        normalized_alignment(r, ceiling, config.ceiling_threshold, config.low_ceiling)
    });
    let normalized = normalized.transpose()?;
    let regions = config.regions.with_all(r.len()).into_iter();
    let row = |(roi, voxels): (&str, Vec<usize>)| {
        let of_ceiling = normalized
            .as_ref()
            .map(|of| normalized_mean(of.view(), &voxels));
        Ok(StoryRow {
            layer,
            roi: roi.to_owned(),
            story: story.to_owned(),
            mean_r: mean(voxels.iter().map(|&voxel| f64::from(r[voxel]))),
            mean_r_normalized: of_ceiling.transpose()?.and_then(|mean| mean.mean),
        })
    };
    regions.map(row).collect()
}
