use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use braintune_fmri::{
    CheckEvent, CheckReport, CheckStatus, Ds003020, FileKind, check_dataset, write_responses,
};
use tempfile::TempDir;

use super::layout::{self, SUBJECTS, bold, response_path};

fn healthy() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    layout::write_dataset(dir.path());
    dir
}

fn check(dir: &Path, deep: bool) -> CheckReport {
    let dataset = Ds003020::open(dir).unwrap();
    let subjects = SUBJECTS.map(ToOwned::to_owned);
    check_dataset(
        &dataset,
        &subjects,
        deep,
        &mut |_| ControlFlow::Continue(()),
    )
}

/// The only entry that is not well.
fn only_remark(report: &CheckReport) -> (CheckStatus, FileKind, String) {
    let remarks = report
        .entries
        .iter()
        .filter(|entry| entry.status != CheckStatus::Ok);
    let remarks: Vec<_> = remarks.collect();
    assert_eq!(remarks.len(), 1, "{remarks:#?}");
    (
        remarks[0].status,
        remarks[0].kind,
        remarks[0].message.clone(),
    )
}

#[test]
fn a_healthy_dataset_has_no_remark() {
    let dir = healthy();
    for deep in [false, true] {
        let report = check(dir.path(), deep);
        assert!(report.complete && !report.has_problems());
        assert_eq!(report.warnings().count(), 0);
        assert_eq!(report.entries.len(), 3 * (2 + 2));
        let responses = &report.entries[2];
        assert_eq!(responses.kind, FileKind::Responses);
        assert_eq!(responses.subject.as_deref(), Some("UTS01"));
        assert_eq!(responses.details.shape.as_deref(), Some(&[11, 6][..]));
        assert_eq!(responses.details.n_constant_voxels, deep.then_some(0));
        let audio = &report.entries[0];
        assert_eq!(audio.details.duration_s, Some(42.0));
        assert_eq!(audio.details.sample_rate_hz, Some(4000));
    }
}

#[test]
fn the_report_survives_json() {
    let dir = healthy();
    fs::remove_file(dir.path().join("stimuli/souls.wav")).unwrap();
    let report = check(dir.path(), true);
    let json = serde_json::to_string(&report).unwrap();
    assert!(
        json.contains("\"kind\":\"audio\",\"status\":\"error\""),
        "{json}"
    );
    assert!(!json.contains("null,\"dtype\""));
    assert_eq!(serde_json::from_str::<CheckReport>(&json).unwrap(), report);
}

#[test]
fn damaged_responses_are_problems() {
    let dir = healthy();
    let path = response_path(dir.path(), "UTS02", "avatar");
    let good = fs::read(&path).unwrap();
    let problem = |deep| {
        let (status, kind, message) = only_remark(&check(dir.path(), deep));
        assert_eq!((status, kind), (CheckStatus::Error, FileKind::Responses));
        message
    };
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert!(problem(false).contains("truncated"));
    fs::write(&path, "/annex/objects/MD5E-s5--12.hf5\n").unwrap();
    assert!(problem(false).contains("git-annex pointer"));
    fs::write(&path, "<html>").unwrap();
    assert!(problem(false).contains("not an HDF5 file"));
    write_responses(&path, bold(19).view()).unwrap();
    assert!(problem(false).contains("timing (respdict.json: 40) says 20 rows"));

    let mut values = bold(20);
    values[[4, 1]] = f32::NAN;
    values[[5, 1]] = f32::INFINITY;
    values.column_mut(3).fill(7.0);
    write_responses(&path, values.view()).unwrap();
    assert!(!check(dir.path(), false).has_problems());
    assert_eq!(
        problem(true),
        "data has 1 NaN and 1 infinite values in 1 voxels, the first in row 4 of voxel 1; \
         data never changes in voxels 3"
    );
    let fewer = values.slice_axis(ndarray::Axis(1), ndarray::Slice::from(0..1));
    write_responses(&path, fewer).unwrap();
    assert_eq!(problem(false), "1 voxels, earlier stories of UTS02 have 6");
}

