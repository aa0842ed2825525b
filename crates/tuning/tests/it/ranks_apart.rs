//! Ranks that do not fit together, that fail or that stop: all say why, and none waits for ever.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use braintune_backbone::Wav2Vec2Model;
use braintune_ranks::{Alone, Ranks, RanksError, ThreadRanks};
use braintune_tuning::{
    BrainTuner, MeanSquaredError, Result, Tuned, TuningBatch, TuningConfig, TuningEnd, TuningError,
    TuningEvent,
};

use crate::shared::{apart, batches, device, go_on, model, on_ranks, settings, weights};

fn config() -> TuningConfig {
    let mut config = settings(3);
    (config.lr_backbone, config.lr_head) = (1e-4, 1e-3);
    (config.evaluate_every, config.micro_batch) = (Some(4), 2);
    config
}

fn fit(
    ranks: &dyn Ranks,
    config: &TuningConfig,
    state: Option<(&Path, bool)>,
    train: &Vec<TuningBatch>,
    on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
) -> Result<Tuned<Wav2Vec2Model>> {
    let mut tuner = BrainTuner::new(config.clone(), MeanSquaredError)?;
    if let Some((dir, resume)) = state {
        tuner = tuner.with_state(dir, resume);
    }
    let validation = batches(3, 9);
    tuner.fit_on(
        ranks,
        model(config),
        train,
        Some(&validation),
        &device(),
        on,
    )
}

