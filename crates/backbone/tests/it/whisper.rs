//! Hidden states of Whisper encoders against `transformers`, and gradients through them.

use braintune_audio::{Waveform, load_audio};
use braintune_backbone::{
    BackboneError, Checkpoint, CheckpointBackbone, FeatureExtractor, PretrainedModel,
    SpeechBackbone, WhisperConfig, WhisperEncoder,
};
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, s};

use crate::shared::{clip, family, max_abs_difference, micro, reference, shared, short_clip};

/// f32 sums in another order than PyTorch's, through layers whose states reach about 30.
const TOLERANCE: f32 = 1e-3;

fn states(model: &WhisperEncoder, audio: &Waveform) -> Vec<Array2<f32>> {
    let n = audio.samples().len();
    let samples = TensorData::new(audio.samples().to_vec(), [1, n]);
    let samples = Tensor::from_data(samples, &Device::flex());
    let states = model.hidden_states(samples, &[n]);
    let to_array = |layer: Tensor<3>| {
        let [_, frames, d] = layer.dims();
        Array2::from_shape_vec((frames, d), layer.into_data().try_into_vec().unwrap()).unwrap()
    };
    states.into_layers().into_iter().map(to_array).collect()
}

#[test]
fn committed_weights_give_the_hidden_states_of_transformers() {
    let device = Device::flex();
    let checkpoint = Checkpoint::open(&micro()).unwrap();
    let model = WhisperEncoder::from_checkpoint(&checkpoint, &device).unwrap();
    let expected = reference(&micro().join("reference.safetensors"));
    let states = states(&model, &clip());
    assert_eq!(states.len(), expected.len());
    for (i, (state, expected)) in states.iter().zip(&expected).enumerate() {
        let every_25th = state.slice(s![..;25, ..]).to_owned();
        let difference = max_abs_difference(&every_25th, expected);
        assert!(difference < 1e-4, "state {i}: {difference}"); // states of unit size here
    }
}

/// Also after it was written and read again. The reference holds all 50 frames.
#[test]
fn a_shortened_encoder_gives_the_states_of_one_made_so() {
    let device = Device::flex();
    let folder = family("whisper-128");
    let expected = reference(&folder.join("reference_1s.safetensors"));
    let checkpoint = Checkpoint::open(&folder).unwrap();
    let whole = WhisperEncoder::from_checkpoint(&checkpoint, &device).unwrap();
    assert!(whole.clone().shortened(31).is_err() && whole.clone().shortened(0).is_err());
    let short = whole.shortened(1).unwrap();
    assert_eq!(short.spec().max_samples, Some(16_000));
    let written = tempfile::tempdir().unwrap();
    let written = written.path().join("short");
    short.save(&written).unwrap();
    let checkpoint = Checkpoint::open(&written).unwrap();
    let read = WhisperEncoder::from_checkpoint(&checkpoint, &device).unwrap();
    assert!(short.clone().shortened(2).is_err(), "longer than itself");
    for model in [short, read] {
        let states = states(&model, &short_clip());
        assert_eq!(states.len(), expected.len());
        for (i, (state, expected)) in states.iter().zip(&expected).enumerate() {
            let difference = max_abs_difference(state, expected);
            assert!(difference < 1e-4, "state {i}: {difference}"); // states of unit size here
        }
    }
}

#[test]
fn real_weights_give_the_hidden_states_of_transformers() {
    let Some(folder) = shared("models/whisper-tiny.en") else {
        return;
    };
    let audio = load_audio(&folder.join("jfk.wav")).unwrap();
    let extractor = PretrainedModel::load(&folder, Device::flex())
        .unwrap()
        .into_whole_clip();
    let features = extractor.extract(&audio).unwrap();
    let expected = reference(&folder.join("reference_jfk.safetensors"));
    assert_eq!(features.layers().len(), expected.len());
    for (i, (layer, expected)) in features.layers().iter().zip(&expected).enumerate() {
        // The clip gives 551 frames with audio, the file holds 560.
        let expected = expected.slice(s![..layer.nrows(), ..]).to_owned();
        let difference = max_abs_difference(layer, &expected);
        eprintln!("state {i}: {difference:.1e}");
        assert!(difference < TOLERANCE, "state {i}: {difference}");
    }
}

#[test]
fn gradients_reach_the_first_convolution() {
    let device = Device::flex().autodiff();
    let model = WhisperEncoder::random(&WhisperConfig::new(1, 8, 2, 80), 1, &device).unwrap();
    let samples = TensorData::new(clip().samples().to_vec(), [1, clip().samples().len()]);
    let states = model.hidden_states(
        Tensor::from_data(samples, &device),
        &[clip().samples().len()],
    );
    let grads = states.layers()[1].clone().powf_scalar(3.0).sum().backward();
    let n_with_gradient = count_gradients(&model, &grads);
    // Every parameter but the positions of frames that nothing distinguishes takes part.
    assert!(
        n_with_gradient >= 20,
        "{n_with_gradient} parameters have a gradient"
    );
}

fn count_gradients(model: &WhisperEncoder, grads: &burn::tensor::Gradients) -> usize {
    struct Count<'a>(&'a burn::tensor::Gradients, usize);
    impl burn::module::ModuleVisitor for Count<'_> {
        fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
            let gradient = param.val().grad(self.0);
            let nonzero = gradient.is_some_and(|g| {
                g.into_data()
                    .try_into_vec::<f32>()
                    .unwrap()
                    .iter()
                    .any(|x| *x != 0.0 && x.is_finite())
            });
            self.1 += usize::from(nonzero);
        }
    }
    let mut count = Count(grads, 0);
    burn::module::Module::visit(model, &mut count);
    count.1
}

#[test]
fn what_is_saved_loads_again_and_seeds_fix_the_weights() {
    let device = Device::flex();
    let config = WhisperConfig::new(2, 8, 2, 80);
    let [one, same, other] =
        [1, 1, 2].map(|seed| WhisperEncoder::random(&config, seed, &device).unwrap());
    let folder = tempfile::tempdir().unwrap();
    one.save(folder.path()).unwrap();
    let loaded =
        WhisperEncoder::from_checkpoint(&Checkpoint::open(folder.path()).unwrap(), &device)
            .unwrap();
    let states = [&one, &loaded, &same, &other].map(|model| states(model, &clip()));
    assert_eq!(states[0], states[1]);
    assert_eq!(states[0], states[2]);
    assert_ne!(states[0], states[3]);
    assert!(states[0].iter().flatten().all(|x| x.is_finite()));
}

#[test]
fn clips_over_thirty_seconds_point_to_windows() {
    let audio = braintune_audio::Waveform::from_samples(
        vec![0.1; 480_001],
        braintune_audio::SampleRate::SPEECH,
    );
    let extractor = PretrainedModel::load(&micro(), Device::flex())
        .unwrap()
        .into_whole_clip();
    let error = extractor.extract(&audio.unwrap()).unwrap_err();
    assert!(
        matches!(&error, BackboneError::Audio(message) if message.contains("--window-s")),
        "{error}"
    );
}
