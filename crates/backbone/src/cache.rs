//! Features kept on disk, so that a second run reads them and an interrupted one goes on.
//!
//! The key is a SHA-256 of weights, audio samples and extraction settings. While an extraction
//! runs, `<key>.parts/` holds finished rows `<start>-<end>.safetensors`; when it is done they are
//! joined to `<key>.safetensors` (format of [`LayerFeatures::write`], with the weights and settings in its metadata). Held by `tests/it/cache.rs`.

use std::io::ErrorKind;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use braintune_audio::Waveform;
use ndarray::Array2;

use crate::backbone::BackboneSpec;
use crate::disk::{content_key, mark_used};
use crate::error::{BackboneError, Result, io_error};
use crate::extractor::{
    ExtractionProgress, FeatureExtractor, LayerFeatures, OnExtraction, stack_rows,
};
use crate::feature_file::{FeatureFile, join};

/// Part of every key; raised when the meaning of a cached file changes.
const FORMAT: &str = "braintune features 2";
/// What a finished file says that it is.
const KIND: &str = "features";
/// Steps between two writes to disk.
const STEPS_PER_PART: usize = 8;

/// Wraps an extractor with a folder in which its features are kept.
///
/// ```
/// use braintune_audio::{SampleRate, Waveform};
/// use braintune_backbone::{CachedExtractor, CheckpointBackbone, FeatureExtractor, PretrainedModel};
/// # use braintune_backbone::{WhisperConfig, WhisperEncoder};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (model, cache) = (tempfile::tempdir()?, tempfile::tempdir()?);
/// # let (model, cache) = (model.path(), cache.path());
/// let device = burn::tensor::Device::flex();
/// # WhisperEncoder::random(&WhisperConfig::new(1, 8, 2, 80), 42, &device)?.save(model)?;
/// let model = PretrainedModel::load(model, device)?; // any supported folder
/// let weights = model.weights_sha256().to_owned();
/// let extractor = CachedExtractor::new(model.into_whole_clip(), weights, cache)?;
/// let second = Waveform::from_samples(vec![0.1; 16_000], SampleRate::SPEECH)?;
/// let features = extractor.extract(&second)?;
/// assert_eq!(features.layers()[1].dim(), (51, 8)); // [n_frames, d_model]
/// assert!(extractor.path(&second).exists());
/// assert_eq!(extractor.extract(&second)?, features); // read, not computed
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CachedExtractor<E> {
    inner: E,
    weights_sha256: String,
    folder: PathBuf,
}

/// An extraction that is under way.
struct Resumed<'a> {
    parts: &'a Path,
    /// Part files of the rows `0..flushed`, in order.
    finished: Vec<PathBuf>,
    /// Layers of the rows `flushed..done`, step by step.
    pending: Vec<Vec<Array2<f32>>>,
    flushed: usize,
    done: usize,
}

impl<E: FeatureExtractor> CachedExtractor<E> {
    /// `weights_sha256` identifies the weights behind `inner` ([`crate::Checkpoint::sha256`]).
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(inner: E, weights_sha256: String, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        Ok(Self {
            inner,
            weights_sha256,
            folder: folder.to_path_buf(),
        })
    }

    /// Where the features of this recording are, or will be.
    #[must_use]
    pub fn path(&self, audio: &Waveform) -> PathBuf {
        let rate = audio.sample_rate().as_hz().to_string();
        let settings = self.inner.settings();
        let texts = [FORMAT, &self.weights_sha256, &settings, &rate];
        let key = content_key(&texts, audio.samples());
        self.folder.join(format!("{key}.safetensors"))
    }

    /// Extracts whatever is not in the cache yet and says where the complete file is. Memory holds
    /// a few steps, whatever the length of the recording.
    ///
    /// # Errors
    /// As [`FeatureExtractor::extract_observed`].
    pub fn complete(&self, audio: &Waveform, on: &mut OnExtraction<'_>) -> Result<PathBuf> {
        let times = self.times(audio)?;
        let total = times.len();
        let path = self.path(audio);
        if self.is_complete(&path, &times) {
            mark_used(&path);
            return match on(ExtractionProgress { done: total, total }) {
                ControlFlow::Continue(()) => Ok(path),
                ControlFlow::Break(()) => Err(BackboneError::Cancelled),
            };
        }
        match self.fill(audio, &times, &path, on) {
            // Another run over the same recording may have finished, and taken away the parts that this one was to join.
            Err(error) if !matches!(error, BackboneError::Cancelled) => {
                if self.is_complete(&path, &times) {
                    Ok(path)
                } else {
                    Err(error)
                }
            }
            filled => filled.map(|()| path),
        }
    }

    /// Extracts what is missing in parts, and joins them at `path`.
    fn fill(
        &self,
        audio: &Waveform,
        times: &[f64],
        path: &Path,
        on: &mut OnExtraction<'_>,
    ) -> Result<()> {
        let total = times.len();
        let parts = path.with_extension("parts");
        let mut state = self.resume(&parts, times)?;
        while state.done < total {
            let end = state.done.saturating_add(self.rows_per_step()).min(total);
            state
                .pending
                .push(self.inner.extract_rows(audio, state.done..end)?);
            state.done = end;
            let stop = on(ExtractionProgress { done: end, total }).is_break();
            if stop || state.pending.len() == STEPS_PER_PART {
                state.flush(times)?;
            }
            if stop {
                return Err(BackboneError::Cancelled);
            }
        }
        state.flush(times)?;
        let settings = self.inner.settings();
        let notes = [
            ("kind", KIND),
            ("weights", &*self.weights_sha256),
            ("settings", &*settings),
        ];
        join(&state.finished, times, &notes, path)?;
        // The complete file is in place: what is left of the parts is only clutter.
        let _ = std::fs::remove_dir_all(&parts);
        Ok(())
    }

