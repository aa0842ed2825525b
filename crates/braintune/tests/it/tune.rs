//! `tune` on a simulated participant: what it writes, what it refuses, what it leaves for the next run.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune::arrays::read_mask;
use braintune::backbone::{
    CheckpointBackbone, PretrainedModel, Wav2Vec2Config, Wav2Vec2Model, Windows,
};
use braintune::encode::{EncodeConfig, ModelFeatures, TunedOn};
use braintune::fmri::{Ds003020, StoryDataset};
use braintune::simulation::{SimulationConfig, simulate};
use braintune::tune::{StoryRoles, TuneOutcome, TuneSettings, run};
use braintune::tuning::{Control, Lora, TuningEnd, TuningEvent, VoxelWeights};
use braintune::{BraintuneError, Event, Folders};
use burn::tensor::Device;
use ndarray::Array1;

pub(crate) struct Setup {
    folder: tempfile::TempDir,
    pub(crate) dataset: Ds003020,
    subject: String,
    model: PathBuf,
}

pub(crate) fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let config = SimulationConfig::default()
        .with_n_train_stories(3)
        .with_story_s(60.0)
        .with_test_story_s(150.0)
        .with_n_voxels(12);
    let root = folder.path().join("dataset");
    let participant = simulate(&config, &root, &mut |_| ControlFlow::Continue(())).unwrap();
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
    let model = folder.path().join("model");
    Wav2Vec2Model::random(&small, 1, &Device::flex())
        .unwrap()
        .save(&model)
        .unwrap();
    Setup {
        dataset: Ds003020::open(&root).unwrap(),
        subject: participant.subject().to_owned(),
        model,
        folder,
    }
}

impl Setup {
    pub(crate) fn settings(&self) -> TuneSettings {
        let subjects = vec![self.subject.clone()];
        let stories = StoryRoles::choose(&self.dataset, &subjects, None, None, None).unwrap();
        let mut settings = TuneSettings::new(subjects, stories);
        settings.config.epochs = 2;
        settings.config.batch_size = 8;
        settings.voxels.threshold = Some(0.1);
        settings
    }

    fn run(&self, settings: &TuneSettings, out: &str) -> Result<TuneOutcome, BraintuneError> {
        self.run_until(settings, out, usize::MAX)
    }

    pub(crate) fn run_on(
        &self,
        dataset: &dyn StoryDataset,
        settings: &TuneSettings,
        out: &str,
    ) -> Result<TuneOutcome, BraintuneError> {
        self.run_with(dataset, settings, out, &mut |_| ControlFlow::Continue(()))
    }

    fn run_until(
        &self,
        settings: &TuneSettings,
        out: &str,
        last: usize,
    ) -> Result<TuneOutcome, BraintuneError> {
        let on = &mut |event: &TuningEvent| match event {
            TuningEvent::Step(step) if step.step == last => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        };
        self.run_with(&self.dataset, settings, out, on)
    }

