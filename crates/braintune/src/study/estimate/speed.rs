//! How fast this machine is, measured in a few seconds on what a study does.
//!
//! Arithmetic of the ridge, of statistics and of probes, and low-level features; models are measured in `model_speed.rs`.
//! Decompositions are timed as many at a time as there are threads. Sizes that would take long are measured small and
//! extended by what the work grows with (`cost.rs`).

use std::time::Instant;

use braintune_encoding::{
    Alphas, BlockBootstrap, CorrelationNull, DesignMatrix, FittedEncodingModel, Folds, NullScheme,
    Region, RegionStatistics, Ridge, RidgeSolver, measure_flops_per_s,
};
use braintune_fmri::{LowLevelExtractor, LowLevelFeature, Stimulus, StoryTiming};
use braintune_probing::{Classes, Criterion, Logistic, ProbeSettings};
use linfa::ParamGuard;
use ndarray::{Array2, Axis};

use crate::error::Result;

/// Sides of the matrices that are decomposed.
const SIDES: [usize; 3] = [96, 288, 864];
/// Voxels, TRs and draws whose statistics are timed.
const DRAWN: (usize, usize, usize) = (512, 240, 100);
/// Rows and columns of a probe that is fitted.
const PROBED: (usize, usize) = (400, 128);
/// Classes of that probe.
const N_CLASSES: usize = 8;

/// How fast a machine is, all of its threads together.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Speed {
    /// Threads.
    pub n_threads: usize,
    /// Floating-point operations per second of products of matrices in f32.
    pub products: f64,
    /// Operations per second of fits to voxels, as [`FitEstimate`](braintune_encoding::FitEstimate) counts them.
    pub fit_flops: f64,
    /// Side of a decomposition, and seconds of one when each thread does one; rising.
    pub decompositions: Vec<(usize, f64)>,
    /// Seconds of a draw of a permutation or bootstrap, for a TR of a voxel.
    pub drawn_voxel_s: f64,
    /// The same, for a TR of a region.
    pub drawn_region_s: f64,
    /// Seconds of probing classes, for a row, column and class.
    pub class_s: f64,
    /// Seconds of reading, decoding and hashing a second of sound.
    pub decode_s: f64,
    /// Seconds of low-level features of a second of sound.
    pub low_level_s: f64,
    /// Bytes of responses that are read, hashed and checked per second.
    pub check_bytes_s: f64,
    /// Bytes of responses that are read per second for a fit.
    pub read_bytes_s: f64,
}

impl Speed {
    /// Of the arithmetic, with this grid of alphas and so many folds; files are taken to be read as from a usual disk
    /// until reading is measured.
    ///
    /// # Errors
    /// None but bugs: sizes are fixed.
    pub fn measure(alphas: &Alphas, n_folds: usize) -> Result<Self> {
        let n_threads = n_threads();
        let mut decompositions = Vec::with_capacity(SIDES.len());
        for side in SIDES {
            decompositions.push((side, decomposition_s(side, n_threads)?));
        }
        let (drawn_voxel_s, drawn_region_s) = drawn_s()?;
        Ok(Self {
            n_threads,
            products: measure_flops_per_s(),
            fit_flops: fit_flops(alphas, n_folds, n_threads)?,
            decompositions,
            drawn_voxel_s,
            drawn_region_s,
            class_s: class_s()?,
            decode_s: 0.005,
            low_level_s: low_level_s()?,
            check_bytes_s: 3e8,
            read_bytes_s: 1e9,
        })
    }

    /// Seconds of a decomposition of that side, of one of as many as there are threads.
    ///
    /// Between measured sides as a power of the side, beyond them as its cube.
    #[must_use]
    pub fn decomposition_s(&self, side: usize) -> f64 {
        let side = side.max(1) as f64;
        let points = &self.decompositions;
        let cubed = |&(n, s): &(usize, f64)| s * (side / n as f64).powi(3);
        let above = points.iter().position(|&(n, _)| n as f64 >= side);
        match above {
            None => points.last().map_or(0.0, cubed),
            Some(0) => cubed(&points[0]),
            Some(i) => {
                let ((n0, s0), (n1, s1)) = (points[i - 1], points[i]);
                let (n0, n1) = (n0 as f64, n1 as f64);
                let power = (s1 / s0).ln() / (n1 / n0).ln();
                s0 * (side / n0).powf(power)
            }
        }
    }
}

