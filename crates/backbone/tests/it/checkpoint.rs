//! Checkpoint folders as they come and as they go wrong.

use std::collections::BTreeMap;
use std::path::Path;

use braintune_backbone::{BackboneError, FeatureExtractor, PretrainedModel};
use burn::tensor::Device;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::shared::{clip, micro, micro_copy};

/// Tensors of a safetensors file: dtype, shape, bytes.
type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn load(folder: &Path) -> Result<PretrainedModel, BackboneError> {
    PretrainedModel::load(folder, Device::flex())
}

fn tensors() -> Tensors {
    let bytes = std::fs::read(micro().join("model.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let owned = |(name, view): (String, TensorView<'_>)| {
        (
            name,
            (view.dtype(), view.shape().to_vec(), view.data().to_vec()),
        )
    };
    file.tensors().into_iter().map(owned).collect()
}

fn write(path: &Path, tensors: &Tensors) {
    let views = tensors.iter().map(|(name, (dtype, shape, bytes))| {
        (name, TensorView::new(*dtype, shape.clone(), bytes).unwrap())
    });
    std::fs::write(path, safetensors::serialize(views, None).unwrap()).unwrap();
}

fn as_f32(tensors: &Tensors) -> Tensors {
    let convert = |(name, (_, shape, bytes)): (&String, &(Dtype, Vec<usize>, Vec<u8>))| {
        let halves = bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| half::f16::from_le_bytes(*b).to_f32());
        (
            name.clone(),
            (
                Dtype::F32,
                shape.clone(),
                halves.flat_map(f32::to_le_bytes).collect(),
            ),
        )
    };
    tensors.iter().map(convert).collect()
}

#[test]
fn prefixes_dtypes_and_shards_make_no_difference() {
    let expected = load(&micro())
        .unwrap()
        .into_whole_clip()
        .extract(&clip())
        .unwrap();
    for prefix in ["model.encoder.", "encoder.", ""] {
        let folder = micro_copy();
        let renamed: Tensors = as_f32(&tensors())
            .into_iter()
            .map(|(name, tensor)| (name.replace("model.encoder.", prefix), tensor))
            .collect();
        std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
        let (first, second): (Tensors, Tensors) = renamed
            .into_iter()
            .partition(|(name, _)| name.contains("layers.0"));
        write(
            &folder.path().join("model-00001-of-00002.safetensors"),
            &first,
        );
        write(
            &folder.path().join("model-00002-of-00002.safetensors"),
            &second,
        );
        let map: BTreeMap<_, _> = first
            .keys()
            .map(|k| (k, "model-00001-of-00002.safetensors"))
            .chain(
                second
                    .keys()
                    .map(|k| (k, "model-00002-of-00002.safetensors")),
            )
            .collect();
        let index = serde_json::json!({"metadata": {}, "weight_map": map});
        std::fs::write(
            folder.path().join("model.safetensors.index.json"),
            index.to_string(),
        )
        .unwrap();
        let features = load(folder.path())
            .unwrap()
            .into_whole_clip()
            .extract(&clip())
            .unwrap();
        assert_eq!(features, expected, "prefix {prefix:?}");
    }
}

