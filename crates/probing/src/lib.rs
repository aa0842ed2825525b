//! Probes: what can be read from the layers of a speech model, and how sure that is.
//!
//! Features are `[n_samples, n_features]`, f32; what to read from them is [`Classes`] (one per row), labels
//! (`ArrayView2<bool>`, several per row) or numbers (`ArrayView2<f32>`). [`Logistic`] fits classes and
//! labels to the minimum, its penalty chosen on validation rows by
//! [`fit_best`](LogisticValidParams::fit_best); [`RidgeProbe`] fits numbers; [`AdamProbe`] and [`Mlp`] are
//! trained as papers train theirs. A [`LinearProbe`] predicts; [`LabelCounts`], [`r2_scores`] and
//! [`pearson_r`] judge. [`bootstrap`], [`paired_bootstrap`] and [`layer_peak`] say how sure the judgement
//! is if other speakers or stories had been drawn ([`Groups`]), and [`ControlLabels`] what a probe learns by heart.
//!
//! ```
//! use braintune_probing::{Bootstrap, Classes, GroupSums, Groups, Logistic, bootstrap};
//! use linfa::ParamGuard;
//! use ndarray::{Array2, Axis};
//!
//! let x = Array2::from_shape_fn((90, 4), |(i, j)| ((i * (2 * j + 3)) as f32 * 0.7).sin());
//! let labels: Vec<usize> = x.rows().into_iter().map(|row| usize::from(row[1] > row[2])).collect();
//! let ((train, test), (y_train, y_test)) = (x.view().split_at(Axis(0), 60), labels.split_at(60));
//! let model = Logistic::params(10.0).standardise(true).check()?;
//! let probe = model.fit(train, Classes::new(y_train, 2)?)?;
//!
//! let speakers: Vec<usize> = (0..30).map(|item| item / 5).collect();
//! let truth = Classes::new(y_test, 2)?;
//! let score = GroupSums::accuracy(&Groups::new(&speakers)?, truth, &probe.predict(test)?)?;
//! let accuracy = bootstrap(&score, &Bootstrap::default())?;
//! assert!(accuracy.estimate > 0.8 && accuracy.low > 0.6);
//! # Ok::<(), braintune_probing::ProbingError>(())
//! ```

mod adam;
mod blocks;
mod check;
mod error;
mod evidence;
mod frame_features;
mod gather;
mod lbfgs;
mod linear;
mod logistic;
mod loss;
mod metrics;
mod moments;
mod one_layer;
mod pass;
mod phones;
mod probe;
mod progress;
mod real;
mod regression;
mod rows;
mod splits;
mod store;
mod targets;
mod task;
mod tasks;

pub use self::{
    adam::{
        AdamProbe, AdamProbeParams, AdamProbeValidParams, FittedMlp, Mlp, MlpParams, MlpValidParams,
    },
    error::{ProbingError, Result},
    evidence::{
        Bootstrap, ControlLabels, GroupScore, GroupSums, Groups, Interval, LayerPeak,
        PairedDifference, RowScore, bootstrap, layer_peak, paired_bootstrap, selectivity,
    },
    frame_features::FrameFeatures,
    gather::audio_of,
    linear::{FitReport, LinearProbe},
    logistic::{BestFit, Criterion, Logistic, LogisticParams, LogisticValidParams},
    metrics::{LabelCounts, majority_baseline, pearson_r, r2_scores},
    probe::{
        ControlScore, LayerProbe, Penalty, ProbeKind, ProbeProgress, ProbeScore, ProbeSettings,
        ProbeValue, Probed, probe_layers,
    },
    progress::{FitProgress, OnProgress},
    regression::{
        FittedRidgeProbe, RegressionScores, RidgeProbe, RidgeProbeParams, RidgeProbeValidParams,
    },
    rows::RowPlan,
    splits::TimitSplit,
    targets::{Classes, Labels, Predicted, PredictedLabels, Targets},
    task::{LabelSet, Part, ProbeTask, Recording, Rows, Split, Target},
    tasks::{
        AcousticTask, Acoustics, CorpusTask, StoryProbe, StoryQuestion, TimitPhonemes,
        TimitSentenceType, TimitUtterance, WordClasses, is_timit, timit_utterances,
    },
};

/// The version of linfa whose traits models of this crate follow; `ParamGuard` checks parameters.
pub use linfa;

/// The version of ndarray whose arrays this crate takes and gives.
pub use ndarray;

// The examples of the README are compiled with those of the docs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
