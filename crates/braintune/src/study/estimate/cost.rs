//! What a step takes, from its sizes and the speed of a machine: seconds, the largest memory, disk.
//!
//! Pure functions of [`ModelCost`], [`Speed`] and sizes, so that they also answer for data that are not here (the
//! example `scaling`). Ridge: one decomposition per fold and one of all rows, as many at a time as there are threads;
//! products by [`FitEstimate`](braintune_encoding::FitEstimate). Held by the tests below and `tools/check_estimate.py`.

use braintune_encoding::{Alphas, Folds, Ridge};
use linfa::ParamGuard;

use super::sizes::{F32, SOUND};
pub use super::sizes::{
    ModelCost, ProbeSizes, ProbedTask, RidgeSizes, StorySizes, TuneSizes, Windowed,
};
use super::speed::Speed;
use crate::error::Result;

/// Memory of the program itself, and of what its threads keep at hand.
const PROGRAM: f64 = 100e6;
/// Memory that loading a model takes, in copies of its weights: the file, what is read of it, the parameters.
const LOADING: f64 = 2.7;
/// Bytes a second to and from the cache, checkpoints and scratch files: a slow solid-state disk, checks included.
const DISK: f64 = 4e8;
/// Seconds to open or to write a small file safely.
const FILE_S: f64 = 0.004;
/// Seconds that every step takes to be begun and recorded.
const STEP_S: f64 = 0.1;
/// Operations a second of resampling features, one thread.
const RESAMPLING: f64 = 1e9;
/// Products in double precision take so many times as long, and their matrices so much more memory.
const DOUBLE: f64 = 2.0;

/// What one step takes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Cost {
    /// Seconds of forward and backward passes: what a graphics card makes shorter.
    pub pass_s: f64,
    /// All other seconds.
    pub other_s: f64,
    /// Largest memory of the process, bytes.
    pub memory_bytes: f64,
    /// Bytes that it adds to the cache.
    pub cache_bytes: f64,
    /// Bytes of its results, checkpoints included.
    pub result_bytes: f64,
}

impl Cost {
    /// All seconds.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.pass_s + self.other_s
    }
}

/// Random weights of a model.
#[must_use]
pub fn random(model: &ModelCost) -> Cost {
    Cost {
        // As long as loading: initialised, written, hashed.
        other_s: 2.0 * model.load_s + model.weights_bytes / DISK,
        memory_bytes: PROGRAM + LOADING * model.weights_bytes,
        result_bytes: model.weights_bytes,
        ..Cost::default()
    }
}

/// Encoding models on every layer, `n_new` windows of which go through the model and `n_kept` come from the cache.
///
/// # Errors
/// Fewer rows than folds.
pub fn encode(
    speed: &Speed,
    (model, windows): (&ModelCost, Windowed),
    stories: &StorySizes,
    ridge: &RidgeSizes,
) -> Result<Cost> {
    let mut cost = fits(speed, stories, ridge)?;
    let window_bytes = (model.n_states * model.width) as f64 * F32;
    let n = (windows.n_new + windows.n_kept) as f64;
    cost.pass_s = windows.n_new as f64 * model.window_s;
    cost.cache_bytes = windows.n_new as f64 * window_bytes;
    let resampled = 2.0 * RESAMPLED * n * (model.n_states * model.width) as f64;
    cost.other_s += model.load_s
        + stories.audio_s * speed.decode_s
        // Parts and the file that they are joined to, which is read again.
        + (2.0 * cost.cache_bytes + n * window_bytes) / DISK
        + resampled / RESAMPLING;
    let longest = n / stories.n_stories.max(1) as f64;
    let passes = model.windows_bytes + longest * window_bytes + stories.sound_bytes();
    let loaded = PROGRAM + model.weights_bytes;
    cost.memory_bytes = (PROGRAM + LOADING * model.weights_bytes)
        .max(loaded + kept_features(stories, ridge) + passes)
        .max(model.weights_bytes + cost.memory_bytes);
    Ok(cost)
}

/// TRs whose sum a window's feature enters under the Lanczos kernel.
const RESAMPLED: f64 = 6.0;

