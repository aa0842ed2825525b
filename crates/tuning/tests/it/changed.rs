//! Audio or responses that changed since a run read them: it does not go on.

use std::ops::ControlFlow;
use std::path::Path;

use braintune_audio::SampleRate;
use braintune_fmri::{InMemoryDataset, Story, StoryTiming, Trim};
use braintune_tuning::{
    BrainTuner, MeanSquaredError, Result, StoryBatches, TunedSubject, TuningConfig, TuningData,
    TuningError, TuningEvent,
};
use ndarray::Array2;

use crate::shared::{N_VOXELS, device, model, settings};
use crate::stories::wav;

const STORIES: [&str; 2] = ["early", "late"];
const N_TRS: usize = 8;

/// Two stories of 16 s, `value` at one place of the responses to one of them.
fn dataset(dir: &Path, (story, row, voxel, value): (&str, usize, usize, f32)) -> InMemoryDataset {
    let mut dataset = InMemoryDataset::new("test");
    dataset = dataset.with_default_trims(Trim::new(0, 0), Trim::new(0, 0));
    for name in STORIES {
        let path = dir.join(format!("{name}.wav"));
        if !path.exists() {
            wav(&path, 16_000 * 16);
        }
        let timing = StoryTiming::new(N_TRS, 2.0, 1.0, 0..N_TRS).unwrap();
        let found = Story::new(name).with_audio(&path);
        dataset.add_story(found, timing).unwrap();
        // One voxel more than is learnt.
        let shape = (N_TRS, N_VOXELS + 1);
        let mut bold = Array2::from_shape_fn(shape, |(i, j)| ((i + 2 * j) as f32).sin());
        if name == story {
            bold[(row, voxel)] = value;
        }
        dataset.add_responses("S", name, bold).unwrap();
    }
    dataset
}

fn config() -> TuningConfig {
    let mut config = settings(2);
    (config.clip_s, config.batch_size, config.checkpoint_every) = (0.1, 4, 1);
    config
}

fn batches<'a>(dataset: &'a InMemoryDataset, stories: &[&str]) -> StoryBatches<'a> {
    let mut mask = vec![true; N_VOXELS + 1];
    mask[N_VOXELS] = false;
    let subject = TunedSubject {
        name: "S".to_owned(),
        mask: Some(mask),
    };
    let stories: Vec<String> = stories.iter().map(|&story| story.to_owned()).collect();
    let rate = SampleRate::from_hz(16_000).unwrap();
    StoryBatches::new(dataset, vec![subject], &stories, rate, &config()).unwrap()
}

/// Runs until `last` steps are made.
fn fit(state: &Path, dataset: &InMemoryDataset, last: usize) -> Result<usize> {
    let tuner = BrainTuner::new(config(), MeanSquaredError)?.with_state(state, true);
    let train = batches(dataset, &STORIES);
    let on = &mut |event| match event {
        TuningEvent::Step(step) if step.step == last => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let result = tuner.fit(model(&config()), &train, None, &device(), on)?;
    Ok(result.n_steps)
}

#[test]
fn responses_that_changed_are_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let same = dataset(dir.path(), ("none", 0, 0, 0.0));
    assert_eq!(fit(&state, &same, 3).unwrap(), 3);

    let other = dataset(dir.path(), ("late", 7, 2, 0.5));
    let error = fit(&state, &other, 99).unwrap_err();
    assert!(matches!(error, TuningError::OtherRun { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("responses of S to late"), "{text}");
    assert!(!text.contains("early"), "{text}");

    // A voxel that is not learnt may change.
    let unlearnt = dataset(dir.path(), ("late", 7, N_VOXELS, 0.5));
    assert_eq!(fit(&state, &unlearnt, 99).unwrap(), 8);
}

#[test]
fn audio_that_changed_is_refused_though_its_size_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let data = dataset(dir.path(), ("none", 0, 0, 0.0));
    fit(&state, &data, 3).unwrap();
    for story in STORIES {
        let path = dir.path().join(format!("{story}.wav"));
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let error = fit(&state, &data, 99).unwrap_err().to_string();
    for story in STORIES {
        assert!(error.contains(&format!("audio of {story}")), "{error}");
    }
}

#[test]
fn what_was_not_read_yet_may_change() {
    let dir = tempfile::tempdir().unwrap();
    let data = dataset(dir.path(), ("none", 0, 0, 0.0));
    let read = batches(&data, &STORIES);
    read.batch(0, 0).unwrap();
    assert_eq!(
        read.digests().len(),
        2,
        "audio and responses of the first story"
    );
    let later = dataset(dir.path(), ("late", 0, 0, 0.5));
    let later = batches(&later, &STORIES);
    assert_eq!(
        later.changed(&read.digests()).unwrap(),
        Vec::<String>::new()
    );
    later.batch(0, 2).unwrap();
    read.batch(0, 2).unwrap();
    assert_eq!(later.changed(&read.digests()).unwrap().len(), 1);
}

#[test]
fn a_file_that_is_written_while_the_run_goes_on_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    let data = dataset(dir.path(), ("none", 0, 0, 0.0));
    let read = batches(&data, &STORIES);
    read.batch(0, 0).unwrap();
    read.batch(0, 2).unwrap();
    wav(&dir.path().join("early.wav"), 16_000 * 16 - 1);
    let error = read.batch(1, 0).unwrap_err().to_string();
    assert!(
        error.contains("audio of early") && error.contains("while"),
        "{error}"
    );
}
