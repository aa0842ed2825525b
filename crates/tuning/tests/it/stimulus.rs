//! A model tuned on its own objective: what it learns, and that a run goes on to the same bits.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune_backbone::{Checkpoint, CheckpointBackbone, Wav2Vec2Model};
use braintune_tuning::{
    BrainTuner, Learning, MeanSquaredError, OwnHead, OwnObjective, Result, Tuned, TuningBatch,
    TuningConfig, TuningError, TuningEvent, TuningModel,
};
use burn::module::Module;
use burn::tensor::Device;
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::shared::{device, go_on, model, settings, weights};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

pub(crate) fn config(epochs: usize) -> TuningConfig {
    let mut config = settings(epochs);
    config.stimulus.mask_time_length = Some(2);
    config.stimulus.mask_time_prob = Some(0.5);
    config.stimulus.n_negatives = 20;
    config
}

pub(crate) fn own(
    name: &str,
    n_units: Option<usize>,
    config: &TuningConfig,
) -> TuningModel<Wav2Vec2Model> {
    let checkpoint = Checkpoint::open(&fixture(name)).unwrap();
    let backbone = Wav2Vec2Model::from_checkpoint(&checkpoint, &device()).unwrap();
    let head =
        OwnHead::from_checkpoint(&checkpoint, &backbone, n_units, config.seed, &device()).unwrap();
    let parts = config.frozen_parts().unwrap();
    TuningModel::with_own_head(backbone.freeze_parts(&parts).unwrap(), head, config)
}

/// Clips of 19 frames: every 0.1 s a low or a high tone, and which it is as the unit of its frames.
pub(crate) fn clips(n_batches: usize, seed: u64) -> Vec<TuningBatch> {
    const N: usize = 6_400;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let one = |_| {
        let high = Array2::from_shape_fn((4, N / 1_600), |_| rng.random::<bool>());
        let tone = |(clip, t): (usize, usize)| {
            let hz = if high[[clip, t / 1_600]] {
                2_900.0
            } else {
                300.0
            };
            (hz * t as f32 / 16_000.0 * std::f32::consts::TAU).sin()
        };
        let unit = |(clip, frame): (usize, usize)| high[[clip, (320 * frame + 200) / 1_600]];
        let samples = Array2::from_shape_fn((4, N), tone);
        let units = Array2::from_shape_fn((4, 19), |at| Some(unit(at).into()));
        TuningBatch::new(0, "S/tones".to_owned(), samples, Array2::zeros((4, 0))).with_units(units)
    };
    (0..n_batches).map(one).collect()
}

fn fit(
    (name, n_units): (&str, Option<usize>),
    config: &TuningConfig,
    state: Option<&Path>,
    on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
) -> Result<Tuned<Wav2Vec2Model>> {
    let mut tuner = BrainTuner::new(config.clone(), OwnObjective::new(config))?;
    if let Some(dir) = state {
        tuner = tuner.with_state(dir, true);
    }
    let model = own(name, n_units, config);
    tuner.fit(model, &clips(4, 1), Some(&clips(2, 9)), &device(), on)
}

/// Validation losses of a run.
fn losses(model: (&str, Option<usize>), config: &TuningConfig) -> Vec<f64> {
    let mut losses = Vec::new();
    fit(model, config, None, &mut |event| {
        if let TuningEvent::Evaluated { validation, .. } = event {
            assert_eq!(validation.mean_r, None);
            losses.push(validation.loss);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    losses
}

#[test]
fn units_that_can_be_told_are_learnt() {
    let mut config = config(20);
    config.keep_last = true;
    let losses = losses(("units", Some(2)), &config);
    // Of two units as frequent, a guess costs ln 2.
    assert!(
        losses[0] > 0.5 && losses[19] < 0.5 * losses[0],
        "{losses:?}"
    );
}

#[test]
fn targets_that_stay_are_told_apart() {
    let mut config = config(20);
    config.keep_last = true;
    // The quantiser and what it sees stay, otherwise the targets would move with what tells them apart.
    config.freeze = vec![
        "feature-encoder".to_owned(),
        "feature-projection".to_owned(),
    ];
    config.lr_head = 0.0;
    config.stimulus.diversity_weight = 0.0;
    let losses = losses(("contrastive", None), &config);
    let model = own("contrastive", None, &config).valid();
    let objective = OwnObjective::new(&config);
    let go_on = &mut |_| ControlFlow::Continue(());
    let before = objective.evaluate(&model, &clips(2, 9), &[], 8, &Device::flex(), go_on);
    let before = before.unwrap().continue_value().unwrap().loss;
    // Most distractors have the frame's own code and do not count, so there is little to gain.
    assert!(losses[19] < 0.92 * before, "{before}, then {losses:?}");
}

#[test]
fn killed_at_any_step_the_weights_are_the_same() {
    for model in [("contrastive", None), ("units", Some(2))] {
        let config = config(2);
        let whole = tempfile::tempdir().unwrap();
        let expected = fit(model, &config, Some(whole.path()), &mut go_on).unwrap();
        assert_eq!(expected.n_steps, 8);
        for steps in 1..8 {
            let dir = tempfile::tempdir().unwrap();
            let killed = std::panic::catch_unwind(|| {
                fit(model, &config, Some(dir.path()), &mut |event| {
                    if matches!(event, TuningEvent::Step(step) if step.step == steps) {
                        std::panic::resume_unwind(Box::new("killed"));
                    }
                    ControlFlow::Continue(())
                })
            });
            assert!(killed.is_err());
            let found = fit(model, &config, Some(dir.path()), &mut go_on).unwrap();
            assert_eq!(
                weights(&found.model),
                weights(&expected.model),
                "{model:?} after {steps}"
            );
            assert_eq!(found.best, expected.best);
        }
    }
}

#[test]
fn the_feature_encoder_keeps_its_bits_and_the_head_changes() {
    let config = config(1);
    let before = weights(&own("contrastive", None, &config));
    let found = fit(("contrastive", None), &config, None, &mut go_on).unwrap();
    for ((path, before), (_, after)) in before.iter().zip(weights(&found.model)) {
        let frozen = path.contains("feature_extractor.") || path.ends_with("k_proj.bias");
        assert_eq!(*before == after, frozen, "{path}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("head.safetensors");
    found.model.save_head(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<_> = file.names();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "project_hid.bias",
            "project_hid.weight",
            "project_q.bias",
            "project_q.weight",
            "quantizer.codevectors",
            "quantizer.weight_proj.bias",
            "quantizer.weight_proj.weight"
        ]
    );
    assert_eq!(file.tensor("project_hid.weight").unwrap().shape(), [10, 16]);
}

#[test]
fn heads_and_objectives_that_do_not_belong_together_are_refused() {
    let config = config(1);
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let data = clips(1, 1);
    let error = tuner.fit(
        own("contrastive", None, &config),
        &data,
        None,
        &device(),
        &mut go_on,
    );
    assert!(matches!(error, Err(TuningError::Empty { .. })));
    let tuner = BrainTuner::new(config.clone(), OwnObjective::new(&config)).unwrap();
    let error = tuner.fit(model(&config), &data, None, &device(), &mut go_on);
    assert!(matches!(error, Err(TuningError::Empty { .. })));
    // Units that the head does not have, and none.
    for units in [Some(Array2::from_elem((4, 19), Some(2))), None] {
        let mut data = clips(1, 1);
        data[0].units = units;
        let model = own("units", Some(2), &config);
        let error = tuner.fit(model, &data, None, &device(), &mut go_on);
        let error = error.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("units"), "{error}");
    }
}
