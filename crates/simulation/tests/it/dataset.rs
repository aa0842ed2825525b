//! The folder is a ds003020 dataset that a preflight finds nothing wrong with.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;

use braintune_audio::{SampleRate, load_audio, probe_audio};
use braintune_fmri::{Ds003020, Story, StoryDataset, Tier, check_dataset, read_textgrid};
use braintune_simulation::SimulatedParticipant;
use ndarray::{Array1, Axis};

use crate::{run, small};

#[test]
fn nothing_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let participant = run(&small(), dir.path());
    let dataset = Ds003020::open(participant.dataset_dir()).unwrap();
    assert_eq!(dataset.subjects(), ["SIM01"]);
    let stories: Vec<_> = dataset.stories().iter().map(Story::name).collect();
    assert_eq!(stories, ["paperboats", "thelighthouse", "thelasttrain"]);
    assert_eq!(participant.train_stories(), &stories[..2]);
    assert_eq!(participant.test_story(), stories[2]);
    for deep in [false, true] {
        let subjects = [participant.subject().to_owned()];
        let report = check_dataset(
            &dataset,
            &subjects,
            deep,
            &mut |_| ControlFlow::Continue(()),
        );
        assert!(report.complete);
        assert_eq!(report.entries.len(), 9);
        let found: Vec<_> = report.problems().chain(report.warnings()).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn responses_cover_the_story_and_are_z_scored() {
    let dir = tempfile::tempdir().unwrap();
    let participant = run(&small(), dir.path());
    let dataset = Ds003020::open(dir.path()).unwrap();
    for (story, story_s) in [("paperboats", 41.3), ("thelasttrain", 60.0)] {
        let responses = dataset.responses(participant.subject(), story).unwrap();
        let times = responses.tr_times();
        assert_eq!(times[0], 11.0);
        // The last TR is the one in which the sound ends.
        let end_s = times[times.len() - 1] + 1.0;
        assert!((0.0..2.0).contains(&(end_s - story_s)), "{end_s} s");
        for column in responses.bold().columns() {
            let column = column.mapv(f64::from);
            assert!(column.mean().unwrap().abs() < 1e-6);
            assert!((column.std(0.0) - 1.0).abs() < 1e-6);
        }
    }
}

#[test]
fn the_test_story_is_the_mean_of_its_repeats() {
    let dir = tempfile::tempdir().unwrap();
    let participant = run(&small(), dir.path());
    let dataset = Ds003020::open(dir.path()).unwrap();
    let story = participant.test_story();
    let repeats = dataset.repeats("SIM01", story).unwrap();
    assert_eq!(repeats.len(), 3);
    let first = repeats[0].bold().mapv(f64::from);
    assert!(
        (first.std_axis(Axis(0), 0.0) - 1.0)
            .iter()
            .all(|x| x.abs() < 1e-6)
    );
    let mut mean = first;
    for repeat in &repeats[1..] {
        mean += &repeat.bold().mapv(f64::from);
    }
    mean /= &mean.std_axis(Axis(0), 0.0);
    let data = dataset
        .responses("SIM01", story)
        .unwrap()
        .into_bold()
        .mapv(f64::from);
    // Rounding to f32 of values up to 5.
    assert!((mean - data).iter().all(|x| x.abs() < 1e-5));
    assert!(dataset.repeats("SIM01", "paperboats").is_err());
}

#[test]
fn one_hearing_leaves_no_repeats() {
    let dir = tempfile::tempdir().unwrap();
    let participant = run(&small().with_n_repeats(1), dir.path());
    let dataset = Ds003020::open(dir.path()).unwrap();
    assert!(dataset.repeats("SIM01", participant.test_story()).is_err());
    dataset
        .responses("SIM01", participant.test_story())
        .unwrap();
}

#[test]
fn regions_share_out_the_voxels() {
    let dir = tempfile::tempdir().unwrap();
    let participant = run(&small(), dir.path());
    let text = fs::read_to_string(participant.rois_path()).unwrap();
    let rois: BTreeMap<String, Vec<usize>> = serde_json::from_str(&text).unwrap();
    assert_eq!(&rois, participant.rois());
    assert_eq!(rois["auditory"], [0, 1, 2]);
    assert_eq!(rois["envelope"], [3]);
    assert_eq!(rois["phonetic"], [4, 5]);
    assert_eq!(rois["semantic"], [6, 7, 8]);
    assert_eq!(rois["noise"], [9, 10]);
    let [first] = participant.participants() else {
        panic!("there is one participant");
    };
    let ceiling: Array1<f32> = ndarray_npy::read_npy(first.noise_ceiling_path()).unwrap();
    assert_eq!(ceiling, first.noise_ceiling());
    assert!(ceiling.iter().take(9).all(|&c| c > 0.5 && c < 1.0));
    assert!(ceiling.iter().skip(9).all(|&c| c == 0.0));
}

#[test]
fn participants_hear_the_same_stories_with_voxels_of_their_own() {
    let [one, two] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    run(&small(), one.path());
    let both = run(
        &small().with_n_participants(2).with_n_test_stories(2),
        two.path(),
    );
    let subjects: Vec<_> = both
        .participants()
        .iter()
        .map(SimulatedParticipant::subject)
        .collect();
    assert_eq!(subjects, ["SIM01", "SIM02"]);
    assert_eq!(both.test_stories(), ["thelasttrain", "quietharbour"]);
    let alone = Ds003020::open(one.path()).unwrap();
    let dataset = Ds003020::open(two.path()).unwrap();
    let bold = |dataset: &Ds003020, subject: &str, story: &str| {
        dataset.responses(subject, story).unwrap().into_bold()
    };
    for story in ["paperboats", "thelasttrain"] {
        // Others beside the first change nothing for it.
        let first = bold(&dataset, "SIM01", story);
        assert_eq!(first, bold(&alone, "SIM01", story));
        assert_ne!(first, bold(&dataset, "SIM02", story));
    }
    let ceilings: Vec<_> = both
        .participants()
        .iter()
        .map(SimulatedParticipant::noise_ceiling)
        .collect();
    assert_ne!(ceilings[0], ceilings[1]);
    assert_eq!(dataset.repeats("SIM02", "quietharbour").unwrap().len(), 3);
}

#[test]
fn words_that_mean_something_are_listed_with_their_class() {
    let [shared, own] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let dataset = run(&small(), shared.path());
    let text = fs::read_to_string(dataset.word_classes_path()).unwrap();
    let classes: BTreeMap<&str, &str> = text
        .lines()
        .skip(1)
        .filter_map(|l| l.split_once(','))
        .collect();
    assert_eq!(text.lines().next(), Some("word,class"));
    assert_eq!(classes.len(), 16);
    let said = |dir: &std::path::Path, story: &str| {
        let path = format!("derivative/TextGrids/{story}.TextGrid");
        let grid = read_textgrid(&dir.join(path)).unwrap();
        let words = grid.words().unwrap().into_iter();
        words.map(|word| word.text.clone()).collect::<Vec<_>>()
    };
    let words = said(shared.path(), "thelasttrain");
    let known = words
        .iter()
        .filter(|word| classes.contains_key(word.as_str()));
    let share = known.count() as f64 / words.len() as f64;
    // A quarter of the words means nothing.
    assert!((0.6..0.9).contains(&share), "{share}");

    let dataset = run(&small().with_own_words_per_story(), own.path());
    assert!(!dataset.word_classes_path().exists());
    let words = said(own.path(), "paperboats");
    let others = said(own.path(), "thelighthouse");
    let shared = words.iter().filter(|word| others.contains(word)).count();
    assert!(shared * 4 < words.len(), "{shared} of {}", words.len());
}

#[test]
fn sound_is_speech_like_and_never_clips() {
    let dir = tempfile::tempdir().unwrap();
    run(&small(), dir.path());
    let path = dir.path().join("stimuli/thelasttrain.wav");
    let info = probe_audio(&path).unwrap();
    assert_eq!((info.sample_rate, info.n_channels), (SampleRate::SPEECH, 1));
    let sound = load_audio(&path).unwrap();
    assert_eq!(sound.samples().len(), 960_000);
    let peak = sound
        .samples()
        .iter()
        .fold(0.0_f32, |peak, x| peak.max(x.abs()));
    assert!((0.1..0.91).contains(&peak), "peak {peak}");
    // What drives the responses: loudness that changes from one two-second stretch to the next.
    let level = |block: &[f32]| {
        let power = block.iter().map(|x| x * x).sum::<f32>() / block.len() as f32;
        10.0 * power.log10()
    };
    let levels: Array1<f32> = sound.samples().chunks(32_000).map(level).collect();
    assert!(levels.std(0.0) > 3.0, "{levels:.1}");
    assert!(
        levels.iter().all(|&level| (-70.0..-15.0).contains(&level)),
        "{levels:.1}"
    );
}

#[test]
fn labels_follow_one_another_to_the_end_of_the_sound() {
    let dir = tempfile::tempdir().unwrap();
    run(&small(), dir.path());
    let path = dir.path().join("derivative/TextGrids/paperboats.TextGrid");
    let grid = read_textgrid(&path).unwrap();
    let names: Vec<_> = grid.tiers.iter().map(|tier| tier.name.as_str()).collect();
    assert_eq!(names, ["phone", "word"]);
    for Tier { intervals, .. } in &grid.tiers {
        assert_eq!(intervals[0].start_s, 0.0);
        assert!(
            intervals
                .windows(2)
                .all(|pair| pair[0].end_s == pair[1].start_s)
        );
        assert!(
            intervals
                .iter()
                .all(|interval| interval.end_s > interval.start_s)
        );
        assert_eq!(intervals.last().unwrap().end_s, 41.3);
    }
    let words = grid.words().unwrap();
    assert!(words.len() > 20, "{} words", words.len());
    for word in words {
        assert!(word.text.chars().all(|c| c.is_ascii_uppercase()));
        let phones = &grid.tiers[0].intervals;
        assert!(phones.iter().any(|phone| phone.start_s == word.start_s));
        assert!(phones.iter().any(|phone| phone.end_s == word.end_s));
    }
}
