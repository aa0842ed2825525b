//! What a speech backbone is: samples in, every hidden state out, differentiable.

use std::ops::Range;

use braintune_audio::SampleRate;
use burn::module::{Module, ModuleDisplay};
use burn::tensor::{Device, Tensor, TensorData};

use crate::activations::{Layers, convolution_bytes};
use crate::segments::Segments;

/// Facts about a backbone that are known before any forward pass.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BackboneSpec {
    /// `model_type` of the checkpoint, e.g. `whisper`.
    pub model_type: String,
    /// Rate of the samples it takes.
    pub sample_rate: SampleRate,
    /// Samples from one frame to the next.
    pub stride: usize,
    /// Sample on which frame 0 is centred.
    pub first_centre: usize,
    /// Transformer layers. There are `n_layers + 1` hidden states: state 0 is the input of the
    /// first layer, state `k` the output of layer `k`.
    pub n_layers: usize,
    /// Width of every hidden state.
    pub d_model: usize,
    /// Shortest clip it takes, samples.
    pub min_samples: usize,
    /// Longest clip it takes, samples; `None` for any.
    pub max_samples: Option<usize>,
}

impl BackboneSpec {
    /// A backbone of that `model_type`, a frame every `stride` samples of that rate, `[n_layers, d_model]`
    /// transformer layers and their width.
    ///
    /// Unless told otherwise a frame is of its own stride: frame 0 is centred on sample `stride / 2`, clips are of
    /// `stride` samples or more.
    #[must_use]
    pub fn new(
        model_type: impl Into<String>,
        sample_rate: SampleRate,
        stride: usize,
        [n_layers, d_model]: [usize; 2],
    ) -> Self {
        Self {
            model_type: model_type.into(),
            sample_rate,
            stride,
            first_centre: stride / 2,
            n_layers,
            d_model,
            min_samples: stride,
            max_samples: None,
        }
    }

    /// The sample on which frame 0 is centred.
    #[must_use]
    pub fn with_first_centre(mut self, sample: usize) -> Self {
        self.first_centre = sample;
        self
    }

    /// The shortest clip it takes, samples.
    #[must_use]
    pub fn with_min_samples(mut self, n_samples: usize) -> Self {
        self.min_samples = n_samples;
        self
    }

    /// The longest clip it takes, samples.
    #[must_use]
    pub fn with_max_samples(mut self, n_samples: usize) -> Self {
        self.max_samples = Some(n_samples);
        self
    }

    /// The longest clip it takes, seconds; `None` for any.
    #[must_use]
    pub fn max_s(&self) -> Option<f64> {
        let rate = f64::from(self.sample_rate.as_hz());
        self.max_samples.map(|most| most as f64 / rate)
    }

    /// Number of hidden states, `n_layers + 1`.
    #[must_use]
    pub fn n_hidden_states(&self) -> usize {
        self.n_layers + 1
    }

    /// See [`SpeechBackbone::activation_bytes`].
    fn activation_bytes(&self, n_samples: usize) -> usize {
        let layers = Layers {
            n_frames: n_samples / self.stride.max(1) + 1,
            d_model: self.d_model,
            d_ffn: 4 * self.d_model,
            n_heads: self.d_model.div_ceil(64),
            has_pairs: false,
        };
        // The states of all frames are kept.
        let states = self.n_hidden_states() * self.d_model * layers.n_frames * size_of::<f32>();
        let convolutions = convolution_bytes(n_samples, [(512, 10, 5), (512, 3, 2)], 2);
        states + layers.bytes().max(convolutions)
    }

    /// Centre of frame `frame`, seconds from the start of the clip.
    #[must_use]
    pub fn frame_time_s(&self, frame: usize) -> f64 {
        (self.first_centre + frame * self.stride) as f64 / f64::from(self.sample_rate.as_hz())
    }
}

/// Every hidden state of a batch of clips.
#[derive(Debug, Clone)]
pub struct HiddenStates {
    layers: Vec<Tensor<3>>,
}

impl HiddenStates {
    /// From the states in order, each `[batch, n_frames, d_model]`.
    #[must_use]
    pub fn new(layers: Vec<Tensor<3>>) -> Self {
        Self { layers }
    }

    /// State 0 (input of the first layer) to state `n_layers`, each `[batch, n_frames, d_model]`,
    /// numbered and normalised as `transformers` does with `output_hidden_states=True`.
    #[must_use]
    pub fn layers(&self) -> &[Tensor<3>] {
        &self.layers
    }

    /// The states themselves.
    #[must_use]
    pub fn into_layers(self) -> Vec<Tensor<3>> {
        self.layers
    }
}

/// Forward passes over some of the windows it was made for: hidden states at the last audio frame
/// of each, `n_layers + 1` tensors `[n_windows, d_model]`.
pub type WindowPasses<'a> = Box<dyn Fn(Range<usize>) -> Vec<Tensor<2>> + Sync + 'a>;

