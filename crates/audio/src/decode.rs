//! Files to mono waveforms.
//!
//! The whole file, mean of the channels, `[n_samples]` at the file's rate or at 16 kHz. Encoder
//! delay and padding of MP3 and OGG are removed, as libsndfile, mpg123 and ffmpeg do; FLAC is checked
//! against its MD5. What comes back is all of the audio, or an error. Held by `tests/it/decoding.rs`
//! against libsndfile, and by `tests/it/bad_input.rs`.

use std::ops::Range;
use std::path::Path;

use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::{SeekMode, SeekTo};
use symphonia::core::packet::Packet;
use symphonia::core::units::Timestamp;
use tracing::{debug, instrument, warn};

use crate::container::{AudioFile, Container};
use crate::{AudioError, Result, SampleRate, Waveform};

/// Decodes a WAV, NIST SPHERE, FLAC, MP3 or OGG Vorbis file to mono at 16 kHz.
///
/// The format is told from the content. Channels are averaged, then the rate is converted.
///
/// # Errors
/// One [`AudioError`] for each of: a missing file, a directory, an empty file, a git-annex or Git LFS
/// pointer, a file that is not audio, a format or encoding that is not read, a header without
/// samples, a SPHERE header that cannot be, a truncated or damaged file, samples that are not finite.
#[instrument(skip_all, fields(path = %path.display()))]
pub fn load_audio(path: &Path) -> Result<Waveform> {
    decode_audio(path)?.resampled(SampleRate::SPEECH)
}

/// Decodes a file as [`load_audio`] does, and keeps its sample rate.
///
/// # Errors
/// Those of [`load_audio`].
#[instrument(skip_all, fields(path = %path.display()))]
pub fn decode_audio(path: &Path) -> Result<Waveform> {
    let mut file = AudioFile::open(path)?;
    let (mut samples, read) = decode_samples(&mut file)?;
    let kept = kept_range(&file, read)?;
    samples.truncate(index(kept.end));
    samples.drain(..index(kept.start));
    debug!(n_samples = samples.len(), rate = %file.rate, n_channels = file.n_channels);
    Waveform::from_samples(samples, file.rate).map_err(|e| match e {
        AudioError::EmptyWaveform => AudioError::NoSamples { path: path.into() },
        AudioError::NonFiniteSample { index, .. } => AudioError::NonFiniteFile {
            path: path.into(),
            at_s: file.rate.seconds(index as u64),
        },
        e => e,
    })
}

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudioInfo {
    /// Samples per second and channel.
    pub sample_rate: SampleRate,
    /// Channels, which [`load_audio`] averages.
    pub n_channels: usize,
    /// Samples per channel; `None` for a FLAC stream whose encoder did not know.
    pub n_samples: Option<u64>,
}

impl AudioInfo {
    /// The length in seconds, where the file says it.
    #[must_use]
    pub fn duration_s(&self) -> Option<f64> {
        self.n_samples.map(|n| self.sample_rate.seconds(n))
    }
}

/// Reads what is needed to know a file's length and whether all of it is there, and decodes nothing:
/// the header and size of a WAV or SPHERE file, both ends of a FLAC and an OGG, every frame header of an MP3.
///
/// # Errors
/// Those of [`load_audio`], as far as they show without decoding.
#[instrument(skip_all, fields(path = %path.display()))]
pub fn probe_audio(path: &Path) -> Result<AudioInfo> {
    let mut file = AudioFile::open(path)?;
    make_decoder(&file)?;
    let header_suffices = match (&file.container, file.n_expected) {
        (Container::Wav | Container::Sphere, _)
        | (Container::Flac, None)
        | (Container::Ogg, Some(_)) => true,
        (Container::Flac, Some(n)) => reaches_last(&mut file, n),
        (Container::Ogg, None) | (Container::Mp3(_), _) => false,
    };
    let n_samples = if header_suffices {
        file.n_expected
    } else {
        let mut file = AudioFile::open(path)?;
        let read = count_samples(&mut file)?;
        let kept = kept_range(&file, read)?;
        Some(kept.end - kept.start)
    };
    if n_samples == Some(0) {
        return Err(AudioError::NoSamples { path: path.into() });
    }
    Ok(AudioInfo {
        sample_rate: file.rate,
        n_channels: file.n_channels,
        n_samples,
    })
}

/// How much was read: samples per channel, and bytes of packets.
#[derive(Clone, Copy, Default)]
struct Tally {
    n_samples: u64,
    packet_bytes: u64,
}

