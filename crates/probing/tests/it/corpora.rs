//! Corpora in the layouts they come in, and what is said of broken ones.

use std::collections::BTreeSet;
use std::path::Path;

use braintune_audio::{SampleRate, Waveform, write_wav};
use braintune_probing::{
    CorpusTask, LabelSet, ProbeTask, ProbingError, Recording, Rows, Split, Target, TimitPhonemes,
    TimitSentenceType, TimitSplit, timit_utterances,
};

pub(crate) fn tone(path: &Path, seconds: f64) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    #[expect(clippy::cast_sign_loss)] // seconds of audio
    let n = (seconds * 16_000.0) as usize;
    let samples = (0..n).map(|i| 0.3 * (i as f32 * 0.05).sin()).collect();
    write_wav(
        path,
        &Waveform::from_samples(samples, SampleRate::SPEECH).unwrap(),
    )
    .unwrap();
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn assert_says<T: std::fmt::Debug>(found: Result<T, ProbingError>, words: &[&str]) {
    let message = found.unwrap_err().to_string();
    for word in words {
        assert!(message.contains(word), "`{message}` lacks `{word}`");
    }
}

/// Six training and two test speakers, three sentences each.
fn timit(folder: &Path) {
    for (part, n) in [("TRAIN", 6), ("TEST", 2)] {
        for speaker in 0..n {
            let name = format!("{}SP{speaker}", &part[..2]);
            for sentence in [
                "SA1".to_owned(),
                format!("SI{speaker}"),
                format!("SX{speaker}{part}"),
            ] {
                let stem = folder.join(part).join("DR1").join(&name).join(&sentence);
                tone(&stem.with_extension("WAV"), 0.5);
                write(
                    &stem.with_extension("PHN"),
                    "0 2000 h#\n2000 4000 ix\n4000 6000 kcl\n6000 8000 k\n",
                );
            }
        }
    }
}

fn groups(recordings: &[Recording], split: Split) -> BTreeSet<&str> {
    let of_split = recordings
        .iter()
        .filter(|recording| recording.split == split);
    of_split.map(|recording| recording.group.as_str()).collect()
}

#[test]
fn timit_is_split_by_speaker_by_text_or_as_the_paper_does() {
    let dir = tempfile::tempdir().unwrap();
    timit(dir.path());
    let all = timit_utterances(dir.path()).unwrap();
    assert_eq!(all.len(), 24);
    let task = |split| {
        TimitSentenceType::new(dir.path(), split, 3)
            .unwrap()
            .recordings()
            .unwrap()
    };
    let official = task(TimitSplit::Official);
    assert_eq!(official.len(), 24);
    let (train, validation, test) = (
        groups(&official, Split::Train),
        groups(&official, Split::Validation),
        groups(&official, Split::Test),
    );
    assert_eq!((train.len(), validation.len(), test.len()), (5, 1, 2));
    assert!(train.is_disjoint(&validation) && train.is_disjoint(&test));
    // Without SA1, which everybody reads.
    let disjoint = task(TimitSplit::TextDisjoint);
    let texts = |wanted: bool| -> BTreeSet<_> {
        disjoint
            .iter()
            .filter(|r| (r.split == Split::Test) == wanted)
            .map(|r| r.text.clone())
            .collect()
    };
    assert!(
        texts(true).is_disjoint(&texts(false)) && texts(true).contains(&Some("SA1".to_owned()))
    );
    let paper = task(TimitSplit::Paper);
    let n = |split| paper.iter().filter(|r| r.split == split).count();
    assert_eq!(
        [n(Split::Train), n(Split::Validation), n(Split::Test)],
        [19, 2, 3]
    );
    assert_eq!(paper, task(TimitSplit::Paper));
}

