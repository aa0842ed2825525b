//! Own objectives and their gradients against `transformers` (`tests/fixtures/generate_own.py`).

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "fixtures hold whole numbers as f32"
)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use braintune_backbone::{CheckpointBackbone, FrozenPart};
use burn::optim::GradientsParams;

use super::contrastive::Drawn;
use super::*;
use crate::step::tests::{Expected, FLOOR, NOT_TUNED, RELATIVE, checkpoint, device, named, norm};

/// Of a loss: sums of a few hundred f32 in another order.
const OF_A_LOSS: f64 = 1e-4;

fn backbone(name: &str) -> Wav2Vec2Model {
    let backbone = Wav2Vec2Model::from_checkpoint(&checkpoint(name), &device()).expect("a model");
    backbone
        .freeze_parts(&[FrozenPart::FeatureEncoder])
        .expect("a part")
}

fn batch(expected: &Expected) -> TuningBatch {
    let samples = expected.matrix("samples");
    let units = expected.shapes.contains_key("units").then(|| {
        let units = expected.matrix("units");
        units.mapv(|unit| (unit >= 0.0).then_some(unit as u32))
    });
    let bold = Array2::zeros((samples.nrows(), 0));
    let mut batch = TuningBatch::new(0, "S/tale".to_owned(), samples, bold);
    batch.units = units;
    batch
}

fn masks(expected: &Expected) -> Vec<Vec<usize>> {
    let rows = expected.matrix("mask");
    let of = |row: ndarray::ArrayView1<'_, f32>| {
        let frames = row.iter().enumerate().filter(|(_, masked)| **masked > 0.0);
        frames.map(|(frame, _)| frame).collect()
    };
    rows.outer_iter().map(of).collect()
}

fn head(name: &str) -> ContrastiveHead {
    let config = backbone(name).config().clone();
    // Another seed than zero, so that weights that were not read would be seen.
    ContrastiveHead::from_checkpoint(&checkpoint(name), &config, 7, &device()).expect("a head")
}

fn scalar(x: &Tensor<1>) -> f64 {
    f64::from(x.clone().into_scalar::<f32>())
}

fn check_close(what: &str, found: f64, exact: f32) {
    let exact = f64::from(exact);
    let off = (found / exact - 1.0).abs();
    assert!(off < OF_A_LOSS, "{what} {found}, PyTorch's {exact}");
}

fn check_gradients(expected: &Expected, prefix: &str, found: &BTreeMap<String, Vec<f32>>) {
    let wanted: Vec<&String> = expected
        .values
        .keys()
        .filter(|key| key.starts_with(prefix) && !key.ends_with(NOT_TUNED))
        .collect();
    let found_keys: Vec<String> = found.keys().map(|key| format!("{prefix}{key}")).collect();
    assert_eq!(
        found_keys.iter().collect::<Vec<_>>(),
        wanted,
        "the parameters that have gradients"
    );
    let of = |key: &str| expected.values[key].iter().map(|&x| f64::from(x));
    let all = norm(wanted.iter().flat_map(|key| of(key)));
    for key in &wanted {
        let values = found[&key[prefix.len()..]].iter().map(|&x| f64::from(x));
        let difference = norm(values.zip(of(key)).map(|(a, b)| a - b));
        let most = RELATIVE * norm(of(key)) + FLOOR * all;
        assert!(difference <= most, "{key}: {difference}, at most {most}");
    }
}

fn check_contrastive(name: &str, mode: &str) {
    let expected = Expected::read_file(name, "objective.safetensors");
    let (backbone, head) = (backbone(name), head(name));
    let masks = masks(&expected);
    let masked = masked_frames(
        &backbone,
        (&batch(&expected), &(0..3)),
        (&masks, 0.0),
        &device(),
    );
    let masked = masked.expect("masks that fit");
    let negatives = expected.matrix("negatives").mapv(|row| row as usize);
    let rows: Vec<Vec<usize>> = negatives.outer_iter().map(|row| row.to_vec()).collect();
    let of_clip = |clip: &Range<usize>| rows[clip.clone()].to_vec();
    let drawn = Drawn {
        negatives: masked.clips.iter().map(of_clip).collect(),
        noise: (mode == "train.").then(|| (1.5, expected.values["noise"].clone())),
    };
    let (contrastive, diversity) = head.losses(&masked, &drawn, 0.1);
    let exact = |what: &str| expected.values[&format!("{mode}{what}")][0];
    check_close(
        "contrastive loss",
        scalar(&contrastive),
        exact("contrastive"),
    );
    check_close("diversity loss", scalar(&diversity), exact("diversity"));
    let mut gradients = (contrastive + diversity * 0.1).backward();
    let of_backbone = GradientsParams::from_module(&mut gradients, &backbone);
    let of_head = GradientsParams::from_module(&mut gradients, &head);
    let mut found: BTreeMap<String, Vec<f32>> = named(&backbone, &of_backbone)
        .into_iter()
        .map(|(key, values)| (format!("wav2vec2.{key}"), values))
        .collect();
    found.extend(named(&head, &of_head));
    check_gradients(&expected, &format!("{mode}grad."), &found);
}

