//! The small JSON files of a simulated dataset.

use std::fmt::Write as _;

use serde::Serialize;

use crate::acoustics::{FIRST_STEP_S, FLOOR, HOP, N_FFT, N_POOLED, STEP_S};
use crate::responses::AR1;
use crate::voxels::Voxel;
use crate::{SimulatedDataset, SimulationConfig, features, hrf};

#[derive(Serialize)]
struct GroundTruth<'a> {
    generator: &'static str,
    config: &'a SimulationConfig,
    train_stories: &'a [String],
    test_stories: &'a [String],
    features: Features,
    hrf: Hrf,
    noise_ar1: f64,
    participants: Vec<Participant<'a>>,
}

#[derive(Serialize)]
struct Participant<'a> {
    subject: &'a str,
    voxels: &'a [Voxel],
}

/// How the features that `weights` refer to come from the sound.
#[derive(Serialize)]
struct Features {
    names: Vec<String>,
    /// Of the bands and of loudness, where their energies are sums.
    transform: &'static str,
    mfcc: &'static str,
    phones_and_meanings: &'static str,
    n_fft: usize,
    hop: usize,
    n_pooled_frames: usize,
    floor: f64,
    first_step_s: f64,
    step_s: f64,
}

/// The haemodynamic response but for the delay of each voxel.
#[derive(Serialize)]
struct Hrf {
    form: &'static str,
    undershoot_after_s: f64,
    ratio: f64,
    length_s: f64,
}

/// The content of `ground_truth.json`.
pub(crate) fn ground_truth(
    config: &SimulationConfig,
    dataset: &SimulatedDataset,
    voxels: &[Vec<Voxel>],
) -> Vec<u8> {
    let of_participant = |(participant, voxels)| Participant {
        subject: crate::SimulatedParticipant::subject(participant),
        voxels,
    };
    let participants = dataset.participants().iter();
    to_json(&GroundTruth {
        generator: concat!("braintune-simulation ", env!("CARGO_PKG_VERSION")),
        config,
        train_stories: dataset.train_stories(),
        test_stories: dataset.test_stories(),
        features: Features {
            names: features::names(),
            transform: "log10(1 + energy / floor)",
            mfcc: "coefficients 1 to 12 of the orthonormal DCT-II of the bands",
            phones_and_meanings: "share of a step, which lies around its time, in which one is said",
            n_fft: N_FFT,
            hop: HOP,
            n_pooled_frames: N_POOLED,
            floor: FLOOR,
            first_step_s: FIRST_STEP_S,
            step_s: STEP_S,
        },
        hrf: Hrf {
            form: "gamma(delay) - gamma(delay + undershoot_after) / ratio",
            undershoot_after_s: hrf::UNDERSHOOT_AFTER_S,
            ratio: hrf::RATIO,
            length_s: hrf::LENGTH_S,
        },
        noise_ar1: AR1,
        participants: participants
            .zip(voxels.iter().map(Vec::as_slice))
            .map(of_participant)
            .collect(),
    })
}

/// The content of `rois.json`.
pub(crate) fn rois(dataset: &SimulatedDataset) -> Vec<u8> {
    to_json(dataset.rois())
}

/// The content of `respdict.json`, in the order of the stories, which a map would lose.
pub(crate) fn respdict(n_acquired: &[(&str, usize)]) -> Vec<u8> {
    let mut text = String::from("{");
    for (k, (story, n)) in n_acquired.iter().enumerate() {
        let comma = if k == 0 { "" } else { "," };
        // Writing to a String cannot fail, and names of stories need no escapes.
        let _ = write!(text, "{comma}\n \"{story}\": {n}");
    }
    text += "\n}\n";
    text.into_bytes()
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value).expect("plain structs with string keys");
    json.push(b'\n');
    json
}
