//! Opening a file: what it holds, how much of it there should be, and a reader of its packets.
//!
//! The format is told from the content, never from the name. Beyond what symphonia does, this
//! module knows how many samples a whole file has, so that a cut one is an error: from the chunk sizes
//! of WAV, the lines of SPHERE, STREAMINFO of FLAC, the last page of OGG and the Xing/Info/VBRI header of MP3.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use symphonia::core::audio::Channels;
use symphonia::core::codecs::audio::AudioCodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_OPUS, CODEC_ID_SPEEX};
use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{
    MediaSource, MediaSourceStream, MediaSourceStreamOptions, ReadOnlySource,
};
use symphonia::core::meta::MetadataOptions;
use symphonia::default::formats::{MpaReader, WavReader};

use crate::error::read_failed;
use crate::mp3::{Mp3Frames, skip_id3v2};
use crate::wav::WavHeader;
use crate::{AudioError, Result, SampleRate, pointer_kind, sphere};

/// The formats, with what only one of them has.
pub(crate) enum Container {
    Wav,
    Sphere,
    Flac,
    Ogg,
    Mp3(Mp3Frames),
}

/// An audio file whose header has been read.
pub(crate) struct AudioFile {
    pub(crate) path: PathBuf,
    pub(crate) container: Container,
    pub(crate) reader: Box<dyn FormatReader>,
    pub(crate) track_id: u32,
    pub(crate) codec: AudioCodecParameters,
    pub(crate) rate: SampleRate,
    pub(crate) n_channels: usize,
    /// Samples per channel that the file says it has.
    pub(crate) n_expected: Option<u64>,
    /// Samples at the start and at the end that the MP3 encoder added.
    pub(crate) padding: (u64, u64),
}

