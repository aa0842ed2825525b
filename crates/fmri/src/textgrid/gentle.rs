//! Alignments of gentle (`align.json`), as ds002345 has them, read as if they were a `TextGrid`.
//!
//! Tiers `phone` and `word`, in seconds from sound onset. Words that gentle did not find in the sound
//! have no time and are left out. Phones lose gentle's mark of their place in the word: `ay_S` is `AY`.

use serde::Deserialize;

use super::{Interval, TextGrid, checked_tier};

#[derive(Deserialize)]
struct Alignment {
    words: Vec<Word>,
}

#[derive(Deserialize)]
struct Word {
    #[serde(rename = "word")]
    text: String,
    start: Option<f64>,
    end: Option<f64>,
    #[serde(default)]
    phones: Vec<Phone>,
}

#[derive(Deserialize)]
struct Phone {
    #[serde(rename = "phone")]
    text: String,
    duration: f64,
}

/// Whether a text is that of an alignment rather than of a `TextGrid`.
pub(super) fn is_alignment(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

pub(super) fn parse(text: &str) -> Result<TextGrid, String> {
    let alignment: Alignment = serde_json::from_str(text)
        .map_err(|error| format!("it is no alignment of gentle either: {error}"))?;
    let (mut words, mut phones) = (Vec::new(), Vec::new());
    for word in alignment.words {
        let (Some(start_s), Some(end_s)) = (word.start, word.end) else {
            continue;
        };
        let mut phone_start_s = start_s;
        for Phone { text, duration } in word.phones {
            let label = text.split('_').next().unwrap_or_default().to_uppercase();
            let phone_end_s = phone_start_s + duration;
            phones.push(Interval::new(phone_start_s, phone_end_s, label));
            phone_start_s = phone_end_s;
        }
        words.push(Interval::new(start_s, end_s, word.text));
    }
    let tiers = vec![
        checked_tier("phone".into(), phones)?,
        checked_tier("word".into(), words)?,
    ];
    Ok(TextGrid::new(tiers))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn words_that_were_found_have_times() {
        let text = r#"{"transcript": "I began, um", "words": [
            {"alignedWord": "i", "case": "success", "word": "I", "start": 0.5, "end": 0.75,
             "startOffset": 0, "endOffset": 1, "phones": [{"duration": 0.25, "phone": "ay_S"}]},
            {"case": "success", "word": "began", "start": 1.0, "end": 1.5,
             "phones": [{"duration": 0.25, "phone": "b_B"}, {"duration": 0.25, "phone": "ih_E"}]},
            {"case": "not-found-in-audio", "word": "um", "startOffset": 9, "endOffset": 11}]}"#;
        assert!(is_alignment(text));
        let grid = parse(text).unwrap();
        let words = grid.words().unwrap();
        let words: Vec<_> = words.iter().map(|word| (&*word.text, word.end_s)).collect();
        assert_eq!(words, [("I", 0.75), ("began", 1.5)]);
        let phones = grid.tiers[0].intervals.iter();
        let phones: Vec<_> = phones.map(|phone| (&*phone.text, phone.start_s)).collect();
        assert_eq!(phones, [("AY", 0.5), ("B", 1.0), ("IH", 1.25)]);
        for bad in [
            "{",
            r#"{"words": 3}"#,
            r#"{"words": [{"word": "a", "start": 2, "end": 1}]}"#,
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_that_no_story_has_are_refused() {
        for (times, says) in [
            (
                r#""start": 0, "end": 1e300"#,
                "word runs from 0.0 s to 1e300 s",
            ),
            (
                r#""start": -1e300, "end": 1"#,
                "word runs from -1e300 s to 1.0 s",
            ),
            (
                r#""start": 0, "end": 1, "phones": [{"phone": "ay_S", "duration": 2e6}]"#,
                "phone runs from 0.0 s to 2000000.0 s",
            ),
        ] {
            let text = format!(r#"{{"words": [{{"word": "a", {times}}}]}}"#);
            let reason = parse(&text).unwrap_err();
            assert!(reason.contains(says), "{reason}");
            assert!(reason.contains("below 1000000 s"), "{reason}");
        }
    }
}
