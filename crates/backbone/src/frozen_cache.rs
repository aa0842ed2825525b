//! Outputs of frozen segments kept on disk, so that epochs after the first begin where tuning begins.
//!
//! The key is a SHA-256 of what stands for the weights, the samples and the device; the file holds `output`,
//! f32 `[batch, n_frames, width]`, bit by bit what was computed, and its SHA-256. Held by
//! `crates/tuning/tests/it/frozen.rs`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Device, Tensor, TensorData};

use crate::checkpoint::WeightsFile;
use crate::disk::{content_key, mark_used, safetensors_header, write_atomically};
use crate::error::{Result, io_error, malformed};
use crate::kernels::to_values;

/// Part of every key, with the crate's version: other kernels may round otherwise.
const FORMAT: &str = concat!("braintune frozen 2 ", env!("CARGO_PKG_VERSION"));
const OUTPUT: &str = "output";
/// What a file says that it is.
const KIND: &str = "frozen parts";
const DIGEST: &str = "sha256";

/// A folder with the outputs of the frozen [`Segments`](crate::Segments) of one backbone.
#[derive(Debug)]
pub struct FrozenCache {
    folder: PathBuf,
    identity: String,
    n_segments: usize,
    is_broken: AtomicBool,
}

impl FrozenCache {
    /// A cache of the output of the first `n_segments` segments ([`Segments::n_frozen`](crate::Segments::n_frozen)
    /// on the autodiff device) of a backbone whose weights and settings `identity` stands for
    /// ([`Checkpoint::sha256`](crate::Checkpoint::sha256)).
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(folder: &Path, identity: String, n_segments: usize) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        Ok(Self {
            folder: folder.to_path_buf(),
            identity,
            n_segments,
            is_broken: AtomicBool::new(false),
        })
    }

    /// How many segments are kept the output of.
    #[must_use]
    pub fn n_segments(&self) -> usize {
        self.n_segments
    }

    /// The output for `samples` `[batch, n_samples]` on a plain device, `[batch, n_frames, width]`: from the folder, or from
    /// `compute` and kept. What cannot be read is computed again; what cannot be written is said once.
    ///
    /// The same clips in another batch are another entry, so that what is read has the bits that computing would have.
    pub fn output(
        &self,
        samples: Tensor<2>,
        lengths: &[usize],
        compute: impl FnOnce(Tensor<2>) -> Tensor<3>,
    ) -> Tensor<3> {
        let device = samples.device();
        let path = self.path(&samples, lengths);
        if path.exists() {
            match read(&path, lengths.len(), &device) {
                Ok(output) => {
                    mark_used(&path);
                    return output;
                }
                Err(error) => tracing::warn!(%error, "damaged cache entry, computing it again"),
            }
        }
        let output = compute(samples);
        if !self.is_broken.load(Ordering::Relaxed)
            && let Err(error) = write(&path, output.clone(), &self.identity)
        {
            tracing::warn!(%error, "outputs of frozen parts are not kept any more");
            self.is_broken.store(true, Ordering::Relaxed);
        }
        output
    }

    fn path(&self, samples: &Tensor<2>, lengths: &[usize]) -> PathBuf {
        let device = format!("{:?}", samples.device());
        let shape = format!("{} {:?} {lengths:?}", self.n_segments, samples.dims());
        let values = to_values(samples.clone());
        let key = content_key(&[FORMAT, &self.identity, &device, &shape], &values);
        self.folder.join(format!("{key}.safetensors"))
    }
}

fn read(path: &Path, n_clips: usize, device: &Device) -> Result<Tensor<3>> {
    let file = WeightsFile::open_safetensors(path)?;
    let Some(&[batch, n_frames, width]) = file.shape(OUTPUT) else {
        return Err(malformed(
            path,
            format!("holds no tensor `{OUTPUT}` of three dimensions"),
        ));
    };
    let values = file.values(OUTPUT, &[batch, n_frames, width])?;
    if batch != n_clips || file.note(DIGEST) != Some(&content_key(&[], &values)) {
        return Err(malformed(path, "its content is not what was written"));
    }
    let data = TensorData::new(values, [batch, n_frames, width]);
    Ok(Tensor::from_data(data, device))
}

fn write(path: &Path, output: Tensor<3>, identity: &str) -> Result<()> {
    let shape = output.dims().to_vec();
    let values = to_values(output);
    let digest = content_key(&[], &values);
    let notes = [(DIGEST, &*digest), ("kind", KIND), ("weights", identity)];
    let tensor = (OUTPUT.to_owned(), "F32", shape, 4 * values.len());
    let mut bytes = safetensors_header(&notes, [tensor]);
    bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    write_atomically(path, &bytes)
}
