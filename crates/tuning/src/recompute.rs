//! Gradient checkpointing: the inputs of segments are kept, what happens within is computed again.
//!
//! Chen et al. 2016. One segment's graph at a time, forward and then from the head back: the gradients have the bits of a whole backward pass. Held by `step/tests.rs`.

use std::ops::Range;

use braintune_backbone::{Segments, SpeechBackbone};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Gradients, Tensor};

use crate::error::Result;
use crate::learning::{BatchPart, Learning};
use crate::model::{TuningHead, TuningModel};

/// What some clips add to the loss of their batch; their gradients are added to what is accumulated.
///
/// # Errors
/// A batch that does not fit the model.
pub(crate) fn checkpointed<B: SpeechBackbone>(
    model: &TuningModel<B>,
    learning: &impl Learning<B>,
    mut part: BatchPart<'_>,
    (of_backbone, of_head): (
        &mut GradientsAccumulator<B>,
        &mut GradientsAccumulator<TuningHead>,
    ),
) -> Result<f64> {
    let Some(segments) = model.backbone.segments() else {
        unreachable!("such a model is not made of a backbone without segments")
    };
    let (samples, lengths) = part.clips();
    let n_frozen = model.n_frozen(segments, true);
    let indices = n_frozen.max(1)..model.n_segments(segments);
    let (x, inputs) = forward(model, segments, (&samples, &lengths), indices.clone());
    let state = Tensor::from_inner(x).require_grad();
    part.state = Some(state.clone());
    let loss = learning.loss_of(model, &part)?;
    let value = f64::from(loss.clone().into_scalar::<f32>());
    let mut gradients = loss.backward();
    of_head.accumulate(
        &model.head,
        GradientsParams::from_module(&mut gradients, &model.head),
    );
    let mut flowing = of_input(&state, &gradients);
    for (index, input) in indices.zip(inputs).rev() {
        let input = input_of(index, input, n_frozen);
        let output = segments.next(index, input.clone(), &lengths);
        let mut gradients = back(output, flowing);
        let found = GradientsParams::from_module(&mut gradients, &model.backbone);
        of_backbone.accumulate(&model.backbone, found);
        if index <= n_frozen {
            return Ok(value);
        }
        flowing = of_input(&input, &gradients);
    }
    if n_frozen == 0 {
        let mut gradients = back(segments.first(samples, &lengths), flowing);
        let found = GradientsParams::from_module(&mut gradients, &model.backbone);
        of_backbone.accumulate(&model.backbone, found);
    }
    Ok(value)
}

/// Output of the last of the segments `indices`, and the input of each; no graph is kept.
fn forward<B: SpeechBackbone>(
    model: &TuningModel<B>,
    segments: &dyn Segments,
    (samples, lengths): (&Tensor<2>, &[usize]),
    indices: Range<usize>,
) -> (Tensor<3>, Vec<Tensor<3>>) {
    let n_frozen = model.n_frozen(segments, true);
    let mut x = if n_frozen > 0 {
        model.frozen_state(samples.clone().inner(), lengths, n_frozen)
    } else {
        segments.first(samples.clone(), lengths).inner()
    };
    let mut inputs = Vec::with_capacity(indices.len());
    for index in indices {
        inputs.push(x.clone());
        // Its graph goes at once.
        x = segments
            .next(index, input_of(index, x, n_frozen), lengths)
            .inner();
    }
    (x, inputs)
}

/// The input of segment `index` as a whole pass has it, so that the same kernels run: what comes after a segment
/// that is tuned has a gradient.
fn input_of(index: usize, x: Tensor<3>, n_frozen: usize) -> Tensor<3> {
    let input = Tensor::from_inner(x);
    if index > n_frozen {
        input.require_grad()
    } else {
        input
    }
}

/// Goes back through one segment from the gradient of its output.
fn back(output: Tensor<3>, flowing: Tensor<3>) -> Gradients {
    // The gradient of this sum is `flowing`, to the bit.
    (output * Tensor::from_inner(flowing)).sum().backward()
}

fn of_input(input: &Tensor<3>, gradients: &Gradients) -> Tensor<3> {
    let gradient = input.grad(gradients);
    gradient.unwrap_or_else(|| unreachable!("all that follows depends on it"))
}
