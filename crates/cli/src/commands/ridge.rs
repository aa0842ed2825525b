//! `braintune ridge`: cross-validated ridge over `.npy` arrays.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, bail};
use braintune::arrays::{read_folds, read_labels, read_matrix};
use braintune::encoding::{
    AlphaSharing, Alphas, CvScore, Delays, Precision, ResponseSource, Solver, measure_flops_per_s,
};
use braintune::provenance::{Provenance, file_sha256};
use braintune::ridge::{
    NamedMatrix, NamedResponses, RidgeData, RidgeReport, RidgeSettings, fit_arrays,
};
use braintune::{BraintuneError, NpyResponses};
use clap::ValueEnum;

use super::{check_output, command_line};
use crate::progress::Progress;

/// Cross-validated ridge over plain arrays, one alpha per voxel.
///
/// Folds leave one group out, in order of first appearance, or are given row by row. Writes a .npz
/// with alphas (the grid), best_alpha [n_voxels] (values of the grid as given; the penalty is alpha
/// squared), cv_scores [n_alphas, n_voxels] (mean over folds), coef [n_features, n_voxels] with
/// --coef, intercept [n_voxels] with --intercept, r and r2 [n_voxels] with a test set. Responses
/// and coefficients stream; features are held in memory. For himalaya's RidgeCV
/// the same things are best_alphas_ = best_alpha**2, coef_ = coef, intercept_ = intercept,
/// cv_scores_ = cv_scores.max(axis=0) (its default score is --score neg-mse); scikit-learn's coef_
/// is coef.T, its alpha_ best_alpha**2.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Features [n_samples, n_features]
    #[arg(long, value_name = "X.npy")]
    x: PathBuf,
    /// Responses [n_samples, n_voxels]
    #[arg(long, value_name = "Y.npy")]
    y: PathBuf,
    /// Integers, one per row: which rows are left out together. Not needed for a single alpha
    #[arg(long, value_name = "G.npy")]
    groups: Option<PathBuf>,
    /// Validation rows of each fold, JSON [[row, …], …] from 0, in place of one fold per group; all
    /// other rows train. With --groups as well, those only stop delays
    #[arg(long, value_name = "F.json")]
    folds: Option<PathBuf>,
    /// Alphas, rising; the penalty is alpha squared, S/(S^2+alpha^2)
    #[arg(long, value_name = "GRID", allow_hyphen_values = true)]
    alphas: Alphas,
    /// Where to write, e.g. fit.npz
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Test features
    #[arg(long, value_name = "X.npy", requires = "y_test")]
    x_test: Option<PathBuf>,
    /// Test responses
    #[arg(long, value_name = "Y.npy", requires = "x_test")]
    y_test: Option<PathBuf>,
    /// What chooses the alpha: the mean over folds of each fold's score
    #[arg(long, default_value = "r2")]
    score: Score,
    /// FIR delays in samples, applied inside each group; test rows are taken as one stretch
    #[arg(long, value_name = "N,…", allow_hyphen_values = true)]
    delays: Option<Delays>,
    /// Centre features and responses on the training rows of each fold
    #[arg(long)]
    intercept: bool,
    /// Write the coefficients
    #[arg(long)]
    coef: bool,
    /// Which normal equations to solve
    #[arg(long, default_value = "auto")]
    solver: SolverChoice,
    /// Which voxels share an alpha: `voxel` (none), `all`, or a file G.npy of one integer per voxel,
    /// whose equal ones share
    #[arg(long, value_name = "voxel|all|G.npy", default_value = "voxel")]
    alpha_per: AlphaPer,
    /// Precision of the arithmetic [default: f32, or f64 where f32 would not do]
    #[arg(long)]
    precision: Option<PrecisionChoice>,
    /// Memory for responses and their fits, beside features and decompositions
    #[arg(long, value_name = "GB", default_value_t = 1.0)]
    memory_gb: f64,
}

#[derive(Debug, Clone)]
enum AlphaPer {
    /// Each voxel has its own.
    Voxel,
    /// One for all voxels: the best mean score.
    All,
    /// One for all voxels of equal label in this file.
    Group(PathBuf),
}