    fn run_with(
        &self,
        dataset: &dyn StoryDataset,
        settings: &TuneSettings,
        out: &str,
        on: &mut dyn FnMut(&TuningEvent) -> ControlFlow<()>,
    ) -> Result<TuneOutcome, BraintuneError> {
        let (device, out) = (Device::flex(), self.out(out));
        run(dataset, &self.model, settings, &device, &out, &[], on)
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Steps of `training.csv`, and its cells but the speed.
fn log(out: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(out.join("training.csv")).unwrap();
    let rows = text.lines().skip(1);
    let cells = |line: &str| {
        line.split(',')
            .enumerate()
            .filter(|(i, _)| *i != 6)
            .map(|(_, c)| c.to_owned())
            .collect()
    };
    rows.map(cells).collect()
}

#[test]
fn it_writes_a_checkpoint_that_loads_with_all_that_belongs_to_it() {
    let setup = setup();
    let outcome = setup.run(&setup.settings(), "tuned").unwrap();
    let out = setup.out("tuned");
    assert_eq!(outcome.end, TuningEnd::Finished);
    PretrainedModel::load(&out, Device::flex()).unwrap();
    for file in [
        "head.safetensors",
        "training.svg",
        "provenance.json",
        "config.json",
        "preprocessor_config.json",
    ] {
        assert!(out.join(file).exists(), "{file}");
    }
    let rows = log(&out);
    assert_eq!(rows.len(), outcome.n_steps);
    assert!(rows.iter().all(|row| row.len() == 8));
    assert!(
        rows.iter().filter(|row| !row[6].is_empty()).count() == 2,
        "an evaluation per epoch"
    );
    let record = std::fs::read_to_string(out.join("provenance.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let roles = &setup.settings().stories;
    assert_eq!(
        record["inputs"]["train_stories"],
        serde_json::json!(roles.train)
    );
    assert_eq!(
        record["inputs"]["test_stories"],
        serde_json::json!(roles.test)
    );
    let read = record["inputs"]["sha256"].as_object().unwrap();
    let n_read = roles.train.len() + roles.validation.len();
    assert_eq!(
        read.keys()
            .filter(|what| what.starts_with("audio of "))
            .count(),
        n_read
    );
    assert!(read.keys().any(|what| what.starts_with("responses of ")));
    assert!(
        record["inputs"]["voxels"][0]["n_learnt_voxels"]
            .as_u64()
            .unwrap()
            > 0
    );
}

#[test]
fn a_stopped_run_goes_on_to_the_same_bytes_and_a_finished_one_does_nothing() {
    let setup = setup();
    let mut settings = setup.settings();
    settings.config.lora = Some(Lora {
        dropout: 0.0,
        ..Lora::default()
    });
    settings.config.checkpoint_every = 2;
    setup.run(&settings, "whole").unwrap();
    settings.resume = true;
    let stopped = setup.run_until(&settings, "stopped", 5).unwrap_err();
    assert!(matches!(stopped, BraintuneError::Cancelled), "{stopped}");
    assert!(!setup.out("stopped").join("model.safetensors").exists());
    for _ in 0..2 {
        setup.run(&settings, "stopped").unwrap();
        for file in [
            "model.safetensors",
            "head.safetensors",
            "adapter/adapter_model.safetensors",
        ] {
            let read = |name| std::fs::read(setup.out(name).join(file)).unwrap();
            assert!(read("whole") == read("stopped"), "{file}");
        }
        assert_eq!(log(&setup.out("whole")), log(&setup.out("stopped")));
    }
    settings.config.lr_head *= 2.0;
    let refused = setup.run(&settings, "stopped").unwrap_err().to_string();
    assert!(refused.contains("lr_head"), "{refused}");
}

#[test]
fn a_damaged_table_is_put_aside_and_its_readable_rows_are_kept() {
    let setup = setup();
    let mut settings = setup.settings();
    let whole = setup.run(&settings, "whole").unwrap();
    assert!(setup.run_until(&settings, "out", 3).is_err());
    let path = setup.out("out/training.csv");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(b"\0\0\xff\n9,1,x\n");
    std::fs::write(&path, bytes).unwrap();
    settings.resume = true;
    let found = setup.run(&settings, "out").unwrap();
    assert_eq!(found.n_steps, whole.n_steps);
    assert_eq!(log(&setup.out("out")), log(&setup.out("whole")));
    assert!(setup.out("out/training.csv.damaged").exists());
}

#[test]
fn a_test_story_that_the_model_was_tuned_on_is_refused() {
    let setup = setup();
    let mut settings = setup.settings();
    settings.config.epochs = 1;
    setup.run(&settings, "tuned").unwrap();
    let out = setup.out("tuned");
    let tuned_on = TunedOn::read(&out).unwrap().unwrap();
    assert_eq!(tuned_on.train_stories, settings.stories.train);
    assert!(TunedOn::read(&setup.model).unwrap().is_none());
    let encode = |test: &str, name: &str| {
        let model = PretrainedModel::load(&out, Device::flex()).unwrap();
        let windows = Windows::new(2.0, 2.0).unwrap();
        let model = ModelFeatures::windowed("tuned", model, windows).unwrap();
        let config = EncodeConfig::new(&setup.subject, vec![test.to_owned()]).unwrap();
        let config = EncodeConfig {
            n_permutations: 0,
            n_bootstraps: 0,
            ..config
        };
        let (cache, out) = (setup.out("cache"), setup.out(name));
        let on = &mut |_: Event<'_>| ControlFlow::Continue(());
        let model = model.tuned_on(Some(tuned_on.clone()));
        braintune::encode::run(
            &setup.dataset,
            model,
            &config,
            Folders {
                cache: &cache,
                out: &out,
            },
            &[],
            on,
        )
    };
    let error = encode(&settings.stories.train[0], "refused")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(&settings.stories.train[0]) && error.contains("tuned on"),
        "{error}"
    );
    assert!(!setup.out("refused").exists());
    encode(&settings.stories.test[0], "encoded").unwrap();
    let record = std::fs::read_to_string(setup.out("encoded/provenance.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let shared = &record["inputs"]["tuning"]["train_stories_shared_with_tuning"];
    assert_eq!(*shared, serde_json::json!(settings.stories.train));
    std::fs::write(out.join("provenance.json"), "{").unwrap();
    let error = TunedOn::read(&out).unwrap_err().to_string();
    assert!(error.contains("provenance.json"), "{error}");
}

#[test]
fn masks_are_booleans_or_numbers_and_a_nan_is_refused() {
    let setup = setup();
    let mut settings = setup.settings();
    settings.config.epochs = 1;
    setup.run(&settings, "tuned").unwrap();
    let mask = read_mask(&setup.out("tuned/mask-SIM01.npy")).unwrap();
    assert_eq!(mask.len(), 12);
    assert!(mask.contains(&true));
    let path = setup.out("numbers.npy");
    let numbers: Array1<f32> = mask.iter().map(|&kept| f32::from(u8::from(kept))).collect();
    ndarray_npy::write_npy(&path, &numbers).unwrap();
    assert_eq!(read_mask(&path).unwrap(), mask);
    ndarray_npy::write_npy(&path, &Array1::from(vec![1.0, f32::NAN])).unwrap();
    let error = read_mask(&path).unwrap_err().to_string();
    assert!(error.contains("NaN at voxel 1"), "{error}");
}

#[test]
fn stories_have_one_role_each() {
    let setup = setup();
    let subjects = vec![setup.subject.clone()];
    let all: Vec<String> = setup
        .dataset
        .stories()
        .iter()
        .map(|story| story.name().to_owned())
        .collect();
    let choose = |train: Option<&[usize]>, validation: Option<&[usize]>, test: Option<&[usize]>| {
        let names = |stories: Option<&[usize]>| {
            stories.map(|s| s.iter().map(|&i| all[i].clone()).collect::<Vec<_>>())
        };
        StoryRoles::choose(
            &setup.dataset,
            &subjects,
            names(train),
            names(validation),
            names(test),
        )
    };
    let roles = choose(None, None, None).unwrap();
    let mut together = [
        roles.train.clone(),
        roles.validation.clone(),
        roles.test.clone(),
    ]
    .concat();
    together.sort();
    let mut sorted = all.clone();
    sorted.sort();
    assert_eq!(together, sorted);
    assert_eq!((roles.validation.len(), roles.test.len()), (1, 1));
    let error = choose(Some(&[0, 1]), None, Some(&[1]))
        .unwrap_err()
        .to_string();
    assert!(error.contains(&all[1]) && error.contains("test"), "{error}");
    assert!(
        choose(None, Some(&[0, 1]), Some(&[2, 3]))
            .unwrap_err()
            .to_string()
            .contains("no story left")
    );
    let error = choose(Some(&[0, 0]), None, None).unwrap_err().to_string();
    assert!(error.contains("named twice"), "{error}");
    let twice = [subjects.clone(), subjects.clone()].concat();
    let error = StoryRoles::choose(&setup.dataset, &twice, None, None, None);
    assert!(error.unwrap_err().to_string().contains("named twice"));
    let unknown = StoryRoles::choose(&setup.dataset, &["S9".to_owned()], None, None, None);
    assert!(unknown.unwrap_err().to_string().contains("S9"));
}

#[test]
fn voxels_that_cannot_be_are_refused_before_anything_is_made() {
    let setup = setup();
    let mut settings = setup.settings();
    settings.voxels.threshold = Some(2.0);
    let error = setup.run(&settings, "a").unwrap_err().to_string();
    assert!(
        error.contains("no voxel") && error.contains("above 2"),
        "{error}"
    );
    settings.voxels.ceilings = vec![Array1::ones(5)];
    settings.voxels.threshold = Some(0.4);
    let error = setup.run(&settings, "a").unwrap_err().to_string();
    assert!(
        error.contains("12 voxels") && error.contains("noise ceiling has 5"),
        "{error}"
    );
    settings.voxels.ceilings = vec![Array1::from_elem(12, 40.0)];
    let error = setup.run(&settings, "a").unwrap_err().to_string();
    assert!(
        error.contains("voxel 0 is 40") && error.contains("correlation"),
        "{error}"
    );
    settings.voxels.masks = vec![vec![true; 12]; 2];
    let error = setup.run(&settings, "a").unwrap_err().to_string();
    assert!(error.contains("2 masks for 1"), "{error}");
    assert!(!setup.out("a").exists());
}

#[test]
fn a_control_takes_the_same_steps_to_other_weights() {
    let setup = setup();
    let mut settings = setup.settings();
    settings.config.epochs = 1;
    let own = setup.run(&settings, "own").unwrap();
    settings.control = Some(Control::BlockPermuted { block: 5 });
    let control = setup.run(&settings, "control").unwrap();
    assert_eq!(own.n_steps, control.n_steps);
    let weights = |name| std::fs::read(setup.out(name).join("model.safetensors")).unwrap();
    assert!(weights("own") != weights("control"));
}

#[test]
fn ceilings_weight_the_voxels_and_the_state_holds_a_digest_of_them() {
    let setup = setup();
    let mut settings = setup.settings();
    settings.config.epochs = 1;
    settings.voxels.masks = vec![vec![true; 12]];
    setup.run(&settings, "equal").unwrap();
    settings.config.voxel_weights = VoxelWeights::Ceiling;
    settings.voxels.ceilings = vec![Array1::from_elem(12, 0.5)];
    setup.run(&settings, "even").unwrap();
    settings.voxels.ceilings[0][3] = 0.9;
    setup.run(&settings, "weighted").unwrap();
    let weights = |name| std::fs::read(setup.out(name).join("model.safetensors")).unwrap();
    assert!(weights("equal") == weights("even"));
    assert!(weights("equal") != weights("weighted"));

    let state = std::fs::read_dir(setup.out("weighted/state")).unwrap();
    let folders = state
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    for step in folders.map(|folder| folder.join("state.json")) {
        let text = std::fs::read_to_string(&step).unwrap();
        let state: serde_json::Value = serde_json::from_str(&text).unwrap();
        let recorded = state["run"]["voxel_weights"].as_array().unwrap();
        assert_eq!(recorded.len(), 1);
        assert_eq!(recorded[0].as_str().unwrap().len(), 64, "{recorded:?}");
    }
    settings.voxels.ceilings[0][3] = 0.8;
    settings.resume = true;
    let error = setup.run(&settings, "weighted").unwrap_err().to_string();
    assert!(error.contains("voxel_weights"), "{error}");
}

/// Numbers of frames of the stories that are tuned on or choose, by name.
fn write_units(setup: &Setup, dir: &Path, off: usize) {
    std::fs::create_dir_all(dir).unwrap();
    let roles = setup.settings().stories;
    for story in roles.train.iter().chain(&roles.validation) {
        let audio = setup.dataset.story(story).unwrap().audio().unwrap();
        let n_samples = braintune::audio::load_audio(audio).unwrap().samples().len();
        let n_frames = (n_samples - 400) / 320 + 1 - off;
        let units: Array1<i32> = (0..n_frames)
            .map(|i| i32::try_from(i / 50 % 4).unwrap())
            .collect();
        ndarray_npy::write_npy(dir.join(format!("{story}.npy")), &units).unwrap();
    }
}

#[test]
fn the_stimulus_control_takes_the_same_steps_and_goes_on_to_the_same_bytes() {
    let setup = setup();
    let mut settings = setup.settings();
    settings.config.epochs = 1;
    settings.config.batch_size = 16;
    settings.config.checkpoint_every = 2;
    let own = setup.run(&settings, "own").unwrap();
    settings.control = Some(Control::Stimulus { units: None });
    let control = setup.run(&settings, "control").unwrap();
    assert_eq!(own.n_steps, control.n_steps);
    settings.resume = true;
    let stopped = setup.run_until(&settings, "stopped", 3).unwrap_err();
    assert!(matches!(stopped, BraintuneError::Cancelled), "{stopped}");
    for _ in 0..2 {
        setup.run(&settings, "stopped").unwrap();
        for file in ["model.safetensors", "head.safetensors"] {
            let read = |name| std::fs::read(setup.out(name).join(file)).unwrap();
            assert!(read("control") == read("stopped"), "{file}");
        }
        assert_eq!(log(&setup.out("control")), log(&setup.out("stopped")));
    }
    let rows = log(&setup.out("control"));
    assert!(rows.iter().all(|row| row.len() == 8 && row[7].is_empty()));
    assert_eq!(rows.iter().filter(|row| !row[6].is_empty()).count(), 1);
    let read = |name, file| std::fs::read(setup.out(name).join(file)).unwrap();
    let weights = "model.safetensors";
    assert!(read("own", weights) != read("control", weights));
}

#[test]
fn hubert_takes_units_and_says_what_is_wrong_with_them() {
    let setup = setup();
    let path = setup.model.join("config.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"wav2vec2\"", "\"hubert\"")).unwrap();
    let mut settings = setup.settings();
    settings.config.epochs = 1;
    settings.config.batch_size = 16;
    let dir = setup.folder.path().join("units");
    settings.control = Some(Control::Stimulus {
        units: Some(dir.clone()),
    });
    let error = setup.run(&settings, "a").unwrap_err().to_string();
    assert!(error.contains(".npy"), "{error}");
    write_units(&setup, &dir, 9);
    let error = setup.run(&settings, "a").unwrap_err();
    let error = format!("{error:?}");
    assert!(error.contains("one for each of its"), "{error}");
    write_units(&setup, &dir, 0);
    setup.run(&settings, "b").unwrap();
    assert!(setup.out("b").join("model.safetensors").exists());
    settings.control = Some(Control::Stimulus { units: None });
    let error = setup.run(&settings, "c").unwrap_err().to_string();
    assert!(error.contains("k-means units"), "{error}");
}
