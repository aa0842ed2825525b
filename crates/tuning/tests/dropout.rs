//! Dropout draws the same after a run went on; alone in its process, whose threads share burn's generator.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "it/shared.rs"]
mod shared;

use std::ops::ControlFlow;
use std::path::Path;

use braintune_ranks::{Alone, Ranks};
use braintune_tuning::{BrainTuner, Lora, MeanSquaredError, TuningConfig, TuningEvent};
use shared::{apart, batches, device, go_on, model, on_ranks, settings, weights};

fn config(dropout: f64) -> TuningConfig {
    let mut config = settings(3);
    config.freeze = vec!["all".to_owned()];
    config.lora = Some(Lora {
        dropout,
        ..Lora::default()
    });
    config
}

fn run(
    dir: &Path,
    dropout: f64,
    on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
) -> Vec<(String, String)> {
    let config = config(dropout);
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError)
        .unwrap()
        .with_state(dir, true);
    let result = tuner
        .fit(model(&config), &batches(2, 1), None, &device(), on)
        .unwrap();
    weights(&result.model)
}

#[test]
fn a_run_with_dropout_goes_on_to_the_same_bits_and_ranks_draw_the_same() {
    ranks_draw_what_one_process_draws();
    let dir = || tempfile::tempdir().unwrap();
    let expected = run(dir().path(), 0.1, &mut go_on);
    assert_ne!(
        run(dir().path(), 0.0, &mut go_on),
        expected,
        "dropout does something"
    );
    for stop in 1..6 {
        let dir = dir();
        run(dir.path(), 0.1, &mut |event| match event {
            TuningEvent::Step(step) if step.step == stop => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        assert_eq!(
            run(dir.path(), 0.1, &mut go_on),
            expected,
            "stopped after {stop}"
        );
    }
}

/// In the same test as nothing else: threads share burn's generator.
fn ranks_draw_what_one_process_draws() {
    let mut config = config(0.1);
    (config.lr_backbone, config.lr_head) = (1e-4, 1e-3);
    for micro_batch in [1, 2, 8] {
        config.micro_batch = micro_batch;
        let run = |ranks: &dyn Ranks| {
            let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
            let (model, train) = (model(&config), batches(3, 1));
            let found = tuner.fit_on(ranks, model, &train, None, &device(), &mut go_on);
            found.unwrap().model
        };
        let alone = run(&Alone);
        for n in [2, 3] {
            for found in on_ranks(n, |rank| run(&rank)) {
                let (off, path) = apart(&found, &alone);
                println!("dropout, micro-batches of {micro_batch}, {n} ranks: within {off:e}");
                assert!(off < 1e-5, "{off:e} at {path}, {n} ranks");
            }
        }
    }
}
