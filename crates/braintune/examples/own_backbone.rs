//! A backbone of one's own: log-mel and two convolutions, checked against the contract, extracted
//! from and encoded with, unchanged. No data needed: `cargo run --release -p braintune --example own_backbone`.
#![allow(clippy::print_stdout, missing_docs)]

use std::ops::ControlFlow;

use braintune::audio::{SampleRate, WhisperLogMel};
use braintune::backbone::{
    BackboneSpec, HiddenStates, SpeechBackbone, WindowedExtractor, Windows, check_speech_backbone,
};
use braintune::encode::{self, EncodeConfig, ModelFeatures, Outcome};
use braintune::fmri::Ds003020;
use braintune::simulation::{SimulationConfig, simulate};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData};

/// Mel frames `[n, 80]` → two layers over 3 frames each, `[n, 32]`.
#[derive(Module, Debug)]
struct MelNet {
    input: Linear,
    layers: Vec<Linear>,
    #[module(skip)]
    spec: BackboneSpec,
}

impl MelNet {
    fn new(device: &Device) -> Self {
        device.seed(42);
        let spec = BackboneSpec {
            model_type: "mel-net".into(),
            sample_rate: SampleRate::SPEECH,
            stride: 160,
            first_centre: 0,
            n_layers: 2,
            d_model: 32,
            min_samples: 400,
            max_samples: Some(480_000),
        };
        Self {
            input: LinearConfig::new(80, 32).init(device),
            layers: (0..2)
                .map(|_| LinearConfig::new(3 * 32, 32).init(device))
                .collect(),
            spec,
        }
    }
}

impl SpeechBackbone for MelNet {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn hidden_states(&self, samples: Tensor<2>, lengths: &[usize]) -> HiddenStates {
        let (device, [batch, n]) = (samples.device(), samples.dims());
        let values: Vec<f32> = samples.into_data().try_into_vec().expect("f32 samples");
        let log_mel = WhisperLogMel::new(80).expect("80 bins");
        let clips = values.chunks(n).zip(lengths);
        let mels = clips.flat_map(|(clip, &n)| log_mel.compute(&clip[..n]).expect("30 s or less"));
        let mels = TensorData::new(mels.collect::<Vec<f32>>(), [batch, 80, 3000]);
        let mut x = self
            .input
            .forward(Tensor::<3>::from_data(mels, &device).swap_dims(1, 2));
        let mut states = vec![x.clone()];
        for layer in &self.layers {
            // Each frame with the two before it.
            let past = Tensor::cat(vec![Tensor::zeros([batch, 2, 32], &device), x.clone()], 1);
            let seen = (0..3)
                .map(|k| past.clone().slice([0..batch, k..k + 3000, 0..32]))
                .collect();
            x = relu(layer.forward(Tensor::cat(seen, 2)));
            states.push(x.clone());
        }
        HiddenStates::new(states)
    }

    fn n_audio_frames(&self, n_samples: usize) -> usize {
        n_samples.div_ceil(160).min(3000)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Device::flex();
    let model = MelNet::new(&device);
    check_speech_backbone(&model, &device);
    let out = std::env::temp_dir().join("braintune-own-backbone");
    let go_on = ControlFlow::Continue(());
    let participant = simulate(
        &SimulationConfig::default(),
        &out.join("dataset"),
        &mut |_| go_on,
    )?;
    let test = vec![participant.test_story().to_owned()];
    let extractor = WindowedExtractor::new(model, Windows::new(4.0, 1.0)?, device);
    let outcome = encode::run(
        &Ds003020::open(&out.join("dataset"))?,
        ModelFeatures::new("mel-net", "seed 42".into(), extractor),
        &EncodeConfig::new(participant.subject(), test)?,
        (&out.join("cache"), &out.join("results")),
        std::env::args().collect(),
        &mut |_| go_on,
    )?;
    if let Outcome::Computed(rows) = outcome {
        for row in &rows {
            println!(
                "layer {} {:<10} mean r {:.3}",
                row.layer, row.roi, row.mean_r
            );
        }
        assert!(
            rows.iter().all(|row| row.mean_r > 0.1),
            "the mel spectrogram predicts the voxels"
        );
    }
    Ok(())
}
