//! A whole study on simulated participants: what it finds, how it goes on, what it refuses.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune::backbone::{CheckpointBackbone, Wav2Vec2Config, Wav2Vec2Model};
use braintune::fmri::{Ds003020, StoryDataset, write_responses};
use braintune::simulation::{SimulationConfig, simulate};
use braintune::study::{
    Measure, StepState, StepStatus, Study, StudyOutcome, StudyResults, Unit, run,
};
use braintune::{BraintuneError, Event, Folders};
use burn::tensor::Device;

pub(crate) const STUDY: &str = r#"
title = "small"
[dataset]
path = "dataset"
rois = "dataset/rois.json"
[[models]]
name = "tiny"
path = "model"
[conditions]
controls = ["block-permuted"]
[tuning]
epochs = 1
batch_size = 8
clip_s = 0.5
ceiling_threshold = 0.1
checkpoint_every = 2
[encoding]
window_s = 2.0
stride_s = 2.0
alphas = "logspace:1:3:3"
permutations = 20
bootstraps = 20
[probes]
tasks = ["word-rate"]
draws = 50
[baselines]
names = ["acoustic"]
[low_level]
features = ["energy"]
"#;

pub(crate) struct Place(tempfile::TempDir);

impl Place {
    /// A dataset with participants SIM01, whose test story was repeated, and SIM02, who has single responses; a model.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = SimulationConfig::default()
            .with_n_train_stories(3)
            .with_story_s(60.0)
            .with_test_story_s(100.0)
            .with_n_voxels(12);
        let root = folder.path().join("dataset");
        simulate(&config, &root, &mut |_| ControlFlow::Continue(())).unwrap();
        let small = Wav2Vec2Config {
            conv_dim: vec![8; 7],
            hidden_size: 16,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 24,
            num_conv_pos_embeddings: 8,
            num_conv_pos_embedding_groups: 2,
            ..Wav2Vec2Config::default()
        };
        let model = Wav2Vec2Model::random(&small, 1, &Device::flex()).unwrap();
        model.save(&folder.path().join("model")).unwrap();
        Self(folder)
    }

    pub(crate) fn with_two_participants() -> Self {
        let place = Self::new();
        let dataset = Ds003020::open(&place.path("dataset")).unwrap();
        let folder = place.path("dataset/derivative/preprocessed_data/SIM02");
        std::fs::create_dir(&folder).unwrap();
        for story in dataset.stories() {
            let mut bold = dataset
                .responses("SIM01", story.name())
                .unwrap()
                .into_bold();
            for (i, value) in bold.iter_mut().enumerate() {
                *value += (i as f32 * 0.7).sin();
            }
            let path = folder.join(format!("{}.hf5", story.name()));
            write_responses(&path, bold.view()).unwrap();
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn study(&self, text: &str) -> Result<Study, BraintuneError> {
        let path = self.path("study.toml");
        std::fs::write(&path, text).unwrap();
        Study::read(&path)
    }

    pub(crate) fn run(&self, text: &str, out: &str) -> Result<StudyOutcome, BraintuneError> {
        self.run_until(text, out, |_| false)
    }

    /// Until `stops` says so of an event.
    fn run_until(
        &self,
        text: &str,
        out: &str,
        mut stops: impl FnMut(Event<'_>) -> bool,
    ) -> Result<StudyOutcome, BraintuneError> {
        let (cache, out) = (self.path("cache"), self.path(out));
        let on = &mut |event: Event<'_>| {
            if stops(event) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let command = ["test".to_owned()];
        run(
            &self.study(text)?,
            Folders {
                cache: &cache,
                out: &out,
            },
            &Device::flex(),
            &command,
            on,
        )
    }

    pub(crate) fn refused(&self, text: &str) -> String {
        let error = self.run(text, "refused").unwrap_err().to_string();
        assert!(!self.path("refused").exists(), "{error}");
        error
    }
}

/// Bytes of all results but provenance and the checkpoints of tuning runs, with the training log but for its speed.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(dir) = folders.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if ["provenance.json", "state"].contains(&name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            if name == "training.csv" {
                let text = String::from_utf8(bytes).unwrap();
                let but_speed = |line: &str| {
                    let cells = line.split(',').enumerate().filter(|(i, _)| *i != 6);
                    cells.map(|(_, cell)| cell).collect::<Vec<_>>().join(",")
                };
                bytes = text.lines().map(but_speed).collect::<String>().into_bytes();
            }
            found.insert(path.strip_prefix(folder).unwrap().to_path_buf(), bytes);
        }
    }
    found
}

