//! Audio files to what speech models take: mono waveforms at 16 kHz and log-mel spectrograms; and
//! acoustic features of them.
//!
//! [`load_audio`] decodes a WAV, NIST SPHERE, FLAC, MP3 or OGG Vorbis file of any sample rate and
//! channel count into a [`Waveform`]: the mean of the channels, resampled to [`SampleRate::SPEECH`].
//! [`decode_audio`] keeps the file's own rate, [`probe_audio`] reads no more than it must to say how
//! long a file is and whether it is whole. A file that is missing, empty, cut short, damaged or not
//! audio is an error that says so, never shorter audio; [`pointer_kind`] recognises the git-annex
//! and Git LFS pointers that stand in for files not fetched yet.
//!
//! [`WhisperLogMel`] turns up to 30 s of speech into the `[n_mels, 3000]` input of a Whisper model.
//! [`Stft`] and [`mel_filters`] are its parts, for spectrograms at any other resolution.
//!
//! [`Mfcc`], [`Fbank`], [`Rms`] and [`Yin`] are the acoustic features that models are compared with:
//! cepstra, log-mel energies, loudness and pitch of [`Frames`], as librosa computes them;
//! [`PowerSpectrum`] is one more, the power in bands of equal width. Each names its settings when it
//! is printed.
//!
//! ```
//! use braintune_audio::{SampleRate, Waveform, WhisperLogMel, load_audio, write_wav};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let path = dir.path().join("story.wav");
//! let tone = (0..32_000).map(|i| 0.5 * (i as f32 * 0.1).sin()).collect();
//! write_wav(&path, &Waveform::from_samples(tone, SampleRate::SPEECH)?)?;
//!
//! let story = load_audio(&path)?;
//! assert_eq!(story.duration_s(), 2.0);
//! let log_mel = WhisperLogMel::new(80)?.compute(story.samples())?;
//! assert_eq!(log_mel.dim(), (80, 3000));
//! # Ok(()) }
//! ```
//!
//! # What is not read
//!
//! AAC, Opus, Speex and ALAC; MPEG layers I and II and free-format MP3; ADPCM and other compressed
//! WAV encodings except A-law and mu-law; SPHERE files compressed with shorten, wavpack or shortpack,
//! or of more than 16 bits, and their checksums; RF64 and other WAV variants over 4 GiB; chained OGG streams.
//! An OGG file of several streams gives its first audio stream. Two cuts cannot be told from a shorter
//! recording: an MP3 without a Xing, Info or VBRI header that ends exactly between two frames, and a
//! FLAC whose encoder did not write the length because it wrote into a pipe.

mod container;
mod decode;
mod error;
mod fbank;
mod frames;
mod mel;
mod mfcc;
mod mp3;
mod pointer;
mod power_spectrum;
mod resample;
mod rms;
mod sphere;
mod stft;
mod wav;
mod wav_writer;
mod waveform;
mod whisper;
mod yin;

pub use decode::{AudioInfo, decode_audio, load_audio, probe_audio};
pub use error::{AudioError, BoxError, Result};
pub use fbank::Fbank;
pub use frames::{Frames, Framing};
pub use mel::mel_filters;
pub use mfcc::Mfcc;
pub use pointer::{PointerKind, pointer_kind};
pub use power_spectrum::PowerSpectrum;
pub use rms::Rms;
pub use stft::Stft;
pub use wav_writer::write_wav;
pub use waveform::{SampleRate, Waveform};
pub use whisper::WhisperLogMel;
pub use yin::Yin;

/// The version of ndarray whose arrays this crate takes and gives.
pub use ndarray;

// The examples of the README are compiled with those of the docs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
