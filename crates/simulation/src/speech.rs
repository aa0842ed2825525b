//! Stories: sentences of nonsense words in changing voices, and when each word and phone was said.
//!
//! The BOLD signal sees only what changes over seconds, so loudness, pitch, voice and rate change
//! from sentence to sentence, pauses differ, and a story stays with a topic for a few sentences.
//! `[n_samples]` at 16 kHz, within ±0.9; times in seconds from the start.

use braintune_audio::{SampleRate, Waveform};
use braintune_fmri::{Interval, TextGrid, Tier};
use rand::Rng;

use crate::Result;
use crate::lexicon::{Lexicon, MEANINGS, Word};
use crate::synthesiser::{RATE_HZ, TimedPhone, Voice, render, samples_in};

/// What `TextGrid`s of ds003020 call a pause.
const PAUSE: &str = "sp";
/// Silence before the first word and at least after the last one, in seconds.
const MARGIN_S: f64 = 0.5;
/// How often the next sentence is spoken by the same voice.
const SAME_VOICE: f64 = 0.5;
/// How often the next sentence stays with the topic.
const SAME_TOPIC: f64 = 0.6;
/// How often a word means nothing.
const FUNCTION_WORD: f64 = 0.25;
/// How often a content word is about the topic.
const ON_TOPIC: f64 = 0.75;
/// Peak of the room's noise, full scale 1: no file has stretches of exact zeros.
const ROOM_NOISE: f64 = 5e-4;
/// Largest sample.
const MAX_PEAK: f64 = 0.9;

/// A story as sound and as text.
#[derive(Debug)]
pub(crate) struct SpokenStory {
    pub(crate) waveform: Waveform,
    /// Phones first, words second, as in ds003020.
    pub(crate) textgrid: TextGrid,
    /// When words of each meaning were said: start and end in seconds, and the place in [`MEANINGS`].
    pub(crate) meanings: Vec<(f64, f64, usize)>,
}

/// Tells a story of `story_s` seconds.
pub(crate) fn tell_story(
    lexicon: &Lexicon,
    story_s: f64,
    rng: &mut impl Rng,
) -> Result<SpokenStory> {
    let n_samples = samples_in(story_s);
    let n_margin = samples_in(MARGIN_S);
    let mut samples: Vec<f64> = Vec::with_capacity(n_samples);
    let mut labels = Labels::default();
    let mut voice = draw_voice(rng);
    let mut topic = rng.random_range(0..MEANINGS.len());
    samples.resize(n_margin, 0.0);
    labels.pause_until(samples.len());
    loop {
        let left = (n_samples - samples.len()).saturating_sub(n_margin);
        let words = draw_sentence(lexicon, topic, &voice, left, rng);
        if words.is_empty() {
            break;
        }
        let phones: Vec<TimedPhone> = words
            .iter()
            .flat_map(|(_, phones)| phones)
            .copied()
            .collect();
        samples.extend(render(&phones, &voice, rng));
        for (word, phones) in &words {
            labels.say(word, phones);
        }
        let pause = samples_in(rng.random_range(0.3..1.8));
        samples.resize((samples.len() + pause).min(n_samples - n_margin), 0.0);
        labels.pause_until(samples.len());
        voice = next_voice(&voice, rng);
        if !rng.random_bool(SAME_TOPIC) {
            topic = rng.random_range(0..MEANINGS.len());
        }
    }
    samples.resize(n_samples, 0.0);
    labels.pause_until(n_samples);
    Ok(SpokenStory {
        waveform: to_waveform(samples, rng)?,
        meanings: std::mem::take(&mut labels.meanings),
        textgrid: labels.into_textgrid(),
    })
}

fn draw_voice(rng: &mut impl Rng) -> Voice {
    Voice {
        f0_hz: rng.random_range(85.0..230.0),
        formant_scale: rng.random_range(0.92..1.12),
        softness: rng.random_range(0.55..0.93),
        level: 0.09 * 10_f64.powf(-rng.random_range(0.0..16.0) / 20.0),
        rate: rng.random_range(0.8..1.25),
    }
}

