//! Freezing: which parameters get a gradient.

use braintune_backbone::{
    Checkpoint, CheckpointBackbone, FrozenPart, LoraConfig, SpeechBackbone, Wav2Vec2Model,
    WhisperConfig, WhisperEncoder,
};
use burn::module::{ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};

use crate::shared::{family, short_clip};

/// Paths of parameters with a gradient.
struct WithGradient<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    found: Vec<String>,
}

impl ModuleVisitor for WithGradient<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.val().grad(self.gradients).is_some() {
            self.found.push(self.path.join("."));
        }
    }
}

fn with_gradient<B: SpeechBackbone>(model: &B, device: &Device) -> Vec<String> {
    let audio = short_clip();
    let n = audio.samples().len();
    let samples = TensorData::new(audio.samples().to_vec(), [1, n]);
    let states = model.hidden_states(Tensor::from_data(samples, device), &[n]);
    let last = states.into_layers().pop().unwrap();
    let gradients = last.powf_scalar(3.0).sum().backward();
    let mut visitor = WithGradient {
        gradients: &gradients,
        path: Vec::new(),
        found: Vec::new(),
    };
    model.visit(&mut visitor);
    visitor.found
}

fn wavlm(device: &Device) -> Wav2Vec2Model {
    let checkpoint = Checkpoint::open(&family("wavlm-stable")).unwrap();
    Wav2Vec2Model::from_checkpoint(&checkpoint, device).unwrap()
}

fn count(found: &[String], start: &str) -> usize {
    found.iter().filter(|path| path.starts_with(start)).count()
}

#[test]
fn frozen_parts_get_no_gradient_and_the_others_do() {
    let device = Device::flex().autodiff();
    let all = with_gradient(&wavlm(&device), &device);
    for start in [
        "feature_extractor.",
        "feature_projection.",
        "encoder.pos_conv_embed.conv.weight_g",
        "encoder.layers.0.attention.rel_attn_embed",
        "encoder.layers.0.attention.gru_rel_pos_const",
        "encoder.layers.1.feed_forward",
    ] {
        assert!(count(&all, start) > 0, "{start} in {all:?}");
    }
    let is_key_bias = |path: &String| path.ends_with("k_proj.bias");
    assert!(!all.iter().any(is_key_bias), "softmax does not see it");
    let parts = ["feature-encoder", "layers:0-0"].map(|part| part.parse().unwrap());
    let some = with_gradient(&wavlm(&device).freeze_parts(&parts).unwrap(), &device);
    assert_eq!(count(&some, "feature_extractor."), 0);
    assert_eq!(count(&some, "encoder.layers.0."), 0);
    assert!(count(&some, "encoder.layers.1.") > 0 && count(&some, "feature_projection.") > 0);
    let frozen = wavlm(&device)
        .freeze_parts(&[FrozenPart::FeatureProjection])
        .unwrap();
    assert_eq!(
        count(&with_gradient(&frozen, &device), "feature_projection."),
        0
    );
}

#[test]
fn with_everything_frozen_only_the_updates_learn() {
    let device = Device::flex().autodiff();
    let whisper = WhisperEncoder::random(&WhisperConfig::new(2, 8, 2, 80), 1, &device).unwrap();
    let config = LoraConfig::default();
    let before = whisper.clone().with_lora(&config, 0).unwrap();
    let after = whisper.freeze_parts(&[FrozenPart::All]).unwrap();
    let after = after.with_lora(&config, 0).unwrap();
    for model in [before.freeze_parts(&[FrozenPart::All]).unwrap(), after] {
        let found = with_gradient(&model, &device);
        assert!(
            found.iter().all(|path| path.contains(".lora.")),
            "{found:?}"
        );
        assert_eq!(
            found.len(),
            2 * 2 * 2,
            "A and B of queries and values in two layers"
        );
    }
}

#[test]
fn parts_that_are_not_there_are_refused() {
    let device = Device::flex();
    assert!(
        wavlm(&device)
            .freeze_parts(&[FrozenPart::Layers(1..=2)])
            .is_err()
    );
    for text in [
        "",
        "layers",
        "layers:3",
        "layers:4-2",
        "layers:a-b",
        "decoder",
    ] {
        let error = text.parse::<FrozenPart>().unwrap_err().to_string();
        assert!(error.contains("layers:I-J"), "{error}");
    }
}
