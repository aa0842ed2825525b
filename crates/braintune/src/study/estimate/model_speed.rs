//! How long passes of a model take here, and what memory they take.
//!
//! Windows go through the extractor of `encode`, clips through forward and backward pass and optimiser of `tune`, whole
//! clips through the extractor of `probe`. A few passes of each: a second or two for a small model, longer for one
//! whose single pass takes that long.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use braintune_audio::{SampleRate, Waveform};
use braintune_backbone::{
    Checkpoint, CheckpointBackbone, FeatureExtractor, PretrainedModel, Wav2Vec2Model,
    WhisperEncoder, Windows,
};
use braintune_tuning::{BrainTuner, Objective, TuningBatch, TuningConfig, TuningModel};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::Array2;

use super::cost::ModelCost;
use super::speed::n_threads;
use crate::error::Result;
use crate::tune;

/// A measurement goes on until it has lasted so long, seconds.
const MEASURED_S: f64 = 0.6;
/// Seconds of clips that probes hear.
const CLIPS_S: (f64, f64) = (2.0, 10.0);
/// What the windows in work at once stay below (`backbone`'s own bound).
const MOST_AT_ONCE: f64 = 1.1e9;
/// Tensors that a layer keeps of a clip until its gradients are there: of its width, and of its feed-forward part.
const KEPT: (f64, f64) = (12.0, 3.0);

impl ModelCost {
    /// Times the checkpoint in `folder` on `device`: windows as `encode` takes them, and with `tuning` clips of a
    /// participant with so many voxels to learn.
    ///
    /// # Errors
    /// A checkpoint that cannot be read; windows or clips that it does not take.
    pub fn measure(
        folder: &Path,
        (windows, shares_convolutions): (Windows, bool),
        tuning: Option<(&TuningConfig, usize)>,
        device: &Device,
    ) -> Result<Self> {
        let begun = Instant::now();
        let model = PretrainedModel::load(folder, device.clone())?;
        let load_s = begun.elapsed().as_secs_f64();
        let spec = model.spec();
        let mut cost = Self {
            n_states: spec.n_hidden_states(),
            width: spec.d_model,
            frame_s: spec.frame_time_s(1) - spec.frame_time_s(0),
            load_s,
            ..Self::default()
        };
        let longest_s = spec.max_s().unwrap_or(f64::INFINITY);
        let model = if shares_convolutions {
            model.with_shared_convolutions()?
        } else {
            model
        };
        cost.window_s = window_s(&*model.into_windowed(windows), windows)?;
        let whole = PretrainedModel::load(folder, device.clone())?.into_whole_clip();
        cost.clip_pass_s = clip_pass_s(&*whole, longest_s)?;
        drop(whole);
        let checkpoint = Checkpoint::open(folder)?;
        let plain = device.clone();
        let tuned = device.clone().autodiff();
        let on = if tuning.is_some() { &tuned } else { &plain };
        if checkpoint.model_type()? == "whisper" {
            let backbone = WhisperEncoder::from_checkpoint(&checkpoint, on)?;
            let d_ffn = backbone.config().encoder_ffn_dim;
            cost.add_passes(backbone, d_ffn, windows, tuning, on)?;
        } else {
            let backbone = Wav2Vec2Model::from_checkpoint(&checkpoint, on)?;
            let d_ffn = backbone.config().intermediate_size;
            cost.add_passes(backbone, d_ffn, windows, tuning, on)?;
        }
        Ok(cost)
    }

