use braintune_fmri::{FmriError, Lanczos};
use ndarray::{Array2, ArrayView2};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::fixture;

fn f64s(tensors: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let (values, _) = tensors.tensor(name).unwrap().data().as_chunks::<8>();
    values
        .iter()
        .map(|&bytes| f64::from_le_bytes(bytes))
        .collect()
}

#[test]
fn equals_the_formula_in_numpy() {
    let bytes = std::fs::read(fixture("lanczos/data.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tr_times = f64s(&tensors, "tr_times");
    for case in ["regular", "uneven", "sparse"] {
        let frame_times = f64s(&tensors, &format!("{case}.frame_times"));
        let features = tensors.tensor(&format!("{case}.features")).unwrap();
        let (values, _) = features.data().as_chunks::<4>();
        let values: Vec<f32> = values
            .iter()
            .map(|&bytes| f32::from_le_bytes(bytes))
            .collect();
        let features = ArrayView2::from_shape((frame_times.len(), 5), &values).unwrap();
        let resampled = Lanczos::for_tr_times(&tr_times)
            .unwrap()
            .resample(features, &frame_times, &tr_times)
            .unwrap();
        let expected = f64s(&tensors, &format!("{case}.resampled"));
        for (got, expected) in resampled.iter().zip(&expected) {
            // Both sum in f64; what is left is the rounding of the result to f32.
            let tolerance = f64::from(f32::EPSILON) * expected.abs().max(1e-6);
            assert!(
                (f64::from(*got) - expected).abs() <= tolerance,
                "{case}: {got} {expected}"
            );
        }
    }
}

#[test]
fn only_the_window_is_kept() {
    let frame_times: Vec<f64> = (1..=1000).map(|k| f64::from(k) * 0.1).collect();
    let tr_times: Vec<f64> = (0..40).map(|k| 2.0 * f64::from(k) - 9.0).collect();
    let lanczos = Lanczos::for_tr_times(&tr_times).unwrap();
    assert_eq!(lanczos.cutoff_hz(), 0.5);
    let matrix = lanczos.matrix(&frame_times, &tr_times).unwrap();
    assert_eq!((matrix.n_trs(), matrix.n_frames()), (40, 1000));
    // TR 0 at -9 s sees no frame; TR 20 at 31 s sees those from 25 to 37 s.
    assert!(matrix.row(0).unwrap().1.is_empty());
    let (frames, weights) = matrix.row(20).unwrap();
    assert!(weights.len().abs_diff(121) <= 2);
    assert!((frame_times[frames.start] - 25.0).abs() < 0.11);
    assert!((frame_times[frames.end - 1] - 37.0).abs() < 0.11);
    assert_eq!(matrix.row(40), None);
}

#[test]
fn a_frame_at_the_tr_has_weight_one_and_others_at_whole_periods_none() {
    let lanczos = Lanczos::with_cutoff(0.5).unwrap();
    let frame_times = [5.0, 7.0, 9.0, 11.0, 13.0, 15.0, 17.0];
    let features = Array2::from_shape_vec((7, 1), vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
    let resampled = lanczos.resample(features.unwrap().view(), &frame_times, &[11.0]);
    assert!((resampled.unwrap()[[0, 0]] - 8.0).abs() < 1e-6);
}

#[test]
fn unusable_times_are_refused() {
    let good = [0.0, 1.0, 2.0];
    let lanczos = Lanczos::with_cutoff(0.5).unwrap();
    for bad in [
        &[][..],
        &[0.0, f64::NAN],
        &[0.0, 0.0],
        &[1.0, 0.5],
        &[f64::INFINITY],
    ] {
        let error = lanczos.matrix(bad, &good).unwrap_err().to_string();
        assert!(error.starts_with("unusable frame times"), "{error}");
        let error = lanczos.matrix(&good, bad).unwrap_err().to_string();
        assert!(error.starts_with("unusable TR times"), "{error}");
        assert!(Lanczos::for_tr_times(bad).is_err());
    }
    assert!(Lanczos::for_tr_times(&[1.0]).is_err());
    for cutoff_hz in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(
            Lanczos::with_cutoff(cutoff_hz),
            Err(FmriError::Cutoff { .. })
        ));
    }
    let features = Array2::zeros((4, 2));
    let error = lanczos.resample(features.view(), &good, &good).unwrap_err();
    assert_eq!(error.to_string(), "3 frame times but 4 rows of features");
}

proptest! {
    #[test]
    fn is_linear(
        x in prop::collection::vec(-100.0_f32..100.0, 60),
        y in prop::collection::vec(-100.0_f32..100.0, 60),
        a in -4.0_f32..4.0,
    ) {
        let frame_times: Vec<f64> = (0..30).map(|k| f64::from(k) * 0.7).collect();
        let tr_times: Vec<f64> = (0..9).map(|k| f64::from(k) * 2.0 + 1.0).collect();
        let lanczos = Lanczos::for_tr_times(&tr_times).unwrap();
        let x = Array2::from_shape_vec((30, 2), x).unwrap();
        let y = Array2::from_shape_vec((30, 2), y).unwrap();
        let resample = |features: &Array2<f32>| {
            lanczos.resample(features.view(), &frame_times, &tr_times).unwrap()
        };
        let together = resample(&(&x * a + &y));
        let apart = resample(&x) * a + resample(&y);
        for (one, other) in together.iter().zip(&apart) {
            // Inputs up to 500 are rounded to f32 before and after up to 17 weights of at most 1.
            prop_assert!((one - other).abs() < 0.01, "{one} {other}");
        }
    }
}

#[test]
fn between_filters_down_and_interpolates_up() {
    let every = |n: u32, step_s: f64, first_s: f64| -> Vec<f64> {
        (0..n).map(|k| first_s + f64::from(k) * step_s).collect()
    };
    // Frames faster than TRs, and as fast: the same filter to the last bit.
    let tr_times = every(40, 1.49, -9.0);
    for frame_times in [every(700, 0.1, 0.1), every(50, 1.49, 0.3)] {
        let between = Lanczos::between(&frame_times, &tr_times).unwrap();
        let alone = Lanczos::for_tr_times(&tr_times).unwrap();
        if frame_times[1] - frame_times[0] < 1.0 {
            assert_eq!(between.cutoff_hz().to_bits(), alone.cutoff_hz().to_bits());
        }
        assert!((between.cutoff_hz() - alone.cutoff_hz()).abs() < 1e-12);
    }
    // Samples faster than frames: a slow wave comes out as it is, not ten times as large.
    let (frame_times, sample_times) = (every(100, 0.1, 0.0), every(1000, 0.01, 0.0));
    let lanczos = Lanczos::between(&frame_times, &sample_times).unwrap();
    let wave = |time: &f64| (2.0 * std::f64::consts::PI * 0.7 * time).sin();
    #[expect(clippy::cast_possible_truncation)]
    let features = Array2::from_shape_fn((100, 1), |(k, _)| wave(&frame_times[k]) as f32);
    let samples = lanczos
        .resample(features.view(), &frame_times, &sample_times)
        .unwrap();
    for (k, time) in sample_times.iter().enumerate().skip(300).take(400) {
        // Three lobes and rows that are not normalised: 1.1 % of ripple on a constant.
        let error = (f64::from(samples[[k, 0]]) - wave(time)).abs();
        assert!(error < 0.015, "{time} s: off by {error}");
        // On a frame it is the frame, up to the f32 it is stored in and sin(pi) in binary.
        assert!(k % 10 != 0 || error < 1e-6, "{time} s: off by {error}");
    }
    let one = Lanczos::between(&frame_times[..1], &sample_times).unwrap_err();
    assert!(one.to_string().contains("frame times"), "{one}");
}
