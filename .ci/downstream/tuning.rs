use braintune_tuning::braintune_backbone::{Wav2Vec2Config, Wav2Vec2Model};
use braintune_tuning::{TuningConfig, TuningModel, burn::tensor::Device};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (config, device) = (TuningConfig::default(), Device::flex().autodiff());
    let layers = Wav2Vec2Config { num_hidden_layers: 1, ..Wav2Vec2Config::default() };
    let model = TuningModel::new(Wav2Vec2Model::random(&layers, 1, &device)?, &[3], &config, &device)?;
    assert_eq!(model.n_voxels(), [3]);
    Ok(())
}
