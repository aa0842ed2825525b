//! What can go wrong between a file on disk and a spectrogram.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::{PointerKind, SampleRate};

/// A boxed error of a library whose own type is not part of this crate's API.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// `Result` with [`AudioError`].
pub type Result<T, E = AudioError> = std::result::Result<T, E>;

/// An error of this crate. File errors name the file and what to do about it.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum AudioError {
    /// There is nothing at this path.
    #[error("{path}: no such file")]
    NotFound {
        /// The file asked for.
        path: PathBuf,
    },
    /// The path is a directory or a device.
    #[error("{path}: expected an audio file, found a directory or another special file")]
    NotAFile {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file has 0 bytes.
    #[error("{path}: the file is empty (0 bytes); copy or download it again")]
    EmptyFile {
        /// The file.
        path: PathBuf,
    },
    /// The file stands in for data that git-annex or Git LFS has not fetched yet.
    #[error("{path}: is a {kind} pointer, not the data: run {}", kind.fetch_hint())]
    Pointer {
        /// The file.
        path: PathBuf,
        /// Which tool wrote the pointer.
        kind: PointerKind,
    },
    /// The content is not one of the formats this crate reads.
    #[error("{path}: not an audio file (expected WAV, NIST SPHERE, FLAC, MP3 or OGG Vorbis)")]
    NotAudio {
        /// The file.
        path: PathBuf,
    },
    /// Audio, but of a kind this crate does not read.
    #[error("{path}: not supported: {what}; convert the file to PCM WAV or FLAC")]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A header that lacks something or says what cannot be.
    #[error("{path}: the {format} header is damaged: {reason}; copy or download the file again")]
    InvalidHeader {
        /// The file.
        path: PathBuf,
        /// The format, by what the file begins with.
        format: &'static str,
        /// What was expected and what was found.
        reason: String,
    },
    /// A valid header and no audio behind it.
    #[error("{path}: the file has an audio header and no samples")]
    NoSamples {
        /// The file.
        path: PathBuf,
    },
    /// Less audio than the file promises.
    #[error(
        "{path}: truncated or damaged: {found_s:.2} s of audio found{}; copy or download it again",
        expected(*expected_s)
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// Seconds of audio that can be read.
        found_s: f64,
        /// Seconds the header promises, where it does.
        expected_s: Option<f64>,
    },
    /// The audio cannot be decoded from some point on.
    #[error("{path}: damaged audio after {at_s:.2} s; copy or download it again")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Seconds decoded before the damage.
        at_s: f64,
        /// What the decoder said.
        #[source]
        source: BoxError,
    },
    /// A floating-point file holds NaN or an infinity.
    #[error("{path}: the sample at {at_s:.4} s is not a finite number")]
    NonFiniteFile {
        /// The file.
        path: PathBuf,
        /// Where the first such sample is, in seconds.
        at_s: f64,
    },
    /// Reading or writing failed.
    #[error("{path}: cannot {doing} the file")]
    Io {
        /// The file.
        path: PathBuf,
        /// Verb: read or write.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// More samples than a WAV file can hold.
    #[error("{path}: {n_samples} samples do not fit into a WAV file (at most {max})")]
    TooLongForWav {
        /// The file that was to be written.
        path: PathBuf,
        /// Samples given.
        n_samples: usize,
        /// Samples that fit.
        max: usize,
    },
    /// A sample rate outside [`SampleRate::MIN_HZ`] to [`SampleRate::MAX_HZ`].
    #[error(
        "a sample rate of {hz} Hz is outside {} to {} Hz",
        SampleRate::MIN_HZ,
        SampleRate::MAX_HZ
    )]
    InvalidSampleRate {
        /// The rate given.
        hz: u32,
    },
    /// No samples were given.
    #[error("no samples given, expected at least one")]
    EmptyWaveform,
    /// A sample is NaN or infinite.
    #[error("sample {index} is {value}, expected a finite number")]
    NonFiniteSample {
        /// Position of the first such sample.
        index: usize,
        /// Its value.
        value: f32,
    },
    /// The resampler refused.
    #[error("cannot resample from {from_hz} to {to_hz} Hz")]
    Resample {
        /// Rate of the input.
        from_hz: u32,
        /// Rate wanted.
        to_hz: u32,
        /// What the resampler said.
        #[source]
        source: BoxError,
    },
    /// More audio than a Whisper model takes at once.
    #[error(
        "{n_samples} samples given, a Whisper model takes at most {max} (30 s at 16 kHz) at once: \
         cut the audio into windows"
    )]
    TooLongForWhisper {
        /// Samples given.
        n_samples: usize,
        /// Samples that fit.
        max: usize,
    },
    /// A spectrogram of too few frames.
    #[error("spectrograms of {n_frames} frames, at least {min} are needed")]
    TooFewFrames {
        /// Frames asked for.
        n_frames: usize,
        /// Frames needed.
        min: usize,
    },
    /// A window that is no part of the recording.
    #[error("a window of samples {window:?} in a recording of {n_samples}")]
    WindowOutOfRange {
        /// The window, in samples.
        window: Range<usize>,
        /// Samples of the recording.
        n_samples: usize,
    },
    /// Fewer samples than the reflection at the ends of a centred transform needs.
    #[error("{n_samples} samples given, a centred transform of {n_fft} needs at least {min}")]
    TooShortForStft {
        /// Samples given.
        n_samples: usize,
        /// Length of the transform.
        n_fft: usize,
        /// Samples needed.
        min: usize,
    },
    /// A transform that cannot be.
    #[error(
        "n_fft {n_fft} and hop {hop}: expected an even n_fft of 2 to 1048576 and a hop of at least 1"
    )]
    InvalidStft {
        /// Length of the transform.
        n_fft: usize,
        /// Samples between frames.
        hop: usize,
    },
    /// Frames that cannot be.
    #[error(
        "frames of {length} samples every {hop}: expected an even length of 2 to 1048576 and a hop \
         of at least 1"
    )]
    InvalidFrames {
        /// Samples per frame.
        length: usize,
        /// Samples between frames.
        hop: usize,
    },
    /// Less audio than one frame.
    #[error("{n_samples} samples given, a frame takes {length}")]
    TooShortForFrame {
        /// Samples given.
        n_samples: usize,
        /// Samples per frame.
        length: usize,
    },
    /// More coefficients than bands, or none.
    #[error("{n_mfcc} coefficients of {n_mels} mel bands: expected 1 to {n_mels}")]
    InvalidMfcc {
        /// Coefficients asked for.
        n_mfcc: usize,
        /// Bands there are.
        n_mels: usize,
    },
    /// A range of pitch that cannot be searched.
    #[error(
        "a pitch of {low_hz} to {high_hz} Hz: expected a range above {lowest_hz:.1} Hz, one period \
         of which a frame holds, up to {highest_hz} Hz"
    )]
    InvalidPitchRange {
        /// The lower end given, in Hz.
        low_hz: f64,
        /// The upper end given, in Hz.
        high_hz: f64,
        /// What the lower end must lie above, in Hz.
        lowest_hz: f64,
        /// What the upper end may reach, in Hz.
        highest_hz: f64,
    },
    /// Bands of a power spectrum that cannot be.
    #[error("invalid bands of a power spectrum: {reason}")]
    InvalidBands {
        /// What was expected and what was given.
        reason: String,
    },
    /// A filter bank that cannot be.
    #[error("invalid mel filters: {reason}")]
    InvalidMel {
        /// What was expected and what was given.
        reason: String,
    },
}

/// Turns a failure to read `path` into an error of this crate.
pub(crate) fn read_failed(path: &Path) -> impl Fn(std::io::Error) -> AudioError + Copy {
    move |source| AudioError::Io {
        path: path.into(),
        doing: "read",
        source,
    }
}

fn expected(expected_s: Option<f64>) -> String {
    expected_s.map_or_else(String::new, |s| format!(", {s:.2} s expected"))
}
