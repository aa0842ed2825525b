//! Variance partitioning: what sets of feature spaces explain alone and in common.
//!
//! From R² of models of every union of the sets, `2^n - 1` of them: the part of exactly the sets `S` is
//! `Σ_{T ⊆ S} (-1)^(|T|+1) R²(T ∪ rest)`, `rest` the sets that are not in `S` (commonality analysis: Newton
//! & Spurrell 1967; Lescroart et al. 2015 and de Heer et al. 2017 for encoding models). Parts of two or more sets are
//! what these share and no other has; they can be below 0 (suppression, or noise of the scores). Held by
//! `tests/it/banded.rs`.

use ndarray::{Array1, ArrayView2};

use crate::{DesignMatrix, EncodingError, EncodingModel, FittedEncodingModel, Result, r2_score};

/// More sets would need hundreds of models.
const MAX_SETS: usize = 8;

/// A named set of feature spaces that is taken as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSet {
    /// Its name, for people.
    pub name: String,
    /// Numbers of its feature spaces in the design.
    pub spaces: Vec<usize>,
}

/// Parts of variance by sets of feature spaces, `[n_voxels]` each.
#[derive(Debug, Clone, PartialEq)]
pub struct VariancePartition {
    names: Vec<String>,
    /// By the bits of the sets they belong to; number 0 is empty.
    parts: Vec<Array1<f64>>,
    /// R² of the union, likewise.
    unions: Vec<Array1<f64>>,
}

impl VariancePartition {
    /// Names of the sets.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What the set explains that no other does, `[n_voxels]`; none if there is no such set.
    #[must_use]
    pub fn unique(&self, set: usize) -> Option<&Array1<f64>> {
        self.shared(&[set])
    }

    /// What exactly these sets have in common, `[n_voxels]`; of one set: its unique part. None if
    /// there is no such set.
    #[must_use]
    pub fn shared(&self, sets: &[usize]) -> Option<&Array1<f64>> {
        self.parts.get(self.bits(sets)?)
    }

    /// R² of the model of these sets together, `[n_voxels]`; their parts and those that they share with
    /// each other and with the rest add up to it. None if there is no such set.
    #[must_use]
    pub fn r2(&self, sets: &[usize]) -> Option<&Array1<f64>> {
        self.unions.get(self.bits(sets)?)
    }

    /// Every part with the numbers of its sets, single ones first.
    pub fn iter(&self) -> impl Iterator<Item = (Vec<usize>, &Array1<f64>)> {
        let mut order: Vec<usize> = (1..self.parts.len()).collect();
        order.sort_by_key(|bits| bits.count_ones());
        order
            .into_iter()
            .map(|bits| (members(bits).collect(), &self.parts[bits]))
    }

    fn bits(&self, sets: &[usize]) -> Option<usize> {
        sets.iter().try_fold(0, |bits, &set| {
            (set < self.names.len()).then(|| bits | 1 << set)
        })
    }
}

fn members(bits: usize) -> impl Iterator<Item = usize> {
    (0..usize::BITS as usize).filter(move |set| bits >> set & 1 == 1)
}

