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
struct Open {
    statistics: RegionStatistics,
    result: UnitResult,
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
        let source = Columns {
            all: &self.fits.train,
            voxels: first.voxels.start..last.voxels.end,
        };
        let mut left = units.iter();
        let mut open = None;
        let each = |voxels: Range<usize>, fitted: &FittedRidge| {
            let mut next = first.voxels.start + voxels.start;
            let end = first.voxels.start + voxels.end;
            let y = read(&self.fits.test, next..end)?;
            let predicted = fitted.predict(self.x_test)?;
            let begin = next;
            // A part of the fit can end within a piece, and hold several.
            while next < end {
                let (unit, mut piece) = match open.take() {
                    Some(begun) => begun,
                    None => match left.next() {
                        Some(unit) => (*unit, self.open(unit)?),
                        None => break,
                    },
                };
                let upto = end.min(unit.voxels.end);
                let columns = s![.., next - begin..upto - begin];
                let part = (y.slice(columns), predicted.slice(columns));
                self.add(
                    &mut piece,
                    next..upto,
                    part,
                    &fitted.best_alphas()[next - begin..upto - begin],
                )?;
                next = upto;
                if upto < unit.voxels.end {
                    open = Some((unit, piece));
                } else {
                    let Open {
                        statistics,
                        mut result,
                    } = piece;
                    result.set_sums(statistics.sums());
                    state::write(self.state, unit, &result)?;
                }
            }
            Ok(())
        };
        let budget = self.fits.config.memory_budget;
        let mut progress = |progress| match progress {
            FitProgress::Fitted { done: more, .. } => on(FitProgress::Fitted {
                done: done + more,
                total,
            }),
            progress => on(progress),
        };
        fit_voxels(self.solver, &source, budget, &mut progress, each)?;
        Ok(())
    }

    fn open(&self, unit: &Unit) -> Result<Open> {
        let n_stories = self.fits.test_rows().len();
        Ok(Open {
            statistics: self.statistics.of_run(unit.voxels.clone())?,
            result: UnitResult::new(n_stories, unit.voxels.len(), self.block_len),
        })
    }

    /// Adds voxels to a piece, responses and predictions `[n_test_trs, voxels.len()]`.
    fn add(
        &self,
        Open { statistics, result }: &mut Open,
        voxels: Range<usize>,
        (y, predicted): (ArrayView2<'_, f32>, ArrayView2<'_, f32>),
        best_alphas: &[f64],
    ) -> Result<()> {
        result.r.extend(pearson_r(predicted, y)?);
        result.best_alpha.extend(best_alphas);
        for (rows, r) in self.fits.test_rows().iter().zip(&mut result.stories) {
            let of = |x: ArrayView2<'_, f32>| x.slice(s![rows.clone(), ..]).to_owned();
            r.extend(pearson_r(of(predicted).view(), of(y).view())?);
        }
        statistics.add(voxels, y, predicted)?;
        Ok(())
    }
}
