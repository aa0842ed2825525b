//! What can go wrong, and what the caller can do about it.

use std::ops::Range;

use thiserror::Error;

/// Result of this crate.
pub type Result<T, E = EncodingError> = std::result::Result<T, E>;

/// Everything that data, a grid or a flag can cause in this crate.
#[non_exhaustive]
#[derive(Debug, Error)]
pub enum EncodingError {
    /// Two arrays that must share their rows (samples) do not.
    #[error(
        "{left} has shape {left_shape:?} and {right} has shape {right_shape:?}: \
         both need the same number of rows"
    )]
    Rows {
        /// Name of the first array.
        left: &'static str,
        /// Its shape.
        left_shape: [usize; 2],
        /// Name of the second array.
        right: &'static str,
        /// Its shape.
        right_shape: [usize; 2],
    },
    /// An array has another number of columns than it needs.
    #[error("{what} has shape {shape:?}, expected {expected} columns")]
    Columns {
        /// Name of the array.
        what: &'static str,
        /// Its shape.
        shape: [usize; 2],
        /// How many columns it needs.
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
    /// Values so large that their products are no numbers any more.
    #[error("column {column} of y holds values too large to solve for: scale it down")]
    Overflow {
        /// Column of the responses, from 0.
        column: usize,
    },
    /// An alpha that is no usable one.
    #[error(
        "alpha {index} of the grid is {value}: alphas must be finite and above zero \
         (the penalty is alpha squared)"
    )]
    Alpha {
        /// Place in the grid, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Groups of voxels that share an alpha are not one label for each voxel.
    #[error(
        "{n_labels} labels say which voxels share an alpha and there are {n_voxels} voxels: give one label for each"
    )]
    AlphaGroups {
        /// Labels given.
        n_labels: usize,
        /// Voxels to fit.
        n_voxels: usize,
    },
    /// A group number that is larger than there can be groups.
    #[error(
        "group {largest} of {n_voxels} voxels: number the groups that share an alpha from 0, without gaps"
    )]
    AlphaGroup {
        /// The largest number given.
        largest: usize,
        /// Voxels to fit.
        n_voxels: usize,
    },
    /// A grid of alphas that does not rise.
    #[error(
        "alpha {index} of the grid is {value} after {previous}: \
         alphas must be strictly increasing"
    )]
    AlphaOrder {
        /// Place in the grid, from 0.
        index: usize,
        /// The value.
        value: f64,
        /// The value before it.
        previous: f64,
    },
    /// A grid of alphas without alphas, or with too many.
    #[error("a grid of {got} alphas, expected 1 to {max}")]
    AlphaCount {
        /// How many there were.
        got: usize,
        /// How many there may be.
        max: usize,
    },
    /// Text that is no grid of alphas.
    #[error("'{text}' is no grid of alphas, write 'logspace:1:4:15' or '1,10,100'")]
    AlphaSyntax {
        /// The text.
        text: String,
    },
    /// Several alphas and nothing to choose among them by.
    #[error("{n_alphas} alphas and no folds: set folds, or give a single alpha")]
    NeedsFolds {
        /// Number of alphas.
        n_alphas: usize,
    },
    /// No candidates of weights of feature spaces.
    #[error("no candidates of weights of feature spaces, at least one is needed")]
    NoSpaceWeights,
    /// Weights that are no weights.
    #[error(
        "candidate {candidate} of the weights of feature spaces is {weights:?}: \
         weights must be finite, none below 0 and not all 0"
    )]
    SpaceWeight {
        /// Number of the candidate, from 0.
        candidate: usize,
        /// Its weights.
        weights: Vec<f64>,
    },
    /// Weights for other feature spaces than the design has.
    #[error("weights for {found} feature spaces, the design has {n_spaces}")]
    SpaceWeightCount {
        /// Weights of a candidate.
        found: usize,
        /// Feature spaces of the design.
        n_spaces: usize,
    },
    /// A banded ridge whose voxels are to share alphas.
    #[error("a banded ridge chooses weights and alpha voxel by voxel: leave alphas unshared")]
    BandedSharing,
    /// Sets of feature spaces that cannot be partitioned.
    #[error("sets of feature spaces: {problem}")]
    FeatureSets {
        /// What is wrong.
        problem: String,
    },
    /// Text that is no list of delays.
    #[error("'{text}' is no list of delays, write whole numbers of samples such as '1,2,3,4'")]
    DelaySyntax {
        /// The text.
        text: String,
    },
    /// No delays at all.
    #[error("no delays, at least one is needed (0 means none)")]
    NoDelays,
    /// A delay longer than any story.
    #[error("delay {delay} is longer than any story: at most {most} samples")]
    LongDelay {
        /// The delay, in samples.
        delay: usize,
        /// The longest that is taken.
        most: usize,
    },
    /// Folds that a score cannot tell alphas apart by.
    #[error(
        "every fold validates on a single row, of which R² and correlations say nothing: group rows into larger folds, or choose alphas by the mean squared error"
    )]
    SingleRows,
    /// A delay given twice.
    #[error("delay {delay} is given twice")]
    DuplicateDelay {
        /// The delay, in samples.
        delay: usize,
    },
    /// Feature spaces that do not cover the columns of the design one after the other.
    #[error(
        "feature space '{name}' holds columns {columns:?}, expected it to start at {start} \
         and to end at or before {n_features}"
    )]
    FeatureSpace {
        /// Its name.
        name: String,
        /// Its columns.
        columns: Range<usize>,
        /// Where it should start.
        start: usize,
        /// Number of columns of the design.
        n_features: usize,
    },
    /// A feature space that does not exist.
    #[error("feature space {space} of {n_spaces}: feature spaces are numbered from 0")]
    SpaceOutOfRange {
        /// The number given.
        space: usize,
        /// How many there are.
        n_spaces: usize,
    },
    /// Fewer groups than leaving one out needs.
    #[error("{n_groups} group(s) of rows, leaving one group out needs at least two")]
    TooFewGroups {
        /// Number of distinct labels.
        n_groups: usize,
    },
    /// Less rows than folds, or a single fold.
    #[error("{n_rows} rows in {n_folds} folds: at least two folds of at least one row are needed")]
    FewRows {
        /// Rows there are.
        n_rows: usize,
        /// Folds asked for.
        n_folds: usize,
    },
    /// Folds that cannot be made or used.
    #[error("fold {fold}: {problem}")]
    Fold {
        /// Number of the fold, from 0.
        fold: usize,
        /// What is wrong with it.
        problem: FoldProblem,
    },
    /// No folds.
    #[error("no folds, at least one is needed")]
    NoFolds,
    /// Chunks that do not fit the rows.
    #[error(
        "{n_chunks} held-out chunks of {chunk_len} rows do not fit {n_rows} rows: \
         at least one chunk must be held out and some rows must stay for training"
    )]
    Chunks {
        /// Held-out chunks.
        n_chunks: usize,
        /// Rows of one.
        chunk_len: usize,
        /// Rows there are.
        n_rows: usize,
    },
    /// Folds made for another number of rows.
    #[error("the folds were made for {folds} rows and x has {x}")]
    FoldRows {
        /// Rows the folds were made for.
        folds: usize,
        /// Rows of the design.
        x: usize,
    },
    /// The eigendecomposition did not converge, in double precision either.
    #[error("the eigendecomposition of the features did not converge: check their scale")]
    Decomposition,
    /// Less repeats or TRs than a noise ceiling needs.
    #[error("{n_repeats} repeat(s) of {n_trs} TRs: a noise ceiling needs at least two of each")]
    Repeats {
        /// Repeats given.
        n_repeats: usize,
        /// TRs of each.
        n_trs: usize,
    },
    /// Another number of repeats than the noise ceiling was made from.
    #[error("{got} repeats, the noise ceiling was made from {expected}")]
    RepeatCount {
        /// Repeats given.
        got: usize,
        /// Repeats of the ceiling.
        expected: usize,
    },
    /// Repeats that are not all of one length.
    #[error(
        "repeat {repeat} has shape {shape:?} and the first one {expected:?}: cut all repeats to the same TRs and voxels"
    )]
    UnequalRepeats {
        /// Number of the repeat, from 0.
        repeat: usize,
        /// Its TRs and voxels.
        shape: [usize; 2],
        /// Those of the first repeat.
        expected: [usize; 2],
    },
    /// One value per voxel is needed, and there are more or less.
    #[error("{what} has {found} voxels, expected {expected}")]
    Voxels {
        /// Name of the array.
        what: &'static str,
        /// Voxels it has.
        found: usize,
        /// Voxels it needs.
        expected: usize,
    },
    /// A voxel that does not exist.
    #[error("voxel {voxel} of {n_voxels}: voxels are numbered from 0")]
    VoxelOutOfRange {
        /// The number given.
        voxel: usize,
        /// How many there are.
        n_voxels: usize,
    },
    /// A range of voxels out of turn.
    #[error(
        "voxels {found:?} after {given} of {n_voxels}: add ranges of voxels in rising order, without gaps"
    )]
    VoxelRange {
        /// Voxels added so far.
        given: usize,
        /// The range given next.
        found: Range<usize>,
        /// Voxels in all.
        n_voxels: usize,
    },
    /// Sums of regions that come from elsewhere and do not fit.
    #[error(
        "sums of {} regions with {:?} orders and TRs, expected {} with {:?}: they are of other settings", found.0, found.1, expected.0, expected.1
    )]
    Sums {
        /// Regions; orders and TRs.
        expected: (usize, [usize; 2]),
        /// Regions; orders and TRs.
        found: (usize, [usize; 2]),
    },
    /// Blocks of TRs that are empty, or of which less than two fit.
    #[error(
        "blocks of {block_len} TRs in {n_trs}: at least two blocks of at least one TR must fit"
    )]
    Blocks {
        /// TRs of a block.
        block_len: usize,
        /// TRs there are.
        n_trs: usize,
    },
    /// A confidence level outside 0 to 1.
    #[error("an interval at level {level}: give a number between 0 and 1, such as 0.95")]
    Level {
        /// The level.
        level: f64,
    },
    /// Too few permutations, draws or splits.
    #[error("{got} random draw(s), at least {least} needed")]
    TooFewDraws {
        /// How many there are.
        got: usize,
        /// How many are needed.
        least: usize,
    },
    /// A permutation that is no order of the rows.
    #[error(
        "permutation {permutation} is no order of the rows: row {row} is out of range, missing or there twice"
    )]
    Order {
        /// Number of the permutation, from 0.
        permutation: usize,
        /// The row at fault.
        row: usize,
    },
    /// A ceiling threshold that lets ceilings of 0 pass.
    #[error("a ceiling threshold of {threshold}: give 0 or more")]
    Threshold {
        /// The threshold.
        threshold: f32,
    },
    /// A source of responses failed.
    #[error("could not read the responses of voxels {voxels:?}")]
    Read {
        /// The voxels asked for.
        voxels: Range<usize>,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The caller stopped the work.
    #[error("stopped by the caller")]
    Cancelled,
    /// An error of linfa's own, which its `Fit` wants to be able to pass on.
    #[error(transparent)]
    Linfa(#[from] linfa::Error),
}

/// What is wrong with a fold.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FoldProblem {
    /// It validates on nothing.
    #[error("it has no validation rows")]
    NoValidation,
    /// It trains on nothing.
    #[error("it leaves no rows for training")]
    NoTraining,
    /// A row beyond the last.
    #[error("it names row {row}, there are {n_rows}")]
    RowOutOfRange {
        /// The row.
        row: usize,
        /// How many there are.
        n_rows: usize,
    },
    /// A row given twice.
    #[error("it names row {row} twice")]
    DuplicateRow {
        /// The row.
        row: usize,
    },
}
