//! What is asked of a model that it cannot do, each with an error of its own.

use braintune_backbone::{
    BackboneError, CheckpointBackbone, FeatureExtractor, FrozenPart, Wav2Vec2Config, Wav2Vec2Model,
    WholeClipExtractor, WindowedExtractor, Windows,
};
use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use ndarray::Array2;

use crate::shared::{micro, short_clip};

/// Two layers of width 16 without an embedding for masked frames.
fn model() -> Wav2Vec2Model {
    let config = Wav2Vec2Config {
        conv_dim: vec![8; 7],
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 16,
        num_conv_pos_embeddings: 4,
        num_conv_pos_embedding_groups: 2,
        mask_time_prob: 0.0,
        mask_feature_prob: 0.0,
        ..Wav2Vec2Config::default()
    };
    Wav2Vec2Model::random(&config, 42, &Device::flex()).unwrap()
}

#[test]
fn masks_need_an_embedding_and_the_shape_of_the_frames() {
    let device = Device::flex();
    let samples: Tensor<2> = Tensor::zeros([1, 1_200], &device); // 3 frames
    let mask = Array2::from_elem((1, 3), true);
    assert!(!model().has_mask_embedding());
    let error = model().masked_states(samples.clone(), mask.view());
    let error = error.unwrap_err();
    assert!(
        matches!(&error, BackboneError::Unsupported { model_type, .. } if model_type == "wav2vec2")
    );
    assert!(error.to_string().contains("masked_spec_embed"), "{error}");
    let able = model().with_mask_embedding(1);
    assert!(able.has_mask_embedding());
    // It keeps the one that it has.
    let states = |model: &Wav2Vec2Model| {
        let found = model.masked_states(samples.clone(), mask.view()).unwrap();
        found.last.into_data()
    };
    assert_eq!(states(&able), states(&able.clone().with_mask_embedding(2)));
    let wide = Array2::from_elem((1, 4), true);
    assert!(matches!(
        able.masked_states(samples.clone(), wide.view()),
        Err(BackboneError::MaskShape {
            expected: [1, 3],
            got: [1, 4]
        })
    ));
}

#[test]
fn states_that_are_not_numbers_are_said() {
    struct NotNumbers;
    impl ModuleMapper for NotNumbers {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|values| values * f32::NAN)
        }
    }
    let damaged = model().map(&mut NotNumbers);
    let extractor = WholeClipExtractor::new(damaged, Device::flex());
    assert!(matches!(
        extractor.extract(&short_clip()),
        Err(BackboneError::NonFinite { state: 0 })
    ));
}

#[test]
fn what_is_not_there_is_named() {
    let device = Device::flex();
    let audio = short_clip();
    let windowed = WindowedExtractor::new(model(), Windows::new(0.1, 0.1).unwrap(), device.clone());
    let n = windowed.times(&audio).unwrap().len();
    assert!(matches!(
        windowed.extract_rows(&audio, 0..n + 1),
        Err(BackboneError::Rows { n_rows, .. }) if n_rows == n
    ));
    let whole = WholeClipExtractor::new(model(), device.clone());
    assert!(matches!(
        whole.extract_rows(&audio, 0..100_000),
        Err(BackboneError::Rows { .. })
    ));
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        model().save_adapter(folder.path()),
        Err(BackboneError::NoLora)
    ));
    let error = model().freeze_parts(&[FrozenPart::Layers(1..=2)]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "cannot freeze layers:1-2: the backbone has layers 0 to 1"
    );
    let whisper = braintune_backbone::PretrainedModel::load(&micro(), device).unwrap();
    let error = whisper.with_shared_convolutions().unwrap_err();
    assert!(
        matches!(&error, BackboneError::Unsupported { model_type, .. } if model_type == "whisper"),
        "{error}"
    );
}
