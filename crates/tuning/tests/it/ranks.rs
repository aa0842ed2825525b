//! Several ranks make of the same batches what one process makes.

use std::ops::ControlFlow;

use braintune_backbone::Wav2Vec2Model;
use braintune_ranks::{Alone, Ranks};
use braintune_tuning::{
    BrainTuner, CosineHuber, Learning, Lora, MeanSquaredError, Optimiser, OwnObjective, Pooling,
    SpatialCorrelation, Tuned, TuningBatch, TuningConfig, TuningEnd, TuningEvent, TuningModel,
};
use ndarray::{Axis, concatenate};

use crate::shared::{apart, batches, device, model, on_ranks, settings, weights};
use crate::stimulus::{clips, own};

/// Final weights may differ so much: sums of f32 in another order.
const CLOSE: f32 = 1e-5;
/// Losses of steps, of theirs.
const CLOSE_LOSS: f64 = 1e-5;

/// Batches of 7, 5 and 1 clips.
fn uneven(n_batches: usize, seed: u64) -> Vec<TuningBatch> {
    let pairs = batches(2 * n_batches, seed);
    let one = |(i, pair): (usize, &[TuningBatch])| {
        let [first, second] = pair else {
            unreachable!("pairs")
        };
        let rows = [7, 5, 1][i % 3];
        let join = |a: &ndarray::Array2<f32>, b: &ndarray::Array2<f32>| {
            let all = concatenate(Axis(0), &[a.view(), b.view()]).unwrap();
            all.slice_axis(Axis(0), (0..rows).into()).to_owned()
        };
        let samples = join(&first.samples, &second.samples);
        let bold = join(&first.bold, &second.bold);
        TuningBatch::new(0, first.recording.clone(), samples, bold)
    };
    pairs.chunks(2).enumerate().map(one).collect()
}

/// What is tuned, and on what.
struct Case<O> {
    config: TuningConfig,
    objective: O,
    model: fn(&TuningConfig) -> TuningModel<Wav2Vec2Model>,
    train: Vec<TuningBatch>,
    validation: Option<Vec<TuningBatch>>,
}

/// A run, the losses of its steps and of its evaluations.
struct Made {
    tuned: Tuned<Wav2Vec2Model>,
    losses: Vec<f64>,
    evaluated: Vec<(f64, Option<f64>)>,
}

impl<O: Learning<Wav2Vec2Model> + Clone + Sync> Case<O> {
    fn run(&self, ranks: &dyn Ranks) -> Made {
        let tuner = BrainTuner::new(self.config.clone(), self.objective.clone()).unwrap();
        let (mut losses, mut evaluated) = (Vec::new(), Vec::new());
        let on = &mut |event| {
            match event {
                TuningEvent::Step(step) => losses.push(step.loss),
                TuningEvent::Evaluated { validation, .. } => {
                    evaluated.push((validation.loss, validation.mean_r));
                }
                _ => {}
            }
            ControlFlow::Continue(())
        };
        let (model, train) = ((self.model)(&self.config), &self.train);
        let validation = self.validation.as_ref().map(|data| data as _);
        let made = tuner.fit_on(ranks, model, train, validation, &device(), on);
        Made {
            tuned: made.unwrap(),
            losses,
            evaluated,
        }
    }

    /// The same with two, three and four ranks as alone; gives how one process ended.
    fn check(&self, what: &str) -> Made {
        let alone = self.run(&Alone);
        for n in [2, 3, 4] {
            let made = on_ranks(n, |rank| self.run(&rank));
            let (off, path) = apart(&made[0].tuned.model, &alone.tuned.model);
            println!("{what}, {n} ranks: weights within {off:e} ({path})");
            assert!(off < CLOSE, "{what}, {n} ranks: {off:e} at {path}");
            for of_rank in &made {
                assert_eq!(
                    weights(&of_rank.tuned.model),
                    weights(&made[0].tuned.model),
                    "{what}: all ranks have the same bits"
                );
                assert_eq!(of_rank.losses, made[0].losses);
                assert_eq!(of_rank.evaluated, made[0].evaluated);
                let ended = |made: &Made| {
                    let best = made.tuned.best.map(|(step, _)| step);
                    (made.tuned.end, made.tuned.n_steps, best)
                };
                assert_eq!(ended(of_rank), ended(&alone), "{what}");
            }
            close(&made[0].losses, &alone.losses, what);
            let of = |made: &Made| {
                made.evaluated
                    .iter()
                    .map(|found| found.0)
                    .collect::<Vec<_>>()
            };
            close(&of(&made[0]), &of(&alone), what);
            let of = |made: &Made| {
                made.evaluated
                    .iter()
                    .filter_map(|found| found.1)
                    .collect::<Vec<_>>()
            };
            close(&of(&made[0]), &of(&alone), what);
        }
        alone
    }
}

