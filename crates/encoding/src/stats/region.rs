//! Mean correlations over regions, their tests and intervals, from one range of voxels after another.
//!
//! A region's null distribution is the sum over its voxels of theirs, under the same orders. For its
//! interval, what TR `t` contributes to a correlation is `z_y z_p - r / 2 (z_y² + z_p² - 2)`
//! (standardised responses and predictions; the influence function of a correlation, Devlin et al.
//! 1975): its mean over TRs is `r`, and the error of a mean of correlations is that of the mean over
//! TRs of the mean contribution. So a region needs `[n_permutations]` and `[n_trs]` numbers, however
//! many voxels it has. Sums add voxels in their order: the same bits for any ranges and any number of
//! threads. Several processes gather [`RegionSums`] of a run of voxels each, which are added in the order of the runs.
//! Held by `tests/it/region.rs`.

use std::ops::Range;

use ndarray::{Array1, ArrayView1, ArrayView2};
use rayon::prelude::*;

use super::{
    BlockBootstrap, CorrelationNull, CorrelationTest, Draws,
    lanes::{Correlated, LANES},
    null::SLACK,
    p_value,
};
use crate::{EncodingError, Result, check};

/// Voxels whose correlations are averaged, and what each correlation is multiplied by.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Region {
    /// In rising order.
    voxels: Vec<(usize, f64)>,
}

impl Region {
    /// Of these voxels, in any order; one named twice counts once.
    pub fn new(voxels: impl IntoIterator<Item = usize>) -> Self {
        let mut voxels: Vec<(usize, f64)> = voxels.into_iter().map(|voxel| (voxel, 1.0)).collect();
        voxels.sort_unstable_by_key(|&(voxel, _)| voxel);
        voxels.dedup_by_key(|&mut (voxel, _)| voxel);
        Self { voxels }
    }

    /// Each correlation divided by its voxel's `ceiling` `[n_voxels]`, which is taken as known; voxels
    /// whose ceiling is not above `threshold` are left out
    /// (as by [`LowCeiling::Exclude`](crate::LowCeiling::Exclude)).
    ///
    /// # Errors
    /// [`EncodingError::VoxelOutOfRange`], [`EncodingError::Threshold`] for a threshold below 0 or NaN.
    pub fn normalized(
        voxels: impl IntoIterator<Item = usize>,
        ceiling: ArrayView1<'_, f32>,
        threshold: f32,
    ) -> Result<Self> {
        check::ceiling_threshold(threshold)?;
        let mut region = Self::new(voxels);
        region.check(ceiling.len())?;
        region
            .voxels
            .retain(|&(voxel, _)| ceiling[voxel] > threshold);
        for (voxel, weight) in &mut region.voxels {
            *weight = f64::from(ceiling[*voxel]).recip();
        }
        Ok(region)
    }

    /// Voxels that take part.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.voxels.len()
    }

    fn check(&self, n_voxels: usize) -> Result<()> {
        match self.voxels.last() {
            Some(&(voxel, _)) if voxel >= n_voxels => {
                Err(EncodingError::VoxelOutOfRange { voxel, n_voxels })
            }
            _ => Ok(()),
        }
    }

    /// Those in a range.
    fn within(&self, range: Range<usize>) -> &[(usize, f64)] {
        let before = |end: usize| self.voxels.partition_point(|&(voxel, _)| voxel < end);
        &self.voxels[before(range.start)..before(range.end)]
    }
}

/// What is known of one region.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RegionStatistic {
    /// Voxels that took part.
    pub n_voxels: usize,
    /// Mean (normalised) correlation; NaN for a region without voxels.
    pub mean_r: f64,
    /// Ends of its interval; none without a bootstrap or without voxels.
    pub interval: Option<(f64, f64)>,
    /// Of a mean above 0; none without a null distribution or without voxels.
    pub p_greater: Option<f64>,
    /// Of a mean other than 0; none without a null distribution or without voxels.
    pub p_two_sided: Option<f64>,
    /// What each TR contributes to the mean, `[n_trs]`; their mean is `mean_r`. Those of two models
    /// make a [paired test](crate::paired_test_of_contributions).
    pub contributions: Array1<f64>,
}

