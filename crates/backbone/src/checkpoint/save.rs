//! Writing a checkpoint folder, and weights that come from a seed.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Bytes, Tensor, TensorData};
use burn_store::{BurnToPyTorchAdapter, ModuleSnapshot};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::folder::parametrized_name;
use crate::disk::write_atomically;
use crate::error::{Result, io_error, malformed};

/// Writes the three files of a checkpoint, weights last, each under a temporary name first.
///
/// `config` is the one that the model was made from, `architecture` the class of `transformers` that
/// has just these weights. Keys are those that `transformers` writes, after `prefix`; updates of
/// `LoRA` are left out.
pub(crate) fn save_checkpoint<M: Module>(
    dir: &Path,
    (config, architecture): (&Value, &str),
    preprocessor: &Value,
    module: &M,
    prefix: &str,
) -> Result<()> {
    std::fs::create_dir_all(dir).map_err(io_error("create", dir))?;
    let mut config = config.clone();
    if let Some(entries) = config.as_object_mut() {
        entries.insert("architectures".to_owned(), json!([architecture]));
        entries.remove("torch_dtype");
        entries.insert("dtype".to_owned(), json!("float32"));
    }
    for (name, value) in [
        ("config.json", &config),
        ("preprocessor_config.json", preprocessor),
    ] {
        let text = format!("{value:#}\n");
        write_atomically(&dir.join(name), text.as_bytes())?;
    }
    let path = dir.join("model.safetensors");
    write_tensors(&path, &tensors_of(module, prefix, &path)?)
}

/// Writes all parameters of any module as a safetensors file, names and layouts as `PyTorch` has them, under
/// a temporary name first.
///
/// # Errors
/// What the file system says; a parameter that cannot be read from its device.
pub fn save_parameters<M: Module>(path: &Path, module: &M) -> Result<()> {
    write_tensors(path, &tensors_of(module, "", path)?)
}

/// A tensor to be written: key, type, shape, bytes.
pub(crate) type RawTensor = (String, Dtype, Vec<usize>, Bytes);

/// Writes a safetensors file as `PyTorch` users expect it, under a temporary name first.
pub(crate) fn write_tensors(path: &Path, tensors: &[RawTensor]) -> Result<()> {
    let views: Result<Vec<_>, _> = tensors
        .iter()
        .map(|(key, dtype, shape, bytes)| Ok((key, TensorView::new(*dtype, shape.clone(), bytes)?)))
        .collect();
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let bytes = views
        .and_then(|views| safetensors::serialize(views, Some(metadata)))
        .map_err(|e: safetensors::SafeTensorError| malformed(path, e.to_string()))?;
    write_atomically(path, &bytes)
}

fn tensors_of<M: Module>(module: &M, prefix: &str, path: &Path) -> Result<Vec<RawTensor>> {
    let mut tensors = Vec::new();
    for tensor in module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true) {
        if tensor.name.contains(".lora.") {
            continue;
        }
        let name = parametrized_name(&tensor.name).unwrap_or_else(|| tensor.name.clone());
        let key = format!("{prefix}{name}");
        if let Some(norm) = key.strip_suffix("running_var") {
            // PyTorch's counter of training steps, which nothing depends on.
            let counter = format!("{norm}num_batches_tracked");
            let zero = Bytes::from_elems(vec![0_i64]);
            tensors.push((counter, Dtype::I64, Vec::new(), zero));
        }
        let shape = tensor.shape.to_vec();
        let bytes = tensor
            .to_bytes()
            .map_err(|e| malformed(path, e.to_string()))?;
        tensors.push((key, Dtype::F32, shape, bytes));
    }
    Ok(tensors)
}

/// Every weight matrix and kernel drawn from N(0, `sd`), every linear and convolution bias zero,
/// norms left as initialised. Order of drawing is the module's own, so a seed fixes the weights.
pub(crate) fn random_weights<M: Module>(module: M, sd: f32, seed: u64) -> M {
    module.map(&mut Randomizer {
        rng: ChaCha8Rng::seed_from_u64(seed),
        sd,
        path: Vec::new(),
    })
}

struct Randomizer {
    rng: ChaCha8Rng,
    sd: f32,
    path: Vec<String>,
}

impl ModuleMapper for Randomizer {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_bias = self.path.last().is_some_and(|name| name == "bias");
        param.map(|tensor| {
            // A value of its own does not inherit it, and the weights must stay trainable.
            let trainable = tensor.is_require_grad();
            let device = tensor.device();
            let value = if D > 1 {
                let n = tensor.shape().num_elements();
                let normal = StandardNormal.sample_iter(&mut self.rng);
                let values: Vec<f32> = normal.take(n).map(|z: f32| self.sd * z).collect();
                Tensor::from_data(TensorData::new(values, tensor.shape()), &device)
            } else if is_bias {
                tensor.zeros_like()
            } else {
                tensor.detach()
            };
            value.set_require_grad(trainable)
        })
    }
}
