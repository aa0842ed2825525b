//! `braintune ridge`: cross-validated ridge over `.npy` arrays.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use braintune::arrays::{read_labels, read_matrix};
use braintune::encoding::{Alphas, CvScore, Delays, Solver};
use braintune::provenance::{Provenance, sha256_hex, values_sha256};
use braintune::ridge::{NamedMatrix, RidgeData, RidgeSettings, fit_arrays};
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
    let test = match (&args.x_test, &args.y_test) {
        (Some(x), Some(y)) => Some((read(x)?, read(y)?)),
        _ => None,
    };
    let data = RidgeData {
        x: read(&args.x)?,
        y: read(&args.y)?,
        groups: args.groups.as_deref().map(read_labels).transpose()?,
        test,
    };
    let inputs = serde_json::json!({
        "x_f32_sha256": values_sha256(data.x.values.view()),
        "y_f32_sha256": values_sha256(data.y.values.view()),
        "groups_sha256": data.groups.as_ref().map(|groups| sha256_hex(format!("{groups:?}").as_bytes())),
        "test_f32_sha256": data.test.as_ref().map(|(x, y)| [values_sha256(x.values.view()), values_sha256(y.values.view())]),
        "coef": args.coef,
        "alphas": args.alphas.as_slice(),
        "score": format!("{:?}", args.score),
        "delays": args.delays.as_ref().map(Delays::as_slice),
        "intercept": args.intercept,
        "solver": format!("{:?}", args.solver),
    });
    let settings = RidgeSettings {
        alphas: args.alphas,
        score: args.score.into(),
        solver: match args.solver {
            SolverChoice::Auto => Solver::Auto,
            SolverChoice::Primal => Solver::Primal,
            SolverChoice::Dual => Solver::Dual,
        },
        intercept: args.intercept,
        delays: args.delays,
        coef: args.coef,
    };
    let n_voxels = data.y.values.ncols();
    let mut progress = Progress::new();
    Provenance::new(command_line(), inputs).write_beside(&args.out, |out| {
        fit_arrays(data, &settings, out, &mut |event| progress.on(event))
    })?;
    drop(progress);
    say!("fitted {n_voxels} voxels, wrote {}", args.out.display());
    Ok(ExitCode::SUCCESS)
}

/// A matrix under the name of its file.
fn read(path: &Path) -> anyhow::Result<NamedMatrix> {
    Ok(NamedMatrix {
        name: path.display().to_string(),
        values: read_matrix(path)?,
    })
}
