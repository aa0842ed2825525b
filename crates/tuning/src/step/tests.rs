//! A step and ten steps against `PyTorch`'s (`tests/fixtures/generate.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use braintune_backbone::{
    Checkpoint, CheckpointBackbone, FrozenPart, Wav2Vec2Model, WhisperEncoder,
};
use ndarray::Array2;
use safetensors::SafeTensors;

use super::*;
use crate::batch::TuningBatch;
use crate::objective::MeanSquaredError;

/// Of a parameter's gradient norm: sums of a few thousand f32 in another order.
pub(crate) const RELATIVE: f64 = 1e-3;
/// Of the norm of all gradients: below it a gradient is rounding.
pub(crate) const FLOOR: f64 = 1e-6;
/// Not tuned: softmax does not see what is added to all scores of a query, a gradient of it is rounding.
pub(crate) const NOT_TUNED: &str = "k_proj.bias";

pub(crate) struct Expected {
    pub(crate) shapes: BTreeMap<String, Vec<usize>>,
    pub(crate) values: BTreeMap<String, Vec<f32>>,
}

impl Expected {
    fn read(model: &str) -> Self {
        Self::read_file(model, "step.safetensors")
    }

    pub(crate) fn read_file(model: &str, file: &str) -> Self {
        let bytes = std::fs::read(fixture(model).join(file)).expect("the fixture");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let mut expected = Self {
            shapes: BTreeMap::new(),
            values: BTreeMap::new(),
        };
        for (name, view) in file.tensors() {
            let values = view
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b));
            expected.values.insert(name.clone(), values.collect());
            expected.shapes.insert(name, view.shape().to_vec());
        }
        expected
    }

    pub(crate) fn matrix(&self, name: &str) -> Array2<f32> {
        let shape = &self.shapes[name];
        Array2::from_shape_vec((shape[0], shape[1]), self.values[name].clone()).expect("a matrix")
    }

    fn batch(&self) -> TuningBatch {
        let (samples, bold) = (self.matrix("samples"), self.matrix("bold"));
        TuningBatch::new(0, "S/tale".to_owned(), samples, bold)
    }
}

fn fixture(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(model)
}

pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

pub(crate) fn checkpoint(model: &str) -> Checkpoint {
    Checkpoint::open(&fixture(model)).expect("the fixture")
}

/// The backbone with the fixture's head, feature encoder frozen.
fn model<B: CheckpointBackbone>(backbone: B, expected: &Expected) -> TuningModel<B> {
    let backbone = backbone
        .freeze_parts(&[FrozenPart::FeatureEncoder])
        .expect("a part");
    let config = TuningConfig::default();
    let n_voxels = expected.shapes["bold"][1];
    let mut model = TuningModel::new(backbone, &[n_voxels], &config, &device()).expect("a model");
    let weight = expected.matrix("head.weight").reversed_axes();
    let bias = Tensor::from_floats(expected.values["head.bias"].as_slice(), &device());
    model.head.set(0, tensor(weight.view(), &device()), bias);
    model
}

/// Gradients by the checkpoint's key, values as `PyTorch` lays them out.
struct Named<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for Named<'_> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else {
            return;
        };
        let gradient = if D == 2 {
            gradient.swap_dims(0, 1)
        } else {
            gradient
        };
        let key = self.path.join(".");
        let key = key
            .replace("weight_g", "parametrizations.weight.original0")
            .replace("weight_v", "parametrizations.weight.original1");
        let renamed = key.replace(".gamma", ".weight").replace(".beta", ".bias");
        let values = gradient.into_data().try_into_vec().expect("f32");
        self.found.insert(renamed, values);
    }
}

pub(crate) fn named<M: Module>(
    module: &M,
    gradients: &GradientsParams,
) -> BTreeMap<String, Vec<f32>> {
    let mut named = Named {
        gradients,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    module.visit(&mut named);
    named.found
}

pub(crate) fn norm(values: impl Iterator<Item = f64>) -> f64 {
    values.map(|x| x * x).sum::<f64>().sqrt()
}

fn gradients_of<B: CheckpointBackbone>(
    model: &TuningModel<B>,
    batch: &TuningBatch,
    micro_batch: usize,
) -> (f64, Gradients) {
    let device = device();
    let whole = BatchPart::whole(batch, None, 0, &device);
    let mut go_on = |_| ControlFlow::Continue(());
    let parts = micro_batches(batch.samples.nrows(), micro_batch, 1, false);
    let parts = (&parts[..], Dropout::new(&TuningConfig::default()));
    loss_and_gradients(model, &MeanSquaredError, &whole, parts, &mut go_on)
        .expect("a batch that fits")
        .continue_value()
        .expect("nobody stops it")
}

fn check_gradients<B: CheckpointBackbone>(
    backbone: B,
    expected: &Expected,
    prefix: &str,
    micro_batch: usize,
) {
    let model = model(backbone, expected);
    let batch = expected.batch();
    let (loss, gradients) = gradients_of(&model, &batch, micro_batch);
    let exact = f64::from(expected.values["loss"][0]);
    assert!(
        (loss / exact - 1.0).abs() < 1e-5,
        "loss {loss}, PyTorch's {exact}"
    );
    let mut found: BTreeMap<String, Vec<f32>> = named(&model.backbone, &gradients.backbone)
        .into_iter()
        .map(|(key, values)| (format!("grad.{prefix}{key}"), values))
        .collect();
    for (key, values) in named(&model.head, &gradients.head) {
        let last = key.rsplit('.').next().unwrap_or_default();
        found.insert(format!("grad.head.{last}"), values);
    }
    let wanted: Vec<&String> = expected
        .values
        .keys()
        .filter(|key| key.starts_with("grad.") && !key.ends_with(NOT_TUNED))
        .collect();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        wanted,
        "the parameters that have gradients"
    );
    let of = |key: &str| expected.values[key].iter().map(|&x| f64::from(x));
    let all = norm(wanted.iter().flat_map(|key| of(key)));
    assert!((gradients.norm(&model) / all - 1.0).abs() < 1e-4);
    for key in wanted {
        let found = found[key].iter().map(|&x| f64::from(x));
        let difference = norm(found.zip(of(key)).map(|(a, b)| a - b));
        let most = RELATIVE * norm(of(key)) + FLOOR * all;
        assert!(difference <= most, "{key}: {difference}, at most {most}");
    }
}