/// Seconds that `work` takes, the shorter of two tries.
fn shorter<T>(mut work: impl FnMut() -> Result<T>) -> Result<f64> {
    let mut shortest = f64::INFINITY;
    for _ in 0..2 {
        let begun = Instant::now();
        std::hint::black_box(work()?);
        shortest = shortest.min(begun.elapsed().as_secs_f64());
    }
    Ok(shortest)
}

/// Threads that windows and the ridge have.
pub(super) fn n_threads() -> usize {
    rayon::current_num_threads()
}

/// Numbers from -1 to 1 without a pattern, from their place.
#[expect(clippy::cast_possible_truncation, reason = "fewer digits do")]
fn noise(i: usize, j: usize) -> f32 {
    let x = (i * 8191 + j * 131 + 17) as f64;
    ((x * 12.9898).sin() * 43_758.545_3).fract() as f32
}

/// Features with a steep spectrum, as those of models have; alphas of a fit then lie within it.
fn features(n_rows: usize, n_columns: usize) -> Array2<f32> {
    let weight = |j: usize| (100.0 / (1.0 + j as f32)).min(10.0);
    Array2::from_shape_fn((n_rows, n_columns), |(i, j)| noise(i, j) * weight(j))
}

/// As many at a time as there are threads, so that what they share is shared.
fn decomposition_s(side: usize, n_threads: usize) -> Result<f64> {
    let n_rows = (side + side / 4).max(2 * (n_threads + 1));
    let x = DesignMatrix::from(features(n_rows, side));
    let params = Ridge::params(Alphas::from_values(vec![10.0, 100.0])?)
        .solver(braintune_encoding::Solver::Primal)
        .precision(braintune_encoding::Precision::Single);
    let params = if n_threads > 2 {
        params.folds(Folds::contiguous_blocks(n_rows, n_threads - 1)?)
    } else {
        params.folds(Folds::contiguous_blocks(n_rows, 2)?)
    };
    let params = params.check()?;
    // Folds and all rows, in rounds of as many as there are threads.
    let n_rounds = if n_threads > 2 {
        1
    } else {
        3_usize.div_ceil(n_threads)
    };
    let seconds = shorter(|| Ok(params.prepare(&x)?))?;
    Ok(seconds / n_rounds as f64)
}

fn fit_flops(alphas: &Alphas, n_folds: usize, n_threads: usize) -> Result<f64> {
    // Smaller ones are slower than those of studies; few rows are predicted, as of test stories.
    const SIDE: usize = 1024;
    const N_PREDICTED: usize = 64;
    let n_rows = 2 * SIDE;
    let x = DesignMatrix::from(features(n_rows, SIDE));
    // As many alphas, of a size that single precision bears.
    let alphas = Alphas::logspace(1.0, 4.0, alphas.as_slice().len().max(2))?;
    let params = Ridge::params(alphas)
        .folds(Folds::contiguous_blocks(n_rows, n_folds.clamp(2, 3))?)
        .check()?;
    let solver = params.prepare(&x)?;
    let n_voxels = RidgeSolver::TILE * n_threads;
    let y = Array2::from_shape_fn((n_rows, n_voxels), |(i, j)| noise(i + 7, j));
    let seconds = shorter(|| {
        let fitted = solver.fit_voxels(y.view())?;
        let test = x.view().slice_move(ndarray::s![..N_PREDICTED, ..]);
        Ok(FittedEncodingModel::predict(&fitted, test)?)
    })?;
    Ok(params.estimate(n_rows, SIDE, n_voxels).fit_flops / seconds)
}

/// Seconds of a draw for a TR, of a voxel and of a region.
fn drawn_s() -> Result<(f64, f64)> {
    let (n_voxels, n_trs, n_draws) = DRAWN;
    let y = Array2::from_shape_fn((n_trs, n_voxels), |(i, j)| noise(i, j));
    let predicted = Array2::from_shape_fn((n_trs, n_voxels), |(i, j)| noise(i, j + 1));
    let of = |n_voxels: usize| -> Result<f64> {
        let part = |x: &Array2<f32>| x.slice_axis(Axis(1), (0..n_voxels).into()).to_owned();
        let (y, predicted) = (part(&y), part(&predicted));
        shorter(|| {
            let region = Region::new(0..n_voxels);
            let scheme = NullScheme::BlockPermutation { block_len: 10 };
            let statistics = RegionStatistics::new(n_trs, n_voxels, &[region])?
                .with_null(CorrelationNull::new(&[n_trs], scheme, n_draws / 2, 1)?)?;
            let mut statistics = statistics.with_bootstrap(BlockBootstrap {
                block_len: 10,
                n_boots: n_draws / 2,
                level: 0.95,
                seed: 1,
            })?;
            statistics.add(0..n_voxels, y.view(), predicted.view())?;
            Ok(statistics.finish()?)
        })
    };
    let (few, many) = (of(n_voxels / 16)?, of(n_voxels)?);
    let each = (n_trs * n_draws) as f64;
    let of_voxel = ((many - few) / (n_voxels - n_voxels / 16) as f64).max(0.0);
    let rest = (few - of_voxel * (n_voxels / 16) as f64).max(0.0);
    Ok((of_voxel / each, rest / each))
}

