//! What the files say is true is what made the responses, and an encoding model finds it.

use std::f64::consts::PI;
use std::fs;

use braintune_audio::{SampleRate, Stft, load_audio, mel_filters};
use braintune_fmri::{Ds003020, Lanczos, StoryDataset, read_textgrid};
use braintune_simulation::{SimulatedDataset, SimulationConfig};
use ndarray::{Array1, Array2, Axis, concatenate};

use crate::ridge::{correlations, delayed, ridge, zscored};
use crate::run;

/// Mean over some voxels.
fn mean(values: &Array1<f64>, voxels: &[usize]) -> f64 {
    values.select(Axis(0), voxels).mean().unwrap()
}

fn bold(dataset: &Ds003020, story: &str) -> Array2<f64> {
    dataset
        .responses("SIM01", story)
        .unwrap()
        .into_bold()
        .mapv(f64::from)
}

/// Log mel energies of a story at 10 Hz, `[n_frames, 20]`, and their times: other bands, windows and
/// compression than the simulation's own.
fn log_mel(dataset: &Ds003020, story: &str) -> (Array2<f32>, Vec<f64>) {
    let sound = load_audio(dataset.story(story).unwrap().require_audio().unwrap()).unwrap();
    let power = Stft::new(800, 160).unwrap().power(sound.samples()).unwrap();
    let mel = power.dot(&mel_filters(20, 800, SampleRate::SPEECH).unwrap().t());
    let chunks = mel.axis_chunks_iter(Axis(0), 10);
    let pooled: Vec<_> = chunks
        .map(|chunk| chunk.mean_axis(Axis(0)).unwrap())
        .collect();
    let rows: Vec<_> = pooled
        .iter()
        .map(|row| row.view().insert_axis(Axis(0)))
        .collect();
    let features = concatenate(Axis(0), &rows)
        .unwrap()
        .mapv(|e| (e + 3e-5).ln());
    let times = (0..features.nrows())
        .map(|k| 0.1 * k as f64 + 0.045)
        .collect();
    (features, times)
}

/// The design matrix of a story for the rows that its responses have, `[n_trs, 80]`.
fn design(dataset: &Ds003020, story: &str) -> Array2<f64> {
    let (features, times) = log_mel(dataset, story);
    let timing = dataset.timing(story).unwrap();
    let tr_times = timing.tr_times().to_vec();
    let lanczos = Lanczos::for_tr_times(&tr_times).unwrap();
    let kept = &tr_times[timing.stored()];
    let on_grid = lanczos.resample(features.view(), &times, kept).unwrap();
    delayed(&zscored(on_grid.mapv(f64::from)))
}

/// What a plain encoding model reaches on the test story, `[n_voxels]`.
fn scores(participant: &SimulatedDataset) -> Array1<f64> {
    let dataset = Ds003020::open(participant.dataset_dir()).unwrap();
    let train = participant.train_stories();
    let x: Vec<_> = train.iter().map(|story| design(&dataset, story)).collect();
    let y: Vec<_> = train.iter().map(|story| bold(&dataset, story)).collect();
    let x: Vec<_> = x.iter().map(Array2::view).collect();
    let y: Vec<_> = y.iter().map(Array2::view).collect();
    let (x, y) = (
        concatenate(Axis(0), &x).unwrap(),
        concatenate(Axis(0), &y).unwrap(),
    );
    let weights = ridge(&x, &y, 100.0);

    let test = participant.test_story();
    correlations(&design(&dataset, test).dot(&weights), &bold(&dataset, test))
}

#[test]
fn an_encoding_model_finds_the_driven_voxels() {
    for seed in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let participant = run(&SimulationConfig::default().with_seed(seed), dir.path());
        let r = scores(&participant);
        let [auditory, envelope, phonetic, semantic, noise] =
            ["auditory", "envelope", "phonetic", "semantic", "noise"]
                .map(|roi| mean(&r, &participant.rois()[roi]));
        assert!(auditory > 0.5, "auditory {auditory}");
        assert!(envelope > 0.6, "envelope {envelope}");
        // A spectrum has much of the phones, and nothing of the meaning of words, whose topics last so long that
        // chance is wide.
        assert!(phonetic > 0.15, "phonetic {phonetic}");
        assert!(semantic.abs() < 0.25, "semantic {semantic}");
        // 8 voxels of 85 TRs: about 0.05 by chance.
        assert!(noise.abs() < 0.2, "noise {noise}");
    }
}

