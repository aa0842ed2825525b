//! Numbers of a fixture, whatever their type.

use ndarray::{Array2, ArrayD, Ix2, IxDyn};
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
    pub(crate) fn f32(&self, name: &str) -> Array2<f32> {
        self.matrix(name).mapv(|x| x as f32)
    }

    pub(crate) fn matrix(&self, name: &str) -> Array2<f64> {
        self.get(name).into_dimensionality::<Ix2>().unwrap()
    }

    pub(crate) fn bools(&self, name: &str) -> Array2<bool> {
        self.matrix(name).mapv(|x| x > 0.5)
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // whole numbers from 0
    pub(crate) fn classes(&self, name: &str) -> Vec<usize> {
        self.get(name).iter().map(|&x| x as usize).collect()
    }

    pub(crate) fn vector(&self, name: &str) -> Vec<f64> {
        self.get(name).iter().copied().collect()
    }
}

fn floats<const N: usize>(bytes: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
    bytes.as_chunks().0.iter().map(|&b| read(b)).collect()
}

/// The largest difference of two arrays, `b` any of their floats.
pub(crate) fn largest_difference(a: &Array2<f32>, b: &Array2<f64>) -> f64 {
    assert_eq!(a.dim(), b.dim());
    let pairs = a.iter().zip(b);
    pairs
        .map(|(&a, &b)| (f64::from(a) - b).abs())
        .fold(0.0, f64::max)
}