fn check_ten_steps<B: CheckpointBackbone>(backbone: B, expected: &Expected) {
    let mut model = model(backbone, expected);
    let batch = expected.batch();
    let config = TuningConfig {
        optimiser: Optimiser::Adamw { weight_decay: 0.01 },
        ..TuningConfig::default()
    };
    let mut optimisers = Optimisers::new(&config);
    for (step, exact) in expected.values["losses"].iter().enumerate() {
        let (loss, gradients) = gradients_of(&model, &batch, 8);
        let exact = f64::from(*exact);
        assert!(
            (loss / exact - 1.0).abs() < 1e-4,
            "step {step}: loss {loss}, PyTorch's {exact}"
        );
        model = optimisers.step(model, gradients, (5e-4, 1e-3));
    }
}

#[test]
fn gradients_of_a_wav2vec2_are_pytorchs() {
    let expected = Expected::read("wav2vec2");
    let load =
        || Wav2Vec2Model::from_checkpoint(&checkpoint("wav2vec2"), &device()).expect("a model");
    check_gradients(load(), &expected, "", 8);
    check_gradients(load(), &expected, "", 2);
}

#[test]
fn gradients_of_a_whisper_are_pytorchs() {
    let expected = Expected::read("whisper");
    let load =
        || WhisperEncoder::from_checkpoint(&checkpoint("whisper"), &device()).expect("a model");
    check_gradients(load(), &expected, "encoder.", 8);
    check_gradients(load(), &expected, "encoder.", 1);
}

/// Gradients with and without checkpointing have the same bits, whatever is frozen.
fn check_recomputed<B: CheckpointBackbone>(load: impl Fn() -> B, expected: &Expected) {
    let batch = expected.batch();
    for frozen in ["", "feature-encoder", "feature-encoder,layers:0-0", "all"] {
        let parts = frozen.split(',').filter(|part| !part.is_empty());
        let parts: Vec<FrozenPart> = parts.map(|part| part.parse().expect("a part")).collect();
        let gradients = |gradient_checkpointing| {
            let config = TuningConfig {
                gradient_checkpointing,
                ..TuningConfig::default()
            };
            let backbone = load().freeze_parts(&parts).expect("parts");
            let n_voxels = [expected.shapes["bold"][1]];
            let model = TuningModel::new(backbone, &n_voxels, &config, &device());
            let model = model.expect("a model");
            let (loss, found) = gradients_of(&model, &batch, 2);
            let of_backbone = named(&model.backbone, &found.backbone);
            (loss, of_backbone, named(&model.head, &found.head))
        };
        let (whole, recomputed) = (gradients(false), gradients(true));
        assert_eq!(whole.1.is_empty(), frozen == "all", "{frozen}");
        assert!(whole == recomputed, "{frozen}");
    }
}

#[test]
fn what_is_computed_again_gives_the_same_bits() {
    let wav2vec2 =
        || Wav2Vec2Model::from_checkpoint(&checkpoint("wav2vec2"), &device()).expect("a model");
    check_recomputed(wav2vec2, &Expected::read("wav2vec2"));
    let whisper =
        || WhisperEncoder::from_checkpoint(&checkpoint("whisper"), &device()).expect("a model");
    check_recomputed(whisper, &Expected::read("whisper"));
}

#[test]
fn ten_steps_of_adamw_are_pytorchs() {
    let backbone = Wav2Vec2Model::from_checkpoint(&checkpoint("wav2vec2"), &device());
    check_ten_steps(backbone.expect("a model"), &Expected::read("wav2vec2"));
    let backbone = WhisperEncoder::from_checkpoint(&checkpoint("whisper"), &device());
    check_ten_steps(backbone.expect("a model"), &Expected::read("whisper"));
}

#[test]
fn scaled_gradients_have_the_scaled_norm() {
    let expected = Expected::read("wav2vec2");
    let backbone = Wav2Vec2Model::from_checkpoint(&checkpoint("wav2vec2"), &device());
    let model = model(backbone.expect("a model"), &expected);
    let (_, gradients) = gradients_of(&model, &expected.batch(), 8);
    let norm = gradients.norm(&model);
    let scaled = gradients.scale(&model, 0.25).norm(&model);
    assert!((scaled / norm - 0.25).abs() < 1e-6);
}