    /// Memory of passes, and what a clip of tuning takes.
    fn add_passes<B: CheckpointBackbone>(
        &mut self,
        backbone: B,
        d_ffn: usize,
        windows: Windows,
        tuning: Option<(&TuningConfig, usize)>,
        device: &Device,
    ) -> Result<()> {
        self.weights_bytes = 4.0 * Module::num_params(&backbone) as f64;
        let n_threads = n_threads();
        let one = backbone.activation_bytes(samples_of(windows.length_s())) as f64;
        let at_once = (MOST_AT_ONCE / one.max(1.0))
            .floor()
            .clamp(1.0, n_threads as f64);
        self.windows_bytes = one * at_once;
        let clip_s = tuning.map_or(CLIPS_S.1, |(config, _)| config.clip_s);
        self.pass_bytes = backbone.activation_bytes(samples_of(clip_s)) as f64;
        let Some((config, n_voxels)) = tuning else {
            return Ok(());
        };
        let n_layers = backbone.spec().n_layers;
        let backbone = tune::prepared(backbone, config)?;
        let (n_frozen, n_until) = backbone.segments().map_or((0, n_layers + 1), |segments| {
            (
                segments.n_frozen(),
                segments.n_until(config.layer.unwrap_or(n_layers)),
            )
        });
        let n_tuned = (n_until - n_frozen.min(n_until)).min(n_layers) as f64;
        let n_frames = backbone.spec().max_s().unwrap_or(config.clip_s) / self.frame_s;
        let of_frame = KEPT.0 * self.width as f64 + KEPT.1 * d_ffn as f64;
        self.clip_bytes = n_tuned * n_frames * of_frame * 4.0;
        self.tuned_bytes = 4.0 * (n_trained(&backbone) + (n_voxels * self.width) as f64);
        self.time_tuning(backbone, config, n_voxels, device)
    }

    fn time_tuning<B: CheckpointBackbone>(
        &mut self,
        backbone: B,
        config: &TuningConfig,
        n_voxels: usize,
        device: &Device,
    ) -> Result<()> {
        let frozen = backbone.segments().map_or(0, |segments| {
            let until = segments.n_until(config.layer.unwrap_or(backbone.spec().n_layers));
            segments.n_frozen().min(until)
        });
        let plain = device.clone().inner();
        let model = TuningModel::new(backbone, &[n_voxels.max(1)], config, device)?;
        let mut once = config.clone();
        once.epochs = 1;
        once.keep_last = true;
        let tuner = BrainTuner::new(once, config.objective)?;
        let n = self.time_steps(&model, &tuner, (config, n_voxels.max(1)), device)?;
        let valid = model.valid();
        let sound = batch(n, config.clip_s, 1).samples;
        let lengths = vec![sound.ncols(); n];
        let clips = || tensor(&sound, &plain);
        let forward = seconds_of(|| {
            values(valid.forward(clips(), &lengths, 0));
            Ok(())
        })?;
        self.evaluate_clip_s = forward / n as f64;
        if let (Some(segments), true) = (valid.backbone().segments(), frozen > 0) {
            let seconds = seconds_of(|| {
                let first = segments.first(clips(), &lengths);
                let x = (1..frozen).fold(first, |x, index| segments.next(index, x, &lengths));
                values(x);
                Ok(())
            })?;
            self.frozen_clip_s = (seconds / n as f64).min(self.evaluate_clip_s);
        }
        Ok(())
    }

    /// Steps of few and many clips; how many they were.
    fn time_steps<B: CheckpointBackbone>(
        &mut self,
        model: &TuningModel<B>,
        tuner: &BrainTuner<Objective>,
        (config, n_voxels): (&TuningConfig, usize),
        device: &Device,
    ) -> Result<usize> {
        let run_s = |n_clips: usize, n_batches: usize| -> Result<f64> {
            let batch = batch(n_clips, config.clip_s, n_voxels);
            let data = vec![batch; n_batches];
            let model = model.clone();
            let begun = Instant::now();
            let go_on = &mut |_| ControlFlow::Continue(());
            tuner.fit(model, &data, None, device, go_on)?;
            Ok(begun.elapsed().as_secs_f64())
        };
        // With what is allocated once, and how long about a clip takes.
        let first = run_s(1, 1)?;
        let is_slow = first > MEASURED_S;
        let one = if is_slow { first } else { run_s(1, 1)? };
        let n = config.micro_batch.min(config.batch_size).max(2);
        let n = if is_slow { 2 } else { n };
        let many = run_s(n, 1)?;
        let clip_s = ((many - one) / (n - 1) as f64).max(0.2 * one);
        self.tune_clip_s = clip_s.min(many / n as f64);
        self.optimiser_s = (one - self.tune_clip_s).max(0.0);
        if !is_slow {
            // A step more of as many clips, without what a run takes besides.
            let step_s = (run_s(n, 4)? - many) / 3.0;
            self.tune_clip_s = self.tune_clip_s.min(step_s / n as f64).max(0.2 * one);
            self.optimiser_s = (step_s - n as f64 * self.tune_clip_s).max(0.0);
        }
        Ok(n)
    }
}

