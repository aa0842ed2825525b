//! Acoustic features against librosa, and settings that cannot be.

use std::ops::Range;

use braintune_audio::{
    AudioError, Fbank, Frames, Framing, Mfcc, PowerSpectrum, Rms, SampleRate, Yin,
};
use ndarray::{Array2, Axis, Slice};

use crate::fixtures::{Tensors, max_abs_diff, path};

fn fixture() -> Tensors {
    Tensors::read(&path("acoustic/acoustic.safetensors"))
}

fn frames(length: usize, hop: usize, hz: u32, framing: Framing) -> Frames {
    Frames::new(length, hop, SampleRate::from_hz(hz).unwrap(), framing).unwrap()
}

/// Both sides compute in f64 and round to f32 at the end; coefficients reach 700, of which f32 holds
/// 6e-5. librosa in f32 is itself off by what the fixture's metadata says.
const TOLERANCE_DB: f32 = 1e-3;
/// librosa means squares in f32 whatever it is given.
const TOLERANCE_RMS: f32 = 1e-5;
/// Both compute in f64, by transforms of another length. A trough chosen otherwise moves a period by a
/// sample or more, which is 0.2 Hz at the least.
const TOLERANCE_HZ: f32 = 1e-2;

/// Features of the fixture, as `generate.py` has them.
struct Case {
    name: &'static str,
    frames: Frames,
    n_mels: usize,
    n_mfcc: usize,
    band_hz: Range<f64>,
}

fn spectral_cases() -> [Case; 5] {
    let centred = frames(400, 160, 16_000, Framing::Centred);
    let wide = frames(2048, 512, 22_050, Framing::Centred);
    let case = |name, frames, n_mels, n_mfcc, band_hz| Case {
        name,
        frames,
        n_mels,
        n_mfcc,
        band_hz,
    };
    [
        case("speech.inside", Frames::SPEECH, 128, 40, 0.0..8000.0),
        case("speech.centred", centred, 40, 13, 60.0..7600.0),
        case("burst.inside", Frames::SPEECH, 40, 20, 0.0..8000.0),
        case("burst.centred", centred, 40, 20, 0.0..8000.0),
        case("music.wide", wide, 128, 20, 0.0..11_025.0),
    ]
}

/// The samples that the features of a name are of.
fn samples_of(fixture: &Tensors, name: &str) -> Vec<f32> {
    let samples = name.split('.').next().unwrap();
    fixture.get(&format!("{samples}.samples")).0
}

/// The fixture has every third frame.
fn assert_close(ours: &Array2<f32>, theirs: &Array2<f32>, what: &str) {
    let ours = ours.slice_axis(Axis(0), Slice::new(0, None, 3));
    assert_eq!(ours.dim(), theirs.dim(), "{what}");
    let difference = max_abs_diff(ours.iter(), theirs.iter());
    assert!(difference < TOLERANCE_DB, "{what}: {difference}");
}

#[test]
fn cepstra_energies_and_loudness_equal_librosa() {
    let fixture = fixture();
    for case in spectral_cases() {
        let (name, frames) = (case.name, case.frames);
        let samples = samples_of(&fixture, name);
        let fbank = Fbank::new(frames, case.n_mels, case.band_hz).unwrap();
        let ours = fbank.compute(&samples).unwrap();
        assert_eq!(ours.nrows(), frames.n_frames(samples.len()));
        assert_close(
            &ours,
            &fixture.matrix(&format!("{name}.fbank")),
            &format!("{name} fbank"),
        );
        let mfcc = Mfcc::new(fbank, case.n_mfcc).unwrap();
        let ours = mfcc.compute(&samples).unwrap();
        assert_eq!(ours.dim(), (frames.n_frames(samples.len()), mfcc.n_mfcc()));
        assert_close(
            &ours,
            &fixture.matrix(&format!("{name}.mfcc")),
            &format!("{name} mfcc"),
        );

        let ours = Rms::new(frames).compute(&samples).unwrap();
        let theirs = fixture.vector(&format!("{name}.rms"));
        let difference = max_abs_diff(ours.iter(), theirs.iter());
        assert!(difference < TOLERANCE_RMS, "{name}: {difference}");
        let db = Rms::new(frames).compute_db(&samples).unwrap();
        for (db, rms) in db.iter().zip(&ours) {
            assert!((db - 20.0 * rms.max(1e-5).log10()).abs() < 1e-4);
        }
    }
}

#[test]
fn pitch_equals_librosa_in_every_frame() {
    let fixture = fixture();
    let inside = frames(1024, 160, 16_000, Framing::Inside);
    let centred = frames(640, 200, 16_000, Framing::Centred);
    let wide = frames(2048, 512, 22_050, Framing::Centred);
    for (name, frames, range) in [
        ("speech.pitch_inside", inside, 60.0..400.0),
        ("speech.pitch_centred", centred, 75.0..500.0),
        ("music.wide", wide, 65.0..2093.0),
    ] {
        let samples = samples_of(&fixture, name);
        let ours = Yin::new(frames, range).unwrap().compute(&samples).unwrap();
        let theirs = fixture.vector(&format!("{name}.yin"));
        let difference = max_abs_diff(ours.iter(), theirs.iter());
        assert!(difference < TOLERANCE_HZ, "{name}: {difference}");
    }
}

