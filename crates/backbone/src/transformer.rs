//! The stack of layers as all families run it, `[batch, n_frames, d_model]` from one to the next.
//!
//! Attention and a feed-forward part, each with a residual connection; where the norms sit is the
//! family's. Held by `tests/it/families.rs` and `tests/it/whisper.rs`.

use burn::tensor::Tensor;

use crate::attention::{AttentionContext, MultiHeadAttention};
use crate::backbone::pick_frames;

/// One layer, in the parts in which the families differ.
pub(crate) trait TransformerLayer {
    fn attention(&self) -> &MultiHeadAttention;

    /// What attention sees of the layer's input: that, or its norm.
    fn attention_input(&self, x: &Tensor<3>) -> Tensor<3>;

    /// Residual connections, norms and the feed-forward part, frame by frame.
    fn finish(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3>;
}

/// The input of every layer and the output of the last one.
pub(crate) fn all_states<L: TransformerLayer>(
    layers: &[L],
    mut x: Tensor<3>,
    context: &AttentionContext,
) -> Vec<Tensor<3>> {
    let mut states = Vec::with_capacity(layers.len() + 1);
    for layer in layers {
        states.push(x.clone());
        x = one_layer(layer, x, context);
    }
    states.push(x);
    states
}

/// The output of a layer.
pub(crate) fn one_layer<L: TransformerLayer>(
    layer: &L,
    x: Tensor<3>,
    context: &AttentionContext,
) -> Tensor<3> {
    let input = layer.attention_input(&x);
    layer.finish(x, layer.attention().forward(input, context))
}

/// [`all_states`] at frame `frames[i]` of clip `i` alone, `[batch, d_model]` each: the last layer
/// then has one query for each clip.
pub(crate) fn states_at<L: TransformerLayer>(
    layers: &[L],
    mut x: Tensor<3>,
    context: &AttentionContext,
    frames: &[usize],
) -> Vec<Tensor<2>> {
    let mut states = Vec::with_capacity(layers.len() + 1);
    for (i, layer) in layers.iter().enumerate() {
        let picked = pick_frames(&x, frames);
        states.push(picked.clone().squeeze_dim(1));
        x = if i + 1 == layers.len() {
            let input = layer.attention_input(&x);
            let attended = layer.attention().forward_at(input, frames, context);
            layer.finish(picked, attended)
        } else {
            one_layer(layer, x, context)
        };
    }
    states.push(x.squeeze_dim(1));
    states
}
