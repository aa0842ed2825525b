//! The demo up to where it becomes a study, and what it says in two lines.

use std::ops::ControlFlow;

use braintune::backbone::{PretrainedModel, Windows};
use braintune::demo;
use braintune::study::{AlignmentCurve, Estimate, ProbeCurve, StepState, Study, StudyResults};
use burn::tensor::Device;

#[test]
fn its_study_can_be_done_with_what_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let config = demo::participants(3)
        .with_story_s(40.0)
        .with_test_story_s(100.0);
    let mut go_on = |_: braintune::Event<'_>| ControlFlow::Continue(());
    let file = demo::prepare(&config, folder.path(), &mut go_on).unwrap();
    let study = Study::read(&file).unwrap();
    let plan = study
        .plan(&folder.path().join("results"), &Device::flex(), &mut go_on)
        .unwrap();
    let steps: Vec<_> = plan.steps().collect();
    assert!(steps.iter().all(|(_, state)| *state == StepState::New));
    let tuned = steps
        .iter()
        .filter(|(step, _)| step.name.starts_with("tune "));
    // Two participants, their responses and permuted ones.
    assert_eq!(tuned.count(), 4);
}

#[test]
fn files_that_were_changed_stay_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let config = demo::participants(3)
        .with_story_s(40.0)
        .with_test_story_s(60.0);
    let mut go_on = |_: braintune::Event<'_>| ControlFlow::Continue(());
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("model")).unwrap();
    for name in ["model/config.json", "study.toml"] {
        std::fs::write(at(name), "mine").unwrap();
        let refused = demo::prepare(&config, folder.path(), &mut go_on).unwrap_err();
        assert!(refused.to_string().contains(name), "{refused}");
        assert_eq!(std::fs::read(at(name)).unwrap(), b"mine");
        assert!(!at("dataset").exists());
        std::fs::remove_file(at(name)).unwrap();
    }
}

#[test]
fn the_small_backbone_gives_states_of_its_layers() {
    let folder = tempfile::tempdir().unwrap();
    braintune::simulation::write_tiny_hubert(folder.path()).unwrap();
    let model = PretrainedModel::load(folder.path(), Device::flex()).unwrap();
    let spec = model.spec();
    assert_eq!((spec.n_layers, spec.d_model), (6, 96));
    let windows = Windows::new(2.0, 1.0).unwrap();
    let sound = braintune::audio::Waveform::from_samples(
        (0..48_000).map(|k| (k as f32 * 0.05).sin() * 0.1).collect(),
        braintune::audio::SampleRate::SPEECH,
    )
    .unwrap();
    let extractor = model.into_windowed(windows);
    let features = braintune::backbone::FeatureExtractor::extract(&extractor, &sound).unwrap();
    assert_eq!(features.layers().len(), 7);
    let finite = |layer: &ndarray::Array2<f32>| layer.iter().all(|x| x.is_finite());
    assert!(features.layers().iter().all(finite));
}

#[test]
fn its_finding_is_of_the_last_layer_and_of_both_participants() {
    let mut results = StudyResults::new("demo", "?");
    for (condition, semantic) in [("pretrained", [0.0, 0.1]), ("brain-tuned", [0.3, 0.5])] {
        for (participant, last) in ["SIM01", "SIM02"].into_iter().zip(semantic) {
            results.curves.push(AlignmentCurve {
                model: "tiny-hubert".to_owned(),
                condition: condition.to_owned(),
                participant: participant.to_owned(),
                roi: "semantic".to_owned(),
                n_voxels: 3,
                mean_r: Vec::new(),
                normalized: vec![Some(0.9), Some(last)],
                q_value: Vec::new(),
            });
        }
        results.probes.push(ProbeCurve {
            task: "story-meaning".to_owned(),
            model: "tiny-hubert".to_owned(),
            condition: condition.to_owned(),
            participant: None,
            metric: "accuracy".to_owned(),
            scores: Vec::new(),
            baseline: None,
            peak: Some(Estimate {
                value: Some(if condition == "pretrained" { 1.0 } else { 6.0 }),
                low: None,
                high: None,
            }),
            n_test: 10,
        });
    }
    let [alignment, probes] = demo::finding(&results);
    assert!(
        alignment.contains("semantic 0.05 before, 0.40 after, – tuned"),
        "{alignment}"
    );
    assert!(probes.contains("layer 1.00 before, 6.00 after"), "{probes}");
}
