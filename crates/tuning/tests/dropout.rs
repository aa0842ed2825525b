//! Dropout draws the same after a run went on; alone in its process, whose threads share burn's generator.
#![allow(clippy::unwrap_used)]

#[path = "it/shared.rs"]
mod shared;

use std::ops::ControlFlow;
use std::path::Path;

use braintune_tuning::{BrainTuner, Lora, MeanSquaredError, TuningEvent};
use shared::{batches, device, go_on, model, settings, weights};

fn run(
    dir: &Path,
    dropout: f64,
    on: &mut dyn FnMut(TuningEvent) -> ControlFlow<()>,
) -> Vec<(String, String)> {
    let mut config = settings(3);
    config.freeze = vec!["all".to_owned()];
    config.lora = Some(Lora {
        dropout,
        ..Lora::default()
    });
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError)
        .unwrap()
        .with_state(dir, true);
    let result = tuner
        .fit(model(&config), &batches(2, 1), None, &device(), on)
        .unwrap();
    weights(&result.model)
}

#[test]
fn a_run_with_dropout_goes_on_to_the_same_bits() {
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
