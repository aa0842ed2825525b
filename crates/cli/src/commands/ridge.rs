//! `braintune ridge`: cross-validated ridge over `.npy` arrays.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use braintune::arrays::{read_labels, read_matrix};
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
/// Folds leave one group out, in order of first appearance. Writes a .npz with best_alpha (values
/// of the grid as given; the penalty is alpha squared), cv_scores [n_alphas, n_voxels] (mean over
/// folds), coef with --coef, r and r2 with a test set.
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
    /// FIR delays in samples, applied inside each group
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
    /// Which voxels share an alpha
    #[arg(long, value_name = "PER", default_value = "voxel")]
    alpha_per: AlphaPer,
    /// Precision of the arithmetic [default: f32, or f64 where f32 would not do]
    #[arg(long)]
    precision: Option<PrecisionChoice>,
    /// Memory for responses and their fits, beside features and decompositions
    #[arg(long, value_name = "GB", default_value_t = 1.0)]
    memory_gb: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AlphaPer {
    /// Each voxel has its own.
    Voxel,
    /// One for all voxels: the best mean score.
    All,
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
}

impl From<Score> for CvScore {
    fn from(score: Score) -> Self {
        match score {
            Score::R2 => Self::R2,
            Score::NegMse => Self::NegMse,
            Score::Corr => Self::Correlation,
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
    let inputs = [
        Some(&args.x),
        Some(&args.y),
        args.groups.as_ref(),
        args.x_test.as_ref(),
        args.y_test.as_ref(),
    ];
    check_output(&args.out, &inputs.into_iter().flatten().collect::<Vec<_>>())?;
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
        test,
    };
    let sha256 = |path: &Option<PathBuf>| path.as_deref().map(file_sha256).transpose();
    let inputs = serde_json::json!({
        "x_sha256": file_sha256(&args.x)?,
        "y_sha256": file_sha256(&args.y)?,
        "groups_sha256": sha256(&args.groups)?,
        "test_sha256": [sha256(&args.x_test)?, sha256(&args.y_test)?],
        "coef": args.coef,
        "alphas": args.alphas.as_slice(),
        "alpha_per": format!("{:?}", args.alpha_per),
        "score": format!("{:?}", args.score),
        "delays": args.delays.as_ref().map(Delays::as_slice),
        "intercept": args.intercept,
        "solver": format!("{:?}", args.solver),
        "precision": args.precision.map(|precision| format!("{precision:?}")),
    });
    let out = args.out.clone();
    let settings = settings(args);
    announce(&data, &settings)?;
    let mut progress = Progress::new();
    let mut report = None;
    Provenance::new(command_line(), inputs).write_beside(&out, |out| {
        let done = fit_arrays(data, &settings, out, &mut |event| progress.on(event))?;
        report = Some(done);
        Ok::<(), BraintuneError>(())
    })?;
    drop(progress);
    if let Some(RidgeReport {
        n_voxels,
        error,
        precision,
        ..
    }) = report
    {
        say!(
            "fitted {n_voxels} voxels in {} precision, predictions within {:.0e} of the exact solution ({} voxels checked), wrote {}",
            if precision == Precision::Single {
                "single"
            } else {
                "double"
            },
            error.largest,
            error.n_voxels,
            out.display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

fn settings(args: Args) -> RidgeSettings {
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
        alpha_sharing: match args.alpha_per {
            AlphaPer::Voxel => AlphaSharing::PerVoxel,
            AlphaPer::All => AlphaSharing::OneForAll,
        },
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
    let params = settings.params(data.groups.as_deref())?;
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
