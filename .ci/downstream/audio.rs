use braintune_audio::{SampleRate, Waveform, WhisperLogMel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tone = (0..32_000).map(|i| (i as f32 * 0.1).sin()).collect();
    let story = Waveform::from_samples(tone, SampleRate::SPEECH)?;
    let log_mel = WhisperLogMel::new(80)?.compute(story.samples())?;
    assert_eq!(log_mel.dim(), (80, 3000));
    Ok(())
}