#[test]
fn bf16_weights_load() {
    let folder = micro_copy();
    let mut all = as_f32(&tensors());
    for (dtype, _, bytes) in all.values_mut() {
        *dtype = Dtype::BF16;
        let halves = bytes
            .as_chunks()
            .0
            .iter()
            .map(|b| half::bf16::from_f32(f32::from_le_bytes(*b)));
        *bytes = halves.flat_map(half::bf16::to_le_bytes).collect();
    }
    write(&folder.path().join("model.safetensors"), &all);
    let rounded = load(folder.path())
        .unwrap()
        .into_whole_clip()
        .extract(&clip())
        .unwrap();
    let exact = load(&micro())
        .unwrap()
        .into_whole_clip()
        .extract(&clip())
        .unwrap();
    let difference = (&rounded.layers()[0] - &exact.layers()[0]).mapv(f32::abs);
    let largest = difference.iter().copied().fold(0.0, f32::max);
    assert!(largest > 0.0 && largest < 0.05, "{largest}"); // bf16 keeps 8 bits
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    let folder = micro_copy();
    let name = "model.encoder.layers.1.fc1.weight";
    let mut all = tensors();
    let removed = all.remove(name).unwrap();
    write(&folder.path().join("model.safetensors"), &all);
    match load(folder.path()).unwrap_err() {
        BackboneError::MissingTensors { names, .. } => assert_eq!(names, [name]),
        other => panic!("{other}"),
    }
    all.insert(name.to_owned(), (removed.0, vec![16, 32], removed.2));
    write(&folder.path().join("model.safetensors"), &all);
    match load(folder.path()).unwrap_err() {
        BackboneError::TensorShape {
            name: found,
            expected,
            got,
            ..
        } => {
            assert_eq!(
                (found.as_str(), expected, got),
                (name, vec![32, 16], vec![16, 32])
            );
        }
        other => panic!("{other}"),
    }
}

#[test]
fn configurations_that_cannot_be_used_are_named() {
    let edit = |file: &str, from: &str, to: &str| {
        let folder = micro_copy();
        let path = folder.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        std::fs::write(path, text.replace(from, to)).unwrap();
        load(folder.path()).unwrap_err().to_string()
    };
    for (file, from, to, expected) in [
        (
            "config.json",
            "\"model_type\": \"whisper\"",
            "\"model_type\": \"parrot\"",
            "model_type \"parrot\" is not supported",
        ),
        (
            "config.json",
            "\"d_model\": 16",
            "\"d_model\": 0",
            "d_model = 0",
        ),
        (
            "config.json",
            "\"d_model\": 16",
            "\"d_model\": \"wide\"",
            "invalid type",
        ),
        (
            "config.json",
            "\"d_model\": 16",
            "\"d_modell\": 16",
            "missing field `d_model`",
        ),
        (
            "config.json",
            "\"d_model\": 16",
            "\"d_model\": 32",
            "has shape",
        ),
        (
            "config.json",
            "\"activation_function\": \"gelu\"",
            "\"activation_function\": \"relu\"",
            "activation_function = \"relu\"",
        ),
        ("config.json", "{", "[", "expected a JSON object"),
        (
            "preprocessor_config.json",
            "\"hop_length\": 160",
            "\"hop_length\": 100",
            "hop_length = 100",
        ),
        (
            "preprocessor_config.json",
            "\"feature_size\": 80",
            "\"feature_size\": 128",
            "feature_size = 128",
        ),
    ] {
        let message = edit(file, from, to);
        assert!(
            message.contains(expected) && message.contains(file) || message.contains("has shape"),
            "{to}: {message}"
        );
        assert!(message.contains(expected), "{to}: {message}");
    }
}

#[test]
fn files_that_are_missing_damaged_or_pointers_are_named() {
    for name in [
        "config.json",
        "preprocessor_config.json",
        "model.safetensors",
    ] {
        let folder = micro_copy();
        std::fs::remove_file(folder.path().join(name)).unwrap();
        let error = load(folder.path()).unwrap_err();
        assert!(
            matches!(&error, BackboneError::MissingFile { what, .. } if *what == name),
            "{error}"
        );
    }
    let folder = micro_copy();
    let path = folder.path().join("model.safetensors");
    let whole = std::fs::read(&path).unwrap();
    for n in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..n]).unwrap();
        let message = load(folder.path()).unwrap_err().to_string();
        assert!(
            message.contains("model.safetensors") && message.contains("safetensors"),
            "{message}"
        );
    }
    std::fs::write(
        &path,
        "../.git/annex/objects/aa/bb/SHA256E-s1--0.safetensors\n",
    )
    .unwrap();
    let message = load(folder.path()).unwrap_err().to_string();
    assert!(message.contains("git-annex pointer"), "{message}");
}
