//! A small backbone and batches with something to learn.

use std::ops::ControlFlow;
use std::path::Path;

use braintune_backbone::{Checkpoint, CheckpointBackbone, Wav2Vec2Model};
use braintune_ranks::ThreadRanks;
use braintune_tuning::{TuningBatch, TuningConfig, TuningEvent, TuningModel};
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use ndarray::Array2;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

pub(crate) const N_VOXELS: usize = 6;
const N_SAMPLES: usize = 1_600;

pub(crate) fn device() -> Device {
    Device::flex().autodiff()
}

pub(crate) fn backbone() -> Wav2Vec2Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wav2vec2");
    Wav2Vec2Model::from_checkpoint(&Checkpoint::open(&folder).unwrap(), &device()).unwrap()
}

pub(crate) fn model(config: &TuningConfig) -> TuningModel<Wav2Vec2Model> {
    let mut backbone = backbone()
        .freeze_parts(&config.frozen_parts().unwrap())
        .unwrap();
    if let Some(lora) = config.lora_config() {
        backbone = backbone.with_lora(&lora, config.seed).unwrap();
    }
    TuningModel::new(backbone, &[N_VOXELS], config, &device()).unwrap()
}

/// Clips of a low and a high tone whose balance varies; voxels follow it, each with its own sign.
pub(crate) fn batches(n_batches: usize, seed: u64) -> Vec<TuningBatch> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n_batches)
        .map(|i| {
            let bright: Vec<f32> = (0..4).map(|_| rng.random_range(-1.0..1.0)).collect();
            let mut samples = Array2::zeros((4, N_SAMPLES));
            for (mut clip, bright) in samples.outer_iter_mut().zip(&bright) {
                let phase: f32 = rng.random_range(0.0..6.0);
                for (t, sample) in clip.iter_mut().enumerate() {
                    let tone =
                        |hz: f32| (phase + hz * t as f32 / 16_000.0 * std::f32::consts::TAU).sin();
                    *sample = (1.0 + bright) * tone(3_000.0) + (1.0 - bright) * tone(300.0);
                }
            }
            let sign = |voxel: usize| if voxel.is_multiple_of(2) { 1.0 } else { -1.0 };
            let bold = Array2::from_shape_fn((4, N_VOXELS), |(i, v)| bright[i] * sign(v));
            TuningBatch::new(0, format!("S/tale-{}", i % 2), samples, bold)
        })
        .collect()
}

pub(crate) fn settings(epochs: usize) -> TuningConfig {
    let mut config = TuningConfig::default();
    config.epochs = epochs;
    config.lr_backbone = 1e-3;
    config.lr_head = 3e-3;
    config.checkpoint_every = 2;
    config
}

pub(crate) fn go_on(_: TuningEvent) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What each of `n` ranks makes, threads of this process.
pub(crate) fn on_ranks<T: Send>(n: usize, work: impl Fn(ThreadRanks) -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = ThreadRanks::group(n)
            .into_iter()
            .map(|rank| scope.spawn(|| work(rank)))
            .collect();
        let made = threads.into_iter().map(|thread| thread.join().unwrap());
        made.collect()
    })
}

/// The largest difference of two models' parameters, and where it is.
pub(crate) fn apart<M: Module>(a: &M, b: &M) -> (f32, String) {
    let mut most = (0.0, String::new());
    for ((path, a), (_, b)) in values(a).into_iter().zip(values(b)) {
        for (a, b) in a.iter().zip(&b) {
            let off = (a - b).abs();
            if off > most.0 || !off.is_finite() {
                most = (off, path.clone());
            }
        }
    }
    most
}

/// Every parameter, by path.
pub(crate) fn values<M: Module>(module: &M) -> Vec<(String, Vec<f32>)> {
    struct Values {
        path: Vec<String>,
        found: Vec<(String, Vec<f32>)>,
    }
    impl ModuleVisitor for Values {
        fn enter_module(&mut self, name: &str, _container: &str) {
            self.path.push(name.to_owned());
        }
        fn exit_module(&mut self, _name: &str, _container: &str) {
            self.path.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values: Vec<f32> = param.val().into_data().try_into_vec().unwrap();
            self.found.push((self.path.join("."), values));
        }
    }
    let mut found = Values {
        path: Vec::new(),
        found: Vec::new(),
    };
    module.visit(&mut found);
    found.found
}

/// A digest of the bits of every parameter, by path.
pub(crate) fn weights<M: Module>(module: &M) -> Vec<(String, String)> {
    let digest = |values: Vec<f32>| {
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        hex::encode(&Sha256::digest(bytes)[..4])
    };
    let found = values(module).into_iter();
    found.map(|(path, values)| (path, digest(values))).collect()
}
