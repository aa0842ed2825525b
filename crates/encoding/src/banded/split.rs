//! Scores of a joint model split into the parts of its feature spaces.
//!
//! Predictions of spaces, `[n_spaces, n_samples, n_voxels]`, whose sum is the joint prediction → parts
//! `[n_spaces, n_voxels]` whose sum is the joint score. The product measure, as himalaya's
//! `r2_score_split` and `correlation_score_split` (Dupré la Tour et al. 2022). Differs: responses are
//! centred here, where himalaya asks for centred ones. Held by `tests/it/banded.rs`.

use ndarray::{Array2, ArrayView2, ArrayView3, Axis};

use crate::{EncodingError, Result, check, score::centred};

/// R² split: `Σ_t p_i (2 y - p) / Σ_t y²`, `y` the centred responses, `p_i` the prediction of space `i`,
/// `p` the joint one. A part is below 0 where a space makes the joint model worse. 0 for a constant voxel.
///
/// # Errors
/// Arrays that do not match, values that are not finite.
pub fn r2_split(y_true: ArrayView2<'_, f32>, split: ArrayView3<'_, f32>) -> Result<Array2<f32>> {
    parts(y_true, split, |y, p, of_space| {
        let squares: f64 = y.iter().map(|y| y * y).sum();
        let sum = |of_space: &Vec<f64>| -> f64 {
            let terms = of_space.iter().zip(y.iter().zip(p));
            terms
                .map(|(of_space, (y, p))| of_space * (2.0 * y - p))
                .sum()
        };
        of_space.iter().map(|s| quotient(sum(s), squares)).collect()
    })
}

/// Pearson r split: `cov(y, p_i) / (sd(y) sd(p))`. 0 for a constant voxel or joint prediction.
///
/// # Errors
/// As [`r2_split`].
pub fn correlation_split(
    y_true: ArrayView2<'_, f32>,
    split: ArrayView3<'_, f32>,
) -> Result<Array2<f32>> {
    parts(y_true, split, |y, p, of_space| {
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let p = centred(p.to_vec());
        let scale = (product(y, y) * product(&p, &p)).sqrt();
        // y is centred, so the mean of a part does not matter.
        let part = |of_space: &Vec<f64>| quotient(product(y, of_space), scale);
        of_space.iter().map(part).collect()
    })
}

/// `f` gets the centred responses, the joint prediction and those of the spaces, of one voxel.
fn parts(
    y_true: ArrayView2<'_, f32>,
    split: ArrayView3<'_, f32>,
    f: impl Fn(&[f64], &[f64], &[Vec<f64>]) -> Vec<f64>,
) -> Result<Array2<f32>> {
    check::not_empty("y_true", y_true)?;
    check::finite("y_true", y_true)?;
    if split.is_empty() {
        let shape = [split.len_of(Axis(1)), split.len_of(Axis(2))];
        let what = "predictions of feature spaces";
        return Err(EncodingError::Empty { what, shape });
    }
    for part in split.outer_iter() {
        check::same_rows("y_true", y_true, "predictions", part)?;
        check::columns("predictions", part, y_true.ncols())?;
        check::finite("predictions", part)?;
    }
    let mut scores = Array2::zeros((split.len_of(Axis(0)), y_true.ncols()));
    for (voxel, mut into) in scores.columns_mut().into_iter().enumerate() {
        let wide = |x: &f32| f64::from(*x);
        let y = centred(y_true.column(voxel).iter().map(wide).collect());
        let of_space: Vec<Vec<f64>> = split
            .outer_iter()
            .map(|part| part.column(voxel).iter().map(wide).collect())
            .collect();
        let p: Vec<f64> = (0..y.len())
            .map(|t| of_space.iter().map(|part| part[t]).sum())
            .collect();
        for (into, part) in into.iter_mut().zip(f(&y, &p, &of_space)) {
            #[allow(clippy::cast_possible_truncation)] // scores are f32 by contract
            let part = part as f32;
            *into = part;
        }
    }
    Ok(scores)
}

fn quotient(a: f64, b: f64) -> f64 {
    if b > 0.0 { a / b } else { 0.0 }
}