impl AudioFile {
    /// Opens `path` and reads its header.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let (mut file, len) = open_file(path)?;
        let read = read_failed(path);
        let mut head = Vec::new();
        file.by_ref()
            .take(12)
            .read_to_end(&mut head)
            .map_err(read)?;
        file.rewind().map_err(read)?;
        if head.starts_with(b"RIFF") && head.ends_with(b"WAVE") {
            let header = WavHeader::read(path, &mut file, len)?;
            return Self::open_samples(path, file, &header, Container::Wav);
        }
        if head.starts_with(sphere::MAGIC) {
            let header = sphere::read_header(path, &mut file, len)?;
            return Self::open_samples(path, file, &header, Container::Sphere);
        }
        if head.starts_with(b"RF64") || (head.starts_with(b"FORM") && head.len() == 12) {
            let what = if head[0] == b'R' { "RF64" } else { "AIFF" }.to_owned();
            return Err(AudioError::Unsupported {
                path: path.into(),
                what,
            });
        }
        if head.starts_with(b"OggS") {
            return Self::open_probed(path, file, Container::Ogg);
        }
        if starts_flac(&mut file).map_err(read)? {
            return Self::open_probed(path, file, Container::Flac);
        }
        match Mp3Frames::find(&mut file, len).map_err(read)? {
            Some(frames) => Self::open_mp3(path, file, frames),
            None => Err(AudioError::NotAudio { path: path.into() }),
        }
    }

    /// WAV and SPHERE: a header, and samples as they are.
    fn open_samples(
        path: &Path,
        file: File,
        header: &WavHeader,
        container: Container,
    ) -> Result<Self> {
        let stream = header.canonical_stream(file).map_err(read_failed(path))?;
        let reader = WavReader::try_new(stream_once(stream), FormatOptions::default())
            .map_err(|e| damaged(path, 0.0, None, e))?;
        let mut opened = Self::from_reader(path, container, Box::new(reader))?;
        opened.n_channels = header.n_channels;
        opened.n_expected = Some(header.n_frames);
        Ok(opened)
    }

    fn open_mp3(path: &Path, mut file: File, frames: Mp3Frames) -> Result<Self> {
        file.seek(SeekFrom::Start(frames.start))
            .map_err(read_failed(path))?;
        // A stream that cannot seek keeps symphonia from estimating a length and trimming to it.
        let stream = stream_once(file.take(frames.end - frames.start));
        let reader = MpaReader::try_new(stream, FormatOptions::default())
            .map_err(|e| damaged(path, 0.0, None, e))?;
        Self::from_reader(path, Container::Mp3(frames), Box::new(reader))
    }

    /// FLAC and OGG, which seek to find their end.
    fn open_probed(path: &Path, mut file: File, container: Container) -> Result<Self> {
        let expected_s = match container {
            Container::Flac => flac_seconds(&mut file),
            _ => None,
        };
        let ended = matches!(container, Container::Ogg) && ogg_ends(&mut file).unwrap_or(false);
        let failed = |e: SymphoniaError| match e {
            // The headers are whole and no audio follows them.
            SymphoniaError::IoError(e)
                if e.kind() == io::ErrorKind::UnexpectedEof
                    && (ended || expected_s == Some(0.0)) =>
            {
                AudioError::NoSamples { path: path.into() }
            }
            e => damaged(path, 0.0, expected_s, e),
        };
        file.rewind().map_err(|e| failed(e.into()))?;
        let source: Box<dyn MediaSource> = Box::new(file);
        let reader = symphonia::default::get_probe()
            .probe(
                &Hint::new(),
                MediaSourceStream::new(source, MediaSourceStreamOptions::default()),
                FormatOptions::default(),
                MetadataOptions::default(),
            )
            .map_err(failed)?;
        Self::from_reader(path, container, reader)
    }

    fn from_reader(
        path: &Path,
        container: Container,
        reader: Box<dyn FormatReader>,
    ) -> Result<Self> {
        let unsupported = |what: &str| AudioError::Unsupported {
            path: path.into(),
            what: what.to_owned(),
        };
        let track = reader
            .default_track(TrackType::Audio)
            .ok_or_else(|| unsupported("a file without an audio stream of a known kind"))?;
        let codec = track
            .codec_params
            .as_ref()
            .and_then(|params| params.audio())
            .cloned()
            .ok_or_else(|| unsupported("an audio stream of an unknown kind"))?;
        if codec.codec == CODEC_ID_OPUS || codec.codec == CODEC_ID_SPEEX {
            return Err(unsupported("Opus or Speex audio"));
        }
        let rate_hz = codec.sample_rate.unwrap_or(0);
        let rate = SampleRate::from_hz(rate_hz)
            .map_err(|_| unsupported(&format!("a sample rate of {rate_hz} Hz")))?;
        let n_channels = codec.channels.as_ref().map_or(0, Channels::count);
        if n_channels == 0 {
            return Err(unsupported("audio without channels"));
        }
        Ok(Self {
            path: path.into(),
            track_id: track.id,
            n_expected: n_expected(track, &container),
            padding: (
                track.delay.unwrap_or(0).into(),
                track.padding.unwrap_or(0).into(),
            ),
            rate,
            n_channels,
            codec,
            container,
            reader,
        })
    }

    /// Whether the decoder can check the decoded audio against a checksum.
    pub(crate) fn has_checksum(&self) -> bool {
        self.codec.codec == CODEC_ID_FLAC
    }

    /// The error for a failure after `n_found` samples per channel.
    pub(crate) fn damaged(&self, n_found: u64, error: SymphoniaError) -> AudioError {
        let expected_s = self.n_expected.map(|n| self.rate.seconds(n));
        damaged(&self.path, self.rate.seconds(n_found), expected_s, error)
    }

    /// The error for a file that ends early, after `n_found` samples per channel.
    pub(crate) fn truncated(&self, n_found: u64) -> AudioError {
        self.damaged(
            n_found,
            SymphoniaError::IoError(io::ErrorKind::UnexpectedEof.into()),
        )
    }
}

