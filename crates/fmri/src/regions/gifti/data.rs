//! One `DataArray` of a GIFTI file: its header, and its values from text.
//!
//! The size that the header claims is checked against what is left of a budget before anything is
//! decoded, and decoding stops there. Held by `tests/it/regions/gifti.rs`.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use ndarray::{ArrayD, IxDyn, ShapeBuilder};
use roxmltree::Node;

use super::{GiftiArray, GiftiData, text_of};

/// The most that the specification allows.
const MAX_AXES: usize = 6;

/// Bytes that the arrays of a file may still take.
pub(super) struct Budget(u64);

impl Budget {
    pub(super) fn new(n_bytes: u64) -> Self {
        Self(n_bytes)
    }

    fn spend(&mut self, shape: &[usize], element_size: usize) -> Result<usize, String> {
        let sizes = shape.iter().copied();
        let claimed = sizes.fold(element_size as u64, |product, size| {
            product.saturating_mul(size as u64)
        });
        let left = self.0.checked_sub(claimed);
        self.0 = left.ok_or_else(|| {
            format!("shape {shape:?} takes the file over what is read of one, 1 GiB")
        })?;
        usize::try_from(claimed).map_err(|error| error.to_string())
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Ascii,
    Base64,
    Gzip,
}

pub(super) fn read_array(node: Node<'_, '_>, budget: &mut Budget) -> Result<GiftiArray, String> {
    let stored = Stored::of(node)?;
    let data = match attribute(node, "DataType") {
        "NIFTI_TYPE_UINT8" => {
            GiftiData::U8(stored.decode(budget, u8::from_be_bytes, |word| word.parse().ok())?)
        }
        "NIFTI_TYPE_INT32" => {
            GiftiData::I32(stored.decode(budget, i32::from_be_bytes, |word| word.parse().ok())?)
        }
        "NIFTI_TYPE_FLOAT32" => {
            GiftiData::F32(stored.decode(budget, f32::from_be_bytes, float_of)?)
        }
        other => {
            return Err(format!(
                "type `{other}` is not read, only NIFTI_TYPE_UINT8, NIFTI_TYPE_INT32 and \
                 NIFTI_TYPE_FLOAT32"
            ));
        }
    };
    Ok(GiftiArray {
        intent: attribute(node, "Intent").to_owned(),
        data,
    })
}

fn attribute<'a>(node: Node<'a, '_>, name: &str) -> &'a str {
    node.attribute(name).unwrap_or_default().trim()
}

fn shape_of(node: Node<'_, '_>) -> Result<Vec<usize>, String> {
    let number = |name: &str| {
        let text = node.attribute(name).unwrap_or_default();
        text.trim()
            .parse::<usize>()
            .map_err(|_| format!("{name} is `{text}`, expected a number"))
    };
    match number("Dimensionality")? {
        n_axes @ 1..=MAX_AXES => (0..n_axes)
            .map(|axis| number(&format!("Dim{axis}")))
            .collect(),
        n_axes => Err(format!("it has {n_axes} axes, 1 to {MAX_AXES} can be")),
    }
}

fn data_of<'a>(node: Node<'a, '_>) -> Result<&'a str, String> {
    let mut data = node.children().filter(|child| child.has_tag_name("Data"));
    match (data.next(), data.next()) {
        (Some(data), None) => text_of(data),
        (None, _) => Err("it has no `Data`".into()),
        _ => Err("it has `Data` twice".into()),
    }
}

/// Values as the file has them.
struct Stored<'a> {
    shape: Vec<usize>,
    encoding: Encoding,
    big_endian: bool,
    column_major: bool,
    text: &'a str,
}

