//! What tuning does to a model, and what it leaves alone.

use std::ops::ControlFlow;

use braintune_tuning::{
    BrainTuner, CosineHuber, Lora, MeanSquaredError, Objective, Optimiser, Pooling,
    SpatialCorrelation, TuningBatch, TuningConfig, TuningData, TuningEnd, TuningError, TuningEvent,
    TuningObjective, evaluate,
};
use burn::tensor::Device;
use ndarray::Array2;

use crate::shared::{backbone, batches, device, go_on, model, settings, weights};

fn mean_r(config: &TuningConfig, objective: &(impl TuningObjective + Clone)) -> (f64, f64) {
    let (train, test) = (batches(8, 1), batches(6, 2));
    let plain = Device::flex();
    let before = burn::module::Module::valid(&model(config));
    let before = evaluate(&before, objective, &test, &[], 8, &plain).unwrap();
    let tuner = BrainTuner::new(config.clone(), objective.clone()).unwrap();
    let result = tuner
        .fit(model(config), &train, None, &device(), &mut go_on)
        .unwrap();
    let after = evaluate(&result.model, objective, &test, &[], 8, &plain).unwrap();
    (before.mean_r.unwrap(), after.mean_r.unwrap())
}

#[test]
fn every_objective_and_pooling_learns_what_can_be_learnt() {
    for pooling in [
        Pooling::Mean,
        Pooling::Last,
        Pooling::Attention,
        Pooling::Segments,
    ] {
        let mut config = settings(25);
        config.pooling = pooling;
        config.optimiser = Optimiser::Adamw { weight_decay: 0.01 };
        let (_, after) = mean_r(&config, &MeanSquaredError);
        assert!(after > 0.4, "{pooling:?}: {after}");
    }
    let mut config = settings(25);
    config.bottleneck = Some(4);
    config.layer = Some(1);
    config.max_grad_norm = Some(1.0);
    let (_, after) = mean_r(&config, &SpatialCorrelation);
    assert!(after > 0.4, "{after}");
    let (_, after) = mean_r(&settings(25), &CosineHuber::default());
    assert!(after > 0.4, "{after}");
}