/// Gathers regions from ranges of voxels; one pass over the voxels serves all regions, voxel-wise p
/// values and the maximum over voxels.
///
/// ```
/// use braintune_encoding::{CorrelationNull, NullScheme, Region, RegionStatistics};
/// use ndarray::{Array2, s};
///
/// let y = Array2::from_shape_fn((200, 6), |(t, v)| ((t * t * (v + 3)) as f32 * 0.37).sin());
/// let scheme = NullScheme::BlockPermutation { block_len: 5 };
/// let regions = [Region::new([0, 1, 4]), Region::new(0..6)];
/// let mut statistics = RegionStatistics::new(200, 6, &regions)?
///     .with_null(CorrelationNull::new(&[200], scheme, 99, 0)?)?;
/// for voxels in [0..4, 4..6] {
///     let tile = y.slice(s![.., voxels.clone()]);
///     let test = statistics.add(voxels, tile, tile)?;
///     assert_eq!(test.p_greater[0], 0.01);
/// }
/// let found = statistics.finish()?;
/// assert!((found[0].mean_r - 1.0).abs() < 1e-9 && found[1].p_greater == Some(0.01));
/// # Ok::<(), braintune_encoding::EncodingError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RegionStatistics {
    n_voxels: usize,
    /// Voxels that are still to come; all of them at first.
    open: Range<usize>,
    null: CorrelationNull,
    bootstrap: Option<BlockBootstrap>,
    regions: Vec<(Region, Gathered)>,
}

/// What the voxels of a run add to one region; sums of runs, in their order, are the sums of all voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionSums {
    /// Correlations.
    pub r: f64,
    /// Correlations under each order, `[n_permutations]`.
    pub null: Vec<f64>,
    /// Contributions of each TR, `[n_trs]`.
    pub contributions: Vec<f64>,
}

impl RegionSums {
    /// Of no voxels.
    #[must_use]
    pub fn zero(n_permutations: usize, n_trs: usize) -> Self {
        Self {
            r: 0.0,
            null: vec![0.0; n_permutations],
            contributions: vec![0.0; n_trs],
        }
    }
}

impl RegionStatistics {
    /// For responses `[n_trs, n_voxels]`.
    ///
    /// # Errors
    /// [`EncodingError::VoxelOutOfRange`] for a region with a voxel beyond the last.
    pub fn new(n_trs: usize, n_voxels: usize, regions: &[Region]) -> Result<Self> {
        let null = CorrelationNull::without_orders(n_trs);
        let with_sums = |region: &Region| {
            region.check(n_voxels)?;
            Ok((region.clone(), Gathered::new(region, &null)))
        };
        Ok(Self {
            n_voxels,
            open: 0..n_voxels,
            bootstrap: None,
            regions: regions.iter().map(with_sums).collect::<Result<_>>()?,
            null,
        })
    }

    /// With p values. To be set before voxels are added.
    ///
    /// # Errors
    /// [`EncodingError::Rows`] for stories of another total length, [`EncodingError::VoxelRange`] after
    /// voxels were added.
    pub fn with_null(mut self, null: CorrelationNull) -> Result<Self> {
        if self.open != (0..self.n_voxels) {
            return Err(self.out_of_turn(0..0));
        }
        let shapes = [[self.null.n_rows(), 0], [null.n_rows(), 0]];
        check::rows(["the responses", "stories"], shapes)?;
        for (region, sums) in &mut self.regions {
            *sums = Gathered::new(region, &null);
        }
        self.null = null;
        Ok(self)
    }

