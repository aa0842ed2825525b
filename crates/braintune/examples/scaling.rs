//! What a whole study takes on a laptop, with a graphics card and on ten machines: `scaling [STRIDE_S] [EPOCHS]`.
//!
//! Eight participants, Whisper small and wav2vec2-base, each as it came, tuned, tuned to permuted responses and with
//! random weights; 27 stories of 6.4 hours, 95,000 voxels, 13 layers. Sizes go into the cost model of `study --dry-run`
//! with speeds that are measured here, on models of these sizes with random weights. Tables of docs/scaling.md.

#![allow(clippy::print_stdout)] // its tables are what it is for

use std::error::Error;
use std::path::Path;

use braintune::study::cost::{self, Cost, ModelCost, RidgeSizes, StorySizes, TuneSizes, Windowed};
use braintune::study::{Cluster, DryRun, Speed, StepEstimate};
use braintune_backbone::{
    CheckpointBackbone, Wav2Vec2Config, Wav2Vec2Model, WhisperConfig, WhisperEncoder,
    WindowFeature, Windows,
};
use braintune_encoding::Alphas;
use braintune_tuning::TuningConfig;
use burn::tensor::Device;

const N_PARTICIPANTS: usize = 8;
const N_STORIES: usize = 27;
const AUDIO_S: f64 = 6.4 * 3600.0;
/// Of 26 stories to fit on and of one to test on, less what is trimmed.
const ROWS: (usize, usize) = (10_830, 240);
const N_VOXELS: usize = 95_000;
/// Hearings of the test story.
const N_REPEATS: usize = 10;
/// Clips that are tuned to, and that choose among the states.
const CLIPS: (usize, usize) = (10_400, 430);
const N_DELAYS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let stride_s = args.next().map_or(Ok(0.1), |text| text.parse())?;
    let epochs = args.next().map_or(Ok(30), |text| text.parse())?;
    let alphas = "logspace:1:4:15".parse()?;
    let speed = Speed::measure(&alphas, N_STORIES - 1)?;
    let windows = Windows::new(16.1, stride_s)?.with_feature(if stride_s < 1.0 {
        WindowFeature::LastFrame
    } else {
        WindowFeature::StrideMean
    });
    let config = TuningConfig::default();
    let folder = std::env::temp_dir().join(format!("braintune-scaling-{}", std::process::id()));
    let mut plan = Plan {
        speed: &speed,
        alphas,
        n_windows: n_windows(stride_s),
        epochs,
        steps: Vec::new(),
    };
    for name in ["whisper-small", "wav2vec2-base"] {
        let path = folder.join(name);
        write(name, &path)?;
        let tuning = Some((&config, N_VOXELS));
        let model = ModelCost::measure(&path, (windows, false), tuning, &Device::flex())?;
        println!(
            "{name}: {:.2} s a window, {:.2} s a clip of tuning, {:.0} MB of weights",
            model.window_s,
            model.tune_clip_s,
            model.weights_bytes / 1e6
        );
        plan.add_model(name, &model)?;
    }
    std::fs::remove_dir_all(&folder)?;
    plan.add_baselines()?;
    let bytes = N_PARTICIPANTS as f64 * (ROWS.0 + ROWS.1) as f64 * N_VOXELS as f64 * 4.0;
    let start_s = bytes / speed.check_bytes_s;
    print(
        &DryRun::new(plan.steps, start_s, speed.products),
        speed.n_threads,
    );
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of windows"
)]
fn n_windows(stride_s: f64) -> usize {
    (AUDIO_S / stride_s) as usize
}

/// The steps so far.
struct Plan<'a> {
    speed: &'a Speed,
    alphas: Alphas,
    n_windows: usize,
    epochs: usize,
    steps: Vec<StepEstimate>,
}

