//! Numbers of a fixture, whatever their type.

use ndarray::{ArrayD, IxDyn};
use safetensors::{Dtype, SafeTensors};

pub(crate) struct Fixture(&'static [u8]);

impl Fixture {
    pub(crate) const fn new(bytes: &'static [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn get(&self, name: &str) -> ArrayD<f64> {
        let file = SafeTensors::deserialize(self.0).unwrap();
        let tensor = file.tensor(name).unwrap();
        let values = match tensor.dtype() {
            Dtype::F64 => floats(tensor.data(), f64::from_le_bytes),
            Dtype::F32 => floats(tensor.data(), |b| f64::from(f32::from_le_bytes(b))),
            Dtype::I64 => floats(tensor.data(), |b| i64::from_le_bytes(b) as f64),
            other => panic!("{other:?}"),
        };
        ArrayD::from_shape_vec(IxDyn(tensor.shape()), values).unwrap()
    }

    #[allow(clippy::cast_possible_truncation)] // stored as f32
    pub(crate) fn f32(&self, name: &str) -> ArrayD<f32> {
        self.get(name).mapv(|x| x as f32)
    }
}

fn floats<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|&b| read(b)).collect()
}
