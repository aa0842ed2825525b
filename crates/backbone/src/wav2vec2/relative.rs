//! Buckets of relative positions (`WavLM`, after T5): near ones exact, far ones logarithmic.

use burn::tensor::{Int, Tensor, TensorData};

/// Biases of all pairs of frames, `[n_heads, n_frames, n_frames]`, from the table `[n_buckets,
/// n_heads]`; entry `[h, i, j]` is that of the distance `j - i`.
pub(super) fn position_bias(table: Tensor<2>, n_frames: usize, max_distance: usize) -> Tensor<3> {
    let [n_buckets, n_heads] = table.dims();
    let device = table.device();
    // One bias for each distance from -(n - 1) to n - 1.
    let n = i64::try_from(n_frames).unwrap_or(i64::MAX); // frames are far fewer
    let buckets: Vec<i64> = (1 - n..n)
        .map(|distance| bucket(distance, n_buckets, max_distance))
        .collect();
    let n_distances = buckets.len();
    let buckets: Tensor<1, Int> =
        Tensor::from_data(TensorData::new(buckets, [n_distances]), &device);
    let by_distance = table.select(0, buckets).transpose();
    // Row i of the result begins at distance -i: a window of the distances, from the right.
    let windows: Tensor<3> = by_distance.unfold(1, n_frames, 1);
    windows.reshape([n_heads, n_frames, n_frames]).flip([1])
}

/// The bucket of a distance, as `_relative_positions_bucket` of the published code gives it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    reason = "buckets and distances are small; f32 as in the reference, whose rounding decides"
)]
fn bucket(distance: i64, n_buckets: usize, max_distance: usize) -> i64 {
    let half = (n_buckets / 2) as i64;
    let side = if distance > 0 { half } else { 0 };
    let away = distance.abs();
    let exact = half / 2;
    if away < exact {
        return side + away;
    }
    let range = (max_distance as f64 / exact as f64).ln() as f32;
    let log = (away as f32 / exact as f32).ln() / range;
    let far = (exact as f32 + log * (half - exact) as f32) as i64;
    side + far.min(half - 1)
}
