//! Arrays of a fixture, as the peer wrote them.

use safetensors::SafeTensors;

use super::fixture;

/// A `data.safetensors` in memory.
pub(crate) struct Tensors(Vec<u8>);

impl Tensors {
    /// The file of `tests/fixtures/<name>`.
    pub(crate) fn open(name: &str) -> Self {
        Self(std::fs::read(fixture(&format!("{name}/data.safetensors"))).unwrap())
    }

    /// Names that begin with `prefix`, without it.
    pub(crate) fn names(&self, prefix: &str) -> Vec<String> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let names = tensors.names().into_iter();
        let mut names: Vec<_> = names
            .filter_map(|name| name.strip_prefix(prefix))
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    }

    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        tensors.tensor(name).unwrap().shape().to_vec()
    }

    /// The bytes of a tensor, if there is one of that name.
    pub(crate) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        Some(tensors.tensor(name).ok()?.data().to_vec())
    }

    pub(crate) fn f32s(&self, name: &str) -> Vec<f32> {
        self.values(name, f32::from_le_bytes)
    }

    pub(crate) fn f64s(&self, name: &str) -> Vec<f64> {
        self.values(name, f64::from_le_bytes)
    }

    /// Whole numbers that count something.
    pub(crate) fn counts(&self, name: &str) -> Vec<usize> {
        self.values(name, |bytes| {
            usize::try_from(i64::from_le_bytes(bytes)).unwrap()
        })
    }

    fn values<T, const N: usize>(&self, name: &str, read: impl Fn([u8; N]) -> T) -> Vec<T> {
        let bytes = self.bytes(name).unwrap();
        let (values, _) = bytes.as_chunks::<N>();
        values.iter().map(|&bytes| read(bytes)).collect()
    }
}