/// Encoding models on features that come on the grid of TRs.
///
/// # Errors
/// Fewer rows than folds.
pub fn baseline(speed: &Speed, stories: &StorySizes, ridge: &RidgeSizes) -> Result<Cost> {
    let mut cost = fits(speed, stories, ridge)?;
    cost.other_s += stories.audio_s * (speed.decode_s + speed.low_level_s);
    let features = PROGRAM + kept_features(stories, ridge) + low_level_bytes(stories);
    cost.memory_bytes = cost.memory_bytes.max(features);
    Ok(cost)
}

/// What [`encode`] takes on what is left of layers without features of sounds.
pub(super) fn without_sounds(
    speed: &Speed,
    mut encoded: Cost,
    model: &ModelCost,
    stories: &StorySizes,
    ridge: &RidgeSizes,
) -> Cost {
    encoded.other_s += stories.audio_s * (speed.low_level_s + speed.decode_s);
    let features = 2.0 * kept_features(stories, ridge) + low_level_bytes(stories);
    let memory = PROGRAM + model.weights_bytes + features;
    encoded.memory_bytes = encoded.memory_bytes.max(memory);
    encoded
}

/// A story's sound, and its spectra: 257 bins in double precision, 100 times a second.
fn low_level_bytes(stories: &StorySizes) -> f64 {
    const SPECTRA: f64 = 257.0 * 8.0 * 100.0;
    2.0 * stories.sound_bytes() + stories.story_s() * SPECTRA
}

/// Reading, fits and statistics of every layer.
fn fits(speed: &Speed, stories: &StorySizes, ridge: &RidgeSizes) -> Result<Cost> {
    let layer = layer(speed, stories, ridge)?;
    let n_layers = ridge.n_layers as f64;
    let repeats = stories.n_repeats as f64 * stories.n_test as f64 * stories.n_voxels as f64 * F32;
    let checked_s = stories.response_bytes() / speed.check_bytes_s;
    let read_s = (stories.response_bytes() + repeats) / speed.read_bytes_s;
    Ok(Cost {
        other_s: STEP_S
            + FILE_S * stories.n_stories as f64
            + checked_s
            + repeats / speed.check_bytes_s
            + n_layers * (layer.seconds + read_s + FILE_S),
        memory_bytes: PROGRAM + kept_features(stories, ridge) + layer.memory_bytes,
        // r and alpha of each voxel, and the state of finished layers.
        result_bytes: n_layers * stories.n_voxels as f64 * (F32 + 8.0),
        ..Cost::default()
    })
}

/// Features of all stories on the grid of TRs.
fn kept_features(stories: &StorySizes, ridge: &RidgeSizes) -> f64 {
    (stories.n_train + stories.n_test) as f64 * (ridge.n_layers * ridge.width) as f64 * F32
}

/// One layer.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Layer {
    seconds: f64,
    memory_bytes: f64,
}

fn layer(speed: &Speed, stories: &StorySizes, ridge: &RidgeSizes) -> Result<Layer> {
    let f = ridge.width * ridge.n_delays;
    let (n, v) = (stories.n_train, stories.n_voxels as f64);
    let params = Ridge::params(ridge.alphas.clone());
    let params = params.folds(Folds::contiguous_blocks(n, ridge.n_folds)?);
    let n_fitted = stories.n_voxels + stories.n_voxels.min(JUDGED);
    let estimate = params.check()?.estimate(n, f, n_fitted);
    let basis = if estimate.primal { f } else { n };
    let n_jobs = ridge.n_folds + 1;
    let rounds = n_jobs.div_ceil(speed.n_threads.max(1)) as f64;
    let gram = n as f64 * f as f64 * basis as f64;
    let precision = if is_double(n, f, &ridge.alphas) {
        DOUBLE
    } else {
        1.0
    };
    let decompositions = rounds * speed.decomposition_s(basis) + gram / speed.products;
    let fit = estimate.fit_flops / speed.fit_flops;
    let draws = ridge.n_draws as f64 * stories.n_test as f64;
    let statistics =
        draws * (v * speed.drawn_voxel_s + ridge.n_regions as f64 * speed.drawn_region_s);
    // Responses, moment and weights in the basis, weights or predictions; scores.
    let of_voxel = F32 * (n as f64 + precision * 2.0 * basis as f64 + n.max(f) as f64)
        + 8.0 * ridge.alphas.as_slice().len() as f64;
    Ok(Layer {
        seconds: precision * (decompositions + fit) + statistics,
        memory_bytes: HELD * precision * estimate.fixed_bytes
            + HELD * (v * of_voxel).min(ridge.memory_budget)
            + ridge.n_draws as f64 * stories.n_test as f64 * ridge.n_regions as f64 * 8.0 / 256.0,
    })
}

