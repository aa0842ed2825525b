use std::fs;

use braintune_fmri::{
    Ds003020, FmriError, InMemoryDataset, Story, StoryDataset, StoryTiming, TestConvention, Trim,
    check_story_dataset, write_responses,
};
use ndarray::Array2;
use tempfile::TempDir;

use super::layout::{self, STORIES, SUBJECTS, bold, response_path};
use super::{fixture, full_message};

fn dataset() -> (TempDir, Ds003020) {
    let dir = tempfile::tempdir().unwrap();
    layout::write_dataset(dir.path());
    let dataset = Ds003020::open(dir.path()).unwrap();
    (dir, dataset)
}

#[test]
fn ds003020_keeps_the_contract() {
    let (dir, dataset) = dataset();
    check_story_dataset(&dataset);
    // A story that one subject did not hear.
    fs::remove_file(response_path(dir.path(), SUBJECTS[1], "avatar")).unwrap();
    check_story_dataset(&dataset);
}

#[test]
fn in_memory_keeps_the_contract() {
    let mut dataset =
        InMemoryDataset::new("example").with_default_trims(Trim::new(2, 1), Trim::new(5, 1));
    let timing = StoryTiming::new(20, 2.0, -9.0, 1..19).unwrap();
    dataset
        .add_story(Story::new("tale"), timing.clone())
        .unwrap();
    dataset
        .add_story(Story::new("other"), timing.clone())
        .unwrap();
    dataset.add_responses("S1", "tale", bold(18)).unwrap();
    dataset.add_responses("S2", "tale", bold(18)).unwrap();
    dataset
        .add_repeats("S1", "tale", vec![bold(18), bold(18)])
        .unwrap();
    check_story_dataset(&dataset);
    assert_eq!(dataset.repeats("S1", "tale").unwrap().len(), 2);
    let none = dataset.repeats("S2", "tale").unwrap_err();
    assert!(matches!(none, FmriError::NoRepeats { .. }), "{none}");
    let silent = dataset.responses("S1", "other").unwrap_err();
    assert!(matches!(silent, FmriError::NoResponses { .. }), "{silent}");
    let again = dataset.add_story(Story::new("tale"), timing).unwrap_err();
    assert!(matches!(again, FmriError::DuplicateStory { .. }));
    assert_eq!(again.to_string(), "story tale is in example already");
    let rows = dataset
        .add_responses("S1", "tale", bold(20))
        .unwrap_err()
        .to_string();
    assert!(rows.contains("says 18 rows, the array has 20"), "{rows}");
    let audio = dataset.story("tale").unwrap().require_audio().unwrap_err();
    assert!(matches!(audio, FmriError::NoAudio { .. }), "{audio}");
}

#[test]
fn responses_and_repeats_have_the_same_voxels() {
    let fewer = |n_trs| bold(n_trs).slice_move(ndarray::s![.., 1..]);
    let mut dataset = InMemoryDataset::new("example");
    let timing = StoryTiming::new(18, 2.0, 1.0, 0..18).unwrap();
    dataset.add_story(Story::new("tale"), timing).unwrap();
    let refused = |added: Result<(), FmriError>, expected: &str| {
        let error = added.unwrap_err();
        assert!(matches!(error, FmriError::Shape { .. }), "{error}");
        assert!(error.to_string().ends_with(expected), "{error}");
    };
    dataset.add_responses("S1", "tale", bold(18)).unwrap();
    refused(
        dataset.add_repeats("S1", "tale", vec![bold(18), fewer(18)]),
        "expected as many voxels as the responses",
    );
    assert!(dataset.repeats("S1", "tale").is_err());
    refused(
        dataset.add_repeats("S2", "tale", vec![bold(18), fewer(18)]),
        "expected as many voxels as the first repeat",
    );
    let repeats = vec![fewer(18), fewer(18)];
    dataset.add_repeats("S2", "tale", repeats).unwrap();
    refused(
        dataset.add_responses("S2", "tale", bold(18)),
        "expected as many voxels as the repeats",
    );
    dataset.add_responses("S2", "tale", fewer(18)).unwrap();
    check_story_dataset(&dataset);
}

#[test]
fn the_test_convention_is_the_trim_of_test_stories() {
    let (_dir, dataset) = dataset();
    assert_eq!(dataset.default_trims().0, Ds003020::STORED);
    let dataset = dataset.with_test_convention(TestConvention::FromTr10);
    assert_eq!(
        dataset.default_trims(),
        (Ds003020::STORED, Trim::new(10, 5))
    );
}

