//! A run that was stopped anywhere ends with the bits of one that was not.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use braintune_backbone::Wav2Vec2Model;
use braintune_tuning::{
    BrainTuner, MeanSquaredError, Result, Tuned, TuningBatch, TuningConfig, TuningEnd, TuningError,
    TuningEvent,
};

use crate::shared::{batches, device, go_on, model, settings, weights};

fn config() -> TuningConfig {
    let mut config = settings(3);
    // Dropout draws from a generator that the tests beside this one share: `tests/dropout.rs`.
    config.lora = Some(braintune_tuning::Lora {
        dropout: 0.0,
        ..Default::default()
    });
    config.evaluate_every = Some(4);
    config.micro_batch = 2;
    config
}

fn fit(
    config: &TuningConfig,
    (dir, resume): (&Path, bool),
    train: &Vec<TuningBatch>,
    on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
) -> Result<Tuned<Wav2Vec2Model>> {
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError)?.with_state(dir, resume);
    tuner.fit(model(config), train, Some(&batches(2, 9)), &device(), on)
}

/// A run that is stopped hard after `steps`: what it had in memory is lost.
fn killed_after(steps: usize, dir: &Path, train: &Vec<TuningBatch>) {
    let killed = std::panic::catch_unwind(|| {
        fit(&config(), (dir, true), train, &mut |event| {
            if matches!(event, TuningEvent::Step(step) if step.step == steps) {
                std::panic::resume_unwind(Box::new("killed"));
            }
            ControlFlow::Continue(())
        })
    });
    assert!(killed.is_err());
}

/// Parameters whose bits differ.
fn changed(found: &Tuned<Wav2Vec2Model>, expected: &Tuned<Wav2Vec2Model>) -> Vec<String> {
    let pairs = weights(&found.model)
        .into_iter()
        .zip(weights(&expected.model));
    pairs.filter(|(a, b)| a != b).map(|(a, _)| a.0).collect()
}

