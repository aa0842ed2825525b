//! One layer: a probe fitted, scored and controlled.
//!
//! `[n_rows, d_model]` of each split → scores of the test rows. Held by `tests/it/probe.rs`.

use std::collections::BTreeMap;

use braintune_encoding::Alphas;
use linfa::ParamGuard;
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::evidence::{ControlLabels, GroupSums, Groups};
use crate::gather::SplitLabels;
use crate::moments::Standard;
use crate::probe::{LayerProbe, ProbeKind, ProbeScore, ProbeSettings, estimate, valued};
use crate::store::RowStore;
use crate::task::{LabelSet, ProbeTask, Split};
use crate::{
    AdamProbe, Classes, Criterion, LabelCounts, Labels, Logistic, Mlp, OnProgress, PredictedLabels,
    ProbingError, Result, RidgeProbe, majority_baseline,
};

/// Epochs after which an MLP ends, if validation has not ended it.
const MLP_EPOCHS: usize = 500;
/// Alphas of ridge probes; penalties are their squares, features have variance 1.
const ALPHAS: &str = "logspace:-2:4:13";

/// Labels of all splits, as probes take them.
pub(crate) struct Rows3 {
    targets: Targets3,
    groups: Option<Groups>,
    n_test: usize,
    /// Number of the text of each row: rows of the same share a label under the control.
    types: Option<[Vec<u64>; 3]>,
}

enum Targets3 {
    OneOf {
        n_classes: usize,
        splits: [Vec<usize>; 3],
        /// Number that the task has for each class.
        classes: Vec<usize>,
    },
    /// Labels that vary over the training rows, of `n_labels`; what the others always are there.
    AnyOf {
        splits: [Array2<bool>; 3],
        varying: Vec<usize>,
        constant: Array1<bool>,
    },
    Values([Array2<f32>; 3]),
}

impl Rows3 {
    pub(crate) fn new(task: &dyn ProbeTask, labels: &[SplitLabels; 3]) -> Result<Self> {
        let problem = |problem: String| ProbingError::Task {
            task: task.name().to_owned(),
            problem,
        };
        for (split, labels) in ["training", "validation", "test"].iter().zip(labels) {
            if labels.n_rows() == 0 {
                return Err(problem(format!(
                    "no {split} rows: no frame lies in any labelled part"
                )));
            }
        }
        let targets = match task.labels() {
            LabelSet::OneOf(names) => one_of(names, labels).map_err(problem)?,
            LabelSet::AnyOf(names) => any_of(names, labels).map_err(problem)?,
            LabelSet::Values(_) => varying_values(labels).map_err(problem)?,
        };
        let test = &labels[2];
        Ok(Self {
            targets,
            groups: Groups::new(&test.groups).ok(),
            n_test: test.n_rows(),
            types: types(labels),
        })
    }

    /// Accuracy of the most frequent class.
    pub(crate) fn baseline(&self) -> Result<Option<f64>> {
        match &self.targets {
            Targets3::OneOf {
                n_classes, splits, ..
            } => {
                let train = Classes::new(&splits[0], *n_classes)?;
                let test = Classes::new(&splits[2], *n_classes)?;
                majority_baseline(train, test).map(Some)
            }
            Targets3::AnyOf {
                splits: [train, _, test],
                ..
            } => {
                let often = |column: ndarray::ArrayView1<'_, bool>| {
                    2 * column.iter().filter(|there| **there).count() > column.len()
                };
                let row: Vec<bool> = train.columns().into_iter().map(often).collect();
                let predicted = Array2::from_shape_fn(test.dim(), |(_, label)| row[label]);
                Ok(Some(LabelCounts::of(test.view(), &predicted)?.macro_f1()))
            }
            Targets3::Values(_) => Ok(None),
        }
    }
}

/// Numbers of texts, where every row has one.
fn types(labels: &[SplitLabels; 3]) -> Option<[Vec<u64>; 3]> {
    let texts = labels.iter().flat_map(|labels| &labels.types);
    let texts: Option<BTreeMap<&str, u64>> = texts
        .map(|text| text.as_deref().map(|text| (text, 0)))
        .collect();
    let mut numbers = texts?;
    for (number, of_text) in (0..).zip(numbers.values_mut()) {
        *of_text = number;
    }
    let number = |text: &Option<String>| numbers[text.as_deref().unwrap_or_default()];
    Some([0, 1, 2].map(|split| labels[split].types.iter().map(number).collect()))
}