/// What drives the voxels of a story, `[n_steps, 49]`, from nothing but its files and `ground_truth.json`.
fn features_by_the_file(dataset: &Ds003020, spec: &serde_json::Value, story: &str) -> Array2<f64> {
    let (n_fft, hop) = (size(&spec["n_fft"]), size(&spec["hop"]));
    let (n_pooled, floor) = (size(&spec["n_pooled_frames"]), number(&spec["floor"]));
    let names = spec["names"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|name| name.as_str().unwrap()).collect();
    let n_bands = names.iter().filter(|name| name.starts_with("mel_")).count();

    let story = dataset.story(story).unwrap();
    let root = story.require_audio().unwrap().ancestors().nth(2).unwrap();
    let sound = load_audio(story.require_audio().unwrap()).unwrap();
    let power = Stft::new(n_fft, hop)
        .unwrap()
        .power(sound.samples())
        .unwrap();
    let mel = power.dot(&mel_filters(n_bands, n_fft, SampleRate::SPEECH).unwrap().t());
    let n_steps = mel.nrows() / n_pooled;
    let band = |step: usize, bands: std::ops::Range<usize>| {
        let rows = step * n_pooled..(step + 1) * n_pooled;
        let energy = mel.slice(ndarray::s![rows, bands]).mapv(f64::from).sum() / n_pooled as f64;
        (1.0 + energy / floor).log10()
    };
    let grid = read_textgrid(story.textgrid().unwrap()).unwrap();
    let classes = root.join("word_classes.csv");
    let classes = fs::read_to_string(classes).unwrap();
    let meaning = |word: &str| {
        classes
            .lines()
            .find_map(|line| line.strip_prefix(word)?.strip_prefix(','))
    };
    let intervals = |name: &str| -> Vec<(f64, f64)> {
        let (tier, wanted) = match (name.strip_prefix("phone_"), name.strip_prefix("meaning_")) {
            (Some(phone), _) => (0, phone),
            (_, Some(class)) => (1, class),
            _ => return Vec::new(),
        };
        let of_name = grid.tiers[tier]
            .intervals
            .iter()
            .filter(|interval| match tier {
                0 => interval.text == wanted,
                _ => meaning(&interval.text) == Some(wanted),
            });
        of_name
            .map(|interval| (interval.start_s, interval.end_s))
            .collect()
    };
    let intervals: Vec<_> = names.iter().map(|name| intervals(name)).collect();
    let said = |step: usize, feature: usize| {
        let step_s = number(&spec["step_s"]);
        let start = number(&spec["first_step_s"]) + (step as f64 - 0.5) * step_s;
        let overlaps = intervals[feature].iter();
        let overlaps =
            overlaps.map(|(from, to)| (to.min(start + step_s) - from.max(start)).max(0.0));
        overlaps.sum::<f64>() / step_s
    };
    Array2::from_shape_fn((n_steps, names.len()), |(step, feature)| {
        let name = names[feature];
        if name == "loudness" {
            band(step, 0..n_bands)
        } else if let Some(k) = name.strip_prefix("mfcc_") {
            let k: f64 = k.parse().unwrap();
            let angle = |b: usize| PI / n_bands as f64 * (b as f64 + 0.5) * k;
            let sum: f64 = (0..n_bands)
                .map(|b| band(step, b..b + 1) * angle(b).cos())
                .sum();
            (2.0 / n_bands as f64).sqrt() * sum
        } else if name.starts_with("mel_") {
            band(step, feature..feature + 1)
        } else {
            said(step, feature)
        }
    })
}

fn number(value: &serde_json::Value) -> f64 {
    value.as_f64().unwrap()
}

