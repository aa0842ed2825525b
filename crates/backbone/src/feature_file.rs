//! Layer features on disk: safetensors with `hidden_states.{i}` and `times`.
//!
//! `hidden_states.0` … `hidden_states.{n_layers}` f32 `[n_times, d_model]`; `times` f64
//! `[n_times]`, seconds. The file appears whole or not at all.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use atomic_write_file::AtomicWriteFile;
use ndarray::Array2;

use crate::checkpoint::WeightsFile;
use crate::disk::{content_key, safetensors_header};
use crate::error::{BackboneError, Result, io_error, malformed};
use crate::extractor::LayerFeatures;

impl LayerFeatures {
    /// Writes the features under a temporary name and renames.
    ///
    /// # Errors
    /// Layers of different widths; what the file system says, naming the file.
    pub fn write(&self, path: &Path) -> Result<()> {
        let d_model = self.layers().first().map_or(0, Array2::ncols);
        if let Some(other) = self.layers().iter().find(|l| l.ncols() != d_model) {
            let widths = format!("layers of width {d_model} and {}", other.ncols());
            return Err(BackboneError::FeatureShapes(widths));
        }
        let widths = [self.layers().len(), d_model];
        let values = |layer: usize| Ok(self.layers()[layer].iter().copied().collect());
        write_layers(path, self.times(), widths, &[], values)
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// The file cannot be read, is truncated, or holds something else.
    pub fn read(path: &Path) -> Result<Self> {
        let file = FeatureFile::open(path)?;
        let layers = (0..file.n_layers).map(|layer| file.layer(layer));
        Ok(Self::new(
            layers.collect::<Result<_>>()?,
            file.times.clone(),
        ))
    }
}

/// A feature file whose layers are read one by one.
pub(crate) struct FeatureFile {
    weights: WeightsFile,
    pub(crate) times: Vec<f64>,
    pub(crate) n_layers: usize,
    pub(crate) d_model: usize,
}

impl FeatureFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let weights = WeightsFile::open_safetensors(path)?;
        let times = weights.f64s("times")?;
        let n_layers = weights.keys().len() - 1;
        let Some(&[_, d_model]) = weights.shape("hidden_states.0") else {
            return Err(malformed(
                path,
                "holds no tensor `hidden_states.0`".to_owned(),
            ));
        };
        for layer in 0..n_layers {
            weights.check_shape(&name(layer), &[times.len(), d_model])?;
        }
        Ok(Self {
            weights,
            times,
            n_layers,
            d_model,
        })
    }

    /// Of a layer; an error if they are not what was written, where that is known.
    fn values(&self, layer: usize) -> Result<Vec<f32>> {
        let shape = [self.times.len(), self.d_model];
        let values = self.weights.values(&name(layer), &shape)?;
        match self.weights.note(&digest_of(layer)) {
            Some(digest) if *digest != content_key(&[], &values) => {
                let problem = format!("`{}` is not what was written", name(layer));
                Err(malformed(self.weights.path(), problem))
            }
            _ => Ok(values),
        }
    }

    fn layer(&self, layer: usize) -> Result<Array2<f32>> {
        Array2::from_shape_vec((self.times.len(), self.d_model), self.values(layer)?)
            .map_err(|e| malformed(self.weights.path(), e.to_string()))
    }
}

fn name(layer: usize) -> String {
    format!("hidden_states.{layer}")
}

/// The note that holds the digest of a layer.
fn digest_of(layer: usize) -> String {
    format!("sha256.{layer}")
}

/// Joins the rows of feature files, in order, into one that says `notes` and a digest of each layer in its metadata; one
/// layer is in memory at a time.
///
/// # Errors
/// A part that cannot be read or does not fit the others; what the file system says.
pub(crate) fn join(
    parts: &[PathBuf],
    times: &[f64],
    notes: &[(&str, &str)],
    path: &Path,
) -> Result<()> {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| FeatureFile::open(part))
        .collect::<Result<_>>()?;
    let (n_layers, d_model) = parts
        .first()
        .map_or((0, 0), |part| (part.n_layers, part.d_model));
    let layer_of_all = |layer: usize| -> Result<Vec<f32>> {
        let rows = parts.iter().map(|part| part.values(layer));
        Ok(rows.collect::<Result<Vec<_>>>()?.concat())
    };
    let digests = (0..n_layers).map(|layer| {
        let digest = content_key(&[], &layer_of_all(layer)?);
        Ok((digest_of(layer), digest))
    });
    let digests = digests.collect::<Result<Vec<_>>>()?;
    let digests = digests.iter().map(|(name, digest)| (&**name, &**digest));
    let notes: Vec<(&str, &str)> = notes.iter().copied().chain(digests).collect();
    write_layers(path, times, [n_layers, d_model], &notes, layer_of_all)
}

/// Writes a feature file of `[n_layers, d_model]` under a temporary name and renames; one layer, `values(layer)`
/// `[n_times · d_model]`, is in memory at a time.
fn write_layers(
    path: &Path,
    times: &[f64],
    [n_layers, d_model]: [usize; 2],
    notes: &[(&str, &str)],
    values: impl Fn(usize) -> Result<Vec<f32>>,
) -> Result<()> {
    let file = AtomicWriteFile::open(path).map_err(io_error("write", path))?;
    let mut file = BufWriter::new(file);
    let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(io_error("write", path));
    write(&header(times.len(), n_layers, d_model, notes))?;
    for time in times {
        write(&time.to_le_bytes())?;
    }
    for layer in 0..n_layers {
        let bytes = values(layer)?.into_iter().flat_map(f32::to_le_bytes);
        write(&bytes.collect::<Vec<u8>>())?;
    }
    let file = file
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error);
    file.and_then(AtomicWriteFile::commit)
        .map_err(io_error("write", path))
}

/// The header of a feature file: times, then the layers in order.
fn header(n_times: usize, n_layers: usize, d_model: usize, notes: &[(&str, &str)]) -> Vec<u8> {
    let times = ("times".to_owned(), "F64", vec![n_times], 8 * n_times);
    let layer = |layer| {
        let shape = vec![n_times, d_model];
        (name(layer), "F32", shape, 4 * n_times * d_model)
    };
    let tensors = std::iter::once(times).chain((0..n_layers).map(layer));
    safetensors_header(notes, tensors)
}