impl<'a> Stored<'a> {
    /// From the header of the array.
    fn of(node: Node<'a, '_>) -> Result<Self, String> {
        let encoding = match attribute(node, "Encoding") {
            "ASCII" => Encoding::Ascii,
            "Base64Binary" => Encoding::Base64,
            "GZipBase64Binary" => Encoding::Gzip,
            "ExternalFileBinary" => {
                return Err("ExternalFileBinary, values in another file, is not read; \
                            convert it with `wb_command -gifti-convert GZIP_BASE64_BINARY`"
                    .into());
            }
            other => return Err(format!("encoding `{other}` is not one of GIFTI's")),
        };
        let big_endian = match (attribute(node, "Endian"), encoding) {
            ("BigEndian", _) => true,
            ("LittleEndian", _) | (_, Encoding::Ascii) => false,
            (other, _) => return Err(format!("byte order `{other}` is not one of GIFTI's")),
        };
        let column_major = match attribute(node, "ArrayIndexingOrder") {
            "ColumnMajorOrder" => true,
            "RowMajorOrder" | "" => false,
            other => return Err(format!("order `{other}` is not one of GIFTI's")),
        };
        Ok(Self {
            shape: shape_of(node)?,
            encoding,
            big_endian,
            column_major,
            text: data_of(node)?,
        })
    }

    /// The array, its values made of big-endian bytes or of words.
    fn decode<T, const SIZE: usize>(
        &self,
        budget: &mut Budget,
        of_bytes: fn([u8; SIZE]) -> T,
        of_word: fn(&str) -> Option<T>,
    ) -> Result<ArrayD<T>, String> {
        let n_bytes = budget.spend(&self.shape, SIZE)?;
        let values = match self.encoding {
            Encoding::Ascii => self.words(n_bytes / SIZE, of_word)?,
            Encoding::Base64 | Encoding::Gzip => {
                let bytes = self.bytes(n_bytes)?;
                let (elements, _) = bytes.as_chunks::<SIZE>();
                let elements = elements.iter().map(|&bytes: &[u8; SIZE]| {
                    let mut bytes = bytes;
                    if !self.big_endian {
                        bytes.reverse();
                    }
                    of_bytes(bytes)
                });
                elements.collect()
            }
        };
        let shape = IxDyn(&self.shape);
        if self.column_major {
            ArrayD::from_shape_vec(shape.f(), values)
        } else {
            ArrayD::from_shape_vec(shape, values)
        }
        .map_err(|error| error.to_string())
    }

    fn words<T>(&self, expected: usize, of_word: fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
        let mut values = Vec::new();
        for word in self.text.split_ascii_whitespace() {
            if values.len() == expected {
                return Err(format!(
                    "it has more than the {expected} values of its shape"
                ));
            }
            values.push(of_word(word).ok_or_else(|| format!("`{word}` is not a value"))?);
        }
        if values.len() < expected {
            let got = values.len();
            return Err(format!("its shape says {expected} values, it has {got}"));
        }
        Ok(values)
    }

    fn bytes(&self, expected: usize) -> Result<Vec<u8>, String> {
        let text: Vec<u8> = self
            .text
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        let decoded = STANDARD.decode(&text);
        let mut bytes = decoded.map_err(|error| format!("its base64 is damaged: {error}"))?;
        drop(text);
        if let Encoding::Gzip = self.encoding {
            let mut inflated = Vec::new();
            // One byte more tells that there is more than there should be.
            let inflating = ZlibDecoder::new(&bytes[..])
                .take(expected as u64 + 1)
                .read_to_end(&mut inflated);
            inflating.map_err(|error| format!("its compressed data is damaged: {error}"))?;
            bytes = inflated;
        }
        match bytes.len() {
            got if got == expected => Ok(bytes),
            got if got > expected => Err(format!(
                "it has more than the {expected} bytes of its shape"
            )),
            got => Err(format!("its shape says {expected} bytes, it has {got}")),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "by way of f64, as numpy reads text"
)]
fn float_of(word: &str) -> Option<f32> {
    word.parse::<f64>().ok().map(|value| value as f32)
}
