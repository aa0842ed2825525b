//! How many windows may be in memory at once.
//!
//! Extraction stays below the weights plus 1.5 GB whatever the number of threads: a window of 16 s
//! takes a fifth of a gigabyte in a wav2vec2-base, so 64 cores would take 13 GB at a window each. Held by
//! the tests below.

use std::ops::Range;

use burn::tensor::Device;

use crate::backbone::SpeechBackbone;
use crate::kernels::is_host;

/// Bytes for the activations of all windows at once; the rest of the 1.5 GB is the story, a step's
/// features and what the allocator keeps.
const BUDGET: usize = 1_100_000_000;

/// Bytes of an f32.
const F32: usize = size_of::<f32>();

/// Forward passes of `batch_size` of these windows that may run at once, at least one.
///
/// One where the device is not plain host memory: libtorch and graphics cards spread one pass over
/// all they have.
pub(crate) fn n_at_once<B: SpeechBackbone>(
    backbone: &B,
    windows: &[Range<usize>],
    batch_size: usize,
    device: &Device,
) -> usize {
    if !is_host(device) {
        return 1;
    }
    let longest = windows.iter().map(Range::len).max().unwrap_or_default();
    fitting(
        backbone
            .activation_bytes(longest)
            .saturating_mul(batch_size),
    )
}

/// Passes of `bytes` each that fit, at least one.
fn fitting(bytes: usize) -> usize {
    (BUDGET / bytes.max(1)).max(1)
}

/// What the layers of one clip take: the states that are kept or being made, the feed-forward part,
/// the scores of some queries.
pub(crate) struct Layers {
    pub(crate) n_frames: usize,
    pub(crate) d_model: usize,
    pub(crate) d_ffn: usize,
    pub(crate) n_heads: usize,
    /// Scores of all pairs of frames, for `WavLM`'s position bias.
    pub(crate) has_pairs: bool,
}

impl Layers {
    /// Tensors of a state's size that a layer holds: its input and that norm, q, k, v, their
    /// transposes, what attention gives.
    const N_STATES: usize = 12;
    /// Tensors `[n_heads, QUERIES, n_frames]`: the scores, with a bias, as weights.
    const N_SCORES: usize = 4;

    pub(crate) fn bytes(&self) -> usize {
        let queries = crate::attention::QUERIES_AT_ONCE.min(self.n_frames);
        let pairs = if self.has_pairs { self.n_frames } else { 0 };
        let of_frame = Self::N_STATES * self.d_model
            + 2 * self.d_ffn
            + self.n_heads * (Self::N_SCORES * queries + 3 * pairs);
        self.n_frames.saturating_mul(of_frame * F32)
    }
}

/// What a stack of convolutions takes, `(channels, kernel, stride)` each: the input of one, its
/// output, and for `n_copies` of two a copy of that.
pub(crate) fn convolution_bytes(
    n_samples: usize,
    layers: impl IntoIterator<Item = (usize, usize, usize)>,
    n_copies: usize,
) -> usize {
    let (mut n, mut input, mut most) = (n_samples, n_samples, 0);
    for (n_channels, kernel, stride) in layers {
        n = n.saturating_sub(kernel) / stride.max(1) + 1;
        let output = n.saturating_mul(n_channels);
        most = most.max(input.saturating_add(output.saturating_mul(n_copies)));
        input = output;
    }
    most.saturating_mul(F32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wav2vec2::{FeatExtractNorm, Wav2Vec2Config, Wav2Vec2Family};
    use crate::whisper::WhisperConfig;

    /// Samples of the default window, 16.1 s.
    const WINDOW: usize = 257_600;

    fn large(model_type: Wav2Vec2Family) -> Wav2Vec2Config {
        Wav2Vec2Config {
            model_type,
            feat_extract_norm: FeatExtractNorm::Layer,
            hidden_size: 1024,
            num_hidden_layers: 24,
            num_attention_heads: 16,
            intermediate_size: 4096,
            ..Wav2Vec2Config::default()
        }
    }

    #[test]
    fn published_models_stay_within_the_budget_however_many_threads() {
        let base = Wav2Vec2Config::default().activation_bytes(WINDOW);
        assert!((100_000_000..300_000_000).contains(&base), "{base}");
        for (bytes, least) in [
            (base, 4),
            (large(Wav2Vec2Family::Wav2Vec2).activation_bytes(WINDOW), 3),
            (large(Wav2Vec2Family::WavLm).activation_bytes(WINDOW), 3),
            (WhisperConfig::new(4, 384, 6, 80).activation_bytes(), 8),
            (WhisperConfig::new(32, 1280, 20, 128).activation_bytes(), 3),
        ] {
            let n = fitting(bytes).min(64);
            assert!(n * bytes <= BUDGET, "{n} of {bytes}");
            assert!(n >= least, "{n} of {bytes}");
        }
    }

    #[test]
    fn small_models_use_all_threads_and_the_largest_window_one() {
        let small = Wav2Vec2Config {
            conv_dim: vec![16; 7],
            hidden_size: 32,
            num_attention_heads: 2,
            intermediate_size: 64,
            ..Wav2Vec2Config::default()
        };
        assert!(fitting(small.activation_bytes(WINDOW)) >= 64);
        assert_eq!(fitting(small.activation_bytes(usize::MAX / 2)), 1);
        assert_eq!(fitting(0), BUDGET);
    }
}