/// Numbers that vary over the training rows and over the test rows: of the others nothing can be learnt, or shown.
fn varying_values(labels: &[SplitLabels; 3]) -> Result<Targets3, String> {
    let splits = [0, 1, 2].map(|split| labels[split].values());
    let varies = |split: usize, column: usize| {
        let column = splits[split].column(column);
        column.iter().any(|value| (value - column[0]).abs() > 0.0)
    };
    let n = splits[0].ncols();
    let kept: Vec<usize> = (0..n).filter(|&c| varies(0, c) && varies(2, c)).collect();
    if kept.is_empty() {
        return Err(
            "every number is the same in all training rows, or in all test rows".to_owned(),
        );
    }
    if kept.len() < n {
        tracing::info!(
            n_kept = kept.len(),
            n,
            "numbers that never vary are left out"
        );
        return Ok(Targets3::Values(
            splits.map(|values| values.select(Axis(1), &kept)),
        ));
    }
    Ok(Targets3::Values(splits))
}

/// Classes that occur, numbered anew; all of them must occur in training.
fn one_of(names: &[String], labels: &[SplitLabels; 3]) -> Result<Targets3, String> {
    let mut counts = vec![[0_usize; 3]; names.len()];
    for (split, labels) in labels.iter().enumerate() {
        for &class in &labels.classes {
            counts[class][split] += 1;
        }
    }
    let untrained = |(name, count): (&String, &[usize; 3])| {
        (count[0] == 0 && count[1] + count[2] > 0).then(|| {
            format!(
                "{name} ({} validation and {} test rows)",
                count[1], count[2]
            )
        })
    };
    let untrained: Vec<String> = names.iter().zip(&counts).filter_map(untrained).collect();
    if !untrained.is_empty() {
        return Err(format!(
            "no training row of {}: a probe cannot know them; take another split or leave them out",
            untrained.join(", ")
        ));
    }
    let (mut numbers, mut n_classes) = (vec![0; names.len()], 0);
    for (number, count) in numbers.iter_mut().zip(&counts) {
        *number = n_classes;
        n_classes += usize::from(count[0] > 0);
    }
    if n_classes < 2 {
        return Err(format!(
            "{n_classes} class(es) of {}, at least two are needed to tell them apart",
            names.len()
        ));
    }
    let splits = [0, 1, 2].map(|split| {
        labels[split]
            .classes
            .iter()
            .map(|&class| numbers[class])
            .collect()
    });
    let trained = |class: &usize| counts[*class][0] > 0;
    Ok(Targets3::OneOf {
        n_classes,
        splits,
        classes: (0..names.len()).filter(trained).collect(),
    })
}

/// Labels that every or no training row has are predicted as just that.
fn any_of(names: &[String], labels: &[SplitLabels; 3]) -> Result<Targets3, String> {
    let splits = [0, 1, 2].map(|split| labels[split].indicators(names.len()));
    let train = &splits[0];
    let count = |label: usize| train.column(label).iter().filter(|there| **there).count();
    let varies = |label: &usize| (1..train.nrows()).contains(&count(*label));
    let varying: Vec<usize> = (0..names.len()).filter(varies).collect();
    if varying.is_empty() {
        return Err("every label is the same in all training rows".to_owned());
    }
    let constant = (0..names.len())
        .map(|label| count(label) == train.nrows())
        .collect();
    Ok(Targets3::AnyOf {
        splits,
        varying,
        constant,
    })
}

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
    let mut named = None;
    let (scores, sums, control) = match &rows.targets {
        Targets3::OneOf {
            n_classes,
            splits,
            classes,
        } => {
            let y = |split: usize| Classes::new(&splits[split], *n_classes);
            let predicted = classify(settings, x, [y(0)?, y(1)?], on)?;
            named = Some(predicted.iter().map(|&class| classes[class]).collect());
            let (scores, sums) = label_scores(rows, settings, y(2)?, &predicted)?;
            (
                scores,
                sums,
                control(rows, settings, x, (*n_classes, splits), on)?,
            )
        }
        Targets3::AnyOf {
            splits,
            varying,
            constant,
        } => {
            let fitted = [&splits[0], &splits[1]];
            let predicted = classify_any(settings, x, fitted, (varying, constant), on)?;
            let (scores, sums) = label_scores(rows, settings, splits[2].view(), &predicted)?;
            let control = settings.control.then(|| {
                let [train, validation, test] = shuffled(splits, settings.seed);
                let fitted = [&train, &validation];
                let predicted = classify_any(settings, x, fitted, (varying, constant), on)?;
                Ok::<_, ProbingError>(LabelCounts::of(test.view(), &predicted)?.macro_f1())
            });
            (scores, sums, control.transpose()?)
        }
        Targets3::Values(splits) => {
            let y = [splits[0].view(), splits[1].view()];
            let predicted = regress(settings, x, y, on)?;
            let (scores, sums) = value_scores(rows, settings, splits[2].view(), predicted.view())?;
            let control = settings.control.then(|| {
                let [train, validation, test] = shuffled(splits, settings.seed);
                let predicted = regress(settings, x, [train.view(), validation.view()], on)?;
                let all = Groups::all_in_one(rows.n_test);
                GroupSums::r2(&all, test.view(), predicted.view())
            });
            let control = control.transpose()?.as_ref().map(estimate);
            (scores, sums, control)
        }
    };
    Ok(LayerProbe {
        layer,
        scores,
        control,
        sums,
        predicted: named,
    })
}

