//! The chunks of a WAV file, up to its samples.
//!
//! Sizes are checked here against the length of the file, because a decoder that simply reads on
//! turns a cut file into shorter audio. symphonia then decodes the samples behind a canonical header
//! with one interleaved channel, so that any channel count, channel mask, `fact` chunk and streamed
//! size is read alike. Samples of NIST SPHERE take the same way, once their bytes are those of WAV.
//! Held by `tests/it/decoding.rs`, `tests/it/bad_input.rs` and `tests/it/sphere.rs`.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use crate::error::read_failed;
use crate::{AudioError, Result, SampleRate};

pub(crate) const TAG_PCM: u16 = 1;
const TAG_FLOAT: u16 = 3;
pub(crate) const TAG_ALAW: u16 = 6;
pub(crate) const TAG_MULAW: u16 = 7;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// What the chunks of a WAV file, or the lines of a SPHERE file, say of the samples, checked against
/// the length of the file.
#[derive(Debug)]
pub(crate) struct WavHeader {
    tag: u16,
    bytes_per_sample: u16,
    layout: Layout,
    pub(crate) n_channels: usize,
    pub(crate) rate: SampleRate,
    /// Samples per channel.
    pub(crate) n_frames: u64,
    data_start: u64,
}

/// How samples are coded: the part of a `fmt ` chunk that matters.
pub(crate) struct Format {
    pub(crate) tag: u16,
    pub(crate) n_channels: u16,
    pub(crate) rate_hz: u32,
    pub(crate) bytes_per_sample: u16,
    pub(crate) layout: Layout,
}

/// The bytes of samples, as against those of a WAV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// The same.
    Wav,
    /// Two bytes, the high one first.
    BigEndian16,
    /// One byte with a sign; in a WAV file 128 stands for zero.
    Signed8,
}

impl WavHeader {
    /// Reads the header of a file that starts with `RIFF....WAVE`.
    ///
    /// # Errors
    /// [`AudioError::Truncated`] where the file is shorter than its `data` chunk says,
    /// [`AudioError::NoSamples`], [`AudioError::Unsupported`], [`AudioError::Io`].
    pub(crate) fn read(path: &Path, file: &mut File, file_len: u64) -> Result<Self> {
        let mut riff = [0; 12];
        let read = read_failed(path);
        file.seek(SeekFrom::Start(0))
            .and_then(|_| file.read_exact(&mut riff))
            .map_err(read)?;
        let riff_len = u64::from(le_u32(&riff, 4)) + 8;

        let mut format = None;
        let mut at = 12;
        while at + 8 <= file_len {
            let mut chunk = [0; 8];
            file.seek(SeekFrom::Start(at)).map_err(read)?;
            file.read_exact(&mut chunk).map_err(read)?;
            let (len, start) = (le_u32(&chunk, 4), at + 8);
            match (&chunk[..4], &format) {
                (b"fmt ", _) => {
                    let mut body = Vec::new();
                    file.take(u64::from(len).min(64))
                        .read_to_end(&mut body)
                        .map_err(read)?;
                    if start + u64::from(len) > file_len {
                        break; // cut within
                    }
                    format = Some(parse_format(path, &body)?);
                }
                (b"data", Some(format)) => {
                    let streamed = is_streamed(len) && (len != 0 || riff_len != file_len);
                    let promised = (!streamed).then(|| u64::from(len) / format.frame_bytes());
                    return Self::at_data(path, format, start..file_len, promised);
                }
                _ => {}
            }
            at = start + u64::from(len) + u64::from(len % 2);
        }
        Err(if riff_len > file_len {
            AudioError::Truncated {
                path: path.into(),
                found_s: 0.0,
                expected_s: None,
            }
        } else {
            AudioError::NoSamples { path: path.into() }
        })
    }