#[test]
fn phones_are_folded_and_labels_are_of_utterances_or_of_spans() {
    let dir = tempfile::tempdir().unwrap();
    // As in circulation: a folder more, lower case, a copy of every file.
    timit(&dir.path().join("data"));
    let twin = dir.path().join("data/TRAIN/DR1/TRSP0/SA1.WAV.wav");
    tone(&twin, 0.5);
    let whole = TimitPhonemes::of_utterances(dir.path(), TimitSplit::Official, 0).unwrap();
    let LabelSet::AnyOf(names) = whole.labels() else {
        panic!("any of 39")
    };
    assert_eq!((names.len(), whole.rows()), (39, Rows::Mean));
    let recordings = whole.recordings().unwrap();
    assert_eq!(recordings.len(), 24);
    let Target::Classes(present) = &recordings[0].parts[0].target else {
        panic!("classes")
    };
    let present: Vec<&str> = present.iter().map(|&class| names[class].as_str()).collect();
    assert_eq!(present, ["h#", "ih", "k"]); // ix is ih, kcl is silence
    let frames = TimitPhonemes::of_frames(dir.path(), TimitSplit::Official, 0).unwrap();
    let parts = &frames.recordings().unwrap()[0].parts;
    assert_eq!((parts.len(), frames.rows()), (4, Rows::Frames));
    assert_eq!(parts[1].span_s, Some(0.125..0.25));
}

#[test]
fn broken_timit_is_an_error_that_names_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    assert_says(timit_utterances(dir.path()), &["TRAIN and TEST", "LDC93S1"]);
    timit(dir.path());
    let phn = dir.path().join("TRAIN/DR1/TRSP0/SA1.PHN");
    let recordings = || {
        let task = TimitPhonemes::of_utterances(dir.path(), TimitSplit::Official, 0).unwrap();
        task.recordings().map(|_| ())
    };
    for (text, words) in [
        (
            "0 2000 h#\n1000 4000 ix\n",
            ["SA1.PHN", "line 2", "overlaps"],
        ),
        ("0 2000 h#\n2000 4000 xx\n", ["SA1.PHN", "line 2", "`xx`"]),
        ("0 2000\n", ["SA1.PHN", "line 1", "first last phone"]),
        (
            "0 2000 h#\n3000 2500 ix\n",
            ["SA1.PHN", "line 2", "goes back"],
        ),
        ("\n", ["SA1.PHN", "no phones", "empty"]),
    ] {
        write(&phn, text);
        assert_says(recordings(), &words);
    }
    std::fs::remove_file(&phn).unwrap();
    assert_says(recordings(), &["SA1", "PHN"]);
}

fn commands(folder: &Path) {
    for word in ["yes", "no", "_background_noise_"] {
        for speaker in ["a1", "b2", "c3"] {
            tone(
                &folder.join(word).join(format!("{speaker}_nohash_0.wav")),
                0.2,
            );
        }
    }
    write(
        &folder.join("testing_list.txt"),
        "yes/c3_nohash_0.wav\nno/c3_nohash_0.wav\n",
    );
    write(
        &folder.join("validation_list.txt"),
        "yes/b2_nohash_0.wav\nno/b2_nohash_0.wav\n",
    );
}

#[test]
fn speech_commands_follow_their_lists() {
    let dir = tempfile::tempdir().unwrap();
    assert_says(
        CorpusTask::speech_commands(dir.path()),
        &["speech_commands_v0.02"],
    );
    commands(dir.path());
    let task = CorpusTask::speech_commands(dir.path()).unwrap();
    assert_eq!(
        task.labels(),
        &LabelSet::OneOf(vec!["no".to_owned(), "yes".to_owned()])
    );
    let recordings = task.recordings().unwrap();
    assert_eq!(recordings.len(), 6);
    assert_eq!(groups(&recordings, Split::Test), BTreeSet::from(["c3"]));
    assert_eq!(groups(&recordings, Split::Train), BTreeSet::from(["a1"]));

    write(
        &dir.path().join("testing_list.txt"),
        "yes/c3_nohash_0.wav\nno/z_nohash_0.wav\n",
    );
    assert_says(
        CorpusTask::speech_commands(dir.path()),
        &["testing_list.txt", "1 of 2", "no/z_nohash_0.wav"],
    );
    write(
        &dir.path().join("testing_list.txt"),
        "yes/b2_nohash_0.wav\n",
    );
    assert_says(
        CorpusTask::speech_commands(dir.path()),
        &["yes/b2_nohash_0.wav", "both", "validation"]
            .map(|w| if w == "both" { "testing_list.txt" } else { w }),
    );
    std::fs::remove_file(dir.path().join("testing_list.txt")).unwrap();
    assert_says(
        CorpusTask::speech_commands(dir.path()),
        &["no testing_list.txt"],
    );
}

