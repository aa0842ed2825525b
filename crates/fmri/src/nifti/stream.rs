//! The values of a NIfTI file one after another, from a plain or a gzip file.
//!
//! Memory grows with what was really read, never with what a header claims. Held by
//! `tests/it/nifti.rs` and `tests/it/nifti_damage.rs`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::NiftiHeader;
use crate::files::read_error;
use crate::{FmriError, Result};

/// Bytes decoded at once, a whole number of values of any type.
const BLOCK_BYTES: usize = 1 << 16;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A file open for reading from its start to its end.
pub(super) enum Bytes {
    Plain(BufReader<File>),
    Gzip(Box<MultiGzDecoder<BufReader<File>>>),
}

impl Bytes {
    /// Opens `path`; its first bytes, not its name, say whether it is compressed.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let open = || {
            let mut file = BufReader::new(File::open(path)?);
            if file.fill_buf()?.starts_with(&GZIP_MAGIC) {
                Ok(Self::Gzip(Box::new(MultiGzDecoder::new(file))))
            } else {
                Ok(Self::Plain(file))
            }
        };
        open().map_err(|source| read_error(path, "NIfTI file", source))
    }

    pub(super) fn is_gzip(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }

    /// Moves `n` bytes on; gives how many there were.
    fn skip(&mut self, n: u64) -> io::Result<u64> {
        match self {
            Self::Plain(file) => {
                let at = file.stream_position()?;
                let end = file.get_ref().metadata()?.len();
                let n = n.min(end.saturating_sub(at));
                file.seek(SeekFrom::Start(at + n))?;
                Ok(n)
            }
            Self::Gzip(_) => io::copy(&mut self.take(n), &mut io::sink()),
        }
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Gzip(decoder) => match decoder.read(buffer) {
                // Blocks of tapes and of some archives are filled up with zeros: gzip skips them.
                Err(error) if is_no_member(&error) && is_zeros(decoder.get_mut()) => Ok(0),
                read => read,
            },
        }
    }
}

/// The values of one file in the order they are stored, the first axis fastest.
pub(super) struct Values<'a> {
    path: &'a Path,
    header: &'a NiftiHeader,
    bytes: Bytes,
    position: u64,
    block: Vec<u8>,
}

impl<'a> Values<'a> {
    /// Opens the file of the values, ready to read the first one.
    pub(super) fn open(path: &'a Path, header: &'a NiftiHeader) -> Result<Self> {
        let mut values = Self {
            path,
            header,
            bytes: Bytes::open(path)?,
            position: 0,
            block: vec![0; BLOCK_BYTES],
        };
        values.skip_bytes(header.data_offset)?;
        Ok(values)
    }

    /// Skips `n` values.
    pub(super) fn skip(&mut self, n: u64) -> Result<()> {
        self.skip_bytes(n.saturating_mul(self.header.number_type.size() as u64))
    }

    /// Calls `with` for the next `n` values, scaled.
    pub(super) fn read(&mut self, n: usize, mut with: impl FnMut(f64)) -> Result<()> {
        let number_type = self.header.number_type;
        let big_endian = self.header.big_endian;
        let scaling = self.header.scaling;
        let mut left = n;
        while left > 0 {
            let n_now = left.min(BLOCK_BYTES / number_type.size());
            let n_bytes = n_now * number_type.size();
            self.fill_block(n_bytes)?;
            let block = &self.block[..n_bytes];
            match scaling {
                None => number_type.decode(block, big_endian, &mut with),
                // Two roundings, as in NumPy: no fused multiply-add.
                Some((slope, inter)) => {
                    number_type.decode(block, big_endian, &mut |value| {
                        with(value * slope + inter);
                    });
                }
            }
            left -= n_now;
        }
        Ok(())
    }

    /// Reads on to the end of a compressed file, where its checksum is.
    pub(super) fn verify_rest(mut self) -> Result<()> {
        if self.bytes.is_gzip() {
            self.skip_bytes_present(u64::MAX)?;
        }
        Ok(())
    }

    fn skip_bytes(&mut self, n: u64) -> Result<()> {
        if self.skip_bytes_present(n)? < n {
            return Err(self.truncated());
        }
        Ok(())
    }

    fn skip_bytes_present(&mut self, n: u64) -> Result<u64> {
        let skipped = self.bytes.skip(n);
        let skipped = skipped.map_err(|source| self.failed(source))?;
        self.position = self.position.saturating_add(skipped);
        Ok(skipped)
    }

    fn fill_block(&mut self, n_bytes: usize) -> Result<()> {
        let mut filled = 0;
        while filled < n_bytes {
            match self.bytes.read(&mut self.block[filled..n_bytes]) {
                Ok(0) => return Err(self.truncated()),
                Ok(n) => {
                    filled += n;
                    self.position += n as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(())
    }

    fn failed(&self, source: io::Error) -> FmriError {
        match source.kind() {
            // A compressed stream that stops in the middle.
            io::ErrorKind::UnexpectedEof => self.truncated(),
            _ => read_error(self.path, "NIfTI file", source),
        }
    }

    fn truncated(&self) -> FmriError {
        FmriError::TruncatedNifti {
            path: self.path.into(),
            expected: self
                .header
                .data_offset
                .saturating_add(self.header.data_bytes()),
            got: self.position,
        }
    }
}

/// Whether another member of a gzip file was looked for where none begins. A wrong checksum has the
/// same kind.
fn is_no_member(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidInput && error.to_string() == "invalid gzip header"
}

/// Whether nothing but zeros is left.
fn is_zeros(rest: &mut impl BufRead) -> bool {
    rest.bytes().all(|byte| byte.is_ok_and(|byte| byte == 0))
}
