//! Labels that features can only know by memorising: the control of a probe.
//!
//! Hewitt & Liang 2019, section 2: each type (a word, a phone in its context) gets a random label, drawn by
//! the labels' shares of the training tokens
//! (`john-hewitt/control-tasks:control-tasks/task.py`, `CorruptedPartOfSpeechLabelTask`). Differs: where
//! there are as many types as classes or more, every class gets a type, so that none is empty. Without
//! types labels are shuffled over rows. Held by `tests/it/evidence.rs`.

use std::collections::{BTreeSet, HashMap};

use rand::{Rng, SeedableRng, seq::SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::{Classes, ProbingError, Result, check};

/// A random label for each type of item, the same in all splits.
///
/// ```
/// use braintune_probing::{Classes, ControlLabels};
///
/// let (labels, words) = ([0, 1, 1, 0], [10, 11, 12, 10]);
/// let control = ControlLabels::by_type(Classes::new(&labels, 2)?, &words, 7)?;
/// let of_training = control.labels(&words);
/// assert_eq!(of_training[0], of_training[3]);
/// assert_eq!(control.labels(&[10, 99])[0], of_training[0]);
/// # Ok::<(), braintune_probing::ProbingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ControlLabels {
    of_types: HashMap<u64, usize>,
    /// Rows of each class up to and with it, `[n_classes]`.
    cumulated: Vec<usize>,
    seed: u64,
}

impl ControlLabels {
    /// From the training rows: their classes and the type of each, `[n_samples]`, any number that names it.
    /// With types that are the classes, labels are permuted and nothing is controlled: use finer
    /// types, or [`ControlLabels::shuffled`].
    ///
    /// # Errors
    /// [`ProbingError::Rows`]; [`ProbingError::Empty`] for no rows.
    pub fn by_type(train: Classes<'_>, types: &[u64], seed: u64) -> Result<Self> {
        let n = train.labels().len();
        check::same_rows("the classes", n, "the types", types.len())?;
        if n == 0 {
            return Err(ProbingError::Empty {
                what: "the classes",
                shape: [0, 1],
            });
        }
        let sum = |sum: &mut usize, count| {
            *sum += count;
            Some(*sum)
        };
        let mut control = Self {
            of_types: HashMap::new(),
            cumulated: train.counts().into_iter().scan(0, sum).collect(),
            seed,
        };
        let mut types: Vec<u64> = types
            .iter()
            .copied()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        types.shuffle(&mut rng);
        let counts = train.counts();
        let mut classes: Vec<usize> = (0..train.n_classes())
            .filter(|&class| counts[class] > 0)
            .collect();
        classes.shuffle(&mut rng);
        for (i, &name) in types.iter().enumerate() {
            let label = classes
                .get(i)
                .copied()
                .unwrap_or_else(|| control.drawn(name));
            control.of_types.insert(name, label);
        }
        Ok(control)
    }

    /// Labels of rows of the given types, `[n_samples]`; types that no training row has get one too, by
    /// the seed and their number.
    #[must_use]
    pub fn labels(&self, types: &[u64]) -> Vec<usize> {
        let label = |name: &u64| {
            let known = self.of_types.get(name).copied();
            known.unwrap_or_else(|| self.drawn(*name))
        };
        types.iter().map(label).collect()
    }

    /// The labels in random order, for rows without types; of other splits with other seeds.
    #[must_use]
    pub fn shuffled(labels: &[usize], seed: u64) -> Vec<usize> {
        let mut labels = labels.to_vec();
        labels.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        labels
    }

    /// Of a type by itself, by the shares of the training rows.
    fn drawn(&self, name: u64) -> usize {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(name);
        let n = self.cumulated.last().copied().unwrap_or(1);
        let row = rng.random_range(0..n);
        self.cumulated.partition_point(|&upto| upto <= row)
    }
}
