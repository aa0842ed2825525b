//! The header of a NIST SPHERE file, as TIMIT and other corpora of the LDC are stored in.
//!
//! `NIST_1A`, the header's size in bytes, lines of `name -i|-r|-sN value` up to `end_head`; the
//! samples, channels interleaved, begin where the size says. They are read as those of a WAV file,
//! after their bytes have been turned round where they must.
//!
//! `sample_count` is per channel. Reads what libsndfile 1.2.2 writes (`src/nist.c`), so PCM of one
//! byte has a sign, and a header that does not name its coding is PCM, as TIMIT's own are. Differs:
//! `sample_count` must be there, because a cut file cannot be told without it, and the byte order is
//! never guessed. `sample_checksum` is not checked. Held by `tests/it/sphere.rs`.

use std::fs::File;
use std::io::{Read, Seek};
use std::ops::RangeInclusive;
use std::path::Path;

use crate::error::read_failed;
use crate::wav::{Format, Layout, TAG_ALAW, TAG_MULAW, TAG_PCM, WavHeader};
use crate::{AudioError, Result};

/// What a SPHERE file begins with.
pub(crate) const MAGIC: &[u8] = b"NIST_1A";
/// More than any header has: they are of 1024 bytes, or a few times that.
const MAX_HEADER_BYTES: u64 = 1 << 20;

/// Reads the header of a file that starts with [`MAGIC`].
///
/// # Errors
/// [`AudioError::InvalidHeader`] for a header that is not whole or says what cannot be,
/// [`AudioError::Unsupported`] for samples compressed or coded in another way,
/// [`AudioError::Truncated`] where the file is shorter than its header says,
/// [`AudioError::NoSamples`], [`AudioError::Io`].
pub(crate) fn read_header(path: &Path, file: &mut File, file_len: u64) -> Result<WavHeader> {
    let head = read_start(path, file, 32)?;
    let mut lines = head.split('\n');
    let (Some(said), Some(_)) = (lines.nth(1), lines.next()) else {
        return Err(not_whole(path, file_len, 16, "it does not give its size"));
    };
    let Some(size) = parse_whole(said.trim()).filter(|size| *size <= MAX_HEADER_BYTES) else {
        let said = said.trim();
        return Err(invalid(
            path,
            format!("its size is {said:?}, expected at most {MAX_HEADER_BYTES} bytes"),
        ));
    };
    let text = read_start(path, file, size)?;
    let Some(end) = text.lines().position(|line| line.trim() == "end_head") else {
        return Err(not_whole(path, file_len, size, "it has no end_head"));
    };
    let fields = Fields {
        path,
        lines: text.lines().take(end).collect(),
    };
    let n_samples = fields.whole("sample_count", 0..=u64::MAX)?;
    WavHeader::at_data(path, &fields.format()?, size..file_len, Some(n_samples))
}

/// The lines of a header.
struct Fields<'a> {
    path: &'a Path,
    lines: Vec<&'a str>,
}

impl<'a> Fields<'a> {
    /// The first word of a field's value; no field that says how to read the samples has two.
    fn word(&self, name: &str) -> Option<&'a str> {
        self.lines.iter().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(name)).then_some(())?;
            words.nth(1)
        })
    }

    fn whole(&self, name: &str, range: RangeInclusive<u64>) -> Result<u64> {
        let Some(word) = self.word(name) else {
            return Err(invalid(self.path, format!("it has no {name}")));
        };
        parse_whole(word)
            .filter(|value| range.contains(value))
            .ok_or_else(|| {
                let (low, high) = (range.start(), range.end());
                let word = start_of(word);
                invalid(
                    self.path,
                    format!("{name} is {word:?}, expected a whole number of {low} to {high}"),
                )
            })
    }

    fn whole_u16(&self, name: &str) -> Result<u16> {
        let value = self.whole(name, 1..=u64::from(u16::MAX))?;
        Ok(u16::try_from(value).unwrap_or(u16::MAX))
    }

    fn format(&self) -> Result<Format> {
        let n_channels = self.whole_u16("channel_count")?;
        let rate_hz = self.whole("sample_rate", 1..=u64::from(u32::MAX))?;
        // TIMIT's own headers do not name the coding.
        let coding = self.word("sample_coding").unwrap_or("pcm");
        let tag = match coding {
            "pcm" => TAG_PCM,
            "ulaw" | "mu-law" => TAG_MULAW,
            "alaw" => TAG_ALAW,
            other => {
                let other = start_of(other);
                return Err(self.unsupported(format!(
                    "NIST SPHERE samples coded as {other:?} (sph2pipe and sox can convert most)"
                )));
            }
        };
        if n_channels > 1 && self.word("channels_interleaved") == Some("FALSE") {
            return Err(self.unsupported("NIST SPHERE channels one after the other".to_owned()));
        }
        let bytes_per_sample = self.whole_u16("sample_n_bytes")?;
        let layout = match (tag, bytes_per_sample) {
            (TAG_PCM, 1) => Layout::Signed8,
            (TAG_PCM, 2) => self.byte_order()?,
            (TAG_MULAW | TAG_ALAW, 1) => Layout::Wav,
            (_, n) => {
                let what = format!("NIST SPHERE samples coded as {coding} in {n} bytes each");
                return Err(self.unsupported(what));
            }
        };
        Ok(Format {
            tag,
            n_channels,
            rate_hz: u32::try_from(rate_hz).unwrap_or(u32::MAX),
            bytes_per_sample,
            layout,
        })
    }

    fn byte_order(&self) -> Result<Layout> {
        match self.word("sample_byte_format") {
            Some("01") => Ok(Layout::Wav),
            Some("10") => Ok(Layout::BigEndian16),
            Some(other) => {
                let other = start_of(other);
                Err(self.unsupported(format!("NIST SPHERE byte format {other:?}")))
            }
            None => Err(invalid(
                self.path,
                "it has no sample_byte_format".to_owned(),
            )),
        }
    }

    fn unsupported(&self, what: String) -> AudioError {
        AudioError::Unsupported {
            path: self.path.into(),
            what,
        }
    }
}

/// Up to `n_bytes` from the file's start. Values of other fields may be in any encoding.
fn read_start(path: &Path, file: &mut File, n_bytes: u64) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()
        .and_then(|()| file.take(n_bytes).read_to_end(&mut bytes))
        .map_err(read_failed(path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A count; some writers give rates as `-r 16000.0`.
fn parse_whole(word: &str) -> Option<u64> {
    let (whole, fraction) = word.split_once('.').unwrap_or((word, ""));
    let is_whole = fraction.bytes().all(|digit| digit == b'0');
    whole.parse().ok().filter(|_| is_whole)
}

fn invalid(path: &Path, reason: String) -> AudioError {
    AudioError::InvalidHeader {
        path: path.into(),
        format: "NIST SPHERE",
        reason,
    }
}

/// The error for a header that ends too early: with the file, or although the file goes on.
fn not_whole(path: &Path, file_len: u64, expected_len: u64, reason: &str) -> AudioError {
    if file_len < expected_len {
        AudioError::Truncated {
            path: path.into(),
            found_s: 0.0,
            expected_s: None,
        }
    } else {
        invalid(path, reason.to_owned())
    }
}

/// As much of a value as fits into a message.
fn start_of(word: &str) -> &str {
    word.char_indices()
        .nth(40)
        .map_or(word, |(end, _)| &word[..end])
}
