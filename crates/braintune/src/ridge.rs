//! `braintune ridge`: cross-validated ridge over plain arrays, `X` and `Y` to a `.npz`.

use std::ops::Range;
use std::path::Path;

use braintune_encoding::{
    AlphaSharing, Alphas, CvScore, Delays, DesignMatrix, FirDesign, FittedRidge, Folds, GridEdges,
    NumericalError, OnProgress, Precision, ResponseSource, Ridge, RidgeSolver, RidgeValidParams,
    Solver,
};
use linfa::ParamGuard;
use ndarray::{Array2, ArrayView1, ArrayView2, s};

use crate::error::{BraintuneError, Result};
use crate::event::OnEvent;
use crate::fit::{event, fit_voxels, read};
use crate::npz::Npz;

/// How to fit.
#[derive(Debug, Clone)]
pub struct RidgeSettings {
    /// The grid; penalties are alpha².
    pub alphas: Alphas,
    /// What selects the alpha.
    pub score: CvScore,
    /// Primal or dual normal equations.
    pub solver: Solver,
    /// Which voxels share an alpha.
    pub alpha_sharing: AlphaSharing,
    /// Precision of the arithmetic; `None` for what the data needs.
    pub precision: Option<Precision>,
    /// Bytes that responses and their fits may take at once, beside the decompositions.
    pub memory_budget: usize,
    /// Centre columns on the training rows of every fold.
    pub intercept: bool,
    /// FIR delays, applied within each group; groups must then be contiguous.
    pub delays: Option<Delays>,
    /// Whether the coefficients are written.
    pub coef: bool,
}

/// A matrix and what messages call it, such as the name of its file.
#[derive(Debug, Clone)]
pub struct NamedMatrix {
    /// The name.
    pub name: String,
    /// The values, `[n_rows, n_columns]`.
    pub values: Array2<f32>,
}

/// Responses, read a few voxels at a time, and what messages call them.
pub struct NamedResponses {
    /// The name.
    pub name: String,
    /// Where they come from, `[n_rows, n_voxels]`.
    pub source: Box<dyn ResponseSource>,
}

impl std::fmt::Debug for NamedResponses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NamedResponses")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Arrays to fit and, if given, to test on.
#[derive(Debug)]
pub struct RidgeData {
    /// Features `[n_samples, n_features]`.
    pub x: NamedMatrix,
    /// Responses `[n_samples, n_voxels]`.
    pub y: NamedResponses,
    /// One label per row: folds leave one label out, in order of first appearance, and delays stop
    /// where labels change.
    pub groups: Option<Vec<i64>>,
    /// Validation rows of each fold, in place of folds that leave a label out.
    pub folds: Option<Vec<Vec<usize>>>,
    /// Test features and responses.
    pub test: Option<(NamedMatrix, NamedResponses)>,
}

impl RidgeData {
    /// The folds that it asks for, if any.
    ///
    /// # Errors
    /// Labels or rows that make no folds.
    pub fn folds(&self) -> Result<Option<Folds>> {
        let n_rows = self.x.values.nrows();
        if let Some(groups) = self.groups.as_ref().filter(|groups| groups.len() != n_rows) {
            return Err(BraintuneError::Input(format!(
                "X has {n_rows} rows and there are {} group labels: one label per row is needed",
                groups.len()
            )));
        }
        Ok(match (&self.folds, &self.groups) {
            (Some(rows), _) => Some(Folds::from_validation_rows(rows.clone(), n_rows)?),
            (None, Some(groups)) => Some(Folds::leave_one_group_out(groups)?),
            (None, None) => None,
        })
    }

