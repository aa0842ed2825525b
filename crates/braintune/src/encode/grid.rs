//! Features that come on the grid of TRs, in place of hidden states at window ends.
//!
//! Per story and feature space `[n_trs, n_features]` at the midpoints of all TRs → kept rows → z-score over them. From
//! there on all is as for a model, each feature space in the place of a layer. Held by `tests/it/lowlevel.rs`.

use braintune_encoding::zscore;
use braintune_fmri::{Story, StoryDataset, StoryTiming};
use ndarray::{Array2, s};

use super::features::TrFeatures;
use super::inputs::{Inputs, StoryInput};
use crate::error::{BraintuneError, Result};
use crate::event::{Event, OnEvent, tell};
use crate::names::repeated;

/// A story whose features are asked for.
#[derive(Debug, Clone, Copy)]
pub struct GridStory<'a> {
    /// The story, with its files.
    pub story: &'a Story,
    /// Its TRs; features are wanted at all of them, trimmed ends included.
    pub timing: &'a StoryTiming,
    /// All stories that will be fitted on, for features whose columns depend on them.
    pub training: &'a [&'a Story],
}

type Make<'a> = dyn FnMut(&GridStory<'_>) -> Result<Vec<Array2<f32>>> + 'a;

/// Feature spaces that are made on the grid of TRs, for [`run_on_grid`](super::run_on_grid).
pub struct GridFeatures<'a> {
    pub(super) names: Vec<String>,
    pub(super) digest: String,
    make: Box<Make<'a>>,
}

impl std::fmt::Debug for GridFeatures<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GridFeatures")
            .field("names", &self.names)
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

impl<'a> GridFeatures<'a> {
    /// Feature spaces called `names`, which `make` gives for one story after another, training stories first: an array
    /// `[n_trs, n_features]` for each name, with as many columns for every story.
    ///
    /// `digest` is any text that stands for how they are made. With the hashes of a story's sound and labels it is the
    /// key under which a result is kept: whatever else `make` reads has to be in it.
    ///
    /// # Errors
    /// No name, or one that is there twice.
    pub fn new(
        names: Vec<String>,
        digest: &str,
        make: impl FnMut(&GridStory<'_>) -> Result<Vec<Array2<f32>>> + 'a,
    ) -> Result<Self> {
        if names.is_empty() {
            return Err(BraintuneError::Input(
                "no feature space: at least one is needed".to_owned(),
            ));
        }
        if let Some(twice) = repeated(names.iter().map(String::as_str)) {
            return Err(BraintuneError::Input(format!(
                "feature space {twice} is there twice; name each once"
            )));
        }
        Ok(Self {
            names,
            digest: digest.to_owned(),
            make: Box::new(make),
        })
    }

    pub(super) fn on_tr_grid(
        mut self,
        dataset: &dyn StoryDataset,
        inputs: &Inputs,
        on: &mut OnEvent<'_>,
    ) -> Result<TrFeatures> {
        let training = inputs.train.iter().map(|story| dataset.story(&story.name));
        let training = training.collect::<Result<Vec<_>, _>>()?;
        let (mut done, total) = (0, inputs.n_stories());
        let mut each = |story: &StoryInput| -> Result<Vec<Array2<f32>>> {
            let event = Event::Counted {
                stage: "low-level features",
                what: "stories",
                done,
                total,
            };
            tell(on, event)?;
            done += 1;
            let timing = dataset.timing(&story.name)?;
            let spaces = (self.make)(&GridStory {
                story: dataset.story(&story.name)?,
                timing: &timing,
                training: &training,
            })?;
            check(&self.names, &story.name, timing.n_trs(), &spaces)?;
            let kept = |space: &Array2<f32>| zscore(space.slice(s![story.rows.clone(), ..]));
            Ok(spaces.iter().map(kept).collect())
        };
        let features = TrFeatures {
            train: inputs.train.iter().map(&mut each).collect::<Result<_>>()?,
            test: inputs.test.iter().map(&mut each).collect::<Result<_>>()?,
        };
        same_columns(&self.names, inputs, &features)?;
        Ok(features)
    }
}

fn check(names: &[String], story: &str, n_trs: usize, spaces: &[Array2<f32>]) -> Result<()> {
    if spaces.len() != names.len() {
        return Err(BraintuneError::Input(format!(
            "story {story}: {} feature spaces were made, {} are named",
            spaces.len(),
            names.len()
        )));
    }
    for (name, space) in names.iter().zip(spaces) {
        if space.nrows() != n_trs || space.ncols() == 0 {
            return Err(BraintuneError::Input(format!(
                "story {story}: {name} has the shape {:?}, expected {n_trs} TRs and at least one column",
                space.dim()
            )));
        }
        if let Some(((row, column), value)) = space.indexed_iter().find(|(_, x)| !x.is_finite()) {
            return Err(BraintuneError::Input(format!(
                "story {story}: {name} is {value} at TR {row}, column {column}"
            )));
        }
    }
    Ok(())
}

fn same_columns(names: &[String], inputs: &Inputs, features: &TrFeatures) -> Result<()> {
    let stories = inputs.train.iter().zip(&features.train);
    let stories = stories.chain(inputs.test.iter().zip(&features.test));
    for (story, spaces) in stories {
        for ((name, space), first) in names.iter().zip(spaces).zip(&features.train[0]) {
            if space.ncols() != first.ncols() {
                return Err(BraintuneError::Input(format!(
                    "story {}: {name} has {} columns, {} in story {}",
                    story.name,
                    space.ncols(),
                    first.ncols(),
                    inputs.train[0].name
                )));
            }
        }
    }
    Ok(())
}
