//! What steps left in their folders, read back.

use std::path::Path;

use ndarray::{Array1, Array2};
use ndarray_npy::NpzReader;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::curves::probe_curves;
use super::results::ProbeCurve;
use crate::arrays::check_size;
use crate::encode::{AlignmentLine, StoryRow, read_alignment};
use crate::error::{Result, file_error, io_error};
use crate::probe::read_probes;

/// What an encoding step left.
pub(super) struct Encoded {
    pub(super) rows: Vec<AlignmentLine>,
    /// Empty where there is one test story.
    pub(super) stories: Vec<StoryRow>,
    /// Noise ceiling of each voxel, if there are ceilings.
    pub(super) ceiling: Option<Array1<f32>>,
}

impl Encoded {
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let stories = folder.join("stories.csv");
        let path = folder.join("voxels.npz");
        Ok(Self {
            rows: read_alignment(&folder.join("alignment.csv"))?,
            stories: if stories.exists() {
                read_csv(&stories)?
            } else {
                Vec::new()
            },
            ceiling: ceiling(&path)?,
        })
    }

    /// The lines of a region, layer by layer.
    pub(super) fn of_roi<'a>(&'a self, roi: &'a str) -> impl Iterator<Item = &'a AlignmentLine> {
        self.rows.iter().filter(move |row| row.roi == roi)
    }

    pub(super) fn n_layers(&self) -> usize {
        self.of_roi("all")
            .map(|row| row.layer + 1)
            .max()
            .unwrap_or(0)
    }
}

/// Pearson r of every layer and voxel, `[n_layers, n_voxels]`.
pub(super) fn correlations(folder: &Path) -> Result<Array2<f32>> {
    let path = folder.join("voxels.npz");
    npz(&path)?.by_name("r").map_err(|e| file_error(&path, e))
}

/// Noise ceilings of all voxels, where there are any.
fn ceiling(path: &Path) -> Result<Option<Array1<f32>>> {
    let mut arrays = npz(path)?;
    let names = arrays.names().map_err(|e| file_error(path, e))?;
    if !names.iter().any(|name| name == "noise_ceiling") {
        return Ok(None);
    }
    let found = arrays.by_name("noise_ceiling");
    found.map(Some).map_err(|e| file_error(path, e))
}

fn npz(path: &Path) -> Result<NpzReader<std::fs::File>> {
    let mut file = std::fs::File::open(path).map_err(io_error("read", path))?;
    check_size(path, &mut file)?;
    NpzReader::new(file).map_err(|e| file_error(path, e))
}

fn read_csv<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut table = csv::Reader::from_path(path).map_err(|e| file_error(path, e))?;
    let rows = table.deserialize().collect::<csv::Result<_>>();
    rows.map_err(|e| file_error(path, e))
}

/// Step, training loss and validation loss.
pub(super) type Losses = Vec<(usize, Option<f64>, Option<f64>)>;

/// Most points of a curve beside those of evaluations.
const N_POINTS: usize = 400;

/// Losses of a tuning step and the step whose weights were kept. Of a long run every n-th step, and every one that was
/// evaluated.
pub(super) fn training(folder: &Path) -> Result<(Losses, Option<usize>)> {
    #[derive(Deserialize)]
    struct Line {
        step: usize,
        train_loss: Option<f64>,
        validation_loss: Option<f64>,
    }
    let lines: Vec<Line> = read_csv(&folder.join("training.csv"))?;
    let every = lines.len().div_ceil(N_POINTS).max(1);
    let is_kept = |(i, line): &(usize, &Line)| {
        i % every == 0 || i + 1 == lines.len() || line.validation_loss.is_some()
    };
    let kept = lines.iter().enumerate().filter(is_kept);
    let points = kept.map(|(_, line)| (line.step, line.train_loss, line.validation_loss));
    let path = folder.join("provenance.json");
    let text = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
    let record: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| file_error(&path, e))?;
    let best = record["inputs"]["best_step"].as_u64();
    Ok((
        points.collect(),
        best.and_then(|step| usize::try_from(step).ok()),
    ))
}

/// Curves of the first score of every task of a probing step.
pub(super) fn probes(
    folder: &Path,
    (model, condition, participant): (&str, &str, Option<&str>),
) -> Result<Vec<ProbeCurve>> {
    let mut curves = probe_curves(&read_probes(&folder.join("probes.csv"))?, condition);
    for curve in &mut curves {
        model.clone_into(&mut curve.model);
        curve.participant = participant.map(str::to_owned);
    }
    Ok(curves)
}
