//! Reading the fixtures, and the shared data that may lie beside the repository.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2};
use safetensors::{Dtype, SafeTensors};

/// A file under `tests/fixtures`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

/// A file of the data beside the repository; `None`, with a note, where that is absent.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared")
        .join(name);
    if !path.exists() {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// The tensors of a safetensors file.
pub(crate) struct Tensors(Vec<u8>);

impl Tensors {
    pub(crate) fn read(path: &Path) -> Self {
        Self(std::fs::read(path).unwrap())
    }

    /// One tensor as f32, row by row, and its shape. Integers come divided by 32768.
    pub(crate) fn get(&self, name: &str) -> (Vec<f32>, Vec<usize>) {
        let all = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = all.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let bytes = tensor.data();
        #[allow(clippy::cast_possible_truncation)]
        let values = match tensor.dtype() {
            Dtype::F64 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&b| f64::from_le_bytes(b) as f32)
                .collect(),
            Dtype::F32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&b| f32::from_le_bytes(b))
                .collect(),
            Dtype::I16 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|&b| f32::from(i16::from_le_bytes(b)) / 32768.0)
                .collect(),
            other => panic!("{name} is {other:?}"),
        };
        (values, tensor.shape().to_vec())
    }

    pub(crate) fn vector(&self, name: &str) -> Array1<f32> {
        Array1::from(self.get(name).0)
    }

    pub(crate) fn matrix(&self, name: &str) -> Array2<f32> {
        let (values, shape) = self.get(name);
        Array2::from_shape_vec((shape[shape.len() - 2], shape[shape.len() - 1]), values).unwrap()
    }
}

/// The largest difference between two runs of numbers of the same length.
pub(crate) fn max_abs_diff<'a>(
    a: impl ExactSizeIterator<Item = &'a f32>,
    b: impl ExactSizeIterator<Item = &'a f32>,
) -> f32 {
    assert_eq!(a.len(), b.len());
    a.zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}