impl FromStr for AlphaPer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "voxel" => Ok(Self::Voxel),
            "all" => Ok(Self::All),
            file if Path::new(file).extension().is_some_and(|e| e == "npy") => {
                Ok(Self::Group(file.into()))
            }
            _ => Err("expected voxel, all, or a .npy file of one integer per voxel".to_owned()),
        }
    }
}

impl AlphaPer {
    /// # Errors
    /// A file that holds no label for each voxel.
    fn sharing(&self, n_voxels: usize) -> anyhow::Result<AlphaSharing> {
        let path = match self {
            Self::Voxel => return Ok(AlphaSharing::PerVoxel),
            Self::All => return Ok(AlphaSharing::OneForAll),
            Self::Group(path) => path,
        };
        let labels = read_labels(path)?;
        if labels.len() != n_voxels {
            bail!(
                "--alpha-per {}: {} labels for {n_voxels} voxels; give one per column of Y",
                path.display(),
                labels.len()
            );
        }
        let mut numbers = HashMap::new();
        let number = |label| {
            let next = numbers.len();
            *numbers.entry(label).or_insert(next)
        };
        Ok(AlphaSharing::PerGroup(
            labels.into_iter().map(number).collect(),
        ))
    }

    fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Group(path) => Some(path),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PrecisionChoice {
    /// Single.
    F32,
    /// Double.
    F64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Score {
    /// Coefficient of determination, variance about the fold's own mean.
    R2,
    /// Minus the mean squared error.
    NegMse,
    /// Pearson correlation.
    Corr,
    /// That of HuthLab's code: signed square root of 1 - var(y - p) / ((1 + var(y)) / 2).
    SignedSqrtR2,
}

impl From<Score> for CvScore {
    fn from(score: Score) -> Self {
        match score {
            Score::R2 => Self::R2,
            Score::NegMse => Self::NegMse,
            Score::Corr => Self::Correlation,
            Score::SignedSqrtR2 => Self::SignedSqrtR2,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SolverChoice {
    /// The smaller of the two.
    Auto,
    /// [n_features, n_features].
    Primal,
    /// [n_samples, n_samples].
    Dual,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let files = [
        Some(&args.x),
        Some(&args.y),
        args.groups.as_ref(),
        args.folds.as_ref(),
        args.alpha_per.file(),
        args.x_test.as_ref(),
        args.y_test.as_ref(),
    ];
    check_output(&args.out, &files.into_iter().flatten().collect::<Vec<_>>())?;
    if !(args.memory_gb > 0.0 && args.memory_gb.is_finite()) {
        bail!("--memory-gb {}: give a number above 0", args.memory_gb);
    }
    let test = match (&args.x_test, &args.y_test) {
        (Some(x), Some(y)) => Some((read(x)?, responses(y)?)),
        _ => None,
    };
    let data = RidgeData {
        x: read(&args.x)?,
        y: responses(&args.y)?,
        groups: args.groups.as_deref().map(read_labels).transpose()?,
        folds: args.folds.as_deref().map(read_folds).transpose()?,
        test,
    };
    let n_alphas = args.alphas.as_slice().len();
    if n_alphas > 1 && data.groups.is_none() && data.folds.is_none() {
        bail!(
            "{n_alphas} alphas and nothing to choose among them by: give --groups or --folds, or a single alpha"
        );
    }
    if let Some(file) = &args.folds {
        data.folds().with_context(|| file.display().to_string())?;
    }
    let alpha_sharing = args.alpha_per.sharing(data.y.source.n_voxels())?;
    let out = args.out.clone();
    let provenance = Provenance::new(command_line(), inputs(&args)?);
    let settings = settings(args, alpha_sharing);
    announce(&data, &settings)?;
    let mut progress = Progress::new();
    let mut report = None;
    provenance.write_beside(&out, |out| {
        let done = fit_arrays(data, &settings, out, &mut |event| progress.on(event))?;
        report = Some(done);
        Ok::<(), BraintuneError>(())
    })?;
    drop(progress);
    if let Some(report) = report {
        tell(&report, &out);
    }
    Ok(ExitCode::SUCCESS)
}

/// Settings and hashes of the inputs, for provenance.
fn inputs(args: &Args) -> anyhow::Result<serde_json::Value> {
    let sha256 = |path: Option<&PathBuf>| path.map(|path| file_sha256(path)).transpose();
    Ok(serde_json::json!({
        "x_sha256": file_sha256(&args.x)?,
        "y_sha256": file_sha256(&args.y)?,
        "groups_sha256": sha256(args.groups.as_ref())?,
        "folds_sha256": sha256(args.folds.as_ref())?,
        "test_sha256": [sha256(args.x_test.as_ref())?, sha256(args.y_test.as_ref())?],
        "coef": args.coef,
        "alphas": args.alphas.as_slice(),
        "alpha_per": match &args.alpha_per {
            AlphaPer::Group(path) => file_sha256(path)?,
            per => format!("{per:?}"),
        },
        "score": format!("{:?}", args.score),
        "delays": args.delays.as_ref().map(Delays::as_slice),
        "intercept": args.intercept,
        "solver": format!("{:?}", args.solver),
        "precision": args.precision.map(|precision| format!("{precision:?}")),
    }))
}

/// What the fit says of itself.
fn tell(report: &RidgeReport, out: &Path) {
    say!(
        "fitted {} voxels in {} precision, predictions within {:.0e} of the exact solution ({} voxels checked), wrote {}",
        report.n_voxels,
        match report.precision {
            Precision::Single => "single",
            Precision::Double => "double",
        },
        report.error.largest,
        report.error.n_voxels,
        out.display()
    );
}

fn settings(args: Args, alpha_sharing: AlphaSharing) -> RidgeSettings {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be above 0; saturates for absurd sizes"
    )]
    let memory_budget = (args.memory_gb * 1e9) as usize;
    RidgeSettings {
        alphas: args.alphas,
        score: args.score.into(),
        solver: match args.solver {
            SolverChoice::Auto => Solver::Auto,
            SolverChoice::Primal => Solver::Primal,
            SolverChoice::Dual => Solver::Dual,
        },
        alpha_sharing,
        precision: args.precision.map(|precision| match precision {
            PrecisionChoice::F32 => Precision::Single,
            PrecisionChoice::F64 => Precision::Double,
        }),
        memory_budget,
        intercept: args.intercept,
        delays: args.delays,
        coef: args.coef,
    }
}

/// Says what is to come where it takes more than a few seconds.
fn announce(data: &RidgeData, settings: &RidgeSettings) -> anyhow::Result<()> {
    /// Shorter fits are over before the line is read.
    const SHORT_S: f64 = 5.0;
    let (n_samples, n_columns) = data.x.values.dim();
    let n_features = n_columns * settings.delays.as_ref().map_or(1, |d| d.as_slice().len());
    let params = settings.params(data.folds()?)?;
    let estimate = params.estimate(n_samples, n_features, data.y.source.n_voxels());
    let seconds = estimate.seconds(measure_flops_per_s());
    if seconds > SHORT_S {
        say!(
            "about {:.0} s and {:.1} GB of memory ({} form)",
            seconds,
            (estimate.fixed_bytes + settings.memory_budget as f64) / 1e9,
            if estimate.primal { "primal" } else { "dual" }
        );
    }
    Ok(())
}

/// Responses that are read a few voxels at a time; arrays of integers are small and read whole.
fn responses(path: &Path) -> anyhow::Result<NamedResponses> {
    let source: Box<dyn ResponseSource> = match NpyResponses::open(path) {
        Ok(source) => Box::new(source),
        Err(streamed) => match read_matrix(path) {
            Ok(whole) => Box::new(whole),
            Err(_) => return Err(streamed.into()),
        },
    };
    Ok(NamedResponses {
        name: path.display().to_string(),
        source,
    })
}

/// A matrix under the name of its file.
fn read(path: &Path) -> anyhow::Result<NamedMatrix> {
    Ok(NamedMatrix {
        name: path.display().to_string(),
        values: read_matrix(path)?,
    })
}
