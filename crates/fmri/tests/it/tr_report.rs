use std::fs;
use std::path::Path;

use braintune_fmri::{Ds003020, FmriError, MissingTriggers, StoryDataset, TrReport};
use proptest::prelude::*;
use safetensors::SafeTensors;

use super::{fixture, layout};

fn expected(name: &str) -> Vec<f64> {
    let bytes = fs::read(fixture("tr_report/data.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (values, _) = tensors.tensor(name).unwrap().data().as_chunks::<8>();
    values
        .iter()
        .map(|&bytes| f64::from_le_bytes(bytes))
        .collect()
}

fn worst(ours: &[f64], theirs: &[f64]) -> f64 {
    assert_eq!(ours.len(), theirs.len());
    let pairs = ours.iter().zip(theirs);
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// What reading `text` says.
fn read(text: &[u8], missing: MissingTriggers) -> Result<TrReport, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tale.report");
    fs::write(&path, text).unwrap();
    TrReport::read(&path, missing).map_err(|error| {
        let message = error.to_string();
        assert!(message.contains("tale.report"), "{message}");
        message
    })
}

#[test]
fn times_are_those_of_the_reference() {
    let path = fixture("tr_report/regular.report");
    for missing in [MissingTriggers::Refuse, MissingTriggers::Fill] {
        let report = TrReport::read(&path, missing).unwrap();
        // Sums of numbers below 100 in another order.
        assert!(worst(&report.tr_times(), &expected("regular.tr_times")) < 1e-12);
        assert_eq!((report.n_filled(), report.n_other_events()), (0, 1));
        let sound_s = report.sound_stop_s().unwrap() - report.sound_start_s();
        assert!((60.0..70.0).contains(&sound_s), "{sound_s}");
        let timing = report.timing(10..35).unwrap();
        // The grid is even, the triggers of the fixture stray by a few milliseconds.
        let grid = timing.tr_times().to_vec();
        assert!(worst(&grid, &expected("regular.tr_times")) < 0.01);
        assert!((timing.tr_s() - 2.0045).abs() < 1e-3);
    }
}

#[test]
fn one_missing_trigger_is_filled_as_in_the_reference() {
    let path = fixture("tr_report/one_hole.report");
    let report = TrReport::read(&path, MissingTriggers::Fill).unwrap();
    assert_eq!(report.n_filled(), 1);
    // The reference puts it 2.0045 s after the last one, here it is half way to the next.
    assert!(worst(&report.tr_times(), &expected("one_hole.tr_times")) < 0.005);
    let refused = TrReport::read(&path, MissingTriggers::Refuse).unwrap_err();
    assert!(matches!(refused, FmriError::TrReport { .. }));
    assert!(refused.to_string().contains("no trigger from"), "{refused}");
}

#[test]
fn holes_of_any_length_and_number_are_filled_evenly() {
    let text =
        b"0 init-trigger\n2 trigger\n8 trigger\n10 sound-start\n12 trigger\n14 trigger\n16 trigger";
    let report = read(text, MissingTriggers::Fill).unwrap();
    let even: Vec<_> = (0..9).map(|k| 2.0 * f64::from(k)).collect();
    assert_eq!(report.trigger_times(), even);
    assert_eq!(report.n_filled(), 3);
    assert_eq!(report.timing(0..9).unwrap().tr_times()[0], -9.0);
}

#[test]
fn unusable_reports_say_why() {
    for (text, reason) in [
        ("", "it has no sound-start"),
        ("0 trigger\n2 trigger\n", "it has no sound-start"),
        (
            "0 trigger\n1 sound-start\n",
            "it has 1 triggers, expected at least two",
        ),
        (
            "0 trigger\n0 trigger\n1 sound-start",
            "line 2: the trigger at 0 s does not follow",
        ),
        (
            "0 sound-start\n1 sound-start\n",
            "line 2: a second sound-start, the first is at 0 s",
        ),
        (
            "trigger 0\n",
            "line 1 begins with `trigger`, expected a time in seconds",
        ),
        ("\n\nNaN trigger\n", "line 3 begins with `NaN`"),
        ("1e300 trigger\n", "line 1 begins with `1e300`"),
        (
            "0 trigger\n1e-5 trigger\n2e-5 trigger\n1e6 trigger\n5 sound-start",
            "expected at most 100000 in all",
        ),
    ] {
        let message = read(text.as_bytes(), MissingTriggers::Fill).unwrap_err();
        assert!(message.contains(reason), "{message}");
    }
    let bytes = read(&[0xff, 0xfe, 0x30], MissingTriggers::Fill).unwrap_err();
    assert!(bytes.contains("cannot read"), "{bytes}");
    let missing = TrReport::read(Path::new("no.report"), MissingTriggers::Fill);
    assert!(matches!(missing, Err(FmriError::Missing { .. })));
}

#[test]
fn triggers_off_the_grid_have_no_timing() {
    let text = "0 trigger\n2 trigger\n4.2 trigger\n6 trigger\n8 trigger\n5 sound-start";
    let report = read(text.as_bytes(), MissingTriggers::Fill).unwrap();
    let message = report.timing(0..5).unwrap_err().to_string();
    assert!(
        message.contains("0.200 s from the even grid of 2.0000 s"),
        "{message}"
    );
    assert!(report.timing(0..6).is_err());
    let near = text.replace("4.2", "4.05");
    assert!(
        read(near.as_bytes(), MissingTriggers::Fill)
            .unwrap()
            .timing(0..5)
            .is_ok()
    );
}

#[test]
fn a_dataset_takes_its_timing_from_the_report() {
    let dir = tempfile::tempdir().unwrap();
    layout::write_dataset(dir.path());
    let folder = dir.path().join("derivative/TRfiles");
    fs::create_dir_all(&folder).unwrap();
    let write = |n_triggers: usize| {
        let triggers = (0..n_triggers).map(|k| format!("{} trigger\n", k as f64 * 2.0045));
        let text = triggers.collect::<String>() + "10.1 sound-start\n";
        fs::write(folder.join("souls.report"), text).unwrap();
    };
    // respdict.json: 31 TRs acquired, 26 on the grid.
    write(26);
    let dataset = Ds003020::open(dir.path()).unwrap();
    let timing = dataset.timing("souls").unwrap();
    assert_eq!((timing.n_trs(), timing.stored()), (26, 10..21));
    assert!((timing.tr_times()[0] - (2.0045 / 2.0 - 10.1)).abs() < 1e-9);
    assert!((timing.tr_s() - 2.0045).abs() < 1e-9);
    assert_eq!(dataset.timing("avatar").unwrap().tr_times()[0], -9.0);
    braintune_fmri::check_story_dataset(&dataset);

    write(25);
    let message = dataset.timing("souls").unwrap_err().to_string();
    assert!(
        message
            .contains("it has 25 triggers, respdict.json says 31 TRs, of which 26 are on the grid"),
        "{message}"
    );
}

proptest! {
    /// Damage is an error or another report, never a panic and never many times the file's size.
    #[test]
    fn damaged_reports_are_refused_or_read(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = fs::read(fixture("tr_report/regular.report")).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(report) = read(&bytes, MissingTriggers::Fill) {
            prop_assert!(report.trigger_times().len() <= 200_000);
            prop_assert!(report.trigger_times().windows(2).all(|pair| pair[0] < pair[1]));
            let _ = report.timing(0..1);
        }
    }
}