/// What a fit holds of all that [`FitEstimate`](braintune_encoding::FitEstimate) and its voxels count, which is never
/// there at once: measured on 1,956 columns and 26 folds.
const HELD: f64 = 0.85;
/// Voxels that the length of blocks is judged by, fitted twice.
const JUDGED: usize = 256;

/// Whether single precision would round away what the smallest penalty bears: the largest eigenvalue of features that
/// have variance 1 is taken as a quarter of their sum.
fn is_double(n_samples: usize, n_columns: usize, alphas: &Alphas) -> bool {
    let smallest = alphas
        .as_slice()
        .iter()
        .copied()
        .fold(f64::INFINITY, f64::min);
    let largest = 0.25 * n_samples as f64 * n_columns as f64;
    f64::from(f32::EPSILON) * largest > 0.01 * smallest * smallest
}

/// Tuning.
#[must_use]
pub fn tune(speed: &Speed, model: &ModelCost, sizes: &TuneSizes, stories: &StorySizes) -> Cost {
    let (train, validation) = (sizes.n_train as f64, sizes.n_validation as f64);
    let epochs = sizes.epochs as f64;
    let keeps = sizes.keeps_frozen || sizes.has_frozen;
    let kept_s = if keeps { model.frozen_clip_s } else { 0.0 };
    let mut pass_s = epochs
        * (train * (model.tune_clip_s - kept_s) + validation * (model.evaluate_clip_s - kept_s));
    if sizes.keeps_frozen && !sizes.has_frozen {
        pass_s += (train + validation) * model.frozen_clip_s;
    }
    let n_steps = epochs * (train / sizes.batch.max(1) as f64).ceil();
    let checkpoints = epochs + (n_steps / sizes.checkpoint_every.max(1) as f64).floor();
    let checkpoint_bytes = model.weights_bytes + 2.0 * model.tuned_bytes;
    let written = checkpoints * checkpoint_bytes + (epochs + 1.0) * model.weights_bytes;
    let clips = sizes.micro_batch.min(sizes.batch).max(1) as f64;
    let trained = 4.0 * model.tuned_bytes + clips * model.clip_bytes;
    // Sound and responses of a story and of the next one, which is read ahead; responses as they are stored, too.
    let read = 2.0 * stories.sound_bytes()
        + 4.0 * stories.response_bytes() / stories.n_stories.max(1) as f64;
    let loaded = PROGRAM + model.weights_bytes + read;
    Cost {
        pass_s,
        other_s: model.load_s
            + n_steps * model.optimiser_s
            + stories.response_bytes() / speed.check_bytes_s
            // Before the first step, as validation is read; later stories are read ahead in a thread.
            + stories.audio_s * speed.decode_s
            + written / DISK,
        memory_bytes: (PROGRAM + LOADING * model.weights_bytes)
            .max(loaded + trained.max(clips * model.pass_bytes)),
        cache_bytes: if sizes.keeps_frozen && !sizes.has_frozen {
            (train + validation) * model.pass_bytes.min(kept_clip_bytes(model, sizes.clip_s))
        } else {
            0.0
        },
        // Two checkpoints with their moments, two states of the best weights, the result.
        result_bytes: 2.0 * checkpoint_bytes + 3.0 * model.weights_bytes,
    }
}

/// Output of frozen parts for a clip.
fn kept_clip_bytes(model: &ModelCost, clip_s: f64) -> f64 {
    clip_s / model.frame_s.max(1e-3) * model.width as f64 * F32
}

