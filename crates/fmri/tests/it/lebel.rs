//! Real files in the ds003020 layout, where they are; skipped with a message where they are not.

use std::ops::ControlFlow;
use std::path::PathBuf;

use braintune_fmri::{
    Ds003020, FileKind, FmriError, LowLevelExtractor, LowLevelFeature, Stimulus, StoryDataset,
    StoryPreset, check_dataset, read_textgrid,
};

fn dataset() -> Option<Ds003020> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/lebel-revoiced");
    if dir.is_dir() {
        return Some(Ds003020::open(&dir).unwrap());
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    {
        eprintln!("skipped: no dataset at {}", dir.display());
    }
    None
}

#[test]
fn timing_and_files_agree_in_every_story() {
    let Some(dataset) = dataset() else { return };
    assert_eq!(dataset.stories().len(), 26);
    assert_eq!(dataset.subjects(), ["UTS03"]);
    for story in dataset.stories() {
        let timing = dataset.timing(story.name()).unwrap();
        let shape = dataset.response_shape("UTS03", story.name()).unwrap();
        assert_eq!(shape, (timing.n_trs() - 15, 200), "{}", story.name());
        assert!(story.audio().is_some() && story.textgrid().is_some());
    }
    let timing = dataset.timing("wheretheressmoke").unwrap();
    assert_eq!((timing.n_trs(), timing.stored()), (306, 10..301));
    let responses = dataset.responses("UTS03", "wheretheressmoke").unwrap();
    let (_, test_trim) = dataset.default_trims();
    let kept = responses
        .rows(test_trim.rows(timing.n_trs()).unwrap())
        .unwrap();
    // Row 40 of the file is TR 50 of the grid.
    assert_eq!(kept.bold().row(0), responses.bold().row(40));
    assert_eq!(kept.bold().nrows(), 251);
    assert_eq!(kept.tr_times()[0], 91.0);
}

#[test]
fn a_quick_check_finds_nothing() {
    let Some(dataset) = dataset() else { return };
    let report = check_dataset(&dataset, &["UTS03".into()], false, &mut |_| {
        ControlFlow::Continue(())
    });
    let remarks: Vec<_> = report.problems().chain(report.warnings()).collect();
    assert!(remarks.is_empty(), "{remarks:#?}");
    assert_eq!(report.entries.len(), 78);
    for entry in &report.entries {
        if entry.kind == FileKind::TextGrid {
            assert!(entry.details.n_words.unwrap() > 500, "{entry:?}");
        }
    }
}

#[test]
fn a_deep_check_finds_nothing() {
    let Some(dataset) = dataset() else { return };
    let report = check_dataset(&dataset, &["UTS03".into()], true, &mut |_| {
        ControlFlow::Continue(())
    });
    let remarks: Vec<_> = report.problems().chain(report.warnings()).collect();
    assert!(remarks.is_empty(), "{remarks:#?}");
}

#[test]
fn words_per_tr_add_up_to_the_words_of_the_story() {
    let Some(dataset) = dataset() else { return };
    let extractor = LowLevelExtractor::fit(LowLevelFeature::WordRate, &[]).unwrap();
    for story in dataset.stories() {
        assert!(StoryPreset::First27.stories().contains(&story.name()));
        let labels = read_textgrid(story.textgrid().unwrap()).unwrap();
        let timing = dataset.timing(story.name()).unwrap();
        let rate = extractor
            .transform(Stimulus::Labels(&labels), &timing)
            .unwrap();
        let n_words = labels.words().unwrap().len() as f32;
        // The window's weights add up to 1 within 1%, whatever the time between two TRs.
        let share = rate.sum() / n_words;
        assert!((share - 1.0).abs() < 0.02, "{}: {share}", story.name());
        // These files have a word tier only.
        let none = labels.phones();
        assert!(matches!(none, Err(FmriError::NoPhoneTier { .. })));
    }
}

#[test]
fn features_of_a_whole_sound_have_a_row_per_tr() {
    let Some(dataset) = dataset() else { return };
    let story = dataset.story("inamoment").unwrap();
    let timing = dataset.timing("inamoment").unwrap();
    for feature in [LowLevelFeature::PowerSpectrum, LowLevelFeature::Energy] {
        let extractor = LowLevelExtractor::fit(feature, &[]).unwrap();
        let found = extractor.transform_story(story, &timing).unwrap();
        assert_eq!(found.dim(), (timing.n_trs(), extractor.columns().len()));
        assert!(found.iter().all(|value| value.is_finite()));
        let stored = timing.stored();
        let varies = |column: ndarray::ArrayView1<'_, f32>| column.iter().any(|&x| x != column[0]);
        let kept = found.slice_axis(ndarray::Axis(0), ndarray::Slice::from(stored));
        assert!(kept.columns().into_iter().all(varies), "{feature}");
    }
}
