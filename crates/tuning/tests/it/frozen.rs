//! Outputs of frozen parts that are kept change nothing but the time.

use std::path::Path;

use braintune_tuning::{BrainTuner, MeanSquaredError, TuningConfig, TuningError};

use crate::shared::{batches, device, go_on, model, settings, weights};

fn frozen() -> TuningConfig {
    let mut config = settings(3);
    config.evaluate_every = Some(2);
    config
}

fn run(config: &TuningConfig, cache: Option<(&Path, &str)>) -> Vec<(String, String)> {
    let mut model = model(config);
    if let Some((folder, identity)) = cache {
        model = model
            .with_frozen_cache(folder, identity.to_owned())
            .unwrap();
    }
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let (train, validation) = (batches(3, 1), batches(2, 2));
    let result = tuner.fit(model, &train, Some(&validation), &device(), &mut go_on);
    weights(&result.unwrap().model)
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn runs_with_and_without_a_cache_end_with_the_same_bits() {
    let config = frozen();
    let dir = tempfile::tempdir().unwrap();
    let plain = run(&config, None);
    assert_eq!(run(&config, Some((dir.path(), "a"))), plain);
    // One entry for each training and validation batch.
    let kept = files(dir.path());
    assert_eq!(kept.len(), 5);
    assert_eq!(run(&config, Some((dir.path(), "a"))), plain);
    // A damaged entry is made again, and one of which a single bit is another; that of another batch is what is read.
    let whole = std::fs::read(&kept[0]).unwrap();
    std::fs::write(&kept[0], b"no tensors").unwrap();
    assert_eq!(run(&config, Some((dir.path(), "a"))), plain);
    assert!(std::fs::read(&kept[0]).unwrap() == whole);
    let mut bytes = whole.clone();
    let n = bytes.len();
    bytes[n - 400] ^= 1;
    std::fs::write(&kept[0], bytes).unwrap();
    assert_eq!(run(&config, Some((dir.path(), "a"))), plain);
    assert!(std::fs::read(&kept[0]).unwrap() == whole);
    for (to, from) in kept.iter().zip(kept.iter().skip(1)) {
        if std::fs::metadata(from).unwrap().len() == whole.len() as u64 {
            std::fs::copy(from, to).unwrap();
        }
    }
    assert_ne!(run(&config, Some((dir.path(), "a"))), plain);
    // Other weights and other parts have entries of their own.
    assert_eq!(run(&config, Some((dir.path(), "b"))), plain);
    assert_eq!(files(dir.path()).len(), 10);
    let mut deeper = config.clone();
    deeper.freeze = vec!["all".to_owned()];
    run(&deeper, Some((dir.path(), "b")));
    assert_eq!(files(dir.path()).len(), 15);
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_cache_alone() {
    let config = frozen();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("cache");
    let cached = model(&config)
        .with_frozen_cache(&folder, "a".to_owned())
        .unwrap();
    std::fs::remove_dir(&folder).unwrap();
    let tuner = BrainTuner::new(config.clone(), MeanSquaredError).unwrap();
    let train = batches(3, 1);
    let result = tuner.fit(cached, &train, Some(&batches(2, 2)), &device(), &mut go_on);
    assert_eq!(weights(&result.unwrap().model), run(&config, None));
}

#[test]
fn a_model_that_is_tuned_from_its_beginning_has_nothing_to_keep() {
    let mut config = frozen();
    config.freeze = Vec::new();
    let dir = tempfile::tempdir().unwrap();
    let found = model(&config).with_frozen_cache(dir.path(), "a".to_owned());
    assert!(matches!(found, Err(TuningError::Empty { .. })));
}
