//! What `dataset.toml` says, and what is said of one that is wrong.

use std::path::PathBuf;

use braintune_fmri::{DatasetFiles, StoryDataset, Trim, check_story_dataset};

use super::folder::{HEAD, STORY, folder, open, refused};

#[test]
fn files_are_found_and_named() {
    let toml = format!(
        "{HEAD}responses = 'sub-{{subject}}/run_{{story}}.npy'\n{STORY}audio = 'a/b.wav'\n[[story]]\nname = 'other'"
    );
    let dir = folder(
        &toml,
        &[
            ("sub-07/run_tale.npy", "fortran.npy"),
            ("sub-07/run_other.npy", "fortran.npy"),
            ("stimuli/other.FLAC", "fortran.npy"),
            ("textgrids/other.TextGrid", "fortran.npy"),
            ("derivatives/run_tale.npy", "fortran.npy"),
        ],
    );
    let (root, dataset) = (dir.path(), open(&dir));
    assert_eq!(dataset.subjects(), ["07"]);
    let story = |name| dataset.story(name).unwrap().clone();
    assert_eq!(story("tale").audio(), Some(&*root.join("a/b.wav")));
    assert_eq!(
        story("other").audio(),
        Some(&*root.join("stimuli/other.FLAC"))
    );
    assert_eq!(story("tale").textgrid(), None);
    assert_eq!(
        story("other").textgrid(),
        Some(&*dataset.textgrid_path("other"))
    );
    let path = |path: &str| -> PathBuf { root.join(path) };
    assert_eq!(
        dataset.textgrid_path("tale"),
        path("textgrids/tale.TextGrid")
    );
    assert_eq!(
        dataset.response_path("07", "tale"),
        path("sub-07/run_tale.npy")
    );
    assert_eq!(dataset.response_path("08", "x"), path("sub-08/run_x.npy"));
}

#[test]
fn trims_default_to_what_is_stored() {
    let toml = format!(
        "{HEAD}{STORY}n_times = 30\nstored = [4, 27]\n[[story]]\nname = 'b'\nn_times = 25\nstored = [1, 24]"
    );
    let arrays = [
        ("responses/S1/tale.npy", "fortran.npy"),
        ("responses/S1/b.npy", "fortran.npy"),
    ];
    let dir = folder(&toml, &arrays);
    check_story_dataset(&open(&dir));
    assert_eq!(open(&dir).default_trims().0, Trim::new(4, 3));
    let message = refused(
        &format!("{toml}\n[trim]\ntrain = [4, 3]\ntest = [3, 3]"),
        &arrays,
    );
    assert!(
        message.ends_with(
            "`trim.test` of 3,3 keeps rows 3..27 of story tale, of which 4..27 are stored"
        ),
        "{message}"
    );
}

#[test]
fn what_is_wrong_with_the_toml_is_named() {
    let n_times = "n_times = 23";
    assert_refused(&[
        (String::new(), "missing field `name`"),
        ("name = 'a'\n= 3".into(), "line 2 (= 3): "),
        (
            format!("{HEAD}sample_rate = 3"),
            "line 4 (sample_rate = 3): unknown field `sample_rate`",
        ),
        (
            with(HEAD, "onset = 3"),
            "line 7 (onset = 3): unknown field `onset`",
        ),
        (
            "name = 'a'\ntr_s = '2'".into(),
            "line 2 (tr_s = '2'): invalid type: string",
        ),
        (format!("{HEAD}modality = 'pet'"), "unknown variant `pet`"),
        (
            format!("{HEAD}axes = 'channels'"),
            "unknown variant `channels`",
        ),
        (HEAD.into(), "no story: expected a table [[story]] for each"),
        (with("name = 'a'\nfirst_time_s = 1", n_times), "no `tr_s`"),
        (
            with(&format!("{HEAD}rate_hz = 2"), n_times),
            "both `tr_s` and `rate_hz`",
        ),
        (
            with("name = 'a'\nfirst_time_s = 1\nrate_hz = 0", n_times),
            "`rate_hz` = 0, expected a positive",
        ),
        (
            with("name = 'a'\nfirst_time_s = 1\ntr_s = nan", n_times),
            "`tr_s` = NaN",
        ),
        (
            with("name = 'a'\ntr_s = 1", n_times),
            "story tale: no `first_time_s`",
        ),
    ]);
}

#[test]
fn what_is_wrong_with_a_story_is_named() {
    let n_times = "n_times = 23";
    assert_refused(&[
        (with(HEAD, "n_times = -1"), "invalid value: integer `-1`"),
        (
            with(HEAD, "n_times = 0"),
            "story tale: `n_times` = 0, expected 1 to",
        ),
        (
            with(HEAD, "n_times = 9000000000000000000"),
            "expected 1 to 10000000",
        ),
        (
            with(HEAD, "n_times = 23\nstored = [5, 24]"),
            "`stored` = [5, 24]",
        ),
        (
            with(HEAD, "stored = [5, 24]"),
            "`stored` is of a grid of `n_times`",
        ),
        (
            with(HEAD, "audio = '../a.wav'"),
            "`audio` = \"../a.wav\" leaves the folder",
        ),
        (
            with(HEAD, "textgrid = '/a'"),
            "`textgrid` = \"/a\" leaves the folder",
        ),
        (
            with(
                &format!("{HEAD}responses = '../{{subject}}/{{story}}.npy'"),
                n_times,
            ),
            "`responses` = \"../",
        ),
        (
            with(&format!("{HEAD}responses = '{{subject}}.npy'"), n_times),
            "expected a path with {subject} and {story}",
        ),
        (
            with(
                &format!("{HEAD}responses = '{{story}}/{{subject}}.npy'"),
                n_times,
            ),
            "no `subjects`",
        ),
        (
            with(&format!("{HEAD}subjects = ['a', 'a']"), n_times),
            "`subjects`: a is there twice",
        ),
        (
            with(&format!("{HEAD}subjects = ['../a']"), n_times),
            "\"../a\" cannot be the name",
        ),
        (
            with(HEAD, "[[story]]\nname = 'tale'"),
            "`name`: tale is there twice",
        ),
        (
            with(HEAD, ""),
            "story tale: no `n_times`, and no array to count them in: expected ",
        ),
        (
            "/annex/objects/MD5E-s5--12.toml\n".into(),
            "git-annex pointer",
        ),
    ]);
}

/// A description with this head and one story.
fn with(head: &str, story: &str) -> String {
    format!("{head}\n[[story]]\nname = 'tale'\n{story}")
}

#[track_caller]
fn assert_refused(cases: &[(String, &str)]) {
    for (toml, expected) in cases {
        let message = refused(toml, &[]);
        assert!(message.contains(expected), "{toml}\n-> {message}");
        assert!(message.contains("dataset.toml"), "{message}");
    }
}

#[test]
fn paths_may_leave_the_folder_if_that_is_written() {
    let outside = folder("", &[("S1/tale.npy", "fortran.npy")]);
    let root = outside.path().display();
    let dir = folder(
        &format!("{HEAD}outside = true\nresponses = '{root}/{{subject}}/{{story}}.npy'\n{STORY}"),
        &[],
    );
    check_story_dataset(&open(&dir));
}
