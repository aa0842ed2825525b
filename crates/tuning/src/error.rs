//! What can go wrong while tuning, with the place and both values.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use braintune_audio::AudioError;
use braintune_backbone::BackboneError;
use braintune_fmri::FmriError;
use braintune_ranks::RanksError;

/// Result of this crate's functions.
pub type Result<T, E = TuningError> = std::result::Result<T, E>;

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TuningError {
    /// A setting that cannot be.
    #[error("{name} = {value}: expected {expected}")]
    Setting {
        /// Name of the setting, as in the TOML file.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// A configuration file that is not one.
    #[error("{path} is not a tuning configuration: {problem}")]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// What the parser says, with the line.
        problem: String,
    },
    /// Responses that do not fit a mask or each other.
    #[error(
        "the responses of {subject} to {story} have {n_voxels} voxels, {of} has {expected}: they must be the same"
    )]
    VoxelCount {
        /// The subject.
        subject: String,
        /// The story.
        story: String,
        /// Voxels of the responses.
        n_voxels: usize,
        /// The mask or an earlier story.
        of: String,
        /// Its voxels.
        expected: usize,
    },
    /// A mask that leaves nothing.
    #[error("no voxel of {subject} is left: {reason}")]
    NoVoxels {
        /// The subject.
        subject: String,
        /// Why.
        reason: String,
    },
    /// Responses that are not numbers.
    #[error(
        "responses of {subject} to {story}: {n_bad} of the values to be learnt are NaN or infinite, the first at row {row}, voxel {voxel}: mend the file or leave such voxels out (a mask); NaN alone may be set to 0 (`nan_to_zero = true`)"
    )]
    NotFinite {
        /// The subject.
        subject: String,
        /// The story.
        story: String,
        /// How many.
        n_bad: usize,
        /// Row of the responses that are kept.
        row: usize,
        /// Voxel, before the mask.
        voxel: usize,
    },
    /// Audio that does not fit the responses.
    #[error(
        "story {story}: the sound lasts {sound_s:.1} s, its responses need {least_s:.1} to {most_s:.1} s"
    )]
    SoundLength {
        /// The story.
        story: String,
        /// Seconds of audio.
        sound_s: f64,
        /// Seconds that are needed.
        least_s: f64,
        /// Seconds that are plausible at most.
        most_s: f64,
    },
    /// Units of frames that do not fit.
    #[error("units of {of}: {problem}")]
    Units {
        /// The story, the recording or the file.
        of: String,
        /// Expected and found.
        problem: String,
    },
    /// Something that a run needs is not there.
    #[error("no {what}: {reason}")]
    Empty {
        /// What is missing: stories, batches, a head, units, …
        what: &'static str,
        /// Why there are none.
        reason: String,
    },
    /// A batch that does not fit the model.
    #[error(
        "a batch of {recording} does not fit the model: {what}: expected {expected}, found {got}"
    )]
    BatchShape {
        /// Name of subject and story.
        recording: String,
        /// What does not fit: number of the head, clips, samples of a clip, responses, voxels.
        what: &'static str,
        /// What the model needs.
        expected: String,
        /// What the batch has.
        got: usize,
    },
    /// Weights of voxels that do not fit.
    #[error("weights of the voxels of head {head}: {problem}")]
    VoxelWeights {
        /// The head.
        head: usize,
        /// Expected and found.
        problem: String,
    },
    /// The loss is no number any more, or far above where it began.
    #[error(
        "tuning diverged at step {step}: {what}; {}. Begin anew with lower learning rates, or bound the gradients (max_grad_norm)",
        kept_text(*kept)
    )]
    Diverged {
        /// The step, counted from 1.
        step: usize,
        /// What was seen.
        what: String,
        /// The last step that is on disk, 0 if none.
        kept: usize,
    },
    /// Another process writes there.
    #[error("{path} is in use by another run: wait for it, or give another place")]
    InUse {
        /// The folder of checkpoints.
        path: PathBuf,
    },
    /// A checkpoint of another run.
    #[error(
        "{path} is of another run, which cannot go on with these settings and data: {differences}"
    )]
    OtherRun {
        /// The folder of checkpoints.
        path: PathBuf,
        /// What differs, with both values.
        differences: String,
    },
    /// Audio or responses that changed while a run went on.
    #[error("{difference}: something wrote them while the run went on; restore them and go on")]
    DataChanged {
        /// What differs, with both digests.
        difference: String,
    },
    /// No checkpoint can be read.
    #[error("no checkpoint in {path} can be read ({problem}): remove the folder to start anew")]
    Checkpoint {
        /// The folder of checkpoints.
        path: PathBuf,
        /// What is wrong with the newest.
        problem: String,
    },
    /// The best weights cannot be read; checkpoints may be whole.
    #[error("the best weights in {path} cannot be read: {problem}")]
    BestWeights {
        /// The folder of checkpoints.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A process of the run other than this one failed.
    #[error("rank {rank} could not go on: what it said tells why")]
    OtherRank {
        /// The first that could not.
        rank: usize,
    },
    /// Processes that were started for different runs.
    #[error(
        "rank {rank} was started for another run than rank 0: {differences}: start all ranks with the same command, the same files and the same version"
    )]
    OtherRunOfRank {
        /// The first that differs.
        rank: usize,
        /// What differs, with both values.
        differences: String,
    },
    /// Processes whose weights are not the same.
    #[error("rank {rank} has other weights than rank 0 {at}")]
    OtherWeights {
        /// The first that differs.
        rank: usize,
        /// Where in the run, and what to do.
        at: String,
    },
    /// A checkpoint that the first process goes on from and this one cannot read.
    #[error(
        "rank 0 goes on from {path}, which rank {rank} cannot read ({problem}): is the folder on storage that all ranks share?"
    )]
    CheckpointOfRank {
        /// The checkpoint.
        path: PathBuf,
        /// Who cannot.
        rank: usize,
        /// Why.
        problem: String,
    },
    /// Batches ended before the run did: whoever made them failed.
    #[error("no batch came for step {step} of {n_steps}")]
    NoBatch {
        /// The step, counted from 1.
        step: usize,
        /// Steps of the run.
        n_steps: usize,
    },
    /// The operating system refused.
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
    /// Processes that do not meet.
    #[error(transparent)]
    Ranks(#[from] RanksError),
    /// Audio.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// The backbone.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// The dataset.
    #[error(transparent)]
    Fmri(#[from] FmriError),
    /// Batches of the caller's own.
    #[error("a batch could not be had")]
    Batch(#[source] Box<dyn Error + Send + Sync>),
}

fn kept_text(step: usize) -> String {
    match step {
        0 => "no checkpoint was written yet".to_owned(),
        _ => format!("the checkpoint of step {step} is kept, as are the best weights"),
    }
}

pub(crate) fn io_error<'a>(
    doing: &'static str,
    path: &'a Path,
) -> impl FnOnce(io::Error) -> TuningError + 'a {
    move |source| TuningError::Io {
        doing,
        path: path.to_path_buf(),
        source,
    }
}
