//! BOLD responses of one subject to one story, and a scan for values that no model can use.
//!
//! `[n_trs, n_voxels]`, f32 as stored: NaNs are kept until [`Responses::nan_to_zero`]. Held by
//! `tests/it/responses.rs`.

use std::ops::Range;

use ndarray::{Array, Array1, Array2, ArrayView2, Axis, RemoveAxis, Slice};

use crate::{FmriError, Result, StoryTiming, Tr};

/// Responses to one story, `[n_trs, n_voxels]`, and the TRs they belong to.
///
/// ```
/// use braintune_fmri::{Responses, StoryTiming};
/// use ndarray::Array2;
///
/// let timing = StoryTiming::new(30, 2.0, -9.0, 10..25)?;
/// let responses = Responses::from_bold(Array2::zeros((15, 4)), &timing)?;
/// let kept = responses.rows(20..25)?; // rows of the grid
/// assert_eq!(kept.bold().dim(), (5, 4));
/// assert_eq!(kept.tr_times()[0], 31.0);
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Responses {
    bold: Array2<f32>,
    tr_times: Array1<f64>,
    first_tr: Tr,
}

impl Responses {
    /// Responses `[n_trs, n_voxels]` for the rows of the grid that `timing` says are stored.
    ///
    /// # Errors
    ///
    /// [`FmriError::RowsStored`] if there are more or fewer rows than that.
    pub fn from_bold(bold: Array2<f32>, timing: &StoryTiming) -> Result<Self> {
        let stored = timing.stored();
        if bold.nrows() != stored.len() {
            return Err(FmriError::RowsStored {
                expected: stored.len(),
                got: bold.nrows(),
            });
        }
        Ok(Self {
            tr_times: rows_of(&timing.tr_times(), stored.clone()),
            first_tr: Tr::from_index(stored.start),
            bold,
        })
    }

    /// The values, `[n_trs, n_voxels]`.
    #[must_use]
    pub fn bold(&self) -> ArrayView2<'_, f32> {
        self.bold.view()
    }

    /// The values, `[n_trs, n_voxels]`, without a copy.
    #[must_use]
    pub fn into_bold(self) -> Array2<f32> {
        self.bold
    }

    /// Midpoints of the TRs, `[n_trs]`, in seconds from sound onset.
    #[must_use]
    pub fn tr_times(&self) -> Array1<f64> {
        self.tr_times.clone()
    }

    /// The TR of the first row.
    #[must_use]
    pub fn first_tr(&self) -> Tr {
        self.first_tr
    }

    /// The rows `grid_rows`, counted on the story's untrimmed grid.
    ///
    /// # Errors
    ///
    /// [`FmriError::RowsOutside`] if a row asked for is not held.
    pub fn rows(&self, grid_rows: Range<usize>) -> Result<Self> {
        let first = self.first_tr.as_index();
        let held = first..first + self.bold.nrows();
        if grid_rows.is_empty() || grid_rows.start < held.start || grid_rows.end > held.end {
            return Err(FmriError::RowsOutside {
                asked: grid_rows,
                held,
            });
        }
        let rows = grid_rows.start - first..grid_rows.end - first;
        Ok(Self {
            bold: rows_of(&self.bold, rows.clone()),
            tr_times: rows_of(&self.tr_times, rows),
            first_tr: Tr::from_index(grid_rows.start),
        })
    }

    /// The same responses with zero in place of every NaN; infinities stay.
    #[must_use]
    pub fn nan_to_zero(mut self) -> Self {
        self.bold
            .mapv_inplace(|value| if value.is_nan() { 0.0 } else { value });
        self
    }

    /// What no model can use: NaN, infinite and constant voxels.
    #[must_use]
    pub fn bad_values(&self) -> BadValues {
        let mut scan = BadValueScan::new(self.bold.ncols());
        scan.add_rows(self.bold.view());
        scan.finish()
    }
}

fn rows_of<A: Clone, D: RemoveAxis>(array: &Array<A, D>, rows: Range<usize>) -> Array<A, D> {
    array.slice_axis(Axis(0), Slice::from(rows)).to_owned()
}