/// Stops after a step.
fn until(last: usize) -> impl FnMut(TuningEvent) -> ControlFlow<()> {
    move |event| match event {
        TuningEvent::Step(step) if step.step == last => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

/// A run of `n` ranks of which the second stops after a step.
fn stopped_on_one(n: usize, dir: &Path, last: usize) -> Vec<Tuned<Wav2Vec2Model>> {
    let (config, train) = (config(), batches(4, 1));
    on_ranks(n, |rank| {
        let mut stop = until(last);
        let on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()> = match rank.rank() {
            1 => &mut stop,
            _ => &mut go_on,
        };
        fit(&rank, &config, Some((dir, false)), &train, on).unwrap()
    })
}

#[test]
fn stopped_on_one_rank_all_stop_and_go_on_to_the_same_bits() {
    let (config, train) = (config(), batches(4, 1));
    let whole = tempfile::tempdir().unwrap();
    let alone = fit(
        &Alone,
        &config,
        Some((whole.path(), false)),
        &train,
        &mut go_on,
    )
    .unwrap();
    let together = tempfile::tempdir().unwrap();
    let expected = on_ranks(3, |rank| {
        let state = Some((together.path(), false));
        fit(&rank, &config, state, &train, &mut go_on).unwrap()
    });
    for last in [1, 4, 5, 7, 12] {
        let dir = tempfile::tempdir().unwrap();
        let stopped = stopped_on_one(3, dir.path(), last);
        for stopped in &stopped {
            assert_eq!((stopped.end, stopped.n_steps), (TuningEnd::Cancelled, last));
        }
        let found = on_ranks(3, |rank| {
            fit(&rank, &config, Some((dir.path(), true)), &train, &mut go_on).unwrap()
        });
        for found in &found {
            assert_eq!(
                weights(&found.model),
                weights(&expected[0].model),
                "after {last}"
            );
            assert_eq!(found.best, expected[0].best);
        }
        let (off, path) = apart(&found[0].model, &alone.model);
        assert!(off < 1e-5, "{off:e} at {path}");
        // One process goes on from what three left.
        let dir = tempfile::tempdir().unwrap();
        stopped_on_one(3, dir.path(), last);
        let found = fit(
            &Alone,
            &config,
            Some((dir.path(), true)),
            &train,
            &mut go_on,
        );
        let (off, path) = apart(&found.unwrap().model, &alone.model);
        assert!(off < 1e-5, "{off:e} at {path}");
    }
    let finished = on_ranks(2, |rank| {
        let mut n_steps = 0;
        let found = fit(
            &rank,
            &config,
            Some((together.path(), true)),
            &train,
            &mut |event| {
                n_steps += usize::from(matches!(event, TuningEvent::Step(_)));
                ControlFlow::Continue(())
            },
        );
        (n_steps, weights(&found.unwrap().model))
    });
    for (n_steps, found) in finished {
        assert_eq!((n_steps, found), (0, weights(&expected[0].model)));
    }
}

#[test]
fn stopped_within_a_step_or_an_evaluation_on_one_rank() {
    let (config, train) = (config(), batches(4, 1));
    for evaluation in [false, true] {
        let stopped = on_ranks(2, |rank| {
            let is_last = rank.rank() == 1;
            fit(&rank, &config, None, &train, &mut |event| match event {
                TuningEvent::Reading { .. } if !evaluation && is_last => ControlFlow::Break(()),
                TuningEvent::Evaluated { step: 4, .. } if evaluation && is_last => {
                    ControlFlow::Break(())
                }
                _ => ControlFlow::Continue(()),
            })
            .unwrap()
        });
        let expected = if evaluation { 4 } else { 0 };
        for stopped in stopped {
            assert_eq!(
                (stopped.end, stopped.n_steps),
                (TuningEnd::Cancelled, expected)
            );
        }
    }
    // A rank has its own micro-batches of a step: one of four clips by two has none between which it could stop.
    let mut smaller = config.clone();
    smaller.micro_batch = 1;
    let stopped = on_ranks(2, |rank| {
        let mut n_seen = 0;
        fit(&rank, &smaller, None, &train, &mut |event| {
            n_seen += usize::from(matches!(event, TuningEvent::Working { .. }));
            if rank.rank() == 0 && n_seen == 3 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
        .unwrap()
    });
    for stopped in stopped {
        assert_eq!((stopped.end, stopped.n_steps), (TuningEnd::Cancelled, 2));
    }
}

#[test]
fn a_rank_that_fails_ends_the_others_and_keeps_their_steps() {
    let config = config();
    let dir = tempfile::tempdir().unwrap();
    let found = on_ranks(3, |rank| {
        let mut config = config.clone();
        config.checkpoint_every = 100;
        let train = Broken {
            batches: batches(4, 1),
            at: (rank.rank() == 1).then_some(2),
        };
        let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
        let tuner = tuner.with_state(dir.path(), false);
        let found = tuner.fit_on(&rank, model(&config), &train, None, &device(), &mut go_on);
        found.map(|_| ()).unwrap_err()
    });
    assert!(
        matches!(found[0], TuningError::OtherRank { rank: 1 }),
        "{}",
        found[0]
    );
    assert!(matches!(found[1], TuningError::Batch(_)), "{}", found[1]);
    assert!(
        matches!(found[2], TuningError::OtherRank { rank: 1 }),
        "{}",
        found[2]
    );
    assert!(
        dir.path().join("step-00000002").exists(),
        "the steps before are kept"
    );
}

/// Batches of which one cannot be read.
struct Broken {
    batches: Vec<TuningBatch>,
    at: Option<usize>,
}

impl braintune_tuning::TuningData for Broken {
    fn n_batches(&self) -> usize {
        self.batches.len()
    }

    fn batch(
        &self,
        epoch: usize,
        index: usize,
    ) -> Result<TuningBatch, Box<dyn std::error::Error + Send + Sync>> {
        if self.at == Some(index) {
            return Err("the disk is gone".into());
        }
        self.batches.batch(epoch, index)
    }

    fn fingerprint(&self) -> serde_json::Value {
        self.batches.fingerprint()
    }
}

#[test]
fn a_rank_that_is_gone_ends_the_others() {
    let (config, train) = (config(), batches(4, 1));
    let found = on_ranks(2, |rank: ThreadRanks| {
        if rank.rank() == 0 {
            return Some(fit(&rank, &config, None, &train, &mut go_on).unwrap_err());
        }
        let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            fit(&rank, &config, None, &train, &mut |event| {
                if matches!(event, TuningEvent::Step(step) if step.step == 3) {
                    std::panic::resume_unwind(Box::new("killed"));
                }
                ControlFlow::Continue(())
            })
        }));
        assert!(gone.is_err());
        None
    });
    let error = found[0].as_ref().unwrap();
    assert!(
        matches!(error, TuningError::Ranks(RanksError::Gone { rank: 1 })),
        "{error}"
    );
}

#[test]
fn ranks_of_unlike_runs_are_refused_on_all_of_them() {
    let train = batches(4, 1);
    let errors = |change: &(dyn Fn(&mut TuningConfig, &mut Vec<TuningBatch>) + Sync)| {
        on_ranks(3, |rank| {
            let (mut config, mut train) = (config(), train.clone());
            if rank.rank() == 2 {
                change(&mut config, &mut train);
            }
            fit(&rank, &config, None, &train, &mut go_on).unwrap_err()
        })
    };
    for error in errors(&|config, _| config.lr_head = 0.5) {
        let text = error.to_string();
        assert!(
            matches!(error, TuningError::OtherRunOfRank { rank: 2, .. }),
            "{text}"
        );
        let expected = "config.lr_head is 0.001 on rank 0 and 0.5 on rank 2";
        assert!(text.contains(expected), "{text}");
    }
    for error in errors(&|_, train| train[3].bold[(0, 0)] = 7.0) {
        let text = error.to_string();
        assert!(text.contains("rank 2") && text.contains("train"), "{text}");
    }
}

#[test]
fn other_weights_on_one_rank_are_refused_on_all() {
    let (config, train) = (config(), batches(4, 1));
    let errors = on_ranks(2, |rank| {
        let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
        // The head of another seed.
        let mut other = config.clone();
        other.seed += rank.rank() as u64;
        let found = tuner.fit_on(&rank, model(&other), &train, None, &device(), &mut go_on);
        found.map(|_| ()).unwrap_err()
    });
    for error in errors {
        let text = error.to_string();
        assert!(
            matches!(error, TuningError::OtherWeights { rank: 1, .. }),
            "{text}"
        );
        assert!(text.contains("at the beginning"), "{text}");
    }
}

#[test]
fn a_rank_that_cannot_read_the_checkpoint_says_so() {
    let (config, train) = (config(), batches(4, 1));
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let runs = |resume, last| {
        on_ranks(2, |rank| {
            let dir = if rank.rank() == 0 { &dir } else { &other };
            let state = Some((dir.path(), resume));
            fit(&rank, &config, state, &train, &mut until(last)).map(|_| ())
        })
    };
    for found in runs(false, 5) {
        found.unwrap();
    }
    let found: Vec<_> = runs(true, 99).into_iter().map(Result::unwrap_err).collect();
    assert!(
        matches!(found[0], TuningError::OtherRank { rank: 1 }),
        "{}",
        found[0]
    );
    let text = found[1].to_string();
    assert!(text.contains("storage that all ranks share"), "{text}");
    assert!(text.contains("step-00000005"), "{text}");
    // All of it is there but the bits of the weights.
    let path = dir.path().join("step-00000005");
    let copy = other.path().join("step-00000005");
    fs::create_dir_all(&copy).unwrap();
    for entry in fs::read_dir(&path).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let best = dir.path().join("best-00000004");
    fs::create_dir_all(other.path().join("best-00000004")).unwrap();
    for entry in fs::read_dir(&best).unwrap() {
        let entry = entry.unwrap();
        fs::copy(
            entry.path(),
            other.path().join("best-00000004").join(entry.file_name()),
        )
        .unwrap();
    }
    for found in runs(true, 99) {
        found.unwrap();
    }
    // Only the first wrote.
    assert!(dir.path().join("step-00000012").exists());
    assert!(!other.path().join("step-00000012").exists());
}

#[test]
fn a_folder_that_the_first_rank_cannot_use_ends_all() {
    let (config, train) = (config(), batches(4, 1));
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("state");
    fs::write(&blocked, "a file").unwrap();
    let found = on_ranks(2, |rank| {
        let state = Some((blocked.as_path(), true));
        fit(&rank, &config, state, &train, &mut go_on).unwrap_err()
    });
    assert!(found[0].to_string().contains("state"), "{}", found[0]);
    assert!(
        matches!(found[1], TuningError::OtherRank { rank: 0 }),
        "{}",
        found[1]
    );
}

#[test]
fn a_loss_that_diverges_ends_all_ranks_with_the_same_words() {
    let config = config();
    let mut train = batches(4, 1);
    train[1].bold[(0, 0)] = 1e6;
    let found = on_ranks(2, |rank| {
        let error = fit(&rank, &config, None, &train, &mut go_on).unwrap_err();
        error.to_string()
    });
    assert!(found[0].contains("diverged at step 2"), "{}", found[0]);
    assert_eq!(found[0], found[1]);
}
