//! The design matrix and the feature spaces its columns belong to.

use std::ops::Range;

use ndarray::{Array2, ArrayView2};

use crate::{EncodingError, Result};

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
        let mut start = 0;
        for FeatureSpace { name, columns } in &spaces {
            if columns.start != start || columns.end < start || columns.end > x.ncols() {
                return Err(EncodingError::FeatureSpace {
                    name: name.clone(),
                    columns: columns.clone(),
                    start,
                    n_features: x.ncols(),
                });
            }
            start = columns.end;
        }
        if start != x.ncols() {
            return Err(EncodingError::Columns {
                what: "x",
                shape: [x.nrows(), x.ncols()],
                expected: start,
            });
        }
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

impl From<Array2<f32>> for DesignMatrix {
    /// One feature space, `features`.
    fn from(x: Array2<f32>) -> Self {
        let space = FeatureSpace {
            name: "features".to_owned(),
            columns: 0..x.ncols(),
        };
        Self {
            x,
            spaces: vec![space],
        }
    }
}