/// The voice of the next sentence: another one, or the same a little louder, higher or faster.
fn next_voice(voice: &Voice, rng: &mut impl Rng) -> Voice {
    if !rng.random_bool(SAME_VOICE) {
        return draw_voice(rng);
    }
    Voice {
        f0_hz: voice.f0_hz * rng.random_range(0.93..1.07),
        level: (voice.level * rng.random_range(0.8..1.25)).min(0.09),
        rate: voice.rate * rng.random_range(0.9..1.1),
        ..voice.clone()
    }
}

/// Six to twenty words, most of them about the topic, and how long each of their phones takes; fewer
/// where no more than `left` samples are left.
fn draw_sentence<'l>(
    lexicon: &'l Lexicon,
    topic: usize,
    voice: &Voice,
    left: usize,
    rng: &mut impl Rng,
) -> Vec<(&'l Word, Vec<TimedPhone>)> {
    let n_words = rng.random_range(6..=20);
    let mut words = Vec::with_capacity(n_words);
    let mut n_samples = 0;
    for _ in 0..n_words {
        let meaning = draw_meaning(topic, rng);
        let Some(word) = lexicon.draw_word(meaning, rng) else {
            continue;
        };
        let phones: Vec<TimedPhone> = word
            .phones
            .iter()
            .map(|&phone| {
                let stretch = rng.random_range(0.8..1.25) / voice.rate;
                (phone, samples_in(phone.duration_s * stretch))
            })
            .collect();
        n_samples += phones.iter().map(|(_, n)| n).sum::<usize>();
        if n_samples > left {
            break;
        }
        words.push((word, phones));
    }
    words
}

fn draw_meaning(topic: usize, rng: &mut impl Rng) -> Option<usize> {
    if rng.random_bool(FUNCTION_WORD) {
        None
    } else if rng.random_bool(ON_TOPIC) {
        Some(topic)
    } else {
        Some(rng.random_range(0..MEANINGS.len()))
    }
}

/// Adds the noise of the room and keeps the peaks within full scale.
fn to_waveform(mut samples: Vec<f64>, rng: &mut impl Rng) -> Result<Waveform> {
    for sample in &mut samples {
        *sample += rng.random_range(-ROOM_NOISE..ROOM_NOISE);
    }
    let peak = samples.iter().fold(0.0_f64, |peak, x| peak.max(x.abs()));
    let gain = if peak > MAX_PEAK {
        MAX_PEAK / peak
    } else {
        1.0
    };
    #[expect(clippy::cast_possible_truncation, reason = "waveforms are f32")]
    let samples = samples.into_iter().map(|x| (gain * x) as f32).collect();
    Ok(Waveform::from_samples(samples, SampleRate::SPEECH)?)
}

/// Two tiers that grow without gaps.
#[derive(Default)]
struct Labels {
    phones: Vec<Interval>,
    words: Vec<Interval>,
    meanings: Vec<(f64, f64, usize)>,
    n_samples: usize,
}

impl Labels {
    fn pause_until(&mut self, n_samples: usize) {
        if n_samples > self.n_samples {
            let pause = interval(self.n_samples, n_samples, PAUSE);
            self.phones.push(pause.clone());
            self.words.push(pause);
            self.n_samples = n_samples;
        }
    }

    fn say(&mut self, word: &Word, phones: &[TimedPhone]) {
        let start = self.n_samples;
        for (phone, n) in phones {
            let end = self.n_samples + n;
            self.phones.push(interval(self.n_samples, end, phone.label));
            self.n_samples = end;
        }
        let said = interval(start, self.n_samples, &word.spelling);
        if let Some(meaning) = word.meaning {
            self.meanings.push((said.start_s, said.end_s, meaning));
        }
        self.words.push(said);
    }

    fn into_textgrid(self) -> TextGrid {
        let phones = Tier::new("phone", self.phones);
        TextGrid::new(vec![phones, Tier::new("word", self.words)])
    }
}

fn interval(start: usize, end: usize, text: &str) -> Interval {
    Interval::new(start as f64 / RATE_HZ, end as f64 / RATE_HZ, text)
}