#[test]
fn stretches_of_a_clip_have_weights_of_their_own() {
    let mut config = settings(1);
    config.pooling = Pooling::Segments;
    config.segments = 3;
    config.bottleneck = Some(4);
    let model = model(&config);
    let batch = &batches(1, 1)[0];
    let samples = burn::tensor::TensorData::new(
        batch.samples.iter().copied().collect::<Vec<f32>>(),
        [batch.samples.nrows(), batch.samples.ncols()],
    );
    let lengths = vec![batch.samples.ncols(); batch.samples.nrows()];
    let predicted = model.forward(
        burn::tensor::Tensor::from_data(samples, &device()),
        &lengths,
        0,
    );
    assert_eq!(predicted.dims(), [batch.bold.nrows(), batch.bold.ncols()]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("head.safetensors");
    model.save_head(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let head = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name: &str| head.tensor(name).unwrap().shape().to_vec();
    // PyTorch's layout: the bottleneck is the same for every stretch, the head is not.
    assert_eq!(shape("bottleneck.weight")[0], 4);
    assert_eq!(shape("heads.0.weight"), [batch.bold.ncols(), 12]);
}

#[test]
fn frozen_parts_keep_their_bits_and_the_rest_changes() {
    let mut config = settings(2);
    config.freeze = vec!["feature-encoder".to_owned(), "layers:0-0".to_owned()];
    let before = weights(model(&config).backbone());
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let result = tuner
        .fit(model(&config), &batches(3, 1), None, &device(), &mut go_on)
        .unwrap();
    for ((path, before), (_, after)) in before.iter().zip(weights(result.model.backbone())) {
        let frozen = path.starts_with("feature_extractor.")
            || path.starts_with("encoder.layers.0.")
            || path == "masked_spec_embed"
            || path.ends_with("k_proj.bias"); // which changes no score
        assert_eq!(*before == after, frozen, "{path}");
    }
}

#[test]
fn low_rank_updates_alone_can_learn() {
    let mut config = settings(40);
    config.freeze = vec!["all".to_owned()];
    config.lora = Some(Lora {
        r: 4,
        dropout: 0.0,
        ..Lora::default()
    });
    let (before, after) = mean_r(&config, &MeanSquaredError);
    assert!(after > before.max(0.3), "{before} to {after}");
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let result = tuner
        .fit(model(&config), &batches(2, 1), None, &device(), &mut go_on)
        .unwrap();
    let plain = weights(&backbone());
    let after = weights(result.model.backbone());
    for (path, values) in after.iter().filter(|(path, _)| !path.contains(".lora.")) {
        let old = plain.iter().find(|(old, _)| old == path);
        assert_eq!(old.map(|(_, values)| values), Some(values), "{path}");
    }
    assert!(after.iter().any(|(path, _)| path.contains(".lora.")));
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_does_not() {
    let run = |seed| {
        let mut config = settings(2);
        config.seed = seed;
        let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
        let result = tuner
            .fit(model(&config), &batches(3, 1), None, &device(), &mut go_on)
            .unwrap();
        weights(&result.model)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn a_run_ends_when_validation_gets_no_better_and_gives_the_best() {
    let mut config = settings(60);
    config.patience = 2;
    config.lr_head = 0.05;
    let validation = batches(2, 9);
    // What cannot be learnt: responses of other clips.
    let mut train = batches(2, 1);
    for (batch, other) in train.iter_mut().zip(batches(2, 77)) {
        batch.bold = other.bold;
    }
    let mut losses = Vec::new();
    let tuner = BrainTuner::new(config.clone(), Objective::Mse {}).unwrap();
    let result = tuner
        .fit(
            model(&config),
            &train,
            Some(&validation),
            &device(),
            &mut |event| {
                if let TuningEvent::Evaluated {
                    validation,
                    is_best,
                    ..
                } = event
                {
                    losses.push((validation.loss, is_best));
                }
                ControlFlow::Continue(())
            },
        )
        .unwrap();
    assert_eq!(result.end, TuningEnd::EarlyStopped);
    assert!(result.n_steps < 120);
    let least = losses
        .iter()
        .map(|(loss, _)| *loss)
        .fold(f64::INFINITY, f64::min);
    let found = evaluate(
        &result.model,
        &MeanSquaredError,
        &validation,
        &[],
        8,
        &Device::flex(),
    )
    .unwrap();
    assert!((found.loss - least).abs() < 1e-9);
    assert!(
        losses[losses.len() - 2..]
            .iter()
            .all(|(_, is_best)| !is_best)
    );
}

#[test]
fn a_loss_that_is_no_number_stops_before_the_weights_are_lost() {
    let config = settings(3);
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let mut train = batches(3, 1);
    train[1].bold[(0, 0)] = f32::NAN;
    let error = tuner
        .fit(model(&config), &train, None, &device(), &mut go_on)
        .unwrap_err();
    assert!(
        matches!(
            error,
            TuningError::Diverged {
                step: 2,
                kept: 0,
                ..
            }
        ),
        "{error}"
    );
    train[1].bold[(0, 0)] = 1e6;
    let error = tuner
        .fit(model(&config), &train, None, &device(), &mut go_on)
        .unwrap_err();
    assert!(error.to_string().contains("first step"), "{error}");
}

#[test]
fn weights_of_voxels_decide_what_is_learnt() {
    let config = settings(25);
    let run = |weights: [f32; 6]| {
        let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
        let tuner = tuner.with_voxel_weights(vec![Some(weights.to_vec())]);
        let mut train = batches(8, 1);
        for batch in &mut train {
            batch.bold.column_mut(1).fill(5.0);
        }
        let result = tuner
            .fit(model(&config), &train, None, &device(), &mut go_on)
            .unwrap();
        evaluate(
            &result.model,
            &MeanSquaredError,
            &train,
            &[],
            8,
            &Device::flex(),
        )
        .unwrap()
        .loss
    };
    // Unseen, the odd voxel stays as wrong as it was.
    assert!(run([1.2, 0.0, 1.2, 1.2, 1.2, 1.2]) > run([1.0; 6]) + 1.0);
}

#[test]
fn a_validation_loss_that_is_no_number_is_no_best_one() {
    let config = settings(2);
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let mut validation = batches(1, 9);
    validation[0].bold[(0, 0)] = f32::INFINITY;
    let error = tuner
        .fit(
            model(&config),
            &batches(2, 1),
            Some(&validation),
            &device(),
            &mut go_on,
        )
        .unwrap_err();
    assert!(error.to_string().contains("validation loss"), "{error}");
}

#[test]
fn weights_that_are_no_numbers_are_not_kept() {
    let mut config = settings(1);
    (config.lr_backbone, config.lr_head, config.warmup) = (1e38, 1e38, 0.0);
    let dir = tempfile::tempdir().unwrap();
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let tuner = tuner.with_state(dir.path(), false);
    let error = tuner
        .fit(model(&config), &batches(2, 1), None, &device(), &mut go_on)
        .unwrap_err();
    assert!(
        matches!(error, TuningError::Diverged { kept: 0, .. }),
        "{error}"
    );
}

#[test]
fn a_run_that_keeps_its_last_weights_makes_every_step() {
    let mut config = settings(30);
    (config.patience, config.keep_last, config.lr_head) = (1, true, 0.1);
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let result = tuner
        .fit(
            model(&config),
            &batches(2, 1),
            Some(&batches(1, 77)),
            &device(),
            &mut go_on,
        )
        .unwrap();
    assert_eq!(
        (result.n_steps, result.end, result.best),
        (60, TuningEnd::Finished, None)
    );
}

#[test]
fn weights_of_voxels_must_fit() {
    let config = settings(1);
    for weights in [vec![1.0; 5], vec![2.0; 6], vec![f32::NAN; 6]] {
        let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
        let tuner = tuner.with_voxel_weights(vec![Some(weights)]);
        let error = tuner
            .fit(model(&config), &batches(1, 1), None, &device(), &mut go_on)
            .unwrap_err();
        assert!(matches!(error, TuningError::VoxelWeights { .. }), "{error}");
    }
}

/// What a batch that was changed by `change` is refused for: while training, on validation data and by `evaluate`.
fn refused(change: impl Fn(&mut TuningBatch)) -> (&'static str, usize) {
    let config = settings(2);
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let mut wrong = batches(3, 1);
    change(&mut wrong[2]);
    let fit = |train, validation| {
        let found = tuner.fit(model(&config), train, validation, &device(), &mut go_on);
        found.unwrap_err()
    };
    let right = batches(1, 1);
    let plain = burn::module::Module::valid(&model(&config));
    let evaluated = evaluate(&plain, &MeanSquaredError, &wrong, &[], 2, &Device::flex());
    let errors = [
        fit(&wrong, None),
        fit(&right, Some(&wrong)),
        evaluated.unwrap_err(),
    ];
    let what = errors.map(|error| match error {
        TuningError::BatchShape {
            recording,
            what,
            got,
            ..
        } => {
            assert_eq!(recording, wrong[2].recording);
            (what, got)
        }
        other => panic!("{other}"),
    });
    assert!(what.iter().all(|found| *found == what[0]), "{what:?}");
    what[0]
}

#[test]
fn batches_that_do_not_fit_the_model_are_refused() {
    assert_eq!(refused(|batch| batch.head = 1), ("number of its head", 1));
    let narrow = |batch: &mut TuningBatch| batch.bold = Array2::zeros((4, 5));
    assert_eq!(refused(narrow), ("voxels of its responses", 5));
    let fewer = |batch: &mut TuningBatch| batch.bold = Array2::zeros((3, 6));
    assert_eq!(refused(fewer), ("responses, one for each clip", 3));
    let short = |batch: &mut TuningBatch| batch.samples = Array2::zeros((4, 30));
    assert_eq!(refused(short), ("samples of a clip", 30));
    let none = |batch: &mut TuningBatch| batch.samples = Array2::zeros((0, 1_600));
    assert_eq!(refused(none), ("clips", 0));
}

#[test]
fn an_evaluation_that_cannot_be_is_refused() {
    let config = settings(1);
    let model = burn::module::Module::valid(&model(&config));
    let data = batches(2, 1);
    let evaluate = |weights: &[Option<Vec<f32>>], micro_batch| {
        let device = Device::flex();
        evaluate(
            &model,
            &MeanSquaredError,
            &data,
            weights,
            micro_batch,
            &device,
        )
    };
    let error = evaluate(&[], 0).unwrap_err().to_string();
    assert!(error.contains("micro_batch = 0"), "{error}");
    let error = evaluate(&[Some(vec![1.0; 5])], 2).unwrap_err().to_string();
    assert!(error.contains("expected 6, found 5"), "{error}");
    // As many weights as voxels, all alike, change nothing.
    let alike = evaluate(&[Some(vec![1.0; 6])], 2).unwrap();
    assert!((alike.loss - evaluate(&[], 2).unwrap().loss).abs() < 1e-6);
    let error = data.batch(0, 2).unwrap_err().to_string();
    assert!(error.contains("number 2 of 2"), "{error}");
}
