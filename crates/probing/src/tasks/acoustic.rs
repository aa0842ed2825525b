//! What any audio can ask: MFCC, filter banks, pitch and energy, frame by frame.
//!
//! Numbers come from the audio itself: those of the frame whose centre is nearest to the model's, `[n_rows, n_values]`;
//! for the paper's probe the whole track of 4 s at once, `[1, 398 · 40]`. Held by `tests/it/probe.rs` and
//! `tests/it/acoustic.rs`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use braintune_audio::{
    Fbank, Frames, Framing, Mfcc, Rms, SampleRate, Waveform, Yin, decode_audio, probe_audio,
};
use ndarray::{Array2, Axis};

use super::{data_problem, files, folders, is_audio, name_of};
use crate::error::{ProbingError, Result};
use crate::rows::nearest;
use crate::splits::{self, held_out};
use crate::task::{LabelSet, Part, ProbeTask, Recording, Rows, Split, Target};

/// The paper's clips, seconds.
const TRACK_S: f64 = 4.0;
/// Longer files are heard in pieces, seconds.
const LONG_S: f64 = 30.0;
const PIECE_S: f64 = 10.0;
const N_MELS: usize = 80;
/// Of voices, Hz.
const PITCH_HZ: std::ops::Range<f64> = 60.0..400.0;
/// Two periods of the lowest voice.
const PITCH_FRAME: usize = 1024;
const HOP: usize = 160;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Acoustics {
    /// 40 MFCC of each frame.
    Mfcc,
    /// 40 MFCC over 398 frames of the first 4 s at once, from the mean over the model's frames: the paper's task.
    MfccTrack,
    /// 80 log-mel energies of each frame, dB.
    Fbank,
    /// Fundamental frequency of each frame by YIN, Hz; frames without a voice have a number too.
    Pitch,
    /// RMS of each frame, dB.
    Energy,
}

/// A question that audio answers itself.
#[derive(Debug, Clone)]
pub struct AcousticTask {
    question: Acoustics,
    labels: LabelSet,
    recordings: Vec<Recording>,
}

impl AcousticTask {
    /// Asks it of another task's recordings, in its split.
    ///
    /// # Errors
    /// Settings that cannot be; none for those that are built in.
    pub fn of_recordings(recordings: Vec<Recording>, question: Acoustics) -> Result<Self> {
        let asked = |recording: Recording| Recording {
            length_s: match question {
                Acoustics::MfccTrack => Some(TRACK_S),
                _ => recording.length_s,
            },
            parts: vec![Part::whole(Target::FromAudio)],
            ..recording
        };
        Ok(Self {
            question,
            labels: LabelSet::Values(names(question)?),
            recordings: recordings.into_iter().map(asked).collect(),
        })
    }

    /// Asks it of all audio below a folder. Files of one folder are a group; where there are fewer than three, every
    /// file is. Files of more than 30 s are heard in pieces of 10 s. A tenth of the groups is for the test, a tenth of the others for validation.
    ///
    /// # Errors
    /// A folder without audio, or with fewer than three files; audio whose length cannot be read.
    pub fn of_folder(folder: &Path, question: Acoustics, seed: u64) -> Result<Self> {
        let mut found = Vec::new();
        find(folder, &mut found)?;
        if found.len() < 3 {
            let problem = format!(
                "{} audio file(s) below it, at least 3 are needed",
                found.len()
            );
            return Err(data_problem(folder, problem));
        }
        let parent = |path: &PathBuf| path.parent().unwrap_or(folder).display().to_string();
        let parents: BTreeSet<String> = found.iter().map(parent).collect();
        let group = |path: &PathBuf| match parents.len() {
            0..3 => path.display().to_string(),
            _ => parent(path),
        };
        let groups: BTreeSet<String> = found.iter().map(group).collect();
        let tested = held_out(groups.clone(), seed);
        let validated = held_out(
            groups.difference(&tested).cloned().collect(),
            seed.wrapping_add(1),
        );
        let pieces = |audio: PathBuf| -> Result<Vec<Recording>> {
            let group = group(&audio);
            let split = if tested.contains(&group) {
                Split::Test
            } else if validated.contains(&group) {
                Split::Validation
            } else {
                Split::Train
            };
            let spans = match question {
                Acoustics::MfccTrack => vec![None],
                _ => spans(&audio)?,
            };
            let whole = Recording::whole(audio, split, group, Target::FromAudio);
            let piece = |span_s| Recording {
                span_s,
                ..whole.clone()
            };
            Ok(spans.into_iter().map(piece).collect())
        };
        let recordings: Vec<Vec<Recording>> =
            found.into_iter().map(pieces).collect::<Result<_>>()?;
        let recordings = recordings.concat();
        splits::check(recordings.iter().map(|r| r.split), &name_of(folder))?;
        Self::of_recordings(recordings, question)
    }
}