    /// # Errors
    /// Arrays that do not fit together, values that are not finite, each with its name.
    fn check(&self) -> Result<()> {
        let (x, y) = (&self.x, &self.y);
        let (x_shape, y_shape) = (x.values.dim(), y.shape());
        same("rows", (&x.name, x_shape.0), (&y.name, y_shape.0))?;
        if let Some((x_test, y_test)) = &self.test {
            let (x_test_shape, y_test_shape) = (x_test.values.dim(), y_test.shape());
            same(
                "columns",
                (&x.name, x_shape.1),
                (&x_test.name, x_test_shape.1),
            )?;
            same(
                "columns",
                (&y.name, y_shape.1),
                (&y_test.name, y_test_shape.1),
            )?;
            same(
                "rows",
                (&x_test.name, x_test_shape.0),
                (&y_test.name, y_test_shape.0),
            )?;
            x_test.check_finite()?;
            y_test.check_finite()?;
        }
        x.check_finite()?;
        y.check_finite()
    }
}

impl NamedMatrix {
    fn check_finite(&self) -> Result<()> {
        finite(&self.name, self.values.view(), 0)
    }
}

impl NamedResponses {
    fn shape(&self) -> (usize, usize) {
        (self.source.n_samples(), self.source.n_voxels())
    }

    fn read(&self, voxels: Range<usize>) -> Result<Array2<f32>> {
        read(&*self.source, voxels)
    }

    /// Some voxels at a time: `look` is given the number of the first and their values.
    fn parts(&self, mut look: impl FnMut(usize, ArrayView2<'_, f32>) -> Result<()>) -> Result<()> {
        /// Values looked at together: 16 MB.
        const VALUES: usize = 1 << 22;
        let (n_rows, n_voxels) = self.shape();
        let step = (VALUES / n_rows.max(1)).max(1);
        for start in (0..n_voxels).step_by(step) {
            let part = self.read(start..n_voxels.min(start.saturating_add(step)))?;
            look(start, part.view())?;
        }
        Ok(())
    }

    fn check_finite(&self) -> Result<()> {
        self.parts(|first, part| finite(&self.name, part, first))
    }

    /// A test of one row, or of a voxel that never changes, says nothing: r and R² are 0 there.
    fn warn_of_constant(&self) -> Result<()> {
        let (n_rows, n_voxels) = self.shape();
        if n_rows < 2 {
            tracing::warn!(
                "{} has one row, of which no correlation can be taken: r and r2 are 0",
                self.name
            );
            return Ok(());
        }
        let mut constant = Vec::new();
        self.parts(|first, part| {
            #[expect(clippy::float_cmp, reason = "constant means bit for bit")]
            let is_constant = |column: &ArrayView1<'_, f32>| column.iter().all(|x| *x == column[0]);
            let columns = part.columns().into_iter().enumerate();
            let found = columns.filter(|(_, column)| is_constant(column));
            constant.extend(found.map(|(column, _)| first + column));
            Ok(())
        })?;
        if let Some(voxel) = constant.first() {
            tracing::warn!(
                "{} never changes in {} of {n_voxels} voxels, the first is voxel {voxel}: r and r2 are 0 there",
                self.name,
                constant.len()
            );
        }
        Ok(())
    }
}

fn finite(name: &str, values: ArrayView2<'_, f32>, first_column: usize) -> Result<()> {
    let bad = values.indexed_iter().find(|(_, x)| !x.is_finite());
    match bad {
        None => Ok(()),
        Some(((row, column), value)) => Err(BraintuneError::Input(format!(
            "{name} has {value} in row {row}, column {}: values must be finite",
            first_column + column
        ))),
    }
}

fn same(what: &str, (a, n): (&str, usize), (b, m): (&str, usize)) -> Result<()> {
    if n == m {
        return Ok(());
    }
    Err(BraintuneError::Input(format!(
        "{a} has {n} {what} and {b} has {m}: they must be the same"
    )))
}

/// Fits and writes `alphas`, `best_alpha` `[n_voxels]`, `cv_scores` `[n_alphas, n_voxels]`, `coef`
/// `[n_features, n_voxels]` if asked for, `intercept` if there is one, and `r`, `r2` `[n_voxels]` if
/// there is a test set. Responses and coefficients pass through memory a few voxels at a time.
///
/// ```
/// use braintune::ridge::{NamedMatrix, NamedResponses, RidgeData, RidgeSettings, fit_arrays};
/// use ndarray::array;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let out = folder.path().join("fit.npz");
/// let data = RidgeData {
///     x: NamedMatrix { name: "X".into(), values: array![[1.0], [2.0], [3.0], [4.0]] },
///     y: NamedResponses { name: "Y".into(), source: Box::new(array![[2.0_f32], [4.0], [6.0], [8.0]]) },
///     groups: Some(vec![0, 0, 1, 1]),
///     folds: None,
///     test: None,
/// };
/// let settings = RidgeSettings { coef: true, ..RidgeSettings::new("0.01,1,100".parse()?) };
/// let report = fit_arrays(data, &settings, &out, &mut |_| std::ops::ControlFlow::Continue(()))?;
/// assert_eq!(report.n_voxels, 1);
/// assert_eq!(report.edges.n_first(), 1); // no noise: the smallest alpha is best
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Before the fit: arrays that do not fit together, values that are not finite, a file that cannot be written.
pub fn fit_arrays(
    data: RidgeData,
    settings: &RidgeSettings,
    out: &Path,
    on: &mut OnEvent<'_>,
) -> Result<RidgeReport> {
    data.check()?;
    if let Some((_, y)) = &data.test {
        y.warn_of_constant()?;
    }
    let mut progress = |progress| on(event(progress, 0, 1));
    let folds = data.folds()?;
    let n_scores = match &folds {
        Some(_) => settings.alphas.as_slice().len(),
        None => 0,
    };
    let params = settings.params(folds)?;
    let RidgeData {
        x, y, groups, test, ..
    } = data;
    let delays = settings.delays.as_ref();
    let solver = solver(&params, x.values, groups.as_deref(), delays, &mut progress)?;
    let test = test.map(|(x, y)| {
        let delayed = delays.map(|delays| delays.apply(x.values.view()));
        (delayed.unwrap_or(x.values), y)
    });
    let n_voxels = y.shape().1;
    let mut results = Results::new(n_scores, n_voxels, test);
    let mut npz = Npz::create(out)?;
    let (y, budget) = (&*y.source, settings.memory_budget);
    let edges = if settings.coef {
        let mut coef = npz.columns("coef", solver.n_features(), n_voxels)?;
        let edges = fit_voxels(&solver, y, budget, &mut progress, |voxels, fitted| {
            coef.push(fitted.coef().view())?;
            results.add(voxels, fitted)
        })?;
        coef.finish()?;
        edges
    } else {
        fit_voxels(&solver, y, budget, &mut progress, |voxels, fitted| {
            results.add(voxels, fitted)
        })?
    };
    let report = RidgeReport {
        n_voxels,
        edges,
        error: results.error,
        precision: solver.precision(),
    };
    results.write(npz, &settings.alphas)?;
    Ok(report)
}

/// What a fit says of itself.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RidgeReport {
    /// Voxels fitted.
    pub n_voxels: usize,
    /// Voxels at the ends of the grid.
    pub edges: GridEdges,
    /// Distance from the exact solution, on a few voxels.
    pub error: NumericalError,
    /// Precision of the arithmetic.
    pub precision: Precision,
}