#[test]
fn contrastive_loss_and_gradients_are_those_of_transformers() {
    check_contrastive("contrastive", "eval.");
    check_contrastive("stable", "eval.");
}

#[test]
fn with_gumbel_noise_they_are_too() {
    check_contrastive("contrastive", "train.");
    check_contrastive("stable", "train.");
}

#[test]
fn the_loss_of_masked_units_is_pytorchs() {
    let expected = Expected::read_file("units", "objective.safetensors");
    let backbone = backbone("units");
    let [n_units, d] = expected.shapes["label_embs_concat"][..] else {
        panic!("a matrix");
    };
    let mut head = UnitHead::seeded(backbone.config().hidden_size, n_units, 3, &device());
    assert_eq!(head.label_embs_concat.dims(), [n_units, d]);
    let value = |name: &str| tensor(expected.matrix(name).view(), &device());
    let weight = value("final_proj.weight").transpose();
    head.final_proj.weight = head.final_proj.weight.map(|_| weight.require_grad());
    let bias = Tensor::from_floats(expected.values["final_proj.bias"].as_slice(), &device());
    let set = |old: burn::module::Param<Tensor<1>>| old.map(|_| bias.require_grad());
    head.final_proj.bias = head.final_proj.bias.map(set);
    let embeddings = value("label_embs_concat");
    head.label_embs_concat = head.label_embs_concat.map(|_| embeddings.require_grad());
    let masks = masks(&expected);
    let masked = masked_frames(
        &backbone,
        (&batch(&expected), &(0..3)),
        (&masks, 0.0),
        &device(),
    );
    let place = OwnObjective::new(&TuningConfig::default()).place(Some(0), 0);
    let loss = head.loss(
        &masked.expect("masks that fit"),
        place,
        &Stimulus::default(),
    );
    check_close("loss", scalar(&loss), expected.values["loss"][0]);
    let mut gradients = loss.backward();
    let of_backbone = GradientsParams::from_module(&mut gradients, &backbone);
    let of_head = GradientsParams::from_module(&mut gradients, &head);
    let mut found = named(&backbone, &of_backbone);
    found.extend(named(&head, &of_head));
    // No linear layer: it has no transposed form.
    let embeddings = of_head.get::<2>(head.label_embs_concat.id).expect("one");
    let embeddings = embeddings.into_data().try_into_vec().expect("f32");
    found.insert("label_embs_concat".to_owned(), embeddings);
    check_gradients(&expected, "grad.", &found);
}

/// The summed loss of units, masked frames counting 1 and others `unmasked`, and how many frames have one.
fn units_loss(masks: &[Vec<usize>], unmasked: f64) -> (f64, usize) {
    let expected = Expected::read_file("units", "objective.safetensors");
    let backbone = backbone("units");
    let n_units = expected.shapes["label_embs_concat"][0];
    let head = UnitHead::seeded(backbone.config().hidden_size, n_units, 3, &device());
    let batch = batch(&expected);
    let masked = masked_frames(&backbone, (&batch, &(0..3)), (masks, unmasked), &device());
    let masked = masked.expect("masks that fit");
    let place = OwnObjective::new(&TuningConfig::default()).place(Some(0), 0);
    let loss = head.loss(&masked, place, &Stimulus::default());
    (scalar(&loss), masked.units.len())
}

