//! What a story dataset asks by itself.

use std::path::Path;

use braintune_fmri::{
    InMemoryDataset, Interval, Story, StoryTiming, TextGrid, Tier, write_textgrid,
};
use braintune_probing::{
    LabelSet, ProbeTask, ProbingError, Result, Rows, Split, StoryProbe, StoryQuestion, Target,
    WordClasses,
};

use crate::corpora::tone;

type Tiers<'a> = [(&'a str, Vec<(f64, f64, &'a str)>)];

/// A `TextGrid` of tiers of `(start, end, label)`.
fn grid(path: &Path, tiers: &Tiers<'_>) {
    let interval = |&(start_s, end_s, text): &(f64, f64, &str)| Interval::new(start_s, end_s, text);
    let tier = |(name, intervals): &(&str, Vec<_>)| {
        Tier::new(*name, intervals.iter().map(interval).collect())
    };
    let tiers = tiers.iter().map(tier).collect();
    write_textgrid(path, &TextGrid::new(tiers)).unwrap();
}

fn words() -> Vec<(f64, f64, &'static str)> {
    vec![
        (0.0, 1.0, "sp"),
        (1.0, 1.5, "THE"),
        (1.5, 2.0, "cat"),
        (2.0, 2.4, "the"),
        // Over the border of two clips of 10 s: in neither.
        (9.8, 10.3, "cat"),
        (11.0, 11.5, "dog"),
        (12.0, 30.0, "sp"),
    ]
}

fn probe(folder: &Path, tiers: &Tiers<'_>, question: StoryQuestion) -> Result<StoryProbe> {
    let (dataset, roles) = stories(folder, tiers);
    StoryProbe::new(&dataset, &roles, question)
}

/// Three stories with the same words: one to train on, one to validate and one to test.
fn stories(folder: &Path, tiers: &Tiers<'_>) -> (InMemoryDataset, Vec<(String, Split)>) {
    let mut dataset = InMemoryDataset::new("test");
    for name in ["a", "b", "c"] {
        let (audio, textgrid) = (
            folder.join(format!("{name}.wav")),
            folder.join(format!("{name}.TextGrid")),
        );
        tone(&audio, 1.0);
        grid(&textgrid, tiers);
        let story = Story::new(name).with_audio(audio).with_textgrid(textgrid);
        dataset
            .add_story(story, StoryTiming::new(10, 2.0, 1.0, 0..10).unwrap())
            .unwrap();
    }
    let roles = [
        ("a", Split::Train),
        ("b", Split::Validation),
        ("c", Split::Test),
    ];
    let roles = roles.map(|(name, split)| (name.to_owned(), split));
    (dataset, roles.to_vec())
}

fn targets(probe: &StoryProbe) -> Vec<(f64, Vec<Target>)> {
    let recordings = probe.recordings().unwrap();
    let train = recordings.iter().filter(|r| r.split == Split::Train);
    train
        .map(|r| {
            let targets = r.parts.iter().map(|part| part.target.clone()).collect();
            (r.span_s.as_ref().unwrap().start, targets)
        })
        .collect()
}

#[test]
fn the_most_frequent_words_are_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let tiers = [("word", words())];
    let probe = probe(dir.path(), &tiers, StoryQuestion::Words { n_words: 2 }).unwrap();
    assert_eq!(
        probe.labels(),
        &LabelSet::OneOf(vec!["cat".to_owned(), "the".to_owned()])
    );
    let class = Target::Class;
    assert_eq!(targets(&probe), [(0.0, vec![class(1), class(0), class(1)])]);
    let part = &probe.recordings().unwrap()[0].parts[1];
    assert_eq!(part.span_s, Some(1.5..2.0));
}

#[test]
fn words_are_counted_and_thirds_told() {
    let dir = tempfile::tempdir().unwrap();
    let tiers = [("word", words())];
    let counted = probe(dir.path(), &tiers, StoryQuestion::WordRate).unwrap();
    let (start, counts) = &targets(&counted)[0];
    let value = |n: f32| Target::Values(vec![n]);
    assert_eq!(
        (*start, counts.as_slice()),
        (0.0, [2.0, 1.0, 0.0, 0.0, 1.0].map(value).as_slice())
    );
    let thirds = probe(dir.path(), &tiers, StoryQuestion::PartOfStory).unwrap();
    let class = |start, class| (start, vec![Target::Class(class)]);
    assert_eq!(
        targets(&thirds),
        [class(0.0, 0), class(10.0, 1), class(20.0, 2)]
    );
    assert_eq!(thirds.recordings().unwrap()[0].group, "a, minute 0");
}

#[test]
fn phonemes_come_from_a_tier_of_phones() {
    let dir = tempfile::tempdir().unwrap();
    let phones = vec![
        (0.0, 0.5, "sp"),
        (0.5, 0.6, "DH"),
        (0.6, 0.7, "AH0"),
        (0.7, 2.0, ""),
    ];
    let tiers = [("phone", phones), ("word", words())];
    let found = probe(dir.path(), &tiers, StoryQuestion::Phonemes).unwrap();
    assert_eq!(found.rows(), Rows::Frames);
    assert_eq!(first_classes(&found), ["h#", "dh", "ah", "h#"]);
}