/// Values and voxels that a model cannot use, as [`Responses::bad_values`] finds them.
///
/// Voxels are columns of the array that was scanned, in rising order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BadValues {
    /// Number of NaN values.
    pub n_nan: usize,
    /// Number of infinite values.
    pub n_infinite: usize,
    /// Voxels with at least one NaN.
    pub nan_voxels: Vec<usize>,
    /// Voxels with at least one infinite value.
    pub infinite_voxels: Vec<usize>,
    /// Voxels whose values are all finite and all the same.
    pub constant_voxels: Vec<usize>,
    /// Voxels with a finite value beyond [`PLAUSIBLE`](Self::PLAUSIBLE): fits take them, but no recording has them.
    pub implausible_voxels: Vec<usize>,
    /// Row and column of the first value that is NaN or infinite.
    pub first: Option<(usize, usize)>,
}

impl BadValues {
    /// What no response exceeds: raw signals of scanners go to some 10⁶, scaled ones to some 10.
    pub const PLAUSIBLE: f32 = 1e8;

    /// Whether nothing was found that a model cannot use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none() && self.constant_voxels.is_empty()
    }

    /// Adds what was found in the columns that follow the first `n_before`.
    pub(crate) fn append_columns(&mut self, n_before: usize, next: Self) {
        let shift = |voxels: Vec<usize>| voxels.into_iter().map(move |voxel| n_before + voxel);
        self.n_nan += next.n_nan;
        self.n_infinite += next.n_infinite;
        self.nan_voxels.extend(shift(next.nan_voxels));
        self.infinite_voxels.extend(shift(next.infinite_voxels));
        self.constant_voxels.extend(shift(next.constant_voxels));
        self.implausible_voxels
            .extend(shift(next.implausible_voxels));
        let first = next.first.map(|(row, voxel)| (row, n_before + voxel));
        self.first = self.first.into_iter().chain(first).min();
    }
}

/// Collects [`BadValues`] over blocks of rows, so that a file need not be in memory at once.
pub(crate) struct BadValueScan {
    n_rows: usize,
    found: BadValues,
    voxels: Vec<VoxelState>,
}

#[derive(Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a finding of its own"
)]
struct VoxelState {
    first_value: f32,
    varies: bool,
    nan: bool,
    infinite: bool,
    implausible: bool,
}

impl BadValueScan {
    pub(crate) fn new(n_voxels: usize) -> Self {
        Self {
            n_rows: 0,
            found: BadValues::default(),
            voxels: vec![VoxelState::default(); n_voxels],
        }
    }

    /// The next rows, `[n_rows, n_voxels]`.
    pub(crate) fn add_rows(&mut self, rows: ArrayView2<'_, f32>) {
        for row in rows.rows() {
            for (column, (state, &value)) in self.voxels.iter_mut().zip(row).enumerate() {
                if self.n_rows == 0 {
                    state.first_value = value;
                }
                if value.is_finite() {
                    #[expect(clippy::float_cmp, reason = "constant means bit for bit")]
                    let differs = value != state.first_value;
                    state.varies |= differs;
                    state.implausible |= value.abs() > BadValues::PLAUSIBLE;
                } else {
                    self.found.first.get_or_insert((self.n_rows, column));
                    state.nan |= value.is_nan();
                    state.infinite |= value.is_infinite();
                    self.found.n_nan += usize::from(value.is_nan());
                    self.found.n_infinite += usize::from(value.is_infinite());
                }
            }
            self.n_rows += 1;
        }
    }

    pub(crate) fn finish(self) -> BadValues {
        let columns = |keep: fn(&VoxelState) -> bool| {
            let states = self.voxels.iter().enumerate();
            states
                .filter(|(_, state)| keep(state))
                .map(|(column, _)| column)
                .collect()
        };
        BadValues {
            nan_voxels: columns(|state| state.nan),
            infinite_voxels: columns(|state| state.infinite),
            implausible_voxels: columns(|state| state.implausible),
            constant_voxels: if self.n_rows == 0 {
                Vec::new()
            } else {
                columns(|state| !(state.varies || state.nan || state.infinite))
            },
            ..self.found
        }
    }
}
