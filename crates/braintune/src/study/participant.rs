//! One participant of a study: stories, regions and responses, checked and hashed.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use braintune_fmri::{DatasetFiles, FmriError, Regions, Trim};
use ndarray::Array1;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::file::Study;
use super::tuning_part::Tuning;
use crate::arrays::read_vector;
use crate::ceilings::check_ceiling;
use crate::encode::BadVoxels;
use crate::error::{BraintuneError, Result, file_error};
use crate::provenance::values_sha256;
use crate::tune::{StoryRoles, VoxelChoice};

/// One participant.
pub(super) struct Participant {
    pub(super) name: String,
    /// Roles of the stories that this participant heard.
    pub(super) roles: StoryRoles,
    /// Stories that encoding models are fitted on.
    pub(super) encoding: Vec<String>,
    pub(super) regions: Regions,
    /// As given in the study file.
    pub(super) ceiling: Option<Array1<f32>>,
    pub(super) n_voxels: usize,
    /// Hashes of the responses to each story that is used, single repeats included.
    pub(super) responses: BTreeMap<String, Value>,
    /// Kept TRs of each story that is used.
    pub(super) n_trs: BTreeMap<String, usize>,
    /// Most voxels that hold NaN in the kept rows of a story, and most that are constant there.
    pub(super) n_nan: usize,
    pub(super) n_constant: usize,
}

/// What the responses to a story are, without the responses.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Heard {
    /// Hashes of the responses and of single hearings.
    print: Value,
    /// Kept TRs.
    n_trs: usize,
    /// Voxels that hold NaN in kept rows.
    pub(super) n_nan: usize,
    /// Voxels that are constant there.
    pub(super) n_constant: usize,
}

impl Participant {
    /// Stories that are read, each once.
    pub(super) fn used(&self) -> Vec<String> {
        let StoryRoles {
            train,
            validation,
            test,
        } = &self.roles;
        let mut used: Vec<String> = Vec::new();
        for story in [train, validation, test, &self.encoding]
            .into_iter()
            .flatten()
        {
            if !used.contains(story) {
                used.push(story.clone());
            }
        }
        used
    }

    /// Reads and hashes the responses to a story; `trim` says which rows are kept.
    pub(super) fn read(
        &self,
        dataset: &dyn DatasetFiles,
        (story, trim): (&str, Trim),
        study: &Study,
    ) -> Result<Heard> {
        let name = &self.name;
        let all = dataset.responses(name, story)?;
        let n_voxels = all.bold().ncols();
        if n_voxels != self.n_voxels {
            return Err(BraintuneError::Input(format!(
                "story {story} of {name} has {n_voxels} voxels, the test story {}",
                self.n_voxels
            )));
        }
        let place = format!("story {story} of {name}");
        let rows = kept_rows(&place, trim, dataset.timing(story)?.n_trs(), study)?;
        let kept = all.rows(rows.clone());
        let kept = kept.map_err(|e| study.wrong(format!("[encoding], trims: {place}: {e}")))?;
        let found = kept.bad_values();
        let is_stop = study.file.encoding.bad_voxels() == BadVoxels::Stop;
        if found.n_infinite > 0 || (is_stop && !found.is_empty()) {
            return Err(BraintuneError::Input(format!(
                "{place}: {} voxels hold NaN, {} infinite values, {} are constant; mend infinite ones, and give bad_voxels = \"zero\" in [encoding] to take NaN as 0 and go on",
                found.nan_voxels.len(),
                found.infinite_voxels.len(),
                found.constant_voxels.len()
            )));
        }
        let repeats = if self.roles.test.iter().any(|test| test == story) {
            repeats(dataset, name, story)?
        } else {
            Vec::new()
        };
        let print =
            json!({ "responses_f32_sha256": values_sha256(all.bold()), "repeats": repeats });
        Ok(Heard {
            print,
            n_trs: rows.len(),
            n_nan: found.nan_voxels.len(),
            n_constant: found.constant_voxels.len(),
        })
    }

    /// Notes what was read of a story.
    pub(super) fn note(&mut self, story: &str, heard: Heard) {
        self.responses.insert(story.to_owned(), heard.print);
        self.n_trs.insert(story.to_owned(), heard.n_trs);
    }

    /// Voxels that are tuned to.
    pub(super) fn voxels(&self, tuning: &Tuning) -> VoxelChoice {
        VoxelChoice {
            ceilings: self.ceiling.clone().into_iter().collect(),
            threshold: Some(tuning.ceiling_threshold),
            ..VoxelChoice::default()
        }
    }

    /// Whether tuning has ceilings to choose voxels by: given ones, or those of a repeated test story.
    pub(super) fn has_ceilings(&self) -> bool {
        let repeated = |story: &String| {
            let repeats = self
                .responses
                .get(story)
                .and_then(|print| print["repeats"].as_array());
            repeats.is_some_and(|repeats| repeats.len() > 1)
        };
        self.ceiling.is_some() || self.roles.test.iter().any(repeated)
    }
}

/// Rows that are kept of `n_trs`, of which there have to be some after every delay.
fn kept_rows(place: &str, trim: Trim, n_trs: usize, study: &Study) -> Result<Range<usize>> {
    let rows = trim.rows(n_trs).map_err(|e| {
        study.wrong(format!(
            "{place}: {e} TRs: see trim and test_trim of [encoding]"
        ))
    })?;
    let longest = study.file.encoding.delays()?;
    let longest = longest.as_slice().iter().copied().max().unwrap_or(0);
    if rows.len() <= longest {
        return Err(study.wrong(format!(
            "{place}: trim and test_trim of [encoding] leave {} TRs, and its longest delay is {longest}: nothing is left to fit",
            rows.len()
        )));
    }
    Ok(rows)
}

/// Noise ceilings of a participant's voxels, from a file.
pub(super) fn ceiling(path: &Path, name: &str, n_voxels: usize) -> Result<Array1<f32>> {
    let ceiling = read_vector(path)?;
    match check_ceiling(ceiling.view(), n_voxels) {
        Ok(()) => Ok(ceiling),
        Err(problem) => Err(file_error(path, format!("{name}: {problem}"))),
    }
}

/// Hashes of single hearings, if they are stored.
fn repeats(dataset: &dyn DatasetFiles, subject: &str, story: &str) -> Result<Vec<String>> {
    match dataset.repeats(subject, story) {
        Ok(repeats) => Ok(repeats
            .iter()
            .map(|repeat| values_sha256(repeat.bold()))
            .collect()),
        Err(FmriError::NoRepeats { .. }) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}
