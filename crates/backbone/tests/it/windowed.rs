//! Windowed extraction against one window at a time, and batches against single windows.

use std::path::Path;

use braintune_audio::{SampleRate, Waveform};
use braintune_backbone::{
    BackboneError, Checkpoint, FeatureExtractor, PretrainedModel, SharedConvExtractor,
    Wav2Vec2Model, WindowFeature, WindowedExtractor, Windows,
};
use burn::tensor::Device;
use ndarray::s;

use crate::shared::{clip, family, max_abs_difference, micro};

#[test]
fn a_window_is_the_last_audio_frame_of_that_stretch_alone() {
    let audio = clip();
    let model = || PretrainedModel::load(&micro(), Device::flex()).unwrap();
    let windowed = model().into_windowed(Windows::new(0.9, 0.3).unwrap());
    let features = windowed.extract(&audio).unwrap();
    assert_eq!(features.times().len(), 7); // 2.35 s; the last 0.25 s are no whole stride
    let whole = model().into_whole_clip();
    for (row, &end_s) in features.times().iter().enumerate() {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let end = (end_s * 16_000.0).round() as usize;
        let stretch = audio.samples()[end.saturating_sub(14_400)..end].to_vec();
        let alone = whole
            .extract(&Waveform::from_samples(stretch, SampleRate::SPEECH).unwrap())
            .unwrap();
        for (layer, (windowed, alone)) in features.layers().iter().zip(alone.layers()).enumerate() {
            let windowed = windowed.row(row).insert_axis(ndarray::Axis(0)).to_owned();
            let last = alone
                .row(alone.nrows() - 1)
                .insert_axis(ndarray::Axis(0))
                .to_owned();
            // Batched matrix products may sum in another order.
            let difference = max_abs_difference(&windowed, &last);
            assert!(
                difference < 1e-5,
                "window {row}, state {layer}: {difference}"
            );
        }
    }
}

#[test]
fn a_stride_mean_is_the_mean_over_the_newest_frames_of_that_stretch_alone() {
    let audio = clip();
    for folder in [micro(), family("wav2vec2-ctc-bin")] {
        let model = || PretrainedModel::load(&folder, Device::flex()).unwrap();
        let windows = Windows::new(0.9, 0.3).unwrap();
        let windowed = model()
            .with_batch_size(3)
            .into_windowed(windows.with_feature(WindowFeature::StrideMean));
        let features = windowed.extract(&audio).unwrap();
        let whole = model().into_whole_clip();
        let frames_of = |samples: &[f32]| {
            let part = Waveform::from_samples(samples.to_vec(), SampleRate::SPEECH).unwrap();
            whole.extract(&part).unwrap()
        };
        let middles: Vec<f64> = (0..7).map(|k| 0.15 + 0.3 * f64::from(k)).collect();
        for (row, (found, middle)) in features.times().iter().zip(middles).enumerate() {
            assert!((found - middle).abs() < 1e-9, "{found} {middle}");
            let end = 4_800 * (row + 1);
            let start = end.saturating_sub(14_400);
            let alone = frames_of(&audio.samples()[start..end]);
            let n_before = if row == 0 {
                0
            } else {
                frames_of(&audio.samples()[start..end - 4_800])
                    .times()
                    .len()
            };
            for (windowed, alone) in features.layers().iter().zip(alone.layers()) {
                let newest = alone.slice(s![n_before.., ..]);
                assert!(newest.nrows() > 0 && (row == 0 || n_before > 0));
                let mean = newest.mean_axis(ndarray::Axis(0)).unwrap();
                let difference = &windowed.row(row) - &mean;
                // Batched products and means may sum in another order.
                assert!(difference.iter().all(|d| d.abs() < 1e-5), "window {row}");
            }
        }
        assert!(windowed.settings().contains("mean of the newest stride"));
    }
}

#[test]
fn batched_windows_are_the_same_as_single_ones() {
    let extract = |batch_size| {
        let model = PretrainedModel::load(&micro(), Device::flex()).unwrap();
        let windows = Windows::new(0.9, 0.1).unwrap();
        model
            .with_batch_size(batch_size)
            .into_windowed(windows)
            .extract(&clip())
            .unwrap()
    };
    let (single, batched) = (extract(1), extract(5));
    assert_eq!(single.times(), batched.times());
    for (single, batched) in single.layers().iter().zip(batched.layers()) {
        // Products of several windows at once may sum in another order.
        assert!(max_abs_difference(single, batched) < 1e-5);
    }
}

