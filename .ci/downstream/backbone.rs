use braintune_backbone::{SpeechBackbone, WhisperConfig, WhisperEncoder, burn::tensor::Device};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = WhisperEncoder::random(&WhisperConfig::new(1, 8, 2, 80), 42, &Device::flex())?;
    assert_eq!(model.spec().d_model, 8);
    Ok(())
}