/// Floors, not infinities; and YIN's number, which stands for no pitch.
#[test]
fn digital_silence_equals_librosa() {
    let fixture = fixture();
    let silence = [0.0; 2000];
    let mfcc = Mfcc::speech().unwrap().compute(&silence).unwrap();
    let difference = max_abs_diff(mfcc.iter(), fixture.matrix("silence.mfcc").iter());
    assert!(difference < TOLERANCE_DB, "{difference}");
    let yin = Yin::new(frames(1024, 160, 16_000, Framing::Inside), 60.0..400.0).unwrap();
    assert_eq!(
        yin.compute(&silence).unwrap(),
        fixture.vector("silence.yin")
    );
}

#[test]
fn times_are_the_middles_of_frames() {
    let inside = Frames::SPEECH;
    assert_eq!(inside.n_frames(4 * 16_000), 398);
    assert_eq!(inside.n_frames(2 * 16_000), 198);
    assert_eq!(
        [399, 400, 559, 560].map(|n| inside.n_frames(n)),
        [0, 1, 1, 2]
    );
    let times = inside.times(64_000);
    assert_eq!((times[0], times[397]), (0.0125, 3.9825));
    let centred = frames(400, 160, 16_000, Framing::Centred);
    assert_eq!([0, 1, 159, 160].map(|n| centred.n_frames(n)), [0, 1, 1, 2]);
    assert_eq!(centred.times(320).to_vec(), [0.0, 0.01, 0.02]);
}

#[test]
fn settings_are_named() {
    let mfcc = Mfcc::speech().unwrap().to_string();
    assert_eq!(
        mfcc,
        "MFCC: 40 coefficients (orthonormal DCT-II, not liftered) of log-mel energies: 128 bands of \
         0 to 8000 Hz (Slaney), power, dB re 1 from 1e-10 and from 80 below the maximum; frames of \
         400 samples every 160 at 16000 Hz, inside the recording, Hann"
    );
    let centred = frames(1024, 200, 22_050, Framing::Centred);
    assert_eq!(
        Yin::new(centred, 60.0..400.5).unwrap().to_string(),
        "YIN: 60 to 400.5 Hz, trough below 0.1; frames of 1024 samples every 200 at 22050 Hz, \
         centred, zeros beyond the ends"
    );
    assert_eq!(
        Rms::new(Frames::SPEECH).to_string(),
        "RMS: frames of 400 samples every 160 at 16000 Hz, inside the recording, dB re 1 from 1e-5"
    );
}

#[test]
fn impossible_settings_are_errors() {
    for (length, hop) in [(0, 1), (401, 160), (400, 0), (usize::MAX - 1, 1)] {
        let frames = Frames::new(length, hop, SampleRate::SPEECH, Framing::Inside);
        assert!(matches!(frames, Err(AudioError::InvalidFrames { .. })));
    }
    for (n_mels, band) in [
        (0, 0.0..8000.0),
        (202, 0.0..8000.0),
        (40, 0.0..8000.1),
        (40, -1.0..8000.0),
        (40, 300.0..300.0),
        (40, f64::NAN..8000.0),
        (40, 0.0..f64::NAN),
    ] {
        let fbank = Fbank::new(Frames::SPEECH, n_mels, band);
        assert!(matches!(fbank, Err(AudioError::InvalidMel { .. })));
    }
    let fbank = Fbank::new(Frames::SPEECH, 40, 0.0..8000.0).unwrap();
    for n_mfcc in [0, 41] {
        let mfcc = Mfcc::new(fbank.clone(), n_mfcc);
        assert!(matches!(mfcc, Err(AudioError::InvalidMfcc { .. })));
    }
    for range in [
        0.0..400.0,
        40.0..400.0, // One period of 40 Hz is the whole frame.
        100.0..100.0,
        100.0..8000.1,
        f64::NAN..400.0,
        100.0..f64::NAN,
    ] {
        let e = Yin::new(Frames::SPEECH, range).unwrap_err();
        assert!(matches!(e, AudioError::InvalidPitchRange { .. }));
        assert!(e.to_string().contains("above 40.1 Hz"), "{e}");
    }
}

