//! From recordings to scores per layer, on features whose content is known.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use braintune_audio::Waveform;
use braintune_probing::{
    AcousticTask, Acoustics, FrameFeatures, LabelSet, Part, Penalty, ProbeKind, ProbeProgress,
    ProbeSettings, ProbeTask, ProbingError, Recording, Result, RowPlan, Rows, Split, Target,
    audio_of, probe_layers,
};
use ndarray::{Array2, array};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::corpora::tone;

/// Recordings of three classes by ten speakers; what is said is the class, in 12 wordings.
struct Classes {
    labels: LabelSet,
    recordings: Vec<Recording>,
}

impl ProbeTask for Classes {
    fn name(&self) -> &'static str {
        "classes"
    }
    fn labels(&self) -> &LabelSet {
        &self.labels
    }
    fn rows(&self) -> Rows {
        Rows::Mean
    }
    fn recordings(&self) -> Result<Vec<Recording>> {
        Ok(self.recordings.clone())
    }
}

fn recording(audio: PathBuf, split: Split, group: String, target: Target) -> Recording {
    Recording {
        audio,
        span_s: None,
        length_s: None,
        split,
        group,
        text: None,
        parts: vec![Part::whole(target)],
    }
}

fn classes(folder: &Path, target: impl Fn(usize) -> Target, labels: LabelSet) -> Classes {
    let audio = folder.join("a.wav");
    tone(&audio, 0.2);
    let one = |i: usize| {
        let split = match i % 10 {
            0..6 => Split::Train,
            6..8 => Split::Validation,
            _ => Split::Test,
        };
        recording(
            audio.clone(),
            split,
            format!("speaker {}", i % 10),
            target(i / 10),
        )
    };
    let recordings = (0..240).map(one).collect();
    Classes { labels, recordings }
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| i.to_string()).collect()
}

/// Two layers: noise, and noise that the label moves.
fn features(i: usize, moved: [f32; 4]) -> FrameFeatures {
    let noise = |frame: usize, j: usize| ((i * 31 + frame * 17 + j * 7) as f32 * 12.9898).sin();
    let first = Array2::from_shape_fn((5, 4), |(frame, j)| noise(frame, j));
    let second = Array2::from_shape_fn((5, 4), |(frame, j)| 0.5 * noise(frame, j + 9) + moved[j]);
    let times = (0..5).map(|frame| 0.02 + 0.04 * f64::from(frame)).collect();
    FrameFeatures::new(vec![first, second], times).unwrap()
}

fn probe(
    task: &Classes,
    settings: &ProbeSettings,
    moved: impl Fn(&Target) -> [f32; 4],
) -> Result<braintune_probing::Probed> {
    let scratch = tempfile::tempdir().unwrap();
    let mut i = 0;
    let found = probe_layers(
        task,
        |recording: &Recording, _: &Waveform| {
            i += 1;
            Ok::<_, ProbingError>(features(i, moved(&recording.parts[0].target)))
        },
        settings,
        scratch.path(),
        &mut |_| ControlFlow::Continue(()),
    );
    assert_eq!(
        std::fs::read_dir(scratch.path()).unwrap().count(),
        0,
        "nothing is left behind"
    );
    found
}

fn one_hot(target: &Target) -> [f32; 4] {
    let mut moved = [0.0; 4];
    if let Target::Class(class) = target {
        moved[*class] = 2.0;
    }
    moved
}

#[test]
fn a_layer_that_knows_is_told_from_one_that_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let task = classes(
        dir.path(),
        |i| Target::Class(i % 3),
        LabelSet::OneOf(names(3)),
    );
    for kind in [
        ProbeKind::Linear,
        ProbeKind::Mlp,
        ProbeKind::Paper {
            n_epochs: Some(2000),
        },
    ] {
        let settings = ProbeSettings {
            kind,
            ..ProbeSettings::default()
        };
        let found = probe(&task, &settings, one_hot).unwrap();
        assert_eq!(
            (found.n_train, found.n_test, found.layers.len()),
            (144, 48, 2)
        );
        let accuracy = |layer: usize| found.layers[layer].scores[0];
        assert_eq!(accuracy(0).metric, "accuracy");
        assert!(accuracy(0).value.estimate < 0.6, "{kind:?}: {found:?}");
        assert!(accuracy(1).value.estimate > 0.95, "{kind:?}: {found:?}");
        let (low, high) = accuracy(1).value.interval.unwrap();
        assert!(low <= accuracy(1).value.estimate && accuracy(1).value.estimate <= high);
        // Random labels cannot be read from what holds the true ones.
        let control = found.layers[1].control.unwrap();
        assert!(control.value < 0.65, "{kind:?}");
        let above = control.selectivity;
        assert!((above.estimate - (accuracy(1).value.estimate - control.value)).abs() < 1e-12);
        let (low, high) = above.interval.unwrap();
        assert!(0.0 < low && low <= above.estimate && above.estimate <= high);
        let penalty = found.layers[1].penalty;
        assert_eq!(penalty.is_some(), kind == ProbeKind::Linear);
        assert!(
            penalty
                .is_none_or(|penalty| matches!(penalty, Penalty::C(c) if settings.cs.contains(&c)))
        );
        assert!((found.baseline.unwrap() - 1.0 / 3.0).abs() < 1e-9);
        let peak = found.peak.unwrap();
        assert_eq!((peak.layer, peak.low, peak.high), (1, 1, 1));
    }
}

