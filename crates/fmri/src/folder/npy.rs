//! The `.npy` format (`NumPy` NEP 1): headers, number types, and boxes of values as f32.
//!
//! A box is cut from three axes in any order on disk, in one forward pass over the stream; memory is
//! the box and one block of 64 k values. Versions 1 to 3, either byte order, C and Fortran order.
//! Held by `tests/it/folder.rs` against files written by numpy.

use std::io::{self, BufReader, Read};
use std::ops::Range;

use half::f16;

/// Bytes of a header, as many as numpy itself reads at most.
const MAX_HEADER_BYTES: usize = 10_000;
/// Values that are decoded at once.
const BLOCK_VALUES: usize = 1 << 16;
const MAGIC: [u8; 6] = *b"\x93NUMPY";

/// What the header of an array says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The type as written, such as `<f4`, or the text of a structured one.
    pub(super) descr: String,
    pub(super) is_fortran: bool,
    pub(super) shape: Vec<usize>,
    /// Bytes before the first value.
    pub(super) n_bytes: u64,
}

impl Header {
    /// Reads a header; the error is the reason why there is none.
    pub(super) fn read(reader: &mut dyn Read) -> Result<Self, String> {
        let mut start = [0; 8];
        reader
            .read_exact(&mut start)
            .map_err(|error| cut_short(&error))?;
        if start[..6] != MAGIC {
            return Err("it does not begin as a .npy array does".into());
        }
        let n_size_bytes = match start[6] {
            1 => 2,
            2 | 3 => 4,
            version => return Err(format!("version {version} of the .npy format")),
        };
        let mut size = [0; 4];
        reader
            .read_exact(&mut size[..n_size_bytes])
            .map_err(|error| cut_short(&error))?;
        let n_text = usize::try_from(u32::from_le_bytes(size)).unwrap_or(usize::MAX);
        if n_text > MAX_HEADER_BYTES {
            return Err(format!("its header claims {n_text} bytes"));
        }
        let mut text = vec![0; n_text];
        reader
            .read_exact(&mut text)
            .map_err(|error| cut_short(&error))?;
        let text = String::from_utf8_lossy(&text);
        let damaged = || format!("its header is damaged: {}", text.trim());
        let (descr, is_fortran, shape) = Literal(&text).header().ok_or_else(damaged)?;
        Ok(Self {
            descr,
            is_fortran,
            shape,
            n_bytes: (start.len() + n_size_bytes + n_text) as u64,
        })
    }
}

fn cut_short(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends inside its header".into(),
        _ => error.to_string(),
    }
}

/// The rest of a header's text, a Python dict of `descr`, `fortran_order` and `shape`.
struct Literal<'a>(&'a str);

impl Literal<'_> {
    fn header(mut self) -> Option<(String, bool, Vec<usize>)> {
        let (mut descr, mut is_fortran, mut shape) = (None, None, None);
        self.token("{")?;
        while self.token("}").is_none() {
            let key = self.string()?;
            self.token(":")?;
            match &*key {
                "descr" => descr = Some(self.string().or_else(|| self.nested())?),
                "fortran_order" => is_fortran = Some(self.bool()?),
                "shape" => shape = Some(self.sizes()?),
                _ => return None,
            }
            if self.token(",").is_none() {
                self.token("}")?;
                break;
            }
        }
        self.0.trim().is_empty().then_some(())?;
        Some((descr?, is_fortran?, shape?))
    }

    fn token(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }

    /// A string without escapes: types and keys have none.
    fn string(&mut self) -> Option<String> {
        let text = self.0.trim_start();
        let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
        let (string, rest) = text[1..].split_once(quote)?;
        self.0 = rest;
        Some(string.into())
    }

    fn bool(&mut self) -> Option<bool> {
        let is_true = self.token("True").is_some();
        if !is_true {
            self.token("False")?;
        }
        Some(is_true)
    }

    fn sizes(&mut self) -> Option<Vec<usize>> {
        self.token("(")?;
        let (sizes, rest) = self.0.split_once(')')?;
        self.0 = rest;
        let sizes = sizes.split(',').map(str::trim).filter(|n| !n.is_empty());
        // Python 2 wrote `3L`.
        sizes
            .map(|n| n.trim_end_matches('L').parse().ok())
            .collect()
    }

    /// The text of a structured type, from its bracket to the one that closes it.
    fn nested(&mut self) -> Option<String> {
        let text = self.0.trim_start();
        let mut depth = 0_usize;
        for (k, c) in text.char_indices() {
            match c {
                '[' | '(' => depth += 1,
                ']' | ')' => depth = depth.checked_sub(1)?,
                _ => {}
            }
            if depth == 0 {
                let end = k + c.len_utf8();
                self.0 = &text[end..];
                return (k > 0).then(|| text[..end].into());
            }
        }
        None
    }
}

