//! One layer: a probe fitted, scored and controlled.
//!
//! `[n_rows, d_model]` of each split → scores of the test rows. Held by `tests/it/probe.rs`.

mod labels;

use braintune_encoding::Alphas;
use linfa::ParamGuard;
use ndarray::{Array1, Array2, ArrayView2, Axis};

use self::labels::Targets3;
use crate::evidence::{ControlLabels, GroupSums, Groups, selectivity};
use crate::moments::Standard;
use crate::probe::{
    ControlScore, LayerProbe, Penalty, ProbeKind, ProbeScore, ProbeSettings, ProbeValue, estimate,
    valued,
};
use crate::store::RowStore;
use crate::task::Split;
use crate::{
    AdamProbe, Classes, Criterion, Interval, Labels, Logistic, Mlp, OnProgress, PredictedLabels,
    ProbingError, Result, RidgeProbe,
};

pub(crate) use self::labels::Rows3;

/// Epochs after which an MLP ends, if validation has not ended it.
const MLP_EPOCHS: usize = 500;
/// Alphas of ridge probes; penalties are their squares, features have variance 1.
const ALPHAS: &str = "logspace:-2:4:13";

/// Probes one layer.
pub(crate) fn probe_layer(
    store: &mut RowStore,
    layer: usize,
    rows: &Rows3,
    settings: &ProbeSettings,
    on: &mut OnProgress<'_>,
) -> Result<LayerProbe> {
    let mut x = [
        store.read(Split::Train, layer)?,
        store.read(Split::Validation, layer)?,
        store.read(Split::Test, layer)?,
    ];
    if !matches!(settings.kind, ProbeKind::Paper { .. }) {
        Standard::of(x[0].view())?.apply(&mut x);
    }
    let x = [x[0].view(), x[1].view(), x[2].view()];
    let mut probed = match &rows.targets {
        Targets3::OneOf {
            n_classes,
            splits,
            classes,
        } => probe_classes(rows, settings, x, (*n_classes, splits, classes), on),
        Targets3::AnyOf {
            splits,
            varying,
            constant,
        } => probe_labels(rows, settings, x, (splits, varying, constant), on),
        Targets3::Values(splits) => probe_values(rows, settings, x, splits, on),
    }?;
    probed.layer = layer;
    Ok(probed)
}

