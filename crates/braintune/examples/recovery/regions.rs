//! Which feature drives which region: encoding models of five feature spaces, one at a time.
//!
//! In the region that a feature drives, its space has the highest r / ceiling; where nothing drives, none has any.

use std::ops::ControlFlow;
use std::path::Path;

use braintune::encode::{self, EncodeConfig, GridFeatures, GridStory, Regions};
use braintune::encoding::Alphas;
use braintune::fmri::{Ds003020, Trim, read_textgrid};
use braintune::lowlevel::{LowLevelSpace, grid_features};
use braintune::probing::WordClasses;
use braintune::simulation::{SimulatedDataset, SimulationConfig};
use ndarray::Array2;

use crate::{AnyError, dataset, header, line, mean};

const SEEDS: std::ops::Range<u64> = 1..4;
const SOUND: [&str; 4] = ["power-spectrum", "mfcc", "energy", "phonemes"];
const REGIONS: [&str; 5] = ["auditory", "envelope", "phonetic", "semantic", "noise"];

pub(crate) fn table(out: &Path) -> Result<(), AnyError> {
    let mut found: Vec<Vec<[f64; 2]>> = Vec::new();
    for seed in SEEDS {
        found.push(of_seed(seed, &out.join(seed.to_string()))?.concat());
    }
    let mut names = vec!["region (seeds 1 to 3: mean r / ceiling; `noise`: mean r)"];
    names.extend(SOUND);
    names.push("meaning");
    header(&names);
    for (row, region) in REGIONS.iter().enumerate() {
        let cell = |space: usize| {
            let of = |seed: &Vec<[f64; 2]>| seed[space * REGIONS.len() + row];
            let values: Vec<f64> = found
                .iter()
                .map(|seed| of(seed)[usize::from(*region == "noise")])
                .collect();
            format!("{:.2}", mean(&values))
        };
        let mut cells = vec![(*region).to_owned()];
        cells.extend((0..=SOUND.len()).map(cell));
        line(&cells);
    }
    Ok(())
}

/// r / ceiling and r of each region, for each space.
fn of_seed(seed: u64, folder: &Path) -> Result<Vec<Vec<[f64; 2]>>, AnyError> {
    let config = SimulationConfig::default()
        .with_seed(seed)
        .with_n_train_stories(10)
        .with_n_test_stories(2)
        .with_story_s(300.0)
        .with_test_story_s(300.0)
        .with_n_voxels(100);
    let simulated = dataset(&config, &folder.join("dataset"))?;
    let spaces = SOUND.map(str::parse::<LowLevelSpace>);
    let spaces = spaces.into_iter().collect::<Result<Vec<_>, _>>()?;
    let n_sound = spaces.len();
    let mut rows = encoded(
        &simulated,
        grid_features(spaces)?,
        (n_sound, &folder.join("sound")),
    )?;
    let classes = WordClasses::read(&simulated.word_classes_path())?;
    let meaning = GridFeatures::new(vec!["meaning".to_owned()], "meaning", |story| {
        Ok(vec![shares(story, &classes)?])
    })?;
    rows.extend(encoded(&simulated, meaning, (1, &folder.join("meaning")))?);
    Ok(rows)
}

fn encoded(
    simulated: &SimulatedDataset,
    features: GridFeatures<'_>,
    (n_spaces, out): (usize, &Path),
) -> Result<Vec<Vec<[f64; 2]>>, AnyError> {
    let opened = Ds003020::open(simulated.dataset_dir())?;
    let config = EncodeConfig {
        regions: Regions::read(&simulated.rois_path())?,
        alphas: Alphas::logspace(-1.0, 4.0, 11)?,
        test_trim: Trim::new(10, 5),
        n_permutations: 0,
        n_bootstraps: 0,
        ..EncodeConfig::new(simulated.subject(), simulated.test_stories().to_vec())?
    };
    let mut go_on = |_: braintune::Event<'_>| ControlFlow::Continue(());
    encode::run_on_grid(&opened, features, &config, out, &[], &mut go_on)?;
    let mut table = csv::Reader::from_path(out.join("alignment.csv"))?;
    let mut rows = vec![vec![[0.0; 2]; REGIONS.len()]; n_spaces];
    for row in table.deserialize() {
        let row: std::collections::HashMap<String, String> = row?;
        let Some(region) = REGIONS.iter().position(|region| *region == row["roi"]) else {
            continue;
        };
        let layer: usize = row["layer"].parse()?;
        let normalized = row["mean_r_normalized"].parse().unwrap_or(f64::NAN);
        rows[layer][region] = [normalized, row["mean_r"].parse()?];
    }
    Ok(rows)
}

/// The share of each TR in which a word of each class is said, `[n_trs, n_classes]`.
fn shares(story: &GridStory<'_>, classes: &WordClasses) -> braintune::Result<Array2<f32>> {
    let missing = || braintune::BraintuneError::Input("a story without TextGrid".to_owned());
    let labels = read_textgrid(story.story.textgrid().ok_or_else(missing)?)?;
    let (times, tr_s) = (story.timing.tr_times(), story.timing.tr_s());
    let mut found = Array2::zeros((times.len(), classes.names().len()));
    for word in labels
        .tiers
        .iter()
        .filter(|tier| tier.name == "word")
        .flat_map(|tier| &tier.intervals)
    {
        let Some(class) = classes.of(&word.text) else {
            continue;
        };
        for (tr, middle_s) in times.iter().enumerate() {
            let from = word.start_s.max(middle_s - 0.5 * tr_s);
            let to = word.end_s.min(middle_s + 0.5 * tr_s);
            #[allow(clippy::cast_possible_truncation)] // features are f32
            let share = ((to - from).max(0.0) / tr_s) as f32;
            found[[tr, class]] += share;
        }
    }
    Ok(found)
}
