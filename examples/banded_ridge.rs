//! Two feature spaces at once, a penalty for each of them voxel by voxel, and what each explains that the other does not.
//!
//! `cargo run -p examples --example banded_ridge`
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use braintune::encoding::{BandedRidge, Folds, Ridge, SpaceWeights, partition_variance, zscore};
use braintune::encoding::{Delays, DesignMatrix, EncodingModel, FeatureSet, FeatureSpace};
use braintune::fmri::{LowLevelExtractor, LowLevelFeature, StoryDataset};
use braintune::simulation::SimulationConfig;
use examples::Simulated;
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView1, Axis, concatenate, s};

const SPACES: [LowLevelFeature; 2] = [LowLevelFeature::Mfcc, LowLevelFeature::Phonemes];

/// Both spaces with their delays side by side, stories one after the other.
fn design(dataset: &dyn StoryDataset, stories: &[String]) -> anyhow::Result<DesignMatrix> {
    let delays: Delays = "1,2,3,4".parse()?;
    let (mut columns, mut spaces, mut start) = (Vec::new(), Vec::new(), 0);
    for feature in SPACES {
        let extractor = LowLevelExtractor::fit(feature, &[])?;
        let of_story = |story: &String| -> anyhow::Result<Array2<f32>> {
            let timing = dataset.timing(story)?;
            let on_trs = extractor.transform_story(dataset.story(story)?, &timing)?;
            Ok(zscore(on_trs.slice(s![timing.stored(), ..])))
        };
        let x: anyhow::Result<Vec<_>> = stories.iter().map(of_story).collect();
        let x = x?;
        let views: Vec<_> = x.iter().map(Array2::view).collect();
        let delayed = delays.apply_stories(&views)?;
        spaces.push(FeatureSpace {
            name: feature.name().to_owned(),
            columns: start..start + delayed.ncols(),
        });
        start += delayed.ncols();
        columns.push(delayed);
    }
    let views: Vec<_> = columns.iter().map(Array2::view).collect();
    Ok(DesignMatrix::new(concatenate(Axis(1), &views)?, spaces)?)
}

#[cfg_attr(test, test)]
fn main() -> anyhow::Result<()> {
    let simulated = Simulated::new(&SimulationConfig::default().with_n_train_stories(5))?;
    let (dataset, truth) = (&simulated.dataset, &simulated.truth);
    let x = design(dataset, truth.train_stories())?;
    let (y, story_of_row) = simulated.responses(truth.train_stories())?;
    let ridge = Ridge::params("logspace:0:4:9".parse()?);
    let ridge = ridge.folds(Folds::leave_one_group_out(&story_of_row)?);
    let model = BandedRidge::params(ridge, SpaceWeights::random(8, 1)).check()?;

    let fitted = model.fit(&x, y.view())?;
    let sets = [0, 1].map(|space| FeatureSet {
        name: SPACES[space].name().to_owned(),
        spaces: vec![space],
    });
    let (y_test, _) = simulated.responses(truth.test_stories())?;
    let x_test = design(dataset, truth.test_stories())?;
    let test = (x_test.view(), y_test.view());
    let parts = partition_variance(&model, &sets, (&x, y.view()), test)?;

    for (region, voxels) in truth.rois() {
        let mean = |of_voxels: ArrayView1<'_, f64>| of_voxels.select(Axis(0), voxels).mean();
        let weights = fitted.space_weights(); // [n_spaces, n_voxels]
        let of_spaces = [0, 1].map(|space| mean(weights.row(space)));
        println!("{region}: weights of mfcc and phonemes {of_spaces:.2?}");
        let r2 = |sets: &[usize]| parts.shared(sets).and_then(|part| mean(part.view()));
        let [sound, phones, both] = [r2(&[0]), r2(&[1]), r2(&[0, 1])];
        println!("  R² of either alone {sound:.2?}, {phones:.2?}, of what they share {both:.2?}");
        match region.as_str() {
            "auditory" => assert!(sound > phones && sound > Some(0.1)),
            "phonetic" => assert!(phones > sound && phones > Some(0.1)),
            _ => {}
        }
    }
    Ok(())
}