fn size(value: &serde_json::Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

/// The noiseless signals, `[n_trs, n_voxels]`, from them.
fn signals_by_the_file(dataset: &Ds003020, truth: &serde_json::Value, story: &str) -> Array2<f64> {
    let spec = &truth["features"];
    let features = features_by_the_file(dataset, spec, story);
    let times = dataset.responses("SIM01", story).unwrap().tr_times();
    let voxels = truth["participants"][0]["voxels"].as_array().unwrap();
    let mut signals = Array2::zeros((times.len(), voxels.len()));
    for (voxel, mut column) in voxels.iter().zip(signals.columns_mut()) {
        let weights = voxel["weights"].as_array().unwrap().iter().map(number);
        let drive = features.dot(&weights.collect::<Array1<_>>());
        let delay_s = number(&voxel["hrf_delay_s"]);
        column.assign(&times.mapv(|time| {
            let steps = drive.iter().enumerate();
            steps
                .map(|(step, x)| {
                    let lag = time
                        - number(&spec["first_step_s"])
                        - step as f64 * number(&spec["step_s"]);
                    x * double_gamma(lag, delay_s, &truth["hrf"])
                })
                .sum()
        }));
    }
    signals
}

fn double_gamma(t: f64, delay_s: f64, spec: &serde_json::Value) -> f64 {
    if !(0.0..spec["length_s"].as_f64().unwrap()).contains(&t) {
        return 0.0;
    }
    let density = |shape: f64| t.powf(shape - 1.0) * (-t).exp() / gamma(shape);
    let undershoot = density(delay_s + spec["undershoot_after_s"].as_f64().unwrap());
    density(delay_s) - undershoot / spec["ratio"].as_f64().unwrap()
}

/// Γ(x) by Lanczos' approximation (g = 5, six terms: good to 2e-10).
fn gamma(x: f64) -> f64 {
    let terms = [
        76.180_091_729_471_46,
        -86.505_320_329_416_77,
        24.014_098_240_830_91,
        -1.231_739_572_450_155,
        0.001_208_650_973_866_179,
        -0.000_005_395_239_384_953,
    ];
    let series = terms
        .iter()
        .enumerate()
        .map(|(k, term)| term / (x + k as f64 + 1.0))
        .sum::<f64>();
    let base = x + 5.5;
    base.powf(x + 0.5) * (-base).exp() * (2.0 * PI).sqrt() * (1.000_000_000_190_015 + series) / x
}

#[test]
fn the_noiseless_signal_reaches_the_noise_ceiling() {
    let dir = tempfile::tempdir().unwrap();
    let config = SimulationConfig::default()
        .with_n_train_stories(1)
        .with_story_s(300.0)
        .with_test_story_s(600.0);
    let participant = run(&config, dir.path());
    let dataset = Ds003020::open(dir.path()).unwrap();
    let truth = fs::read_to_string(participant.ground_truth_path()).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&truth).unwrap();
    let driven: Vec<_> = (0..72).collect();
    let cases = [
        (participant.test_story(), "noise_ceiling", 0.02),
        (
            participant.train_stories()[0].as_str(),
            "single_ceiling",
            0.08,
        ),
    ];
    for (story, key, scatter) in cases {
        let signals = signals_by_the_file(&dataset, &truth, story);
        let voxels = truth["participants"][0]["voxels"].as_array().unwrap();
        let ceiling: Array1<f64> = voxels
            .iter()
            .map(|voxel| voxel[key].as_f64().unwrap())
            .collect();
        let r = correlations(&signals, &bold(&dataset, story));
        let miss = (&r - &ceiling).select(Axis(0), &driven);
        // The correlation of one story of n TRs scatters about the true one by (1 - c²)/sqrt(n),
        // here 0.013 and 0.05, and by about a third more for the autocorrelation of the noise.
        assert!(miss.mean().unwrap().abs() < scatter / 3.0, "{key} {miss}");
        assert!(miss.std(0.0) < scatter, "{key} {miss}");
        assert!(
            r.iter().skip(72).all(|r| r.is_nan()),
            "nothing drives the noise"
        );
    }
}

#[test]
fn the_ceiling_estimated_from_repeats_is_the_true_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = SimulationConfig::default()
        .with_n_train_stories(1)
        .with_test_story_s(1200.0);
    let participant = run(&config, dir.path());
    let dataset = Ds003020::open(dir.path()).unwrap();
    let repeats = dataset.repeats("SIM01", participant.test_story()).unwrap();
    let n = repeats.len() as f64;
    let mut mean_response = Array2::<f64>::zeros(repeats[0].bold().dim());
    for repeat in &repeats {
        mean_response += &(repeat.bold().mapv(f64::from) / n);
    }
    // Schoppe et al. 2016: the power of the signal from the variance of the mean, where that of
    // each repeat is 1.
    let estimated = mean_response.var_axis(Axis(0), 0.0).mapv(|variance| {
        let signal_power = (n * variance - 1.0) / (n - 1.0);
        let ratio = (1.0 / signal_power - 1.0) / n;
        if signal_power > 0.0 {
            (1.0 + ratio).sqrt().recip()
        } else {
            0.0
        }
    });
    let miss = estimated
        - participant.participants()[0]
            .noise_ceiling()
            .mapv(f64::from);
    let driven: Vec<_> = (0..72).collect();
    let miss = miss.select(Axis(0), &driven);
    assert!(miss.mean().unwrap().abs() < 0.01, "{miss}");
    assert!(miss.std(0.0) < 0.03, "{miss}");
}
