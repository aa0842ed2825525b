use std::fs;

use braintune_audio::{SampleRate, Waveform, write_wav};
use braintune_fmri::{
    ARTICULATION, FmriError, Interval, LowLevelExtractor, LowLevelFeature, PHONEMES, Stimulus,
    Story, StoryTiming, TextGrid, Tier, articulation, read_textgrid,
};
use ndarray::{Array2, ArrayView2};
use safetensors::SafeTensors;

use super::fixture;

struct Fixture(Vec<u8>);

impl Fixture {
    fn read() -> Self {
        Self(fs::read(fixture("lowlevel/data.safetensors")).unwrap())
    }

    fn get(&self, name: &str) -> Array2<f32> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let tensor = tensors.tensor(name).unwrap();
        let (values, _) = tensor.data().as_chunks::<4>();
        let values = values.iter().map(|&bytes| f32::from_le_bytes(bytes));
        Array2::from_shape_vec((tensor.shape()[0], tensor.shape()[1]), values.collect()).unwrap()
    }

    fn columns(&self, feature: &str) -> Vec<String> {
        let (_, metadata) = SafeTensors::read_metadata(&self.0).unwrap();
        serde_json::from_str(&metadata.metadata().as_ref().unwrap()[feature]).unwrap()
    }
}

fn labels(story: &str) -> TextGrid {
    read_textgrid(&fixture(&format!("lowlevel/{story}.TextGrid"))).unwrap()
}

fn timing() -> StoryTiming {
    StoryTiming::new(22, 2.0, -9.0, 10..17).unwrap()
}

/// Both sums run in f64 and are rounded to f32 once; `scale` is the size of what is summed.
fn assert_close(ours: ArrayView2<'_, f32>, theirs: &Array2<f32>, scale: f32, what: &str) {
    assert_eq!(ours.dim(), theirs.dim(), "{what}");
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert!(
            (ours - theirs).abs() < 1e-6 * scale,
            "{what}: {ours} {theirs}"
        );
    }
}

const OF_LABELS: [LowLevelFeature; 6] = [
    LowLevelFeature::WordRate,
    LowLevelFeature::PhonemeRate,
    LowLevelFeature::Phonemes,
    LowLevelFeature::Articulation,
    LowLevelFeature::Diphones,
    LowLevelFeature::Triphones,
];

#[test]
fn features_of_labels_equal_numpy() {
    let fixture = Fixture::read();
    let (train, test) = (labels("train"), labels("test"));
    for feature in OF_LABELS {
        let extractor = LowLevelExtractor::fit(feature, &[&train]).unwrap();
        for (story, textgrid) in [("train", &train), ("test", &test)] {
            if (story, feature) == ("train", LowLevelFeature::Triphones) {
                continue;
            }
            let name = format!("{story}.{feature}");
            let ours = extractor
                .transform(Stimulus::Labels(textgrid), &timing())
                .unwrap();
            // At most 40 phones per TR.
            assert_close(ours.view(), &fixture.get(&name), 40.0, &name);
            assert!(ours.iter().any(|&value| value > 0.5), "{name} is not empty");
        }
    }
}

#[test]
fn columns_are_those_of_training() {
    let fixture = Fixture::read();
    let train = labels("train");
    for feature in [
        LowLevelFeature::Articulation,
        LowLevelFeature::Diphones,
        LowLevelFeature::Triphones,
    ] {
        let extractor = LowLevelExtractor::fit(feature, &[&train]).unwrap();
        assert_eq!(extractor.columns(), fixture.columns(feature.name()));
    }
    // Stories in any order and any number of times.
    let test = labels("test");
    let columns = |stories: &[&TextGrid]| {
        let extractor = LowLevelExtractor::fit(LowLevelFeature::Diphones, stories).unwrap();
        extractor.columns().to_vec()
    };
    let both = columns(&[&train, &test]);
    assert_eq!(both, columns(&[&test, &train, &test]));
    assert!(both.len() > columns(&[&train]).len());
    let phonemes = LowLevelExtractor::fit(LowLevelFeature::Phonemes, &[]).unwrap();
    assert_eq!(phonemes.columns(), PHONEMES);
}

