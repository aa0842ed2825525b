use std::fs;

use braintune_fmri::{FmriError, Interval, TextGrid, Tier, read_textgrid, write_textgrid};
use proptest::prelude::*;

use super::fixture;

const SPELLINGS: [&str; 8] = [
    "long_utf8",
    "long_utf8_bom",
    "long_crlf",
    "long_utf16_le",
    "long_utf16_be",
    "long_latin1",
    "short_utf8",
    "short_utf16_be",
];

fn tier(name: &str, intervals: [(f64, f64, &str); 4]) -> Tier {
    let interval = |(start_s, end_s, text)| Interval::new(start_s, end_s, text);
    Tier::new(name, intervals.map(interval).to_vec())
}

/// What `generate.py` wrote.
fn expected(line_end: &str) -> TextGrid {
    let so_it = format!("so{line_end}it");
    TextGrid::new(vec![
        tier(
            "phone",
            [
                (0.0, 0.5, "sp"),
                (0.5, 1.25, "S OW1"),
                (1.25, 2.0, "he said \"no\""),
                (2.0, 3.0, ""),
            ],
        ),
        tier(
            "word",
            [
                (0.0, 0.5, "{SL}"),
                (0.5, 1.25, "café"),
                (1.25, 2.0, &so_it),
                (2.0, 3.0, "sp"),
            ],
        ),
    ])
}

#[test]
fn every_spelling_reads_the_same() {
    for name in SPELLINGS {
        let grid = read_textgrid(&fixture(&format!("textgrid/{name}.TextGrid"))).unwrap();
        let line_end = if name == "long_crlf" { "\r\n" } else { "\n" };
        assert_eq!(grid, expected(line_end), "{name}");
        assert_eq!(grid.duration_s(), 3.0);
    }
}

#[test]
fn words_leave_out_what_is_not_said() {
    let grid = expected("\n");
    let words = grid.words().unwrap();
    let texts: Vec<_> = words.iter().map(|word| word.text.as_str()).collect();
    assert_eq!(texts, ["{SL}", "café", "so\nit"]);

    let label = |text: &str| Interval::new(0.0, 0.0, text);
    let labels = [
        "",
        " ",
        "sp",
        "SP",
        "{br}",
        "{LG}",
        "ls",
        "ns",
        "sentence_start",
        "sentence_end",
    ];
    let mut intervals = labels.map(label).to_vec();
    intervals.push(label("spa"));
    let only = TextGrid::new(vec![Tier::new("words", intervals)]);
    assert_eq!(only.words().unwrap(), [&label("spa")]);
    let none = TextGrid::default().words().unwrap_err();
    assert!(matches!(none, FmriError::NoWordTier { .. }));
}

#[test]
fn what_is_written_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("story.TextGrid");
    write_textgrid(&path, &expected("\n")).unwrap();
    assert_eq!(read_textgrid(&path).unwrap(), expected("\n"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);

    let nowhere = dir.path().join("no/folder/story.TextGrid");
    let message = write_textgrid(&nowhere, &expected("\n"))
        .unwrap_err()
        .to_string();
    assert!(message.starts_with("cannot write"), "{message}");
}

#[test]
fn numbers_with_exponents_are_read_whole() {
    let text = "File type = \"ooTextFile\"\nObject class = \"TextGrid\"\n\n0\n3\n<exists>\n1\n\
                \"IntervalTier\"\n\"word\"\n0\n3\n2\n2.5e-05\n1e0\n\"1e-3 a\"\n1\n3\n\"b\"\n";
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("story.TextGrid");
    fs::write(&path, text).unwrap();
    let grid = read_textgrid(&path).unwrap();
    let first = &grid.tiers[0].intervals[0];
    assert_eq!(
        (first.start_s, first.end_s, &*first.text),
        (2.5e-5, 1.0, "1e-3 a")
    );
}

#[test]
fn damage_is_an_error_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("story.TextGrid");
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        let error = read_textgrid(&path);
        let message = error
            .as_ref()
            .err()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(
            error.is_ok() || message.contains("story.TextGrid"),
            "{message}"
        );
        error.is_err()
    };
    assert!(refused(b""));
    assert!(refused(b"hello"));
    assert!(refused(&[0xff, 0xfe, 0x20]));
    assert!(refused(&[0x89, b'H', b'D', b'F', 0, 0, 0]));
    let long = fs::read(fixture("textgrid/long_utf8.TextGrid")).unwrap();
    let text = String::from_utf8(long.clone()).unwrap();
    assert!(refused(
        text.replace("size = 4", "size = 99999999999999").as_bytes()
    ));
    assert!(refused(text.replace("size = 4", "size = 400").as_bytes()));
    assert!(refused(
        text.replace("xmin = 1.25", "xmin = 2.25").as_bytes()
    ));
    for n in 0..text.trim_end().len() {
        assert!(refused(&long[..n]), "cut after {n} bytes");
    }
    for name in ["long_utf8", "short_utf16_be"] {
        let good = fs::read(fixture(&format!("textgrid/{name}.TextGrid"))).unwrap();
        for k in (0..good.len()).step_by(7) {
            let mut damaged = good.clone();
            damaged[k] ^= 0x5a;
            refused(&damaged);
        }
    }
}