/// Seconds of choosing a penalty for classes, for a row, column and class.
fn class_s() -> Result<f64> {
    let (n_rows, n_columns) = PROBED;
    let labels: Vec<usize> = (0..n_rows).map(|i| (i * 5 + i / 11) % N_CLASSES).collect();
    // Means of classes are apart by less than their rows are.
    let x = Array2::from_shape_fn((n_rows, n_columns), |(i, j)| {
        noise(i, j) + 0.5 * noise(labels[i] + 1000, j) + noise(i, j / 8)
    });
    let (n_train, classes) = (n_rows / 2, N_CLASSES);
    let (train, validation) = x.view().split_at(Axis(0), n_train);
    let y = |labels| Classes::new(labels, classes);
    let params = Logistic::params(1.0).check()?;
    let cs = ProbeSettings::default().cs;
    let seconds = shorter(|| {
        Ok(params.fit_best(
            &cs,
            (train, y(&labels[..n_train])?),
            (validation, y(&labels[n_train..])?),
            Criterion::Loss,
        )?)
    })?;
    Ok(seconds / (n_train * n_columns * classes) as f64)
}

/// Seconds of low-level features of a second of sound.
fn low_level_s() -> Result<f64> {
    const SOUND_S: usize = 20;
    let rate = braintune_audio::SampleRate::SPEECH;
    let samples = (0..SOUND_S * 16_000).map(|i| 0.1 * noise(i, 0)).collect();
    let sound = braintune_audio::Waveform::from_samples(samples, rate)?;
    let timing = StoryTiming::new(SOUND_S / 2, 2.0, 1.0, 0..SOUND_S / 2)?;
    let mut seconds = 0.0;
    for feature in [LowLevelFeature::PowerSpectrum, LowLevelFeature::Mfcc] {
        let extractor = LowLevelExtractor::fit_stories(feature, &[])?;
        seconds += shorter(|| Ok(extractor.transform(Stimulus::Sound(&sound), &timing)?))?;
    }
    Ok(seconds / SOUND_S as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decompositions_grow_with_the_cube_and_between_as_measured() {
        let speed = Speed {
            n_threads: 2,
            products: 1e9,
            fit_flops: 1e9,
            decompositions: vec![(10, 1.0), (20, 4.0)],
            drawn_voxel_s: 0.0,
            drawn_region_s: 0.0,
            class_s: 0.0,
            decode_s: 0.0,
            low_level_s: 0.0,
            check_bytes_s: 1e9,
            read_bytes_s: 1e9,
        };
        let is = |side, seconds: f64| {
            let found = speed.decomposition_s(side);
            assert!((found - seconds).abs() < 1e-9, "{side}: {found}");
        };
        is(5, 0.125);
        is(10, 1.0);
        is(15, 2.25); // measured: with the square
        is(20, 4.0);
        is(40, 32.0);
    }

    #[test]
    fn a_machine_is_measured_in_a_moment() {
        let begun = Instant::now();
        let alphas = "logspace:1:3:7".parse().expect("a grid");
        let speed = Speed::measure(&alphas, 3).expect("it runs");
        assert!(begun.elapsed().as_secs_f64() < 60.0); // of an unoptimised build on a busy machine
        let rates = [speed.products, speed.fit_flops, speed.check_bytes_s];
        assert!(rates.iter().all(|rate| rate.is_finite() && *rate > 1e5));
        let seconds: Vec<f64> = speed.decompositions.iter().map(|(_, s)| *s).collect();
        assert!(seconds[0] > 0.0 && seconds[2] > seconds[0], "{seconds:?}");
        assert!(speed.class_s > 0.0 && speed.low_level_s > 0.0);
    }
}
