//! How well each layer of a speech model predicts each region of a participant, on a story that nothing was fitted on.
//!
//! `cargo run -p examples --example encode_story`
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::ops::ControlFlow::Continue;

use anyhow::bail;
use braintune::Folders;
use braintune::backbone::{PretrainedModel, WindowFeature, Windows};
use braintune::encode::{self, EncodeConfig, ModelFeatures, Outcome, Regions};
use braintune::simulation::SimulationConfig;
use burn::tensor::Device;
use examples::Simulated;

#[cfg_attr(test, test)]
fn main() -> anyhow::Result<()> {
    let simulated = Simulated::new(&SimulationConfig::default())?;
    let (folder, truth) = (simulated.folder.path(), &simulated.truth);

    // For each TR of 2 s, what the model makes of its sound after hearing the 8 s that end with it.
    let windows = Windows::new(8.0, 2.0)?.with_feature(WindowFeature::StrideMean);
    let model = PretrainedModel::load(&simulated.tiny_hubert()?, Device::flex())?;
    let model = ModelFeatures::windowed("tiny-hubert", model, windows)?;

    let test = vec![truth.test_story().to_owned()];
    let config = EncodeConfig {
        regions: Regions::read(&truth.rois_path())?,
        ..EncodeConfig::new(truth.subject(), test)?
    };
    let (cache, out) = (folder.join("cache"), folder.join("results"));
    let command: Vec<String> = std::env::args().collect();
    let outcome = encode::run(
        &simulated.dataset,
        model,
        &config,
        Folders {
            cache: &cache,
            out: &out,
        },
        &command,
        &mut |_| Continue(()),
    )?;
    let Outcome::Computed(rows) = outcome else {
        bail!("results were there before: {}", out.display());
    };

    println!("layer  region      mean r  r / ceiling  q");
    for row in rows.iter().filter(|row| row.roi != "all") {
        println!(
            "{:>5}  {:<10}  {:>6.3}  {:>11.3}  {:.3}",
            row.layer,
            row.roi,
            row.mean_r,
            row.mean_r_normalized.unwrap_or(f64::NAN),
            row.q_value.unwrap_or(f64::NAN),
        );
    }
    let of = |roi: &'static str| rows.iter().filter(move |row| row.roi == roi);
    for layer in of("phonetic") {
        assert!(
            layer.mean_r > 0.3 && layer.q_value < Some(0.05),
            "{layer:?}"
        );
    }
    for layer in of("noise") {
        assert!(layer.mean_r.abs() < 0.15, "nothing drives it: {layer:?}");
    }
    assert!(out.join("alignment.csv").exists() && out.join("voxels.npz").exists());
    Ok(())
}