impl RidgeSettings {
    /// R² chooses an alpha for each voxel; no intercept, no delays, no coefficients, 1 GB.
    #[must_use]
    pub fn new(alphas: Alphas) -> Self {
        Self {
            alphas,
            score: CvScore::R2,
            solver: Solver::Auto,
            alpha_sharing: AlphaSharing::PerVoxel,
            precision: None,
            memory_budget: 1 << 30,
            intercept: false,
            delays: None,
            coef: false,
        }
    }

    /// The ridge that they describe.
    ///
    /// # Errors
    /// Several alphas without folds.
    pub fn params(&self, folds: Option<Folds>) -> Result<RidgeValidParams> {
        let params = Ridge::params(self.alphas.clone())
            .score(self.score)
            .solver(self.solver)
            .alpha_sharing(self.alpha_sharing.clone())
            .intercept(self.intercept);
        let params = match self.precision {
            Some(precision) => params.precision(precision),
            None => params,
        };
        let params = match folds {
            Some(folds) => params.folds(folds),
            None => params,
        };
        Ok(params.check()?)
    }
}

/// What the archive will hold besides coefficients, growing voxel by voxel.
struct Results {
    best_alpha: Vec<f64>,
    cv_scores: Array2<f64>,
    intercept: Vec<f32>,
    r: Vec<f32>,
    r2: Vec<f32>,
    error: NumericalError,
    test: Option<(Array2<f32>, NamedResponses)>,
}

