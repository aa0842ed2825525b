use std::collections::BTreeSet;

use braintune_fmri::{
    FmriError, KNOWN_DEFECTS, StoryPreset, TestConvention, Trim, known_defect, story_sessions,
};

fn set(preset: StoryPreset) -> BTreeSet<&'static str> {
    let stories = preset.stories();
    let set: BTreeSet<_> = stories.iter().copied().collect();
    assert_eq!(set.len(), stories.len(), "{preset}: each story once");
    set
}

#[test]
fn presets_have_the_published_numbers_of_stories() {
    for (preset, n) in [
        (StoryPreset::All, 84),
        (StoryPreset::First27, 27),
        (StoryPreset::TuningTrain, 24),
        (StoryPreset::TuningValidation, 2),
        (StoryPreset::EncodingTrain, 24),
        (StoryPreset::ResidualTrain, 10),
        (StoryPreset::MultiTuningTrain, 82),
        (StoryPreset::MultiTuningValidation, 1),
        (StoryPreset::Test, 1),
    ] {
        assert_eq!(set(preset).len(), n, "{preset}");
    }
}

#[test]
fn roles_do_not_share_stories_and_make_up_the_whole() {
    let whole = |presets: &[StoryPreset]| {
        let sets = presets.iter().map(|&preset| set(preset));
        sets.reduce(|all, next| {
            assert!(all.is_disjoint(&next), "{presets:?}");
            &all | &next
        })
    };
    let tuning = [
        StoryPreset::TuningTrain,
        StoryPreset::TuningValidation,
        StoryPreset::Test,
    ];
    assert_eq!(whole(&tuning), Some(set(StoryPreset::First27)));
    let multi = [
        StoryPreset::MultiTuningTrain,
        StoryPreset::MultiTuningValidation,
        StoryPreset::Test,
    ];
    assert_eq!(whole(&multi), Some(set(StoryPreset::All)));
    let left_out = &set(StoryPreset::First27) - &set(StoryPreset::EncodingTrain);
    let expected = ["life", "myfirstdaywiththeyankees", "wheretheressmoke"];
    assert_eq!(left_out.into_iter().collect::<Vec<_>>(), expected);
    // The list of the released code for residuals, which is in alphabetical order.
    let residual = "alternateithicatom avatar howtodraw legacy life myfirstdaywiththeyankees naked \
                    odetostepfather souls undertheinfluence";
    let residual: BTreeSet<_> = residual.split_whitespace().collect();
    assert_eq!(set(StoryPreset::ResidualTrain), residual);
}

#[test]
fn every_story_has_a_session() {
    for story in StoryPreset::All.stories() {
        let sessions = story_sessions(story);
        let n = if story == "wheretheressmoke" { 10 } else { 1 };
        assert_eq!(sessions.len(), n, "{story}");
        let is_common = StoryPreset::First27.stories().contains(&story);
        assert_eq!(sessions[0] <= 6, is_common, "{story}");
    }
    assert!(story_sessions("a story nobody heard").is_empty());
    assert_eq!(story_sessions("jugglingandjesus"), [20]);
}

#[test]
fn names_are_read_back() {
    for &preset in StoryPreset::ALL {
        assert_eq!(preset.to_string().parse::<StoryPreset>().unwrap(), preset);
    }
    for convention in [TestConvention::FromTr50, TestConvention::FromTr10] {
        let name = convention.to_string();
        assert_eq!(name.parse::<TestConvention>().unwrap(), convention);
    }
    let error = "tuning".parse::<StoryPreset>().unwrap_err();
    assert!(matches!(error, FmriError::UnknownName { .. }));
    assert!(error.to_string().contains("tuning-train"), "{error}");
    let error = "50".parse::<TestConvention>().unwrap_err().to_string();
    assert_eq!(
        error,
        "no convention for test rows is called `50`, there are from-tr-50, from-tr-10"
    );
}

#[test]
fn test_rows_are_those_of_the_grid_and_of_the_file() {
    // wheretheressmoke: 306 TRs on the grid, 291 rows in the file.
    for (convention, rows, first) in [
        (TestConvention::FromTr50, 50..301, 40),
        (TestConvention::FromTr10, 10..301, 0),
    ] {
        assert_eq!(convention.trim().rows(306).unwrap(), rows);
        assert_eq!(convention.first_response_row(), first);
        assert_eq!(rows.len(), 291 - first);
    }
    assert_eq!(TestConvention::default().trim(), Trim::new(50, 5));
}

#[test]
fn defects_name_stories_that_exist_and_what_follows() {
    for defect in KNOWN_DEFECTS {
        assert!(StoryPreset::All.stories().contains(&defect.story));
        assert_eq!(known_defect(defect.subject, defect.story), Some(defect));
        let message = defect.to_string();
        assert!(message.starts_with("known defect: "), "{message}");
        assert!(message.contains(defect.consequence), "{message}");
    }
    assert_eq!(known_defect("UTS05", "life"), None);
    assert_eq!(known_defect("UTS04", "souls"), None);
}
