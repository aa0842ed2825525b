//! Writes a checkpoint of the same architecture with random weights: `random_weights MODEL OUT SEED`. The control that
//! tells what a model learnt from what its architecture gives.

use std::path::Path;

use braintune_backbone::{Checkpoint, CheckpointBackbone, Wav2Vec2Model, WhisperEncoder};
use burn::tensor::Device;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, seed] = args.as_slice() else {
        return Err("usage: random_weights MODEL OUT SEED".into());
    };
    let (out, seed) = (Path::new(out), seed.parse()?);
    let checkpoint = Checkpoint::open(Path::new(model))?;
    let device = Device::flex();
    if checkpoint.model_type()? == "whisper" {
        let model = WhisperEncoder::from_checkpoint(&checkpoint, &device)?;
        WhisperEncoder::random(model.config(), seed, &device)?.save(out)?;
    } else {
        let model = Wav2Vec2Model::from_checkpoint(&checkpoint, &device)?;
        Wav2Vec2Model::random(model.config(), seed, &device)?.save(out)?;
    }
    Ok(())
}