#[test]
fn impossible_samples_are_errors() {
    let yin = Yin::new(Frames::SPEECH, 100.0..400.0).unwrap();
    let errors = |samples: &[f32]| {
        [
            Mfcc::speech().unwrap().compute(samples).unwrap_err(),
            Rms::new(Frames::SPEECH).compute(samples).unwrap_err(),
            yin.compute(samples).unwrap_err(),
        ]
    };
    for e in errors(&[0.0; 399]) {
        assert!(matches!(
            e,
            AudioError::TooShortForFrame {
                n_samples: 399,
                length: 400
            }
        ));
    }
    for e in errors(&[]) {
        assert!(matches!(e, AudioError::EmptyWaveform));
    }
    let mut samples = [0.0; 1000];
    samples[7] = f32::NAN;
    for e in errors(&samples) {
        assert!(matches!(e, AudioError::NonFiniteSample { index: 7, .. }));
    }
}

/// One sample has a frame around it, and the extremes of f32 no infinity in f64.
#[test]
fn the_shortest_and_the_loudest_are_read() {
    let centred = frames(400, 160, 16_000, Framing::Centred);
    let fbank = Fbank::new(centred, 40, 0.0..8000.0).unwrap();
    assert_eq!(fbank.compute(&[0.3]).unwrap().dim(), (1, 40));
    let rms = Rms::new(centred).compute(&[0.5]).unwrap();
    assert!((rms[0] - 0.025).abs() < 1e-7);
    let loud = [f32::MAX; 800];
    let yin = Yin::new(Frames::SPEECH, 100.0..400.0).unwrap();
    assert!(fbank.compute(&loud).unwrap().iter().all(|x| x.is_finite()));
    assert!(yin.compute(&loud).unwrap().iter().all(|x| x.is_finite()));
    let rms = Rms::new(Frames::SPEECH).compute(&loud).unwrap();
    assert!(rms.iter().all(|x| x.is_finite()));
}

/// The samples of `power_spectrum/generate.py`.
fn buzz(n: i64) -> Vec<f32> {
    let sample = |i: i64| {
        let noise = (i * i * 31 + i * 1009) % 4093 - 2046;
        let buzz = (i % 100) * (i % 3001) / 8;
        // Whole numbers below 2^24.
        (noise + buzz) as f32 / 65536.0
    };
    let quiet = 9000..11_000;
    (0..n)
        .map(|i| if quiet.contains(&i) { 0.0 } else { sample(i) })
        .collect()
}

#[test]
fn power_in_bands_equals_scipy() {
    let fixture = Tensors::read(&path("power_spectrum/data.safetensors"));
    let wide = frames(2048, 1024, 44_100, Framing::Inside);
    for (name, n, spectrum) in [
        ("speech", 14_000, PowerSpectrum::speech()),
        (
            "wide",
            14_000,
            PowerSpectrum::new(wide, 448, 25.0..15_000.0),
        ),
        (
            "few",
            5_000,
            PowerSpectrum::new(Frames::SPEECH, 7, 100.0..7900.0),
        ),
    ] {
        let spectrum = spectrum.unwrap();
        let samples = buzz(n);
        let ours = spectrum.compute(&samples).unwrap();
        let theirs = fixture.matrix(name);
        assert_eq!(ours.dim(), theirs.dim(), "{name}");
        let difference = max_abs_diff(ours.iter(), theirs.iter());
        assert!(difference < TOLERANCE_DB, "{name}: {difference}");
        assert_eq!(ours.nrows(), spectrum.frames().times(samples.len()).len());
    }
}

#[test]
fn bands_are_named_and_checked() {
    let spectrum = PowerSpectrum::speech().unwrap();
    assert_eq!(
        spectrum.to_string(),
        "power spectrum: 448 bands of 0 to 8000 Hz, dB re 1 from 1e-10; frames of 896 samples every \
         448 at 16000 Hz, inside the recording, Hann"
    );
    assert_eq!(
        spectrum.edges_hz(447),
        Some((447.0 * 8000.0 / 448.0, 8000.0))
    );
    assert_eq!(spectrum.edges_hz(448), None);
    let silence = spectrum.compute(&[0.0; 2000]).unwrap();
    assert!(silence.iter().all(|&db| (db + 100.0).abs() < 1e-6));
    for (n_bands, band, reason) in [
        (0, 0.0..8000.0, "expected 1 to 201 of them"),
        (202, 0.0..8000.0, "expected 1 to 201 of them"),
        (10, 0.0..8000.1, "expected a part of 0 to 8000 Hz"),
        (10, f64::NAN..8000.0, "expected a part"),
        (10, 50.0..50.0, "expected a part"),
        (10, 50.0..200.0, "band 0 of 15.00 Hz holds no bin"),
    ] {
        let error = PowerSpectrum::new(Frames::SPEECH, n_bands, band).unwrap_err();
        assert!(matches!(error, AudioError::InvalidBands { .. }));
        assert!(error.to_string().contains(reason), "{error}");
    }
    let short = spectrum.compute(&[0.5; 895]).unwrap_err();
    assert!(matches!(short, AudioError::TooShortForFrame { .. }));
}