pub(crate) fn assert_same(a: &BTreeMap<PathBuf, Vec<u8>>, b: &BTreeMap<PathBuf, Vec<u8>>) {
    let names = |of: &BTreeMap<PathBuf, Vec<u8>>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(a), names(b));
    for (name, bytes) in a {
        assert!(*bytes == b[name], "{} differs", name.display());
    }
}

pub(crate) fn statuses(results: &StudyResults) -> BTreeMap<String, StepStatus> {
    let steps = results.steps.iter();
    steps.map(|step| (step.name.clone(), step.status)).collect()
}

#[test]
fn it_finds_every_curve_and_a_second_run_does_nothing() {
    let place = Place::with_two_participants();
    let outcome = place.run(STUDY, "out").unwrap();
    let results = &outcome.results;
    assert_eq!(
        (outcome.n_already, outcome.n_failed),
        (0, 0),
        "{:?}",
        results.steps
    );
    let text = std::fs::read_to_string(place.path("out/study.json")).unwrap();
    assert_eq!(
        serde_json::from_str::<StudyResults>(&text).unwrap(),
        *results
    );

    let names: Vec<&str> = results.conditions.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "pretrained",
            "brain-tuned",
            "block-permuted",
            "random-weights"
        ]
    );
    let n_rois = results.rois.len();
    assert!(n_rois > 1 && results.rois[0] == "all");
    assert_eq!(results.curves.len(), 4 * 2 * n_rois);
    for curve in &results.curves {
        assert_eq!(curve.mean_r.len(), 3, "states of two layers");
        assert!(
            curve
                .mean_r
                .iter()
                .all(|r| r.value.is_some() && r.low.is_some())
        );
        // Regions of noise alone have no voxel above the threshold.
        let has_ceiling = curve.participant == "SIM01";
        let is_normalized = curve.normalized.iter().all(Option::is_some);
        assert!(curve.roi != "all" || is_normalized == has_ceiling);
    }
    let of = |condition: &str| {
        let mut curves = results.curves.iter();
        curves
            .find(|curve| curve.condition == condition)
            .unwrap()
            .mean_r
            .clone()
    };
    assert_ne!(of("pretrained"), of("brain-tuned"));
    assert_ne!(of("brain-tuned"), of("block-permuted"));
    assert_ne!(of("pretrained"), of("random-weights"));

    // Three conditions against the first, the tuned one against its control; SIM02 has nothing normalised.
    let mean_r = results
        .comparisons
        .iter()
        .filter(|c| c.measure == Measure::MeanR);
    assert_eq!(mean_r.clone().count(), 4 * 3 * n_rois);
    assert!(
        mean_r
            .clone()
            .all(|c| c.n_units == 2 && c.p_value.is_none() && c.unit == Unit::Participants)
    );
    assert!(
        results
            .warnings
            .iter()
            .any(|w| w.contains("2 units") || w.contains("1 unit "))
    );
    assert!(
        results
            .warnings
            .iter()
            .any(|w| w.contains("SIM02: no noise ceiling"))
    );

    assert_eq!(results.baselines.len(), 2 * n_rois);
    assert_eq!(results.low_level.len(), 4 * 2 * 3 * n_rois);
    let impact = results
        .low_level
        .iter()
        .find(|of| of.full.unwrap() > 0.0)
        .unwrap();
    let (full, residual) = (impact.full.unwrap(), impact.residual.unwrap());
    assert_eq!(impact.impact, Some(100.0 * (full - residual) / full));
    assert_eq!(results.probes.len(), 2 + 2 * 2);
    assert!(
        results
            .probes
            .iter()
            .all(|probe| probe.scores.len() == 3 && probe.n_test > 0)
    );
    assert_eq!(results.training.len(), 4);
    assert!(results.training.iter().all(|curve| curve.points.len() > 1));
    for change in &results.voxels {
        assert_eq!(change.before.iter().sum::<usize>(), 12);
        assert_eq!(change.joint.iter().map(|(.., n)| n).sum::<usize>(), 12);
    }
    assert!(
        results
            .sharing
            .iter()
            .all(|s| (s.shared - 1.0).abs() < 1e-12)
    );

    let before = files(&place.path("out"));
    let again = place.run(STUDY, "out").unwrap();
    assert_eq!((again.n_already, again.n_run), (outcome.n_run, 0));
    assert_same(&before, &files(&place.path("out")));
}

