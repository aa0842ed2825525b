//! One layer: a probe fitted, scored and controlled.
//!
//! `[n_rows, d_model]` of each split → scores of the test rows. Held by `tests/it/probe.rs`.

use std::hash::{DefaultHasher, Hash, Hasher};

use braintune_encoding::Alphas;
use linfa::ParamGuard;
use ndarray::{Array1, Array2, ArrayView2};

use crate::evidence::{ControlLabels, GroupSums, Groups};
use crate::gather::SplitLabels;
use crate::probe::{LayerProbe, ProbeKind, ProbeScore, ProbeSettings, valued};
use crate::store::RowStore;
use crate::task::{LabelSet, ProbeTask, Split};
use crate::{
    AdamProbe, Classes, Criterion, LabelCounts, Labels, Logistic, Mlp, PredictedLabels,
    ProbingError, Result, RidgeProbe, majority_baseline,
};

/// Epochs after which an MLP ends, if validation has not ended it.
const MLP_EPOCHS: usize = 500;
/// Alphas of ridge probes; penalties are their squares, features are centred and of the model's own scale.
const ALPHAS: &str = "logspace:-2:4:13";

/// Labels of all splits, as probes take them.
pub(crate) struct Rows3 {
    targets: Targets3,
    groups: Option<Groups>,
    n_test: usize,
    /// Whatever rows share a label under the control.
    types: Option<[Vec<u64>; 2]>,
}

enum Targets3 {
    OneOf {
        n_classes: usize,
        splits: [Vec<usize>; 3],
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
            LabelSet::Values(_) => Targets3::Values([0, 1, 2].map(|split| labels[split].values())),
        };
        let [train, _, test] = labels;
        let types = |labels: &SplitLabels| {
            labels
                .types
                .iter()
                .map(|text| text.as_deref().map(hash))
                .collect::<Option<Vec<u64>>>()
        };
        Ok(Self {
            targets,
            groups: Groups::new(&test.groups).ok(),
            n_test: test.n_rows(),
            types: types(train)
                .zip(types(test))
                .map(|(train, test)| [train, test]),
        })
    }

    /// Accuracy of the most frequent class.
    pub(crate) fn baseline(&self) -> Result<Option<f64>> {
        match &self.targets {
            Targets3::OneOf { n_classes, splits } => {
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

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
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
        (count[0] == 0 && count[1] + count[2] > 0)
            .then(|| format!("{name} ({} test rows)", count[2]))
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
    Ok(Targets3::OneOf { n_classes, splits })
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
) -> Result<LayerProbe> {
    let train = store.read(Split::Train, layer)?;
    let validation = store.read(Split::Validation, layer)?;
    let test = store.read(Split::Test, layer)?;
    let x = [train.view(), validation.view(), test.view()];
    let (scores, sums, control) = match &rows.targets {
        Targets3::OneOf { n_classes, splits } => {
            let y = |split: usize| Classes::new(&splits[split], *n_classes);
            let predicted = classify(settings, x, [y(0)?, y(1)?])?;
            let (scores, sums) = label_scores(rows, settings, y(2)?, &predicted)?;
            (
                scores,
                sums,
                control(rows, settings, x, *n_classes, splits)?,
            )
        }
        Targets3::AnyOf {
            splits,
            varying,
            constant,
        } => {
            let kept = |split: usize| splits[split].select(ndarray::Axis(1), varying);
            let (train, validation) = (kept(0), kept(1));
            let found = classify(settings, x, [train.view(), validation.view()])?;
            let mut predicted =
                Array2::from_shape_fn(splits[2].dim(), |(_, label)| constant[label]);
            for (column, &label) in varying.iter().enumerate() {
                predicted.column_mut(label).assign(&found.column(column));
            }
            let (scores, sums) = label_scores(rows, settings, splits[2].view(), &predicted)?;
            (scores, sums, None)
        }
        Targets3::Values(splits) => {
            let y = [splits[0].view(), splits[1].view()];
            let predicted = regress(settings, x, y)?;
            let (scores, sums) = value_scores(rows, settings, splits[2].view(), predicted.view())?;
            (scores, sums, None)
        }
    };
    Ok(LayerProbe {
        layer,
        scores,
        control,
        sums,
    })
}

fn classify<L: Labels>(
    settings: &ProbeSettings,
    [train, validation, test]: [ArrayView2<'_, f32>; 3],
    y: [L; 2],
) -> Result<L::Predicted>
where
    L::Predicted: PredictedLabels,
{
    match settings.kind {
        ProbeKind::Linear => {
            let params = Logistic::params(1.0).standardise(true).check()?;
            let best = params.fit_best(
                &settings.cs,
                (train, y[0]),
                (validation, y[1]),
                Criterion::Loss,
            )?;
            best.probe.predict(test)
        }
        ProbeKind::Mlp => {
            let params = Mlp::params(MLP_EPOCHS).seed(settings.seed).check()?;
            params.fit((train, y[0]), (validation, y[1]))?.predict(test)
        }
        ProbeKind::Paper { n_epochs } => {
            let params = AdamProbe::params(n_epochs).seed(settings.seed).check()?;
            params.fit(train, y[0])?.predict(test)
        }
    }
}

fn regress(
    settings: &ProbeSettings,
    [train, validation, test]: [ArrayView2<'_, f32>; 3],
    y: [ArrayView2<'_, f32>; 2],
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
            params.fit((train, y[0]), (validation, y[1]))?.predict(test)
        }
        ProbeKind::Paper { n_epochs } => {
            let params = AdamProbe::params(n_epochs).seed(settings.seed).check()?;
            params.fit(train, y[0])?.predict(test)
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

/// Accuracy of a probe that learnt random labels: of texts where recordings have some, else of rows.
fn control(
    rows: &Rows3,
    settings: &ProbeSettings,
    x: [ArrayView2<'_, f32>; 3],
    n_classes: usize,
    splits: &[Vec<usize>; 3],
) -> Result<Option<f64>> {
    if !settings.control {
        return Ok(None);
    }
    let [train, validation, test] = match &rows.types {
        Some([train, test]) => {
            let labels =
                ControlLabels::by_type(Classes::new(&splits[0], n_classes)?, train, settings.seed)?;
            // Validation rows choose a penalty; what they are called does not matter to that.
            let validation = ControlLabels::shuffled(&splits[1], settings.seed);
            [labels.labels(train), validation, labels.labels(test)]
        }
        None => [0, 1, 2].map(|split| {
            ControlLabels::shuffled(&splits[split], settings.seed.wrapping_add(split as u64))
        }),
    };
    let y = [
        Classes::new(&train, n_classes)?,
        Classes::new(&validation, n_classes)?,
    ];
    let predicted = match classify(settings, x, y) {
        // Few types may leave a class without any.
        Err(ProbingError::EmptyClass { .. }) => return Ok(None),
        other => other?,
    };
    Ok(Some(
        LabelCounts::of(Classes::new(&test, n_classes)?, &predicted)?.accuracy(),
    ))
}
