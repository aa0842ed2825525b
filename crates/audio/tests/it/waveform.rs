//! What a waveform and a rate accept.

use braintune_audio::{AudioError, SampleRate, Waveform};

#[test]
fn samples_are_checked_once() {
    let empty = Waveform::from_samples(Vec::new(), SampleRate::SPEECH);
    assert!(matches!(empty, Err(AudioError::EmptyWaveform)));
    let infinite = Waveform::from_samples(vec![0.0, f32::INFINITY], SampleRate::SPEECH);
    assert!(matches!(
        infinite,
        Err(AudioError::NonFiniteSample { index: 1, .. })
    ));
}

#[test]
fn rates_have_bounds() {
    for hz in [0, 999, 768_001, u32::MAX] {
        let error = SampleRate::from_hz(hz).unwrap_err();
        assert!(matches!(error, AudioError::InvalidSampleRate { hz: h } if h == hz));
    }
    assert_eq!(SampleRate::from_hz(16_000).unwrap(), SampleRate::SPEECH);
    assert_eq!(SampleRate::SPEECH.to_string(), "16000 Hz");
}