    /// The header of samples that lie in the bytes `data` of a file, `promised` of them per channel
    /// or all that are there.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    pub(crate) fn at_data(
        path: &Path,
        format: &Format,
        data: Range<u64>,
        promised: Option<u64>,
    ) -> Result<Self> {
        let there = data.end.saturating_sub(data.start) / format.frame_bytes();
        let n_frames = promised.unwrap_or(there);
        let rate = SampleRate::from_hz(format.rate_hz).map_err(|_| AudioError::Unsupported {
            path: path.into(),
            what: format!("a sample rate of {} Hz", format.rate_hz),
        })?;
        if n_frames > there {
            return Err(AudioError::Truncated {
                path: path.into(),
                found_s: rate.seconds(there),
                expected_s: Some(rate.seconds(n_frames)),
            });
        }
        if n_frames == 0 {
            return Err(AudioError::NoSamples { path: path.into() });
        }
        Ok(Self {
            tag: format.tag,
            bytes_per_sample: format.bytes_per_sample,
            layout: format.layout,
            n_channels: usize::from(format.n_channels),
            rate,
            n_frames,
            data_start: data.start,
        })
    }

    /// The samples as a WAV stream of one interleaved channel.
    pub(crate) fn canonical_stream(&self, mut file: File) -> io::Result<impl Read + use<>> {
        let len = self.n_frames * self.n_channels as u64 * u64::from(self.bytes_per_sample);
        let data_len = u32::try_from(len).map_err(|_| io::Error::other("over 4 GiB of samples"))?;
        let mut header = Vec::with_capacity(46);
        header.extend(b"RIFF\xff\xff\xff\xffWAVEfmt ");
        header.extend(18_u32.to_le_bytes());
        header.extend(self.tag.to_le_bytes());
        header.extend(1_u16.to_le_bytes());
        header.extend(self.rate.as_hz().to_le_bytes());
        header.extend((self.rate.as_hz() * u32::from(self.bytes_per_sample)).to_le_bytes());
        header.extend(self.bytes_per_sample.to_le_bytes());
        header.extend((self.bytes_per_sample * 8).to_le_bytes());
        header.extend(0_u16.to_le_bytes());
        header.extend(b"data");
        header.extend(data_len.to_le_bytes());
        file.seek(SeekFrom::Start(self.data_start))?;
        Ok(Cursor::new(header).chain(WavBytes {
            samples: file.take(len),
            layout: self.layout,
            block: Cursor::new(Vec::new()),
        }))
    }
}

impl Format {
    /// Bytes of one sample of every channel.
    fn frame_bytes(&self) -> u64 {
        u64::from(self.bytes_per_sample) * u64::from(self.n_channels)
    }
}

/// Samples of any layout as the bytes a WAV file would have.
struct WavBytes<R> {
    samples: R,
    layout: Layout,
    /// What is turned round and not read yet.
    block: Cursor<Vec<u8>>,
}

/// Bytes turned round together; an even number.
const BLOCK: u64 = 8192;

impl<R: Read> Read for WavBytes<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.layout == Layout::Wav {
            return self.samples.read(out);
        }
        if self.block.position() == self.block.get_ref().len() as u64 {
            let mut block = Vec::new();
            self.samples.by_ref().take(BLOCK).read_to_end(&mut block)?;
            match self.layout {
                Layout::Wav => {}
                Layout::BigEndian16 => block.chunks_exact_mut(2).for_each(<[u8]>::reverse),
                Layout::Signed8 => block.iter_mut().for_each(|byte| *byte ^= 0x80),
            }
            self.block = Cursor::new(block);
        }
        self.block.read(out)
    }
}

/// Whether a `data` size is what programs write that do not know it yet: ffmpeg and arecord all
/// ones or zero, sox 0x7ffff000, others the largest positive number.
fn is_streamed(len: u32) -> bool {
    len == 0 || len == 0x7fff_f000 || len == 0x7fff_ffff || len >= 0xffff_ff00
}

fn parse_format(path: &Path, body: &[u8]) -> Result<Format> {
    let unsupported = |what| {
        Err(AudioError::Unsupported {
            path: path.into(),
            what,
        })
    };
    if body.len() < 16 {
        return unsupported(format!("a WAV format chunk of {} bytes", body.len()));
    }
    let (n_channels, block, bits) = (le_u16(body, 2), le_u16(body, 12), le_u16(body, 14));
    let mut tag = le_u16(body, 0);
    if tag == TAG_EXTENSIBLE && body.len() >= 40 {
        // The first two bytes of the sub-format GUID are the plain tag.
        tag = le_u16(body, 24);
    }
    if n_channels == 0 {
        return unsupported("a WAV file of 0 channels".to_owned());
    }
    // Samples of, say, 20 bits sit left-justified in whole bytes.
    let bytes_per_sample = if block % n_channels == 0 && block > 0 {
        block / n_channels
    } else {
        bits.div_ceil(8)
    };
    let known = match tag {
        TAG_PCM => (1..=4).contains(&bytes_per_sample) && bits <= 8 * bytes_per_sample,
        TAG_FLOAT => matches!((bytes_per_sample, bits), (4, 32) | (8, 64)),
        TAG_ALAW | TAG_MULAW => bytes_per_sample == 1,
        _ => false,
    };
    if !known {
        return unsupported(format!(
            "WAV encoding {tag:#06x} with {bits} bits per sample"
        ));
    }
    Ok(Format {
        tag,
        n_channels,
        rate_hz: le_u32(body, 4),
        bytes_per_sample,
        layout: Layout::Wav,
    })
}

fn le_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn le_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