    /// With intervals.
    ///
    /// # Errors
    /// [`EncodingError::Blocks`], [`EncodingError::Level`], [`EncodingError::TooFewDraws`].
    pub fn with_bootstrap(mut self, bootstrap: BlockBootstrap) -> Result<Self> {
        bootstrap.draws(self.null.n_rows())?;
        self.bootstrap = Some(bootstrap);
        Ok(self)
    }

    /// For a run of the voxels only: what they add is [`sums`](Self::sums). To be said before voxels are added.
    ///
    /// # Errors
    /// [`EncodingError::VoxelRange`] for voxels beyond the last, or after voxels were added.
    pub fn only(mut self, voxels: Range<usize>) -> Result<Self> {
        let is_whole = self.open == (0..self.n_voxels);
        if !is_whole || voxels.start > voxels.end || voxels.end > self.n_voxels {
            return Err(self.out_of_turn(voxels));
        }
        self.open = voxels;
        Ok(self)
    }

    /// Adds the next voxels, `y` and `prediction` `[n_trs, voxels.len()]`, and tests each of them (p is
    /// 1 without a null distribution).
    ///
    /// # Errors
    /// [`EncodingError::VoxelRange`] for a range that does not begin where the last one ended; those of
    /// [`CorrelationNull::test`], after which nothing has been added.
    pub fn add(
        &mut self,
        voxels: Range<usize>,
        y: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
    ) -> Result<CorrelationTest> {
        self.check_next(&voxels)?;
        check::columns("y", y, voxels.len())?;
        let (regions, start) = (&mut self.regions, voxels.start);
        let test = self
            .null
            .test_and(y, prediction, |first, n_voxels, group| {
                regions.par_iter_mut().for_each(|(region, sums)| {
                    sums.add(region, first, n_voxels, start, group);
                });
            })?;
        self.open.start = voxels.end;
        Ok(test)
    }

    /// Adds the next voxels as another process has gathered them, one for each region.
    ///
    /// # Errors
    /// [`EncodingError::VoxelRange`] as [`add`](Self::add), [`EncodingError::Sums`] for sums of other regions, orders or TRs.
    pub fn add_sums(&mut self, voxels: Range<usize>, sums: &[RegionSums]) -> Result<()> {
        self.check_next(&voxels)?;
        let shape = |sums: &RegionSums| [sums.null.len(), sums.contributions.len()];
        let expected = [self.null.n_permutations(), self.null.n_rows()];
        let found = sums.iter().map(shape).find(|found| *found != expected);
        if sums.len() != self.regions.len() || found.is_some() {
            return Err(EncodingError::Sums {
                expected: (self.regions.len(), expected),
                found: (sums.len(), found.unwrap_or(expected)),
            });
        }
        for ((_, gathered), more) in self.regions.iter_mut().zip(sums) {
            gathered.sums.add(more);
        }
        self.open.start = voxels.end;
        Ok(())
    }

    /// What the voxels added so far add to each region.
    #[must_use]
    pub fn sums(&self) -> Vec<RegionSums> {
        let regions = self.regions.iter();
        regions.map(|(_, gathered)| gathered.sums.clone()).collect()
    }

    fn check_next(&self, voxels: &Range<usize>) -> Result<()> {
        if voxels.start != self.open.start || voxels.end > self.open.end || voxels.is_empty() {
            return Err(self.out_of_turn(voxels.clone()));
        }
        Ok(())
    }

    /// The null distribution, for [`CorrelationNull::fwe`].
    #[must_use]
    pub fn null(&self) -> &CorrelationNull {
        &self.null
    }

    /// One for each region, over the voxels added.
    ///
    /// # Errors
    /// [`EncodingError::VoxelRange`] if voxels are still to come.
    pub fn finish(self) -> Result<Vec<RegionStatistic>> {
        if self.open != (self.n_voxels..self.n_voxels) {
            return Err(self.out_of_turn(self.open.start..self.open.start));
        }
        let n_trs = self.null.n_rows();
        let draws = self.bootstrap.map(|bootstrap| bootstrap.draws(n_trs));
        let draws = draws.transpose()?;
        let regions = self.regions.iter();
        Ok(regions
            .map(|(_, sums)| sums.finish(draws.as_ref()))
            .collect())
    }

