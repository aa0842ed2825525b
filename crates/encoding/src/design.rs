//! The design matrix and the feature spaces its columns belong to.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, Axis, s};

use crate::{Delays, EncodingError, Result, check};

/// A named run of columns of a design matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureSpace {
    /// Its name, for people.
    pub name: String,
    /// Its columns.
    pub columns: Range<usize>,
}

/// Features of all samples, `[n_samples, n_features]`, as the model sees them (standardised and
/// delayed), with the feature spaces its columns belong to.
///
/// ```
/// use braintune_encoding::DesignMatrix;
/// use ndarray::Array2;
///
/// let x = DesignMatrix::from(Array2::zeros((5, 3)));
/// assert_eq!(x.feature_spaces()[0].columns, 0..3);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DesignMatrix {
    x: Array2<f32>,
    spaces: Vec<FeatureSpace>,
}

impl DesignMatrix {
    /// A design whose feature spaces cover its columns one after the other.
    ///
    /// # Errors
    /// [`EncodingError::FeatureSpace`] for the first space that does not start where the one before
    /// it ends, or that goes beyond the columns; [`EncodingError::Columns`] if columns are left.
    pub fn new(x: Array2<f32>, spaces: Vec<FeatureSpace>) -> Result<Self> {
        check_spaces(&spaces, [x.nrows(), x.ncols()])?;
        Ok(Self { x, spaces })
    }

    /// The features, `[n_samples, n_features]`.
    #[must_use]
    pub fn view(&self) -> ArrayView2<'_, f32> {
        self.x.view()
    }

    /// The feature spaces, in order of their columns.
    #[must_use]
    pub fn feature_spaces(&self) -> &[FeatureSpace] {
        &self.spaces
    }

    /// The design of some of the feature spaces, in that order.
    ///
    /// # Errors
    /// [`EncodingError::SpaceOutOfRange`] if there is no such space.
    pub fn select(&self, spaces: &[usize]) -> Result<Self> {
        let mut columns = Vec::new();
        let mut selected = Vec::with_capacity(spaces.len());
        for &space in spaces {
            let n_spaces = self.spaces.len();
            let found = self.spaces.get(space);
            let FeatureSpace { name, columns: of } =
                found.ok_or(EncodingError::SpaceOutOfRange { space, n_spaces })?;
            selected.push(FeatureSpace {
                name: name.clone(),
                columns: columns.len()..columns.len() + of.len(),
            });
            columns.extend(of.clone());
        }
        Ok(Self {
            x: self.x.select(Axis(1), &columns),
            spaces: selected,
        })
    }

    /// Number of rows.
    #[must_use]
    pub fn n_samples(&self) -> usize {
        self.x.nrows()
    }

    /// Number of columns.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.x.ncols()
    }
}

fn one_space(n_features: usize) -> Vec<FeatureSpace> {
    vec![FeatureSpace {
        name: "features".to_owned(),
        columns: 0..n_features,
    }]
}

/// # Errors
/// Spaces that do not cover the columns one after the other.
fn check_spaces(spaces: &[FeatureSpace], shape: [usize; 2]) -> Result<()> {
    let n_features = shape[1];
    let mut start = 0;
    for FeatureSpace { name, columns } in spaces {
        if columns.start != start || columns.end < start || columns.end > n_features {
            return Err(EncodingError::FeatureSpace {
                name: name.clone(),
                columns: columns.clone(),
                start,
                n_features,
            });
        }
        start = columns.end;
    }
    if start != n_features {
        return Err(EncodingError::Columns {
            what: "x",
            shape,
            expected: start,
        });
    }
    Ok(())
}

impl From<Array2<f32>> for DesignMatrix {
    /// One feature space, `features`.
    fn from(x: Array2<f32>) -> Self {
        let spaces = one_space(x.ncols());
        Self { x, spaces }
    }
}

