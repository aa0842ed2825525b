//! Layer features on disk: safetensors with `hidden_states.{i}` and `times`.
//!
//! `hidden_states.0` … `hidden_states.{n_layers}` f32 `[n_times, d_model]`; `times` f64
//! `[n_times]`, seconds. The file appears whole or not at all.

use std::path::Path;

use ndarray::Array2;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::disk::write_atomically;
use crate::error::{BackboneError, Result, io_error};
use crate::extractor::LayerFeatures;

impl LayerFeatures {
    /// Writes the features under a temporary name and renames.
    ///
    /// # Errors
    /// What the file system says, naming the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let bytes = self
            .to_bytes()
            .map_err(|e| malformed(path, e.to_string()))?;
        write_atomically(path, &bytes)
    }

    fn to_bytes(&self) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let layers: Vec<Vec<u8>> = self
            .layers()
            .iter()
            .map(|layer| layer.iter().flat_map(|x| x.to_le_bytes()).collect())
            .collect();
        let times: Vec<u8> = self.times().iter().flat_map(|t| t.to_le_bytes()).collect();
        let mut views = vec![(
            "times".to_owned(),
            TensorView::new(Dtype::F64, vec![self.times().len()], &times)?,
        )];
        for (i, (layer, bytes)) in self.layers().iter().zip(&layers).enumerate() {
            let view = TensorView::new(Dtype::F32, layer.shape().to_vec(), bytes)?;
            views.push((format!("hidden_states.{i}"), view));
        }
        safetensors::serialize(views, None)
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// The file cannot be read, is truncated, or holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(io_error("read", path))?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|e| malformed(path, format!("is no feature file: {e}")))?;
        let view = |name: &str, dtype: Dtype| match file.tensor(name) {
            Ok(view) if view.dtype() == dtype => Ok(view),
            Ok(view) => Err(malformed(
                path,
                format!("{name} is {:?}, expected {dtype:?}", view.dtype()),
            )),
            Err(_) => Err(malformed(path, format!("holds no tensor `{name}`"))),
        };
        let times = view("times", Dtype::F64)?;
        let times: Vec<f64> = times
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b))
            .collect();
        let mut layers = Vec::new();
        for i in 0..file.len() - 1 {
            let name = format!("hidden_states.{i}");
            let view = view(&name, Dtype::F32)?;
            let values = view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect();
            let &[n_times, d_model] = view.shape() else {
                return Err(malformed(
                    path,
                    format!("{name} has shape {:?}", view.shape()),
                ));
            };
            if n_times != times.len() {
                return Err(malformed(
                    path,
                    format!("{name} has {n_times} rows, times {}", times.len()),
                ));
            }
            layers.push(
                Array2::from_shape_vec((n_times, d_model), values)
                    .map_err(|e| malformed(path, e.to_string()))?,
            );
        }
        Ok(Self::new(layers, times))
    }
}

fn malformed(path: &Path, problem: String) -> BackboneError {
    BackboneError::Malformed {
        path: path.to_path_buf(),
        problem,
    }
}