impl Plan<'_> {
    fn add(&mut self, step: &str, unit: &str, cost: &Cost) {
        let name = format!("{step} {unit}");
        self.steps
            .push(StepEstimate::new(name, unit.to_owned(), cost));
    }

    fn add_model(&mut self, name: &str, model: &ModelCost) -> Result<(), Box<dyn Error>> {
        for state in ["pretrained", "random-weights"] {
            let unit = format!("{name} {state}");
            if state == "random-weights" {
                self.add("random", &unit, &cost::random(model));
            }
            for participant in 0..N_PARTICIPANTS {
                let encoded = self.encode(model, participant == 0)?;
                self.add("encode", &unit, &encoded);
            }
        }
        for state in ["brain-tuned", "block-permuted"] {
            for participant in 0..N_PARTICIPANTS {
                let unit = format!("{name} {state} {participant}");
                let mut sizes = TuneSizes::new(CLIPS.0, CLIPS.1, self.epochs, 128);
                sizes.micro_batch = 8;
                let tuned = cost::tune(self.speed, model, &sizes, &stories());
                self.add("tune", &unit, &tuned);
                let encoded = self.encode(model, true)?;
                self.add("encode", &unit, &encoded);
            }
        }
        Ok(())
    }

    fn encode(&self, model: &ModelCost, is_new: bool) -> Result<Cost, Box<dyn Error>> {
        let n = self.n_windows;
        let windows = Windowed {
            n_new: if is_new { n } else { 0 },
            n_kept: if is_new { 0 } else { n },
        };
        let ridge = self.ridge(model.n_states, model.width);
        Ok(cost::encode(
            self.speed,
            (model, windows),
            &stories(),
            &ridge,
        )?)
    }

    /// Acoustic features and word rate.
    fn add_baselines(&mut self) -> Result<(), Box<dyn Error>> {
        for participant in 0..N_PARTICIPANTS {
            for (space, width) in [("acoustic", 489), ("word-rate", 1)] {
                let found = cost::baseline(self.speed, &stories(), &self.ridge(1, width))?;
                self.add("baseline", &format!("{space} {participant}"), &found);
            }
        }
        Ok(())
    }

    fn ridge(&self, n_layers: usize, width: usize) -> RidgeSizes {
        let (n_folds, alphas) = (N_STORIES - 1, self.alphas.clone());
        RidgeSizes::new(n_layers, (width, N_DELAYS), n_folds, alphas, 2000)
    }
}

fn stories() -> StorySizes {
    StorySizes::new(N_STORIES, AUDIO_S, ROWS, N_VOXELS).with_repeats(N_REPEATS)
}

/// A checkpoint of random weights of that size.
fn write(name: &str, folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let device = Device::flex();
    if name == "wav2vec2-base" {
        Wav2Vec2Model::random(&Wav2Vec2Config::default(), 1, &device)?.save(folder)?;
    } else {
        let config = WhisperConfig::new(12, 768, 12, 80);
        WhisperEncoder::random(&config, 1, &device)?.save(folder)?;
    }
    Ok(())
}

fn print(study: &DryRun, n_threads: usize) {
    let hours = |seconds: f64| format!("{:.1} h", seconds / 3600.0);
    let gb = |bytes: f64| format!("{:.1} GB", bytes / 1e9);
    println!(
        "\n| step | how many | forward and backward | the rest | memory |\n|---|---|---|---|---|"
    );
    for kind in ["random", "tune", "encode", "baseline"] {
        let steps = study
            .steps
            .iter()
            .filter(|step| step.name.starts_with(kind));
        let steps: Vec<&StepEstimate> = steps.collect();
        let pass_s: f64 = steps.iter().map(|step| step.pass_s).sum();
        let all_s: f64 = steps.iter().map(|step| step.seconds).sum();
        let memory = steps
            .iter()
            .map(|step| step.memory_bytes)
            .max()
            .unwrap_or(0);
        println!(
            "| `{kind}` | {} | {} | {} | {} |",
            steps.len(),
            hours(pass_s),
            hours(all_s - pass_s),
            gb(memory as f64)
        );
    }
    println!("\n| machines | hours | longest unit | memory of each |\n|---|---|---|---|");
    let speed = study.default_gpu_speed();
    for (name, cluster) in [
        (
            format!("this one, {n_threads} cores"),
            Cluster::new(1, 0, speed),
        ),
        ("with a graphics card".to_owned(), Cluster::new(1, 1, speed)),
        ("ten".to_owned(), Cluster::new(10, 0, speed)),
        ("ten, a card each".to_owned(), Cluster::new(10, 1, speed)),
    ] {
        let found = study.on_nodes(&cluster);
        let longest = found.longest.map_or(0.0, |(_, seconds)| seconds);
        println!(
            "| {name} | {} | {} | {} |",
            hours(found.seconds),
            hours(longest),
            gb(found.memory_bytes as f64)
        );
        assert!(found.seconds >= longest);
    }
    let (cache, results) = study.bytes();
    println!(
        "\ncache {}, results {}; a card is taken for {speed:.0} times this processor",
        gb(cache as f64),
        gb(results as f64)
    );
}