/// Parameters with a gradient.
fn n_trained<M: Module>(module: &M) -> f64 {
    struct Count(f64);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0 += param.val().dims().iter().product::<usize>() as f64;
            }
        }
    }
    let mut count = Count(0.0);
    module.visit(&mut count);
    count.0
}

/// Seconds of a window in a full step, or in as many windows as there are threads where that takes long.
fn window_s(extractor: &dyn FeatureExtractor, windows: Windows) -> Result<f64> {
    let n = extractor.rows_per_step();
    let sound = sound(windows.length_s() + (n + 1) as f64 * windows.stride_s())?;
    let total = extractor.times(&sound)?.len();
    // The last ones are full windows.
    let timed = |n: usize| -> Result<f64> {
        let begun = Instant::now();
        extractor.extract_rows(&sound, total - n.min(total)..total)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    let n_threads = n_threads();
    let few = n.min(n_threads);
    let first = timed(few)?;
    let n = if first * n as f64 / few as f64 > 3.0 * MEASURED_S {
        few
    } else {
        n
    };
    let (mut seconds, mut n_steps, mut shortest) = (0.0, 0, f64::INFINITY);
    while n_steps == 0 || (seconds < MEASURED_S && n_steps < 10) {
        let step = timed(n)?;
        seconds += step;
        shortest = shortest.min(step);
        n_steps += 1;
    }
    Ok(0.5 * (seconds / f64::from(n_steps) + shortest) / n as f64)
}

/// Seconds of a pass over a whole clip: those that any takes, and those of each second of sound.
fn clip_pass_s(extractor: &dyn FeatureExtractor, longest_s: f64) -> Result<(f64, f64)> {
    let (short_s, long_s) = (CLIPS_S.0.min(longest_s), CLIPS_S.1.min(longest_s));
    let of = |length_s: f64| -> Result<f64> {
        let sound = sound(length_s)?;
        extractor.extract(&sound)?;
        seconds_of(|| extractor.extract(&sound).map(|_| ()).map_err(Into::into))
    };
    let (short, long) = (of(short_s)?, of(long_s)?);
    if long_s - short_s < 0.1 {
        return Ok((long, 0.0));
    }
    let each = ((long - short) / (long_s - short_s)).max(0.0);
    Ok(((long - each * long_s).max(0.0), each))
}

/// Seconds of what is done again and again for a while.
fn seconds_of(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let (begun, mut n) = (Instant::now(), 0);
    while n == 0 || (n < 20 && begun.elapsed().as_secs_f64() < MEASURED_S) {
        work()?;
        n += 1;
    }
    Ok(begun.elapsed().as_secs_f64() / f64::from(n))
}

/// Waits until a tensor is there.
fn values<const D: usize>(x: Tensor<D>) {
    std::hint::black_box(x.into_data());
}

fn tensor(x: &Array2<f32>, device: &Device) -> Tensor<2> {
    let shape = [x.nrows(), x.ncols()];
    let values: Vec<f32> = x.iter().copied().collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A made-up voice: a few tones, none of them silent.
fn tone(i: usize) -> f32 {
    let t = i as f32;
    0.1 * (t * 0.37).sin() + 0.05 * (t * 0.053).sin() + 0.02 * (t * 1.7).sin()
}

fn batch(n_clips: usize, clip_s: f64, n_voxels: usize) -> TuningBatch {
    let n = samples_of(clip_s);
    let samples = Array2::from_shape_fn((n_clips, n), |(clip, i)| tone(i + 997 * clip));
    let bold = Array2::from_shape_fn((n_clips, n_voxels), |(clip, voxel)| tone(clip + 31 * voxel));
    TuningBatch::new(0, "made up".to_owned(), samples, bold)
}

fn sound(seconds: f64) -> Result<Waveform> {
    let samples = (0..samples_of(seconds)).map(tone).collect();
    Ok(Waveform::from_samples(samples, SampleRate::SPEECH)?)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "samples of a clip"
)]
fn samples_of(seconds: f64) -> usize {
    (seconds * f64::from(SampleRate::SPEECH.as_hz()))
        .round()
        .max(0.0) as usize
}
