//! A backbone of one's own: two layers over frames of 20 ms, checked against the contract, then extracted from and
//! encoded with as any other.
//!
//! `cargo run -p examples --example own_backbone`
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use braintune::audio::SampleRate;
use braintune::backbone::{BackboneSpec, HiddenStates, SpeechBackbone, check_speech_backbone};
use braintune::backbone::{WindowFeature, WindowedExtractor, Windows};
use braintune::simulation::SimulationConfig;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, activation::relu};
use examples::Simulated;

const STRIDE: usize = 320;
const WIDTH: usize = 64;

/// Log magnitudes of random filters, and a layer over them.
#[derive(Module, Debug)]
struct FilterNet {
    filters: Linear,
    layer: Linear,
    #[module(skip)]
    spec: BackboneSpec,
}

impl SpeechBackbone for FilterNet {
    fn spec(&self) -> &BackboneSpec {
        &self.spec
    }

    fn hidden_states(&self, samples: Tensor<2>, _lengths: &[usize]) -> HiddenStates {
        let [batch, n_samples] = samples.dims();
        let n_frames = n_samples / STRIDE;
        let whole = samples.slice([0..batch, 0..n_frames * STRIDE]);
        let frames: Tensor<3> = whole.reshape([batch, n_frames, STRIDE]);
        let filtered = self.filters.forward(frames).abs().add_scalar(1e-3).log();
        let layer = relu(self.layer.forward(filtered.clone()));
        HiddenStates::new(vec![filtered, layer])
    }

    // No frame sees another, so what is zero behind a clip's end changes none that counts.
    fn n_audio_frames(&self, n_samples: usize) -> usize {
        n_samples / STRIDE
    }
}

#[cfg_attr(test, test)]
fn main() -> anyhow::Result<()> {
    let device = Device::flex();
    device.seed(42);
    let model = FilterNet {
        filters: LinearConfig::new(STRIDE, WIDTH)
            .with_bias(false)
            .init(&device),
        layer: LinearConfig::new(WIDTH, WIDTH).init(&device),
        spec: BackboneSpec::new("filter-net", SampleRate::SPEECH, STRIDE, [1, WIDTH]),
    };
    check_speech_backbone(&model, &device);

    let simulated = Simulated::new(&SimulationConfig::default())?;
    let windows = Windows::new(2.0, 2.0)?.with_feature(WindowFeature::StrideMean);
    let extractor = WindowedExtractor::new(model, windows, device);
    let mean_r = simulated.encode(&simulated.dataset, "filter-net", extractor)?;
    println!("mean r of each layer, by region: {mean_r:.2?}");
    assert!(mean_r["auditory"].iter().all(|&r| r > 0.2));
    Ok(())
}
