//! A design decomposed once, to fit any number of voxels with.

use std::{
    fmt,
    ops::{ControlFlow, Range},
    sync::Arc,
};

use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use tracing::{debug, instrument};

use super::{
    RidgeValidParams,
    edges::GridEdges,
    features::Source,
    fitted::{FittedRidge, Inner},
    prepared::{Prepared, ROWS, Unfit},
    real::{Precision, Real},
    settings::Work,
    sharing::SharedScores,
    tile::{self, TILE, Task, Tile, Workspace},
};
use crate::{EncodingError, FitProgress, OnProgress, ResponseSource, Result, check};

/// A design decomposed for every fold and for all rows; fits tiles of voxels.
///
/// Made by [`RidgeValidParams::prepare`]. Voxels are worked on in tiles of
/// [`RidgeSolver::TILE`], spread over rayon's threads; results have the same bits for any number of
/// threads, and for any split of the voxels at multiples of that width.
pub struct RidgeSolver {
    params: RidgeValidParams,
    n_samples: usize,
    n_features: usize,
    kernel: Kernel,
}

enum Kernel {
    Single(Prepared<f32>),
    Double(Prepared<f64>),
}

macro_rules! either {
    ($kernel:expr, $prepared:ident => $body:expr) => {
        match $kernel {
            Kernel::Single($prepared) => $body,
            Kernel::Double($prepared) => $body,
        }
    };
}

impl RidgeSolver {
    /// Voxels of one tile.
    pub const TILE: usize = TILE;

    pub(crate) fn new(
        params: &RidgeValidParams,
        source: Source<'_>,
        work: Work,
        on: &mut OnProgress<'_>,
    ) -> Result<Self> {
        check::not_empty("x", source.values())?;
        let (n_samples, n_features) = (source.n_samples(), source.n_features());
        if let Some(folds) = params.folds.as_ref().map(crate::Folds::n_rows)
            && folds != n_samples
        {
            return Err(EncodingError::FoldRows {
                folds,
                x: n_samples,
            });
        }
        check::finite("x", source.values())?;
        let penalties = params.penalties();
        let settings = params.settings(&penalties, work);
        let single = match params.precision {
            Some(Precision::Double) => Err(Unfit::Imprecise),
            _ => Prepared::new(source, &settings, on),
        };
        let kernel = match single {
            Ok(prepared) => Ok(Kernel::Single(prepared)),
            Err(Unfit::Imprecise) if params.precision != Some(Precision::Single) => {
                Prepared::new(source, &settings, on).map(Kernel::Double)
            }
            Err(error) => Err(error),
        };
        let solver = Self {
            params: params.clone(),
            n_samples,
            n_features,
            kernel: kernel.map_err(|unfit| match unfit {
                Unfit::Imprecise => EncodingError::Decomposition,
                Unfit::Error(error) => error,
            })?,
        };
        debug!(precision = ?solver.precision(), primal = solver.is_primal(), "decomposed");
        Ok(solver)
    }

    /// The precision it works in: double where the rounding of single precision would not be small
    /// against the smallest penalty, `2^-23 λ_max > 0.01 alpha_min²`, `λ_max` the largest eigenvalue
    /// of `X'X`; single otherwise.
    #[must_use]
    pub fn precision(&self) -> Precision {
        match self.kernel {
            Kernel::Single(_) => Precision::Single,
            Kernel::Double(_) => Precision::Double,
        }
    }

