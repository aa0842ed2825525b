//! Makes the small backbone that `braintune-simulation` comes with: a `HuBERT` of 0.6 million parameters that learns
//! to predict masked units of synthetic speech.
//!
//! ```sh
//! cargo run --release -p braintune --example pretrain_tiny OUT
//! ```
//!
//! Stories of nonsense, each with words of its own, so that sounds can be learnt from them and words cannot → MFCC
//! and their differences at the model's frames → k-means → masked prediction (Hsu et al. 2021), with the trainer that
//! also makes the stimulus-tuned control → `OUT/model`, in f16. An interrupted run goes on where it was. Half an
//! hour on two cores.
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
const N_UNITS: usize = 64;
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

const TRAINING: &str = r"
epochs = 6
batch_size = 32
micro_batch = 8
clip_s = 4.0
lr_backbone = 1e-3
lr_head = 1e-3
max_grad_norm = 5.0
freeze = []
shuffle_stories = true
keep_last = true
checkpoint_every = 100
seed = 1
[stimulus]
mask_time_prob = 0.5
mask_time_length = 5
";

fn main() -> Result<(), AnyError> {
    let out = PathBuf::from(std::env::args().nth(1).ok_or("usage: pretrain_tiny OUT")?);
    let data = out.join("speech");
    let config = SimulationConfig::default()
        .with_seed(SEED)
        .with_own_words_per_story()
        .with_n_train_stories(N_STORIES)
        .with_story_s(STORY_S)
        .with_test_story_s(STORY_S)
        .with_n_repeats(1)
        .with_n_voxels(5);
    let simulated = simulate(&config, &data, &mut |_| ControlFlow::Continue(()))?;
    println!("speech is there");
    let model: Wav2Vec2Config = serde_json::from_str(CONFIG)?;
    let device = Device::flex();
    let random = out.join("random");
    Wav2Vec2Model::random(&model, 1, &device)?.save(&random)?;
    let stories = [simulated.train_stories(), simulated.test_stories()].concat();
    write_units(&data, &stories, &model, &out.join("units"))?;
    println!("units are there");

    let roles = StoryRoles {
        train: simulated.train_stories().to_vec(),
        validation: simulated.test_stories().to_vec(),
        test: Vec::new(),
    };
    let mut settings = TuneSettings::new(vec![simulated.subject().to_owned()], roles);
    settings.control = Some(Control::Stimulus {
        units: Some(out.join("units")),
    });
    settings.config = TuningConfig::from_toml(TRAINING)?;
    settings.resume = true;
    let dataset = Ds003020::open(&data)?;
    let trained = out.join("trained");
    tune::run(
        &dataset,
        &random,
        &settings,
        &device,
        &trained,
        vec![],
        &mut |event| {
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
        },
    )?;
    write_half(&trained, &out.join("model"))
}

/// `STORY.npy`: the cluster of each frame of the model.
fn write_units(
    data: &Path,
    stories: &[String],
    model: &Wav2Vec2Config,
    out: &Path,
) -> Result<(), AnyError> {
    std::fs::create_dir_all(out)?;
    let dataset = Ds003020::open(data)?;
    let of_story = |story: &String| -> Result<Array2<f64>, AnyError> {
        let sound = load_audio(dataset.story(story)?.require_audio()?)?;
        let mfcc = Mfcc::speech()?.compute(sound.samples())?;
        Ok(at_frames(&mfcc, model, sound.samples().len()))
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
    // Every fifth frame is enough to find centres.
    let some = all.slice(s![..;5, ..]).to_owned();
    // Seeded with a constant.
    let clusters = KMeans::params(N_UNITS)
        .n_runs(1)
        .max_n_iterations(50)
        .fit(&DatasetBase::from(some))?;
    for (story, features) in stories.iter().zip(features) {
        let units: Array1<usize> = clusters.predict(&((features - &mean) / &sd));
        let units = units.mapv(|unit| i64::try_from(unit).unwrap_or(0));
        ndarray_npy::write_npy(out.join(format!("{story}.npy")), &units)?;
    }
    Ok(())
}

/// MFCC in the middle of each frame of the model, and how much they change over 40 ms on either side.
fn at_frames(mfcc: &Array2<f32>, model: &Wav2Vec2Config, n_samples: usize) -> Array2<f64> {
    let rate = 16_000.0;
    let stride_s = model.stride() as f64 / rate;
    let field_s = 1290.0 / rate;
    let n_frames = model.n_frames(n_samples);
    let last = mfcc.nrows() - 1;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // clamped
    let row = |time_s: f64| ((time_s * MFCC_HZ).round().max(0.0) as usize).min(last);
    let n = COEFFICIENTS.len();
    Array2::from_shape_fn((n_frames, 2 * n), |(frame, column)| {
        let middle_s = frame as f64 * stride_s + 0.5 * field_s;
        let at = |time_s: f64| f64::from(mfcc[(row(time_s), COEFFICIENTS.start + column % n)]);
        if column < n {
            at(middle_s)
        } else {
            at(middle_s + 0.04) - at(middle_s - 0.04)
        }
    })
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
