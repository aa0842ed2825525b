//! `encode` of what low-level features leave of a layer, against `fixtures/residual-encode/generate.py` (`NumPy`,
//! scikit-learn).

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune::audio::{SampleRate, Waveform, write_wav};
use braintune::encode::{self, EncodeConfig, GridFeatures, GridStory, Outcome};
use braintune::fmri::{InMemoryDataset, Story, StoryTiming, Trim};
use braintune::{BraintuneError, Event, OnEvent};
use ndarray::{Array1, Array2, ArrayD, Axis, IxDyn, s};
use safetensors::{Dtype, SafeTensors};

use crate::simulated::{correlations, go_on, outputs};

const STORIES: [&str; 5] = ["a", "b", "c", "d", "test"];
/// Columns of each of the two layers.
const D_MODEL: usize = 6;

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/residual-encode")
}

fn tensor(name: &str) -> ArrayD<f32> {
    let bytes = std::fs::read(fixture().join("data.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(name).unwrap();
    let data = tensor.data();
    let values = match tensor.dtype() {
        Dtype::F64 => data
            .as_chunks()
            .0
            .iter()
            .map(|b| f64::from_le_bytes(*b) as f32)
            .collect(),
        _ => data
            .as_chunks()
            .0
            .iter()
            .map(|b| f32::from_le_bytes(*b))
            .collect(),
    };
    ArrayD::from_shape_vec(IxDyn(tensor.shape()), values).unwrap()
}

fn matrix(name: &str) -> Array2<f32> {
    tensor(name).into_dimensionality().unwrap()
}

/// Five stories of 58 TRs whose sound, 100 s long, is silent.
fn dataset(folder: &Path) -> InMemoryDataset {
    let trim = Trim::new(10, 5);
    let mut dataset = InMemoryDataset::new("fixture").with_default_trims(trim, trim);
    let silence =
        Waveform::from_samples(vec![0.0; 400_000], SampleRate::from_hz(4000).unwrap()).unwrap();
    for name in STORIES {
        let audio = folder.join(format!("{name}.wav"));
        write_wav(&audio, &silence).unwrap();
        let labels = fixture().join(format!("{name}.TextGrid"));
        let story = Story::new(name).with_audio(audio).with_textgrid(labels);
        let timing = StoryTiming::new(58, 2.0, -9.0, 10..53).unwrap();
        dataset.add_story(story, timing).unwrap();
        let bold = matrix(&format!("responses.{name}"));
        dataset.add_responses("S1", name, bold).unwrap();
    }
    dataset
}

fn config(remove: Option<&str>) -> EncodeConfig {
    EncodeConfig {
        alphas: "logspace:-1:3:9".parse().unwrap(),
        remove: remove.map(|space| space.parse().unwrap()),
        n_permutations: 19,
        n_bootstraps: 20,
        ..EncodeConfig::new("S1", vec!["test".to_owned()]).unwrap()
    }
}

fn layers() -> GridFeatures<'static> {
    let make = |story: &GridStory<'_>| {
        let both = matrix(&format!("features.{}", story.story.name()));
        let parts = both.axis_chunks_iter(Axis(1), D_MODEL);
        Ok(parts.map(|part| part.to_owned()).collect())
    };
    let names = vec!["first".to_owned(), "second".to_owned()];
    GridFeatures::new(names, "the fixture", make).unwrap()
}

/// Into `folder/out`.
fn run(
    folder: &Path,
    config: &EncodeConfig,
    on: &mut OnEvent<'_>,
) -> Result<Outcome, BraintuneError> {
    let out = folder.join("out");
    encode::run_on_grid(&dataset(folder), layers(), config, &out, &[], on)
}

#[test]
fn residuals_are_encoded_as_numpy_does_it() {
    for (remove, expected) in [(None, "full"), (Some("word-rate+phoneme-rate"), "residual")] {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &config(remove), &mut go_on).unwrap();
        let r = correlations(folder.path());
        for layer in 0..2 {
            let expected: Array1<f32> = tensor(&format!("{expected}.{layer}"))
                .into_dimensionality()
                .unwrap();
            let difference = (&r.row(layer) - &expected).mapv(f32::abs);
            // f32 features and responses against f64 all the way.
            assert!(difference.iter().all(|&x| x < 2e-5), "{difference}");
        }
    }
}

#[test]
fn a_stopped_residual_run_goes_on_and_another_removal_is_another_result() {
    let (whole, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let removed = config(Some("word-rate"));
    run(whole.path(), &removed, &mut go_on).unwrap();
    let early = run(stopped.path(), &removed, &mut |event| match event {
        Event::Decomposing { layer: 1, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(early, Err(BraintuneError::Cancelled)), "{early:?}");
    run(stopped.path(), &removed, &mut go_on).unwrap();
    assert!(outputs(whole.path()) == outputs(stopped.path()));
    let again = run(stopped.path(), &removed, &mut go_on).unwrap();
    assert_eq!(again, Outcome::AlreadyDone);
    let with_word_rate = correlations(stopped.path());
    for other in [Some("phoneme-rate"), None] {
        let before = outputs(stopped.path());
        let refused = run(stopped.path(), &config(other), &mut go_on).unwrap_err();
        assert!(refused.to_string().contains("--remove"), "{refused}");
        assert!(before == outputs(stopped.path()));
        let fresh = tempfile::tempdir().unwrap();
        let outcome = run(fresh.path(), &config(other), &mut go_on).unwrap();
        assert!(matches!(outcome, Outcome::Computed(_)), "{other:?}");
        assert_ne!(correlations(fresh.path()), with_word_rate);
    }
}

#[test]
fn features_that_do_not_fit_the_stories_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (dataset, config) = (dataset(folder.path()), config(None));
    let refused = |make: fn(Array2<f32>, &str) -> Array2<f32>| {
        let make = move |story: &GridStory<'_>| {
            let name = story.story.name();
            Ok(vec![make(matrix(&format!("features.{name}")), name)])
        };
        let features = GridFeatures::new(vec!["x".to_owned()], "x", make).unwrap();
        let out = folder.path().join("out");
        let outcome = encode::run_on_grid(&dataset, features, &config, &out, &[], &mut go_on);
        assert!(!out.join("alignment.csv").exists());
        outcome.unwrap_err().to_string()
    };
    let short = refused(|x, _| x.slice(s![..50, ..]).to_owned());
    assert!(
        short.contains("story a") && short.contains("(50, 12)"),
        "{short}"
    );
    let narrow = refused(|x, name| match name {
        "c" => x.slice(s![.., ..3]).to_owned(),
        _ => x,
    });
    assert!(
        narrow.contains("story c") && narrow.contains("3 columns, 12"),
        "{narrow}"
    );
    let nan = refused(|mut x, _| {
        x[[7, 1]] = f32::NAN;
        x
    });
    assert!(nan.contains("NaN at TR 7, column 1"), "{nan}");
    let none = GridFeatures::new(vec![], "x", |_: &GridStory<'_>| Ok(vec![]));
    assert!(none.unwrap_err().to_string().contains("at least one"));
}
