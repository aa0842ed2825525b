//! Makes the small backbone that `braintune-simulation` comes with: a `HuBERT` of 0.6 million parameters that learns
//! to predict masked units of synthetic speech.
//!
//! ```sh
//! cargo run --release -p braintune --example pretrain_tiny OUT
//! ```
//!
//! Stories of nonsense, each with words of its own, so that sounds can be learnt from them and what words mean cannot →
//! MFCC at the model's frames → k-means → masked prediction (Hsu et al. 2021), with the trainer that also makes the
//! stimulus-tuned control → `OUT/model`, in f16. In two stages: the first four layers learn units as long as a word
//! (five frames, 200 ms), then two more on top of them units of single frames. So layers in the middle know word
//! forms and the last ones are busy with sound again, as in the models that people use (Pasad et al. 2021). An
//! interrupted run goes on where it was. Half an hour on two cores.
#![allow(clippy::print_stdout)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune::audio::{Mfcc, load_audio};
use braintune::backbone::{CheckpointBackbone, Wav2Vec2Config, Wav2Vec2Model};
use braintune::fmri::{Ds003020, StoryDataset};
use braintune::simulation::{SimulationConfig, simulate};
use braintune::tune::{self, StoryRoles, TuneSettings};
use braintune::tuning::{Control, TuningConfig, TuningEvent};
use burn::tensor::Device;
use half::f16;
use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_clustering::KMeans;
use ndarray::{Array1, Array2, Axis, concatenate, s};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

type AnyError = Box<dyn std::error::Error>;

/// No simulated dataset has this seed unless asked for.
const SEED: u64 = 0x7175_6965_745f_7365;
const N_STORIES: usize = 100;
const STORY_S: f64 = 120.0;
/// Layers of the first stage.
const N_LOWER: usize = 4;
const N_LAYERS: usize = 6;
/// Coefficients 1 to 12: the first one is loudness.
const COEFFICIENTS: std::ops::Range<usize> = 1..13;
/// Frames of MFCC in a second.
const MFCC_HZ: f64 = 100.0;

const CONFIG: &str = r#"{
  "model_type": "hubert", "architectures": ["HubertModel"],
  "conv_dim": [48, 48, 64, 64], "conv_kernel": [20, 8, 4, 4], "conv_stride": [10, 8, 4, 2], "conv_bias": false,
  "num_feat_extract_layers": 4, "feat_extract_norm": "layer", "feat_extract_activation": "gelu",
  "feat_proj_layer_norm": true, "hidden_size": 96, "num_hidden_layers": 6, "num_attention_heads": 4,
  "intermediate_size": 256, "hidden_act": "gelu", "layer_norm_eps": 1e-5, "do_stable_layer_norm": true,
  "num_conv_pos_embeddings": 24, "num_conv_pos_embedding_groups": 8,
  "mask_time_prob": 0.5, "mask_time_length": 5, "mask_feature_prob": 0.0
}"#;

/// Of both stages, which differ in epochs and in what is frozen.
const TRAINING: &str = r"
batch_size = 32
micro_batch = 8
clip_s = 4.0
lr_backbone = 1e-3
lr_head = 1e-3
max_grad_norm = 5.0
shuffle_stories = true
keep_last = true
checkpoint_every = 100
seed = 1
[stimulus]
mask_time_prob = 0.3
mask_time_length = 3
unmasked_weight = 1.0
";

/// k-means units of stretches of frames.
struct Units {
    n_units: usize,
    /// Frames of a stretch; it ends with the frame that has the unit.
    n_frames: usize,
}

const WORD_LIKE: Units = Units {
    n_units: 256,
    n_frames: 5,
};
const SOUNDS: Units = Units {
    n_units: 64,
    n_frames: 1,
};