    fn out_of_turn(&self, found: Range<usize>) -> EncodingError {
        EncodingError::VoxelRange {
            given: self.open.start,
            found,
            n_voxels: self.n_voxels,
        }
    }
}

impl RegionSums {
    fn add(&mut self, more: &Self) {
        self.r += more.r;
        let add = |sums: &mut [f64], more: &[f64]| {
            for (sum, more) in sums.iter_mut().zip(more) {
                *sum += more;
            }
        };
        add(&mut self.null, &more.null);
        add(&mut self.contributions, &more.contributions);
    }
}

/// Sums over the voxels of a region, in their order, and what they are judged by.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    n_voxels: usize,
    sums: RegionSums,
    /// Sum of weights, against which rounding is judged.
    weight: f64,
}

impl Gathered {
    pub(super) fn new(region: &Region, null: &CorrelationNull) -> Self {
        Self {
            n_voxels: region.n_voxels(),
            sums: RegionSums::zero(null.n_permutations(), null.n_rows()),
            weight: region.voxels.iter().map(|&(_, weight)| weight).sum(),
        }
    }

    /// Adds those of the region's voxels that are in a group: `n_voxels` from `start + first`.
    pub(super) fn add(
        &mut self,
        region: &Region,
        first: usize,
        n_voxels: usize,
        start: usize,
        group: &[Correlated],
    ) {
        let first = start + first;
        for &(voxel, weight) in region.within(first..first + n_voxels) {
            let (lanes, lane) = (&group[(voxel - first) / LANES], (voxel - first) % LANES);
            let r = lanes.r[lane];
            self.sums.r += weight * r;
            for (sum, null) in self.sums.null.iter_mut().zip(&lanes.null) {
                *sum += weight * null[lane];
            }
            let rows = lanes.lanes.y.iter().zip(&lanes.lanes.p);
            for (sum, (y, p)) in self.sums.contributions.iter_mut().zip(rows) {
                let (y, p) = (y[lane], p[lane]);
                *sum += weight * (y * p - r / 2.0 * (y * y + p * p - 2.0));
            }
        }
    }

    pub(super) fn mean_r(&self) -> f64 {
        self.sums.r / self.n_voxels as f64
    }

    /// Of a mean above 0, and other than 0.
    pub(super) fn p_values(&self) -> [f64; 2] {
        let slack = SLACK * self.weight;
        let RegionSums { r, null, .. } = &self.sums;
        let count = |reached: &dyn Fn(f64) -> bool| {
            let n = null.iter().filter(|&&null| reached(null)).count();
            p_value(n, null.len())
        };
        [
            count(&|null| null >= r - slack),
            count(&|null| null.abs() >= r.abs() - slack),
        ]
    }

    fn finish(&self, draws: Option<&Draws>) -> RegionStatistic {
        let n = self.n_voxels as f64;
        let sums = self.sums.contributions.iter();
        let contributions: Vec<f64> = sums.map(|sum| sum / n).collect();
        let known = self.n_voxels > 0;
        let mean_r = self.mean_r();
        let interval = draws.filter(|_| known).map(|draws| {
            let margin = draws.margin_of_mean(&contributions);
            (mean_r - margin, mean_r + margin)
        });
        let p = (known && !self.sums.null.is_empty()).then(|| self.p_values());
        RegionStatistic {
            n_voxels: self.n_voxels,
            mean_r,
            interval,
            p_greater: p.map(|[greater, _]| greater),
            p_two_sided: p.map(|[_, two_sided]| two_sided),
            contributions: contributions.into(),
        }
    }
}
