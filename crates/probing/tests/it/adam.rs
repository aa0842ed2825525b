//! Training by Adam against PyTorch.

use std::ops::ControlFlow;

use braintune_probing::{AdamProbe, Classes, FitProgress, Mlp, ProbingError, Targets};
use linfa::ParamGuard;
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::{
    fixture::{Fixture, largest_difference},
    problem::problem,
};

const FIXTURE: Fixture = Fixture::new(include_bytes!("../fixtures/adam/data.safetensors"));

/// Relative to the largest: f32 sums in another order, fed back for 50 steps.
const TOLERANCE: f64 = 1e-4;

fn close(what: &str, a: &Array2<f32>, b: &Array2<f64>) {
    let largest = b.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
    let difference = largest_difference(a, b) / largest;
    assert!(difference < TOLERANCE, "{what}: {difference}");
}

fn layer(key: &str, i: usize) -> (Array2<f32>, Vec<f32>) {
    let weights = FIXTURE.f32(&format!("{key}.{i}.weight")).reversed_axes();
    let biases = FIXTURE.vector(&format!("{key}.{i}.bias"));
    (
        weights,
        biases.into_iter().map(|bias| bias as f32).collect(),
    )
}

fn losses_are(name: &str, found: &[f64]) {
    let expected = FIXTURE.vector(name);
    assert_eq!(found.len(), expected.len());
    for (a, b) in found.iter().zip(expected) {
        assert!((a / b - 1.0).abs() < TOLERANCE, "{name}: {a} {b}");
    }
}

fn is_pytorchs<T: Targets>(name: &str, targets: T) {
    let x = FIXTURE.f32(&format!("{name}.x"));
    let mut losses = Vec::new();
    let mut watch = |progress| {
        if let FitProgress::Epoch { loss, .. } = progress {
            losses.push(loss);
        }
        ControlFlow::Continue(())
    };
    let (weights, biases) = layer(&format!("{name}.linear.before"), 0);
    let params = AdamProbe::params(50)
        .initial(weights, biases.into())
        .check()
        .unwrap();
    let probe = params.fit_observed(x.view(), targets, &mut watch).unwrap();
    let key = format!("{name}.linear.after");
    let after = FIXTURE.matrix(&format!("{key}.0.weight"));
    close(name, &probe.coef().to_owned(), &after.reversed_axes());
    for (a, b) in probe
        .intercept()
        .iter()
        .zip(FIXTURE.vector(&format!("{key}.0.bias")))
    {
        assert!((a - b).abs() < TOLERANCE, "{name}: {a} {b}");
    }
    close(
        name,
        &probe.scores(x.view()).unwrap(),
        &FIXTURE.matrix(&format!("{name}.linear.scores")),
    );
    losses_are(
        &format!("{name}.linear.losses"),
        &std::mem::take(&mut losses),
    );

    let key = format!("{name}.mlp.before");
    let ((w1, b1), (w2, b2)) = (layer(&key, 0), layer(&key, 2));
    let params = Mlp::params(50).patience(50).check().unwrap();
    let layers = [(w1.view(), b1.as_slice()), (w2.view(), b2.as_slice())];
    let mut watch = |progress| {
        if let FitProgress::Epoch { loss, .. } = progress {
            losses.push(loss);
        }
        ControlFlow::Continue(())
    };
    let net = params
        .fit_from(layers, (x.view(), targets), (x.view(), targets), &mut watch)
        .unwrap();
    assert_eq!(net.best_epoch(), 50);
    close(
        name,
        &net.scores(x.view()).unwrap(),
        &FIXTURE.matrix(&format!("{name}.mlp.scores")),
    );
    losses_are(&format!("{name}.mlp.losses"), &losses);
}

#[test]
fn fifty_epochs_are_pytorchs() {
    is_pytorchs(
        "classes",
        Classes::new(&FIXTURE.classes("classes.y"), 5).unwrap(),
    );
    is_pytorchs("labels", FIXTURE.bools("labels.y").view());
    is_pytorchs("values", FIXTURE.f32("values.y").view());
}

