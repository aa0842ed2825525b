//! Brain-tunes a random backbone on a simulated participant and asks how well each layer predicts the brain
//! before and after: one process, no export in between.
#![allow(clippy::print_stdout)]

use std::ops::ControlFlow::Continue;

use braintune::backbone::{CheckpointBackbone, WhisperConfig, WhisperEncoder};
use braintune::backbone::{SpeechBackbone, WindowedExtractor, Windows};
use braintune::encode::{self, EncodeConfig, ModelFeatures};
use braintune::fmri::Ds003020;
use braintune::simulation::{SimulationConfig, simulate};
use braintune::tuning::{BrainTuner, MeanSquaredError, StoryBatches};
use braintune::tuning::{TunedSubject, TuningConfig, TuningModel};
use burn::{module::Module, tensor::Device};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("dataset");
    let small = SimulationConfig::default().with_n_train_stories(3);
    let participant = simulate(&small, &root, &mut |_| Continue(()))?;
    let dataset = Ds003020::open(&root)?;
    let who = participant.subject().to_owned();

    let device = Device::flex().autodiff();
    let config = TuningConfig::from_toml("epochs = 1\nbatch_size = 16")?;
    let backbone = WhisperEncoder::random(&WhisperConfig::new(2, 16, 2, 80), 1, &device)?;
    let backbone = backbone.freeze_parts(&config.frozen_parts()?)?;
    let subject = TunedSubject {
        name: who.clone(),
        mask: None,
    };
    let rate = backbone.spec().sample_rate;
    let stories = participant.train_stories();
    let train = StoryBatches::new(&dataset, vec![subject], stories, rate, &config)?;
    let model = TuningModel::new(backbone, train.n_voxels(), &config, &device)?;
    let before = model.backbone().valid();
    let tuner = BrainTuner::new(config, MeanSquaredError)?;
    let result = tuner.fit(model, &train, None, &device, &mut |_| Continue(()))?;

    for (name, backbone) in [("before", before), ("after", result.model.into_backbone())] {
        let windows = WindowedExtractor::new(backbone, Windows::new(4.0, 2.0)?, Device::flex());
        let model = ModelFeatures::new(name, name.to_owned(), windows);
        let config = EncodeConfig::new(&who, vec![participant.test_story().to_owned()])?;
        let (cache, out) = (folder.path().join("cache"), folder.path().join(name));
        let folders = (cache.as_path(), out.as_path());
        let found = encode::run(&dataset, model, &config, folders, vec![], &mut |_| {
            Continue(())
        })?;
        println!("{name}: {found:?}");
    }
    Ok(())
}
