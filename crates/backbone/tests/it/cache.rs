//! The feature cache: read again, gone on with, never trusted when damaged.

use std::cell::Cell;
use std::ops::{ControlFlow, Range};
use std::path::Path;

use braintune_audio::Waveform;
use braintune_backbone::{
    BackboneError, BackboneSpec, CachedExtractor, FeatureExtractor, PretrainedModel, Result,
    Windows,
};
use burn::tensor::Device;
use ndarray::Array2;

use crate::shared::{clip, micro};

/// Counts the rows that were really computed.
struct Counting<'a> {
    inner: Box<dyn FeatureExtractor>,
    computed: &'a Cell<usize>,
}

impl FeatureExtractor for Counting<'_> {
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
        self.computed.set(self.computed.get() + rows.len());
        self.inner.extract_rows(audio, rows)
    }
    fn rows_per_step(&self) -> usize {
        self.inner.rows_per_step()
    }
}

fn cached<'a>(
    folder: &Path,
    stride_s: f64,
    weights: &str,
    computed: &'a Cell<usize>,
) -> CachedExtractor<Counting<'a>> {
    let model = PretrainedModel::load(&micro(), Device::flex()).unwrap();
    let inner = model.into_windowed(Windows::new(0.9, stride_s).unwrap());
    CachedExtractor::new(Counting { inner, computed }, weights.to_owned(), folder).unwrap()
}

#[test]
fn a_second_run_computes_nothing_and_gives_the_same_bits() {
    let (folder, computed) = (tempfile::tempdir().unwrap(), Cell::new(0));
    let first = cached(folder.path(), 0.3, "w", &computed)
        .extract(&clip())
        .unwrap();
    assert_eq!(computed.replace(0), 7);
    let second = cached(folder.path(), 0.3, "w", &computed)
        .extract(&clip())
        .unwrap();
    assert_eq!(computed.get(), 0);
    assert_eq!(first, second);
}

#[test]
fn other_weights_windows_or_audio_are_other_entries() {
    let (folder, computed) = (tempfile::tempdir().unwrap(), Cell::new(0));
    let quieter = clip().samples().iter().map(|x| 0.999 * x).collect();
    let quieter = Waveform::from_samples(quieter, clip().sample_rate()).unwrap();
    let base = cached(folder.path(), 0.3, "w", &computed);
    let paths = [
        base.path(&clip()),
        base.path(&quieter),
        cached(folder.path(), 0.45, "w", &computed).path(&clip()),
        cached(folder.path(), 0.3, "v", &computed).path(&clip()),
    ];
    let distinct: std::collections::HashSet<_> = paths.iter().collect();
    assert_eq!(distinct.len(), paths.len());
}

#[test]
fn an_interrupted_run_goes_on_where_it_stopped() {
    let (folder, computed) = (tempfile::tempdir().unwrap(), Cell::new(0));
    let whole = cached(tempfile::tempdir().unwrap().path(), 0.05, "w", &computed)
        .extract(&clip())
        .unwrap();
    let total = whole.times().len();
    computed.set(0);
    let extractor = cached(folder.path(), 0.05, "w", &computed);
    let stopped = extractor.extract_observed(&clip(), &mut |at| {
        if at.done >= 16 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(stopped, Err(BackboneError::Cancelled)));
    assert_eq!(computed.replace(0), 16);
    assert_eq!(extractor.extract(&clip()).unwrap(), whole);
    assert_eq!(computed.get(), total - 16);
    assert!(!extractor.path(&clip()).with_extension("parts").exists());
}

#[test]
fn damaged_entries_are_made_again() {
    let (folder, computed) = (tempfile::tempdir().unwrap(), Cell::new(0));
    let extractor = cached(folder.path(), 0.3, "w", &computed);
    let first = extractor.extract(&clip()).unwrap();
    let path = extractor.path(&clip());
    let bytes = std::fs::read(&path).unwrap();
    let mut flipped = bytes.clone();
    let last = flipped.len() - 3;
    flipped[last] ^= 0x55;
    let cut = &bytes[..bytes.len() / 2];
    for damaged in [cut, &bytes[..4], b"".as_slice(), &flipped] {
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(extractor.extract(&clip()).unwrap(), first);
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}
