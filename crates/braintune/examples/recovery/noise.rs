//! With noise only: how often a run calls anything significant.
//!
//! Every participant has voxels of autocorrelated noise in the same regions; each is encoded with all layers of the
//! small backbone, and a run rejects if any q value of its table is below 0.05. Under the global null that is the
//! chance of one false call or more, at most 5 %.

use std::ops::ControlFlow;
use std::path::Path;

use braintune::Folders;
use braintune::backbone::PretrainedModel;
use braintune::backbone::{WindowFeature, Windows};
use braintune::encode::{self, EncodeConfig, ModelFeatures, Regions};
use braintune::encoding::Alphas;
use braintune::fmri::{Ds003020, Trim};
use braintune::simulation::{SimulationConfig, write_tiny_hubert};
use burn::tensor::Device;

use crate::{AnyError, dataset, header, line};

const SEEDS: std::ops::Range<u64> = 1..5;
const N_PARTICIPANTS: usize = 99;
/// Nothing of a response follows the story.
const NONE: f64 = 1e-6;

pub(crate) fn table(out: &Path) -> Result<(), AnyError> {
    let model = out.join("model");
    write_tiny_hubert(&model)?;
    let (mut n_runs, mut n_any, mut n_rows, mut n_low) = (0_usize, 0, 0, 0);
    for seed in SEEDS {
        for q_values in of_seed(seed, &model, &out.join(seed.to_string()))? {
            n_runs += 1;
            n_any += usize::from(q_values.iter().any(|q| *q < 0.05));
            n_rows += q_values.len();
            n_low += q_values.iter().filter(|q| **q < 0.05).count();
        }
    }
    let share = n_any as f64 / n_runs as f64;
    let error = (0.05 * 0.95 / n_runs as f64).sqrt();
    header(&[
        "runs",
        "with any q < 0.05",
        "share",
        "nominal, with its Monte Carlo error",
        "rows of tables",
        "rejected",
    ]);
    line(&[
        n_runs.to_string(),
        n_any.to_string(),
        format!("{:.1} %", 100.0 * share),
        format!("5 % ± {:.1} %", 100.0 * error),
        n_rows.to_string(),
        n_low.to_string(),
    ]);
    Ok(())
}

/// q values of the table of each participant.
fn of_seed(seed: u64, model: &Path, folder: &Path) -> Result<Vec<Vec<f64>>, AnyError> {
    let config = SimulationConfig::default()
        .with_seed(seed)
        .with_n_participants(N_PARTICIPANTS)
        .with_n_train_stories(4)
        .with_n_test_stories(2)
        .with_story_s(120.0)
        .with_test_story_s(120.0)
        .with_n_repeats(1)
        .with_n_voxels(40)
        .with_single_ceiling(NONE..=NONE);
    let simulated = dataset(&config, &folder.join("dataset"))?;
    let opened = Ds003020::open(simulated.dataset_dir())?;
    let windows = Windows::new(8.0, 2.0)?.with_feature(WindowFeature::StrideMean);
    let cache = folder.join("cache");
    let mut found = Vec::new();
    for participant in simulated.participants() {
        let loaded = PretrainedModel::load(model, Device::flex())?;
        let features = ModelFeatures::windowed("tiny-hubert", loaded, windows)?;
        let config = EncodeConfig {
            regions: Regions::read(&simulated.rois_path())?,
            alphas: Alphas::logspace(0.0, 5.0, 6)?,
            test_trim: Trim::new(10, 5),
            n_permutations: 500,
            n_bootstraps: 0,
            ..EncodeConfig::new(participant.subject(), simulated.test_stories().to_vec())?
        };
        let out = folder.join(participant.subject());
        let mut go_on = |_: braintune::Event<'_>| ControlFlow::Continue(());
        encode::run(
            &opened,
            features,
            &config,
            Folders {
                cache: &cache,
                out: &out,
            },
            &[],
            &mut go_on,
        )?;
        let mut table = csv::Reader::from_path(out.join("alignment.csv"))?;
        let q_value = |row: csv::Result<std::collections::HashMap<String, String>>| {
            Ok(row?["q_value"].parse::<f64>()?)
        };
        found.push(
            table
                .deserialize()
                .map(q_value)
                .collect::<Result<Vec<f64>, AnyError>>()?,
        );
    }
    Ok(found)
}