#[test]
fn labels_that_never_vary_are_predicted_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    // Label 0 is always there, 3 never.
    let target = |i: usize| {
        Target::Classes(if i.is_multiple_of(2) {
            vec![0, 1]
        } else {
            vec![0, 2]
        })
    };
    let task = classes(dir.path(), target, LabelSet::AnyOf(names(4)));
    let moved = |target: &Target| match target {
        Target::Classes(set) if set.contains(&1) => [2.0, 0.0, 0.0, 0.0],
        _ => [-2.0, 0.0, 0.0, 0.0],
    };
    let found = probe(&task, &ProbeSettings::default(), moved).unwrap();
    let scores = &found.layers[1].scores;
    assert_eq!(
        scores.iter().map(|s| s.metric).collect::<Vec<_>>(),
        ["macro_f1", "micro_f1", "accuracy"]
    );
    // Label 3 has no F1 but 0.
    assert!(
        (scores[0].value.estimate - 0.75).abs() < 0.02,
        "{:?}",
        scores[0]
    );
    assert!(scores[2].value.estimate > 0.95);
}

#[test]
fn numbers_come_from_the_audio() {
    let dir = tempfile::tempdir().unwrap();
    let recordings = (0..9).map(|i| {
        let audio = dir.path().join(format!("{i}.wav"));
        tone(&audio, 0.4 + 0.05 * f64::from(i));
        let split = [Split::Train, Split::Validation, Split::Test][usize::try_from(i).unwrap() % 3];
        recording(audio, split, i.to_string(), Target::FromAudio)
    });
    let task = AcousticTask::of_recordings(recordings.collect(), Acoustics::Mfcc).unwrap();
    assert!(task.settings().starts_with("MFCC: 40 coefficients"));
    let scratch = tempfile::tempdir().unwrap();
    let found = probe_layers(
        &task,
        |_: &Recording, audio: &Waveform| {
            // The second layer holds what is asked for.
            let times: Vec<f64> = (1..20).map(|i| 0.02 * f64::from(i)).collect();
            let values = task.values(audio, &times)?;
            let mut rng = ChaCha8Rng::seed_from_u64(audio.samples().len() as u64);
            let noise = Array2::from_shape_fn(values.dim(), |_| rng.random_range(-1.0..1.0));
            let layers = vec![noise, values];
            FrameFeatures::new(layers, times)
        },
        &ProbeSettings::default(),
        scratch.path(),
        &mut |_| ControlFlow::Continue(()),
    );
    let found = found.unwrap();
    let r2 = |layer: usize| found.layers[layer].scores[0].value.estimate;
    assert!(r2(0) < 0.2 && r2(1) > 0.9, "{} {}", r2(0), r2(1));
    assert_eq!((found.n_train, found.n_test), (57, 57));
    // The paper's: the whole track from one row.
    let track =
        AcousticTask::of_recordings(task.recordings().unwrap(), Acoustics::MfccTrack).unwrap();
    let recordings = track.recordings().unwrap();
    let audio = audio_of(&recordings[0]).unwrap();
    assert!((audio.duration_s() - 4.0).abs() < 1e-9);
    assert_eq!(track.values(&audio, &[0.2]).unwrap().dim(), (1, 398 * 40));
    assert_eq!(track.labels().names().len(), 398 * 40);
}