fn main() -> Result<(), AnyError> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("usage: pretrain_tiny OUT")?);
    let speech = Speech::simulate(out.join("speech"))?;
    println!("speech is there");
    let device = Device::flex();
    let mut model: Wav2Vec2Config = serde_json::from_str(CONFIG)?;

    model.num_hidden_layers = N_LOWER;
    Wav2Vec2Model::random(&model, 1, &device)?.save(&out.join("random"))?;
    let units = out.join("units-word-like");
    speech.write_units(&WORD_LIKE, &model, &units)?;
    println!("word-like units are there");
    let lower = out.join("lower");
    speech.train((&out.join("random"), &lower), &units, (6, &[]))?;

    model.num_hidden_layers = N_LAYERS;
    let grown = out.join("grown");
    Wav2Vec2Model::random(&model, 2, &device)?.save(&grown)?;
    copy_tensors(&lower, &grown)?;
    let units = out.join("units-sounds");
    speech.write_units(&SOUNDS, &model, &units)?;
    println!("units of sounds are there");
    let trained = out.join("trained");
    let frozen = ["feature-encoder", "feature-projection", "layers:0-3"];
    speech.train((&grown, &trained), &units, (2, &frozen))?;
    write_half(&trained, &out.join("model"))
}

/// Simulated stories, each in words of its own.
struct Speech {
    folder: PathBuf,
    subject: String,
    roles: StoryRoles,
}

impl Speech {
    fn simulate(folder: PathBuf) -> Result<Self, AnyError> {
        let config = SimulationConfig::default()
            .with_seed(SEED)
            .with_own_words_per_story()
            .with_n_train_stories(N_STORIES)
            .with_story_s(STORY_S)
            .with_test_story_s(STORY_S)
            .with_n_repeats(1)
            .with_n_voxels(5);
        let simulated = simulate(&config, &folder, &mut |_| ControlFlow::Continue(()))?;
        let roles = StoryRoles {
            train: simulated.train_stories().to_vec(),
            validation: simulated.test_stories().to_vec(),
            test: Vec::new(),
        };
        Ok(Self {
            folder,
            subject: simulated.subject().to_owned(),
            roles,
        })
    }

    /// Masked prediction of `units`, from one checkpoint to another.
    fn train(
        &self,
        (from, to): (&Path, &Path),
        units: &Path,
        (epochs, frozen): (usize, &[&str]),
    ) -> Result<(), AnyError> {
        let mut settings = TuneSettings::new(vec![self.subject.clone()], self.roles.clone());
        settings.control = Some(Control::Stimulus {
            units: Some(units.to_owned()),
        });
        settings.config = TuningConfig::from_toml(TRAINING)?;
        settings.config.epochs = epochs;
        settings.config.freeze = frozen.iter().map(|&part| part.to_owned()).collect();
        settings.resume = true;
        let dataset = Ds003020::open(&self.folder)?;
        let mut on = |event: &TuningEvent| {
            match event {
                TuningEvent::Step(step) if step.step.is_multiple_of(20) => {
                    println!("step {} of {}: {:.4}", step.step, step.n_steps, step.loss);
                }
                TuningEvent::Evaluated { validation, .. } => {
                    println!("validation: {:.4}", validation.loss);
                }
                _ => {}
            }
            ControlFlow::Continue(())
        };
        let device = Device::flex();
        tune::run(&dataset, from, &settings, &device, to, &[], &mut on)?;
        Ok(())
    }

    /// `STORY.npy`: the cluster of each frame of the model.
    fn write_units(
        &self,
        units: &Units,
        model: &Wav2Vec2Config,
        out: &Path,
    ) -> Result<(), AnyError> {
        std::fs::create_dir_all(out)?;
        let dataset = Ds003020::open(&self.folder)?;
        let stories = [self.roles.train.as_slice(), &self.roles.validation].concat();
        let of_story = |story: &String| -> Result<Array2<f64>, AnyError> {
            let sound = load_audio(dataset.story(story)?.require_audio()?)?;
            let mfcc = Mfcc::speech()?.compute(sound.samples())?;
            let frames = at_frames(&mfcc, model, sound.samples().len());
            Ok(stretches(&frames, units.n_frames))
        };
        let features = stories
            .iter()
            .map(of_story)
            .collect::<Result<Vec<_>, _>>()?;
        let views: Vec<_> = features.iter().map(Array2::view).collect();
        let mut all = concatenate(Axis(0), &views)?;
        let (mean, sd) = (
            all.mean_axis(Axis(0)).ok_or("no frames")?,
            all.std_axis(Axis(0), 0.0),
        );
        all = (all - &mean) / &sd;
        // Some of the frames are enough to find centres.
        let some = all.slice(s![..;20, ..]).to_owned();
        // Seeded with a constant.
        let clusters = KMeans::params(units.n_units)
            .n_runs(1)
            .max_n_iterations(50)
            .fit(&DatasetBase::from(some))?;
        for (story, features) in stories.iter().zip(features) {
            let found: Array1<usize> = clusters.predict(&((features - &mean) / &sd));
            let found = found.mapv(|unit| i64::try_from(unit).unwrap_or(0));
            ndarray_npy::write_npy(out.join(format!("{story}.npy")), &found)?;
        }
        Ok(())
    }
}

