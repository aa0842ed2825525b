//! `probe` as people call it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use braintune::audio::{SampleRate, Waveform, write_wav};

use crate::workplace::{assert_refused, braintune, model, model_copy, stderr, stories, workplace};

/// Words in the layout of Speech Commands: a low tone and a high one by ten speakers, six of which train.
fn tones(folder: &Path) {
    let (mut validation, mut test) = (Vec::new(), Vec::new());
    for (word, step) in [("low", 0.02), ("high", 0.4)] {
        for speaker in 0..10 {
            let name = format!("{word}/sp{speaker}_nohash_0.wav");
            let path = folder.join(&name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let step = step * (1.0 + 0.01 * speaker as f32);
            let samples = (0..8_000).map(|i| 0.3 * (i as f32 * step).sin()).collect();
            write_wav(
                &path,
                &Waveform::from_samples(samples, SampleRate::SPEECH).unwrap(),
            )
            .unwrap();
            match speaker {
                6 | 7 => validation.push(name),
                8 | 9 => test.push(name),
                _ => {}
            }
        }
    }
    std::fs::write(folder.join("validation_list.txt"), validation.join("\n")).unwrap();
    std::fs::write(folder.join("testing_list.txt"), test.join("\n")).unwrap();
}

fn probe(folder: &Path, task: &str, data: &str, models: &str, more: &[&str]) -> Output {
    let mut args = vec![
        "probe", "--task", task, "--data", data, "--model", models, "--out", "out",
    ];
    args.extend(more);
    braintune(folder, &args)
}

fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap();
    let cells = |line: &str| line.split(',').map(str::to_owned).collect();
    text.lines().skip(1).map(cells).collect()
}

