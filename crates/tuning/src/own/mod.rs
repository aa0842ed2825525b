//! A model's own objective on the stories' audio: the stimulus-tuned control (Moussa & Toneva 2025).
//!
//! The same clips in the same order, masked, through the same backbone, and instead of a head that predicts
//! responses the one that the model was pretrained with: [`ContrastiveHead`] of wav2vec 2.0, [`UnitHead`] of
//! `HuBERT`. The loss is a mean over the masked frames of a batch. The backbone runs without dropout and
//! layer drop, as it does where responses are learnt. Held by `own/tests.rs`, `tests/it/stimulus.rs`.

mod contrastive;
mod draws;
mod masked_units;
mod settings;

use std::ops::Range;

use braintune_backbone::{Checkpoint, SpeechBackbone, Wav2Vec2Family, Wav2Vec2Model};
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use ndarray::Array2;

pub use contrastive::ContrastiveHead;
pub use masked_units::UnitHead;
pub use settings::Stimulus;

use crate::batch::TuningBatch;
use crate::config::{TuningConfig, setting};
use crate::error::{Result, TuningError};
use crate::learning::{BatchPart, Learning, Measured};
use crate::model::TuningModel;
use crate::step::{rows_of, tensor};
use draws::{Masking, Place};

/// The head of a model's own objective.
#[allow(clippy::large_enum_variant)] // one for each run
#[derive(Module, Debug)]
#[non_exhaustive]
pub enum OwnHead {
    /// Of wav2vec 2.0.
    Contrastive(ContrastiveHead),
    /// Of `HuBERT`.
    Units(UnitHead),
}

/// Masked frames of clips, and those that are not where they count, and what is known of them.
pub(crate) struct MaskedFrames {
    /// Last hidden state, `[n_masked, hidden_size]`.
    pub(crate) predicted: Tensor<2>,
    /// What the feature encoder saw there, `[n_masked, conv_dim]`.
    pub(crate) features: Tensor<2>,
    /// Rows of each clip.
    pub(crate) clips: Vec<Range<usize>>,
    /// Place in the batch of the first clip.
    pub(crate) first_clip: usize,
    /// The unit of each frame, where there are units.
    pub(crate) units: Vec<Option<u32>>,
    /// How much the loss of each frame counts: 1 for those that are masked.
    pub(crate) weights: Vec<f32>,
}

/// An objective that needs no responses.
pub(crate) trait SelfSupervised {
    /// Sum over masked frames of the loss, `[1]`; what it draws is drawn for `place`.
    fn loss(&self, masked: &MaskedFrames, place: Place, settings: &Stimulus) -> Tensor<1>;
}

impl OwnHead {
    /// The head that a model was pretrained with: of the checkpoint where it has one, else seeded, with a
    /// warning. `n_units` is the number of units that there are (`HuBERT`).
    ///
    /// # Errors
    /// A model that is neither wav2vec 2.0 nor `HuBERT`; units that are not there, or not asked for; a
    /// damaged checkpoint.
    pub fn from_checkpoint(
        checkpoint: &Checkpoint,
        model: &Wav2Vec2Model,
        n_units: Option<usize>,
        seed: u64,
        device: &Device,
    ) -> Result<Self> {
        let config = model.config();
        match (config.model_type, n_units) {
            (Wav2Vec2Family::Wav2Vec2, None) => {
                let head = ContrastiveHead::from_checkpoint(checkpoint, config, seed, device)?;
                Ok(Self::Contrastive(head))
            }
            (Wav2Vec2Family::Hubert, Some(n)) => {
                tracing::warn!(
                    "checkpoints of HuBERT come without the projection and the unit embeddings of pretraining: they begin from the seed"
                );
                Ok(Self::Units(UnitHead::seeded(
                    config.hidden_size,
                    n,
                    seed,
                    device,
                )))
            }
            (Wav2Vec2Family::Wav2Vec2, Some(_)) => Err(no_objective(
                "wav2vec2 with units: its own objective has none, leave them out",
            )),
            (Wav2Vec2Family::Hubert, None) => Err(no_objective(
                "hubert without units: give the k-means units of its frames, one integer array for each story",
            )),
            (other, _) => Err(no_objective(&format!(
                "{}: there is one for wav2vec2 and hubert",
                other.model_type()
            ))),
        }
    }

    fn inner(&self) -> &dyn SelfSupervised {
        match self {
            Self::Contrastive(head) => head,
            Self::Units(head) => head,
        }
    }
}

fn no_objective(reason: &str) -> TuningError {
    TuningError::Empty {
        what: "objective of the model's own",
        reason: reason.to_owned(),
    }
}

