//! Voxels whose alpha lies at an end of the grid, where the best one may lie beyond.

/// Part of the voxels that may sit at an end of the grid without remark.
const MANY: f64 = 0.1;

/// How many voxels chose the first and the last alpha of a grid. Counts of parts add up with
/// [`GridEdges::merge`].
///
/// A pile of voxels at an end says that the grid does not reach far enough: their scores would be
/// better, or their weights smaller, with alphas beyond it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_field_names)] // n_ is how this crate names counts
pub struct GridEdges {
    n_voxels: usize,
    n_first: usize,
    n_last: usize,
}

impl GridEdges {
    pub(crate) fn count(best: &[usize], n_alphas: usize) -> Self {
        let at = |alpha| best.iter().filter(|&&best| best == alpha).count();
        let chosen = n_alphas > 1;
        Self {
            n_voxels: best.len(),
            n_first: if chosen { at(0) } else { 0 },
            n_last: if chosen { at(n_alphas - 1) } else { 0 },
        }
    }

    /// Voxels counted.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.n_voxels
    }

    /// Voxels at the smallest alpha; 0 for a grid of one.
    #[must_use]
    pub fn n_first(&self) -> usize {
        self.n_first
    }

    /// Voxels at the largest alpha; 0 for a grid of one.
    #[must_use]
    pub fn n_last(&self) -> usize {
        self.n_last
    }

    /// Adds the counts of other voxels.
    pub fn merge(&mut self, other: Self) {
        self.n_voxels += other.n_voxels;
        self.n_first += other.n_first;
        self.n_last += other.n_last;
    }

    /// Whether more than a tenth of the voxels sit at the smallest alpha.
    #[must_use]
    pub fn many_first(&self) -> bool {
        self.n_first as f64 > MANY * self.n_voxels as f64
    }

    /// Whether more than a tenth of the voxels sit at the largest alpha. Usual where many voxels
    /// carry no signal: these want all the shrinkage there is.
    #[must_use]
    pub fn many_last(&self) -> bool {
        self.n_last as f64 > MANY * self.n_voxels as f64
    }

    /// One [`tracing`] warning for each end at which more than a tenth of the voxels sit.
    /// [`RidgeSolver::fit_source`](crate::RidgeSolver::fit_source) and
    /// [`EncodingModel::fit`](crate::EncodingModel::fit) emit it by themselves.
    pub fn warn_if_many(&self) {
        let Self {
            n_voxels,
            n_first,
            n_last,
        } = *self;
        if self.many_first() {
            tracing::warn!(
                n_voxels,
                n_first,
                "many targets (voxels) chose the smallest alpha: extend the grid downwards"
            );
        }
        if self.many_last() {
            tracing::warn!(
                n_voxels,
                n_last,
                "many targets (voxels) chose the largest alpha: extend the grid upwards, unless \
                 these carry no signal"
            );
        }
    }
}
