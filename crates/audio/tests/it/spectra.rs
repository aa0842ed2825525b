//! Spectrograms against transformers, librosa and the shared reference.

use braintune_audio::{AudioError, SampleRate, Stft, WhisperLogMel, load_audio, mel_filters};
use ndarray::{Array2, Axis, Slice};

use crate::fixtures::{Tensors, max_abs_diff, path, shared};

/// The project's requirement. torch computes in f32, this crate in f64: what is left is torch's
/// rounding in quiet bins, before the logarithm.
const TOLERANCE: f32 = 1e-4;

fn fixture() -> Tensors {
    Tensors::read(&path("log_mel/log_mel.safetensors"))
}

#[test]
fn log_mel_equals_transformers() {
    let fixture = fixture();
    for name in ["speech", "burst", "tiny"] {
        let samples = fixture.get(&format!("{name}.samples")).0;
        for n_mels in [80, 128] {
            let ours = WhisperLogMel::new(n_mels)
                .unwrap()
                .compute(&samples)
                .unwrap();
            assert_eq!(ours.dim(), (n_mels, 3000));
            let n_live = (samples.len() + 200).div_ceil(160);
            let live = ours.slice_axis(Axis(1), Slice::from(..n_live).step_by(5));
            let theirs = fixture.matrix(&format!("{name}.{n_mels}"));
            let difference = max_abs_diff(live.iter(), theirs.iter());
            assert!(
                difference < TOLERANCE,
                "{name}, {n_mels} bins: {difference}"
            );
            let padding = fixture.get(&format!("{name}.{n_mels}.padding")).0[0];
            let rest = ours.slice_axis(Axis(1), Slice::from(n_live..));
            assert!(
                rest.iter().all(|x| (x - padding).abs() < TOLERANCE),
                "{name}, {n_mels} bins"
            );
        }
    }
}

#[test]
fn thirty_seconds_are_reflected_at_the_end() {
    let fixture = fixture();
    let mut samples = vec![0.0; 16_000 * 30 - 8_000];
    samples.extend(fixture.get("full.tail").0);
    let ours = WhisperLogMel::new(80).unwrap().compute(&samples).unwrap();
    let tail = ours.slice_axis(Axis(1), Slice::from(-30..));
    let difference = max_abs_diff(tail.iter(), fixture.matrix("full.80").iter());
    assert!(difference < TOLERANCE, "{difference}");
}

#[test]
fn windows_share_frames_without_a_changed_bit() {
    let samples = fixture().get("speech.samples").0;
    let log_mel = WhisperLogMel::new(80).unwrap();
    let n = samples.len();
    // Whole hops apart, other phases, the shortest, the whole recording, one that ends with it.
    let windows = [
        0..400,
        0..4_000,
        1_600..8_000,
        3_200..9_601,
        3_207..9_600,
        3_200..3_201,
        0..n,
        n - 1_000..n,
    ];
    let together = log_mel.compute_windows(&samples, &windows).unwrap();
    for (window, together) in windows.into_iter().zip(together) {
        let alone = log_mel.compute(&samples[window.clone()]).unwrap();
        assert_eq!(alone, together, "{window:?}");
    }
    let empty = log_mel.compute_windows(&samples, &[0..400, 7..7]);
    assert!(matches!(empty, Err(AudioError::EmptyWaveform)));
    let (inverted, past) = (std::ops::Range { start: 9, end: 7 }, 0..n + 1);
    for window in [inverted, past, n + 1..n + 2] {
        let refused = log_mel.compute_windows(&samples, std::slice::from_ref(&window));
        let Err(AudioError::WindowOutOfRange {
            window: found,
            n_samples,
        }) = refused
        else {
            panic!("{window:?} is not in the recording");
        };
        assert_eq!((found, n_samples), (window, n));
    }
}

#[test]
fn a_spectrogram_has_two_frames_or_more() {
    let with = |n_frames| WhisperLogMel::new(80).unwrap().with_n_frames(n_frames);
    for n_frames in [0, 1] {
        let refused = with(n_frames);
        assert!(matches!(
            refused,
            Err(AudioError::TooFewFrames { min: 2, .. })
        ));
    }
    let spectrogram = with(2).unwrap().compute(&[0.5; 320]).unwrap();
    assert_eq!(spectrogram.dim(), (80, 2));
}