#[test]
fn what_cannot_be_probed_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |target: &dyn Fn(usize) -> Target, labels, words: &[&str]| {
        let task = classes(dir.path(), target, labels);
        let message = probe(&task, &ProbeSettings::default(), one_hot)
            .unwrap_err()
            .to_string();
        for word in words {
            assert!(message.contains(word), "{message}");
        }
    };
    fails(
        &|_| Target::Class(0),
        LabelSet::OneOf(names(3)),
        &["classes", "1 class(es)", "two"],
    );
    fails(
        &|i| Target::Class(i % 4),
        LabelSet::OneOf(names(3)),
        &["label of another kind"],
    );
    fails(
        &|_| Target::Classes(vec![1]),
        LabelSet::AnyOf(names(3)),
        &["every label is the same"],
    );
    let mut task = classes(
        dir.path(),
        |i| Target::Class(i % 3),
        LabelSet::OneOf(names(3)),
    );
    task.recordings
        .retain(|r| r.split != Split::Train || r.parts[0].target != Target::Class(2));
    let message = probe(&task, &ProbeSettings::default(), one_hot)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("no training row of 2 (16 validation and 16 test rows)"),
        "{message}"
    );
    task.recordings.retain(|r| r.split != Split::Validation);
    task.recordings
        .retain(|r| r.parts[0].target != Target::Class(2));
    let message = probe(&task, &ProbeSettings::default(), one_hot)
        .unwrap_err()
        .to_string();
    assert!(message.contains("no validation rows"), "{message}");
    // Missing audio, a caller that stops.
    let task = classes(
        dir.path(),
        |i| Target::Class(i % 3),
        LabelSet::OneOf(names(3)),
    );
    let features = |_: &Recording, _: &Waveform| Ok::<_, ProbingError>(features(1, [0.0; 4]));
    let settings = ProbeSettings::default();
    let mut stop = |progress| match progress {
        ProbeProgress::Reading { done: 3, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let stopped = probe_layers(&task, features, &settings, dir.path(), &mut stop);
    assert!(matches!(stopped, Err(ProbingError::Cancelled)));
    std::fs::remove_file(dir.path().join("a.wav")).unwrap();
    let missing = probe_layers(&task, features, &settings, dir.path(), &mut |_| {
        ControlFlow::Continue(())
    });
    assert!(missing.unwrap_err().to_string().contains("a.wav"));
}

#[test]
fn frames_belong_to_the_part_that_their_centre_lies_in() {
    let part = |span_s| Part::within(span_s, Target::Class(0));
    let mut recording = recording(
        "a.wav".into(),
        Split::Train,
        String::new(),
        Target::Class(0),
    );
    recording.parts = vec![
        part(0.0..0.05),
        part(0.05..0.06),
        part(0.06..0.2),
        Part::whole(Target::Class(0)),
    ];
    let times = [0.01, 0.03, 0.05, 0.07];
    let layer = array![[1.0_f32], [3.0], [10.0], [20.0]];
    let means = RowPlan::new(&recording, Rows::Mean, &times).unwrap();
    assert_eq!(
        means.features(layer.view()),
        array![[2.0_f32], [10.0], [20.0], [8.5]]
    );
    recording.parts.truncate(3);
    recording.parts[1].span_s = Some(0.051..0.052);
    // Between two centres: the nearest frame, or none of the frames.
    let means = RowPlan::new(&recording, Rows::Mean, &times).unwrap();
    assert_eq!(
        means.features(layer.view()),
        array![[2.0_f32], [10.0], [20.0]]
    );
    let frames = RowPlan::new(&recording, Rows::Frames, &times).unwrap();
    assert_eq!(frames.parts(), [0, 0, 2]);
    assert_eq!(frames.times(&times), [0.01, 0.03, 0.07]);
    recording.parts[2].span_s = Some(0.4..0.5);
    let error = RowPlan::new(&recording, Rows::Frames, &times)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("0.400 s") && error.contains("a.wav"),
        "{error}"
    );
}

#[test]
fn features_that_do_not_fit_each_other_are_refused() {
    let zeros = |n_frames, d_model| Array2::<f32>::zeros((n_frames, d_model));
    let times = |n: usize| (0..n).map(|frame| 0.04 * frame as f64).collect::<Vec<_>>();
    let refused = |layers, times| FrameFeatures::new(layers, times).unwrap_err();
    let more_times = refused(vec![zeros(5, 4)], times(6));
    assert!(matches!(
        more_times,
        ProbingError::Rows {
            n_left: 5,
            n_right: 6,
            ..
        }
    ));
    let other_width = refused(vec![zeros(5, 4), zeros(5, 3)], times(5));
    assert!(matches!(
        other_width,
        ProbingError::Columns {
            got: 3,
            expected: 4,
            ..
        }
    ));
    assert!(matches!(
        refused(Vec::new(), times(0)),
        ProbingError::Empty { .. }
    ));
    for wrong in [vec![0.0, 0.0], vec![0.2, 0.1], vec![0.0, f64::NAN]] {
        let error = refused(vec![zeros(2, 4)], wrong).to_string();
        assert!(error.contains("frame before"), "{error}");
    }

    // A recording of which there are other features than of those before it.
    let dir = tempfile::tempdir().unwrap();
    let target = |i: usize| Target::Class(i % 3);
    let task = classes(dir.path(), target, LabelSet::OneOf(names(3)));
    for [n_layers, d_model] in [[3, 4], [1, 4], [2, 5]] {
        let mut n_done = 0;
        let found = probe_layers(
            &task,
            |_: &Recording, _: &Waveform| {
                n_done += 1;
                if n_done < 7 {
                    return Ok(features(n_done, [0.0; 4]));
                }
                FrameFeatures::new(vec![zeros(5, d_model); n_layers], times(5))
            },
            &ProbeSettings::default(),
            dir.path(),
            &mut |_| ControlFlow::Continue(()),
        );
        let error = found.unwrap_err();
        let got = match &error {
            ProbingError::OtherFeatures { got, expected, .. } => (*got, *expected),
            other => panic!("{other}"),
        };
        assert_eq!(got, ([n_layers, d_model], [2, 4]));
        assert!(error.to_string().contains("a.wav"), "{error}");
    }
}
