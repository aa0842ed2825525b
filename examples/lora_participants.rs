//! Low-rank updates of one model's attentions, tuned on several participants at once, a head for each; written as an
//! adapter that `peft` reads, and read again.
//!
//! `cargo run -p examples --example lora_participants`
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::ops::ControlFlow::Continue;

use braintune::audio::load_audio;
use braintune::backbone::{PretrainedModel, Windows};
use braintune::fmri::StoryDataset;
use braintune::simulation::SimulationConfig;
use braintune::tune::{self, StoryRoles, TuneSettings};
use braintune::tuning::{TuningConfig, TuningEvent};
use burn::tensor::Device;
use examples::Simulated;

/// High rates for a small model and few steps; the defaults are the paper's.
const SETTINGS: &str = r#"
epochs = 3
batch_size = 8
clip_s = 8.0
pooling = "segments"
segments = 4
lr_backbone = 5e-3
lr_head = 3e-2
lora = { r = 4, alpha = 16.0, dropout = 0.0 }
"#;

#[cfg_attr(test, test)]
fn main() -> anyhow::Result<()> {
    let config = SimulationConfig::default().with_n_participants(3);
    let simulated = Simulated::new(&config.with_story_s(45.0))?;
    let (dataset, folder) = (&simulated.dataset, simulated.folder.path());
    let (base, out) = (simulated.tiny_hubert()?, folder.join("tuned"));

    let subjects = dataset.subjects().to_vec();
    let test = Some(simulated.truth.test_stories().to_vec());
    // One of the others is for validation.
    let stories = StoryRoles::choose(dataset, &subjects, None, None, test)?;
    let mut settings = TuneSettings::new(subjects, stories);
    settings.config = TuningConfig::from_toml(SETTINGS)?;
    let mut mean_r = Vec::new();
    let device = Device::flex();
    tune::run(
        dataset,
        &base,
        &settings,
        &device,
        &out,
        &[],
        &mut |event| {
            if let TuningEvent::Evaluated {
                epoch, validation, ..
            } = event
            {
                println!("epoch {epoch}: {validation:?}");
                mean_r.push(validation.mean_r);
            }
            Continue(())
        },
    )?;
    assert!(mean_r.last() > mean_r.first(), "{mean_r:?}");

    // What was written works with the model it was made for.
    let audio = load_audio(dataset.stories()[0].require_audio()?)?;
    let windows = Windows::new(4.0, 4.0)?;
    let load = || PretrainedModel::load(&base, device.clone());
    let without = load()?.into_windowed(windows).extract(&audio)?;
    let with = load()?.with_adapter(&out.join("adapter"))?;
    let with = with.into_windowed(windows).extract(&audio)?;
    for (layer, (a, b)) in without.layers().iter().zip(with.layers()).enumerate() {
        let most = (a - b).abs().iter().copied().fold(0.0, f32::max);
        println!("the adapter moves layer {layer} by up to {most:.3}");
        assert!(layer == 0 || most > 0.01);
    }
    Ok(())
}