/// A number type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element {
    kind: char,
    pub(super) width: usize,
    is_big_endian: bool,
}

impl Element {
    /// The type that `descr` names, if it is a float or an integer that is read here.
    pub(super) fn parse(descr: &str) -> Option<Self> {
        let mut chars = descr.chars();
        let order = chars.next().filter(|c| "<>|=".contains(*c))?;
        let kind = chars.next()?;
        let width = chars.as_str().parse().ok()?;
        let is_read = match kind {
            'f' => matches!(width, 2 | 4 | 8),
            'i' | 'u' => matches!(width, 1 | 2 | 4 | 8),
            _ => false,
        };
        is_read.then_some(Self {
            kind,
            width,
            is_big_endian: order == '>',
        })
    }

    /// Replaces `values` by what `bytes` hold, rounded as numpy's `astype` does.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_lossless,
        reason = "responses are f32 here, one rule for all types"
    )]
    fn decode(self, bytes: &[u8], values: &mut Vec<f32>) {
        macro_rules! decode {
            ($t:ty, $to_f32:expr) => {{
                let from = if self.is_big_endian {
                    <$t>::from_be_bytes
                } else {
                    <$t>::from_le_bytes
                };
                let to_f32: fn($t) -> f32 = $to_f32;
                let (items, _) = bytes.as_chunks();
                values.extend(items.iter().map(|&item| to_f32(from(item))));
            }};
        }
        values.clear();
        match (self.kind, self.width) {
            ('f', 2) => decode!(f16, f16::to_f32),
            ('f', 4) => decode!(f32, |x| x),
            ('f', _) => decode!(f64, |x| x as f32),
            ('i', 1) => decode!(i8, |x| x as f32),
            ('i', 2) => decode!(i16, |x| x as f32),
            ('i', 4) => decode!(i32, |x| x as f32),
            ('i', _) => decode!(i64, |x| x as f32),
            (_, 1) => decode!(u8, |x| x as f32),
            (_, 2) => decode!(u16, |x| x as f32),
            (_, 4) => decode!(u32, |x| x as f32),
            (_, _) => decode!(u64, |x| x as f32),
        }
    }
}

/// A stream that can be moved forward.
pub(super) trait Source: Read {
    fn skip(&mut self, n_bytes: u64) -> io::Result<()>;
    /// Compares checksums where there are some, which takes reading to the end.
    fn finish(&mut self) -> io::Result<()>;
}