/// A speech model whose hidden states can be read and, on an autodiff device, differentiated.
///
/// Weights are ordinary burn parameters; audio is data, no gradient flows into it.
pub trait SpeechBackbone: Module + ModuleDisplay + Sync {
    /// What is known before a forward pass.
    fn spec(&self) -> &BackboneSpec;

    /// Hidden states of a batch.
    ///
    /// `samples`: `[batch, n_samples]` at the spec's sample rate, zero-padded behind each clip;
    /// `lengths`: samples of each clip that are audio, `min_samples ..= n_samples`.
    ///
    /// # Panics
    /// If `lengths` does not fit `samples` or the spec; extractors check audio before they call.
    fn hidden_states(&self, samples: Tensor<2>, lengths: &[usize]) -> HiddenStates;

    /// Hidden states at one frame of each clip: `n_layers + 1` tensors `[batch, d_model]`.
    ///
    /// What a window's feature needs. A backbone overrides it where that saves work: the last
    /// layer then has one query instead of one for each frame.
    ///
    /// # Panics
    /// As [`hidden_states`](Self::hidden_states), or if `frames` does not hold one for each clip.
    fn hidden_states_at(
        &self,
        samples: Tensor<2>,
        lengths: &[usize],
        frames: &[usize],
    ) -> Vec<Tensor<2>> {
        let states = self.hidden_states(samples, lengths).into_layers();
        states
            .into_iter()
            .map(|layer| pick_frames(&layer, frames).squeeze_dim(1))
            .collect()
    }

    /// Frames, counted from the first, that saw any of `n_samples` samples of audio.
    ///
    /// The feature of a window is its last such frame (Moussa & Toneva 2025; for Whisper the
    /// later ones see padding only).
    fn n_audio_frames(&self, n_samples: usize) -> usize;

    /// The last frame that saw audio, of clips of these lengths.
    fn last_audio_frames(&self, lengths: &[usize]) -> Vec<usize> {
        let last = |&n: &usize| self.n_audio_frames(n) - 1;
        lengths.iter().map(last).collect()
    }

    /// About the most memory that one forward pass over a clip of `n_samples` takes besides the
    /// weights, bytes. Extractors choose by it how many windows run at once.
    ///
    /// Unless overridden, a guess from the spec: wide convolutions over samples as wav2vec 2.0 has
    /// them, layers with a feed-forward part of four times their width.
    fn activation_bytes(&self, n_samples: usize) -> usize {
        self.spec().activation_bytes(n_samples)
    }

    /// The forward pass cut into segments, where the backbone says how: tuning then keeps on disk what frozen
    /// segments give, and can trade time for memory.
    fn segments(&self) -> Option<&dyn Segments> {
        None
    }

    /// Forward passes over windows of one recording, each a range of its samples. A backbone
    /// overrides it where windows that overlap can share work without changing the result: what
    /// they share is computed here, the rest when the passes are called, maybe in several threads.
    ///
    /// # Panics
    /// As [`hidden_states`](Self::hidden_states), for a window as for a clip.
    fn window_passes<'a>(
        &'a self,
        recording: &'a [f32],
        windows: &'a [Range<usize>],
        device: &'a Device,
    ) -> WindowPasses<'a> {
        Box::new(move |batch| {
            let (clips, lengths) = clips_of(recording, &windows[batch], device);
            self.hidden_states_at(clips, &lengths, &self.last_audio_frames(&lengths))
        })
    }
}

/// Windows of a recording as a batch `[n_windows, n_samples]`, zero-padded behind each, and their lengths.
pub(crate) fn clips_of(
    recording: &[f32],
    windows: &[Range<usize>],
    device: &Device,
) -> (Tensor<2>, Vec<usize>) {
    let clips: Vec<&[f32]> = windows.iter().map(|w| &recording[w.clone()]).collect();
    padded(&clips, device)
}

/// Clips as a batch `[batch, n_samples]`, zero-padded behind each, and their lengths; none of them is empty.
pub(crate) fn padded(clips: &[&[f32]], device: &Device) -> (Tensor<2>, Vec<usize>) {
    let lengths: Vec<usize> = clips.iter().map(|clip| clip.len()).collect();
    let longest = lengths.iter().copied().max().unwrap_or_default();
    let mut samples = vec![0.0_f32; clips.len() * longest];
    for (row, clip) in samples.chunks_exact_mut(longest).zip(clips) {
        row[..clip.len()].copy_from_slice(clip);
    }
    let samples = TensorData::new(samples, [clips.len(), longest]);
    (Tensor::from_data(samples, device), lengths)
}

/// Frame `frames[i]` of clip `i`: `[batch, n_frames, d_model]` → `[batch, 1, d_model]`.
pub(crate) fn pick_frames(layer: &Tensor<3>, frames: &[usize]) -> Tensor<3> {
    assert_eq!(layer.dims()[0], frames.len(), "one frame for each clip");
    let one = |(clip, &frame)| layer.clone().slice([clip..clip + 1, frame..frame + 1]);
    Tensor::cat(frames.iter().enumerate().map(one).collect(), 0)
}
