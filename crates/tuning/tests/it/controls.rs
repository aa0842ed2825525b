//! Controls change which response stands at which TR, and nothing else.

use std::collections::BTreeMap;
use std::ops::Range;

use braintune_fmri::{InMemoryDataset, Story, StoryDataset, StoryTiming, check_story_dataset};
use braintune_tuning::{BLOCK_TRS, Control, ControlDataset, TargetDataset};
use ndarray::Array2;

const N_TRS: [(&str, usize); 3] = [("a", 50), ("b", 35), ("c", 62)];

/// Row `i` of story `s` holds `1000 s + i`.
fn dataset() -> InMemoryDataset {
    let mut dataset = InMemoryDataset::new("test");
    for (number, (story, n)) in N_TRS.into_iter().enumerate() {
        let timing = StoryTiming::new(n, 2.0, 1.0, 0..n).unwrap();
        dataset.add_story(Story::new(story), timing).unwrap();
        let value = |(i, j)| (1000 * number + i) as f32 + 0.5 * j as f32;
        dataset
            .add_responses("S", story, Array2::from_shape_fn((n, 2), value))
            .unwrap();
    }
    dataset
}

fn rows(dataset: &dyn StoryDataset, story: &str) -> Vec<usize> {
    let bold = dataset.responses("S", story).unwrap().into_bold();
    assert_eq!(
        &bold.column(1) - &bold.column(0),
        Array2::from_elem((bold.nrows(), 1), 0.5).column(0)
    );
    bold.column(0).iter().map(|value| *value as usize).collect()
}

#[test]
fn blocks_change_places_and_stay_whole() {
    let inner = dataset();
    let control =
        |seed| ControlDataset::new(&inner, Control::BlockPermuted { block: BLOCK_TRS }, seed);
    check_story_dataset(&control(1));
    for (number, (story, n)) in N_TRS.into_iter().enumerate() {
        let found = rows(&control(1), story);
        let mut sorted = found.clone();
        sorted.sort_unstable();
        assert_eq!(
            sorted,
            (1000 * number..1000 * number + n).collect::<Vec<_>>()
        );
        let n_rest = n % BLOCK_TRS;
        assert_eq!(found[..n_rest], sorted[n - n_rest..]);
        for (place, block) in found[n_rest..].chunks(BLOCK_TRS).enumerate() {
            assert!(block.windows(2).all(|pair| pair[0] + 1 == pair[1]));
            let from = block[0] - 1000 * number;
            assert_eq!(from % BLOCK_TRS, 0);
            if n > 3 * BLOCK_TRS {
                assert!(
                    (n_rest + place * BLOCK_TRS).abs_diff(from) >= BLOCK_TRS,
                    "{found:?}"
                );
            }
        }
        assert_eq!(found, rows(&control(1), story), "fixed by the seed");
    }
    let all = |seed| N_TRS.map(|(story, _)| rows(&control(seed), story));
    assert!((2..6).any(|seed| all(seed) != all(1)));
    assert_ne!(all(1), N_TRS.map(|(story, _)| rows(&inner, story)));
}

#[test]
fn responses_to_another_story_are_cut_or_begin_again() {
    let inner = dataset();
    let stories: Vec<String> = N_TRS.map(|(story, _)| story.to_owned()).to_vec();
    for seed in 0..6 {
        let control = ControlDataset::new(
            &inner,
            Control::OtherStory {
                stories: stories.clone(),
            },
            seed,
        );
        check_story_dataset(&control);
        for (number, (story, n)) in N_TRS.into_iter().enumerate() {
            let found = rows(&control, story);
            let source = found[0] / 1000;
            assert_ne!(source, number);
            let expected: Vec<usize> = (0..n)
                .map(|i| 1000 * source + i % N_TRS[source].1)
                .collect();
            assert_eq!(found, expected);
        }
    }
    let alone = ControlDataset::new(
        &inner,
        Control::OtherStory {
            stories: vec!["a".to_owned()],
        },
        0,
    );
    let error = alone.responses("S", "a").unwrap_err().to_string();
    assert!(error.contains("no other story"), "{error}");
}

#[test]
fn targets_take_the_place_of_responses() {
    let inner = dataset();
    let shapes = |shape| BTreeMap::from([("a".to_owned(), shape)]);
    let read = |_: &str, columns: Range<usize>| {
        let value = |(_, j)| (columns.start + j) as f32;
        Ok(Array2::from_shape_fn((50, columns.len()), value))
    };
    let dataset = TargetDataset::new(&inner, shapes((50, 7)), read).unwrap();
    let part = dataset
        .responses_columns(TargetDataset::SUBJECT, "a", 2..5)
        .unwrap();
    assert_eq!(part.bold().row(0).to_vec(), [2.0, 3.0, 4.0]);
    assert!(
        dataset
            .responses_columns(TargetDataset::SUBJECT, "a", 5..8)
            .is_err()
    );
    assert_eq!(
        dataset.response_shape(TargetDataset::SUBJECT, "a").unwrap(),
        (50, 7)
    );
    assert!(dataset.has_responses(TargetDataset::SUBJECT, "a"));
    assert!(!dataset.has_responses(TargetDataset::SUBJECT, "b"));
    assert!(dataset.responses("S", "a").is_err());
    let refused = |shape| {
        TargetDataset::new(&inner, shapes(shape), read)
            .unwrap_err()
            .to_string()
    };
    let error = refused((49, 7));
    assert!(error.contains("50 rows") && error.contains("49"), "{error}");
    assert!(refused((50, 0)).contains("found (50, 0)"));
}