impl Results {
    fn new(n_scores: usize, n_voxels: usize, test: Option<(Array2<f32>, NamedResponses)>) -> Self {
        Self {
            best_alpha: Vec::with_capacity(n_voxels),
            cv_scores: Array2::zeros((n_scores, n_voxels)),
            intercept: Vec::new(),
            r: Vec::new(),
            r2: Vec::new(),
            error: NumericalError::default(),
            test,
        }
    }

    fn add(&mut self, voxels: Range<usize>, fitted: &FittedRidge) -> Result<()> {
        self.best_alpha.extend(fitted.best_alphas());
        self.cv_scores
            .slice_mut(s![.., voxels.clone()])
            .assign(&fitted.cv_scores());
        self.error.merge(fitted.numerical_error());
        self.intercept
            .extend(fitted.intercept().into_iter().flatten());
        if let Some((x, y)) = &self.test {
            let (r, r2) = fitted.score(x.view(), y.read(voxels)?.view())?;
            self.r.extend(r);
            self.r2.extend(r2);
        }
        Ok(())
    }

    fn write(self, mut npz: Npz, alphas: &Alphas) -> Result<()> {
        npz.add("alphas", &ArrayView1::from(alphas.as_slice()))?;
        npz.add("best_alpha", &ArrayView1::from(&self.best_alpha))?;
        npz.add("cv_scores", &self.cv_scores)?;
        for (name, values) in [
            ("intercept", &self.intercept),
            ("r", &self.r),
            ("r2", &self.r2),
        ] {
            if !values.is_empty() {
                npz.add(name, &ArrayView1::from(values))?;
            }
        }
        npz.finish()
    }
}

/// The decompositions that every voxel shares.
fn solver(
    params: &RidgeValidParams,
    x: Array2<f32>,
    groups: Option<&[i64]>,
    delays: Option<&Delays>,
    on: &mut OnProgress<'_>,
) -> Result<RidgeSolver> {
    Ok(match delays {
        Some(delays) => {
            let design = fir(x.view(), groups, delays.clone())?;
            params.prepare_fir(&design, on)?
        }
        None => params.prepare_observed(&DesignMatrix::from(x), on)?,
    })
}

/// A delay that reaches past every group would leave columns of zeros.
fn check_delays(delays: &Delays, longest_run: usize) -> Result<()> {
    let longest = delays.as_slice().iter().copied().max().unwrap_or_default();
    if longest < longest_run {
        return Ok(());
    }
    Err(BraintuneError::Input(format!(
        "the longest group has {longest_run} rows, a delay of {longest} reaches past all of them: its features would be 0; give shorter delays"
    )))
}

/// `x` under delays inside each run of equal labels (all rows are one run without labels).
fn fir(x: ArrayView2<'_, f32>, groups: Option<&[i64]>, delays: Delays) -> Result<FirDesign> {
    let Some(groups) = groups else {
        check_delays(&delays, x.nrows())?;
        return Ok(FirDesign::new(&[x], delays)?);
    };
    let mut runs = Vec::new();
    let mut seen = std::collections::HashSet::new();
    let mut start = 0;
    for run in groups.chunk_by(|a, b| a == b) {
        if !seen.insert(run[0]) {
            return Err(BraintuneError::Input(format!(
                "rows of group {} are not contiguous: delays need each group's rows in one block, in order of time",
                run[0]
            )));
        }
        runs.push(x.slice_move(s![start..start + run.len(), ..]));
        start += run.len();
    }
    let longest_run = runs.iter().map(ArrayView2::nrows).max();
    check_delays(&delays, longest_run.unwrap_or_default())?;
    Ok(FirDesign::new(&runs, delays)?)
}