fn close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let off = (found - expected).abs() / expected.abs().max(1.0);
        assert!(off < CLOSE_LOSS, "{what}: {found}, alone {expected}");
    }
}

/// Rates of the paper, raised tenfold: steps of a run that changes something.
fn config() -> TuningConfig {
    let mut config = settings(4);
    (config.lr_backbone, config.lr_head) = (1e-4, 1e-3);
    config
}

fn case<O>(config: TuningConfig, objective: O) -> Case<O> {
    Case {
        config,
        objective,
        model,
        train: uneven(3, 1),
        validation: None,
    }
}

#[test]
fn every_objective_gives_what_it_gives_one_process() {
    case(config(), MeanSquaredError).check("mse");
    case(config(), SpatialCorrelation).check("spatial correlation");
    case(config(), CosineHuber::default()).check("cosine and Huber");
}

#[test]
fn accumulated_gradients_count_the_same() {
    for micro_batch in [1, 2, 3] {
        let mut config = config();
        config.micro_batch = micro_batch;
        case(config, MeanSquaredError).check(&format!("micro-batches of {micro_batch}"));
    }
    let mut config = config();
    (config.micro_batch, config.gradient_checkpointing) = (2, true);
    case(config, MeanSquaredError).check("gradient checkpointing");
}

#[test]
fn what_is_bounded_narrowed_or_pooled_is_so_on_all_ranks() {
    let mut config = config();
    config.optimiser = Optimiser::Adamw { weight_decay: 0.01 };
    (config.max_grad_norm, config.bottleneck) = (Some(0.5), Some(4));
    config.pooling = Pooling::Attention;
    case(config, SpatialCorrelation).check("AdamW, bounded, a bottleneck, attention");
}

#[test]
fn frozen_parts_and_low_rank_updates() {
    let mut frozen = config();
    frozen.freeze = vec!["feature-encoder".to_owned(), "layers:0-0".to_owned()];
    case(frozen, MeanSquaredError).check("frozen layers");
    let mut all = config();
    all.freeze = vec!["all".to_owned()];
    all.lora = Some(Lora {
        r: 4,
        dropout: 0.0,
        ..Lora::default()
    });
    case(all, MeanSquaredError).check("low-rank updates");
}

#[test]
fn the_best_step_and_the_end_are_the_same() {
    let mut config = config();
    (config.epochs, config.evaluate_every, config.micro_batch) = (6, Some(2), 2);
    let mut with_validation = case(config.clone(), MeanSquaredError);
    with_validation.validation = Some(uneven(5, 9));
    let made = with_validation.check("with validation");
    assert_eq!(made.evaluated.len(), 9);
    assert!(made.tuned.best.is_some());
    // What cannot be learnt: responses of other clips.
    let mut hopeless = case(config, MeanSquaredError);
    (hopeless.config.epochs, hopeless.config.patience) = (30, 2);
    hopeless.config.lr_head = 0.02;
    for (batch, other) in hopeless.train.iter_mut().zip(uneven(3, 77)) {
        batch.bold = other.bold;
    }
    hopeless.validation = Some(uneven(2, 9));
    let made = hopeless.check("early stopping");
    assert_eq!(made.tuned.end, TuningEnd::EarlyStopped);
}

#[test]
fn a_models_own_objective() {
    fn contrastive(config: &TuningConfig) -> TuningModel<Wav2Vec2Model> {
        own("contrastive", None, config)
    }
    fn units(config: &TuningConfig) -> TuningModel<Wav2Vec2Model> {
        own("units", Some(2), config)
    }
    let mut config = crate::stimulus::config(3);
    (config.lr_backbone, config.lr_head) = (1e-4, 1e-3);
    // Their codes' diversity is that of a micro-batch, which no rank makes smaller.
    for (what, model, micro_batch) in [
        ("contrastive", contrastive as fn(&TuningConfig) -> _, 1),
        ("contrastive", contrastive, 8),
        ("units", units, 1),
        ("units", units, 8),
    ] {
        config.micro_batch = micro_batch;
        let objective = OwnObjective::new(&config);
        let case = Case {
            config: config.clone(),
            objective,
            model,
            train: clips(3, 1),
            validation: Some(clips(3, 9)),
        };
        case.check(&format!("{what}, micro-batches of {micro_batch}"));
    }
}
