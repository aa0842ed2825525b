//! The feature cache: read again, gone on with, never trusted when damaged.

use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use braintune_audio::Waveform;
use braintune_backbone::{
    BackboneError, BackboneSpec, CachedExtractor, FeatureExtractor, LayerFeatures, PretrainedModel,
    Result, Windows,
};
use burn::tensor::Device;
use ndarray::Array2;

use crate::shared::{clip, micro};

/// Counts the rows that were really computed.
struct Counting<'a> {
    inner: Box<dyn FeatureExtractor>,
    computed: &'a AtomicUsize,
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
        self.computed.fetch_add(rows.len(), Relaxed);
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
    computed: &'a AtomicUsize,
) -> CachedExtractor<Counting<'a>> {
    let model = PretrainedModel::load(&micro(), Device::flex()).unwrap();
    let inner = model.into_windowed(Windows::new(0.9, stride_s).unwrap());
    CachedExtractor::new(Counting { inner, computed }, weights.to_owned(), folder).unwrap()
}

#[test]
fn a_second_run_computes_nothing_and_gives_the_same_bits() {
    let (folder, computed) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    let first = cached(folder.path(), 0.3, "w", &computed)
        .extract(&clip())
        .unwrap();
    assert_eq!(computed.swap(0, Relaxed), 7);
    let second = cached(folder.path(), 0.3, "w", &computed)
        .extract(&clip())
        .unwrap();
    assert_eq!(computed.load(Relaxed), 0);
    assert_eq!(first, second);
}

#[test]
fn other_weights_windows_or_audio_are_other_entries() {
    let (folder, computed) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
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
    let (folder, computed) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    let whole = cached(tempfile::tempdir().unwrap().path(), 0.05, "w", &computed)
        .extract(&clip())
        .unwrap();
    let total = whole.times().len();
    computed.store(0, Relaxed);
    let extractor = cached(folder.path(), 0.05, "w", &computed);
    let stopped = extractor.extract_observed(&clip(), &mut |at| {
        if at.done >= 16 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    assert!(matches!(stopped, Err(BackboneError::Cancelled)));
    assert_eq!(computed.swap(0, Relaxed), 16);
    assert_eq!(extractor.extract(&clip()).unwrap(), whole);
    assert_eq!(computed.load(Relaxed), total - 16);
    assert!(!extractor.path(&clip()).with_extension("parts").exists());
}

#[test]
fn two_runs_over_one_recording_do_not_end_each_other() {
    let (folder, computed) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    let extractor = cached(folder.path(), 0.05, "w", &computed);
    let stopped = extractor.extract_observed(&clip(), &mut |_| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(BackboneError::Cancelled)));

    // The part that this one goes on from is gone once the other has finished.
    let other = cached(folder.path(), 0.05, "w", &computed);
    let mut begun = false;
    let found = extractor.extract_observed(&clip(), &mut |_| {
        if !std::mem::replace(&mut begun, true) {
            other.extract(&clip()).unwrap();
        }
        ControlFlow::Continue(())
    });
    assert!(begun);
    assert_eq!(found.unwrap(), other.extract(&clip()).unwrap());
}

#[test]
fn damaged_entries_are_made_again() {
    let (folder, computed) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
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

#[test]
fn features_are_read_as_they_were_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("features.safetensors");
    // More layers than have one digit.
    let layer = |state: usize| {
        Array2::from_shape_fn((3, 4), |(row, column)| {
            (100 * state + 10 * row + column) as f32 * 0.3
        })
    };
    let layers: Vec<_> = (0..12).map(layer).collect();
    let features = LayerFeatures::new(layers, vec![0.1, 0.2, 0.3]);
    features.write(&path).unwrap();
    assert_eq!(LayerFeatures::read(&path).unwrap(), features);
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(file.tensor("hidden_states.11").unwrap().shape(), [3, 4]);
    assert_eq!(file.tensor("times").unwrap().shape(), [3]);
    let uneven = vec![Array2::zeros((1, 4)), Array2::zeros((1, 3))];
    let error = LayerFeatures::new(uneven, vec![0.1]).write(&path);
    assert!(matches!(error, Err(BackboneError::FeatureShapes(_))));
    assert_eq!(LayerFeatures::read(&path).unwrap(), features);
}