/// Names of the classes in the first clip.
fn first_classes(probe: &StoryProbe) -> Vec<String> {
    let names = probe.labels().names();
    let name = |target: &Target| match target {
        Target::Class(class) => names[*class].clone(),
        other => panic!("{other:?}"),
    };
    let (_, targets) = &targets(probe)[0];
    targets.iter().map(name).collect()
}

/// The rules of `TextGrid::phones`, so that what low-level features are made of can be probed.
#[test]
fn phones_may_be_in_an_unnamed_first_tier_between_breaths() {
    let dir = tempfile::tempdir().unwrap();
    let phones = || {
        vec![
            (0.0, 0.1, "sentence_start"),
            (0.1, 0.4, "{BR}"),
            (0.4, 0.6, "dh"),
            (0.6, 0.7, "AH0"),
            (0.7, 0.8, "{cg}"),
            (0.8, 0.9, "sentence_end"),
        ]
    };
    for (phone_tier, word_tier) in [("", ""), ("a", "word"), ("Phones", "word")] {
        let tiers = [(phone_tier, phones()), (word_tier, words())];
        let found = probe(dir.path(), &tiers, StoryQuestion::Phonemes).unwrap();
        assert_eq!(
            first_classes(&found),
            ["h#", "h#", "dh", "ah", "h#", "h#"],
            "{phone_tier}"
        );
    }
}

#[test]
fn what_grids_lack_or_get_wrong_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |tiers: &Tiers<'_>, question, said: &[&str]| {
        let error: ProbingError = probe(dir.path(), tiers, question).unwrap_err();
        for words in said {
            assert!(error.to_string().contains(words), "{error}");
        }
    };
    fails(
        &[("word", words())],
        StoryQuestion::Phonemes,
        &["a.TextGrid", "no tier of phones", "word"],
    );
    let overlapping = vec![(0.0, 1.0, "the"), (0.5, 1.5, "cat")];
    fails(
        &[("word", overlapping)],
        StoryQuestion::Words { n_words: 2 },
        &["a.TextGrid", "`cat`", "overlaps"],
    );
    fails(
        &[("word", vec![(0.0, 1.0, "the")])],
        StoryQuestion::Words { n_words: 2 },
        &["1 different words"],
    );
    let phones = vec![(0.0, 0.5, "QQ")];
    fails(
        &[("phones", phones)],
        StoryQuestion::Phonemes,
        &["a.TextGrid", "`QQ`", "no phone"],
    );
}

#[test]
fn words_are_asked_for_by_the_class_of_a_table() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join(WordClasses::FILE);
    std::fs::write(
        &table,
        "word,class\nCAT,animal\n\"DOG\", animal\nTHE,function\nSAW,tool\n",
    )
    .unwrap();
    let classes = WordClasses::read(&table).unwrap();
    assert_eq!(classes.names(), ["animal", "function", "tool"]);
    let mut said = words();
    said.push((30.0, 30.5, "unlisted"));
    let (dataset, roles) = stories(dir.path(), &[("word", said)]);
    let probe = StoryProbe::meaning(&dataset, &roles, &classes).unwrap();
    assert_eq!((probe.name(), probe.rows()), ("story-meaning", Rows::Mean));
    assert!(
        probe.settings().contains("animal 2, function 1, tool 1"),
        "{}",
        probe.settings()
    );
    let class = Target::Class;
    // `unlisted` has no class; one `cat` lies over the border of two clips.
    let expected = [
        (0.0, vec![class(1), class(0), class(1)]),
        (10.0, vec![class(0)]),
    ];
    assert_eq!(targets(&probe), expected);
    let items: Vec<_> = probe.recordings().unwrap()[0]
        .parts
        .iter()
        .map(|part| part.item.clone())
        .collect();
    assert_eq!(
        items,
        ["the", "cat", "the"].map(|word| Some(word.to_owned()))
    );
}

#[test]
fn tables_of_words_that_cannot_be_used_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("classes.csv");
    for (text, said) in [
        ("", "expected the header `word,class`"),
        ("cat,animal\n", "expected the header `word,class`"),
        ("word,class\ncat\n", "line 2 is `cat`"),
        ("word,class\ncat,animal\ndog,\n", "line 3"),
        (
            "word,class\ncat,animal\nCAT,tool\n",
            "line 3: `CAT` is tool here and animal before",
        ),
        ("word,class\ncat,animal\ndog,animal\n", "1 class(es)"),
    ] {
        std::fs::write(&table, text).unwrap();
        let error = WordClasses::read(&table).unwrap_err().to_string();
        assert!(
            error.contains(said) && error.contains("classes.csv"),
            "{error}"
        );
    }
    std::fs::write(&table, [0xff, 0xfe, 0]).unwrap();
    assert!(WordClasses::read(&table).is_err());
    assert!(WordClasses::read(&dir.path().join("none.csv")).is_err());
}
