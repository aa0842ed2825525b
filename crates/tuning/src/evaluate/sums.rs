//! What an evaluation adds up: the loss, and of each recording what its correlations are made of.
//!
//! All sums are f64; those of several ranks are added in the order of ranks. Held by the tests below.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView2};

use crate::learning::Measured;
use crate::team::f64_of;

/// Sums of an evaluation, or of a rank's share of it.
#[derive(Debug, Default)]
pub(super) struct Sums {
    loss: f64,
    n: f64,
    recordings: BTreeMap<String, OfRecording>,
}

/// Sums of one recording, per voxel.
#[derive(Debug, Default)]
struct OfRecording {
    n: f64,
    /// x, y, xx, yy, xy: `[n_voxels]` each.
    of: [Vec<f64>; 5],
}

impl Sums {
    pub(super) fn is_empty(&self) -> bool {
        self.n == 0.0
    }

    /// Takes in some clips of a recording and their responses, `[n_clips, n_voxels]`.
    pub(super) fn add(&mut self, recording: &str, measured: &Measured, bold: ArrayView2<'_, f32>) {
        self.loss += measured.loss;
        self.n += measured.n;
        if let Some(predicted) = &measured.predicted {
            let sums = self.recordings.entry(recording.to_owned()).or_default();
            sums.add(predicted, &bold);
        }
    }

    /// Mean loss.
    pub(super) fn loss(&self) -> f64 {
        self.loss / f64::max(self.n, 1.0)
    }

    /// Mean correlation over voxels and recordings.
    pub(super) fn mean_r(&self) -> f64 {
        let n = self.recordings.len().max(1) as f64;
        self.recordings
            .values()
            .map(OfRecording::mean_r)
            .sum::<f64>()
            / n
    }

    /// All of it, as [`add_bytes`](Self::add_bytes) reads it; never empty.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = [self.loss, self.n].map(f64::to_le_bytes).concat();
        for (name, sums) in &self.recordings {
            for n in [name.len(), sums.of[0].len()] {
                bytes.extend((n as u64).to_le_bytes());
            }
            bytes.extend(name.as_bytes());
            bytes.extend(sums.n.to_le_bytes());
            for value in sums.of.iter().flatten() {
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes
    }

    /// Adds what another rank has.
    pub(super) fn add_bytes(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        self.loss += next(&mut rest);
        self.n += next(&mut rest);
        while !rest.is_empty() {
            let [n_letters, n_voxels] = [(); 2].map(|()| n_of(&mut rest));
            let (name, after) = rest.split_at(n_letters.min(rest.len()));
            rest = after;
            let name = String::from_utf8_lossy(name).into_owned();
            let sums = self.recordings.entry(name).or_default();
            sums.n += next(&mut rest);
            for of in &mut sums.of {
                of.resize(of.len().max(n_voxels), 0.0);
                for value in &mut of[..n_voxels] {
                    *value += next(&mut rest);
                }
            }
        }
    }
}

/// The next value.
fn next(rest: &mut &[u8]) -> f64 {
    let value = f64_of(rest);
    *rest = rest.get(size_of::<f64>()..).unwrap_or_default();
    value
}

/// The next number of something.
fn n_of(rest: &mut &[u8]) -> usize {
    let n = rest
        .first_chunk()
        .map_or(0, |bytes| u64::from_le_bytes(*bytes));
    *rest = rest.get(size_of::<u64>()..).unwrap_or_default();
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl OfRecording {
    fn add(&mut self, predicted: &Array2<f32>, bold: &ArrayView2<'_, f32>) {
        for sums in &mut self.of {
            sums.resize(bold.ncols(), 0.0);
        }
        self.n += bold.nrows() as f64;
        for (x, y) in predicted.outer_iter().zip(bold.outer_iter()) {
            for (voxel, (x, y)) in x.iter().zip(y).enumerate() {
                let (x, y) = (f64::from(*x), f64::from(*y));
                for (sums, value) in self.of.iter_mut().zip([x, y, x * x, y * y, x * y]) {
                    sums[voxel] += value;
                }
            }
        }
    }

    /// Mean over voxels of r, 0 for a voxel whose prediction or response is constant.
    fn mean_r(&self) -> f64 {
        let [x, y, xx, yy, xy] = &self.of;
        let r = |voxel: usize| {
            let centred = |sum: f64, a: f64, b: f64| sum - a * b / self.n;
            let sxx = centred(xx[voxel], x[voxel], x[voxel]);
            let syy = centred(yy[voxel], y[voxel], y[voxel]);
            let product = (sxx * syy).sqrt();
            let r = centred(xy[voxel], x[voxel], y[voxel]) / product;
            if product > 0.0 && r.is_finite() {
                r
            } else {
                0.0
            }
        };
        (0..x.len()).map(r).sum::<f64>() / x.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (Array2<f32>, Array2<f32>) {
        let predicted = ndarray::array![[1.0, 2.0], [2.0, 2.0], [4.0, 2.0], [3.0, 2.0]];
        let bold = ndarray::array![[0.5, 1.0], [1.0, 0.0], [3.5, 2.0], [1.5, 5.0]];
        (predicted, bold)
    }

    fn add(sums: &mut Sums, recording: &str, rows: std::ops::Range<usize>) {
        let (predicted, bold) = example();
        let part = |x: &Array2<f32>| x.slice(ndarray::s![rows.clone(), ..]).to_owned();
        let n = rows.len() as f64;
        let measured = Measured::new(2.0 * n, n, Some(part(&predicted)));
        sums.add(recording, &measured, part(&bold).view());
    }

    #[test]
    fn r_is_pearsons_over_all_parts_of_a_recording() {
        let mut sums = Sums::default();
        add(&mut sums, "S/tale", 0..3);
        add(&mut sums, "S/tale", 3..4);
        // np.corrcoef of the first columns; the second prediction is constant.
        let expected = 0.932_673_3 / 2.0;
        assert!((sums.mean_r() - expected).abs() < 1e-6, "{}", sums.mean_r());
        assert!((sums.loss() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn shares_add_up_to_the_whole() {
        let mut whole = Sums::default();
        let mut shares = [Sums::default(), Sums::default(), Sums::default()];
        for (share, recording, rows) in [(0, "S/tale", 0..3), (1, "S/tale", 3..4), (1, "S/é", 0..4)]
        {
            add(&mut whole, recording, rows.clone());
            add(&mut shares[share], recording, rows);
        }
        let mut together = Sums::default();
        for share in &shares {
            together.add_bytes(&share.to_bytes());
        }
        assert!((together.loss() - whole.loss()).abs() < 1e-12);
        assert!((together.mean_r() - whole.mean_r()).abs() < 1e-12);
        assert_eq!(together.recordings.len(), 2);
    }
}