/// What pretraining masked (Baevski et al. 2020, section 4.2; Hsu et al. 2021, section IV); published configurations
/// have the 0.05 of fine-tuning.
fn pretraining_mask_prob(family: Wav2Vec2Family) -> f64 {
    if family == Wav2Vec2Family::Hubert {
        0.8
    } else {
        0.65
    }
}

/// The model's own objective in place of a loss against responses.
#[derive(Debug, Clone)]
pub struct OwnObjective {
    settings: Stimulus,
    seed: u64,
}

impl OwnObjective {
    /// With the settings and the seed of a run.
    #[must_use]
    pub fn new(config: &TuningConfig) -> Self {
        Self {
            settings: config.stimulus,
            seed: config.seed,
        }
    }

    fn place(&self, step: Option<u64>, batch: usize) -> Place {
        Place {
            seed: self.seed,
            step,
            batch,
        }
    }

    /// Masked frames of every clip of a batch.
    fn masks(
        &self,
        model: &Wav2Vec2Model,
        batch: &TuningBatch,
        place: Place,
    ) -> Result<Vec<Vec<usize>>> {
        let config = model.config();
        let n_frames = config.n_frames(batch.samples.ncols());
        let masking = Masking {
            prob: self
                .settings
                .mask_time_prob
                .unwrap_or_else(|| pretraining_mask_prob(config.model_type)),
            length: self
                .settings
                .mask_time_length
                .unwrap_or(config.mask_time_length),
            // One frame alone has no distractors.
            least: config.mask_time_min_masks.max(2),
        };
        if masking.length == 0 || 2 * masking.length > n_frames {
            return Err(TuningError::Setting {
                name: "stimulus.mask_time_length",
                value: masking.length.to_string(),
                expected: format!(
                    "1 to {}: a clip has {n_frames} frames, and two masks must fit",
                    n_frames / 2
                ),
            });
        }
        if masking.prob <= 0.0 || !masking.prob.is_finite() {
            return Err(TuningError::Setting {
                name: "stimulus.mask_time_prob",
                value: masking.prob.to_string(),
                expected: "above 0; the checkpoint masks nothing, say how much".to_owned(),
            });
        }
        let clips = 0..batch.samples.nrows();
        let masks = clips.map(|clip| place.mask(clip, n_frames, masking));
        Ok(masks.collect())
    }

    /// Sum over masked frames of the loss of some clips.
    fn sum(
        &self,
        model: &TuningModel<Wav2Vec2Model>,
        (batch, rows): (&TuningBatch, &Range<usize>),
        masks: &[Vec<usize>],
        place: Place,
        device: &Device,
    ) -> Result<Tensor<1>> {
        let weight = self.settings.unmasked_weight;
        let masked = masked_frames(model.backbone(), (batch, rows), (masks, weight), device)?;
        let head = model.head.own()?;
        Ok(head.inner().loss(&masked, place, &self.settings))
    }

    /// How many frames of some clips of a batch have a loss, each with its weight.
    fn n_counted(
        &self,
        model: &TuningModel<Wav2Vec2Model>,
        batch: &TuningBatch,
        (masks, rows): (&[Vec<usize>], &Range<usize>),
    ) -> Result<f64> {
        let OwnHead::Units(head) = model.head.own()? else {
            let masks = masks[rows.clone()].iter();
            return Ok(masks.map(Vec::len).sum::<usize>() as f64);
        };
        let n_frames = model.backbone().n_audio_frames(batch.samples.ncols());
        let units = batch.units.as_ref().ok_or_else(|| TuningError::Empty {
            what: "units",
            reason: format!("batches of {} come without them", batch.recording),
        })?;
        let (n_clips, n_units) = (batch.samples.nrows(), head.label_embs_concat.dims()[0]);
        let highest = units.iter().flatten().max().copied().unwrap_or(0) as usize;
        if units.dim() != (n_clips, n_frames) || highest >= n_units {
            return Err(TuningError::Units {
                of: batch.recording.clone(),
                problem: format!(
                    "expected units below {n_units} for [clips, frames] {:?}, found up to {highest} for {:?}",
                    (n_clips, n_frames),
                    units.dim()
                ),
            });
        }
        let weights = rows.clone().flat_map(|clip| {
            weights(&masks[clip], n_frames, self.settings.unmasked_weight)
                .into_iter()
                .filter(move |&(frame, _)| unit_of(batch, clip, frame).is_some())
        });
        Ok(weights.map(|(_, weight)| f64::from(weight)).sum())
    }
}

/// The frames of a clip that count, and how much: those in `mask` 1, the others `unmasked`.
fn weights(mask: &[usize], n_frames: usize, unmasked: f64) -> Vec<(usize, f32)> {
    #[expect(clippy::cast_possible_truncation, reason = "weights of losses are f32")]
    let mut weights = vec![unmasked as f32; n_frames];
    for &frame in mask {
        weights[frame] = 1.0;
    }
    let weights = weights.into_iter().enumerate();
    weights.filter(|(_, weight)| *weight > 0.0).collect()
}

