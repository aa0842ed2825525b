//! Tests of everything public.
#![allow(clippy::unwrap_used, missing_docs)]

mod acoustic;
mod bad_input;
mod decoding;
mod fixtures;
mod resampling;
mod spectra;
mod sphere;
mod waveform;

fn shared<T: Send + Sync + Clone>() {}
fn error<T: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn types_can_be_shared_between_threads() {
    shared::<braintune_audio::Waveform>();
    shared::<braintune_audio::SampleRate>();
    shared::<braintune_audio::AudioInfo>();
    shared::<braintune_audio::WhisperLogMel>();
    shared::<braintune_audio::Stft>();
    shared::<braintune_audio::Frames>();
    shared::<braintune_audio::Mfcc>();
    shared::<braintune_audio::Fbank>();
    shared::<braintune_audio::PowerSpectrum>();
    shared::<braintune_audio::Rms>();
    shared::<braintune_audio::Yin>();
    error::<braintune_audio::AudioError>();
}