#[test]
fn a_changed_setting_redoes_what_depends_on_it_and_nothing_else() {
    let place = Place::new();
    let first = place.run(STUDY, "out").unwrap();
    let done = |text: &str| {
        let study = place.study(text).unwrap();
        let plan = study.plan(&place.path("out"), &Device::flex(), &mut |_| {
            ControlFlow::Continue(())
        });
        let plan = plan.unwrap();
        let done = plan.steps().filter(|(_, state)| *state == StepState::Done);
        done.map(|(step, _)| step.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(done(STUDY).len(), first.n_run);
    let kinds = |names: &[String]| {
        let mut kinds: Vec<String> = names
            .iter()
            .map(|name| name.split(' ').next().unwrap().to_owned())
            .collect();
        kinds.sort();
        kinds.dedup();
        kinds
    };
    // A title and a number of draws are no setting of tuning.
    assert_eq!(
        kinds(&done(
            &STUDY.replace("permutations = 20", "permutations = 30")
        )),
        ["probe", "random", "tune"]
    );
    assert_eq!(
        kinds(&done(&STUDY.replace("draws = 50", "draws = 60"))),
        ["baseline", "encode", "low-level", "random", "tune"]
    );
    let tuned_otherwise = done(&STUDY.replace("epochs = 1", "epochs = 2"));
    assert!(
        tuned_otherwise
            .iter()
            .all(|name| !name.contains("tuned") && !name.contains("permuted"))
    );
    assert!(tuned_otherwise.contains(&"encode tiny pretrained SIM01".to_owned()));
    assert!(tuned_otherwise.contains(&"probe tiny random-weights".to_owned()));
    let question = STUDY.replace(
        "title = \"small\"",
        "title = \"small\"\nquestion = \"Why?\"",
    );
    assert_eq!(done(&question).len(), first.n_run);

    // What is redone ends as if nothing had been there before.
    let other = STUDY.replace("epochs = 1", "epochs = 2");
    let redone = place.run(&other, "out").unwrap();
    assert_eq!(redone.n_already, tuned_otherwise.len());
    place.run(&other, "fresh").unwrap();
    assert_same(&files(&place.path("fresh")), &files(&place.path("out")));
}

#[test]
fn stopped_at_every_step_and_within_them_it_ends_with_the_same_bytes() {
    let place = Place::new();
    let mut n_events = 0;
    let whole = place.run_until(STUDY, "whole", |_| {
        n_events += 1;
        false
    });
    let n_steps = whole.unwrap().n_run;
    let expected = files(&place.path("whole"));
    // Before every step.
    for step in 1..=n_steps {
        let stops =
            |event: Event<'_>| matches!(event, Event::Step { number, .. } if number == step);
        let stopped = place.run_until(STUDY, "steps", stops).unwrap_err();
        assert!(matches!(stopped, BraintuneError::Cancelled), "{stopped}");
        assert!(!place.path("steps/study.json").exists());
    }
    place.run(STUDY, "steps").unwrap();
    assert_same(&expected, &files(&place.path("steps")));
    // Wherever so many events more lead; each run comes a bit further than the one before.
    std::fs::remove_dir_all(place.path("cache")).unwrap();
    let (mut n_stopped, mut furthest) = (0, 0);
    loop {
        furthest += n_events / 100 + 1;
        let mut seen = 0;
        let stops = |_: Event<'_>| {
            seen += 1;
            seen > furthest
        };
        match place.run_until(STUDY, "within", stops) {
            Err(BraintuneError::Cancelled) => n_stopped += 1,
            other => {
                other.unwrap();
                break;
            }
        }
    }
    assert!(n_stopped > 8, "stopped {n_stopped} times only");
    assert_same(&expected, &files(&place.path("within")));
}

/// Nothing but the model as it came and random weights.
pub(crate) const UNTUNED: &str = r#"
[dataset]
path = "dataset"
rois = "dataset/rois.json"
[[models]]
name = "tiny"
path = "model"
[conditions]
tuned = false
controls = []
[encoding]
window_s = 2.0
stride_s = 2.0
alphas = [10.0, 100.0]
permutations = 20
bootstraps = 0
[baselines]
names = []
"#;

#[test]
fn several_test_stories_are_units_of_tests() {
    let place = Place::with_two_participants();
    let [first, second] = ["paperboats", "thelasttrain"];
    let text = UNTUNED.replace(
        "path = \"dataset\"\n",
        &format!("path = \"dataset\"\ntest_stories = [\"{first}\", \"{second}\"]\n"),
    );
    let text = text.replace("[encoding]", "[encoding]\ntest_trim = [10, 5]");
    let results = place.run(&text, "out").unwrap().results;
    let comparison = &results.comparisons[0];
    assert_eq!(
        (comparison.unit.name(), comparison.n_units),
        ("participant x story", 4)
    );
    let table = std::fs::read_to_string(place.path("out/encode/tiny/pretrained/SIM01/stories.csv"));
    let table = table.unwrap();
    assert!(table.starts_with("layer,roi,story,mean_r,mean_r_normalized\n0,all,paperboats,"));
    assert_eq!(table.lines().count(), 1 + 3 * 2 * results.rois.len());
    assert!(results.sharing.is_empty());
    // The mean of differences of stories is what the table says.
    let mean = |condition: &str| {
        let mut sum = 0.0;
        for who in ["SIM01", "SIM02"] {
            let path = place.path(&format!("out/encode/tiny/{condition}/{who}/stories.csv"));
            let table = std::fs::read_to_string(path).unwrap();
            let rows = table.lines().filter(|line| line.starts_with("0,all,"));
            sum += rows
                .map(|row| row.split(',').nth(3).unwrap().parse::<f64>().unwrap())
                .sum::<f64>();
        }
        sum / 4.0
    };
    let expected = mean("random-weights") - mean("pretrained");
    assert!((comparison.difference.value.unwrap() - expected).abs() < 1e-9);
}

#[test]
fn a_region_without_voxels_above_the_ceiling_has_no_normalised_value_and_a_warning() {
    let place = Place::new();
    let text = UNTUNED.replace("bootstraps = 0", "bootstraps = 0\nceiling_threshold = 0.99");
    let results = place.run(&text, "out").unwrap().results;
    assert!(
        results
            .curves
            .iter()
            .all(|curve| curve.normalized.iter().all(Option::is_none))
    );
    let warned = results
        .warnings
        .iter()
        .filter(|w| w.contains("no voxel of region"));
    assert_eq!(warned.count(), results.rois.len() - 1);
    assert!(
        results
            .excluded
            .iter()
            .any(|e| e.what == "SIM01: 12 of 12 voxels")
    );
}