    /// Columns of the design, delays included.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.n_features
    }

    /// Whether it works on `X'X` and not on `XX'`.
    #[must_use]
    pub fn is_primal(&self) -> bool {
        either!(&self.kernel, prepared => prepared.whole.primal)
    }

    /// Fits responses `y`, `[n_samples, n_voxels]`, all at once. It needs some multiple of the
    /// memory of `y`; bound it by [`RidgeSolver::voxels_per_part`].
    ///
    /// # Errors
    /// [`EncodingError::Rows`], [`EncodingError::Empty`], [`EncodingError::NonFinite`] or
    /// [`EncodingError::Overflow`].
    #[instrument(skip_all, fields(n_samples = y.nrows(), n_features = self.n_features, n_voxels = y.ncols()))]
    pub fn fit_voxels(&self, y: ArrayView2<'_, f32>) -> Result<FittedRidge> {
        self.fit_observed(y, &mut |_| ControlFlow::Continue(()))
    }

    pub(crate) fn fit_observed(
        &self,
        y: ArrayView2<'_, f32>,
        on: &mut OnProgress<'_>,
    ) -> Result<FittedRidge> {
        self.check_responses(y)?;
        let total = y.ncols();
        let mut shared = SharedScores::new(&self.params.sharing, self.n_alphas(), total)?;
        let mut fitted = self.fit_part(y, 0, true, &mut |done| {
            on(FitProgress::Fitted { done, total })
        })?;
        if let Some(shared) = &mut shared {
            shared.add(fitted.cv_scores(), 0);
            fitted.choose(shared.best(0, total));
        }
        fitted.measure(y);
        Ok(fitted)
    }

    /// Fits all voxels of a source, as many at a time as `memory_budget` bytes allow
    /// ([`RidgeSolver::voxels_per_part`]), hands each part to `each` and warns if many voxels sit
    /// at an end of the grid. Where voxels share an alpha, the source is read twice.
    ///
    /// # Errors
    /// As [`RidgeSolver::fit_voxels`]; [`EncodingError::Read`] for a source that fails;
    /// [`EncodingError::AlphaGroups`] and [`EncodingError::AlphaGroup`] for groups of other voxels;
    /// [`EncodingError::Cancelled`] if `on` or `each` breaks.
    ///
    /// ```
    /// use std::ops::{ControlFlow, Range};
    ///
    /// use braintune_encoding::{DesignMatrix, Folds, ResponseSource, Ridge};
    /// use linfa::ParamGuard;
    /// use ndarray::Array2;
    ///
    /// /// Reads voxels from a file, or makes them.
    /// struct Recording;
    ///
    /// impl ResponseSource for Recording {
    ///     fn n_samples(&self) -> usize {
    ///         60
    ///     }
    ///
    ///     fn n_voxels(&self) -> usize {
    ///         600
    ///     }
    ///
    ///     fn read(
    ///         &self,
    ///         voxels: Range<usize>,
    ///     ) -> Result<Array2<f32>, Box<dyn std::error::Error + Send + Sync>> {
    ///         Ok(Array2::from_shape_fn((60, voxels.len()), |(row, k)| {
    ///             ((row * (voxels.start + k + 1)) as f32).sin()
    ///         }))
    ///     }
    /// }
    ///
    /// let x = Array2::from_shape_fn((60, 3), |(i, j)| ((i * (j + 2)) as f32).cos());
    /// let solver = Ridge::params("1,10,100".parse()?)
    ///     .folds(Folds::contiguous_blocks(60, 4)?)
    ///     .check()?
    ///     .prepare(&DesignMatrix::from(x))?;
    ///
    /// // Hardly any memory: a part is as small as can be.
    /// let (mut parts, mut alphas) = (Vec::new(), Vec::new());
    /// solver.fit_source(&Recording, 0, &mut |_| ControlFlow::Continue(()), |voxels, fitted| {
    ///     parts.push(voxels);
    ///     alphas.extend_from_slice(fitted.best_alphas());
    ///     ControlFlow::Continue(())
    /// })?;
    /// assert_eq!(parts, [0..256, 256..512, 512..600]);
    /// assert_eq!(alphas.len(), 600);
    /// # Ok::<(), braintune_encoding::EncodingError>(())
    /// ```
    #[instrument(skip_all, fields(n_samples = source.n_samples(), n_features = self.n_features, n_voxels = source.n_voxels()))]
    pub fn fit_source(
        &self,
        source: &dyn ResponseSource,
        memory_budget: usize,
        on: &mut OnProgress<'_>,
        mut each: impl FnMut(Range<usize>, FittedRidge) -> ControlFlow<()>,
    ) -> Result<GridEdges> {
        let n_voxels = source.n_voxels();
        let parts = self.parts(n_voxels, memory_budget);
        let mut shared = SharedScores::new(&self.params.sharing, self.n_alphas(), n_voxels)?;
        let total = if shared.is_some() { 2 } else { 1 } * n_voxels;
        let mut fit = |voxels: &Range<usize>, validates, before| {
            let y = self.read(source, voxels.clone())?;
            let fitted = self.fit_part(y.view(), voxels.start, validates, &mut |done| {
                let done = before + voxels.start + done;
                on(FitProgress::Fitted { done, total })
            })?;
            Ok::<_, EncodingError>((y, fitted))
        };
        let mut scores = Vec::new();
        if let Some(shared) = &mut shared {
            for voxels in &parts {
                let (_, fitted) = fit(voxels, true, 0)?;
                shared.add(fitted.cv_scores(), voxels.start);
                scores.push(fitted.cv_scores().to_owned());
            }
        }
        let mut scores = scores.into_iter();
        let mut edges = GridEdges::default();
        for voxels in parts {
            let before = total - n_voxels;
            let (y, mut fitted) = fit(&voxels, shared.is_none(), before)?;
            if let (Some(shared), Some(scores)) = (&shared, scores.next()) {
                fitted.choose(shared.best(voxels.start, voxels.len()));
                fitted.set_scores(scores);
            }
            fitted.measure(y.view());
            edges.merge(fitted.grid_edges());
            if each(voxels, fitted) == ControlFlow::Break(()) {
                return Err(EncodingError::Cancelled);
            }
        }
        edges.warn_if_many();
        Ok(edges)
    }

    /// Fits with alphas that are known, places in the grid, one per voxel.
    pub(crate) fn fit_with(&self, y: ArrayView2<'_, f32>, best: Vec<usize>) -> Result<FittedRidge> {
        self.check_responses(y)?;
        let mut fitted = self.fit_part(y, 0, false, &mut |_| ControlFlow::Continue(()))?;
        fitted.choose(best);
        Ok(fitted)
    }

    fn n_alphas(&self) -> usize {
        self.params.alphas.as_slice().len()
    }

    /// Runs of voxels that fit the budget; one, empty, for a source without voxels.
    pub(crate) fn parts(&self, n_voxels: usize, memory_budget: usize) -> Vec<Range<usize>> {
        let step = self.voxels_per_part(memory_budget);
        let starts = (0..n_voxels.max(1)).step_by(step);
        starts
            .map(|start| start..n_voxels.min(start.saturating_add(step)))
            .collect()
    }

    /// Responses of some voxels, checked.
    pub(crate) fn read(
        &self,
        source: &dyn ResponseSource,
        voxels: Range<usize>,
    ) -> Result<Array2<f32>> {
        let y = source
            .read(voxels.clone())
            .map_err(|source| EncodingError::Read {
                voxels: voxels.clone(),
                source,
            })?;
        self.check_responses(y.view())?;
        check::columns("y", y.view(), voxels.len())?;
        Ok(y)
    }

    /// Voxels that can be fitted at once with about `memory_budget` bytes beside the decompositions:
    /// a multiple of [`RidgeSolver::TILE`], and never less than that.
    #[must_use]
    pub fn voxels_per_part(&self, memory_budget: usize) -> usize {
        let size = match self.precision() {
            Precision::Single => size_of::<f32>(),
            Precision::Double => size_of::<f64>(),
        };
        let n_alphas = self.params.alphas.as_slice().len();
        let n_folds = self.params.folds.as_ref().map_or(0, crate::Folds::n_folds);
        let basis = if self.is_primal() {
            self.n_features
        } else {
            self.n_samples
        };
        // Kept per voxel: responses, moment, weights in the basis, scores, weights or predictions.
        let kept = 4 * self.n_samples
            + 2 * size * basis
            + 8 * n_alphas
            + 4 * self.n_features.max(self.n_samples);
        // Per voxel of a tile in work: responses twice, moments, scaled weights, predictions.
        let rows = self.n_samples.min(ROWS);
        let work = size * (2 * self.n_samples + basis * (n_folds + n_alphas) + 2 * rows * n_alphas);
        let budget = memory_budget.saturating_sub(work * TILE * rayon::current_num_threads());
        (budget / kept / TILE).max(1) * TILE
    }

    pub(crate) fn check_responses(&self, y: ArrayView2<'_, f32>) -> Result<()> {
        check::not_empty("y", y)?;
        let x_shape = [self.n_samples, self.n_features];
        check::rows(["x", "y"], [x_shape, [y.nrows(), y.ncols()]])?;
        check::finite("y", y)
    }

    /// `first` is the number of the first voxel of `y`; `on` hears how many of `y` are done. Unless it
    /// `validates`, scores and alphas are still to be given.
    fn fit_part(
        &self,
        y: ArrayView2<'_, f32>,
        first: usize,
        validates: bool,
        on: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<FittedRidge> {
        let task = Task {
            score: self.params.score,
            n_alphas: self.n_alphas(),
            validates,
        };
        let alphas = &self.params.alphas;
        match &self.kernel {
            Kernel::Single(prepared) => {
                let tiles = fit_tiles(prepared, y, first, task, on)?;
                Ok(FittedRidge::new(
                    alphas,
                    &prepared.whole,
                    tiles,
                    Inner::Single,
                ))
            }
            Kernel::Double(prepared) => {
                let tiles = fit_tiles(prepared, y, first, task, on)?;
                Ok(FittedRidge::new(
                    alphas,
                    &prepared.whole,
                    tiles,
                    Inner::Double,
                ))
            }
        }
    }
}