#[test]
fn missing_files_are_problems_where_they_are_needed() {
    let dir = healthy();
    let sound = dir.path().join("stimuli/legacy.wav");
    let bytes = fs::read(&sound).unwrap();
    fs::remove_file(&sound).unwrap();
    let (status, kind, message) = only_remark(&check(dir.path(), false));
    assert_eq!((status, kind), (CheckStatus::Error, FileKind::Audio));
    assert!(message.contains("looked for legacy.wav"), "{message}");
    fs::write(&sound, bytes).unwrap();

    fs::remove_file(dir.path().join("derivative/TextGrids/legacy.TextGrid")).unwrap();
    let (status, kind, _) = only_remark(&check(dir.path(), false));
    assert_eq!((status, kind), (CheckStatus::Warning, FileKind::TextGrid));

    for subject in SUBJECTS {
        fs::remove_file(response_path(dir.path(), subject, "legacy")).unwrap();
    }
    fs::remove_file(&sound).unwrap();
    let report = check(dir.path(), false);
    assert!(!report.has_problems());
    assert_eq!(report.warnings().count(), 4);
    fs::copy(
        response_path(dir.path(), "UTS01", "souls"),
        response_path(dir.path(), "UTS01", "new"),
    )
    .unwrap();
    let report = check(dir.path(), false);
    let stray = report.entries.last().unwrap();
    assert!(stray.path.ends_with("UTS01/new.hf5") && stray.status == CheckStatus::Warning);
}

#[test]
fn a_known_defect_is_named_where_something_is_wrong() {
    let dir = healthy();
    layout::write_respdict(dir.path(), &[("life", 31), ("treasureisland", 31)]);
    for story in ["life", "treasureisland"] {
        layout::write_sound(dir.path(), story, 42.0);
    }
    for (subject, story) in [("UTS04", "treasureisland"), ("UTS01", "treasureisland")] {
        let path = response_path(dir.path(), subject, story);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_responses(&path, bold(11).view()).unwrap();
    }
    let dataset = Ds003020::open(dir.path()).unwrap();
    let subjects = ["UTS01", "UTS04"].map(ToOwned::to_owned);
    let report = check_dataset(&dataset, &subjects, false, &mut |_| {
        ControlFlow::Continue(())
    });
    let message = |subject: &str, story: &str| {
        let is_it = |entry: &&braintune_fmri::CheckEntry| {
            entry.subject.as_deref() == Some(subject) && entry.story.as_deref() == Some(story)
        };
        report.entries.iter().find(is_it).unwrap().message.clone()
    };
    let absent = message("UTS04", "life");
    assert!(absent.starts_with("no responses of UTS04 to story life; known defect: "));
    // Only its image is damaged, and that is not looked at.
    assert_eq!(message("UTS01", "treasureisland"), "");
    assert!(!message("UTS01", "life").contains("known defect"));
}

#[test]
fn sound_must_last_as_long_as_the_grid() {
    let dir = healthy();
    layout::write_sound(dir.path(), "avatar", 20.0);
    let report = check(dir.path(), false);
    let messages: Vec<_> = report
        .problems()
        .map(|entry| entry.message.as_str())
        .collect();
    assert_eq!(
        messages,
        [
            "the sound of avatar lasts 20.0 s, its TRs (respdict.json) last until 60.0 s: \
             expected a sound of 30.0 to 70.0 s",
            "its labels last until 60.0 s, the sound of avatar 20.0 s",
        ]
    );
    let whole = fs::read(dir.path().join("stimuli/souls.wav")).unwrap();
    layout::write_dataset(dir.path());
    fs::write(
        dir.path().join("stimuli/souls.wav"),
        &whole[..whole.len() / 2],
    )
    .unwrap();
    let (status, kind, message) = only_remark(&check(dir.path(), false));
    assert_eq!((status, kind), (CheckStatus::Error, FileKind::Audio));
    assert!(message.contains("souls.wav"), "{message}");
}

#[test]
fn an_unknown_subject_is_a_problem() {
    let dir = healthy();
    let dataset = Ds003020::open(dir.path()).unwrap();
    let report = check_dataset(&dataset, &["UTS9".into()], false, &mut |_| {
        ControlFlow::Continue(())
    });
    let (status, _, message) = only_remark(&report);
    assert_eq!(status, CheckStatus::Error);
    assert_eq!(message, "no subject UTS9 in ds003020, it has UTS01, UTS02");
}

#[test]
fn progress_counts_files_and_can_stop() {
    let dir = healthy();
    let dataset = Ds003020::open(dir.path()).unwrap();
    let subjects = SUBJECTS.map(ToOwned::to_owned);
    let mut seen = Vec::new();
    let report = check_dataset(&dataset, &subjects, false, &mut |event| match event {
        CheckEvent::Started { n_files } => {
            seen.push(n_files);
            ControlFlow::Continue(())
        }
        CheckEvent::Checked { n_checked, .. } => {
            seen.push(n_checked);
            if n_checked == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        }
        _ => ControlFlow::Continue(()),
    });
    assert_eq!(seen, [12, 1, 2, 3]);
    assert_eq!(report.entries.len(), 3);
    assert!(!report.complete);
}
