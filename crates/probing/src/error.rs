//! What can go wrong, and what the caller can do about it.

use thiserror::Error;

/// Result of this crate.
pub type Result<T, E = ProbingError> = std::result::Result<T, E>;

/// Everything that data, labels or a setting can cause in this crate.
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum ProbingError {
    /// Two things that must have as many rows (items) as each other do not.
    #[error("{left} has {n_left} rows and {right} has {n_right}: both need the same number")]
    Rows {
        /// Name of the first.
        left: &'static str,
        /// Its rows.
        n_left: usize,
        /// Name of the second.
        right: &'static str,
        /// Its rows.
        n_right: usize,
    },
    /// An array has another number of columns than it needs.
    #[error("{what} has {got} columns, expected {expected}")]
    Columns {
        /// Name of the array.
        what: &'static str,
        /// Columns it has.
        got: usize,
        /// Columns it needs.
        expected: usize,
    },
    /// An array without rows or without columns.
    #[error("{what} has shape {shape:?}, at least one row and one column are needed")]
    Empty {
        /// Name of the array.
        what: &'static str,
        /// Its shape.
        shape: [usize; 2],
    },
    /// A value that is not a finite number.
    #[error(
        "{what} is {value} at row {row}, column {column}: \
         replace or drop values that are not finite first"
    )]
    NonFinite {
        /// Name of the array.
        what: &'static str,
        /// Row of the first such value, from 0.
        row: usize,
        /// Column of the first such value, from 0.
        column: usize,
        /// The value.
        value: f32,
    },
    /// A label that is no class.
    #[error("row {row} has label {label}, expected one below {n_classes}")]
    LabelOutOfRange {
        /// The row, from 0.
        row: usize,
        /// Its label.
        label: usize,
        /// Number of classes.
        n_classes: usize,
    },
    /// Nothing to tell apart.
    #[error("{n_classes} class(es), at least two are needed to tell them apart")]
    OneClass {
        /// Number of classes.
        n_classes: usize,
    },
    /// A class without training rows.
    #[error("class {class} has no training rows: leave it out and number the others anew")]
    EmptyClass {
        /// The class, from 0.
        class: usize,
    },
    /// A label that all training rows have, or none.
    #[error("label {label} is {value} in every training row: leave it out")]
    ConstantLabel {
        /// The label (column), from 0.
        label: usize,
        /// What it is everywhere.
        value: bool,
    },
    /// A setting that is no usable one.
    #[error("{name} is {value}, expected {expected}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// The value.
        value: f64,
        /// What it should be.
        expected: &'static str,
    },
    /// No candidates to choose from.
    #[error("no {what} to choose from, at least one is needed")]
    NoCandidates {
        /// What is chosen.
        what: &'static str,
    },
    /// A loss that is no number any more.
    #[error("the loss is {loss} after step {step}: scale the features or the learning rate down")]
    Diverged {
        /// Steps or epochs done.
        step: usize,
        /// The loss.
        loss: f64,
    },
    /// Less than two groups of items, of which no resample differs from another.
    #[error("{n_groups} group(s) of items, a bootstrap needs at least two")]
    Groups {
        /// Number of groups.
        n_groups: usize,
    },
    /// A score that is no number.
    #[error("the score is {score}: it must be finite for every resample")]
    Score {
        /// The score.
        score: f64,
    },
    /// A file or folder could not be read or written.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The file or folder.
        path: std::path::PathBuf,
        /// The system's reason.
        #[source]
        source: std::io::Error,
    },
    /// A corpus is not what it should be.
    #[error("{}: {problem}", path.display())]
    Data {
        /// The file or folder.
        path: std::path::PathBuf,
        /// Expected, found, what to do.
        problem: String,
    },
    /// A task that cannot be asked of these data.
    #[error("{task}: {problem}")]
    Task {
        /// The task, or corpus.
        task: String,
        /// Why not.
        problem: String,
    },
    /// Features of a recording could not be made.
    #[error("no features of {}", path.display())]
    Features {
        /// The recording.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Features of a recording that are not from the model that the others' are from.
    #[error(
        "{}: features of {} layers of width {}, recordings before it have {} of width {}: all must come from one model",
        path.display(), got[0], got[1], expected[0], expected[1]
    )]
    OtherFeatures {
        /// The recording.
        path: std::path::PathBuf,
        /// `[n_layers, d_model]` of the recordings before it.
        expected: [usize; 2],
        /// `[n_layers, d_model]` of this one.
        got: [usize; 2],
    },
    /// Audio could not be read.
    #[error(transparent)]
    Audio(#[from] braintune_audio::AudioError),
    /// A story dataset could not be read.
    #[error(transparent)]
    Fmri(#[from] Box<braintune_fmri::FmriError>),
    /// Ridge regression failed.
    #[error("ridge regression failed")]
    Ridge(#[from] braintune_encoding::EncodingError),
    /// The caller stopped the work.
    #[error("stopped by the caller")]
    Cancelled,
    /// An error of linfa's own, which its `Fit` wants to be able to pass on.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

impl From<braintune_fmri::FmriError> for ProbingError {
    fn from(error: braintune_fmri::FmriError) -> Self {
        Self::Fmri(Box::new(error))
    }
}