    /// Whether there is a complete file that fits; a damaged one is said and made again.
    fn is_complete(&self, path: &Path, times: &[f64]) -> bool {
        if !path.exists() {
            return false;
        }
        match FeatureFile::open(path) {
            Ok(file) => self.fits(&file, times),
            Err(error) => {
                tracing::warn!(%error, "damaged cache entry, extracting again");
                false
            }
        }
    }

    fn fits(&self, file: &FeatureFile, times: &[f64]) -> bool {
        let spec = self.inner.spec();
        file.times == times
            && file.n_layers == spec.n_hidden_states()
            && file.d_model == spec.d_model
    }

    /// Parts of an earlier run, as far as they join up from row 0.
    fn resume<'a>(&self, parts: &'a Path, times: &[f64]) -> Result<Resumed<'a>> {
        std::fs::create_dir_all(parts).map_err(io_error("create", parts))?;
        let mut state = Resumed {
            parts,
            finished: Vec::new(),
            pending: Vec::new(),
            flushed: 0,
            done: 0,
        };
        for rows in parts_in(parts)? {
            let in_order =
                rows.start == state.done && rows.end <= times.len() && rows.start < rows.end;
            // A start off the grid of steps would change which windows share a batch.
            if !in_order || !rows.start.is_multiple_of(self.inner.rows_per_step()) {
                continue;
            }
            let path = part_path(parts, &rows);
            // Read whole: a damaged value must not get into the complete file.
            let whole = LayerFeatures::read(&path).and_then(|_| FeatureFile::open(&path));
            match whole {
                Ok(part) if self.fits(&part, &times[rows.clone()]) => {
                    state.finished.push(path);
                    state.done = rows.end;
                }
                _ => tracing::warn!(?rows, "damaged part of an earlier run, extracting again"),
            }
        }
        state.flushed = state.done;
        Ok(state)
    }
}

/// Whether there is no place to write, which is no reason not to compute.
fn is_full(error: &BackboneError) -> bool {
    let BackboneError::Io { source, .. } = error else {
        return false;
    };
    matches!(
        source.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
    )
}

impl Resumed<'_> {
    /// Writes the pending rows as one part.
    fn flush(&mut self, times: &[f64]) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        // Another run over the same recording may have finished and taken the folder away.
        std::fs::create_dir_all(self.parts).map_err(io_error("create", self.parts))?;
        let rows = self.flushed..self.done;
        let layers = stack_rows(&std::mem::take(&mut self.pending))?;
        let path = part_path(self.parts, &rows);
        LayerFeatures::new(layers, times[rows].to_vec()).write(&path)?;
        self.finished.push(path);
        self.flushed = self.done;
        Ok(())
    }
}

impl<E: FeatureExtractor> FeatureExtractor for CachedExtractor<E> {
    fn spec(&self) -> &BackboneSpec {
        self.inner.spec()
    }

    fn settings(&self) -> String {
        self.inner.settings()
    }

    fn times(&self, audio: &Waveform) -> Result<Vec<f64>> {
        self.inner.times(audio)
    }

    fn extract_rows(&self, audio: &Waveform, rows: Range<usize>) -> Result<Vec<Array2<f32>>> {
        self.inner.extract_rows(audio, rows)
    }

    fn rows_per_step(&self) -> usize {
        self.inner.rows_per_step()
    }

    fn extract_observed(
        &self,
        audio: &Waveform,
        on: &mut OnExtraction<'_>,
    ) -> Result<LayerFeatures> {
        let path = match self.complete(audio, on) {
            Err(error) if is_full(&error) => {
                tracing::warn!(
                    %error,
                    "{} takes no more: features are not kept for the next run (--cache names another folder)",
                    self.folder.display()
                );
                return self.inner.extract_observed(audio, on);
            }
            path => path?,
        };
        LayerFeatures::read(&path).or_else(|error| {
            tracing::warn!(%error, "damaged cache entry, extracting again");
            match std::fs::remove_file(&path) {
                // The cache may have been cleaned since.
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(io_error("remove", &path)(error));
                }
                _ => {}
            }
            LayerFeatures::read(&self.complete(audio, on)?)
        })
    }
}

fn part_path(parts: &Path, rows: &Range<usize>) -> PathBuf {
    parts.join(format!("{:09}-{:09}.safetensors", rows.start, rows.end))
}

/// Row ranges of the part files in a folder, by start.
fn parts_in(parts: &Path) -> Result<Vec<Range<usize>>> {
    let mut ranges = Vec::new();
    for entry in std::fs::read_dir(parts).map_err(io_error("read", parts))? {
        let name = entry.map_err(io_error("read", parts))?.file_name();
        let range = name.to_str().and_then(|name| {
            let (start, end) = name.strip_suffix(".safetensors")?.split_once('-')?;
            Some(start.parse().ok()?..end.parse().ok()?)
        });
        ranges.extend(range);
    }
    ranges.sort_by_key(|range: &Range<usize>| range.start);
    Ok(ranges)
}