/// Features of stories before their FIR delays, with the delays: stands for the delayed matrix,
/// `[n_samples, n_features * n_delays]`, at the memory of `[n_samples, n_features]`.
///
/// Fitted by [`RidgeValidParams::prepare_fir`](crate::RidgeValidParams::prepare_fir). Nothing
/// crosses a story border.
///
/// ```
/// use braintune_encoding::FirDesign;
/// use ndarray::array;
///
/// let stories = [array![[1.0], [2.0]], array![[3.0], [4.0]]];
/// let x = FirDesign::new(&[stories[0].view(), stories[1].view()], "0,1".parse()?)?;
/// assert_eq!((x.n_samples(), x.n_features()), (4, 2));
/// assert_eq!(
///     x.to_design().view(),
///     array![[1.0, 0.0], [2.0, 1.0], [3.0, 0.0], [4.0, 3.0]]
/// );
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FirDesign {
    /// Stories one after the other.
    x: Array2<f32>,
    spaces: Vec<FeatureSpace>,
    story_lengths: Vec<usize>,
    delays: Delays,
}

impl FirDesign {
    /// Stories of `[n_samples, n_features]` each.
    ///
    /// # Errors
    /// [`EncodingError::Empty`] for no story or one without samples, [`EncodingError::Columns`] for
    /// stories of unequal width.
    pub fn new(stories: &[ArrayView2<'_, f32>], delays: Delays) -> Result<Self> {
        let n_features = stories.first().map_or(0, ArrayView2::ncols);
        for story in stories {
            if story.ncols() != n_features {
                return Err(EncodingError::Columns {
                    what: "a story",
                    shape: [story.nrows(), story.ncols()],
                    expected: n_features,
                });
            }
            check::not_empty("a story", *story)?;
        }
        let x = ndarray::concatenate(Axis(0), stories).map_err(|_| EncodingError::Empty {
            what: "stories",
            shape: [0, 0],
        })?;
        Ok(Self {
            spaces: one_space(x.ncols()),
            x,
            story_lengths: stories.iter().map(ArrayView2::nrows).collect(),
            delays,
        })
    }

    /// Rows of all stories.
    #[must_use]
    pub fn n_samples(&self) -> usize {
        self.x.nrows()
    }

    /// Columns of the delayed matrix: features times delays.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.x.ncols() * self.delays.as_slice().len()
    }

    /// The delays, in samples.
    #[must_use]
    pub fn delays(&self) -> &Delays {
        &self.delays
    }

    /// Rows of each story.
    #[must_use]
    pub fn story_lengths(&self) -> &[usize] {
        &self.story_lengths
    }

    /// With feature spaces that cover the columns before the delays one after the other, for a banded
    /// ridge; without, there is one.
    ///
    /// # Errors
    /// As [`DesignMatrix::new`].
    pub fn with_feature_spaces(mut self, spaces: Vec<FeatureSpace>) -> Result<Self> {
        check_spaces(&spaces, [self.x.nrows(), self.x.ncols()])?;
        self.spaces = spaces;
        Ok(self)
    }

    /// The feature spaces, in order of their columns before the delays.
    #[must_use]
    pub fn feature_spaces(&self) -> &[FeatureSpace] {
        &self.spaces
    }

    /// With columns before the delays scaled.
    pub(crate) fn scaled(&self, factors: &[f32]) -> Self {
        Self {
            x: scaled_columns(self.x.view(), factors),
            spaces: self.spaces.clone(),
            story_lengths: self.story_lengths.clone(),
            delays: self.delays.clone(),
        }
    }

    /// Features before the delays, `[n_samples, n_features]`, stories one after the other.
    #[must_use]
    pub fn undelayed(&self) -> ArrayView2<'_, f32> {
        self.x.view()
    }

    /// The delayed matrix itself, as one feature space: those of the columns before the delays do not
    /// hold in it. A banded ridge fits this design as it is
    /// ([`BandedRidgeValidParams::fit_fir_source`](crate::BandedRidgeValidParams::fit_fir_source)).
    #[must_use]
    pub fn to_design(&self) -> DesignMatrix {
        let mut delayed = Array2::zeros((self.n_samples(), self.n_features()));
        let mut start = 0;
        for &n in &self.story_lengths {
            let story = self.x.slice(s![start..start + n, ..]);
            self.delays.write(story, &mut delayed, start);
            start += n;
        }
        DesignMatrix::from(delayed)
    }
}

/// `x` with each column multiplied by its factor.
pub(crate) fn scaled_columns(x: ArrayView2<'_, f32>, factors: &[f32]) -> Array2<f32> {
    let mut scaled = x.to_owned();
    for (mut column, &factor) in scaled.axis_iter_mut(Axis(1)).zip(factors) {
        column *= factor;
    }
    scaled
}
