//! Reads a checkpoint (and an adapter of peft) and writes them again, for `tools/check_written.py`.
//!
//! `rewrite MODEL OUT [ADAPTER]`: with an adapter, OUT gets the adapter and OUT/merged the model.
#![allow(missing_docs)]

use std::path::Path;

use braintune_backbone::{Checkpoint, CheckpointBackbone, Wav2Vec2Model, WhisperEncoder};
use burn::tensor::Device;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (model, out) = (args.first().ok_or("MODEL?")?, args.get(1).ok_or("OUT?")?);
    let checkpoint = Checkpoint::open(Path::new(model))?;
    let (out, adapter) = (Path::new(out), args.get(2).map(Path::new));
    let device = Device::flex();
    if checkpoint.model_type()? == "whisper" {
        write(
            WhisperEncoder::from_checkpoint(&checkpoint, &device)?,
            out,
            adapter,
        )
    } else {
        write(
            Wav2Vec2Model::from_checkpoint(&checkpoint, &device)?,
            out,
            adapter,
        )
    }
}

fn write<B: CheckpointBackbone>(
    model: B,
    out: &Path,
    adapter: Option<&Path>,
) -> Result<(), Box<dyn std::error::Error>> {
    let Some(adapter) = adapter else {
        return Ok(model.save(out)?);
    };
    let model = model.with_adapter(adapter)?;
    model.save_adapter(out)?;
    Ok(model.save(&out.join("merged"))?)
}
