//! The segments of the encoder: convolutions, what turns their output into state 0, then the layers.

use burn::tensor::Tensor;

use super::Wav2Vec2Model;
use crate::parts::is_frozen;
use crate::segments::Segments;
use crate::transformer::one_layer;

/// Segments before the first layer.
const BEFORE_LAYERS: usize = 2;

impl Segments for Wav2Vec2Model {
    fn n_until(&self, layer: usize) -> usize {
        layer + BEFORE_LAYERS
    }

    fn n_frozen(&self) -> usize {
        let encoder = &self.encoder;
        if !is_frozen(&self.feature_extractor) {
            return 0;
        }
        let embeds = is_frozen(&self.feature_projection)
            && is_frozen(&encoder.pos_conv_embed)
            && (self.config().do_stable_layer_norm || is_frozen(&encoder.layer_norm));
        if !embeds {
            return 1;
        }
        let layers = encoder.layers.iter().take_while(|layer| is_frozen(*layer));
        BEFORE_LAYERS + layers.count()
    }

    fn first(&self, samples: Tensor<2>, lengths: &[usize]) -> Tensor<3> {
        self.frames_of(samples, lengths)
    }

    fn next(&self, index: usize, x: Tensor<3>, lengths: &[usize]) -> Tensor<3> {
        let valid = self.valid_frames(&x, lengths);
        let Some(layer) = index.checked_sub(BEFORE_LAYERS) else {
            return self.embed_frames(x, valid.as_ref()).0;
        };
        let context = self.context(&x, valid.as_ref());
        one_layer(&self.encoder.layers[layer], x, &context)
    }
}