#[test]
fn killed_at_any_step_the_weights_are_the_same() {
    let train = batches(4, 1);
    let whole = tempfile::tempdir().unwrap();
    let expected = fit(&config(), (whole.path(), false), &train, &mut go_on).unwrap();
    assert_eq!((expected.n_steps, expected.end), (12, TuningEnd::Finished));
    for steps in 1..=12 {
        let dir = tempfile::tempdir().unwrap();
        killed_after(steps, dir.path(), &train);
        let mut from = None;
        let found = fit(&config(), (dir.path(), true), &train, &mut |event| {
            if let TuningEvent::Resumed { step, .. } = event {
                from = Some(step);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(
            from,
            (steps > 2).then(|| (steps - 1) / 2 * 2),
            "after {steps}"
        );
        assert_eq!(
            changed(&found, &expected),
            Vec::<String>::new(),
            "after {steps}"
        );
        assert_eq!(found.best, expected.best);
    }
}

#[test]
fn a_finished_run_is_not_done_again() {
    let train = batches(4, 1);
    let dir = tempfile::tempdir().unwrap();
    let expected = fit(&config(), (dir.path(), true), &train, &mut go_on).unwrap();
    let mut n_steps = 0;
    let found = fit(&config(), (dir.path(), true), &train, &mut |event| {
        n_steps += usize::from(matches!(event, TuningEvent::Step(_)));
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(n_steps, 0);
    assert_eq!(changed(&found, &expected), Vec::<String>::new());
}

#[test]
fn a_stopped_run_keeps_its_last_step() {
    let train = batches(4, 1);
    let dir = tempfile::tempdir().unwrap();
    let stopped = fit(
        &config(),
        (dir.path(), true),
        &train,
        &mut |event| match event {
            TuningEvent::Step(step) if step.step == 5 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        },
    )
    .unwrap();
    assert_eq!((stopped.end, stopped.n_steps), (TuningEnd::Cancelled, 5));
    let mut from = 0;
    fit(&config(), (dir.path(), true), &train, &mut |event| {
        if let TuningEvent::Resumed { step, .. } = event {
            from = step;
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(from, 5);
}

/// Whether an event is of the kind to stop at.
type Wanted = fn(&TuningEvent) -> bool;

/// Stops at the `nth` event that `is` wanted.
fn stop_at(
    nth: usize,
    is: impl Fn(&TuningEvent) -> bool,
) -> impl FnMut(TuningEvent) -> ControlFlow<()> {
    let mut n_seen = 0;
    move |event| {
        n_seen += usize::from(is(&event));
        if is(&event) && n_seen == nth {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn stopped_within_a_step_or_an_evaluation_nothing_is_lost() {
    use TuningEvent::{Evaluated, Evaluating, Step, Working};
    let train = batches(4, 1);
    let whole = tempfile::tempdir().unwrap();
    let expected = fit(&config(), (whole.path(), false), &train, &mut go_on).unwrap();
    // Evaluations are due at steps 4, 8 and 12; each has four parts, and can be stopped before three.
    let stops: [(&str, Wanted, usize, usize); 9] = [
        ("step", |e| matches!(e, Working { .. }), 1, 0),
        ("step", |e| matches!(e, Working { .. }), 4, 3),
        ("made", |e| matches!(e, Step(_)), 4, 4),
        ("evaluation", |e| matches!(e, Evaluating { .. }), 1, 4),
        ("evaluation", |e| matches!(e, Evaluating { .. }), 6, 8),
        ("evaluated", |e| matches!(e, Evaluated { .. }), 2, 8),
        ("made", |e| matches!(e, Step(_)), 12, 12),
        ("evaluation", |e| matches!(e, Evaluating { .. }), 9, 12),
        ("evaluated", |e| matches!(e, Evaluated { .. }), 3, 12),
    ];
    for (what, is, nth, n_steps) in stops {
        let dir = tempfile::tempdir().unwrap();
        let on = &mut stop_at(nth, is);
        let stopped = fit(&config(), (dir.path(), true), &train, on).unwrap();
        assert_eq!(stopped.n_steps, n_steps, "{what} {nth}");
        let mut made = Vec::new();
        let found = fit(&config(), (dir.path(), true), &train, &mut |event| {
            if let Step(step) = event {
                made.push(step.step);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(made, (n_steps + 1..=12).collect::<Vec<_>>(), "{what} {nth}");
        assert_eq!(found.best, expected.best, "{what} {nth}");
        assert_eq!(found.end, TuningEnd::Finished);
        let changed = changed(&found, &expected);
        assert_eq!(changed, Vec::<String>::new(), "{what} {nth}");
        // The evaluation that was made since is in the state: nothing at all is left to do.
        let mut told = Vec::new();
        fit(&config(), (dir.path(), true), &train, &mut |event| {
            told.push(event);
            ControlFlow::Continue(())
        })
        .unwrap();
        assert!(
            matches!(told[..], [TuningEvent::Resumed { .. }]),
            "{told:?}"
        );
    }
}

#[test]
fn stopped_at_the_last_step_a_run_without_validation_finishes() {
    let (config, train) = (config(), batches(4, 1));
    let dir = tempfile::tempdir().unwrap();
    let fit = |last: usize| {
        let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
        let tuner = tuner.with_state(dir.path(), true);
        let is_last = |e: &TuningEvent| matches!(e, TuningEvent::Step(s) if s.step == last);
        let on = &mut stop_at(1, is_last);
        tuner
            .fit(model(&config), &train, None, &device(), on)
            .unwrap()
    };
    assert_eq!(fit(12).end, TuningEnd::Cancelled);
    let found = fit(99);
    assert_eq!((found.end, found.n_steps), (TuningEnd::Finished, 12));
}

fn checkpoints(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = entries
        .filter(|path| {
            path.file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .starts_with("step-")
        })
        .collect();
    found.sort();
    found
}

#[test]
fn a_damaged_checkpoint_falls_back_to_the_one_before_and_says_so() {
    let train = batches(4, 1);
    let whole = tempfile::tempdir().unwrap();
    let expected = fit(&config(), (whole.path(), false), &train, &mut go_on).unwrap();
    for file in ["weights.bpk", "moments-backbone.bpk", "state.json"] {
        let dir = tempfile::tempdir().unwrap();
        killed_after(7, dir.path(), &train);
        let steps = checkpoints(dir.path());
        assert_eq!(steps.len(), 2);
        let path = steps[1].join(file);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let mut resumed = None;
        let found = fit(&config(), (dir.path(), true), &train, &mut |event| {
            if let TuningEvent::Resumed { step, skipped } = event {
                resumed = Some((step, skipped));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        let (step, skipped) = resumed.unwrap();
        assert_eq!((step, &skipped[0].0), (4, &steps[1]));
        assert!(skipped[0].1.contains(file), "{}", skipped[0].1);
        assert_eq!(changed(&found, &expected), Vec::<String>::new(), "{file}");
    }
}

/// Spoils the weights of a folder of the state.
fn spoil(folder: &Path) {
    let path = folder.join("weights.bpk");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn damaged_best_weights_are_mended_or_the_checkpoint_before_goes_on() {
    let train = batches(4, 1);
    let whole = tempfile::tempdir().unwrap();
    let expected = fit(&config(), (whole.path(), false), &train, &mut go_on).unwrap();
    // After the evaluation of step 4: the checkpoint of that step holds the same weights.
    let dir = tempfile::tempdir().unwrap();
    killed_after(5, dir.path(), &train);
    spoil(&dir.path().join("best-00000004"));
    let found = fit(&config(), (dir.path(), true), &train, &mut go_on).unwrap();
    assert_eq!(changed(&found, &expected), Vec::<String>::new());
    // That checkpoint is damaged too: the one before it had no best weights yet.
    let dir = tempfile::tempdir().unwrap();
    killed_after(5, dir.path(), &train);
    spoil(&dir.path().join("best-00000004"));
    spoil(&dir.path().join("step-00000004"));
    let mut from = None;
    let found = fit(&config(), (dir.path(), true), &train, &mut |event| {
        if let TuningEvent::Resumed { step, .. } = event {
            from = Some(step);
        }
        ControlFlow::Continue(())
    });
    assert_eq!(from, Some(2));
    assert_eq!(changed(&found.unwrap(), &expected), Vec::<String>::new());
}

#[test]
fn what_a_user_keeps_in_the_state_stays_and_what_was_out_of_the_way_comes_back() {
    let train = batches(4, 1);
    let dir = tempfile::tempdir().unwrap();
    killed_after(7, dir.path(), &train);
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("step-backup")).unwrap();
    fs::write(at("step-notes.txt"), "mine").unwrap();
    // Killed between the two renames of a checkpoint that is written again.
    fs::rename(at("step-00000006"), at(".step-00000006.old")).unwrap();
    let mut from = None;
    fit(&config(), (dir.path(), true), &train, &mut |event| {
        if let TuningEvent::Resumed { step, .. } = event {
            from = Some(step);
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(from, Some(6));
    assert!(at("step-backup").exists() && at("step-notes.txt").exists());
}

#[test]
fn two_runs_at_once_do_not_share_a_folder() {
    let train = batches(4, 1);
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let mut second = None;
    fit(&config(), (&state, true), &train, &mut |event| {
        if matches!(event, TuningEvent::Step(step) if step.step == 2) {
            second = Some(fit(&config(), (&state, true), &train, &mut go_on).map(|_| ()));
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    let error = second.unwrap().unwrap_err().to_string();
    assert!(error.contains("in use by another run"), "{error}");
    fit(&config(), (&state, true), &train, &mut go_on).unwrap();
}

#[test]
fn damaged_checkpoints_alone_are_an_error_not_a_new_run() {
    let train = batches(4, 1);
    let dir = tempfile::tempdir().unwrap();
    killed_after(7, dir.path(), &train);
    for step in checkpoints(dir.path()) {
        fs::write(step.join("state.json"), "{").unwrap();
    }
    let error = fit(&config(), (dir.path(), true), &train, &mut go_on).unwrap_err();
    assert!(matches!(error, TuningError::Checkpoint { .. }), "{error}");
}

#[test]
fn another_run_is_refused_with_what_differs() {
    let train = batches(4, 1);
    let dir = tempfile::tempdir().unwrap();
    killed_after(7, dir.path(), &train);
    let mut other = config();
    other.lr_head = 0.5;
    let error = fit(&other, (dir.path(), true), &train, &mut go_on)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("config.lr_head was 0.003 and is 0.5"),
        "{error}"
    );
    let error = fit(&config(), (dir.path(), true), &batches(5, 1), &mut go_on)
        .unwrap_err()
        .to_string();
    assert!(error.contains("train"), "{error}");
    // Without `resume` a new run begins.
    fit(&other, (dir.path(), false), &train, &mut go_on).unwrap();
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let train = batches(4, 1);
    let dir = tempfile::tempdir().unwrap();
    let blocked = dir.path().join("state");
    fs::write(&blocked, "a file").unwrap();
    let error = fit(&config(), (&blocked, true), &train, &mut go_on)
        .unwrap_err()
        .to_string();
    assert!(error.contains("state"), "{error}");
}
