//! One optimiser step: gradients of a batch in parts, their norm, Adam with a rate for backbone and
//! heads each.
//!
//! Held by `step/tests.rs` against `PyTorch`.

mod dropout;
mod shared;

use std::ops::{ControlFlow, Range};

use braintune_backbone::SpeechBackbone;
use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{
    AdamConfig, AdamWConfig, GradientsAccumulator, GradientsParams, ModuleOptimizer,
};
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, ArrayView2, Axis, Slice};

use crate::config::{Optimiser, TuningConfig};
use crate::error::Result;
use crate::learning::{BatchPart, Learning};
use crate::model::{TuningHead, TuningModel};
use crate::recompute::checkpointed;

pub(crate) use dropout::Dropout;
pub(crate) use shared::{add_up, micro_batches, parts_of};

/// `PyTorch`'s; burn's default is 1e-5.
const EPSILON: f32 = 1e-8;

/// Gradients of backbone and heads.
#[derive(Default)]
pub(crate) struct Gradients {
    pub(crate) backbone: GradientsParams,
    pub(crate) head: GradientsParams,
}

/// Loss of some clips of a batch and its gradients, those of each of `parts` at a time; between them `on` is told how
/// many clips went through, and stops it.
///
/// # Errors
/// A batch that does not fit the model.
pub(crate) fn loss_and_gradients<B: SpeechBackbone>(
    model: &TuningModel<B>,
    learning: &impl Learning<B>,
    whole: &BatchPart<'_>,
    (parts, dropout): (&[Range<usize>], Dropout),
    on: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<ControlFlow<(), (f64, Gradients)>> {
    let (mut loss, mut n_done) = (0.0, 0);
    let mut backbone = GradientsAccumulator::<B>::new();
    let mut head = GradientsAccumulator::<TuningHead>::new();
    for rows in parts {
        if n_done > 0 && on(n_done).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        n_done += rows.len();
        let part = BatchPart {
            rows: rows.clone(),
            ..whole.clone()
        };
        let _alone = dropout.seeded(&part);
        if model.has_gradient_checkpointing() {
            loss += checkpointed(model, learning, part, (&mut backbone, &mut head))?;
            continue;
        }
        let of_part = learning.loss_of(model, &part)?;
        loss += f64::from(of_part.clone().into_scalar::<f32>());
        let mut gradients = of_part.backward();
        let of_backbone = GradientsParams::from_module(&mut gradients, &model.backbone);
        backbone.accumulate(&model.backbone, of_backbone);
        let of_head = GradientsParams::from_module(&mut gradients, &model.head);
        head.accumulate(&model.head, of_head);
    }
    let gradients = Gradients {
        backbone: backbone.grads(),
        head: head.grads(),
    };
    Ok(ControlFlow::Continue((loss, gradients)))
}

/// Some rows of an array.
pub(crate) fn rows_of<'a>(
    x: &'a Array2<f32>,
    rows: &std::ops::Range<usize>,
) -> ArrayView2<'a, f32> {
    x.slice_axis(Axis(0), Slice::from(rows.clone()))
}

/// A tensor of the array's values.
pub(crate) fn tensor(x: ArrayView2<'_, f32>, device: &Device) -> Tensor<2> {
    let shape = [x.nrows(), x.ncols()];
    Tensor::from_data(
        TensorData::new(x.iter().copied().collect::<Vec<f32>>(), shape),
        device,
    )
}

/// The values of a tensor.
pub(crate) fn values_of<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    let values = x.into_data().convert::<f32>().try_into_vec();
    values.unwrap_or_else(|e| unreachable!("just converted to f32: {e:?}"))
}

/// Adam for the backbone and for the heads.
pub(crate) struct Optimisers {
    pub(crate) backbone: ModuleOptimizer,
    pub(crate) head: ModuleOptimizer,
}

impl Optimisers {
    #[allow(clippy::cast_possible_truncation)] // a decay needs no more digits
    pub(crate) fn new(config: &TuningConfig) -> Self {
        let one = || match config.optimiser {
            Optimiser::Adam {} => AdamConfig::new().with_epsilon(EPSILON).init(),
            Optimiser::Adamw { weight_decay } => AdamWConfig::new()
                .with_epsilon(EPSILON)
                .with_weight_decay(weight_decay as f32)
                .init(),
        };
        Self {
            backbone: one(),
            head: one(),
        }
    }

    /// The model after a step; `rates` of backbone and heads.
    pub(crate) fn step<B: SpeechBackbone>(
        &mut self,
        model: TuningModel<B>,
        gradients: Gradients,
        rates: (f64, f64),
    ) -> TuningModel<B> {
        model.with_parts(|backbone, head| {
            let backbone = self.backbone.step(rates.0, backbone, gradients.backbone);
            (backbone, self.head.step(rates.1, head, gradients.head))
        })
    }
}

impl Gradients {
    /// Euclidean norm over all parameters.
    pub(crate) fn norm<B: SpeechBackbone>(&self, model: &TuningModel<B>) -> f64 {
        let mut sum = Squares {
            gradients: &self.backbone,
            sum: 0.0,
        };
        model.backbone.visit(&mut sum);
        let mut of_head = Squares {
            gradients: &self.head,
            sum: sum.sum,
        };
        model.head.visit(&mut of_head);
        of_head.sum.sqrt()
    }

    /// All gradients times `factor`.
    pub(crate) fn scale<B: SpeechBackbone>(self, model: &TuningModel<B>, factor: f64) -> Self {
        let Self { backbone, head } = self;
        let scaled = |mut gradients: GradientsParams, visit: &dyn Fn(&mut Scale<'_>)| {
            visit(&mut Scale {
                gradients: &mut gradients,
                factor,
            });
            gradients
        };
        Self {
            backbone: scaled(backbone, &|scale| model.backbone.visit(scale)),
            head: scaled(head, &|scale| model.head.visit(scale)),
        }
    }
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let squares = (gradient.clone() * gradient).sum();
            self.sum += f64::from(squares.into_scalar::<f32>());
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.factor);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
