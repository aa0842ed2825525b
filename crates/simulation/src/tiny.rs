//! A small `HuBERT` that has learnt sounds and word forms of the synthetic languages, and nothing of what words mean.
//!
//! 0.6 million parameters in f16: four convolutions (25 frames a second), six layers of width 96. Trained to predict
//! masked units of simulated stories each of which has words of its own, by the example `pretrain_tiny` of the crate
//! `braintune`. The bytes of a `HuggingFace` checkpoint folder.

use std::path::Path;

use crate::{Result, SimulationError, write};

const FILES: [(&str, &[u8]); 3] = [
    (
        "config.json",
        include_bytes!("../models/tiny-hubert/config.json"),
    ),
    (
        "preprocessor_config.json",
        include_bytes!("../models/tiny-hubert/preprocessor_config.json"),
    ),
    (
        "model.safetensors",
        include_bytes!("../models/tiny-hubert/model.safetensors"),
    ),
];

/// Writes the small backbone as a checkpoint folder, which is created.
///
/// It has 7 hidden states of width 96, 25 frames a second, and takes any length of audio. It knows the sounds of
/// [`simulate`](crate::simulate)'s stories, and of what words mean only what guessing gives: tuning it to the
/// responses of a simulated participant changes that.
///
/// # Errors
/// [`SimulationError::Occupied`] if one of its files is there with other content, [`SimulationError::Io`] if the folder
/// cannot be written.
pub fn write_tiny_hubert(dir: &Path) -> Result<()> {
    for (name, bytes) in FILES {
        let path = dir.join(name);
        if std::fs::read(&path).is_ok_and(|found| found != bytes) {
            return Err(SimulationError::Occupied { path });
        }
    }
    write::create_dir(dir)?;
    for (name, bytes) in FILES {
        write::write_bytes(&dir.join(name), bytes)?;
    }
    Ok(())
}
