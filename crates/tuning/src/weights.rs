//! Heads as `PyTorch` users expect them.

use std::path::Path;

use burn::module::Module;
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot};
use safetensors::tensor::{Dtype, TensorView};

use crate::checkpoint::write_atomically;
use crate::error::{Result, TuningError};

/// All parameters of a module as a safetensors file, under a temporary name first.
pub(crate) fn write_torch<M: Module>(path: &Path, module: &M) -> Result<()> {
    let failed = |e: &dyn std::fmt::Display| TuningError::Io {
        doing: "write",
        path: path.to_path_buf(),
        source: std::io::Error::other(e.to_string()),
    };
    let mut tensors = Vec::new();
    for tensor in module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true) {
        let (name, shape) = (tensor.name.clone(), tensor.shape.to_vec());
        let bytes = tensor.to_bytes().map_err(|e| failed(&e))?;
        tensors.push((name, shape, bytes));
    }
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(name, shape, bytes)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), bytes)?)))
        .collect();
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let bytes = views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|e: safetensors::SafeTensorError| failed(&e))?;
    write_atomically(path, &bytes)
}
