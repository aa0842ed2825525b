//! Real files in the ds003020 layout, where they are; skipped with a message where they are not.

use std::ops::ControlFlow;
use std::path::PathBuf;

use braintune_fmri::{Ds003020, FileKind, StoryDataset, check_dataset};

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