/// The samples of `lowlevel/generate.py`.
fn sound() -> Waveform {
    let sample = |i: i64| {
        let noise = (i * i * 31 + i * 1009) % 4093 - 2046;
        (noise + (i % 100) * (i % 3001) / 8) as f32 / 65536.0
    };
    Waveform::from_samples((0..64_000).map(sample).collect(), SampleRate::SPEECH).unwrap()
}

#[test]
fn features_of_sound_equal_librosa() {
    let fixture = Fixture::read();
    let timing = StoryTiming::new(9, 0.5, -0.25, 0..9).unwrap();
    for (feature, n_columns, scale) in [
        // Up to 100 frames of 700 dB, which librosa's and our transforms round in f64 alike; RMS is
        // summed in f32 there.
        (LowLevelFeature::Mfcc, 40, 7e4),
        (LowLevelFeature::PowerSpectrum, 448, 1e4),
        (LowLevelFeature::Energy, 1, 1e2),
    ] {
        let extractor = LowLevelExtractor::fit(feature, &[]).unwrap();
        assert_eq!(extractor.columns().len(), n_columns);
        let ours = extractor
            .transform(Stimulus::Sound(&sound()), &timing)
            .unwrap();
        let name = format!("sound.{feature}");
        assert_close(ours.view(), &fixture.get(&name), scale, &name);
    }
    let names = LowLevelExtractor::fit(LowLevelFeature::PowerSpectrum, &[]).unwrap();
    assert_eq!(names.columns()[447], "7982.1-8000.0 Hz");
}

#[test]
fn sound_at_another_rate_is_resampled() {
    let timing = StoryTiming::new(9, 0.5, -0.25, 0..9).unwrap();
    let tone = |hz: u32| {
        let samples = (0..4 * hz).map(|i| (i as f32 * 2764.6 / hz as f32).sin() * 0.5);
        Waveform::from_samples(samples.collect(), SampleRate::from_hz(hz).unwrap()).unwrap()
    };
    let extractor = LowLevelExtractor::fit(LowLevelFeature::Energy, &[]).unwrap();
    let energy = |hz| {
        extractor
            .transform(Stimulus::Sound(&tone(hz)), &timing)
            .unwrap()
    };
    for (one, other) in energy(16_000).iter().zip(&energy(22_050)) {
        // 50 frames per TR; the resampler rings at the ends.
        assert!((one - other).abs() < 0.1, "{one} {other}");
    }
}

#[test]
fn a_grid_finer_than_the_frames_is_interpolated() {
    // 250 Hz against frames every 10 ms, well inside the sound.
    let timing = StoryTiming::new(500, 0.004, 1.0, 0..500).unwrap();
    let samples = (0..64_000).map(|i| (i as f32 * 0.7).sin() * 0.5);
    let tone = Waveform::from_samples(samples.collect(), SampleRate::SPEECH).unwrap();
    let extractor = LowLevelExtractor::fit(LowLevelFeature::Energy, &[]).unwrap();
    let energy = extractor
        .transform(Stimulus::Sound(&tone), &timing)
        .unwrap();
    // The root mean square of the tone; rows of the filter are not normalised.
    let expected = 0.5 / 2.0_f32.sqrt();
    for value in energy {
        assert!((value - expected).abs() < 0.02 * expected, "{value}");
    }
}

#[test]
fn stories_are_read_from_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tale.wav");
    write_wav(&path, &sound()).unwrap();
    let story = Story::new("train")
        .with_audio(&path)
        .with_textgrid(fixture("lowlevel/train.TextGrid"));
    let bare = Story::new("bare");
    for &feature in LowLevelFeature::ALL {
        let extractor = LowLevelExtractor::fit_stories(feature, &[&story]).unwrap();
        let found = extractor.transform_story(&story, &timing()).unwrap();
        assert_eq!(found.dim(), (22, extractor.columns().len()), "{feature}");
        let missing = extractor.transform_story(&bare, &timing()).unwrap_err();
        let is_named = match missing {
            FmriError::NoAudio { .. } => feature.is_acoustic(),
            FmriError::NoTextGrid { .. } => !feature.is_acoustic(),
            _ => false,
        };
        assert!(is_named, "{feature}: {missing}");
    }
    let missing = LowLevelExtractor::fit_stories(LowLevelFeature::Diphones, &[&story, &bare]);
    let message = missing.unwrap_err().to_string();
    assert_eq!(
        message,
        "story bare has no TextGrid, which diphones is made of"
    );
}