#[test]
fn a_path_is_no_subject() {
    let (dir, dataset) = dataset();
    let beside = dir.path().join("derivative/x/souls.hf5");
    fs::create_dir_all(beside.parent().unwrap()).unwrap();
    fs::copy(response_path(dir.path(), "UTS01", "souls"), beside).unwrap();
    assert!(dataset.has_responses("UTS01", "souls"));
    assert!(!dataset.has_responses("../x", "souls"));
}

#[test]
fn stories_and_subjects_come_in_the_datasets_order() {
    let (_dir, dataset) = dataset();
    let names: Vec<_> = dataset.stories().iter().map(Story::name).collect();
    assert_eq!(names, STORIES.map(|(name, _)| name));
    assert_eq!(dataset.subjects(), SUBJECTS);
    assert_eq!(
        dataset.default_trims(),
        (Trim::new(10, 5), Trim::new(50, 5))
    );
}

#[test]
fn the_grid_is_the_one_of_the_scanner() {
    let (_dir, dataset) = dataset();
    let timing = dataset.timing("souls").unwrap();
    assert_eq!(timing.n_trs(), 26);
    assert_eq!(timing.stored(), 10..21);
    assert_eq!(timing.tr_times()[0], -9.0);
    assert_eq!(timing.tr_times()[25], 41.0);
    assert_eq!(timing.end_s(), 42.0);
    let responses = dataset.responses("UTS01", "souls").unwrap();
    assert_eq!(responses.bold(), bold(11));
    assert_eq!(responses.tr_times()[0], 11.0);
}

#[test]
fn audio_is_found_by_extension_in_order_of_preference() {
    let (dir, _) = dataset();
    let stimuli = dir.path().join("stimuli");
    fs::write(stimuli.join("souls.mp3"), "").unwrap();
    fs::rename(stimuli.join("avatar.wav"), stimuli.join("avatar.OGG")).unwrap();
    fs::write(stimuli.join("avatar.flac"), "").unwrap();
    fs::remove_file(stimuli.join("legacy.wav")).unwrap();
    let dataset = Ds003020::open(dir.path()).unwrap();
    let audio = |story| {
        dataset
            .story(story)
            .unwrap()
            .audio()
            .map(std::path::Path::to_owned)
    };
    assert_eq!(audio("souls"), Some(stimuli.join("souls.wav")));
    assert_eq!(audio("avatar"), Some(stimuli.join("avatar.flac")));
    assert_eq!(audio("legacy"), None);
    let message = dataset
        .story("legacy")
        .unwrap()
        .require_audio()
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("legacy.wav, legacy.flac, legacy.mp3, legacy.ogg in "),
        "{message}"
    );
}

#[test]
fn another_row_count_than_the_timing_names_both_numbers() {
    let (dir, dataset) = dataset();
    let path = response_path(dir.path(), "UTS01", "souls");
    write_responses(&path, bold(9).view()).unwrap();
    let message = dataset.responses("UTS01", "souls").unwrap_err().to_string();
    assert!(
        message.starts_with("story souls of UTS01: timing (respdict.json: 31) says 11 rows, ")
            && message.ends_with("souls.hf5 has 9"),
        "{message}"
    );
    write_responses(&path, bold(11).t()).unwrap();
    let message = dataset
        .response_shape("UTS01", "souls")
        .unwrap_err()
        .to_string();
    assert!(
        message.ends_with("has 6; it has that many columns, so it may be transposed"),
        "{message}"
    );
}

#[test]
fn unknown_names_list_the_known_ones() {
    let (_dir, dataset) = dataset();
    let story = dataset.responses("UTS01", "soul").unwrap_err().to_string();
    assert_eq!(
        story,
        "no story soul in ds003020, it has souls, avatar, legacy"
    );
    let subject = dataset.responses("UTS1", "souls").unwrap_err().to_string();
    assert_eq!(subject, "no subject UTS1 in ds003020, it has UTS01, UTS02");
}

#[test]
fn missing_and_unreadable_responses_name_the_file() {
    let (dir, dataset) = dataset();
    let path = response_path(dir.path(), "UTS01", "souls");
    fs::remove_file(&path).unwrap();
    assert!(!dataset.has_responses("UTS01", "souls"));
    let message = dataset.responses("UTS01", "souls").unwrap_err().to_string();
    assert!(
        message.starts_with("responses of UTS01 to story souls not found: expected "),
        "{message}"
    );
    fs::copy(fixture("hdf5/bad_key.hf5"), &path).unwrap();
    let message = dataset.responses("UTS01", "souls").unwrap_err().to_string();
    assert!(
        message.contains("has no `data`, it has mask, responses"),
        "{message}"
    );
    let whole = fs::read(response_path(dir.path(), "UTS02", "souls")).unwrap();
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let message = dataset.responses("UTS01", "souls").unwrap_err().to_string();
    assert!(message.contains("souls.hf5 is truncated"), "{message}");
}