/// Each frame beside the ones before it, `[n_frames, n * n_columns]`; before the first frame is the first one.
fn stretches(frames: &Array2<f64>, n: usize) -> Array2<f64> {
    let (n_frames, n_columns) = frames.dim();
    Array2::from_shape_fn((n_frames, n * n_columns), |(frame, column)| {
        let back = column / n_columns;
        frames[(frame.saturating_sub(back), column % n_columns)]
    })
}

/// MFCC in the middle of each frame of the model.
fn at_frames(mfcc: &Array2<f32>, model: &Wav2Vec2Config, n_samples: usize) -> Array2<f64> {
    let rate = 16_000.0;
    let stride_s = model.stride() as f64 / rate;
    let field_s = 1290.0 / rate;
    let last = mfcc.nrows() - 1;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    let row = |time_s: f64| ((time_s * MFCC_HZ).round().max(0.0) as usize).min(last);
    let shape = (model.n_frames(n_samples), COEFFICIENTS.len());
    Array2::from_shape_fn(shape, |(frame, column)| {
        let middle_s = frame as f64 * stride_s + 0.5 * field_s;
        f64::from(mfcc[(row(middle_s), COEFFICIENTS.start + column)])
    })
}

/// Tensors of checkpoint `from` in place of those of the same name of checkpoint `to`.
fn copy_tensors(from: &Path, to: &Path) -> Result<(), AnyError> {
    let file = to.join("model.safetensors");
    let (ours, theirs) = (
        std::fs::read(&file)?,
        std::fs::read(from.join("model.safetensors"))?,
    );
    let ours = SafeTensors::deserialize(&ours)?;
    let theirs = SafeTensors::deserialize(&theirs)?;
    let mut names = ours.names();
    names.sort_unstable();
    let tensors = names.into_iter().map(|name| {
        let tensor = theirs.tensor(name).or_else(|_| ours.tensor(name))?;
        Ok((name, tensor))
    });
    let tensors = tensors.collect::<Result<Vec<_>, AnyError>>()?;
    Ok(safetensors::serialize_to_file(tensors, None, &file)?)
}

/// The checkpoint with its weights in f16.
fn write_half(from: &Path, to: &Path) -> Result<(), AnyError> {
    std::fs::create_dir_all(to)?;
    let config = std::fs::read_to_string(from.join("config.json"))?;
    std::fs::write(to.join("config.json"), config.replace("float32", "float16"))?;
    let name = "preprocessor_config.json";
    std::fs::copy(from.join(name), to.join(name))?;
    let bytes = std::fs::read(from.join("model.safetensors"))?;
    let tensors = SafeTensors::deserialize(&bytes)?;
    let mut names = tensors.names();
    names.sort_unstable();
    let mut halves = Vec::new();
    for name in names {
        let tensor = tensors.tensor(name)?;
        let values = tensor.data().chunks_exact(4);
        let half = values.flat_map(|v| {
            f16::from_f32(f32::from_le_bytes([v[0], v[1], v[2], v[3]])).to_le_bytes()
        });
        halves.push((name, tensor.shape().to_vec(), half.collect::<Vec<u8>>()));
    }
    let views = halves
        .iter()
        .map(|(name, shape, data)| Ok((*name, TensorView::new(Dtype::F16, shape.clone(), data)?)));
    let views = views.collect::<Result<Vec<_>, AnyError>>()?;
    safetensors::serialize_to_file(views, None, &to.join("model.safetensors"))?;
    Ok(())
}
