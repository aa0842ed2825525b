//! Makes the small backbone that `braintune-simulation` comes with: a `HuBERT` of 0.6 million parameters that learns
//! to predict masked units of synthetic speech.
//!
//! ```sh
//! cargo run --release -p braintune --example pretrain_tiny OUT
//! ```
//!
//! Stories of nonsense, each with words of its own and none with a topic that its words would share with another's →
//! for each frame the syllable that is said → masked prediction (Hsu et al. 2021), with the trainer that also makes the
//! stimulus-tuned control → `OUT/model`, in f16. `HuBERT` has clusters of an earlier model's states for units, which
//! stand for phones in context; here the synthesiser says what these are. An interrupted run goes on where it was.
//! About twenty minutes on two cores.
#![allow(clippy::print_stdout)]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune::audio::load_audio;
use braintune::backbone::{CheckpointBackbone, Wav2Vec2Config, Wav2Vec2Model};
use braintune::fmri::{Ds003020, Interval, StoryDataset, read_textgrid};
use braintune::simulation::{SimulationConfig, simulate};
use braintune::tune::{self, StoryRoles, TuneSettings};
use braintune::tuning::{Control, TuningConfig, TuningEvent};
use burn::tensor::Device;
use half::f16;
use ndarray::Array1;
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

type AnyError = Box<dyn std::error::Error>;

/// No simulated dataset has this seed unless asked for.
const SEED: u64 = 0x7175_6965_745f_7365;
const N_STORIES: usize = 100;
const STORY_S: f64 = 120.0;
const RATE_HZ: f64 = 16_000.0;
/// What a frame of the model sees.
const FIELD_S: f64 = 1290.0 / RATE_HZ;
const CONSONANTS: [&str; 8] = ["P", "T", "K", "S", "SH", "F", "HH", "CH"];
const VOWELS: [&str; 8] = ["AA", "IY", "UW", "EH", "AO", "AE", "UH", "ER"];

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
epochs = 4
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

/// `STORY.npy`: for each frame of the model the syllable in its middle, and whether that is its consonant or its vowel.
fn write_units(
    data: &Path,
    stories: &[String],
    model: &Wav2Vec2Config,
    out: &Path,
) -> Result<(), AnyError> {
    std::fs::create_dir_all(out)?;
    let dataset = Ds003020::open(data)?;
    for name in stories {
        let story = dataset.story(name)?;
        let sound = load_audio(story.require_audio()?)?;
        let grid = read_textgrid(story.textgrid().ok_or("no TextGrid")?)?;
        let phones = &grid.tiers.first().ok_or("no phones")?.intervals;
        let n_frames = model.n_frames(sound.samples().len());
        let middle_s = |frame: usize| (frame * model.stride()) as f64 / RATE_HZ + 0.5 * FIELD_S;
        let units: Array1<i64> = (0..n_frames)
            .map(|frame| unit_at(phones, middle_s(frame)))
            .collect();
        ndarray_npy::write_npy(out.join(format!("{name}.npy")), &units)?;
    }
    Ok(())
}

/// 0 in a pause, else one more than twice the syllable, and one more in its vowel. Syllables are a consonant and a
/// vowel.
fn unit_at(phones: &[Interval], time_s: f64) -> i64 {
    let here = phones.partition_point(|phone| phone.end_s <= time_s);
    let place = |k: Option<usize>, of: &[&str]| {
        let label = phones.get(k?)?.text.as_str();
        of.iter().position(|phone| *phone == label)
    };
    let consonant = place(Some(here), &CONSONANTS);
    let (onset, vowel) = match consonant {
        Some(onset) => (Some(onset), place(Some(here + 1), &VOWELS)),
        None => (
            place(here.checked_sub(1), &CONSONANTS),
            place(Some(here), &VOWELS),
        ),
    };
    let (Some(onset), Some(vowel)) = (onset, vowel) else {
        return 0;
    };
    let syllable = onset * VOWELS.len() + vowel;
    i64::try_from(1 + 2 * syllable + usize::from(consonant.is_none())).unwrap_or(0)
}

/// The checkpoint with its weights in f16.
fn write_half(from: &Path, to: &Path) -> Result<(), AnyError> {
    std::fs::create_dir_all(to)?;
    for name in ["config.json", "preprocessor_config.json"] {
        std::fs::copy(from.join(name), to.join(name))?;
    }
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
