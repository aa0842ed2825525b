//! One file of weights, read tensor by tensor: memory is one tensor, not one file.
//!
//! safetensors, or `PyTorch`'s own format (`.bin`, `.pt`, read without running what it holds). f16,
//! bf16, f32 and f64 become f32.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use pytorch_reader::{DType as TorchType, PytorchReader};
use safetensors::tensor::{Dtype, Metadata};

use crate::error::{BackboneError, Result, io_error, malformed};

pub(crate) struct WeightsFile {
    path: PathBuf,
    content: Content,
}

enum Content {
    Safetensors {
        metadata: Metadata,
        /// Where the data section starts, bytes.
        data_start: u64,
    },
    Torch(PytorchReader),
}

/// Floats as they are stored.
enum FloatType {
    F16,
    BF16,
    F32,
    F64,
}

impl std::fmt::Debug for WeightsFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WeightsFile").field(&self.path).finish()
    }
}

impl WeightsFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if let Some(kind) = braintune_audio::pointer_kind(path) {
            let hint = kind.fetch_hint();
            let problem = format!("is a {kind} pointer, not the data: run {hint}");
            return Err(malformed(path, problem));
        }
        let is_torch = path.extension().is_some_and(|e| e == "bin" || e == "pt");
        let content = if is_torch {
            open_torch(path)?
        } else {
            open_safetensors(path)?
        };
        Ok(Self {
            path: path.to_path_buf(),
            content,
        })
    }

    /// A safetensors file whatever its name is.
    pub(crate) fn open_safetensors(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_path_buf(),
            content: open_safetensors(path)?,
        })
    }

    /// A vector of f64 of a safetensors file.
    ///
    /// # Errors
    /// It is missing, of another type or cannot be read.
    pub(crate) fn f64s(&self, key: &str) -> Result<Vec<f64>> {
        let Content::Safetensors {
            metadata,
            data_start,
        } = &self.content
        else {
            return Err(self.unreadable(key, "not a safetensors file"));
        };
        match self.raw_safetensors(metadata, *data_start, key)? {
            (FloatType::F64, raw) => {
                let values = raw.as_chunks().0.iter();
                Ok(values.map(|b| f64::from_le_bytes(*b)).collect())
            }
            _ => Err(self.no_float(key, "not f64")),
        }
    }

    /// Text that a safetensors file has beside its tensors.
    pub(crate) fn note(&self, key: &str) -> Option<&String> {
        match &self.content {
            Content::Safetensors { metadata, .. } => metadata.metadata().as_ref()?.get(key),
            Content::Torch(_) => None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn keys(&self) -> Vec<String> {
        match &self.content {
            Content::Safetensors { metadata, .. } => metadata.tensors().into_keys().collect(),
            Content::Torch(reader) => reader.keys(),
        }
    }

    pub(crate) fn shape(&self, key: &str) -> Option<&[usize]> {
        match &self.content {
            Content::Safetensors { metadata, .. } => Some(&metadata.info(key)?.shape),
            Content::Torch(reader) => Some(reader.get(key)?.shape()),
        }
    }

    /// # Errors
    /// The tensor is missing or has another shape.
    pub(crate) fn check_shape(&self, key: &str, expected: &[usize]) -> Result<()> {
        match self.shape(key) {
            Some(shape) if shape == expected => Ok(()),
            Some(shape) => Err(BackboneError::TensorShape {
                path: self.path.clone(),
                name: key.to_owned(),
                expected: expected.to_vec(),
                got: shape.to_vec(),
            }),
            None => Err(BackboneError::MissingTensors {
                path: self.path.clone(),
                names: vec![key.to_owned()],
            }),
        }
    }

    /// Values of tensor `key` in row order, if its shape is `expected`.
    ///
    /// # Errors
    /// Another shape or type; NaN or infinite values; a file that cannot be read.
    pub(crate) fn values(&self, key: &str, expected: &[usize]) -> Result<Vec<f32>> {
        self.check_shape(key, expected)?;
        let (float, raw) = match &self.content {
            Content::Safetensors {
                metadata,
                data_start,
            } => self.raw_safetensors(metadata, *data_start, key)?,
            Content::Torch(reader) => self.raw_torch(reader, key)?,
        };
        let values = to_f32(&float, &raw);
        match values.iter().find(|x| !x.is_finite()) {
            None => Ok(values),
            Some(bad) => Err(malformed(
                &self.path,
                format!("tensor {key} holds {bad}: the weights are damaged"),
            )),
        }
    }

    fn raw_safetensors(
        &self,
        metadata: &Metadata,
        data_start: u64,
        key: &str,
    ) -> Result<(FloatType, Vec<u8>)> {
        let Some(info) = metadata.info(key) else {
            return Err(self.unreadable(key, "no such tensor"));
        };
        let float = match info.dtype {
            Dtype::F16 => FloatType::F16,
            Dtype::BF16 => FloatType::BF16,
            Dtype::F32 => FloatType::F32,
            Dtype::F64 => FloatType::F64,
            found => return Err(self.no_float(key, &format!("{found:?}"))),
        };
        let (start, end) = info.data_offsets;
        let n_values = info
            .shape
            .iter()
            .try_fold(1_usize, |n, &d| n.checked_mul(d));
        let n_bytes = n_values.and_then(|n| n.checked_mul(info.dtype.bitsize() / 8));
        if n_bytes.is_none() || end.checked_sub(start) != n_bytes {
            return Err(self.unreadable(key, "impossible offsets"));
        }
        let mut file = File::open(&self.path).map_err(io_error("read", &self.path))?;
        file.seek(SeekFrom::Start(data_start + start as u64))
            .map_err(io_error("read", &self.path))?;
        let mut raw = vec![0; end - start];
        file.read_exact(&mut raw)
            .map_err(io_error("read", &self.path))?;
        Ok((float, raw))
    }

    fn raw_torch(&self, reader: &PytorchReader, key: &str) -> Result<(FloatType, Vec<u8>)> {
        let Some(tensor) = reader.get(key) else {
            return Err(self.unreadable(key, "no such tensor"));
        };
        let float = match tensor.dtype() {
            TorchType::F16 => FloatType::F16,
            TorchType::BF16 => FloatType::BF16,
            TorchType::F32 => FloatType::F32,
            TorchType::F64 => FloatType::F64,
            found => return Err(self.no_float(key, &format!("{found:?}"))),
        };
        let raw = tensor
            .read()
            .map_err(|e| self.unreadable(key, &e.to_string()))?;
        Ok((float, raw))
    }

    fn unreadable(&self, key: &str, problem: &str) -> BackboneError {
        malformed(&self.path, format!("cannot read tensor {key}: {problem}"))
    }

    fn no_float(&self, key: &str, found: &str) -> BackboneError {
        let problem = format!("tensor {key} is {found}, expected f16, bf16, f32 or f64");
        malformed(&self.path, problem)
    }
}

fn open_safetensors(path: &Path) -> Result<Content> {
    let mut file = File::open(path).map_err(io_error("read", path))?;
    let length = file.metadata().map_err(io_error("read", path))?.len();
    let mut prefix = [0; 8];
    if length < 8 {
        return Err(malformed(
            path,
            format!("is no safetensors file: {length} bytes long"),
        ));
    }
    file.read_exact(&mut prefix)
        .map_err(io_error("read", path))?;
    let n_header = u64::from_le_bytes(prefix);
    if n_header > length - 8 || n_header > 100_000_000 {
        let found = format!("a header of {n_header} bytes in a file of {length}");
        return Err(malformed(
            path,
            format!("is truncated or no safetensors file: {found}"),
        ));
    }
    let mut header = Vec::new();
    file.take(n_header)
        .read_to_end(&mut header)
        .map_err(io_error("read", path))?;
    let metadata: Metadata = serde_json::from_slice(&header)
        .map_err(|e| malformed(path, format!("is no safetensors file: {e}")))?;
    let data_start = 8 + n_header;
    let expected = data_start.saturating_add(metadata.data_len() as u64);
    if length != expected {
        let problem = format!(
            "is truncated or damaged: {length} bytes, its header says {expected}; fetch it again"
        );
        return Err(malformed(path, problem));
    }
    Ok(Content::Safetensors {
        metadata,
        data_start,
    })
}

fn open_torch(path: &Path) -> Result<Content> {
    File::open(path).map_err(io_error("read", path))?;
    let reader = PytorchReader::new(path).map_err(|e| {
        malformed(
            path,
            format!("is truncated or no PyTorch checkpoint of tensors: {e}"),
        )
    })?;
    Ok(Content::Torch(reader))
}

fn to_f32(float: &FloatType, raw: &[u8]) -> Vec<f32> {
    match float {
        FloatType::F16 => {
            let values = raw.as_chunks().0.iter();
            values.map(|b| f16::from_le_bytes(*b).to_f32()).collect()
        }
        FloatType::BF16 => {
            let values = raw.as_chunks().0.iter();
            values.map(|b| bf16::from_le_bytes(*b).to_f32()).collect()
        }
        FloatType::F32 => {
            let values = raw.as_chunks().0.iter();
            values.map(|b| f32::from_le_bytes(*b)).collect()
        }
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32 here")]
        FloatType::F64 => {
            let values = raw.as_chunks().0.iter();
            values.map(|b| f64::from_le_bytes(*b) as f32).collect()
        }
    }
}