#[test]
fn repeats_are_read_and_their_absence_is_named() {
    let (dir, dataset) = dataset();
    let message = dataset.repeats("UTS01", "souls").unwrap_err().to_string();
    assert!(message.contains("no `individual_repeats`") && message.contains("which has data"));
    layout::write_respdict(dir.path(), &[("souls", 43)]);
    fs::copy(
        fixture("hdf5/repeats.hf5"),
        response_path(dir.path(), "UTS01", "souls"),
    )
    .unwrap();
    let dataset = Ds003020::open(dir.path()).unwrap();
    let repeats = dataset.repeats("UTS01", "souls").unwrap();
    assert_eq!(repeats.len(), 3);
    assert_eq!(repeats[2].bold().dim(), (23, 17));
    assert_eq!(repeats[2].bold()[[0, 0]], -13.0);
    assert_eq!(
        repeats[0].bold(),
        dataset.responses("UTS01", "souls").unwrap().bold()
    );
    let columns = dataset.repeats_columns("UTS01", "souls", 3..5).unwrap();
    assert_eq!(columns.len(), 3);
    assert_eq!(
        columns[1].bold(),
        repeats[1].bold().slice(ndarray::s![.., 3..5])
    );
    let none = dataset.repeats_columns("UTS01", "souls", 0..0).unwrap();
    assert_eq!((none.len(), none[0].bold().dim()), (3, (23, 0)));
    let past = dataset
        .repeats_columns("UTS01", "souls", 0..18)
        .unwrap_err();
    assert!(matches!(past, FmriError::Selection { .. }), "{past}");
}

#[test]
fn folders_that_are_no_dataset_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        Ds003020::open(dir.path())
            .map(|_| ())
            .map_err(|error| full_message(&error))
    };
    let nowhere = Ds003020::open(&dir.path().join("nowhere"))
        .unwrap_err()
        .to_string();
    assert!(
        nowhere.starts_with("dataset folder not found: expected "),
        "{nowhere}"
    );
    let message = open().unwrap_err();
    assert!(
        message.starts_with("list of stories not found: expected "),
        "{message}"
    );
    fs::create_dir(dir.path().join("derivative")).unwrap();
    for (json, expected) in [
        ("", "expected {\"story\": n_trs, ...}"),
        ("[1, 2]", "expected {\"story\": n_trs, ...}"),
        ("{\"a\": 30", "EOF"),
        (
            "{\"a\": \"30\"}",
            "story a has \"30\", expected a whole number",
        ),
        ("{\"a\": 30.5}", "story a has 30.5"),
        ("{\"a\": -30}", "story a has -30"),
        ("{}", "it lists no story"),
        ("{\"a\": 20}", "story a has 20 TRs, expected 21 to 100000"),
        ("{\"../a\": 30}", "cannot be the name of a story"),
        ("{\"a\": 30, \"a\": 31}", "story a is listed twice"),
        ("/annex/objects/MD5E-s5--12.json\n", "git-annex pointer"),
    ] {
        fs::write(dir.path().join("derivative/respdict.json"), json).unwrap();
        let message = open().unwrap_err();
        assert!(
            message.contains(expected) && message.contains("respdict.json"),
            "{message}"
        );
    }
    layout::write_respdict(dir.path(), &STORIES);
    let empty = Ds003020::open(dir.path()).unwrap();
    let message = empty.responses("UTS01", "souls").unwrap_err().to_string();
    assert_eq!(message, "no subject UTS01 in ds003020, it has none");
}

#[test]
fn nan_stays_until_it_is_replaced() {
    let (dir, dataset) = dataset();
    let mut values: Array2<f32> = bold(11);
    values[[3, 2]] = f32::NAN;
    write_responses(&response_path(dir.path(), "UTS01", "souls"), values.view()).unwrap();
    let responses = dataset.responses_columns("UTS01", "souls", 1..4).unwrap();
    assert_eq!(responses.bad_values().nan_voxels, [1]);
    assert_eq!(responses.nan_to_zero().bold()[[3, 1]], 0.0);
}
