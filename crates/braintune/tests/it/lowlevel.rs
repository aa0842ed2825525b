//! Feature spaces on the grid of TRs through `encode`, on a simulated participant.

use std::path::Path;

use braintune::audio::load_audio;
use braintune::backbone::{FeatureExtractor, PretrainedModel, Windows};
use braintune::encode::{self, EncodeConfig, GridFeatures, GridStory, Outcome, Regions};
use braintune::encoding::low_level_impact;
use braintune::fmri::{Ds003020, Lanczos};
use braintune::lowlevel::{LowLevelSpace, grid_features};
use burn::tensor::Device;

use crate::simulated::{config, correlations, go_on, means, participant, run};

fn on_grid(folder: &Path, features: GridFeatures<'_>, config: &EncodeConfig) -> Outcome {
    let dataset = Ds003020::open(&folder.join("dataset")).unwrap();
    let out = folder.join("grid/out");
    encode::run_on_grid(&dataset, features, config, &out, &[], &mut go_on).unwrap()
}

#[test]
fn layers_that_come_on_the_grid_are_encoded_as_the_model_is() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(&participant(folder.path()));
    let of_model = means(run(folder.path(), &config, &mut go_on).unwrap());
    let r = correlations(folder.path());
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../backbone/tests/fixtures/whisper-micro");
    let model = PretrainedModel::load(&model, Device::flex()).unwrap();
    let extractor = model.into_windowed(Windows::new(4.0, 2.0).unwrap());
    let make = |story: &GridStory<'_>| {
        let features = extractor.extract(&load_audio(story.story.require_audio()?)?)?;
        let (times, trs) = (features.times(), story.timing.tr_times().to_vec());
        let lanczos = Lanczos::between(times, &trs)?;
        let layers = features.layers().iter();
        let layers = layers.map(|layer| lanczos.resample(layer.view(), times, &trs));
        Ok(layers.collect::<Result<_, _>>()?)
    };
    let names = ["in", "one", "two"].map(str::to_owned).to_vec();
    let features = GridFeatures::new(names, "whisper-micro", make).unwrap();
    assert_eq!(means(on_grid(folder.path(), features, &config)), of_model);
    assert_eq!(correlations(&folder.path().join("grid")), r);
    let table = std::fs::read_to_string(folder.path().join("grid/out/alignment.csv")).unwrap();
    for row in ["SIM01,in,0,all,", "SIM01,one,1,all,", "SIM01,two,2,all,"] {
        assert!(table.contains(row), "{table}");
    }
}

#[test]
fn baselines_predict_what_follows_the_sound_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let participant = participant(folder.path());
    let config = EncodeConfig {
        regions: Regions::read(&participant.rois_path()).unwrap(),
        ..config(&participant)
    };
    let baselines = || grid_features(LowLevelSpace::baselines()).unwrap();
    let rows = means(on_grid(folder.path(), baselines(), &config));
    let found = |layer, roi: &str| {
        rows.iter()
            .find(|row| row.layer == layer && row.roi == roi)
            .unwrap()
    };
    for roi in ["auditory", "envelope"] {
        let acoustic = found(0, roi);
        assert!(
            acoustic.mean_r > 0.3 && acoustic.q_value.unwrap() < 0.05,
            "{acoustic:?}"
        );
    }
    for layer in [0, 1] {
        assert!(found(layer, "noise").q_value.unwrap() > 0.05);
    }
    // Nothing is left to do, until the labels are others.
    assert_eq!(
        on_grid(folder.path(), baselines(), &config),
        Outcome::AlreadyDone
    );
    let labels = folder.path().join("dataset/derivative/TextGrids");
    let labels = labels.join(format!("{}.TextGrid", participant.test_story()));
    let text = std::fs::read_to_string(&labels).unwrap();
    std::fs::write(&labels, format!("{text}\n")).unwrap();
    let again = on_grid(folder.path(), baselines(), &config);
    assert_eq!(means(again), rows);
}

#[test]
fn what_follows_the_sound_goes_with_the_acoustics_of_a_layer() {
    let folder = tempfile::tempdir().unwrap();
    let participant = participant(folder.path());
    let full = EncodeConfig {
        regions: Regions::read(&participant.rois_path()).unwrap(),
        n_permutations: 0,
        n_bootstraps: 0,
        ..config(&participant)
    };
    let less = EncodeConfig {
        remove: Some(LowLevelSpace::acoustic()),
        ..full.clone()
    };
    let full = means(run(folder.path(), &full, &mut go_on).unwrap());
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    let less = means(run(folder.path(), &less, &mut go_on).unwrap());
    for (full, less) in full
        .iter()
        .zip(&less)
        .filter(|(row, _)| row.roi == "auditory")
    {
        let impact = low_level_impact(full.mean_r, less.mean_r);
        assert!(
            impact > 15.0,
            "layer {}: {} {}",
            full.layer,
            full.mean_r,
            less.mean_r
        );
    }
}

#[test]
fn names_are_checked() {
    for (text, part) in [
        ("loudness", "acoustic, power-spectrum"),
        ("mfcc+mfcc", "twice"),
        ("acoustic+energy", "energy"),
        ("", "low-level feature"),
    ] {
        let refused = text.parse::<LowLevelSpace>().unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
    let twice = vec![LowLevelSpace::acoustic(), LowLevelSpace::acoustic()];
    assert!(grid_features(twice).is_err() && grid_features(vec![]).is_err());
}