#[test]
fn parts_of_the_windows_give_the_same_bits() {
    let extractor = PretrainedModel::load(&micro(), Device::flex()).unwrap();
    let extractor = extractor.into_windowed(Windows::new(0.9, 0.1).unwrap());
    let all = extractor.extract(&clip()).unwrap();
    let start = extractor.rows_per_step();
    let part = extractor.extract_rows(&clip(), start..23).unwrap();
    for (all, part) in all.layers().iter().zip(&part) {
        assert_eq!(all.slice(ndarray::s![start.., ..]), part);
    }
}

#[test]
fn features_do_not_depend_on_the_number_of_threads() {
    // Three windows: with more threads than that, each pass has several.
    let extract = |name: &Path, n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads);
        pool.build().unwrap().install(|| {
            let model = PretrainedModel::load(name, Device::flex()).unwrap();
            let extractor = model.into_windowed(Windows::new(1.5, 0.7).unwrap());
            extractor.extract(&clip()).unwrap()
        })
    };
    for name in [micro(), family("wav2vec2-ctc-bin"), family("wavlm-stable")] {
        let alone = extract(&name, 1);
        for n_threads in [2, 3, 7, 64] {
            assert_eq!(alone, extract(&name, n_threads), "{n_threads} threads");
        }
    }
}

#[test]
fn audio_that_does_not_suit_is_refused() {
    let windowed = |length_s, stride_s| {
        let model = PretrainedModel::load(&micro(), Device::flex()).unwrap();
        model.into_windowed(Windows::new(length_s, stride_s).unwrap())
    };
    let slow = Waveform::from_samples(vec![0.0; 8000], SampleRate::from_hz(8000).unwrap()).unwrap();
    let short = Waveform::from_samples(vec![0.0; 399], SampleRate::SPEECH).unwrap();
    let long = Waveform::from_samples(vec![0.0; 16_000 * 41], SampleRate::SPEECH).unwrap();
    let error = windowed(1.0, 0.5).extract(&slow).unwrap_err();
    assert!(error.to_string().contains("8000 Hz"), "{error}");
    assert!(matches!(
        windowed(1.0, 0.5).extract(&short),
        Err(BackboneError::Audio(_))
    ));
    let error = windowed(40.0, 1.0).extract(&long).unwrap_err();
    assert!(
        error.to_string().contains("longer than the 30 s"),
        "{error}"
    );
}

#[test]
fn shared_convolutions_are_exact_for_one_window_and_close_for_many() {
    // Full windows every 0.15 s, whole frames of 60 samples apart, and every 0.11 s, which are not.
    for (name, stride_s, most) in [
        ("wav2vec2-ctc-bin", 0.15, 0.2),
        ("wav2vec2-ctc-bin", 0.11, 0.2),
        ("wavlm-stable", 0.11, 0.02),
        ("wavlm-stable", 0.026, 0.02),
    ] {
        let device = Device::flex();
        let model = || {
            let checkpoint = Checkpoint::open(&family(name)).unwrap();
            Wav2Vec2Model::from_checkpoint(&checkpoint, &device).unwrap()
        };
        let windows = Windows::new(0.9, stride_s).unwrap();
        let exact = WindowedExtractor::new(model(), windows, device.clone());
        let shared = SharedConvExtractor::new(model(), windows, device.clone());
        let n = shared.times(&clip()).unwrap().len();
        let rows = n - 3..n;
        let exact = exact.extract_rows(&clip(), rows.clone()).unwrap();
        let alone = shared.extract_rows(&clip(), n - 3..n - 2).unwrap();
        let many = shared.extract_rows(&clip(), rows).unwrap();
        for layer in 0..exact.len() {
            let first = exact[layer].slice(s![..1, ..]).to_owned();
            let difference = max_abs_difference(&first, &alone[layer]);
            assert!(
                difference < 1e-4,
                "{name}, state {layer}, alone: {difference}"
            );
            let scale = exact[layer]
                .iter()
                .fold(0.0_f32, |most, x| most.max(x.abs()));
            let difference = max_abs_difference(&exact[layer], &many[layer]) / scale;
            eprintln!("{name}, {stride_s} s, state {layer}: {difference:.1e} of the largest value");
            assert!(
                difference < most,
                "{name}, {stride_s}, state {layer}: {difference}"
            );
        }
    }
}