impl ProbeTask for AcousticTask {
    fn name(&self) -> &'static str {
        match self.question {
            Acoustics::Mfcc => "mfcc",
            Acoustics::MfccTrack => "mfcc-track",
            Acoustics::Fbank => "fbank",
            Acoustics::Pitch => "pitch",
            Acoustics::Energy => "energy",
        }
    }

    fn labels(&self) -> &LabelSet {
        &self.labels
    }

    fn rows(&self) -> Rows {
        match self.question {
            Acoustics::MfccTrack => Rows::Mean,
            _ => Rows::Frames,
        }
    }

    fn recordings(&self) -> Result<Vec<Recording>> {
        Ok(self.recordings.clone())
    }

    fn settings(&self) -> String {
        let made = match self.question {
            Acoustics::Mfcc | Acoustics::MfccTrack => Mfcc::speech().map(|mfcc| mfcc.to_string()),
            Acoustics::Fbank => fbank().map(|fbank| fbank.to_string()),
            Acoustics::Pitch => yin().map(|yin| yin.to_string()),
            Acoustics::Energy => Ok(Rms::new(Frames::SPEECH).to_string()),
        };
        made.unwrap_or_default() // they were made before, for the names
    }

    fn values(&self, audio: &Waveform, times: &[f64]) -> Result<Array2<f32>> {
        let samples = audio.samples();
        if audio.sample_rate() != SampleRate::SPEECH {
            return Err(ProbingError::Task {
                task: self.name().to_owned(),
                problem: format!(
                    "audio at {} Hz, expected 16000",
                    audio.sample_rate().as_hz()
                ),
            });
        }
        let column = |values: ndarray::Array1<f32>| values.insert_axis(Axis(1));
        let (values, frames) = match self.question {
            Acoustics::MfccTrack => {
                let track = without_rounding(Mfcc::speech()?.compute(samples)?);
                let shape = (1, track.len());
                let flat = track.into_iter().collect();
                let found = Array2::from_shape_vec(shape, flat);
                return Ok(found.unwrap_or_else(|_| unreachable!("one row of all values")));
            }
            Acoustics::Mfcc => {
                let mfcc = Mfcc::speech()?;
                (without_rounding(mfcc.compute(samples)?), *mfcc.frames())
            }
            Acoustics::Fbank => {
                let fbank = fbank()?;
                (fbank.compute(samples)?, *fbank.frames())
            }
            Acoustics::Pitch => {
                let yin = yin()?;
                (column(yin.compute(samples)?), *yin.frames())
            }
            Acoustics::Energy => {
                let rms = Rms::new(Frames::SPEECH);
                (column(rms.compute_db(samples)?), *rms.frames())
            }
        };
        Ok(at(
            &values,
            frames.times(samples.len()).as_slice().unwrap_or_default(),
            times,
        ))
    }
}

/// MFCC of frames without sound are 0 but for rounding, which no probe should be asked for: values reach hundreds, and
/// single precision resolves 1e-5 of that.
fn without_rounding(mut mfcc: Array2<f32>) -> Array2<f32> {
    mfcc.mapv_inplace(|value| if value.abs() < 1e-3 { 0.0 } else { value });
    mfcc
}

/// The row whose time is nearest to each of `wanted`, both rising.
fn at(values: &Array2<f32>, times: &[f64], wanted: &[f64]) -> Array2<f32> {
    let rows: Vec<usize> = wanted.iter().map(|&time| nearest(times, time)).collect();
    values.select(Axis(0), &rows)
}

fn fbank() -> braintune_audio::Result<Fbank> {
    Fbank::new(Frames::SPEECH, N_MELS, 0.0..8000.0)
}

fn yin() -> braintune_audio::Result<Yin> {
    let frames = Frames::new(PITCH_FRAME, HOP, SampleRate::SPEECH, Framing::Inside)?;
    Yin::new(frames, PITCH_HZ)
}

fn names(question: Acoustics) -> Result<Vec<String>> {
    let numbered = |n: usize| (0..n).map(|i| i.to_string()).collect();
    Ok(match question {
        Acoustics::Mfcc => numbered(Mfcc::speech()?.n_mfcc()),
        Acoustics::MfccTrack => {
            let mfcc = Mfcc::speech()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "seconds of audio"
            )]
            let n_samples = (TRACK_S * f64::from(SampleRate::SPEECH.as_hz())) as usize;
            numbered(mfcc.frames().n_frames(n_samples) * mfcc.n_mfcc())
        }
        Acoustics::Fbank => numbered(N_MELS),
        Acoustics::Pitch => vec!["f0".to_owned()],
        Acoustics::Energy => vec!["rms".to_owned()],
    })
}

/// Pieces in which a model hears a file: all of it at once, unless it is longer than Whisper takes.
fn spans(audio: &Path) -> Result<Vec<Option<std::ops::Range<f64>>>> {
    let length_s = match probe_audio(audio)?.duration_s() {
        Some(length_s) => length_s,
        None => decode_audio(audio)?.duration_s(), // a FLAC that was written into a pipe
    };
    if length_s <= LONG_S {
        return Ok(vec![None]);
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of audio"
    )]
    let n = (length_s / PIECE_S) as u32; // what is left at the end is not heard
    let piece = |i: u32| Some(f64::from(i) * PIECE_S..f64::from(i + 1) * PIECE_S);
    Ok((0..n).map(piece).collect())
}

fn find(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    found.extend(files(folder)?.into_iter().filter(|path| is_audio(path)));
    // A link may lead back here.
    for below in folders(folder)?.iter().filter(|path| !path.is_symlink()) {
        find(below, found)?;
    }
    Ok(())
}