#[test]
fn the_wrong_stimulus_is_refused() {
    let labels = labels("train");
    let sound = sound();
    for &feature in LowLevelFeature::ALL {
        let extractor = LowLevelExtractor::fit(feature, &[&labels]).unwrap();
        let wrong = if feature.is_acoustic() {
            Stimulus::Labels(&labels)
        } else {
            Stimulus::Sound(&sound)
        };
        let error = extractor.transform(wrong, &timing()).unwrap_err();
        assert!(matches!(error, FmriError::Stimulus { .. }), "{error}");
    }
    let short = Waveform::from_samples(vec![0.5; 100], SampleRate::SPEECH).unwrap();
    let extractor = LowLevelExtractor::fit(LowLevelFeature::Mfcc, &[]).unwrap();
    let error = extractor.transform(Stimulus::Sound(&short), &timing());
    assert!(matches!(error, Err(FmriError::Audio(_))));
}

fn interval(start_s: f64, end_s: f64, text: &str) -> Interval {
    Interval::new(start_s, end_s, text)
}

fn grid(phones: Vec<Interval>, words: Vec<Interval>) -> TextGrid {
    TextGrid::new(vec![Tier::new("phone", phones), Tier::new("word", words)])
}

#[test]
fn runs_do_not_cross_words_and_silence_gives_zeros() {
    let phones = vec![
        interval(10.0, 10.1, "S"),
        interval(10.1, 10.2, "OW1"),
        interval(10.2, 10.3, "B"),
        interval(10.3, 10.4, "IY0"),
    ];
    let words = vec![interval(10.0, 10.2, "so"), interval(10.2, 10.4, "be")];
    let speech = grid(phones, words);
    let diphones = LowLevelExtractor::fit(LowLevelFeature::Diphones, &[&speech]).unwrap();
    assert_eq!(diphones.columns(), ["B-IY", "S-OW"]);
    let none = LowLevelExtractor::fit(LowLevelFeature::Triphones, &[&speech]).unwrap_err();
    assert!(matches!(
        none,
        FmriError::EmptyVocabulary { n_stories: 1, .. }
    ));

    let silence = grid(vec![interval(0.0, 30.0, "sp")], Vec::new());
    let zeros = diphones
        .transform(Stimulus::Labels(&silence), &timing())
        .unwrap();
    assert_eq!(zeros, Array2::<f32>::zeros((22, 2)));
    let none = LowLevelExtractor::fit(LowLevelFeature::Diphones, &[&silence]);
    assert!(matches!(none, Err(FmriError::EmptyVocabulary { .. })));
}

#[test]
fn labels_at_impossible_times_are_refused_and_order_does_not_matter() {
    let rate = LowLevelExtractor::fit(LowLevelFeature::WordRate, &[]).unwrap();
    let words = vec![
        interval(9.0, 9.5, "two"),
        interval(3.0, 3.5, "one"),
        interval(9.0, 9.5, "also"),
    ];
    let mut sorted = words.clone();
    sorted.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    let found = [words, sorted].map(|words| {
        let labels = grid(Vec::new(), words);
        rate.transform(Stimulus::Labels(&labels), &timing())
            .unwrap()
    });
    assert_eq!(found[0], found[1]);
    let labels = grid(Vec::new(), vec![interval(f64::NAN, 1.0, "never")]);
    let error = rate.transform(Stimulus::Labels(&labels), &timing());
    assert!(matches!(error, Err(FmriError::Times { .. })));
}

#[test]
fn every_phoneme_has_an_articulation() {
    assert!(PHONEMES.is_sorted());
    for phoneme in PHONEMES {
        let features = articulation(phoneme).unwrap();
        assert!((2..=4).contains(&features.len()), "{phoneme}");
        for feature in features {
            assert!(ARTICULATION.contains(feature), "{phoneme}: {feature}");
        }
    }
    for feature in ARTICULATION {
        let has = |phoneme: &&str| articulation(phoneme).unwrap().contains(&feature);
        assert!(PHONEMES.iter().any(has), "{feature}");
    }
    assert_eq!(articulation("SP"), None);
    for &feature in LowLevelFeature::ALL {
        let read: LowLevelFeature = feature.to_string().parse().unwrap();
        assert_eq!(read, feature);
    }
    assert!("vowels".parse::<LowLevelFeature>().is_err());
}
