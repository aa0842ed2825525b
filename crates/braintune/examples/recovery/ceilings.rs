//! Noise ceilings estimated from the repeats of a test story against those that were put in.

use std::path::Path;

use braintune::encoding::{NoiseCeiling, TotalPower};
use braintune::fmri::{Ds003020, StoryDataset};
use braintune::simulation::SimulationConfig;
use ndarray::{Array2, Axis, stack};

use crate::{AnyError, dataset, header, line, mean};

const SEEDS: std::ops::Range<u64> = 1..4;

pub(crate) fn table(out: &Path) -> Result<(), AnyError> {
    header(&[
        "test story",
        "repeats",
        "mean error",
        "mean absolute error",
        "driven voxels",
    ]);
    for (minutes, n_repeats) in [(10, 5), (10, 10), (30, 10)] {
        let mut errors = Vec::new();
        for seed in SEEDS {
            let folder = out.join(format!("{minutes}-{n_repeats}-{seed}"));
            errors.extend(of_seed(seed, (minutes, n_repeats), &folder)?);
        }
        let sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
        line(&[
            format!("{minutes} min"),
            n_repeats.to_string(),
            format!("{:+.4}", mean(&errors)),
            format!("{:.4}", mean(&sizes)),
            errors.len().to_string(),
        ]);
    }
    Ok(())
}

/// Estimated less planted ceiling of each voxel that something drives.
fn of_seed(
    seed: u64,
    (minutes, n_repeats): (u32, usize),
    folder: &Path,
) -> Result<Vec<f64>, AnyError> {
    let config = SimulationConfig::default()
        .with_seed(seed)
        .with_n_train_stories(1)
        .with_story_s(60.0)
        .with_test_story_s(60.0 * f64::from(minutes))
        .with_n_repeats(n_repeats)
        .with_n_voxels(200)
        .with_single_ceiling(0.2..=0.8);
    let simulated = dataset(&config, folder)?;
    let opened = Ds003020::open(simulated.dataset_dir())?;
    let repeats = opened.repeats(simulated.subject(), simulated.test_story())?;
    let repeats: Vec<Array2<f32>> = repeats
        .into_iter()
        .map(braintune::fmri::Responses::into_bold)
        .collect();
    let views: Vec<_> = repeats.iter().map(Array2::view).collect();
    let all = stack(Axis(0), &views)?;
    let ceiling = NoiseCeiling::from_repeats(all.view(), TotalPower::Measured)?;
    let planted = simulated.participants()[0].noise_ceiling();
    let both = ceiling
        .cc_max()
        .into_iter()
        .zip(planted)
        .map(|(found, planted)| (found, f64::from(*planted)));
    let driven = both.filter(|(_, planted)| *planted > 0.0);
    Ok(driven.map(|(found, planted)| found - planted).collect())
}
