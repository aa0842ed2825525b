//! Any supported checkpoint folder behind one type, chosen by its `model_type`.

use std::path::Path;

use burn::tensor::Device;

use crate::backbone::{BackboneSpec, SpeechBackbone};
use crate::checkpoint::Checkpoint;
use crate::error::{BackboneError, Result};
use crate::extractor::FeatureExtractor;
use crate::lora;
use crate::parts::CheckpointBackbone;
use crate::wav2vec2::{SharedConvExtractor, Wav2Vec2Model};
use crate::whisper::WhisperEncoder;
use crate::whole::WholeClipExtractor;
use crate::windowed::WindowedExtractor;
use crate::windows::{WindowFeature, Windows};

/// Values of `model_type` that [`PretrainedModel::load`] takes.
pub const SUPPORTED_MODEL_TYPES: &str = "wav2vec2, hubert, wavlm, data2vec-audio, whisper";

/// A backbone loaded from a checkpoint folder, whatever its family.
#[derive(Debug)]
pub struct PretrainedModel {
    family: Family,
    weights_sha256: String,
    device: Device,
    batch_size: usize,
    shares_convolutions: bool,
}

#[derive(Debug)]
enum Family {
    Whisper(Box<WhisperEncoder>),
    Wav2Vec2(Box<Wav2Vec2Model>),
}

impl PretrainedModel {
    /// Loads a HuggingFace checkpoint folder onto `device`.
    ///
    /// # Errors
    /// An unknown `model_type`, or what the family's loader finds wrong.
    pub fn load(folder: &Path, device: Device) -> Result<Self> {
        let checkpoint = Checkpoint::open(folder)?;
        let family = match checkpoint.model_type()? {
            "whisper" => Family::Whisper(Box::new(WhisperEncoder::from_checkpoint(
                &checkpoint,
                &device,
            )?)),
            "wav2vec2" | "hubert" | "wavlm" | "data2vec-audio" => Family::Wav2Vec2(Box::new(
                Wav2Vec2Model::from_checkpoint(&checkpoint, &device)?,
            )),
            found => {
                return Err(BackboneError::UnknownModelType {
                    path: checkpoint.config().path().to_path_buf(),
                    found: found.to_owned(),
                    supported: SUPPORTED_MODEL_TYPES,
                });
            }
        };
        Ok(Self {
            family,
            weights_sha256: checkpoint.sha256()?,
            device,
            batch_size: 1,
            shares_convolutions: false,
        })
    }

    /// Facts about the backbone.
    #[must_use]
    pub fn spec(&self) -> &BackboneSpec {
        match &self.family {
            Family::Whisper(model) => model.spec(),
            Family::Wav2Vec2(model) => model.spec(),
        }
    }

    /// SHA-256 of weights and configuration ([`Checkpoint::sha256`]).
    #[must_use]
    pub fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    /// Windows per forward pass ([`WindowedExtractor::with_batch_size`]).
    #[must_use]
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Adds the low-rank updates of an adapter folder of `peft` to the weights.
    ///
    /// # Errors
    /// As [`CheckpointBackbone::with_adapter`].
    pub fn with_adapter(mut self, dir: &Path) -> Result<Self> {
        self.family = match self.family {
            Family::Whisper(model) => {
                Family::Whisper(Box::new(model.with_adapter(dir)?.merge_lora()))
            }
            Family::Wav2Vec2(model) => {
                Family::Wav2Vec2(Box::new(model.with_adapter(dir)?.merge_lora()))
            }
        };
        let updates = lora::adapter_sha256(dir)?;
        self.weights_sha256 = format!("{}+{updates}", self.weights_sha256);
        Ok(self)
    }

    /// Lets windows share their convolutions, an approximation ([`SharedConvExtractor`]); only where their last
    /// frame stands for them.
    ///
    /// # Errors
    /// The family is not wav2vec 2.0's.
    pub fn with_shared_convolutions(mut self) -> Result<Self> {
        if let Family::Whisper(_) = self.family {
            return Err(BackboneError::Unsupported {
                model_type: self.spec().model_type.clone(),
                what: "share the convolutions of windows",
                reason: "every window has its own loudest moment, which sets the floor of its spectrogram",
            });
        }
        self.shares_convolutions = true;
        Ok(self)
    }

    /// An extractor of one feature per causal window.
    #[must_use]
    pub fn into_windowed(self, windows: Windows) -> Box<dyn FeatureExtractor> {
        let (device, batch_size) = (self.device, self.batch_size);
        match self.family {
            Family::Whisper(model) => windowed(*model, windows, (device, batch_size)),
            Family::Wav2Vec2(model)
                if self.shares_convolutions && windows.feature() == WindowFeature::LastFrame =>
            {
                Box::new(SharedConvExtractor::new(*model, windows, device))
            }
            Family::Wav2Vec2(model) => windowed(*model, windows, (device, batch_size)),
        }
    }

    /// An extractor of every frame of one clip.
    #[must_use]
    pub fn into_whole_clip(self) -> Box<dyn FeatureExtractor> {
        match self.family {
            Family::Whisper(model) => Box::new(WholeClipExtractor::new(*model, self.device)),
            Family::Wav2Vec2(model) => Box::new(WholeClipExtractor::new(*model, self.device)),
        }
    }
}

/// Windows of a model of any family.
fn windowed<B: SpeechBackbone + 'static>(
    model: B,
    windows: Windows,
    (device, batch_size): (Device, usize),
) -> Box<dyn FeatureExtractor> {
    let extractor = WindowedExtractor::new(model, windows, device);
    Box::new(extractor.with_batch_size(batch_size))
}