#[test]
fn layers_start_as_pytorchs_do() {
    let x = Array2::<f32>::zeros((4, 400));
    let y = Array2::<f32>::zeros((4, 50));
    // A step of next to nothing shows where it began.
    let fit = |seed| {
        let params = AdamProbe::params(1)
            .learning_rate(1e-30)
            .seed(seed)
            .check()
            .unwrap();
        params.fit(x.view(), y.view()).unwrap()
    };
    let (probe, other) = (fit(1), fit(2));
    assert_eq!(fit(1).coef(), probe.coef());
    assert!(probe.coef() != other.coef());
    let bound = 1.0 / 20.0;
    let variance = probe.coef().mapv(|w| w * w).mean().unwrap();
    assert!(probe.coef().iter().all(|w| w.abs() <= bound));
    // Uniform: a third of the square of its bound; 20,000 draws give it to 1 %.
    assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.05);
    assert!(
        probe
            .intercept()
            .iter()
            .all(|w| w.abs() <= f64::from(bound))
    );
}

#[test]
fn a_network_learns_what_a_line_cannot_and_stops_early() {
    // Exclusive or.
    let x = problem(600, 2, 2, 0.0, 21).x;
    let labels: Vec<usize> = x
        .rows()
        .into_iter()
        .map(|row| usize::from(row[0] * row[1] > 0.0))
        .collect();
    let (train, valid) = x.view().split_at(Axis(0), 400);
    let (y_train, y_valid) = labels.split_at(400);
    let (y_train, y_valid) = (
        Classes::new(y_train, 2).unwrap(),
        Classes::new(y_valid, 2).unwrap(),
    );
    let params = Mlp::params(300)
        .batch_size(32)
        .learning_rate(1e-2)
        .check()
        .unwrap();
    let net = params.fit((train, y_train), (valid, y_valid)).unwrap();
    let accuracy = |predicted: Array1<usize>| {
        let right = predicted
            .iter()
            .zip(y_valid.labels())
            .filter(|(a, b)| a == b);
        right.count() as f64 / 200.0
    };
    assert!(accuracy(net.predict(valid).unwrap()) > 0.95);
    let line = AdamProbe::params(300).learning_rate(1e-2).check().unwrap();
    assert!(accuracy(line.fit(train, y_train).unwrap().predict(valid).unwrap()) < 0.75);
    let loss = net.loss(valid, y_valid).unwrap();
    assert!(
        (loss - net.validation_loss()).abs() < 1e-12,
        "the best weights are kept"
    );
    let again = params.fit((train, y_train), (valid, y_valid)).unwrap();
    assert_eq!(again.scores(valid).unwrap(), net.scores(valid).unwrap());

    // Nothing to learn: validation gets worse before long.
    let noise: Vec<usize> = problem(600, 3, 2, 5.0, 22).labels;
    let (a, b) = noise.split_at(400);
    let noise = (Classes::new(a, 2).unwrap(), Classes::new(b, 2).unwrap());
    let mut epochs = 0;
    let net = params.fit_observed((train, noise.0), (valid, noise.1), &mut |_| {
        epochs += 1;
        ControlFlow::Continue(())
    });
    assert_eq!(epochs, net.unwrap().best_epoch() + 5);
}

#[test]
fn bad_settings_and_layers_are_named() {
    let setting = |error: ProbingError| matches!(error, ProbingError::Setting { .. });
    assert!(setting(AdamProbe::params(0).check().unwrap_err()));
    assert!(setting(
        AdamProbe::params(1)
            .learning_rate(f64::NAN)
            .check()
            .unwrap_err()
    ));
    for params in [
        Mlp::params(0),
        Mlp::params(1).n_hidden(0),
        Mlp::params(1).batch_size(0),
        Mlp::params(1).patience(0),
        Mlp::params(1).learning_rate(0.0),
    ] {
        assert!(setting(params.check().unwrap_err()));
    }
    let (x, y) = (Array2::<f32>::ones((5, 3)), Array2::<f32>::ones((5, 2)));
    let fit = |weights: Array2<f32>, biases: usize| {
        let params = AdamProbe::params(1)
            .initial(weights, Array1::zeros(biases))
            .check()
            .unwrap();
        params.fit(x.view(), y.view()).err().unwrap()
    };
    assert!(matches!(
        fit(Array2::zeros((2, 2)), 2),
        ProbingError::Rows { .. }
    ));
    assert!(matches!(
        fit(Array2::zeros((3, 2)), 1),
        ProbingError::Columns { .. }
    ));
    let huge = &x * 3e38;
    let fit = |x: ArrayView2<'_, f32>| AdamProbe::params(3).check().unwrap().fit(x, y.view());
    assert!(matches!(
        fit(huge.view()),
        Err(ProbingError::Diverged { .. })
    ));
    let mut broken = x.clone();
    broken[(2, 1)] = f32::INFINITY;
    assert!(matches!(
        fit(broken.view()),
        Err(ProbingError::NonFinite {
            row: 2,
            column: 1,
            ..
        })
    ));
}