/// Opens what must be a plain file with data in it.
fn open_file(path: &Path) -> Result<(File, u64)> {
    if let Some(kind) = pointer_kind(path) {
        return Err(AudioError::Pointer {
            path: path.into(),
            kind,
        });
    }
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => AudioError::NotFound { path: path.into() },
        _ => read_failed(path)(source),
    };
    // Looked at before it is opened: opening a pipe waits for its other end.
    let metadata = std::fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(AudioError::NotAFile { path: path.into() });
    }
    if metadata.len() == 0 {
        return Err(AudioError::EmptyFile { path: path.into() });
    }
    Ok((File::open(path).map_err(failed)?, metadata.len()))
}

/// Samples per channel that the header promises, where it can be relied on.
fn n_expected(track: &Track, container: &Container) -> Option<u64> {
    let n = track.num_frames?;
    match container {
        // The last page counts from time 0, and a stream cut from a longer one starts later.
        Container::Ogg => Some(n.saturating_sub(u64::try_from(track.start_ts.get()).unwrap_or(0))),
        _ => Some(n),
    }
}

fn stream_once(stream: impl Read + Send + Sync + 'static) -> MediaSourceStream<'static> {
    MediaSourceStream::new(
        Box::new(ReadOnlySource::new(stream)),
        MediaSourceStreamOptions::default(),
    )
}

/// Turns an error of symphonia into one of ours.
fn damaged(
    path: &Path,
    found_s: f64,
    expected_s: Option<f64>,
    error: SymphoniaError,
) -> AudioError {
    let failed = read_failed(path);
    let path = path.to_path_buf();
    match error {
        SymphoniaError::IoError(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
            AudioError::Truncated {
                path,
                found_s,
                expected_s,
            }
        }
        SymphoniaError::IoError(source) => failed(source),
        SymphoniaError::Unsupported(what) => AudioError::Unsupported {
            path,
            what: what.to_owned(),
        },
        SymphoniaError::ResetRequired => AudioError::Unsupported {
            path,
            what: "a chain of several audio streams".to_owned(),
        },
        e => AudioError::Corrupt {
            path,
            at_s: found_s,
            source: e.into(),
        },
    }
}

/// Whether a FLAC stream starts the file, after an `ID3v2` tag if there is one.
fn starts_flac(file: &mut File) -> io::Result<bool> {
    let mut marker = Vec::new();
    let start = skip_id3v2(file)?;
    file.seek(SeekFrom::Start(start))?;
    file.take(4).read_to_end(&mut marker)?;
    Ok(marker == b"fLaC")
}

/// The length that STREAMINFO gives; 0 stands for unknown there, and for none.
fn flac_seconds(file: &mut File) -> Option<f64> {
    let mut info = [0; 8 + 18];
    let start = skip_id3v2(file).ok()?;
    file.seek(SeekFrom::Start(start)).ok()?;
    file.read_exact(&mut info).ok()?;
    let bits = info[18..]
        .iter()
        .fold(0_u64, |bits, &b| (bits << 8) | u64::from(b));
    let rate = SampleRate::from_hz(u32::try_from(bits >> 44).ok()?).ok()?;
    Some(rate.seconds(bits & 0xf_ffff_ffff))
}

/// Whether an OGG file ends with a whole page marked as the last of its stream.
fn ogg_ends(file: &mut File) -> io::Result<bool> {
    const HEADER: usize = 27;
    const MAX_PAGE: u64 = HEADER as u64 + 255 + 255 * 255;
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(len.saturating_sub(MAX_PAGE)))?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail)?;
    let Some(start) = tail.windows(4).rposition(|window| window == b"OggS") else {
        return Ok(false);
    };
    let page = &tail[start..];
    let n_segments = page.get(HEADER - 1).map_or(0, |&n| usize::from(n));
    let Some(segments) = page.get(HEADER..HEADER + n_segments) else {
        return Ok(false);
    };
    let body: usize = segments.iter().map(|&len| usize::from(len)).sum();
    Ok(page[5] & 4 != 0 && page.len() == HEADER + n_segments + body)
}