impl Source for BufReader<std::fs::File> {
    fn skip(&mut self, n_bytes: u64) -> io::Result<()> {
        let n_bytes = i64::try_from(n_bytes).map_err(io::Error::other)?;
        self.seek_relative(n_bytes)
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream that must be read to be moved forward, as a compressed one.
pub(super) struct Streamed<R>(pub(super) R);

impl<R: Read> Read for Streamed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl<R: Read> Source for Streamed<R> {
    fn skip(&mut self, n_bytes: u64) -> io::Result<()> {
        let skipped = io::copy(&mut (&mut self.0).take(n_bytes), &mut io::sink())?;
        if skipped < n_bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        io::copy(&mut self.0, &mut io::sink()).map(|_| ())
    }
}

/// Three axes: how long they are, and in which order they lie on disk, the slowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) shape: [usize; 3],
    pub(super) on_disk: [usize; 3],
    pub(super) element: Element,
}

impl Layout {
    /// The box `selected`, row-major in the order of the axes in `shape`. `source` stands at the
    /// first value; `selected` lies inside `shape`.
    pub(super) fn read_box(
        &self,
        source: &mut dyn Source,
        selected: &[Range<usize>; 3],
    ) -> io::Result<Vec<f32>> {
        let [slow, middle, fast] = self.on_disk;
        let lens = [0, 1, 2].map(|axis| selected[axis].len());
        let strides = [lens[1] * lens[2], lens[2], 1];
        let mut values = vec![0.0; lens.iter().product()];
        if values.is_empty() {
            return Ok(values);
        }
        let mut scratch = Scratch::default();
        let mut at = 0_u64;
        for i in selected[slow].clone() {
            for j in selected[middle].clone() {
                let line = (i * self.shape[middle] + j) * self.shape[fast];
                let start = (line + selected[fast].start) as u64;
                source.skip((start - at) * self.element.width as u64)?;
                at = start + lens[fast] as u64;
                let first = (i - selected[slow].start) * strides[slow]
                    + (j - selected[middle].start) * strides[middle];
                let out = values[first..].iter_mut().step_by(strides[fast]);
                scratch.read_line(source, self.element, lens[fast], out)?;
            }
        }
        Ok(values)
    }

    /// Bytes to read ahead: much where selected lines lie close together, little where not.
    pub(super) fn buffer_bytes(&self, selected: &[Range<usize>; 3]) -> usize {
        const NEAR: usize = 1 << 15;
        let fast = self.on_disk[2];
        let line = selected[fast].len().saturating_mul(self.element.width);
        let whole = self.shape[fast].saturating_mul(self.element.width);
        if whole.saturating_sub(line) < NEAR {
            1 << 18
        } else {
            line.clamp(1 << 12, 1 << 18)
        }
    }
}

#[derive(Default)]
struct Scratch {
    bytes: Vec<u8>,
    values: Vec<f32>,
}

impl Scratch {
    fn read_line<'a>(
        &mut self,
        source: &mut dyn Source,
        element: Element,
        n_values: usize,
        mut out: impl Iterator<Item = &'a mut f32>,
    ) -> io::Result<()> {
        let mut left = n_values;
        while left > 0 {
            let n = left.min(BLOCK_VALUES);
            self.bytes.resize(n * element.width, 0);
            source.read_exact(&mut self.bytes)?;
            element.decode(&self.bytes, &mut self.values);
            // Values first: the other way round a place would be taken that none is left for.
            for (&value, out) in self.values.iter().zip(out.by_ref()) {
                *out = value;
            }
            left -= n;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_python_dicts() {
        let parse = |text| Literal(text).header();
        let good = parse("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   \n");
        assert_eq!(good, Some(("<f4".into(), false, vec![3, 4])));
        let old = parse("{\"shape\":(3L,),\"descr\":\">i2\",\"fortran_order\":True}");
        assert_eq!(old, Some((">i2".into(), true, vec![3])));
        let fields = parse(
            "{'descr': [('a', '<f4'), ('b', '<i2', (2,))], 'fortran_order': False, 'shape': ()}",
        );
        assert_eq!(
            fields,
            Some(("[('a', '<f4'), ('b', '<i2', (2,))]".into(), false, vec![]))
        );
        for bad in [
            "",
            "{}",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': '<f4', 'fortran_order': 0, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
            "{'descr': [('a', '<f4'), 'fortran_order': False, 'shape': (3,)}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)} more",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