impl fmt::Debug for RidgeSolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RidgeSolver")
            .field("n_samples", &self.n_samples)
            .field("n_features", &self.n_features)
            .field("precision", &self.precision())
            .field("is_primal", &self.is_primal())
            .finish_non_exhaustive()
    }
}

fn fit_tiles<T: Real>(
    prepared: &Prepared<T>,
    y: ArrayView2<'_, f32>,
    first: usize,
    task: Task,
    on: &mut dyn FnMut(usize) -> ControlFlow<()>,
) -> Result<Vec<Tile<T>>> {
    /// Tiles of each thread between two reports of progress.
    const PER_THREAD: usize = 4;
    let starts: Vec<usize> = (0..y.ncols()).step_by(TILE).collect();
    let mut tiles = Vec::with_capacity(starts.len());
    for batch in starts.chunks(PER_THREAD * rayon::current_num_threads()) {
        let fitted: Result<Vec<Tile<T>>> = batch
            .par_iter()
            .map_init(Workspace::default, |work, &start| {
                let end = y.ncols().min(start + TILE);
                let y = y.slice_axis(Axis(1), (start..end).into());
                tile::fit(prepared, y, first + start, task, work)
            })
            .collect();
        tiles.extend(fitted?);
        let done = batch.last().map_or(0, |start| y.ncols().min(start + TILE));
        if on(done) == ControlFlow::Break(()) {
            return Err(EncodingError::Cancelled);
        }
    }
    Ok(tiles)
}

const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<Arc<RidgeSolver>>();
    shared::<FittedRidge>();
};
