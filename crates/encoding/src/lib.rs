//! Voxel-wise encoding models: which features of a stimulus predict which responses, and how well.
//!
//! Arrays are `[n_samples, n_features]` and `[n_samples, n_voxels]`, f32; this crate knows no
//! seconds and no files. Features are standardised per story ([`zscore`]) and delayed ([`Delays`]);
//! the result is a [`DesignMatrix`]. [`Ridge::params`] over a grid of [`Alphas`], with [`Folds`] and
//! a [`CvScore`], are checked into [`RidgeValidParams`]. These fit in one go
//! ([`EncodingModel::fit`], linfa's `Fit`), or decompose the design once into a [`RidgeSolver`],
//! which fits tile after tile of voxels, from memory or from a [`ResponseSource`]. A
//! [`FittedRidge`] predicts; [`pearson_r`] and [`r2_score`] judge.
//!
//! The penalty is alpha **squared** everywhere: `w = (X'X + alpha² I)^-1 X'y`.
//!
//! ```
//! use braintune_encoding::{Alphas, DesignMatrix, EncodingModel, Folds, Ridge, pearson_r};
//! use linfa::ParamGuard;
//! use ndarray::Array2;
//!
//! let x = Array2::from_shape_fn((60, 3), |(i, j)| ((i * (j + 2)) as f32).sin());
//! let y = x.dot(&ndarray::array![[1.0, 0.0], [0.5, 1.0], [0.0, -2.0]]);
//! let stories: Vec<i64> = (0..60).map(|row| row / 20).collect();
//! let model = Ridge::params("logspace:-2:2:5".parse()?)
//!     .folds(Folds::leave_one_group_out(&stories)?)
//!     .check()?;
//! let fitted = model.fit(&DesignMatrix::from(x.clone()), y.view())?;
//! assert_eq!(fitted.best_alphas(), [0.01, 0.01]);
//! let r = pearson_r(fitted.predict(x.view())?.view(), y.view())?;
//! assert!(r.iter().all(|&r| r > 0.999));
//! # Ok::<(), braintune_encoding::EncodingError>(())
//! ```
//!
//! | feature | adds |
//! |---|---|
//! | `testing` | `check_encoding_model`, the contract of an [`EncodingModel`], for tests of implementers |

mod alphas;
mod banded;
mod ceiling;
mod check;
#[cfg(feature = "testing")]
mod contract;
mod delays;
mod design;
mod error;
mod folds;
mod model;
mod responses;
mod ridge;
mod score;
mod stats;
mod zscore;

pub use self::{
    alphas::Alphas,
    banded::{
        BandSelection, BandedRidge, BandedRidgeParams, BandedRidgeValidParams, FeatureSet,
        FittedBandedRidge, SpaceWeights, VariancePartition, correlation_split, partition_variance,
        r2_split, variance_partition,
    },
    ceiling::{
        AlignmentIntervals, CeilingIntervals, LowCeiling, NoiseCeiling, NormalizedMean, TotalPower,
        alignment_intervals, ceiling_intervals, low_level_impact, normalized_alignment,
        normalized_mean, residual_ridge, residuals, split_half, split_half_interval,
    },
    delays::Delays,
    design::{DesignMatrix, FeatureSpace, FirDesign},
    error::{EncodingError, FoldProblem, Result},
    folds::Folds,
    model::{EncodingModel, FitProgress, FittedEncodingModel, OnProgress},
    responses::ResponseSource,
    ridge::{
        AlphaSharing, FitEstimate, FittedRidge, GridEdges, NumericalError, Precision, Ridge,
        RidgeParams, RidgeSolver, RidgeValidParams, Solver, measure_flops_per_s,
    },
    score::{
        CvScore, TestScore, mean_of_repeats, pearson_r, r2_score, signed_sqrt_r2, stack_repeats,
    },
    stats::{
        BlockBootstrap, BlockSignFlips, CorrelationNull, CorrelationTest, Intervals,
        MeanCorrelationTest, NullScheme, PairedTest, Region, RegionStatistic, RegionStatistics,
        RegionSums, Wilcoxon, benjamini_hochberg, benjamini_yekutieli, correlation_interval,
        mean_correlation_interval, paired_test, paired_test_of_contributions, paired_test_of_mean,
        suggest_block_length, wilcoxon_signed_rank,
    },
    zscore::zscore,
};
#[cfg(feature = "testing")]
pub use contract::check_encoding_model;

/// The version of linfa whose traits models of this crate follow; `ParamGuard` checks parameters.
pub use linfa;

/// The version of ndarray whose arrays this crate takes and gives.
pub use ndarray;

// The examples of the README are compiled with those of the docs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