#[test]
fn crema_d_takes_its_labels_from_names() {
    let dir = tempfile::tempdir().unwrap();
    assert_says(
        CorpusTask::crema_d(dir.path(), false, 0),
        &["no recordings", "CREMA-D"],
    );
    for actor in 1001..1012 {
        for emotion in ["ANG", "SAD"] {
            tone(
                &dir.path()
                    .join("AudioWAV")
                    .join(format!("{actor}_DFA_{emotion}_XX.wav")),
                0.3,
            );
        }
    }
    let task = CorpusTask::crema_d(dir.path(), true, 0).unwrap();
    let recordings = task.recordings().unwrap();
    let (train, validation, test) = (
        groups(&recordings, Split::Train),
        groups(&recordings, Split::Validation),
        groups(&recordings, Split::Test),
    );
    assert_eq!((train.len(), validation.len(), test.len()), (9, 1, 1));
    assert!(train.is_disjoint(&validation) && validation.is_disjoint(&test));
    assert!(recordings.iter().all(|r| r.length_s == Some(2.0)));
    assert_eq!(recordings[1].parts[0].target, Target::Class(5)); // SAD
    tone(&dir.path().join("AudioWAV/1001_DFA_JOY_XX.wav"), 0.3);
    assert_says(
        CorpusTask::crema_d(dir.path(), false, 0),
        &["1001_DFA_JOY_XX.wav", "`JOY`"],
    );
}

#[test]
fn slurp_numbers_actions_once_for_all_lists() {
    let dir = tempfile::tempdir().unwrap();
    assert_says(
        CorpusTask::slurp(dir.path(), false),
        &["train.jsonl", "slurp"],
    );
    let lists = dir.path().join("dataset/slurp");
    let line = |action: &str, file: &str| {
        format!(
            "{{\"action\": \"{action}\", \"sentence\": \"x\", \"recordings\": [{{\"file\": \"{file}\"}}, {{\"file\": \"other\"}}]}}\n"
        )
    };
    write(
        &lists.join("train.jsonl"),
        &(line("set", "1.flac") + &line("query", "2.flac")),
    );
    write(&lists.join("devel.jsonl"), &line("set", "3.flac"));
    write(&lists.join("test.jsonl"), &line("query", "4.flac"));
    assert_says(
        CorpusTask::slurp(dir.path(), false),
        &["no audio/slurp_real"],
    );
    std::fs::create_dir_all(dir.path().join("audio/slurp_real")).unwrap();
    let task = CorpusTask::slurp(dir.path(), false).unwrap();
    assert_eq!(
        task.labels(),
        &LabelSet::OneOf(vec!["query".to_owned(), "set".to_owned()])
    );
    let targets: Vec<_> = task
        .recordings()
        .unwrap()
        .into_iter()
        .map(|r| r.parts[0].target.clone())
        .collect();
    assert_eq!(targets, [1, 0, 1, 0].map(Target::Class));
    write(&lists.join("test.jsonl"), &line("dance", "4.flac"));
    assert_says(
        CorpusTask::slurp(dir.path(), false),
        &["test.jsonl", "line 1", "dance"],
    );
    write(&lists.join("test.jsonl"), "{\"action\": ");
    assert_says(
        CorpusTask::slurp(dir.path(), false),
        &["test.jsonl", "line 1"],
    );
    write(
        &lists.join("test.jsonl"),
        "{\"action\": \"set\", \"recordings\": []}\n",
    );
    assert_says(
        CorpusTask::slurp(dir.path(), false),
        &["test.jsonl", "without a recording"],
    );
}
