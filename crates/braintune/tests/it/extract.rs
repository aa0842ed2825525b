//! Features of several recordings, by ranks and by shares: who writes a file does not change it.

use std::collections::BTreeMap;
use std::ops::ControlFlow::Continue;
use std::path::{Path, PathBuf};

use braintune::audio::{SampleRate, Waveform};
use braintune::backbone::{
    CheckpointBackbone, FeatureExtractor, LayerFeatures, PretrainedModel, Wav2Vec2Config,
    Wav2Vec2Model, Windows,
};
use braintune::extract::{ExtractConfig, Extracted, Recording, run_on, run_shard};
use braintune::ranks::{Alone, ThreadRanks};
use burn::tensor::Device;

struct Place {
    folder: tempfile::TempDir,
    audio: Vec<PathBuf>,
}

impl Place {
    /// A model and five recordings of unlike lengths.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
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
        let audio = (0..5).map(|k| {
            let path = folder.path().join(format!("r{k}.wav"));
            let samples =
                (0..16_000 * (k + 1) + 777).map(|i| (i as f32 * 0.01 * (k + 1) as f32).sin() * 0.2);
            let sound = Waveform::from_samples(samples.collect(), SampleRate::SPEECH).unwrap();
            braintune::audio::write_wav(&path, &sound).unwrap();
            path
        });
        let audio = audio.collect();
        Self { folder, audio }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn recordings(&self, out: &str) -> Vec<Recording> {
        std::fs::create_dir_all(self.path(out)).unwrap();
        Recording::into_folder(&self.audio, &self.path(out)).unwrap()
    }

    fn extractor(&self, stride_s: f64) -> (Box<dyn FeatureExtractor>, String) {
        let model = PretrainedModel::load(&self.path("model"), Device::flex()).unwrap();
        let weights = model.weights_sha256().to_owned();
        let windows = Windows::new(2.0, stride_s).unwrap();
        (model.into_windowed(windows), weights)
    }

    fn alone(&self, out: &str, goes_on: bool) -> Vec<Extracted> {
        let (extractor, weights) = self.extractor(1.0);
        let config = ExtractConfig {
            cache: None,
            goes_on,
            command: &[],
        };
        let with = (extractor, &*weights);
        run_on(&self.recordings(out), with, config, &Alone, &mut |_| {
            Continue(())
        })
        .unwrap()
    }

    /// By ranks of which rank `k` extracts with stride `strides[k]`.
    fn on_ranks(
        &self,
        out: &str,
        strides: &[f64],
    ) -> Vec<Result<Vec<Extracted>, braintune::BraintuneError>> {
        let recordings = self.recordings(out);
        let cache = self.path("cache");
        let one = |ranks: ThreadRanks, stride_s: f64| {
            let (extractor, weights) = self.extractor(stride_s);
            let config = ExtractConfig {
                cache: Some(&cache),
                goes_on: true,
                command: &[],
            };
            let with = (extractor, &*weights);
            run_on(&recordings, with, config, &ranks, &mut |_| Continue(()))
        };
        let one = &one;
        std::thread::scope(|scope| {
            let ranks = ThreadRanks::group(strides.len()).into_iter();
            let threads: Vec<_> = ranks
                .zip(strides)
                .map(|(ranks, &stride_s)| scope.spawn(move || one(ranks, stride_s)))
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        })
    }

    fn shard(&self, out: &str, shard: &str) -> Vec<(usize, Extracted)> {
        let (extractor, weights) = self.extractor(1.0);
        let config = ExtractConfig {
            cache: None,
            goes_on: true,
            command: &[],
        };
        let with = (extractor, &*weights);
        let shard = shard.parse().unwrap();
        run_shard(&self.recordings(out), with, config, shard, &mut |_| {
            Continue(())
        })
        .unwrap()
    }
}

/// All files of a folder, hidden ones too.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap();
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read(&path).unwrap())
    };
    entries.map(read).collect()
}