/// The masked clips `rows` of a batch through the backbone; frames that are not masked count `unmasked`.
fn masked_frames(
    backbone: &Wav2Vec2Model,
    (batch, rows): (&TuningBatch, &Range<usize>),
    (masks, unmasked): (&[Vec<usize>], f64),
    device: &Device,
) -> Result<MaskedFrames> {
    let samples = rows_of(&batch.samples, rows);
    let n_frames = backbone.n_audio_frames(samples.ncols());
    let mut hidden = Array2::from_elem((rows.len(), n_frames), false);
    let (mut places, mut units, mut clips) = (Vec::new(), Vec::new(), Vec::new());
    let mut of_frames = Vec::new();
    for (row, clip) in rows.clone().enumerate() {
        let first = places.len();
        for &frame in &masks[clip] {
            hidden[[row, frame]] = true;
        }
        for (frame, weight) in weights(&masks[clip], n_frames, unmasked) {
            places.push(i64::try_from(row * n_frames + frame).unwrap_or(i64::MAX));
            units.push(unit_of(batch, clip, frame));
            of_frames.push(weight);
        }
        clips.push(first..places.len());
    }
    let states = backbone.masked_states(tensor(samples, device), hidden.view())?;
    let n_masked = places.len();
    let places = TensorData::new(places, [n_masked]);
    let places: Tensor<1, Int> = Tensor::from_data(places, device);
    let pick = |x: Tensor<3>| {
        let [batch, n, d] = x.dims();
        x.reshape([batch * n, d]).select(0, places.clone())
    };
    Ok(MaskedFrames {
        predicted: pick(states.last),
        features: pick(states.features),
        clips,
        first_clip: rows.start,
        units,
        weights: of_frames,
    })
}

fn unit_of(batch: &TuningBatch, clip: usize, frame: usize) -> Option<u32> {
    batch.units.as_ref()?.get([clip, frame]).copied().flatten()
}

/// Each row of `[n, d]` divided by its norm; a row of zeros stays one.
fn unit_length(x: Tensor<2>) -> Tensor<2> {
    // PyTorch's bound of cosine_similarity, 1e-8, squared.
    let squares = (x.clone() * x.clone()).sum_dim(1).clamp_min(1e-16);
    x / squares.sqrt()
}

impl Learning<Wav2Vec2Model> for OwnObjective {
    fn title(&self) -> &'static str {
        "own"
    }

    fn check(&self, model: &TuningModel<Wav2Vec2Model>) -> Result<()> {
        self.settings.check()?;
        setting(
            !model.has_gradient_checkpointing(),
            "gradient_checkpointing",
            true,
            "false where the model's own objective is learnt",
        )?;
        let counts_all = self.settings.unmasked_weight > 0.0;
        let is_contrastive = matches!(model.head.own()?, OwnHead::Contrastive(_));
        setting(
            !(counts_all && is_contrastive),
            "stimulus.unmasked_weight",
            self.settings.unmasked_weight,
            "0 for wav2vec 2.0, whose objective is about masked frames",
        )
    }

    fn loss_of(
        &self,
        model: &TuningModel<Wav2Vec2Model>,
        part: &BatchPart<'_>,
    ) -> Result<Tensor<1>> {
        model.check_batch(part.batch)?;
        let place = self.place(Some(part.step), 0);
        let masks = self.masks(model.backbone(), part.batch, place)?;
        let all = 0..part.batch.samples.nrows();
        let n = self.n_counted(model, part.batch, (&masks, &all))?.max(1.0);
        let clips = (part.batch, &part.rows);
        Ok(self.sum(model, clips, &masks, place, part.device)? / n)
    }

    fn measure(
        &self,
        model: &TuningModel<Wav2Vec2Model>,
        part: &BatchPart<'_>,
    ) -> Result<Measured> {
        let batch = usize::try_from(part.step).unwrap_or(usize::MAX);
        let place = self.place(None, batch);
        let masks = self.masks(model.backbone(), part.batch, place)?;
        let n = self.n_counted(model, part.batch, (&masks, &part.rows))?;
        let clips = (part.batch, &part.rows);
        let sum = self.sum(model, clips, &masks, place, part.device)?;
        Ok(Measured::new(f64::from(sum.into_scalar::<f32>()), n, None))
    }

    /// The diversity of wav2vec 2.0's codes is that of a micro-batch.
    fn depends_on_parts(&self, model: &TuningModel<Wav2Vec2Model>) -> bool {
        matches!(model.head.own(), Ok(OwnHead::Contrastive(_)))
    }
}

#[cfg(test)]
mod tests;
