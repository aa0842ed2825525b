//! Labels of all splits as probes take them: classes that occur, labels and numbers that vary.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, Axis};

use crate::evidence::Groups;
use crate::gather::SplitLabels;
use crate::task::{LabelSet, ProbeTask};
use crate::{Classes, LabelCounts, ProbingError, Result, majority_baseline};

/// Labels of all splits, as probes take them.
pub(crate) struct Rows3 {
    pub(super) targets: Targets3,
    pub(super) groups: Option<Groups>,
    pub(super) n_test: usize,
    /// Number of the text of each row: rows of the same share a label under the control.
    pub(super) types: Option<[Vec<u64>; 3]>,
}

pub(super) enum Targets3 {
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
