//! Writes a Whisper checkpoint that sees shorter clips: `shorten_whisper MODEL OUT SECONDS`. Clips of 10 s then cost
//! a seventh of what they cost padded to 30 s; `transformers` loads the folder too.

use std::path::Path;

use braintune_backbone::{Checkpoint, CheckpointBackbone, WhisperEncoder};
use burn::tensor::Device;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, seconds] = args.as_slice() else {
        return Err("usage: shorten_whisper MODEL OUT SECONDS".into());
    };
    let checkpoint = Checkpoint::open(Path::new(model))?;
    let model = WhisperEncoder::from_checkpoint(&checkpoint, &Device::flex())?;
    model.shortened(seconds.parse()?)?.save(Path::new(out))?;
    Ok(())
}
