//! Whether one model predicts a region better than another: `HuBERT` against the same network with random weights, step
//! by step from sound to a paired test on a story that neither was fitted on.
//!
//! `cargo run -p examples --example compare_models`
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use anyhow::{Context, Result};
use braintune::audio::load_audio;
use braintune::backbone::{Checkpoint, FeatureExtractor, WindowFeature, Windows};
use braintune::backbone::{Wav2Vec2Model, WindowedExtractor};
use braintune::encoding::{BlockSignFlips, paired_test_of_mean, suggest_block_length, zscore};
use braintune::encoding::{Delays, DesignMatrix, EncodingModel, Folds, Ridge};
use braintune::fmri::{Ds003020, Lanczos, StoryDataset};
use braintune::simulation::SimulationConfig;
use burn::tensor::Device;
use examples::Simulated;
use linfa::ParamGuard;
use ndarray::{Array2, Axis, s};

type Extractor = WindowedExtractor<Wav2Vec2Model>;

/// The last layer on the TRs of a story that there are responses to, `[n_trs, d_model]`.
fn features(dataset: &Ds003020, story: &str, model: &Extractor) -> Result<Array2<f32>> {
    let found = model.extract(&load_audio(dataset.story(story)?.require_audio()?)?)?;
    let last = found.layers().last().context("a model has layers")?;
    let timing = dataset.timing(story)?;
    let (times, tr_times) = (found.times(), timing.tr_times().to_vec());
    let lanczos = Lanczos::between(times, &tr_times)?;
    let on_trs = lanczos.resample(last.view(), times, &tr_times)?;
    Ok(zscore(on_trs.slice(s![timing.stored(), ..])))
}

/// The test story's responses as the last layer predicts them, `[n_trs, n_voxels]`.
fn predict(simulated: &Simulated, backbone: Wav2Vec2Model) -> Result<Array2<f32>> {
    let (truth, dataset) = (&simulated.truth, &simulated.dataset);
    let windows = Windows::new(4.0, 2.0)?.with_feature(WindowFeature::StrideMean);
    let model = WindowedExtractor::new(backbone, windows, Device::flex());
    let train = truth.train_stories();
    let (y, story_of_row) = simulated.responses(train)?;
    let x = train.iter().map(|story| features(dataset, story, &model));
    let x = x.collect::<Result<Vec<_>>>()?;
    let delays: Delays = "1,2,3,4".parse()?;
    let stories: Vec<_> = x.iter().map(Array2::view).collect();
    let design = DesignMatrix::from(delays.apply_stories(&stories)?);
    let ridge = Ridge::params("logspace:0:4:15".parse()?)
        .folds(Folds::leave_one_group_out(&story_of_row)?)
        .check()?;
    let fitted = ridge.fit(&design, y.view())?;
    let x = features(dataset, truth.test_story(), &model)?;
    Ok(fitted.predict(delays.apply(x.view()).view())?)
}

#[cfg_attr(test, test)]
fn main() -> Result<()> {
    let simulated = Simulated::new(&SimulationConfig::default().with_n_train_stories(2))?;
    let device = Device::flex();
    let checkpoint = Checkpoint::open(&simulated.tiny_hubert()?)?;
    let hubert = Wav2Vec2Model::from_checkpoint(&checkpoint, &device)?;
    let random = Wav2Vec2Model::random(hubert.config(), 1, &device)?;
    let predicted = [predict(&simulated, hubert)?, predict(&simulated, random)?];

    let (y, _) = simulated.responses(simulated.truth.test_stories())?;
    for (region, voxels) in simulated.truth.rois() {
        let of = |all: &Array2<f32>| all.select(Axis(1), voxels);
        let [y, first, second] = [&y, &predicted[0], &predicted[1]].map(of);
        let flips = BlockSignFlips {
            block_len: suggest_block_length(y.view(), first.view())?,
            n_flips: 999,
            seed: 1,
        };
        let test = paired_test_of_mean(y.view(), first.view(), second.view(), &flips)?;
        let (difference, p) = (test.difference[0], test.p_two_sided[0]);
        println!("{region:<10} r higher by {difference:>6.3}, p = {p:.3}");
        assert!(region != "phonetic" || (difference > 0.2 && p < 0.05));
        assert!(region != "noise" || p > 0.05);
    }
    Ok(())
}