/// Fuzzing found each: memory was reserved for the count.
#[test]
fn counts_that_hide_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.TextGrid");
    let head = "\"ooTextFile\"\n\"TextGrid\"\n";
    for text in [
        format!("{head}0 1 <exists> 1111111111x"),
        format!("{head}0 1 <exists> [a]1111111111"),
        format!("{head}0 1 <exists>1111111111"),
        format!("{head}0 1+1111111111 1111111111+5"),
        format!("! \"\n{head}0 1 <exists> 1111111111"),
        format!("a\" {head}0 1 <exists> 1111111111"),
    ] {
        fs::write(&path, &text).unwrap();
        let error = read_textgrid(&path).unwrap_err();
        assert!(
            matches!(error, FmriError::TextGrid { .. }),
            "{text}: {error}"
        );
    }
}

/// Times may be as large as counts in a large file, but not larger than any story.
#[test]
fn times_that_no_story_has_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("story.TextGrid");
    // A comment, so that the file is large enough for a count of this size.
    let comment = "x".repeat(6_000_003);
    let text = format!(
        "\"ooTextFile\"\n\"TextGrid\"\n0 2000000 <exists> 1\n\
         \"IntervalTier\" \"word\" 0 2000000 1\n0 2000000 \"a\"\n! {comment}\n"
    );
    fs::write(&path, text).unwrap();
    let message = read_textgrid(&path).unwrap_err().to_string();
    for words in ["story.TextGrid", "tier word", "below 1000000 s"] {
        assert!(message.contains(words), "{message}");
    }
    let align = dir.path().join("align.json");
    let text = r#"{"words": [{"word": "a", "start": 0.5, "end": 1e300}]}"#;
    fs::write(&align, text).unwrap();
    let message = read_textgrid(&align).unwrap_err().to_string();
    for words in ["align.json", "interval 1 of tier word", "1e300 s"] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn missing_files_and_pointers_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("story.TextGrid");
    let missing = read_textgrid(&path).unwrap_err();
    assert!(matches!(missing, FmriError::Missing { .. }), "{missing}");
    fs::write(&path, "/annex/objects/MD5E-s10--00.TextGrid\n").unwrap();
    let pointer = read_textgrid(&path).unwrap_err();
    assert!(matches!(pointer, FmriError::Pointer { .. }), "{pointer}");
}

fn labels(name: &str, texts: &[&str]) -> Tier {
    let label = |(k, text): (usize, &&str)| Interval::new(k as f64, k as f64 + 1.0, *text);
    Tier::new(name, texts.iter().enumerate().map(label).collect())
}

fn phones(tiers: Vec<Tier>) -> Result<Vec<String>, FmriError> {
    let phones = TextGrid::new(tiers).phones()?;
    Ok(phones.into_iter().map(|phone| phone.text).collect())
}

#[test]
fn phones_have_no_stress_and_leave_out_what_is_not_said() {
    let tier = labels(
        "Phones",
        &[
            "sp", "S", "OW1", "{LG}", "ls", "ns", "ng", "Er0", "sil", "", " iy2 ", "{BR}", "12",
            "cg", "spn", "lS1",
        ],
    );
    let words = labels("words", &["so"]);
    let found = phones(vec![words.clone(), tier.clone()]).unwrap();
    assert_eq!(found, ["S", "OW", "NG", "ER", "IY", "LS"]);
    let grid = TextGrid::new(vec![words, tier]);
    let first = &grid.phones().unwrap()[1];
    assert_eq!((first.start_s, first.end_s), (2.0, 3.0));
}

#[test]
fn the_phone_tier_is_named_or_the_first_of_two() {
    let (phone, word) = (labels("a", &["S"]), labels("b", &["so"]));
    assert_eq!(phones(vec![phone.clone(), word.clone()]).unwrap(), ["S"]);
    let named = labels("phoneme", &["T"]);
    let found = phones(vec![phone.clone(), word.clone(), named.clone()]);
    assert_eq!(found.unwrap(), ["T"]);
    assert_eq!(phones(vec![named]).unwrap(), ["T"]);
    for tiers in [Vec::new(), vec![phone], vec![labels("word", &["so"]), word]] {
        let error = phones(tiers).unwrap_err();
        assert!(matches!(error, FmriError::NoPhoneTier { .. }), "{error}");
    }
}

proptest! {
    /// Any bytes in place of any others are an error or another `TextGrid`: never a panic, and no
    /// count makes the reader allocate for more than a file can hold.
    #[test]
    fn damaged_files_are_refused_or_read(
        name in prop::sample::select(&SPELLINGS[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        digits in prop::collection::vec((any::<prop::sample::Index>(), b'0'..=b'9'), 0..12),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = fs::read(fixture(&format!("textgrid/{name}.TextGrid"))).unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for (at, digit) in digits {
            bytes.insert(at.index(bytes.len()), digit);
        }
        bytes.truncate(bytes.len() - cut.index(8).min(bytes.len()));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("story.TextGrid");
        fs::write(&path, &bytes).unwrap();
        match read_textgrid(&path) {
            Ok(grid) => {
                let n: usize = grid.tiers.iter().map(|tier| tier.intervals.len()).sum();
                prop_assert!(n <= bytes.len());
                let _ = (grid.words(), grid.phones());
            }
            Err(error) => prop_assert!(error.to_string().contains("story.TextGrid"), "{error}"),
        }
    }
}
