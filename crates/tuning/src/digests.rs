//! Digests of what a run is made of, so that one that goes on is made of the same.
//!
//! SHA-256, in hexadecimal digits. Held by `tests/it/changed.rs`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use sha2::{Digest, Sha256};

use crate::step::values_of;

/// Digests by what they are of, e.g. `responses of S1 to tale`.
pub type Digests = BTreeMap<String, String>;

/// Of a file's bytes.
pub(crate) fn of_file(path: &Path) -> std::io::Result<String> {
    let mut file = std::fs::File::open(path)?;
    let (mut digest, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(digest.finalize())),
            n => digest.update(&buffer[..n]),
        }
    }
}

/// Of the bits of `values`.
pub(crate) fn of_values<'v>(values: impl IntoIterator<Item = &'v f32>) -> String {
    let mut digest = Sha256::new();
    let mut bytes = Vec::with_capacity(1 << 16);
    for value in values {
        bytes.extend(value.to_le_bytes());
        if bytes.len() == 1 << 16 {
            digest.update(&bytes);
            bytes.clear();
        }
    }
    digest.update(&bytes);
    hex::encode(digest.finalize())
}

/// Of the bits of all parameters of a model, in their order.
pub(crate) fn of_parameters(model: &impl Module) -> String {
    struct Bits(Sha256);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = values_of(param.val().inner());
            for part in values.chunks(1 << 14) {
                let bytes: Vec<u8> = part.iter().flat_map(|value| value.to_le_bytes()).collect();
                self.0.update(&bytes);
            }
        }
    }
    let mut bits = Bits(Sha256::new());
    model.visit(&mut bits);
    hex::encode(bits.0.finalize())
}

/// Of which voxels are kept.
pub(crate) fn of_mask(mask: &[bool]) -> String {
    let bytes: Vec<u8> = mask.iter().map(|&kept| u8::from(kept)).collect();
    hex::encode(Sha256::digest(bytes))
}

/// Says so if `what`, of which `recorded` has a digest, has another one now.
pub(crate) fn difference(recorded: &Digests, what: &str, now: &str) -> Option<String> {
    let before = recorded.get(what).filter(|before| *before != now)?;
    let short = |digest: &str| digest.get(..8).unwrap_or(digest).to_owned();
    Some(format!(
        "the {what} are not what they were (SHA-256 was {}… and is {}…)",
        short(before),
        short(now)
    ))
}