#[test]
fn log_mel_of_the_shared_recording_equals_the_reference() {
    let Some(folder) = shared("models/whisper-tiny.en") else {
        return;
    };
    let wave = load_audio(&folder.join("jfk.wav")).unwrap();
    let ours = WhisperLogMel::new(80)
        .unwrap()
        .compute(wave.samples())
        .unwrap();
    let reference = Tensors::read(&folder.join("reference_jfk.safetensors"));
    let theirs = reference.matrix("log_mel");
    let difference = max_abs_diff(ours.iter(), theirs.iter());
    assert!(difference < TOLERANCE, "{difference}");
}

#[test]
fn filters_equal_librosa() {
    let fixture = fixture();
    // Both are f32 of the same f64 arithmetic, in another order.
    let same = |a: &Array2<f32>, b: &Array2<f32>| max_abs_diff(a.iter(), b.iter()) < 1e-8;
    for n_mels in [80, 128] {
        let ours = mel_filters(n_mels, 400, SampleRate::SPEECH).unwrap();
        assert_eq!(ours.dim(), (n_mels, 201));
        let band = ours.slice_axis(Axis(1), Slice::from(40..60)).to_owned();
        assert!(same(
            &band,
            &fixture.matrix(&format!("filters.{n_mels}.band"))
        ));
        let sums = fixture.vector(&format!("filters.{n_mels}.sums"));
        assert!(max_abs_diff(ours.sum_axis(Axis(1)).iter(), sums.iter()) < 1e-7);
    }
    let ours = mel_filters(40, 512, SampleRate::from_hz(44_100).unwrap()).unwrap();
    let band = ours.slice_axis(Axis(1), Slice::from(..128)).to_owned();
    assert!(same(&band, &fixture.matrix("filters.40.44100")));
}

#[test]
fn power_spectra_equal_librosa() {
    let fixture = fixture();
    let samples = fixture.get("speech.samples").0;
    let power = Stft::new(512, 200)
        .unwrap()
        .power(&samples[8_000..16_000])
        .unwrap();
    assert_eq!(power.dim(), (41, 257));
    let ours = power.slice_axis(Axis(1), Slice::new(0, None, 4));
    let theirs = fixture.matrix("stft.512.200");
    for (a, b) in ours.iter().zip(&theirs) {
        // Both f64 inside, rounded to f32 at the end.
        assert!((a - b).abs() <= 1e-6 * b.abs() + 1e-12, "{a} {b}");
    }
}

#[test]
fn impossible_spectra_are_errors() {
    let whisper = WhisperLogMel::new(80).unwrap();
    let too_long = whisper.compute(&vec![0.0; 16_000 * 30 + 1]).unwrap_err();
    assert!(matches!(
        too_long,
        AudioError::TooLongForWhisper {
            n_samples: 480_001,
            ..
        }
    ));
    assert!(too_long.to_string().contains("windows"), "{too_long}");
    assert!(matches!(
        whisper.compute(&[]),
        Err(AudioError::EmptyWaveform)
    ));
    let nan = whisper.compute(&[0.0, f32::NAN]);
    assert!(matches!(
        nan,
        Err(AudioError::NonFiniteSample { index: 1, .. })
    ));
    for n_mels in [0, 202, usize::MAX] {
        assert!(matches!(
            WhisperLogMel::new(n_mels),
            Err(AudioError::InvalidMel { .. })
        ));
    }
    for (n_fft, hop) in [(0, 1), (401, 1), (400, 0), (usize::MAX, 1)] {
        assert!(matches!(
            Stft::new(n_fft, hop),
            Err(AudioError::InvalidStft { .. })
        ));
    }
    let short = Stft::new(400, 160).unwrap().power(&[0.0; 200]);
    assert!(matches!(
        short,
        Err(AudioError::TooShortForStft { min: 201, .. })
    ));
}
