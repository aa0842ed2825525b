//! `braintune ridge`: cross-validated ridge over plain arrays, `X` and `Y` to a `.npz`.

use std::ops::ControlFlow;
use std::path::Path;

use braintune_encoding::{
    Alphas, CvScore, Delays, DesignMatrix, EncodingModel, Folds, Ridge, Solver, pearson_r, r2_score,
};
use linfa::ParamGuard;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, s};

use crate::arrays::Npz;
use crate::error::{BraintuneError, Result};
use crate::event::{Event, OnEvent};

/// How to fit.
#[derive(Debug, Clone)]
pub struct RidgeSettings {
    /// The grid; penalties are alpha².
    pub alphas: Alphas,
    /// What selects the alpha.
    pub score: CvScore,
    /// Primal or dual normal equations.
    pub solver: Solver,
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

/// Arrays to fit and, if given, to test on.
#[derive(Debug, Clone)]
pub struct RidgeData {
    /// Features `[n_samples, n_features]`.
    pub x: NamedMatrix,
    /// Responses `[n_samples, n_voxels]`.
    pub y: NamedMatrix,
    /// One label per row; folds leave one label out, in order of first appearance.
    pub groups: Option<Vec<i64>>,
    /// Test features and responses.
    pub test: Option<(NamedMatrix, NamedMatrix)>,
}

impl RidgeData {
    /// # Errors
    /// Arrays that do not fit together, values that are not finite, each with its name.
    fn check(&self) -> Result<()> {
        same(
            "rows",
            (&self.x, self.x.values.nrows()),
            (&self.y, self.y.values.nrows()),
        )?;
        let mut all = vec![&self.x, &self.y];
        if let Some((x, y)) = &self.test {
            same(
                "columns",
                (&self.x, self.x.values.ncols()),
                (x, x.values.ncols()),
            )?;
            same(
                "columns",
                (&self.y, self.y.values.ncols()),
                (y, y.values.ncols()),
            )?;
            same("rows", (x, x.values.nrows()), (y, y.values.nrows()))?;
            all.extend([x, y]);
        }
        all.into_iter().try_for_each(NamedMatrix::check_finite)
    }
}

impl NamedMatrix {
    fn check_finite(&self) -> Result<()> {
        let bad = self.values.indexed_iter().find(|(_, x)| !x.is_finite());
        match bad {
            None => Ok(()),
            Some(((row, column), value)) => Err(BraintuneError::Input(format!(
                "{} has {value} in row {row}, column {column}: values must be finite",
                self.name
            ))),
        }
    }
}

fn same(what: &str, (a, n): (&NamedMatrix, usize), (b, m): (&NamedMatrix, usize)) -> Result<()> {
    if n == m {
        return Ok(());
    }
    Err(BraintuneError::Input(format!(
        "{} has {n} {what} and {} has {m}: they must be the same",
        a.name, b.name
    )))
}

/// Fits and writes `alphas`, `best_alpha` `[n_voxels]`, `cv_scores` `[n_alphas, n_voxels]`, `coef`
/// `[n_features, n_voxels]` if asked for, `intercept` if there is one, and `r`, `r2` `[n_voxels]` if
/// there is a test set.
///
/// # Errors
/// Before the fit: arrays that do not fit together, values that are not finite, a file that cannot be written.
pub fn fit_arrays(
    data: RidgeData,
    settings: &RidgeSettings,
    out: &Path,
    on: &mut OnEvent<'_>,
) -> Result<()> {
    data.check()?;
    let RidgeData { x, y, groups, test } = data;
    let (x, y) = (x.values, y.values);
    let folds = groups
        .as_deref()
        .map(Folds::leave_one_group_out)
        .transpose()?;
    let x = delayed(x, groups.as_deref(), settings.delays.as_ref())?;
    let params = Ridge::params(settings.alphas.clone())
        .score(settings.score)
        .solver(settings.solver)
        .intercept(settings.intercept);
    let params = match folds {
        Some(folds) => params.folds(folds),
        None => params,
    };
    let mut progress = |progress| on(event(progress));
    let fitted = params
        .check()?
        .fit_observed(&DesignMatrix::from(x), y.view(), &mut progress)?;
    let mut npz = Npz::default();
    npz.add("alphas", &ArrayView1::from(settings.alphas.as_slice()))?;
    npz.add("best_alpha", &ArrayView1::from(fitted.best_alphas()))?;
    npz.add("cv_scores", &fitted.cv_scores())?;
    if settings.coef {
        npz.add("coef", &fitted.coef())?;
    }
    if let Some(intercept) = fitted.intercept() {
        npz.add("intercept", &intercept)?;
    }
    if let Some((x_test, y_test)) = test {
        let x_test = delayed(x_test.values, None, settings.delays.as_ref())?;
        let predicted = fitted.predict(x_test.view())?;
        let (r, r2) = scores(predicted.view(), y_test.values.view())?;
        npz.add("r", &r)?;
        npz.add("r2", &r2)?;
    }
    npz.write(out)
}

fn scores(
    predicted: ArrayView2<'_, f32>,
    y: ArrayView2<'_, f32>,
) -> Result<(Array1<f32>, Array1<f32>)> {
    Ok((pearson_r(predicted, y)?, r2_score(y, predicted)?))
}

fn event(progress: braintune_encoding::FitProgress) -> Event<'static> {
    use braintune_encoding::FitProgress;
    match progress {
        FitProgress::Decomposed { done, total } => Event::Decomposing {
            layer: 0,
            n_layers: 1,
            done,
            total,
        },
        FitProgress::Fitted { done, total } => Event::Fitting {
            layer: 0,
            n_layers: 1,
            done,
            total,
        },
        _ => Event::Stage("fit"),
    }
}

/// `x` with delays inside each run of equal labels (all rows are one run without labels).
fn delayed(x: Array2<f32>, groups: Option<&[i64]>, delays: Option<&Delays>) -> Result<Array2<f32>> {
    let Some(delays) = delays else { return Ok(x) };
    let Some(groups) = groups else {
        return Ok(delays.apply(x.view()));
    };
    if groups.len() != x.nrows() {
        return Err(BraintuneError::Input(format!(
            "X has {} rows and there are {} group labels: one label per row is needed",
            x.nrows(),
            groups.len()
        )));
    }
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
        runs.push(x.slice(s![start..start + run.len(), ..]));
        start += run.len();
    }
    Ok(delays.apply_stories(&runs)?)
}

/// Goes on whatever happens.
pub fn ignore_events(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
