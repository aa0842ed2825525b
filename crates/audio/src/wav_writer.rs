//! Writing WAV files.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use tempfile::{Builder, NamedTempFile};

use crate::{AudioError, Result, Waveform};

/// Bytes before the samples.
const HEADER_LEN: u32 = 44;
/// Samples of 2 bytes that a 32-bit RIFF size leaves room for.
const MAX_SAMPLES: usize = ((u32::MAX - HEADER_LEN) / 2) as usize;

/// Writes `wave` as 16-bit PCM mono, under a temporary name until it is complete.
///
/// Samples are rounded to 1/32768 and cut off at full scale, so that a 16-bit file read by
/// [`decode_audio`](crate::decode_audio) is written back bit by bit.
///
/// # Errors
/// [`AudioError::Io`], also on a full disk; [`AudioError::TooLongForWav`].
pub fn write_wav(path: &Path, wave: &Waveform) -> Result<()> {
    let n_samples = wave.samples().len();
    if n_samples > MAX_SAMPLES {
        return Err(AudioError::TooLongForWav {
            path: path.into(),
            n_samples,
            max: MAX_SAMPLES,
        });
    }
    let folder = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    temporary_in(folder)
        .and_then(|file| {
            write_samples(file.as_file(), wave)?;
            file.persist(path).map_err(io::Error::from)
        })
        .map(drop)
        .map_err(|source| AudioError::Io {
            path: path.into(),
            doing: "write",
            source,
        })
}

fn temporary_in(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = Builder::new();
    builder.prefix(".wav-");
    // Readable by others, within the umask, as any file one writes.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn write_samples(file: &File, wave: &Waveform) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    let rate = wave.sample_rate().as_hz();
    #[expect(clippy::cast_possible_truncation, reason = "at most MAX_SAMPLES")]
    let data_len = 2 * wave.samples().len() as u32;
    out.write_all(b"RIFF")?;
    out.write_all(&(HEADER_LEN - 8 + data_len).to_le_bytes())?;
    out.write_all(b"WAVEfmt ")?;
    out.write_all(&16_u32.to_le_bytes())?;
    out.write_all(&1_u16.to_le_bytes())?;
    out.write_all(&1_u16.to_le_bytes())?;
    out.write_all(&rate.to_le_bytes())?;
    out.write_all(&(2 * rate).to_le_bytes())?;
    out.write_all(&2_u16.to_le_bytes())?;
    out.write_all(&16_u16.to_le_bytes())?;
    out.write_all(b"data")?;
    out.write_all(&data_len.to_le_bytes())?;
    for &x in wave.samples() {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float to integer cast saturates"
        )]
        let sample = (x * 32768.0).round() as i16;
        out.write_all(&sample.to_le_bytes())?;
    }
    out.flush()
}