fn classify<L: Labels>(
    settings: &ProbeSettings,
    [train, validation, test]: [ArrayView2<'_, f32>; 3],
    y: [L; 2],
    on: &mut OnProgress<'_>,
) -> Result<L::Predicted>
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
            best.probe.predict(test)
        }
        ProbeKind::Mlp => {
            let params = Mlp::params(MLP_EPOCHS).seed(settings.seed).check()?;
            let fitted = params.fit_observed((train, y[0]), (validation, y[1]), on)?;
            fitted.predict(test)
        }
        ProbeKind::Paper { n_epochs } => {
            let params = AdamProbe::params(paper(n_epochs)).seed(settings.seed);
            params.check()?.fit_observed(train, y[0], on)?.predict(test)
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
) -> Result<Array2<bool>> {
    let kept = |labels: &Array2<bool>| labels.select(Axis(1), varying);
    let (train, validation) = (kept(train), kept(validation));
    let found = classify(settings, x, [train.view(), validation.view()], on)?;
    let n_rows = x[2].nrows();
    let mut predicted =
        Array2::from_shape_fn((n_rows, constant.len()), |(_, label)| constant[label]);
    for (column, &label) in varying.iter().enumerate() {
        predicted.column_mut(label).assign(&found.column(column));
    }
    Ok(predicted)
}

fn regress(
    settings: &ProbeSettings,
    [train, validation, test]: [ArrayView2<'_, f32>; 3],
    y: [ArrayView2<'_, f32>; 2],
    on: &mut OnProgress<'_>,
) -> Result<Array2<f32>> {
    match settings.kind {
        ProbeKind::Linear => {
            let alphas: Alphas = ALPHAS.parse()?;
            let params = RidgeProbe::params(alphas).check()?;
            params
                .fit_best((train, y[0]), (validation, y[1]))?
                .predict(test)
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
            Ok(predicted)
        }
        ProbeKind::Paper { n_epochs } => {
            let params = AdamProbe::params(paper(n_epochs)).seed(settings.seed);
            params.check()?.fit_observed(train, y[0], on)?.predict(test)
        }
    }
}

type Scored = (Vec<ProbeScore>, Option<GroupSums>);

/// Classes: accuracy first. Any number of labels: macro F1 first, since accuracy asks for all of them at once.
fn label_scores<L: Labels>(
    rows: &Rows3,
    settings: &ProbeSettings,
    truth: L,
    predicted: &L::Predicted,
) -> Result<Scored> {
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
    Ok((scores, first.flatten()))
}

fn value_scores(
    rows: &Rows3,
    settings: &ProbeSettings,
    truth: ArrayView2<'_, f32>,
    predicted: ArrayView2<'_, f32>,
) -> Result<Scored> {
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
    Ok((scores, sums))
}

/// Rows of labels in random order, each split by itself.
fn shuffled<T: Clone>(splits: &[Array2<T>; 3], seed: u64) -> [Array2<T>; 3] {
    [0, 1, 2].map(|split| {
        let rows: Vec<usize> = (0..splits[split].nrows()).collect();
        let rows = ControlLabels::shuffled(&rows, seed.wrapping_add(split as u64));
        splits[split].select(Axis(0), &rows)
    })
}

/// Accuracy of a probe that learnt random labels: of texts where recordings have some, else of rows.
fn control(
    rows: &Rows3,
    settings: &ProbeSettings,
    x: [ArrayView2<'_, f32>; 3],
    (n_classes, splits): (usize, &[Vec<usize>; 3]),
    on: &mut OnProgress<'_>,
) -> Result<Option<f64>> {
    if !settings.control {
        return Ok(None);
    }
    let [train, validation, test] = match &rows.types {
        Some(types) => {
            let train = Classes::new(&splits[0], n_classes)?;
            let labels = ControlLabels::by_type(train, &types[0], settings.seed)?;
            types.each_ref().map(|types| labels.labels(types))
        }
        None => [0, 1, 2].map(|split| {
            ControlLabels::shuffled(&splits[split], settings.seed.wrapping_add(split as u64))
        }),
    };
    let y = [
        Classes::new(&train, n_classes)?,
        Classes::new(&validation, n_classes)?,
    ];
    let predicted = match classify(settings, x, y, on) {
        // Few types may leave a class without any, or be one alone.
        Err(ProbingError::EmptyClass { .. } | ProbingError::OneClass { .. }) => return Ok(None),
        other => other?,
    };
    Ok(Some(
        LabelCounts::of(Classes::new(&test, n_classes)?, &predicted)?.accuracy(),
    ))
}
