//! Fits of neighbouring pieces of a layer, each kept as soon as it is done.

use std::error::Error;
use std::ops::Range;

use braintune_encoding::{
    FitProgress, FittedRidge, OnProgress, RegionStatistics, ResponseSource, RidgeSolver, pearson_r,
};
use ndarray::{Array2, ArrayView2, s};

use super::layers::{Fits, State};
use super::responses::StackedResponses;
use super::state;
use super::statistics::Statistics;
use super::units::{Unit, UnitResult};
use crate::error::Result;
use crate::fit::{fit_voxels, read};

/// What pieces of a layer are fitted with.
pub(super) struct UnitFit<'a> {
    pub(super) fits: &'a Fits<'a>,
    pub(super) solver: &'a RidgeSolver,
    /// `[n_test_trs, d_model · n_delays]`.
    pub(super) x_test: ArrayView2<'a, f32>,
    pub(super) statistics: Statistics,
    pub(super) block_len: usize,
    pub(super) state: State<'a>,
}

/// A run of columns of responses, counted from its first.
struct Columns<'a> {
    all: &'a StackedResponses<'a>,
    voxels: Range<usize>,
}

impl ResponseSource for Columns<'_> {
    fn n_samples(&self) -> usize {
        self.all.n_samples()
    }

    fn n_voxels(&self) -> usize {
        self.voxels.len()
    }

    fn read(&self, voxels: Range<usize>) -> Result<Array2<f32>, Box<dyn Error + Send + Sync>> {
        let start = self.voxels.start;
        self.all.read(start + voxels.start..start + voxels.end)
    }
}

/// A piece that is being filled.
struct Open<'u> {
    unit: &'u Unit,
    statistics: RegionStatistics,
    result: UnitResult,
}

/// Pieces of a run: the one that is being filled, and those after it.
struct Filling<'u> {
    open: Option<Open<'u>>,
    left: std::slice::Iter<'u, &'u Unit>,
}

impl UnitFit<'_> {
    /// Fits `units`, of which each begins where the one before ends. `done` voxels of `total` were fitted before.
    pub(super) fn run(
        &self,
        units: &[&Unit],
        (done, total): (usize, usize),
        on: &mut OnProgress<'_>,
    ) -> Result<()> {
        let (Some(first), Some(last)) = (units.first(), units.last()) else {
            return Ok(());
        };
        let start = first.voxels.start;
        let source = Columns {
            all: &self.fits.train,
            voxels: start..last.voxels.end,
        };
        let mut filling = Filling {
            open: None,
            left: units.iter(),
        };
        let each = |voxels: Range<usize>, fitted: &FittedRidge| {
            let voxels = start + voxels.start..start + voxels.end;
            self.fill(&mut filling, voxels, fitted)
        };
        let mut progress = |progress| match progress {
            FitProgress::Fitted { done: more, .. } => on(FitProgress::Fitted {
                done: done + more,
                total,
            }),
            progress => on(progress),
        };
        let budget = self.fits.config.memory_budget;
        fit_voxels(self.solver, &source, budget, &mut progress, each)?;
        Ok(())
    }

    /// Takes a part of the fit, which can end within a piece and hold several; pieces that are full are kept.
    fn fill(
        &self,
        filling: &mut Filling<'_>,
        voxels: Range<usize>,
        fitted: &FittedRidge,
    ) -> Result<()> {
        let y = read(&self.fits.test, voxels.clone())?;
        let predicted = fitted.predict(self.x_test)?;
        let mut next = voxels.start;
        while next < voxels.end {
            let mut piece = match filling.open.take() {
                Some(piece) => piece,
                None => match filling.left.next() {
                    Some(unit) => self.open(unit)?,
                    None => break,
                },
            };
            let end = voxels.end.min(piece.unit.voxels.end);
            let part = next - voxels.start..end - voxels.start;
            let columns = s![.., part.start..part.end];
            let values = (y.slice(columns), predicted.slice(columns));
            self.add(&mut piece, next..end, values, &fitted.best_alphas()[part])?;
            next = end;
            if end < piece.unit.voxels.end {
                filling.open = Some(piece);
                continue;
            }
            piece.result.set_sums(piece.statistics.sums());
            state::write(self.state, piece.unit, &piece.result)?;
        }
        Ok(())
    }

    fn open<'u>(&self, unit: &'u Unit) -> Result<Open<'u>> {
        let n_stories = self.fits.test_rows().len();
        Ok(Open {
            unit,
            statistics: self.statistics.of_run(unit.voxels.clone())?,
            result: UnitResult::new(n_stories, unit.voxels.len(), self.block_len),
        })
    }

    /// Adds voxels to a piece, responses and predictions `[n_test_trs, voxels.len()]`.
    fn add(
        &self,
        piece: &mut Open<'_>,
        voxels: Range<usize>,
        (y, predicted): (ArrayView2<'_, f32>, ArrayView2<'_, f32>),
        best_alphas: &[f64],
    ) -> Result<()> {
        let result = &mut piece.result;
        result.r.extend(pearson_r(predicted, y)?);
        result.best_alpha.extend(best_alphas);
        for (rows, r) in self.fits.test_rows().iter().zip(&mut result.stories) {
            let of = |x: ArrayView2<'_, f32>| x.slice(s![rows.clone(), ..]).to_owned();
            r.extend(pearson_r(of(predicted).view(), of(y).view())?);
        }
        piece.statistics.add(voxels, y, predicted)?;
        Ok(())
    }
}
