//! A forward pass cut into segments, each a function of the output of the one before.
//!
//! Samples `[batch, n_samples]` → segment 0 → `[batch, n_frames, width]` → … → a hidden state. Held by
//! [`check_speech_backbone`](crate::check_speech_backbone).

use burn::tensor::Tensor;

/// The segments of a backbone's forward pass: what is before its layers, then a layer each.
///
/// Tensors are on the device of the backbone's parameters; `lengths` are those of
/// [`SpeechBackbone::hidden_states`](crate::SpeechBackbone::hidden_states).
pub trait Segments {
    /// Segments that are run until hidden state `layer` is there.
    fn n_until(&self, layer: usize) -> usize;

    /// Segments from the first on that have no parameter with a gradient. Meaningful on an autodiff device:
    /// on a plain one nothing has a gradient.
    fn n_frozen(&self) -> usize;

    /// Output of segment 0, `[batch, n_frames, width]`.
    fn first(&self, samples: Tensor<2>, lengths: &[usize]) -> Tensor<3>;

    /// Output of segment `index`, 1 or more, from that of the one before.
    ///
    /// # Panics
    /// If there is no such segment.
    fn next(&self, index: usize, x: Tensor<3>, lengths: &[usize]) -> Tensor<3>;
}
