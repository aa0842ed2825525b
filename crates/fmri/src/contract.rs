//! What every [`StoryDataset`] must keep to, as a function that implementers' tests call.

use crate::{FmriError, Responses, StoryDataset};

/// Checks that a dataset with at least one response keeps the promises of [`StoryDataset`].
///
/// Reads the responses of every subject to every story, so the dataset should be small.
///
/// # Panics
///
/// If a promise is broken; the message says which.
pub fn check_story_dataset(dataset: &dyn StoryDataset) {
    let mut n_responses = 0;
    for story in dataset.stories() {
        check_timing(dataset, story.name());
        assert_eq!(
            dataset.story(story.name()).ok(),
            Some(story),
            "a story is found by name"
        );
        for subject in dataset.subjects() {
            if dataset.has_responses(subject, story.name()) {
                n_responses += 1;
                check_responses(dataset, subject, story.name());
            } else {
                let shape = dataset.response_shape(subject, story.name());
                assert!(shape.is_err(), "no shape without responses");
            }
        }
    }
    assert!(n_responses > 0, "the dataset must hold a response");
    check_unknown_names(dataset);
}

fn check_timing(dataset: &dyn StoryDataset, story: &str) {
    let timing = expect(dataset.timing(story));
    let times = timing.tr_times();
    assert_eq!(times.len(), timing.n_trs(), "one time per TR of the grid");
    for pair in times.as_slice().unwrap_or_default().windows(2) {
        assert!(
            (pair[1] - pair[0] - timing.tr_s()).abs() < 1e-9,
            "TRs are tr_s apart"
        );
    }
    assert!(
        timing.stored().end <= timing.n_trs(),
        "stored rows are rows of the grid"
    );
    let (train, test) = dataset.default_trims();
    for trim in [train, test] {
        if let Ok(rows) = trim.rows(timing.n_trs()) {
            let stored = timing.stored();
            assert!(
                stored.start <= rows.start && rows.end <= stored.end,
                "the default trim {trim} keeps only rows that are stored"
            );
        }
    }
}

fn check_responses(dataset: &dyn StoryDataset, subject: &str, story: &str) {
    let timing = expect(dataset.timing(story));
    let (n_trs, n_voxels) = expect(dataset.response_shape(subject, story));
    let all = expect(dataset.responses(subject, story));
    assert_eq!(
        n_trs,
        timing.stored().len(),
        "as many rows as the timing says are stored"
    );
    assert_eq!(
        all.bold().dim(),
        (n_trs, n_voxels),
        "responses have the shape announced"
    );
    assert_eq!(
        all.first_tr().as_index(),
        timing.stored().start,
        "first_tr is the first stored"
    );
    assert_eq!(
        all.tr_times().as_slice(),
        timing
            .tr_times()
            .as_slice()
            .and_then(|times| times.get(timing.stored())),
        "times are those of the stored rows"
    );
    check_columns(dataset, subject, story, &all);
    check_repeats(dataset, subject, story, n_trs, n_voxels);
}

/// Single columns are those of `all` responses.
fn check_columns(dataset: &dyn StoryDataset, subject: &str, story: &str, all: &Responses) {
    let (n_trs, n_voxels) = all.bold().dim();
    for voxels in [0..1, n_voxels / 2..n_voxels, n_voxels..n_voxels] {
        let columns = expect(dataset.responses_columns(subject, story, voxels.clone()));
        assert_eq!(
            columns.bold().dim(),
            (n_trs, voxels.len()),
            "columns asked for"
        );
        for (k, voxel) in voxels.enumerate() {
            let is_same = columns
                .bold()
                .column(k)
                .iter()
                .zip(all.bold().column(voxel))
                .all(|(a, b)| a.to_bits() == b.to_bits());
            assert!(is_same, "a column is the same alone and among all");
        }
    }
    let past = dataset.responses_columns(subject, story, 0..n_voxels + 1);
    assert!(
        matches!(past, Err(FmriError::Selection { .. })),
        "no voxel past the last"
    );
}

fn check_repeats(
    dataset: &dyn StoryDataset,
    subject: &str,
    story: &str,
    n_trs: usize,
    n_voxels: usize,
) {
    let Ok(repeats) = dataset.repeats(subject, story) else {
        return;
    };
    for repeat in &repeats {
        assert_eq!(
            repeat.bold().dim(),
            (n_trs, n_voxels),
            "repeats have the story's shape"
        );
    }
    for voxels in [0..0, n_voxels / 2..n_voxels] {
        let columns = expect(dataset.repeats_columns(subject, story, voxels.clone()));
        assert_eq!(
            columns.len(),
            repeats.len(),
            "as many hearings, whatever the range"
        );
        for (columns, repeat) in columns.iter().zip(&repeats) {
            for (k, voxel) in voxels.clone().enumerate() {
                let (alone, among) = (columns.bold(), repeat.bold());
                let mut pairs = alone.column(k).into_iter().zip(among.column(voxel));
                let is_same = pairs.all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(is_same, "a column is the same alone and among all");
            }
        }
    }
    let past = dataset.repeats_columns(subject, story, 0..n_voxels + 1);
    assert!(
        matches!(past, Err(FmriError::Selection { .. })),
        "no voxel past the last"
    );
}

fn check_unknown_names(dataset: &dyn StoryDataset) {
    const NONE: &str = "a name no dataset has";
    let story = dataset.stories()[0].name();
    assert!(matches!(
        dataset.timing(NONE),
        Err(FmriError::UnknownStory { .. })
    ));
    let subject = &dataset.subjects()[0];
    let unknown_story = dataset.response_shape(subject, NONE);
    assert!(matches!(unknown_story, Err(FmriError::UnknownStory { .. })));
    let unknown_subject = dataset.response_shape(NONE, story);
    assert!(matches!(
        unknown_subject,
        Err(FmriError::UnknownSubject { .. })
    ));
    assert!(!dataset.has_responses(NONE, story) && !dataset.has_responses(subject, NONE));
}

fn expect<T>(result: Result<T, FmriError>) -> T {
    result.unwrap_or_else(|error| panic!("a dataset's own story and subject must work: {error}"))
}
