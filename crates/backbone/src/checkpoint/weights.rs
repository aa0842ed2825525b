//! One safetensors file, read tensor by tensor: memory is one tensor, not one file.
//!
//! f16, bf16, f32 and f64 become f32.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use burn::tensor::{Bytes, DType};
use burn_pack::Tensor as PackTensor;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, Metadata, TensorInfo};

use crate::error::{BackboneError, Result, io_error};

#[derive(Debug)]
pub(super) struct WeightsFile {
    path: PathBuf,
    metadata: Metadata,
    /// Where the data section starts, bytes.
    data_start: u64,
}

impl WeightsFile {
    pub(super) fn open(path: &Path) -> Result<Self> {
        if let Some(kind) = braintune_audio::pointer_kind(path) {
            let hint = kind.fetch_hint();
            let problem = format!("is a {kind} pointer, not the data: run {hint}");
            return Err(malformed(path, problem));
        }
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
        Ok(Self {
            path: path.to_path_buf(),
            metadata,
            data_start,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.metadata.info(key).is_some()
    }

    /// What the header says of tensor `key`, if its shape is `expected`.
    pub(super) fn check_shape(&self, key: &str, expected: &[usize]) -> Result<&TensorInfo> {
        match self.metadata.info(key) {
            Some(info) if info.shape == expected => Ok(info),
            Some(info) => Err(BackboneError::TensorShape {
                path: self.path.clone(),
                name: key.to_owned(),
                expected: expected.to_vec(),
                got: info.shape.clone(),
            }),
            None => Err(BackboneError::MissingTensors {
                path: self.path.clone(),
                names: vec![key.to_owned()],
            }),
        }
    }

    /// The tensor `key` as f32 under the name `name`, if its shape is `expected`.
    pub(super) fn tensor(
        &self,
        key: &str,
        name: String,
        expected: Vec<usize>,
    ) -> Result<PackTensor> {
        let info = self.check_shape(key, &expected)?;
        let (start, end) = info.data_offsets;
        let n_values: usize = expected.iter().product();
        if end.checked_sub(start) != Some(n_values * info.dtype.bitsize() / 8) {
            return Err(malformed(
                &self.path,
                format!("the header gives tensor {key} impossible offsets"),
            ));
        }
        let mut file = File::open(&self.path).map_err(io_error("read", &self.path))?;
        file.seek(SeekFrom::Start(self.data_start + start as u64))
            .map_err(io_error("read", &self.path))?;
        let mut raw = vec![0; end - start];
        file.read_exact(&mut raw)
            .map_err(io_error("read", &self.path))?;
        let values = to_f32(info.dtype, &raw).ok_or_else(|| {
            let problem = format!(
                "tensor {key} is {:?}, expected f16, bf16, f32 or f64",
                info.dtype
            );
            malformed(&self.path, problem)
        })?;
        let bytes = Bytes::from_elems(values);
        Ok(PackTensor::new(name, DType::F32, expected, None, bytes))
    }
}

fn to_f32(dtype: Dtype, raw: &[u8]) -> Option<Vec<f32>> {
    Some(match dtype {
        Dtype::F16 => raw
            .as_chunks()
            .0
            .iter()
            .map(|b| f16::from_le_bytes(*b).to_f32())
            .collect(),
        Dtype::BF16 => raw
            .as_chunks()
            .0
            .iter()
            .map(|b| bf16::from_le_bytes(*b).to_f32())
            .collect(),
        Dtype::F32 => raw
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
        #[expect(clippy::cast_possible_truncation, reason = "weights are f32 here")]
        Dtype::F64 => raw
            .as_chunks()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b) as f32)
            .collect(),
        _ => return None,
    })
}

fn malformed(path: &Path, problem: String) -> BackboneError {
    BackboneError::Malformed {
        path: path.to_path_buf(),
        problem,
    }
}