/// Probing.
#[must_use]
pub fn probe(speed: &Speed, model: &ModelCost, sizes: &ProbeSizes) -> Cost {
    let (once, by_length) = model.clip_pass_s;
    let of_clips = sizes.audio_s / model.frame_s.max(1e-3) * (model.n_states * model.width) as f64;
    let width = model.width as f64;
    let fit = |task: &ProbedTask| {
        let of_layer = if task.is_numbers {
            let basis = model.width.min(task.n_train);
            let gram = 2.0 * task.n_rows as f64 * width * basis as f64;
            2.0 * speed.decomposition_s(basis) + gram / speed.products
        } else {
            speed.class_s * task.n_train as f64 * task.n_outputs as f64 * width
        };
        sizes.n_fits as f64 * model.n_states as f64 * of_layer
    };
    let rows = sizes
        .tasks
        .iter()
        .map(|task| task.n_rows)
        .max()
        .unwrap_or(0);
    let clips = sizes.longest_s / model.frame_s.max(1e-3) * (model.n_states * model.width) as f64;
    Cost {
        pass_s: sizes.n_recordings as f64 * once + sizes.audio_s * by_length,
        other_s: model.load_s
            + sizes.files_s * speed.decode_s
            + sizes.n_recordings as f64 * FILE_S
            + 2.0 * of_clips * F32 / DISK
            + sizes.tasks.iter().map(fit).sum::<f64>(),
        memory_bytes: (PROGRAM + LOADING * model.weights_bytes).max(
            PROGRAM
                + model.weights_bytes
                + sizes.longest_file_s * SOUND
                + (model.pass_bytes + 2.0 * clips * F32).max(3.0 * rows as f64 * width * F32),
        ),
        cache_bytes: of_clips * F32,
        result_bytes: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed() -> Speed {
        Speed {
            n_threads: 2,
            products: 1e11,
            fit_flops: 1e11,
            decompositions: vec![(1000, 1.0)],
            drawn_voxel_s: 1e-10,
            drawn_region_s: 1e-7,
            class_s: 1e-6,
            decode_s: 0.01,
            low_level_s: 0.01,
            check_bytes_s: 3e8,
            read_bytes_s: 1e9,
        }
    }

    fn model() -> ModelCost {
        ModelCost {
            weights_bytes: 4e8,
            tuned_bytes: 3e8,
            n_states: 13,
            width: 768,
            frame_s: 0.02,
            windows_bytes: 3e8,
            clip_bytes: 4e8,
            pass_bytes: 1e8,
            load_s: 1.0,
            window_s: 0.5,
            clip_pass_s: (0.1, 0.05),
            tune_clip_s: 3.0,
            evaluate_clip_s: 1.0,
            frozen_clip_s: 0.5,
            optimiser_s: 0.25,
        }
    }

    fn ridge(n_folds: usize) -> RidgeSizes {
        let alphas = "logspace:1:4:15".parse().expect("a grid");
        RidgeSizes::new(13, (768, 4), n_folds, alphas, 2000)
    }

    fn encoded(n_stories: usize, n_new: usize, n_kept: usize) -> Cost {
        let stories = StorySizes::new(
            n_stories,
            600.0 * n_stories as f64,
            (290 * n_stories, 240),
            10_000,
        );
        let windows = Windowed { n_new, n_kept };
        encode(&speed(), (&model(), windows), &stories, &ridge(n_stories)).expect("enough rows")
    }

    #[test]
    fn more_stories_cost_more_and_kept_windows_no_passes() {
        let (few, many) = (encoded(5, 3000, 0), encoded(10, 6000, 0));
        assert!((few.pass_s - 1500.0).abs() < 1e-9 && (many.pass_s - 3000.0).abs() < 1e-9);
        assert!((few.cache_bytes - 3000.0 * 13.0 * 768.0 * 4.0).abs() < 1.0);
        assert!(many.other_s > few.other_s && many.memory_bytes > few.memory_bytes);
        assert!((many.result_bytes - few.result_bytes).abs() < 1e-9); // 12 bytes a voxel and layer
        assert!((few.result_bytes - 13.0 * 10_000.0 * 12.0).abs() < 1e-6);
        let again = encoded(10, 0, 6000);
        assert!(again.pass_s < 1e-9 && again.cache_bytes < 1e-9);
        assert!(again.other_s < many.other_s && again.other_s > 0.9 * many.other_s);
    }

    #[test]
    fn seconds_of_a_layer_are_those_of_its_parts() {
        // 400 rows, 100 columns, 3 folds and all rows: four decompositions of 100, two at a time.
        let stories = StorySizes::new(3, 600.0, (400, 50), 1000);
        let mut sizes = ridge(3);
        (sizes.n_layers, sizes.width) = (1, 25);
        let found = layer(&speed(), &stories, &sizes).expect("enough rows");
        let decompositions = 2.0 * 1e-3;
        let gram = 400.0 * 100.0 * 100.0 / 1e11;
        let of_voxel = 2.0 * 400.0 * 100.0 + 2.0 * 100.0 * 100.0 * 4.0 + 2.0 * 400.0 * 100.0 * 7.5;
        let fits = of_voxel * 1256.0 / 1e11; // those that blocks are judged by twice
        let drawn = 2000.0 * 50.0 * (1000.0 * 1e-10 + 1e-7);
        let expected = decompositions + gram + fits + drawn;
        assert!(
            (found.seconds / expected - 1.0).abs() < 1e-9,
            "{} {expected}",
            found.seconds
        );
        // A penalty that f32 would round away, in f64: all but the draws twice as long.
        sizes.alphas = "logspace:-3:4:15".parse().expect("a grid");
        let double = layer(&speed(), &stories, &sizes).expect("enough rows");
        let expected = 2.0 * (decompositions + gram + fits) + drawn;
        assert!((double.seconds / expected - 1.0).abs() < 1e-9);
    }

    #[test]
    fn memory_of_a_fit_is_bounded_whatever_the_voxels() {
        let memory = |n_voxels| {
            let stories = StorySizes::new(5, 600.0, (9000, 240), n_voxels);
            let found = layer(&speed(), &stories, &ridge(5)).expect("enough rows");
            found.memory_bytes
        };
        assert!(memory(1000) < memory(10_000));
        assert!((memory(100_000) - memory(1_000_000)).abs() < 1.0);
        // At least the features, and below what responses of all voxels would take.
        assert!(memory(1_000_000) > 9000.0 * 3072.0 * 4.0);
        assert!(memory(1_000_000) < 9000.0 * 1e6 * 4.0);
    }

    #[test]
    fn tuning_counts_passes_of_every_epoch_and_frozen_parts_once() {
        let stories = StorySizes::new(2, 30.0, (10, 5), 100);
        let mut sizes = TuneSizes::new(10, 5, 2, 4);
        let of = |sizes: &TuneSizes| tune(&speed(), &model(), sizes, &stories);
        assert!((of(&sizes).pass_s - 2.0 * (10.0 * 3.0 + 5.0)).abs() < 1e-9);
        sizes.keeps_frozen = true;
        let first = of(&sizes);
        assert!((first.pass_s - (2.0 * (10.0 * 2.5 + 5.0 * 0.5) + 15.0 * 0.5)).abs() < 1e-9);
        assert!(first.cache_bytes > 0.0);
        sizes.has_frozen = true;
        let second = of(&sizes);
        assert!((second.pass_s - 2.0 * (10.0 * 2.5 + 5.0 * 0.5)).abs() < 1e-9);
        assert!(second.cache_bytes < 1e-9);
        // Weights, gradients, two moments and the weights before the step; clips of a micro-batch, of a batch at most.
        assert!(first.memory_bytes > 4e8 + 4.0 * 3e8 + 4.0 * 4e8);
        sizes.micro_batch = 1;
        assert!(of(&sizes).memory_bytes < first.memory_bytes);
    }

    #[test]
    fn probes_cost_by_recordings_rows_and_classes() {
        let task = ProbedTask {
            n_train: 100,
            n_rows: 150,
            n_outputs: 10,
            is_numbers: false,
        };
        let mut sizes = ProbeSizes {
            n_recordings: 20,
            audio_s: 200.0,
            longest_s: 10.0,
            files_s: 600.0,
            longest_file_s: 600.0,
            tasks: vec![task],
            n_fits: 1,
        };
        let once = probe(&speed(), &model(), &sizes);
        assert!((once.pass_s - (20.0 * 0.1 + 200.0 * 0.05)).abs() < 1e-9);
        sizes.n_fits = 2;
        let twice = probe(&speed(), &model(), &sizes);
        let fit = 1e-6 * 100.0 * 10.0 * 768.0 * 13.0;
        assert!((twice.other_s - once.other_s - fit).abs() < 1e-9);
    }
}
