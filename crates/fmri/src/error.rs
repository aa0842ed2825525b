//! What can go wrong with a dataset, with the place and both values.

use std::error::Error;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use braintune_audio::{AudioError, PointerKind};

use crate::Trim;

/// Result of this crate's functions.
pub type Result<T, E = FmriError> = std::result::Result<T, E>;

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FmriError {
    /// A file or folder that must be there is not.
    #[error("{what} not found: expected {path}")]
    Missing {
        /// What was wanted.
        what: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// The operating system refused to read or write.
    #[error("cannot {doing} {path}")]
    Io {
        /// Verb: read, write, list, …
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is larger than any of its kind.
    #[error("{path} has more than {max} bytes, which no {what} has")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// The most bytes that are read.
        max: u64,
    },
    /// The file stands in for data that was not fetched.
    #[error("{path} is a {kind} pointer, not the data: run {}", kind.fetch_hint())]
    Pointer {
        /// The file.
        path: PathBuf,
        /// Which tool left it.
        kind: PointerKind,
    },
    /// The file has no HDF5 signature.
    #[error("{path} is not an HDF5 file: {found}")]
    NotHdf5 {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// The file is shorter than its own header says.
    #[error("{path} is truncated: {got} bytes, its header says {expected}; fetch it again")]
    TruncatedHdf5 {
        /// The file.
        path: PathBuf,
        /// Bytes the header promises.
        expected: u64,
        /// Bytes there are.
        got: u64,
    },
    /// The file has the HDF5 signature but cannot be decoded, or not be written.
    #[error("cannot {doing} {path} as HDF5, the file may be damaged or the disk full")]
    Hdf5 {
        /// Verb: read or write.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The file does not begin as a NIfTI file does.
    #[error("{path} is not a NIfTI file: {found}")]
    NotNifti {
        /// The file.
        path: PathBuf,
        /// What it seems to be.
        found: String,
    },
    /// The file is shorter than its header says.
    #[error(
        "{path} is truncated: it holds at most {got} bytes, its header says {expected}; fetch it \
         again"
    )]
    TruncatedNifti {
        /// The file.
        path: PathBuf,
        /// Bytes the header promises, uncompressed.
        expected: u64,
        /// Bytes there can be, uncompressed.
        got: u64,
    },
    /// A NIfTI file holds something impossible, or something that is not read.
    #[error("{path}: {reason}")]
    Nifti {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// An image has its voxels elsewhere than the mask.
    #[error(
        "{image} and the mask {mask} are not on the same grid: mask first, {reason}; resample one \
         of them"
    )]
    VoxelGrid {
        /// The mask.
        mask: PathBuf,
        /// The image.
        image: PathBuf,
        /// Both shapes or affines.
        reason: String,
    },
    /// The file lacks a key.
    #[error("{path} has no `{key}`, it has {}", list(keys))]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The key wanted.
        key: String,
        /// The keys there are.
        keys: Vec<String>,
    },
    /// An array has the wrong number of dimensions, or none of its rows or columns.
    #[error("`{key}` of {path} has shape {got:?}, expected {expected}")]
    Shape {
        /// The file.
        path: PathBuf,
        /// The array.
        key: String,
        /// The shape wanted, in words.
        expected: &'static str,
        /// The shape there is.
        got: Vec<usize>,
    },
    /// An array holds something other than floats or integers.
    #[error("`{key}` of {path} holds {got}, expected floats or integers")]
    DataType {
        /// The file.
        path: PathBuf,
        /// The array.
        key: String,
        /// The type there is.
        got: String,
    },
    /// Rows or columns were asked for that the array does not have.
    #[error("{what} {asked:?} of `{key}` asked for, {path} has {available}")]
    Selection {
        /// The file.
        path: PathBuf,
        /// The array.
        key: String,
        /// Rows or voxels.
        what: &'static str,
        /// The range asked for.
        asked: Range<usize>,
        /// How many there are.
        available: usize,
    },
    /// Responses have another number of rows than the timing says.
    #[error(
        "story {story} of {subject}: timing ({timing}) says {expected} rows, {source_name} has \
         {got}{}",
        if *transposed { "; it has that many columns, so it may be transposed" } else { "" }
    )]
    RowCount {
        /// The subject.
        subject: String,
        /// The story.
        story: String,
        /// Where the timing comes from.
        timing: String,
        /// Rows by the timing.
        expected: usize,
        /// The file or array.
        source_name: String,
        /// Rows there are.
        got: usize,
        /// Whether there are as many columns as there should be rows.
        transposed: bool,
    },
    /// An array has another number of rows than the timing says are stored.
    #[error("the timing says {expected} rows are stored, the array has {got}")]
    RowsStored {
        /// Rows by the timing.
        expected: usize,
        /// Rows there are.
        got: usize,
    },
    /// Rows of the grid were asked for that the responses do not hold.
    #[error(
        "TRs {}..{} of the story's grid asked for, the responses hold {}..{}: trim at least the \
         rows that are not stored",
        asked.start, asked.end, held.start, held.end
    )]
    RowsOutside {
        /// Rows asked for.
        asked: Range<usize>,
        /// Rows held.
        held: Range<usize>,
    },
    /// `respdict.json` is not what it should be.
    #[error("{path}: {reason}")]
    RespDict {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// `dataset.toml` or `bids.toml` is not what it should be.
    #[error("{path}: {reason}")]
    DatasetToml {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the key.
        reason: String,
    },
    /// The folder is of no layout that is known.
    #[error(
        "{path} is no dataset that is known: expected a dataset.toml (any folder of arrays), \
         derivative/respdict.json (ds003020), or folders sub-* (BIDS)"
    )]
    UnknownLayout {
        /// The folder.
        path: PathBuf,
    },
    /// A BIDS file or folder is not what it should be.
    #[error("{path}: {reason}")]
    Bids {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The file is no `.npy` or `.npz` that can be read.
    #[error("cannot read {path} as a NumPy array: {reason}")]
    Numpy {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A story was added to a dataset that has one of that name.
    #[error("story {story} is in {dataset} already")]
    DuplicateStory {
        /// The dataset.
        dataset: String,
        /// The story.
        story: String,
    },
    /// The dataset has no such story.
    #[error("no story {story} in {dataset}, it has {}", list(known))]
    UnknownStory {
        /// The dataset.
        dataset: String,
        /// The story asked for.
        story: String,
        /// The stories there are.
        known: Vec<String>,
    },
    /// The dataset has no such subject.
    #[error("no subject {subject} in {dataset}, it has {}", list(known))]
    UnknownSubject {
        /// The dataset.
        dataset: String,
        /// The subject asked for.
        subject: String,
        /// The subjects there are.
        known: Vec<String>,
    },
    /// The dataset has no responses of this subject to this story.
    #[error("no responses of {subject} to story {story} in {dataset}")]
    NoResponses {
        /// The dataset.
        dataset: String,
        /// The subject.
        subject: String,
        /// The story.
        story: String,
    },
    /// A story has no sound.
    #[error("story {story} has no audio: looked for {looked_for}")]
    NoAudio {
        /// The story.
        story: String,
        /// The files that would have done.
        looked_for: String,
    },
    /// There are no single repeats of this story.
    #[error("story {story} of {subject} has no single repeats: {reason}")]
    NoRepeats {
        /// The subject.
        subject: String,
        /// The story.
        story: String,
        /// What was looked for.
        reason: String,
    },
    /// The file is not a `TextGrid` that can be read.
    #[error("{path} is not a readable TextGrid: {reason}")]
    TextGrid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A `TextGrid` has no tier that holds words.
    #[error(
        "no word tier: expected one named `word` or a second tier, found {}",
        list(tiers)
    )]
    NoWordTier {
        /// Names of the tiers there are.
        tiers: Vec<String>,
    },
    /// A `TextGrid` has no tier that holds phones.
    #[error(
        "no tier of phones: expected one named `phone`, or the first of at least two, found {}",
        list(tiers)
    )]
    NoPhoneTier {
        /// Names of the tiers there are.
        tiers: Vec<String>,
    },
    /// A story has no `TextGrid`.
    #[error("story {story} has no TextGrid, which {feature} is made of")]
    NoTextGrid {
        /// The story.
        story: String,
        /// The feature that was asked for.
        feature: &'static str,
    },
    /// A low-level feature was to be made of something it is not made of.
    #[error("{feature} is made of {needed}, it was given {given}")]
    Stimulus {
        /// The feature.
        feature: &'static str,
        /// What it is made of.
        needed: &'static str,
        /// What was given.
        given: &'static str,
    },
    /// The stories to fit a vocabulary on have none of what it lists.
    #[error(
        "no {feature} in the {n_stories} training stories: a phone tier and a word tier of the same \
         times are needed, with the 39 phonemes of the CMU dictionary"
    )]
    EmptyVocabulary {
        /// The feature.
        feature: &'static str,
        /// How many stories there were.
        n_stories: usize,
    },
    /// The sound cannot be read, or an acoustic feature not be computed of it.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// A report of the stimulus computer cannot be used.
    #[error("{path} is no usable TR report: {reason}")]
    TrReport {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line where one is.
        reason: String,
    },
    /// A name that is not one of those there are.
    #[error("no {what} is called `{text}`, there are {}", list(known))]
    UnknownName {
        /// What is named.
        what: &'static str,
        /// The name given.
        text: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A timing that cannot be.
    #[error("impossible timing: {reason}")]
    Timing {
        /// What is wrong.
        reason: String,
    },
    /// A trim could not be parsed.
    #[error("cannot read `{text}` as a trim: expected two whole numbers, such as 10,5")]
    TrimText {
        /// The text.
        text: String,
    },
    /// A trim leaves nothing.
    #[error("a trim of {trim} leaves no row of {n_trs}")]
    TrimTooLong {
        /// The trim.
        trim: Trim,
        /// Rows of the grid.
        n_trs: usize,
    },
    /// Times are not finite and rising.
    #[error("unusable {what}: {reason}")]
    Times {
        /// Which times.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A cutoff frequency that is not a positive number.
    #[error("a cutoff of {cutoff_hz} Hz: expected a positive number")]
    Cutoff {
        /// The cutoff in Hz.
        cutoff_hz: f64,
    },
    /// Drifts that cannot be taken out of a run.
    #[error("impossible drift filter: {reason}")]
    Drift {
        /// What is wrong.
        reason: String,
    },
    /// A Gaussian that cannot be.
    #[error("smoothing with a FWHM of {fwhm_mm} mm: {reason}")]
    Smoothing {
        /// Full width at half maximum in mm.
        fwhm_mm: f64,
        /// What is wrong.
        reason: String,
    },
    /// There are not as many rows of features as frame times.
    #[error("{expected} frame times but {got} rows of features")]
    FrameCount {
        /// Number of times.
        expected: usize,
        /// Number of rows.
        got: usize,
    },
    /// Regions that cannot be.
    #[error("{reason}")]
    Regions {
        /// What is wrong.
        reason: String,
    },
    /// A file of regions, labels or maps is not what it should be.
    #[error("{path} is not a readable {format}: {reason}")]
    RegionFile {
        /// The file.
        path: PathBuf,
        /// What it should be.
        format: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A parcellation lacks parcels that a region is made of.
    #[error(
        "the parcellation has no parcel {}: expected those of HCP-MMP1 (Glasser 2016), found {}",
        missing.join(", "), list(known)
    )]
    MissingParcels {
        /// The parcels that are not there.
        missing: Vec<String>,
        /// The parcels there are.
        known: Vec<String>,
    },
    /// Something has another number of voxels or vertices than the surface mapper.
    #[error("{got} {what}, the surface mapper has {expected}")]
    PlaceCount {
        /// What was counted.
        what: &'static str,
        /// Voxels or vertices of the mapper.
        expected: usize,
        /// Voxels or vertices there are.
        got: usize,
    },
    /// An error of a dataset that another crate implements.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}

/// The first thirty names, and how many more there are.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 30;
    match names {
        [] => "none".into(),
        names if names.len() <= SHOWN => names.join(", "),
        names => format!(
            "{} and {} more",
            names[..SHOWN].join(", "),
            names.len() - SHOWN
        ),
    }
}