/// Decodes to the mean of the channels, MP3 with the encoder's delay and padding still there.
fn decode_samples(file: &mut AudioFile) -> Result<(Vec<f32>, Tally)> {
    let mut codec = make_decoder(file)?;
    let (mut mono, mut pending, mut packet_samples) = (Vec::new(), Vec::new(), Vec::new());
    let mut read = Tally::default();
    while let Some(packet) = next_packet(file, read)? {
        let decoded = codec.decode(&packet).map_err(|e| match e {
            // Running out of bits within a packet is damage, not the end of the file.
            SymphoniaError::IoError(e) => AudioError::Corrupt {
                path: file.path.clone(),
                at_s: file.rate.seconds(read.n_samples),
                source: e.into(),
            },
            e => file.damaged(read.n_samples, e),
        })?;
        decoded.copy_to_vec_interleaved::<f32>(&mut packet_samples);
        pending.append(&mut packet_samples);
        let whole = pending.len() - pending.len() % file.n_channels;
        let mean = |frame: &[f32]| frame.iter().sum::<f32>() / file.n_channels as f32;
        mono.extend(pending[..whole].chunks_exact(file.n_channels).map(mean));
        pending.drain(..whole);
        read.n_samples = mono.len() as u64;
        read.packet_bytes += packet.data.len() as u64;
    }
    let is_short = file.n_expected.is_some_and(|n| read.n_samples < n);
    if !is_short && codec.finalize().verify_ok == Some(false) {
        return Err(AudioError::Corrupt {
            path: file.path.clone(),
            at_s: 0.0,
            source: "the decoded audio does not match its MD5 checksum".into(),
        });
    }
    Ok((mono, read))
}

fn make_decoder(file: &AudioFile) -> Result<Box<dyn AudioDecoder>> {
    let options = AudioDecoderOptions::default()
        // symphonia trims MP3 to the header's length even where there is more audio.
        .gapless(!matches!(file.container, Container::Mp3(_)))
        .verify(file.has_checksum());
    symphonia::default::get_codecs()
        .make_audio_decoder(&file.codec, &options)
        .map_err(|e| file.damaged(0, e))
}

/// The next packet of the audio stream.
fn next_packet(file: &mut AudioFile, read: Tally) -> Result<Option<Packet>> {
    loop {
        match file.reader.next_packet() {
            Ok(Some(packet)) if packet.track_id != file.track_id => {}
            Ok(packet) => return Ok(packet),
            Err(e) => return Err(file.damaged(read.n_samples, e)),
        }
    }
}

/// Reads all packets without decoding them.
fn count_samples(file: &mut AudioFile) -> Result<Tally> {
    let mp3_frame = match &file.container {
        Container::Mp3(frames) => Some(frames.samples_per_frame()),
        _ => None,
    };
    let mut read = Tally::default();
    while let Some(packet) = next_packet(file, read)? {
        read.n_samples += mp3_frame.unwrap_or(packet.dur.get());
        read.packet_bytes += packet.data.len() as u64;
    }
    Ok(read)
}

/// Whether the last of `n_samples` can be found.
fn reaches_last(file: &mut AudioFile, n_samples: u64) -> bool {
    let Ok(last) = i64::try_from(n_samples.saturating_sub(1)) else {
        return false;
    };
    let to = SeekTo::Timestamp {
        ts: Timestamp::new(last),
        track_id: file.track_id,
    };
    file.reader.seek(SeekMode::Accurate, to).is_ok()
        && matches!(file.reader.next_packet(), Ok(Some(_)))
}

/// The samples of what was read that are the audio, once it is known that none are missing.
fn kept_range(file: &AudioFile, read: Tally) -> Result<Range<u64>> {
    let n = read.n_samples;
    let Container::Mp3(frames) = &file.container else {
        let must_say = matches!(file.container, Container::Ogg);
        return match file.n_expected {
            Some(expected) if n < expected => Err(file.truncated(n)),
            None if must_say => Err(file.truncated(n)),
            _ => Ok(0..n),
        };
    };
    let left_over = frames.left_over(read.packet_bytes);
    if frames.is_cut(&file.path, left_over)? {
        return Err(file.truncated(n));
    }
    if left_over > 0 {
        warn!(path = %file.path.display(), left_over, "bytes that are no MP3 frames were skipped");
    }
    let (delay, padding) = file.padding;
    let total = file
        .n_expected
        .map_or(n, |expected| expected + delay + padding);
    // Some encoders count the frame that holds the header.
    if n + frames.samples_per_frame() < total {
        return Err(file.truncated(n));
    }
    if n != total {
        warn!(path = %file.path.display(), found = n, expected = total, "MP3 header is wrong");
    }
    let padding = if n > total {
        0
    } else {
        padding.saturating_sub(total - n)
    };
    let end = n.saturating_sub(padding);
    Ok(delay.min(end)..end)
}

/// A sample's position as an index; nothing longer than memory is ever decoded.
fn index(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
