//! What every [`SpeechBackbone`] must keep to, as a function that implementers' tests call.

use std::ops::Range;

use burn::tensor::{Device, Tensor};
use ndarray::{Array2, s};

use crate::backbone::{SpeechBackbone, padded};
use crate::windowed::to_array;

/// Differences that the order of summation explains, as a part of a state's largest value.
const TOLERANCE: f32 = 1e-4;

/// Checks that a backbone keeps the promises of [`SpeechBackbone`].
///
/// For the tests of those who implement one: it needs no feature of this crate, unlike the checks of datasets and
/// encoding models in other crates, which are behind `testing`.
/// Runs a handful of clips of about a second; `device` is where the backbone lives.
///
/// # Panics
/// If a promise is broken; the message says which.
///
/// ```
/// use braintune_backbone::{WhisperConfig, WhisperEncoder, check_speech_backbone};
///
/// let device = burn::tensor::Device::flex();
/// let model = WhisperEncoder::random(&WhisperConfig::new(1, 8, 2, 80), 42, &device)?;
/// check_speech_backbone(&model, &device);
/// # Ok::<(), braintune_backbone::BackboneError>(())
/// ```
pub fn check_speech_backbone<B: SpeechBackbone>(backbone: &B, device: &Device) {
    let lengths = lengths(backbone);
    check_spec(backbone, &lengths);
    let clips: Vec<Vec<f32>> = (0..)
        .zip(&lengths)
        .map(|(seed, &n)| noise(n, seed))
        .collect();
    let alone: Vec<_> = clips
        .iter()
        .map(|clip| states(backbone, &[clip.as_slice()], device).remove(0))
        .collect();
    check_shapes(backbone, &clips, &alone);
    let again = states(backbone, &[&clips[0]], device).remove(0);
    assert!(again == alone[0], "the same clip gives the same bits");
    check_batches(backbone, &clips, &alone, device);
    check_single_frames(backbone, &clips, &alone, device);
    check_windows(backbone, &clips[0], &lengths, device);
    check_segments(backbone, &clips, &alone, device);
    let silence = states(backbone, &[&vec![0.0; lengths[0]]], device).remove(0);
    let finite = silence.iter().flatten().all(|x| x.is_finite());
    assert!(finite, "silence gives finite states");
}

/// Lengths in samples that the backbone takes: about a second, two thirds of one, the least.
fn lengths<B: SpeechBackbone>(backbone: &B) -> Vec<usize> {
    let spec = backbone.spec();
    let second = spec.sample_rate.as_hz() as usize;
    let most = spec.max_samples.unwrap_or(usize::MAX);
    [second, second * 2 / 3 + 7, spec.min_samples]
        .map(|n| n.clamp(spec.min_samples, most))
        .to_vec()
}

fn check_spec<B: SpeechBackbone>(backbone: &B, lengths: &[usize]) {
    let spec = backbone.spec();
    assert!(
        spec.n_layers > 0 && spec.d_model > 0,
        "a backbone has layers of some width"
    );
    assert!(spec.min_samples > 0, "an empty clip has no states");
    assert!(
        spec.max_samples.is_none_or(|most| most >= spec.min_samples),
        "the longest clip is no shorter than the shortest"
    );
    assert!(spec.stride > 0, "frames follow one another");
    assert!(
        spec.frame_time_s(1) > spec.frame_time_s(0),
        "frame times rise"
    );
    let mut n_frames: Vec<_> = lengths
        .iter()
        .map(|&n| backbone.n_audio_frames(n))
        .collect();
    n_frames.reverse();
    assert!(n_frames[0] > 0, "the shortest clip has a frame");
    assert!(n_frames.is_sorted(), "more audio has no fewer frames");
}

fn check_shapes<B: SpeechBackbone>(backbone: &B, clips: &[Vec<f32>], alone: &[Vec<Array2<f32>>]) {
    let spec = backbone.spec();
    for (clip, states) in clips.iter().zip(alone) {
        assert_eq!(
            states.len(),
            spec.n_hidden_states(),
            "number of hidden states"
        );
        for state in states {
            assert_eq!(state.ncols(), spec.d_model, "width of a hidden state");
            assert!(
                state.nrows() >= backbone.n_audio_frames(clip.len()),
                "every frame of the audio is there"
            );
            assert!(state.iter().all(|x| x.is_finite()), "states are finite");
        }
    }
}

/// Clips of unequal length in one batch give what each gives alone.
fn check_batches<B: SpeechBackbone>(
    backbone: &B,
    clips: &[Vec<f32>],
    alone: &[Vec<Array2<f32>>],
    device: &Device,
) {
    let slices: Vec<_> = clips.iter().map(Vec::as_slice).collect();
    let together = states(backbone, &slices, device);
    for ((clip, alone), together) in clips.iter().zip(alone).zip(&together) {
        let n_frames = backbone.n_audio_frames(clip.len());
        for (layer, (a, b)) in alone.iter().zip(together).enumerate() {
            assert_close(a, b, n_frames, &format!("in a batch, state {layer}"));
        }
    }
}

