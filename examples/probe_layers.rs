//! Which layers know the phones of a story: a probe on every layer, against always the most frequent and random labels.
//!
//! `cargo run -p examples --example probe_layers`
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::ops::ControlFlow::Continue;

use anyhow::Context;
use braintune::audio::Waveform;
use braintune::backbone::PretrainedModel;
use braintune::probing::{Bootstrap, FrameFeatures, ProbeSettings, Recording, Split};
use braintune::probing::{StoryProbe, StoryQuestion, probe_layers};
use braintune::simulation::SimulationConfig;
use burn::tensor::Device;
use examples::Simulated;

#[cfg_attr(test, test)]
fn main() -> anyhow::Result<()> {
    let config = SimulationConfig::default().with_n_train_stories(2);
    let simulated = Simulated::new(&config.with_story_s(60.0).with_test_story_s(120.0))?;
    let truth = &simulated.truth;
    let model = PretrainedModel::load(&simulated.tiny_hubert()?, Device::flex())?.into_whole_clip();
    let features = |_: &Recording, audio: &Waveform| -> anyhow::Result<FrameFeatures> {
        let (layers, times) = model.extract(audio)?.into_parts();
        Ok(FrameFeatures::new(layers, times)?)
    };

    // No story has two roles: what is learnt must hold for other stories.
    let splits = [Split::Train, Split::Validation, Split::Test];
    let stories = truth.train_stories().iter().chain(truth.test_stories());
    let stories: Vec<_> = stories.cloned().zip(splits).collect();
    let task = StoryProbe::new(&simulated.dataset, &stories, StoryQuestion::Phonemes)?;
    let settings = ProbeSettings {
        bootstrap: Bootstrap {
            n_draws: 200,
            ..Bootstrap::default()
        },
        cs: vec![1e-3, 1e-2],
        ..ProbeSettings::default()
    };
    let scratch = simulated.folder.path();
    let found = probe_layers(&task, features, &settings, scratch, &mut |_| Continue(()))?;

    let baseline = found.baseline.context("classes have a most frequent one")?;
    println!(
        "{} of {} test frames, always the most frequent: {baseline:.3}",
        found.task, found.n_test
    );
    for layer in &found.layers {
        let score = &layer.scores[0];
        let (low, high) = score
            .value
            .interval
            .context("a test of several minutes has an interval")?;
        let control = layer.control.context("a control was asked for")?;
        println!(
            "layer {}: {} {:.3} ({low:.3} to {high:.3}), of random labels {:.3}",
            layer.layer, score.metric, score.value.estimate, control.value
        );
        assert!(low > baseline, "every layer knows phones: {score:?}");
        assert!(
            control.selectivity.estimate > 0.1,
            "and not by heart: {control:?}"
        );
    }
    Ok(())
}