#[test]
fn tones_are_told_apart_and_a_copy_of_a_model_differs_by_nothing() {
    let folder = tempfile::tempdir().unwrap();
    tones(&folder.path().join("words"));
    let copy = model_copy(folder.path());
    let both = format!("{},{}", model().display(), copy.display());
    let output = probe(
        folder.path(),
        "words",
        "words",
        &both,
        &["--bootstraps", "50"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let out = folder.path().join("out");
    let found = rows(&out.join("probes.csv"));
    let accuracy = |row: &&Vec<String>| row[3] == "accuracy";
    let best = found.iter().filter(accuracy);
    let best = best.map(|row| row[4].parse::<f64>().unwrap());
    assert!(best.fold(0.0, f64::max) > 0.9, "{found:?}");
    let baseline = found.iter().find(|row| row[3] == "baseline").unwrap();
    assert_eq!(baseline[4], "0.500000");
    assert!(found.iter().all(|row| row[7] == "12" && row[8] == "4"));
    let metrics: BTreeSet<&str> = found.iter().map(|row| row[3].as_str()).collect();
    for metric in ["macro_f1", "control", "selectivity", "c", "peak_layer"] {
        assert!(metrics.contains(metric), "{metrics:?}");
    }
    let selectivity = found.iter().find(|row| row[3] == "selectivity").unwrap();
    assert!(!selectivity[5].is_empty() && !selectivity[6].is_empty());
    let predicted = rows(&out.join("words.predictions.csv"));
    assert_eq!(predicted.len(), 2 * 3 * 4, "models, layers, test rows");
    let right = predicted.iter().filter(|row| row[4] == row[5]).count() as f64;
    let accuracies: Vec<f64> = found
        .iter()
        .filter(accuracy)
        .map(|row| row[4].parse().unwrap())
        .collect();
    assert!((right - 4.0 * accuracies.iter().sum::<f64>()).abs() < 1e-6);
    let paired = rows(&out.join("paired.csv"));
    assert_eq!(paired.len(), 3, "a row for each hidden state");
    for row in &paired {
        assert_eq!((&row[1][..], &row[2][..]), ("model", "whisper-micro"));
        assert_eq!(row[5], "0.000000", "the same weights");
    }
    let svg = std::fs::read_to_string(out.join("words.svg")).unwrap();
    assert!(svg.contains("whisper-micro") && svg.contains("polyline"));
    let png = std::fs::read(out.join("words.png")).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    let provenance = std::fs::read_to_string(out.join("provenance.json")).unwrap();
    assert!(provenance.contains("weights_sha256") && provenance.contains("\"words\""));

    let first = std::fs::read(out.join("probes.csv")).unwrap();
    let again = probe(
        folder.path(),
        "words",
        "words",
        &both,
        &["--bootstraps", "50"],
    );
    assert!(again.status.success(), "{}", stderr(&again));
    assert_eq!(first, std::fs::read(out.join("probes.csv")).unwrap());
}

#[test]
fn numbers_of_audio_and_the_papers_probe() {
    let folder = tempfile::tempdir().unwrap();
    tones(&folder.path().join("words"));
    let model = model().display().to_string();
    let output = probe(
        folder.path(),
        "mfcc,energy",
        "words",
        &model,
        &["--bootstraps", "20"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let found = rows(&folder.path().join("out/probes.csv"));
    for task in ["mfcc", "energy"] {
        let r2 = found.iter().find(|row| row[0] == task && row[3] == "r2");
        assert!(r2.is_some(), "{found:?}");
        assert!(folder.path().join(format!("out/{task}.png")).exists());
    }
    let provenance = std::fs::read_to_string(folder.path().join("out/provenance.json")).unwrap();
    assert!(provenance.contains("orthonormal DCT-II"), "{provenance}");
    let output = probe(
        folder.path(),
        "words",
        "words",
        &model,
        &["--compat", "paper", "--epochs", "3", "--bootstraps", "20"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let provenance = std::fs::read_to_string(folder.path().join("out/provenance.json")).unwrap();
    assert!(provenance.contains("Paper"), "{provenance}");
    // Frames behind the end of a tone have MFCC that are 0 but for rounding: they are no numbers to predict.
    let output = probe(
        folder.path(),
        "mfcc-track",
        "words",
        &model,
        &["--bootstraps", "20"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let found = rows(&folder.path().join("out/probes.csv"));
    let r2 = found.iter().filter(|row| row[3] == "r2");
    for row in r2 {
        assert!(row[4].parse::<f64>().unwrap() > -1e6, "{row:?}");
    }
}

#[test]
fn stories_answer_without_another_corpus() {
    let folder = workplace();
    let model = model().display().to_string();
    let output = probe(
        folder.path(),
        "part-of-story,word-rate",
        "dataset",
        &model,
        &["--bootstraps", "20", "--no-control"],
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let found = rows(&folder.path().join("out/probes.csv"));
    assert!(
        found
            .iter()
            .any(|row| row[0] == "word-rate" && row[3] == "r2")
    );
    assert!(found.iter().all(|row| row[3] != "control"));
}

#[test]
fn what_cannot_be_probed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    tones(&folder.path().join("words"));
    let name = model().display().to_string();
    let probe = |task: &str, data: &str, models: &str, more: &[&str]| {
        probe(folder.path(), task, data, models, more)
    };
    assert_refused(
        &probe("phonemes", "words", &name, &[]),
        &["words", "TRAIN", "LDC93S1"],
    );
    assert_refused(
        &probe("emotion", "words", &name, &[]),
        &["words", "CREMA-D"],
    );
    assert_refused(&probe("action", "words", &name, &[]), &["words", "SLURP"]);
    assert_refused(&probe("word-rate", "words", &name, &[]), &["words"]);
    assert_refused(&probe("words", "nothing", &name, &[]), &["nothing"]);
    assert_refused(&probe("words", "words", "nothing", &[]), &["nothing"]);
    assert_refused(
        &probe("words", "words", &name, &["--split", "official"]),
        &["--split", "TIMIT"],
    );
    assert_refused(
        &probe("words,words", "words", &name, &[]),
        &["words", "twice"],
    );
    let twice = format!("{name},{name}");
    assert_refused(
        &probe("words", "words", &twice, &[]),
        &["whisper-micro", "two models"],
    );
    let lost = folder.path().join("words/testing_list.txt");
    std::fs::write(lost, "low/nobody_nohash_0.wav\n").unwrap();
    assert_refused(
        &probe("words", "words", &name, &[]),
        &["testing_list.txt", "nobody"],
    );
    for bad in ["--epochs=3", "--bootstraps=0", "--probe=deep"] {
        let output = probe("words", "words", &name, &[bad]);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    }
}

#[test]
fn classes_of_words_come_from_a_table_beside_the_dataset_or_a_flag() {
    let folder = workplace();
    let model = model().display().to_string();
    let meaning = |more: &[&str]| probe(folder.path(), "story-meaning", "dataset", &model, more);
    // The simulation's own.
    std::fs::remove_file(folder.path().join("dataset/word_classes.csv")).unwrap();
    assert_refused(&meaning(&[]), &["word_classes.csv", "--classes"]);
    let (words, _) = stories(folder.path());
    let grid = folder.path().join("dataset/derivative/TextGrids");
    let text = std::fs::read_to_string(grid.join(format!("{}.TextGrid", words[0]))).unwrap();
    // Every word of the lexicon in one of two classes, by whether it begins before `m`.
    let labels = text.split('"').skip(1).step_by(2);
    let word = |label: &&str| label.len() > 2 && label.chars().all(|c| c.is_ascii_uppercase());
    let lexicon: BTreeSet<&str> = labels.filter(word).collect();
    let row = |word: &&str| format!("{word},{}\n", if *word < "M" { "early" } else { "late" });
    let table = format!(
        "word,class\n{}",
        lexicon.iter().map(row).collect::<String>()
    );
    std::fs::write(folder.path().join("dataset/word_classes.csv"), &table).unwrap();
    let output = meaning(&["--bootstraps", "20"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let found = rows(&folder.path().join("out/probes.csv"));
    assert!(
        found.iter().all(|row| row[0] == "story-meaning"),
        "{found:?}"
    );
    assert!(found.iter().any(|row| row[3] == "selectivity"), "{found:?}");
    // Counted from the end: the name of a group has a comma in it.
    let predicted = rows(&folder.path().join("out/story-meaning.predictions.csv"));
    assert!(
        predicted
            .iter()
            .all(|row| ["early", "late"].contains(&&*row[row.len() - 2]))
    );
    std::fs::write(folder.path().join("classes.csv"), "word,class\na,b\n").unwrap();
    assert_refused(
        &meaning(&["--classes", "classes.csv"]),
        &["classes.csv", "1 class(es)"],
    );
    let idle = probe(
        folder.path(),
        "word-rate",
        "dataset",
        &model,
        &["--classes", "classes.csv"],
    );
    assert_refused(&idle, &["--classes", "story-meaning"]);
}