/// States at one frame are those of all frames, there.
fn check_single_frames<B: SpeechBackbone>(
    backbone: &B,
    clips: &[Vec<f32>],
    alone: &[Vec<Array2<f32>>],
    device: &Device,
) {
    let slices: Vec<_> = clips.iter().map(Vec::as_slice).collect();
    let (samples, lengths) = padded(&slices, device);
    let last = backbone.last_audio_frames(&lengths);
    let at = backbone.hidden_states_at(samples, &lengths, &last);
    assert_last_frames(backbone, at, &lengths, alone, "at one frame");
}

/// Passes over windows that end together give what each window gives alone.
fn check_windows<B: SpeechBackbone>(
    backbone: &B,
    clip: &[f32],
    lengths: &[usize],
    device: &Device,
) {
    let windows: Vec<_> = lengths.iter().map(|n| clip.len() - n..clip.len()).collect();
    let one = |window: &Range<usize>| states(backbone, &[&clip[window.clone()]], device).remove(0);
    let alone: Vec<_> = windows.iter().map(one).collect();
    let pass = backbone.window_passes(clip, &windows, device);
    assert_last_frames(backbone, pass(0..windows.len()), lengths, &alone, "windows");
    let last = windows.len() - 1;
    let (lengths, alone) = (&lengths[last..], &alone[last..]);
    assert_last_frames(backbone, pass(last..last + 1), lengths, alone, "one window");
}

/// Segments, one after the other, give every hidden state.
fn check_segments<B: SpeechBackbone>(
    backbone: &B,
    clips: &[Vec<f32>],
    alone: &[Vec<Array2<f32>>],
    device: &Device,
) {
    let Some(segments) = backbone.segments() else {
        return;
    };
    let slices: Vec<_> = clips.iter().map(Vec::as_slice).collect();
    let (samples, lengths) = padded(&slices, device);
    let (mut x, mut n_run) = (segments.first(samples, &lengths), 1);
    for layer in 0..backbone.spec().n_hidden_states() {
        let until = segments.n_until(layer);
        assert!(until >= n_run, "later states need no fewer segments");
        for index in n_run..until {
            x = segments.next(index, x, &lengths);
        }
        n_run = until;
        for (clip, (of_clip, alone)) in rows(&x).iter().zip(alone).enumerate() {
            let n_frames = backbone.n_audio_frames(lengths[clip]);
            let what = format!("after {until} segments, state {layer}");
            assert_close(&alone[layer], of_clip, n_frames, &what);
        }
    }
}

/// `at`: states at the last audio frame of each clip, `[batch, d_model]`.
fn assert_last_frames<B: SpeechBackbone>(
    backbone: &B,
    at: Vec<Tensor<2>>,
    lengths: &[usize],
    alone: &[Vec<Array2<f32>>],
    what: &str,
) {
    let n_states = backbone.spec().n_hidden_states();
    assert_eq!(at.len(), n_states, "{what}: number of hidden states");
    for (layer, at) in at.into_iter().map(to_array).enumerate() {
        for (clip, &frame) in backbone.last_audio_frames(lengths).iter().enumerate() {
            let expected = alone[clip][layer].slice(s![frame..=frame, ..]);
            let scale = largest(&alone[clip][layer]);
            let difference = largest(&(&expected - &at.slice(s![clip..=clip, ..])));
            assert!(
                difference <= TOLERANCE * scale,
                "{what}, state {layer}: differs by {difference} of {scale}"
            );
        }
    }
}

fn assert_close(a: &Array2<f32>, b: &Array2<f32>, n_frames: usize, what: &str) {
    let rows = s![..n_frames, ..];
    let difference = largest(&(&a.slice(rows) - &b.slice(rows)));
    let scale = largest(a);
    assert!(
        difference <= TOLERANCE * scale,
        "{what}: differs by {difference} of {scale} from the clip alone"
    );
}

fn largest(values: &Array2<f32>) -> f32 {
    values.iter().fold(0.0, |most, x| most.max(x.abs()))
}

/// Hidden states of each clip, `[n_frames, d_model]` per state.
fn states<B: SpeechBackbone>(
    backbone: &B,
    clips: &[&[f32]],
    device: &Device,
) -> Vec<Vec<Array2<f32>>> {
    let (samples, lengths) = padded(clips, device);
    let states = backbone.hidden_states(samples, &lengths).into_layers();
    let by_state: Vec<_> = states.iter().map(rows).collect();
    let of_clip = |clip: usize| by_state.iter().map(|state| state[clip].clone()).collect();
    (0..clips.len()).map(of_clip).collect()
}

/// `[n_frames, d_model]` of each clip.
fn rows(state: &Tensor<3>) -> Vec<Array2<f32>> {
    let [batch, n_frames, d_model] = state.dims();
    let of_clip = |clip| {
        let rows = state
            .clone()
            .slice([clip..clip + 1, 0..n_frames, 0..d_model]);
        to_array(rows.reshape([n_frames, d_model]))
    };
    (0..batch).map(of_clip).collect()
}

/// Samples between -0.5 and 0.5 that a seed fixes.
fn noise(n: usize, seed: u64) -> Vec<f32> {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| rng.random_range(-0.5..0.5)).collect()
}