fn probe_classes(
    rows: &Rows3,
    settings: &ProbeSettings,
    x: [ArrayView2<'_, f32>; 3],
    (n_classes, splits, classes): (usize, &[Vec<usize>; 3], &[usize]),
    on: &mut OnProgress<'_>,
) -> Result<LayerProbe> {
    let y = |split: usize| Classes::new(&splits[split], n_classes);
    let (predicted, penalty) = classify(settings, x, [y(0)?, y(1)?], on)?;
    let mut probed = label_scores(rows, settings, y(2)?, &predicted)?;
    probed.predicted = Some(predicted.iter().map(|&class| classes[class]).collect());
    probed.penalty = penalty;
    if settings.control {
        let [train, validation, test] = control_classes(rows, settings, (n_classes, splits))?;
        let y = |labels| Classes::new(labels, n_classes);
        match classify(settings, x, [y(&train)?, y(&validation)?], on) {
            // Few types may leave a class without any, or be one alone.
            Err(ProbingError::EmptyClass { .. } | ProbingError::OneClass { .. }) => {}
            found => {
                let (predicted, _) = found?;
                let test = y(&test)?;
                let sums = |groups: &Groups| GroupSums::accuracy(groups, test, &predicted);
                probed.control = Some(controlled(rows, settings, &probed, sums)?);
            }
        }
    }
    Ok(probed)
}

fn probe_labels(
    rows: &Rows3,
    settings: &ProbeSettings,
    x: [ArrayView2<'_, f32>; 3],
    (splits, varying, constant): (&[Array2<bool>; 3], &[usize], &Array1<bool>),
    on: &mut OnProgress<'_>,
) -> Result<LayerProbe> {
    let fit = |[train, validation, _]: &[Array2<bool>; 3]| {
        classify_any(settings, x, [train, validation], (varying, constant), on)
    };
    let score = |truth: &Array2<bool>, predicted: &Array2<bool>| {
        label_scores(rows, settings, truth.view(), predicted)
    };
    probe_table(rows, settings, splits, fit, score, |groups, truth, said| {
        GroupSums::macro_f1(groups, truth.view(), said)
    })
}

fn probe_values(
    rows: &Rows3,
    settings: &ProbeSettings,
    x: [ArrayView2<'_, f32>; 3],
    splits: &[Array2<f32>; 3],
    on: &mut OnProgress<'_>,
) -> Result<LayerProbe> {
    let fit = |[train, validation, _]: &[Array2<f32>; 3]| {
        regress(settings, x, [train.view(), validation.view()], on)
    };
    let score = |truth: &Array2<f32>, predicted: &Array2<f32>| {
        value_scores(rows, settings, truth.view(), predicted.view())
    };
    probe_table(rows, settings, splits, fit, score, |groups, truth, said| {
        GroupSums::r2(groups, truth.view(), said.view())
    })
}

/// A row of labels or numbers for each row of features: a probe, and its control on the rows in random order. `first`
/// is the first score as sums of each group.
fn probe_table<T: Clone>(
    rows: &Rows3,
    settings: &ProbeSettings,
    splits: &[Array2<T>; 3],
    mut fit: impl FnMut(&[Array2<T>; 3]) -> Result<Fitted<Array2<T>>>,
    score: impl Fn(&Array2<T>, &Array2<T>) -> Result<LayerProbe>,
    first: impl Fn(&Groups, &Array2<T>, &Array2<T>) -> Result<GroupSums>,
) -> Result<LayerProbe> {
    let (predicted, penalty) = fit(splits)?;
    let mut probed = score(&splits[2], &predicted)?;
    probed.penalty = penalty;
    if settings.control {
        let splits = shuffled(splits, settings.seed);
        let (predicted, _) = fit(&splits)?;
        let sums = |groups: &Groups| first(groups, &splits[2], &predicted);
        probed.control = Some(controlled(rows, settings, &probed, sums)?);
    }
    Ok(probed)
}

/// What is predicted for the test rows, and the penalty that was chosen.
type Fitted<P> = (P, Option<Penalty>);

fn classify<L: Labels>(
    settings: &ProbeSettings,
    [train, validation, test]: [ArrayView2<'_, f32>; 3],
    y: [L; 2],
    on: &mut OnProgress<'_>,
) -> Result<Fitted<L::Predicted>>
where
    L::Predicted: PredictedLabels,
{
    match settings.kind {
        ProbeKind::Linear => {
            let best = Logistic::params(1.0).check()?.fit_best_observed(
                &settings.cs,
                (train, y[0]),
                (validation, y[1]),
                Criterion::Loss,
                on,
            )?;
            Ok((best.probe.predict(test)?, Some(Penalty::C(best.c))))
        }
        ProbeKind::Mlp => {
            let params = Mlp::params(MLP_EPOCHS).seed(settings.seed).check()?;
            let fitted = params.fit_observed((train, y[0]), (validation, y[1]), on)?;
            Ok((fitted.predict(test)?, None))
        }
        ProbeKind::Paper { n_epochs } => {
            let params = AdamProbe::params(paper(n_epochs)).seed(settings.seed);
            let fitted = params.check()?.fit_observed(train, y[0], on)?;
            Ok((fitted.predict(test)?, None))
        }
    }
}

/// Epochs of the paper's probe, which [`probe_layers`](crate::probe_layers) has from the task where none are given.
fn paper(n_epochs: Option<usize>) -> usize {
    n_epochs.unwrap_or_else(|| unreachable!("the task says how many"))
}

/// Any number of labels: a probe of those that `varying` lists, the others as they are in training.
fn classify_any(
    settings: &ProbeSettings,
    x: [ArrayView2<'_, f32>; 3],
    [train, validation]: [&Array2<bool>; 2],
    (varying, constant): (&[usize], &Array1<bool>),
    on: &mut OnProgress<'_>,
) -> Result<Fitted<Array2<bool>>> {
    let kept = |labels: &Array2<bool>| labels.select(Axis(1), varying);
    let (train, validation) = (kept(train), kept(validation));
    let (found, penalty) = classify(settings, x, [train.view(), validation.view()], on)?;
    let n_rows = x[2].nrows();
    let mut predicted =
        Array2::from_shape_fn((n_rows, constant.len()), |(_, label)| constant[label]);
    for (column, &label) in varying.iter().enumerate() {
        predicted.column_mut(label).assign(&found.column(column));
    }
    Ok((predicted, penalty))
}

fn regress(
    settings: &ProbeSettings,
    [train, validation, test]: [ArrayView2<'_, f32>; 3],
    y: [ArrayView2<'_, f32>; 2],
    on: &mut OnProgress<'_>,
) -> Result<Fitted<Array2<f32>>> {
    match settings.kind {
        ProbeKind::Linear => {
            let alphas: Alphas = ALPHAS.parse()?;
            let params = RidgeProbe::params(alphas).check()?;
            let fitted = params.fit_best((train, y[0]), (validation, y[1]))?;
            let mut alphas = fitted.best_alphas().to_vec();
            alphas.sort_by(f64::total_cmp);
            let median = Penalty::MedianAlpha(alphas[alphas.len() / 2]);
            Ok((fitted.predict(test)?, Some(median)))
        }
        ProbeKind::Mlp => {
            let params = Mlp::params(MLP_EPOCHS).seed(settings.seed).check()?;
            // Adam's steps are of one size: numbers of another scale would not be reached.
            let standard = Standard::of(y[0])?;
            let mut y = y.map(|y| y.to_owned());
            standard.apply(&mut y);
            let (train_y, validation_y) = ((train, y[0].view()), (validation, y[1].view()));
            let mut predicted = params
                .fit_observed(train_y, validation_y, on)?
                .predict(test)?;
            standard.undo(&mut predicted);
            Ok((predicted, None))
        }
        ProbeKind::Paper { n_epochs } => {
            let params = AdamProbe::params(paper(n_epochs)).seed(settings.seed);
            let fitted = params.check()?.fit_observed(train, y[0], on)?;
            Ok((fitted.predict(test)?, None))
        }
    }
}

/// Classes: accuracy first. Any number of labels: macro F1 first, since accuracy asks for all of them at once.
fn label_scores<L: Labels>(
    rows: &Rows3,
    settings: &ProbeSettings,
    truth: L,
    predicted: &L::Predicted,
) -> Result<LayerProbe> {
    type Make<L> = fn(&Groups, L, &<L as crate::Targets>::Predicted) -> Result<GroupSums>;
    let mut metrics: [(&'static str, Make<L>); 3] = [
        ("accuracy", GroupSums::accuracy),
        ("macro_f1", GroupSums::macro_f1),
        ("micro_f1", GroupSums::micro_f1),
    ];
    if matches!(rows.targets, Targets3::AnyOf { .. }) {
        metrics.rotate_left(1);
    }
    let mut first = None;
    let mut scores = Vec::with_capacity(metrics.len());
    for (metric, make) in metrics {
        let sums = |groups: &Groups| make(groups, truth, predicted);
        let (value, sums) = valued(rows.groups.as_ref(), rows.n_test, sums, &settings.bootstrap)?;
        scores.push(ProbeScore { metric, value });
        first = first.or(Some(sums));
    }
    Ok(scored(scores, first.flatten()))
}

fn value_scores(
    rows: &Rows3,
    settings: &ProbeSettings,
    truth: ArrayView2<'_, f32>,
    predicted: ArrayView2<'_, f32>,
) -> Result<LayerProbe> {
    let r2 = |groups: &Groups| GroupSums::r2(groups, truth, predicted);
    let r = |groups: &Groups| GroupSums::pearson_r(groups, truth, predicted);
    let (of_r2, sums) = valued(rows.groups.as_ref(), rows.n_test, r2, &settings.bootstrap)?;
    let (of_r, _) = valued(rows.groups.as_ref(), rows.n_test, r, &settings.bootstrap)?;
    let scores = vec![
        ProbeScore {
            metric: "r2",
            value: of_r2,
        },
        ProbeScore {
            metric: "r",
            value: of_r,
        },
    ];
    Ok(scored(scores, sums))
}

/// Rows of labels in random order, each split by itself.
fn shuffled<T: Clone>(splits: &[Array2<T>; 3], seed: u64) -> [Array2<T>; 3] {
    [0, 1, 2].map(|split| {
        let rows: Vec<usize> = (0..splits[split].nrows()).collect();
        let rows = ControlLabels::shuffled(&rows, seed.wrapping_add(split as u64));
        splits[split].select(Axis(0), &rows)
    })
}

/// A layer that has its scores; the rest is filled in by who knows it.
fn scored(scores: Vec<ProbeScore>, sums: Option<GroupSums>) -> LayerProbe {
    LayerProbe {
        layer: 0,
        scores,
        penalty: None,
        control: None,
        sums,
        predicted: None,
    }
}

/// Random classes of all splits: of texts where recordings have some, else of rows.
fn control_classes(
    rows: &Rows3,
    settings: &ProbeSettings,
    (n_classes, splits): (usize, &[Vec<usize>; 3]),
) -> Result<[Vec<usize>; 3]> {
    let Some(types) = &rows.types else {
        return Ok([0, 1, 2].map(|split| {
            ControlLabels::shuffled(&splits[split], settings.seed.wrapping_add(split as u64))
        }));
    };
    let train = Classes::new(&splits[0], n_classes)?;
    let labels = ControlLabels::by_type(train, &types[0], settings.seed)?;
    Ok(types.each_ref().map(|types| labels.labels(types)))
}

/// The control's score, and how far the probe is above it on the same groups.
fn controlled(
    rows: &Rows3,
    settings: &ProbeSettings,
    probed: &LayerProbe,
    control: impl Fn(&Groups) -> Result<GroupSums>,
) -> Result<ControlScore> {
    if let (Some(groups), Some(sums)) = (&rows.groups, &probed.sums) {
        let control = control(groups)?;
        let Interval {
            estimate: above,
            low,
            high,
        } = selectivity(sums, &control, &settings.bootstrap)?.difference;
        return Ok(ControlScore {
            value: estimate(&control),
            selectivity: ProbeValue {
                estimate: above,
                interval: Some((low, high)),
            },
        });
    }
    let value = estimate(&control(&Groups::all_in_one(rows.n_test))?);
    let first = probed.scores.first();
    Ok(ControlScore {
        value,
        selectivity: ProbeValue {
            estimate: first.map_or(f64::NAN, |first| first.value.estimate) - value,
            interval: None,
        },
    })
}