/// Partitions the variance that `r2_of` says models of some feature spaces explain: it gets the numbers of the
/// spaces, ascending, and returns R² of each voxel, best on test data.
///
/// ```
/// use braintune_encoding::{EncodingError, FeatureSet, variance_partition};
/// use ndarray::array;
///
/// let set = |name: &str, space| FeatureSet { name: name.to_owned(), spaces: vec![space] };
/// // Alone they explain 0.3 and 0.4, together 0.5: 0.2 is common to both.
/// let parts = variance_partition(&[set("sound", 0), set("meaning", 1)], |spaces| {
///     Ok::<_, EncodingError>(match spaces {
///         [0] => array![0.3],
///         [1] => array![0.4],
///         _ => array![0.5],
///     })
/// })?;
/// assert!(parts.unique(0).is_some_and(|sound| (sound[0] - 0.1).abs() < 1e-12));
/// assert!(parts.shared(&[0, 1]).is_some_and(|common| (common[0] - 0.2).abs() < 1e-12));
/// # Ok::<(), EncodingError>(())
/// ```
///
/// # Errors
/// [`EncodingError::FeatureSets`] for no sets or more than 8, an empty one, a space in two sets;
/// [`EncodingError::Voxels`] for scores of unequal length; what `r2_of` returns.
pub fn variance_partition<E: From<EncodingError>>(
    sets: &[FeatureSet],
    mut r2_of: impl FnMut(&[usize]) -> Result<Array1<f64>, E>,
) -> Result<VariancePartition, E> {
    check_sets(sets)?;
    let all = (1_usize << sets.len()) - 1;
    let mut unions = vec![Array1::zeros(0); all + 1];
    for bits in 1..=all {
        let mut spaces: Vec<usize> = members(bits).flat_map(|i| sets[i].spaces.clone()).collect();
        spaces.sort_unstable();
        let r2 = r2_of(&spaces)?;
        let expected = if bits == 1 { r2.len() } else { unions[1].len() };
        crate::ceiling::check_voxels("a score", r2.len(), expected)?;
        unions[bits] = r2;
    }
    unions[0] = Array1::zeros(unions[1].len());
    let part = |bits: usize| {
        let rest = all & !bits;
        let mut part = Array1::zeros(unions[0].len());
        if bits == 0 {
            return part;
        }
        for subset in (0..=all).filter(|subset| subset & !bits == 0) {
            let sign = if subset.count_ones() % 2 == 1 {
                1.0
            } else {
                -1.0
            };
            part.scaled_add(sign, &unions[subset | rest]);
        }
        part
    };
    Ok(VariancePartition {
        names: sets.iter().map(|set| set.name.clone()).collect(),
        parts: (0..=all).map(part).collect(),
        unions,
    })
}

/// Fits `model` to every union of `sets` and partitions R² on test data: `train` are design and responses
/// `[n_samples, n_voxels]`, `test` features `[n_test, n_features]` and responses `[n_test, n_voxels]`.
///
/// # Errors
/// As [`variance_partition`], and as the fits.
pub fn partition_variance<M: EncodingModel>(
    model: &M,
    sets: &[FeatureSet],
    train: (&DesignMatrix, ArrayView2<'_, f32>),
    test: (ArrayView2<'_, f32>, ArrayView2<'_, f32>),
) -> Result<VariancePartition> {
    let (x, y) = train;
    let (x_test, y_test) = test;
    let n_spaces = x.feature_spaces().len();
    let unknown = sets.iter().flat_map(|set| &set.spaces);
    if let Some(&space) = unknown.into_iter().find(|&&space| space >= n_spaces) {
        let problem = format!("there is no space {space}, the design has {n_spaces}");
        return Err(EncodingError::FeatureSets { problem });
    }
    let x_test = DesignMatrix::new(x_test.to_owned(), x.feature_spaces().to_vec())?;
    variance_partition(sets, |spaces| {
        let fitted = model.fit(&x.select(spaces)?, y)?;
        let predicted = fitted.predict(x_test.select(spaces)?.view())?;
        Ok(r2_score(y_test, predicted.view())?.mapv(f64::from))
    })
}

fn check_sets(sets: &[FeatureSet]) -> Result<()> {
    let problem = |problem| Err(EncodingError::FeatureSets { problem });
    if sets.is_empty() || sets.len() > MAX_SETS {
        return problem(format!("{} sets, expected 1 to {MAX_SETS}", sets.len()));
    }
    let mut seen = std::collections::HashMap::new();
    for set in sets {
        if set.spaces.is_empty() {
            return problem(format!("set '{}' has no feature spaces", set.name));
        }
        for &space in &set.spaces {
            if let Some(before) = seen.insert(space, &set.name) {
                let name = &set.name;
                return problem(format!(
                    "space {space} is in set '{before}' and in '{name}'"
                ));
            }
        }
    }
    Ok(())
}
