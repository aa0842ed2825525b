//! Resampled tones against the same tones sampled at the new rate, and against soxr.

use std::f64::consts::TAU;

use braintune_audio::{SampleRate, Waveform};
use proptest::prelude::*;

use crate::fixtures::{Tensors, max_abs_diff, path};

fn rate(hz: u32) -> SampleRate {
    SampleRate::from_hz(hz).unwrap()
}

/// `n` samples of a tone at `at_hz`.
#[allow(clippy::cast_possible_truncation)]
fn tone(hz: f64, at_hz: u32, n: usize) -> Vec<f32> {
    (0..n)
        .map(|i| (0.5 * (TAU * hz * i as f64 / f64::from(at_hz)).sin()) as f32)
        .collect()
}

/// Band-limited tones come out as if they had been sampled at 16 kHz: no shift, no loss. 3e-5 is
/// the ripple of the resampler's filter, about -85 dB of the tone.
#[test]
fn tones_keep_their_phase_and_amplitude() {
    for from in [8_000, 11_025, 22_050, 32_000, 44_100, 48_000, 96_000] {
        let band = f64::from(from.min(16_000)) / 2.0;
        for hz in [97.0, 0.25 * band, 0.6 * band, 0.9 * band, 0.96 * band] {
            let n = from as usize;
            let wave = Waveform::from_samples(tone(hz, from, n), rate(from)).unwrap();
            let out = wave.resampled(SampleRate::SPEECH).unwrap();
            assert_eq!(out.samples().len(), 16_000);
            let expected = tone(hz, 16_000, 16_000);
            // Away from the ends, where the tone starts out of nothing.
            let inside = 2_400..13_600;
            let difference = max_abs_diff(
                out.samples()[inside.clone()].iter(),
                expected[inside].iter(),
            );
            assert!(
                difference < 3e-5,
                "{hz} Hz from {from} Hz differs by {difference}"
            );
        }
    }
}

#[test]
fn what_lies_above_the_new_band_is_removed() {
    for from in [22_050, 44_100, 48_000] {
        let wave = Waveform::from_samples(tone(8_200.0, from, from as usize), rate(from)).unwrap();
        let out = wave.resampled(SampleRate::SPEECH).unwrap();
        let loudest = out.samples()[2_400..13_600]
            .iter()
            .fold(0.0_f32, |max, x| max.max(x.abs()));
        assert!(loudest < 1e-4, "{from} Hz leaves {loudest}");
    }
}

/// soxr's filter is another one, so the ends differ; inside, both are the same band-limited signal.
#[test]
fn agrees_with_soxr() {
    let fixture = Tensors::read(&path("resampling/resampling.safetensors"));
    let tones = fixture.matrix("tones");
    for from in [8_000_u32, 11_025, 22_050, 44_100, 48_000] {
        let n = from as usize / 2 + 7;
        #[allow(clippy::cast_possible_truncation)]
        let samples = (0..n)
            .map(|i| {
                let t = i as f64 / f64::from(from);
                let at = |row, k| f64::from(tones[[row, k]]);
                let wave = |k| at(2, k) * (TAU * at(0, k) * t + at(1, k)).sin();
                (0..tones.ncols()).map(wave).sum::<f64>() as f32
            })
            .collect();
        let wave = Waveform::from_samples(samples, rate(from)).unwrap();
        let ours = wave.resampled(SampleRate::SPEECH).unwrap();
        let theirs = fixture.vector(&format!("soxr.{from}"));
        assert_eq!(ours.samples().len(), theirs.len(), "{from}");
        let inside = 1_600..theirs.len() - 1_600;
        let theirs = &theirs.as_slice().unwrap()[inside.clone()];
        let difference = max_abs_diff(ours.samples()[inside].iter(), theirs.iter());
        // The tones are stored as f64 and read as f32: their phase is off by up to 1e-4 rad.
        assert!(difference < 2e-4, "{from} Hz differs by {difference}");
    }
}

/// Shorter than any block of the resampler.
#[test]
fn very_short_audio_is_resampled() {
    for n in 1..20 {
        let wave = Waveform::from_samples(vec![0.25; n], rate(44_100)).unwrap();
        let out = wave.resampled(SampleRate::SPEECH).unwrap();
        assert_eq!(out.samples().len(), (n * 16_000).div_ceil(44_100));
    }
}

#[test]
fn the_same_rate_changes_nothing() {
    let wave = Waveform::from_samples(tone(100.0, 16_000, 777), SampleRate::SPEECH).unwrap();
    assert_eq!(wave.resampled(SampleRate::SPEECH).unwrap(), wave);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn lengths_are_rounded_up(n in 1_usize..5_000, from in 4_000_u32..100_000, to in 4_000_u32..50_000) {
        let wave = Waveform::from_samples(vec![0.1; n], rate(from)).unwrap();
        let out = wave.resampled(rate(to)).unwrap();
        prop_assert_eq!(out.samples().len(), (n * to as usize).div_ceil(from as usize));
    }
}
