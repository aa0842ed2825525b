//! `tune` by several processes and on several devices, and one model for each participant.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune::backbone::{CheckpointBackbone, Wav2Vec2Config, Wav2Vec2Model};
use braintune::fmri::{Ds003020, StoryDataset};
use braintune::ranks::{Alone, Ranks, Shard, ThreadRanks};
use braintune::simulation::{SimulationConfig, simulate};
use braintune::tune::{Compute, StoryRoles, TuneOutcome, TuneSettings, run_on, run_on_devices};
use braintune::tuning::{Control, TuningError, TuningEvent};
use braintune::{BraintuneError, Result};
use burn::tensor::Device;
use safetensors::SafeTensors;

struct Setup {
    folder: tempfile::TempDir,
    dataset: Ds003020,
    model: PathBuf,
}

fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let config = SimulationConfig::default()
        .with_n_participants(2)
        .with_n_train_stories(3)
        .with_story_s(60.0)
        .with_test_story_s(150.0)
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
    let model = folder.path().join("model");
    let random = Wav2Vec2Model::random(&small, 1, &Device::flex());
    random.unwrap().save(&model).unwrap();
    Setup {
        dataset: Ds003020::open(&root).unwrap(),
        model,
        folder,
    }
}

impl Setup {
    fn settings(&self) -> TuneSettings {
        let subjects = self.dataset.subjects().to_vec();
        let stories = StoryRoles::choose(&self.dataset, &subjects, None, None, None).unwrap();
        let mut settings = TuneSettings::new(subjects, stories);
        settings.config.epochs = 1;
        settings.config.batch_size = 8;
        settings.voxels.threshold = Some(0.1);
        settings
    }

    fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, settings: &TuneSettings, ranks: &dyn Ranks, out: &str) -> Result<TuneOutcome> {
        let compute = Compute {
            device: &Device::flex(),
            ranks,
        };
        let on = &mut |_: &TuningEvent| ControlFlow::Continue(());
        run_on(
            &self.dataset,
            &self.model,
            settings,
            compute,
            &self.out(out),
            &[],
            on,
        )
    }

    fn run_by(&self, n: usize, settings: &TuneSettings, out: &str) -> Vec<Result<TuneOutcome>> {
        std::thread::scope(|scope| {
            let ranks = ThreadRanks::group(n).into_iter();
            let threads: Vec<_> = ranks
                .map(|rank| scope.spawn(move || self.run(settings, &rank, out)))
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        })
    }
}

/// Every parameter of a tuned folder.
fn weights(out: &Path) -> BTreeMap<String, Vec<f32>> {
    let mut found = BTreeMap::new();
    for file in ["model.safetensors", "head.safetensors"] {
        let bytes = std::fs::read(out.join(file)).unwrap();
        for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            let values = view.data().as_chunks().0.iter();
            found.insert(name, values.map(|b| f32::from_le_bytes(*b)).collect());
        }
    }
    found
}

fn assert_close(found: &Path, expected: &Path) {
    let (found, expected) = (weights(found), weights(expected));
    assert_eq!(found.len(), expected.len());
    for (name, values) in &found {
        for (a, b) in values.iter().zip(&expected[name]) {
            assert!((a - b).abs() < 1e-5, "{name}: {a}, alone {b}");
        }
    }
}

#[test]
fn ranks_and_devices_write_what_one_process_writes_once() {
    let setup = setup();
    let settings = setup.settings();
    let alone = setup.run(&settings, &Alone, "alone").unwrap();
    for found in setup.run_by(3, &settings, "ranks") {
        let found = found.unwrap();
        assert_eq!((found.end, found.n_steps), (alone.end, alone.n_steps));
        assert_eq!(found.best.map(|best| best.0), alone.best.map(|best| best.0));
    }
    let devices = [Device::flex(), Device::flex()];
    let mut n_steps = 0;
    let on = &mut |event: &TuningEvent| {
        n_steps += usize::from(matches!(event, TuningEvent::Step(_)));
        ControlFlow::Continue(())
    };
    let (data, out) = (&setup.dataset, setup.out("devices"));
    let found = run_on_devices(data, &setup.model, &settings, &devices, &out, &[], on).unwrap();
    assert_eq!((found.n_steps, n_steps), (alone.n_steps, alone.n_steps));
    let files = |name: &str| {
        let mut files: Vec<_> = std::fs::read_dir(setup.out(name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        files.sort();
        files
    };
    for name in ["ranks", "devices"] {
        assert_close(&setup.out(name), &setup.out("alone"));
        assert_eq!(files(name), files("alone"));
        let read = |name: &str| {
            let text = std::fs::read_to_string(setup.out(name).join("provenance.json")).unwrap();
            let record: serde_json::Value = serde_json::from_str(&text).unwrap();
            record["inputs"]["sha256"].clone()
        };
        assert_eq!(read(name), read("alone"), "all that was read is recorded");
    }
}

#[test]
fn a_rank_that_cannot_begin_or_write_is_an_error_on_all() {
    let setup = setup();
    let settings = setup.settings();
    // The folder for the checkpoint is a file.
    std::fs::write(setup.out("blocked"), "").unwrap();
    let found = setup.run_by(2, &settings, "blocked");
    assert!(found.iter().all(Result::is_err));
    let text = found[0].as_ref().unwrap_err().to_string();
    assert!(text.contains("blocked"), "{text}");
    let other = found[1].as_ref().unwrap_err();
    let is_told = matches!(other, BraintuneError::Tuning(error)
        if matches!(**error, TuningError::Ranks(_) | TuningError::OtherRank { rank: 0 }));
    assert!(is_told, "{other}");
    // On devices, what is wrong is said, not that another device has it.
    let devices = [Device::flex(), Device::flex()];
    let on = &mut |_: &TuningEvent| ControlFlow::Continue(());
    let (data, out) = (&setup.dataset, setup.out("blocked"));
    let error = run_on_devices(data, &setup.model, &settings, &devices, &out, &[], on).unwrap_err();
    assert!(error.to_string().contains("blocked"), "{error}");
}

#[test]
fn shares_of_an_array_job_tune_each_participant_once() {
    let setup = setup();
    let mut settings = setup.settings();
    settings.control = Some(Control::OtherStory {
        stories: settings.stories.train.clone(),
    });
    settings.voxels.masks = vec![vec![true; 12], [vec![true; 6], vec![false; 6]].concat()];
    let of = |shard: &str| {
        let shard: Shard = shard.parse().unwrap();
        settings.each_subject(&setup.dataset, shard).unwrap()
    };
    let names = |settings: &[TuneSettings]| {
        let names = settings.iter().map(|s| s.subjects.concat());
        names.collect::<Vec<_>>()
    };
    let all = of("1/1");
    assert_eq!(names(&all), settings.subjects);
    let shares = [of("1/2"), of("2/2"), of("3/3")];
    assert_eq!(names(&shares[0]), settings.subjects[..1]);
    assert_eq!(names(&shares[1]), settings.subjects[1..]);
    assert!(shares[2].is_empty());
    let second = &shares[1][0];
    assert_eq!(second.voxels.masks, settings.voxels.masks[1..]);
    assert_eq!(second.stories, settings.stories);
    let found = setup.run(second, &Alone, "second").unwrap();
    assert!(found.n_steps > 0);
    settings.voxels.masks.push(vec![true; 12]);
    let error = settings
        .each_subject(&setup.dataset, Shard::WHOLE)
        .unwrap_err();
    assert!(error.to_string().contains("3 masks for 2"), "{error}");
}