#[test]
fn frames_that_are_not_masked_count_by_their_weight() {
    let masks = masks(&Expected::read_file("units", "objective.safetensors"));
    let [(none, n_none), (half, n_all), (whole, _)] =
        [0.0, 0.5, 1.0].map(|weight| units_loss(&masks, weight));
    assert!(n_none < n_all, "{n_none} of {n_all}");
    // The loss is linear in the weight: what half of it adds is half of what all of it adds.
    let (added, added_half) = (whole - none, half - none);
    assert!(added > 0.1 * none, "{added} beside {none}");
    assert!(
        (2.0 * added_half / added - 1.0).abs() < 1e-3,
        "{added_half} {added}"
    );
}

fn whole_loss(objective: &OwnObjective, step: u64, micro_batch: usize) -> f64 {
    let expected = Expected::read_file("contrastive", "objective.safetensors");
    let own = OwnHead::Contrastive(head("contrastive"));
    let config = TuningConfig::default();
    let model = TuningModel::with_own_head(backbone("contrastive"), own, &config);
    let (batch, device) = (batch(&expected), device());
    let whole = BatchPart::whole(&batch, None, step, &device);
    let parts = crate::step::micro_batches(batch.samples.nrows(), micro_batch, 1, false);
    let parts = (&parts[..], crate::step::Dropout::new(&config));
    let go_on = &mut |_| ControlFlow::Continue(());
    let found = crate::step::loss_and_gradients(&model, objective, &whole, parts, go_on);
    let found = found.expect("a batch that fits").continue_value();
    found.expect("nobody stops it").0
}

#[test]
fn draws_are_of_the_step_and_not_of_the_micro_batches() {
    let mut config = TuningConfig::default();
    config.stimulus.n_negatives = 5;
    // The diversity is that of the micro-batch.
    config.stimulus.diversity_weight = 0.0;
    let objective = OwnObjective::new(&config);
    let loss = whole_loss(&objective, 0, 8);
    for micro_batch in [1, 2] {
        let off = (whole_loss(&objective, 0, micro_batch) / loss - 1.0).abs();
        assert!(off < 1e-5, "{micro_batch}: {off}");
    }
    assert!((whole_loss(&objective, 1, 8) / loss - 1.0).abs() > 1e-3);
    config.seed = 43;
    assert!((whole_loss(&OwnObjective::new(&config), 0, 8) / loss - 1.0).abs() > 1e-3);
}

#[test]
fn a_head_that_the_checkpoint_lacks_comes_from_the_seed() {
    // The checkpoint of the tests beside this one is a Wav2Vec2Model's.
    let checkpoint = checkpoint("wav2vec2");
    let config = backbone("wav2vec2").config().clone();
    let draw = |seed| {
        let head = ContrastiveHead::from_checkpoint(&checkpoint, &config, seed, &device());
        let weight = head.expect("a seeded head").project_q.weight.val();
        weight.into_data().try_into_vec::<f32>().expect("f32")
    };
    assert!(draw(1) == draw(1) && draw(1) != draw(2));
    let read = |seed| {
        let config = backbone("contrastive").config().clone();
        let name = super::tests::checkpoint("contrastive");
        let head = ContrastiveHead::from_checkpoint(&name, &config, seed, &device());
        let weight = head.expect("the checkpoint's").project_q.weight.val();
        weight.into_data().try_into_vec::<f32>().expect("f32")
    };
    assert_eq!(read(1), read(2));
}

#[test]
fn what_cannot_be_masked_is_an_error() {
    let mut config = TuningConfig::default();
    config.stimulus.mask_time_length = Some(10);
    let own = OwnHead::Contrastive(head("contrastive"));
    let model = TuningModel::with_own_head(backbone("contrastive"), own, &config);
    let batch = batch(&Expected::read_file("contrastive", "objective.safetensors"));
    let device = device();
    let whole = BatchPart::whole(&batch, None, 0, &device);
    let of = |config: &TuningConfig| {
        let error = OwnObjective::new(config)
            .loss_of(&model, &whole)
            .map(|_| ());
        error.expect_err("no room").to_string()
    };
    let error = of(&config);
    assert!(error.contains("19 frames"), "{error}");
    let error =
        OwnHead::from_checkpoint(&checkpoint("units"), &backbone("units"), None, 1, &device);
    let error = error.map(|_| ()).expect_err("no units").to_string();
    assert!(error.contains("k-means units"), "{error}");
}
