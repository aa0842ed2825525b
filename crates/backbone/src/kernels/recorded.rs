//! Operations on host memory that burn's graph records as one step, with a backward pass of their own.
//!
//! Recorded one by one, the products and sums of an attention or a norm each keep a tensor for the
//! backward pass and pass over memory once more. Used on flex with gradients only. Held by the
//! tests of the operations.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, BackendTypes, Flex};
use burn::tensor::{Device, Tensor, TensorData};

/// A tensor of the graph.
pub(crate) type Recorded = <Autodiff<Flex> as BackendTypes>::FloatTensorPrimitive;
/// Its values.
pub(crate) type Plain = <Flex as BackendTypes>::FloatTensorPrimitive;

/// What an operation with `N` inputs keeps for its backward pass.
pub(crate) trait Operation<const N: usize>: Clone + Debug + Send + 'static {
    /// Gradients of the inputs that are `wanted`, from that of the output.
    fn backward(self, gradient: Plain, wanted: [bool; N]) -> [Option<Plain>; N];
}

#[derive(Debug)]
struct Step<O>(PhantomData<O>);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = O;

    fn backward(self, ops: Ops<O, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<Flex>(&ops.node);
        let wanted = ops.parents.each_ref().map(Option::is_some);
        let found = ops.state.backward(gradient, wanted);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                gradients.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

/// `output` as the result of an operation on `inputs`.
pub(crate) fn record<O: Operation<N>, const N: usize, const D: usize>(
    inputs: [&Recorded; N],
    output: Tensor<D>,
    operation: O,
) -> Tensor<D> {
    let output = plain(output);
    let step = Step(PhantomData).prepare::<NoCheckpointing>(inputs.map(Recorded::node));
    let output = match step.compute_bound().stateful() {
        OpsKind::Tracked(step) => step.finish(operation, output),
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// A tensor's place in the graph. It must live on flex with gradients.
pub(crate) fn recorded<const D: usize>(x: Tensor<D>) -> Recorded {
    x.try_into_primitive::<Autodiff<Flex>>()
        .unwrap_or_else(|e| unreachable!("a tensor of flex with gradients: {e:?}"))
}

/// A tensor's values, in order. It must live on flex without gradients.
pub(crate) fn plain<const D: usize>(x: Tensor<D>) -> Plain {
    x.try_into_primitive::<Flex>()
        .unwrap_or_else(|e| unreachable!("a tensor of flex: {e:?}"))
        .to_contiguous()
}

/// What [`recorded`] and [`plain`] tensors hold.
pub(crate) fn slice(x: &Plain) -> &[f32] {
    x.as_slice()
        .unwrap_or_else(|| unreachable!("made contiguous"))
}

/// Values to be changed, without a copy where nothing else holds them.
pub(crate) fn into_values(x: Plain) -> Vec<f32> {
    let values = x.into_data().try_into_vec();
    values.unwrap_or_else(|e| unreachable!("models are f32: {e:?}"))
}

/// A plain tensor of these values.
pub(crate) fn of_values<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}
