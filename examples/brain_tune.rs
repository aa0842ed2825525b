//! Brain-tunes a small `HuBERT` on a participant and asks how well each layer predicts a story that it was not tuned on,
//! before and after; one process, no files in between.
//!
//! `cargo run -p examples --example brain_tune`
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::ops::ControlFlow::Continue;

use anyhow::Result;
use braintune::backbone::{Checkpoint, CheckpointBackbone, SpeechBackbone, Wav2Vec2Model};
use braintune::backbone::{WindowFeature, WindowedExtractor, Windows};
use braintune::simulation::SimulationConfig;
use braintune::tuning::{BrainTuner, MeanSquaredError, StoryBatches, TunedSubject, TuningConfig};
use braintune::tuning::{TuningEvent, TuningModel};
use burn::{module::Module, tensor::Device};
use examples::Simulated;

/// Few, short and high for a small model; the defaults are the paper's.
const SETTINGS: &str = r#"
epochs = 3
batch_size = 8
clip_s = 4.0
pooling = "segments"
segments = 2
lr_backbone = 5e-4
lr_head = 3e-2
freeze = ["feature-encoder", "layers:0-2"]
"#;

#[cfg_attr(test, test)]
fn main() -> Result<()> {
    let simulated = Simulated::new(&SimulationConfig::default().with_n_train_stories(2))?;
    let (dataset, truth) = (&simulated.dataset, &simulated.truth);
    let config = TuningConfig::from_toml(SETTINGS)?;
    let device = Device::flex().autodiff();
    let checkpoint = Checkpoint::open(&simulated.tiny_hubert()?)?;
    let hubert = Wav2Vec2Model::from_checkpoint(&checkpoint, &device)?;
    let hubert = hubert.freeze_parts(&config.frozen_parts()?)?;

    let everything = TunedSubject {
        name: truth.subject().to_owned(),
        mask: None,
    };
    let (rate, stories) = (hubert.spec().sample_rate, truth.train_stories());
    let batches = StoryBatches::new(dataset, vec![everything], stories, rate, &config)?;
    let model = TuningModel::new(hubert, batches.n_voxels(), &config, &device)?;
    let before = model.backbone().valid();

    let tuned = BrainTuner::new(config, MeanSquaredError)?.fit(
        model,
        &batches,
        None,
        &device,
        &mut |event| {
            if let TuningEvent::Step(step) = event {
                println!(
                    "step {} of {}: loss {:.3}",
                    step.step, step.n_steps, step.loss
                );
            }
            Continue(())
        },
    )?;

    let last_layer = |name: &str, hubert: Wav2Vec2Model| -> Result<f64> {
        let windows = Windows::new(4.0, 2.0)?.with_feature(WindowFeature::StrideMean);
        let extractor = WindowedExtractor::new(hubert, windows, Device::flex());
        let mean_r = simulated.encode(dataset, name, extractor)?;
        println!("{name}: mean r by region and layer {mean_r:.2?}");
        Ok(mean_r["all"][6])
    };
    let before = last_layer("before", before)?;
    let after = last_layer("after", tuned.model.into_backbone())?;
    assert!(
        after > before + 0.02,
        "the last layer was tuned to the brain"
    );
    Ok(())
}
