//! Clips and responses of stories, and what is wrong with them.

use std::path::Path;

use braintune_audio::SampleRate;
use braintune_fmri::{InMemoryDataset, Story, StoryTiming, Trim};
use braintune_tuning::{
    HeadSharing, StoryBatches, TunedSubject, TuningConfig, TuningData, TuningError,
};
use ndarray::Array2;

/// 30 TRs of 2 s, the first centred 9 s before the sound; rows 10 to 24 are stored.
const N_STORED: usize = 15;
const N_SAMPLES: usize = 16_000 * 48;

pub(crate) fn wav(path: &Path, n_samples: usize) {
    let mut bytes = Vec::new();
    let n_data = u32::try_from(2 * n_samples).unwrap();
    bytes.extend(b"RIFF");
    bytes.extend((36 + n_data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    for value in [1_u16, 1] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(16_000_u32.to_le_bytes());
    bytes.extend(32_000_u32.to_le_bytes());
    for value in [2_u16, 16] {
        bytes.extend(value.to_le_bytes());
    }
    bytes.extend(b"data");
    bytes.extend(n_data.to_le_bytes());
    // Sample `i` tells its second.
    bytes.extend((0..n_samples).flat_map(|i| i16::try_from(i / 16_000 + 1).unwrap().to_le_bytes()));
    std::fs::write(path, bytes).unwrap();
}

fn dataset(dir: &Path) -> InMemoryDataset {
    let mut dataset = InMemoryDataset::new("test");
    let timing = StoryTiming::new(30, 2.0, -9.0, 10..25).unwrap();
    let trim = Trim::new(10, 5);
    dataset = dataset.with_default_trims(trim, trim);
    for story in ["a", "b"] {
        let path = dir.join(format!("{story}.wav"));
        wav(&path, N_SAMPLES);
        dataset
            .add_story(Story::new(story).with_audio(&path), timing.clone())
            .unwrap();
    }
    let bold = |scale: f32, n| {
        Array2::from_shape_fn((N_STORED, n), |(i, j)| scale * (i as f32 + 0.1 * j as f32))
    };
    for (subject, n) in [("S1", 4), ("S2", 3)] {
        dataset.add_responses(subject, "a", bold(1.0, n)).unwrap();
    }
    dataset.add_responses("S1", "b", bold(-1.0, 4)).unwrap();
    dataset
}

fn subject(name: &str, mask: Option<&[bool]>) -> TunedSubject {
    TunedSubject {
        name: name.to_owned(),
        mask: mask.map(<[bool]>::to_vec),
    }
}

fn config() -> TuningConfig {
    let mut config = TuningConfig::default();
    config.batch_size = 10;
    config
}

fn names(stories: &[&str]) -> Vec<String> {
    stories.iter().map(|&story| story.to_owned()).collect()
}

#[test]
fn a_clip_ends_with_its_tr_and_subjects_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = dataset(dir.path());
    let subjects = vec![
        subject("S1", Some(&[true, false, true, false])),
        subject("S2", None),
    ];
    let data = StoryBatches::new(
        &dataset,
        subjects,
        &names(&["a", "b"]),
        SampleRate::SPEECH,
        &config(),
    )
    .unwrap();
    assert_eq!(data.n_voxels(), [2, 3]);
    assert_eq!(data.n_batches(), 6);
    let all: Vec<_> = (0..6).map(|i| data.batch(0, i).unwrap()).collect();
    let recordings: Vec<&str> = all.iter().map(|batch| batch.recording.as_str()).collect();
    assert_eq!(recordings, ["S1/a", "S2/a", "S1/a", "S2/a", "S1/b", "S1/b"]);
    assert_eq!(
        all.iter().map(|b| b.samples.nrows()).collect::<Vec<_>>(),
        [10, 10, 5, 5, 10, 5]
    );
    assert_eq!(all[0].bold.row(3).to_vec(), [3.0, 3.2]);
    // TR 10 covers 10 to 12 s: the clip is seconds 2 to 12, of which sample i tells second i + 1.
    let clip = all[0].samples.row(0);
    let second = |i: usize| (clip[16_000 * i + 8_000] * 32_768.0).round();
    assert_eq!(
        (0..10).map(second).collect::<Vec<_>>(),
        (3_u8..=12).map(f32::from).collect::<Vec<_>>()
    );
    assert_eq!(clip.len(), 160_000);
}

#[test]
fn stories_are_shuffled_by_seed_and_epoch_only_if_asked() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = dataset(dir.path());
    let order = |shuffle: bool, seed: u64, epoch| {
        let mut config = config();
        (config.shuffle_stories, config.seed) = (shuffle, seed);
        let data = StoryBatches::new(
            &dataset,
            vec![subject("S1", None)],
            &names(&["a", "b"]),
            SampleRate::SPEECH,
            &config,
        )
        .unwrap();
        (0..4)
            .map(|i| data.batch(epoch, i).unwrap().recording)
            .collect::<Vec<_>>()
    };
    assert!((0..8).all(|epoch| order(false, 1, epoch) == order(false, 2, 0)));
    let orders: Vec<_> = (0..8).map(|epoch| order(true, 1, epoch)).collect();
    assert_eq!(
        orders,
        (0..8)
            .map(|epoch| order(true, 1, epoch))
            .collect::<Vec<_>>()
    );
    assert!(orders.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn what_does_not_fit_is_said_with_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let mut dataset = dataset(dir.path());
    let new = |dataset: &InMemoryDataset, subjects: Vec<TunedSubject>, stories: &[&str], heads| {
        let mut config = config();
        config.heads = heads;
        StoryBatches::new(
            dataset,
            subjects,
            &names(stories),
            SampleRate::SPEECH,
            &config,
        )
        .map(|_| ())
        .unwrap_err()
        .to_string()
    };
    let own = HeadSharing::PerSubject;
    let error = new(&dataset, vec![subject("S1", Some(&[true; 3]))], &["a"], own);
    assert!(
        error.contains("have 4 voxels") && error.contains("mask has 3"),
        "{error}"
    );
    let error = new(
        &dataset,
        vec![subject("S1", Some(&[false; 4]))],
        &["a"],
        own,
    );
    assert!(error.contains("no voxel of S1"), "{error}");
    let error = new(
        &dataset,
        vec![subject("S1", None), subject("S2", None)],
        &["a"],
        HeadSharing::Shared,
    );
    assert!(error.contains("4 and 3"), "{error}");
    assert!(
        new(&dataset, vec![subject("S2", None)], &["b"], own).contains("S2")
            || new(&dataset, vec![subject("S2", None)], &["b"], own).contains("no subject")
    );
    assert!(new(&dataset, vec![subject("S9", None)], &["a"], own).contains("S9"));
    assert!(new(&dataset, vec![subject("S1", None)], &["z"], own).contains('z'));
    let mut bold = Array2::zeros((N_STORED, 4));
    bold[(7, 2)] = f32::NAN;
    dataset.add_responses("S1", "a", bold).unwrap();
    let batch = |mask: Option<&[bool]>, nan_to_zero| {
        let mut config = config();
        config.nan_to_zero = nan_to_zero;
        let data = StoryBatches::new(
            &dataset,
            vec![subject("S1", mask)],
            &names(&["a"]),
            SampleRate::SPEECH,
            &config,
        )
        .unwrap();
        data.batch(0, 0)
    };
    let error = batch(None, false).unwrap_err();
    let error = error.downcast::<TuningError>().unwrap();
    assert!(
        matches!(
            *error,
            TuningError::NotFinite {
                n_bad: 1,
                row: 7,
                voxel: 2,
                ..
            }
        ),
        "{error}"
    );
    assert!(batch(Some(&[true, true, false, true]), false).is_ok());
    assert!(batch(None, true).is_ok());
}

#[test]
fn one_head_for_all_has_one_mask_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let mut dataset = dataset(dir.path());
    dataset
        .add_responses("S3", "a", Array2::zeros((N_STORED, 4)))
        .unwrap();
    let mut config = config();
    config.heads = HeadSharing::Shared;
    let new = |masks: [&[bool]; 2]| {
        let subjects = vec![subject("S1", Some(masks[0])), subject("S3", Some(masks[1]))];
        let stories = names(&["a"]);
        StoryBatches::new(&dataset, subjects, &stories, SampleRate::SPEECH, &config)
            .map(|batches| batches.n_voxels().to_vec())
    };
    let (first, second) = ([true, true, false, false], [false, false, true, true]);
    assert_eq!(new([&first, &first]).unwrap(), [2]);
    let error = new([&first, &second]).unwrap_err().to_string();
    assert!(error.contains("masks of S1 and S3 differ"), "{error}");
}

#[test]
fn audio_of_another_length_is_an_error_with_both_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let dataset = dataset(dir.path());
    wav(&dir.path().join("a.wav"), 16_000 * 5);
    let error = StoryBatches::new(
        &dataset,
        vec![subject("S1", None)],
        &names(&["a"]),
        SampleRate::SPEECH,
        &config(),
    )
    .unwrap_err()
    .to_string();
    assert!(
        error.contains("story a") && error.contains("5.0 s"),
        "{error}"
    );
}