fn is_written(found: &Extracted) -> bool {
    matches!(found, Extracted::Written { .. })
}

#[test]
fn ranks_and_shares_leave_the_files_of_one_process() {
    let place = Place::new();
    let found = place.alone("whole", true);
    assert_eq!(found.len(), 5);
    for (k, found) in found.iter().enumerate() {
        let n_times = k + 1; // windows end at every second
        let expected = Extracted::Written {
            n_times,
            is_silent: false,
        };
        assert_eq!(*found, expected);
        let features = LayerFeatures::read(&place.path(&format!("whole/r{k}.safetensors")));
        assert_eq!(features.unwrap().times().len(), n_times);
    }
    let whole = files(&place.path("whole"));
    assert_eq!(
        whole.len(),
        10,
        "five and their provenance: {:?}",
        whole.keys()
    );
    for n in [2, 3] {
        let out = format!("ranks{n}");
        let all = place.on_ranks(&out, &vec![1.0; n]);
        for one in all {
            assert_eq!(one.unwrap(), found);
        }
        assert!(files(&place.path(&out)) == whole);
    }
    let mut seen = Vec::new();
    for name in ["2/2", "1/2"] {
        let done = place.shard("shares", name);
        assert!(!done.is_empty() && done.iter().all(|(_, found)| is_written(found)));
        seen.extend(done.iter().map(|(place, _)| *place));
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    assert!(files(&place.path("shares")) == whole);
}

#[test]
fn a_next_run_makes_what_is_missing_cut_or_of_other_settings() {
    let place = Place::new();
    place.alone("out", true);
    let whole = files(&place.path("out"));
    let again = place.alone("out", true);
    assert_eq!(again, vec![Extracted::AlreadyDone; 5]);
    assert!(place.alone("out", false).iter().all(is_written));
    std::fs::remove_file(place.path("out/r0.safetensors")).unwrap();
    std::fs::write(
        place.path("out/r1.safetensors"),
        &whole["r1.safetensors"][..300],
    )
    .unwrap();
    std::fs::remove_file(place.path("out/r2.safetensors.provenance.json")).unwrap();
    let again = place.alone("out", true);
    let written: Vec<bool> = again.iter().map(is_written).collect();
    assert_eq!(written, [true, true, true, false, false]);
    assert!(files(&place.path("out")) == whole);
    let other = place.on_ranks("out", &[0.5, 0.5]);
    assert!(other[1].as_ref().unwrap().iter().all(is_written));
}

#[test]
fn a_recording_that_fails_costs_no_other() {
    let mut place = Place::new();
    // Shorter than the model takes, which its header does not tell.
    let sound = Waveform::from_samples(vec![0.1; 100], SampleRate::SPEECH).unwrap();
    braintune::audio::write_wav(&place.path("short.wav"), &sound).unwrap();
    place.audio.insert(1, place.path("short.wav"));
    for found in place.on_ranks("out", &[1.0, 1.0]) {
        let found = found.unwrap();
        assert_eq!(found.iter().filter(|found| is_written(found)).count(), 5);
        let Extracted::Failed(problem) = &found[1] else {
            panic!("{found:?}");
        };
        assert!(problem.contains("short.wav"), "{problem}");
    }
    // What is no recording is told before anything is written.
    std::fs::write(place.path("short.wav"), "text").unwrap();
    let said = place.on_ranks("new", &[1.0, 1.0]).into_iter();
    let said: Vec<String> = said.map(|one| one.unwrap_err().to_string()).collect();
    assert!(said.iter().all(|one| one.contains("short.wav")), "{said:?}");
    assert!(files(&place.path("new")).is_empty());
    let said = place.on_ranks("new", &[1.0, 0.5]).into_iter();
    for said in said.map(|one| one.unwrap_err().to_string()) {
        assert!(
            said.contains("rank 1 differs from rank 0 in the settings of features"),
            "{said}"
        );
    }
}
