//! How well each voxel could be predicted at best, from responses to a story that was heard several times, and how near a
//! model comes to that.
//!
//! `cargo run -p examples --example noise_ceilings`
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::ops::ControlFlow::Continue;

use anyhow::bail;
use braintune::encode::{self, EncodeConfig, Outcome, Regions};
use braintune::encoding::{BlockBootstrap, NoiseCeiling, TotalPower, ceiling_intervals};
use braintune::encoding::{mean_of_repeats, split_half, stack_repeats, suggest_block_length};
use braintune::fmri::{LowLevelFeature, Responses, StoryDataset};
use braintune::lowlevel::grid_features;
use braintune::simulation::SimulationConfig;
use examples::Simulated;

#[cfg_attr(test, test)]
fn main() -> anyhow::Result<()> {
    let config = SimulationConfig::default()
        .with_n_repeats(8)
        .with_single_ceiling(0.3..=0.7);
    let simulated = Simulated::new(&config)?;
    let (dataset, truth) = (&simulated.dataset, &simulated.truth);

    let repeats = dataset.repeats(truth.subject(), truth.test_story())?;
    let views: Vec<_> = repeats.iter().map(Responses::bold).collect();
    let repeats = stack_repeats(&views)?; // [n_repeats, n_trs, n_voxels]
    let ceiling = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured)?.cc_max();
    let reliability = split_half(repeats.view(), 100, 1)?;
    let mean = mean_of_repeats(repeats.view());
    let bootstrap = BlockBootstrap {
        block_len: suggest_block_length(mean.view(), mean.view())?,
        n_boots: 500,
        level: 0.95,
        seed: 1,
    };
    let intervals = ceiling_intervals(repeats.view(), &bootstrap)?.cc_max;

    let planted = truth.participants()[0].noise_ceiling();
    let (mut n_driven, mut n_covered, mut error, mut apart) = (0.0, 0.0, 0.0, 0.0);
    for (voxel, planted) in planted.iter().copied().map(f64::from).enumerate() {
        if planted > 0.0 {
            let interval = intervals.low[voxel]..=intervals.high[voxel];
            n_driven += 1.0;
            n_covered += f64::from(u8::from(interval.contains(&planted)));
            error += ceiling[voxel] - planted;
            apart += (reliability[voxel].max(0.0).sqrt() - ceiling[voxel]).abs();
        }
    }
    let [covered, error, apart] = [n_covered, error, apart].map(|sum| sum / n_driven);
    println!(
        "mean error {error:.3}, interval holds {covered:.2}, root of split-half off by {apart:.3}"
    );
    assert!(error.abs() < 0.05 && covered > 0.85 && apart < 0.05);

    let config = EncodeConfig {
        regions: Regions::read(&truth.rois_path())?,
        ..EncodeConfig::new(truth.subject(), truth.test_stories().to_vec())?
    };
    let features = grid_features(vec![LowLevelFeature::Phonemes.into()])?;
    let out = simulated.folder.path().join("results");
    let outcome =
        encode::run_on_grid(dataset, features, &config, &out, &[], &mut |_| Continue(()))?;
    let Outcome::Computed(rows) = outcome else {
        bail!("a new folder has no results");
    };
    for row in &rows {
        println!(
            "{:<10} mean r {:.3}, r / ceiling {:.3?}",
            row.roi, row.mean_r, row.mean_r_normalized
        );
    }
    let phonetic = rows.iter().find(|row| row.roi == "phonetic");
    let near = phonetic.and_then(|row| row.mean_r_normalized);
    assert!(near > Some(0.5) && near > phonetic.map(|row| row.mean_r));
    Ok(())
}
