//! Convolutions over channels-last clips as matrix products.

use burn::tensor::Tensor;
use burn::tensor::module;
use burn::tensor::ops::ConvOptions;

use crate::kernels::multiplies_overlapping_rows;

/// `[batch, n, c_in]` → `[batch, n_out, c_out]` for a kernel `[c_out, c_in, width]`, no padding.
///
/// With channels last, the samples under each position of the kernel lie side by side: the
/// patches `[n_out, width · c_in]` are a view of the input, and the convolution is one product. Graphics
/// cards do not multiply views whose rows overlap: there it is burn's own operation.
pub(crate) fn conv1d(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    stride: usize,
) -> Tensor<3> {
    if !multiplies_overlapping_rows(&x.device()) {
        let options = ConvOptions::new([stride], [0], [1], 1);
        return module::conv1d(x.swap_dims(1, 2), weight, bias, options).swap_dims(1, 2);
    }
    let [batch, n, c_in] = x.dims();
    let [c_out, _, width] = weight.dims();
    let rows: Tensor<2> = x.reshape([batch, n * c_in]);
    let patches: Tensor<3> = rows.unfold(1, width * c_in, stride * c_in);
    let kernel: Tensor<2> = weight.permute([2, 1, 0]).reshape([width * c_in, c_out]);
    let y = patches.matmul(kernel.unsqueeze());
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}
